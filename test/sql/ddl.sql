-- The application's DDL on attached tables, as its own unprivileged owner.
SET client_min_messages = warning;
CREATE ROLE regress_backorder_app;
CREATE SCHEMA ddl;
GRANT USAGE, CREATE ON SCHEMA ddl TO regress_backorder_app;
CREATE SCHEMA ddl_other AUTHORIZATION regress_backorder_app;
GRANT USAGE ON SCHEMA backorder TO regress_backorder_app;
GRANT EXECUTE ON FUNCTION backorder.attach TO regress_backorder_app;
CREATE VIEW ddl.recorded AS
SELECT s.line_table, l.order_key, l.line_key, l.item, l.ordered, l.allocated || '/' || l.backordered AS has
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema IN ('ddl', 'ddl_other') AND l.live ORDER BY 1, 2, 3;
GRANT SELECT ON ddl.recorded TO regress_backorder_app;
SET ROLE regress_backorder_app;
SET search_path = ddl;
SET client_min_messages = notice;

CREATE TABLE head (id integer PRIMARY KEY, state text DEFAULT 'open');
CREATE TABLE line (dropped integer, id integer PRIMARY KEY, order_id integer REFERENCES head, item text, qty integer);
ALTER TABLE line DROP dropped;
CREATE INDEX ON line (order_id);
CREATE TABLE sent (order_id integer, line_id integer, n integer);
SELECT backorder.attach('line', 'item', 'qty', order_key => 'order_id', header_table => 'head', live => $$state = 'open'$$,
	shipped => '(SELECT sum(s.n) FROM sent s WHERE s.line_id = line.id)', watch => ARRAY['sent: order_id']) > 0 AS attached;
INSERT INTO head VALUES (1);
INSERT INTO line VALUES (1, 1, 'dd A', 5);

-- Names are followed, and known after a restore.
ALTER TABLE line RENAME qty TO "Quantity";
ALTER TABLE line RENAME TO "Order Line";
ALTER TABLE line RENAME TO nothing;
ALTER TABLE head RENAME state TO status;
ALTER TABLE "Order Line" ADD qty text DEFAULT 'not this';
ALTER TABLE head SET SCHEMA ddl_other;
ALTER TABLE sent RENAME TO shipped;
ALTER TABLE shipped RENAME TO sent;
ALTER TABLE sent RENAME order_id TO "of";
RESET ROLE;
SELECT line_schema, line_table, line_columns, line_names, header_schema, header_table, header_names FROM backorder.source
WHERE line_schema = 'ddl';
SELECT table_name, columns, names FROM backorder.source_watch WHERE table_schema = 'ddl';
SET ROLE regress_backorder_app;
INSERT INTO ddl_other.head VALUES (2);
INSERT INTO "Order Line" VALUES (2, 2, 'dd A', 3);
INSERT INTO sent VALUES (2, 2, 1);
TABLE recorded;
RESET ROLE;
-- As after a restore: other numbers, other OIDs.
ALTER SCHEMA ddl_other RENAME TO "ddl other";
SELECT header_schema FROM backorder.source WHERE line_schema = 'ddl';
ALTER SCHEMA "ddl other" RENAME TO ddl_other;
SELECT source_id FROM backorder.source WHERE line_schema = 'ddl' \gset
UPDATE backorder.source SET line_relid = 1, header_relid = 1, line_columns = '{id,order_id,item,qty}', line_names = '{id,order_id,item,Quantity}' WHERE source_id = :source_id;
UPDATE backorder.source_watch SET table_relid = 1 WHERE source_id = :source_id;
\c
SET ROLE regress_backorder_app;
SET search_path = ddl;
UPDATE "Order Line" SET "Quantity" = 4 WHERE id = 2;
TABLE recorded;
ALTER TABLE ddl."Order Line" RENAME TO line;
RESET ROLE;
SELECT line_table, line_relid = 'line'::regclass AS line, header_relid = 'ddl_other.head'::regclass AS header, line_columns, line_names
FROM backorder.source WHERE source_id = :source_id;
SELECT table_relid = 'sent'::regclass AS sent FROM backorder.source_watch WHERE source_id = :source_id;
SET ROLE regress_backorder_app;
UPDATE line SET "Quantity" = 3 WHERE id = 2;
TABLE recorded;
RESET ROLE;
SELECT * FROM backorder.verify();
SET ROLE regress_backorder_app;

