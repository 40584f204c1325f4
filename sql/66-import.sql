-- Orders recorded in batches.

CREATE PROCEDURE backorder.import(line_table regclass, batch integer DEFAULT 1000)
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_import';
COMMENT ON PROCEDURE backorder.import(regclass, integer) IS 'Records the orders of a table that was attached with import => false, or reconciles all orders of an attached table, in batches that commit one by one, in READ COMMITTED. What its caller did before is committed first. Cancelled, or called again after a crash, it goes on where it was; two at once take turns.
line_table: the table.
batch: how many orders a batch has.';

CREATE FUNCTION backorder_internal.orders_to_import(source_id integer, OUT order_key text)
RETURNS SETOF text LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_orders_to_import';
COMMENT ON FUNCTION backorder_internal.orders_to_import(integer) IS 'The orders of a table that import() has not come to.
source_id: the source.
order_key: an order.';

CREATE VIEW backorder.import_progress AS
SELECT i.tenant, i.source_id, backorder.source_relation(i.source_id) AS source, i.state, i.orders, i.total,
	CASE WHEN i.state = 'imported' THEN 100 ELSE least(99, i.orders * 100 / greatest(i.total, 1)) END AS percent,
	i.lines, i.phase, CASE i.phase WHEN 'table' THEN i.position WHEN 'recorded' THEN i.recorded_position ELSE i.ranked_item END AS position,
	i.started_at, i.updated_at, i.finished_at
FROM backorder_internal.source_import i;
COMMENT ON VIEW backorder.import_progress IS 'How far import() has come with each table it is used for, as of its last batch: orders done of about total. In the states waiting and outdated import() is to be called.';
COMMENT ON COLUMN backorder.import_progress.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.import_progress.source_id IS 'The source.';
COMMENT ON COLUMN backorder.import_progress.source IS 'Its table.';
COMMENT ON COLUMN backorder.import_progress.state IS 'waiting for import(), importing, outdated (import() is to look at all orders again), resyncing (it does), or imported.';
COMMENT ON COLUMN backorder.import_progress.orders IS 'Orders read so far.';
COMMENT ON COLUMN backorder.import_progress.total IS 'Orders that the planner expected at the beginning.';
COMMENT ON COLUMN backorder.import_progress.percent IS 'The share of these.';
COMMENT ON COLUMN backorder.import_progress.lines IS 'Lines that changed, or were recorded.';
COMMENT ON COLUMN backorder.import_progress.phase IS 'Which step it is in.';
COMMENT ON COLUMN backorder.import_progress.position IS 'Where it is in that step: the last order, or item.';
COMMENT ON COLUMN backorder.import_progress.started_at IS 'When the first batch was done.';
COMMENT ON COLUMN backorder.import_progress.updated_at IS 'When the last batch was done.';
COMMENT ON COLUMN backorder.import_progress.finished_at IS 'When it was finished.';

