-- Stock movements are applied as they are inserted; the functions that insert them.

CREATE FUNCTION backorder_internal.apply_movements() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_apply_movements';
COMMENT ON FUNCTION backorder_internal.apply_movements() IS 'Trigger on stock_movement: applies the new rows to stock and allocates what arrived.';

CREATE TRIGGER apply_movements AFTER INSERT ON backorder.stock_movement
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.apply_movements();

CREATE FUNCTION backorder_internal.collect_allocated() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_collect_allocated';
COMMENT ON FUNCTION backorder_internal.collect_allocated() IS 'Begins to note what settling allocates.';

CREATE FUNCTION backorder_internal.collected_allocated(OUT tenant text, OUT source_id integer, OUT order_key text, OUT line_key text, OUT quantity numeric)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'bo_collected_allocated';
COMMENT ON FUNCTION backorder_internal.collected_allocated() IS 'What was allocated since collect_allocated().
tenant, source_id, order_key, line_key: the line.
quantity: what it got, or lost where negative.';

-- Inserts movements in one statement and returns what they allocated.  A reference that is already
-- there with the same content is a repeated call: nothing happens.
CREATE FUNCTION backorder_internal.post_movements(movements backorder.stock_movement[]) RETURNS SETOF backorder.allocated
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	written bigint;
	other record;
BEGIN
	IF EXISTS (SELECT FROM unnest(movements) AS m WHERE m.item IS NULL OR m.location IS NULL OR m.tenant IS NULL) THEN
		RAISE EXCEPTION 'item, location or tenant of a stock movement is NULL' USING ERRCODE = 'OB009',
			HINT = 'Name the item; location and tenant are an empty text where there is one only.';
	END IF;
	IF EXISTS (SELECT FROM unnest(movements) AS m WHERE m.quantity IS NULL OR m.unavailable IS NULL) THEN
		RAISE EXCEPTION 'quantity of a stock movement is NULL' USING ERRCODE = 'OB003', HINT = 'Quantities are numbers.';
	END IF;
	PERFORM backorder_internal.collect_allocated();
	INSERT INTO backorder.stock_movement (tenant, item, location, kind, quantity, unavailable, po_id, po_line_no, reference, reason, occurred_at)
	SELECT m.tenant, m.item, m.location, m.kind, m.quantity, m.unavailable, m.po_id, m.po_line_no, m.reference, m.reason, m.occurred_at
	FROM unnest(movements) AS m
	ON CONFLICT (tenant, reference) WHERE reference IS NOT NULL DO NOTHING;
	GET DIAGNOSTICS written = ROW_COUNT;
	IF written < cardinality(movements) THEN
		SELECT m.reference, s.item, s.location, s.kind, s.quantity INTO other
		FROM unnest(movements) AS m JOIN backorder.stock_movement s ON s.tenant = m.tenant AND s.reference = m.reference
		WHERE (s.item, s.location, s.kind, s.po_id, s.po_line_no) IS DISTINCT FROM (m.item, m.location, m.kind, m.po_id, m.po_line_no)
			OR (s.quantity, s.unavailable) IS DISTINCT FROM (m.quantity, m.unavailable) AND m.kind <> 'count'
		ORDER BY m.reference LIMIT 1;
		IF FOUND OR written > 0 THEN
			RAISE EXCEPTION 'reference "%" was used for another movement', coalesce(other.reference, (
				SELECT m.reference FROM unnest(movements) AS m JOIN backorder.stock_movement s ON s.tenant = m.tenant AND s.reference = m.reference
				ORDER BY s.movement_id LIMIT 1)) USING ERRCODE = 'OB008',
				DETAIL = CASE WHEN FOUND THEN format('It is a %s of %s of item %L at location %L.', other.kind, other.quantity, other.item, other.location)
					ELSE 'Only some of the movements are there already.' END,
				HINT = 'A reference is an idempotency key: use a new one for a new movement.';
		END IF;
	END IF;
	-- Whether an order waits for more is looked up once per order, not per line.
	RETURN QUERY
	WITH given AS MATERIALIZED (
		SELECT d.* FROM backorder_internal.collected_allocated() d
	), named AS MATERIALIZED (
		SELECT n.tenant, n.source_id, backorder.source_relation(n.source_id) AS relation
		FROM (SELECT DISTINCT g.tenant, g.source_id FROM given g) n
	), served AS MATERIALIZED (
		SELECT o.tenant, o.source_id, o.order_key, NOT EXISTS (SELECT FROM backorder.order_line l
			WHERE l.tenant = o.tenant AND l.source_id = o.source_id AND l.order_key = o.order_key AND l.backordered > 0) AS ready
		FROM (SELECT DISTINCT g.tenant, g.source_id, g.order_key FROM given g) o
	)
	SELECT n.relation, l.order_key, l.line_key, l.customer, l.item, l.location, g.quantity, l.allocated, l.backordered, s.ready
	FROM given g
	JOIN named n ON n.tenant = g.tenant AND n.source_id = g.source_id
	JOIN served s ON s.tenant = g.tenant AND s.source_id = g.source_id AND s.order_key = g.order_key
	JOIN backorder.order_line l ON l.tenant = g.tenant AND l.source_id = g.source_id AND l.order_key = g.order_key AND l.line_key = g.line_key
	ORDER BY l.item, l.location, l.priority DESC, l.queued_at, l.line_id;
END $$;
COMMENT ON FUNCTION backorder_internal.post_movements(backorder.stock_movement[]) IS 'Inserts movements in one statement and returns what was allocated. The stock functions are written on it.
movements: the rows. Numbers and times of application are not read.';