-- Swapped: what has the trigger is the attached table.
CREATE TABLE line_new (LIKE line INCLUDING ALL);
BEGIN;
ALTER TABLE line RENAME TO line_old;
ALTER TABLE line_new RENAME TO line;
COMMIT;
RESET ROLE;
SELECT line_table FROM backorder.source WHERE source_id = :source_id;
SET ROLE regress_backorder_app;
DROP TABLE line;
ALTER TABLE line_old RENAME TO line;
TABLE recorded;

-- A watched table goes; the header goes: the next write says so.
DROP TABLE sent;
INSERT INTO line VALUES (3, 1, 'dd A', 1);
\echo :SQLSTATE
RESET ROLE;
SELECT backorder.attach('line', 'item', '"Quantity"', order_key => 'order_id', header_table => 'ddl_other.head', live => $$status = 'open'$$) > 0 AS attached;
SET ROLE regress_backorder_app;
INSERT INTO line VALUES (3, 1, 'dd A', 1);
TABLE recorded;
RESET ROLE;
SELECT * FROM backorder.verify();
SELECT count(*) FROM backorder.receive('dd A', 4);
SET ROLE regress_backorder_app;
-- The table goes: its open lines are released, and one event says so.
CREATE TABLE other (id integer PRIMARY KEY, item text, qty integer);
RESET ROLE;
SELECT backorder.attach('other', 'item', 'qty') > 0 AS attached;
SET ROLE regress_backorder_app;
INSERT INTO other VALUES (1, 'dd A', 9);
BEGIN;
DROP TABLE line;
ROLLBACK;
TABLE recorded;
DROP TABLE line;
TABLE recorded;
RESET ROLE;
SELECT type, aggregatetype, aggregateid, payload FROM backorder.event WHERE type = 'detached' ORDER BY id DESC LIMIT 1;
SELECT on_hand, allocated, backordered FROM backorder.stock WHERE item = 'dd A';
SELECT detached_at IS NOT NULL AS detached FROM backorder.source WHERE source_id = :source_id;
SELECT * FROM backorder.verify();
-- What it left on the header is in nobody's way.
SET ROLE regress_backorder_app;
UPDATE ddl_other.head SET status = 'shut';
DROP SCHEMA ddl_other CASCADE;
-- Attached, written and dropped in one transaction.
RESET ROLE;
BEGIN;
CREATE TABLE brief (id integer PRIMARY KEY, item text, qty integer);
SELECT backorder.attach('brief', 'item', 'qty') > 0 AS attached;
INSERT INTO brief VALUES (1, 'dd A', 9);
DROP TABLE brief;
COMMIT;
SELECT * FROM backorder.verify();

