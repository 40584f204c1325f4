-- Attaching: which tables, which columns and expressions, what is imported, and what is refused.

\set SHOW_CONTEXT never
SET datestyle = ISO;
CREATE SCHEMA attach;
SET search_path = attach;

CREATE VIEW recorded AS
SELECT s.line_table, l.order_key, l.line_key, l.item, l.location, l.customer, l.ordered, l.cancelled, l.shipped, l.picked,
	l.allocated || '/' || l.backordered AS "a/b", l.priority, l.held, l.queued_at, l.requested_at, l.live, l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'attach';
CREATE VIEW events AS
SELECT s.line_table, e.aggregateid AS order_key, e.type, e.id
FROM backorder.event e JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'attach';

-- A table alone: each row is its own order, its primary key the key.
CREATE TABLE single (id bigint PRIMARY KEY, sku text, qty integer);
SELECT backorder.attach('single', 'sku', 'qty') > 0 AS attached;
INSERT INTO single VALUES (7, 'at A', 1), (8, 'at A', 2);
SELECT order_key, line_key, item, location, customer, ordered, "a/b", priority, held FROM recorded WHERE line_table = 'single' ORDER BY line_id;

-- A header, and every column of the mapping as an expression over line and header.
CREATE TABLE header (
	number text PRIMARY KEY,
	buyer integer,
	state text NOT NULL,
	urgent boolean NOT NULL DEFAULT false,
	placed_at timestamptz,
	wanted date,
	credit_hold boolean,
	warehouse text
);
CREATE TABLE line (
	number text REFERENCES header,
	pos integer,
	product integer,
	packs numeric,
	pack_size numeric NOT NULL DEFAULT 1,
	packs_sent numeric,
	packs_off numeric,
	packs_picked numeric,
	PRIMARY KEY (number, pos)
);
SELECT backorder.attach('line', $$'P-' || line.product$$, 'line.packs * line.pack_size',
	line_key => 'pos', order_key => 'number', header_table => 'header', header_key => 'number',
	live => $$header.state IN ('paid', 'sent')$$, shipped => 'packs_sent * pack_size', picked => 'packs_picked * pack_size',
	cancelled => 'packs_off * pack_size', location => $$coalesce(warehouse, 'main')$$, customer => $$'at C' || buyer$$,
	priority => 'CASE WHEN urgent THEN 10 ELSE 0 END', queued_at => 'placed_at', requested_at => 'wanted', held => 'credit_hold') > 0 AS attached;
SELECT count(*) FROM backorder.receive('P-5', 30, 'main');
INSERT INTO header VALUES ('a/1', 11, 'paid', true, '2020-01-01 10:00+00', '2099-01-01', NULL, NULL),
	('a/2', 12, 'cart', false, NULL, NULL, NULL, NULL), ('a/3', 13, 'sent', false, '2020-01-02 10:00+00', NULL, true, 'east');
INSERT INTO line VALUES ('a/1', 1, 5, 4, 10, 1, 0.5, 0.5);
INSERT INTO line (number, pos, product, packs, pack_size) VALUES ('a/1', 2, NULL, 3, 1), ('a/2', 1, 5, 1, 1), ('a/3', 1, 5, 2, 3);
SELECT order_key, line_key, item, location, customer, ordered, cancelled, shipped, picked, "a/b" FROM recorded WHERE line_table = 'line' ORDER BY line_id;
SELECT order_key, priority, held, queued_at AT TIME ZONE 'UTC' AS queued_at, requested_at FROM recorded WHERE line_table = 'line' ORDER BY line_id;
UPDATE header SET state = 'paid', placed_at = '2020-01-03 10:00+00' WHERE number = 'a/2';
UPDATE header SET credit_hold = false, warehouse = 'main' WHERE number = 'a/3';
SELECT order_key, line_key, item, location, customer, "a/b", held FROM recorded WHERE line_table = 'line' ORDER BY line_id;

