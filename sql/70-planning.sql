-- Purchase planning: one draft per supplier and location, rewritten by each run.

CREATE VIEW backorder.inventory_position AS
SELECT coalesce(s.tenant, p.tenant) AS tenant,
	coalesce(s.item, p.item) AS item,
	coalesce(s.location, p.location) AS location,
	coalesce(s.on_hand - s.unavailable - s.allocated - s.backordered + s.on_order, 0) AS position,
	coalesce(s.on_order, 0) AS on_order,
	coalesce(d.quantity, 0) AS drafted,
	coalesce(p.reorder_point, 0) AS reorder_point,
	coalesce(p.order_up_to, p.reorder_point, 0) AS order_up_to
FROM backorder.stock s
FULL JOIN backorder.item_policy p ON p.tenant = s.tenant AND p.item = s.item AND p.location = s.location
LEFT JOIN (
	SELECT l.tenant, l.item, o.location, sum(l.ordered - l.cancelled) AS quantity
	FROM backorder.purchase_order_line l
	JOIN backorder.purchase_order o ON o.tenant = l.tenant AND o.po_id = l.po_id
	WHERE o.status = 'draft' AND NOT (o.planner AND l.planned IS NOT NULL AND l.planned = l.ordered AND l.cancelled = 0)
	GROUP BY l.tenant, l.item, o.location
) d ON d.tenant = coalesce(s.tenant, p.tenant) AND d.item = coalesce(s.item, p.item) AND d.location = coalesce(s.location, p.location);
COMMENT ON VIEW backorder.inventory_position IS 'Inventory position, draft quantities set by hand, and reorder levels: what planning starts from.';
COMMENT ON COLUMN backorder.inventory_position.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.inventory_position.item IS 'The item.';
COMMENT ON COLUMN backorder.inventory_position.location IS 'The location.';
COMMENT ON COLUMN backorder.inventory_position.position IS 'On hand - unavailable - allocated - backordered + on order.';
COMMENT ON COLUMN backorder.inventory_position.on_order IS 'Open quantity of placed purchase order lines.';
COMMENT ON COLUMN backorder.inventory_position.drafted IS 'Quantity in drafts set by hand, which planning counts as supply.';
COMMENT ON COLUMN backorder.inventory_position.reorder_point IS 'Buy when the position falls below this.';
COMMENT ON COLUMN backorder.inventory_position.order_up_to IS 'Buy up to this.';

