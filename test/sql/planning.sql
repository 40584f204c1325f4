-- Planning: what is short becomes one draft per supplier and location.

\set SHOW_CONTEXT never
CREATE SCHEMA planning;
SET search_path = planning;

CREATE TABLE orders (id integer PRIMARY KEY, item text, quantity numeric, location text NOT NULL DEFAULT '');
SELECT backorder.attach('orders', 'item', 'quantity', location => 'location') > 0 AS attached;

INSERT INTO backorder.supplier (supplier, lead_time, minimum_order_value, currency) VALUES
	('acme', 7, 100, 'EUR'), ('bolt', 3, NULL, NULL), ('cord', NULL, NULL, NULL);

-- What lies in drafts.
CREATE VIEW draft AS
SELECT o.supplier, o.location, l.line_no, l.item, l.ordered, l.planned, l.for_backorders, l.for_reorder, l.for_rounding, o.po_id
FROM backorder.purchase_order_line l JOIN backorder.purchase_order o USING (tenant, po_id)
WHERE o.status = 'draft' AND tenant = '' AND o.supplier IN ('acme', 'bolt', 'cord');
-- Plans, and shows what came of it, in the order in which plan_purchases() returns it.
CREATE FUNCTION plan() RETURNS TABLE (supplier text, location text, item text, ordered numeric, for_backorders numeric, for_reorder numeric, for_rounding numeric)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	lines CONSTANT backorder.purchase_order_line[] := ARRAY(SELECT p FROM backorder.plan_purchases() p);
BEGIN
	RETURN QUERY
	SELECT o.supplier, o.location, p.item, p.ordered, p.for_backorders, p.for_reorder, p.for_rounding
	FROM unnest(lines) WITH ORDINALITY p JOIN backorder.purchase_order o USING (tenant, po_id) ORDER BY p.ordinality;
END $$;
CREATE VIEW plan AS SELECT * FROM plan();

-- Nothing is short: nothing is planned.
TABLE plan;

-- C14: a draft deleted by hand is planned again; what is on order is not.
INSERT INTO backorder.supplier_item (supplier, item) VALUES ('acme', 'c14');
INSERT INTO orders VALUES (14, 'c14', 250);
TABLE plan;
DELETE FROM backorder.purchase_order_line WHERE item = 'c14';
TABLE plan;
SELECT backorder.place_purchase_order(po_id) FROM draft;
SELECT d.order_key, d.quantity, d.allocated, d.backordered, d.ready
FROM backorder.purchases p, backorder.receive_purchase_line(p.po_id, p.line_no, 100) d WHERE p.item = 'c14' AND p.status = 'placed';
TABLE plan;
SELECT backordered, on_order FROM backorder.stock WHERE item = 'c14';

-- C15: need 1, plan, need 1 more, plan: one draft, one line, quantity 2.
INSERT INTO backorder.supplier_item (supplier, item) VALUES ('acme', 'c15');
INSERT INTO orders VALUES (1501, 'c15', 1);
TABLE plan;
INSERT INTO orders VALUES (1502, 'c15', 1);
TABLE plan;
SELECT count(DISTINCT po_id) AS drafts, count(*) AS lines, sum(ordered) AS quantity FROM draft;

-- C18: 90 on hand, 20 of them allocated; below the reorder point 80, so up to 100: 30.
INSERT INTO backorder.supplier_item (supplier, item) VALUES ('bolt', 'c18');
INSERT INTO backorder.item_policy (item, reorder_point, order_up_to) VALUES ('c18', 80, 100);
SELECT count(*) FROM backorder.receive('c18', 90);
INSERT INTO orders VALUES (18, 'c18', 20);
TABLE plan;

-- C19: 250, at most 100 (floored to 96) at a time, at least 24, in twelves: 96 + 96 + 60 in one draft.
INSERT INTO backorder.supplier_item (supplier, item, minimum_quantity, order_multiple, maximum_quantity) VALUES ('cord', 'c19', 24, 12, 100);
INSERT INTO orders VALUES (19, 'c19', 250);
SELECT item_, supplier_, n, quantity FROM backorder_internal.wanted_purchases('c19', NULL, '') ORDER BY n;
SELECT * FROM plan WHERE item = 'c19';
SELECT count(DISTINCT po_id) AS drafts FROM draft WHERE item = 'c19';

