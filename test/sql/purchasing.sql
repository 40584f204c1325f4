-- Purchase orders: placed, received, closed, cancelled, by functions and by plain SQL.

\set SHOW_CONTEXT never
SET datestyle = ISO;
CREATE SCHEMA purchasing;
SET search_path = purchasing;

CREATE TABLE orders (id integer PRIMARY KEY, item text, quantity integer);
SELECT backorder.attach('orders', 'item', 'quantity') > 0 AS attached;
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('p1', 5), ('p2', NULL), ('p3', 9);
INSERT INTO backorder.supplier_item (supplier, item, lead_time) VALUES ('p1', 'pu slow', 30), ('p3', 'pu now', 0);

CREATE VIEW purchases AS
SELECT po_id - 500000000 AS po, line_no, status, location, item, ordered, cancelled, received, open, expected_at
FROM backorder.purchases WHERE po_id BETWEEN 500000000 AND 500999999;
CREATE VIEW counters AS SELECT item, location, on_hand, allocated, backordered, on_order FROM backorder.stock WHERE tenant = '';
CREATE VIEW recorded AS
SELECT l.order_key, l.item, l.allocated || '/' || l.backordered AS "a/b", l.promised_at, l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'purchasing';
-- What a command comes to: what goes wrong, or "done".
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- C16: 300 ordered; 303 received: open 0; reversed: 300; 100 received: 200; closed: 0.  On order follows.
INSERT INTO backorder.purchase_order (po_id, supplier) VALUES (500000016, 'p1');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered) VALUES (500000016, 1, 'pu c16', 300);
SELECT on_order FROM counters WHERE item = 'pu c16';
SELECT backorder.place_purchase_order(500000016);
SELECT ordered, received, open, on_order, on_hand FROM purchases JOIN counters USING (item) WHERE item = 'pu c16';
SELECT count(*) FROM backorder.receive_purchase_line(500000016, 1, 303);
SELECT ordered, received, open, on_order, on_hand FROM purchases JOIN counters USING (item) WHERE item = 'pu c16';
SELECT count(*) FROM backorder.receive_purchase_line(500000016, 1, -303);
SELECT ordered, received, open, on_order, on_hand FROM purchases JOIN counters USING (item) WHERE item = 'pu c16';
SELECT count(*) FROM backorder.receive_purchase_line(500000016, 1, 100);
SELECT ordered, received, open, on_order, on_hand FROM purchases JOIN counters USING (item) WHERE item = 'pu c16';
SELECT backorder.close_purchase_order(500000016);
SELECT status, ordered, received, open, on_order, on_hand FROM purchases JOIN counters USING (item) WHERE item = 'pu c16';
-- Closed: a receipt is refused; a reversal is not, and reopens nothing.
SELECT count(*) FROM backorder.receive_purchase_line(500000016, 1, 1);
\echo :SQLSTATE
SELECT count(*) FROM backorder.receive_purchase_line(500000016, 1, -40);
SELECT status, ordered, received, open, on_order, on_hand FROM purchases JOIN counters USING (item) WHERE item = 'pu c16';
-- More than was received cannot be reversed.
SELECT count(*) FROM backorder.receive('pu c16', 100);
SELECT count(*) FROM backorder.receive_purchase_line(500000016, 1, -61);
\echo :SQLSTATE

-- C17: 200 and 100 of one item; 150 and 60 received on the first, 60 reversed, closed: 50, 0, 50, 0 and 100 throughout.
INSERT INTO backorder.purchase_order (po_id, supplier) VALUES (500000171, 'p1'), (500000172, 'p2');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered) VALUES (500000171, 1, 'pu c17', 200), (500000172, 1, 'pu c17', 100);
SELECT backorder.place_purchase_order(500000171), backorder.place_purchase_order(500000172);
SELECT count(*) FROM backorder.receive_purchase_line(500000171, 1, 150);
SELECT po, received, open, on_order FROM purchases JOIN counters USING (item) WHERE item = 'pu c17' ORDER BY po;
SELECT count(*) FROM backorder.receive_purchase_line(500000171, 1, 60);
SELECT po, received, open, on_order FROM purchases JOIN counters USING (item) WHERE item = 'pu c17' ORDER BY po;
SELECT count(*) FROM backorder.receive_purchase_line(500000171, 1, -60);
SELECT po, received, open, on_order FROM purchases JOIN counters USING (item) WHERE item = 'pu c17' ORDER BY po;
SELECT backorder.close_purchase_order(500000171);
SELECT po, received, open, on_order FROM purchases JOIN counters USING (item) WHERE item = 'pu c17' ORDER BY po;

