-- The hot tables are written without statements, and by statements as soon as somebody added what only those keep.
-- Changes hot tables on purpose: order_line, stock, sales_order, allocation, event, purchase_order_line (see script/test).
SET client_min_messages = warning;
CREATE SCHEMA direct;
SET search_path = direct;
CREATE TABLE line (order_no integer, line_no integer, item text, qty integer, PRIMARY KEY (order_no, line_no));
SELECT backorder.attach('line', item => 'item', quantity => 'qty', order_key => 'order_no', line_key => 'line_no') > 0 AS attached;
SELECT count(*) FROM backorder.receive('direct lamp', 6);

-- All that an order writes: order, stock, line; then a receipt and its allocation.
CREATE PROCEDURE orders_and_receipt(first integer) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO line VALUES (first, 1, 'direct lamp', 4), (first, 2, 'direct new ' || first, 2), (first + 1, 1, 'direct lamp', 4);
	COMMIT;
	PERFORM backorder.receive('direct lamp', 3);
	PERFORM backorder.receive('direct new ' || first, 1);
	UPDATE line SET qty = 5 WHERE order_no = first AND line_no = 1;
	COMMIT;
END $$;
CREATE FUNCTION recorded() RETURNS TABLE (order_no text, line_no text, item text, ordered numeric, allocated numeric, backordered numeric, ledger numeric, revision bigint)
LANGUAGE sql AS $$
	SELECT l.order_key, l.line_key, l.item, l.ordered, l.allocated, l.backordered,
		(SELECT sum(a.quantity) FROM backorder.allocation a WHERE a.line_id = l.line_id), o.revision
	FROM backorder.order_line l JOIN backorder.sales_order o USING (tenant, source_id, order_key) WHERE l.item LIKE 'direct%' ORDER BY l.order_key::integer, l.line_key
$$;
CALL orders_and_receipt(1);
-- A table that is left to statements says so. So does a cache that grows: it has, by now.
SELECT count(to_regproc('pg_catalog.' || proname)) > 0 AS grown FROM (SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY 1 HAVING count(*) = 1 LIMIT 100) p;
UPDATE line SET qty = 8 WHERE order_no = 1 AND line_no = 1;
SET client_min_messages = debug1;
UPDATE line SET qty = 9 WHERE order_no = 1 AND line_no = 1;
UPDATE line SET qty = 5 WHERE order_no = 1 AND line_no = 1;
SET client_min_messages = warning;
SELECT * FROM recorded();
SELECT item, on_hand, allocated, backordered, available, version FROM backorder.stock WHERE item LIKE 'direct%' ORDER BY item;

-- Triggers of somebody's own fire on each table.
CREATE TABLE seen (relation text, op text);
GRANT INSERT ON seen TO PUBLIC;
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO direct.seen VALUES (TG_TABLE_NAME, TG_OP);
	RETURN NULL;
END $$;
CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON backorder.order_line FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON backorder.stock FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON backorder.sales_order FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON backorder.allocation FOR EACH ROW EXECUTE FUNCTION see();
CALL orders_and_receipt(11);
SELECT relation, op, count(*) FROM seen GROUP BY 1, 2 ORDER BY 1, 2;
SELECT order_no, line_no, item, ordered, allocated, backordered, ledger, revision FROM recorded() WHERE order_no::integer > 10;
SELECT * FROM backorder.verify();
DROP TRIGGER see ON backorder.order_line;
DROP TRIGGER see ON backorder.stock;
DROP TRIGGER see ON backorder.sales_order;
DROP TRIGGER see ON backorder.allocation;

-- Without them the rows go directly again; an index of another kind is kept too.
CREATE INDEX order_line_customer_brin ON backorder.order_line USING brin (line_id);
CREATE INDEX stock_lower ON backorder.stock (lower(item));
CREATE INDEX order_line_ordered ON backorder.order_line (ordered) WHERE ordered > 4;
TRUNCATE seen;
CALL orders_and_receipt(21);
TABLE seen;
SET enable_seqscan = off;
SELECT item FROM backorder.stock WHERE lower(item) = 'direct new 21';
SELECT order_key, line_key FROM backorder.order_line WHERE ordered > 4 AND item LIKE 'direct%' ORDER BY ordered, order_key::integer;
RESET enable_seqscan;
DROP INDEX backorder.order_line_customer_brin;
CALL orders_and_receipt(31);
SET enable_seqscan = off;
SELECT order_key, line_key FROM backorder.order_line WHERE ordered > 4 AND item LIKE 'direct%' ORDER BY ordered, order_key::integer;
RESET enable_seqscan;
SELECT order_no, line_no, item, ordered, allocated, backordered, ledger, revision FROM recorded() WHERE order_no::integer > 20;
SELECT * FROM backorder.verify();