-- What each supplier should be asked for.  n counts the lines of one item in the order in which
-- they take the need: preferred supplier first, next-ranked above a maximum, and further lines of
-- the last one where there is no next.
-- Without nested loops: statistics know nothing of what a plan computes or wrote a moment ago, and a
-- join of thousands of short items with thousands of draft lines must not be their product.
CREATE FUNCTION backorder.wanted_purchases(item text, location text, tenant text)
RETURNS TABLE (item_ text, location_ text, supplier_ text, n integer, quantity numeric, unit_cost numeric,
	for_backorders numeric, for_reorder numeric, for_rounding numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
	WITH RECURSIVE needed AS MATERIALIZED (
		SELECT p.item, p.location, p.order_up_to - p.position - p.drafted AS need,
			least(greatest(- p.position - p.drafted, 0), p.order_up_to - p.position - p.drafted) AS short
		FROM backorder.inventory_position p
		WHERE p.tenant = $3 AND p.position + p.drafted < p.reorder_point
			AND ($1 IS NULL OR p.item = $1) AND ($2 IS NULL OR p.location = $2)
	), candidate AS MATERIALIZED (
		SELECT needed.item, needed.location, c.supplier, c.unit_cost, c.multiple, c.largest,
			ceil(c.minimum_quantity / c.multiple) * c.multiple AS smallest,
			row_number() OVER w AS k, count(*) OVER (PARTITION BY needed.item, needed.location) AS candidates
		FROM needed
		JOIN LATERAL (
			SELECT i.supplier, i.unit_cost, i.rank, i.order_multiple AS multiple, i.minimum_quantity,
				floor(i.maximum_quantity / i.order_multiple) * i.order_multiple AS largest
			FROM backorder.supplier_item i JOIN backorder.supplier s ON s.tenant = i.tenant AND s.supplier = i.supplier
			WHERE i.tenant = $3 AND i.item = needed.item AND i.active AND s.active
		) c ON c.largest IS NULL OR c.largest > 0
		WINDOW w AS (PARTITION BY needed.item, needed.location ORDER BY c.rank, c.supplier)
	), bought AS (
		SELECT c.item, c.location, 1 AS n, c.k, c.candidates, q.quantity, needed.need, needed.need - q.quantity AS rest
		FROM candidate c
		JOIN needed ON needed.item = c.item AND needed.location = c.location
		CROSS JOIN LATERAL (SELECT least(greatest(ceil(needed.need / c.multiple) * c.multiple, c.smallest), c.largest) AS quantity) q
		WHERE c.k = 1
		UNION ALL
		SELECT c.item, c.location, b.n + 1, c.k, c.candidates, q.quantity, b.rest, b.rest - q.quantity
		FROM bought b
		JOIN candidate c ON c.item = b.item AND c.location = b.location AND c.k = least(b.k + 1, b.candidates)
		CROSS JOIN LATERAL (SELECT least(greatest(ceil(b.rest / c.multiple) * c.multiple, c.smallest), c.largest) AS quantity) q
		WHERE b.rest > 0
	)
	SELECT b.item, b.location, c.supplier, b.n, b.quantity, c.unit_cost, f.backorders, least(b.need, b.quantity) - f.backorders,
		b.quantity - least(b.need, b.quantity)
	FROM bought b
	JOIN candidate c ON c.item = b.item AND c.location = b.location AND c.k = b.k
	JOIN needed ON needed.item = b.item AND needed.location = b.location
	CROSS JOIN LATERAL (SELECT least(greatest(needed.short - (needed.need - b.need), 0), b.need, b.quantity) AS backorders) f
$$;
COMMENT ON FUNCTION backorder.wanted_purchases(text, text, text) IS 'Which quantities planning would have in drafts now; NULL for all items or locations.';

CREATE FUNCTION backorder.plan_purchases(item text DEFAULT NULL, supplier text DEFAULT NULL, location text DEFAULT NULL, tenant text DEFAULT '')
RETURNS SETOF backorder.purchase_order_line
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
	p_item CONSTANT text := item;
	p_supplier CONSTANT text := supplier;
	p_location CONSTANT text := location;
	p_tenant CONSTANT text := tenant;
	places text[][];
BEGIN
	PERFORM backorder.lock_orders();
	-- Planners of a supplier go one after the other: no line of the planner appears between the steps below.
	PERFORM FROM backorder.supplier s WHERE s.tenant = p_tenant AND (p_supplier IS NULL OR s.supplier = p_supplier)
	ORDER BY s.supplier FOR NO KEY UPDATE;
	-- Lock: lines of the planner's drafts, then the drafts, sorted; missing drafts are created by the
	-- same pass.  What follows reads with a snapshot taken after that.
	PERFORM FROM backorder.purchase_order_line l
	JOIN backorder.purchase_order o ON o.tenant = l.tenant AND o.po_id = l.po_id
	WHERE o.tenant = p_tenant AND o.planner AND o.status = 'draft'
		AND (p_supplier IS NULL OR o.supplier = p_supplier) AND (p_location IS NULL OR o.location = p_location)
		AND (p_item IS NULL OR l.item = p_item)
	ORDER BY l.po_id, l.line_no FOR UPDATE OF l;
	PERFORM FROM backorder.purchase_order o
	WHERE o.tenant = p_tenant AND o.planner AND o.status = 'draft'
		AND (p_supplier IS NULL OR o.supplier = p_supplier) AND (p_location IS NULL OR o.location = p_location)
	ORDER BY o.tenant, o.po_id FOR NO KEY UPDATE;
	-- Stock comes after purchase orders, also that of the orders which this transaction has pending.
	PERFORM backorder.flush();
	INSERT INTO backorder.purchase_order (tenant, supplier, location, planner)
	SELECT p_tenant, d.supplier, d.location, true
	FROM (
		SELECT w.supplier_ AS supplier, w.location_ AS location FROM backorder.wanted_purchases(p_item, p_location, p_tenant) w
		UNION
		SELECT o.supplier, o.location FROM backorder.purchase_order o
		WHERE o.tenant = p_tenant AND o.planner AND o.status = 'draft'
	) d
	WHERE (p_supplier IS NULL OR d.supplier = p_supplier) AND (p_location IS NULL OR d.location = p_location)
	ORDER BY d.supplier, d.location
	ON CONFLICT (tenant, supplier, location) WHERE planner AND status = 'draft' DO UPDATE SET planner = true;

	-- One pass: the nth wanted line of an item takes the place of the nth line that is still as planned.
	WITH wanted AS (
		SELECT o.po_id, w.item_ AS item, w.quantity, w.unit_cost, w.for_backorders, w.for_reorder, w.for_rounding,
			row_number() OVER (PARTITION BY o.po_id, w.item_ ORDER BY w.n) AS n
		FROM backorder.wanted_purchases(p_item, p_location, p_tenant) w
		JOIN backorder.purchase_order o ON o.tenant = p_tenant AND o.supplier = w.supplier_ AND o.location = w.location_
			AND o.planner AND o.status = 'draft'
		WHERE p_supplier IS NULL OR o.supplier = p_supplier
	), present AS (
		SELECT l.po_id, l.item, l.line_no, l.ordered, l.unit_cost, l.for_backorders, l.for_reorder, l.for_rounding,
			row_number() OVER (PARTITION BY l.po_id, l.item ORDER BY l.line_no) AS n
		FROM backorder.purchase_order_line l
		JOIN backorder.purchase_order o ON o.tenant = l.tenant AND o.po_id = l.po_id
		WHERE o.tenant = p_tenant AND o.planner AND o.status = 'draft' AND l.planned = l.ordered AND l.cancelled = 0
			AND (p_supplier IS NULL OR o.supplier = p_supplier) AND (p_location IS NULL OR o.location = p_location)
			AND (p_item IS NULL OR l.item = p_item)
	), removed AS (
		DELETE FROM backorder.purchase_order_line l USING present p
		WHERE l.tenant = p_tenant AND l.po_id = p.po_id AND l.line_no = p.line_no
			AND NOT EXISTS (SELECT FROM wanted w WHERE w.po_id = p.po_id AND w.item = p.item AND w.n = p.n)
	), rewritten AS (
		UPDATE backorder.purchase_order_line l
		SET ordered = w.quantity, planned = w.quantity, unit_cost = w.unit_cost,
			for_backorders = w.for_backorders, for_reorder = w.for_reorder, for_rounding = w.for_rounding
		FROM present p JOIN wanted w ON w.po_id = p.po_id AND w.item = p.item AND w.n = p.n
		WHERE l.tenant = p_tenant AND l.po_id = p.po_id AND l.line_no = p.line_no
			AND (p.ordered, p.unit_cost, p.for_backorders, p.for_reorder, p.for_rounding)
				IS DISTINCT FROM (w.quantity, w.unit_cost, w.for_backorders, w.for_reorder, w.for_rounding)
	)
	INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, planned, unit_cost, for_backorders, for_reorder, for_rounding)
	SELECT p_tenant, w.po_id, coalesce(last.line_no, 0) + row_number() OVER (PARTITION BY w.po_id ORDER BY w.item, w.n),
		w.item, w.quantity, w.quantity, w.unit_cost, w.for_backorders, w.for_reorder, w.for_rounding
	FROM wanted w
	LEFT JOIN (SELECT l.po_id, max(l.line_no) AS line_no FROM backorder.purchase_order_line l WHERE l.tenant = p_tenant GROUP BY l.po_id) last
		ON last.po_id = w.po_id
	WHERE NOT EXISTS (SELECT FROM present p WHERE p.po_id = w.po_id AND p.item = w.item AND p.n = w.n);

	DELETE FROM backorder.purchase_order o
	WHERE o.tenant = p_tenant AND o.planner AND o.status = 'draft' AND o.note IS NULL
		AND (p_supplier IS NULL OR o.supplier = p_supplier) AND (p_location IS NULL OR o.location = p_location)
		AND NOT EXISTS (SELECT FROM backorder.purchase_order_line l WHERE l.tenant = o.tenant AND l.po_id = o.po_id);

	-- Placed orders are never changed: what the plan bought and nobody needs any more is said once.
	IF p_supplier IS NULL THEN
		-- Locked in the order of settling, all locations in one step; then looked at again.
		SELECT array_agg(k.place) INTO places FROM (
			SELECT ARRAY[s.item, s.location] AS place FROM backorder.stock s
			WHERE s.tenant = p_tenant AND (s.item, s.location) IN (
				SELECT u.item, u.location FROM backorder.purchase_surplus u
				WHERE u.tenant = p_tenant AND u.surplus <> u.told AND (p_item IS NULL OR u.item = p_item) AND (p_location IS NULL OR u.location = p_location))
			ORDER BY s.tenant, s.item, s.location FOR NO KEY UPDATE) k;
		IF places IS NOT NULL THEN
			WITH now AS MATERIALIZED (
				SELECT u.* FROM generate_subscripts(places, 1) AS g (n)
				JOIN backorder.purchase_surplus u ON u.tenant = p_tenant AND u.item = places[g.n][1] AND u.location = places[g.n][2]
				WHERE u.surplus <> u.told
			), said AS (
				INSERT INTO backorder.event (tenant, aggregatetype, aggregateid, type, payload, generation)
				SELECT p_tenant, 'item', n.item, 'surplus', jsonb_build_object('item', n.item, 'location', n.location,
					'surplus', n.surplus, 'surplus_before', n.told, 'purchase_orders', n.purchase_orders), (SELECT max(i.generation) FROM backorder.installation i)
				FROM now n WHERE n.surplus > n.told ORDER BY n.location, n.item
			)
			UPDATE backorder.stock s SET surplus = n.surplus, version = s.version + 1
			FROM now n WHERE s.tenant = p_tenant AND s.item = n.item AND s.location = n.location;
		END IF;
	END IF;

	RETURN QUERY
	SELECT l.* FROM backorder.purchase_order_line l
	JOIN backorder.purchase_order o ON o.tenant = l.tenant AND o.po_id = l.po_id
	WHERE o.tenant = p_tenant AND o.planner AND o.status = 'draft'
		AND (p_item IS NULL OR l.item = p_item) AND (p_supplier IS NULL OR o.supplier = p_supplier)
		AND (p_location IS NULL OR o.location = p_location)
	ORDER BY o.supplier, o.location, l.line_no;
