-- Stock that the application keeps itself: on hand is what its table says, each change a count.

\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_backorder_shop;
CREATE SCHEMA held_by_shop;
SET search_path = held_by_shop;

CREATE TABLE bin (id integer PRIMARY KEY, sku text, qty numeric, note text);
CREATE INDEX ON bin (sku);
CREATE TABLE line (id integer PRIMARY KEY, sku text, qty integer, shipped integer NOT NULL DEFAULT 0, picked integer NOT NULL DEFAULT 0, priority integer);
CREATE VIEW stock AS
SELECT s.item, s.location, s.on_hand, s.unavailable, s.allocated, s.backordered, c.table_name AS kept_by
FROM backorder.stock s LEFT JOIN backorder.stock_source c ON c.source_id = s.stock_source_id WHERE s.item LIKE 'as%';
CREATE VIEW ledger AS
SELECT item, location, kind, quantity, unavailable, po_id, line_id IS NOT NULL AS of_line, reason, movement_id FROM backorder.stock_movement WHERE item LIKE 'as%';
CREATE VIEW recorded AS
SELECT l.item, l.order_key, l.ordered, l.shipped, l.allocated || '/' || l.backordered AS "a/b"
FROM backorder.order_line l WHERE l.item LIKE 'as%' ORDER BY l.item, l.line_id;
CREATE VIEW told AS
SELECT e.type, e.aggregateid FROM backorder.event e JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'held_by_shop' ORDER BY e.id;
CREATE PROCEDURE forget() LANGUAGE sql AS $$ UPDATE backorder.event SET type = 'seen ' || type WHERE type NOT LIKE 'seen %' $$;

-- Import.  Rows of one item are added up; none and less than none is nothing; what movements said before is counted over.
INSERT INTO bin VALUES (1, 'as A', 6), (2, 'as A', 4), (3, NULL, 7), (4, 'as none', NULL), (5, 'as oversold', -3), (6, 'as mixed', 5), (7, 'as mixed', -2), (8, 'as before', 2.5);
SELECT count(*) FROM backorder.receive('as before', 9);
SELECT count(*) FROM backorder.receive('as other', 1);
SELECT backorder.attach_stock('bin', item => 'sku', on_hand => 'qty') > 0 AS attached;
SELECT * FROM stock ORDER BY item;
SELECT item, kind, quantity FROM ledger ORDER BY movement_id;
SELECT table_schema, table_name, item, on_hand, location, unavailable, live, columns, timing FROM backorder.stock_source WHERE table_schema = 'held_by_shop';
SELECT * FROM backorder.verify();
SELECT backorder.attach('line', 'sku', 'qty', shipped => 'shipped', picked => 'picked', priority => 'priority') > 0 AS attached;

-- Every way to write is one way.
INSERT INTO bin VALUES (10, 'as B', 1), (11, 'as C', 1), (12, 'as D', 1);
UPDATE bin SET qty = qty + 2 WHERE id = 10;
INSERT INTO bin VALUES (11, 'as C', 9) ON CONFLICT (id) DO UPDATE SET qty = excluded.qty;
UPDATE bin SET sku = 'as E' WHERE id = 12;
MERGE INTO bin USING (VALUES (13, 'as F')) AS v (id, sku) ON bin.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.sku, 4);
COPY bin (id, sku, qty) FROM stdin;
14	as F	2
15	as G	3
\.
DELETE FROM bin WHERE id = 15;
SELECT item, on_hand, kept_by FROM stock WHERE item IN ('as B', 'as C', 'as D', 'as E', 'as F', 'as G') ORDER BY 1;
SELECT item, kind, quantity FROM ledger WHERE item IN ('as B', 'as C', 'as D', 'as E', 'as F', 'as G') ORDER BY movement_id;
-- What comes to the same is no count, and what the mapping does not read is not looked at.
SELECT sum(version) AS version FROM backorder.stock WHERE item LIKE 'as%' \gset
UPDATE bin SET qty = CASE id WHEN 1 THEN 7 ELSE 3 END WHERE id IN (1, 2);
UPDATE bin SET note = 'x';
BEGIN;
UPDATE bin SET qty = 100 WHERE id = 10;
UPDATE bin SET qty = 3 WHERE id = 10;
COMMIT;
SELECT sum(version) = :version AS untouched FROM backorder.stock WHERE item LIKE 'as%';
-- Savepoints and rollbacks leave nothing.
BEGIN;
UPDATE bin SET qty = 4 WHERE id = 10;
SAVEPOINT a;
UPDATE bin SET qty = 50 WHERE id IN (10, 11);
SELECT backorder.flush();
SELECT item, on_hand FROM stock WHERE item IN ('as B', 'as C') ORDER BY 1;
ROLLBACK TO a;
SELECT item, on_hand FROM stock WHERE item IN ('as B', 'as C') ORDER BY 1;
COMMIT;
SELECT item, on_hand FROM stock WHERE item IN ('as B', 'as C') ORDER BY 1;
BEGIN;
SAVEPOINT a;
UPDATE bin SET qty = 50 WHERE id = 10;
ROLLBACK TO a;
COMMIT;
BEGIN;
DELETE FROM bin;
ROLLBACK;
-- An error that the application catches: it is looked at again.
BEGIN;
UPDATE bin SET qty = 'NaN' WHERE id = 10;
DO $$ BEGIN PERFORM backorder.flush(); EXCEPTION WHEN SQLSTATE 'OB003' THEN RAISE WARNING '%', SQLERRM; END $$;
UPDATE bin SET qty = 6 WHERE id = 11;
UPDATE bin SET qty = 4 WHERE id = 10;
COMMIT;
SELECT item, on_hand FROM stock WHERE item IN ('as B', 'as C') ORDER BY 1;
SELECT * FROM backorder.verify();

