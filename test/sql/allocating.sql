-- Who gets what: the lines of an item are served by rank.

\set SHOW_CONTEXT never
CREATE SCHEMA allocating;
SET search_path = allocating;

-- Each row is an order of its own.
CREATE TABLE orders (
	id integer PRIMARY KEY,
	item text,
	quantity integer,
	priority integer NOT NULL DEFAULT 0,
	held boolean NOT NULL DEFAULT false,
	picked integer NOT NULL DEFAULT 0
);
SELECT backorder.attach('orders', 'item', 'quantity', priority => 'priority', held => 'held', picked => 'picked') > 0 AS attached;

-- What is recorded, in order of arrival, as allocated/backordered.
CREATE VIEW recorded AS
SELECT l.item, l.order_key, l.line_key, l.allocated || '/' || l.backordered AS "a/b", l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'allocating';
CREATE VIEW stock AS SELECT item, on_hand, allocated, backordered, available FROM backorder.stock WHERE tenant = '';

-- C1: two lines of 1 wait; of a receipt of 1 the first gets 1, the second nothing.
INSERT INTO orders VALUES (101, 'c1', 1), (102, 'c1', 1);
SELECT order_key, customer, item, location, quantity, allocated, backordered, ready FROM backorder.receive('c1', 1);
SELECT order_key, "a/b" FROM recorded WHERE item = 'c1' ORDER BY line_id;

-- C2: the same with 3: both are filled, 1 stays available.
INSERT INTO orders VALUES (201, 'c2', 1), (202, 'c2', 1);
SELECT order_key, quantity, ready FROM backorder.receive('c2', 3);
SELECT order_key, "a/b" FROM recorded WHERE item = 'c2' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'c2';

-- C3: of twenty lines of 1, a receipt of 5 fills exactly the first five.
INSERT INTO orders SELECT 300 + i, 'c3', 1 FROM generate_series(1, 20) i;
SELECT order_key, quantity FROM backorder.receive('c3', 5);
SELECT string_agg("a/b", ' ' ORDER BY line_id) FROM recorded WHERE item = 'c3';

-- C4: 4 and 1 wait, 3 arrive: 3/1 and 0/1.
INSERT INTO orders VALUES (401, 'c4', 4);
INSERT INTO orders VALUES (402, 'c4', 1);
SELECT order_key, quantity, allocated, backordered, ready FROM backorder.receive('c4', 3);
SELECT order_key, "a/b" FROM recorded WHERE item = 'c4' ORDER BY line_id;

-- C5: without stock a decrease frees nothing: 3 backordered in all, nobody has anything.
INSERT INTO orders VALUES (501, 'c5', 1), (502, 'c5', 2), (503, 'c5', 1);
UPDATE orders SET quantity = 1 WHERE id = 502;
SELECT order_key, "a/b" FROM recorded WHERE item = 'c5' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'c5';

-- C6: two lines of one order do not see the same stock: 5 are 3/0 and 2/1.
CREATE TABLE line (order_id integer, no integer, item text, quantity integer, PRIMARY KEY (order_id, no));
SELECT backorder.attach('line', 'item', 'quantity', order_key => 'order_id', line_key => 'no') > 0 AS attached;
SELECT count(*) FROM backorder.receive('c6', 5);
INSERT INTO line VALUES (600, 1, 'c6', 3), (600, 2, 'c6', 3);
SELECT order_key, line_key, "a/b" FROM recorded WHERE item = 'c6' ORDER BY line_id;

-- C7: 5, 3, 20, 20, 15 wait, 20 arrive.
INSERT INTO orders VALUES (701, 'c7', 5), (702, 'c7', 3), (703, 'c7', 20), (704, 'c7', 20), (705, 'c7', 15);
SELECT order_key, quantity, backordered FROM backorder.receive('c7', 20);
SELECT string_agg("a/b", ' ' ORDER BY line_id) FROM recorded WHERE item = 'c7';

