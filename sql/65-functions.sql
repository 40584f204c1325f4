-- What applications and administrators call.

CREATE TYPE backorder.allocated AS (
	source regclass,
	order_key text,
	line_key text,
	customer text,
	item text,
	location text,
	quantity numeric,
	allocated numeric,
	backordered numeric,
	ready boolean
);
COMMENT ON TYPE backorder.allocated IS 'What a line was allocated: the quantity, what it has and waits for now, and whether its order waits for nothing more.';

CREATE FUNCTION backorder.attach(
	line_table regclass, item text, quantity text,
	line_key text DEFAULT NULL, order_key text DEFAULT NULL,
	header_table regclass DEFAULT NULL, header_key text DEFAULT NULL,
	live text DEFAULT 'true', shipped text DEFAULT NULL, picked text DEFAULT NULL, cancelled text DEFAULT NULL,
	location text DEFAULT NULL, customer text DEFAULT NULL, priority text DEFAULT NULL, queued_at text DEFAULT NULL,
	requested_at text DEFAULT NULL, held text DEFAULT NULL, joins text DEFAULT NULL, watch text[] DEFAULT NULL,
	timing text DEFAULT 'deferred', overship text DEFAULT 'adjust', on_error text DEFAULT 'refuse', tenant text DEFAULT '', import boolean DEFAULT true)
RETURNS integer LANGUAGE c AS 'MODULE_PATHNAME', 'bo_attach';
COMMENT ON FUNCTION backorder.attach(regclass, text, text, text, text, regclass, text, text, text, text, text, text, text, text, text, text, text, text, text[], text, text, text, text, boolean)
	IS 'Watches a table of order lines, by columns or SQL expressions over line, header and joins, and records the orders it has; with import => false it leaves them to import(). Again on the same table: changes the mapping. Returns the source_id.';

CREATE TYPE backorder.previewed AS (
	kind text,
	n bigint,
	order_key text,
	line_key text,
	item text,
	location text,
	customer text,
	ordered numeric,
	shipped numeric,
	open numeric,
	message text
);
COMMENT ON TYPE backorder.previewed IS 'One finding of attach_preview(): kind problem, hint, line or count; of a count n, and in message what is counted.';

CREATE FUNCTION backorder.attach_preview(
	line_table regclass, item text, quantity text,
	line_key text DEFAULT NULL, order_key text DEFAULT NULL,
	header_table regclass DEFAULT NULL, header_key text DEFAULT NULL,
	live text DEFAULT 'true', shipped text DEFAULT NULL, picked text DEFAULT NULL, cancelled text DEFAULT NULL,
	location text DEFAULT NULL, customer text DEFAULT NULL, priority text DEFAULT NULL, queued_at text DEFAULT NULL,
	requested_at text DEFAULT NULL, held text DEFAULT NULL, joins text DEFAULT NULL, watch text[] DEFAULT NULL,
	timing text DEFAULT 'deferred', overship text DEFAULT 'adjust', on_error text DEFAULT 'refuse', tenant text DEFAULT '', import boolean DEFAULT true)
RETURNS SETOF backorder.previewed LANGUAGE c AS 'MODULE_PATHNAME', 'bo_attach_preview';
COMMENT ON FUNCTION backorder.attach_preview(regclass, text, text, text, text, regclass, text, text, text, text, text, text, text, text, text, text, text, text, text[], text, text, text, text, boolean)
	IS 'What attach() with the same arguments would record, changing nothing: everything that is wrong with the mapping, the first lines, counts of live, open, shipped and unusable lines.';

