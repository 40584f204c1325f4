-- Stock: the movements, the functions on them, and what they allocate.

\set SHOW_CONTEXT never
CREATE SCHEMA stock;
SET search_path = stock;

CREATE TABLE orders (id integer PRIMARY KEY, item text, quantity integer, location text NOT NULL DEFAULT '');
SELECT backorder.attach('orders', 'item', 'quantity', location => 'location') > 0 AS attached;
CREATE VIEW recorded AS
SELECT l.order_key, l.item, l.location, l.allocated || '/' || l.backordered AS "a/b", l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'stock';
CREATE VIEW counters AS
SELECT item, location, on_hand, unavailable, allocated, backordered, available FROM backorder.stock WHERE tenant = '';

-- receive: the whole row that it returns.
INSERT INTO orders VALUES (1, 'st A', 3), (2, 'st A', 3);
SELECT * FROM backorder.receive('st A', 5);
SELECT * FROM counters WHERE item = 'st A';
-- held: on hand, not allocated; release allocates it.
SELECT * FROM backorder.receive('st A', 4, held => true);
SELECT * FROM counters WHERE item = 'st A';
SELECT order_key, quantity, allocated, backordered, ready FROM backorder.release_stock('st A', 3);
SELECT * FROM counters WHERE item = 'st A';
-- A negative receipt reverses: first from available, then from the lowest rank.
SELECT * FROM backorder.receive('st A', -2);
SELECT * FROM backorder.receive('st A', -1);
SELECT order_key, "a/b" FROM recorded WHERE item = 'st A' ORDER BY line_id;
SELECT * FROM counters WHERE item = 'st A';
-- A held receipt reversed takes from what is held.
SELECT * FROM backorder.receive('st A', -1, held => true);
SELECT * FROM counters WHERE item = 'st A';

-- hold: from available first, then from allocations, lowest rank first.
INSERT INTO orders VALUES (11, 'st B', 3), (12, 'st B', 3);
SELECT order_key, quantity FROM backorder.receive('st B', 7);
SELECT * FROM backorder.hold_stock('st B', 2, 'wet');
SELECT order_key, "a/b" FROM recorded WHERE item = 'st B' ORDER BY line_id;
SELECT * FROM counters WHERE item = 'st B';
SELECT order_key, quantity, ready FROM backorder.release_stock('st B', 2);
SELECT * FROM counters WHERE item = 'st B';

-- adjust, with a reason.
SELECT * FROM backorder.adjust('st B', -1, 'broken');
SELECT order_key, "a/b" FROM recorded WHERE item = 'st B' ORDER BY line_id;
SELECT * FROM backorder.adjust('st B', -1, 'broken');
SELECT order_key, "a/b" FROM recorded WHERE item = 'st B' ORDER BY line_id;
SELECT order_key, quantity FROM backorder.adjust('st B', 1, 'found');

-- count: makes on hand what was counted.
SELECT order_key, quantity FROM backorder.count_stock('st B', 9);
SELECT * FROM counters WHERE item = 'st B';
SELECT order_key, quantity FROM backorder.count_stock('st B', 4);
SELECT order_key, "a/b" FROM recorded WHERE item = 'st B' ORDER BY line_id;
SELECT order_key, quantity FROM backorder.count_stock('st B', 4);
SELECT order_key, quantity FROM backorder.count_stock('st new', 2);
SELECT * FROM counters WHERE item IN ('st B', 'st new') ORDER BY item;
SELECT item, kind, quantity, unavailable, reason FROM backorder.stock_movement WHERE tenant = '' AND item IN ('st B', 'st new') ORDER BY movement_id;

-- transfer: allocated where it arrives.
INSERT INTO orders VALUES (21, 'st C', 2, 'east'), (22, 'st C', 2, 'west');
SELECT order_key, location, quantity FROM backorder.receive('st C', 5, 'west');
SELECT order_key, location, quantity, ready FROM backorder.transfer('st C', 4, 'west', 'east');
SELECT order_key, location, "a/b" FROM recorded WHERE item = 'st C' ORDER BY line_id;
SELECT * FROM counters WHERE item = 'st C' ORDER BY location;
SELECT * FROM backorder.transfer('st C', 2, 'west', 'east');
\echo :SQLSTATE

