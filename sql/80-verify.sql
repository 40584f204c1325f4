-- verify(): every counter recomputed from the rows that explain it.  Reads only; runs on a standby.
--
-- One function for each group of checks; verify() puts them together.  A group returns what differs.

CREATE VIEW backorder_internal.recounted AS
SELECT c.tenant, c.item, c.location, sum(c.on_hand) AS on_hand, sum(c.unavailable) AS unavailable, sum(c.allocated) AS allocated,
	sum(c.backordered) AS backordered, sum(c.backordered_held) AS backordered_held, sum(c.on_order) AS on_order
FROM (
	SELECT m.tenant, m.item, m.location, sum(m.quantity) AS on_hand, sum(m.unavailable) AS unavailable,
		0::numeric AS allocated, 0::numeric AS backordered, 0::numeric AS backordered_held, 0::numeric AS on_order
	FROM backorder.stock_movement m GROUP BY 1, 2, 3
	UNION ALL
	SELECT l.tenant, l.item, l.location, 0, 0, sum(l.allocated), sum(l.backordered), coalesce(sum(l.backordered) FILTER (WHERE l.held), 0), 0
	FROM backorder.order_line l GROUP BY 1, 2, 3
	UNION ALL
	SELECT y.tenant, y.item, y.location, 0, 0, 0, 0, 0, sum(y.open) FROM backorder.supply y GROUP BY 1, 2, 3
	UNION ALL
	SELECT s.tenant, s.item, s.location, 0, 0, 0, 0, 0, 0 FROM backorder.stock s
) c GROUP BY 1, 2, 3;
COMMENT ON VIEW backorder_internal.recounted IS 'The counters of each stock row, counted from movements, lines and supply.';
COMMENT ON COLUMN backorder_internal.recounted.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder_internal.recounted.item IS 'The item.';
COMMENT ON COLUMN backorder_internal.recounted.location IS 'The location.';
COMMENT ON COLUMN backorder_internal.recounted.on_hand IS 'Sum of the movements.';
COMMENT ON COLUMN backorder_internal.recounted.unavailable IS 'Sum of the movements of unavailable stock.';
COMMENT ON COLUMN backorder_internal.recounted.allocated IS 'Sum of what lines have.';
COMMENT ON COLUMN backorder_internal.recounted.backordered IS 'Sum of what lines wait for.';
COMMENT ON COLUMN backorder_internal.recounted.backordered_held IS 'Sum of what held lines wait for.';
COMMENT ON COLUMN backorder_internal.recounted.on_order IS 'Sum of open supply.';

CREATE FUNCTION backorder_internal.verify_counters()
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH counted AS MATERIALIZED (
		SELECT format('item %s location %s tenant %s', quote_literal(r.item), quote_literal(r.location), quote_literal(r.tenant)) AS object, r.*,
			s.on_hand AS s_on_hand, s.unavailable AS s_unavailable, s.allocated AS s_allocated, s.backordered AS s_backordered,
			s.backordered_held AS s_backordered_held, s.on_order AS s_on_order, s.available
		FROM backorder_internal.recounted r
		LEFT JOIN backorder.stock s ON s.tenant = r.tenant AND s.item = r.item AND s.location = r.location
		WHERE (s.on_hand, s.unavailable, s.allocated, s.backordered, s.backordered_held, s.on_order)
				IS DISTINCT FROM (r.on_hand, r.unavailable, r.allocated, r.backordered, r.backordered_held, r.on_order)
			OR s.available > 0 AND r.backordered > r.backordered_held
	)
	SELECT c.check_name, k.object, c.expected::text, c.actual::text
	FROM counted k
	CROSS JOIN LATERAL (VALUES
		('stock.on_hand', k.on_hand, k.s_on_hand),
		('stock.unavailable', k.unavailable, k.s_unavailable),
		('stock.allocated', k.allocated, k.s_allocated),
		('stock.backordered', k.backordered, k.s_backordered),
		('stock.backordered_held', k.backordered_held, k.s_backordered_held),
		('stock.on_order', k.on_order, k.s_on_order)) AS c (check_name, expected, actual)
	WHERE c.expected IS DISTINCT FROM c.actual
	UNION ALL
	SELECT 'serving', k.object, 'no eligible line waits while stock is available',
		format('%s available, %s wait', k.available, k.backordered - k.backordered_held)
	FROM counted k WHERE k.available > 0 AND k.backordered > k.backordered_held
	UNION ALL
	SELECT 'stock_movement.applied_at', format('movement %s', m.movement_id), 'applied', 'not applied'
	FROM backorder.stock_movement m WHERE m.applied_at IS NULL
