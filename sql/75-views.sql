-- Views, and the day on which a new order could be promised.  A view filtered by item and location reads that queue only.

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
COMMENT ON COLUMN backorder.backlog.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.backlog.item IS 'The item.';
COMMENT ON COLUMN backorder.backlog.location IS 'The location.';
COMMENT ON COLUMN backorder.backlog.source_id IS 'The attached table; source_relation() names it.';
COMMENT ON COLUMN backorder.backlog.order_key IS 'Key of the order.';
COMMENT ON COLUMN backorder.backlog.line_key IS 'Key of the line.';
COMMENT ON COLUMN backorder.backlog.customer IS 'The customer.';
COMMENT ON COLUMN backorder.backlog.ordered IS 'Ordered quantity.';
COMMENT ON COLUMN backorder.backlog.allocated IS 'Stock allocated to the line.';
COMMENT ON COLUMN backorder.backlog.backordered IS 'What the line waits for.';
COMMENT ON COLUMN backorder.backlog.priority IS 'Higher is served first.';
COMMENT ON COLUMN backorder.backlog.queued_at IS 'Since when the line waits.';
COMMENT ON COLUMN backorder.backlog.held IS 'True while the line may not be served.';
COMMENT ON COLUMN backorder.backlog.rank IS 'Its place in the queue, from 1; NULL while it is held.';
COMMENT ON COLUMN backorder.backlog.ahead IS 'What lines before it wait for.';
COMMENT ON COLUMN backorder.backlog.age IS 'How long it has waited.';
COMMENT ON COLUMN backorder.backlog.requested_at IS 'Day on which the customer wants it.';
COMMENT ON COLUMN backorder.backlog.first_promised_at IS 'The first date promised.';
COMMENT ON COLUMN backorder.backlog.promised_at IS 'The date promised now; NULL where supply does not reach.';
COMMENT ON COLUMN backorder.backlog.line_id IS 'Number of the line.';

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
COMMENT ON COLUMN backorder.shortage.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.shortage.item IS 'The item.';
COMMENT ON COLUMN backorder.shortage.location IS 'The location.';
COMMENT ON COLUMN backorder.shortage.backordered IS 'What order lines wait for.';
COMMENT ON COLUMN backorder.shortage.on_order IS 'Open quantity of placed purchase order lines.';
COMMENT ON COLUMN backorder.shortage.uncovered IS 'What they wait for and is not on order.';
COMMENT ON COLUMN backorder.shortage.lines IS 'How many lines wait.';
COMMENT ON COLUMN backorder.shortage.orders IS 'How many orders wait.';
COMMENT ON COLUMN backorder.shortage.oldest IS 'Since when the first of them waits.';
COMMENT ON COLUMN backorder.shortage.next_expected_at IS 'Day of the next arrival.';

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
		SELECT FROM backorder_internal.purchase_candidate c JOIN backorder.supplier s ON s.tenant = c.tenant AND s.supplier = c.supplier
		WHERE c.tenant = p.tenant AND c.item = p.item AND s.active);
COMMENT ON VIEW backorder.unsourced IS 'What should be bought and cannot be planned, and why: unknown (nothing but orders knows the item), no supplier, no active supplier.';
COMMENT ON COLUMN backorder.unsourced.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.unsourced.item IS 'The item.';
COMMENT ON COLUMN backorder.unsourced.location IS 'The location.';
COMMENT ON COLUMN backorder.unsourced.short IS 'What should be bought.';
COMMENT ON COLUMN backorder.unsourced.reason IS 'unknown (only orders name the item), no supplier, or no active supplier.';

-- Supply in the order in which waiting lines use it up.  Lines take theirs by rank, one after the other: a line
-- covers the units from since to upto of its queue, a supply the units from since to upto of what is to come.
-- Whoever lays lines against supply in SQL reads these two views; verify() counts for itself.
CREATE VIEW backorder_internal.dated_supply AS
SELECT s.tenant, s.item, s.location, s.po_id, s.line_no, s.expected_at, s.open, sum(s.open) OVER w - s.open AS since, sum(s.open) OVER w AS upto
FROM backorder.supply s WHERE s.open > 0
WINDOW w AS (PARTITION BY s.tenant, s.item, s.location ORDER BY s.expected_at NULLS LAST, s.po_id, s.line_no);
COMMENT ON VIEW backorder_internal.dated_supply IS 'Open supply, counted up per item and location in the order in which it is used up.';
COMMENT ON COLUMN backorder_internal.dated_supply.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder_internal.dated_supply.item IS 'The item.';
COMMENT ON COLUMN backorder_internal.dated_supply.location IS 'The location.';
COMMENT ON COLUMN backorder_internal.dated_supply.po_id IS 'The purchase order.';
COMMENT ON COLUMN backorder_internal.dated_supply.line_no IS 'Its line.';
COMMENT ON COLUMN backorder_internal.dated_supply.expected_at IS 'Day of arrival; NULL where unknown.';
COMMENT ON COLUMN backorder_internal.dated_supply.open IS 'What is still to come.';
COMMENT ON COLUMN backorder_internal.dated_supply.since IS 'The open supply before it.';
COMMENT ON COLUMN backorder_internal.dated_supply.upto IS 'The open supply before it, and its own.';

