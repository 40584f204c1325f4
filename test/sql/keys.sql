-- Keys of any type, one to four columns, and keys that are the same and written differently.
SET client_min_messages = warning;
SET datestyle = ISO;
CREATE SCHEMA keys;
SET search_path = keys;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN price AS numeric(8,2) CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(5);
CREATE VIEW recorded AS
SELECT s.line_table, l.order_key, l.line_key, l.item, trim_scale(l.ordered) AS ordered, l.live, l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'keys';

-- Two orders with a key of this type: a line of one is changed, the header of the other; all is read again, by all and by key.
CREATE FUNCTION try(type text, first text, second text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('CREATE TABLE tried_header (id %s PRIMARY KEY, state text DEFAULT ''open'')', type);
	EXECUTE format('CREATE TABLE tried (order_id %1$s REFERENCES tried_header, no %1$s, item text, quantity integer, PRIMARY KEY (order_id, no))', type);
	PERFORM backorder.attach('tried', 'item', 'quantity', order_key => 'order_id', line_key => 'no', header_table => 'tried_header', live => 'state = ''open''');
	EXECUTE format('INSERT INTO tried_header VALUES (%L), (%L)', first, second);
	EXECUTE format('INSERT INTO tried VALUES (%1$L, %1$L, ''ke x'', 5), (%1$L, %2$L, ''ke x'', 1), (%2$L, %2$L, ''ke y'', 6)', first, second);
	PERFORM backorder.flush();
	EXECUTE format('UPDATE tried SET quantity = 7 WHERE order_id = %1$L::%2$s AND no = %1$L::%2$s', first, type);
	PERFORM backorder.flush();
	EXECUTE format('UPDATE tried_header SET state = ''shut'' WHERE id = %L::%s', second, type);
	SET CONSTRAINTS ALL IMMEDIATE;
	SELECT string_agg(order_key || ' ' || line_key || ' ' || ordered, ', ' ORDER BY line_id) INTO result FROM recorded WHERE line_table = 'tried' AND live;
	result := format('%s; resync %s, by key %s, verify %s', result, backorder.resync('tried'),
		(SELECT sum(backorder.resync('tried', order_key)) FROM recorded WHERE line_table = 'tried'), (SELECT count(*) FROM backorder.verify()));
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	RETURN result;
END $$;
SELECT type, try(type, first, second) FROM (VALUES
	('smallint', '1', '2'), ('bigint', '1', '2'), ('numeric', '1.0', '2.50'), ('numeric(5)', '1', '2'), ('real', '0.1', '2'), ('double precision', '0.1', '1e300'),
	('text', 'a,b', 'B "'), ('varchar(5)', 'a', 'B'), ('char(5)', 'a', 'B'), ('"char"', 'a', 'B'), ('name', 'a', 'B'), ('bytea', '\x0001', '\x'),
	('uuid', '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000b'), ('boolean', 't', 'f'),
	('date', '2024-01-01', 'infinity'), ('timestamp', '2024-01-01 10:00', '2024-01-02'), ('time', '10:00', '11:00'), ('timetz', '10:00+02', '11:00+00'), ('interval', '1 day', '1 mon 2 days'),
	('inet', '10.0.0.1', '10.0.0.0/8'), ('macaddr', '08:00:2b:01:02:03', '08:00:2b:01:02:04'), ('bit(3)', '101', '111'), ('oid', '1', '2'), ('pg_lsn', '0/1', '0/2'),
	('integer[]', '{1,2}', '{}'), ('text[]', '{a,"b c"}', '{NULL}'), ('jsonb', '{"a":1}', '[1]'), ('int4range', '[1,3)', 'empty'), ('tsvector', 'a b', 'c'),
	('mood', 'sad', 'happy'), ('pair', '(1,a)', '(2,"b c")'), ('price', '1.5', '2'), ('code', 'a', 'b')) AS v (type, first, second);
SELECT try('timestamptz', '2024-01-01 10:00+00', '2024-01-02 10:00+00') ~ '; resync 0, by key 0, verify 0$' AS timestamptz;

-- Four columns, of an array literal within an array literal.
CREATE TABLE four (a mood, b integer[], c pair, d code, p mood, q integer[], r pair, s code, item text, quantity integer, PRIMARY KEY (a, b, c, d, p, q, r, s));
SELECT backorder.attach('four', 'item', 'quantity', order_key => 'a, b, c, d', line_key => 'p, q, r, s') > 0 AS attached;
INSERT INTO four VALUES ('sad', '{1,2}', '(1,"x y")', 'd"', 'happy', '{}', '(,)', '{}', 'ke z', 1), ('sad', '{1,2}', '(1,"x y")', 'd"', 'happy', '{}', '(,"")', '{}', 'ke z', 2);
UPDATE four SET quantity = quantity + 1;
SELECT order_key, line_key, ordered FROM recorded WHERE line_table = 'four' ORDER BY line_id;
SELECT backorder.resync('four', order_key) FROM recorded WHERE line_table = 'four';
UPDATE four SET b = '{3}';
SELECT order_key, line_key, ordered FROM recorded WHERE line_table = 'four' ORDER BY line_id;
SELECT * FROM backorder.verify();

-- Types that have no order are no keys.
CREATE TABLE odd (id integer, j json, p point, item text, quantity integer);
SELECT backorder.attach('odd', 'item', 'quantity', order_key => 'j', line_key => 'id');
\echo :SQLSTATE
SELECT backorder.attach('odd', 'item', 'quantity', order_key => 'id', line_key => 'p');
\echo :SQLSTATE

-- What "=" takes for the same may be written differently by header, line and watched table: each spelling is an order of its own,
-- and all of them follow.
CREATE TABLE header (id numeric PRIMARY KEY, state text DEFAULT 'open');
CREATE TABLE line (order_id numeric REFERENCES header, no integer, item text, quantity integer, PRIMARY KEY (order_id, no));
CREATE TABLE parcel (order_id numeric, no integer, quantity integer);
SELECT backorder.attach('line', 'item', 'quantity', order_key => 'order_id', line_key => 'no', header_table => 'header', live => $$state = 'open'$$,
	shipped => '(SELECT sum(p.quantity) FROM parcel p WHERE (p.order_id, p.no) = (line.order_id, line.no))', watch => ARRAY['parcel: order_id']) > 0 AS attached;
INSERT INTO header VALUES (1), (2);
INSERT INTO line VALUES (1.0, 1, 'ke A', 5), (1.00, 2, 'ke A', 5), (2, 1, 'ke A', 5);
INSERT INTO parcel VALUES (1.000, 2, 1);
SELECT order_key, line_key, live FROM recorded WHERE line_table = 'line' ORDER BY line_id;
SELECT order_key, trim_scale(shipped) AS shipped FROM backorder.order_line JOIN recorded USING (line_id, order_key) WHERE line_table = 'line' ORDER BY line_id;
UPDATE header SET state = 'shut' WHERE id = 1;
SELECT order_key, line_key, live FROM recorded WHERE line_table = 'line' ORDER BY line_id;
UPDATE header SET state = 'open', id = 1.0000 WHERE id = 1;
SELECT order_key, line_key, live FROM recorded WHERE line_table = 'line' ORDER BY line_id;
UPDATE line SET order_id = 1 WHERE no = 2;
SELECT order_key, line_key, live FROM recorded WHERE line_table = 'line' ORDER BY line_id;
SELECT backorder.resync('line'), backorder.resync('line', '1.00000');
SELECT * FROM backorder.verify();
-- As it was found at attach, and what a session missed, by key in any spelling.
SELECT backorder.detach('line');
SELECT backorder.attach('line', 'item', 'quantity', order_key => 'order_id', line_key => 'no', header_table => 'header', live => $$state = 'open'$$) > 0 AS attached;
SELECT order_key, line_key, live FROM recorded WHERE line_table = 'line' AND live ORDER BY line_id;
SET session_replication_role = replica;
UPDATE header SET state = 'shut' WHERE id = 1;
RESET session_replication_role;
SELECT count(*) FROM backorder.verify();
SELECT backorder.resync('line', '1.00000');
SELECT * FROM backorder.verify();

-- Header and line of different types: what the line's type cannot hold is nobody's order.
CREATE TABLE wide_header (id numeric(20,2) PRIMARY KEY, state text DEFAULT 'open');
CREATE TABLE narrow (id integer PRIMARY KEY, order_id integer, item text, quantity integer);
CREATE INDEX ON narrow (order_id);
SELECT backorder.attach('narrow', 'item', 'quantity', order_key => 'order_id', header_table => 'wide_header', live => $$state = 'open'$$) > 0 AS attached;
INSERT INTO wide_header VALUES (1), (2.5), (3e15);
INSERT INTO narrow VALUES (1, 1, 'ke B', 1), (2, 2, 'ke B', 1);
UPDATE wide_header SET state = 'shut';
SELECT count(*) FROM recorded WHERE line_table = 'narrow';
UPDATE wide_header SET state = 'open' WHERE id < 2;
SELECT order_key, ordered FROM recorded WHERE line_table = 'narrow';
SELECT * FROM backorder.verify();

-- Header and line of types that are one and the same but for their names.
CREATE TABLE short_header (id varchar(10) PRIMARY KEY, state text DEFAULT 'open');
CREATE TABLE long (order_id text, no integer, item text, quantity integer, PRIMARY KEY (order_id, no));
SELECT backorder.attach('long', 'item', 'quantity', order_key => 'order_id', line_key => 'no', header_table => 'short_header', live => $$state = 'open'$$) > 0 AS attached;
INSERT INTO short_header VALUES ('A'), ('B');
INSERT INTO long VALUES ('A', 1, 'ke B', 1), ('B', 1, 'ke B', 1);
UPDATE short_header SET state = 'shut' WHERE id = 'B';
SELECT order_key, live FROM recorded WHERE line_table = 'long' ORDER BY order_key;

-- What a session sets does not change how keys are written; what is no key of a table is none of its orders.
CREATE TABLE settled (a double precision, b bytea, no integer, item text, quantity integer, PRIMARY KEY (a, b, no));
SELECT backorder.attach('settled', 'item', 'quantity', order_key => 'a, b', line_key => 'no') > 0 AS attached;
INSERT INTO settled VALUES (0.1::float8 + 0.2, '\x0001ff', 1, 'ke B', 1);
SET extra_float_digits = 0;
SET bytea_output = escape;
UPDATE settled SET quantity = 2;
RESET extra_float_digits;
RESET bytea_output;
SELECT order_key, ordered FROM recorded WHERE line_table = 'settled';
SELECT backorder.resync('settled', '{1,2,3}');
SELECT backorder.resync('settled', '{1,NULL}');
SELECT backorder.resync('settled', '{1');

-- A value that had another name for a while: what is called otherwise is another order, until resync() looks.
CREATE TABLE moods (feeling mood, no integer, item text, quantity integer, PRIMARY KEY (feeling, no));
SELECT backorder.attach('moods', 'item', 'quantity', order_key => 'feeling', line_key => 'no') > 0 AS attached;
INSERT INTO moods VALUES ('sad', 1, 'ke B', 1);
BEGIN;
ALTER TYPE mood RENAME VALUE 'sad' TO 'glum';
UPDATE moods SET quantity = 2;
SELECT backorder.resync('moods');
ALTER TYPE mood RENAME VALUE 'glum' TO 'sad';
UPDATE moods SET quantity = 3;
COMMIT;
SELECT backorder.resync('moods');
SELECT order_key, ordered FROM recorded WHERE line_table = 'moods';
SELECT * FROM backorder.verify();

-- Reading a key may run code that fails, in the middle of whatever it does.
CREATE FUNCTION moody(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN NOT EXISTS (SELECT 1 / CASE WHEN $1 = 'b' AND current_setting('keys.moody', true) = 'yes' THEN 0 ELSE 1 END HAVING false);
END $$;
CREATE DOMAIN moody_text AS text CHECK (moody(VALUE));
CREATE TYPE moody_key AS (a moody_text, b integer);
CREATE TABLE moody_line (k moody_key, no integer, item text, quantity integer, PRIMARY KEY (k, no));
SELECT backorder.attach('moody_line', 'item', 'quantity', line_key => 'no', order_key => 'k') > 0 AS attached;
INSERT INTO moody_line VALUES (('a', 1), 1, 'ke D', 1), (('b', 1), 1, 'ke D', 2);
SET keys.moody = 'yes';
DO $$
BEGIN
	PERFORM backorder.resync('moody_line', '(b,1)');
	PERFORM count(*) FROM pg_class;
END $$;
RESET keys.moody;
SELECT backorder.resync('moody_line');
SELECT order_key, ordered FROM recorded WHERE line_table = 'moody_line';

-- A mapped column that is computed when it is read, where there are such.
SELECT CASE WHEN current_setting('server_version_num')::integer >= 180000 THEN 'VIRTUAL' ELSE 'STORED' END AS kind \gset
CREATE TABLE computed (id integer PRIMARY KEY, item text, packs integer, size integer, quantity integer GENERATED ALWAYS AS (packs * size) :kind);
SELECT backorder.attach('computed', 'item', 'quantity') > 0 AS attached;
INSERT INTO computed VALUES (1, 'ke C', 2, 3);
UPDATE computed SET size = 4;
SELECT ordered FROM recorded WHERE line_table = 'computed';
SELECT * FROM backorder.verify();

SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source WHERE line_schema = 'keys' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
DROP SCHEMA keys CASCADE;
