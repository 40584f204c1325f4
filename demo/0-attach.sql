-- How to read demo/[0-7]-*.sql: paragraphs of SQL that script/demo shows and runs. A paragraph begins
-- with none or more of
--   --#  a title         --:  a line of prose       --=  run silently, the answer is prose
--   --?  a check: run silently, the answer is true and what it proves
--   --$  run silently in the session of the checks
--   --@ A  run in session A     --@ A &  ... and do not wait for the end    --< A  wait for it
--   --~ A  wait until session A waits for a lock
-- The sessions app, A and B are the application's: they are role shop_app. The others are superuser.

--# A shop, and one statement

--=
SELECT format('A distributor of bicycle parts: %s items of %s suppliers, %s customers, and two weeks of orders: %s'
	||E'\n'||'with %s lines, %s of them still open. Its tables have never heard of backorder.',
	(SELECT count(*) FROM shop.items), (SELECT count(*) FROM shop.suppliers), (SELECT count(*) FROM shop.customers),
	(SELECT count(*) FROM shop.orders), (SELECT count(*) FROM shop.order_lines),
	(SELECT count(*) FROM shop.orders JOIN shop.order_lines USING (order_no) WHERE status = 'open' AND shipped < qty));

CREATE EXTENSION backorder;

--: Tell it what is in stock, who supplies what on which terms, and what is already on its way.
INSERT INTO backorder.stock_movement (item, kind, quantity)
SELECT sku, 'opening', on_hand FROM shop.items WHERE on_hand > 0;
INSERT INTO backorder.supplier (supplier, name, lead_time, minimum_order_value, currency)
SELECT supplier, name, lead_time, minimum_order_value, currency FROM shop.suppliers;
INSERT INTO backorder.supplier_item (supplier, item, unit_cost, order_multiple, minimum_quantity)
SELECT supplier, sku, unit_cost, order_multiple, minimum_quantity FROM shop.items;
INSERT INTO backorder.purchase_order (po_id, supplier, status, placed_at)
SELECT DISTINCT po, supplier, 'placed', placed_at FROM shop.purchases;
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at)
SELECT po, row_number() OVER (PARTITION BY po ORDER BY sku), sku, qty, expected_at
FROM shop.purchases;

--: Say where the orders are and what the columns mean. The tables get triggers, and nothing else.
SELECT backorder.attach('shop.order_lines', order_key => 'order_no', line_key => 'line_no',
    header_table => 'shop.orders', header_key => 'order_no', live => $$status = 'open'$$,
    item => 'sku', quantity => 'qty', shipped => 'shipped',
    customer => 'customer', priority => 'priority', queued_at => 'ordered_at') AS source_id;

--: From now on the shortages are facts in the database, the old ones too. The five largest:
SELECT s.item, i.name, s.backordered AS short, s.lines, s.orders, s.on_order, s.next_expected_at
FROM backorder.shortage s JOIN shop.items i ON i.sku = s.item
ORDER BY s.backordered DESC, s.item LIMIT 5;

--?
SELECT sum(l.qty - l.shipped) = (SELECT sum(allocated + backordered) FROM backorder.stock),
	format('%s open units of %s lines: %s allocated, %s short; attaching moved no stock, told nobody',
		sum(l.qty - l.shipped), count(*), (SELECT sum(allocated) FROM backorder.stock), (SELECT sum(backordered) FROM backorder.stock))
FROM shop.order_lines l JOIN shop.orders o USING (order_no)
WHERE o.status = 'open' AND l.qty > l.shipped
	AND NOT EXISTS (SELECT FROM backorder.stock_movement WHERE kind <> 'opening') AND NOT EXISTS (SELECT FROM backorder.event);

--$
CREATE FUNCTION pg_temp.fingerprint() RETURNS text LANGUAGE sql AS $$
	SELECT md5(concat(
		(SELECT string_agg(t::text, '' ORDER BY t::text) FROM backorder.sales_order t),
		(SELECT string_agg(t::text, '' ORDER BY t::text) FROM backorder.order_line t),
		(SELECT string_agg(t::text, '' ORDER BY t::text) FROM backorder.stock t),
		(SELECT string_agg(t::text, '' ORDER BY t::text) FROM backorder.supply t),
		(SELECT string_agg(t::text, '' ORDER BY t::text) FROM backorder.allocation t),
		(SELECT string_agg(t::text, '' ORDER BY t::text) FROM backorder.waiting_order t),
		(SELECT string_agg(t::text, '' ORDER BY t::text) FROM backorder.event t),
		(SELECT string_agg(t::text, '' ORDER BY t::text) FROM backorder.stock_movement t)))
$$;
