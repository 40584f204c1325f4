-- ERP systems as they keep orders: one schema each, in miniature, attached in one call, and written the way the program writes.
SET client_min_messages = warning;
CREATE SCHEMA shapes;
CREATE FUNCTION shapes.lines(shop text) RETURNS TABLE ("order" text, line text, item text, location text, ordered numeric, cancelled numeric, shipped numeric, has text, live boolean)
LANGUAGE sql AS $$
	SELECT order_key, line_key, item, location, trim_scale(ordered), trim_scale(cancelled), trim_scale(shipped), trim_scale(allocated) || '/' || trim_scale(backordered), live
	FROM backorder.order_line WHERE tenant = shop ORDER BY item, line_id
$$;
CREATE FUNCTION shapes.stock(shop text) RETURNS TABLE (item text, location text, on_hand numeric, allocated numeric, backordered numeric)
LANGUAGE sql AS $$
	SELECT item, location, trim_scale(on_hand), trim_scale(allocated), trim_scale(backordered) FROM backorder.stock WHERE tenant = shop ORDER BY 1, 2
$$;
CREATE FUNCTION shapes.told(shop text) RETURNS TABLE ("order" text, type text)
LANGUAGE sql AS $$SELECT aggregateid, type FROM backorder.event WHERE tenant = shop ORDER BY id$$;

-- Odoo: the state on the header, copied to the lines; sections are lines without a product; units of measure; everything in
-- REPEATABLE READ; half of the writes are totals.
CREATE SCHEMA odoo;
SET search_path = odoo;
CREATE TABLE uom_uom (id serial PRIMARY KEY, name jsonb, factor numeric NOT NULL);
CREATE TABLE sale_order (id serial PRIMARY KEY, name varchar NOT NULL, state varchar, warehouse_id integer, commitment_date timestamp, amount_total numeric);
CREATE TABLE sale_order_line (id serial PRIMARY KEY, order_id integer NOT NULL REFERENCES sale_order ON DELETE CASCADE, sequence integer, product_id integer, product_uom integer REFERENCES uom_uom,
	name text NOT NULL, display_type varchar, state varchar, product_uom_qty numeric, qty_delivered numeric, price_subtotal numeric);
CREATE INDEX ON sale_order_line (order_id);
INSERT INTO uom_uom (factor) VALUES (1), (12);
SELECT backorder.attach('sale_order_line', item => 'product_id', quantity => 'product_uom_qty * u.factor', shipped => 'qty_delivered * u.factor', order_key => 'order_id',
	header_table => 'sale_order', live => $$line.state IN ('sale', 'done')$$, location => 'warehouse_id', requested_at => 'commitment_date::date',
	joins => 'LEFT JOIN uom_uom u ON u.id = line.product_uom', tenant => 'odoo') > 0 AS attached;
SELECT count(*) FROM backorder.receive('31', 30, '1', tenant => 'odoo');
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO sale_order (name, state, warehouse_id) VALUES ('S00001', 'draft', 1);
INSERT INTO sale_order_line (order_id, sequence, product_id, product_uom, name, display_type, state, product_uom_qty, qty_delivered)
VALUES (1, 10, NULL, NULL, 'Chairs', 'line_section', 'draft', 0, 0), (1, 11, 31, 2, 'Chair, dozen', NULL, 'draft', 3.0, 0), (1, 12, 32, 1, 'Table', NULL, 'draft', 1.0, 0);
UPDATE sale_order_line SET price_subtotal = 10;
UPDATE sale_order SET amount_total = 20;
COMMIT;
SELECT count(*) AS recorded FROM shapes.lines('odoo');
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE sale_order SET state = 'sale', commitment_date = '2026-05-01 12:00' WHERE id = 1;
SAVEPOINT a;
UPDATE sale_order_line SET state = 'sale' WHERE order_id = 1;
RELEASE a;
COMMIT;
SELECT * FROM shapes.lines('odoo');
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE sale_order_line SET qty_delivered = 2.0 WHERE id = 2;
COMMIT;
UPDATE sale_order_line SET product_uom_qty = 2.5 WHERE id = 2;
SELECT * FROM shapes.lines('odoo');
SELECT order_key, requested_at FROM backorder.order_line WHERE tenant = 'odoo' AND item = '32';
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE sale_order SET state = 'cancel' WHERE id = 1;
UPDATE sale_order_line SET state = 'cancel' WHERE order_id = 1;
COMMIT;
SELECT * FROM shapes.lines('odoo');
SELECT * FROM shapes.stock('odoo');
SELECT * FROM backorder.verify();