-- Plain SQL does the same: many rows of many items in one statement, allocated together.
INSERT INTO orders VALUES (31, 'st D', 4), (32, 'st E', 4), (33, 'st D', 1);
INSERT INTO backorder.stock_movement (item, kind, quantity, unavailable) VALUES
	('st D', 'receipt', 3, 0), ('st E', 'return', 2, 0), ('st D', 'adjustment', -1, 0), ('st E', 'opening', 3, 1), ('st D', 'hold', 0, 1);
SELECT order_key, item, "a/b" FROM recorded WHERE item IN ('st D', 'st E') ORDER BY line_id;
SELECT * FROM counters WHERE item IN ('st D', 'st E') ORDER BY item;
COPY backorder.stock_movement (item, kind, quantity) FROM stdin;
st D	receipt	1
st D	receipt	2
\.
SELECT order_key, item, "a/b" FROM recorded WHERE item = 'st D' ORDER BY line_id;
SELECT * FROM counters WHERE item = 'st D';
-- Rows that go below nothing only together or only on the way: the sum counts.
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('st F', 'shipment', -2), ('st F', 'receipt', 3);
SELECT * FROM counters WHERE item = 'st F';
-- Each entry of the ledger names the movement it came from.
SELECT r.order_key, a.quantity, a.cause, m.kind, m.quantity AS moved
FROM backorder.allocation a JOIN recorded r USING (line_id, item) LEFT JOIN backorder.stock_movement m USING (tenant, movement_id)
WHERE a.item IN ('st A', 'st C', 'st D', 'st E') ORDER BY a.allocation_id;

-- A reference makes a call repeatable.
SELECT order_key, quantity FROM backorder.receive('st G', 2, reference => 'stock/1');
INSERT INTO orders VALUES (41, 'st G', 5);
SELECT order_key, quantity FROM backorder.receive('st G', 2, reference => 'stock/1');
SELECT * FROM counters WHERE item = 'st G';
SELECT order_key, quantity FROM backorder.receive('st G', 1, reference => 'stock/2');
SELECT * FROM counters WHERE item = 'st G';
SELECT order_key, quantity FROM backorder.receive('st G', 3, reference => 'stock/2');
\echo :SQLSTATE
SELECT order_key, quantity FROM backorder.adjust('st G', 1, 'why', reference => 'stock/2');
\echo :SQLSTATE
SELECT order_key, quantity FROM backorder.receive('st G', 1, 'east', reference => 'stock/2');
\echo :SQLSTATE
SELECT count(*) FROM backorder.count_stock('st G', 3, reference => 'stock/3');
SELECT count(*) FROM backorder.receive('st G', 1);
SELECT count(*) FROM backorder.count_stock('st G', 3, reference => 'stock/3');
SELECT * FROM counters WHERE item = 'st G';
SELECT count(*) FROM backorder.receive('st G', 3, 'west');
SELECT count(*) FROM backorder.transfer('st G', 1, 'west', 'east', reference => 'stock/4');
SELECT count(*) FROM backorder.transfer('st G', 1, 'west', 'east', reference => 'stock/4');
SELECT count(*) FROM backorder.transfer('st G', 2, 'west', 'east', reference => 'stock/4');
\echo :SQLSTATE
INSERT INTO backorder.stock_movement (item, location, kind, quantity, reference) VALUES ('st G', 'east', 'transfer', 1, 'stock/5/to');
SELECT count(*) FROM backorder.transfer('st G', 1, 'west', 'east', reference => 'stock/5');
\echo :SQLSTATE
SELECT * FROM counters WHERE item = 'st G' ORDER BY location;
SELECT reference, location, quantity FROM backorder.stock_movement WHERE reference LIKE 'stock/%' ORDER BY movement_id;
INSERT INTO backorder.stock_movement (item, kind, quantity, reference) VALUES ('st G', 'receipt', 1, 'stock/1');
\echo :SQLSTATE

-- When it happened is stored as given; when it was applied is now.
SELECT count(*) FROM backorder.receive('st H', 1, at => '2020-02-02 12:00+00');
SELECT occurred_at = '2020-02-02 12:00+00' AS occurred, applied_at > now() - interval '1 hour' AS applied FROM backorder.stock_movement WHERE item = 'st H';

