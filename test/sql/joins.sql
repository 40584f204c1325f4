-- joins (units of measure, kits) and watch (further tables whose changes concern an order).
SET client_min_messages = warning;
CREATE SCHEMA joins;
SET search_path = joins;
SET client_min_messages = notice;

CREATE TABLE product (id integer PRIMARY KEY, sku text NOT NULL, kit boolean NOT NULL DEFAULT false);
CREATE TABLE component (kit_id integer REFERENCES product, product_id integer REFERENCES product, n integer NOT NULL, PRIMARY KEY (kit_id, product_id));
CREATE TABLE unit (id integer PRIMARY KEY, factor numeric NOT NULL);
CREATE TABLE "Order" (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'open');
CREATE TABLE line (id integer PRIMARY KEY, order_id integer REFERENCES "Order", product_id integer REFERENCES product, quantity integer, unit_id integer REFERENCES unit);
CREATE INDEX ON line (order_id);
CREATE TABLE fulfilment (id integer PRIMARY KEY, line_id integer REFERENCES line ON DELETE CASCADE, quantity integer, note text);
CREATE INDEX ON fulfilment (line_id);
INSERT INTO product VALUES (1, 'jo A', false), (2, 'jo B', false), (3, 'jo KIT', true);
INSERT INTO component VALUES (3, 1, 2), (3, 2, 1);
INSERT INTO unit VALUES (1, 1), (12, 12);

CREATE VIEW recorded AS
SELECT l.order_key, l.line_key, l.item, l.ordered, l.shipped, l.allocated || '/' || l.backordered AS has, l.line_id - min(l.line_id) OVER () AS nth
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'joins' ORDER BY l.order_key, l.line_key;

SELECT backorder.attach('line', item => 'coalesce(cp.sku, p.sku)', quantity => 'line.quantity * u.factor * coalesce(c.n, 1)',
	line_key => 'id, coalesce(c.product_id, 0)', order_key => 'order_id', header_table => '"Order"', live => $$status = 'open'$$,
	shipped => '(SELECT sum(f.quantity) FROM fulfilment f WHERE f.line_id = line.id) * u.factor * coalesce(c.n, 1)',
	joins => $$JOIN product p ON p.id = line.product_id JOIN unit u ON u.id = line.unit_id
		LEFT JOIN (component c JOIN product cp ON cp.id = c.product_id) ON c.kit_id = p.id$$,
	watch => ARRAY['fulfilment: SELECT l.order_id FROM line l WHERE l.id = watched.line_id',
		'component: SELECT l.order_id FROM line l WHERE l.product_id = kit_id']) > 0 AS attached;
-- Stored with every name qualified.
SELECT joins, line_key, line_key_expressions FROM backorder.source WHERE line_schema = 'joins';
SELECT n, table_schema, table_name, keys FROM backorder.source_watch WHERE table_schema = 'joins' ORDER BY n;

