-- The main job, once through: order, shortage, receipt, plan, purchase order, shipping.
CREATE SCHEMA first_order;
CREATE TABLE first_order.orders (id int PRIMARY KEY, customer text, status text DEFAULT 'placed');
CREATE TABLE first_order.lines (id int PRIMARY KEY, order_id int REFERENCES first_order.orders ON DELETE CASCADE, sku text, qty int, shipped int DEFAULT 0);
CREATE INDEX ON first_order.lines (order_id);
SELECT backorder.attach('first_order.lines', item => 'sku', quantity => 'qty', order_key => 'order_id',
	header_table => 'first_order.orders', live => $$status = 'placed'$$, shipped => 'shipped', customer => 'customer') > 0 AS attached;
INSERT INTO first_order.orders VALUES (1, 'ann'), (2, 'bob');
INSERT INTO first_order.lines VALUES (1, 1, 'FA', 4), (2, 2, 'FA', 1);
SELECT order_key, quantity, allocated, backordered, ready FROM backorder.receive('FA', 3);
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('FS', 10);
INSERT INTO backorder.supplier_item (supplier, item, order_multiple) VALUES ('FS', 'FA', 6);
SELECT item, ordered, for_backorders, for_rounding FROM backorder.plan_purchases(item => 'FA');
SELECT backorder.place_purchase_order(po_id) FROM backorder.purchase_order WHERE supplier = 'FS';
SELECT order_key, quantity, ready FROM backorder.receive_purchase_order((SELECT po_id FROM backorder.purchase_order WHERE supplier = 'FS'));
UPDATE first_order.lines SET shipped = 2 WHERE id = 1;
DELETE FROM first_order.orders WHERE id = 2;
SELECT order_key, ordered, shipped, allocated, backordered FROM backorder.order_line WHERE item = 'FA';
SELECT on_hand, allocated, available, backordered, on_order FROM backorder.stock WHERE item = 'FA';
SELECT type, aggregateid FROM backorder.event WHERE source_id = (SELECT source_id FROM backorder.source WHERE line_schema = 'first_order') ORDER BY id;
SELECT * FROM backorder.verify();
SELECT backorder.detach('first_order.lines');