CREATE FUNCTION backorder.detach(line_table regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_detach';
COMMENT ON FUNCTION backorder.detach(regclass) IS 'Stops watching a table: its open lines leave and their stock is allocated to others; the ledger stays.';

CREATE FUNCTION backorder.attach_stock(
	stock_table regclass, item text, on_hand text, location text DEFAULT NULL, unavailable text DEFAULT NULL,
	live text DEFAULT 'true', timing text DEFAULT 'deferred', tenant text DEFAULT '')
RETURNS integer LANGUAGE c AS 'MODULE_PATHNAME', 'bo_attach_stock';
COMMENT ON FUNCTION backorder.attach_stock(regclass, text, text, text, text, text, text, text)
	IS 'Watches a table in which the application keeps on hand itself, by columns or SQL expressions over its row (stock): on hand is what its rows of an item and location add up to, each change a movement of kind count, settled with the orders of the transaction; shipping consumes allocation only. Again on the same table: changes the mapping. Returns the source_id.';

CREATE FUNCTION backorder.detach_stock(stock_table regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_detach_stock';
COMMENT ON FUNCTION backorder.detach_stock(regclass) IS 'Stops watching a table of stock: on hand stays as it is, and movements keep it from then on.';

CREATE FUNCTION backorder.resync_stock(stock_table regclass) RETURNS bigint
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_resync_stock';
COMMENT ON FUNCTION backorder.resync_stock(regclass) IS 'Compares all of an attached table of stock with what is recorded and counts what differs. Returns how many counts were written.';

CREATE FUNCTION backorder_internal.mapped_stock(source_id integer, OUT item text, OUT location text, OUT on_hand numeric, OUT unavailable numeric)
RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_mapped_stock';
COMMENT ON FUNCTION backorder_internal.mapped_stock(integer) IS 'What an attached table of stock says now, per item and location; what verify() compares with. unavailable is NULL where it is not mapped.';

CREATE FUNCTION backorder.detach_source(source_id integer) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_detach_source';
COMMENT ON FUNCTION backorder.detach_source(integer) IS 'The same, or as detach_stock(), for a source whose table was dropped and cannot be named any more; for the owner of the extension.';

CREATE FUNCTION backorder.resync(line_table regclass, order_key text DEFAULT NULL) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_resync';
COMMENT ON FUNCTION backorder.resync(regclass, text) IS 'Reconciles one order, or all orders of a table, with what is recorded. Returns the number of lines that changed.';

CREATE FUNCTION backorder.flush() RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_flush';
COMMENT ON FUNCTION backorder.flush() IS 'Settles this transaction''s pending orders now. Returns the number of lines that changed.';

CREATE FUNCTION backorder.lock_stock(items text[], location text DEFAULT '', tenant text DEFAULT '') RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_lock_stock';
COMMENT ON FUNCTION backorder.lock_stock(text[], text, text) IS 'Locks the stock of these items in one order, before several settlings in one transaction.';

CREATE FUNCTION backorder.repromise(item text DEFAULT NULL) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_repromise';
COMMENT ON FUNCTION backorder.repromise(text) IS 'Finishes the promises that settling left. Returns the number of lines that changed.';

CREATE FUNCTION backorder_internal.mapped_lines(source_id integer, of_order text DEFAULT NULL,
	OUT order_key text, OUT line_key text, OUT item text, OUT location text, OUT customer text,
	OUT quantity numeric, OUT cancelled numeric, OUT shipped numeric, OUT picked numeric, OUT live boolean,
	OUT priority integer, OUT queued_at timestamptz, OUT requested_at date, OUT held boolean)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'bo_mapped_lines';
COMMENT ON FUNCTION backorder_internal.mapped_lines(integer, text) IS 'The lines of an attached table, or of one order in it, as its mapping reads them now; what verify() compares with.';

CREATE FUNCTION backorder_internal.collect_allocated() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_collect_dealt';
COMMENT ON FUNCTION backorder_internal.collect_allocated() IS 'Begins to note what settling allocates.';

CREATE FUNCTION backorder_internal.collected_allocated(OUT tenant text, OUT source_id integer, OUT order_key text, OUT line_key text, OUT quantity numeric)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'bo_collected_dealt';
COMMENT ON FUNCTION backorder_internal.collected_allocated() IS 'What was allocated since collect_allocated().';

CREATE FUNCTION backorder.source_relation(source_id integer) RETURNS regclass
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT to_regclass(format('%I.%I', s.line_schema, s.line_table)) FROM backorder.source s WHERE s.source_id = $1
$$;
COMMENT ON FUNCTION backorder.source_relation(integer) IS 'The table of order lines of a source.';

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
COMMENT ON FUNCTION backorder_internal.post_movements(backorder.stock_movement[]) IS 'Inserts movements in one statement and returns what was allocated; the stock functions are written on it.';

CREATE FUNCTION backorder_internal.movement(kind text, item text, location text, quantity numeric, unavailable numeric,
	reference text, reason text, at timestamptz, tenant text, po_id bigint DEFAULT NULL, po_line_no integer DEFAULT NULL)
RETURNS backorder.stock_movement
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT ROW(tenant, NULL, item, location, kind, quantity, unavailable, po_id, po_line_no, NULL, reference, reason, at, NULL)::backorder.stock_movement
$$;
COMMENT ON FUNCTION backorder_internal.movement(text, text, text, numeric, numeric, text, text, timestamptz, text, bigint, integer) IS 'One row for post_movements().';

CREATE FUNCTION backorder.receive(item text, quantity numeric, location text DEFAULT '', held boolean DEFAULT false,
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('receipt', item, location, quantity,
		CASE WHEN held THEN quantity ELSE 0 END, reference, NULL, at, tenant)])
$$;
COMMENT ON FUNCTION backorder.receive(text, numeric, text, boolean, text, timestamptz, text) IS 'Goods arrived without a purchase order: on hand, and allocated down the queue unless held. A negative quantity reverses.';

CREATE FUNCTION backorder.adjust(item text, quantity numeric, reason text, location text DEFAULT '', held boolean DEFAULT false,
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('adjustment', item, location, quantity,
		CASE WHEN held THEN quantity ELSE 0 END, reference, reason, at, tenant)])