-- ERPNext: names with spaces; a document is submitted line by line; stock quantity by conversion factor; what the supplier
-- delivers is not stocked; held and closed by status; amended as a new document.
CREATE SCHEMA erpnext;
SET search_path = erpnext;
CREATE TABLE "tabSales Order" (name varchar(140) PRIMARY KEY, docstatus smallint NOT NULL DEFAULT 0, status varchar(140), customer varchar(140), amended_from varchar(140), per_delivered numeric(21,9) DEFAULT 0);
CREATE TABLE "tabSales Order Item" (name varchar(140) PRIMARY KEY, parent varchar(140), parenttype varchar(140), idx bigint NOT NULL DEFAULT 0, docstatus smallint NOT NULL DEFAULT 0, item_code varchar(140),
	qty numeric(21,9) NOT NULL DEFAULT 0, conversion_factor numeric(21,9) NOT NULL DEFAULT 1, delivered_qty numeric(21,9) NOT NULL DEFAULT 0, warehouse varchar(140), delivery_date date,
	delivered_by_supplier smallint NOT NULL DEFAULT 0, supplier varchar(140));
CREATE INDEX ON "tabSales Order Item" (parent);
SELECT backorder.attach('"tabSales Order Item"', item => 'CASE WHEN delivered_by_supplier = 0 THEN item_code END', quantity => 'qty * conversion_factor', shipped => 'delivered_qty * conversion_factor',
	order_key => 'parent', header_table => '"tabSales Order"', location => 'warehouse', customer => 'customer', requested_at => 'delivery_date',
	live => $$header.docstatus = 1 AND header.status NOT IN ('Closed', 'Completed')$$, held => $$header.status = 'On Hold'$$, tenant => 'erpnext') > 0 AS attached;
SELECT count(*) FROM backorder.receive('BOLT', 20, 'Stores - X', tenant => 'erpnext');
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO "tabSales Order" (name, status, customer) VALUES ('SAL-ORD-1', 'Draft', 'Ann & Co');
INSERT INTO "tabSales Order Item" (name, parent, idx, item_code, qty, conversion_factor, warehouse) VALUES ('r1', 'SAL-ORD-1', 1, 'BOLT', 3, 10, 'Stores - X'), ('r2', 'SAL-ORD-1', 2, 'NUT', 5, 1, 'Stores - X');
INSERT INTO "tabSales Order Item" (name, parent, idx, item_code, qty, delivered_by_supplier, supplier) VALUES ('r3', 'SAL-ORD-1', 3, 'CRANE', 1, 1, 'Heavy Ltd');
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE "tabSales Order" SET docstatus = 1, status = 'To Deliver and Bill' WHERE name = 'SAL-ORD-1';
UPDATE "tabSales Order Item" SET docstatus = 1 WHERE name = 'r1';
UPDATE "tabSales Order Item" SET docstatus = 1 WHERE name = 'r2';
UPDATE "tabSales Order Item" SET docstatus = 1 WHERE name = 'r3';
COMMIT;
SELECT * FROM shapes.lines('erpnext');
UPDATE "tabSales Order" SET status = 'On Hold' WHERE name = 'SAL-ORD-1';
SELECT count(*) AS allocated FROM backorder.receive('NUT', 5, 'Stores - X', tenant => 'erpnext');
UPDATE "tabSales Order" SET status = 'To Deliver and Bill' WHERE name = 'SAL-ORD-1';
SELECT * FROM shapes.lines('erpnext');
-- A delivery note; "update items" writes, deletes and adds rows of a submitted order.
BEGIN;
UPDATE "tabSales Order Item" SET delivered_qty = 2 WHERE name = 'r1';
UPDATE "tabSales Order" SET per_delivered = 40 WHERE name = 'SAL-ORD-1';
COMMIT;
BEGIN;
UPDATE "tabSales Order Item" SET qty = 4 WHERE name = 'r1';
DELETE FROM "tabSales Order Item" WHERE name = 'r2';
INSERT INTO "tabSales Order Item" (name, parent, idx, docstatus, item_code, qty, warehouse) VALUES ('r4', 'SAL-ORD-1', 4, 1, 'WASHER', 2, 'Stores - X');
COMMIT;
SELECT * FROM shapes.lines('erpnext');
-- Cancelled and amended: the delivery note goes first, then the document, a copy takes its place.
UPDATE "tabSales Order Item" SET delivered_qty = 0 WHERE name = 'r1';
BEGIN;
UPDATE "tabSales Order" SET docstatus = 2, status = 'Cancelled' WHERE name = 'SAL-ORD-1';
UPDATE "tabSales Order Item" SET docstatus = 2 WHERE parent = 'SAL-ORD-1';
COMMIT;
INSERT INTO "tabSales Order" (name, docstatus, status, customer, amended_from) VALUES ('SAL-ORD-1-1', 1, 'To Deliver and Bill', 'Ann & Co', 'SAL-ORD-1');
INSERT INTO "tabSales Order Item" (name, parent, idx, docstatus, item_code, qty, conversion_factor, warehouse) VALUES ('r5', 'SAL-ORD-1-1', 1, 1, 'BOLT', 1, 10, 'Stores - X');
SELECT * FROM shapes.lines('erpnext');
UPDATE "tabSales Order" SET status = 'Closed' WHERE docstatus = 1;
SELECT * FROM shapes.stock('erpnext');
SELECT * FROM backorder.verify();