-- Short 7, 5 and 1, multiple 6, minimum 12: one line of 18; after the 7 is cancelled: 12.
INSERT INTO backorder.supplier_item (supplier, item, minimum_quantity, order_multiple) VALUES ('acme', 'pl example', 12, 6);
INSERT INTO orders VALUES (1, 'pl example', 7), (2, 'pl example', 5), (3, 'pl example', 1);
SELECT * FROM plan WHERE item = 'pl example';
DELETE FROM orders WHERE id = 1;
SELECT * FROM plan WHERE item = 'pl example';

-- Nobody's needs.
SELECT count(*) FROM backorder.plan_purchases(tenant => NULL);
-- Running it again changes nothing, not even a row version.
CREATE TABLE before AS SELECT l.*, l.ctid AS version FROM backorder.purchase_order_line l JOIN draft USING (po_id, line_no);
SELECT count(*) FROM plan;
SELECT count(*) AS changed FROM before b LEFT JOIN backorder.purchase_order_line l USING (tenant, po_id, line_no)
WHERE l.ctid IS DISTINCT FROM b.version;
DROP TABLE before;

-- A draft shrinks with the need, and goes when it is empty.
DELETE FROM orders WHERE id IN (2, 3, 19, 1501, 1502);
TABLE plan;
SELECT count(*) FROM backorder.purchase_order WHERE status = 'draft' AND supplier IN ('acme', 'cord');
SELECT count(*) FROM backorder.receive('c18', 10);
TABLE plan;

-- A draft with a note stays when it is empty.
INSERT INTO orders VALUES (4, 'pl example', 1);
SELECT count(*) FROM plan;
UPDATE backorder.purchase_order SET note = 'ask for a discount' WHERE status = 'draft' AND supplier = 'acme';
DELETE FROM orders WHERE id = 4;
TABLE plan;
SELECT supplier, note FROM backorder.purchase_order WHERE status = 'draft' AND supplier = 'acme';
DELETE FROM backorder.purchase_order WHERE status = 'draft' AND supplier = 'acme';

-- The preferred active supplier gets it; above its maximum the rest goes to the next, and so on.
INSERT INTO backorder.supplier_item (supplier, item, rank, unit_cost, order_multiple, maximum_quantity) VALUES
	('acme', 'pl ranked', 2, 3.00, 4, 10), ('bolt', 'pl ranked', 1, 2.50, 1, 5), ('cord', 'pl ranked', 3, 4.00, 5, NULL);
INSERT INTO orders VALUES (5, 'pl ranked', 5);
SELECT * FROM plan WHERE item = 'pl ranked';
INSERT INTO orders VALUES (6, 'pl ranked', 1);
SELECT * FROM plan WHERE item = 'pl ranked';
INSERT INTO orders VALUES (7, 'pl ranked', 8);
SELECT * FROM plan WHERE item = 'pl ranked';
-- Where the last one has a maximum too, it gets further lines.
UPDATE backorder.supplier_item SET maximum_quantity = 5 WHERE supplier = 'cord' AND item = 'pl ranked';
INSERT INTO orders VALUES (8, 'pl ranked', 11);
SELECT * FROM plan WHERE item = 'pl ranked';
-- An inactive supplier, and an inactive item of a supplier, get nothing; nor one who may not deliver a multiple.
UPDATE backorder.supplier SET active = false WHERE supplier = 'bolt';
UPDATE backorder.supplier_item SET active = false WHERE supplier = 'acme' AND item = 'pl ranked';
SELECT * FROM plan WHERE item = 'pl ranked';
UPDATE backorder.supplier SET active = true WHERE supplier = 'bolt';
UPDATE backorder.supplier_item SET order_multiple = 6 WHERE supplier = 'cord' AND item = 'pl ranked';
SELECT * FROM plan WHERE item = 'pl ranked';
DELETE FROM orders WHERE item = 'pl ranked';
TABLE plan;

-- Reorder levels: below the point, not at it; without an order-up-to, up to the point; with backorders on top.
INSERT INTO backorder.supplier_item (supplier, item) SELECT 'acme', 'pl level ' || i FROM generate_series(1, 4) i;
INSERT INTO backorder.item_policy (item, reorder_point, order_up_to) VALUES ('pl level 1', 5, NULL), ('pl level 2', 5, 8), ('pl level 3', 5, 8), ('pl level 4', 10, 20);
SELECT count(*) FROM backorder.receive('pl level 1', 3);
SELECT count(*) FROM backorder.receive('pl level 2', 5);
SELECT count(*) FROM backorder.receive('pl level 3', 6);
SELECT count(*) FROM backorder.hold_stock('pl level 3', 2, 'wet');
INSERT INTO orders VALUES (9, 'pl level 4', 4);
TABLE plan;
DELETE FROM backorder.item_policy WHERE item LIKE 'pl level%';
TABLE plan;
-- An item with a policy and a supplier, and nothing else.
INSERT INTO backorder.supplier_item (supplier, item) VALUES ('acme', 'pl new');
INSERT INTO backorder.item_policy (item, reorder_point) VALUES ('pl new', 3);
SELECT * FROM plan WHERE item = 'pl new';
DELETE FROM backorder.item_policy WHERE item = 'pl new';
DELETE FROM orders WHERE id = 9;
TABLE plan;

