-- What the views and the reading functions say.

\set SHOW_CONTEXT never
SET datestyle = ISO;
CREATE SCHEMA views;
SET search_path = views;

-- A tenant of its own, so that views which are not filtered by item can be shown whole.
CREATE TABLE line (order_id integer, no integer, item text, quantity integer, cancelled integer, shipped integer, customer text, priority integer,
	ordered_at timestamptz DEFAULT now(), held boolean, live boolean NOT NULL DEFAULT true, PRIMARY KEY (order_id, no));
SELECT backorder.attach('line', 'item', 'quantity', line_key => 'no', order_key => 'order_id', customer => 'customer', priority => 'priority',
	cancelled => 'cancelled', shipped => 'shipped', queued_at => 'ordered_at', held => 'held', live => 'live', tenant => 'views') > 0 AS attached;
INSERT INTO backorder.supplier (tenant, supplier, lead_time, minimum_order_value, currency, active) VALUES
	('views', 'good', 5, 50, 'EUR', true), ('views', 'gone', 5, NULL, NULL, false);
INSERT INTO backorder.supplier_item (tenant, supplier, item, unit_cost, order_multiple, maximum_quantity, active) VALUES
	('views', 'good', 'A', 2.5, 6, NULL, true), ('views', 'good', 'E', 1, 1, NULL, false), ('views', 'gone', 'F', 1, 1, NULL, true),
	('views', 'good', 'G', 1, 10, 5, true);
INSERT INTO backorder.purchase_order (tenant, po_id, supplier, status) VALUES ('views', 800000001, 'good', 'placed'), ('views', 800000002, 'good', 'draft');
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, cancelled, unit_cost, expected_at) VALUES
	('views', 800000001, 1, 'A', 6, 1, 2.5, '2099-12-01'), ('views', 800000001, 2, 'A', 5, 0, 2.5, '2099-12-08'),
	('views', 800000001, 3, 'B', 3, 0, 10, '2099-12-01'), ('views', 800000002, 1, 'A', 6, 0, 2.5, NULL);

SELECT count(*) FROM backorder.receive('A', 3, tenant => 'views');
SELECT count(*) FROM backorder.receive('C', 5, tenant => 'views');
SELECT count(*) FROM backorder.receive('D', 9, tenant => 'views');
SELECT count(*) FROM backorder.hold_stock('D', 2, 'wet', tenant => 'views');
INSERT INTO line (order_id, no, item, quantity, customer, ordered_at) VALUES
	(1, 1, 'A', 5, 'Ann', now() - interval '90 days'), (1, 2, 'C', 2, 'Ann', now() - interval '90 days'),
	(2, 1, 'A', 4, 'Bob', now() - interval '40 days'), (3, 1, 'A', 1, 'Cyd', now() - interval '20 days'),
	(4, 1, 'A', 7, 'Dan', now() - interval '10 days'), (5, 1, 'A', 1, NULL, now() - interval '3 days'),
	(6, 1, 'C', 3, 'Eve', now()), (7, 1, 'B', 1, 'Fay', now()), (7, 2, 'B', 1, 'Fay', now());
INSERT INTO line (order_id, no, item, quantity, cancelled, shipped, customer) VALUES (8, 1, 'D', 5, 1, 2, 'Gil'), (9, 1, 'D', 2, 0, 2, 'Hal');
UPDATE line SET priority = 3 WHERE order_id = 3;
UPDATE line SET held = true WHERE order_id = 5;
UPDATE line SET live = false WHERE order_id = 9;

-- backlog: who waits, in which order, behind how much.
SELECT item, order_key, line_key, customer, ordered, allocated, backordered, priority, held, rank, ahead, first_promised_at, promised_at
FROM backorder.backlog WHERE tenant = 'views' ORDER BY item, rank, order_key, line_key;
SELECT order_key, rank FROM backorder.backlog WHERE tenant = 'views' AND item = 'A' AND order_key = '4';
SELECT bool_and(age = now() - queued_at) AS age FROM backorder.backlog WHERE tenant = 'views';

