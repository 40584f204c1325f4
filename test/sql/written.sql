-- Orders that a transaction writes whole are read from their rows, not by a query; and not where there may be more of them.

\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE SCHEMA written;
SET search_path = written;

CREATE TABLE header (id integer PRIMARY KEY, customer text, status text NOT NULL DEFAULT 'open', total numeric);
CREATE TABLE line (header_id bigint REFERENCES header ON UPDATE CASCADE DEFERRABLE, no numeric(5,0), item text, quantity integer, note text, PRIMARY KEY (header_id, no) DEFERRABLE);
SELECT backorder.attach('line', item => $$CASE WHEN item ~ 'x' THEN upper(item) ELSE item END$$, quantity => '12 / quantity', order_key => 'header_id', line_key => 'no',
	header_table => 'header', live => $$header.status = 'open'$$, customer => 'customer') > 0 AS attached;
CREATE VIEW recorded AS
SELECT l.order_key, l.line_key, l.item, l.customer, l.ordered FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'written' AND l.live ORDER BY l.line_id;

-- Settles, and says how the lines were read: by scans of the table, or not.
CREATE FUNCTION how(relation regclass DEFAULT 'written.line') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	scans CONSTANT text := 'SELECT idx_scan + seq_scan FROM pg_stat_xact_user_tables WHERE relid = $1';
	before bigint;
	after bigint;
BEGIN
	EXECUTE scans INTO before USING relation;
	PERFORM backorder.flush();
	EXECUTE scans INTO after USING relation;
	RETURN CASE WHEN before = after THEN 'from rows' ELSE 'by query' END;
END $$;
CREATE FUNCTION recorded(source text) RETURNS TABLE (order_key text, line_key text, item text) LANGUAGE sql AS $$
	SELECT l.order_key, l.line_key, l.item FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
	WHERE s.line_table = source AND s.line_schema = 'written' ORDER BY l.line_id
$$;

-- Lines in any order; they are recorded in that of their keys.
BEGIN;
INSERT INTO header VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO line VALUES (2, 10, 'c', 1), (1, 9, 'a', 2), (1, 10, 'bx', 3), (2, 9, 'a', 4), (1, 2, 'a', 5);
SELECT how();
COMMIT;
TABLE recorded;

-- What the rows are when the order is settled counts, not what they were.
BEGIN;
INSERT INTO header VALUES (3, 'Cyd', 'draft');
INSERT INTO line VALUES (3, 1, 'a', 1), (3, 2, 'b', 1), (3, 3, 'c', 1), (3, 4, 'd', 1);
UPDATE line SET note = 'irrelevant' WHERE no = 1;
UPDATE line SET quantity = 3 WHERE header_id = 3 AND no = 2;
DELETE FROM line WHERE header_id = 3 AND no = 3;
UPDATE line SET no = 3 WHERE header_id = 3 AND no = 4;
UPDATE header SET total = 5 WHERE id = 3;
UPDATE header SET status = 'open', customer = 'Dan' WHERE id = 3;
UPDATE header SET total = 6 WHERE id = 3;
SAVEPOINT kept;
INSERT INTO line VALUES (3, 7, 'e', 2);
RELEASE kept;
SELECT how();
COMMIT;
SELECT * FROM recorded WHERE order_key = '3';

-- The header is gone: there is no order.
BEGIN;
INSERT INTO header VALUES (4, 'Eve');
INSERT INTO line VALUES (4, 1, 'a', 1);
DELETE FROM line WHERE header_id = 4;
DELETE FROM header WHERE id = 4;
COMMIT;
SELECT count(*) FROM recorded WHERE order_key = '4';

