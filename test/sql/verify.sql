-- verify() finds what does not agree with the rows that explain it; resync() mends what was written past the triggers.

\set SHOW_CONTEXT never
SET datestyle = ISO;
CREATE SCHEMA verify;
SET search_path = verify;

CREATE TABLE header (id integer PRIMARY KEY, state text NOT NULL DEFAULT 'open');
CREATE TABLE line (order_id integer, no integer, item text, quantity integer, shipped integer NOT NULL DEFAULT 0, held boolean NOT NULL DEFAULT false,
	PRIMARY KEY (order_id, no));
SELECT backorder.attach('line', 'item', 'quantity', line_key => 'no', order_key => 'order_id', header_table => 'header', header_key => 'id',
	live => $$state = 'open'$$, shipped => 'shipped', held => 'held') AS source_id \gset
CREATE VIEW recorded AS
SELECT l.order_key, l.line_key, l.item, l.ordered, l.shipped, l.allocated || '/' || l.backordered AS "a/b", l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'verify';
-- What verify() finds, without numbers that depend on what ran before.
CREATE FUNCTION found() RETURNS TABLE (check_name text, object text, expected text, actual text) LANGUAGE sql AS $$
	SELECT check_name, regexp_replace(object, '(line_id|movement|source) \d+', '\1 N'), regexp_replace(expected, '"\d+": ', '"N": ', 'g'), regexp_replace(actual, '"\d+": ', '"N": ', 'g')
	FROM backorder.verify() ORDER BY 1, 2, 3, 4
$$;

INSERT INTO backorder.supplier (supplier) VALUES ('verify');
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (1000000001, 'verify', 'placed');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (1000000001, 1, 'verify A', 6, '2099-12-01'), (1000000001, 2, 'verify B', 6, NULL);
SELECT count(*) FROM backorder.receive('verify A', 6);
SELECT count(*) FROM backorder.receive_purchase_line(1000000001, 1, 1);
INSERT INTO header VALUES (1), (2), (3), (4);
INSERT INTO line VALUES (1, 1, 'verify A', 3, 1, false), (1, 2, 'verify B', 2, 0, false), (2, 1, 'verify A', 6, 0, false), (3, 1, 'verify A', 1, 0, true),
	(4, 1, 'verify C', 1, 0, false);
SELECT order_key, line_key, item, ordered, shipped, "a/b" FROM recorded ORDER BY line_id;
SELECT * FROM found();

-- Triggers disabled, a quantity edited: verify() names trigger and line, resync() of the order mends it.
ALTER TABLE line DISABLE TRIGGER USER;
UPDATE line SET quantity = 1 WHERE (order_id, no) = (1, 1);
SELECT * FROM found();
ALTER TABLE line ENABLE TRIGGER USER;
SELECT * FROM found();
SELECT backorder.resync('line', '2');
SELECT backorder.resync('line', '1');
SELECT order_key, line_key, item, ordered, shipped, "a/b" FROM recorded ORDER BY line_id;
SELECT * FROM found();
SELECT backorder.resync('line', '1');

-- Everything written past the triggers at once: resync() of the table mends it.
SET session_replication_role = replica;
INSERT INTO header VALUES (5, 'open'), (6, 'cancelled');
INSERT INTO line VALUES (5, 1, 'verify A', 2), (6, 1, 'verify A', 2), (1, 3, 'verify D', 1);
UPDATE line SET item = 'verify D', quantity = 7 WHERE (order_id, no) = (1, 2);
UPDATE line SET shipped = 2 WHERE (order_id, no) = (2, 1);
UPDATE line SET held = false WHERE order_id = 3;
UPDATE header SET state = 'cancelled' WHERE id = 4;
UPDATE line SET no = 9 WHERE (order_id, no) = (1, 1);
SET session_replication_role = origin;
SELECT * FROM found();
SELECT backorder.resync('line');
SELECT order_key, line_key, item, ordered, shipped, "a/b" FROM recorded ORDER BY line_id;
SELECT on_hand, allocated, backordered FROM backorder.stock WHERE item = 'verify A';
SELECT * FROM found();
SELECT backorder.resync('line');
SET session_replication_role = replica;
TRUNCATE line;
SET session_replication_role = origin;
SELECT check_name, count(*) FROM found() GROUP BY 1;
SELECT backorder.resync('line');
SELECT order_key, line_key, ordered, shipped, "a/b" FROM recorded ORDER BY line_id;
SELECT * FROM found();
INSERT INTO line VALUES (1, 1, 'verify A', 4, 0, false), (1, 2, 'verify B', 2, 0, false), (2, 1, 'verify A', 6, 0, false), (3, 1, 'verify A', 1, 0, true);
SELECT order_key, line_key, item, ordered, shipped, "a/b" FROM recorded WHERE "a/b" <> '0/0' ORDER BY line_id;
SELECT * FROM found();

-- Triggers dropped: verify() says so, attach() again brings them back.
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT tgname, tgrelid::regclass AS relation FROM pg_trigger WHERE tgfoid = 'backorder_internal.capture()'::regprocedure AND tgrelid = 'verify.header'::regclass LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.relation);
	END LOOP;
