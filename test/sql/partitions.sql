-- Partitioned headers, lines and watched tables whose rows move from one partition to another, written by the application's role.
SET client_min_messages = warning;
CREATE ROLE regress_backorder_app;
CREATE SCHEMA parts AUTHORIZATION regress_backorder_app;
GRANT USAGE ON SCHEMA backorder TO regress_backorder_app;
GRANT EXECUTE ON FUNCTION backorder.attach TO regress_backorder_app;
CREATE VIEW public.parts_recorded AS
SELECT l.order_key, l.line_key, l.item, l.ordered, l.shipped, l.allocated || '/' || l.backordered AS has, l.line_id - min(l.line_id) OVER () AS nth
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'parts' ORDER BY l.line_id;
GRANT SELECT ON public.parts_recorded TO regress_backorder_app;
SET ROLE regress_backorder_app;
SET search_path = parts, public;
-- Orders by state: a change of state moves the row; the key of the partitioned table is more than the order's.
CREATE TABLE header (id integer NOT NULL, state text NOT NULL, note text, PRIMARY KEY (id, state)) PARTITION BY LIST (state);
CREATE TABLE header_open PARTITION OF header FOR VALUES IN ('open', 'paid');
CREATE TABLE header_done PARTITION OF header FOR VALUES IN ('done');
-- Lines by hash of the order, with columns in another order in one of them.
CREATE TABLE line (order_id integer NOT NULL, no integer NOT NULL, item text, quantity numeric, PRIMARY KEY (order_id, no)) PARTITION BY HASH (order_id);
CREATE TABLE line_0 PARTITION OF line FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE line_1 (gone integer, item text, no integer NOT NULL, quantity numeric, order_id integer NOT NULL);
ALTER TABLE line_1 DROP gone;
ALTER TABLE line ATTACH PARTITION line_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
-- What was shipped by month, and by the month again.
CREATE TABLE shipped (order_id integer, no integer, n numeric, day date NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE shipped_1 PARTITION OF shipped FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') PARTITION BY RANGE (day);
CREATE TABLE shipped_1_1 PARTITION OF shipped_1 FOR VALUES FROM ('2026-01-01') TO ('2026-01-16');
CREATE TABLE shipped_1_2 PARTITION OF shipped_1 DEFAULT;
CREATE TABLE shipped_2 PARTITION OF shipped FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE INDEX ON shipped (order_id, no);
SELECT backorder.attach('line', 'item', 'quantity', order_key => 'order_id', line_key => 'no', header_table => 'header', header_key => 'id', live => $$state IN ('open', 'paid')$$,
	shipped => '(SELECT sum(s.n) FROM shipped s WHERE (s.order_id, s.no) = (line.order_id, line.no))', watch => ARRAY['shipped: order_id']) > 0 AS attached;
RESET ROLE;
-- Once it is attached, its owner needs no right on the schema: not for rows, and not for new partitions.
REVOKE ALL ON SCHEMA backorder FROM regress_backorder_app;
SELECT count(*) FROM backorder.receive('pt A', 5);
SET ROLE regress_backorder_app;
INSERT INTO header VALUES (1, 'open'), (2, 'open'), (3, 'done');
INSERT INTO line SELECT o, n, 'pt A', 1 + n FROM generate_series(1, 3) o, generate_series(1, 2) n;
TABLE parts_recorded;
-- The header moves out of what is live and back; within what is live, nothing.
UPDATE header SET state = 'paid' WHERE id = 1;
TABLE parts_recorded;
UPDATE header SET state = 'done' WHERE id = 1;
TABLE parts_recorded;
UPDATE header SET state = 'open' WHERE id = 3;
UPDATE header_done SET note = 'late' WHERE id = 1;
DELETE FROM header_done WHERE id = 1;
INSERT INTO header_open VALUES (1, 'paid');
TABLE parts_recorded;
-- Lines move with their order id, many at once, and keep their places.
UPDATE line SET order_id = 5 - order_id, no = no + 10 WHERE order_id IN (2, 3);
TABLE parts_recorded;
-- Shipments: into a leaf by its own name, from month to month, and with their partition.
INSERT INTO shipped VALUES (3, 11, 1, '2026-01-03');
INSERT INTO shipped_1_2 VALUES (3, 11, 1, '2026-01-20');
UPDATE shipped SET day = '2026-02-02' WHERE day = '2026-01-20';
TABLE parts_recorded;
ALTER TABLE shipped_1 DETACH PARTITION shipped_1_1;
TABLE parts_recorded;
UPDATE shipped_1_1 SET n = 2;
ALTER TABLE shipped_1 ATTACH PARTITION shipped_1_1 FOR VALUES FROM ('2026-01-01') TO ('2026-01-16');
TABLE parts_recorded;
DROP TABLE shipped_1;
TABLE parts_recorded;
TRUNCATE shipped_2;
TABLE parts_recorded;
-- New partitions, made by the application, take orders at once; detached without a lock that readers feel.
CREATE TABLE header_new PARTITION OF header FOR VALUES IN ('new');
CREATE TABLE header_cart PARTITION OF header DEFAULT PARTITION BY LIST (state);
CREATE TABLE header_cart_1 PARTITION OF header_cart DEFAULT;
INSERT INTO header_cart_1 VALUES (4, 'cart');
INSERT INTO line VALUES (4, 1, 'pt B', 1);
UPDATE header SET state = 'open' WHERE id = 4;
SELECT order_key, has FROM parts_recorded WHERE item = 'pt B';
DROP TABLE header_cart;
CREATE TABLE line_part (LIKE line);
ALTER TABLE line_0 RENAME TO line_even;
INSERT INTO line_even SELECT o, 7, 'pt C', 1 FROM generate_series(1, 4) o WHERE satisfies_hash_partition('line'::regclass, 2, 0, o) LIMIT 1;
SELECT line_key, has FROM parts_recorded WHERE item = 'pt C';
-- A partition that has partitions comes and goes with all of them.
RESET ROLE;
GRANT USAGE ON SCHEMA backorder TO regress_backorder_app;
SET ROLE regress_backorder_app;
CREATE TABLE deep (order_id integer, no integer, item text, quantity integer, PRIMARY KEY (order_id, no)) PARTITION BY RANGE (order_id);
CREATE TABLE deep_1 PARTITION OF deep FOR VALUES FROM (0) TO (10);
SELECT backorder.attach('deep', 'item', 'quantity', order_key => 'order_id', line_key => 'no') > 0 AS attached;
CREATE TABLE deep_2 (LIKE deep INCLUDING ALL) PARTITION BY RANGE (order_id);
CREATE TABLE deep_2_low PARTITION OF deep_2 FOR VALUES FROM (10) TO (15);
CREATE TABLE deep_2_high PARTITION OF deep_2 FOR VALUES FROM (15) TO (20);
INSERT INTO deep_2 VALUES (11, 1, 'pt D', 2), (16, 1, 'pt D', 3);
ALTER TABLE deep ATTACH PARTITION deep_2 FOR VALUES FROM (10) TO (20);
UPDATE deep_2_high SET quantity = 4;
SELECT order_key, has FROM parts_recorded WHERE item = 'pt D';
ALTER TABLE deep DETACH PARTITION deep_2;
UPDATE deep_2 SET quantity = 5;
SELECT order_key, has FROM parts_recorded WHERE item = 'pt D';
-- Also while another table cannot be read.
CREATE TABLE broken (id integer PRIMARY KEY, item text, quantity integer);
SELECT backorder.attach('broken', 'item', 'quantity', on_error => 'park') > 0 AS attached;
ALTER TABLE broken DROP COLUMN quantity;
ALTER TABLE deep ATTACH PARTITION deep_2 FOR VALUES FROM (10) TO (20);
SELECT order_key, has FROM parts_recorded WHERE item = 'pt D';
DROP TABLE broken, deep;

RESET ROLE;
SELECT * FROM backorder.verify();
SET ROLE regress_backorder_app;
ALTER TABLE header DETACH PARTITION header_open CONCURRENTLY;
SELECT count(*) FROM parts_recorded;
RESET ROLE;
SELECT * FROM backorder.verify();
SELECT backorder.detach('line');
SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'parts'::regnamespace AND t.tgname LIKE 'backorder%';
SELECT * FROM backorder.verify();
DROP VIEW public.parts_recorded;
DROP SCHEMA parts CASCADE;
DROP OWNED BY regress_backorder_app;
DROP ROLE regress_backorder_app;