-- Shipped and taken off the shelf in one transaction: once, and nothing else happened.
INSERT INTO bin VALUES (20, 'as ship', 10);
INSERT INTO line VALUES (1, 'as ship', 7), (2, 'as ship', 5);
CALL forget();
BEGIN;
UPDATE line SET shipped = 3 WHERE id = 1;
UPDATE bin SET qty = qty - 3 WHERE id = 20;
COMMIT;
BEGIN;
UPDATE bin SET qty = qty - 3 WHERE id = 20;
UPDATE line SET shipped = 2 WHERE id = 2;
UPDATE line SET shipped = 5 WHERE id = 1;
UPDATE bin SET qty = qty - 1 WHERE id = 20;
COMMIT;
SELECT * FROM recorded WHERE item = 'as ship';
SELECT * FROM stock WHERE item = 'as ship';
SELECT kind, quantity, of_line FROM ledger WHERE item = 'as ship' ORDER BY movement_id;
SELECT a.quantity, a.cause, a.movement_id FROM backorder.allocation a JOIN backorder.order_line l USING (tenant, line_id) WHERE l.item = 'as ship' ORDER BY allocation_id;
TABLE told;
SELECT * FROM backorder.verify();
-- In two transactions it is right at the end, whichever comes first.
UPDATE line SET shipped = 6 WHERE id = 1;
SELECT * FROM stock WHERE item = 'as ship';
UPDATE bin SET qty = 2 WHERE id = 20;
SELECT * FROM recorded WHERE item = 'as ship';
SELECT * FROM stock WHERE item = 'as ship';
UPDATE bin SET qty = 1 WHERE id = 20;
UPDATE line SET shipped = 7 WHERE id = 1;
SELECT * FROM recorded WHERE item = 'as ship';
SELECT * FROM stock WHERE item = 'as ship';
-- A row that is deleted with the last one shipped.
BEGIN;
UPDATE line SET shipped = 3 WHERE id = 2;
DELETE FROM bin WHERE id = 20;
COMMIT;
SELECT * FROM recorded WHERE item = 'as ship';
SELECT * FROM stock WHERE item = 'as ship';
SELECT count(*) FROM told WHERE type = 'discrepancy';
-- Beyond its allocation: what is not there any more goes from the lowest rank.
INSERT INTO bin VALUES (21, 'as over', 6);
INSERT INTO line VALUES (3, 'as over', 4), (4, 'as over', 3);
BEGIN;
UPDATE line SET shipped = 3 WHERE id = 4;
UPDATE bin SET qty = 3 WHERE id = 21;
COMMIT;
SELECT * FROM recorded WHERE item = 'as over';
SELECT * FROM stock WHERE item = 'as over';
-- Recorded and shipped at once.
BEGIN;
INSERT INTO line VALUES (5, 'as over', 1, 1);
UPDATE bin SET qty = 2 WHERE id = 21;
COMMIT;
SELECT * FROM recorded WHERE item = 'as over';
-- A correction: what is back on the shelf is the line's first, what is not is nobody's.
INSERT INTO line VALUES (6, 'as over', 9, 0, 0, 5);
BEGIN;
UPDATE line SET shipped = 1 WHERE id = 4;
UPDATE bin SET qty = 4 WHERE id = 21;
COMMIT;
SELECT * FROM recorded WHERE item = 'as over';
UPDATE line SET shipped = 0 WHERE id = 4;
SELECT * FROM recorded WHERE item = 'as over';
SELECT * FROM stock WHERE item = 'as over';
-- Another item, with what was shipped of the first one.
BEGIN;
UPDATE line SET sku = 'as A', shipped = 1 WHERE id = 5;
UPDATE bin SET qty = 6 WHERE id = 1;
UPDATE line SET sku = 'as A', shipped = 0 WHERE id = 5;
COMMIT;
SELECT * FROM recorded WHERE order_key = '5';
SELECT * FROM backorder.verify();

