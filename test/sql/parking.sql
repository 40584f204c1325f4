-- on_error => 'park': an order that cannot be read is noted, and the application goes on.
SET client_min_messages = warning;
CREATE SCHEMA parking;
SET search_path = parking;
CREATE VIEW recorded AS
SELECT l.order_key, l.line_key, l.item, l.ordered, l.allocated || '/' || l.backordered AS has
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'parking' ORDER BY l.order_key, l.line_key;
CREATE VIEW parked AS SELECT p.order_key, p.sqlstate, p.message FROM backorder.parked p JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'parking' ORDER BY 1;

CREATE TABLE line (id integer PRIMARY KEY, order_id integer, no integer, item text, amount text, pack integer DEFAULT 1);
CREATE INDEX ON line (order_id);
INSERT INTO line VALUES (1, 1, 1, 'pk A', '5');
SELECT backorder.attach('line', 'item', 'amount::numeric / pack', order_key => 'order_id', line_key => 'no', on_error => 'park') > 0 AS attached;
SELECT on_error FROM backorder.source WHERE line_schema = 'parking';
-- Wrong from the start; right, then wrong; both with others in one statement.
INSERT INTO line VALUES (2, 2, 1, 'pk A', 'five'), (3, 3, 1, 'pk A', '7'), (4, 4, 1, 'pk A', 'NaN'), (5, 5, 1, 'pk A', '1'), (6, 5, 1, 'pk A', '2');
TABLE recorded;
TABLE parked;
SELECT type, aggregateid, payload - 'source' AS payload FROM backorder.event e JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'parking' AND type = 'parked' ORDER BY aggregateid;
-- What was recorded stays what was read before.
BEGIN;
INSERT INTO line VALUES (7, 6, 1, 'pk A', '1');
UPDATE line SET pack = 0 WHERE id = 1;
COMMIT;
TABLE recorded;
TABLE parked;
-- A subquery that returns two rows is an error of the mapping too, and so is one that a function raises.
BEGIN;
CREATE FUNCTION picky(quantity integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF quantity > 5 THEN RAISE EXCEPTION 'too many' USING ERRCODE = 'SH001'; END IF;
	RETURN quantity;
END $$;
CREATE TABLE guarded (id integer PRIMARY KEY, item text, quantity integer);
SELECT backorder.attach('guarded', 'item', 'parking.picky(quantity)', on_error => 'park') > 0 AS attached;
INSERT INTO guarded VALUES (101, 'pk C', 3), (102, 'pk C', 7);
SELECT backorder.flush();
TABLE parked;
ROLLBACK;
BEGIN;
CREATE TABLE two (n integer);
INSERT INTO two VALUES (1);
CREATE TABLE other (id integer PRIMARY KEY, item text);
SELECT backorder.attach('other', 'item', '(SELECT n FROM two)') > 0 AS attached;
INSERT INTO two VALUES (2);
INSERT INTO other VALUES (1, 'pk B');
SET CONSTRAINTS ALL IMMEDIATE;
\echo :SQLSTATE
ROLLBACK;
-- Said once: the same error again is no news.
UPDATE line SET amount = '6' WHERE id = 1;
SELECT check_name, object, expected FROM backorder.verify() WHERE check_name = 'parked' ORDER BY 2;
SELECT line, ordered, why FROM backorder.explain('1', 'line');
SELECT line, ordered, why FROM backorder.explain('5', 'line');
-- Mended by the next write, by resync of one order, by resync of all.
UPDATE line SET pack = 1 WHERE id = 1;
TABLE parked;
SET session_replication_role = replica;
UPDATE line SET amount = '4' WHERE id IN (2, 4);
UPDATE line SET no = 2 WHERE id = 6;
RESET session_replication_role;
SELECT backorder.resync('line', '2');
TABLE parked;
SELECT backorder.resync('line');
TABLE parked;
TABLE recorded;
SELECT * FROM backorder.verify();
-- A parked order that is deleted is parked no more.
INSERT INTO line VALUES (8, 8, 1, 'pk A', 'x');
DELETE FROM line WHERE id = 8;
TABLE parked;
-- In a function that allocates stock the pending orders are settled first: what is allocated is returned all the same.
BEGIN;
INSERT INTO line VALUES (9, 9, 1, 'pk A', 'x'), (10, 10, 1, 'pk B', '2');
SELECT order_key, quantity FROM backorder.receive('pk B', 2);
COMMIT;
TABLE parked;
-- Savepoints.
BEGIN;
SAVEPOINT a;
UPDATE line SET amount = '3' WHERE id = 9;
SELECT backorder.flush();
TABLE parked;
ROLLBACK TO a;
TABLE parked;
INSERT INTO line VALUES (11, 11, 1, 'pk B', 'y');
COMMIT;
TABLE parked;
DELETE FROM line WHERE id IN (9, 11);
SELECT * FROM backorder.verify();

-- The mapping itself cannot be read: the source is parked, and the application goes on.
ALTER TABLE line RENAME no TO line_no;
INSERT INTO line VALUES (12, 12, 1, 'pk B', '1');
TABLE parked;
ALTER TABLE line DROP pack;
INSERT INTO line VALUES (13, 13, 1, 'pk B', '1'), (14, 13, 2, 'pk B', '1');
UPDATE line SET amount = '50' WHERE id = 1;
TABLE parked;
BEGIN;
DELETE FROM line WHERE id = 3;
ROLLBACK;
SELECT check_name, expected FROM backorder.verify() ORDER BY 1;
SELECT backorder.attach('line', 'item', 'amount::numeric', order_key => 'order_id', line_key => 'line_no', on_error => 'park') > 0 AS attached;
TABLE parked;
TABLE recorded;
SELECT * FROM backorder.verify();
-- ... also where a column goes between the write and the commit.
BEGIN;
INSERT INTO line VALUES (15, 15, 1, 'pk B', '1');
ALTER TABLE line DROP line_no;
COMMIT;
TABLE parked;
SELECT backorder.attach('line', 'item', 'amount::numeric', order_key => 'order_id', line_key => 'id', on_error => 'park') > 0 AS attached;
SELECT * FROM backorder.verify();
-- A watched table that cannot be followed.
CREATE TABLE sent (line_id integer, n integer);
SELECT backorder.attach('line', 'item', 'amount::numeric', order_key => 'order_id', line_key => 'id', on_error => 'park',
	shipped => '(SELECT sum(s.n) FROM sent s WHERE s.line_id = line.id)', watch => ARRAY['sent: SELECT line_id / n * n']) > 0 AS attached;
INSERT INTO sent VALUES (1, 0);
TABLE parked;
SELECT backorder.resync('line');
TABLE parked;
SELECT * FROM backorder.verify();

-- What is not the order's fault is not parked, and no problem of the mapping.
\set SHOW_CONTEXT never
CREATE FUNCTION busy(quantity integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF quantity > 5 THEN RAISE EXCEPTION 'busy' USING ERRCODE = '40001'; END IF;
	RETURN quantity;
END $$;
CREATE TABLE shared (id integer PRIMARY KEY, item text, quantity integer);
SELECT backorder.attach('shared', 'item', 'parking.busy(quantity)', on_error => 'park') > 0 AS attached;
INSERT INTO shared VALUES (1, 'pk S', 3);
INSERT INTO shared VALUES (2, 'pk S', 7);
\echo :SQLSTATE
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO shared VALUES (2, 'pk S', 7);
SELECT * FROM backorder.attach_preview('shared', 'item', 'parking.busy(quantity)');
\echo :SQLSTATE
ROLLBACK;
-- A function that a mapping calls goes, and comes back.
BEGIN;
ALTER FUNCTION busy RENAME TO idle;
SELECT count(*) FROM backorder.attach_preview('shared', 'item', 'quantity') WHERE kind = 'problem';
UPDATE shared SET quantity = 4;
UPDATE shared SET quantity = 5;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT order_key, sqlstate FROM parked WHERE sqlstate = 'OB002';
ALTER FUNCTION idle RENAME TO busy;
COMMIT;
SELECT backorder.resync('shared');
TABLE parked;
SELECT order_key, item, ordered FROM recorded WHERE item = 'pk S';
SELECT * FROM backorder.verify();
SELECT backorder.detach('shared');

-- One line that is mended takes the others of its order along: none of them was recorded.
CREATE TABLE rest (order_id integer, no integer, quantity integer, PRIMARY KEY (order_id, no));
SELECT backorder.attach('rest', $$'pk R'$$, '12 / quantity', order_key => 'order_id', line_key => 'no', on_error => 'park') > 0 AS attached;
INSERT INTO rest VALUES (1, 1, 0), (1, 2, 6);
SELECT order_key, sqlstate FROM parked WHERE order_key = '1';
UPDATE rest SET quantity = 4 WHERE quantity = 0;
SELECT order_key, line_key, ordered FROM recorded WHERE item = 'pk R';
SELECT * FROM backorder.verify();
SELECT backorder.detach('rest');

-- detach() leaves nothing parked.
INSERT INTO line VALUES (16, 16, 'pk B', 'z');
SELECT backorder.detach('line');
SELECT count(*) FROM backorder.parked;
SELECT * FROM backorder.verify();
SELECT backorder.attach('line', 'item', 'amount', on_error => 'ignore');
\echo :SQLSTATE
DROP SCHEMA parking CASCADE;
