-- resync() of a whole table: what somebody changed in the extension's own tables agrees with the rows that explain it again.

-- Expects the orders of the source locked; locks the stock rows that it mends, sorted. The caller settles the places and announces
-- the orders that are returned.
CREATE FUNCTION backorder_internal.mend(source_id integer) RETURNS TABLE (item text, location text, order_source integer, order_key text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = on SET enable_bitmapscan = on SET enable_hashjoin = on SET enable_mergejoin = on SET enable_sort = on AS $$
#variable_conflict use_column
DECLARE
	own text;
	items text[];
	locations text[];
BEGIN
	SELECT s.tenant INTO own FROM backorder.source s WHERE s.source_id = $1;
	SELECT array_agg(w.item ORDER BY w.item, w.location), array_agg(w.location ORDER BY w.item, w.location) INTO items, locations FROM (
		SELECT r.item, r.location FROM backorder_internal.recounted r LEFT JOIN backorder.stock s ON s.tenant = r.tenant AND s.item = r.item AND s.location = r.location
		WHERE r.tenant = own AND (s.on_hand, s.unavailable, s.allocated, s.backordered, s.backordered_held, s.on_order)
			IS DISTINCT FROM (r.on_hand, r.unavailable, r.allocated, r.backordered, r.backordered_held, r.on_order)
		UNION
		SELECT l.item, l.location FROM backorder.order_line l
		LEFT JOIN (SELECT a.line_id, sum(a.quantity) AS quantity FROM backorder.allocation a WHERE a.tenant = own GROUP BY 1) a ON a.line_id = l.line_id
		WHERE l.tenant = own AND l.allocated <> l.first_allocated + coalesce(l.folded, 0) + coalesce(a.quantity, 0)
		UNION
		SELECT e.item, e.location FROM backorder_internal.expected_promise e WHERE e.tenant = own AND e.promised_at IS DISTINCT FROM e.expected
		UNION
		SELECT l.item, l.location FROM backorder.order_line l WHERE l.tenant = own AND (l.backordered = 0 OR l.held) AND l.promised_at IS NOT NULL) w;
	IF items IS NOT NULL THEN
		INSERT INTO backorder.stock (tenant, item, location) SELECT own, w.item, w.location FROM unnest(items, locations) AS w (item, location) ON CONFLICT DO NOTHING;
		PERFORM FROM backorder.stock s JOIN unnest(items, locations) AS w (item, location) ON s.item = w.item AND s.location = w.location
		WHERE s.tenant = own ORDER BY s.item, s.location FOR NO KEY UPDATE OF s;
		-- The ledger is what happened; what a line cannot have any more is given back.
		RETURN QUERY WITH ledger AS MATERIALIZED (
			SELECT l.ctid AS tid, l.line_id, l.item, l.location, l.first_allocated + coalesce(l.folded, 0) + coalesce(sum(a.quantity), 0) AS allocated,
				greatest(least(l.first_allocated + coalesce(l.folded, 0) + coalesce(sum(a.quantity), 0), l.ordered - l.cancelled - l.auto_cancelled - l.shipped), 0) AS mended
			FROM unnest(items, locations) AS w (item, location)
			JOIN backorder.order_line l ON l.tenant = own AND l.item = w.item AND l.location = w.location
			LEFT JOIN backorder.allocation a ON a.tenant = l.tenant AND a.line_id = l.line_id
			GROUP BY l.tenant, l.source_id, l.order_key, l.line_key
		), given_back AS (
			INSERT INTO backorder.allocation (tenant, line_id, item, location, quantity, cause)
			SELECT own, b.line_id, b.item, b.location, b.mended - b.allocated, 'mended' FROM ledger b WHERE b.mended <> b.allocated
		), mended AS (
			UPDATE backorder.order_line l SET allocated = b.mended FROM ledger b WHERE l.ctid = b.tid AND l.allocated <> b.mended RETURNING l.source_id, l.order_key
		)
		SELECT NULL::text, NULL::text, m.source_id, m.order_key FROM mended m;
		UPDATE backorder.order_line l SET promised_at = NULL FROM unnest(items, locations) AS w (item, location)
		WHERE l.tenant = own AND l.item = w.item AND l.location = w.location AND l.promised_at IS NOT NULL
			AND (l.backordered = 0 OR l.held OR NOT EXISTS (SELECT FROM backorder.supply y WHERE y.tenant = own AND y.item = w.item AND y.location = w.location AND y.open > 0));
		-- More is allocated than the movements brought: it was there.
		INSERT INTO backorder.stock_movement (tenant, item, location, kind, quantity, unavailable, reason)
		SELECT own, r.item, r.location, 'adjustment', r.allocated + greatest(r.unavailable, 0) - r.on_hand, 0, 'mended'
		FROM unnest(items, locations) AS w (item, location) JOIN backorder_internal.recounted r ON r.tenant = own AND r.item = w.item AND r.location = w.location
		WHERE r.on_hand < r.allocated + greatest(r.unavailable, 0);
		-- The rows are locked above, so nobody settles them while they are counted. The caller settles them under this lock.
		UPDATE backorder.stock s SET on_hand = r.on_hand, unavailable = r.unavailable, allocated = r.allocated, backordered = r.backordered,
			backordered_held = r.backordered_held, on_order = r.on_order, version = s.version + 1
		FROM unnest(items, locations) AS w (item, location) JOIN backorder_internal.recounted r ON r.tenant = own AND r.item = w.item AND r.location = w.location
		WHERE s.tenant = own AND s.item = w.item AND s.location = w.location;
		RETURN QUERY SELECT w.item, w.location, NULL::integer, NULL::text FROM unnest(items, locations) AS w (item, location);
	END IF;
	-- What customers were told.
	RETURN QUERY SELECT NULL::text, NULL::text, $1, coalesce(w.order_key, n.order_key)
	FROM (SELECT w.* FROM backorder.waiting_order w WHERE w.tenant = own AND w.source_id = $1) w
	FULL JOIN (SELECT l.order_key, backorder_internal.notified(array_agg(l)) AS last_notified FROM backorder.order_line l
		WHERE l.tenant = own AND l.source_id = $1 GROUP BY 1 HAVING sum(l.backordered) > 0) n ON n.order_key = w.order_key
	WHERE w.last_notified IS DISTINCT FROM n.last_notified;
END $$;
COMMENT ON FUNCTION backorder_internal.mend(integer) IS 'Makes counters and ledger of a source''s tenant agree, for resync(); returns places to settle and orders to announce.
source_id: the source.
item, location: a stock row to settle.
order_source, order_key: an order to announce.';
