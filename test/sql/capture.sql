-- Every way of writing orders reaches the recorded lines, at commit, and nothing else does.

\set SHOW_CONTEXT never
CREATE SCHEMA capture;
SET search_path = capture;

CREATE TABLE header (id integer PRIMARY KEY, customer text, status text NOT NULL DEFAULT 'open');
CREATE TABLE line (
	order_id integer REFERENCES header ON DELETE CASCADE ON UPDATE CASCADE,
	no integer,
	item text,
	quantity numeric,
	note text,
	UNIQUE (order_id, no)
);
SELECT backorder.attach('line', 'item', 'quantity', line_key => 'no', order_key => 'order_id',
	header_table => 'header', header_key => 'id', live => $$header.status = 'open'$$, customer => 'customer') > 0 AS attached;

CREATE VIEW recorded AS
SELECT l.order_key, l.line_key, l.item, l.customer, l.ordered, l.allocated || '/' || l.backordered AS "a/b", l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'capture';
CREATE VIEW events AS
SELECT e.aggregateid AS order_key, e.type, e.id
FROM backorder.event e JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'capture';

SELECT count(*) FROM backorder.receive('ca A', 10);

-- INSERT, many orders in one statement.
INSERT INTO header (id, customer) VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO line VALUES (1, 1, 'ca A', 4), (2, 1, 'ca A', 4), (1, 2, 'ca A', 4);
SELECT order_key, line_key, item, customer, ordered, "a/b" FROM recorded ORDER BY order_key, line_key;

-- UPDATE down: what is freed goes to the one that waits.  UPDATE up.
UPDATE line SET quantity = 3 WHERE (order_id, no) = (1, 1);
SELECT order_key, line_key, ordered, "a/b" FROM recorded ORDER BY order_key, line_key;
UPDATE line SET quantity = quantity + 1;
SELECT order_key, line_key, ordered, "a/b" FROM recorded ORDER BY order_key, line_key;

-- DELETE
DELETE FROM line WHERE (order_id, no) = (1, 2);
SELECT order_key, line_key, ordered, "a/b" FROM recorded ORDER BY order_key, line_key;

-- ON CONFLICT: insert and update in one statement.
INSERT INTO line VALUES (1, 1, 'ca A', 6), (1, 3, 'ca A', 1)
ON CONFLICT (order_id, no) DO UPDATE SET quantity = excluded.quantity;
SELECT order_key, line_key, ordered, "a/b" FROM recorded ORDER BY order_key, line_key;

-- MERGE: update, delete and insert in one statement.
MERGE INTO line USING (VALUES (1, 1, 5), (1, 3, 0), (2, 2, 7)) AS v (order_id, no, quantity)
ON line.order_id = v.order_id AND line.no = v.no
WHEN MATCHED AND v.quantity = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET quantity = v.quantity
WHEN NOT MATCHED THEN INSERT (order_id, no, item, quantity) VALUES (v.order_id, v.no, 'ca A', v.quantity);
SELECT order_key, line_key, ordered, "a/b" FROM recorded ORDER BY order_key, line_key;

-- A statement with writes in WITH: header and lines at once.
WITH h AS (INSERT INTO header VALUES (3, 'Cyd') RETURNING id)
INSERT INTO line SELECT h.id, n, 'ca A', n FROM h, generate_series(1, 2) n;
SELECT order_key, line_key, customer, ordered, "a/b" FROM recorded ORDER BY order_key, line_key;

-- COPY
COPY line (order_id, no, item, quantity) FROM stdin;
3	3	ca B	2
3	4	\N	5
2	3	ca B	1
\.
SELECT order_key, line_key, item, ordered, "a/b" FROM recorded WHERE item = 'ca B' ORDER BY line_id;

-- The header: a customer renamed, a status out of live and back, a key changed by cascade.
UPDATE header SET customer = 'Bea' WHERE id = 2;
UPDATE header SET status = 'cancelled' WHERE id = 1;
SELECT order_key, line_key, item, customer, ordered, "a/b" FROM recorded ORDER BY order_key, line_key;
UPDATE header SET status = 'open' WHERE id = 1;
UPDATE header SET id = 20 WHERE id = 2;
SELECT order_key, line_key, item, customer, ordered, "a/b" FROM recorded ORDER BY order_key::integer, line_key;

