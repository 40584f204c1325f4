-- A pooler in transaction mode: one backend, many clients, each transaction under another role and with other settings, and everything
-- thrown away in between. Nothing of the work at commit needs what a session had before.
SET client_min_messages = warning;
CREATE ROLE regress_backorder_shop;
CREATE ROLE regress_backorder_clerk;
CREATE ROLE regress_backorder_web;
CREATE SCHEMA pooler AUTHORIZATION regress_backorder_shop;
GRANT USAGE ON SCHEMA pooler TO regress_backorder_clerk, regress_backorder_web;
GRANT USAGE ON SCHEMA backorder TO regress_backorder_shop;
GRANT EXECUTE ON FUNCTION backorder.attach TO regress_backorder_shop;
SET ROLE regress_backorder_shop;
CREATE TABLE pooler.header (id integer PRIMARY KEY, state text NOT NULL DEFAULT 'open', at timestamptz DEFAULT '2026-01-01 00:00+00');
CREATE TABLE pooler.line (order_id integer REFERENCES pooler.header, no integer, item text, quantity integer, owner text DEFAULT current_user, PRIMARY KEY (order_id, no));
CREATE TABLE pooler.now_line (LIKE pooler.line INCLUDING ALL);
SELECT backorder.attach('pooler.line', 'item', 'quantity', order_key => 'order_id', line_key => 'no', header_table => 'pooler.header', live => $$state = 'open'$$, queued_at => 'at') > 0 AS attached;
SELECT backorder.attach('pooler.now_line', 'item', 'quantity', order_key => 'order_id', line_key => 'no', timing => 'immediate', on_error => 'park') > 0 AS attached;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pooler TO regress_backorder_web, regress_backorder_clerk;
ALTER TABLE pooler.line ENABLE ROW LEVEL SECURITY;
ALTER TABLE pooler.line FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON pooler.line USING (owner = current_user) WITH CHECK (true);
RESET ROLE;
CREATE VIEW pooler.recorded AS
SELECT s.line_table, l.order_key, l.line_key, l.item, l.ordered, l.allocated || '/' || l.backordered AS has
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'pooler' ORDER BY 1, 2, 3;
INSERT INTO pooler.header VALUES (1), (2), (3);
SELECT count(*) FROM backorder.receive('po A', 10);

DISCARD ALL;
BEGIN;
SET LOCAL ROLE regress_backorder_web;
SET LOCAL search_path = pooler;
SET LOCAL TimeZone = 'Asia/Tokyo';
SET LOCAL enable_indexscan = off;
PREPARE enter AS INSERT INTO line (order_id, no, item, quantity) VALUES ($1, $2, 'po A', $3);
EXECUTE enter(1, 1, 4);
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL ROLE regress_backorder_clerk;
INSERT INTO pooler.line (order_id, no, item, quantity) VALUES (2, 1, 'po A', 4);
INSERT INTO pooler.now_line (order_id, no, item, quantity) VALUES (3, 1, 'po A', 1);
UPDATE pooler.line SET quantity = 5;
COMMIT;
TABLE pooler.recorded;
DEALLOCATE ALL;
DISCARD PLANS;
-- Begun under one role, ended under another; rolled back, with everything the client set.
SET ROLE regress_backorder_web;
BEGIN;
UPDATE pooler.line SET quantity = 3;
SET ROLE regress_backorder_clerk;
UPDATE pooler.line SET quantity = 6;
RESET ROLE;
COMMIT;
TABLE pooler.recorded;
SET ROLE regress_backorder_web;
BEGIN;
SET datestyle = 'SQL, DMY';
UPDATE pooler.header SET state = 'shut' WHERE id = 1;
SAVEPOINT a;
UPDATE pooler.now_line SET quantity = 7;
ROLLBACK TO a;
ROLLBACK;
DISCARD ALL;
TABLE pooler.recorded;
-- A client that left an error behind, and one that leaves a transaction that wrote nothing.
BEGIN;
SET LOCAL ROLE regress_backorder_web;
UPDATE pooler.now_line SET quantity = 8;
SELECT 1 / 0;
COMMIT;
RESET ALL;
BEGIN READ ONLY;
SELECT count(*) FROM pooler.header;
COMMIT;
DISCARD ALL;
-- Sequences, temporary tables and notifications thrown away while work is pending, in one transaction each.
BEGIN;
SET LOCAL ROLE regress_backorder_web;
INSERT INTO pooler.now_line (order_id, no, item, quantity) VALUES (3, 2, 'po A', 1);
DISCARD PLANS;
DISCARD SEQUENCES;
DISCARD TEMP;
UPDATE pooler.header SET state = 'shut' WHERE id = 1;
DISCARD PLANS;
COMMIT;
TABLE pooler.recorded;
SET SESSION AUTHORIZATION regress_backorder_clerk;
UPDATE pooler.line SET quantity = 2;
RESET SESSION AUTHORIZATION;
DISCARD ALL;
TABLE pooler.recorded;
SELECT * FROM backorder.verify();

SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source WHERE line_schema = 'pooler' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA pooler CASCADE;
DROP OWNED BY regress_backorder_shop;
DROP ROLE regress_backorder_shop, regress_backorder_clerk, regress_backorder_web;