CREATE VIEW backorder_internal.queued_line AS
SELECT l.tenant, l.item, l.location, l.source_id, l.order_key, l.line_key, l.customer, l.backordered, l.promised_at,
	sum(l.backordered) OVER w - l.backordered AS since, sum(l.backordered) OVER w AS upto
FROM backorder.order_line l WHERE l.backordered > 0 AND NOT l.held
WINDOW w AS (PARTITION BY l.tenant, l.item, l.location ORDER BY l.priority DESC, l.queued_at, l.line_id);
COMMENT ON VIEW backorder_internal.queued_line IS 'Waiting lines that may be served, counted up per item and location by rank.';
COMMENT ON COLUMN backorder_internal.queued_line.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder_internal.queued_line.item IS 'The item.';
COMMENT ON COLUMN backorder_internal.queued_line.location IS 'The location.';
COMMENT ON COLUMN backorder_internal.queued_line.source_id IS 'The attached table.';
COMMENT ON COLUMN backorder_internal.queued_line.order_key IS 'Key of the order.';
COMMENT ON COLUMN backorder_internal.queued_line.line_key IS 'Key of the line.';
COMMENT ON COLUMN backorder_internal.queued_line.customer IS 'The customer.';
COMMENT ON COLUMN backorder_internal.queued_line.backordered IS 'What the line waits for.';
COMMENT ON COLUMN backorder_internal.queued_line.promised_at IS 'The date promised now.';
COMMENT ON COLUMN backorder_internal.queued_line.since IS 'What lines before it wait for.';
COMMENT ON COLUMN backorder_internal.queued_line.upto IS 'What lines before it and the line itself wait for.';

CREATE VIEW backorder.pegging AS
SELECT w.tenant, w.item, w.location, w.source_id, w.order_key, w.line_key, w.customer, u.po_id, u.line_no, u.expected_at,
	least(w.upto, u.upto) - greatest(w.since, u.since) AS quantity
FROM backorder_internal.queued_line w
JOIN backorder_internal.dated_supply u ON u.tenant = w.tenant AND u.item = w.item AND u.location = w.location
	AND w.upto > u.since AND u.upto > w.since;
COMMENT ON VIEW backorder.pegging IS 'Which waiting line is covered by which placed purchase order line, and how much of it.';
COMMENT ON COLUMN backorder.pegging.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.pegging.item IS 'The item.';
COMMENT ON COLUMN backorder.pegging.location IS 'The location.';
COMMENT ON COLUMN backorder.pegging.source_id IS 'The attached table; source_relation() names it.';
COMMENT ON COLUMN backorder.pegging.order_key IS 'Key of the order.';
COMMENT ON COLUMN backorder.pegging.line_key IS 'Key of the line.';
COMMENT ON COLUMN backorder.pegging.customer IS 'The customer.';
COMMENT ON COLUMN backorder.pegging.po_id IS 'The purchase order.';
COMMENT ON COLUMN backorder.pegging.line_no IS 'Its line.';
COMMENT ON COLUMN backorder.pegging.expected_at IS 'Day of arrival.';
COMMENT ON COLUMN backorder.pegging.quantity IS 'How much of the line it covers.';

CREATE VIEW backorder_internal.expected_promise AS
SELECT w.tenant, w.item, w.location, w.source_id, w.order_key, w.line_key, w.promised_at,
	u.expected_at + coalesce(p.handling_time, 0) AS expected
FROM backorder_internal.queued_line w
JOIN backorder.stock s ON s.tenant = w.tenant AND s.item = w.item AND s.location = w.location AND NOT s.promises_stale
LEFT JOIN backorder.item_policy p ON p.tenant = w.tenant AND p.item = w.item AND p.location = w.location
LEFT JOIN backorder_internal.dated_supply u ON u.tenant = w.tenant AND u.item = w.item AND u.location = w.location
	AND w.upto > u.since AND w.upto <= u.upto