-- Keys of several columns are recorded as array literals; header and line keys may be of different types.
CREATE TABLE composite_header (company text, year smallint, no integer, state integer, PRIMARY KEY (company, year, no));
CREATE TABLE composite_line (id integer GENERATED ALWAYS AS IDENTITY, c text, y integer, n bigint, item text, sub text, qty integer, UNIQUE (c, y, n, item, sub));
SELECT backorder.attach('composite_line', 'item', 'qty', line_key => 'item, sub', order_key => 'c, y, n',
	header_table => 'composite_header', header_key => 'company, year, no', live => 'state = 1') > 0 AS attached;
INSERT INTO composite_header VALUES ('x,y', 2024, 1, 1), ('z"', 2024, 1, 0);
INSERT INTO composite_line (c, y, n, item, sub, qty) VALUES ('x,y', 2024, 1, 'at B', 'b', 1), ('x,y', 2024, 1, 'at B', 'a', 2), ('z"', 2024, 1, 'at B', 'a', 3);
SELECT order_key, line_key, item, ordered FROM recorded WHERE line_table = 'composite_line' ORDER BY line_id;
UPDATE composite_header SET state = 1 - state;
SELECT order_key, line_key, item, ordered FROM recorded WHERE line_table = 'composite_line' ORDER BY line_id;
SELECT backorder.resync('composite_line', '{"z\"",2024,1}');
DELETE FROM composite_line WHERE sub = 'a';
SELECT count(*) FROM recorded WHERE line_table = 'composite_line';

-- Names with any characters.
CREATE SCHEMA "Attach; Shop";
CREATE TABLE "Attach; Shop"."order" ("select" uuid PRIMARY KEY, "Kunde's ""Name""" text);
CREATE TABLE "Attach; Shop"."Order Items" ("order" uuid, "Line No" "char", "SKU" text, sku text, "Qty $$" numeric, PRIMARY KEY ("order", "Line No"));
SELECT backorder.attach('"Attach; Shop"."Order Items"', 'SKU', 'Qty $$', line_key => '"Line No"', order_key => '"order"',
	header_table => '"Attach; Shop"."order"', header_key => '"select"', customer => $$header."Kunde's ""Name"""$$) > 0 AS attached;
