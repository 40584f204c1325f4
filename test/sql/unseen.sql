-- An order of which an attachment before left shipped lines, and that nobody looked at since the table was attached again, is
-- written and settled: by detach(), by a flush, with its lines or with other ones.
SET client_min_messages = warning;
CREATE SCHEMA unseen;
SET search_path = unseen;
CREATE TABLE orders (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'open');
CREATE TABLE line (order_id integer REFERENCES orders, no integer, item text, quantity integer, shipped integer NOT NULL DEFAULT 0, PRIMARY KEY (order_id, no));
CREATE FUNCTION attach(import boolean) RETURNS boolean LANGUAGE sql AS $$
	SELECT backorder.attach('unseen.line', 'item', 'quantity', order_key => 'order_id', line_key => 'no', header_table => 'unseen.orders',
		live => $e$status = 'open'$e$, shipped => 'shipped', import => attach.import) > 0
$$;
CREATE VIEW recorded AS
SELECT l.order_key, l.line_key, l.live, l.deleted, l.shipped, l.allocated, l.backordered, o.revision FROM backorder.order_line l
JOIN backorder.sales_order o USING (tenant, source_id, order_key) WHERE l.item = 'unseen' ORDER BY 1, 2;
SELECT count(*) FROM backorder.receive('unseen', 20);
SELECT attach(true);
INSERT INTO orders SELECT generate_series(1, 4);
INSERT INTO line SELECT o, n, 'unseen', 3, 2 FROM generate_series(1, 4) o, generate_series(1, 2) n;
SELECT backorder.detach('line');
SELECT attach(false);
SELECT * FROM recorded;
-- Detached in the transaction that wrote it.
BEGIN;
UPDATE orders SET status = 'cancelled' WHERE id = 1;
UPDATE line SET shipped = 3 WHERE (order_id, no) = (2, 1);
SELECT backorder.detach('line');
SELECT attach(false);
COMMIT;
-- Other lines in its place, of which more or less is shipped.
BEGIN;
DELETE FROM line WHERE order_id = 3;
INSERT INTO line VALUES (3, 1, 'unseen', 5, 3), (3, 3, 'unseen', 1, 0);
SELECT backorder.flush();
SELECT * FROM recorded WHERE order_key = '3';
COMMIT;
CALL backorder.import('line', 1);
SELECT * FROM recorded;
SELECT on_hand, allocated, backordered FROM backorder.stock WHERE item = 'unseen';
SELECT kind, quantity FROM backorder.stock_movement WHERE item = 'unseen' ORDER BY movement_id;
SELECT backorder.detach('line');
SELECT * FROM backorder.verify();
DROP SCHEMA unseen CASCADE;