-- shortage: which items, and what is on order for them.
SELECT item, location, backordered, on_order, uncovered, lines, orders, oldest < now() AS since, next_expected_at
FROM backorder.shortage WHERE tenant = 'views' ORDER BY item;

-- pegging: which purchase order line covers which waiting line.
SELECT item, order_key, line_key, customer, po_id, line_no, expected_at, quantity
FROM backorder.pegging WHERE tenant = 'views' ORDER BY item, po_id, line_no, order_key, line_key;

-- order_status: one row per order.
SELECT source, order_key, customer, lines, open, allocated, backordered, shipped, status, promised_at
FROM backorder.order_status WHERE tenant = 'views' ORDER BY order_key;

-- availability
SELECT * FROM backorder.availability WHERE tenant = 'views' ORDER BY item;

-- purchases
SELECT po_id, line_no, supplier, status, item, ordered, cancelled, received, open, expected_at, unit_cost, cost, order_value, minimum_order_value, currency
FROM backorder.purchases WHERE tenant = 'views' ORDER BY po_id, line_no;

-- aging
SELECT bucket, lines, backordered, oldest = (SELECT min(queued_at) FROM backorder.backlog b WHERE b.tenant = a.tenant) AS oldest_of_all
FROM backorder.aging a WHERE tenant = 'views' ORDER BY oldest;

-- fill_rate: what was allocated when the line was first settled.
SELECT * FROM backorder.fill_rate WHERE tenant = 'views' ORDER BY item;

-- inventory_position: what planning starts from.
SELECT * FROM backorder_internal.inventory_position WHERE tenant = 'views' ORDER BY item;

-- explain: what an order has, waits for, and why.
SELECT * FROM backorder.explain('1') WHERE source_ = 'line'::regclass;
SELECT * FROM backorder.explain('2', 'line');
SELECT line, has, waits_for, rank, ahead, next_supply, promised_at, why FROM backorder.explain('4', 'line');
SELECT line, has, waits_for, rank, ahead, next_supply, promised_at, why FROM backorder.explain('5', 'line');
SELECT line, has, waits_for, rank, ahead, next_supply, promised_at, why FROM backorder.explain('7', 'line');
SELECT line, ordered, shipped, has, waits_for, why FROM backorder.explain('8', 'line');
SELECT line, ordered, shipped, has, waits_for, why FROM backorder.explain('9', 'line');
UPDATE line SET shipped = 4 WHERE order_id = 8;
SELECT line, ordered, shipped, has, waits_for, why FROM backorder.explain('8', 'line');
DELETE FROM line WHERE order_id = 8;
SELECT line, ordered, shipped, has, waits_for, why FROM backorder.explain('8', 'line');
SELECT * FROM backorder.explain('no such order');
\echo :SQLSTATE
SELECT * FROM backorder.explain('1', 'pg_class');
\echo :SQLSTATE
-- An order of which nothing is recorded: what its table says.
INSERT INTO line (order_id, no, item, quantity, live) VALUES (50, 1, 'A', 5, false), (50, 2, NULL, 1, true), (50, 3, 'A', 0, true), (51, 1, 'A', 1, true);
SELECT * FROM backorder.explain('50', 'line');
DELETE FROM line WHERE order_id = 51;
SELECT source_, line, why FROM backorder.explain('51', 'line');
-- One line that is recorded, and the order speaks for itself.
UPDATE line SET item = 'C' WHERE order_id = 50 AND no = 2;
SELECT line, has, waits_for, why FROM backorder.explain('50', 'line');
DELETE FROM line WHERE order_id = 50;

-- unsourced: what cannot be planned, and why; and how explain says it.
INSERT INTO backorder.item_policy (tenant, item, reorder_point) VALUES ('views', 'H', 4), ('views', 'A', 100);
INSERT INTO line (order_id, no, item, quantity) VALUES (20, 1, 'E', 1), (20, 2, 'F', 2), (20, 3, 'G', 3), (20, 4, 'C', 4), (20, 5, 'unheard of', 5), (20, 6, 'B', 6);
SELECT * FROM backorder.unsourced WHERE tenant = 'views' ORDER BY item;
SELECT line, item, waits_for, next_supply, why FROM backorder.explain('20', 'line');
UPDATE backorder.supplier_item SET active = true WHERE tenant = 'views' AND item = 'E';
SELECT item, why FROM backorder.explain('20', 'line') WHERE item = 'E';
DELETE FROM backorder.item_policy WHERE tenant = 'views';