-- As many lines as are written at once.
CREATE TABLE even (order_id integer, no integer, item text, quantity integer, PRIMARY KEY (order_id, no));
SELECT backorder.attach('even', 'item', 'quantity', order_key => 'order_id', line_key => 'no', tenant => 'direct even') > 0 AS attached;
INSERT INTO even SELECT 1, n, 'direct even', 1 FROM generate_series(1, 256) n;
SELECT count(*), sum(backordered) FROM backorder.order_line WHERE tenant = 'direct even';
SELECT backorder.detach('even');
DROP TABLE even;

-- So are constraints of somebody's own.
ALTER TABLE backorder.order_line ADD CONSTRAINT not_that_many CHECK (ordered < 1000) NOT VALID;
\set VERBOSITY terse
INSERT INTO line VALUES (41, 1, 'direct lamp', 1000);
ALTER TABLE backorder.order_line DROP CONSTRAINT not_that_many;

-- And what a column may be.
BEGIN;
DELETE FROM backorder.event WHERE customer IS NULL;
ALTER TABLE backorder.event ALTER customer SET NOT NULL;
INSERT INTO line VALUES (42, 1, 'direct lamp', 1000);
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK;
-- What planning buys is written directly, past its own triggers, and by statement past somebody's: one that places
-- a draft with its first line. Its later lines are supply too.
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('direct supplier', 5);
INSERT INTO backorder.supplier_item (supplier, item, order_multiple) SELECT 'direct supplier', s.item, 10 FROM backorder.stock s WHERE s.backordered > 0;
-- In a session of its own: its caches of the catalog are small, and say nothing of growing.
\c -
SET search_path = direct;
BEGIN;
SET client_min_messages = debug1;
SELECT item, line_no, ordered, cancelled, planned, expected_at, applied_at = now() AS now, for_backorders, for_rounding FROM backorder.plan_purchases();
SET client_min_messages = warning;
SELECT * FROM backorder.verify();
ROLLBACK;
CREATE FUNCTION place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE backorder.purchase_order p SET status = 'placed' WHERE p.po_id = NEW.po_id AND p.status = 'draft';
	RETURN NULL;
END $$;
CREATE TRIGGER place AFTER INSERT ON backorder.purchase_order_line FOR EACH ROW EXECUTE FUNCTION place();
\c -
SET search_path = direct;
SET client_min_messages = debug1;
SELECT count(*) FROM backorder.plan_purchases();
SET client_min_messages = warning;
SELECT p.status, l.item, l.line_no, l.ordered, s.on_order FROM backorder.purchase_order p JOIN backorder.purchase_order_line l USING (tenant, po_id)
JOIN backorder.stock s ON s.tenant = l.tenant AND s.item = l.item WHERE p.supplier = 'direct supplier' ORDER BY l.item;
SELECT * FROM backorder.verify();
DROP TRIGGER place ON backorder.purchase_order_line;
UPDATE backorder.purchase_order SET status = 'cancelled' WHERE supplier = 'direct supplier';
DELETE FROM backorder.purchase_order_line WHERE item LIKE 'direct%';
DELETE FROM backorder.purchase_order WHERE supplier = 'direct supplier';
DELETE FROM backorder.supplier_item WHERE supplier = 'direct supplier';
DELETE FROM backorder.supplier WHERE supplier = 'direct supplier';

-- A transaction that only reads writes nothing.
BEGIN READ ONLY;
SELECT backorder.lock_stock('{direct lamp}');
ROLLBACK;

-- The constraints of the tables hold for everybody else.
UPDATE backorder.stock SET allocated = on_hand + 1 WHERE item = 'direct lamp';

SELECT backorder.detach('line');
SELECT * FROM backorder.verify();
DROP SCHEMA direct CASCADE;
DROP INDEX backorder.stock_lower, backorder.order_line_ordered;