WHERE u.expected_at >= backorder_internal.today() OR u.expected_at IS NULL;
COMMENT ON VIEW backorder_internal.expected_promise IS 'The promise that each waiting line should have, from supply and queue. Lines that reach into supply whose day has passed keep what they had and are left out.';
COMMENT ON COLUMN backorder_internal.expected_promise.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder_internal.expected_promise.item IS 'The item.';
COMMENT ON COLUMN backorder_internal.expected_promise.location IS 'The location.';
COMMENT ON COLUMN backorder_internal.expected_promise.source_id IS 'The attached table.';
COMMENT ON COLUMN backorder_internal.expected_promise.order_key IS 'Key of the order.';
COMMENT ON COLUMN backorder_internal.expected_promise.line_key IS 'Key of the line.';
COMMENT ON COLUMN backorder_internal.expected_promise.promised_at IS 'The date promised now.';
COMMENT ON COLUMN backorder_internal.expected_promise.expected IS 'The date that should be promised; NULL where supply does not reach.';

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
COMMENT ON COLUMN backorder.order_status.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.order_status.source_id IS 'The attached table.';
COMMENT ON COLUMN backorder.order_status.source IS 'The same, by name.';
COMMENT ON COLUMN backorder.order_status.order_key IS 'Key of the order.';
COMMENT ON COLUMN backorder.order_status.customer IS 'The customer.';
COMMENT ON COLUMN backorder.order_status.lines IS 'Recorded lines.';
COMMENT ON COLUMN backorder.order_status.open IS 'What is still wanted.';
COMMENT ON COLUMN backorder.order_status.allocated IS 'Stock allocated to it.';
COMMENT ON COLUMN backorder.order_status.backordered IS 'What it waits for.';
COMMENT ON COLUMN backorder.order_status.shipped IS 'Cumulative shipped quantity.';
COMMENT ON COLUMN backorder.order_status.status IS 'waiting, partly ready, ready or done.';
COMMENT ON COLUMN backorder.order_status.promised_at IS 'The day by which all of it is promised; NULL where a line has no promise.';

CREATE VIEW backorder.availability AS
SELECT s.tenant, s.item, s.location, s.on_hand, s.unavailable, s.allocated, s.available, s.backordered, s.on_order,
	s.on_hand - s.unavailable - s.allocated - s.backordered + s.on_order AS position,
	(SELECT min(u.expected_at) FROM backorder.supply u
		WHERE u.tenant = s.tenant AND u.item = s.item AND u.location = s.location AND u.open > 0) AS next_expected_at
FROM backorder.stock s;
COMMENT ON VIEW backorder.availability IS 'Stock per item and location with its inventory position and the next arrival.';
COMMENT ON COLUMN backorder.availability.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.availability.item IS 'The item.';
COMMENT ON COLUMN backorder.availability.location IS 'The location.';
COMMENT ON COLUMN backorder.availability.on_hand IS 'Physically present quantity.';
COMMENT ON COLUMN backorder.availability.unavailable IS 'On hand, but not to be allocated.';
COMMENT ON COLUMN backorder.availability.allocated IS 'Allocated to order lines.';
COMMENT ON COLUMN backorder.availability.available IS 'On hand - unavailable - allocated.';
COMMENT ON COLUMN backorder.availability.backordered IS 'What order lines wait for.';
COMMENT ON COLUMN backorder.availability.on_order IS 'Open quantity of placed purchase order lines.';
COMMENT ON COLUMN backorder.availability.position IS 'Available - backordered + on order.';
COMMENT ON COLUMN backorder.availability.next_expected_at IS 'Day of the next arrival.';

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
COMMENT ON COLUMN backorder.purchases.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.purchases.po_id IS 'The purchase order.';
COMMENT ON COLUMN backorder.purchases.line_no IS 'Its line.';
COMMENT ON COLUMN backorder.purchases.supplier IS 'The supplier.';
COMMENT ON COLUMN backorder.purchases.location IS 'Where the goods will arrive.';
COMMENT ON COLUMN backorder.purchases.status IS 'draft, placed, closed or cancelled.';
COMMENT ON COLUMN backorder.purchases.item IS 'The item.';
COMMENT ON COLUMN backorder.purchases.ordered IS 'Ordered quantity.';
COMMENT ON COLUMN backorder.purchases.cancelled IS 'Cancelled quantity.';
COMMENT ON COLUMN backorder.purchases.received IS 'What has arrived.';
COMMENT ON COLUMN backorder.purchases.open IS 'What is still to come.';
COMMENT ON COLUMN backorder.purchases.expected_at IS 'Day of arrival: of the supply where it is placed, else as written in the line.';
COMMENT ON COLUMN backorder.purchases.placed_at IS 'When it was placed.';
COMMENT ON COLUMN backorder.purchases.unit_cost IS 'Cost of one unit.';
COMMENT ON COLUMN backorder.purchases.cost IS 'Cost of the line.';
COMMENT ON COLUMN backorder.purchases.planned IS 'Quantity that the planner wrote; NULL: a line by hand.';
COMMENT ON COLUMN backorder.purchases.for_backorders IS 'Part of the planned quantity that order lines wait for.';
COMMENT ON COLUMN backorder.purchases.for_reorder IS 'Part of the planned quantity that fills up to the reorder level.';
COMMENT ON COLUMN backorder.purchases.for_rounding IS 'Part of the planned quantity that comes from minimum and multiple.';
COMMENT ON COLUMN backorder.purchases.order_value IS 'Cost of the whole purchase order.';
COMMENT ON COLUMN backorder.purchases.minimum_order_value IS 'Smallest value of a purchase order to this supplier.';
COMMENT ON COLUMN backorder.purchases.currency IS 'Currency of these costs.';

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
COMMENT ON COLUMN backorder.aging.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.aging.bucket IS 'How long they have waited.';
COMMENT ON COLUMN backorder.aging.lines IS 'How many lines wait.';
COMMENT ON COLUMN backorder.aging.backordered IS 'What they wait for.';
COMMENT ON COLUMN backorder.aging.oldest IS 'Since when the first of them waits.';