-- Refused: too little stock, ...
SELECT * FROM backorder.receive('st H', -2);
\echo :SQLSTATE
SELECT * FROM backorder.hold_stock('st H', 2, 'wet');
\echo :SQLSTATE
SELECT * FROM backorder.release_stock('st H', 1);
\echo :SQLSTATE
SELECT * FROM backorder.adjust('never seen', -1, 'broken');
\echo :SQLSTATE
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('st H', 'receipt', 5), ('never seen', 'shipment', -1);
\echo :SQLSTATE
INSERT INTO orders VALUES (51, 'st H', 1);
INSERT INTO backorder.stock_movement (item, kind, quantity, unavailable) VALUES ('st H', 'adjustment', -2, -1);
\echo :SQLSTATE
-- ... quantities that are none, ...
SELECT * FROM backorder.receive('st H', 'NaN');
\echo :SQLSTATE
SELECT * FROM backorder.receive('st H', 'Infinity');
\echo :SQLSTATE
SELECT * FROM backorder.hold_stock('st H', '-Infinity', 'wet');
\echo :SQLSTATE
SELECT * FROM backorder.receive('st H', NULL);
\echo :SQLSTATE
SELECT * FROM backorder.adjust('st H', NULL, 'why');
\echo :SQLSTATE
SELECT * FROM backorder.hold_stock('st H', NULL, 'wet');
\echo :SQLSTATE
SELECT * FROM backorder.transfer('st H', NULL, 'west', 'east');
\echo :SQLSTATE
SELECT * FROM backorder.count_stock('st H', NULL);
\echo :SQLSTATE
SELECT * FROM backorder.count_stock('st H', -1);
\echo :SQLSTATE
SELECT * FROM backorder.count_stock('st H', 'NaN');
\echo :SQLSTATE
SELECT * FROM backorder.transfer('st H', -1, 'west', 'east');
\echo :SQLSTATE
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('st H', 'hold', 1);
\echo :SQLSTATE
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('st H', 'opening', -1);
\echo :SQLSTATE
SELECT * FROM backorder.release_stock('st H', -1);
\echo :SQLSTATE
-- ... kinds and items that are none.
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('st H', 'gift', 1);
\echo :SQLSTATE
SELECT * FROM backorder.receive(NULL, 1);
\echo :SQLSTATE
SELECT * FROM backorder.receive('st H', 1, NULL);
\echo :SQLSTATE
SELECT * FROM backorder.count_stock(NULL, 1);
\echo :SQLSTATE
SELECT * FROM backorder.transfer('st H', 1, 'west', NULL);
\echo :SQLSTATE
SELECT * FROM counters WHERE item IN ('st H', 'never seen');

-- lock_stock: before several settlings in one transaction.
BEGIN;
SELECT backorder.lock_stock(ARRAY['st J', 'st I', 'st J']);
SELECT count(*) FROM backorder.receive('st J', 1);
SELECT count(*) FROM backorder.receive('st I', 1);
COMMIT;
SELECT backorder.lock_stock(ARRAY['st I', NULL]);
\echo :SQLSTATE
SELECT backorder.lock_stock('{}');
SELECT * FROM counters WHERE item IN ('st I', 'st J') ORDER BY item;

-- A rollback takes it all back.
BEGIN;
SELECT count(*) FROM backorder.receive('st G', 100);
SAVEPOINT s;
SELECT count(*) FROM backorder.adjust('st G', -50, 'broken');
ROLLBACK TO s;
SELECT on_hand FROM counters WHERE item = 'st G' AND location = '';
ROLLBACK;
SELECT * FROM counters WHERE item = 'st G' AND location = '';

-- Several movements in one call, as the stock functions make them.
SELECT count(*) FROM backorder_internal.post_movements(ARRAY[
	backorder_internal.movement('receipt', 'st P', '', 5, 0, 'st p1', NULL, now(), ''),
	backorder_internal.movement('hold', 'st P', '', 0, 2, 'st p2', NULL, now(), '')]);
SELECT * FROM counters WHERE item = 'st P';

-- What was allocated is collected once, and by whoever began last.
SELECT * FROM backorder_internal.collected_allocated();
BEGIN;
SELECT backorder_internal.collect_allocated();
SELECT count(*) FROM backorder.receive('st P', 1);
SELECT backorder_internal.collect_allocated(), backorder_internal.collect_allocated();
ROLLBACK;

SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'stock' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA stock CASCADE;