$$;
COMMENT ON FUNCTION backorder_internal.verify_counters() IS 'Stock rows whose counters differ from the rows that explain them, or that do not serve who waits.';

CREATE FUNCTION backorder_internal.verify_ledger()
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'order_line.allocated', format('line %s of order %s in %s', l.line_key, l.order_key, backorder.source_relation(l.source_id)),
		(l.first_allocated + coalesce(l.folded, 0) + coalesce(a.quantity, 0))::text, l.allocated::text
	FROM backorder.order_line l
	LEFT JOIN (SELECT a.tenant, a.line_id, sum(a.quantity) AS quantity FROM backorder.allocation a GROUP BY 1, 2) a
		ON a.tenant = l.tenant AND a.line_id = l.line_id
	WHERE l.allocated IS DISTINCT FROM l.first_allocated + coalesce(l.folded, 0) + coalesce(a.quantity, 0)
	UNION ALL
	SELECT 'order_line.line_id', format('line_id %s', l.line_id), '1 line', format('%s lines', count(*))
	FROM backorder.order_line l GROUP BY l.tenant, l.line_id HAVING count(*) > 1
$$;
COMMENT ON FUNCTION backorder_internal.verify_ledger() IS 'Lines whose allocation differs from its ledger, and numbers that two lines have.';

CREATE FUNCTION backorder_internal.verify_supply()
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'supply.received', format('line %s of purchase order %s', coalesce(y.line_no, m.po_line_no), coalesce(y.po_id, m.po_id)),
		(coalesce(y.folded, 0) + coalesce(m.quantity, 0))::text, y.received::text
	FROM backorder.supply y
	FULL JOIN (SELECT m.tenant, m.po_id, m.po_line_no, sum(m.quantity) AS quantity FROM backorder.stock_movement m
		WHERE m.po_id IS NOT NULL GROUP BY 1, 2, 3) m
		ON m.tenant = y.tenant AND m.po_id = y.po_id AND m.po_line_no = y.line_no
	WHERE coalesce(y.folded, 0) + coalesce(m.quantity, 0) IS DISTINCT FROM coalesce(y.received, 0)
	UNION ALL
	SELECT 'supply', format('line %s of purchase order %s', coalesce(y.line_no, p.line_no), coalesce(y.po_id, p.po_id)),
		CASE WHEN p.po_id IS NOT NULL THEN concat_ws(' ', p.item, p.location, p.quantity, p.expected_at, p.closed) ELSE 'none' END,
		CASE WHEN y.po_id IS NOT NULL THEN concat_ws(' ', y.item, y.location, y.quantity, y.expected_at, y.closed) ELSE 'none' END
	FROM backorder.supply y
	FULL JOIN (
		SELECT l.tenant, l.po_id, l.line_no, l.item, o.location, l.ordered - l.cancelled AS quantity, l.expected_at, o.status = 'closed' AS closed
		FROM backorder.purchase_order_line l JOIN backorder.purchase_order o ON o.tenant = l.tenant AND o.po_id = l.po_id
		WHERE o.status IN ('placed', 'closed')
	) p ON p.tenant = y.tenant AND p.po_id = y.po_id AND p.line_no = y.line_no
	WHERE (y.item, y.location, y.quantity, y.closed) IS DISTINCT FROM (p.item, p.location, p.quantity, p.closed)
		OR p.expected_at <> y.expected_at
