-- compact(): old movements become one opening per item and location, old ledger rows go into their
-- lines, what the application deleted goes; no counter, view of what is open, or fill rate changes.
\set SHOW_CONTEXT never
CREATE SCHEMA compacting;
SET search_path = compacting;
SET TimeZone = 'UTC';
CREATE TABLE line (order_no integer, n integer, sku text, qty integer, shipped integer NOT NULL DEFAULT 0, live boolean NOT NULL DEFAULT true, PRIMARY KEY (order_no, n));
SELECT backorder.attach('line', item => 'sku', quantity => 'qty', order_key => 'order_no', line_key => 'n', shipped => 'shipped', live => 'live', tenant => 'compacting') > 0 AS attached;
INSERT INTO backorder.supplier (tenant, supplier, lead_time) VALUES ('compacting', 'acme', 30000);

-- A history: goods bought, counted, held, moved, shipped; orders short, served late, ended, deleted.
INSERT INTO backorder.stock_movement (tenant, item, location, kind, quantity) VALUES ('compacting', 'a', '', 'opening', 10), ('compacting', 'b', 'x', 'opening', 5), ('not compacting', 'a', '', 'opening', 7);
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity) VALUES ('not compacting', 'a', 'receipt', 1);
INSERT INTO line SELECT n, 1, 'a', 4 FROM generate_series(1, 6) n;
INSERT INTO line VALUES (7, 1, 'c', 3), (7, 2, 'c', 2), (8, 1, 'c', 1);
INSERT INTO backorder.purchase_order (tenant, po_id, supplier, status) SELECT 'compacting', n, 'acme', 'draft' FROM generate_series(1, 3) n;
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, expected_at)
VALUES ('compacting', 1, 1, 'a', 8, '2090-01-01'), ('compacting', 1, 2, 'c', 4, '2090-01-02'),
	('compacting', 2, 1, 'a', 10, '2090-01-03'), ('compacting', 3, 1, 'c', 5, '2090-02-01');
UPDATE backorder.purchase_order SET status = 'placed' WHERE tenant = 'compacting';
SELECT count(*) FROM backorder.receive_purchase_line(1, 1, 5, reference => 'note 1', tenant => 'compacting');
SELECT count(*) FROM backorder.receive_purchase_line(1, 1, 2, reference => 'note 2', tenant => 'compacting');
SELECT count(*) FROM backorder.receive_purchase_line(1, 2, 4, reference => 'note 3', tenant => 'compacting');
SELECT count(*) FROM backorder.receive_purchase_line(2, 1, 1, reference => 'note 4', tenant => 'compacting');
SELECT backorder.close_purchase_order(1, tenant => 'compacting');
SELECT count(*) FROM backorder.hold_stock('a', 2, 'damaged', tenant => 'compacting');
SELECT count(*) FROM backorder.release_stock('a', 1, tenant => 'compacting');
SELECT count(*) FROM backorder.transfer('b', 2, 'x', 'y', tenant => 'compacting');
SELECT count(*) FROM backorder.count_stock('b', 4, 'x', reference => 'count 1', tenant => 'compacting');
UPDATE line SET shipped = 4 WHERE order_no IN (1, 2);
UPDATE line SET shipped = 3 WHERE order_no = 7 AND n = 1;
UPDATE line SET live = false WHERE order_no IN (2, 4);
DELETE FROM line WHERE order_no = 1;
UPDATE line SET shipped = 1, live = false WHERE order_no = 8;
DELETE FROM line WHERE order_no = 8;
INSERT INTO line VALUES (9, 1, NULL, 1);
SELECT count(*) > 0 AS taken FROM backorder.take_events(1000000, 'compacting');
-- One that came once and never again would keep all events; it is dropped.
SELECT count(*) > 0 AS taken FROM backorder.take_events(1, 'compacting once');
SELECT backorder.drop_consumer('compacting once');

-- It was long ago, but for one shipment of a line that was deleted since.
UPDATE backorder.stock_movement SET applied_at = '2020-01-01', occurred_at = '2020-01-01' WHERE tenant LIKE '%compacting';
UPDATE backorder.allocation SET allocated_at = '2020-01-01' WHERE tenant = 'compacting';
UPDATE backorder.order_line SET queued_at = '2020-01-01'::timestamptz + order_key::integer * interval '1 hour' WHERE tenant = 'compacting';
UPDATE backorder.event SET created_at = '2020-01-01' WHERE tenant = 'compacting';
INSERT INTO line VALUES (10, 1, 'b', 1), (11, 1, 'a', 1);
UPDATE backorder.order_line SET queued_at = '2020-02-01' WHERE tenant = 'compacting' AND order_key IN ('10', '11');
UPDATE line SET shipped = 1 WHERE order_no IN (10, 11);
DELETE FROM line WHERE order_no IN (10, 11);
SELECT * FROM backorder.verify();