END $$;
UPDATE header SET state = 'cancelled' WHERE id = 1;
SELECT * FROM found();
SELECT backorder.attach('line', 'item', 'quantity', line_key => 'no', order_key => 'order_id', header_table => 'header', header_key => 'id',
	live => $$state = 'open'$$, shipped => 'shipped', held => 'held') = :source_id AS same;
SELECT * FROM found();
UPDATE header SET state = 'open' WHERE id = 1;
SELECT * FROM found();

-- Every counter tampered with is found.
BEGIN;
UPDATE backorder.stock SET on_hand = on_hand + 1, unavailable = unavailable + 1, on_order = on_order + 1 WHERE item = 'verify A';
SELECT * FROM found();
ROLLBACK;
BEGIN;
UPDATE backorder.stock SET allocated = allocated - 1, backordered = backordered + 2, backordered_held = backordered_held + 1 WHERE item = 'verify A';
SELECT * FROM found();
ROLLBACK;
BEGIN;
DELETE FROM backorder.stock WHERE item = 'verify A';
SELECT * FROM found();
ROLLBACK;
BEGIN;
UPDATE backorder.order_line SET allocated = allocated - 1 WHERE item = 'verify A' AND order_key = '2' AND allocated > 0;
SELECT * FROM found();
ROLLBACK;
BEGIN;
DELETE FROM backorder.allocation WHERE item = 'verify A';
SELECT check_name FROM found();
ROLLBACK;
BEGIN;
UPDATE backorder.order_line SET line_id = (SELECT line_id FROM recorded WHERE order_key = '3') WHERE item = 'verify B';
SELECT check_name, object, expected, actual FROM found() WHERE check_name = 'order_line.line_id';
ROLLBACK;
BEGIN;
UPDATE backorder.order_line SET promised_at = '2099-11-30' WHERE promised_at = '2099-12-01' AND item = 'verify A';
UPDATE backorder.order_line SET promised_at = '2099-11-30' WHERE backordered = 0 AND item = 'verify A' AND order_key = '1';
SELECT * FROM found() WHERE check_name = 'order_line.promised_at';
ROLLBACK;
BEGIN;
UPDATE backorder.supply SET received = received + 1 WHERE item = 'verify A';
UPDATE backorder.supply SET quantity = quantity - 1, expected_at = '2099-12-03' WHERE item = 'verify B';
SELECT * FROM found() WHERE check_name LIKE 'supply%';
DELETE FROM backorder.supply WHERE item = 'verify A';
SELECT * FROM found() WHERE check_name LIKE 'supply%';
ROLLBACK;
BEGIN;
UPDATE backorder.waiting_order SET last_notified = '{}' WHERE order_key = '2' AND source_id = :source_id;
DELETE FROM backorder.waiting_order WHERE order_key = '1' AND source_id = :source_id;
INSERT INTO backorder.waiting_order (source_id, order_key) VALUES (:source_id, '99');
SELECT * FROM found();
ROLLBACK;
BEGIN;
DELETE FROM backorder.sales_order WHERE order_key = '1' AND source_id = :source_id;
SELECT * FROM found();
ROLLBACK;
BEGIN;
INSERT INTO backorder.stock_movement (item, kind, quantity, applied_at) VALUES ('verify A', 'receipt', 0, NULL);
SELECT * FROM found();
ROLLBACK;
BEGIN;
UPDATE backorder.source SET detached_at = now() WHERE source_id = :source_id;
SELECT check_name, expected FROM found();
DELETE FROM backorder.source WHERE source_id = :source_id;
SELECT * FROM found();
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER backorder_drop DISABLE;
DROP TABLE line;
SELECT * FROM found();
ROLLBACK;
SELECT * FROM found();

-- The extension's own triggers and row are protected.
CREATE TABLE mine (id integer);
CREATE TRIGGER forged AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION backorder_internal.commit_work();
INSERT INTO mine VALUES (1);
\echo :SQLSTATE
DROP TRIGGER forged ON mine;
CREATE TRIGGER forged AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION backorder_internal.statement_work();
INSERT INTO mine VALUES (1);
\echo :SQLSTATE
DROP TRIGGER forged ON mine;
CREATE TRIGGER forged AFTER INSERT ON mine FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.apply_movements();
INSERT INTO mine VALUES (1);
\echo :SQLSTATE
DROP TRIGGER forged ON mine;
CREATE TRIGGER forged AFTER INSERT ON mine FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.apply_purchases();
INSERT INTO mine VALUES (1);
\echo :SQLSTATE
DROP TRIGGER forged ON mine;
CREATE TRIGGER forged BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION backorder_internal.capture('1', 'line');
INSERT INTO mine VALUES (1);
\echo :SQLSTATE
DROP TRIGGER forged ON mine;
CREATE TRIGGER forged AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION backorder_internal.capture('2000000000', 'line');
INSERT INTO mine VALUES (1);
\echo :SQLSTATE
DROP TRIGGER forged ON mine;
SELECT backorder_internal.capture();
\echo :SQLSTATE
SELECT backorder_internal.lock_pending();
\echo :SQLSTATE
BEGIN;
DELETE FROM backorder_internal.commit_work;
INSERT INTO line VALUES (1, 9, 'verify A', 1);
\echo :SQLSTATE
ROLLBACK;

SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'verify' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA verify CASCADE;