$$;
COMMENT ON FUNCTION backorder_internal.verify_supply() IS 'Supply that differs from its movements, or from its purchase order line.';

CREATE FUNCTION backorder_internal.verify_references()
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'supplier_item.supplier', format('item %s of supplier %s', quote_literal(i.item), quote_literal(i.supplier)), 'a supplier', 'missing'
	FROM backorder.supplier_item i
	WHERE NOT EXISTS (SELECT FROM backorder.supplier s WHERE s.tenant = i.tenant AND s.supplier = i.supplier)
	UNION ALL
	SELECT 'purchase_order.supplier', format('purchase order %s of supplier %s', p.po_id, quote_literal(p.supplier)), 'a supplier', 'missing'
	FROM backorder.purchase_order p
	WHERE NOT EXISTS (SELECT FROM backorder.supplier s WHERE s.tenant = p.tenant AND s.supplier = p.supplier)
	UNION ALL
	SELECT 'purchase_order_line.po_id', format('line %s of purchase order %s', l.line_no, l.po_id), 'a purchase order', 'missing'
	FROM backorder.purchase_order_line l
	WHERE NOT EXISTS (SELECT FROM backorder.purchase_order p WHERE p.tenant = l.tenant AND p.po_id = l.po_id)
$$;
COMMENT ON FUNCTION backorder_internal.verify_references() IS 'Rows that refer to a supplier or purchase order that does not exist.';

-- Counts lines and supply up by itself, not by the views that others share.  A line that reaches into supply whose day
-- has passed keeps the promise it had.
CREATE FUNCTION backorder_internal.verify_promises()
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'order_line.promised_at', format('line %s of order %s in %s', e.line_key, e.order_key, backorder.source_relation(e.source_id)),
		coalesce(e.expected::text, 'none'), coalesce(e.promised_at::text, 'none')
	FROM (
		SELECT w.source_id, w.order_key, w.line_key, w.promised_at, u.expected_at + coalesce(p.handling_time, 0) AS expected
		FROM (
			SELECT l.*, sum(l.backordered) OVER (PARTITION BY l.tenant, l.item, l.location ORDER BY l.priority DESC, l.queued_at, l.line_id) AS upto
			FROM backorder.order_line l WHERE l.backordered > 0 AND NOT l.held
		) w
		JOIN backorder.stock s ON s.tenant = w.tenant AND s.item = w.item AND s.location = w.location AND NOT s.promises_stale
		LEFT JOIN backorder.item_policy p ON p.tenant = w.tenant AND p.item = w.item AND p.location = w.location
		LEFT JOIN (
			SELECT y.*, sum(y.open) OVER (PARTITION BY y.tenant, y.item, y.location ORDER BY y.expected_at NULLS LAST, y.po_id, y.line_no) AS upto
			FROM backorder.supply y WHERE y.open > 0
		) u ON u.tenant = w.tenant AND u.item = w.item AND u.location = w.location AND w.upto > u.upto - u.open AND w.upto <= u.upto
		WHERE u.expected_at >= backorder_internal.today() OR u.expected_at IS NULL
	) e WHERE e.promised_at IS DISTINCT FROM e.expected
	UNION ALL
	SELECT 'order_line.promised_at', format('line %s of order %s in %s', l.line_key, l.order_key, backorder.source_relation(l.source_id)),
		'none: the line is not served', l.promised_at::text
	FROM backorder.order_line l WHERE (l.backordered = 0 OR l.held) AND l.promised_at IS NOT NULL
	UNION ALL
	SELECT 'waiting_order', format('order %s in %s', coalesce(w.order_key, n.order_key), backorder.source_relation(coalesce(w.source_id, n.source_id))),
		coalesce(n.last_notified::text, 'none'), coalesce(w.last_notified::text, 'none')
	FROM backorder.waiting_order w
	FULL JOIN (SELECT l.tenant, l.source_id, l.order_key, backorder_internal.notified(array_agg(l)) AS last_notified
		FROM backorder.order_line l GROUP BY 1, 2, 3 HAVING sum(l.backordered) > 0) n
		ON n.tenant = w.tenant AND n.source_id = w.source_id AND n.order_key = w.order_key
	WHERE w.last_notified IS DISTINCT FROM n.last_notified