-- C8: the same, the fourth raised to priority 1 before: it gets all.
INSERT INTO orders VALUES (801, 'c8', 5), (802, 'c8', 3), (803, 'c8', 20), (804, 'c8', 20), (805, 'c8', 15);
UPDATE orders SET priority = 1 WHERE id = 804;
SELECT order_key, quantity, backordered FROM backorder.receive('c8', 20);
SELECT string_agg("a/b", ' ' ORDER BY line_id) FROM recorded WHERE item = 'c8';

-- C9: the same, only the fifth raised: it gets 15, the first the rest.
INSERT INTO orders VALUES (901, 'c9', 5), (902, 'c9', 3), (903, 'c9', 20), (904, 'c9', 20), (905, 'c9', 15);
UPDATE orders SET priority = 1 WHERE id = 905;
SELECT order_key, quantity, backordered FROM backorder.receive('c9', 20);
SELECT string_agg("a/b", ' ' ORDER BY line_id) FROM recorded WHERE item = 'c9';

-- C12: one order of A 4 (stock 6), B 6 (stock 3), C 1 (stock 0).
SELECT count(*) FROM backorder.receive('c12 A', 6);
SELECT count(*) FROM backorder.receive('c12 B', 3);
INSERT INTO line VALUES (1200, 1, 'c12 A', 4), (1200, 2, 'c12 B', 6), (1200, 3, 'c12 C', 1);
SELECT line_key, item, "a/b" FROM recorded WHERE order_key = '1200' ORDER BY line_id;
SELECT line_key, quantity, backordered, ready FROM backorder.receive('c12 B', 2);
SELECT line_key, item, "a/b" FROM recorded WHERE order_key = '1200' ORDER BY line_id;

-- C21: 6 and 4 of 10 on hand; a correction of -3 takes from the lowest rank, +3 restores it.
SELECT count(*) FROM backorder.receive('c21', 10);
INSERT INTO orders VALUES (2101, 'c21', 6), (2102, 'c21', 4);
SELECT count(*) FROM backorder.adjust('c21', -3, 'broken');
SELECT order_key, "a/b" FROM recorded WHERE item = 'c21' ORDER BY line_id;
SELECT order_key, quantity, allocated, backordered, ready FROM backorder.adjust('c21', 3, 'found again');
SELECT order_key, "a/b" FROM recorded WHERE item = 'c21' ORDER BY line_id;

-- C22: nothing is taken from what is picked; what is left takes back in order of rank, then refuses.
SELECT count(*) FROM backorder.receive('c22', 10);
INSERT INTO orders VALUES (2201, 'c22', 5);
INSERT INTO orders VALUES (2202, 'c22', 5);
UPDATE orders SET picked = 4 WHERE id = 2201;
SELECT count(*) FROM backorder.adjust('c22', -5, 'broken');
SELECT order_key, "a/b" FROM recorded WHERE item = 'c22' ORDER BY line_id;
SELECT count(*) FROM backorder.adjust('c22', -1, 'broken');
SELECT order_key, "a/b" FROM recorded WHERE item = 'c22' ORDER BY line_id;
SELECT count(*) FROM backorder.adjust('c22', -1, 'broken');
\echo :SQLSTATE
SELECT * FROM stock WHERE item = 'c22';

-- Rank: priority, then time, then order of arrival.  A change of priority takes nothing from lines that have stock.
SELECT count(*) FROM backorder.receive('rank', 2);
INSERT INTO orders VALUES (1, 'rank', 2), (2, 'rank', 2), (3, 'rank', 2);
UPDATE orders SET priority = 5 WHERE id = 3;
SELECT order_key, "a/b" FROM recorded WHERE item = 'rank' ORDER BY line_id;
UPDATE orders SET priority = -1 WHERE id = 1;
SELECT order_key, "a/b" FROM recorded WHERE item = 'rank' ORDER BY line_id;
-- What is taken back goes by rank too: 1 is now the lowest.
SELECT count(*) FROM backorder.receive('rank', 3);
SELECT order_key, "a/b" FROM recorded WHERE item = 'rank' ORDER BY line_id;
SELECT count(*) FROM backorder.adjust('rank', -1, 'broken');
SELECT order_key, "a/b" FROM recorded WHERE item = 'rank' ORDER BY line_id;

