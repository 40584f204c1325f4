-- Many orders that one transaction writes whole are read from their rows and settled in pieces, with their index entries made at
-- Changes hot tables on purpose: order_line, waiting_order (see script/test).
-- the end: what comes out is what comes out when they are read by query and settled at once.

\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE SCHEMA many;
SET search_path = many;

CREATE TABLE header (id integer PRIMARY KEY, customer text, status text NOT NULL DEFAULT 'open');
CREATE TABLE line (header_id integer REFERENCES header, no integer, item text, place text, quantity numeric, shipped numeric NOT NULL DEFAULT 0,
	PRIMARY KEY (header_id, no));
CREATE TABLE other_header (LIKE header INCLUDING ALL);
CREATE TABLE other (LIKE line INCLUDING ALL);	-- with a join, so that it is read by query
SELECT backorder.attach('line', item => 'item', quantity => 'quantity', location => 'place', shipped => 'shipped', order_key => 'header_id', line_key => 'no',
	header_table => 'header', live => $$status = 'open'$$, customer => 'customer', tenant => 'rows') > 0 AS attached;
SELECT backorder.attach('other', item => 'item', quantity => 'quantity', location => 'place', shipped => 'shipped', order_key => 'header_id', line_key => 'no',
	header_table => 'other_header', joins => ', (VALUES (1)) one', live => $$status = 'open'$$, customer => 'customer', tenant => 'query') > 0 AS attached;
-- Of some there is enough, of some until the middle, of some nothing; one counts in numbers of 50 digits.
INSERT INTO backorder.stock_movement (tenant, item, location, kind, quantity)
SELECT t, 'item ' || i, p, 'opening', CASE WHEN i % 3 = 0 THEN 100000 WHEN i % 3 = 1 THEN 20 END FROM unnest('{rows,query}'::text[]) t, generate_series(0, 59) i, unnest('{"",annex}'::text[]) p WHERE i % 3 < 2;
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity) SELECT t, 'grains', 'opening', 1e50 FROM unnest('{rows,query}'::text[]) t;

INSERT INTO backorder.supplier (tenant, supplier) SELECT t, 'supplier' FROM unnest('{rows,query}'::text[]) t;
INSERT INTO backorder.purchase_order (tenant, po_id, supplier) SELECT t, 1, 'supplier' FROM unnest('{rows,query}'::text[]) t;
INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, expected_at)
SELECT t, 1, 10 * i + d, 'item ' || i, 10 * (d + 1), date '2099-01-01' + d FROM unnest('{rows,query}'::text[]) t, generate_series(0, 59) i, generate_series(0, 3) d WHERE i % 3 > 0;
SELECT backorder.place_purchase_order(1, tenant => t) FROM unnest('{rows,query}'::text[]) t;

-- The lines of an order; every hundredth order ships more than it has, of what was allocated to orders before it.
CREATE FUNCTION lines_of(o integer) RETURNS SETOF many.line LANGUAGE sql AS $$
	SELECT o, n, CASE WHEN n = 5 THEN 'grains' WHEN n = 6 THEN NULL ELSE 'item ' || (o * 7 + n * 13) % 60 END, CASE WHEN n = 2 THEN 'annex' WHEN n = 3 THEN '' END,
		CASE WHEN n = 5 THEN 1e46 + o WHEN n = 4 AND o % 10 = 0 THEN 0 ELSE 1 + o % 3 END::numeric,
		CASE WHEN o % 100 = 99 AND n = 1 THEN 30 WHEN o % 50 = 0 AND n = 3 THEN 1 ELSE 0 END::numeric
	FROM generate_series(1, 6) n
$$;
CREATE FUNCTION scans(relation regclass DEFAULT 'many.line') RETURNS bigint LANGUAGE sql AS $$SELECT idx_scan + seq_scan FROM pg_stat_xact_user_tables WHERE relid = relation$$;

