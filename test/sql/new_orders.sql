-- Orders without a header, and with one to which no foreign key leads: those that a transaction begins are read from their rows, all
-- others by query. What comes out is what comes out when all are read by query.

\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE SCHEMA new_orders;
SET search_path = new_orders;

-- Each table twice: of the second, which is attached with a join, all orders are read by query.
CREATE TABLE line (order_no bigint, no integer, item text, quantity integer, note text, PRIMARY KEY (order_no, no));
CREATE TABLE line_query (LIKE line INCLUDING ALL);
CREATE TABLE header (id integer PRIMARY KEY, customer text, status text NOT NULL DEFAULT 'open', total numeric);
CREATE TABLE header_query (LIKE header INCLUDING ALL);
CREATE TABLE part (header_id bigint, no integer, item text, quantity integer, PRIMARY KEY (header_id, no));
CREATE TABLE part_query (LIKE part INCLUDING ALL);
-- Headers from before: one with a line, one without.
INSERT INTO header VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO header_query TABLE header;
INSERT INTO part VALUES (1, 1, 'a', 1);
INSERT INTO part_query TABLE part;
SELECT count(backorder.attach('line' || q, item => 'item', quantity => '12 / quantity', order_key => 'order_no', line_key => 'no', joins => CASE q WHEN '' THEN NULL ELSE ', (VALUES (1)) one' END))
FROM unnest('{"",_query}'::text[]) q;
SELECT count(backorder.attach('part' || q, item => 'item', quantity => 'quantity', order_key => 'header_id', line_key => 'no', header_table => 'header' || q,
	live => $$coalesce(header.status, 'none') <> 'draft'$$, customer => 'header.customer', joins => CASE q WHEN '' THEN NULL ELSE ', (VALUES (1)) one' END))
FROM unnest('{"",_query}'::text[]) q;