-- Fewer than promised: the lowest rank loses first; then what is held, then what is picked, as it is not there.
CALL forget();
INSERT INTO bin VALUES (30, 'as less', 10);
INSERT INTO line VALUES (10, 'as less', 4, 0, 3), (11, 'as less', 3, 0, 1);
SELECT count(*) FROM backorder.hold_stock('as less', 2, 'damaged');
UPDATE bin SET qty = 8 WHERE id = 30;
SELECT * FROM recorded WHERE item = 'as less';
UPDATE bin SET qty = 6 WHERE id = 30;
SELECT * FROM recorded WHERE item = 'as less';
UPDATE bin SET qty = 3 WHERE id = 30;
SELECT * FROM recorded WHERE item = 'as less';
SELECT * FROM stock WHERE item = 'as less';
UPDATE bin SET qty = -1 WHERE id = 30;
SELECT * FROM recorded WHERE item = 'as less';
SELECT * FROM stock WHERE item = 'as less';
SELECT kind, quantity, unavailable, reason FROM ledger WHERE item = 'as less' ORDER BY movement_id;
UPDATE bin SET qty = 5 WHERE id = 30;
SELECT * FROM recorded WHERE item = 'as less';
SELECT type, aggregateid FROM told WHERE aggregateid IN ('10', '11') AND type NOT LIKE 'seen %';
SELECT * FROM backorder.verify();

-- Nothing else changes on hand of it.
SELECT count(*) FROM backorder.receive('as A', 1);
\echo :SQLSTATE
SELECT count(*) FROM backorder.adjust('as A', 1, 'why');
\echo :SQLSTATE
SELECT count(*) FROM backorder.count_stock('as A', 1);
\echo :SQLSTATE
SELECT count(*) FROM backorder.transfer('as other', 1, '', 'there');
SELECT count(*) FROM backorder.transfer('as A', 1, '', 'there');
\echo :SQLSTATE
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('as A', 'opening', 1);
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('as A', 'return', 1);
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('as A', 'shipment', -1);
INSERT INTO backorder.stock_movement (item, kind, quantity, unavailable) VALUES ('as A', 'adjustment', -1, 0), ('as other', 'adjustment', 1, 0);
-- Holding does, and so does a count that counts the same.
SELECT count(*) FROM backorder.hold_stock('as A', 4, 'damaged');
SELECT count(*) FROM backorder.release_stock('as A', 1);
SELECT count(*) FROM backorder.count_stock('as A', 9);
SELECT count(*) FROM backorder.hold_stock('as A', 40, 'damaged');
\echo :SQLSTATE
SELECT * FROM stock WHERE item IN ('as A', 'as other') ORDER BY item, location;
SELECT * FROM backorder.verify();

-- Purchase orders: a receipt is theirs, its goods are those that the table shows.
INSERT INTO backorder.supplier (supplier) VALUES ('as supplier');
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (7001, 'as supplier', 'placed');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (7001, 1, 'as buy', 20, '2099-01-01'), (7001, 2, 'as buy 2', 5, '2099-01-01');
INSERT INTO bin VALUES (40, 'as buy', 0), (41, 'as buy 2', 0);
INSERT INTO line VALUES (20, 'as buy', 30);
CREATE VIEW bought AS SELECT line_no, received, open FROM backorder.supply WHERE po_id = 7001 ORDER BY line_no;
BEGIN;
UPDATE bin SET qty = qty + 5 WHERE id = 40;
SELECT order_key, quantity, allocated FROM backorder.receive_purchase_line(7001, 1, 5);
COMMIT;
BEGIN;
SELECT order_key, quantity, allocated FROM backorder.receive_purchase_line(7001, 1, 4);
UPDATE bin SET qty = qty + 4 WHERE id = 40;
COMMIT;
SELECT order_key, quantity, allocated FROM backorder.receive_purchase_line(7001, 1, 3);
SELECT * FROM stock WHERE item = 'as buy';
UPDATE bin SET qty = qty + 3 WHERE id = 40;
UPDATE bin SET qty = qty + 2 WHERE id = 40;
SELECT order_key, quantity, allocated FROM backorder.receive_purchase_line(7001, 1, 2, reference => 'note 1');
SELECT order_key, quantity, allocated FROM backorder.receive_purchase_line(7001, 1, 2, reference => 'note 1');
TABLE bought;
SELECT * FROM recorded WHERE item = 'as buy';
SELECT * FROM stock WHERE item = 'as buy';
SELECT kind, quantity, po_id, reason FROM ledger WHERE item = 'as buy' ORDER BY movement_id;
SELECT a.quantity, a.cause, a.po_id, a.po_line_no FROM backorder.allocation a JOIN backorder.order_line l USING (tenant, line_id) WHERE l.item = 'as buy' ORDER BY allocation_id;
-- Fewer arrived than the receipt says; reversed; held ones are held once they are there.
BEGIN;
UPDATE bin SET qty = qty + 1 WHERE id = 40;
SELECT order_key, quantity, allocated FROM backorder.receive_purchase_line(7001, 1, 3);
COMMIT;
SELECT count(*) FROM backorder.receive_purchase_line(7001, 1, -2);
SELECT count(*) FROM backorder.receive_purchase_line(7001, 2, 1, held => true);
\echo :SQLSTATE
BEGIN;
SELECT count(*) FROM backorder.receive_purchase_order(7001);
UPDATE bin SET qty = qty + CASE id WHEN 40 THEN 5 ELSE 5 END WHERE id IN (40, 41);
SELECT count(*) FROM backorder.hold_stock('as buy 2', 1, 'damaged');
COMMIT;
TABLE bought;
SELECT * FROM stock WHERE item LIKE 'as buy%' ORDER BY item;
SELECT * FROM recorded WHERE item = 'as buy';
SELECT * FROM backorder.verify();

