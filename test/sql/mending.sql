-- What a superuser changed in the extension's own tables: verify() shows it, resync() of the table mends it.
SET client_min_messages = warning;
CREATE SCHEMA mending;
SET search_path = mending;
CREATE TABLE header (id integer PRIMARY KEY, state text NOT NULL DEFAULT 'open');
CREATE TABLE line (order_id integer, no integer, item text, quantity integer, shipped integer NOT NULL DEFAULT 0, held boolean NOT NULL DEFAULT false, PRIMARY KEY (order_id, no));
SELECT backorder.attach('line', 'item', 'quantity', line_key => 'no', order_key => 'order_id', header_table => 'header', live => $$state = 'open'$$, shipped => 'shipped', held => 'held',
	tenant => 'mending') > 0 AS attached;
CREATE VIEW recorded AS
SELECT order_key, line_key, item, ordered, shipped, allocated || '/' || backordered AS has, promised_at FROM backorder.order_line WHERE tenant = 'mending' ORDER BY line_id;
CREATE VIEW counters AS
SELECT item, on_hand, unavailable, allocated, backordered, backordered_held, on_order FROM backorder.stock WHERE tenant = 'mending' ORDER BY item;
INSERT INTO backorder.supplier (tenant, supplier) VALUES ('mending', 'm');
INSERT INTO backorder.purchase_order (tenant, po_id, supplier, status) VALUES ('mending', 1000000002, 'm', 'placed');
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, expected_at) VALUES ('mending', 1000000002, 1, 'A', 6, '2099-12-01');
SELECT count(*) FROM backorder.receive('A', 6, tenant => 'mending');
SELECT count(*) FROM backorder.receive('B', 2, tenant => 'mending');
INSERT INTO header VALUES (1), (2), (3);
INSERT INTO line VALUES (1, 1, 'A', 3, 1, false), (1, 2, 'B', 2, 0, false), (2, 1, 'A', 6, 0, false), (3, 1, 'A', 1, 0, true), (3, 2, 'C', 1, 0, false);
UPDATE line SET quantity = 4 WHERE (order_id, no) = (1, 1);
SELECT order_key, quantity FROM backorder.receive('A', 2, tenant => 'mending');
TABLE recorded;
TABLE counters;
CREATE TABLE before AS TABLE recorded;
CREATE TABLE counted AS TABLE counters;
-- Each is done, shown, and mended to what was before.
CREATE FUNCTION tamper(command text) RETURNS TABLE (shown text, changed bigint, left_over text, same boolean) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	SELECT string_agg(DISTINCT check_name COLLATE "C", ' ') INTO shown FROM backorder.verify();
	changed := backorder.resync('mending.line');
	SET CONSTRAINTS ALL IMMEDIATE;
	SELECT string_agg(check_name || ' ' || expected || ' ' || actual, ', ') INTO left_over FROM backorder.verify();
	same := NOT EXISTS ((TABLE mending.recorded EXCEPT TABLE mending.before) UNION ALL (TABLE mending.before EXCEPT TABLE mending.recorded)
		UNION ALL SELECT item, NULL, NULL, on_hand, allocated, NULL, NULL FROM (TABLE mending.counters EXCEPT TABLE mending.counted) c);
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	RETURN NEXT;
END $$;
SELECT * FROM tamper($$SELECT$$);
SELECT * FROM tamper($$UPDATE backorder.stock SET on_hand = on_hand + 1, unavailable = unavailable + 1, on_order = on_order + 1 WHERE tenant = 'mending' AND item = 'A'$$);
SELECT * FROM tamper($$UPDATE backorder.stock SET allocated = allocated - 1, backordered = backordered + 2, backordered_held = backordered_held + 1 WHERE tenant = 'mending' AND item = 'A'$$);
SELECT * FROM tamper($$DELETE FROM backorder.stock WHERE tenant = 'mending'$$);
SELECT * FROM tamper($$UPDATE backorder.order_line SET allocated = allocated - 1 WHERE tenant = 'mending' AND allocated > 0$$);
SELECT * FROM tamper($$UPDATE backorder.order_line SET ordered = ordered + 5 WHERE tenant = 'mending'$$);
SELECT * FROM tamper($$UPDATE backorder.order_line SET customer = 'x', priority = 7, held = NOT held, requested_at = '2026-01-01' WHERE tenant = 'mending'$$);
SELECT * FROM tamper($$UPDATE backorder.order_line SET promised_at = '2099-11-30' WHERE tenant = 'mending'$$);
SELECT * FROM tamper($$UPDATE backorder.waiting_order SET last_notified = '{}' WHERE tenant = 'mending'$$);
SELECT * FROM tamper($$DELETE FROM backorder.waiting_order WHERE tenant = 'mending'$$);
SELECT * FROM tamper($$INSERT INTO backorder.waiting_order (tenant, source_id, order_key) SELECT tenant, source_id, '99' FROM backorder.source WHERE tenant = 'mending'$$);
SELECT * FROM tamper($$DELETE FROM backorder.sales_order WHERE tenant = 'mending'$$);
-- What cannot be as it was: the lines are there again, as new ones.
SELECT * FROM tamper($$DELETE FROM backorder.order_line WHERE tenant = 'mending' AND order_key = '1'$$);
SELECT * FROM tamper($$DELETE FROM backorder.order_line WHERE tenant = 'mending'; DELETE FROM backorder.sales_order WHERE tenant = 'mending'; DELETE FROM backorder.waiting_order WHERE tenant = 'mending'$$);
SELECT * FROM tamper($$DELETE FROM backorder.allocation WHERE tenant = 'mending'$$);
SELECT * FROM tamper($$DELETE FROM backorder.stock_movement WHERE tenant = 'mending'$$);
SELECT * FROM tamper($$UPDATE backorder.order_line SET item = 'B' WHERE tenant = 'mending' AND item = 'A'$$);
SELECT * FROM tamper($$INSERT INTO backorder.order_line (tenant, line_id, source_id, queued_at, order_key, line_key, item, ordered, allocated)
	SELECT 'mending', nextval('backorder_internal.line_id_seq'), source_id, now(), '7', '7', 'A', 2, 1 FROM backorder.source WHERE tenant = 'mending'$$);
-- On hand written up, and sold: it was there.
BEGIN;
UPDATE backorder.stock SET on_hand = 50 WHERE tenant = 'mending' AND item = 'A';
UPDATE line SET quantity = 8 WHERE (order_id, no) = (2, 1);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT check_name, expected, actual FROM backorder.verify();
SELECT backorder.resync('line');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT * FROM backorder.verify();
SELECT kind, quantity, reason FROM backorder.stock_movement WHERE tenant = 'mending' AND item = 'A' ORDER BY movement_id;
ROLLBACK;
SELECT * FROM backorder.verify();
SELECT backorder.detach('line');
SELECT * FROM backorder.verify();
DROP SCHEMA mending CASCADE;