-- A dozen, and a kit by its components.
INSERT INTO "Order" VALUES (1);
INSERT INTO line VALUES (1, 1, 1, 2, 12), (2, 1, 3, 5, 1);
TABLE recorded;
SELECT order_key, line_key, quantity, allocated, backordered FROM backorder.receive('jo A', 30);
SELECT order_key, line_key, quantity, allocated, backordered FROM backorder.receive('jo B', 30);
-- What is shipped stands in another table.
INSERT INTO fulfilment VALUES (1, 2, 1);
TABLE recorded;
-- A column of it that nobody reads costs no look at the order; one that is read does.
SELECT max(revision) AS before FROM backorder.sales_order JOIN backorder.source USING (tenant, source_id) WHERE order_key = '1' AND line_schema = 'joins' AND line_table = 'line' \gset
UPDATE fulfilment SET note = 'signed';
SELECT max(revision) - :before AS looks FROM backorder.sales_order JOIN backorder.source USING (tenant, source_id) WHERE order_key = '1' AND line_schema = 'joins' AND line_table = 'line';
UPDATE fulfilment SET quantity = 2;
SELECT max(revision) - :before AS looks FROM backorder.sales_order JOIN backorder.source USING (tenant, source_id) WHERE order_key = '1' AND line_schema = 'joins' AND line_table = 'line';
TABLE recorded;
-- The recipe changes: two of B each.
UPDATE component SET n = 2 WHERE product_id = 2;
TABLE recorded;
-- A line that moves to another order takes all it was recorded as along.
INSERT INTO "Order" VALUES (2);
UPDATE line SET order_id = 2 WHERE id = 2;
TABLE recorded;
UPDATE line SET id = 20 WHERE id = 1;
TABLE recorded;
-- What is not watched is not noticed: resync() covers it.
UPDATE unit SET factor = 10 WHERE id = 12;
TABLE recorded;
SELECT check_name, expected, actual FROM backorder.verify();
SELECT backorder.resync('line');
TABLE recorded;
SELECT * FROM backorder.verify();
-- TRUNCATE of a watched table: all orders are looked at.
TRUNCATE fulfilment;
TABLE recorded;
SELECT * FROM backorder.verify();
-- Columns renamed and added in watched tables.
ALTER TABLE component RENAME product_id TO part_id;
ALTER TABLE component RENAME part_id TO product_id;
ALTER TABLE component ADD who text;
ALTER TABLE fulfilment RENAME note TO "Note";
ALTER TABLE fulfilment ADD who text;
INSERT INTO fulfilment VALUES (2, 2, 1, NULL, 'me');
TABLE recorded;
-- What joins and subselects name is not followed: the next order says so, and the way out.
ALTER TABLE fulfilment RENAME quantity TO shipped;
INSERT INTO fulfilment VALUES (3, 2, 1, NULL, 'me');
\echo :SQLSTATE
ALTER TABLE fulfilment RENAME shipped TO quantity;

