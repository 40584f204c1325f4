-- Views and explain().  A view filtered by item and location reads that queue only.

CREATE VIEW backorder.backlog AS
SELECT l.tenant, l.item, l.location, l.source_id, l.order_key, l.line_key, l.customer,
	l.ordered, l.allocated, l.backordered, l.priority, l.queued_at, l.held,
	CASE WHEN NOT l.held THEN count(*) FILTER (WHERE NOT l.held) OVER w END AS rank,
	CASE WHEN NOT l.held THEN sum(l.backordered) FILTER (WHERE NOT l.held) OVER w - l.backordered END AS ahead,
	now() - l.queued_at AS age, l.requested_at, l.first_promised_at, l.promised_at, l.line_id
FROM backorder.order_line l
WHERE l.backordered > 0
WINDOW w AS (PARTITION BY l.tenant, l.item, l.location ORDER BY l.priority DESC, l.queued_at, l.line_id);
COMMENT ON VIEW backorder.backlog IS 'Waiting lines with their rank, the quantity ahead of them, age and promise. Held lines have no rank.';

CREATE VIEW backorder.shortage AS
SELECT s.tenant, s.item, s.location, s.backordered, s.on_order, greatest(s.backordered - s.on_order, 0) AS uncovered,
	q.lines, q.orders, q.oldest, (SELECT min(u.expected_at) FROM backorder.supply u
		WHERE u.tenant = s.tenant AND u.item = s.item AND u.location = s.location AND u.open > 0) AS next_expected_at
FROM backorder.stock s
CROSS JOIN LATERAL (
	SELECT count(*) AS lines, count(DISTINCT (l.source_id, l.order_key)) AS orders, min(l.queued_at) AS oldest
	FROM backorder.order_line l
	WHERE l.tenant = s.tenant AND l.item = s.item AND l.location = s.location AND l.backordered > 0
) q
WHERE s.backordered > 0;
COMMENT ON VIEW backorder.shortage IS 'Items that order lines wait for, with what is on order for them.';

CREATE VIEW backorder.unsourced AS
SELECT p.tenant, p.item, p.location, p.reorder_point - p.position - p.drafted AS short,
	CASE
		WHEN EXISTS (SELECT FROM backorder.supplier_item i WHERE i.tenant = p.tenant AND i.item = p.item) THEN 'no active supplier'
		WHEN EXISTS (SELECT FROM backorder.stock_movement m WHERE m.tenant = p.tenant AND m.item = p.item)
			OR EXISTS (SELECT FROM backorder.stock s WHERE s.tenant = p.tenant AND s.item = p.item AND s.stock_source_id IS NOT NULL)
			OR EXISTS (SELECT FROM backorder.item_policy o WHERE o.tenant = p.tenant AND o.item = p.item)
			OR EXISTS (SELECT FROM backorder.purchase_order_line o WHERE o.tenant = p.tenant AND o.item = p.item) THEN 'no supplier'
		ELSE 'unknown'
	END AS reason
FROM backorder_internal.inventory_position p
WHERE p.position + p.drafted < p.reorder_point
	AND NOT EXISTS (
		SELECT FROM backorder.supplier_item i JOIN backorder.supplier s ON s.tenant = i.tenant AND s.supplier = i.supplier
		WHERE i.tenant = p.tenant AND i.item = p.item AND i.active AND s.active
			AND (i.maximum_quantity IS NULL OR i.maximum_quantity >= i.order_multiple));
COMMENT ON VIEW backorder.unsourced IS 'What should be bought and cannot be planned, and why: unknown (nothing but orders knows the item), no supplier, no active supplier.';

CREATE VIEW backorder.pegging AS
SELECT w.tenant, w.item, w.location, w.source_id, w.order_key, w.line_key, w.customer, u.po_id, u.line_no, u.expected_at,
	least(w.upto, u.upto) - greatest(w.upto - w.backordered, u.upto - u.open) AS quantity