-- Rows of a table that a part of them should be: those that differ.
CREATE VIEW compared AS
SELECT tenant, 'line' AS what, concat_ws(' ', order_key, line_key, item, location, customer, ordered, cancelled, shipped, allocated, first_allocated, backordered,
	promised_at - date '2099-01-01', first_promised_at - date '2099-01-01', row_number() OVER (PARTITION BY tenant ORDER BY line_id)) AS says FROM backorder.order_line
UNION ALL SELECT tenant, 'stock', concat_ws(' ', item, location, on_hand, unavailable, allocated, backordered, on_order) FROM backorder.stock
UNION ALL SELECT tenant, 'movement', concat_ws(' ', item, location, kind, quantity, count(*)) FROM backorder.stock_movement GROUP BY tenant, item, location, kind, quantity
UNION ALL SELECT tenant, 'allocation', concat_ws(' ', order_key, line_key, a.quantity, a.cause, count(*)) FROM backorder.allocation a JOIN backorder.order_line USING (tenant, line_id) GROUP BY tenant, order_key, line_key, a.quantity, a.cause
UNION ALL SELECT tenant, 'event', concat_ws(' ', aggregateid, type, payload - 'source') FROM backorder.event
UNION ALL SELECT tenant, 'waiting', concat_ws(' ', order_key, customer, (SELECT jsonb_agg(t.value ORDER BY t.value ->> 'line') FROM jsonb_each(last_notified) t)) FROM backorder.waiting_order;
CREATE VIEW differences AS
SELECT what, says, count(*) FILTER (WHERE tenant = 'rows') AS rows, count(*) FILTER (WHERE tenant = 'query') AS query FROM compared WHERE tenant IN ('rows', 'query')
GROUP BY what, says HAVING count(*) FILTER (WHERE tenant = 'rows') <> count(*) FILTER (WHERE tenant = 'query');

BEGIN;
INSERT INTO header SELECT o, 'customer ' || o % 10, CASE WHEN o % 20 = 7 THEN 'draft' ELSE 'open' END FROM generate_series(1, 1500) o;
INSERT INTO line SELECT l.* FROM generate_series(1, 1500) o, lines_of(o) l;
SELECT scans() AS before \gset
SELECT backorder.flush() > 1000 AS many, scans() = :before AS from_rows;
COMMIT;
BEGIN;
INSERT INTO other_header TABLE header;
INSERT INTO other TABLE line;
COMMIT;
SELECT what, count(*) FROM compared WHERE tenant = 'rows' GROUP BY what ORDER BY what;
SELECT * FROM differences LIMIT 10;
SELECT type, count(*) FROM backorder.event WHERE tenant = 'rows' GROUP BY type ORDER BY type;
SELECT * FROM backorder.verify();

