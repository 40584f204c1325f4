-- What refers to suppliers and purchase orders: refused where they are not there, taken along or kept
-- where they go, as by foreign keys. Rows with a stamp of another time, as a restore brings them, pass
-- in any order, and verify() says what is missing.

\set SHOW_CONTEXT never

INSERT INTO backorder.supplier (tenant, supplier) VALUES ('refs', 'r1'), ('refs', 'r2'), ('other', 'r3');

-- An unknown supplier, or one of another tenant.
INSERT INTO backorder.supplier_item (tenant, supplier, item) VALUES ('refs', 'r1', 'x'), ('refs', 'r3', 'x');
\echo :SQLSTATE
INSERT INTO backorder.supplier_item (tenant, supplier, item) VALUES ('refs', 'r1', 'x'), ('refs', 'r2', 'y');
UPDATE backorder.supplier_item SET supplier = 'r9' WHERE tenant = 'refs' AND item = 'x';
\echo :SQLSTATE
INSERT INTO backorder.purchase_order (tenant, po_id, supplier) VALUES ('refs', 700000001, 'r9');
\echo :SQLSTATE
INSERT INTO backorder.purchase_order (tenant, po_id, supplier) VALUES ('refs', 700000001, 'r1'), ('refs', 700000002, 'r2');
UPDATE backorder.purchase_order SET supplier = 'r9' WHERE tenant = 'refs' AND po_id = 700000002;
\echo :SQLSTATE
UPDATE backorder.purchase_order SET supplier = 'r1' WHERE tenant = 'refs' AND po_id = 700000002;

-- An unknown purchase order; one that the same statement writes is known.
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered) VALUES ('refs', 700000001, 1, 'x', 1), ('refs', 700000009, 1, 'x', 1);
\echo :SQLSTATE
WITH new AS (
	INSERT INTO backorder.purchase_order (tenant, po_id, supplier) VALUES ('refs', 700000003, 'r1')
)
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered) VALUES ('refs', 700000003, 1, 'x', 1), ('refs', 700000001, 1, 'x', 1);
WITH new AS (
	INSERT INTO backorder.supplier (tenant, supplier) VALUES ('refs', 'r4')
)
INSERT INTO backorder.supplier_item (tenant, supplier, item) VALUES ('refs', 'r4', 'x');

-- A supplier that was bought from stays; a new name goes everywhere; one without purchase orders
-- takes what it supplies along.
DELETE FROM backorder.supplier WHERE tenant = 'refs' AND supplier = 'r1';
\echo :SQLSTATE
SELECT backorder.place_purchase_order(700000001, tenant => 'refs');
UPDATE backorder.supplier SET supplier = 'r1 renamed' WHERE tenant = 'refs' AND supplier = 'r1';
SELECT po_id, supplier, status FROM backorder.purchase_order WHERE tenant = 'refs' ORDER BY 1;
UPDATE backorder.supplier SET name = 'Two', supplier = 'r2' WHERE tenant = 'refs' AND supplier = 'r2';
DELETE FROM backorder.supplier WHERE tenant = 'refs' AND supplier IN ('r2', 'r4');
SELECT supplier, item FROM backorder.supplier_item WHERE tenant = 'refs';
-- Nothing refers to what is there as to something that is gone.
SELECT * FROM backorder_internal.supplier_references('refs', 'r1 renamed');

-- Purchase orders that are deleted take their lines along.
DELETE FROM backorder.purchase_order WHERE tenant = 'refs' AND po_id = 700000001;
\echo :SQLSTATE
SELECT backorder.cancel_purchase_order(700000001, tenant => 'refs');
DELETE FROM backorder.purchase_order WHERE tenant = 'refs';
SELECT count(*) FROM backorder.purchase_order_line WHERE tenant = 'refs';

-- TRUNCATE, all or nothing.
BEGIN;
INSERT INTO backorder.purchase_order (tenant, po_id, supplier) VALUES ('refs', 700000004, 'r1 renamed');
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered) VALUES ('refs', 700000004, 1, 'x', 1);
SAVEPOINT s;
TRUNCATE backorder.supplier;
\echo :SQLSTATE
ROLLBACK TO s;
TRUNCATE backorder.purchase_order;
\echo :SQLSTATE
ROLLBACK TO s;
TRUNCATE backorder.purchase_order_line, backorder.purchase_order, backorder.supplier_item, backorder.supplier;
ROLLBACK;

-- As a restore writes them: in any order.
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, applied_at) VALUES ('refs', 700000005, 1, 'x', 1, '2026-01-01');
INSERT INTO backorder.supplier_item (tenant, supplier, item, applied_at) VALUES ('refs', 'r5', 'x', '2026-01-01');
INSERT INTO backorder.purchase_order (tenant, po_id, supplier, applied_at) VALUES ('refs', 700000006, 'r5', '2026-01-01');
SELECT * FROM backorder.verify();
INSERT INTO backorder.purchase_order (tenant, po_id, supplier, applied_at) VALUES ('refs', 700000005, 'r5', '2026-01-01');
INSERT INTO backorder.supplier (tenant, supplier) VALUES ('refs', 'r5');
SELECT * FROM backorder.verify();

DELETE FROM backorder.purchase_order WHERE tenant = 'refs';
DELETE FROM backorder.supplier WHERE tenant IN ('refs', 'other');
SELECT count(*) FROM backorder.supplier_item WHERE tenant = 'refs';
SELECT * FROM backorder.verify();