-- Batches come by order key, so that a line may be imported behind another that ranks after it and has got the
-- stock.  What lines have that were imported and not touched since is dealt among them again, by rank: as if all had
-- come at once.  It was never told to anyone, and nobody is told now.  Sums of a stock row stay as they are.
CREATE FUNCTION backorder_internal.rank_imported(source_id integer, places integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_mergejoin = off SET enable_nestloop = on SET enable_hashjoin = on
SET enable_sort = on SET jit = off AS $$
#variable_conflict use_column
DECLARE
	i backorder_internal.source_import;
	items text[];
	locations text[];
	orders text[];
	promised text[];
BEGIN
	SELECT * INTO STRICT i FROM backorder_internal.source_import o WHERE o.source_id = rank_imported.source_id FOR UPDATE;
	SELECT array_agg(s.item), array_agg(s.location) INTO items, locations
	FROM (
		SELECT s.item, s.location FROM backorder.stock s
		WHERE s.tenant = i.tenant AND s.backordered > 0
			AND (i.ranked_item IS NULL OR (s.item, s.location) > (i.ranked_item, i.ranked_location))
		ORDER BY s.tenant, s.item, s.location LIMIT rank_imported.places FOR NO KEY UPDATE
	) s;
	IF items IS NULL THEN
		RETURN false;
	END IF;
	WITH mine AS MATERIALIZED (
		SELECT l.* FROM unnest(items, locations) AS p (item, location)
		CROSS JOIN LATERAL backorder_internal.imported_lines(i, p.item, p.location) AS l
	), ranked AS (
		SELECT m.*, m.allocated + m.backordered AS open,
			sum(m.allocated) OVER (PARTITION BY m.item, m.location)
			- sum(m.allocated + m.backordered) OVER (PARTITION BY m.item, m.location ORDER BY m.priority DESC, m.queued_at, m.line_id)
			+ m.allocated + m.backordered AS left_over
		FROM mine m
	), dealt AS (
		UPDATE backorder.order_line l SET allocated = greatest(least(r.open, r.left_over), 0),
			first_allocated = l.first_allocated + greatest(least(r.open, r.left_over), 0) - l.allocated
		FROM ranked r
		WHERE l.tenant = r.tenant AND l.source_id = r.source_id AND l.order_key = r.order_key AND l.line_key = r.line_key
			AND r.allocated <> greatest(least(r.open, r.left_over), 0)
		RETURNING l.order_key
	)
	SELECT array_agg(DISTINCT d.order_key) INTO orders FROM dealt d;
	-- From here on whole sets are joined, of which the planner knows nothing: one for each row of another would be their product.
	PERFORM set_config('enable_nestloop', 'off', true), set_config('enable_seqscan', 'on', true);
	-- Promises as settling them all at once would have made them.
	UPDATE backorder.stock s SET promises_stale = false, version = s.version + 1
	FROM unnest(items, locations) AS p (item, location)
	WHERE s.tenant = i.tenant AND s.item = p.item AND s.location = p.location;
	WITH mine AS MATERIALIZED (
		SELECT l.* FROM unnest(items, locations) AS p (item, location)
		CROSS JOIN LATERAL backorder_internal.imported_lines(i, p.item, p.location) AS l
	), expected AS MATERIALIZED (
		SELECT e.order_key, e.line_key, e.expected FROM unnest(items, locations) AS p (item, location)
		CROSS JOIN LATERAL (SELECT e.* FROM backorder_internal.expected_promise e
			WHERE e.tenant = i.tenant AND e.item = p.item AND e.location = p.location AND e.source_id = i.source_id) e
	), dated AS (
		UPDATE backorder.order_line l SET promised_at = e.expected, first_promised_at = e.expected
		FROM mine m LEFT JOIN expected e ON e.order_key = m.order_key AND e.line_key = m.line_key
		WHERE l.tenant = m.tenant AND l.source_id = m.source_id AND l.order_key = m.order_key AND l.line_key = m.line_key
			AND (l.promised_at, l.first_promised_at) IS DISTINCT FROM (e.expected, e.expected)
		RETURNING l.order_key
	)
	SELECT array_agg(DISTINCT d.order_key) INTO promised FROM dated d;
	orders := ARRAY(SELECT DISTINCT o FROM unnest(orders || promised) o ORDER BY o);
	-- Others that wait behind or between them are told by repromise().
	UPDATE backorder.stock s SET promises_stale = true
	FROM unnest(items, locations) AS p (item, location)
	WHERE s.tenant = i.tenant AND s.item = p.item AND s.location = p.location AND s.on_order > 0
		AND s.backordered - s.backordered_held <> (SELECT coalesce(sum(l.backordered), 0) FROM backorder_internal.imported_lines(i, p.item, p.location) l);
	-- What waits now is taken as told. Locked first, then read.
	INSERT INTO backorder.waiting_order AS w (tenant, source_id, order_key)
	SELECT i.tenant, i.source_id, o FROM unnest(orders) o ORDER BY o
	ON CONFLICT (tenant, source_id, order_key) DO UPDATE SET last_notified = excluded.last_notified WHERE false;
	UPDATE backorder.waiting_order w SET last_notified = n.last_notified, customer = n.customer
	FROM (SELECT l.order_key, backorder_internal.notified(array_agg(l)) AS last_notified, max(l.customer) AS customer
		FROM backorder.order_line l WHERE l.tenant = i.tenant AND l.source_id = i.source_id AND l.order_key = ANY (orders)
		GROUP BY 1 HAVING sum(l.backordered) > 0) n
	WHERE w.tenant = i.tenant AND w.source_id = i.source_id AND w.order_key = n.order_key;
	DELETE FROM backorder.waiting_order w
	WHERE w.tenant = i.tenant AND w.source_id = i.source_id AND w.order_key = ANY (orders)
		AND NOT EXISTS (SELECT FROM backorder.order_line l
			WHERE l.tenant = w.tenant AND l.source_id = w.source_id AND l.order_key = w.order_key AND l.backordered > 0);
	UPDATE backorder_internal.source_import o SET ranked_item = items[cardinality(items)], ranked_location = locations[cardinality(items)]
	WHERE o.tenant = i.tenant AND o.source_id = i.source_id;
	RETURN cardinality(items) = rank_imported.places;
END $$;
COMMENT ON FUNCTION backorder_internal.rank_imported(integer, integer) IS 'Deals what the next stock rows gave to imported lines among these again, by rank. Returns whether there are more.
source_id: the source.
places: how many stock rows at most.';

-- Lines that may be dealt anew: recorded by the import, served by nothing else since.
CREATE FUNCTION backorder_internal.imported_lines(i backorder_internal.source_import, item text, location text) RETURNS SETOF backorder.order_line
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT l.* FROM (
		SELECT w.* FROM backorder.order_line w
		WHERE w.tenant = ($1).tenant AND w.item = $2 AND w.location = $3 AND w.backordered > 0 AND NOT w.held
		UNION ALL
		SELECT a.* FROM backorder.order_line a
		WHERE hashtextextended(a.item, hashtextextended(a.location, hashtextextended(a.tenant, 0)))
				= hashtextextended($2, hashtextextended($3, hashtextextended(($1).tenant, 0)))
			AND a.tenant = ($1).tenant AND a.item = $2 AND a.location = $3 AND a.allocated > 0 AND (a.backordered = 0 AND NOT a.held)) l
	WHERE l.source_id = ($1).source_id AND l.line_id <@ ($1).line_ids AND l.folded IS NULL
		AND NOT EXISTS (SELECT FROM backorder.allocation g WHERE g.tenant = l.tenant AND g.line_id = l.line_id)
$$;
COMMENT ON FUNCTION backorder_internal.imported_lines(backorder_internal.source_import, text, text) IS 'The open lines of an item at a location that an import recorded and that nothing else has served.
i: the import.
item: the item.
location: the location.';