-- iDempiere: keys are numeric(10), booleans Y and N, sales and purchases in one table; voiding zeroes the lines, closing lowers
-- what is ordered to what was delivered.
CREATE SCHEMA idempiere;
SET search_path = idempiere;
CREATE TABLE c_order (c_order_id numeric(10) PRIMARY KEY, documentno varchar(30), docstatus char(2) NOT NULL, issotrx char(1) NOT NULL CHECK (issotrx IN ('Y', 'N')), datepromised timestamp);
CREATE TABLE c_orderline (c_orderline_id numeric(10) PRIMARY KEY, c_order_id numeric(10) NOT NULL REFERENCES c_order, line numeric(10), m_product_id numeric(10), m_warehouse_id numeric(10) NOT NULL,
	qtyordered numeric NOT NULL DEFAULT 0, qtydelivered numeric NOT NULL DEFAULT 0, qtyreserved numeric NOT NULL DEFAULT 0, isactive char(1) NOT NULL DEFAULT 'Y');
CREATE INDEX ON c_orderline (c_order_id);
SELECT backorder.attach('c_orderline', item => 'm_product_id', quantity => 'qtyordered', shipped => 'qtydelivered', order_key => 'c_order_id', header_table => 'c_order', location => 'm_warehouse_id',
	live => $$issotrx = 'Y' AND docstatus IN ('CO', 'IP') AND line.isactive = 'Y'$$, requested_at => 'datepromised::date', tenant => 'idempiere') > 0 AS attached;
SELECT count(*) FROM backorder.receive('123', 4, '103', tenant => 'idempiere');
INSERT INTO c_order VALUES (1000000, '80000', 'DR', 'Y'), (1000001, '90000', 'CO', 'N');
INSERT INTO c_orderline VALUES (1000000, 1000000, 10, 123, 103, 6), (1000001, 1000000, 20, 124, 103, 1), (1000002, 1000001, 10, 123, 103, 50);
SELECT count(*) AS recorded FROM shapes.lines('idempiere');
BEGIN;
UPDATE c_order SET docstatus = 'IP' WHERE c_order_id = 1000000;
UPDATE c_orderline SET qtyreserved = qtyordered WHERE c_order_id = 1000000;
UPDATE c_order SET docstatus = 'CO' WHERE c_order_id = 1000000;
COMMIT;
SELECT * FROM shapes.lines('idempiere');
UPDATE c_orderline SET qtydelivered = 4, qtyreserved = 2 WHERE c_orderline_id = 1000000;
UPDATE c_orderline SET isactive = 'N' WHERE c_orderline_id = 1000001;
SELECT * FROM shapes.lines('idempiere');
BEGIN;
UPDATE c_orderline SET qtyordered = qtydelivered, qtyreserved = 0 WHERE c_order_id = 1000000;
UPDATE c_order SET docstatus = 'CL' WHERE c_order_id = 1000000;
COMMIT;
INSERT INTO c_order VALUES (1000002, '80001', 'CO', 'Y');
INSERT INTO c_orderline VALUES (1000003, 1000002, 10, 123, 103, 2);
UPDATE c_orderline SET qtyordered = 0 WHERE c_order_id = 1000002;
UPDATE c_order SET docstatus = 'VO' WHERE c_order_id = 1000002;
SELECT * FROM shapes.lines('idempiere');
SELECT * FROM shapes.stock('idempiere');
SELECT * FROM backorder.verify();

