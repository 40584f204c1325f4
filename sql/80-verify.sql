-- verify(): every counter recomputed from the rows that explain it.  Reads only; runs on a standby.

CREATE VIEW backorder_internal.recounted AS
SELECT c.tenant, c.item, c.location, sum(c.on_hand) AS on_hand, sum(c.unavailable) AS unavailable, sum(c.allocated) AS allocated,
	sum(c.backordered) AS backordered, sum(c.held) AS backordered_held, sum(c.on_order) AS on_order
FROM (
	SELECT m.tenant, m.item, m.location, m.quantity AS on_hand, m.unavailable, 0::numeric AS allocated, 0::numeric AS backordered, 0::numeric AS held, 0::numeric AS on_order
	FROM backorder.stock_movement m
	UNION ALL SELECT l.tenant, l.item, l.location, 0, 0, l.allocated, l.backordered, CASE WHEN l.held THEN l.backordered ELSE 0 END, 0 FROM backorder.order_line l
	UNION ALL SELECT y.tenant, y.item, y.location, 0, 0, 0, 0, 0, y.open FROM backorder.supply y
	UNION ALL SELECT s.tenant, s.item, s.location, 0, 0, 0, 0, 0, 0 FROM backorder.stock s
) c GROUP BY 1, 2, 3;
COMMENT ON VIEW backorder_internal.recounted IS 'The counters of each stock row, counted from movements, lines and supply.';

-- The promise every waiting line should have, from supply and queue alone.  Lines that reach into
-- supply whose day has passed keep what they had and are left out.
CREATE VIEW backorder_internal.expected_promise AS
SELECT w.tenant, w.item, w.location, w.source_id, w.order_key, w.line_key, w.promised_at,
	u.expected_at + coalesce(p.handling_time, 0) AS expected
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
WHERE u.expected_at >= backorder_internal.today() OR u.expected_at IS NULL;
COMMENT ON VIEW backorder_internal.expected_promise IS 'The promise of each waiting line computed from scratch, for verify().';

