-- Roles: the application needs no right in schema backorder to write orders, and gets none.

\set SHOW_CONTEXT never
CREATE ROLE regress_backorder_owner;
CREATE ROLE regress_backorder_app;
CREATE ROLE regress_backorder_buyer;
CREATE SCHEMA roles AUTHORIZATION regress_backorder_owner;
GRANT USAGE ON SCHEMA roles TO PUBLIC;
GRANT USAGE ON SCHEMA backorder TO regress_backorder_owner, regress_backorder_app;
SET search_path = roles;

SET ROLE regress_backorder_owner;
CREATE TABLE header (id integer PRIMARY KEY, customer text, state text NOT NULL DEFAULT 'open', entered_by text DEFAULT current_user);
CREATE TABLE line (order_id integer REFERENCES header ON DELETE CASCADE, no integer, item text, quantity integer, shipped integer DEFAULT 0, PRIMARY KEY (order_id, no));
GRANT SELECT, INSERT, UPDATE, DELETE ON header, line TO regress_backorder_app;
CREATE TABLE secret (item text PRIMARY KEY, sku text);
INSERT INTO secret VALUES ('a', 'ro A'), ('b', 'ro B');
-- The mapping runs as the owner: it may read what the application may not.
CREATE FUNCTION sku(text) RETURNS text LANGUAGE sql STABLE AS $$SELECT sku FROM roles.secret WHERE item = $1$$;

-- attach is not for everyone, ...
SELECT backorder.attach('line', 'item', 'quantity');
\echo :SQLSTATE
-- ... and of other people's tables only for a superuser.
RESET ROLE;
GRANT EXECUTE ON FUNCTION backorder.attach, backorder.detach, backorder.detach_source, backorder.resync TO regress_backorder_owner, regress_backorder_app;
SET ROLE regress_backorder_app;
SELECT backorder.attach('line', 'item', 'quantity');
\echo :SQLSTATE
SET ROLE regress_backorder_owner;
SELECT backorder.attach('line', 'roles.sku(line.item)', 'quantity', line_key => 'no', order_key => 'order_id', header_table => 'header', header_key => 'id',
	live => $$state = 'open'$$, customer => $$customer || ' by ' || entered_by || ' read by ' || current_user$$, shipped => 'shipped') > 0 AS attached;
SET ROLE regress_backorder_app;
SELECT backorder.detach('line');
\echo :SQLSTATE
SELECT backorder.resync('line');
\echo :SQLSTATE
SET ROLE regress_backorder_owner;
SELECT backorder.detach_source(1);
\echo :SQLSTATE
RESET ROLE;
REVOKE ALL ON SCHEMA backorder FROM regress_backorder_owner, regress_backorder_app;
REVOKE ALL ON FUNCTION backorder.attach, backorder.detach, backorder.detach_source, backorder.resync FROM regress_backorder_owner, regress_backorder_app;
SELECT count(*) FROM backorder.receive('ro A', 5);

CREATE VIEW recorded AS
SELECT l.order_key, l.line_key, l.item, l.customer, l.ordered, l.shipped, l.allocated || '/' || l.backordered AS "a/b", l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'roles';

-- The application's role writes orders and sees nothing of it, even where it may name what it does not see.
SET ROLE regress_backorder_app;
INSERT INTO header (id, customer) VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO line VALUES (1, 1, 'a', 3), (2, 1, 'a', 3), (2, 2, 'b', 1);
UPDATE line SET quantity = 2 WHERE (order_id, no) = (1, 1);
UPDATE line SET shipped = 1 WHERE (order_id, no) = (1, 1);
SELECT * FROM roles.secret;
\echo :SQLSTATE
RESET ROLE;
GRANT USAGE ON SCHEMA backorder TO regress_backorder_app;
SET ROLE regress_backorder_app;
SELECT * FROM backorder.order_line;
\echo :SQLSTATE
SELECT backorder.receive('ro A', 100);
\echo :SQLSTATE
SELECT backorder.flush();
\echo :SQLSTATE
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('ro A', 'receipt', 100);
\echo :SQLSTATE
RESET ROLE;
REVOKE USAGE ON SCHEMA backorder FROM regress_backorder_app;
SET ROLE regress_backorder_app;
BEGIN;
INSERT INTO line VALUES (1, 2, 'b', 9);
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK;
DELETE FROM header WHERE id = 2;
RESET ROLE;
SELECT order_key, line_key, item, customer, ordered, shipped, "a/b" FROM recorded ORDER BY line_id;
SELECT on_hand, allocated, backordered FROM backorder.stock WHERE item = 'ro A' AND tenant = '';

