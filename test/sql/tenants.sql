-- Tenants: nothing crosses from one to another.

\set SHOW_CONTEXT never
SET datestyle = ISO;
CREATE SCHEMA tenants;
SET search_path = tenants;

CREATE TABLE red_order (id integer PRIMARY KEY, item text, quantity integer);
CREATE TABLE blue_order (id integer PRIMARY KEY, item text, quantity integer);
CREATE TABLE blue_web_order (id integer PRIMARY KEY, item text, quantity integer);
SELECT backorder.attach('red_order', 'item', 'quantity', tenant => 'red') > 0 AS attached;
SELECT backorder.attach('blue_order', 'item', 'quantity', tenant => 'blue') > 0 AS attached;
SELECT backorder.attach('blue_web_order', 'item', 'quantity', tenant => 'blue') > 0 AS attached;
CREATE VIEW recorded AS
SELECT l.tenant, s.line_table, l.order_key, l.item, l.allocated || '/' || l.backordered AS "a/b", l.promised_at, l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'tenants';
CREATE VIEW counters AS
SELECT tenant, item, on_hand, allocated, backordered, on_order, available FROM backorder.stock WHERE tenant IN ('red', 'blue');

-- The same item, the same order keys.  Two tables of one tenant share its stock.
INSERT INTO red_order VALUES (1, 'A', 3);
INSERT INTO blue_order VALUES (1, 'A', 3);
INSERT INTO blue_web_order VALUES (1, 'A', 3);
SELECT source, order_key, quantity FROM backorder.receive('A', 4, tenant => 'blue');
SELECT tenant, line_table, order_key, "a/b" FROM recorded ORDER BY line_id;
SELECT * FROM counters ORDER BY tenant;
SELECT count(*) FROM backorder.receive('A', 100);
SELECT tenant, line_table, order_key, "a/b" FROM recorded ORDER BY line_id;
DELETE FROM blue_order;
SELECT tenant, line_table, order_key, "a/b" FROM recorded ORDER BY line_id;

-- References are each tenant's own.
SELECT count(*) FROM backorder.receive('B', 1, reference => 'tenants/1', tenant => 'red');
SELECT count(*) FROM backorder.receive('B', 2, reference => 'tenants/1', tenant => 'blue');
SELECT * FROM counters WHERE item = 'B' ORDER BY tenant;

-- So are suppliers, purchase order numbers, plans and promises.
INSERT INTO backorder.supplier (tenant, supplier, lead_time) VALUES ('red', 'acme', 5), ('blue', 'acme', 9);
INSERT INTO backorder.supplier_item (tenant, supplier, item, order_multiple) VALUES ('red', 'acme', 'A', 10), ('blue', 'acme', 'A', 1);
SELECT tenant, item, ordered FROM backorder.plan_purchases(tenant => 'red');
SELECT tenant, item, ordered FROM backorder.plan_purchases(tenant => 'blue');
SELECT count(*) FROM backorder.purchase_order WHERE tenant IN ('red', 'blue') AND status = 'draft';
INSERT INTO backorder.purchase_order (tenant, po_id, supplier, status) VALUES ('red', 900000001, 'acme', 'placed'), ('blue', 900000001, 'acme', 'placed');
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, expected_at) VALUES
	('red', 900000001, 1, 'A', 5, '2099-12-01'), ('blue', 900000001, 1, 'A', 6, '2099-12-08');
INSERT INTO blue_order VALUES (2, 'A', 2);
SELECT tenant, line_table, order_key, "a/b", promised_at FROM recorded ORDER BY line_id;
SELECT count(*) FROM backorder.receive_purchase_line(900000001, 1, 2, tenant => 'red');
SELECT * FROM counters WHERE item = 'A' ORDER BY tenant;
SELECT backorder.close_purchase_order(900000001, 'blue');
SELECT tenant, status FROM backorder.purchase_order WHERE po_id = 900000001 ORDER BY tenant;
SELECT backorder.place_purchase_order(900000001, tenant => 'green');
\echo :SQLSTATE
SELECT backorder.available_from('A', 1, tenant => 'red') AS red, backorder.available_from('A', 1, tenant => 'blue') AS blue;

-- Events carry their tenant.
SELECT e.tenant, s.line_table, e.aggregateid, e.type FROM backorder.event e JOIN backorder.source s USING (tenant, source_id)
WHERE e.tenant IN ('red', 'blue') ORDER BY e.id;

-- One settling of several tenants, in one statement.
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity) VALUES ('red', 'A', 'receipt', 1), ('blue', 'A', 'receipt', 1);
SELECT tenant, line_table, order_key, "a/b" FROM recorded ORDER BY line_id;

SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'tenants' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA tenants CASCADE;