-- Hand edits stay: a quantity that is not the planned one counts as supply.
INSERT INTO orders VALUES (10, 'pl example', 13);
SELECT * FROM plan WHERE item = 'pl example';
UPDATE backorder.purchase_order_line SET ordered = 24 WHERE item = 'pl example' AND planned = 18;
INSERT INTO orders VALUES (11, 'pl example', 11);
SELECT count(*) FROM plan;
SELECT item, ordered, planned FROM draft;
-- What it does not cover gets a line of its own.
INSERT INTO orders VALUES (12, 'pl example', 1);
SELECT count(*) FROM plan;
SELECT line_no, item, ordered, planned, for_backorders, for_rounding FROM draft ORDER BY line_no;
-- Lowered by hand, too.
UPDATE backorder.purchase_order_line SET ordered = 6 WHERE item = 'pl example' AND planned = 18;
SELECT count(*) FROM plan;
SELECT line_no, item, ordered, planned, for_backorders, for_rounding FROM draft ORDER BY line_no;
DELETE FROM backorder.purchase_order WHERE status = 'draft' AND supplier = 'acme';
-- A line cancelled by hand, and lines and whole drafts written by hand.
SELECT * FROM plan;
UPDATE backorder.purchase_order_line SET cancelled = 30 WHERE item = 'pl example' AND planned = 30;
SELECT count(*) FROM plan;
SELECT line_no, item, ordered, planned, for_backorders, for_rounding FROM draft ORDER BY line_no;
DELETE FROM backorder.purchase_order WHERE status = 'draft' AND supplier = 'acme';
INSERT INTO backorder.purchase_order (supplier) VALUES ('bolt');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered)
SELECT po_id, 1, 'pl example', 20 FROM backorder.purchase_order WHERE supplier = 'bolt' AND status = 'draft' AND NOT planner;
SELECT count(*) FROM plan;
SELECT supplier, line_no, item, ordered, planned, for_backorders, for_rounding FROM draft ORDER BY supplier, line_no;
DELETE FROM backorder.purchase_order WHERE status = 'draft' AND supplier IN ('acme', 'bolt');
DELETE FROM orders WHERE item = 'pl example';

-- Placed orders are never changed; new need is a new draft; what is too much is a `surplus` event, said once.
CREATE VIEW surplus AS
SELECT payload - 'purchase_orders' AS payload, payload #- '{purchase_orders,0,po_id}' -> 'purchase_orders' AS purchase_orders, id
FROM backorder.event WHERE type = 'surplus' AND tenant = '' AND aggregateid = 'pl example';
INSERT INTO orders VALUES (21, 'pl example', 7), (22, 'pl example', 5), (23, 'pl example', 1);
SELECT count(*) FROM plan;
UPDATE backorder.purchase_order_line SET expected_at = '2099-12-01' WHERE item = 'pl example';
SELECT backorder.place_purchase_order(po_id) FROM draft;
TABLE plan;
SELECT count(*) FROM surplus;
DELETE FROM orders WHERE id = 21;
TABLE plan;
SELECT payload, purchase_orders FROM surplus ORDER BY id;
SELECT item, ordered FROM backorder.purchases WHERE item = 'pl example' AND status = 'placed';
TABLE plan;
SELECT count(*) FROM surplus;
DELETE FROM orders WHERE id = 22;
TABLE plan;
SELECT payload FROM surplus ORDER BY id;
-- Needed again: no event; too much again: an event.
INSERT INTO orders VALUES (24, 'pl example', 12);
TABLE plan;
SELECT count(*) FROM surplus;
INSERT INTO orders VALUES (25, 'pl example', 10);
TABLE plan;
DELETE FROM orders WHERE id IN (24, 25);
TABLE plan;
SELECT payload FROM surplus ORDER BY id;

