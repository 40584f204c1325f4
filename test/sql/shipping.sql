-- Shipping is a fact: what the application reports as shipped leaves on hand.

\set SHOW_CONTEXT never
CREATE SCHEMA shipping;
SET search_path = shipping;

CREATE TABLE header (id integer PRIMARY KEY, customer text, status text NOT NULL DEFAULT 'open');
CREATE TABLE line (
	order_id integer REFERENCES header ON DELETE CASCADE,
	no integer,
	item text,
	quantity integer,
	cancelled integer NOT NULL DEFAULT 0,
	shipped integer NOT NULL DEFAULT 0,
	picked integer NOT NULL DEFAULT 0,
	PRIMARY KEY (order_id, no)
);
SELECT backorder.attach('line', 'item', 'quantity', line_key => 'no', order_key => 'order_id',
	header_table => 'header', header_key => 'id', live => $$header.status = 'open'$$, customer => 'customer',
	shipped => 'shipped', cancelled => 'cancelled', picked => 'picked') > 0 AS attached;
INSERT INTO header SELECT i, 'customer ' || i FROM generate_series(1, 9) i;

CREATE VIEW recorded AS
SELECT l.order_key, l.line_key, l.item, l.ordered, l.cancelled, l.shipped, l.allocated || '/' || l.backordered AS "a/b", l.live, l.deleted, l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'shipping';
CREATE VIEW stock AS SELECT item, on_hand, allocated, backordered, available FROM backorder.stock WHERE tenant = '';
CREATE VIEW ledger AS
SELECT m.item, m.kind, m.quantity, r.order_key, m.reason, m.movement_id
FROM backorder.stock_movement m LEFT JOIN recorded r USING (line_id, item) WHERE m.tenant = '';
CREATE VIEW events AS
SELECT e.aggregateid AS order_key, e.type, e.payload, e.id
FROM backorder.event e JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'shipping';

-- C31: shipped in full, then completed (not live), then deleted: on hand changes once, the shipped rows stay.
SELECT count(*) FROM backorder.receive('c31', 8);
INSERT INTO line VALUES (1, 1, 'c31', 5);
UPDATE line SET shipped = 5 WHERE item = 'c31';
SELECT * FROM stock WHERE item = 'c31';
SELECT order_key, ordered, shipped, "a/b", live, deleted FROM recorded WHERE item = 'c31';
UPDATE header SET status = 'completed' WHERE id = 1;
SELECT order_key, ordered, shipped, "a/b", live, deleted FROM recorded WHERE item = 'c31';
DELETE FROM header WHERE id = 1;
SELECT order_key, ordered, shipped, "a/b", live, deleted FROM recorded WHERE item = 'c31';
SELECT * FROM stock WHERE item = 'c31';
SELECT item, kind, quantity, order_key FROM ledger WHERE item = 'c31' ORDER BY movement_id;
SELECT * FROM backorder.verify();
INSERT INTO header VALUES (1, 'customer 1');

-- Shipped in parts: from the line's own allocation.
SELECT count(*) FROM backorder.receive('parts', 6);
INSERT INTO line VALUES (1, 1, 'parts', 8), (2, 1, 'parts', 1);
UPDATE line SET shipped = 4 WHERE (order_id, item) = (1, 'parts');
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'parts' ORDER BY line_id;
SELECT order_key, quantity FROM backorder.receive('parts', 2);
UPDATE line SET shipped = 8 WHERE (order_id, item) = (1, 'parts');
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'parts' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'parts';
SELECT item, kind, quantity, order_key FROM ledger WHERE item = 'parts' ORDER BY movement_id;
-- Recorded and shipped at once, in one transaction.
SELECT count(*) FROM backorder.receive('at once', 3);
INSERT INTO line VALUES (1, 2, 'at once', 2, 0, 2);
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'at once';
SELECT * FROM stock WHERE item = 'at once';
-- The order ends half shipped: only what is open ends.
SELECT count(*) FROM backorder.receive('half', 5);
INSERT INTO line VALUES (3, 1, 'half', 4, 0, 1), (4, 1, 'half', 3, 0, 0);
UPDATE header SET status = 'cancelled' WHERE id = 3;
SELECT order_key, ordered, shipped, "a/b", live FROM recorded WHERE item = 'half' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'half';
-- Back to life: what was shipped stays shipped.
UPDATE header SET status = 'open' WHERE id = 3;
SELECT order_key, ordered, shipped, "a/b", live FROM recorded WHERE item = 'half' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'half';
DELETE FROM line WHERE (order_id, no) = (3, 1);
SELECT order_key, ordered, shipped, "a/b", live, deleted FROM recorded WHERE item = 'half' ORDER BY line_id;
-- Cancelled and shipped quantities leave the rest open.
SELECT count(*) FROM backorder.receive('rest', 10);
INSERT INTO line VALUES (5, 1, 'rest', 10, 2, 3);
SELECT order_key, ordered, cancelled, shipped, "a/b" FROM recorded WHERE item = 'rest';
UPDATE line SET cancelled = 9 WHERE item = 'rest';
SELECT order_key, ordered, cancelled, shipped, "a/b" FROM recorded WHERE item = 'rest';
SELECT * FROM stock WHERE item = 'rest';

