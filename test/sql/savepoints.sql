-- What capture notes follows savepoints, the line that a transaction writes alone included.
CREATE SCHEMA shop;
CREATE TABLE shop.lines (order_no text, part text, n text, item text, quantity integer, PRIMARY KEY (order_no, part, n));
SELECT backorder.attach('shop.lines', item => 'item', quantity => 'quantity', order_key => 'order_no', line_key => 'part, n') > 0 AS attached;
INSERT INTO shop.lines SELECT 'A', 'part ' || n, 'number ' || n, 'savepoints', n FROM generate_series(1, 5) n;
CREATE VIEW recorded AS SELECT order_key, line_key, ordered FROM backorder.order_line WHERE item = 'savepoints' ORDER BY order_key COLLATE "C", line_key COLLATE "C";

-- One line, and the others in a savepoint that is rolled back: the one line is found again.
BEGIN;
UPDATE shop.lines SET quantity = 10 WHERE n = 'number 1';
SAVEPOINT a;
UPDATE shop.lines SET quantity = 20;
SELECT backorder.flush();
ROLLBACK TO a;
COMMIT;
TABLE recorded;
SELECT * FROM backorder.verify();

-- The same the other way round: the line is noted in a savepoint, and more after it.
BEGIN;
SAVEPOINT a;
UPDATE shop.lines SET quantity = 11 WHERE n = 'number 1';
SAVEPOINT b;
UPDATE shop.lines SET quantity = 12 WHERE n = 'number 2';
ROLLBACK TO b;
UPDATE shop.lines SET quantity = 13 WHERE n = 'number 1';
RELEASE a;
COMMIT;
TABLE recorded;
SELECT * FROM backorder.verify();

-- As much as is saved, it has its room.
BEGIN;
SAVEPOINT a;
DO $$
BEGIN
	FOR i IN 1 .. 2000 LOOP
		INSERT INTO shop.lines VALUES ('B' || i, 'part', 'number', 'savepoints', 1);
		UPDATE shop.lines SET quantity = 2 WHERE order_no = 'B' || i;
	END LOOP;
END $$;
SELECT backorder.flush();
ROLLBACK TO a;
INSERT INTO shop.lines VALUES ('B1', 'part', 'number', 'savepoints', 1);
COMMIT;
TABLE recorded;
SELECT * FROM backorder.verify();

-- Orders queue as the transaction first wrote them; what was rolled back, by a savepoint or by the preview, does not count.
BEGIN;
SAVEPOINT a;
INSERT INTO shop.lines VALUES ('C2', 'part', 'number', 'queue', 1);
ROLLBACK TO a;
SELECT count(*) > 0 AS previewed FROM backorder.attach_preview('shop.lines', item => 'item', quantity => 'quantity + 1', order_key => 'order_no', line_key => 'part, n');
INSERT INTO shop.lines VALUES ('D', 'part', 'number', 'queue', 1);
INSERT INTO shop.lines VALUES ('C2', 'part', 'number', 'queue', 1);
INSERT INTO shop.lines VALUES ('A', 'part 6', 'number 6', 'queue', 1);
COMMIT;
SELECT order_key FROM backorder.order_line WHERE item = 'queue' ORDER BY line_id;
SELECT * FROM backorder.verify();

SELECT backorder.detach('shop.lines');
DROP SCHEMA shop CASCADE;
DROP VIEW recorded;
