-- What stays the same line: its line_id, place in the queue, allocation and promises.

\set SHOW_CONTEXT never
SET datestyle = ISO;
CREATE SCHEMA identity;
SET search_path = identity;

CREATE TABLE header (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'open');
CREATE TABLE line (order_id integer, no integer, item text, quantity integer, location text NOT NULL DEFAULT '', PRIMARY KEY (order_id, no));
SELECT backorder.attach('line', 'item', 'quantity', line_key => 'no', order_key => 'order_id', location => 'location',
	header_table => 'header', header_key => 'id', live => $$header.status = 'open'$$) > 0 AS attached;

CREATE VIEW recorded AS
SELECT l.order_key, l.line_key, l.item, l.location, l.allocated || '/' || l.backordered AS "a/b",
	l.first_promised_at, l.promised_at, l.queued_at, l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'identity';
CREATE VIEW events AS
SELECT e.aggregateid AS order_key, e.type, e.id
FROM backorder.event e JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'identity';

-- Names for what was recorded, to tell afterwards what is still the same.
CREATE TABLE mark (name text PRIMARY KEY, line_id bigint, queued_at timestamptz);
CREATE FUNCTION mark(prefix text) RETURNS bigint LANGUAGE sql AS $$
	WITH marked AS (
		INSERT INTO mark SELECT prefix || order_key || '.' || line_key, line_id, queued_at FROM recorded
		ON CONFLICT (name) DO UPDATE SET line_id = excluded.line_id, queued_at = excluded.queued_at
		RETURNING 1)
	SELECT count(*) FROM marked
$$;
-- Each line with the name of the marked line that it is, and whether it waits since the same time.
CREATE FUNCTION compare(prefix text) RETURNS TABLE (line text, item text, "a/b" text, promised_at date, was text, same_time boolean) LANGUAGE sql AS $$
	SELECT r.order_key || '.' || r.line_key, r.item, r."a/b", r.promised_at, coalesce(substr(m.name, length(prefix) + 1), 'new'), m.queued_at = r.queued_at
	FROM recorded r LEFT JOIN mark m ON m.line_id = r.line_id AND m.name LIKE prefix || '%'
	ORDER BY r.item, r.line_id
$$;

INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('identity', 7);
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (400000001, 'identity', 'draft');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (400000001, 1, 'id A', 4, '2099-12-01');
SELECT backorder.place_purchase_order(400000001);

-- C28: all lines of a waiting, part-allocated order deleted and inserted again in one transaction.
SELECT count(*) FROM backorder.receive('id A', 3);
SELECT count(*) FROM backorder.receive('id B', 1);
INSERT INTO header VALUES (1), (2);
INSERT INTO line VALUES (1, 1, 'id A', 2), (1, 2, 'id A', 3), (1, 3, 'id B', 2);
INSERT INTO line VALUES (2, 1, 'id A', 1), (2, 2, 'id B', 1);
SELECT mark('c28 ');
SELECT * FROM compare('c28 ');
SELECT order_key, type FROM events ORDER BY id;
-- With the same keys.
BEGIN;
DELETE FROM line WHERE order_id = 1;
INSERT INTO line VALUES (1, 1, 'id A', 2), (1, 2, 'id A', 3), (1, 3, 'id B', 2);
COMMIT;
SELECT * FROM compare('c28 ');
-- With new keys: lines of one item are paired in order.
BEGIN;
DELETE FROM line WHERE order_id = 1;
INSERT INTO line VALUES (1, 13, 'id B', 2), (1, 12, 'id A', 3), (1, 11, 'id A', 2);
COMMIT;
SELECT * FROM compare('c28 ');
-- Under keys that other lines had: the line is the one with the item.
BEGIN;
DELETE FROM line WHERE order_id = 1;
INSERT INTO line VALUES (1, 11, 'id B', 2), (1, 13, 'id A', 2), (1, 14, 'id A', 3);
COMMIT;
SELECT * FROM compare('c28 ');
-- No event for any of it.
SELECT order_key, type FROM events ORDER BY id;
-- The replaced lines may be fewer, more, and of other quantities.
BEGIN;
DELETE FROM line WHERE order_id = 1;
INSERT INTO line VALUES (1, 21, 'id A', 4);
COMMIT;
SELECT * FROM compare('c28 ');
BEGIN;
DELETE FROM line WHERE order_id = 1;
INSERT INTO line VALUES (1, 31, 'id A', 2), (1, 32, 'id A', 2), (1, 33, 'id B', 1);
COMMIT;
SELECT * FROM compare('c28 ');
TRUNCATE line;
SELECT count(*) FROM recorded;

