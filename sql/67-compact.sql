-- Retention: what is old and explains a counter is folded into one row, or into the row it explains;
-- lines and orders of which nothing is left but that go.
--
-- compact() runs the steps below in the order of locks. Each step is a few passes over whole tables; no estimate, however
-- old, is to make it quadratic: compact() switches nested loops off for all of them.

CREATE FUNCTION backorder_internal.missing_orders(source_id integer, order_keys text[]) RETURNS text[]
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_missing_orders';
COMMENT ON FUNCTION backorder_internal.missing_orders(integer, text[]) IS 'Those of the orders, whose rows are locked, of which the attached table has no line.
source_id: the source.
order_keys: keys of the orders.';

CREATE FUNCTION backorder_internal.compact_orders(before timestamptz, tenant text, OUT lines bigint, OUT orders bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	p_before CONSTANT timestamptz := before;
	p_tenant CONSTANT text := tenant;
	source_ids integer[];
	order_keys text[];
BEGIN
	-- Orders first, in the order of locks. What is being written now is not old: it is left for the next time.
	WITH recent AS MATERIALIZED (
		SELECT m.line_id FROM backorder.stock_movement m WHERE m.tenant = p_tenant AND m.line_id IS NOT NULL AND m.applied_at >= p_before
		UNION ALL
		SELECT a.line_id FROM backorder.allocation a WHERE a.tenant = p_tenant AND a.allocated_at >= p_before
	), left_over AS MATERIALIZED (
		SELECT DISTINCT l.source_id, l.order_key FROM backorder.order_line l
		WHERE l.tenant = p_tenant AND l.deleted AND NOT l.live AND l.allocated = 0 AND l.queued_at < p_before
			AND NOT EXISTS (SELECT FROM recent r WHERE r.line_id = l.line_id)
	), candidates AS MATERIALIZED (
		SELECT c.source_id, c.order_key FROM left_over c
		UNION ALL
		SELECT o.source_id, o.order_key FROM backorder.sales_order o
		WHERE o.tenant = p_tenant AND NOT EXISTS (SELECT FROM backorder.order_line l
			WHERE l.tenant = o.tenant AND l.source_id = o.source_id AND l.order_key = o.order_key)
	), locked AS (
		SELECT o.source_id, o.order_key FROM candidates c
		JOIN backorder.sales_order o ON o.tenant = p_tenant AND o.source_id = c.source_id AND o.order_key = c.order_key
		WHERE NOT EXISTS (SELECT FROM backorder_internal.source_import i
			WHERE i.tenant = p_tenant AND i.source_id = o.source_id AND i.state IN ('waiting', 'importing'))
		ORDER BY o.source_id, o.order_key FOR UPDATE OF o SKIP LOCKED
	)
	SELECT array_agg(k.source_id), array_agg(k.order_key) INTO source_ids, order_keys FROM locked k;

	lines := 0;
	orders := 0;
	IF source_ids IS NOT NULL THEN
		-- Read again under the locks.
		WITH recent AS MATERIALIZED (
			SELECT m.line_id FROM backorder.stock_movement m WHERE m.tenant = p_tenant AND m.line_id IS NOT NULL AND m.applied_at >= p_before
			UNION ALL
			SELECT a.line_id FROM backorder.allocation a WHERE a.tenant = p_tenant AND a.allocated_at >= p_before
		), gone AS (
			DELETE FROM backorder.order_line l USING unnest(source_ids, order_keys) AS k (source_id, order_key)
			WHERE l.tenant = p_tenant AND l.source_id = k.source_id AND l.order_key = k.order_key
				AND l.deleted AND NOT l.live AND l.allocated = 0 AND l.queued_at < p_before
				AND NOT EXISTS (SELECT FROM recent r WHERE r.line_id = l.line_id)
			RETURNING l.line_id
		)
		SELECT count(*) INTO lines FROM gone;
		-- An order that its table still has a line of stays, so that nobody takes it for a new one.
		WITH empty AS MATERIALIZED (
			SELECT k.source_id, array_agg(k.order_key) AS order_keys FROM unnest(source_ids, order_keys) AS k (source_id, order_key)
			WHERE NOT EXISTS (SELECT FROM backorder.order_line l
					WHERE l.tenant = p_tenant AND l.source_id = k.source_id AND l.order_key = k.order_key)
				AND NOT EXISTS (SELECT FROM backorder.waiting_order w
					WHERE w.tenant = p_tenant AND w.source_id = k.source_id AND w.order_key = k.order_key)
				AND NOT EXISTS (SELECT FROM backorder.parked p
					WHERE p.tenant = p_tenant AND p.source_id = k.source_id AND p.order_key = k.order_key)
			GROUP BY 1
		), gone AS MATERIALIZED (
			SELECT e.source_id, unnest(CASE WHEN EXISTS (SELECT FROM backorder.source s
					WHERE s.tenant = p_tenant AND s.source_id = e.source_id AND s.detached_at IS NULL)
				THEN backorder_internal.missing_orders(e.source_id, e.order_keys) ELSE e.order_keys END) AS order_key
			FROM empty e
		)
		DELETE FROM backorder.sales_order o USING gone g
		WHERE o.tenant = p_tenant AND o.source_id = g.source_id AND o.order_key = g.order_key;
		GET DIAGNOSTICS orders = ROW_COUNT;
	END IF;
END $$;
COMMENT ON FUNCTION backorder_internal.compact_orders(timestamptz, text) IS 'Removes lines that the application deleted, and orders that their table has no line of. Locks the orders; those that are being written are left for the next time.
before: what is older is old.
tenant: company or stock pool.
lines: how many lines are gone.
orders: how many orders are gone.';

CREATE FUNCTION backorder_internal.compact_stock(before timestamptz, tenant text, places integer, OUT items text[], OUT locations text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	p_before CONSTANT timestamptz := before;
	p_tenant CONSTANT text := tenant;
	p_places CONSTANT integer := places;
BEGIN
	-- Then stock, sorted. Receipts of a purchase order that is not closed stay: it may yet be reversed and cancelled.
	SELECT array_agg(s.item), array_agg(s.location) INTO items, locations
	FROM (
		SELECT s.item, s.location FROM backorder.stock s
		JOIN (
			SELECT f.item, f.location FROM (
				SELECT m.item, m.location FROM backorder.stock_movement m
				WHERE m.tenant = p_tenant AND m.applied_at < p_before AND (m.po_id IS NULL OR EXISTS (SELECT FROM backorder.purchase_order p
					WHERE p.tenant = m.tenant AND p.po_id = m.po_id AND p.status = 'closed'))
				GROUP BY 1, 2 HAVING count(*) > 1
				UNION
				SELECT DISTINCT a.item, a.location FROM backorder.allocation a WHERE a.tenant = p_tenant AND a.allocated_at < p_before
			) f ORDER BY 1, 2 LIMIT p_places
		) f ON f.item = s.item AND f.location = s.location
		WHERE s.tenant = p_tenant
		ORDER BY s.tenant, s.item, s.location FOR NO KEY UPDATE OF s
	) s;
END $$;
COMMENT ON FUNCTION backorder_internal.compact_stock(timestamptz, text, integer) IS 'Locks the stock rows that have something to fold, sorted.
before: what is older is old.
tenant: company or stock pool.
places: so many rows at most; NULL: all.
items: their items.
locations: their locations, in the same order.';

CREATE FUNCTION backorder_internal.compact_movements(before timestamptz, tenant text, items text[], locations text[], OUT movements bigint, OUT openings bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	p_before CONSTANT timestamptz := before;
	p_tenant CONSTANT text := tenant;
BEGIN
	WITH old AS MATERIALIZED (
		SELECT m.movement_id, m.item, m.location, m.quantity, m.unavailable, m.po_id, m.po_line_no, m.occurred_at
		FROM backorder.stock_movement m
		JOIN unnest(items, locations) AS p (item, location) ON p.item = m.item AND p.location = m.location
		WHERE m.tenant = p_tenant AND m.applied_at < p_before
			AND (m.po_id IS NULL OR EXISTS (SELECT FROM backorder.purchase_order p
				WHERE p.tenant = m.tenant AND p.po_id = m.po_id AND p.status = 'closed'))
	), fold AS MATERIALIZED (
		SELECT o.item, o.location, max(o.movement_id) AS kept, sum(o.quantity) AS quantity, sum(o.unavailable) AS unavailable,
			max(o.occurred_at) AS occurred_at, count(*) AS n
		FROM old o GROUP BY 1, 2 HAVING count(*) > 1
	), received AS (
		UPDATE backorder.supply y SET folded = y.folded + r.quantity
		FROM (SELECT o.po_id, o.po_line_no, sum(o.quantity) AS quantity
			FROM old o JOIN fold f ON f.item = o.item AND f.location = o.location WHERE o.po_id IS NOT NULL GROUP BY 1, 2) r
		WHERE y.tenant = p_tenant AND y.po_id = r.po_id AND y.line_no = r.po_line_no
	), opening AS (
		UPDATE backorder.stock_movement m SET kind = 'opening', quantity = f.quantity, unavailable = f.unavailable, occurred_at = f.occurred_at,
			po_id = NULL, po_line_no = NULL, line_id = NULL, reference = NULL, reason = format('%s movements folded', f.n)
		FROM fold f WHERE m.tenant = p_tenant AND m.movement_id = f.kept
	), gone AS (
		DELETE FROM backorder.stock_movement m
		USING old o JOIN fold f ON f.item = o.item AND f.location = o.location
		WHERE m.tenant = p_tenant AND m.movement_id = o.movement_id AND o.movement_id <> f.kept
	)
	SELECT coalesce(sum(f.n), 0), count(*) INTO movements, openings FROM fold f;
END $$;
COMMENT ON FUNCTION backorder_internal.compact_movements(timestamptz, text, text[], text[]) IS 'Folds old movements of locked stock rows into one opening each.
before: what is older is old.
tenant: company or stock pool.
items: the items.
locations: their locations.
movements: how many movements were folded.
openings: how many openings they became.';

CREATE FUNCTION backorder_internal.compact_ledger(before timestamptz, tenant text, items text[], locations text[], OUT allocations bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	p_before CONSTANT timestamptz := before;
	p_tenant CONSTANT text := tenant;
BEGIN
	-- The ledger. Rows of lines that are gone just go.
	WITH old AS MATERIALIZED (
		SELECT a.allocation_id, a.line_id, a.item, a.location, a.quantity
		FROM backorder.allocation a
		JOIN unnest(items, locations) AS p (item, location) ON p.item = a.item AND p.location = a.location
		WHERE a.tenant = p_tenant AND a.allocated_at < p_before
	), folded AS (
		UPDATE backorder.order_line l SET folded = coalesce(l.folded, 0) + f.quantity
		FROM (SELECT o.line_id, sum(o.quantity) AS quantity FROM old o GROUP BY 1 HAVING sum(o.quantity) <> 0) f
		WHERE l.tenant = p_tenant AND l.line_id = f.line_id
		RETURNING l.item, l.location
	), written AS (
		-- The rows are locked by compact_stock(): lines of theirs change, so whoever waits for this stock with an older
		-- snapshot is to fail, not to lose the lines.
		UPDATE backorder.stock s SET version = s.version + 1
		FROM (SELECT DISTINCT f.item, f.location FROM folded f) f
		WHERE s.tenant = p_tenant AND s.item = f.item AND s.location = f.location
	), gone AS (
		DELETE FROM backorder.allocation a USING old o WHERE a.tenant = p_tenant AND a.allocation_id = o.allocation_id
		RETURNING a.allocation_id
	)
	SELECT count(*) INTO allocations FROM gone;
END $$;
COMMENT ON FUNCTION backorder_internal.compact_ledger(timestamptz, text, text[], text[]) IS 'Folds old ledger rows of locked stock rows into their lines.
before: what is older is old.
tenant: company or stock pool.
items: the items.
locations: their locations.
allocations: how many ledger rows were folded.';

CREATE FUNCTION backorder_internal.compact_events(before timestamptz, tenant text, OUT events bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	p_before CONSTANT timestamptz := before;
	p_tenant CONSTANT text := tenant;
BEGIN
	-- Events that every consumer has taken.
	DELETE FROM backorder.event e
	WHERE e.tenant = p_tenant AND e.created_at < p_before AND EXISTS (SELECT FROM backorder.event_consumer)
		AND NOT EXISTS (SELECT FROM backorder.event_consumer c WHERE (c.generation, c.xid, c.id) < (e.generation, e.xid, e.id));
	GET DIAGNOSTICS events = ROW_COUNT;
END $$;
COMMENT ON FUNCTION backorder_internal.compact_events(timestamptz, text) IS 'Removes old events that every consumer has taken.
before: what is older is old.
tenant: company or stock pool.
events: how many are gone.';

CREATE FUNCTION backorder.compact(before timestamptz, tenant text DEFAULT '', places integer DEFAULT NULL,
	OUT movements bigint, OUT openings bigint, OUT allocations bigint, OUT lines bigint, OUT orders bigint, OUT events bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
	p_before CONSTANT timestamptz := before;
	p_tenant CONSTANT text := tenant;
	p_places CONSTANT integer := places;
	items text[];
	locations text[];
BEGIN
	IF p_before IS NULL OR p_before >= now() OR p_before = '-infinity' THEN
		RAISE EXCEPTION 'invalid time % to compact before', p_before USING ERRCODE = 'OB009',
			DETAIL = 'What is not older than this transaction is not old.',
			HINT = 'Name a moment in the past, further back than any movement that may be repeated under its reference.';
	END IF;
	IF p_tenant IS NULL OR p_places < 1 THEN
		RAISE EXCEPTION 'invalid arguments for compact' USING ERRCODE = 'OB009',
			DETAIL = format('tenant %s, places %s.', quote_nullable(p_tenant), coalesce(p_places::text, 'NULL')),
			HINT = 'Name the tenant; places is at least 1, or NULL for all.';
	END IF;
	PERFORM backorder.flush();
	-- One at a time; nobody who writes orders or movements waits for this lock.
	LOCK TABLE backorder.allocation IN SHARE UPDATE EXCLUSIVE MODE;
	-- Attached tables come before orders in the order of locks.
	PERFORM backorder_internal.missing_orders(s.source_id, '{}') FROM backorder.source s
	WHERE s.tenant = p_tenant AND s.detached_at IS NULL;
	SELECT o.lines, o.orders INTO lines, orders FROM backorder_internal.compact_orders(p_before, p_tenant) o;
	SELECT s.items, s.locations INTO items, locations FROM backorder_internal.compact_stock(p_before, p_tenant, p_places) s;
	SELECT m.movements, m.openings INTO movements, openings FROM backorder_internal.compact_movements(p_before, p_tenant, items, locations) m;
	allocations := backorder_internal.compact_ledger(p_before, p_tenant, items, locations);
	events := backorder_internal.compact_events(p_before, p_tenant);
END $$;
COMMENT ON FUNCTION backorder.compact(timestamptz, text, integer) IS 'Folds what was applied before a moment: movements into one opening per item and location, ledger rows into their lines. Removes lines that the application deleted, orders of which their table has no line any more, and events that every consumer has taken. Folded movements lose their references.
before: the moment.
tenant: company or stock pool.
places: so many items and locations at most, so that orders wait for less; NULL: all. Call it again until nothing is left.
movements: how many movements were folded.
openings: how many openings they became.
allocations: how many ledger rows were folded.
lines: how many lines are gone.
orders: how many orders are gone.
events: how many events are gone.';