-- What cannot be a quantity is refused.
INSERT INTO bin VALUES (50, 'as bad', 'NaN');
\echo :SQLSTATE
INSERT INTO bin VALUES (50, 'as bad', 'Infinity'), (51, 'as bad', '-Infinity');
\echo :SQLSTATE

-- TRUNCATE.
BEGIN;
TRUNCATE bin;
SELECT backorder.flush();
SELECT sum(on_hand), sum(allocated) FROM stock WHERE kept_by = 'bin';
ROLLBACK;
SELECT sum(on_hand), sum(allocated) FROM stock WHERE kept_by = 'bin';
SELECT * FROM backorder.verify();

-- Behind the triggers' back: verify() shows it, resync_stock() mends it.
SET session_replication_role = replica;
UPDATE bin SET qty = qty + 1 WHERE id = 10;
INSERT INTO bin VALUES (60, 'as new', 2);
RESET session_replication_role;
SELECT check_name, object, expected, actual FROM backorder.verify();
SELECT backorder.resync_stock('bin');
SELECT backorder.resync_stock('bin');
SELECT * FROM backorder.verify();
ALTER TABLE bin DISABLE TRIGGER USER;
SELECT check_name, object, expected, actual FROM backorder.verify();
ALTER TABLE bin ENABLE TRIGGER USER;

-- Another mapping of the same table: locations, what is held, and what is no stock.
ALTER TABLE bin ADD place text, ADD damaged numeric, ADD gone boolean NOT NULL DEFAULT false;
UPDATE bin SET place = 'W1', damaged = 1 WHERE id = 2;
UPDATE bin SET gone = true WHERE id = 8;
SELECT backorder.attach_stock('bin', 'sku', 'qty', location => 'place', unavailable => 'damaged', live => 'NOT gone') > 0 AS attached;
SELECT * FROM stock WHERE item IN ('as A', 'as before') ORDER BY item, location;
UPDATE bin SET damaged = damaged + 1 WHERE id = 2;
UPDATE bin SET damaged = 50 WHERE id = 10;
UPDATE bin SET gone = false WHERE id = 8;
UPDATE bin SET place = 'W2' WHERE id = 1;
SELECT * FROM stock WHERE item IN ('as A', 'as B', 'as before') ORDER BY item, location;
SELECT count(*) FROM backorder.hold_stock('as A', 1, 'damaged', location => 'W1');
\echo :SQLSTATE
SELECT count(*) FROM backorder.adjust('as A', 1, 'found', location => 'elsewhere');
SELECT * FROM backorder.verify();
UPDATE bin SET damaged = 'NaN' WHERE id = 10;
\echo :SQLSTATE
SELECT backorder.attach_stock('bin', 'sku', 'qty', location => $$CASE WHEN place = 'W1' THEN 'main' ELSE '' END$$) > 0 AS attached;
SELECT * FROM stock WHERE item IN ('as A', 'as B') ORDER BY item, location;
UPDATE bin SET place = 'W1' WHERE id = 10;
SELECT * FROM stock WHERE item IN ('as A', 'as B') ORDER BY item, location;
SELECT * FROM backorder.verify();