-- A new line cannot pass an eligible one that waits, whatever is freed in the same transaction.
SELECT count(*) FROM backorder.receive('pass', 3);
INSERT INTO orders VALUES (11, 'pass', 3), (12, 'pass', 2);
BEGIN;
INSERT INTO orders VALUES (13, 'pass', 2);
UPDATE orders SET quantity = 1 WHERE id = 11;
COMMIT;
SELECT order_key, "a/b" FROM recorded WHERE item = 'pass' ORDER BY line_id;

-- A held line is passed over and keeps its place; it is served when the hold ends.
INSERT INTO orders VALUES (21, 'held', 2, 0, true), (22, 'held', 2, 0, false);
SELECT order_key, quantity FROM backorder.receive('held', 3);
SELECT order_key, "a/b" FROM recorded WHERE item = 'held' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'held';
UPDATE orders SET held = false WHERE id = 21;
SELECT order_key, "a/b" FROM recorded WHERE item = 'held' ORDER BY line_id;
INSERT INTO orders VALUES (23, 'held', 1);
SELECT order_key, quantity FROM backorder.receive('held', 1);
-- A hold takes nothing from a line that has stock; what its later increase wants waits.
UPDATE orders SET held = true, quantity = 3 WHERE id = 21;
SELECT order_key, quantity FROM backorder.receive('held', 5);
SELECT order_key, "a/b" FROM recorded WHERE item = 'held' ORDER BY line_id;
SELECT backordered, backordered_held, available FROM backorder.stock WHERE item = 'held';

-- An increase keeps the line's place.
INSERT INTO orders VALUES (31, 'grow', 1), (32, 'grow', 1);
UPDATE orders SET quantity = 3 WHERE id = 31;
SELECT order_key, quantity FROM backorder.receive('grow', 3);

-- A decrease takes from the backordered part first, then from unpicked allocation; the freed goes on at once.
SELECT count(*) FROM backorder.receive('less', 4);
INSERT INTO orders VALUES (41, 'less', 6), (42, 'less', 2);
UPDATE orders SET quantity = 5 WHERE id = 41;
SELECT order_key, "a/b" FROM recorded WHERE item = 'less' ORDER BY line_id;
UPDATE orders SET quantity = 3 WHERE id = 41;
SELECT order_key, "a/b" FROM recorded WHERE item = 'less' ORDER BY line_id;
DELETE FROM orders WHERE id = 41;
SELECT order_key, "a/b" FROM recorded WHERE item = 'less' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'less';

-- The ledger explains each change after the first.
SELECT r.order_key, a.quantity, a.cause FROM backorder.allocation a JOIN recorded r USING (line_id, item)
WHERE a.item IN ('less', 'c21', 'c22', 'rank') ORDER BY a.allocation_id;

-- Quantities are exact, of any size.
CREATE TABLE exact (id integer PRIMARY KEY, item text, quantity numeric);
SELECT backorder.attach('exact', 'item', 'quantity') > 0 AS attached;
SELECT count(*) FROM backorder.receive('exact', 0.3);
INSERT INTO exact VALUES (1, 'exact', 0.1), (2, 'exact', 0.2), (3, 'exact', 123456789012345678901234567890.123456789);
SELECT order_key, "a/b" FROM recorded WHERE item = 'exact' ORDER BY line_id;
SELECT * FROM stock WHERE item = 'exact';

SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'allocating' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA allocating CASCADE;