$$;
COMMENT ON FUNCTION backorder.adjust(text, numeric, text, text, boolean, text, timestamptz, text) IS 'Corrects on hand by a signed quantity. Too little left takes allocation back from the lowest-ranked lines.';

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
COMMENT ON FUNCTION backorder.count_stock(text, numeric, text, text, timestamptz, text) IS 'Makes on hand what was counted.';

CREATE FUNCTION backorder.hold_stock(item text, quantity numeric, reason text, location text DEFAULT '',
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('hold', item, location, 0, quantity, reference, reason, at, tenant)])
$$;
COMMENT ON FUNCTION backorder.hold_stock(text, numeric, text, text, text, timestamptz, text) IS 'Makes stock unavailable (quality hold, damaged).';

CREATE FUNCTION backorder.release_stock(item text, quantity numeric, location text DEFAULT '',
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('release', item, location, 0, - quantity, reference, NULL, at, tenant)])
$$;
COMMENT ON FUNCTION backorder.release_stock(text, numeric, text, text, timestamptz, text) IS 'Makes held stock available again and allocates it.';

CREATE FUNCTION backorder.transfer(item text, quantity numeric, from_location text, to_location text,
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.post_movements(ARRAY[
		backorder_internal.movement('transfer', item, from_location, - quantity, 0, reference || '/from', NULL, at, tenant),
		backorder_internal.movement('transfer', item, to_location, quantity, 0, reference || '/to', NULL, at, tenant)])
$$;
COMMENT ON FUNCTION backorder.transfer(text, numeric, text, text, text, timestamptz, text) IS 'Moves stock from one location to another. The two movements get the reference with /from and /to.';

CREATE FUNCTION backorder.place_purchase_order(po_id bigint, at timestamptz DEFAULT now(), tenant text DEFAULT '') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- Lines first, then the purchase order: the order of locks.
	PERFORM backorder_internal.lock_orders();
	PERFORM FROM backorder.purchase_order_line l
	WHERE l.tenant = place_purchase_order.tenant AND l.po_id = place_purchase_order.po_id ORDER BY l.line_no FOR NO KEY UPDATE;
	UPDATE backorder.purchase_order_line l
	SET expected_at = backorder_internal.lead_time_date(p.tenant, p.supplier, l.item, coalesce(p.placed_at, at))
	FROM backorder.purchase_order p
	WHERE l.tenant = place_purchase_order.tenant AND l.po_id = place_purchase_order.po_id AND l.expected_at IS NULL
		AND p.tenant = l.tenant AND p.po_id = l.po_id AND p.status = 'draft'
		AND backorder_internal.lead_time_date(p.tenant, p.supplier, l.item, coalesce(p.placed_at, at)) IS NOT NULL;
	UPDATE backorder.purchase_order p SET status = 'placed', placed_at = coalesce(p.placed_at, at)
	WHERE p.tenant = place_purchase_order.tenant AND p.po_id = place_purchase_order.po_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'purchase order % does not exist', po_id USING ERRCODE = 'OB009', HINT = 'See backorder.purchase_order.';
	END IF;
END $$;
COMMENT ON FUNCTION backorder.place_purchase_order(bigint, timestamptz, text) IS 'Places a draft: its lines are supply from now on, dated by lead time where they have no date.';

CREATE FUNCTION backorder.close_purchase_order(po_id bigint, tenant text DEFAULT '') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE backorder.purchase_order p SET status = 'closed'
	WHERE p.tenant = close_purchase_order.tenant AND p.po_id = close_purchase_order.po_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'purchase order % does not exist', po_id USING ERRCODE = 'OB009', HINT = 'See backorder.purchase_order.';
	END IF;
END $$;
COMMENT ON FUNCTION backorder.close_purchase_order(bigint, text) IS 'Ends what is open of a placed purchase order: it is not coming.';

CREATE FUNCTION backorder.cancel_purchase_order(po_id bigint, tenant text DEFAULT '') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE backorder.purchase_order p SET status = 'cancelled'
	WHERE p.tenant = cancel_purchase_order.tenant AND p.po_id = cancel_purchase_order.po_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'purchase order % does not exist', po_id USING ERRCODE = 'OB009', HINT = 'See backorder.purchase_order.';
	END IF;
END $$;
COMMENT ON FUNCTION backorder.cancel_purchase_order(bigint, text) IS 'Cancels a purchase order of which nothing was received.';

CREATE FUNCTION backorder.receive_purchase_line(po_id bigint, line_no integer, quantity numeric, held boolean DEFAULT false,
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	line record;
BEGIN
	SELECT l.item, p.location INTO line
	FROM backorder.purchase_order_line l JOIN backorder.purchase_order p USING (tenant, po_id)
	WHERE l.tenant = receive_purchase_line.tenant AND l.po_id = receive_purchase_line.po_id AND l.line_no = receive_purchase_line.line_no;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'line % of purchase order % does not exist', line_no, po_id USING ERRCODE = 'OB009', HINT = 'See backorder.purchases.';
	END IF;
	RETURN QUERY SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('receipt', line.item, line.location, quantity,
		CASE WHEN held THEN quantity ELSE 0 END, reference, NULL, at, tenant, po_id, line_no)]);