-- Two tables: not for the same stock.
CREATE TABLE store (sku text, place text, n integer, PRIMARY KEY (place, sku));
INSERT INTO store VALUES ('as A', 'main', 1);
SELECT backorder.attach_stock('store', 'sku', 'n', location => 'place');
\echo :SQLSTATE
UPDATE store SET place = 'store';
SELECT backorder.attach_stock('store', 'sku', 'n', location => 'place') > 0 AS attached;
SELECT * FROM stock WHERE item = 'as A' ORDER BY item, location;
UPDATE store SET place = 'main';
\echo :SQLSTATE
BEGIN;
UPDATE store SET n = 3;
UPDATE bin SET qty = 1 WHERE id = 2;
COMMIT;
SELECT * FROM stock WHERE item = 'as A' ORDER BY item, location;
SELECT backorder.detach_stock('store');
SELECT count(*) FROM backorder.adjust('as A', 1, 'found', location => 'store');
SELECT * FROM stock WHERE item = 'as A' AND location = 'store';
SELECT backorder.detach_stock('store');
\echo :SQLSTATE
SELECT backorder.resync_stock('line');
\echo :SQLSTATE
UPDATE store SET n = 8;
SELECT * FROM stock WHERE item = 'as A' AND location = 'store';
SELECT backorder.attach_stock('store', 'sku', 'n', location => 'place') > 0 AS attached;
SELECT * FROM stock WHERE item = 'as A' AND location = 'store';
SELECT * FROM backorder.verify();

-- Many at once.
INSERT INTO store SELECT 'as many ' || n, 'store', n FROM generate_series(1, 60) n;
UPDATE store SET n = n + 1 WHERE sku LIKE 'as many %';
SELECT count(*), sum(on_hand) FROM stock WHERE item LIKE 'as many %' AND kept_by = 'store';
DELETE FROM store WHERE sku LIKE 'as many %' AND n > 11;
SELECT count(*), sum(on_hand) FROM stock WHERE item LIKE 'as many %' AND kept_by = 'store';
SELECT count(*), sum(quantity) FROM ledger WHERE item LIKE 'as many %';

-- Immediate timing: at the end of the statement.
SELECT backorder.attach_stock('store', 'sku', 'n', location => 'place', timing => 'immediate') > 0 AS attached;
BEGIN;
UPDATE store SET n = n - 1;
SELECT * FROM stock WHERE item = 'as A' AND location = 'store';
TRUNCATE store;
SELECT * FROM stock WHERE item = 'as A' AND location = 'store';
ROLLBACK;
SELECT * FROM stock WHERE item = 'as A' AND location = 'store';
SELECT * FROM backorder.verify();

-- What was written before an order of immediate timing settles with it; SET CONSTRAINTS settles too, and what comes later at commit.
CREATE TABLE till (id integer PRIMARY KEY, sku text, qty integer, shipped integer NOT NULL DEFAULT 0);
SELECT backorder.attach('till', 'sku', 'qty', shipped => 'shipped', timing => 'immediate') > 0 AS attached;
INSERT INTO bin VALUES (70, 'as till', 4), (71, 'as own', 5);
INSERT INTO till VALUES (1, 'as till', 4), (2, 'as till', 3);
BEGIN;
UPDATE bin SET qty = qty - 2 WHERE id = 70;
UPDATE till SET shipped = 2 WHERE id = 1;
SELECT * FROM recorded WHERE item = 'as till';
COMMIT;
SELECT kind, quantity FROM ledger WHERE item = 'as till' ORDER BY movement_id;
BEGIN;
UPDATE bin SET qty = 1 WHERE id = 70;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT on_hand FROM stock WHERE item = 'as till';
UPDATE bin SET qty = 3 WHERE id = 70;
SELECT on_hand FROM stock WHERE item = 'as till';
COMMIT;
-- Stock that the application's own deferred trigger takes off at commit.
CREATE FUNCTION take_off() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE held_by_shop.bin SET qty = qty - (NEW.shipped - OLD.shipped) WHERE sku = NEW.sku;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER own AFTER UPDATE OF shipped ON line DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION take_off();
INSERT INTO line VALUES (40, 'as own', 4), (41, 'as own', 4);
UPDATE line SET shipped = 3 WHERE id = 40;
SELECT * FROM recorded WHERE item = 'as own';
SELECT * FROM stock WHERE item = 'as own';
SELECT kind, quantity FROM ledger WHERE item = 'as own' ORDER BY movement_id;
DROP TRIGGER own ON line;
SELECT * FROM backorder.verify();