$$;
COMMENT ON FUNCTION backorder_internal.verify_promises() IS 'Lines whose promise differs from what supply and queue say, and orders whose customer was told something else.';

CREATE FUNCTION backorder_internal.verify_orders()
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'sales_order', format('order %s in %s', l.order_key, backorder.source_relation(l.source_id)), 'recorded', 'missing'
	FROM (SELECT DISTINCT l.tenant, l.source_id, l.order_key FROM backorder.order_line l) l
	WHERE NOT EXISTS (SELECT FROM backorder.sales_order o
		WHERE o.tenant = l.tenant AND o.source_id = l.source_id AND o.order_key = l.order_key)
	UNION ALL
	SELECT 'order_line.source_id', format('source %s', l.source_id), 'attached or detached', 'unknown'
	FROM (SELECT DISTINCT l.tenant, l.source_id FROM backorder.order_line l) l
	WHERE NOT EXISTS (SELECT FROM backorder.source s WHERE s.tenant = l.tenant AND s.source_id = l.source_id)
	UNION ALL
	SELECT 'order_line.detached', format('line %s of order %s in source %s', l.line_key, l.order_key, l.source_id), 'nothing open', (l.allocated + l.backordered)::text
	FROM backorder.order_line l JOIN backorder.source s ON s.tenant = l.tenant AND s.source_id = l.source_id
	WHERE s.detached_at IS NOT NULL AND l.allocated + l.backordered > 0
	UNION ALL
	SELECT 'source_import', format('source %s', i.source_id), 'attached', 'detached or unknown'
	FROM backorder_internal.source_import i
	WHERE NOT EXISTS (SELECT FROM backorder.source s WHERE s.tenant = i.tenant AND s.source_id = i.source_id AND s.detached_at IS NULL)
	UNION ALL
	SELECT 'parked', CASE p.order_key WHEN '' THEN format('source %s', p.source_id)
			ELSE format('order %s in %s', p.order_key, backorder.source_relation(p.source_id)) END, 'orders that can be read', p.message
	FROM backorder.parked p
$$;
COMMENT ON FUNCTION backorder_internal.verify_orders() IS 'Lines without an order or a source, open lines of detached tables, orders that cannot be read.';

CREATE FUNCTION backorder_internal.verify_stock_table(attached backorder.stock_source)
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	name CONSTANT text := format('%I.%I', attached.table_schema, attached.table_name);
BEGIN
	IF to_regclass(name) IS NULL THEN
		RETURN QUERY SELECT 'stock_source', format('source %s', attached.source_id), format('table %s', name), 'missing';
		RETURN;
	END IF;
	RETURN QUERY
	SELECT 'stock_source.trigger', format('table %s', name), 'capture triggers, enabled', CASE WHEN count(t.oid) < 2 THEN 'missing' ELSE 'disabled' END
	FROM pg_trigger t
	WHERE t.tgrelid = to_regclass(name) AND t.tgfoid = 'backorder_internal.capture()'::regprocedure AND NOT t.tgisinternal
		AND t.tgname IN (format('backorder_capture_%s', attached.source_id), format('backorder_capture_%s_statement', attached.source_id))
	HAVING count(t.oid) < 2 OR bool_or(t.tgenabled = 'D');
	BEGIN
		RETURN QUERY
		SELECT 'stock_source.' || c.column_name, format('item %s location %s in %s', quote_literal(coalesce(m.item, s.item)), quote_literal(coalesce(m.location, s.location)), name),
			c.expected::text, c.actual::text
		FROM backorder_internal.mapped_stock(attached.source_id) m
		FULL JOIN (SELECT s.* FROM backorder.stock s WHERE s.tenant = attached.tenant AND s.stock_source_id = attached.source_id) s
			ON s.item = m.item AND s.location = m.location
		CROSS JOIN LATERAL (VALUES
			('on_hand', coalesce(m.on_hand, 0), s.on_hand),
			('unavailable', CASE WHEN attached.unavailable IS NULL THEN s.unavailable ELSE coalesce(m.unavailable, 0) END, s.unavailable)) AS c (column_name, expected, actual)
		WHERE c.expected IS DISTINCT FROM c.actual;
	EXCEPTION WHEN OTHERS THEN
		RETURN QUERY SELECT 'stock_source', format('source %s', attached.source_id), 'a mapping that can be read', SQLERRM;
	END;