-- C32: on hand 4, a line of 5 with 4/1, of which 5 are reported shipped.
SELECT count(*) FROM backorder.receive('c32', 4);
INSERT INTO line VALUES (6, 1, 'c32', 5);
UPDATE line SET shipped = 5 WHERE item = 'c32';
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'c32';
SELECT * FROM stock WHERE item = 'c32';
SELECT item, kind, quantity, order_key, reason FROM ledger WHERE item = 'c32' ORDER BY movement_id;
SELECT order_key, type, jsonb_pretty(payload) AS payload FROM events WHERE order_key = '6' AND type = 'discrepancy' ORDER BY id;

-- C32 with overship => 'refuse': an error and no change.
CREATE TABLE strict_line (id integer PRIMARY KEY, item text, quantity integer, shipped integer NOT NULL DEFAULT 0);
SELECT backorder.attach('strict_line', 'item', 'quantity', shipped => 'shipped', overship => 'refuse') > 0 AS attached;
SELECT count(*) FROM backorder.receive('c32r', 4);
INSERT INTO strict_line VALUES (1, 'c32r', 5);
UPDATE strict_line SET shipped = 5;
\echo :SQLSTATE
SELECT * FROM strict_line;
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'c32r';
SELECT * FROM stock WHERE item = 'c32r';
UPDATE strict_line SET shipped = 4;
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'c32r';

-- More than its allocation: from available first (here the line is held), ...
CREATE TABLE held_line (id integer PRIMARY KEY, item text, quantity integer, shipped integer NOT NULL DEFAULT 0);
SELECT backorder.attach('held_line', 'item', 'quantity', shipped => 'shipped', held => 'true') > 0 AS attached;
SELECT count(*) FROM backorder.receive('free', 7);
INSERT INTO line VALUES (6, 2, 'free', 2);
INSERT INTO held_line VALUES (1, 'free', 4);
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'free' ORDER BY line_id;
UPDATE held_line SET shipped = 4;
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'free' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'free';
-- ... then from the lowest-ranked allocations of others, who wait again.
SELECT count(*) FROM backorder.receive('other', 6);
INSERT INTO line VALUES (6, 3, 'other', 2), (7, 1, 'other', 2), (8, 1, 'other', 2), (9, 1, 'other', 3);
UPDATE line SET shipped = 3 WHERE (order_id, item) = (9, 'other');
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'other' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'other';
SELECT item, kind, quantity, order_key FROM ledger WHERE item = 'other' ORDER BY movement_id;
SELECT order_key, type FROM events WHERE order_key IN ('7', '8', '9') ORDER BY id;
-- ... but not what is picked.
SELECT count(*) FROM backorder.receive('picked', 4);
INSERT INTO line VALUES (6, 4, 'picked', 2, 0, 0, 2), (7, 2, 'picked', 2, 0, 0, 1), (8, 2, 'picked', 1, 0, 0, 0);
UPDATE line SET shipped = 1 WHERE (order_id, item) = (8, 'picked');
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'picked' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'picked';
-- What is held back for quality is on hand: shipping it is no discrepancy of the count.
SELECT count(*) FROM backorder.receive('quality', 3, held => true);
INSERT INTO line VALUES (6, 5, 'quality', 2);
UPDATE line SET shipped = 2 WHERE item = 'quality';
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'quality' ORDER BY line_id;
SELECT on_hand, unavailable, allocated, available FROM backorder.stock WHERE item = 'quality';
SELECT kind, quantity, unavailable FROM backorder.stock_movement WHERE item = 'quality' ORDER BY movement_id;

