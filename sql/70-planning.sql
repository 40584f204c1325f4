-- Purchase planning: one draft per supplier and location, rewritten by each run.

-- Zeros are numeric as the columns above them: so conditions come to the rows of each table, not behind both.
CREATE VIEW backorder_internal.inventory_position AS
SELECT i.tenant, i.item, i.location, i.position, i.on_order, coalesce(d.quantity, 0) AS drafted, i.reorder_point, i.order_up_to, i.backordered
FROM (
	SELECT s.tenant, s.item, s.location,
		s.available - s.backordered + s.on_order AS position, s.on_order,
		coalesce(p.reorder_point, 0) AS reorder_point, coalesce(p.order_up_to, p.reorder_point, 0) AS order_up_to, s.backordered
	FROM backorder.stock s
	LEFT JOIN backorder.item_policy p ON p.tenant = s.tenant AND p.item = s.item AND p.location = s.location
	UNION ALL
	SELECT p.tenant, p.item, p.location, 0::numeric, 0::numeric, p.reorder_point, coalesce(p.order_up_to, p.reorder_point), 0::numeric
	FROM backorder.item_policy p
	WHERE NOT EXISTS (SELECT FROM backorder.stock s WHERE s.tenant = p.tenant AND s.item = p.item AND s.location = p.location)
) i
LEFT JOIN (
	SELECT l.tenant, l.item, o.location, sum(l.ordered - l.cancelled) AS quantity
	FROM backorder.purchase_order_line l
	JOIN backorder.purchase_order o ON o.tenant = l.tenant AND o.po_id = l.po_id
	WHERE o.status = 'draft' AND NOT (o.planner AND l.planned IS NOT NULL AND l.planned = l.ordered AND l.cancelled = 0)
	GROUP BY l.tenant, l.item, o.location
) d ON d.tenant = i.tenant AND d.item = i.item AND d.location = i.location;
COMMENT ON VIEW backorder_internal.inventory_position IS 'Inventory position, draft quantities set by hand, and reorder levels: what planning starts from.';
COMMENT ON COLUMN backorder_internal.inventory_position.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder_internal.inventory_position.item IS 'The item.';
COMMENT ON COLUMN backorder_internal.inventory_position.location IS 'The location.';
COMMENT ON COLUMN backorder_internal.inventory_position.position IS 'On hand - unavailable - allocated - backordered + on order.';
COMMENT ON COLUMN backorder_internal.inventory_position.on_order IS 'Open quantity of placed purchase order lines.';
COMMENT ON COLUMN backorder_internal.inventory_position.drafted IS 'Quantity in drafts set by hand, which planning counts as supply.';
COMMENT ON COLUMN backorder_internal.inventory_position.reorder_point IS 'Buy when the position falls below this.';
COMMENT ON COLUMN backorder_internal.inventory_position.order_up_to IS 'Buy up to this.';
COMMENT ON COLUMN backorder_internal.inventory_position.backordered IS 'What order lines wait for.';

-- Whether the supplier is active is not asked here: planning numbers the active suppliers anyway, and a join
-- would make each plan slower by a tenth.
CREATE VIEW backorder_internal.purchase_candidate AS
SELECT i.tenant, i.item, i.supplier, i.rank, i.unit_cost, i.order_multiple, i.minimum_quantity, i.maximum_quantity
FROM backorder.supplier_item i
WHERE i.active AND (i.maximum_quantity IS NULL OR i.maximum_quantity >= i.order_multiple);
COMMENT ON VIEW backorder_internal.purchase_candidate IS 'On which terms an item may be bought, from whoever is active: planning and the view unsourced read it.';
COMMENT ON COLUMN backorder_internal.purchase_candidate.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder_internal.purchase_candidate.item IS 'The item.';
COMMENT ON COLUMN backorder_internal.purchase_candidate.supplier IS 'The supplier.';
COMMENT ON COLUMN backorder_internal.purchase_candidate.rank IS '1 is preferred.';
COMMENT ON COLUMN backorder_internal.purchase_candidate.unit_cost IS 'Cost of one unit.';
COMMENT ON COLUMN backorder_internal.purchase_candidate.order_multiple IS 'Quantities are rounded up to a multiple of this.';
COMMENT ON COLUMN backorder_internal.purchase_candidate.minimum_quantity IS 'Smallest quantity of a purchase order line.';
COMMENT ON COLUMN backorder_internal.purchase_candidate.maximum_quantity IS 'Largest quantity of a purchase order line; NULL: none.';

-- What each supplier should be asked for.  n counts the lines of one item in the order in which
-- they take the need: preferred supplier first, next-ranked above a maximum, and further lines of
-- the last one where there is no next.
-- Without nested loops: statistics know nothing of what a plan wrote a moment ago, and a join of
-- thousands of short items with thousands of draft lines must not be their product.
CREATE FUNCTION backorder_internal.wanted_purchases(item text, location text, tenant text)
RETURNS TABLE (item_ text, location_ text, supplier_ text, n integer, quantity numeric, unit_cost numeric,
	for_backorders numeric, for_reorder numeric, for_rounding numeric)