-- C27: the header is deleted and its lines go by cascade: released once, others are served.
DELETE FROM header WHERE id = 20;
SELECT order_key, line_key, item, ordered, "a/b" FROM recorded ORDER BY order_key::integer, line_key;
SELECT item, on_hand, allocated, backordered, available FROM backorder.stock WHERE tenant = '' AND item IN ('ca A', 'ca B') ORDER BY item;

-- TRUNCATE, of the lines and by way of the header.
TRUNCATE line;
SELECT count(*) FROM recorded;
SELECT item, allocated, backordered, available FROM backorder.stock WHERE tenant = '' AND item IN ('ca A', 'ca B') ORDER BY item;
INSERT INTO line VALUES (1, 1, 'ca A', 6), (3, 1, 'ca A', 6);
TRUNCATE header CASCADE;
SELECT count(*) FROM recorded;
SELECT item, allocated, backordered, available FROM backorder.stock WHERE tenant = '' AND item = 'ca A';
-- Truncated and filled again in one transaction: what is the same again has changed nothing.
INSERT INTO header VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO line VALUES (1, 1, 'ca A', 6), (2, 1, 'ca A', 6);
CREATE TABLE before AS SELECT * FROM recorded;
BEGIN;
TRUNCATE line;
INSERT INTO line VALUES (2, 1, 'ca A', 6), (1, 1, 'ca A', 6);
COMMIT;
SELECT order_key, "a/b", r.line_id = b.line_id AS same FROM recorded r JOIN before b USING (order_key, "a/b") ORDER BY order_key;
DROP TABLE before;

-- A rollback leaves nothing behind.
SELECT max(id) AS last FROM events \gset
BEGIN;
INSERT INTO line VALUES (1, 5, 'ca A', 100);
SELECT backorder.flush();
SELECT order_key, line_key, "a/b" FROM recorded ORDER BY order_key, line_key;
ROLLBACK;
SELECT order_key, line_key, "a/b" FROM recorded ORDER BY order_key, line_key;
SELECT count(*) FROM events WHERE id > :last;

-- C26: an order placed inside two savepoints, the inner one rolled back.
BEGIN;
SAVEPOINT outer_one;
INSERT INTO header VALUES (26, 'Dan');
INSERT INTO line VALUES (26, 1, 'ca C', 2);
SAVEPOINT inner_one;
INSERT INTO line VALUES (26, 2, 'ca C', 3);
UPDATE line SET quantity = 9 WHERE (order_id, no) = (26, 1);
SELECT backorder.flush();
SELECT line_key, ordered, "a/b" FROM recorded WHERE order_key = '26' ORDER BY line_key;
ROLLBACK TO inner_one;
SELECT count(*) FROM recorded WHERE order_key = '26';
RELEASE outer_one;
COMMIT;
SELECT line_key, ordered, "a/b" FROM recorded WHERE order_key = '26' ORDER BY line_key;
SELECT order_key, type FROM events WHERE order_key = '26' ORDER BY id;
-- Rolled back altogether, though noted outside first: the outer change counts.
BEGIN;
UPDATE line SET quantity = 3 WHERE (order_id, no) = (26, 1);
SAVEPOINT s;
UPDATE line SET quantity = 4 WHERE (order_id, no) = (26, 1);
ROLLBACK TO s;
COMMIT;
SELECT ordered FROM recorded WHERE order_key = '26';
-- Noted only in what was rolled back, after the pending work was done: nothing.
BEGIN;
SAVEPOINT s;
UPDATE line SET quantity = 5 WHERE (order_id, no) = (26, 1);
ROLLBACK TO s;
SELECT backorder.flush();
COMMIT;
SELECT ordered FROM recorded WHERE order_key = '26';
-- A block with an exception handler is a savepoint.
DO $$
BEGIN
	UPDATE capture.line SET quantity = 7 WHERE (order_id, no) = (26, 1);
	BEGIN
		UPDATE capture.line SET quantity = 8 WHERE (order_id, no) = (26, 1);
		PERFORM backorder.flush();
		PERFORM 1 / 0;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