-- Does the same with both.
CREATE PROCEDURE twice(sql text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE sql;
	EXECUTE regexp_replace(sql, '\m(line|header|part)\M', '\1_query', 'g');
END $$;
-- Settles, and says which of the tables was read by scans.
CREATE FUNCTION how() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	scans CONSTANT text := 'SELECT jsonb_object_agg(relname, idx_scan + seq_scan) FROM pg_stat_xact_user_tables WHERE schemaname = ''new_orders''';
	before jsonb;
	after jsonb;
BEGIN
	EXECUTE scans INTO before;
	PERFORM backorder.flush();
	EXECUTE scans INTO after;
	RETURN CASE WHEN (before -> 'line', before -> 'part') = (after -> 'line', after -> 'part') THEN 'from rows' ELSE 'by query' END
		|| CASE WHEN before -> 'header' <> after -> 'header' THEN ', header by key' ELSE '' END;
END $$;
CREATE VIEW compared AS
SELECT replace(s.line_table, '_query', '') AS source, s.joins IS NULL AS rows, concat_ws(' ', l.order_key, l.line_key, l.item, l.customer, l.ordered, l.live, l.deleted,
	row_number() OVER (PARTITION BY s.source_id, l.order_key ORDER BY l.line_id)) AS says
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'new_orders' AND s.line_table ~ '^(line|part)';
CREATE VIEW differences AS
SELECT source, says, count(*) FILTER (WHERE rows) AS rows, count(*) FILTER (WHERE NOT rows) AS query FROM compared GROUP BY 1, 2 HAVING count(*) FILTER (WHERE rows) <> count(*) FILTER (WHERE NOT rows)
ORDER BY source, says COLLATE "C";
CREATE FUNCTION recorded(source text, order_key text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT c.says FROM compared c WHERE c.source = recorded.source AND c.rows AND c.says LIKE recorded.order_key || ' %' ORDER BY 1
$$;

-- ---------- without a header ----------

-- Several at once, lines in any order, what the rows say in the end.
BEGIN;
CALL twice($$INSERT INTO line VALUES (2, 10, 'c', 1), (1, 9, 'a', 2), (1, 10, 'b', 3), (2, 9, 'a', 4), (1, 2, 'a', 6)$$);
CALL twice($$UPDATE line SET quantity = 3, note = 'changed' WHERE (order_no, no) = (1, 9)$$);
CALL twice($$UPDATE line SET note = 'irrelevant' WHERE (order_no, no) = (1, 10)$$);
CALL twice($$DELETE FROM line WHERE (order_no, no) = (2, 10)$$);
CALL twice($$INSERT INTO line VALUES (2, 10, 'd', 2)$$);
CALL twice($$UPDATE line SET no = 11 WHERE (order_no, no) = (2, 9)$$);
CALL twice($$INSERT INTO line VALUES (2, 10, 'e', 2) ON CONFLICT (order_no, no) DO UPDATE SET item = 'f'$$);
SAVEPOINT kept;
CALL twice($$INSERT INTO line VALUES (1, 1, 'a', 12)$$);
RELEASE kept;
SELECT how();
COMMIT;
SELECT recorded('line', '1');
SELECT recorded('line', '2');

-- All its lines gone again: nothing.
BEGIN;
CALL twice($$INSERT INTO line VALUES (3, 1, 'a', 1)$$);
CALL twice($$DELETE FROM line WHERE order_no = 3$$);
SELECT how();
COMMIT;
SELECT recorded('line', '3');

-- More lines of it: later in the transaction, when it is settled, and in another one.
BEGIN;
CALL twice($$INSERT INTO line VALUES (3, 1, 'a', 1)$$);
SELECT how();
CALL twice($$INSERT INTO line VALUES (3, 2, 'b', 1)$$);
SELECT how();
COMMIT;
BEGIN;
CALL twice($$INSERT INTO line VALUES (3, 3, 'c', 1), (3, 4, 'c', 1), (4, 1, 'a', 1)$$);
SELECT how();
COMMIT;
SELECT recorded('line', '3');
SELECT recorded('line', '4');

-- Locked before it is complete, by a function that locks orders first.
BEGIN;
CALL twice($$INSERT INTO line VALUES (5, 1, 'a', 1)$$);
INSERT INTO backorder.supplier (supplier) VALUES ('new orders');
INSERT INTO backorder.purchase_order (po_id, supplier) VALUES (900001, 'new orders');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered) VALUES (900001, 1, 'a', 1);
CALL twice($$INSERT INTO line VALUES (5, 2, 'b', 1)$$);
SELECT how();
COMMIT;
SELECT recorded('line', '5');
DELETE FROM backorder.purchase_order WHERE po_id = 900001;
DELETE FROM backorder.supplier WHERE supplier = 'new orders';

-- Moved from one to the other.
BEGIN;
CALL twice($$INSERT INTO line VALUES (6, 1, 'a', 1), (7, 2, 'b', 1)$$);
CALL twice($$UPDATE line SET order_no = 7 WHERE order_no = 6$$);
SELECT how();
COMMIT;
SELECT recorded('line', '7');

-- A savepoint that is rolled back: what was written before it, in it, and after it.
BEGIN;
CALL twice($$INSERT INTO line VALUES (8, 1, 'a', 1)$$);
SAVEPOINT s;
CALL twice($$INSERT INTO line VALUES (8, 2, 'b', 1), (9, 1, 'a', 1)$$);
ROLLBACK TO s;
CALL twice($$INSERT INTO line VALUES (8, 3, 'c', 1), (9, 2, 'b', 1), (10, 1, 'a', 1)$$);
SELECT how();
COMMIT;
SELECT recorded('line', '8');
SELECT recorded('line', '9');
SELECT recorded('line', '10');
-- Begun, settled and rolled back; and what was written before is there.
BEGIN;
CALL twice($$INSERT INTO line VALUES (11, 1, 'a', 1)$$);
SAVEPOINT s;
SELECT how();
ROLLBACK TO s;
CALL twice($$INSERT INTO line VALUES (11, 2, 'b', 1)$$);
SELECT how();
COMMIT;
SELECT recorded('line', '11');

-- Deleted and inserted again: in one transaction, and in two.
BEGIN;
CALL twice($$DELETE FROM line WHERE order_no = 11 AND no = 1$$);
CALL twice($$INSERT INTO line VALUES (11, 1, 'a', 4), (11, 3, 'c', 1)$$);
SELECT how();
COMMIT;
SELECT recorded('line', '11');
CALL twice($$DELETE FROM line WHERE order_no = 11$$);
BEGIN;
CALL twice($$INSERT INTO line VALUES (11, 1, 'a', 6)$$);
SELECT how();
COMMIT;
SELECT recorded('line', '11');

-- TRUNCATE, and the table changed, in the middle of it.
BEGIN;
CALL twice($$INSERT INTO line VALUES (12, 1, 'a', 1)$$);
CALL twice($$TRUNCATE line$$);
CALL twice($$INSERT INTO line VALUES (12, 2, 'b', 1), (13, 1, 'a', 1)$$);
COMMIT;
SELECT recorded('line', '12');
BEGIN;
CALL twice($$INSERT INTO line VALUES (14, 1, 'a', 1)$$);
CALL twice($$ALTER TABLE line ALTER quantity TYPE bigint$$);
CALL twice($$INSERT INTO line VALUES (14, 2, 'b', 2)$$);
COMMIT;
SELECT recorded('line', '14');
SELECT * FROM differences;
SELECT * FROM backorder.verify();

-- An error names the mapping and the order.
INSERT INTO line VALUES (15, 1, 'a', 0);

-- ---------- with a header, and no foreign key ----------

-- Header first, lines first, a header that changes, one that is there already, one that is not there.
BEGIN;
CALL twice($$INSERT INTO header VALUES (3, 'Cyd')$$);
CALL twice($$INSERT INTO part VALUES (3, 1, 'a', 1), (3, 2, 'b', 1), (4, 1, 'a', 1)$$);
CALL twice($$INSERT INTO header VALUES (4, 'Dan', 'draft')$$);
CALL twice($$UPDATE header SET status = 'open', customer = 'Don' WHERE id = 4$$);
CALL twice($$UPDATE header SET status = 'draft' WHERE id = 3$$);
CALL twice($$UPDATE header SET status = 'placed', total = 7 WHERE id = 3$$);
SELECT how();
COMMIT;
SELECT recorded('part', '3');
SELECT recorded('part', '4');
BEGIN;
CALL twice($$INSERT INTO part VALUES (2, 2, 'b', 1), (2, 1, 'a', 1), (5, 1, 'a', 1)$$);
SELECT how();
COMMIT;
SELECT recorded('part', '2');
SELECT recorded('part', '5');
-- Its header comes later: the order is known then. One that was known before its lines, likewise.
BEGIN;
CALL twice($$INSERT INTO header VALUES (5, 'Eve')$$);
SELECT how();
COMMIT;
SELECT recorded('part', '5');
CALL twice($$INSERT INTO header VALUES (6, 'Fay')$$);
BEGIN;
CALL twice($$INSERT INTO part VALUES (6, 1, 'a', 1), (6, 2, 'b', 1)$$);
SELECT how();
COMMIT;
SELECT recorded('part', '6');
-- The header changes its key, or goes, or comes again.
BEGIN;
CALL twice($$INSERT INTO header VALUES (7, 'Gil')$$);
CALL twice($$INSERT INTO part VALUES (7, 1, 'a', 1), (8, 1, 'a', 1), (9, 1, 'a', 1)$$);
CALL twice($$UPDATE header SET id = 8 WHERE id = 7$$);
CALL twice($$INSERT INTO header VALUES (9, 'Hal')$$);
CALL twice($$DELETE FROM header WHERE id = 9$$);
SELECT how();
CALL twice($$INSERT INTO header VALUES (9, 'Ida')$$);
COMMIT;
SELECT recorded('part', '7');
SELECT recorded('part', '8');
SELECT recorded('part', '9');
-- An order that has lines from before, with a header that this transaction inserts.
CALL twice($$INSERT INTO part VALUES (10, 1, 'a', 1)$$);
BEGIN;
CALL twice($$INSERT INTO header VALUES (10, 'Jo')$$);
CALL twice($$INSERT INTO part VALUES (10, 2, 'b', 1)$$);
SELECT how();
COMMIT;
SELECT recorded('part', '10');
SELECT * FROM differences;
SELECT * FROM backorder.verify();

-- Many orders, in pieces.
BEGIN;
CALL twice($$INSERT INTO header SELECT 1000 + n, 'customer ' || n, CASE n % 9 WHEN 1 THEN 'draft' ELSE 'open' END FROM generate_series(1, 600) n WHERE n % 5 > 0$$);
CALL twice($$INSERT INTO part SELECT 1000 + n / 3, n % 3, 'item ' || n % 40, 1 + n % 7 FROM generate_series(3, 1800) n$$);
CALL twice($$INSERT INTO line SELECT 1000 + n / 3, n % 3, 'item ' || n % 40, 1 + n % 7 FROM generate_series(3, 1800) n$$);
SELECT how();
COMMIT;
SELECT source, rows, count(*) FROM compared GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM differences;
SELECT * FROM backorder.verify();

-- ---------- orders that have lines and are not recorded ----------

-- No line of it is recorded: compact() leaves it what it is.
CALL twice($$INSERT INTO header VALUES (20, 'Kay', 'draft')$$);
CALL twice($$INSERT INTO part VALUES (20, 1, 'a', 1), (21, 1, NULL, 1), (21, 2, 'b', 0)$$);
SELECT count(*) FROM backorder.compact('2000-01-01');
BEGIN;
CALL twice($$UPDATE header SET status = 'open' WHERE id = 20$$);
CALL twice($$INSERT INTO header VALUES (21, 'Lea')$$);
CALL twice($$INSERT INTO part VALUES (20, 2, 'b', 1), (21, 3, 'c', 1)$$);
SELECT how();
COMMIT;
SELECT recorded('part', '20');
CALL twice($$DELETE FROM part WHERE header_id IN (20, 21)$$);
CALL twice($$DELETE FROM header WHERE id IN (20, 21)$$);
UPDATE backorder.order_line SET queued_at = '1990-01-01' WHERE order_key IN ('20', '21') AND source_id IN (SELECT source_id FROM backorder.source WHERE line_schema = 'new_orders');
SELECT count(*) FROM backorder.compact('2000-01-01');
SELECT s.line_table, o.order_key FROM backorder.sales_order o JOIN backorder.source s USING (source_id)
WHERE s.line_schema = 'new_orders' AND o.order_key IN ('20', '21') ORDER BY 1, 2;
BEGIN;
CALL twice($$INSERT INTO header VALUES (20, 'Max')$$);
CALL twice($$INSERT INTO part VALUES (20, 3, 'c', 1)$$);
SELECT how();
COMMIT;
SELECT recorded('part', '20');
SELECT * FROM differences;
SELECT * FROM backorder.verify();

-- A table that is being imported, and one that was attached again in another way.
CREATE TABLE late (id integer PRIMARY KEY, order_no integer, other_no integer, item text, quantity integer);
INSERT INTO late VALUES (1, 1, 11, 'a', 1), (2, 2, 12, 'b', 1);
SELECT backorder.attach('late', item => 'item', quantity => 'quantity', order_key => 'order_no', line_key => 'id', import => false) > 0 AS attached;
INSERT INTO late VALUES (3, 1, 11, 'c', 1), (4, 3, 13, 'd', 1);
CREATE VIEW late_lines AS SELECT l.order_key, l.line_key, l.live FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_table = 'late' ORDER BY 1, 2;
TABLE late_lines;
CALL backorder.import('late');
TABLE late_lines;
SELECT backorder.attach('late', item => 'item', quantity => 'quantity', order_key => 'other_no', line_key => 'id', import => false) > 0 AS attached;
INSERT INTO late VALUES (5, 1, 11, 'e', 1), (6, 4, 14, 'f', 1);
TABLE late_lines;
CALL backorder.import('late');
TABLE late_lines;
-- ... which resync() does as well.
SELECT backorder.attach('late', item => 'item', quantity => 'quantity', order_key => 'order_no', line_key => 'id', import => false) > 0 AS attached;
SELECT backorder.resync('late');
BEGIN;
INSERT INTO late VALUES (7, 5, 15, 'g', 1);
SELECT idx_scan + seq_scan AS before FROM pg_stat_xact_user_tables WHERE relname = 'late' \gset
SELECT backorder.flush();
SELECT idx_scan + seq_scan = :before AS from_rows FROM pg_stat_xact_user_tables WHERE relname = 'late';
COMMIT;
SELECT * FROM backorder.verify();
-- Written while it was detached.
SELECT backorder.detach('late');
INSERT INTO late VALUES (8, 6, 16, 'h', 1);
SELECT backorder.attach('late', item => 'item', quantity => 'quantity', order_key => 'order_no', line_key => 'id') > 0 AS attached;
INSERT INTO late VALUES (9, 6, 16, 'i', 1);
SELECT * FROM late_lines WHERE order_key = '6';
-- Written while it was parked, and the mapping could be read again with nobody looking.
SELECT backorder.attach('late', item => 'item', quantity => 'quantity', order_key => 'order_no', line_key => 'id', on_error => 'park') > 0 AS attached;
SET client_min_messages = error;
ALTER TABLE late ALTER quantity TYPE boolean USING true;
INSERT INTO late VALUES (10, 7, 17, 'j', true);
SELECT count(*) FROM backorder.parked;
ALTER TABLE late ALTER quantity TYPE integer USING 1;
RESET client_min_messages;
INSERT INTO late VALUES (11, 7, 17, 'k', 1);
SELECT * FROM late_lines WHERE order_key = '7';
SELECT backorder.detach('late');

-- Past the triggers: not seen until one of these lines is written, or all are looked at.
SET session_replication_role = replica;
CALL twice($$INSERT INTO line VALUES (30, 1, 'a', 1), (31, 1, 'a', 1), (32, 1, 'a', 1)$$);
RESET session_replication_role;
CALL twice($$INSERT INTO line VALUES (30, 2, 'b', 1)$$);
BEGIN;
CALL twice($$INSERT INTO line VALUES (31, 2, 'b', 1)$$);
CALL twice($$UPDATE line SET quantity = 2 WHERE (order_no, no) = (31, 1)$$);
SELECT how();
COMMIT;
BEGIN;
CALL twice($$DELETE FROM line WHERE (order_no, no) = (32, 1)$$);
CALL twice($$INSERT INTO line VALUES (32, 2, 'b', 1)$$);
SELECT how();
COMMIT;
SELECT * FROM differences;
SELECT check_name, object, actual FROM backorder.verify();
SELECT backorder.resync('line', '30');
SELECT * FROM differences;
SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source WHERE line_schema = 'new_orders' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA new_orders CASCADE;