-- Goods go down the queue by rank, the ledger naming the purchase order line.
INSERT INTO orders VALUES (1, 'pu A', 4), (2, 'pu A', 4), (3, 'pu B', 2);
INSERT INTO backorder.purchase_order (po_id, supplier) VALUES (500000001, 'p1');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES
	(500000001, 1, 'pu A', 6, '2099-12-01'), (500000001, 2, 'pu B', 2, '2099-12-01'), (500000001, 3, 'pu slow', 1, NULL);
SELECT backorder.place_purchase_order(500000001);
SELECT order_key, "a/b", promised_at FROM recorded ORDER BY line_id;
SELECT order_key, item, quantity, allocated, backordered, ready FROM backorder.receive_purchase_line(500000001, 1, 5);
SELECT order_key, quantity FROM backorder.receive_purchase_line(500000001, 2, 1, held => true);
SELECT on_hand, unavailable, available FROM backorder.stock WHERE item = 'pu B';
-- All that is open.
SELECT order_key, item, quantity FROM backorder.receive_purchase_order(500000001);
SELECT order_key, item, quantity FROM backorder.receive_purchase_order(500000001);
SELECT * FROM purchases WHERE po = 1 AND item <> 'pu slow' ORDER BY line_no;
SELECT received, open FROM purchases WHERE item = 'pu slow';
SELECT r.order_key, a.quantity, a.cause, a.po_id - 500000000 AS po, a.po_line_no, m.quantity AS moved
FROM backorder.allocation a JOIN recorded r USING (line_id, item) JOIN backorder.stock_movement m USING (tenant, movement_id)
ORDER BY a.allocation_id;

-- Placing dates what has no date: by the item's lead time, else the supplier's, from the day of placing; unknown stays unknown.
INSERT INTO backorder.purchase_order (po_id, supplier) VALUES (500000002, 'p1'), (500000003, 'p2'), (500000004, 'p3'), (500000005, 'p1');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES
	(500000002, 1, 'pu slow', 1, NULL), (500000002, 2, 'pu C', 1, NULL), (500000002, 3, 'pu D', 1, '2099-01-01'),
	(500000003, 1, 'pu C', 1, NULL), (500000004, 1, 'pu now', 1, NULL), (500000004, 2, 'pu C', 1, NULL), (500000005, 1, 'pu slow', 1, NULL);
SELECT backorder.place_purchase_order(po_id, at => '2090-01-01 12:00+00') FROM generate_series(500000002, 500000004) po_id;
SELECT po, line_no, item, expected_at FROM purchases WHERE po BETWEEN 2 AND 4 ORDER BY po, line_no;
SELECT placed_at = '2090-01-01 12:00+00' AS placed_then FROM backorder.purchase_order WHERE po_id = 500000002;
SELECT backorder.place_purchase_order(500000005);
SELECT expected_at - backorder_internal.today() BETWEEN 29 AND 30 AS from_today FROM purchases WHERE po = 5;