-- C39: deleted, and in a later transaction inserted with the same key: a new line.
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('id D', 'receipt', 10);
INSERT INTO header VALUES (39);
INSERT INTO line VALUES (39, 1, 'id D', 10);
SELECT mark('c39 ');
DELETE FROM line WHERE order_id = 39;
SELECT available FROM backorder.stock WHERE item = 'id D';
INSERT INTO line VALUES (39, 1, 'id D', 10);
SELECT * FROM compare('c39 ');
SELECT allocated, available FROM backorder.stock WHERE item = 'id D';
SELECT a.quantity, a.cause, m.name FROM backorder.allocation a LEFT JOIN mark m USING (line_id) WHERE a.item = 'id D' ORDER BY a.allocation_id;
TRUNCATE line;

-- C40: lines 2 and 10 of one order and item; the number's order where the key is a number.
CREATE TABLE text_line (order_id text, no text, item text, quantity integer, PRIMARY KEY (order_id, no));
SELECT backorder.attach('text_line', 'item', 'quantity', line_key => 'no', order_key => 'order_id') > 0 AS attached;
INSERT INTO header VALUES (40);
INSERT INTO line VALUES (40, 10, 'id E', 3), (40, 2, 'id E', 3);
INSERT INTO text_line VALUES ('40', '10', 'id F', 3), ('40', '2', 'id F', 3);
SELECT line_key, quantity FROM backorder.receive('id E', 4);
SELECT line_key, quantity FROM backorder.receive('id F', 4);
-- Orders come as first noted, not by key.
INSERT INTO header VALUES (41), (42);
INSERT INTO line VALUES (42, 1, 'id G', 1), (41, 1, 'id G', 1);
SELECT order_key, quantity FROM backorder.receive('id G', 1);
DELETE FROM line;
DELETE FROM text_line;

-- A line whose order key is updated moves with all it has.
INSERT INTO line VALUES (1, 1, 'id H', 2), (1, 2, 'id H', 2), (2, 1, 'id H', 2);
SELECT count(*) FROM backorder.receive('id H', 3);
SELECT mark('move ');
SELECT * FROM compare('move ');
INSERT INTO header VALUES (3);
UPDATE line SET order_id = 3, no = 7 WHERE (order_id, no) = (1, 2);
SELECT * FROM compare('move ');
-- Twice in one transaction, and changed on the way.
BEGIN;
UPDATE line SET order_id = 1, no = 8 WHERE (order_id, no) = (3, 7);
UPDATE line SET order_id = 2, no = 9, quantity = 3 WHERE (order_id, no) = (1, 8);
COMMIT;
SELECT * FROM compare('move ');
-- Two lines that change places.
BEGIN;
UPDATE line SET order_id = 1, no = 5 WHERE (order_id, no) = (2, 9);
UPDATE line SET order_id = 2, no = 9 WHERE (order_id, no) = (1, 1);
UPDATE line SET no = 1 WHERE (order_id, no) = (1, 5);
COMMIT;
SELECT * FROM compare('move ');
-- Moved and moved back, and moved in a savepoint that is rolled back.
BEGIN;
UPDATE line SET order_id = 3 WHERE (order_id, no) = (2, 1);
UPDATE line SET order_id = 2 WHERE (order_id, no) = (3, 1);
SAVEPOINT s;
UPDATE line SET order_id = 1, no = 4 WHERE (order_id, no) = (2, 9);
ROLLBACK TO s;
COMMIT;
SELECT * FROM compare('move ');
-- A delete here and an insert there is no move: its stock goes to those who wait, and it joins at the end.
BEGIN;
DELETE FROM line WHERE (order_id, no) = (2, 9);
INSERT INTO line VALUES (3, 1, 'id H', 2);
COMMIT;
SELECT * FROM compare('move ');
-- To an order that is not live the line does not move, it ends.
INSERT INTO header VALUES (4, 'cancelled');
UPDATE line SET order_id = 4 WHERE (order_id, no) = (1, 1);
SELECT * FROM compare('move ');
DELETE FROM line;

