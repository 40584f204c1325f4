-- What customers are told of an order that is settled and announced in one go, and not read again, is what they are told of one
-- that was settled before, and is.

\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE SCHEMA told;
SET search_path = told;

CREATE TABLE header (id integer PRIMARY KEY, customer text);
CREATE TABLE line (header_id integer REFERENCES header, no integer, item text, place text, quantity numeric, shipped numeric NOT NULL DEFAULT 0, whose text,
	PRIMARY KEY (header_id, no));
CREATE TABLE other_header (LIKE header INCLUDING ALL);
CREATE TABLE other (LIKE line INCLUDING ALL, FOREIGN KEY (header_id) REFERENCES other_header);
SELECT backorder.attach(t, item => 'item', quantity => 'quantity', location => 'place', shipped => 'shipped', order_key => 'header_id', line_key => 'no',
	header_table => h, customer => 'coalesce(line.whose, header.customer)', tenant => n) > 0 AS attached
FROM (VALUES ('line', 'header', 'told at once'), ('other', 'other_header', 'told before')) v (t, h, n);
INSERT INTO backorder.supplier (tenant, supplier) VALUES ('told at once', 'supplier'), ('told before', 'supplier');
INSERT INTO backorder.purchase_order (tenant, po_id, supplier) VALUES ('told at once', 1, 'supplier'), ('told before', 1, 'supplier');
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, expected_at)
SELECT t, 1, n, i, q, d FROM unnest('{told at once,told before}'::text[]) t, (VALUES (1, 'part', 3, date '2099-02-01'), (2, 'none', 1, date '2099-03-01'), (3, 'none', 9, NULL)) v (n, i, q, d);
SELECT backorder.place_purchase_order(1, tenant => t) FROM unnest('{told at once,told before}'::text[]) t;
INSERT INTO backorder.stock_movement (tenant, item, location, kind, quantity)
SELECT t, i, p, 'opening', q FROM unnest('{told at once,told before}'::text[]) t, (VALUES ('there', '', 100), ('part', '', 2), ('there', 'annex', 1)) v (i, p, q);

-- What both were told, but for the numbers of lines.
CREATE VIEW compared AS
SELECT tenant, concat_ws(' ', type, customer, payload - 'source') AS says FROM backorder.event WHERE tenant IN ('told at once', 'told before')
UNION ALL SELECT tenant, concat_ws(' ', 'waits', order_key, customer, (SELECT jsonb_agg(t.value ORDER BY t.value ->> 'line') FROM jsonb_each(last_notified) t)) FROM backorder.waiting_order WHERE tenant IN ('told at once', 'told before');
CREATE VIEW differences AS
SELECT says, count(*) FILTER (WHERE tenant = 'told at once') AS at_once, count(*) FILTER (WHERE tenant = 'told before') AS before FROM compared
GROUP BY says HAVING count(*) FILTER (WHERE tenant = 'told at once') <> count(*) FILTER (WHERE tenant = 'told before');