-- LedgerSMB: a header that no foreign key names, quantities that may be NULL, and every save deletes all lines and writes them again.
CREATE SCHEMA ledgersmb;
SET search_path = ledgersmb;
CREATE TABLE oe (id serial PRIMARY KEY, ordnumber text, oe_class_id integer, closed boolean DEFAULT false, reqdate date);
CREATE TABLE orderitems (id serial PRIMARY KEY, trans_id integer, parts_id integer, description text, qty numeric, ship numeric, reqdate date);
CREATE INDEX ON orderitems (trans_id);
SELECT backorder.attach('orderitems', item => 'parts_id', quantity => 'qty', shipped => 'ship', order_key => 'trans_id', header_table => 'oe',
	live => 'oe_class_id = 1 AND NOT closed', requested_at => 'coalesce(line.reqdate, header.reqdate)', tenant => 'ledgersmb') > 0 AS attached;
SELECT count(*) FROM backorder.receive('17', 5, tenant => 'ledgersmb');
BEGIN;
INSERT INTO orderitems (trans_id, parts_id, qty, ship) VALUES (1, 17, 4, 0), (1, 17, 3, NULL), (1, 18, NULL, 0);
INSERT INTO oe (ordnumber, oe_class_id) VALUES ('SO-1', 1);
COMMIT;
CREATE TABLE saved AS SELECT line_id, allocated, backordered FROM backorder.order_line WHERE tenant = 'ledgersmb';
SELECT * FROM shapes.lines('ledgersmb');
BEGIN;
DELETE FROM orderitems WHERE trans_id = 1;
INSERT INTO orderitems (trans_id, parts_id, qty, ship) VALUES (1, 17, 4, 0), (1, 17, 3, 0), (1, 18, NULL, 0);
COMMIT;
SELECT count(*) AS same FROM saved JOIN backorder.order_line USING (line_id, allocated, backordered);
-- Shipped, by another save of the same kind.
BEGIN;
DELETE FROM orderitems WHERE trans_id = 1;
INSERT INTO orderitems (trans_id, parts_id, qty, ship) VALUES (1, 17, 4, 4), (1, 17, 3, 0), (1, 18, 2, 0);
COMMIT;
SELECT * FROM shapes.lines('ledgersmb');
UPDATE oe SET closed = true;
SELECT * FROM shapes.lines('ledgersmb');
UPDATE oe SET closed = false;
DELETE FROM oe;
SELECT * FROM shapes.stock('ledgersmb');
SELECT * FROM backorder.verify();

-- InvenTree: status codes; decimals; stock set aside for a line stands in a table of its own, what was shipped on the line.
CREATE SCHEMA inventree;
SET search_path = inventree;
CREATE TABLE order_salesorder (id serial PRIMARY KEY, reference varchar(64), status integer NOT NULL DEFAULT 10, target_date date);
CREATE TABLE order_salesorderlineitem (id serial PRIMARY KEY, order_id integer NOT NULL REFERENCES order_salesorder, part_id integer, quantity numeric(15,5) NOT NULL, shipped numeric(15,5) NOT NULL DEFAULT 0, target_date date);
CREATE INDEX ON order_salesorderlineitem (order_id);
CREATE TABLE order_salesorderallocation (id serial PRIMARY KEY, line_id integer NOT NULL REFERENCES order_salesorderlineitem ON DELETE CASCADE, quantity numeric(15,5) NOT NULL);
CREATE INDEX ON order_salesorderallocation (line_id);
SELECT backorder.attach('order_salesorderlineitem', item => 'part_id', quantity => 'quantity', shipped => 'shipped', order_key => 'order_id', header_table => 'order_salesorder',
	live => 'status IN (10, 15, 25)', held => 'status = 25', requested_at => 'coalesce(line.target_date, header.target_date)',
	picked => '(SELECT sum(a.quantity) FROM order_salesorderallocation a WHERE a.line_id = line.id)',
	watch => ARRAY['order_salesorderallocation: SELECT l.order_id FROM order_salesorderlineitem l WHERE l.id = watched.line_id'], tenant => 'inventree') > 0 AS attached;