-- Keys of other types, expressions, names, another tenant; an expression that fails names the item.
CREATE TABLE "Odd Stock" ("the item" integer, "the place" character(4), "on hand?" text, PRIMARY KEY ("the item", "the place"));
INSERT INTO "Odd Stock" VALUES (1, 'a', '5'), (2, 'bb', '6');
SELECT backorder.attach_stock('"Odd Stock"', 'the item', $$"on hand?"::numeric$$, location => 'the place', tenant => 'as tenant') > 0 AS attached;
INSERT INTO "Odd Stock" VALUES (1, 'c', '1');
UPDATE "Odd Stock" SET "on hand?" = '7' WHERE "the place" = 'bb';
SELECT item, location, on_hand FROM backorder.stock WHERE tenant = 'as tenant' ORDER BY 1, 2;
UPDATE "Odd Stock" SET "on hand?" = 'many' WHERE "the place" = 'bb';
\echo :SQLSTATE
SELECT backorder.attach_stock('"Odd Stock"', 'the item', '1');
\echo :SQLSTATE
CREATE TABLE article (id integer PRIMARY KEY, sku text);
CREATE TABLE level (article_id integer PRIMARY KEY, n integer, reserved integer NOT NULL DEFAULT 0);
INSERT INTO article VALUES (1, 'as x'), (2, 'as y');
INSERT INTO level VALUES (1, 3), (2, 4);
SET client_min_messages = notice;
SELECT backorder.attach_stock('level', '(SELECT a.sku FROM article a WHERE a.id = article_id)', 'n + stock.reserved') > 0 AS attached;
SELECT backorder.attach_stock('store', 'place', 'n') > 0 AS attached;
SELECT backorder.attach_stock('store', 'n', 'n') > 0 AS attached;
CREATE INDEX ON store (upper(sku));
SELECT backorder.attach_stock('store', 'upper(sku)', 'n') > 0 AS attached;
SET client_min_messages = warning;
UPDATE level SET n = n - 1, reserved = reserved + 1 WHERE article_id = 1;
UPDATE level SET n = n - 1 WHERE article_id = 2;
SELECT item, on_hand FROM stock WHERE kept_by = 'level' ORDER BY 1;
SELECT item, kind, quantity FROM ledger WHERE item IN ('as x', 'as y') ORDER BY movement_id;
SELECT * FROM backorder.verify();
SELECT backorder.detach_stock('store');

-- What is no table of stock, and no mapping.
CREATE VIEW a_view AS TABLE bin;
CREATE TEMP TABLE a_temp (sku text, n integer);
CREATE UNLOGGED TABLE unlogged (sku text, n integer);
CREATE TABLE parent (sku text, n integer);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE plain (sku text, n integer, at timestamptz);
SELECT backorder.attach_stock('a_view', 'sku', 'qty');
SELECT backorder.attach_stock('a_temp', 'sku', 'n');
SELECT backorder.attach_stock('unlogged', 'sku', 'n');
SELECT backorder.attach_stock('parent', 'sku', 'n');
SELECT backorder.attach_stock('backorder.stock', 'item', 'on_hand');
SELECT backorder.attach_stock('plain', NULL, 'n');
SELECT backorder.attach_stock('plain', 'sku', 'm');
SELECT backorder.attach_stock('plain', 'sku', 'sum(n)');
SELECT backorder.attach_stock('plain', 'sku', 'n * random()');
SELECT backorder.attach_stock('plain', 'sku', 'CASE WHEN at < now() THEN n END');
SELECT backorder.attach_stock('plain', 'sku', 'at');
SELECT backorder.attach_stock('plain', 'sku', 'n; DROP TABLE bin');
SELECT backorder.attach_stock('plain', 'sku', 'n', timing => 'sometimes');
SELECT count(*) FROM backorder.stock_source WHERE table_name = 'plain';

-- The application's role has no right on anything of ours, and sees not all rows; the owner alone attaches.
ALTER TABLE bin ENABLE ROW LEVEL SECURITY;
ALTER TABLE bin FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON bin TO regress_backorder_shop USING (id IN (2, 11));
GRANT USAGE ON SCHEMA held_by_shop TO regress_backorder_shop;
GRANT SELECT, INSERT, UPDATE ON bin TO regress_backorder_shop;
GRANT USAGE ON SCHEMA backorder TO regress_backorder_shop;
GRANT EXECUTE ON FUNCTION backorder.attach_stock, backorder.detach_stock, backorder.resync_stock TO regress_backorder_shop;
SET ROLE regress_backorder_shop;
UPDATE bin SET qty = qty + 1 WHERE id = 11;
UPDATE bin SET qty = 8 WHERE sku = 'as A';
SELECT backorder.attach_stock('bin', 'sku', 'qty');
SELECT backorder.detach_stock('bin');
SELECT backorder.resync_stock('bin');
RESET ROLE;
SELECT item, location, on_hand FROM stock WHERE item IN ('as A', 'as C') AND kept_by = 'bin' ORDER BY 1, 2;
ALTER TABLE bin DISABLE ROW LEVEL SECURITY;