-- Plain SQL does the same work: inserted as placed, with its lines, in one statement or several.
INSERT INTO orders VALUES (11, 'pu E', 5), (12, 'pu E', 5);
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (500000011, 'p1', 'placed');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (500000011, 1, 'pu E', 6, '2099-12-01'), (500000011, 2, 'pu E', 2, '2099-12-05');
SELECT order_key, promised_at FROM recorded WHERE item = 'pu E' ORDER BY line_id;
SELECT * FROM counters WHERE item = 'pu E';
WITH o AS (INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (500000012, 'p1', 'placed') RETURNING po_id)
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) SELECT po_id, 1, 'pu E', 2, '2099-12-09'::date FROM o;
SELECT order_key, promised_at FROM recorded WHERE item = 'pu E' ORDER BY line_id;
-- Changed: quantity, cancelled part, date; a line deleted; a line added.
UPDATE backorder.purchase_order_line SET ordered = ordered + 4 WHERE (po_id, line_no) = (500000011, 2);
SELECT order_key, promised_at FROM recorded WHERE item = 'pu E' ORDER BY line_id;
UPDATE backorder.purchase_order_line SET cancelled = 2 WHERE (po_id, line_no) = (500000011, 1);
SELECT order_key, promised_at FROM recorded WHERE item = 'pu E' ORDER BY line_id;
UPDATE backorder.purchase_order_line SET expected_at = '2099-11-30' WHERE po_id = 500000012;
SELECT order_key, promised_at FROM recorded WHERE item = 'pu E' ORDER BY line_id;
SELECT * FROM counters WHERE item = 'pu E';
DELETE FROM backorder.purchase_order_line WHERE po_id = 500000012;
SELECT * FROM counters WHERE item = 'pu E';
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (500000012, 2, 'pu E', 1, '2099-11-30');
SELECT order_key, promised_at FROM recorded WHERE item = 'pu E' ORDER BY line_id;
-- Received by plain SQL, many lines at once.
INSERT INTO backorder.stock_movement (item, kind, quantity, po_id, po_line_no) VALUES ('pu E', 'receipt', 4, 500000011, 1), ('pu E', 'receipt', 3, 500000011, 2);
SELECT order_key, "a/b", promised_at FROM recorded WHERE item = 'pu E' ORDER BY line_id;
SELECT * FROM purchases WHERE item = 'pu E' ORDER BY po, line_no;
UPDATE backorder.purchase_order SET status = 'closed' WHERE po_id = 500000011;
UPDATE backorder.purchase_order SET status = 'cancelled' WHERE po_id = 500000012;
SELECT * FROM purchases WHERE item = 'pu E' ORDER BY po, line_no;
SELECT order_key, "a/b", promised_at FROM recorded WHERE item = 'pu E' ORDER BY line_id;
SELECT * FROM counters WHERE item = 'pu E';
DELETE FROM backorder.purchase_order WHERE po_id = 500000012;
SELECT count(*) FROM backorder.purchase_order_line WHERE po_id = 500000012;
-- The item of a placed line may change while nothing was received.
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (500000013, 'p1', 'placed');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered) VALUES (500000013, 1, 'pu F', 2), (500000013, 2, 'pu F', 3);
UPDATE backorder.purchase_order_line SET item = 'pu G' WHERE (po_id, line_no) = (500000013, 1);
SELECT * FROM counters WHERE item IN ('pu F', 'pu G') ORDER BY item;
SELECT count(*) FROM backorder.receive_purchase_line(500000013, 1, 1);
SELECT try('UPDATE backorder.purchase_order_line SET item = ''pu F'' WHERE (po_id, line_no) = (500000013, 1)');

-- Receipts carry a reference too.
SELECT count(*) FROM backorder.receive_purchase_line(500000013, 2, 1, reference => 'purchasing/1');
SELECT count(*) FROM backorder.receive_purchase_line(500000013, 2, 1, reference => 'purchasing/1');
SELECT try('SELECT backorder.receive_purchase_line(500000013, 1, 1, reference => ''purchasing/1'')');
SELECT received, open FROM purchases WHERE po = 13 ORDER BY line_no;
SELECT count(*) FROM backorder.receive_purchase_order(500000013, reference => 'purchasing/2');
SELECT count(*) FROM backorder.receive_purchase_order(500000013, reference => 'purchasing/2');
SELECT received, open FROM purchases WHERE po = 13 ORDER BY line_no;

-- States: which change is allowed.
INSERT INTO backorder.purchase_order (po_id, supplier, status) SELECT 500000100 + i, 'p1', 'draft' FROM generate_series(0, 31) i;
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered) SELECT 500000100 + i, 1, 'pu S', 1 FROM generate_series(0, 31) i;
UPDATE backorder.purchase_order SET status = 'placed' WHERE po_id BETWEEN 500000108 AND 500000123;
UPDATE backorder.purchase_order SET status = 'closed' WHERE po_id BETWEEN 500000116 AND 500000123;
UPDATE backorder.purchase_order SET status = 'cancelled' WHERE po_id BETWEEN 500000124 AND 500000131;
WITH s AS (SELECT '{draft,placed,closed,cancelled}'::text[] AS status)
SELECT status[1 + i / 8] AS before, status[1 + i % 4] AS after,
	try(format('UPDATE backorder.purchase_order SET status = %L WHERE po_id = %s', status[1 + i % 4], 500000100 + i)) AS outcome