-- Partitions.
SET ROLE regress_backorder_app;
CREATE TABLE p_head (id integer PRIMARY KEY, state text DEFAULT 'open') PARTITION BY RANGE (id);
CREATE TABLE p_head_1 PARTITION OF p_head FOR VALUES FROM (0) TO (100);
CREATE TABLE p_line (order_id integer, no integer, item text, qty integer, PRIMARY KEY (order_id, no)) PARTITION BY RANGE (order_id);
CREATE TABLE p_line_1 PARTITION OF p_line FOR VALUES FROM (0) TO (100);
RESET ROLE;
SELECT backorder.attach('p_line', 'item', 'qty', order_key => 'order_id', line_key => 'no', header_table => 'p_head', live => $$state = 'open'$$) > 0 AS attached;
SET ROLE regress_backorder_app;
INSERT INTO p_head VALUES (1), (2);
INSERT INTO p_line VALUES (1, 1, 'dd P', 1);
INSERT INTO p_line_1 VALUES (1, 2, 'dd P', 2);
-- New ones, of the application's own, and partitions of partitions.
CREATE TABLE p_line_2 PARTITION OF p_line FOR VALUES FROM (100) TO (200) PARTITION BY LIST (no);
CREATE TABLE p_line_2_1 PARTITION OF p_line_2 DEFAULT;
CREATE TABLE p_head_2 PARTITION OF p_head FOR VALUES FROM (100) TO (200);
INSERT INTO p_head VALUES (101);
INSERT INTO p_line_2_1 VALUES (101, 1, 'dd P', 4);
-- A partition that comes with rows, and with its own column order.
CREATE TABLE p_line_3 (item text, x integer, qty integer, no integer NOT NULL, order_id integer NOT NULL);
ALTER TABLE p_line_3 DROP x;
INSERT INTO p_line_3 (order_id, no, item, qty) VALUES (201, 1, 'dd P', 8), (202, 1, 'dd P', 16);
CREATE TABLE p_head_3 PARTITION OF p_head FOR VALUES FROM (200) TO (300);
INSERT INTO p_head_3 VALUES (201, 'open'), (202, 'shut');
TABLE recorded;
ALTER TABLE p_line ATTACH PARTITION p_line_3 FOR VALUES FROM (200) TO (300);
TABLE recorded;
-- Headers leave: no header, state is NULL.
ALTER TABLE p_head DETACH PARTITION p_head_3;
TABLE recorded;
ALTER TABLE p_head ATTACH PARTITION p_head_3 FOR VALUES FROM (200) TO (300);
TABLE recorded;
-- TRUNCATE of a partition by its own name.
TRUNCATE p_line_2_1;
TABLE recorded;
INSERT INTO p_line_2_1 VALUES (101, 1, 'dd P', 4);
TRUNCATE p_line_2;
TABLE recorded;
INSERT INTO p_line_2_1 VALUES (101, 1, 'dd P', 4);
RESET ROLE;
SELECT * FROM backorder.verify();
SET ROLE regress_backorder_app;
-- Lines leave with their partition, which is the application's again; one is dropped as it is.
ALTER TABLE p_line DETACH PARTITION p_line_3;
TABLE recorded;
INSERT INTO p_line_3 (order_id, no, item, qty) VALUES (203, 1, 'dd P', 8);
TRUNCATE p_line_3;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'p_line_3'::regclass;
DROP TABLE p_line_2;
TABLE recorded;
DROP TABLE p_head_2, p_line_3;
RESET ROLE;
SELECT * FROM backorder.verify();
-- detach() takes the triggers from the partitions too.
SELECT backorder.detach('p_line');
SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = 'ddl'::regnamespace AND tgname LIKE 'backorder%' AND relname LIKE 'p%';
SELECT * FROM backorder.verify();

-- A schema that is renamed: in a session that wrote there before, too.
RESET ROLE;
CREATE SCHEMA ddl_here AUTHORIZATION regress_backorder_app;
SET ROLE regress_backorder_app;
CREATE TABLE ddl_here.moving (id integer PRIMARY KEY, item text, qty integer);
SELECT backorder.attach('ddl_here.moving', 'item', 'qty') > 0 AS attached;
INSERT INTO ddl_here.moving VALUES (1, 'dd M', 1);
RESET ROLE;
ALTER SCHEMA ddl_here RENAME TO ddl_there;
SET ROLE regress_backorder_app;
INSERT INTO ddl_there.moving VALUES (2, 'dd M', 2);
RESET ROLE;
SELECT e.aggregateid, e.payload ->> 'source' AS source FROM backorder.event e JOIN backorder.source s USING (tenant, source_id) WHERE s.line_table = 'moving' ORDER BY e.id;
SELECT backorder.detach('ddl_there.moving');
DROP SCHEMA ddl_there CASCADE;

SELECT backorder_internal.follow_ddl();
\echo :SQLSTATE
-- What cannot be followed is said, and no DDL fails of it.
ALTER TABLE backorder.source_watch RENAME TO away;
ALTER TABLE other RENAME TO other_name;
DROP TABLE p_head;
ALTER TABLE backorder.away RENAME TO source_watch;
ALTER TABLE other_name RENAME TO other_again;
SELECT line_table FROM backorder.source WHERE detached_at IS NULL AND line_schema = 'ddl';
SELECT * FROM backorder.verify();
SELECT backorder.detach('other_again');

SET client_min_messages = warning;
DROP SCHEMA ddl CASCADE;
DROP OWNED BY regress_backorder_app;
DROP ROLE regress_backorder_app;
SELECT * FROM backorder.verify();
