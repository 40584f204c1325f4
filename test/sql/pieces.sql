-- Many orders of one transaction are settled in pieces: the same as all at once, also where a later piece frees what an
-- earlier one waits for.
CREATE SCHEMA pieces;
SET search_path = pieces;
CREATE TABLE orders (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'open');
CREATE TABLE lines (order_id integer REFERENCES orders ON DELETE CASCADE, line_no integer, item text, qty integer NOT NULL, shipped integer NOT NULL DEFAULT 0, PRIMARY KEY (order_id, line_no));
SELECT backorder.attach('lines', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'line_no', shipped => 'shipped',
	header_table => 'orders', live => $$status = 'open'$$, tenant => 'pieces') > 0 AS attached;
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity) SELECT 'pieces', 'piece ' || i, 'receipt', 500 FROM generate_series(0, 9) i;

-- Headers alone: nothing to record.
INSERT INTO orders SELECT generate_series(1, 12000);
SELECT count(*) AS lines, (SELECT count(*) FROM backorder.sales_order WHERE tenant = 'pieces') AS orders FROM backorder.order_line WHERE tenant = 'pieces';

CREATE VIEW state AS
SELECT (SELECT count(*) FROM backorder.order_line l WHERE l.tenant = 'pieces') AS lines,
	sum(s.on_hand) AS on_hand, sum(s.allocated) AS allocated, sum(s.backordered) AS backordered, sum(s.available) AS available,
	(SELECT count(*) FROM backorder.waiting_order w WHERE w.tenant = 'pieces') AS waiting_orders,
	(SELECT max(l.order_key::integer) FROM backorder.order_line l WHERE l.tenant = 'pieces' AND l.allocated > 0) AS last_served,
	(SELECT min(l.order_key::integer) FROM backorder.order_line l WHERE l.tenant = 'pieces' AND l.backordered > 0) AS first_waiting,
	(SELECT count(DISTINCT s.version) FROM backorder.stock s WHERE s.tenant = 'pieces') AS versions
FROM backorder.stock s WHERE s.tenant = 'pieces';

-- The first 2,500 orders get what there is: each item is in one line of every fifth order.
INSERT INTO lines SELECT o, n, 'piece ' || (o + n * 5) % 10, 1 FROM generate_series(1, 12000) o, generate_series(1, 2) n;
TABLE state;
SELECT type, count(*) FROM backorder.event WHERE tenant = 'pieces' GROUP BY 1;

-- In one transaction the last half gives up, then the first 500 orders: those that wait get it by rank.
BEGIN;
UPDATE lines SET qty = 2 WHERE order_id <= 10;
UPDATE orders SET status = 'cancelled' WHERE id > 6000 OR id BETWEEN 11 AND 500;
UPDATE lines SET item = 'piece 0' WHERE order_id BETWEEN 501 AND 5000 AND line_no = 2;
COMMIT;
TABLE state;

-- Shipped and moved, all of them; and undone.
UPDATE lines SET shipped = 1 WHERE order_id BETWEEN 501 AND 2500 AND line_no = 1;
TABLE state;
BEGIN;
SAVEPOINT before;
DELETE FROM orders;
SELECT backorder.flush() > 10000 AS many;
ROLLBACK TO before;
COMMIT;
TABLE state;
SELECT * FROM backorder.verify();
DELETE FROM orders;
TABLE state;
SELECT * FROM backorder.verify();

-- What is recorded is settled with what is new all at once: an older line that grows goes before a new one, and goods
-- booked on the wrong order are corrected in one transaction.
INSERT INTO orders SELECT generate_series(1, 13000);
INSERT INTO lines VALUES (1, 1, 'grows', 5), (2, 1, 'booked', 5), (3, 1, 'booked', 5);
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity) VALUES ('pieces', 'grows', 'receipt', 10), ('pieces', 'booked', 'receipt', 5);
UPDATE lines SET shipped = 5 WHERE order_id = 3;
BEGIN;
INSERT INTO lines VALUES (100, 1, 'grows', 5);
UPDATE lines SET shipped = 5 WHERE order_id = 2;
INSERT INTO lines SELECT o, 1, 'piece ' || o % 10, 1 FROM generate_series(1001, 12000) o;
UPDATE lines SET shipped = 0 WHERE order_id = 3;
UPDATE lines SET qty = 10 WHERE order_id = 1;
COMMIT;
SELECT order_key, item, shipped, allocated, backordered FROM backorder.order_line WHERE tenant = 'pieces' AND item IN ('grows', 'booked') ORDER BY line_id;
SELECT item, on_hand FROM backorder.stock WHERE tenant = 'pieces' AND item IN ('grows', 'booked') ORDER BY item;
SELECT count(*) FROM backorder.event WHERE tenant = 'pieces' AND type = 'discrepancy';
-- No stock row for what nobody wants.
DELETE FROM lines WHERE item LIKE 'piece%';
INSERT INTO lines SELECT o, 1, 'none', 0 FROM generate_series(1001, 12000) o;
SELECT count(*) FROM backorder.stock WHERE tenant = 'pieces' AND item = 'none';
-- An item that only the last piece has; the table was altered meanwhile.
DELETE FROM lines WHERE item = 'none';
ALTER TABLE lines ADD note text;
INSERT INTO lines SELECT o, 1, CASE WHEN o < 12000 THEN 'most' ELSE 'last' END, 1 FROM generate_series(1001, 12000) o;
SELECT item, backordered FROM backorder.stock WHERE tenant = 'pieces' AND item IN ('most', 'last') ORDER BY item;

-- What it takes does not grow with the lines: half of what 200,000 took when no piece gave back what it had.
CREATE FUNCTION peak() RETURNS integer LANGUAGE sql AS $$
	SELECT substring(pg_read_file('/proc/self/status') FROM 'VmPeak:\s+(\d+)')::integer / 1024
$$;
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity) SELECT 'pieces', 'much ' || i, 'receipt', 10000 FROM generate_series(0, 99) i;
INSERT INTO orders SELECT generate_series(100001, 120000);
SELECT peak() AS before \gset
INSERT INTO lines SELECT o, n, 'much ' || (o + n) % 100, 1 FROM generate_series(100001, 120000) o, generate_series(1, 10) n;
SELECT peak() - :before < 100 AS flat;

SELECT * FROM backorder.verify();
SELECT backorder.detach('lines');
DROP SCHEMA pieces CASCADE;