-- The order key in the watched row itself, several columns, partitions with their own column numbers.
CREATE TABLE header (company text, no bigint, state char(1) DEFAULT 'O', PRIMARY KEY (company, no));
CREATE TABLE item (company text, no bigint, pos smallint, article text, quantity numeric, PRIMARY KEY (company, no, pos));
CREATE TABLE parcel (id bigint GENERATED ALWAYS AS IDENTITY, no bigint, company text, pos smallint, quantity numeric, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE parcel_old (at date NOT NULL, gone text, company text, quantity numeric, pos smallint, no bigint, id bigint NOT NULL);
ALTER TABLE parcel_old DROP gone;
ALTER TABLE parcel ATTACH PARTITION parcel_old FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE parcel_new PARTITION OF parcel FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
CREATE INDEX ON parcel (company, no);
SELECT backorder.attach('item', 'article', 'quantity', order_key => 'company, no', line_key => 'pos', header_table => 'header',
	live => $$state = 'O'$$, shipped => '(SELECT sum(p.quantity) FROM parcel p WHERE (p.company, p.no, p.pos) = (line.company, line.no, line.pos))',
	watch => ARRAY['parcel: company, no']) > 0 AS attached;
INSERT INTO header VALUES ('north', 1), ('south', 1);
INSERT INTO item VALUES ('north', 1, 1, 'jo C', 5), ('south', 1, 1, 'jo C', 5);
SELECT count(*) FROM backorder.receive('jo C', 10);
INSERT INTO parcel (company, no, pos, quantity, at) VALUES ('north', 1, 1, 2, '2026-02-01');
INSERT INTO parcel_old (id, company, no, pos, quantity, at) OVERRIDING SYSTEM VALUE VALUES (100, 'south', 1, 1, 1, '2026-02-01');
INSERT INTO parcel_new (id, company, no, pos, quantity, at) OVERRIDING SYSTEM VALUE VALUES (101, 'south', 1, 1, 1, '2026-08-01');
SELECT order_key, shipped, has FROM recorded WHERE item = 'jo C';
UPDATE parcel SET at = '2026-09-01', quantity = 3 WHERE at = '2026-02-01' AND company = 'north';
UPDATE parcel SET company = 'north' WHERE id = 100;
SELECT order_key, shipped, has FROM recorded WHERE item = 'jo C';
DELETE FROM parcel WHERE company = 'south';
SELECT order_key, shipped, has FROM recorded WHERE item = 'jo C';
SELECT * FROM backorder.verify();

-- In immediate timing the watched table settles too.
SELECT backorder.attach('item', 'article', 'quantity', order_key => 'company, no', line_key => 'pos', header_table => 'header',
	live => $$state = 'O'$$, shipped => '(SELECT sum(p.quantity) FROM parcel p WHERE (p.company, p.no, p.pos) = (line.company, line.no, line.pos))',
	watch => ARRAY['parcel: company, no'], timing => 'immediate') > 0 AS attached;
BEGIN;
INSERT INTO parcel_new (id, company, no, pos, quantity, at) OVERRIDING SYSTEM VALUE VALUES (102, 'south', 1, 1, 4, '2026-08-01');
SELECT order_key, shipped, has FROM recorded WHERE item = 'jo C';
SAVEPOINT a;
UPDATE item SET quantity = 9;
SELECT order_key, shipped, has FROM recorded WHERE item = 'jo C';
ROLLBACK TO a;
SELECT order_key, shipped, has FROM recorded WHERE item = 'jo C';
UPDATE item SET quantity = 6;
COMMIT;
SELECT order_key, shipped, has FROM recorded WHERE item = 'jo C';
-- Without watch its triggers go.
SELECT backorder.attach('item', 'article', 'quantity', order_key => 'company, no', line_key => 'pos', header_table => 'header') > 0 AS attached;
SELECT tgrelid::regclass, tgname ~ '_statement$' AS statement FROM pg_trigger WHERE tgrelid IN ('item'::regclass, 'header'::regclass, 'parcel'::regclass)
	AND tgname LIKE 'backorder%' ORDER BY 1, 2;
SELECT * FROM backorder.verify();

-- Refused.
SELECT backorder.attach('item', 'article', 'quantity', joins => 'WHERE true');
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', joins => 'JOIN nothing n ON n.id = line.pos');
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', joins => 'JOIN parcel p ON p.pos = line.pos AND p.at < now()');
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', joins => 'JOIN parcel p ON p.pos = line.pos AND random() < 0.5');
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', joins => 'JOIN parcel p ON true; DROP TABLE item');
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', joins => 'JOIN parcel p ON true', line_key => 'pos AS p');
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', joins => 'JOIN parcel p ON true', line_key => 'p.id');
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', watch => ARRAY['parcel']);
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', watch => ARRAY['nothing: no']);
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', watch => ARRAY['item: no']);
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', order_key => 'no', watch => ARRAY['parcel: no', 'parcel: no']);
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', order_key => 'no', watch => ARRAY['parcel: company, no']);
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', order_key => 'no', watch => ARRAY['parcel: no, )']);
\echo :SQLSTATE
SELECT backorder.attach('item', 'article', 'quantity', order_key => 'no', watch => ARRAY['recorded: no']);
\echo :SQLSTATE
-- A query that fails names the watched table.
SELECT backorder.attach('item', 'article', 'quantity', order_key => 'no', line_key => 'company, pos', watch => ARRAY['parcel: SELECT no / (quantity - 7)::bigint']) > 0 AS attached;
INSERT INTO parcel (company, no, pos, quantity, at) VALUES ('north', 1, 1, 7, '2026-02-01');
\echo :SQLSTATE
SELECT * FROM backorder.verify();

SET client_min_messages = warning;
-- What a LEFT JOIN does not find is a part of the key too: plain products beside kits.
CREATE TABLE basket (order_no integer, id integer PRIMARY KEY, product_id integer, quantity integer);
CREATE INDEX ON basket (order_no);
SELECT backorder.attach('basket', item => 'coalesce(cp.sku, p.sku)', quantity => 'line.quantity * coalesce(c.n, 1)',
	line_key => 'id, c.product_id', order_key => 'order_no',
	joins => $$JOIN product p ON p.id = line.product_id LEFT JOIN (component c JOIN product cp ON cp.id = c.product_id) ON c.kit_id = p.id$$) > 0 AS attached;