FROM (
	SELECT l.tenant, l.item, l.location, l.source_id, l.order_key, l.line_key, l.customer, l.backordered,
		sum(l.backordered) OVER (PARTITION BY l.tenant, l.item, l.location ORDER BY l.priority DESC, l.queued_at, l.line_id) AS upto
	FROM backorder.order_line l WHERE l.backordered > 0 AND NOT l.held
) w
JOIN (
	SELECT s.tenant, s.item, s.location, s.po_id, s.line_no, s.expected_at, s.open,
		sum(s.open) OVER (PARTITION BY s.tenant, s.item, s.location ORDER BY s.expected_at NULLS LAST, s.po_id, s.line_no) AS upto
	FROM backorder.supply s WHERE s.open > 0
) u ON u.tenant = w.tenant AND u.item = w.item AND u.location = w.location
	AND w.upto > u.upto - u.open AND u.upto > w.upto - w.backordered;
COMMENT ON VIEW backorder.pegging IS 'Which waiting line is covered by which placed purchase order line, and how much of it.';

CREATE VIEW backorder.order_status AS
SELECT l.tenant, l.source_id, backorder.source_relation(l.source_id) AS source, l.order_key, max(l.customer) AS customer, count(*) AS lines,
	sum(greatest(l.ordered - l.cancelled - l.auto_cancelled - l.shipped, 0)) AS open, sum(l.allocated) AS allocated,
	sum(l.backordered) AS backordered, sum(l.shipped) AS shipped,
	CASE
		WHEN sum(l.backordered) > 0 AND sum(l.allocated) > 0 THEN 'partly ready'
		WHEN sum(l.backordered) > 0 THEN 'waiting'
		WHEN sum(l.allocated) > 0 THEN 'ready'
		ELSE 'done'
	END AS status,
	CASE WHEN bool_and(l.promised_at IS NOT NULL) FILTER (WHERE l.backordered > 0) THEN max(l.promised_at) FILTER (WHERE l.backordered > 0) END AS promised_at
FROM backorder.order_line l
GROUP BY l.tenant, l.source_id, l.order_key;
COMMENT ON VIEW backorder.order_status IS 'One row per recorded order: waiting, partly ready, ready or done, and the date by which all of it is promised.';

CREATE VIEW backorder.availability AS
SELECT s.tenant, s.item, s.location, s.on_hand, s.unavailable, s.allocated, s.available, s.backordered, s.on_order,
	s.on_hand - s.unavailable - s.allocated - s.backordered + s.on_order AS position,
	(SELECT min(u.expected_at) FROM backorder.supply u
		WHERE u.tenant = s.tenant AND u.item = s.item AND u.location = s.location AND u.open > 0) AS next_expected_at
FROM backorder.stock s;
COMMENT ON VIEW backorder.availability IS 'Stock per item and location with its inventory position and the next arrival.';

CREATE VIEW backorder.purchases AS
SELECT l.tenant, l.po_id, l.line_no, o.supplier, o.location, o.status, l.item, l.ordered, l.cancelled,
	coalesce(s.received, 0) AS received, coalesce(s.open, 0) AS open,
	coalesce(s.expected_at, l.expected_at) AS expected_at, o.placed_at, l.unit_cost, l.unit_cost * (l.ordered - l.cancelled) AS cost,
	l.planned, l.for_backorders, l.for_reorder, l.for_rounding,
	sum(l.unit_cost * (l.ordered - l.cancelled)) OVER (PARTITION BY l.tenant, l.po_id) AS order_value, v.minimum_order_value, v.currency
FROM backorder.purchase_order_line l
JOIN backorder.purchase_order o ON o.tenant = l.tenant AND o.po_id = l.po_id
JOIN backorder.supplier v ON v.tenant = o.tenant AND v.supplier = o.supplier
LEFT JOIN backorder.supply s ON s.tenant = l.tenant AND s.po_id = l.po_id AND s.line_no = l.line_no;
COMMENT ON VIEW backorder.purchases IS 'Purchase order lines with what was received and is open.';

CREATE VIEW backorder.aging AS
SELECT l.tenant, a.bucket, count(*) AS lines, sum(l.backordered) AS backordered, min(l.queued_at) AS oldest
FROM backorder.order_line l
CROSS JOIN LATERAL (SELECT CASE
	WHEN now() - l.queued_at < interval '7 days' THEN '0-6 days'
	WHEN now() - l.queued_at < interval '14 days' THEN '7-13 days'
	WHEN now() - l.queued_at < interval '30 days' THEN '14-29 days'
	WHEN now() - l.queued_at < interval '60 days' THEN '30-59 days'
	ELSE '60 days and more' END AS bucket) a
