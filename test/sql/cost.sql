-- What costs no look at an order, and what costs one: counted, not timed. The counters are PostgreSQL's own for the running
-- transaction. (That a mapping is loaded again after an invalidation is nobody's fault here: backorder.source is left out.)
SET client_min_messages = warning;
CREATE SCHEMA cost;
SET search_path = cost;
CREATE TABLE header (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'open', total numeric) WITH (autovacuum_enabled = off);
CREATE TABLE line (order_id integer, no integer, item text, quantity integer, note text, price numeric, PRIMARY KEY (order_id, no)) WITH (autovacuum_enabled = off);
CREATE TABLE now_header (LIKE header INCLUDING ALL) WITH (autovacuum_enabled = off);
CREATE TABLE now_line (LIKE line INCLUDING ALL) WITH (autovacuum_enabled = off);
CREATE TABLE parcel (id integer PRIMARY KEY, order_id integer, no integer, quantity integer, tracking text) WITH (autovacuum_enabled = off);
CREATE INDEX ON parcel (order_id, no);
SELECT backorder.attach('line', 'item', 'quantity', order_key => 'order_id', line_key => 'no', header_table => 'header', live => $$status = 'open'$$,
	shipped => '(SELECT sum(p.quantity) FROM parcel p WHERE (p.order_id, p.no) = (line.order_id, line.no))', watch => ARRAY['parcel: order_id']) > 0 AS attached;
SELECT backorder.attach('now_line', 'item', 'quantity', order_key => 'order_id', line_key => 'no', header_table => 'now_header', live => $$status = 'open'$$, timing => 'immediate') > 0 AS attached;
SELECT count(*) FROM backorder.receive('co A', 1000000);
INSERT INTO header SELECT i FROM generate_series(1, 10) i;
INSERT INTO now_header SELECT i FROM generate_series(11, 20) i;
INSERT INTO line SELECT o, n, 'co A', 1 FROM generate_series(1, 10) o, generate_series(1, 5) n;
INSERT INTO now_line SELECT o, n, 'co A', 1 FROM generate_series(11, 20) o, generate_series(1, 5) n;
INSERT INTO parcel SELECT i, i, 1, 1 FROM generate_series(1, 5) i;
-- Tables of the extension that this transaction has read or written.
CREATE VIEW touched AS
SELECT relname FROM pg_stat_xact_all_tables
WHERE schemaname IN ('backorder', 'backorder_internal') AND relname NOT IN ('source', 'source_watch') AND coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del > 0;
CREATE VIEW looks AS
SELECT s.line_table, sum(o.revision) AS looks FROM backorder.sales_order o JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'cost' GROUP BY 1;
CREATE VIEW written AS
SELECT relname, n_tup_ins AS ins, n_tup_upd AS upd, n_tup_del AS del FROM pg_stat_xact_all_tables
WHERE schemaname IN ('backorder', 'backorder_internal') AND relname IN ('sales_order', 'order_line', 'stock', 'event', 'allocation', 'stock_movement') AND n_tup_ins + n_tup_upd + n_tup_del > 0 ORDER BY 1;
-- Rows of the application's tables that were found by an index: what the mapping query reads, and nothing else here.
CREATE VIEW read AS
SELECT relname, idx_tup_fetch AS rows FROM pg_stat_xact_all_tables WHERE schemaname = 'cost' AND relname IN ('header', 'now_header', 'parcel') AND idx_tup_fetch > 0 ORDER BY 1;
CREATE TABLE before AS TABLE looks;

-- Half of all updates in a shop change nothing that the mapping reads: no query, in either timing, of line, header or watched table.
SELECT pg_stat_force_next_flush();
BEGIN;
UPDATE line SET note = 'gift', price = 1;
UPDATE now_line SET note = 'gift';
UPDATE header SET total = 10;
UPDATE now_header SET total = 10;
UPDATE parcel SET tracking = 'X1';
UPDATE line SET quantity = quantity, item = 'co ' || 'A';
INSERT INTO now_line VALUES (11, 1, 'co A', 1) ON CONFLICT DO NOTHING;
DELETE FROM line WHERE order_id = 0;
TABLE touched;
SET CONSTRAINTS ALL IMMEDIATE;
TABLE touched;
TABLE read;
COMMIT;
TABLE looks EXCEPT TABLE before;

-- Orders whose key has several columns are found by an index too, each, however many there are in the table.
CREATE TABLE pairs (region text, order_id integer, no integer, item text, quantity integer, PRIMARY KEY (region, order_id, no)) WITH (autovacuum_enabled = off);
SELECT backorder.attach('pairs', 'item', 'quantity', order_key => 'region, order_id', line_key => 'no') > 0 AS attached;
INSERT INTO pairs SELECT 'r' || o % 3, o, n, 'co B', 1 FROM generate_series(1, 1000) o, generate_series(1, 2) n;
ANALYZE pairs;
SELECT pg_stat_force_next_flush();
BEGIN;
UPDATE pairs SET quantity = 2 WHERE (region, order_id) IN (('r1', 1), ('r2', 2));
SELECT idx_tup_fetch AS fetched FROM pg_stat_xact_user_tables WHERE relid = 'pairs'::regclass \gset
SET CONSTRAINTS ALL IMMEDIATE;
SELECT idx_tup_fetch - :fetched AS rows FROM pg_stat_xact_user_tables WHERE relid = 'pairs'::regclass;
COMMIT;
SELECT count(*) FROM backorder.order_line WHERE item = 'co B' AND ordered = 2;
-- By many, whatever there is.
UPDATE pairs SET quantity = 3;
SELECT count(*) FROM backorder.order_line WHERE item = 'co B' AND ordered = 3;

-- A hundred statements on one order in one transaction: one look at it, at the commit; its row, its line and the stock are written once.
SELECT pg_stat_force_next_flush();
BEGIN;
DO $$ BEGIN FOR n IN 1 .. 100 LOOP UPDATE line SET quantity = 1 + n WHERE (order_id, no) = (1, 2); END LOOP; END $$;
TABLE written;
TABLE read;
SET CONSTRAINTS ALL IMMEDIATE;
TABLE written;
SELECT relname, rows BETWEEN 1 AND 5 AS once FROM read;
COMMIT;
SELECT l.line_table, l.looks - b.looks AS looks FROM looks l JOIN before b USING (line_table) ORDER BY 1;
SELECT l.ordered, l.allocated FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'cost' AND line_table = 'line' AND (l.order_key, l.line_key) = ('1', '2');
-- So it is with lines inserted one by one, with those of other orders between, and with savepoints.
SELECT pg_stat_force_next_flush();
BEGIN;
INSERT INTO header VALUES (30);
DO $$ BEGIN
	FOR n IN 1 .. 30 LOOP
		BEGIN
			INSERT INTO line VALUES (30, n, 'co A', 1);
			UPDATE line SET quantity = n WHERE (order_id, no) = (2, 1);
		EXCEPTION WHEN unique_violation THEN NULL;
		END;
	END LOOP;
END $$;
TABLE read;
TABLE written;
COMMIT;
SELECT l.line_table, l.looks - b.looks AS looks FROM looks l JOIN before b USING (line_table) ORDER BY 1;
-- In immediate timing each statement settles; the order's row is its lock, written once a transaction.
DROP TABLE before;
CREATE TABLE before AS TABLE looks;
SELECT pg_stat_force_next_flush();
BEGIN;
DO $$ BEGIN FOR n IN 1 .. 10 LOOP UPDATE now_line SET quantity = 1 + n WHERE (order_id, no) = (11, 2); END LOOP; END $$;
TABLE written;
COMMIT;
SELECT l.line_table, l.looks - b.looks AS looks FROM looks l JOIN before b USING (line_table) ORDER BY 1;
-- ... and reads the line that was written, not the order: the cost of a long order does not grow with its square.
SELECT pg_stat_force_next_flush();
BEGIN;
INSERT INTO now_header VALUES (40);
DO $$ BEGIN FOR n IN 1 .. 200 LOOP INSERT INTO now_line VALUES (40, n, 'co A', 1); END LOOP; END $$;
SELECT relname, rows BETWEEN 1 AND 600 AS linear FROM read;
SELECT relname, idx_tup_fetch <= 600 AS linear FROM pg_stat_xact_all_tables WHERE relid IN ('now_line'::regclass, 'backorder.order_line'::regclass) ORDER BY 1;
COMMIT;
SELECT count(*), sum(allocated) FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'cost' AND line_table = 'now_line' AND l.order_key = '40';
SELECT * FROM backorder.verify();

-- Planning and placing read each purchase order line, and its supply, some times: not all of them for each.
INSERT INTO backorder.supplier (tenant, supplier, lead_time) VALUES ('cost', 'co supplier', 5);
INSERT INTO backorder.supplier_item (tenant, supplier, item) SELECT 'cost', 'co supplier', 'co buy ' || n FROM generate_series(1, 400) n;
INSERT INTO backorder.item_policy (tenant, item, reorder_point) SELECT 'cost', 'co buy ' || n, 5 FROM generate_series(1, 400) n;
BEGIN;
SELECT count(*) FROM backorder.plan_purchases(tenant => 'cost');
UPDATE backorder.purchase_order SET status = 'placed' WHERE tenant = 'cost';
UPDATE backorder.item_policy SET reorder_point = 1 WHERE tenant = 'cost';
SELECT count(*) FROM backorder.plan_purchases(tenant => 'cost');
SELECT relname, seq_tup_read + idx_tup_fetch < 20000 AS linear FROM pg_stat_xact_all_tables
WHERE relid IN ('backorder.purchase_order_line'::regclass, 'backorder.supply'::regclass) ORDER BY 1;
SELECT count(*) FROM backorder.event WHERE tenant = 'cost' AND type = 'surplus';
SELECT * FROM backorder.verify();
ROLLBACK;
DELETE FROM backorder.item_policy WHERE tenant = 'cost';
DELETE FROM backorder.supplier_item WHERE tenant = 'cost';
DELETE FROM backorder.supplier WHERE tenant = 'cost';

SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source WHERE line_schema = 'cost' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
DROP SCHEMA cost CASCADE;