END $$;
COMMENT ON FUNCTION backorder.plan_purchases(text, text, text, text) IS 'Consolidates what is short, and what fell below its reorder point, into one draft per supplier and location. Running it again changes only what is still as planned. Returns the drafts'' lines.';

CREATE VIEW backorder.purchase_surplus AS
SELECT s.tenant, s.item, s.location,
	greatest(least(s.on_hand - s.unavailable - s.allocated - s.backordered + s.on_order
		- coalesce(p.order_up_to, p.reorder_point, 0) - coalesce(b.rounding, 0), coalesce(b.bought, 0)), 0) AS surplus,
	s.surplus AS told, b.purchase_orders
FROM backorder.stock s
LEFT JOIN backorder.item_policy p ON p.tenant = s.tenant AND p.item = s.item AND p.location = s.location
LEFT JOIN LATERAL (
	SELECT sum(l.for_rounding) AS rounding, sum(least(u.open, l.for_backorders + l.for_reorder)) AS bought,
		jsonb_agg(jsonb_build_object('po_id', u.po_id, 'line_no', u.line_no, 'supplier', o.supplier, 'open', u.open,
			'expected_at', u.expected_at) ORDER BY u.po_id, u.line_no) AS purchase_orders
	FROM backorder.supply u
	JOIN backorder.purchase_order_line l ON l.tenant = u.tenant AND l.po_id = u.po_id AND l.line_no = u.line_no
	JOIN backorder.purchase_order o ON o.tenant = u.tenant AND o.po_id = u.po_id
	WHERE u.tenant = s.tenant AND u.item = s.item AND u.location = s.location AND u.open > 0
) b ON s.on_order > 0
WHERE s.on_order > 0 OR s.surplus <> 0;
COMMENT ON VIEW backorder.purchase_surplus IS 'What placed purchase orders have too much of: planned for need that is gone, rounding not counted.';
COMMENT ON COLUMN backorder.purchase_surplus.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.purchase_surplus.item IS 'The item.';
COMMENT ON COLUMN backorder.purchase_surplus.location IS 'The location.';
COMMENT ON COLUMN backorder.purchase_surplus.surplus IS 'Bought beyond need, now.';
COMMENT ON COLUMN backorder.purchase_surplus.told IS 'What the last surplus event said.';
COMMENT ON COLUMN backorder.purchase_surplus.purchase_orders IS 'The placed purchase order lines concerned.';
