-- import(): an attached table's orders recorded in batches, while the application goes on writing.
-- Shipped is baseline, events are none, and an order written before its turn moves only what was new.
\set SHOW_CONTEXT never
CREATE SCHEMA imports;
SET search_path = imports;

-- Two equal tables, of everything that a table of orders may hold, in two tenants; rank has nothing to do
-- with the order of the keys, stock reaches some of the lines, and purchase orders some more.
CREATE TABLE old_line (region text, order_no integer, line_no integer, item text, qty numeric, shipped numeric DEFAULT 0,
	cancelled numeric DEFAULT 0, state text DEFAULT 'open', since timestamptz, urgency integer, PRIMARY KEY (region, line_no, order_no));
CREATE INDEX ON old_line (region, order_no);
INSERT INTO old_line (region, order_no, line_no, item, qty, shipped, cancelled, state, since, urgency)
SELECT CASE WHEN n % 3 = 0 THEN 'north' ELSE 'South' END, n, l,
	CASE WHEN (n + l) % 11 = 0 THEN NULL ELSE 'I' || (n * l) % 5 END,
	CASE (n + l) % 7 WHEN 0 THEN 0 WHEN 1 THEN NULL WHEN 2 THEN -3 ELSE 1 + n % 6 END,
	CASE WHEN n % 4 = 0 THEN 1 + n % 6 WHEN n % 5 = 0 THEN 1 ELSE 0 END, (n % 13 = 0)::integer,
	CASE WHEN n % 6 = 0 THEN 'done' ELSE 'open' END, '2026-01-01'::timestamptz + n * 37 % 60 * interval '1 hour', n * 7 % 3
FROM generate_series(1, 60) n, generate_series(1, 3) l;
CREATE TABLE old_line_2 (LIKE old_line INCLUDING ALL);
INSERT INTO old_line_2 SELECT * FROM old_line;
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity)
SELECT t, 'I' || n, 'opening', 30 + n FROM unnest(ARRAY['at once', 'in batches']) t, generate_series(0, 4) n;
INSERT INTO backorder.supplier (tenant, supplier) VALUES ('at once', 'acme'), ('in batches', 'acme');
INSERT INTO backorder.purchase_order (tenant, po_id, supplier, status) SELECT t, n, 'acme', 'draft' FROM unnest(ARRAY['at once', 'in batches']) t, generate_series(1, 2) n;
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, expected_at)
SELECT t, n, l, 'I' || l, 8 * n + l, '2090-01-01'::date + n * 10 + l FROM unnest(ARRAY['at once', 'in batches']) t, generate_series(1, 2) n, generate_series(1, 4) l;
INSERT INTO backorder.item_policy (tenant, item, handling_time) VALUES ('at once', 'I2', 2), ('in batches', 'I2', 2);
UPDATE backorder.purchase_order SET status = 'placed' WHERE tenant IN ('at once', 'in batches');
SELECT backorder.attach('old_line', item => 'item', quantity => 'qty', order_key => 'region, order_no', line_key => 'line_no',
	shipped => 'shipped', cancelled => 'cancelled', live => $$state = 'open'$$, queued_at => 'since', priority => 'urgency', tenant => 'at once') > 0 AS attached;
SELECT backorder.attach('old_line_2', item => 'item', quantity => 'qty', order_key => 'region, order_no', line_key => 'line_no',
	shipped => 'shipped', cancelled => 'cancelled', live => $$state = 'open'$$, queued_at => 'since', priority => 'urgency', tenant => 'in batches', import => false) > 0 AS attached;