SELECT count(*) FROM backorder.receive('5', 10.5, tenant => 'inventree');
INSERT INTO order_salesorder (reference) VALUES ('SO-0001'), ('SO-0002');
INSERT INTO order_salesorderlineitem (order_id, part_id, quantity) VALUES (1, 5, 6.25), (2, 5, 5);
INSERT INTO order_salesorderallocation (line_id, quantity) VALUES (1, 6.25);
SELECT * FROM shapes.lines('inventree');
-- A count says less is there: what is set aside stays.
SELECT count(*) FROM backorder.count_stock('5', 7, tenant => 'inventree');
SELECT * FROM shapes.lines('inventree');
BEGIN;
DELETE FROM order_salesorderallocation WHERE line_id = 1;
UPDATE order_salesorderlineitem SET shipped = 6.25 WHERE id = 1;
UPDATE order_salesorder SET status = 20 WHERE id = 1;
COMMIT;
UPDATE order_salesorder SET status = 25 WHERE id = 2;
SELECT * FROM shapes.lines('inventree');
UPDATE order_salesorder SET status = 40 WHERE id = 2;
SELECT * FROM shapes.stock('inventree');
SELECT * FROM backorder.verify();

-- OFBiz: keys of several texts; cancelled by quantity; a status on header and line; what was issued stands in a table of its own.
CREATE SCHEMA ofbiz;
SET search_path = ofbiz;
CREATE TABLE order_header (order_id varchar(20) PRIMARY KEY, order_type_id varchar(20), status_id varchar(20));
CREATE TABLE order_item (order_id varchar(20) REFERENCES order_header, order_item_seq_id varchar(20), product_id varchar(20), quantity numeric(18,6), cancel_quantity numeric(18,6), status_id varchar(20), PRIMARY KEY (order_id, order_item_seq_id));
CREATE TABLE item_issuance (item_issuance_id varchar(20) PRIMARY KEY, order_id varchar(20), order_item_seq_id varchar(20), quantity numeric(18,6), FOREIGN KEY (order_id, order_item_seq_id) REFERENCES order_item);
CREATE INDEX ON item_issuance (order_id, order_item_seq_id);
SELECT backorder.attach('order_item', item => 'product_id', quantity => 'quantity', cancelled => 'cancel_quantity', order_key => 'order_id', line_key => 'order_item_seq_id', header_table => 'order_header',
	live => $$order_type_id = 'SALES_ORDER' AND header.status_id IN ('ORDER_APPROVED', 'ORDER_PROCESSING') AND line.status_id = 'ITEM_APPROVED'$$,
	shipped => '(SELECT sum(i.quantity) FROM item_issuance i WHERE (i.order_id, i.order_item_seq_id) = (line.order_id, line.order_item_seq_id))',
	watch => ARRAY['item_issuance: order_id'], tenant => 'ofbiz') > 0 AS attached;
SELECT count(*) FROM backorder.receive('GZ-1000', 5, tenant => 'ofbiz');
BEGIN;
INSERT INTO order_header VALUES ('WS10000', 'SALES_ORDER', 'ORDER_CREATED'), ('PO10000', 'PURCHASE_ORDER', 'ORDER_APPROVED');
INSERT INTO order_item VALUES ('WS10000', '00001', 'GZ-1000', 8, NULL, 'ITEM_CREATED'), ('WS10000', '00002', 'GZ-1001', 2, NULL, 'ITEM_CREATED'), ('PO10000', '00001', 'GZ-1000', 100, NULL, 'ITEM_APPROVED');
COMMIT;
UPDATE order_header SET status_id = 'ORDER_APPROVED' WHERE order_id = 'WS10000';
SELECT count(*) AS recorded FROM shapes.lines('ofbiz');
UPDATE order_item SET status_id = 'ITEM_APPROVED' WHERE order_id = 'WS10000';
SELECT * FROM shapes.lines('ofbiz');
UPDATE order_item SET cancel_quantity = 1.5 WHERE (order_id, order_item_seq_id) = ('WS10000', '00001');
INSERT INTO item_issuance VALUES ('1', 'WS10000', '00001', 5);
SELECT * FROM shapes.lines('ofbiz');
UPDATE order_item SET status_id = 'ITEM_CANCELLED', cancel_quantity = 2 WHERE order_item_seq_id = '00002';
UPDATE order_item SET cancel_quantity = 3, status_id = 'ITEM_COMPLETED' WHERE (order_id, order_item_seq_id) = ('WS10000', '00001');
UPDATE order_header SET status_id = 'ORDER_COMPLETED' WHERE order_id = 'WS10000';
SELECT * FROM shapes.lines('ofbiz');
SELECT * FROM shapes.stock('ofbiz');
SELECT * FROM backorder.verify();

SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema IN ('odoo', 'erpnext', 'idempiere', 'ledgersmb', 'inventree', 'ofbiz') AND detached_at IS NULL;
SELECT * FROM backorder.verify();
DROP SCHEMA shapes, odoo, erpnext, idempiere, ledgersmb, inventree, ofbiz CASCADE;