-- Every row that is in an index is found by it.
CREATE FUNCTION found(scan text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	PERFORM set_config('enable_seqscan', (scan <> 'index')::text, true), set_config('enable_indexscan', (scan = 'index')::text, true), set_config('enable_bitmapscan', 'false', true);
	SELECT count(*) INTO n FROM (SELECT DISTINCT tenant, item, location FROM backorder.order_line WHERE tenant = 'rows') p, LATERAL (SELECT FROM backorder.order_line l
		WHERE hashtextextended(l.item, hashtextextended(l.location, hashtextextended(l.tenant, 0))) = hashtextextended(p.item, hashtextextended(p.location, hashtextextended(p.tenant, 0)))
			AND l.allocated > 0 AND l.item = p.item AND l.location = p.location AND l.tenant = p.tenant OFFSET 0) f;
	RETURN n;
END $$;
SELECT found('index') = found('table') AS same, found('index') > 1000 AS many;

-- More of them, beside orders that are there and whose lines are given up: settled at once then.
BEGIN;
INSERT INTO header SELECT o, 'customer', 'open' FROM generate_series(2001, 2600) o;
INSERT INTO line SELECT l.* FROM generate_series(2001, 2600) o, lines_of(o) l;
UPDATE header SET status = 'cancelled' WHERE id <= 100;
COMMIT;
BEGIN;
INSERT INTO other_header SELECT * FROM header WHERE id > 2000;
INSERT INTO other SELECT * FROM line WHERE header_id > 2000;
UPDATE other_header SET status = 'cancelled' WHERE id <= 100;
COMMIT;
SELECT * FROM differences LIMIT 10;

-- Undone, and an error in the middle: nothing is left.
BEGIN;
INSERT INTO header SELECT o, 'customer', 'open' FROM generate_series(3001, 3600) o;
SAVEPOINT s;
INSERT INTO line SELECT l.* FROM generate_series(3001, 3600) o, lines_of(o) l;
SELECT backorder.flush() > 1000 AS many;
ROLLBACK TO s;
INSERT INTO line SELECT l.* FROM generate_series(3001, 3003) o, lines_of(o) l;
COMMIT;
BEGIN;
INSERT INTO header SELECT o, 'customer', 'open' FROM generate_series(4001, 4600) o;
INSERT INTO line SELECT l.* FROM generate_series(4001, 4600) o, lines_of(o) l;
UPDATE line SET quantity = 'NaN' WHERE header_id = 4500 AND no = 1;
COMMIT;
SELECT count(*) FROM backorder.order_line WHERE tenant = 'rows' AND order_key::integer > 3000;
SELECT found('index') = found('table') AS same;
SELECT * FROM backorder.verify();

-- An order that waits from its first transaction on: told in it once, more than once, and in a savepoint that is rolled back.
BEGIN;
INSERT INTO header VALUES (5001, 'Ann');
INSERT INTO line VALUES (5001, 1, 'none', NULL, 2);
SET CONSTRAINTS ALL IMMEDIATE;
UPDATE line SET quantity = 3 WHERE header_id = 5001;
INSERT INTO line VALUES (5001, 2, 'none', NULL, 4);
COMMIT;
BEGIN;
INSERT INTO header VALUES (5002, 'Bob');
INSERT INTO line VALUES (5002, 1, 'none', NULL, 2);
SAVEPOINT s;
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO s;
SET CONSTRAINTS ALL DEFERRED;
COMMIT;
BEGIN;
INSERT INTO header VALUES (5003, 'Cyd');
INSERT INTO line VALUES (5003, 1, 'none', NULL, 2);
SET CONSTRAINTS ALL IMMEDIATE;
DELETE FROM line WHERE header_id = 5003;
COMMIT;
SELECT w.order_key, w.customer, t.value ->> 'line' AS line, t.value ->> 'backordered' AS waits FROM backorder.waiting_order w, jsonb_each(w.last_notified) t
WHERE w.tenant = 'rows' AND w.order_key::integer > 5000 ORDER BY 1, 3;
SELECT aggregateid, type, l ->> 'line' AS line, l ->> 'backordered' AS waits FROM backorder.event, jsonb_array_elements(payload -> 'lines') l
WHERE tenant = 'rows' AND aggregateid::integer > 5000 ORDER BY id;

-- The same where a trigger of somebody's on the tables makes them be written by statements.
CREATE FUNCTION looks() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END $$;
CREATE TRIGGER looks AFTER INSERT ON backorder.waiting_order FOR EACH ROW EXECUTE FUNCTION looks();
CREATE TRIGGER looks AFTER INSERT ON backorder.order_line FOR EACH ROW EXECUTE FUNCTION looks();
BEGIN;
INSERT INTO header VALUES (5004, 'Dan');
INSERT INTO line VALUES (5004, 1, 'none', NULL, 2);
COMMIT;
BEGIN;
INSERT INTO header SELECT o, 'customer', 'open' FROM generate_series(6001, 6600) o;
INSERT INTO line SELECT l.* FROM generate_series(6001, 6600) o, lines_of(o) l;
COMMIT;
DROP TRIGGER looks ON backorder.waiting_order;
DROP TRIGGER looks ON backorder.order_line;
SELECT count(*) FROM backorder.order_line WHERE tenant = 'rows' AND order_key::integer > 6000;
SELECT found('index') = found('table') AS same;
SELECT * FROM backorder.verify();

-- Indexes of somebody's own, partial ones too, have all that is in them; one that is not ready yet is left alone.
CREATE INDEX many_stock ON backorder.stock (item) WHERE location = '';
CREATE INDEX many_sales_order ON backorder.sales_order (order_key) WHERE source_id > 0;
CREATE INDEX many_waiting_order ON backorder.waiting_order (order_key) WHERE source_id > 0;
CREATE INDEX many_order_line ON backorder.order_line (line_id) WHERE allocated > 0;
CREATE INDEX many_not_ready ON backorder.order_line (line_id) WHERE allocated > 0;
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'backorder.many_not_ready'::regclass;
CREATE FUNCTION counted(relation text, scan text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	PERFORM set_config('enable_seqscan', (scan <> 'index')::text, true), set_config('enable_indexscan', (scan = 'index')::text, true),
		set_config('enable_indexonlyscan', (scan = 'index')::text, true), set_config('enable_bitmapscan', 'false', true);
	EXECUTE format('SELECT count(*) FROM backorder.%I WHERE %s', relation,
		CASE relation WHEN 'stock' THEN $q$location = ''$q$ WHEN 'order_line' THEN 'allocated > 0 AND line_id > 0' ELSE 'source_id > 0' END) INTO n;
	RETURN n;
END $$;
BEGIN;
INSERT INTO header VALUES (8001, 'Eve');
INSERT INTO line VALUES (8001, 1, 'indexed 1', NULL, 1), (8001, 2, 'item 0', NULL, 1);
COMMIT;
BEGIN;
INSERT INTO other_header VALUES (8002, 'Fay');
INSERT INTO other VALUES (8002, 1, 'indexed 2', NULL, 1), (8002, 2, 'item 0', NULL, 1);
COMMIT;
BEGIN;
INSERT INTO header SELECT o, 'customer' FROM generate_series(8101, 8700) o;
INSERT INTO line SELECT o, n, CASE n WHEN 1 THEN 'item 0' ELSE 'indexed ' || o % 50 END, NULL, 2 FROM generate_series(8101, 8700) o, generate_series(1, 2) n;
COMMIT;
SELECT r, counted(r, 'index') = counted(r, 'table') AS same FROM unnest('{stock,sales_order,waiting_order,order_line}'::text[]) r;
SELECT found('index') = found('table') AS same;
DROP INDEX backorder.many_stock, backorder.many_sales_order, backorder.many_waiting_order, backorder.many_order_line, backorder.many_not_ready;

-- Keys that were recorded before: such orders are read by query, and settled at once.
DELETE FROM line WHERE header_id > 8000;
BEGIN;
DELETE FROM header WHERE id > 8000;
INSERT INTO header SELECT o, 'customer' FROM generate_series(8101, 8700) o;
INSERT INTO line SELECT o, n, CASE n WHEN 1 THEN 'item 0' ELSE 'indexed ' || o % 50 END, NULL, 2 FROM generate_series(8101, 8700) o, generate_series(1, 2) n;
SELECT scans() AS before \gset
SELECT backorder.flush() > 1000 AS many, scans() = :before AS from_rows;
COMMIT;
SELECT count(*) FROM backorder.order_line WHERE tenant = 'rows' AND order_key::integer > 8000;
SELECT * FROM backorder.verify();

-- Of what is shipped and nobody has, nobody is searched for.
BEGIN;
INSERT INTO header SELECT o, 'customer' FROM generate_series(7001, 7600) o;
INSERT INTO line SELECT o, 1, 'ghost ' || o % 50, NULL, 2, 1 FROM generate_series(7001, 7600) o;
SELECT scans('backorder.order_line') AS before \gset
SELECT backorder.flush(), scans('backorder.order_line') = :before AS unread;
COMMIT;
SELECT count(*), sum(shipped) AS shipped, sum(backordered) AS waits FROM backorder.order_line WHERE tenant = 'rows' AND item LIKE 'ghost%';
SELECT * FROM backorder.verify();

SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source WHERE line_schema = 'many' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA many CASCADE;