END $$;
COMMENT ON FUNCTION backorder.receive_purchase_line(bigint, integer, numeric, boolean, text, timestamptz, text) IS 'Goods of one purchase order line arrived. A negative quantity reverses.';

CREATE FUNCTION backorder.receive_purchase_order(po_id bigint,
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	arrived backorder.stock_movement[];
	expected integer[];
	locked text[];
	po_status text;
	line record;
BEGIN
	IF reference IS NOT NULL AND EXISTS (SELECT FROM backorder.stock_movement m
		WHERE m.tenant = receive_purchase_order.tenant AND m.po_id = receive_purchase_order.po_id
			AND m.reference = receive_purchase_order.reference || '/' || m.po_line_no) THEN
		RETURN;
	END IF;
	SELECT array_agg(s.line_no) INTO expected FROM backorder.supply s
	WHERE s.tenant = receive_purchase_order.tenant AND s.po_id = receive_purchase_order.po_id;
	locked := backorder_internal.lock_supply(po_id, tenant);
	-- Read after the lock: whoever closes or cancels it settles under the same.
	SELECT p.status INTO po_status FROM backorder.purchase_order p
	WHERE p.tenant = receive_purchase_order.tenant AND p.po_id = receive_purchase_order.po_id;
	IF po_status IS DISTINCT FROM 'placed' THEN
		RAISE EXCEPTION 'purchase order % cannot be received', po_id USING ERRCODE = 'OB006',
			DETAIL = 'It ' || coalesce('is ' || po_status, 'does not exist') || '.', HINT = 'Only a placed purchase order can be received.';
	END IF;
	-- The stock of an item that was corrected while we waited would be locked out of order too, but the line has arrived.
	SELECT s.line_no, s.item INTO line FROM backorder.supply s
	WHERE s.tenant = receive_purchase_order.tenant AND s.po_id = receive_purchase_order.po_id AND s.open > 0
		AND s.line_no = ANY (expected) AND s.item <> ALL (locked) ORDER BY s.line_no LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'could not serialize access due to concurrent update of purchase order %', po_id USING ERRCODE = '40001',
			DETAIL = format('Line %s is of item "%s" now.', line.line_no, line.item), HINT = 'Receive it again.';
	END IF;
	SELECT array_agg(backorder_internal.movement('receipt', s.item, s.location, s.open, 0,
			receive_purchase_order.reference || '/' || s.line_no, NULL, at, s.tenant, s.po_id, s.line_no) ORDER BY s.line_no)
	INTO arrived
	FROM backorder.supply s
	WHERE s.tenant = receive_purchase_order.tenant AND s.po_id = receive_purchase_order.po_id AND s.open > 0
		-- A line that somebody added while we waited has not arrived: its stock would be locked out of order.
		AND s.item = ANY (locked);
	IF arrived IS NOT NULL THEN
		RETURN QUERY SELECT * FROM backorder_internal.post_movements(arrived);
	END IF;
END $$;
COMMENT ON FUNCTION backorder.receive_purchase_order(bigint, text, timestamptz, text) IS 'All that is open of a purchase order arrived. The movements get the reference with / and the line number.';

-- Locks the stock rows of a purchase order's supply, in the order of settling; it has one location. Of lines that
-- are not open too: somebody may be reversing their receipt.
CREATE FUNCTION backorder_internal.lock_supply(po_id bigint, tenant text) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	items text[];
	place text;
BEGIN
	SELECT array_agg(DISTINCT s.item), min(s.location) INTO items, place FROM backorder.supply s
	WHERE s.tenant = $2 AND s.po_id = $1 AND NOT s.closed;
	IF items IS NOT NULL THEN
		PERFORM backorder.lock_stock(items, place, $2);
	END IF;
	RETURN items;
END $$;
COMMENT ON FUNCTION backorder_internal.lock_supply(bigint, text) IS 'Locks the stock rows of a purchase order''s lines, and says of which items.';

CREATE FUNCTION backorder.available_from(item text, quantity numeric, location text DEFAULT '', tenant text DEFAULT '') RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH today AS (SELECT backorder_internal.today() AS day),
	place AS (
		SELECT coalesce(s.available, 0) AS available, coalesce(s.backordered - s.backordered_held, 0) AS waiting,
			coalesce(p.handling_time, 0) AS handling
		FROM (SELECT) AS one
		LEFT JOIN backorder.stock s ON s.tenant = $4 AND s.item = $1 AND s.location = $3
		LEFT JOIN backorder.item_policy p ON p.tenant = $4 AND p.item = $1 AND p.location = $3
	), dated AS (
		SELECT s.expected_at, sum(s.open) OVER (ORDER BY s.expected_at NULLS LAST, s.po_id, s.line_no) AS upto
		FROM backorder.supply s WHERE s.tenant = $4 AND s.item = $1 AND s.location = $3 AND s.open > 0
	)
	SELECT CASE
		WHEN p.waiting = 0 AND p.available >= $2 THEN t.day + p.handling
		ELSE (SELECT CASE WHEN d.expected_at >= t.day THEN d.expected_at + p.handling END
			FROM dated d
			WHERE d.upto >= p.waiting + $2 - CASE WHEN p.waiting = 0 THEN p.available ELSE 0 END
			ORDER BY d.upto LIMIT 1)
		END
	FROM place p, today t
$$;
COMMENT ON FUNCTION backorder.available_from(text, numeric, text, text) IS 'The day on which that much could be promised to a new order; NULL where supply does not reach.';

CREATE FUNCTION backorder_internal.today() RETURNS date
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'bo_today';
COMMENT ON FUNCTION backorder_internal.today() IS 'Today in backorder.timezone.';

CREATE FUNCTION backorder.take_events(max integer, consumer text DEFAULT 'default') RETURNS SETOF backorder.event
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
	place backorder.event_consumer;
	tenants text[];
	share bigint;
	last record;
	settled xid8;
	following bigint;
BEGIN
	IF max IS NULL OR max < 1 OR consumer IS NULL THEN
		RAISE EXCEPTION 'invalid arguments for take_events' USING ERRCODE = 'OB009', HINT = 'Take at least one event, and name the consumer.';
	END IF;
	INSERT INTO backorder.event_consumer (consumer) VALUES (take_events.consumer) ON CONFLICT DO NOTHING;
	SELECT * INTO place FROM backorder.event_consumer c WHERE c.consumer = take_events.consumer FOR UPDATE;
	-- A transaction that still runs writes events with numbers above its own: up to the oldest one all is complete.
	settled := pg_snapshot_xmin(pg_current_snapshot());
	-- The key begins with the tenant: the events of each come in order, and are put together.
	tenants := ARRAY(
		WITH RECURSIVE t AS (
			SELECT min(e.tenant) AS tenant FROM backorder.event e
			UNION ALL SELECT (SELECT min(e.tenant) FROM backorder.event e WHERE e.tenant > t.tenant) FROM t WHERE t.tenant IS NOT NULL
		)
		SELECT t.tenant FROM t WHERE t.tenant IS NOT NULL);
	-- A share of each at first, as far as that is complete: up to where the first tenant of which there may be more ends.
	share := take_events.max / greatest(cardinality(tenants), 1);
	LOOP
		share := least(4 * (share + 1), take_events.max);
		WITH next AS MATERIALIZED (
			SELECT n.*, count(*) OVER (PARTITION BY n.tenant) AS of_tenant FROM unnest(tenants) t (tenant), LATERAL (
				SELECT e.tenant, e.generation, e.xid, e.id, e.source_id, e.aggregatetype, e.aggregateid FROM backorder.event e
				WHERE e.tenant = t.tenant AND (e.generation, e.xid, e.id) > (place.generation, place.xid, place.id)
					AND (e.xid <= settled OR e.generation < (SELECT max(i.generation) FROM backorder_internal.installation i))
				ORDER BY e.generation, e.xid, e.id LIMIT share) n
		), complete AS (
			SELECT l.* FROM (
				SELECT DISTINCT ON (n.tenant) n.generation, n.xid, n.id FROM next n WHERE n.of_tenant = share
				ORDER BY n.tenant, n.generation DESC, n.xid DESC, n.id DESC) l
			ORDER BY l.generation, l.xid, l.id LIMIT 1
		), batch AS (
			SELECT n.*, row_number() OVER (ORDER BY n.generation, n.xid, n.id) AS n FROM next n
			WHERE NOT EXISTS (SELECT FROM complete c WHERE (n.generation, n.xid, n.id) > (c.generation, c.xid, c.id))
		)
		SELECT b.* INTO last FROM batch b WHERE b.n <= take_events.max ORDER BY b.n DESC LIMIT 1;
		EXIT WHEN last.n IS NULL OR share = take_events.max OR last.n >= take_events.max / 2;
	END LOOP;
	IF last.id IS NULL THEN
		RETURN;
	END IF;
	-- To the end of the last order: a transaction's events of one order stand together.
	SELECT e.id INTO following FROM backorder.event e
	WHERE e.tenant = last.tenant AND e.generation = last.generation AND e.xid = last.xid AND e.id > last.id
		AND (e.source_id, e.aggregatetype, e.aggregateid) IS DISTINCT FROM (last.source_id, last.aggregatetype, last.aggregateid)
	ORDER BY e.id LIMIT 1;
	SELECT e.id INTO last.id FROM backorder.event e
	WHERE e.tenant = last.tenant AND e.generation = last.generation AND e.xid = last.xid AND e.id >= last.id AND (following IS NULL OR e.id < following)
	ORDER BY e.id DESC LIMIT 1;
	-- A scan of an index ends at a bound of each column, not at that of a row.
	RETURN QUERY SELECT n.* FROM unnest(tenants) t (tenant), LATERAL (
		SELECT e.* FROM backorder.event e
		WHERE e.tenant = t.tenant AND e.generation = last.generation
			AND e.xid >= CASE WHEN place.generation = last.generation THEN place.xid ELSE '0' END AND e.xid <= last.xid
			AND (place.generation < last.generation OR e.xid > place.xid OR e.id > place.id) AND (e.xid < last.xid OR e.id <= last.id)
		UNION ALL
		SELECT e.* FROM backorder.event e
		WHERE place.generation < last.generation AND e.tenant = t.tenant AND e.generation < last.generation
			AND (e.generation, e.xid, e.id) > (place.generation, place.xid, place.id)) n
	ORDER BY n.generation, n.xid, n.id;
	UPDATE backorder.event_consumer c SET generation = last.generation, xid = last.xid, id = last.id, taken_at = now()
	WHERE c.consumer = take_events.consumer;
END $$;
COMMENT ON FUNCTION backorder.take_events(integer, text) IS 'The next events for a consumer, about max of them, whole orders at a time; taken for good when the transaction commits. A name that is new begins with the oldest event there is.';

CREATE FUNCTION backorder.drop_consumer(consumer text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM backorder.event_consumer c WHERE c.consumer = drop_consumer.consumer;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'consumer "%" has taken no events', consumer USING ERRCODE = 'OB009', HINT = 'Consumers are listed in backorder.event_consumer.';
	END IF;
END $$;
COMMENT ON FUNCTION backorder.drop_consumer(text) IS 'Forgets a consumer of take_events(): compact() keeps no events for it any more.';