FROM s, generate_series(0, 31) i WHERE i % 8 < 4 AND i / 8 <> i % 4 ORDER BY i;
SELECT status, count(*), sum(open) AS open FROM purchases WHERE item = 'pu S' GROUP BY status ORDER BY status;
SELECT on_order FROM counters WHERE item = 'pu S';
SELECT try('INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (500000132, ''p1'', ''closed'')'),
	try('INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (500000132, ''p1'', ''cancelled'')');
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (500000132, 'p1', 'lost');
\echo :SQLSTATE
-- Partly received: closed, not cancelled, not taken out.
SELECT count(*) FROM backorder.receive_purchase_line(500000112, 1, 1);
SELECT backorder.cancel_purchase_order(500000112);
\echo :SQLSTATE
DELETE FROM backorder.purchase_order_line WHERE po_id = 500000112;
\echo :SQLSTATE
-- Received and reversed is nothing received.
SELECT count(*) FROM backorder.receive_purchase_line(500000112, 1, -1);
SELECT backorder.cancel_purchase_order(500000112);
-- Each refusal in full, with what it is and what to do.
UPDATE backorder.purchase_order SET status = 'placed' WHERE po_id = 500000116;
\echo :SQLSTATE
DELETE FROM backorder.purchase_order WHERE po_id = 500000113;
\echo :SQLSTATE
DELETE FROM backorder.purchase_order WHERE po_id = 500000117;
\echo :SQLSTATE
UPDATE backorder.purchase_order SET po_id = 500000999 WHERE po_id = 500000104;
\echo :SQLSTATE
UPDATE backorder.purchase_order SET supplier = 'p2' WHERE po_id = 500000113;
\echo :SQLSTATE
UPDATE backorder.purchase_order SET location = 'east' WHERE po_id = 500000113;
\echo :SQLSTATE
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered) VALUES (500000117, 2, 'pu S', 1);
\echo :SQLSTATE
UPDATE backorder.purchase_order_line SET ordered = 5 WHERE po_id = 500000117;
\echo :SQLSTATE
UPDATE backorder.purchase_order_line SET ordered = 5 WHERE po_id = 500000125;
\echo :SQLSTATE
DELETE FROM backorder.purchase_order_line WHERE po_id = 500000117;
\echo :SQLSTATE
UPDATE backorder.purchase_order_line SET line_no = 2 WHERE po_id = 500000113;
\echo :SQLSTATE
UPDATE backorder.purchase_order_line SET ordered = 'NaN' WHERE po_id = 500000113;
\echo :SQLSTATE
UPDATE backorder.purchase_order_line SET ordered = -1 WHERE po_id = 500000113;
\echo :SQLSTATE
UPDATE backorder.purchase_order_line SET cancelled = 2 WHERE po_id = 500000113;
\echo :SQLSTATE
-- A draft may change supplier and location.
UPDATE backorder.purchase_order SET supplier = 'p2', location = 'east' WHERE po_id = 500000104;
SELECT * FROM purchases WHERE po = 104;
SELECT backorder.place_purchase_order(500000104);
SELECT * FROM counters WHERE item = 'pu S' ORDER BY location;
-- Drafts, cancelled and unknown orders refuse receipts.
SELECT count(*) FROM backorder.receive_purchase_line(500000105, 1, 1);
\echo :SQLSTATE
SELECT count(*) FROM backorder.receive_purchase_line(500000125, 1, 1);
\echo :SQLSTATE
SELECT count(*) FROM backorder.receive_purchase_line(500000105, 7, 1);
\echo :SQLSTATE
SELECT count(*) FROM backorder.receive_purchase_order(500000105);
\echo :SQLSTATE
SELECT count(*) FROM backorder.receive_purchase_order(500000117);
\echo :SQLSTATE
SELECT count(*) FROM backorder.receive_purchase_order(599999999);
\echo :SQLSTATE
SELECT backorder.place_purchase_order(599999999);
\echo :SQLSTATE
SELECT backorder.close_purchase_order(599999999);
\echo :SQLSTATE
SELECT backorder.cancel_purchase_order(599999999);
\echo :SQLSTATE
-- A receipt names item and place of its line, and is a receipt.
INSERT INTO backorder.stock_movement (item, kind, quantity, po_id, po_line_no) VALUES ('pu T', 'receipt', 1, 500000113, 1);
\echo :SQLSTATE
INSERT INTO backorder.stock_movement (item, location, kind, quantity, po_id, po_line_no) VALUES ('pu S', 'east', 'receipt', 1, 500000113, 1);
\echo :SQLSTATE
INSERT INTO backorder.stock_movement (item, kind, quantity, po_id, po_line_no) VALUES ('pu S', 'adjustment', 1, 500000113, 1);
\echo :SQLSTATE
INSERT INTO backorder.stock_movement (item, kind, quantity, po_id) VALUES ('pu S', 'receipt', 1, 500000113);
\echo :SQLSTATE
INSERT INTO backorder.stock_movement (item, kind, quantity, po_id, po_line_no) VALUES ('pu S', 'receipt', 1, 500000113, 9);
\echo :SQLSTATE

-- Another supplier's name follows into its orders, and changes no supply.
UPDATE backorder.supplier SET supplier = 'p1 renamed' WHERE supplier = 'p1';
SELECT DISTINCT o.supplier FROM backorder.purchase_order o WHERE po_id = 500000113;

DELETE FROM backorder.purchase_order WHERE po_id BETWEEN 500000000 AND 500999999 AND status = 'draft';
SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'purchasing' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA purchasing CASCADE;