INSERT INTO basket VALUES (1, 1, 1, 3), (1, 2, 3, 1);
SELECT l.order_key, l.line_key, l.item, l.ordered FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_table = 'basket' ORDER BY l.line_key;
UPDATE basket SET id = 7, quantity = 4 WHERE id = 1;
SELECT l.order_key, l.line_key, l.item, l.ordered FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_table = 'basket' ORDER BY l.line_key;
SELECT * FROM backorder.verify();
-- Rows whose key is several columns and an expression, or an expression alone, take their lines along when it is updated.
CREATE TABLE part (kit text, name text, n integer, PRIMARY KEY (kit, name));
INSERT INTO part VALUES ('bed', 'jo leg', 4), ('bed', 'jo "frame"', 1), ('chair', 'jo leg', 4), ('lamp', 'jo foot', 1);
CREATE TABLE packed (order_no integer, no integer, box text, kit text, PRIMARY KEY (order_no, no, box));
CREATE TABLE unpacked (id integer PRIMARY KEY, order_no integer, kit text, shipped integer DEFAULT 0);
CREATE INDEX ON unpacked (order_no);
SELECT backorder.attach('packed', 'p.name', 'p.n', order_key => 'order_no', line_key => 'no, box, p.name', joins => 'JOIN joins.part p ON p.kit = line.kit') > 0
	AND backorder.attach('unpacked', 'p.name', 'p.n', order_key => 'order_no', line_key => 'p.name', shipped => 'line.shipped',
	joins => 'JOIN joins.part p ON p.kit = line.kit') > 0 AS attached;
INSERT INTO packed VALUES (1, 1, 'a,"', 'bed'), (1, 1, 'b', 'bed'), (1, 2, 'a', 'chair');
INSERT INTO unpacked VALUES (1, 1, 'bed'), (2, 1, 'lamp'), (3, 2, 'chair');
CREATE TABLE kept AS SELECT l.line_id, l.order_key, l.line_key FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_table IN ('packed', 'unpacked');
CREATE VIEW followed AS SELECT s.line_table, l.order_key, l.line_key, k.order_key AS old_order, k.line_key AS old_line, l.shipped, l.live
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) LEFT JOIN kept k USING (line_id) WHERE s.line_table IN ('packed', 'unpacked') ORDER BY 1, 2, 3;
UPDATE packed SET no = 7 WHERE no = 1;
UPDATE packed SET order_no = 9, box = 'c' WHERE box = 'b';
UPDATE unpacked SET order_no = 5 WHERE id = 2;
UPDATE unpacked SET order_no = 6 WHERE id = 3;
TABLE followed;
-- What is there no more, but for what it shipped, stays where that was.
UPDATE unpacked SET shipped = 1 WHERE id = 2;
DELETE FROM unpacked WHERE id = 2;
INSERT INTO unpacked VALUES (4, 5, 'chair');
UPDATE unpacked SET order_no = 8 WHERE id = 4;
SELECT order_key, line_key, old_order, shipped, live FROM followed WHERE line_table = 'unpacked';
SELECT * FROM backorder.verify();

-- A watched table with a name like that; it is dropped, and its orders are written as before.
CREATE TABLE "hold: on" (order_no integer, why text);
CREATE TABLE held (order_no integer, n integer, item text, quantity integer, PRIMARY KEY (order_no, n));
SELECT backorder.attach('held', 'item', 'quantity', order_key => 'order_no', line_key => 'n', watch => ARRAY['"hold: on": order_no'],
	held => 'EXISTS (SELECT FROM joins."hold: on" h WHERE h.order_no = line.order_no)') > 0 AS attached;
INSERT INTO held VALUES (1, 1, 'jo H', 1), (2, 1, 'jo H', 1);
INSERT INTO "hold: on" VALUES (2);
CREATE VIEW held_recorded AS SELECT l.order_key, l.held, l.ordered FROM backorder.order_line l WHERE l.item = 'jo H' ORDER BY 1;
TABLE held_recorded;
SELECT backorder.attach('held', 'item', 'quantity', order_key => 'order_no', line_key => 'n', watch => ARRAY['"hold: on": order_no']) > 0 AS attached;
DROP TABLE "hold: on";
UPDATE held SET quantity = 2;
TABLE held_recorded;
SELECT * FROM backorder.verify();

SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source WHERE line_schema = 'joins' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
DROP SCHEMA joins CASCADE;