-- Lines that move between orders, and a header whose key changes with those of its lines.
BEGIN;
INSERT INTO header VALUES (5, 'Fay'), (6, 'Gil');
INSERT INTO line VALUES (5, 1, 'a', 1), (6, 2, 'b', 1);
UPDATE line SET header_id = 6 WHERE header_id = 5;
SELECT how();
COMMIT;
BEGIN;
INSERT INTO header VALUES (7, 'Hal');
INSERT INTO line VALUES (7, 1, 'a', 1);
UPDATE header SET id = 8 WHERE id = 7;
SELECT how();
COMMIT;
SELECT * FROM recorded WHERE order_key::integer BETWEEN 5 AND 8;

-- A savepoint that is rolled back: of what was written before, and of what was written in it.
BEGIN;
INSERT INTO header VALUES (9, 'Ida');
INSERT INTO line VALUES (9, 1, 'a', 1);
SAVEPOINT s;
INSERT INTO line VALUES (9, 2, 'b', 1);
INSERT INTO header VALUES (10, 'Jo');
INSERT INTO line VALUES (10, 1, 'a', 1);
ROLLBACK TO s;
INSERT INTO line VALUES (9, 3, 'c', 1);
INSERT INTO header VALUES (10, 'Kay');
INSERT INTO line VALUES (10, 2, 'b', 1);
INSERT INTO header VALUES (11, 'Lea');
INSERT INTO line VALUES (11, 1, 'a', 1);
SELECT how();
COMMIT;
SELECT * FROM recorded WHERE order_key::integer BETWEEN 9 AND 11;

-- Settled in between, the rest is read by query.
BEGIN;
INSERT INTO header VALUES (12, 'Max');
INSERT INTO line VALUES (12, 1, 'a', 1);
SELECT how();
INSERT INTO line VALUES (12, 2, 'b', 1);
SELECT how();
COMMIT;
SELECT * FROM recorded WHERE order_key = '12';

-- Lines of an order that was there, beside those of a new one.
BEGIN;
INSERT INTO line VALUES (12, 3, 'c', 1);
INSERT INTO header VALUES (13, 'Ned');
INSERT INTO line VALUES (13, 1, 'a', 1);
SELECT how();
COMMIT;
SELECT * FROM recorded WHERE order_key IN ('12', '13');

-- An order of that key was recorded before, and deleted.
DELETE FROM line WHERE header_id = 13;
DELETE FROM header WHERE id = 13;
BEGIN;
INSERT INTO header VALUES (13, 'Ole');
INSERT INTO line VALUES (13, 4, 'd', 1);
SELECT how();
COMMIT;
SELECT * FROM recorded WHERE order_key = '13';

-- An expression that fails names itself and the order; nothing of the row is shown to who may not read it.
\set VERBOSITY default
BEGIN;
INSERT INTO header VALUES (14, 'Pam');
INSERT INTO line VALUES (14, 1, 'a', 0);
COMMIT;
\set VERBOSITY terse
SELECT count(*) FROM header WHERE id = 14;

-- TRUNCATE, and lines after it.
BEGIN;
INSERT INTO header VALUES (15, 'Quin');
INSERT INTO line VALUES (15, 1, 'a', 1);
TRUNCATE line;
INSERT INTO line VALUES (15, 2, 'b', 2);
INSERT INTO line SELECT 1, n, 'a', 1 FROM generate_series(2, 4) n;
COMMIT;
TABLE recorded;

-- The table changes while an order is being written.
BEGIN;
INSERT INTO header VALUES (16, 'Ray');
INSERT INTO line VALUES (16, 1, 'a', 1);
ALTER TABLE line ALTER quantity TYPE bigint;
INSERT INTO line VALUES (16, 2, 'b', 2);
COMMIT;
SELECT * FROM recorded WHERE order_key = '16';
BEGIN;
INSERT INTO header VALUES (17, 'Sue');
INSERT INTO line VALUES (17, 1, 'a', 1);
ALTER TABLE line ADD COLUMN more text DEFAULT 'x', DROP COLUMN note;
COMMIT;
SELECT * FROM recorded WHERE order_key = '17';
SELECT * FROM backorder.verify();