LANGUAGE c STABLE SET enable_nestloop = off SET jit = off AS 'MODULE_PATHNAME', 'bo_wanted_purchases';
COMMENT ON FUNCTION backorder_internal.wanted_purchases(text, text, text) IS 'Which quantities planning would have in drafts now; NULL for all items or locations.
item: the item; NULL: all.
location: the location; NULL: all.
tenant: company or stock pool.
item_, location_, supplier_: what, where and from whom.
n: which line of the item.
quantity, unit_cost, for_backorders, for_reorder, for_rounding: as in the line of the draft.';

CREATE FUNCTION backorder_internal.write_drafts(item text, supplier text, location text, tenant text) RETURNS void
LANGUAGE c SET enable_nestloop = off SET jit = off AS 'MODULE_PATHNAME', 'bo_write_drafts';
COMMENT ON FUNCTION backorder_internal.write_drafts(text, text, text, text) IS 'Makes the planner''s drafts ask for what is wanted.
item: the item; NULL: all.
supplier: the supplier; NULL: all.
location: the location; NULL: all.
tenant: company or stock pool.';

CREATE FUNCTION backorder.plan_purchases(item text DEFAULT NULL, supplier text DEFAULT NULL, location text DEFAULT NULL, tenant text DEFAULT '')
RETURNS SETOF backorder.purchase_order_line
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
	p_item CONSTANT text := item;
	p_supplier CONSTANT text := supplier;
	p_location CONSTANT text := location;
	p_tenant CONSTANT text := tenant;
	draft bigint;
BEGIN
	PERFORM backorder_internal.lock_orders();
	-- Planners of a supplier go one after the other: no line of the planner appears between the steps below.
	PERFORM FROM backorder.supplier s WHERE s.tenant = p_tenant AND (p_supplier IS NULL OR s.supplier = p_supplier)
	ORDER BY s.supplier FOR NO KEY UPDATE;
	-- Lock: lines of the planner's drafts, then the drafts, sorted.  What follows reads with a snapshot
	-- taken after that.
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
	PERFORM backorder_internal.write_drafts(p_item, p_supplier, p_location, p_tenant);

	-- A placed purchase order is never changed: what it has too much of is said once.
	IF p_supplier IS NULL THEN
		PERFORM backorder_internal.announce_surplus(p_item, p_location, p_tenant);
	END IF;

	-- By draft: a draft's lines are together, and sorted by their key.
	FOR draft IN
		SELECT o.po_id FROM backorder.purchase_order o
		WHERE o.tenant = p_tenant AND o.planner AND o.status = 'draft'
			AND (p_supplier IS NULL OR o.supplier = p_supplier) AND (p_location IS NULL OR o.location = p_location)
		ORDER BY o.supplier, o.location
	LOOP
		RETURN QUERY
		SELECT l.* FROM backorder.purchase_order_line l
		WHERE l.tenant = p_tenant AND l.po_id = draft AND (p_item IS NULL OR l.item = p_item)
		ORDER BY l.line_no;
	END LOOP;
END $$;
COMMENT ON FUNCTION backorder.plan_purchases(text, text, text, text) IS 'Consolidates what is short, and what fell below its reorder point, into one draft per supplier and location. Running it again changes only what is still as planned. Returns the drafts'' lines.
item: the item; NULL: all.
supplier: the supplier; NULL: all.
location: where the goods will arrive; NULL: all.
tenant: company or stock pool.';

CREATE TABLE backorder_internal.surplus_notice (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	item text COLLATE "C" NOT NULL,
	location text COLLATE "C" NOT NULL,
	quantity numeric NOT NULL,
	PRIMARY KEY (tenant, item, location)
);
COMMENT ON TABLE backorder_internal.surplus_notice IS 'What the last surplus event of an item at a location said. A row of its own, so that planning writes no stock.';
COMMENT ON COLUMN backorder_internal.surplus_notice.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder_internal.surplus_notice.item IS 'The item.';
COMMENT ON COLUMN backorder_internal.surplus_notice.location IS 'The location.';
COMMENT ON COLUMN backorder_internal.surplus_notice.quantity IS 'How much was bought beyond need, as the event said.';

CREATE VIEW backorder_internal.purchase_surplus AS
SELECT s.tenant, s.item, s.location,
	greatest(least(s.on_hand - s.unavailable - s.allocated - s.backordered + s.on_order
		- coalesce(p.order_up_to, p.reorder_point, 0) - coalesce(b.rounding, 0), coalesce(b.bought, 0)), 0) AS surplus,
	coalesce(n.quantity, 0) AS notified, b.purchase_orders