END $$;
SELECT ordered FROM recorded WHERE order_key = '26';

-- Settled in a savepoint that is rolled back later than one inside it.
BEGIN;
UPDATE line SET quantity = 9 WHERE (order_id, no) = (26, 1);
SAVEPOINT a;
SELECT backorder.flush();
SAVEPOINT b;
ROLLBACK TO b;
ROLLBACK TO a;
COMMIT;
SELECT ordered FROM recorded WHERE order_key = '26';
BEGIN;
UPDATE line SET quantity = 2 WHERE (order_id, no) = (26, 1);
SAVEPOINT a;
SAVEPOINT b;
SELECT backorder.flush();
RELEASE b;
SAVEPOINT c;
ROLLBACK TO c;
ROLLBACK TO a;
COMMIT;
SELECT ordered FROM recorded WHERE order_key = '26';

-- An irrelevant change, and a statement that touches no row, change nothing.
CREATE TABLE before AS SELECT * FROM recorded;
UPDATE line SET note = 'gift';
UPDATE line SET quantity = 0 WHERE false;
DELETE FROM line WHERE false;
(TABLE recorded EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE recorded);
DROP TABLE before;

-- NULL, zero and negative quantities and NULL items are no demand.
INSERT INTO header VALUES (30, 'Eve');
INSERT INTO line VALUES (30, 1, 'ca D', NULL), (30, 2, 'ca D', 0), (30, 3, 'ca D', -1), (30, 4, NULL, 1), (30, 5, 'ca D', 1);
SELECT line_key, item, ordered, "a/b" FROM recorded WHERE order_key = '30' ORDER BY line_key;
UPDATE line SET quantity = 2, item = 'ca D' WHERE order_id = 30;
SELECT line_key, item, ordered, "a/b" FROM recorded WHERE order_key = '30' ORDER BY line_key;
UPDATE line SET quantity = CASE no WHEN 1 THEN NULL WHEN 2 THEN 0 WHEN 3 THEN -2 ELSE 2 END WHERE order_id = 30;
UPDATE line SET item = NULL WHERE (order_id, no) = (30, 4);
SELECT line_key, item, ordered, "a/b" FROM recorded WHERE order_key = '30' ORDER BY line_key;

-- NaN and infinity are an error, and nothing is changed by it.
INSERT INTO line VALUES (30, 6, 'ca D', 'NaN');
\echo :SQLSTATE
INSERT INTO line VALUES (30, 6, 'ca D', 'Infinity');
\echo :SQLSTATE
UPDATE line SET quantity = '-Infinity' WHERE (order_id, no) = (30, 5);
\echo :SQLSTATE
SELECT no, item, quantity FROM line WHERE order_id = 30 ORDER BY no;
SELECT line_key, item, ordered, "a/b" FROM recorded WHERE order_key = '30' ORDER BY line_key;

-- A line without an order is nobody's demand until it is linked, or while its header is missing.
INSERT INTO line VALUES (NULL, 1, 'ca E', 3);
SELECT count(*) FROM recorded WHERE item = 'ca E';
INSERT INTO header VALUES (31, 'Fay');
UPDATE line SET order_id = 31 WHERE item = 'ca E';
SELECT order_key, line_key, ordered, "a/b" FROM recorded WHERE item = 'ca E';
UPDATE line SET order_id = NULL WHERE item = 'ca E';
SELECT count(*) FROM recorded WHERE item = 'ca E';