CREATE FUNCTION backorder_internal.movement(kind text, item text, location text, quantity numeric, unavailable numeric,
	reference text, reason text, at timestamptz, tenant text, po_id bigint DEFAULT NULL, po_line_no integer DEFAULT NULL)
RETURNS backorder.stock_movement
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT ROW(tenant, NULL, item, location, kind, quantity, unavailable, po_id, po_line_no, NULL, reference, reason, at, NULL)::backorder.stock_movement
$$;
COMMENT ON FUNCTION backorder_internal.movement(text, text, text, numeric, numeric, text, text, timestamptz, text, bigint, integer) IS 'One row for post_movements().
kind, item, location, quantity, unavailable, reference, reason, tenant, po_id, po_line_no: its columns.
at: when it happened.';

CREATE FUNCTION backorder.receive(item text, quantity numeric, location text DEFAULT '', held boolean DEFAULT false,
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('receipt', item, location, quantity,
		CASE WHEN held THEN quantity ELSE 0 END, reference, NULL, at, tenant)])
$$;
COMMENT ON FUNCTION backorder.receive(text, numeric, text, boolean, text, timestamptz, text) IS 'Goods arrived without a purchase order: on hand, and allocated down the queue unless held. Returns who got what.
item: the item.
quantity: how much; negative reverses.
location: where; empty where there is one location.
held: true: on hand, but not to be allocated.
reference: an idempotency key. The same call with the same reference does nothing.
at: when it happened; stored as occurred_at.
tenant: company or stock pool.';

CREATE FUNCTION backorder.adjust(item text, quantity numeric, reason text, location text DEFAULT '', held boolean DEFAULT false,
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('adjustment', item, location, quantity,
		CASE WHEN held THEN quantity ELSE 0 END, reference, reason, at, tenant)])
$$;
COMMENT ON FUNCTION backorder.adjust(text, numeric, text, text, boolean, text, timestamptz, text) IS 'Corrects on hand. Where too little is left, allocation is taken back from the lowest-ranked lines. Returns who got what.
item: the item.
quantity: the signed correction.
reason: why, in the user''s words.
location: where; empty where there is one location.
held: true: what is found is not to be allocated.
reference: an idempotency key. The same call with the same reference does nothing.
at: when it happened; stored as occurred_at.
tenant: company or stock pool.';

CREATE FUNCTION backorder.count_stock(item text, counted numeric, location text DEFAULT '',
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	present numeric;
BEGIN
	IF NOT (counted >= 0 AND counted < 'Infinity') THEN
		RAISE EXCEPTION 'invalid count % of item "%"', counted, item USING ERRCODE = 'OB003', HINT = 'What is counted is finite and not negative.';
	END IF;
	IF item IS NOT NULL AND location IS NOT NULL AND tenant IS NOT NULL THEN
		PERFORM backorder.lock_stock(ARRAY[count_stock.item], count_stock.location, count_stock.tenant);
	END IF;
	SELECT s.on_hand INTO present FROM backorder.stock s
	WHERE s.tenant = count_stock.tenant AND s.item = count_stock.item AND s.location = count_stock.location;
	RETURN QUERY SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('count', count_stock.item, count_stock.location,
		counted - present, 0, reference, NULL, at, tenant)]);
END $$;
COMMENT ON FUNCTION backorder.count_stock(text, numeric, text, text, timestamptz, text) IS 'Makes on hand what was counted. Returns who got what.
item: the item.
counted: what is there.
location: where; empty where there is one location.
reference: an idempotency key. The same call with the same reference does nothing.
at: when it happened; stored as occurred_at.
tenant: company or stock pool.';

CREATE FUNCTION backorder.hold_stock(item text, quantity numeric, reason text, location text DEFAULT '',
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('hold', item, location, 0, quantity, reference, reason, at, tenant)])
$$;
COMMENT ON FUNCTION backorder.hold_stock(text, numeric, text, text, text, timestamptz, text) IS 'Makes stock unavailable, as in quality hold or damaged. Returns who got what.
item: the item.
quantity: how much.
reason: why, in the user''s words.
location: where; empty where there is one location.
reference: an idempotency key. The same call with the same reference does nothing.
at: when it happened; stored as occurred_at.
tenant: company or stock pool.';

CREATE FUNCTION backorder.release_stock(item text, quantity numeric, location text DEFAULT '',
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('release', item, location, 0, - quantity, reference, NULL, at, tenant)])
$$;
COMMENT ON FUNCTION backorder.release_stock(text, numeric, text, text, timestamptz, text) IS 'Makes held stock available again and allocates it. Returns who got what.
item: the item.
quantity: how much.
location: where; empty where there is one location.
reference: an idempotency key. The same call with the same reference does nothing.
at: when it happened; stored as occurred_at.
tenant: company or stock pool.';

CREATE FUNCTION backorder.transfer(item text, quantity numeric, from_location text, to_location text,
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.post_movements(ARRAY[
		backorder_internal.movement('transfer', item, from_location, - quantity, 0, reference || '/from', NULL, at, tenant),
		backorder_internal.movement('transfer', item, to_location, quantity, 0, reference || '/to', NULL, at, tenant)])
$$;
COMMENT ON FUNCTION backorder.transfer(text, numeric, text, text, text, timestamptz, text) IS 'Moves stock from one location to another. Returns who got what.
item: the item.
quantity: how much.
from_location: where it leaves.
to_location: where it arrives, at once.
reference: an idempotency key. The two movements get it with /from and /to. The same call with the same reference does nothing.
at: when it happened; stored as occurred_at.
tenant: company or stock pool.';