INSERT INTO "Attach; Shop"."order" VALUES ('00000000-0000-0000-0000-00000000000a', $$O'Neil "$$);
INSERT INTO "Attach; Shop"."Order Items" VALUES ('00000000-0000-0000-0000-00000000000A', 'x', $$it'em "1"$$, 'not this', 2.50);
SELECT l.order_key, l.line_key, l.item, l.customer, l.ordered, l.backordered
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_table = 'Order Items';
SELECT source_, line, item, waits_for FROM backorder.explain('00000000-0000-0000-0000-00000000000a');

-- Keys that depend on settings are written the same under any setting.
CREATE TABLE dated_key (day date, at timestamptz, item text, qty integer, PRIMARY KEY (day, at));
SELECT backorder.attach('dated_key', 'item', 'qty', order_key => 'day', line_key => 'day') > 0 AS attached;
SELECT backorder.attach('dated_key', 'item', 'qty', order_key => 'day', line_key => 'at') > 0 AS attached;
SET datestyle = 'SQL, DMY';
INSERT INTO dated_key VALUES ('2024-02-01', '2024-02-01 12:00+00', 'at D', 1);
SET datestyle = ISO;
UPDATE dated_key SET qty = 2;
SELECT order_key, ordered FROM recorded WHERE line_table = 'dated_key';

-- C33: a shop with 1,000 shipped and 50 open orders, stock counted before: on hand stays, only what is open
-- holds or waits for stock, and nobody is told.
CREATE TABLE shop_order (id integer PRIMARY KEY, item text NOT NULL, qty integer NOT NULL, sent integer NOT NULL, cancelled boolean NOT NULL DEFAULT false);
INSERT INTO shop_order SELECT i, 'c33', 2, 2 FROM generate_series(1, 1000) i;
INSERT INTO shop_order SELECT i, 'c33', 3, 1 FROM generate_series(1001, 1050) i;
INSERT INTO shop_order SELECT i, 'c33', 3, 1, true FROM generate_series(1051, 1060) i;
SELECT count(*) FROM backorder.count_stock('c33', 61);
SELECT backorder.attach('shop_order', 'item', 'qty', shipped => 'sent', live => 'NOT cancelled') > 0 AS attached;
SELECT on_hand, allocated, backordered, available FROM backorder.stock WHERE item = 'c33';
SELECT "a/b", live, count(*), sum(shipped) AS shipped, min(order_key::integer), max(order_key::integer) FROM recorded WHERE line_table = 'shop_order'
GROUP BY "a/b", live ORDER BY min(order_key::integer);
SELECT kind, count(*), sum(quantity) FROM backorder.stock_movement WHERE item = 'c33' GROUP BY kind;
SELECT count(*) FROM events WHERE line_table = 'shop_order';
-- From now on it is watched like any other; what was shipped before is no movement.
UPDATE shop_order SET sent = 3 WHERE id = 1001;
SELECT on_hand, allocated, backordered, available FROM backorder.stock WHERE item = 'c33';
SELECT order_key, type FROM events WHERE line_table = 'shop_order' ORDER BY id;
SELECT * FROM backorder.verify();

-- Attached again: the mapping changes in place; ranks and allocations are kept, only differences settled.
CREATE TABLE again (id integer PRIMARY KEY, item text, qty integer, bonus integer NOT NULL DEFAULT 0, state text NOT NULL DEFAULT 'open');
SELECT backorder.attach('again', 'item', 'qty') AS source_id \gset
SELECT count(*) FROM backorder.receive('at E', 5);
INSERT INTO again VALUES (1, 'at E', 4, 0, 'open'), (2, 'at E', 4, 1, 'open'), (3, 'at E', 4, 0, 'closed');
CREATE TABLE before AS SELECT order_key, line_id, queued_at FROM recorded WHERE line_table = 'again';
SELECT backorder.attach('again', 'item', 'qty + bonus', live => $$state = 'open'$$) = :source_id AS same;
SELECT order_key, ordered, "a/b", line_id = b.line_id AS same_line, r.queued_at = b.queued_at AS same_time
FROM recorded r JOIN before b USING (order_key, line_id) WHERE line_table = 'again' ORDER BY line_id;
SELECT on_hand, allocated, backordered FROM backorder.stock WHERE item = 'at E';
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'again'::regclass AND NOT tgisinternal;
UPDATE again SET bonus = 2 WHERE id = 1;
SELECT order_key, ordered, "a/b" FROM recorded WHERE line_table = 'again' ORDER BY line_id;
-- Another timing, on the same table.
SELECT backorder.attach('again', 'item', 'qty + bonus', live => $$state = 'open'$$, timing => 'immediate') = :source_id AS same;
BEGIN;
INSERT INTO again VALUES (4, 'at E', 1);
SELECT order_key, "a/b" FROM recorded WHERE line_table = 'again' ORDER BY line_id;
ROLLBACK;
SELECT backorder.attach('again', 'item', 'qty + bonus', live => $$state = 'open'$$) = :source_id AS same;
BEGIN;
INSERT INTO again VALUES (4, 'at E', 1);
SELECT count(*) FROM recorded WHERE line_table = 'again';
ROLLBACK;

-- Detached: its open lines leave, their stock is allocated to others, what was shipped and the ledger stay.
CREATE TABLE other (id integer PRIMARY KEY, item text, qty integer);
SELECT backorder.attach('other', 'item', 'qty') > 0 AS attached;
INSERT INTO other VALUES (1, 'c33', 10), (2, 'at E', 3);
SELECT order_key, item, "a/b" FROM recorded WHERE line_table = 'other' ORDER BY line_id;
SELECT count(*) AS told FROM events \gset
SELECT backorder.detach('again');
SELECT backorder.detach('shop_order');
SELECT order_key, item, "a/b" FROM recorded WHERE line_table = 'other' ORDER BY line_id;
SELECT line_table, live, count(*), sum(shipped) AS shipped FROM recorded WHERE line_table IN ('again', 'shop_order') GROUP BY 1, 2;
SELECT on_hand, allocated, backordered, available FROM backorder.stock WHERE item = 'c33';
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('again'::regclass, 'shop_order'::regclass) AND NOT tgisinternal;
-- Its own orders are told nothing; others hear of what they got.
SELECT line_table, order_key, type FROM events ORDER BY id OFFSET :told;
SELECT * FROM backorder.verify();
INSERT INTO again VALUES (5, 'at E', 1);
SELECT count(*) FROM recorded WHERE line_table = 'again';
SELECT backorder.detach('again');
\echo :SQLSTATE
SELECT backorder.resync('again');
\echo :SQLSTATE
-- Attached once more: as new lines; what was shipped before is not shipped again.
SELECT backorder.attach('again', 'item', 'qty') = :source_id AS same;
SELECT order_key, "a/b" FROM recorded WHERE line_table = 'again' ORDER BY line_id;
SELECT backorder.attach('shop_order', 'item', 'qty', shipped => 'sent', live => 'NOT cancelled') > 0 AS attached;
SELECT on_hand, allocated, backordered, available FROM backorder.stock WHERE item = 'c33';
SELECT kind, count(*), sum(quantity) FROM backorder.stock_movement WHERE item = 'c33' GROUP BY kind ORDER BY kind;
SELECT * FROM backorder.verify();

-- Detached and attached in one transaction, and written in between: nothing is missing.
BEGIN;
SELECT backorder.detach('again');
UPDATE again SET qty = qty + 1 WHERE id < 3;
SELECT backorder.attach('again', 'item', 'qty') = :source_id AS same;
UPDATE again SET qty = qty + 1 WHERE id = 2;
COMMIT;
SELECT order_key, ordered FROM recorded WHERE line_table = 'again' ORDER BY order_key;
SELECT * FROM backorder.verify();

-- In the transaction of the table's creation, and rolled back: nothing is left.
BEGIN;
CREATE TABLE brief (id integer PRIMARY KEY, item text, qty integer);
SELECT backorder.attach('brief', 'item', 'qty') > 0 AS attached;
INSERT INTO brief VALUES (1, 'at F', 1);
ROLLBACK;
SELECT count(*) FROM backorder.source WHERE line_table = 'brief';
SELECT count(*) FROM backorder.stock WHERE item = 'at F';
CREATE TABLE brief (id integer PRIMARY KEY, item text, qty integer);
BEGIN;
SELECT backorder.attach('brief', 'item', 'qty') > 0 AS attached;
INSERT INTO brief VALUES (1, 'at F', 1);
ROLLBACK;
INSERT INTO brief VALUES (1, 'at F', 1);
SELECT count(*) FROM recorded WHERE line_table = 'brief';
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'brief'::regclass;

-- The attached table changes: a column renamed is followed, others come and go; a table renamed is found.
CREATE TABLE living (id integer PRIMARY KEY, spare text, item text, qty integer, state text DEFAULT 'open');
SELECT backorder.attach('living', 'item', 'qty', live => $$state = 'open'$$) > 0 AS attached;
INSERT INTO living VALUES (1, 's', 'at G', 1);
ALTER TABLE living RENAME COLUMN qty TO quantity;
ALTER TABLE living DROP COLUMN spare;
ALTER TABLE living ADD COLUMN qty text DEFAULT 'not this';
ALTER TABLE living ALTER COLUMN quantity TYPE numeric;
INSERT INTO living (id, item, quantity) VALUES (2, 'at G', 2);
SELECT order_key, item, ordered FROM recorded WHERE line_table = 'living' ORDER BY line_id;
ALTER TABLE living RENAME TO alive;
INSERT INTO alive (id, item, quantity) VALUES (3, 'at G', 3);
SELECT count(*), sum(ordered) FROM recorded WHERE item = 'at G';
ALTER TABLE alive RENAME TO living;
SELECT * FROM backorder.verify();
-- A mapped column dropped: the next write says what to do, and doing it helps.
ALTER TABLE living DROP COLUMN state;
INSERT INTO living (id, item, quantity) VALUES (4, 'at G', 4);
\echo :SQLSTATE
SELECT check_name, expected, actual FROM backorder.verify();
SELECT backorder.attach('living', 'item', 'quantity') > 0 AS attached;
INSERT INTO living (id, item, quantity) VALUES (4, 'at G', 4);
SELECT order_key, item, ordered FROM recorded WHERE item = 'at G' ORDER BY line_id;
-- So it is with a column of a key; or detached, which helps too.
ALTER TABLE living DROP COLUMN id;
INSERT INTO living (item, quantity) VALUES ('at G', 5);
\echo :SQLSTATE
SELECT backorder.detach('living');
INSERT INTO living (item, quantity) VALUES ('at G', 5);
SELECT count(*) FROM recorded WHERE item = 'at G';
SELECT * FROM backorder.verify();
-- The header dropped, and the table itself while nobody sees it (ddl.sql has the rest).
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN regexp_replace(SQLSTATE || ': ' || SQLERRM || '. ' || hint, 'ource(.)\d+', 'ource\1N', 'g');
END $$;
CREATE TABLE head (id integer PRIMARY KEY, state text DEFAULT 'open');
CREATE TABLE body (id integer PRIMARY KEY, order_id integer, item text, qty integer);
SELECT backorder.attach('body', 'item', 'qty', order_key => 'order_id', header_table => 'head', live => $$state = 'open'$$) > 0 AS attached;
INSERT INTO head VALUES (1);
INSERT INTO body VALUES (1, 1, 'at I', 1);
INSERT INTO head VALUES (7701, 'paid');
INSERT INTO body VALUES (2, 7701, 'at I', 1);
SELECT why FROM backorder.explain('7701');
BEGIN;
ALTER EVENT TRIGGER backorder_drop DISABLE;
DROP TABLE body;
SELECT source_, why FROM backorder.explain('7701');
UPDATE head SET state = 'paid';
SELECT check_name, regexp_replace(object, '\d+', 'N') AS object, expected, actual FROM backorder.verify();
SELECT try(format('SELECT backorder_internal.mapped_lines(%s)', source_id)) FROM backorder.source WHERE line_schema = 'attach' AND line_table = 'body';
SELECT backorder.detach_source(source_id) FROM backorder.source WHERE line_schema = 'attach' AND line_table = 'body';
SET CONSTRAINTS ALL IMMEDIATE;
SELECT count(*) FROM recorded WHERE item = 'at I';
SELECT * FROM backorder.verify();
ROLLBACK;
-- Written and dropped in one transaction.
BEGIN;
ALTER EVENT TRIGGER backorder_drop DISABLE;
UPDATE body SET qty = 2;
DROP TABLE body;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT count(*) FROM recorded WHERE item = 'at I';
ROLLBACK;
SELECT backorder.detach_source(2000000000);
\echo :SQLSTATE
SELECT try(format('SELECT backorder.detach_source(%s)', source_id)) FROM backorder.source WHERE line_schema = 'attach' AND line_table = 'living';
DROP TABLE head;
SELECT try('UPDATE body SET qty = 2; SET CONSTRAINTS ALL IMMEDIATE');
SELECT backorder.detach('body');
UPDATE body SET qty = 3;
SELECT count(*) FROM recorded WHERE item = 'at I';
SELECT * FROM backorder.verify();

-- An error inside a mapping expression names the table, the mapped column and the order.
CREATE TABLE fragile (id integer PRIMARY KEY, item text, qty text);
SELECT backorder.attach('fragile', 'item', 'qty::numeric') > 0 AS attached;
INSERT INTO fragile VALUES (17, 'at H', 'three');
\echo :SQLSTATE
INSERT INTO fragile VALUES (17, 'at H', '3');
SELECT order_key, ordered FROM recorded WHERE line_table = 'fragile';

-- One header for two tables of lines, and a table that is header and lines at once: each is watched for itself.
CREATE TABLE shared (id integer PRIMARY KEY, item text, qty integer, state text NOT NULL DEFAULT 'open');
CREATE TABLE goods (id integer PRIMARY KEY, order_id integer REFERENCES shared, item text, qty integer);
CREATE TABLE parts (id integer PRIMARY KEY, order_id integer REFERENCES shared, item text, qty integer);
SELECT backorder.attach('goods', 'item', 'qty', order_key => 'order_id', header_table => 'shared', live => $$state = 'open'$$) > 0 AS attached;
SELECT backorder.attach('parts', 'item', 'qty', order_key => 'order_id', header_table => 'shared', live => $$state = 'open'$$) > 0 AS attached;
SELECT backorder.attach('shared', 'item', 'qty', live => $$state = 'open'$$) > 0 AS attached;
INSERT INTO shared VALUES (1, 'at J', 1), (2, NULL, NULL);
INSERT INTO goods VALUES (1, 1, 'at J', 2), (2, 2, 'at J', 3);
INSERT INTO parts VALUES (1, 1, 'at J', 4), (2, 2, 'at J', 5);
UPDATE shared SET state = 'closed' WHERE id = 1;
SELECT line_table, order_key, line_key, ordered FROM recorded WHERE item = 'at J' ORDER BY line_table, line_id;
SELECT * FROM backorder.verify();
SELECT backorder.detach('parts');
UPDATE shared SET state = CASE id WHEN 1 THEN 'open' ELSE 'closed' END;
SELECT line_table, order_key, line_key, ordered FROM recorded WHERE item = 'at J' ORDER BY line_table, line_id;
SELECT * FROM backorder.verify();
SELECT backorder.detach('shared');
UPDATE shared SET state = 'closed';
SELECT count(*) FROM recorded WHERE item = 'at J';
SELECT * FROM backorder.verify();

-- A line key that is not unique within the order is found out when it matters.
CREATE TABLE twice (order_id integer, no integer, item text, qty integer);
SELECT backorder.attach('twice', 'item', 'qty', order_key => 'order_id', line_key => 'no') > 0 AS attached;
INSERT INTO twice VALUES (1, 1, 'at K', 1), (2, 1, 'at K', 1);
INSERT INTO twice VALUES (1, 1, 'at K', 2);
\echo :SQLSTATE
INSERT INTO twice VALUES (3, 1, 'at K', 1), (3, 1, 'at K', 2);
\echo :SQLSTATE
SELECT order_key, line_key, ordered FROM recorded WHERE line_table = 'twice' ORDER BY line_id;

-- Refused: wrong tables, ...
CREATE TEMP TABLE temporary_line (id integer PRIMARY KEY, item text, qty integer);
SELECT backorder.attach('temporary_line', 'item', 'qty');
\echo :SQLSTATE
CREATE UNLOGGED TABLE unlogged_line (id integer PRIMARY KEY, item text, qty integer);
SELECT backorder.attach('unlogged_line', 'item', 'qty');
\echo :SQLSTATE
CREATE VIEW view_line AS SELECT * FROM single;
SELECT backorder.attach('view_line', 'sku', 'qty');
\echo :SQLSTATE
CREATE TABLE parted (id integer PRIMARY KEY, item text, qty integer) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (1000);
SELECT backorder.attach('parted_1', 'item', 'qty');
\echo :SQLSTATE
CREATE TABLE parent (id integer PRIMARY KEY, item text, qty integer);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE parent_once (id integer PRIMARY KEY, item text, qty integer);
CREATE TABLE child_to_go () INHERITS (parent_once);
SELECT backorder.attach('parent', 'item', 'qty');
\echo :SQLSTATE
ALTER TABLE child ADD PRIMARY KEY (id);
SELECT backorder.attach('child', 'item', 'qty');
\echo :SQLSTATE
-- Attached again with another order key: texts recorded before are no keys any more, and no row is taken for one of them.
CREATE TABLE rekeyed (a text, b text, item text, qty integer, PRIMARY KEY (a, b));
INSERT INTO rekeyed VALUES ('x', '1', 'at R', 1), ('y', '1', 'at R', 2);
CREATE TABLE zero (a integer, b integer, item text, qty integer, PRIMARY KEY (a, b));
INSERT INTO zero VALUES (0, 0, 'at Z', 1), (0, 1, 'at Z', 2), (7, 1, 'at Z', 4);
SELECT backorder.attach('rekeyed', 'item', 'qty', line_key => 'b', order_key => 'a') > 0 AS attached;
SELECT backorder.attach('zero', 'item', 'qty', line_key => 'b', order_key => 'a') > 0 AS attached;
SELECT backorder.attach('rekeyed', 'item', 'qty', line_key => 'b', order_key => 'a, b') > 0 AS attached;
SELECT backorder.attach('zero', 'item', 'qty', line_key => 'b', order_key => 'a, b') > 0 AS attached;
SELECT order_key, line_key, ordered FROM backorder.order_line WHERE item IN ('at R', 'at Z') AND live ORDER BY item, order_key;
SELECT backorder.detach('rekeyed'), backorder.detach('zero');
-- What was a parent is none any more; and what is assumed of an order key is said.
DROP TABLE child_to_go;
SELECT relhassubclass FROM pg_class WHERE oid = 'parent_once'::regclass;
SELECT backorder.attach('parent_once', 'item', 'qty', line_key => 'id') > 0 AS attached;
SELECT backorder.attach('parent_once', 'item', 'qty', order_key => 'id') > 0 AS attached;
SELECT backorder.detach('parent_once');
CREATE FOREIGN DATA WRAPPER attach_wrapper;
CREATE SERVER attach_server FOREIGN DATA WRAPPER attach_wrapper;
CREATE FOREIGN TABLE foreign_line (id integer, item text, qty integer) SERVER attach_server;
SELECT backorder.attach('foreign_line', 'item', 'qty', line_key => 'id');
\echo :SQLSTATE
CREATE MATERIALIZED VIEW stored_view AS SELECT * FROM single;
SELECT backorder.attach('stored_view', 'sku', 'qty', line_key => 'id');
\echo :SQLSTATE
SELECT backorder.attach('single', 'sku', 'qty', order_key => 'id', header_table => 'foreign_line', header_key => 'id');
\echo :SQLSTATE
SELECT backorder.attach('single', 'sku', 'qty', order_key => 'id', header_table => 'child');
\echo :SQLSTATE
SELECT backorder.attach('single', 'sku', 'qty', watch => ARRAY['child: id']);
\echo :SQLSTATE
-- A child that an attached table gets later is read with it, and not captured: verify() shows it.
BEGIN;
CREATE TABLE single_child () INHERITS (single);
INSERT INTO single_child VALUES (9, 'at A', 1);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT check_name, object, actual FROM backorder.verify();
SELECT backorder.resync('single');
SELECT * FROM backorder.verify();
ROLLBACK;
SELECT backorder.attach('pg_class', 'relname', 'relpages', line_key => 'oid');
\echo :SQLSTATE
SELECT backorder.attach('backorder.stock', 'item', 'on_hand');
\echo :SQLSTATE
SELECT backorder.attach(NULL, 'item', 'qty');
\echo :SQLSTATE
CREATE TABLE plain (id integer PRIMARY KEY, order_id integer, item text, qty integer, at timestamptz, a integer, b integer, c integer);
CREATE TABLE plain_header (id integer PRIMARY KEY, state text);
SELECT backorder.attach('plain', NULL, 'qty');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', NULL);
\echo :SQLSTATE
SELECT backorder.attach('no_such_table', 'item', 'qty');
\echo :SQLSTATE
CREATE TABLE no_key (id integer, item text, qty integer);
SELECT backorder.attach('no_key', 'item', 'qty');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', order_key => 'order_id', header_table => 'no_key');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', header_table => 'plain_header', header_key => 'id');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', order_key => 'order_id', header_key => 'id');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', order_key => 'order_id, item', header_table => 'plain_header');
\echo :SQLSTATE
-- Keys that cannot be compared are the header's fault, not the first expression's.
SELECT backorder.attach('plain', 'item', 'qty', order_key => 'item', header_table => 'plain_header', header_key => 'id');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', order_key => 'order_id', header_table => 'plain');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', order_key => 'order_id', header_table => 'view_line', header_key => 'id');
\echo :SQLSTATE
CREATE ROLE regress_backorder_other;
ALTER TABLE plain_header OWNER TO regress_backorder_other;
SELECT backorder.attach('plain', 'item', 'qty', order_key => 'order_id', header_table => 'plain_header');
\echo :SQLSTATE
DROP OWNED BY regress_backorder_other;
DROP ROLE regress_backorder_other;
-- ... wrong columns, ...
SELECT backorder.attach('plain', 'item', 'qty', line_key => 'nothing');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', line_key => '');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', line_key => 'id item');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', line_key => 'ctid');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', order_key => 'order_id, item, qty, a, b');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', order_key => 'order_id', line_key => 'id, item, qty, a, b');
\echo :SQLSTATE
-- ... wrong expressions, ...
SELECT backorder.attach('plain', 'no_such_column', 'qty');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty +');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty, id');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty) FROM attach.plain; DROP TABLE attach.plain; --');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty FROM attach.plain');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty AS quantity');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'line.*');
\echo :SQLSTATE
SELECT backorder.attach('plain', '*', 'qty');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', '');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'at');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', live => 'at');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'sum(qty)');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'row_number() OVER ()');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'generate_series(1, qty)');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty * random()');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', live => 'at < now()');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', live => 'at < current_timestamp');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', live => 'at::date < current_date');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', live => 'header.id = 1');
\echo :SQLSTATE
-- ... wrong choices.
SELECT backorder.attach('plain', 'item', 'qty', timing => 'later');
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', timing => NULL);
\echo :SQLSTATE
SELECT backorder.attach('plain', 'item', 'qty', overship => 'ignore');
\echo :SQLSTATE
SELECT backorder.attach('single', 'sku', 'qty', tenant => 'another');
\echo :SQLSTATE
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('plain'::regclass, 'no_key'::regclass) AND NOT tgisinternal;
SELECT count(*) FROM backorder.source WHERE line_table IN ('plain', 'no_key', 'unlogged_line', 'view_line', 'temporary_line');
-- A table that is not attached, and keys that are none.
SELECT backorder.resync(NULL);
\echo :SQLSTATE
SELECT backorder.detach('plain');
\echo :SQLSTATE
SELECT backorder.resync('plain');
\echo :SQLSTATE
SELECT backorder.resync('single', 'seven');
\echo :SQLSTATE
SELECT backorder.resync('composite_line', '{x,1}');
\echo :SQLSTATE
SELECT backorder.resync('single', '99');