CREATE VIEW backorder.fill_rate AS
SELECT l.tenant, l.item, l.location, count(*) AS lines, count(*) FILTER (WHERE f.filled >= f.wanted) AS lines_filled,
	sum(f.wanted) AS ordered, sum(f.filled) AS filled, round(sum(f.filled) / nullif(sum(f.wanted), 0), 4) AS fill_rate
FROM backorder.order_line l
CROSS JOIN LATERAL (SELECT l.ordered - l.cancelled AS wanted,
	least(l.first_allocated + coalesce(l.first_shipped, 0), l.ordered - l.cancelled) AS filled) f
WHERE l.live
GROUP BY l.tenant, l.item, l.location;
COMMENT ON VIEW backorder.fill_rate IS 'First-pass fill rate: the share of the ordered quantity that was allocated, or shipped already, when the line was first settled.';
COMMENT ON COLUMN backorder.fill_rate.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.fill_rate.item IS 'The item.';
COMMENT ON COLUMN backorder.fill_rate.location IS 'The location.';
COMMENT ON COLUMN backorder.fill_rate.lines IS 'Recorded lines.';
COMMENT ON COLUMN backorder.fill_rate.lines_filled IS 'Lines that had all they wanted when they were first settled.';
COMMENT ON COLUMN backorder.fill_rate.ordered IS 'Ordered quantity, less what was cancelled.';
COMMENT ON COLUMN backorder.fill_rate.filled IS 'What of it was allocated, or shipped already, when the lines were first settled.';
COMMENT ON COLUMN backorder.fill_rate.fill_rate IS 'The share of these.';

CREATE FUNCTION backorder.available_from(item text, quantity numeric, location text DEFAULT '', tenant text DEFAULT '') RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH today AS (SELECT backorder_internal.today() AS day),
	place AS (
		SELECT coalesce(s.available, 0) AS available, coalesce(s.backordered - s.backordered_held, 0) AS waiting,
			coalesce(p.handling_time, 0) AS handling
		FROM (SELECT) AS one
		LEFT JOIN backorder.stock s ON s.tenant = $4 AND s.item = $1 AND s.location = $3
		LEFT JOIN backorder.item_policy p ON p.tenant = $4 AND p.item = $1 AND p.location = $3
	)
	SELECT CASE
		WHEN p.waiting = 0 AND p.available >= $2 THEN t.day + p.handling
		ELSE (SELECT CASE WHEN d.expected_at >= t.day THEN d.expected_at + p.handling END
			FROM backorder_internal.dated_supply d
			WHERE d.tenant = $4 AND d.item = $1 AND d.location = $3
				AND d.upto >= p.waiting + $2 - CASE WHEN p.waiting = 0 THEN p.available ELSE 0 END
			ORDER BY d.upto LIMIT 1)
		END
	FROM place p, today t
$$;
COMMENT ON FUNCTION backorder.available_from(text, numeric, text, text) IS 'The day on which that much could be promised to a new order; NULL where supply does not reach.
item: the item.
quantity: how much.
location: where; empty where there is one location.
tenant: company or stock pool.';