SELECT source, state, orders, total, percent, position, started_at IS NULL AS not_started FROM backorder.import_progress;
SELECT count(*) FROM backorder.order_line WHERE tenant = 'in batches';
SELECT * FROM backorder.verify();
CALL backorder.import('old_line_2', 7);
SELECT count(*) FILTER (WHERE l.allocated > 0) > 0 AS served, count(*) FILTER (WHERE l.promised_at > '2090-01-20') > 0 AS promised, count(*) FILTER (WHERE l.backordered > 0 AND l.promised_at IS NULL) > 0 AS waiting
FROM backorder.order_line l WHERE tenant = 'in batches';
SELECT source, state, orders, total, percent, phase, started_at <= updated_at AND updated_at <= finished_at AS times FROM backorder.import_progress;
CREATE VIEW recorded AS
SELECT l.tenant, row_number() OVER (PARTITION BY l.tenant ORDER BY l.line_id) AS place, to_jsonb(l) - '{tenant,line_id,source_id}'::text[] AS line
FROM backorder.order_line l WHERE l.tenant IN ('at once', 'in batches');
SELECT count(*) FROM recorded WHERE tenant = 'in batches';
SELECT place, line FROM recorded WHERE tenant = 'in batches' EXCEPT SELECT place, line FROM recorded WHERE tenant = 'at once';
SELECT place, line FROM recorded WHERE tenant = 'at once' EXCEPT SELECT place, line FROM recorded WHERE tenant = 'in batches';
SELECT item, on_hand, allocated, backordered FROM backorder.stock WHERE tenant = 'at once'
EXCEPT SELECT item, on_hand, allocated, backordered FROM backorder.stock WHERE tenant = 'in batches';
SELECT tenant, kind, count(*) FROM backorder.stock_movement WHERE tenant IN ('at once', 'in batches') GROUP BY 1, 2 ORDER BY 1;
SELECT count(*) FROM backorder.event WHERE tenant IN ('at once', 'in batches');
SELECT * FROM backorder.verify();
DROP TABLE old_line, old_line_2 CASCADE;

-- The application writes to orders before their turn.
CREATE TABLE header (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'open', customer text);
CREATE TABLE line (order_id integer REFERENCES header ON DELETE CASCADE, n integer, item text, qty numeric, shipped numeric NOT NULL DEFAULT 0, PRIMARY KEY (order_id, n));
INSERT INTO header (id, status) SELECT n, CASE WHEN n = 8 THEN 'cart' ELSE 'open' END FROM generate_series(1, 12) n;
INSERT INTO line SELECT h, l, 'lamp', 10, CASE WHEN l = 1 THEN 3 ELSE 0 END FROM generate_series(1, 11) h, generate_series(1, 2) l;
UPDATE line SET shipped = 0 WHERE order_id = 8;
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity) VALUES ('imports', 'lamp', 'opening', 12);
SELECT backorder.attach('line', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'n', shipped => 'shipped',
	header_table => 'header', live => $$status = 'open'$$, customer => 'customer', tenant => 'imports', import => false) > 0 AS attached;
CREATE VIEW lines AS SELECT order_key::integer AS o, line_key AS n, ordered, shipped, allocated, backordered, live, deleted, first_shipped
FROM backorder.order_line WHERE tenant = 'imports' ORDER BY 1, 2;
CREATE VIEW moved AS SELECT kind, sum(quantity) AS quantity, count(*) FROM backorder.stock_movement WHERE tenant = 'imports' GROUP BY 1 ORDER BY 1;

-- Two more of an order that had three shipped: stock moves by two, and the order is recorded whole.
UPDATE line SET shipped = 5 WHERE order_id = 9 AND n = 1;
TABLE lines;
TABLE moved;
SELECT * FROM backorder.verify();
-- Less than had been shipped: it comes back.
UPDATE line SET shipped = 2 WHERE order_id = 7 AND n = 1;
-- Deleted, ended and cancelled: what had been shipped is no movement.
DELETE FROM header WHERE id = 6;
UPDATE header SET status = 'done' WHERE id = 5;
-- Replaced, under other keys, with one more shipped.
BEGIN;
DELETE FROM line WHERE order_id = 4;
INSERT INTO line VALUES (4, 11, 'lamp', 10, 4), (4, 12, 'lamp', 10, 0);
COMMIT;
-- Moved to another order, and both within a savepoint that is undone first.
BEGIN;
SAVEPOINT a;
UPDATE line SET shipped = 9 WHERE order_id = 3;
SELECT backorder.flush();
ROLLBACK TO a;
UPDATE line SET order_id = 12 WHERE order_id = 3 AND n = 1;
COMMIT;
TABLE lines;
TABLE moved;
SELECT count(*) FROM backorder.event WHERE tenant = 'imports';
SELECT * FROM backorder.verify();
-- A cart that becomes an order, and an order that is new, are told.
UPDATE header SET status = 'open' WHERE id = 8;
INSERT INTO header (id, customer) VALUES (20, 'new');
INSERT INTO line VALUES (20, 1, 'lamp', 4, 1);
SELECT type, aggregateid, customer, payload #> '{lines,0,backordered}' AS backordered FROM backorder.event WHERE tenant = 'imports' ORDER BY id;
TABLE moved;
SELECT source, state, orders FROM backorder.import_progress WHERE tenant = 'imports';