-- Its DDL, as its own unprivileged owner, is followed and never fails.
GRANT SELECT ON stock TO regress_backorder_shop;
GRANT CREATE ON SCHEMA held_by_shop TO regress_backorder_shop;
CREATE SCHEMA as_other AUTHORIZATION regress_backorder_shop;
SET ROLE regress_backorder_shop;
CREATE TABLE shelf (dropped integer, sku text PRIMARY KEY, n integer);
ALTER TABLE shelf DROP dropped;
INSERT INTO shelf VALUES ('as shelf', 2);
SELECT backorder.attach_stock('shelf', 'sku', 'n') > 0 AS attached;
ALTER TABLE shelf RENAME n TO count;
ALTER TABLE shelf RENAME TO "The Shelf";
ALTER TABLE "The Shelf" ADD n integer DEFAULT 99;
ALTER TABLE "The Shelf" SET SCHEMA as_other;
UPDATE as_other."The Shelf" SET count = 3;
RESET ROLE;
SELECT table_schema, table_name, on_hand, columns, names FROM backorder.stock_source WHERE table_schema = 'as_other';
-- As after a restore: other numbers, another OID.
SELECT source_id FROM backorder.stock_source WHERE table_schema = 'as_other' \gset
UPDATE backorder.stock_source SET table_relid = 1, columns = '{sku,n}', names = '{sku,count}' WHERE source_id = :source_id;
\c
SET search_path = held_by_shop;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET ROLE regress_backorder_shop;
UPDATE as_other."The Shelf" SET count = 4;
ALTER TABLE as_other."The Shelf" RENAME TO shelf;
UPDATE as_other.shelf SET count = 5;
RESET ROLE;
SELECT on_hand, kept_by FROM stock WHERE item = 'as shelf';
SELECT table_name, table_relid = 'as_other.shelf'::regclass AS same, columns, names FROM backorder.stock_source WHERE source_id = :source_id;
SELECT * FROM backorder.verify();
SET ROLE regress_backorder_shop;
ALTER TABLE as_other.shelf DROP count;
INSERT INTO as_other.shelf VALUES ('as shelf 2');
\echo :SQLSTATE
RESET ROLE;
SELECT check_name, expected FROM backorder.verify();
SELECT count(*) FROM backorder.adjust('as shelf', 1, 'found');
SET ROLE regress_backorder_shop;
SELECT backorder.attach_stock('as_other.shelf', 'sku', 'n') > 0 AS attached;
-- The table goes: movements keep what it kept.
BEGIN;
UPDATE as_other.shelf SET n = 1;
DROP TABLE as_other.shelf;
COMMIT;
RESET ROLE;
SELECT on_hand, kept_by FROM stock WHERE item = 'as shelf';
SELECT type, aggregatetype, aggregateid, payload FROM backorder.event WHERE type = 'detached' ORDER BY id DESC LIMIT 1;
SELECT count(*) FROM backorder.adjust('as shelf', 1, 'found');
SELECT * FROM backorder.verify();
-- The same with event triggers off: by its number.
SET ROLE regress_backorder_shop;
CREATE TABLE shelf (sku text PRIMARY KEY, n integer);
INSERT INTO shelf VALUES ('as shelf', 2);
SELECT backorder.attach_stock('shelf', 'sku', 'n') AS source_id \gset
RESET ROLE;
ALTER EVENT TRIGGER backorder_drop DISABLE;
DROP TABLE shelf;
ALTER EVENT TRIGGER backorder_drop ENABLE;
SELECT check_name, expected, actual FROM backorder.verify();
SELECT backorder.detach_source(:source_id);
SELECT on_hand, kept_by FROM stock WHERE item = 'as shelf';
SELECT * FROM backorder.verify();