-- Shipped more than ordered: nothing is open, on hand is less by all of it.
SELECT count(*) FROM backorder.receive('more', 5);
INSERT INTO line VALUES (7, 3, 'more', 2);
UPDATE line SET shipped = 3 WHERE item = 'more';
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'more';
SELECT * FROM stock WHERE item = 'more';

-- A lower shipped is a correction: back on hand, first to that line.
SELECT count(*) FROM backorder.receive('back', 4);
INSERT INTO line VALUES (7, 4, 'back', 1), (8, 4, 'back', 4), (9, 4, 'back', 1);
UPDATE line SET shipped = 3 WHERE (order_id, item) = (8, 'back');
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'back' ORDER BY line_id;
UPDATE line SET quantity = 3 WHERE (order_id, item) = (7, 'back');
UPDATE line SET shipped = 1 WHERE (order_id, item) = (8, 'back');
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'back' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'back';
SELECT item, kind, quantity, order_key FROM ledger WHERE item = 'back' ORDER BY movement_id;
-- Of a line that wants less by now, what it does not want goes to the others.
UPDATE line SET shipped = 0, quantity = 1 WHERE (order_id, item) = (8, 'back');
SELECT order_key, ordered, shipped, "a/b" FROM recorded WHERE item = 'back' ORDER BY line_id;

-- Shipped of an order that never was live: the goods left nevertheless.
SELECT count(*) FROM backorder.receive('again', 5);
INSERT INTO header VALUES (10, 'customer 10', 'cancelled');
INSERT INTO line VALUES (10, 1, 'again', 3, 0, 2);
SELECT ordered, shipped, "a/b", live, deleted FROM recorded WHERE item = 'again';
SELECT * FROM stock WHERE item = 'again';
-- Deleted, and written again under its key: what left before does not leave again.
DELETE FROM line WHERE item = 'again';
INSERT INTO line VALUES (10, 1, 'again', 3, 0, 2);
SELECT ordered, shipped, "a/b", live, deleted FROM recorded WHERE item = 'again';
UPDATE header SET status = 'open' WHERE id = 10;
SELECT ordered, shipped, "a/b", live, deleted FROM recorded WHERE item = 'again';
DELETE FROM line WHERE item = 'again';
INSERT INTO line VALUES (10, 1, 'again', 4, 0, 3);
SELECT ordered, shipped, "a/b", live, deleted FROM recorded WHERE item = 'again';
SELECT * FROM stock WHERE item = 'again';
SELECT item, kind, quantity FROM ledger WHERE item = 'again' ORDER BY movement_id;

-- NULL and negative quantities shipped, cancelled or picked are nothing; NaN and infinity are refused.
CREATE TABLE loose (id integer PRIMARY KEY, item text, quantity numeric, shipped numeric, cancelled numeric, picked numeric);
SELECT backorder.attach('loose', 'item', 'quantity', shipped => 'shipped', cancelled => 'cancelled', picked => 'picked') > 0 AS attached;
INSERT INTO loose VALUES (1, 'loose', 2, NULL, NULL, NULL), (2, 'loose', 2, -1, -1, -1);
INSERT INTO loose VALUES (3, 'loose', 2, 'NaN');
\echo :SQLSTATE
INSERT INTO loose VALUES (3, 'loose', 2, 0, 'Infinity');
\echo :SQLSTATE
INSERT INTO loose VALUES (3, 'loose', 2, 0, 0, '-Infinity');
\echo :SQLSTATE
SELECT order_key, ordered, cancelled, shipped, "a/b" FROM recorded WHERE item = 'loose' ORDER BY line_id;

SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'shipping' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA shipping CASCADE;