-- An order that cannot be read stops the import there; what was done is done, and it goes on.
ALTER TABLE line DISABLE TRIGGER USER;
UPDATE line SET qty = 'NaN' WHERE order_id = 10 AND n = 2;
ALTER TABLE line ENABLE TRIGGER USER;
CALL backorder.import('line', 4);
SELECT source, state, orders, position FROM backorder.import_progress WHERE tenant = 'imports';
ALTER TABLE line DISABLE TRIGGER USER;
UPDATE line SET qty = 10 WHERE order_id = 10 AND n = 2;
ALTER TABLE line ENABLE TRIGGER USER;
SELECT * FROM backorder.verify();
-- What the import has come to is compared: only orders behind its position are left out.
ALTER TABLE line DISABLE TRIGGER USER;
UPDATE line SET qty = 11 WHERE order_id IN (1, 11) AND n = 2;
ALTER TABLE line ENABLE TRIGGER USER;
SELECT check_name, object FROM backorder.verify();
ALTER TABLE line DISABLE TRIGGER USER;
UPDATE line SET qty = 10 WHERE order_id = 1 AND n = 2;
ALTER TABLE line ENABLE TRIGGER USER;
CALL backorder.import('line', 4);
SELECT source, state, orders, position FROM backorder.import_progress WHERE tenant = 'imports';
TABLE lines;
TABLE moved;
SELECT count(*) FROM backorder.event WHERE tenant = 'imports';
SELECT * FROM backorder.verify();
-- From here on an order is an order.
INSERT INTO header (id) VALUES (21);
INSERT INTO line VALUES (21, 1, 'lamp', 4, 2);
TABLE moved;

-- On a table that is recorded it is a resync in batches: missed changes, lost and new orders.
ALTER TABLE line DISABLE TRIGGER USER;
UPDATE line SET qty = 12 WHERE order_id = 2 AND n = 2;
DELETE FROM line WHERE order_id IN (7, 10, 11);
INSERT INTO header (id) VALUES (22);
INSERT INTO line VALUES (22, 1, 'lamp', 4, 0);
ALTER TABLE line ENABLE TRIGGER USER;
SELECT check_name, object FROM backorder.verify() ORDER BY 2;
CALL backorder.import('line', 3);
SELECT source, state, orders, lines, phase FROM backorder.import_progress WHERE tenant = 'imports';
SELECT * FROM backorder.verify();
DO $$ BEGIN CALL backorder.import('imports.line'); END $$;
SELECT source, state, orders, lines FROM backorder.import_progress WHERE tenant = 'imports';

-- Detached and attached again without its orders: nothing recorded before counts.
SELECT backorder.detach('line');
SELECT * FROM backorder.import_progress;
UPDATE line SET shipped = shipped + 1 WHERE order_id IN (1, 2) AND n = 1;
TABLE moved;
SELECT backorder.attach('line', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'n', shipped => 'shipped',
	header_table => 'header', live => $$status = 'open'$$, customer => 'customer', tenant => 'imports', import => false) > 0 AS attached;
SELECT * FROM backorder.verify();
UPDATE line SET shipped = shipped + 1 WHERE order_id = 2 AND n = 1;
SELECT * FROM lines WHERE o = 2;
TABLE moved;
SELECT * FROM backorder.verify();
CALL backorder.import('line', 5);
SELECT * FROM lines WHERE o < 3;
TABLE moved;
SELECT * FROM backorder.verify();

