-- DROP EXTENSION leaves the application's tables as they were; and the extension can come back.

\set SHOW_CONTEXT never
SELECT current_database() AS home \gset
CREATE DATABASE regress_backorder_uninstall;
\c regress_backorder_uninstall

CREATE SCHEMA shop;
CREATE TABLE shop.header (id integer PRIMARY KEY, customer text);
CREATE TABLE shop.line (order_id integer REFERENCES shop.header ON DELETE CASCADE, no integer, item text NOT NULL, quantity integer CHECK (quantity > 0),
	PRIMARY KEY (order_id, no));
CREATE TABLE shop.flat (id integer PRIMARY KEY, item text, quantity integer);
CREATE TABLE shop.shelf (item text PRIMARY KEY, there integer);
INSERT INTO shop.shelf VALUES ('S', 2);
CREATE FUNCTION shop.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER own AFTER INSERT ON shop.line FOR EACH ROW EXECUTE FUNCTION shop.nothing();
INSERT INTO shop.header VALUES (1, 'Ann');
INSERT INTO shop.line VALUES (1, 1, 'A', 2);

-- All there is to know of the application's tables.
CREATE VIEW shop.description AS
SELECT 'class' AS what, c.oid AS object, to_jsonb(c) - '{reltuples,relpages,relallvisible,relallfrozen,relfrozenxid,relminmxid,relhastriggers}'::text[] AS content
FROM pg_class c WHERE relnamespace = 'shop'::regnamespace AND relname <> 'description'
UNION ALL SELECT 'attribute', attrelid, to_jsonb(a) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'shop'::regnamespace AND relname <> 'description'
UNION ALL SELECT 'constraint', oid, to_jsonb(c) FROM pg_constraint c WHERE connamespace = 'shop'::regnamespace
UNION ALL SELECT 'trigger', t.oid, to_jsonb(t) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = 'shop'::regnamespace
UNION ALL SELECT 'rule', r.oid, to_jsonb(r) FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class WHERE relnamespace = 'shop'::regnamespace AND relname <> 'description'
UNION ALL SELECT 'function', oid, to_jsonb(p) FROM pg_proc p WHERE pronamespace = 'shop'::regnamespace
UNION ALL SELECT 'depend', objid, to_jsonb(d) FROM pg_depend d JOIN pg_class c ON c.oid IN (objid, refobjid)
	WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r' AND classid <> 'pg_rewrite'::regclass;
CREATE TABLE public.before AS SELECT * FROM shop.description;

CREATE EXTENSION backorder;
SELECT extname, nspname AS schema, extrelocatable FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'backorder';
SELECT backorder.attach('shop.line', 'item', 'quantity', line_key => 'no', order_key => 'order_id', header_table => 'shop.header', header_key => 'id',
	customer => 'customer') > 0 AS attached;
SELECT backorder.attach('shop.flat', 'item', 'quantity', timing => 'immediate') > 0 AS attached;
SELECT backorder.attach_stock('shop.shelf', 'item', 'there') > 0 AS attached;
SELECT count(*) FROM backorder.receive('A', 3);
INSERT INTO shop.line VALUES (1, 2, 'A', 2);
INSERT INTO shop.flat VALUES (1, 'A', 4);
SELECT order_key, line_key, allocated, backordered FROM backorder.order_line ORDER BY line_id;
UPDATE shop.shelf SET there = 3;
SELECT item, on_hand FROM backorder.stock ORDER BY item;
SELECT * FROM backorder.verify();
-- Attaching adds triggers and nothing else.
SELECT what, count(*) > 0 AS more FROM (TABLE shop.description EXCEPT TABLE public.before) d GROUP BY what ORDER BY what;
SELECT what, count(*) FROM (TABLE public.before EXCEPT TABLE shop.description) d GROUP BY what;

-- Not while a transaction's orders are pending.
BEGIN;
INSERT INTO shop.flat VALUES (2, 'A', 1);
UPDATE shop.line SET quantity = 3;
UPDATE shop.shelf SET there = 4;
DROP EXTENSION backorder;
\echo :SQLSTATE
ROLLBACK;

DROP EXTENSION backorder;
TABLE shop.description EXCEPT TABLE public.before;
TABLE public.before EXCEPT TABLE shop.description;
-- The schema of users is left by PostgreSQL, empty; that of the machinery is gone.
SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = (SELECT oid FROM pg_namespace WHERE nspname = 'backorder');
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backorder%';
INSERT INTO shop.line VALUES (1, 3, 'A', 1);
UPDATE shop.line SET quantity = quantity + 1;
DELETE FROM shop.header;
TRUNCATE shop.flat;
UPDATE shop.shelf SET there = there + 1;
SELECT * FROM shop.line;

-- Again, in the same session, which remembers nothing of the first time.
CREATE EXTENSION backorder;
INSERT INTO shop.header VALUES (2, 'Bob');
INSERT INTO shop.line VALUES (2, 1, 'A', 2);
SELECT backorder.attach('shop.line', 'item', 'quantity', line_key => 'no', order_key => 'order_id', header_table => 'shop.header', header_key => 'id') > 0 AS attached;
SELECT order_key, quantity, ready FROM backorder.receive('A', 1);
SELECT backorder.attach_stock('shop.shelf', 'item', 'there') > 0 AS attached;
UPDATE shop.shelf SET there = 5;
SELECT item, on_hand FROM backorder.stock ORDER BY item;
INSERT INTO shop.line VALUES (2, 2, 'A', 1);
UPDATE shop.line SET quantity = 1;
SELECT order_key, line_key, allocated, backordered FROM backorder.order_line ORDER BY line_id;
SELECT * FROM backorder.verify();
-- Attached tables dropped before: nothing in the way.
DROP TABLE shop.line;
DROP EXTENSION backorder;
DROP TABLE shop.header;

\c :home
DROP DATABASE regress_backorder_uninstall;
SELECT * FROM backorder.verify();