-- Without a foreign key likewise, valid or not; lines of the order that nobody noted are seen by resync().
CREATE TABLE lone (header_id integer, no integer, item text, quantity integer, PRIMARY KEY (header_id, no));
CREATE TABLE lone_header (id integer PRIMARY KEY);
SELECT backorder.attach('lone', item => 'item', quantity => 'quantity', order_key => 'header_id', line_key => 'no', header_table => 'lone_header') > 0 AS attached;
SET session_replication_role = replica;
INSERT INTO lone VALUES (1, 1, 'a', 1), (2, 1, 'a', 1);
RESET session_replication_role;
BEGIN;
INSERT INTO lone_header VALUES (1);
INSERT INTO lone VALUES (1, 2, 'b', 2);
SELECT how('lone');
COMMIT;
SELECT * FROM recorded('lone');
ALTER TABLE lone ADD FOREIGN KEY (header_id) REFERENCES lone_header NOT VALID;
BEGIN;
INSERT INTO lone_header VALUES (2);
INSERT INTO lone VALUES (2, 2, 'b', 2);
SELECT how('lone');
COMMIT;
SELECT * FROM recorded('lone');
SELECT check_name, object, actual FROM backorder.verify();
SELECT backorder.resync('lone');
SELECT * FROM recorded('lone');
ALTER TABLE lone VALIDATE CONSTRAINT lone_header_id_fkey;
\c -
SET search_path = written;
BEGIN;
INSERT INTO lone_header VALUES (3);
INSERT INTO lone VALUES (3, 2, 'b', 2);
SELECT how('lone');
COMMIT;

-- Keys of several columns, and of a type whose text depends on settings.
CREATE TABLE day (day date, no smallint, PRIMARY KEY (no, day));
CREATE TABLE part (no integer, day date, part uuid PRIMARY KEY, item text, FOREIGN KEY (day, no) REFERENCES day (day, no));
SELECT backorder.attach('part', item => 'item', quantity => '1', order_key => 'no, day', line_key => 'part', header_table => 'day') > 0 AS attached;
BEGIN;
SET LOCAL DateStyle = 'German';
INSERT INTO day VALUES ('2026-02-01', 7);
INSERT INTO part VALUES (7, '2026-02-01', '00000000-0000-0000-0000-00000000000b', 'a'), (7, '2026-02-01', '00000000-0000-0000-0000-00000000000a', 'b');
SELECT how('part');
COMMIT;
SELECT * FROM recorded('part');
SELECT * FROM backorder.verify();

-- What an order says does not depend on the session's settings, and they are what they were afterwards.
CREATE TABLE wish_header (id integer PRIMARY KEY, day date);
CREATE TABLE wish (header_id integer REFERENCES wish_header, no integer, item text, wanted text, at timestamp, weight float8, PRIMARY KEY (header_id, no));
SELECT backorder.attach('wish', item => 'item', quantity => '1', order_key => 'header_id', line_key => 'no', header_table => 'wish_header',
	requested_at => 'wanted::date', queued_at => 'at', customer => 'day::text', location => 'weight::text') > 0 AS attached;
-- One whose text PostgreSQL takes for the same under all settings, and a difference that it takes for the same in all time zones.
CREATE TABLE span (header_id integer REFERENCES wish_header, no integer, item text, due timestamptz, placed timestamptz, weight float8, PRIMARY KEY (header_id, no));
SELECT backorder.attach('span', item => 'item', quantity => '1', order_key => 'header_id', line_key => 'no', header_table => 'wish_header',
	priority => 'extract(month FROM age(due, placed))::integer', customer => 'textin(float8out(weight))') > 0 AS attached;