END $$;
COMMENT ON FUNCTION backorder_internal.verify_stock_table(backorder.stock_source) IS 'An attached table of stock: whether it is there, has its triggers, and says what is recorded.
attached: the source.';

CREATE FUNCTION backorder_internal.verify_order_lines(attached backorder.source)
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH to_import AS MATERIALIZED (
		SELECT k.order_key FROM backorder_internal.orders_to_import(($1).source_id) k
		WHERE NOT EXISTS (SELECT FROM backorder.sales_order o
			WHERE o.tenant = ($1).tenant AND o.source_id = ($1).source_id AND o.order_key = k.order_key AND o.revision > 0)
	), mapped AS (
		SELECT m.*, m.live AND m.item IS NOT NULL AND m.quantity > 0 AS demand FROM backorder_internal.mapped_lines(($1).source_id) m
		WHERE NOT EXISTS (SELECT FROM to_import t WHERE t.order_key = m.order_key)
	), recorded AS (
		SELECT l.* FROM backorder.order_line l WHERE l.tenant = ($1).tenant AND l.source_id = ($1).source_id
	)
	SELECT 'order_line', format('line %s of order %s in %s', coalesce(m.line_key, r.line_key), coalesce(m.order_key, r.order_key), backorder.source_relation(($1).source_id)),
		CASE
			WHEN m.line_key IS NULL OR m.item IS NULL THEN 'no line'
			WHEN m.demand THEN format('%s of %s at %s, cancelled %s, shipped %s, picked %s, priority %s, customer %s%s', m.quantity, m.item, quote_literal(m.location), m.cancelled, m.shipped, m.picked, m.priority, coalesce(m.customer, 'none'), CASE WHEN m.held THEN ', held' END)
			WHEN m.shipped > 0 THEN format('not live, shipped %s', m.shipped)
			ELSE 'no line'
		END,
		CASE
			WHEN r.line_key IS NULL THEN 'no line'
			WHEN r.live THEN format('%s of %s at %s, cancelled %s, shipped %s, picked %s, priority %s, customer %s%s', r.ordered, r.item, quote_literal(r.location), r.cancelled, r.shipped, r.picked, r.priority, coalesce(r.customer, 'none'), CASE WHEN r.held THEN ', held' END)
			ELSE format('not live, shipped %s', r.shipped)
		END
	FROM mapped m FULL JOIN recorded r ON r.order_key = m.order_key AND r.line_key = m.line_key
	WHERE CASE
		WHEN m.line_key IS NULL OR m.item IS NULL THEN r.live
		WHEN m.demand THEN r.line_key IS NULL OR NOT r.live OR r.deleted
			OR (m.item, m.location, m.customer, m.quantity, m.cancelled, m.shipped, m.picked, m.priority, m.held, m.requested_at)
				IS DISTINCT FROM (r.item, r.location, r.customer, r.ordered, r.cancelled, r.shipped, r.picked, r.priority, r.held, r.requested_at)
			OR m.queued_at <> r.queued_at
		WHEN m.shipped > 0 THEN r.line_key IS NULL OR r.live OR r.shipped <> m.shipped
		ELSE r.line_key IS NOT NULL AND (r.live OR r.shipped > 0 AND NOT r.deleted)
	END