CREATE TABLE before AS
SELECT 'stock' AS what, s.item || '/' || s.location AS key, to_jsonb(s) - 'version' AS value FROM backorder.stock s WHERE s.tenant = 'compacting'
UNION ALL SELECT 'line', l.order_key || '/' || l.line_key, to_jsonb(l) - 'folded' FROM backorder.order_line l WHERE l.tenant = 'compacting' AND NOT l.deleted
UNION ALL SELECT 'fill rate', f.item || '/' || f.location, to_jsonb(f) FROM backorder.fill_rate f WHERE f.tenant = 'compacting'
UNION ALL SELECT 'aging', a.bucket, to_jsonb(a) - 'oldest' FROM backorder.aging a WHERE a.tenant = 'compacting'
UNION ALL SELECT 'backlog', b.order_key || '/' || b.line_key, to_jsonb(b) - 'age' FROM backorder.backlog b WHERE b.tenant = 'compacting'
UNION ALL SELECT 'pegging', p.order_key || '/' || p.line_key || '/' || p.po_id, to_jsonb(p) FROM backorder.pegging p WHERE p.tenant = 'compacting'
UNION ALL SELECT 'purchases', p.po_id || '/' || p.line_no, to_jsonb(p) FROM backorder.purchases p WHERE p.tenant = 'compacting'
UNION ALL SELECT 'unsourced', u.item, to_jsonb(u) FROM backorder.unsourced u WHERE u.tenant = 'compacting';
SELECT item, location, kind, count(*), sum(quantity) AS quantity, sum(unavailable) AS unavailable FROM backorder.stock_movement WHERE tenant = 'compacting' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT order_key, line_key, deleted FROM backorder.order_line WHERE tenant = 'compacting' AND deleted ORDER BY order_key::integer;
SELECT count(*) AS ledger, count(DISTINCT line_id) AS lines FROM backorder.allocation WHERE tenant = 'compacting';

-- Some places only, then the rest, then nothing.
SELECT * FROM backorder.compact('2021-01-01', places => 1, tenant => 'compacting');
SELECT * FROM backorder.verify();
SELECT * FROM backorder.compact('2021-01-01', tenant => 'compacting');
SELECT * FROM backorder.verify();
SELECT * FROM backorder.compact('2021-01-01', tenant => 'compacting');

SELECT item, location, kind, quantity, unavailable, po_id, line_id IS NULL AS no_line, reference, reason, occurred_at < '2021-01-01' AS old FROM backorder.stock_movement WHERE tenant = 'compacting' ORDER BY 1, 2, movement_id;
SELECT kind, quantity FROM backorder.stock_movement WHERE tenant = 'not compacting' ORDER BY movement_id;
SELECT count(*) FROM backorder.allocation WHERE tenant = 'compacting' AND allocated_at < '2021-01-01';
SELECT order_key, line_key, deleted, first_allocated, folded, allocated FROM backorder.order_line WHERE tenant = 'compacting' ORDER BY order_key::integer, line_key;
SELECT order_key FROM backorder.sales_order WHERE tenant = 'compacting' ORDER BY order_key::integer;
SELECT po_id, line_no, received, folded, open FROM backorder.supply WHERE tenant = 'compacting' ORDER BY 1, 2;
TABLE before EXCEPT (
SELECT 'stock' AS what, s.item || '/' || s.location AS key, to_jsonb(s) - 'version' AS value FROM backorder.stock s WHERE s.tenant = 'compacting'
UNION ALL SELECT 'line', l.order_key || '/' || l.line_key, to_jsonb(l) - 'folded' FROM backorder.order_line l WHERE l.tenant = 'compacting' AND NOT l.deleted
UNION ALL SELECT 'fill rate', f.item || '/' || f.location, to_jsonb(f) FROM backorder.fill_rate f WHERE f.tenant = 'compacting'
UNION ALL SELECT 'aging', a.bucket, to_jsonb(a) - 'oldest' FROM backorder.aging a WHERE a.tenant = 'compacting'
UNION ALL SELECT 'backlog', b.order_key || '/' || b.line_key, to_jsonb(b) - 'age' FROM backorder.backlog b WHERE b.tenant = 'compacting'
UNION ALL SELECT 'pegging', p.order_key || '/' || p.line_key || '/' || p.po_id, to_jsonb(p) FROM backorder.pegging p WHERE p.tenant = 'compacting'
UNION ALL SELECT 'purchases', p.po_id || '/' || p.line_no, to_jsonb(p) FROM backorder.purchases p WHERE p.tenant = 'compacting'
UNION ALL SELECT 'unsourced', u.item, to_jsonb(u) FROM backorder.unsourced u WHERE u.tenant = 'compacting');

