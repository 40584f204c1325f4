-- The catalog: schema backorder has what users call, read and write, all of it explained; the rest is in backorder_internal.

CREATE SCHEMA catalog;
SET search_path = catalog;
CREATE VIEW routine AS SELECT p.*, p.oid::regprocedure::text AS name, n.nspname, obj_description(p.oid, 'pg_proc') AS comment
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname IN ('backorder', 'backorder_internal');
-- Not indexes, and not the sequences of columns that are numbered by default.
CREATE VIEW relation AS SELECT c.*, c.oid::regclass::text AS name, n.nspname
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname IN ('backorder', 'backorder_internal') AND relkind NOT IN ('i', 't')
	AND NOT (relkind = 'S' AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i'));

-- What users call, and what they read and write. Who adds something for users adds it here; anything else belongs into backorder_internal.
CREATE TABLE for_users (name) AS SELECT 'backorder.' || unnest(ARRAY[
	'attach', 'attach_preview', 'detach', 'detach_source', 'resync', 'flush', 'import', 'source_relation',
	'attach_stock', 'detach_stock', 'resync_stock',
	'receive', 'adjust', 'count_stock', 'hold_stock', 'release_stock', 'transfer', 'lock_stock',
	'plan_purchases', 'place_purchase_order', 'close_purchase_order', 'cancel_purchase_order', 'receive_purchase_line', 'receive_purchase_order',
	'available_from', 'explain', 'repromise', 'take_events', 'drop_consumer', 'verify', 'compact', 'take_over',
	'supplier', 'supplier_item', 'item_policy', 'purchase_order', 'purchase_order_line', 'stock_movement',
	'source', 'source_watch', 'stock_source', 'parked', 'sales_order', 'order_line', 'stock', 'supply', 'allocation', 'waiting_order', 'event', 'event_consumer',
	'backlog', 'shortage', 'unsourced', 'pegging', 'order_status', 'availability', 'purchases', 'aging', 'fill_rate', 'import_progress',
	'allocated', 'previewed']);

-- PostgreSQL has no comments on arguments: that on the function explains them, in lines that begin with their names. Of functions
-- in backorder_internal those that are given; what they return is named.
CREATE VIEW wrong AS
SELECT 'is not for users' AS what, name FROM (
	SELECT split_part(name, '(', 1) AS name FROM routine WHERE nspname = 'backorder'
	UNION SELECT name FROM relation WHERE nspname = 'backorder'
	UNION SELECT t.oid::regtype::text FROM pg_type t WHERE typnamespace = 'backorder'::regnamespace AND typtype <> 'c' AND typelem = 0) o
WHERE name NOT IN (SELECT f.name FROM for_users f)
UNION ALL SELECT 'is missing', name FROM for_users f
WHERE NOT EXISTS (SELECT FROM routine r WHERE split_part(r.name, '(', 1) = f.name) AND NOT EXISTS (SELECT FROM relation r WHERE r.name = f.name)
UNION ALL SELECT 'is a trigger function', name FROM routine WHERE nspname = 'backorder' AND prorettype IN ('trigger'::regtype, 'event_trigger'::regtype)
UNION ALL SELECT 'has no comment', name FROM routine WHERE comment IS NULL
UNION ALL SELECT 'has no comment', name FROM relation
WHERE CASE relkind WHEN 'c' THEN obj_description(reltype, 'pg_type') ELSE obj_description(oid, 'pg_class') END IS NULL
UNION ALL SELECT 'has no comment', name || '.' || attname FROM relation JOIN pg_attribute a ON a.attrelid = relation.oid
WHERE relkind IN ('r', 'v', 'c') AND attnum > 0 AND NOT attisdropped AND col_description(a.attrelid, attnum) IS NULL
UNION ALL SELECT 'has no comment', nspname FROM pg_namespace WHERE nspname = 'backorder_internal' AND obj_description(oid, 'pg_namespace') IS NULL
UNION ALL SELECT 'has no comment', evtname FROM pg_event_trigger WHERE evtname LIKE 'backorder%' AND obj_description(oid, 'pg_event_trigger') IS NULL
UNION ALL SELECT 'is not named', format('argument %s of %s', n, name)
FROM routine, generate_series(1, coalesce(cardinality(proallargtypes), pronargs::integer)) AS n WHERE coalesce(proargnames[n], '') = ''
UNION ALL SELECT 'is not explained', format('argument %s of %s', a.name, routine.name)
FROM routine, unnest(proargnames) WITH ORDINALITY AS a (name, n)
WHERE (nspname = 'backorder' OR a.n <= pronargs) AND a.name <> '' AND coalesce(comment, '') !~ format('\n([a-z_]+, )*%s(, [a-z_]+)*: .', a.name);

SELECT * FROM wrong ORDER BY what COLLATE "C", name COLLATE "C";

-- Which sees what is wrong.
BEGIN;
CREATE FUNCTION backorder.helper(first integer, integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
COMMENT ON FUNCTION backorder.helper IS 'Helps with a first argument.';
CREATE FUNCTION backorder_internal.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION backorder.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE backorder_internal.state (n integer);
CREATE VIEW backorder.state AS TABLE backorder_internal.state;
CREATE TYPE backorder.colour AS ENUM ('red');
COMMENT ON COLUMN backorder.backlog.rank IS NULL;
DELETE FROM for_users WHERE name = 'backorder.verify';
INSERT INTO for_users VALUES ('backorder.what_if');
SELECT * FROM wrong ORDER BY what COLLATE "C", name COLLATE "C";
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA catalog CASCADE;
RESET client_min_messages;
SELECT * FROM backorder.verify();