-- A search path with operators and functions of the writer's own, and temporary tables that shadow, change nothing.
GRANT TEMPORARY ON DATABASE :DBNAME TO regress_backorder_app;
CREATE SCHEMA roles_evil AUTHORIZATION regress_backorder_app;
SET ROLE regress_backorder_app;
CREATE FUNCTION roles_evil.never(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR roles_evil.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = roles_evil.never);
CREATE FUNCTION roles_evil.never(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR roles_evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = roles_evil.never);
CREATE FUNCTION roles_evil.minus(numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT 0::numeric';
CREATE OPERATOR roles_evil.- (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = roles_evil.minus);
CREATE FUNCTION roles_evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
CREATE TEMP TABLE order_line (like_ours integer);
CREATE TEMP TABLE stock (like_ours integer);
CREATE TEMP TABLE line (like_ours integer);
SET search_path = roles_evil, pg_temp, pg_catalog, roles;
INSERT INTO roles.header (id, customer) VALUES (3, 'Cyd');
INSERT INTO roles.line VALUES (3, 1, 'a', 7);
DROP TABLE pg_temp.order_line, pg_temp.stock, pg_temp.line;
RESET ROLE;
SET search_path = roles;
SELECT order_key, line_key, item, customer, ordered, shipped, "a/b" FROM recorded ORDER BY line_id;
SELECT on_hand, allocated, backordered FROM backorder.stock WHERE item = 'ro A' AND tenant = '';

-- Row level security of the application hides nothing from the mapping.
ALTER TABLE line ENABLE ROW LEVEL SECURITY;
ALTER TABLE line FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON line FOR ALL TO regress_backorder_app USING (order_id = 3) WITH CHECK (true);
SET ROLE regress_backorder_app;
INSERT INTO line VALUES (1, 3, 'b', 4);
UPDATE line SET quantity = 6;
SELECT order_id, no FROM line;
RESET ROLE;
SELECT order_key, line_key, item, ordered, shipped, "a/b" FROM recorded ORDER BY line_id;
SELECT * FROM backorder.verify();
ALTER TABLE line NO FORCE ROW LEVEL SECURITY;
ALTER TABLE line DISABLE ROW LEVEL SECURITY;

-- SET LOCAL, SET ROLE inside a transaction: the work at commit is done as whoever owns what it touches.
BEGIN;
SET LOCAL ROLE regress_backorder_app;
INSERT INTO line VALUES (3, 2, 'b', 1);
RESET ROLE;
COMMIT;
SELECT current_user = session_user AS same, count(*) FROM recorded WHERE order_key = '3';

-- A buyer may be given the stock functions without the tables.
GRANT USAGE ON SCHEMA backorder TO regress_backorder_buyer;
GRANT EXECUTE ON FUNCTION backorder.receive TO regress_backorder_buyer;
SET ROLE regress_backorder_buyer;
SELECT order_key, item, quantity FROM backorder.receive('ro A', 4);
UPDATE backorder.stock SET on_hand = 0;
\echo :SQLSTATE
RESET ROLE;
SELECT order_key, line_key, item, ordered, shipped, "a/b" FROM recorded ORDER BY line_id;

-- Nothing is granted to PUBLIC but the capture trigger's function, the one that mapping queries call, and to name them.
SELECT p.oid::regprocedure FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
WHERE p.pronamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND a.grantee = 0 ORDER BY p.proname;
SELECT c.oid::regclass, a.privilege_type FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
WHERE c.relnamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND c.relkind IN ('r', 'v', 'S') AND a.grantee = 0 ORDER BY c.relname, 2;
SELECT n.nspname, a.privilege_type FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
WHERE n.nspname IN ('backorder', 'backorder_internal') AND a.grantee = 0;
-- Each function that runs as its owner pins its search_path.
SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND prosecdef
	AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search_path=pg_catalog, pg_temp%') ORDER BY 1::text;

-- The owner of the tables changes: the mapping runs as the new one.
ALTER TABLE line OWNER TO regress_backorder_buyer;
GRANT SELECT, INSERT ON line TO regress_backorder_app;
SET ROLE regress_backorder_app;
INSERT INTO line VALUES (3, 3, 'b', 1);
\echo :SQLSTATE
RESET ROLE;
ALTER TABLE line OWNER TO regress_backorder_owner;

SELECT * FROM backorder.verify();
SELECT backorder.detach('line');
REVOKE ALL ON SCHEMA backorder FROM regress_backorder_buyer;
REVOKE ALL ON FUNCTION backorder.receive FROM regress_backorder_buyer;
REVOKE ALL ON DATABASE :DBNAME FROM regress_backorder_app;
SELECT * FROM backorder.verify();
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA roles, roles_evil CASCADE;
RESET client_min_messages;
DROP ROLE regress_backorder_owner;
DROP ROLE regress_backorder_app;
DROP ROLE regress_backorder_buyer;
SELECT * FROM backorder.verify();