-- Life goes on with what was folded: corrections, reversals, other items, other keys, a return to life.
UPDATE line SET shipped = 3 WHERE order_no = 2;
UPDATE line SET shipped = 2 WHERE order_no = 7 AND n = 1;
SELECT * FROM backorder.verify();
UPDATE line SET qty = 1 WHERE order_no = 3;
UPDATE line SET order_no = 30 WHERE order_no = 5;
SELECT order_key, first_allocated, folded, allocated FROM backorder.order_line WHERE tenant = 'compacting' AND order_key = '30';
SELECT * FROM backorder.verify();
UPDATE line SET sku = 'c' WHERE order_no = 7 AND n = 2;
UPDATE line SET sku = 'a' WHERE order_no = 7 AND n = 1;
SELECT order_key, line_key, item, folded, first_allocated, allocated FROM backorder.order_line WHERE tenant = 'compacting' AND order_key = '7' ORDER BY 2;
SELECT * FROM backorder.verify();
UPDATE line SET live = true, qty = 9 WHERE order_no = 2;
SELECT count(*) FROM backorder.receive_purchase_line(1, 1, -1, tenant => 'compacting');
SELECT count(*) FROM backorder.receive_purchase_line(2, 1, -1, tenant => 'compacting');
SELECT backorder.cancel_purchase_order(2, tenant => 'compacting');
DELETE FROM backorder.purchase_order WHERE tenant = 'compacting' AND po_id = 2;
SELECT * FROM backorder.verify();
-- Of a folded movement the reference is forgotten, of one that stays it is not.
SELECT count(*) FROM backorder.count_stock('b', 3, 'x', reference => 'count 1', tenant => 'compacting');
SELECT quantity FROM backorder.stock_movement WHERE tenant = 'compacting' AND reference = 'count 1';
SELECT count(*) FROM backorder.receive('a', 2, reference => 'note 4', tenant => 'compacting');
-- A deleted line that was removed and comes back is new.
INSERT INTO line VALUES (1, 1, 'a', 4, 1);
SELECT kind, quantity FROM backorder.stock_movement WHERE tenant = 'compacting' ORDER BY movement_id DESC LIMIT 1;
SELECT * FROM backorder.verify();
-- All of it is old one day.
UPDATE backorder.stock_movement SET applied_at = '2022-01-01' WHERE tenant = 'compacting' AND applied_at > '2021-01-01';
UPDATE backorder.allocation SET allocated_at = '2022-01-01' WHERE tenant = 'compacting';
SELECT movements > 0 AS movements, openings, allocations > 0 AS allocations, lines, orders, events FROM backorder.compact('2023-01-01', tenant => 'compacting');
SELECT * FROM backorder.verify();
SELECT count(*) FROM backorder.allocation WHERE tenant = 'compacting';
-- What is folded counts for resync() too.
SELECT backorder.resync('line');
SELECT * FROM backorder.verify();
SELECT order_key FROM backorder.order_line WHERE tenant = 'compacting' AND deleted;
-- Orders that an import has not come to are left.
SELECT backorder.detach('line');
SELECT backorder.attach('line', item => 'sku', quantity => 'qty', order_key => 'order_no', line_key => 'n', shipped => 'shipped', live => 'live', tenant => 'compacting', import => false) > 0 AS attached;
SELECT orders FROM backorder.compact('2023-01-01', tenant => 'compacting');
CALL backorder.import('line');
SELECT * FROM backorder.verify();

-- Refused.
SELECT * FROM backorder.compact(NULL);
SELECT * FROM backorder.compact('2200-01-01', tenant => 'compacting');
SELECT * FROM backorder.compact('infinity', tenant => 'compacting');
SELECT * FROM backorder.compact('-infinity', tenant => 'compacting');
SELECT * FROM backorder.compact('2023-01-01', NULL);
SELECT * FROM backorder.compact('2023-01-01', places => 0, tenant => 'compacting');
SELECT has_function_privilege('public', 'backorder.compact(timestamptz, text, integer)', 'EXECUTE', tenant => 'compacting');

SET client_min_messages = warning;
DROP SCHEMA compacting CASCADE;