-- C25: an ORM's order: a cart, lines of quantity 0 and without an order, linked, quantity set, status
-- set, in one transaction: each line recorded once, one `backordered` event.
BEGIN;
INSERT INTO header VALUES (25, 'Gil', 'cart');
INSERT INTO line VALUES (NULL, 1, 'ca F', 0);
INSERT INTO line VALUES (NULL, 2, 'ca F', 0);
UPDATE line SET order_id = 25 WHERE order_id IS NULL AND item = 'ca F';
UPDATE line SET quantity = 2 WHERE (order_id, no) = (25, 1);
UPDATE line SET quantity = 3 WHERE (order_id, no) = (25, 2);
UPDATE header SET status = 'open' WHERE id = 25;
COMMIT;
SELECT line_key, item, ordered, "a/b" FROM recorded WHERE order_key = '25' ORDER BY line_id;
SELECT order_key, type FROM events WHERE order_key = '25' ORDER BY id;

-- Settled at commit: not before, unless told to.
BEGIN;
INSERT INTO header VALUES (40, 'Hal');
INSERT INTO line VALUES (40, 1, 'ca G', 1);
SELECT count(*) FROM recorded WHERE order_key = '40';
SELECT backorder.flush();
SELECT count(*) FROM recorded WHERE order_key = '40';
SELECT backorder.flush();
INSERT INTO line VALUES (40, 2, 'ca G', 1);
SELECT count(*) FROM recorded WHERE order_key = '40';
SET CONSTRAINTS ALL IMMEDIATE;
SELECT count(*) FROM recorded WHERE order_key = '40';
INSERT INTO line VALUES (40, 3, 'ca G', 1);
SELECT count(*) FROM recorded WHERE order_key = '40';
COMMIT;
SELECT count(*) FROM recorded WHERE order_key = '40';
SELECT order_key, type FROM events WHERE order_key = '40' ORDER BY id;

-- A stock function settles the transaction's pending orders first.
BEGIN;
INSERT INTO line VALUES (40, 4, 'ca H', 2);
SELECT order_key, line_key, quantity, ready FROM backorder.receive('ca H', 5);
COMMIT;
SELECT line_key, "a/b" FROM recorded WHERE order_key = '40' ORDER BY line_key;
SELECT first_allocated FROM backorder.order_line l JOIN recorded USING (line_id) WHERE l.item = 'ca H';

-- The application's own deferred triggers may write orders at commit.
CREATE FUNCTION add_gift() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO capture.line VALUES (NEW.id, 99, 'ca gift', 1);
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER add_gift AFTER INSERT ON header DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.customer = 'gift') EXECUTE FUNCTION add_gift();
INSERT INTO header VALUES (41, 'gift');
BEGIN;
INSERT INTO header VALUES (42, 'gift');
INSERT INTO line VALUES (42, 1, 'ca G', 1);
COMMIT;
SELECT order_key, line_key, item, ordered, "a/b" FROM recorded WHERE customer = 'gift' ORDER BY order_key, line_key;

-- `immediate`: settled at the end of each statement, events still at commit.
CREATE TABLE now_line (id integer PRIMARY KEY, item text, quantity integer);
SELECT backorder.attach('now_line', 'item', 'quantity', timing => 'immediate') > 0 AS attached;
SELECT count(*) FROM backorder.receive('ca now', 3);
BEGIN;
INSERT INTO now_line VALUES (1, 'ca now', 2), (2, 'ca now', 2);
SELECT order_key, "a/b" FROM recorded WHERE item = 'ca now' ORDER BY line_id;
UPDATE now_line SET quantity = 1 WHERE id = 1;
SELECT order_key, "a/b" FROM recorded WHERE item = 'ca now' ORDER BY line_id;
SAVEPOINT s;
DELETE FROM now_line WHERE id = 1;
SELECT order_key, "a/b" FROM recorded WHERE item = 'ca now' ORDER BY line_id;
ROLLBACK TO s;
SELECT order_key, "a/b" FROM recorded WHERE item = 'ca now' ORDER BY line_id;
SELECT count(*) AS events FROM backorder.event WHERE created_at = now();
COMMIT;
TRUNCATE now_line;
SELECT count(*) FROM recorded WHERE item = 'ca now';
INSERT INTO now_line VALUES (3, 'ca now', 4);
SELECT order_key, "a/b" FROM recorded WHERE item = 'ca now' ORDER BY line_id;