-- Detached and attached in one transaction: recorded like any other; by another key; and not at all.
CREATE TABLE anew (id integer PRIMARY KEY, code text, item text, quantity integer);
INSERT INTO anew SELECT n, n::text, 'anew', n FROM generate_series(1, 3) n;
CREATE FUNCTION attach_anew(key text) RETURNS boolean LANGUAGE sql AS $$
	SELECT backorder.attach('anew', item => 'item', quantity => 'quantity', order_key => key, line_key => 'id') > 0
$$;
CREATE VIEW anew_recorded AS SELECT order_key, line_key, ordered FROM backorder.order_line WHERE item = 'anew' ORDER BY line_key COLLATE "C";
SELECT attach_anew('id');
BEGIN;
SELECT backorder.detach('anew');
SELECT attach_anew('id');
COMMIT;
TABLE anew_recorded;
BEGIN;
UPDATE anew SET quantity = 10 WHERE id = 1;
SAVEPOINT a;
SELECT backorder.detach('anew');
SELECT attach_anew('code');
UPDATE anew SET quantity = 20;
SELECT backorder.flush();
ROLLBACK TO a;
UPDATE anew SET quantity = quantity + 1 WHERE id < 3;
COMMIT;
TABLE anew_recorded;
BEGIN;
UPDATE anew SET quantity = 5 WHERE id = 2;
SELECT attach_anew('code');
UPDATE anew SET quantity = 6 WHERE id = 2;
COMMIT;
TABLE anew_recorded;

-- How keys and conditions may be written; what depends on the clock, or cannot be parsed.
CREATE TABLE written (o integer, n integer, item text, quantity integer, since timestamp, PRIMARY KEY (o, n));
SELECT backorder.attach('written', 'item', 'quantity', order_key => 'o', line_key => ' o , n ', live => NULL) > 0 AS attached;
SELECT line_key, live FROM backorder.source WHERE line_table = 'written' AND line_schema = 'attach';
INSERT INTO written VALUES (1, 1, 'at W', 1);
SELECT backorder.attach('written', 'item', 'quantity', order_key => 'o', priority => 'extract(day FROM age(since))::integer');
SELECT backorder.attach('written', 'item', 'quantity', order_key => 'o', line_key => 'n, (', joins => 'LEFT JOIN attach.written w ON false');
SELECT l.order_key, l.line_key, l.ordered FROM backorder.order_line l WHERE l.item = 'at W';

SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema IN ('attach', 'Attach; Shop') AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP FOREIGN DATA WRAPPER attach_wrapper CASCADE;
DROP SCHEMA attach, "Attach; Shop" CASCADE;