-- Another item or location is a new place in the queue.
SELECT count(*) FROM backorder.receive('id I', 2);
INSERT INTO line VALUES (1, 1, 'id I', 2), (2, 1, 'id I', 1), (3, 1, 'id J', 1);
SELECT mark('item ');
UPDATE line SET item = 'id J' WHERE order_id = 1;
SELECT * FROM compare('item ');
UPDATE line SET item = 'id I' WHERE order_id = 1;
SELECT * FROM compare('item ');
SELECT count(*) FROM backorder.receive('id I', 1, 'east');
UPDATE line SET location = 'east' WHERE order_id = 1;
SELECT * FROM compare('item ');
SELECT item, location, on_hand, allocated, backordered FROM backorder.stock WHERE tenant = '' AND item IN ('id I', 'id J') ORDER BY 1, 2;
DELETE FROM line;

-- Back to life is a new place too; within one transaction nothing happened.
SELECT count(*) FROM backorder.receive('id K', 1);
INSERT INTO line VALUES (1, 1, 'id K', 2), (2, 1, 'id K', 2);
SELECT mark('life ');
BEGIN;
UPDATE header SET status = 'parked' WHERE id = 1;
UPDATE header SET status = 'open' WHERE id = 1;
COMMIT;
SELECT * FROM compare('life ');
UPDATE header SET status = 'parked' WHERE id = 1;
UPDATE header SET status = 'open' WHERE id = 1;
SELECT * FROM compare('life ');
DELETE FROM line;

-- Where queued_at is mapped it decides the place, whatever happens to the line.
CREATE TABLE dated (id integer PRIMARY KEY, item text, quantity integer, ordered_at timestamptz, live boolean NOT NULL DEFAULT true);
SELECT backorder.attach('dated', 'item', 'quantity', queued_at => 'ordered_at', live => 'live') > 0 AS attached;
INSERT INTO dated VALUES (1, 'id L', 1, '2020-01-03 12:00+00'), (2, 'id L', 1, '2020-01-01 12:00+00'), (3, 'id L', 1, '2020-01-02 12:00+00');
UPDATE dated SET live = false WHERE id = 2;
UPDATE dated SET live = true WHERE id = 2;
UPDATE dated SET item = 'id M' WHERE id = 3;
UPDATE dated SET item = 'id L' WHERE id = 3;
SELECT order_key, rank, ahead FROM backorder.backlog WHERE item = 'id L' ORDER BY rank;
UPDATE dated SET ordered_at = '2019-12-31 12:00+00' WHERE id = 1;
SELECT order_key, rank, ahead FROM backorder.backlog WHERE item = 'id L' ORDER BY rank;
SELECT order_key, quantity FROM backorder.receive('id L', 2);

-- What one statement moves, it moves at once, also where another trigger of the table runs statements of its own.
CREATE TABLE audit (at timestamptz DEFAULT now());
CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit DEFAULT VALUES; RETURN NULL; END $$;
CREATE TABLE shifted (order_id integer, no integer, item text, quantity integer, PRIMARY KEY (order_id, no) DEFERRABLE);
CREATE TRIGGER audited AFTER UPDATE ON shifted FOR EACH ROW EXECUTE FUNCTION audited();
SELECT backorder.attach('shifted', 'item', 'quantity', line_key => 'no', order_key => 'order_id') > 0 AS attached;
INSERT INTO shifted VALUES (9001, 1, 'id S', 1), (9001, 2, 'id S', 2), (9001, 3, 'id S', 3);
DELETE FROM dated;
SELECT mark('shift ');
UPDATE shifted SET no = no % 3 + 1;
SELECT * FROM compare('shift ') WHERE item = 'id S';