-- Attached again in the middle: with its orders, or from the beginning.
SELECT backorder.detach('line');
SELECT backorder.attach('line', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports', import => false) > 0 AS attached;
SELECT backorder.attach('line', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports') > 0 AS attached;
SELECT count(*) FROM backorder.import_progress;
TABLE moved;
SELECT * FROM backorder.verify();
SELECT backorder.attach('line', item => 'item', quantity => 'qty + 1', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports', import => false) > 0 AS attached;
SELECT count(*) > 0 AS differs FROM backorder.verify();
SELECT state, orders, total, percent, started_at FROM backorder.import_progress WHERE tenant = 'imports';
CALL backorder.import('line', 5);
SELECT state, orders > 0 AS orders, total > 0 AS total, percent FROM backorder.import_progress WHERE tenant = 'imports';
SELECT * FROM backorder.verify();
-- Nor is one left to do after resync() or attach() looked at all orders.
SELECT backorder.attach('line', item => 'item', quantity => 'qty + 2', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports', import => false) > 0 AS attached;
SELECT state FROM backorder.import_progress WHERE tenant = 'imports';
SELECT backorder.resync('line') > 0 AS changed;
SELECT state FROM backorder.import_progress WHERE tenant = 'imports';
SELECT * FROM backorder.verify();
-- Half done under one mapping, all of it is looked at under the next.
SELECT backorder.attach('line', item => 'item', quantity => 'qty / (order_id - 8)', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports', import => false) > 0 AS attached;
CALL backorder.import('line', 5);
SELECT state, orders FROM backorder.import_progress WHERE tenant = 'imports';
SELECT backorder.attach('line', item => 'item', quantity => 'qty + 3', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports', import => false) > 0 AS attached;
SELECT state, orders FROM backorder.import_progress WHERE tenant = 'imports';
CALL backorder.import('line', 5);
SELECT * FROM backorder.verify();
SELECT backorder.attach('line', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports', import => false) > 0 AS attached;
SELECT state FROM backorder.import_progress WHERE tenant = 'imports';
SELECT backorder.attach('line', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports') > 0 AS attached;
SELECT state FROM backorder.import_progress WHERE tenant = 'imports';
SELECT * FROM backorder.verify();

-- An order of which deleted lines are left from an attachment before comes back after the import.
CREATE TABLE back (order_id integer, n integer, item text, qty numeric, shipped numeric NOT NULL DEFAULT 0, PRIMARY KEY (order_id, n));
SELECT backorder.attach('back', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports') > 0 AS attached;
INSERT INTO back VALUES (1, 1, 'I back', 5), (2, 1, 'I back', 1);
UPDATE back SET shipped = 3 WHERE order_id = 1;
DELETE FROM back WHERE order_id = 1;
SELECT backorder.detach('back');
SELECT backorder.attach('back', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports', import => false) > 0 AS attached;
CALL backorder.import('back');
INSERT INTO back VALUES (1, 1, 'I back', 4);
SELECT l.order_key, l.live, l.ordered, l.shipped, l.allocated FROM backorder.order_line l WHERE l.item = 'I back' ORDER BY 1;
SELECT backorder.detach('back');
SELECT * FROM backorder.verify();

-- An order that one transaction writes before and after it attaches its table anew: what it shipped before is known.
DELETE FROM back;
INSERT INTO back VALUES (3, 1, 'I same', 5), (3, 2, 'I same', 5), (4, 1, 'I same', 1);
SELECT backorder.attach('back', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports') > 0 AS attached;
SELECT count(*) FROM backorder.receive('I same', 20, tenant => 'imports');
BEGIN;
UPDATE back SET shipped = 3 WHERE order_id = 3 AND n = 1;
SELECT backorder.detach('back');
SELECT backorder.attach('back', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'n', shipped => 'shipped', tenant => 'imports', import => false) > 0 AS attached;
UPDATE back SET shipped = 4 WHERE order_id = 3 AND n = 1;
INSERT INTO back VALUES (3, 3, 'I same', 8);
COMMIT;
SELECT l.order_key, l.line_key, l.ordered, l.shipped, l.allocated FROM backorder.order_line l WHERE l.item = 'I same' ORDER BY 1, 2;
SELECT kind, quantity FROM backorder.stock_movement WHERE item = 'I same' ORDER BY movement_id;
SELECT * FROM backorder.verify();
CALL backorder.import('back');
SELECT * FROM backorder.verify();
SELECT backorder.detach('back');

-- Refused.
BEGIN;
CALL backorder.import('line');
ROLLBACK;
DO $$ BEGIN CALL backorder.import('imports.header'); END $$;
CALL backorder.import('line', 0);
CALL backorder.import('line', NULL);
CALL backorder.import(NULL);
CREATE ROLE imports_other;
GRANT USAGE ON SCHEMA imports, backorder TO imports_other;
SET ROLE imports_other;
CALL backorder.import('line');
RESET ROLE;
GRANT EXECUTE ON PROCEDURE backorder.import TO imports_other;
SET ROLE imports_other;
CALL backorder.import('line');
RESET ROLE;
DROP TABLE line, header CASCADE;
SELECT * FROM backorder.import_progress;
SELECT * FROM backorder.verify();

-- Keys of a type that has operators of its own, as citext has.
SET client_min_messages = warning;
CREATE TYPE ticket;
CREATE FUNCTION ticket_in(cstring) RETURNS ticket LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION ticket_out(ticket) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE ticket (INPUT = ticket_in, OUTPUT = ticket_out, LIKE = integer);
CREATE FUNCTION ticket_cmp(ticket, ticket) RETURNS integer LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
SELECT format('CREATE FUNCTION ticket_%1$s(ticket, ticket) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS %2$L', name, 'int4' || name) AS function,
	format('CREATE OPERATOR %s (FUNCTION = ticket_%s, LEFTARG = ticket, RIGHTARG = ticket, COMMUTATOR = %s)', op, name, commutator) AS operator
FROM (VALUES ('lt', '<', '>'), ('le', '<=', '>='), ('eq', '=', '='), ('ge', '>=', '<='), ('gt', '>', '<')) AS v (name, op, commutator) \gexec
CREATE OPERATOR CLASS ticket_ops DEFAULT FOR TYPE ticket USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 ticket_cmp(ticket, ticket);
RESET client_min_messages;
CREATE TABLE ticketed (region text, no ticket, n integer, item text, qty integer, PRIMARY KEY (region, no, n));
INSERT INTO ticketed SELECT CASE n % 3 WHEN 0 THEN 'north' ELSE 'South' END, (n * 7 % 20)::text::ticket, 1, 'ticketed', 1 FROM generate_series(1, 20) n;
SELECT backorder.attach('ticketed', 'item', 'qty', order_key => 'region, no', line_key => 'n', import => false) > 0 AS attached;
CALL backorder.import('ticketed', 3);
SELECT count(*), count(DISTINCT order_key) FROM backorder.order_line WHERE item = 'ticketed';
SELECT orders, total FROM backorder.import_progress WHERE source = 'imports.ticketed'::regclass;
SELECT * FROM backorder.verify();
DROP TABLE ticketed;

-- Orders that could not be read before the application mended them: what they say now is what they were. What cannot be
-- read is parked, and tried again by the next import.
CREATE TABLE mended (order_id integer, n integer, item text, qty text, shipped integer DEFAULT 0, PRIMARY KEY (order_id, n));
INSERT INTO mended SELECT o, 1, 'mended', CASE WHEN o IN (2, 3) THEN 'two' ELSE '1' END, o % 2 FROM generate_series(1, 5) o;
SELECT backorder.attach('mended', 'item', 'qty::integer', order_key => 'order_id', line_key => 'n', shipped => 'shipped', on_error => 'park', import => false) > 0 AS attached;
UPDATE mended SET qty = '2' WHERE order_id IN (2, 3, 4);
SET client_min_messages = error;
UPDATE mended SET qty = 'four' WHERE order_id = 4;
CALL backorder.import('mended', 2);
SELECT order_key, ordered, shipped FROM backorder.order_line WHERE item = 'mended' ORDER BY order_key;
SELECT order_key, sqlstate FROM backorder.parked WHERE order_key = '4';
SELECT count(*) FROM backorder.stock_movement WHERE item = 'mended';
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE mended SET qty = '5' WHERE order_id = 4;
COMMIT;
CALL backorder.import('mended', 2);
SELECT order_key, ordered FROM backorder.order_line WHERE item = 'mended' AND order_key = '4';
SELECT count(*) FROM backorder.parked WHERE order_key = '4';
RESET client_min_messages;
SELECT * FROM backorder.verify();
DROP TABLE mended;

-- Keys that are arrays: there are no arrays of them.  Recorded orders that the table does not have any more end.
CREATE TABLE arrays (id integer[], n integer, item text, qty numeric, PRIMARY KEY (id, n));
INSERT INTO arrays SELECT ARRAY[o, 1], 1, 'array', 1 FROM generate_series(1, 5) o;
SELECT backorder.attach('arrays', item => 'item', quantity => 'qty', order_key => 'id', line_key => 'n', import => false) > 0 AS attached;
CALL backorder.import('arrays', 2);
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM arrays WHERE id = '{3,1}';
COMMIT;
CALL backorder.import('arrays', 2);
SELECT order_key, live FROM backorder.order_line WHERE item = 'array' ORDER BY order_key;
SELECT * FROM backorder.verify();
DROP TABLE arrays;

-- Keys that are equal and written in several ways: each way is an order.
CREATE TABLE spelt (id numeric, n integer, item text, qty numeric, PRIMARY KEY (id, n));
INSERT INTO spelt VALUES (1, 1, 'spelt', 1), (1.0, 2, 'spelt', 1), (2.00, 1, 'spelt', 1), (2, 2, 'spelt', 1), (2, 3, 'spelt', 1), (3, 1, 'spelt', 1);
SELECT backorder.attach('spelt', item => 'item', quantity => 'qty', order_key => 'id', line_key => 'n', import => false) > 0 AS attached;
CALL backorder.import('spelt', 2);
SELECT order_key, line_key FROM backorder.order_line WHERE item = 'spelt' ORDER BY order_key, line_key;
SELECT * FROM backorder.verify();
CALL backorder.import('spelt', 1);
SELECT * FROM backorder.verify();
-- A line that waits for its first settling, though no import is under way, is found.
BEGIN;
UPDATE backorder.order_line SET first_allocated = NULL WHERE item = 'spelt' AND order_key = '3';
SELECT waits_for, rank, why FROM backorder.explain('3', 'spelt');
SELECT rank, backordered FROM backorder.backlog WHERE item = 'spelt' AND order_key = '3';
SELECT check_name, object, expected, actual FROM backorder.verify() ORDER BY 1;
ROLLBACK;
DROP TABLE spelt;

-- The application changes lines that are recorded and not settled yet.  What one had shipped comes back to it, and it waits for
-- nothing; another grows, one is new.  Nobody is told of what is not settled.
CREATE TABLE early (id integer, n integer, item text, qty numeric, shipped numeric NOT NULL DEFAULT 0, urgency integer, PRIMARY KEY (id, n));
INSERT INTO early SELECT o, 1, 'early', 10, 8, o FROM generate_series(1, 4) o;
UPDATE early SET qty = 'NaN' WHERE id = 4;
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity) VALUES ('early', 'early', 'opening', 20);
SELECT backorder.attach('early', item => 'item', quantity => 'qty', order_key => 'id', line_key => 'n', shipped => 'shipped', priority => 'urgency',
	tenant => 'early', import => false) > 0 AS attached;
CALL backorder.import('early', 1);
UPDATE early SET qty = 8, shipped = 6 WHERE id = 1;
UPDATE early SET qty = 12 WHERE id = 2;
INSERT INTO early VALUES (3, 2, 'not there', 5, 0, 1);
SELECT order_key, line_key, allocated, first_allocated, backordered FROM backorder.order_line WHERE tenant = 'early' ORDER BY 1, 2;
SELECT aggregateid, type, payload -> 'lines' -> 0 ->> 'line' AS line FROM backorder.event WHERE tenant = 'early' ORDER BY id;
ALTER TABLE early DISABLE TRIGGER USER;
UPDATE early SET qty = 10 WHERE id = 4;
ALTER TABLE early ENABLE TRIGGER USER;
SELECT * FROM backorder.verify();
CALL backorder.import('early', 1);
UPDATE early SET qty = 10 WHERE id = 1;
SELECT order_key, line_key, allocated, first_allocated, backordered FROM backorder.order_line WHERE tenant = 'early' ORDER BY 1, 2;
SELECT aggregateid, type, payload -> 'lines' -> 0 ->> 'line' AS line FROM backorder.event WHERE tenant = 'early' ORDER BY id;
SELECT * FROM backorder.verify();
DROP TABLE early;

-- Lines that are left from an attachment before, as they had shipped, are settled by rank like any other.
CREATE TABLE returned (id integer PRIMARY KEY, item text, qty numeric, shipped numeric NOT NULL DEFAULT 0, urgency integer);
INSERT INTO returned SELECT o, 'returned', 10, 2, o FROM generate_series(1, 4) o;
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity) VALUES ('returned', 'returned', 'opening', 20);
SELECT backorder.attach('returned', item => 'item', quantity => 'qty', shipped => 'shipped', tenant => 'returned') > 0 AS attached;
SELECT backorder.detach('returned');
SELECT order_key, shipped, allocated, live FROM backorder.order_line WHERE tenant = 'returned' ORDER BY 1;
SELECT backorder.attach('returned', item => 'item', quantity => 'qty', shipped => 'shipped', priority => 'urgency', tenant => 'returned', import => false) > 0 AS attached;
CALL backorder.import('returned', 1);
SELECT order_key, shipped, allocated, first_allocated, backordered FROM backorder.order_line WHERE tenant = 'returned' ORDER BY 1;
SELECT * FROM backorder.verify();
DROP TABLE returned;

SET client_min_messages = warning;
DROP SCHEMA imports CASCADE;
DROP OWNED BY imports_other;
DROP ROLE imports_other;