-- Partitions: written through the root or themselves, with columns in another order; rows that move from one to
-- another are the same lines.
CREATE TABLE parted (order_id integer, no integer, region text, item text, quantity integer, PRIMARY KEY (order_id, no, region)) PARTITION BY LIST (region);
CREATE TABLE parted_east PARTITION OF parted FOR VALUES IN ('east');
SELECT backorder.attach('parted', 'item', 'quantity', line_key => 'no', order_key => 'order_id') > 0 AS attached;
CREATE TABLE parted_west PARTITION OF parted FOR VALUES IN ('west');
CREATE TABLE parted_north (spare integer, item text, quantity integer, region text NOT NULL, order_id integer NOT NULL, no integer NOT NULL);
ALTER TABLE parted_north DROP COLUMN spare;
ALTER TABLE parted ATTACH PARTITION parted_north FOR VALUES IN ('north');
SELECT count(*) FROM backorder.receive('ca part', 5);
INSERT INTO parted VALUES (1, 1, 'east', 'ca part', 2), (1, 2, 'west', 'ca part', 2);
INSERT INTO parted_north VALUES ('ca part', 2, 'north', 2, 1);
SELECT order_key, line_key, "a/b" FROM recorded WHERE item = 'ca part' ORDER BY line_id;
CREATE TABLE before AS SELECT * FROM recorded WHERE item = 'ca part';
UPDATE parted SET region = 'west' WHERE (order_id, no) = (1, 1);
UPDATE parted SET region = 'east' WHERE (order_id, no) = (2, 1);
(SELECT * FROM recorded WHERE item = 'ca part' EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE recorded);
DROP TABLE before;
UPDATE parted_west SET quantity = 1 WHERE (order_id, no) = (1, 2);
SELECT order_key, line_key, "a/b" FROM recorded WHERE item = 'ca part' ORDER BY line_id;
-- TRUNCATE of a single partition, and what a partition takes along when it is detached.
TRUNCATE parted_west;
ALTER TABLE parted DETACH PARTITION parted_east;
INSERT INTO parted_west VALUES (3, 1, 'west', 'ca part', 1);
INSERT INTO parted_east VALUES (4, 1, 'east', 'ca part', 1);
SELECT order_key, line_key, "a/b" FROM recorded WHERE item = 'ca part' ORDER BY line_id;
SELECT check_name, object, expected FROM backorder.verify() ORDER BY object;
SELECT backorder.resync('parted');
SELECT order_key, line_key, "a/b" FROM recorded WHERE item = 'ca part' ORDER BY line_id;

-- Direct use of the internal triggers is refused.
CREATE TABLE other (id integer PRIMARY KEY);
CREATE TRIGGER forged AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION backorder_internal.capture('1');
INSERT INTO other VALUES (1);
\echo :SQLSTATE
SELECT count(*) FROM other;

-- A mapping that reads whole rows, of a table that lost a column; lines without a key belong to no order yet.
CREATE TABLE whole (id integer PRIMARY KEY, gone integer, order_id integer, no integer, item text, quantity integer, note text);
ALTER TABLE whole DROP COLUMN gone;
SELECT backorder.attach('whole', 'item', 'quantity', order_key => 'order_id', line_key => 'no', customer => 'line::text') > 0 AS attached;
INSERT INTO whole VALUES (1, 1, 1, 'ca whole', 2, 'a'), (2, 1, NULL, 'ca whole', 3, 'b'), (3, NULL, 1, 'ca whole', 4, 'c');
UPDATE whole SET note = 'd' WHERE id = 1;
SELECT customer, (SELECT revision FROM backorder.sales_order o WHERE (o.source_id, o.order_key) = (l.source_id, l.order_key)) FROM backorder.order_line l WHERE item = 'ca whole';
UPDATE whole SET note = 'd' WHERE id = 1;
SELECT customer, (SELECT revision FROM backorder.sales_order o WHERE (o.source_id, o.order_key) = (l.source_id, l.order_key)) FROM backorder.order_line l WHERE item = 'ca whole';

SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'capture' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA capture CASCADE;