-- Shipped and moved in one change: goods of the first item come back; so does what a line that comes to life again had too much.
CREATE TABLE corrected (order_id integer, no integer, item text, quantity integer, shipped integer DEFAULT 0, live boolean DEFAULT true, PRIMARY KEY (order_id, no));
SELECT backorder.attach('corrected', 'item', 'quantity', line_key => 'no', order_key => 'order_id', shipped => 'shipped', live => 'live') > 0 AS attached;
SELECT count(*) FROM backorder.receive('id X', 10);
SELECT count(*) FROM backorder.receive('id Y', 10);
CREATE VIEW sent AS SELECT r.order_key, r.line_key, r.item, l.shipped, r."a/b", l.live, s.on_hand, s.allocated
FROM recorded r JOIN backorder.order_line l USING (line_id) JOIN backorder.stock s ON s.tenant = l.tenant AND s.item = l.item AND s.location = l.location ORDER BY r.line_id;
INSERT INTO corrected VALUES (9101, 1, 'id X', 5, 3);
UPDATE corrected SET item = 'id Y', shipped = 1;
SELECT * FROM sent WHERE order_key = '9101';
SELECT item, kind, quantity FROM backorder.stock_movement WHERE item IN ('id X', 'id Y') ORDER BY movement_id;
INSERT INTO corrected VALUES (9102, 1, 'id Z', 5, 3), (9103, 1, 'id Z', 9, 0);
UPDATE corrected SET live = false WHERE order_id = 9102;
UPDATE corrected SET live = true, shipped = 1 WHERE order_id = 9102;
SELECT * FROM sent WHERE item = 'id Z';
SELECT item, kind, quantity FROM backorder.stock_movement WHERE item = 'id Z' ORDER BY movement_id;
-- Replaced by a line that carries on, while the old one stays, not live any more: what it shipped was shipped once.
INSERT INTO corrected VALUES (9104, 1, 'id Y', 5, 2);
SELECT mark('carry ');
BEGIN;
UPDATE corrected SET live = false WHERE order_id = 9104;
INSERT INTO corrected VALUES (9104, 2, 'id Y', 5, 2);
COMMIT;
SELECT line, was FROM compare('carry ') WHERE line LIKE '9104%';
SELECT * FROM sent WHERE order_key = '9104' ORDER BY line_key;
SELECT item, kind, quantity FROM backorder.stock_movement WHERE item = 'id Y' ORDER BY movement_id;

-- A line that was shipped, moved away and deleted leaves its row where it was, unless another line stands there now.
CREATE TABLE departed (order_id integer, no integer, item text, quantity integer, shipped integer NOT NULL DEFAULT 0, PRIMARY KEY (order_id, no));
SELECT backorder.attach('departed', 'item', 'quantity', line_key => 'no', order_key => 'order_id', shipped => 'shipped') > 0 AS attached;
SELECT count(*) FROM backorder.receive('id T', 6);
INSERT INTO departed VALUES (9201, 1, 'id T', 4), (9202, 1, 'id T', 4), (9203, 1, 'id T', 2);
UPDATE departed SET shipped = 2 WHERE order_id < 9203;
BEGIN;
UPDATE departed SET order_id = 9203, no = 2 WHERE order_id = 9201;
DELETE FROM departed WHERE order_id = 9203 AND no = 2;
UPDATE departed SET order_id = 9203, no = 2 WHERE order_id = 9202;
DELETE FROM departed WHERE order_id = 9203 AND no = 2;
INSERT INTO departed VALUES (9202, 1, 'id U', 3);
COMMIT;
SELECT order_key, line_key, item, live, deleted, shipped, allocated FROM backorder.order_line WHERE order_key LIKE '920_' ORDER BY 1;

SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'identity' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA identity CASCADE;