$$;
COMMENT ON FUNCTION backorder_internal.verify_order_lines(backorder.source) IS 'Recorded lines of a source that differ from what its table says now.
attached: the source.';

CREATE FUNCTION backorder_internal.verify_order_table(attached backorder.source)
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	relation CONSTANT regclass := backorder.source_relation(attached.source_id);
BEGIN
	IF relation IS NULL THEN
		RETURN QUERY SELECT 'source', format('source %s', attached.source_id), format('table %I.%I', attached.line_schema, attached.line_table), 'missing';
		RETURN;
	END IF;
	RETURN QUERY
	SELECT 'source.trigger', format('table %I.%I', r.nsp, r.rel), 'capture triggers, enabled', CASE WHEN count(t.oid) < 2 THEN 'missing' ELSE 'disabled' END
	FROM (VALUES (attached.line_schema, attached.line_table), (attached.header_schema, attached.header_table)
		UNION ALL SELECT w.table_schema, w.table_name FROM backorder.source_watch w WHERE w.source_id = attached.source_id) AS r (nsp, rel)
	JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', r.nsp, r.rel))
	LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname IN (format('backorder_capture_%s', attached.source_id), format('backorder_capture_%s_statement', attached.source_id))
		AND t.tgfoid = 'backorder_internal.capture()'::regprocedure AND NOT t.tgisinternal
	WHERE r.rel IS NOT NULL
	GROUP BY r.nsp, r.rel
	HAVING count(t.oid) < 2 OR bool_or(t.tgenabled = 'D');
	BEGIN
		RETURN QUERY SELECT * FROM backorder_internal.verify_order_lines(attached);
	EXCEPTION WHEN OTHERS THEN
		RETURN QUERY SELECT 'source', format('source %s', attached.source_id), 'a mapping that can be read', SQLERRM;
	END;
END $$;
COMMENT ON FUNCTION backorder_internal.verify_order_table(backorder.source) IS 'An attached table of order lines: whether it is there, has its triggers, and says what is recorded.
attached: the source.';

CREATE FUNCTION backorder.verify()
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM backorder_internal.verify_counters()
	UNION ALL SELECT * FROM backorder_internal.verify_ledger()
	UNION ALL SELECT * FROM backorder_internal.verify_supply()
	UNION ALL SELECT * FROM backorder_internal.verify_references()
	UNION ALL SELECT * FROM backorder_internal.verify_promises()
	UNION ALL SELECT * FROM backorder_internal.verify_orders()
	UNION ALL
	SELECT 'stock.stock_source_id', format('item %s location %s tenant %s', quote_literal(s.item), quote_literal(s.location), quote_literal(s.tenant)),
		'an attached table of stock', format('source %s', s.stock_source_id)
	FROM backorder.stock s
	WHERE s.stock_source_id IS NOT NULL AND NOT EXISTS (SELECT FROM backorder.stock_source c
		WHERE c.tenant = s.tenant AND c.source_id = s.stock_source_id AND c.detached_at IS NULL)
	UNION ALL SELECT v.* FROM (SELECT c FROM backorder.stock_source c WHERE c.detached_at IS NULL ORDER BY c.source_id) a,
		LATERAL backorder_internal.verify_stock_table(a.c) v
	UNION ALL SELECT v.* FROM (SELECT s FROM backorder.source s WHERE s.detached_at IS NULL ORDER BY s.source_id) a,
		LATERAL backorder_internal.verify_order_table(a.s) v
$$;
COMMENT ON FUNCTION backorder.verify() IS 'Recomputes every counter, promise and recorded line from the rows that explain them and returns what differs: no row means all is well. Call it where nothing is pending.
check_name: what was checked.
object: the row, order or table that differs.
expected: what the rows say.
actual: what is recorded.';