FROM backorder.stock s
LEFT JOIN backorder_internal.surplus_notice n ON n.tenant = s.tenant AND n.item = s.item AND n.location = s.location
LEFT JOIN backorder.item_policy p ON p.tenant = s.tenant AND p.item = s.item AND p.location = s.location
LEFT JOIN (
	SELECT u.tenant, u.item, u.location, sum(l.for_rounding) AS rounding, sum(least(u.open, l.for_backorders + l.for_reorder)) AS bought,
		jsonb_agg(jsonb_build_object('po_id', u.po_id, 'line_no', u.line_no, 'supplier', o.supplier, 'open', u.open,
			'expected_at', u.expected_at) ORDER BY u.po_id, u.line_no) AS purchase_orders
	FROM backorder.supply u
	JOIN backorder.purchase_order_line l ON l.tenant = u.tenant AND l.po_id = u.po_id AND l.line_no = u.line_no
	JOIN backorder.purchase_order o ON o.tenant = u.tenant AND o.po_id = u.po_id
	WHERE u.open > 0
	GROUP BY u.tenant, u.item, u.location
) b ON b.tenant = s.tenant AND b.item = s.item AND b.location = s.location AND s.on_order > 0
WHERE s.on_order > 0 OR n.quantity IS NOT NULL;
COMMENT ON VIEW backorder_internal.purchase_surplus IS 'What placed purchase orders have too much of: planned for need that is gone, rounding not counted.';
COMMENT ON COLUMN backorder_internal.purchase_surplus.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder_internal.purchase_surplus.item IS 'The item.';
COMMENT ON COLUMN backorder_internal.purchase_surplus.location IS 'The location.';
COMMENT ON COLUMN backorder_internal.purchase_surplus.surplus IS 'Bought beyond need, now.';
COMMENT ON COLUMN backorder_internal.purchase_surplus.notified IS 'What the last surplus event said.';
COMMENT ON COLUMN backorder_internal.purchase_surplus.purchase_orders IS 'The placed purchase order lines concerned.';

-- Stock is locked in the order of settling, all locations in one step, then looked at again: so no event says what a
-- settling changes in this moment, and under REPEATABLE READ a plan over old stock fails.  No stock row is written.
CREATE FUNCTION backorder_internal.announce_surplus(item text, location text, tenant text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
	p_item CONSTANT text := item;
	p_location CONSTANT text := location;
	p_tenant CONSTANT text := tenant;
	places text[][];
	said bigint;
BEGIN
	SELECT array_agg(k.place) INTO places FROM (
		SELECT ARRAY[s.item, s.location] AS place FROM backorder.stock s
		WHERE s.tenant = p_tenant AND (s.item, s.location) IN (
			SELECT u.item, u.location FROM backorder_internal.purchase_surplus u
			WHERE u.tenant = p_tenant AND u.surplus <> u.notified AND (p_item IS NULL OR u.item = p_item) AND (p_location IS NULL OR u.location = p_location))
		ORDER BY s.tenant, s.item, s.location FOR NO KEY UPDATE) k;
	IF places IS NULL THEN
		RETURN;
	END IF;
	WITH now AS MATERIALIZED (
		SELECT u.* FROM generate_subscripts(places, 1) AS g (n)
		JOIN backorder_internal.purchase_surplus u ON u.tenant = p_tenant AND u.item = places[g.n][1] AND u.location = places[g.n][2]
		WHERE u.surplus <> u.notified
	), gone AS (
		DELETE FROM backorder_internal.surplus_notice t USING now n
		WHERE n.surplus = 0 AND t.tenant = p_tenant AND t.item = n.item AND t.location = n.location
	), kept AS (
		INSERT INTO backorder_internal.surplus_notice (tenant, item, location, quantity)
		SELECT p_tenant, n.item, n.location, n.surplus FROM now n WHERE n.surplus > 0 ORDER BY n.item, n.location
		ON CONFLICT (tenant, item, location) DO UPDATE SET quantity = excluded.quantity
	)
	SELECT count(backorder_internal.put_event(p_tenant, 'item', e.item, 'surplus', e.payload)) INTO said FROM (
		SELECT n.item, jsonb_build_object('item', n.item, 'location', n.location, 'surplus', n.surplus, 'surplus_before', n.notified,
			'purchase_orders', n.purchase_orders) AS payload
		FROM now n WHERE n.surplus > n.notified ORDER BY n.location, n.item OFFSET 0) e;
END $$;
COMMENT ON FUNCTION backorder_internal.announce_surplus(text, text, text) IS 'Writes an event for each item and location of which more was bought beyond need than was said last.
item: the item; NULL for all.
location: the location; NULL for all.
tenant: company or stock pool.';