-- Partitions.
SET ROLE regress_backorder_shop;
CREATE TABLE levels (place text, sku text, n integer, PRIMARY KEY (place, sku)) PARTITION BY LIST (place);
CREATE TABLE levels_1 PARTITION OF levels FOR VALUES IN ('p1');
INSERT INTO levels VALUES ('p1', 'as part', 1);
SELECT backorder.attach_stock('levels', 'sku', 'n', location => 'place') > 0 AS attached;
CREATE TABLE levels_2 (n integer, x integer, sku text NOT NULL, place text NOT NULL);
ALTER TABLE levels_2 DROP x;
INSERT INTO levels_2 VALUES (2, 'as part', 'p2');
ALTER TABLE levels ATTACH PARTITION levels_2 FOR VALUES IN ('p2');
CREATE TABLE levels_3 PARTITION OF levels FOR VALUES IN ('p3');
INSERT INTO levels VALUES ('p3', 'as part', 3);
UPDATE levels_2 SET n = 5;
UPDATE levels_1 SET n = 4;
SELECT item, location, on_hand FROM stock WHERE item = 'as part' ORDER BY 2;
UPDATE levels SET place = 'p3', sku = 'as part 2' WHERE place = 'p1';
TRUNCATE levels_2;
SELECT item, location, on_hand FROM stock WHERE item LIKE 'as part%' ORDER BY 1, 2;
INSERT INTO levels_2 VALUES (7, 'as part', 'p2');
ALTER TABLE levels DETACH PARTITION levels_2;
DROP TABLE levels_3;
RESET ROLE;
SELECT item, location, on_hand FROM stock WHERE item LIKE 'as part%' ORDER BY 1, 2;
SELECT backorder.attach_stock('levels', 'upper(sku)', 'n', location => 'place') > 0 AS attached;
SET ROLE regress_backorder_shop;
ALTER TABLE levels ATTACH PARTITION levels_2 FOR VALUES IN ('p2');
UPDATE levels_2 SET n = n + 1;
RESET ROLE;
SELECT item, location, on_hand FROM backorder.stock WHERE item = 'AS PART' ORDER BY 1, 2;
SELECT * FROM backorder.verify();

-- A schema goes with what is attached in it.
SET ROLE regress_backorder_shop;
ALTER TABLE levels SET SCHEMA as_other;
CREATE TABLE as_other.shelf (sku text PRIMARY KEY, n integer);
INSERT INTO as_other.shelf VALUES ('as shelf', 6);
SELECT backorder.attach_stock('as_other.shelf', 'sku', 'n') > 0 AS attached;
DROP SCHEMA as_other CASCADE;
RESET ROLE;
SELECT item, location, on_hand, stock_source_id FROM backorder.stock WHERE on_hand > 0 AND item IN ('AS PART', 'as shelf') ORDER BY 1, 2;
SELECT * FROM backorder.verify();

-- A forged trigger.
SELECT source_id AS forged FROM backorder.stock_source WHERE table_name = 'bin' \gset
CREATE TRIGGER forged AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION backorder_internal.capture(:'forged', 'stock');
INSERT INTO plain VALUES ('as A', 1);
\echo :SQLSTATE
DROP TRIGGER forged ON plain;
-- What the table names is known.
INSERT INTO line VALUES (50, 'as none', 1), (51, 'as unheard of', 1);
SELECT item, short, reason FROM backorder.unsourced WHERE item IN ('as none', 'as unheard of') ORDER BY item;

-- An order table and a table of stock at once; and nothing stays attached.
CREATE TABLE both_ways (id integer PRIMARY KEY, sku text, ordered integer, there integer);
SELECT backorder.attach_stock('both_ways', 'sku', 'there') > 0 AS attached;
SELECT backorder.attach('both_ways', 'sku', 'ordered') > 0 AS attached;
INSERT INTO both_ways VALUES (1, 'as both', 5, 3);
SELECT * FROM recorded WHERE item = 'as both';
SELECT count(*) FROM backorder.detach('both_ways');
UPDATE both_ways SET there = 4;
SELECT * FROM stock WHERE item = 'as both';
-- Attached again by a key of another type: what was recorded by the other one is none of it.
CREATE TABLE renamed (code text, n integer, day date, there integer);
INSERT INTO renamed VALUES ('as code', 4711, '2026-01-01', 4);
SELECT backorder.attach_stock('renamed', 'code', 'there') > 0 AS attached;
SELECT backorder.attach_stock('renamed', 'n', 'there') > 0 AS attached;
SELECT item, on_hand, stock_source_id IS NOT NULL AS counted FROM backorder.stock WHERE item IN ('as code', '4711', '2026-01-01') ORDER BY item COLLATE "C";
SELECT backorder.attach_stock('renamed', 'day', 'there') > 0 AS attached;
UPDATE renamed SET there = 5;
SELECT item, on_hand, stock_source_id IS NOT NULL AS counted FROM backorder.stock WHERE item IN ('as code', '4711', '2026-01-01') ORDER BY item COLLATE "C";
SELECT * FROM backorder.verify();

SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source WHERE line_schema = 'held_by_shop' AND detached_at IS NULL;
SELECT count(backorder.detach_stock(format('%I.%I', table_schema, table_name)::regclass)) AS detached FROM backorder.stock_source WHERE table_schema = 'held_by_shop' AND detached_at IS NULL;
SELECT count(*) FROM stock WHERE kept_by IS NOT NULL;
UPDATE bin SET qty = qty + 1;
SELECT * FROM backorder.verify();
DROP SCHEMA held_by_shop CASCADE;
DROP OWNED BY regress_backorder_shop;
DROP ROLE regress_backorder_shop;
SELECT * FROM backorder.verify();