WHERE l.backordered > 0
GROUP BY l.tenant, a.bucket;
COMMENT ON VIEW backorder.aging IS 'Waiting lines by how long they have waited.';

CREATE VIEW backorder.fill_rate AS
SELECT l.tenant, l.item, l.location, count(*) AS lines, count(*) FILTER (WHERE f.filled >= f.wanted) AS lines_filled,
	sum(f.wanted) AS ordered, sum(f.filled) AS filled, round(sum(f.filled) / nullif(sum(f.wanted), 0), 4) AS fill_rate
FROM backorder.order_line l
CROSS JOIN LATERAL (SELECT l.ordered - l.cancelled AS wanted,
	least(l.first_allocated + coalesce(l.first_shipped, 0), l.ordered - l.cancelled) AS filled) f
WHERE l.live
GROUP BY l.tenant, l.item, l.location;
COMMENT ON VIEW backorder.fill_rate IS 'First-pass fill rate: the share of the ordered quantity that was allocated, or shipped already, when the line was first settled.';

CREATE FUNCTION backorder.explain(order_key text, source regclass DEFAULT NULL)
RETURNS TABLE (source_ regclass, line text, item text, location text, ordered numeric, shipped numeric, has numeric, waits_for numeric,
	rank bigint, ahead numeric, next_supply text, promised_at date, why text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	p_order_key CONSTANT text := order_key;
	p_source CONSTANT regclass := source;
	other record;
	said boolean;
BEGIN
	IF NOT EXISTS (SELECT FROM backorder.source s JOIN backorder.sales_order o ON o.tenant = s.tenant AND o.source_id = s.source_id
		WHERE o.order_key = p_order_key AND (p_source IS NULL OR backorder.source_relation(s.source_id) = p_source)) THEN
		RAISE EXCEPTION 'order "%" is not recorded', p_order_key USING ERRCODE = 'OB009',
			HINT = 'An order is recorded when a transaction that writes its lines commits; see backorder.sales_order.';
	END IF;
	RETURN QUERY
	SELECT backorder.source_relation(l.source_id), l.line_key, l.item, l.location, l.ordered, l.shipped, l.allocated, l.backordered,
		q.rank, q.ahead, u.supply, l.promised_at,
		CASE
			WHEN o.detached_at IS NOT NULL THEN 'its table was detached; what was shipped stays'
			WHEN l.deleted THEN 'deleted by the application; what was shipped stays'
			WHEN NOT l.live THEN 'not live any more; what was shipped stays'
			WHEN l.backordered = 0 AND l.allocated > 0 THEN 'all of it is allocated'
			WHEN l.backordered = 0 THEN 'nothing is open'
			WHEN l.held THEN 'held: not served until the hold ends'
			WHEN l.promised_at IS NOT NULL AND l.promised_at < backorder_internal.today() THEN format('late: was promised for %s', l.promised_at)
			WHEN l.promised_at IS NOT NULL THEN concat_ws('; ', CASE WHEN q.ahead > 0 THEN format('%s ahead of it', trim_scale(q.ahead)) END,
				format('covered by placed purchase orders by %s', l.promised_at))
			WHEN s.promises_stale THEN 'the promise is to be made: repromise() finishes it'
			WHEN s.on_order = 0 AND EXISTS (SELECT FROM backorder.unsourced n WHERE n.tenant = l.tenant AND n.item = l.item AND n.location = l.location)
				THEN 'nothing is on order, and there is no supplier to plan with'
			WHEN s.on_order = 0 THEN 'nothing is on order'
			WHEN q.ahead + l.backordered > s.on_order THEN format('%s on order, %s ahead: supply does not reach', trim_scale(s.on_order), trim_scale(q.ahead))
			ELSE (
				-- What covers its last unit: supply in the order in which promises use it up.
				SELECT CASE WHEN c.expected_at IS NULL THEN format('covered by purchase order %s, which has no date', c.po_id)
					ELSE format('covered by purchase order %s, which is overdue since %s', c.po_id, c.expected_at) END
				FROM (SELECT n.po_id, n.line_no, n.expected_at, sum(n.open) OVER (ORDER BY n.expected_at NULLS LAST, n.po_id, n.line_no) AS upto
					FROM backorder.supply n
					WHERE n.tenant = l.tenant AND n.item = l.item AND n.location = l.location AND n.open > 0) c
				WHERE c.upto >= q.ahead + l.backordered ORDER BY c.expected_at NULLS LAST, c.po_id, c.line_no LIMIT 1)
		END || CASE WHEN EXISTS (SELECT FROM backorder.parked p WHERE p.tenant = l.tenant AND p.source_id = l.source_id AND p.order_key IN ('', p_order_key))
			THEN '; parked: as it was before it could not be read' ELSE '' END
	FROM backorder.source o
	JOIN backorder.order_line l ON l.tenant = o.tenant AND l.source_id = o.source_id AND l.order_key = p_order_key
	JOIN backorder.stock s ON s.tenant = l.tenant AND s.item = l.item AND s.location = l.location
	LEFT JOIN LATERAL (
		SELECT count(*) + 1 AS rank, coalesce(sum(a.backordered), 0) AS ahead
		FROM backorder.order_line a
		WHERE a.tenant = l.tenant AND a.item = l.item AND a.location = l.location AND a.backordered > 0 AND NOT a.held
			AND (- a.priority, a.queued_at, a.line_id) < (- l.priority, l.queued_at, l.line_id)
	) q ON l.backordered > 0 AND NOT l.held
	LEFT JOIN LATERAL (
		SELECT format('%s of purchase order %s on %s%s', trim_scale(n.open), n.po_id, coalesce(n.expected_at::text, 'an unknown day'),
			CASE WHEN n.expected_at < backorder_internal.today() THEN ', overdue' END) AS supply
		FROM backorder.supply n
		WHERE n.tenant = l.tenant AND n.item = l.item AND n.location = l.location AND n.open > 0
		ORDER BY n.expected_at NULLS LAST, n.po_id, n.line_no LIMIT 1
	) u ON l.backordered > 0
	WHERE p_source IS NULL OR backorder.source_relation(o.source_id) = p_source
	ORDER BY l.source_id, l.line_id;
	said := FOUND;
	-- Of an order that is nothing to wait for and was never shipped no line is recorded: what its table says.
	FOR other IN
		SELECT s.tenant, s.source_id, backorder.source_relation(s.source_id) AS relation,
			(SELECT p.message FROM backorder.parked p
			WHERE p.tenant = s.tenant AND p.source_id = s.source_id AND p.order_key IN ('', p_order_key) ORDER BY p.order_key LIMIT 1) AS parked
		FROM backorder.source s
		JOIN backorder.sales_order o ON o.tenant = s.tenant AND o.source_id = s.source_id AND o.order_key = p_order_key
		WHERE s.detached_at IS NULL AND (p_source IS NULL OR backorder.source_relation(s.source_id) = p_source)
			AND NOT EXISTS (SELECT FROM backorder.order_line l WHERE l.tenant = s.tenant AND l.source_id = s.source_id AND l.order_key = p_order_key)
		ORDER BY s.source_id
	LOOP
		said := true;
		source_ := other.relation;
		why := coalesce('parked: ' || other.parked, 'its table does not exist any more');
		IF other.parked IS NULL AND other.relation IS NOT NULL THEN
			RETURN QUERY
			SELECT other.relation, m.line_key, m.item, m.location, m.quantity, m.shipped, 0::numeric, 0::numeric, NULL::bigint, NULL::numeric, NULL::text, NULL::date,
				CASE
					WHEN NOT m.live THEN 'not live: nothing is wanted, and nothing was shipped'
					WHEN m.item IS NULL THEN 'not stocked: it has no item'
					WHEN m.quantity > 0 THEN 'not recorded yet'
					ELSE 'no quantity: nothing is wanted'
				END
			FROM backorder_internal.mapped_lines(other.source_id, p_order_key) m ORDER BY m.line_key;
			CONTINUE WHEN FOUND;
			why := 'its table has no line of it any more, and nothing was shipped';
		END IF;
		RETURN NEXT;
	END LOOP;
	IF NOT said THEN
		why := 'the table that it is in was detached';
		RETURN NEXT;
	END IF;
END $$;
COMMENT ON FUNCTION backorder.explain(text, regclass) IS 'Per line of an order: what it has and waits for, its rank and the quantity ahead, the next supply of its item, its promise, and why. Of an order of which nothing is recorded, as one that is not live, what its table says.';
