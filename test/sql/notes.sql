-- What capture notes, and when it counts: a savepoint that is rolled back brings back all that was noted of an order, the whole key
-- of its one line too.
SET client_min_messages = warning;
CREATE SCHEMA savepoints;
SET search_path = savepoints;
CREATE TABLE line (order_no text, part text, pos text, item text, quantity integer, PRIMARY KEY (order_no, part, pos));
SELECT backorder.attach('line', 'item', 'quantity', order_key => 'order_no', line_key => 'part, pos') > 0 AS attached;
INSERT INTO line SELECT 'order ' || o, 'part ' || p, 'pos ' || p, 'sv A', 1 FROM generate_series(1, 200) o, generate_series(1, 2) p;
CREATE VIEW recorded AS
SELECT l.order_key, l.line_key, l.ordered FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'savepoints';
-- One line noted, then another, which is undone.
BEGIN;
SAVEPOINT a;
UPDATE line SET quantity = 2 WHERE (order_no, part) = ('order 1', 'part 1');
SAVEPOINT b;
UPDATE line SET quantity = 2 WHERE (order_no, part) = ('order 1', 'part 2');
SAVEPOINT c;
INSERT INTO line VALUES ('order 0', 'part 1', 'pos 1', 'sv A', 1);
ROLLBACK TO b;
COMMIT;
SELECT * FROM recorded WHERE order_key IN ('order 0', 'order 1') ORDER BY 1, 2;
-- Many times in one transaction: what was saved is more than its first memory.
DO $$
BEGIN
	FOR o IN 1 .. 200 LOOP
		BEGIN
			UPDATE savepoints.line SET quantity = 3 WHERE order_no = 'order ' || o AND part = 'part 1';
			BEGIN
				UPDATE savepoints.line SET quantity = 4 WHERE order_no = 'order ' || o;
				RAISE division_by_zero;
			EXCEPTION WHEN division_by_zero THEN NULL;
			END;
		EXCEPTION WHEN unique_violation THEN NULL;
		END;
	END LOOP;
END $$;
SELECT line_key, ordered, count(*) FROM recorded GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM backorder.verify();

-- Under SET CONSTRAINTS ... IMMEDIATE what a row tells is settled at once, but not before it has told all: one line after another of an
-- order, and lines that move, one by one and many in a statement.
DELETE FROM line;
SELECT count(*) FROM backorder.receive('sv A', 3);
INSERT INTO line SELECT 'order ' || o, 'part 1', 'pos 1', 'sv A', 2 FROM generate_series(1, 3) o;
CREATE TABLE before AS SELECT line_id, allocated FROM backorder.order_line WHERE item = 'sv A' AND live;
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO line VALUES ('order 9', 'part 1', 'pos 1', 'sv A', 1);
INSERT INTO line VALUES ('order 9', 'part 2', 'pos 1', 'sv A', 1);
UPDATE line SET quantity = 2 WHERE (order_no, part) = ('order 9', 'part 1');
UPDATE line SET order_no = 'order 9', part = 'part 3' WHERE order_no = 'order 1';
SELECT order_key, line_key, ordered FROM recorded ORDER BY 1, 2;
UPDATE line SET order_no = order_no || 'x' WHERE part IN ('part 1', 'part 3');
SELECT order_key, line_key, ordered FROM recorded ORDER BY 1, 2;
SELECT count(*) AS same FROM before JOIN backorder.order_line USING (line_id, allocated);
SAVEPOINT a;
TRUNCATE line;
SELECT count(*) FROM recorded;
ROLLBACK TO a;
SET CONSTRAINTS ALL DEFERRED;
UPDATE line SET quantity = quantity + 1 WHERE part = 'part 2';
COMMIT;
SELECT order_key, line_key, ordered FROM recorded ORDER BY 1, 2;
SELECT * FROM backorder.verify();
SELECT backorder.detach('line');
SELECT * FROM backorder.verify();
DROP SCHEMA savepoints CASCADE;