CREATE FUNCTION backorder.verify()
RETURNS TABLE (check_name text, object text, expected text, actual text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	attached record;
BEGIN
	-- Counters.
	RETURN QUERY
	WITH moved AS (
		SELECT m.tenant, m.item, m.location, sum(m.quantity) AS on_hand, sum(m.unavailable) AS unavailable
		FROM backorder.stock_movement m GROUP BY 1, 2, 3
	), lined AS (
		SELECT l.tenant, l.item, l.location, sum(l.allocated) AS allocated, sum(l.backordered) AS backordered,
			coalesce(sum(l.backordered) FILTER (WHERE l.held), 0) AS backordered_held,
			coalesce(sum(l.backordered) FILTER (WHERE NOT l.held), 0) AS eligible
		FROM backorder.order_line l GROUP BY 1, 2, 3
	), supplied AS (
		SELECT y.tenant, y.item, y.location, sum(y.open) AS on_order FROM backorder.supply y GROUP BY 1, 2, 3
	), joined AS (
		SELECT coalesce(s.tenant, m.tenant, l.tenant, y.tenant) AS tenant, coalesce(s.item, m.item, l.item, y.item) AS item,
			coalesce(s.location, m.location, l.location, y.location) AS location, s.item IS NOT NULL AS present,
			s.on_hand, s.unavailable, s.allocated, s.backordered, s.backordered_held, s.on_order, s.available,
			coalesce(m.on_hand, 0) AS x_on_hand, coalesce(m.unavailable, 0) AS x_unavailable, coalesce(l.allocated, 0) AS x_allocated,
			coalesce(l.backordered, 0) AS x_backordered, coalesce(l.backordered_held, 0) AS x_held, coalesce(y.on_order, 0) AS x_on_order,
			coalesce(l.eligible, 0) AS eligible
		FROM backorder.stock s
		FULL JOIN moved m ON m.tenant = s.tenant AND m.item = s.item AND m.location = s.location
		FULL JOIN lined l ON l.tenant = coalesce(s.tenant, m.tenant) AND l.item = coalesce(s.item, m.item) AND l.location = coalesce(s.location, m.location)
		FULL JOIN supplied y ON y.tenant = coalesce(s.tenant, m.tenant, l.tenant) AND y.item = coalesce(s.item, m.item, l.item)
			AND y.location = coalesce(s.location, m.location, l.location)
	)
	SELECT c.check_name, format('item %s location %s tenant %s', quote_literal(j.item), quote_literal(j.location), quote_literal(j.tenant)),
		c.expected::text, c.actual::text
	FROM joined j
	CROSS JOIN LATERAL (VALUES
		('stock.on_hand', j.x_on_hand, j.on_hand),
		('stock.unavailable', j.x_unavailable, j.unavailable),
		('stock.allocated', j.x_allocated, j.allocated),
		('stock.backordered', j.x_backordered, j.backordered),
		('stock.backordered_held', j.x_held, j.backordered_held),
		('stock.on_order', j.x_on_order, j.on_order)) AS c (check_name, expected, actual)
	WHERE c.expected IS DISTINCT FROM c.actual
	UNION ALL
	SELECT 'serving', format('item %s location %s tenant %s', quote_literal(j.item), quote_literal(j.location), quote_literal(j.tenant)),
		'no eligible line waits while stock is available', format('%s available, %s wait', j.available, j.eligible)
	FROM joined j WHERE j.available > 0 AND j.eligible > 0;

	RETURN QUERY
	SELECT 'stock_movement.applied_at', format('movement %s', m.movement_id), 'applied', 'not applied'
	FROM backorder.stock_movement m WHERE m.applied_at IS NULL;

	-- Ledger.
	RETURN QUERY
	SELECT 'order_line.allocated', format('line %s of order %s in %s', l.line_key, l.order_key, backorder.source_relation(l.source_id)),
		(l.first_allocated + coalesce(l.folded, 0) + coalesce(a.quantity, 0))::text, l.allocated::text
	FROM backorder.order_line l
	LEFT JOIN (SELECT a.tenant, a.line_id, sum(a.quantity) AS quantity FROM backorder.allocation a GROUP BY 1, 2) a
		ON a.tenant = l.tenant AND a.line_id = l.line_id
	WHERE l.allocated IS DISTINCT FROM l.first_allocated + coalesce(l.folded, 0) + coalesce(a.quantity, 0);
	RETURN QUERY
	SELECT 'order_line.line_id', format('line_id %s', l.line_id), '1 line', format('%s lines', count(*))
	FROM backorder.order_line l GROUP BY l.tenant, l.line_id HAVING count(*) > 1;

	-- Supply.
	RETURN QUERY
	SELECT 'supply.received', format('line %s of purchase order %s', coalesce(y.line_no, m.po_line_no), coalesce(y.po_id, m.po_id)),
		(coalesce(y.folded, 0) + coalesce(m.quantity, 0))::text, y.received::text
	FROM backorder.supply y
	FULL JOIN (SELECT m.tenant, m.po_id, m.po_line_no, sum(m.quantity) AS quantity FROM backorder.stock_movement m
		WHERE m.po_id IS NOT NULL GROUP BY 1, 2, 3) m
		ON m.tenant = y.tenant AND m.po_id = y.po_id AND m.po_line_no = y.line_no
	WHERE coalesce(y.folded, 0) + coalesce(m.quantity, 0) IS DISTINCT FROM coalesce(y.received, 0);
	RETURN QUERY
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
		OR p.expected_at <> y.expected_at;

	-- What rows refer to.
	RETURN QUERY
	SELECT 'supplier_item.supplier', format('item %s of supplier %s', quote_literal(i.item), quote_literal(i.supplier)), 'a supplier', 'missing'
	FROM backorder.supplier_item i
	WHERE NOT EXISTS (SELECT FROM backorder.supplier s WHERE s.tenant = i.tenant AND s.supplier = i.supplier);
	RETURN QUERY
	SELECT 'purchase_order.supplier', format('purchase order %s of supplier %s', p.po_id, quote_literal(p.supplier)), 'a supplier', 'missing'
	FROM backorder.purchase_order p
	WHERE NOT EXISTS (SELECT FROM backorder.supplier s WHERE s.tenant = p.tenant AND s.supplier = p.supplier);
	RETURN QUERY
	SELECT 'purchase_order_line.po_id', format('line %s of purchase order %s', l.line_no, l.po_id), 'a purchase order', 'missing'
	FROM backorder.purchase_order_line l
	WHERE NOT EXISTS (SELECT FROM backorder.purchase_order p WHERE p.tenant = l.tenant AND p.po_id = l.po_id);

	-- Promises, and what customers were told.
	RETURN QUERY
	SELECT 'order_line.promised_at', format('line %s of order %s in %s', e.line_key, e.order_key, backorder.source_relation(e.source_id)),
		coalesce(e.expected::text, 'none'), coalesce(e.promised_at::text, 'none')
	FROM backorder_internal.expected_promise e WHERE e.promised_at IS DISTINCT FROM e.expected;
	RETURN QUERY
	SELECT 'order_line.promised_at', format('line %s of order %s in %s', l.line_key, l.order_key, backorder.source_relation(l.source_id)),
		'none: the line is not served', l.promised_at::text
	FROM backorder.order_line l WHERE (l.backordered = 0 OR l.held) AND l.promised_at IS NOT NULL;
	RETURN QUERY
	SELECT 'waiting_order', format('order %s in %s', coalesce(w.order_key, n.order_key), backorder.source_relation(coalesce(w.source_id, n.source_id))),
		coalesce(n.last_notified::text, 'none'), coalesce(w.last_notified::text, 'none')
	FROM backorder.waiting_order w
	FULL JOIN (SELECT l.tenant, l.source_id, l.order_key, backorder_internal.notified(array_agg(l)) AS last_notified
		FROM backorder.order_line l GROUP BY 1, 2, 3 HAVING sum(l.backordered) > 0) n
		ON n.tenant = w.tenant AND n.source_id = w.source_id AND n.order_key = w.order_key
	WHERE w.last_notified IS DISTINCT FROM n.last_notified;

	-- Orders.
	RETURN QUERY
	SELECT 'sales_order', format('order %s in %s', l.order_key, backorder.source_relation(l.source_id)), 'recorded', 'missing'
	FROM (SELECT DISTINCT l.tenant, l.source_id, l.order_key FROM backorder.order_line l) l
	WHERE NOT EXISTS (SELECT FROM backorder.sales_order o
		WHERE o.tenant = l.tenant AND o.source_id = l.source_id AND o.order_key = l.order_key);
	RETURN QUERY
	SELECT 'order_line.source_id', format('source %s', l.source_id), 'attached or detached', 'unknown'
	FROM (SELECT DISTINCT l.tenant, l.source_id FROM backorder.order_line l) l
	WHERE NOT EXISTS (SELECT FROM backorder.source s WHERE s.tenant = l.tenant AND s.source_id = l.source_id);
	RETURN QUERY
	SELECT 'order_line.detached', format('line %s of order %s in source %s', l.line_key, l.order_key, l.source_id), 'nothing open', (l.allocated + l.backordered)::text
	FROM backorder.order_line l JOIN backorder.source s ON s.tenant = l.tenant AND s.source_id = l.source_id
	WHERE s.detached_at IS NOT NULL AND l.allocated + l.backordered > 0;

	RETURN QUERY
	SELECT 'source_import', format('source %s', i.source_id), 'attached', 'detached or unknown'
	FROM backorder_internal.source_import i
	WHERE NOT EXISTS (SELECT FROM backorder.source s WHERE s.tenant = i.tenant AND s.source_id = i.source_id AND s.detached_at IS NULL);

	RETURN QUERY
	SELECT 'parked', CASE p.order_key WHEN '' THEN format('source %s', p.source_id)
			ELSE format('order %s in %s', p.order_key, backorder.source_relation(p.source_id)) END, 'orders that can be read', p.message
	FROM backorder.parked p;

	-- What the application says is on hand, and the triggers of its tables.
	RETURN QUERY
	SELECT 'stock.stock_source_id', format('item %s location %s tenant %s', quote_literal(s.item), quote_literal(s.location), quote_literal(s.tenant)),
		'an attached table of stock', format('source %s', s.stock_source_id)
	FROM backorder.stock s
	WHERE s.stock_source_id IS NOT NULL AND NOT EXISTS (SELECT FROM backorder.stock_source c
		WHERE c.tenant = s.tenant AND c.source_id = s.stock_source_id AND c.detached_at IS NULL);
	FOR attached IN SELECT c.*, format('%I.%I', c.table_schema, c.table_name) AS name FROM backorder.stock_source c WHERE c.detached_at IS NULL ORDER BY c.source_id LOOP
		IF to_regclass(attached.name) IS NULL THEN
			RETURN QUERY SELECT 'stock_source', format('source %s', attached.source_id), format('table %s', attached.name), 'missing';
			CONTINUE;
		END IF;
		RETURN QUERY
		SELECT 'stock_source.trigger', format('table %s', attached.name), 'capture triggers, enabled', CASE WHEN count(t.oid) < 2 THEN 'missing' ELSE 'disabled' END
		FROM pg_trigger t
		WHERE t.tgrelid = to_regclass(attached.name) AND t.tgfoid = 'backorder_internal.capture()'::regprocedure AND NOT t.tgisinternal
			AND t.tgname IN (format('backorder_capture_%s', attached.source_id), format('backorder_capture_%s_statement', attached.source_id))
		HAVING count(t.oid) < 2 OR bool_or(t.tgenabled = 'D');
		BEGIN
			RETURN QUERY
			SELECT 'stock_source.' || c.column_name, format('item %s location %s in %s', quote_literal(coalesce(m.item, s.item)), quote_literal(coalesce(m.location, s.location)), attached.name),
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
	END LOOP;

	-- Attached tables against what is recorded, and their triggers.
	FOR attached IN SELECT s.*, backorder.source_relation(s.source_id) AS relation FROM backorder.source s WHERE s.detached_at IS NULL ORDER BY s.source_id LOOP
		IF attached.relation IS NULL THEN
			RETURN QUERY SELECT 'source', format('source %s', attached.source_id), format('table %I.%I', attached.line_schema, attached.line_table), 'missing';
			CONTINUE;
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
			RETURN QUERY
			WITH to_import AS MATERIALIZED (
				SELECT k.order_key FROM backorder_internal.orders_to_import(attached.source_id) k
				WHERE NOT EXISTS (SELECT FROM backorder.sales_order o
					WHERE o.tenant = attached.tenant AND o.source_id = attached.source_id AND o.order_key = k.order_key AND o.revision > 0)
			), mapped AS (
				SELECT m.*, m.live AND m.item IS NOT NULL AND m.quantity > 0 AS demand FROM backorder_internal.mapped_lines(attached.source_id) m
				WHERE NOT EXISTS (SELECT FROM to_import t WHERE t.order_key = m.order_key)
			), recorded AS (
				SELECT l.* FROM backorder.order_line l WHERE l.tenant = attached.tenant AND l.source_id = attached.source_id
			)
			SELECT 'order_line', format('line %s of order %s in %s', coalesce(m.line_key, r.line_key), coalesce(m.order_key, r.order_key), attached.relation),
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
			END;
		EXCEPTION WHEN OTHERS THEN
			RETURN QUERY SELECT 'source', format('source %s', attached.source_id), 'a mapping that can be read', SQLERRM;
		END;
	END LOOP;
END $$;
COMMENT ON FUNCTION backorder.verify() IS 'Recomputes every counter, promise and recorded line from the rows that explain them and returns what differs: no row means all is well. Call it where nothing is pending.';