SET backorder.timezone = 'Pacific/Kiritimati';
SET DateStyle = 'SQL, DMY';
SET TimeZone = 'Asia/Tokyo';
SET extra_float_digits = 0;
BEGIN;
INSERT INTO wish_header VALUES (1, '2026-03-04'), (2, '2026-03-04');
INSERT INTO wish VALUES (1, 1, 'settings', '26-03-04', '2026-05-06 12:00', 0.1::float8 + 0.2);
SELECT how('wish');
SHOW DateStyle;
INSERT INTO wish VALUES (2, 1, 'settings', '26-03-04', '2026-05-06 12:00', 0.1::float8 + 0.2);
COMMIT;
BEGIN;
INSERT INTO wish_header VALUES (3, '2026-03-04');
INSERT INTO wish VALUES (3, 1, 'settings', '26-03-04', '2026-05-06 12:00', 0.1::float8 + 0.2);
COMMIT;
SELECT current_setting('DateStyle'), current_setting('TimeZone'), current_setting('extra_float_digits'), current_setting('search_path');
RESET extra_float_digits;
RESET DateStyle;
RESET TimeZone;
BEGIN;
SET LOCAL TimeZone = 'America/New_York';
SET LOCAL extra_float_digits = 0;
INSERT INTO wish_header VALUES (4);
INSERT INTO span VALUES (4, 1, 'settings', '2020-03-01 03:30+00', '2020-02-01 00:00+00', 0.1::float8 + 0.2);
COMMIT;
BEGIN;
SET LOCAL TimeZone = 'America/New_York';
SET LOCAL extra_float_digits = 0;
INSERT INTO wish_header VALUES (5);
INSERT INTO span VALUES (5, 1, 'settings', '2020-03-01 03:30+00', '2020-02-01 00:00+00', 0.1::float8 + 0.2);
COMMIT;
SELECT order_key, priority, customer FROM backorder.order_line WHERE item = 'settings' AND order_key > '3' ORDER BY line_id;
SELECT backorder.detach('span');
SELECT l.order_key, to_char(l.requested_at, 'YYYY-MM-DD') AS requested, l.customer, l.location, to_char(l.queued_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS queued
FROM backorder.order_line l WHERE l.item = 'settings' AND l.live ORDER BY l.line_id;
SELECT backorder.detach('wish');
RESET backorder.timezone;

-- A header that is deleted, and one of the same key: what was not recorded of its lines, and forgotten by compact(), is there.
CREATE TABLE draft_header (id integer PRIMARY KEY, status text);
CREATE TABLE draft (header_id integer REFERENCES draft_header, no integer, item text, PRIMARY KEY (header_id, no));
SELECT backorder.attach('draft', item => 'item', quantity => '1', order_key => 'header_id', line_key => 'no', header_table => 'draft_header', live => $$status = 'open'$$) > 0 AS attached;
INSERT INTO draft_header VALUES (1, 'draft');
INSERT INTO draft VALUES (1, 1, 'a');
SELECT count(*) FROM backorder.compact('2000-01-01');
WITH d AS (DELETE FROM draft_header WHERE id = 1 RETURNING id) INSERT INTO draft_header SELECT id, 'open' FROM d;
SELECT * FROM recorded('draft');

-- What is joined may leave lines out, or have columns of its own.
CREATE TABLE joined (header_id integer REFERENCES header, no integer, item text, PRIMARY KEY (header_id, no));
SELECT backorder.attach('joined', item => 'j.other', quantity => '1', order_key => 'header_id', line_key => 'no', header_table => 'header',
	joins => $$JOIN LATERAL (SELECT line.item || '!' AS other WHERE line.item <> 'x') j ON true$$) > 0 AS attached;
BEGIN;
INSERT INTO header VALUES (20, 'Tom');
INSERT INTO joined VALUES (20, 1, 'x'), (20, 2, 'y');
COMMIT;
SELECT * FROM recorded('joined');

-- A header key of which a line's is only a part.
CREATE TABLE moment (at timestamp PRIMARY KEY, customer text);
CREATE TABLE of_day (day date REFERENCES moment, no integer, item text, PRIMARY KEY (day, no));
INSERT INTO moment VALUES ('2026-01-01', 'midnight');
SELECT backorder.attach('of_day', item => 'header.customer', quantity => '1', order_key => 'day', line_key => 'no', header_table => 'moment') > 0 AS attached;
BEGIN;
INSERT INTO moment VALUES ('2026-01-01 12:00', 'noon');
INSERT INTO of_day VALUES ('2026-01-01', 1);
COMMIT;
SELECT * FROM recorded('of_day');

-- An expression that runs code which makes the mapping be loaded again, and a domain whose constraints change.
CREATE FUNCTION meddles(text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN GRANT SELECT ON written.meddled TO PUBLIC; RETURN VALUE FROM (SELECT $1 <> 'z') v(value); END$$;
CREATE DOMAIN meddling AS text CHECK (meddles(VALUE));
CREATE TYPE holds_one AS (f meddling);
CREATE TABLE meddled (header_id integer REFERENCES header, no integer, item text, PRIMARY KEY (header_id, no));
SELECT backorder.attach('meddled', item => $$(jsonb_populate_record(NULL::holds_one, jsonb_build_object('f', item))).f$$, quantity => '1',
	order_key => 'header_id', line_key => 'no', header_table => 'header') > 0 AS attached;
BEGIN;
INSERT INTO header VALUES (21, 'Una');
INSERT INTO meddled SELECT 21, n, repeat('a', 1000 * n) FROM generate_series(1, 3) n;
SELECT how('meddled');
COMMIT;
SELECT order_key, line_key, length(item) FROM recorded('meddled');
BEGIN;
INSERT INTO header VALUES (22, 'Vic');
INSERT INTO meddled VALUES (22, 1, 'z');
COMMIT;
BEGIN;
INSERT INTO header VALUES (22, 'Vic');
INSERT INTO meddled VALUES (22, 1, 'y');
COMMIT;
SELECT * FROM recorded('meddled') WHERE order_key = '22';
CREATE DOMAIN narrow AS text;
CREATE TABLE narrowed (header_id integer REFERENCES header, no integer, item text, PRIMARY KEY (header_id, no));
SELECT backorder.attach('narrowed', item => 'lower(item)::narrow', quantity => '1', order_key => 'header_id', line_key => 'no', header_table => 'header') > 0 AS attached;
BEGIN;
INSERT INTO header VALUES (23, 'Will');
INSERT INTO narrowed VALUES (23, 1, 'A');
COMMIT;
ALTER DOMAIN narrow ADD CHECK (VALUE <> 'b');
BEGIN;
INSERT INTO header VALUES (24, 'Xan');
INSERT INTO narrowed VALUES (24, 1, 'B');
COMMIT;
SELECT * FROM recorded('narrowed');

-- A header of somebody else's is read with the rights that the owner of the lines has on it.
CREATE ROLE written_other;
GRANT USAGE, CREATE ON SCHEMA written TO written_other;
CREATE TABLE foreign_header (id integer PRIMARY KEY, customer text);
CREATE TABLE guest (header_id integer REFERENCES foreign_header, no integer, item text, PRIMARY KEY (header_id, no));
CREATE ROLE written_owner;
GRANT USAGE, CREATE ON SCHEMA written TO written_owner;
ALTER TABLE foreign_header OWNER TO written_owner;
ALTER TABLE guest OWNER TO written_owner;
SELECT backorder.attach('guest', item => 'item', quantity => '1', order_key => 'header_id', line_key => 'no', header_table => 'foreign_header', customer => 'customer') > 0 AS attached;
ALTER TABLE foreign_header OWNER TO written_other;
BEGIN;
INSERT INTO foreign_header VALUES (1, 'Yan');
INSERT INTO guest VALUES (1, 1, 'a');
COMMIT;
ALTER TABLE foreign_header OWNER TO written_owner;
BEGIN;
INSERT INTO foreign_header VALUES (1, 'Yan');
INSERT INTO guest VALUES (1, 1, 'a');
SELECT how('guest');
COMMIT;
SELECT * FROM recorded('guest');
SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'written' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA written CASCADE;
DROP ROLE written_other, written_owner;