-- A supply without a date, one that is late, and promises still to be made.
INSERT INTO backorder.supplier (tenant, supplier) VALUES ('views', 'some day');
INSERT INTO backorder.purchase_order (tenant, po_id, supplier, status) VALUES ('views', 800000003, 'some day', 'placed');
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, expected_at) VALUES
	('views', 800000001, 4, 'F', 5, '2000-01-01'), ('views', 800000003, 1, 'unheard of', 5, NULL);
SELECT item, next_supply, promised_at, why FROM backorder.explain('20', 'line') WHERE item IN ('F', 'unheard of');
BEGIN;
UPDATE backorder.stock SET promises_stale = true WHERE tenant = 'views' AND item = 'F';
UPDATE backorder.order_line SET promised_at = '2001-01-01' WHERE tenant = 'views' AND order_key = '2';
SELECT why FROM backorder.explain('20', 'line') WHERE item = 'F';
SELECT why FROM backorder.explain('2', 'line');
ROLLBACK;

-- available_from: the day for a new order.
INSERT INTO backorder.item_policy (tenant, item, handling_time) VALUES ('views', 'I', 2);
SELECT count(*) FROM backorder.receive('I', 5, tenant => 'views');
SELECT backorder.available_from('I', 5, tenant => 'views') - backorder_internal.today() AS days, backorder.available_from('I', 6, tenant => 'views') AS more;
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, expected_at) VALUES
	('views', 800000001, 6, 'I', 5, '2099-12-01'), ('views', 800000001, 7, 'I', 5, '2099-12-08');
SELECT n, backorder.available_from('I', n, tenant => 'views') FROM unnest('{6,10,11,15,16}'::numeric[]) n;
INSERT INTO line (order_id, no, item, quantity) VALUES (30, 1, 'I', 7);
SELECT n, backorder.available_from('I', n, tenant => 'views') FROM unnest('{1,3,4,8,9}'::numeric[]) n;
-- It is what a new order gets.
INSERT INTO line (order_id, no, item, quantity) VALUES (31, 1, 'I', 4);
SELECT promised_at FROM backorder.explain('31', 'line');
SELECT backorder.available_from('I', 1, 'east', 'views'), backorder.available_from('never seen', 1);

-- purchase_surplus: what placed orders have too much of.
INSERT INTO line (order_id, no, item, quantity) VALUES (40, 1, 'J', 7);
INSERT INTO backorder.supplier_item (tenant, supplier, item, order_multiple) VALUES ('views', 'good', 'J', 4);
SELECT count(*) FROM backorder.plan_purchases('J', tenant => 'views');
UPDATE backorder.purchase_order_line SET expected_at = '2099-12-01' WHERE tenant = 'views' AND item = 'J';
SELECT backorder.place_purchase_order(po_id, tenant => 'views') FROM backorder.purchases WHERE tenant = 'views' AND item = 'J';
UPDATE line SET quantity = 2 WHERE order_id = 40;
SELECT item, surplus, notified, purchase_orders #> '{0,open}' AS open FROM backorder_internal.purchase_surplus WHERE tenant = 'views' AND item = 'J';

-- Every object of the extension has a comment.
SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND obj_description(p.oid, 'pg_proc') IS NULL ORDER BY 1::text;
SELECT c.oid::regclass FROM pg_class c WHERE relnamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND relkind IN ('r', 'v', 'S') AND obj_description(c.oid, 'pg_class') IS NULL
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i') ORDER BY 1::text;
SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE relnamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND relkind = 'r' AND attnum > 0 AND NOT attisdropped AND col_description(a.attrelid, attnum) IS NULL ORDER BY 1::text, 2;

SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'views' AND detached_at IS NULL;
SELECT shipped, why FROM backorder.explain('9', 'line');
SELECT why FROM backorder.explain('1', 'line');
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA views CASCADE;