-- Writes lines to one table and settles with the commit, to the other and settles before.
CREATE PROCEDURE twice(statement text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	COMMIT;
	EXECUTE replace(replace(statement, ' line ', ' other '), ' header ', ' other_header ');
	PERFORM backorder.flush();
	COMMIT;
END $$;

-- In stock and not, in part, at two places, of two customers, with and without a promise; shipped in part; of no item; nothing short.
CALL twice($$WITH h AS (INSERT INTO header VALUES (1, 'anna'), (2, 'bert'), (3, 'carl'))
	INSERT INTO line VALUES (1, 1, 'there', '', 1), (1, 2, 'part', '', 4), (1, 3, 'none', '', 1), (1, 4, 'none', '', 3), (1, 5, 'there', 'annex', 2), (1, 6, NULL, '', 1),
		(2, 1, 'there', '', 2), (3, 7, 'none', NULL, 20), (3, 6, 'part', '', 1)$$);
CALL twice($$WITH h AS (INSERT INTO header VALUES (4, 'dora')) INSERT INTO line VALUES (4, 1, 'none', '', 1, 0, 'zoe'), (4, 2, 'there', '', 5, 5, 'aaron')$$);
-- More for an order that is there, and a line less.
CALL twice($$WITH l AS (DELETE FROM line WHERE header_id = 1 AND no = 3) INSERT INTO line VALUES (1, 9, 'none', '', 2)$$);
SELECT * FROM differences;
SELECT says FROM compared WHERE tenant = 'told at once' ORDER BY says;

-- A new order into which a line that waits is moved; and one into which a line is moved that was shipped, and deleted there.
BEGIN;
INSERT INTO header VALUES (5, 'emil'), (6, 'frida');
INSERT INTO line VALUES (5, 1, 'none', '', 1);
SELECT backorder.flush();
INSERT INTO line VALUES (6, 1, 'none', '', 2);
UPDATE line SET header_id = 6, no = 2 WHERE header_id = 5;
COMMIT;
INSERT INTO line VALUES (5, 1, 'there', '', 5, 1);
BEGIN;
INSERT INTO header VALUES (9, 'jan');
UPDATE line SET header_id = 9 WHERE header_id = 5;
DELETE FROM line WHERE header_id = 9;
INSERT INTO line VALUES (9, 9, 'none', '', 3);
COMMIT;
SELECT aggregateid, type, customer, l ->> 'line' AS line, l ->> 'backordered' AS waits FROM backorder.event, jsonb_array_elements(payload -> 'lines') l
WHERE tenant = 'told at once' AND aggregateid IN ('5', '6', '9') ORDER BY id, l ->> 'line';
SELECT order_key, line_key, deleted, shipped, backordered FROM backorder.order_line WHERE tenant = 'told at once' AND order_key IN ('5', '6', '9') ORDER BY order_key, line_key;

-- Rolled back to a savepoint, and written again.
BEGIN;
INSERT INTO header VALUES (7, 'gina');
SAVEPOINT s;
INSERT INTO line VALUES (7, 1, 'none', '', 1), (7, 2, 'there', '', 1);
SELECT backorder.flush();
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO s;
INSERT INTO line VALUES (7, 2, 'none', '', 3);
COMMIT;
SELECT order_key, customer, v ->> 'line' AS line, v ->> 'backordered' AS waits FROM backorder.waiting_order, jsonb_each(last_notified) t (k, v) WHERE tenant = 'told at once' AND order_key = '7';

-- Settled and announced in a subtransaction, and changed after it.
BEGIN;
SAVEPOINT s;
INSERT INTO header VALUES (8, 'ida');
INSERT INTO line VALUES (8, 1, 'none', '', 1), (8, 2, 'there', '', 1);
SET CONSTRAINTS ALL IMMEDIATE;
RELEASE s;
SET CONSTRAINTS ALL DEFERRED;
UPDATE line SET quantity = 4 WHERE header_id = 8;
COMMIT;
SELECT id - min(id) OVER () AS id, type, l ->> 'line' AS line, l ->> 'backordered' AS waits FROM backorder.event, jsonb_array_elements(payload -> 'lines') l
WHERE tenant = 'told at once' AND aggregateid = '8' ORDER BY id, l ->> 'line';
SELECT v ->> 'line' AS line, v ->> 'backordered' AS waits FROM backorder.waiting_order, jsonb_each(last_notified) t (k, v) WHERE tenant = 'told at once' AND order_key = '8';

-- Lines that write their order's key in another way are found, and settled, after it: they ship what it was allocated.
CREATE TABLE spelled_header (order_no numeric PRIMARY KEY, customer text);
CREATE TABLE spelled (order_no numeric, no integer, item text, quantity numeric, shipped numeric NOT NULL DEFAULT 0, PRIMARY KEY (order_no, no));
SELECT backorder.attach('spelled', item => 'item', quantity => 'quantity', shipped => 'shipped', order_key => 'order_no', line_key => 'no',
	header_table => 'spelled_header', customer => 'header.customer', tenant => 'told spelled') > 0 AS attached;
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity) VALUES ('told spelled', 'nail', 'opening', 5);
ALTER TABLE spelled DISABLE TRIGGER ALL;
INSERT INTO spelled VALUES (1.0, 3, 'nail', 4, 4);
ALTER TABLE spelled ENABLE TRIGGER ALL;
BEGIN;
INSERT INTO spelled_header VALUES (1, 'hanna');
INSERT INTO spelled VALUES (1, 1, 'nail', 5), (1, 2, 'nut', 1);
COMMIT;
SELECT order_key, line_key, allocated, backordered FROM backorder.order_line WHERE tenant = 'told spelled' ORDER BY line_key;
SELECT w.order_key, v ->> 'line' AS line, v ->> 'allocated' AS allocated, v ->> 'backordered' AS waits FROM backorder.waiting_order w, jsonb_each(last_notified) t (k, v) WHERE tenant = 'told spelled' ORDER BY 2;

SELECT * FROM backorder.verify();