-- One draft per supplier and location; a plan of one item, supplier or location leaves the others alone.
INSERT INTO backorder.supplier_item (supplier, item) VALUES ('acme', 'pl X'), ('acme', 'pl Y'), ('bolt', 'pl Z');
INSERT INTO orders VALUES (31, 'pl X', 1, 'east'), (32, 'pl X', 2, 'west'), (33, 'pl Y', 3, 'east'), (34, 'pl Z', 4, 'east');
SELECT item, ordered FROM backorder.plan_purchases('pl X') ORDER BY ordered;
SELECT item, ordered FROM backorder.plan_purchases(supplier => 'bolt');
SELECT item, ordered FROM backorder.plan_purchases(location => 'east') ORDER BY ordered;
SELECT count(*) FROM backorder.plan_purchases('pl Y', 'bolt');
TABLE plan;
SELECT count(DISTINCT po_id) AS drafts FROM draft;
SELECT count(*) FROM backorder.plan_purchases(tenant => 'nobody');

-- In one transaction with the orders: they are settled first.
BEGIN;
INSERT INTO orders VALUES (35, 'pl Z', 1, 'east');
SELECT item, ordered, for_backorders FROM backorder.plan_purchases('pl Z');
ROLLBACK;

-- Multiples and quantities need not be whole.
INSERT INTO backorder.supplier_item (supplier, item, minimum_quantity, order_multiple) VALUES ('cord', 'pl rope', 1.1, 0.25);
INSERT INTO orders VALUES (36, 'pl rope', 0.3), (37, 'pl rope', 0.9);
SELECT * FROM plan WHERE item = 'pl rope';
DELETE FROM orders WHERE id = 37;
SELECT * FROM plan WHERE item = 'pl rope';

-- Numbers of every length are as exact as numeric's: on both sides of where those end that are computed without it.
CREATE TABLE number AS SELECT q, 'pl n ' || q AS item FROM unnest(ARRAY[1, 4, 254, 255, 256, 257, 9996, 9997, 9999, 10000, 10001, 19997, 123456789, 9999.5, 12345678901234567890.25]) q;
INSERT INTO backorder.supplier_item (supplier, item, order_multiple, maximum_quantity) SELECT 'cord', item, 4, CASE WHEN q = 9997 THEN 9999 END FROM number;
INSERT INTO orders SELECT 100 + row_number() OVER (ORDER BY q), item, q FROM number;
SELECT q, s.backordered = q AS waits, w.n, w.quantity, w.for_backorders, w.for_rounding, w.quantity = ceil(q / 4) * 4 AND w.for_rounding = w.quantity - q AS exact
FROM number JOIN backorder_internal.wanted_purchases(NULL, NULL, '') w ON w.item_ = item JOIN backorder.stock s USING (item) WHERE s.tenant = '' ORDER BY q, w.n;
DELETE FROM orders WHERE item LIKE 'pl n %';
SELECT count(*) FROM backorder.stock s JOIN number USING (item) WHERE s.backordered <> 0;
DELETE FROM backorder.supplier_item WHERE item LIKE 'pl n %';

-- Terms that changed are in the next plan.
UPDATE backorder.supplier_item SET unit_cost = 1.5, minimum_quantity = 2 WHERE item = 'pl rope';
SELECT * FROM plan WHERE item = 'pl rope';
SELECT item, ordered, unit_cost, cost, order_value, minimum_order_value, currency FROM backorder.purchases WHERE item = 'pl rope';

-- More lines than memory keeps as they are: written, rewritten and taken away.
INSERT INTO backorder.supplier (tenant, supplier) VALUES ('pl many', 'acme');
INSERT INTO backorder.supplier_item (tenant, supplier, item) SELECT 'pl many', 'acme', n::text FROM generate_series(1, 1100) n;
INSERT INTO backorder.item_policy (tenant, item, reorder_point) SELECT 'pl many', n::text, 2 FROM generate_series(1, 1100) n;
SELECT count(*), sum(ordered) FROM backorder.plan_purchases(tenant => 'pl many');
UPDATE backorder.item_policy SET order_up_to = 5 WHERE tenant = 'pl many';
SELECT count(*), sum(ordered) FROM backorder.plan_purchases(tenant => 'pl many');
DELETE FROM backorder.item_policy WHERE tenant = 'pl many';
SELECT count(*), sum(ordered) FROM backorder.plan_purchases(tenant => 'pl many');
DELETE FROM backorder.supplier_item WHERE tenant = 'pl many';
DELETE FROM backorder.supplier WHERE tenant = 'pl many';

-- Nothing is left behind for other plans.
TRUNCATE orders;
TABLE plan;
SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'planning' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA planning CASCADE;
