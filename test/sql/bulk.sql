-- C30: 500,000 lines, sorted by queued_at, loaded by one COPY, equal the same lines inserted order by order.

\set SHOW_CONTEXT never
CREATE SCHEMA bulk;
SET search_path = bulk;

-- How many lines; psql -v bulk_lines=... for another number.
\if :{?bulk_lines}
\else
\set bulk_lines 500000
\endif

-- Two shops with the same orders, each a tenant of its own with the same stock.
CREATE TABLE copied (order_id integer, no integer, item text, quantity integer, ordered_at timestamptz, PRIMARY KEY (order_id, no));
CREATE TABLE stepped (order_id integer, no integer, item text, quantity integer, ordered_at timestamptz, PRIMARY KEY (order_id, no));
SELECT backorder.attach('copied', 'item', 'quantity', line_key => 'no', order_key => 'order_id', queued_at => 'ordered_at', tenant => 'bulk copied') > 0 AS attached;
SELECT backorder.attach('stepped', 'item', 'quantity', line_key => 'no', order_key => 'order_id', queued_at => 'ordered_at', tenant => 'bulk stepped') > 0 AS attached;
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity)
SELECT t, 'item ' || i, 'receipt', :bulk_lines * 2 / 1000 FROM unnest('{bulk copied,bulk stepped}'::text[]) t, generate_series(1, 1000) i;

-- Orders of 1 to 39 lines with repeated items, quantities 1 to 9; the same every time.
CREATE UNLOGGED TABLE orders AS
SELECT o AS order_id, n AS no, 'item ' || 1 + (o * 7919 + n * n * 104729 + o / 13) % 1000 AS item, 1 + (o * 31 + n * 17) % 9 AS quantity,
	'2024-01-01 00:00+00'::timestamptz + o * interval '1 second' AS ordered_at
FROM generate_series(1, :bulk_lines) o, generate_series(1, 1 + (o * 37) % 39) n
ORDER BY o, n LIMIT :bulk_lines;
SELECT count(*) = :bulk_lines AS complete, count(DISTINCT item) AS items FROM orders;

-- By one COPY, through a file of the server's.
SELECT file, format('rm %L', file) AS remove FROM format('%s/backorder_bulk.copy', current_setting('data_directory')) file \gset
COPY orders TO :'file';
COPY copied FROM :'file';
COPY copied FROM PROGRAM :'remove';

-- Order by order, a transaction each.
CREATE PROCEDURE step_by_step() LANGUAGE plpgsql AS $$
DECLARE
	last CONSTANT integer := (SELECT max(order_id) FROM bulk.orders);
BEGIN
	FOR i IN 1 .. last LOOP
		INSERT INTO bulk.stepped SELECT * FROM bulk.orders o WHERE o.order_id = i;
		COMMIT;
	END LOOP;
END $$;
CREATE INDEX ON orders (order_id);
ANALYZE orders;
CALL step_by_step();

CREATE VIEW side AS
SELECT l.tenant, l.order_key, l.line_key, l.item, l.location, l.customer, l.ordered, l.cancelled, l.shipped, l.picked, l.allocated, l.first_allocated,
	l.backordered, l.priority, l.held, l.live, l.deleted, l.queued_at, l.first_promised_at, l.promised_at,
	row_number() OVER (PARTITION BY l.tenant ORDER BY l.line_id) AS arrival
FROM backorder.order_line l WHERE l.tenant IN ('bulk copied', 'bulk stepped');
CREATE VIEW differences AS
WITH copied AS MATERIALIZED (SELECT to_jsonb(s) - 'tenant' AS line FROM side s WHERE tenant = 'bulk copied'),
	stepped AS MATERIALIZED (SELECT to_jsonb(s) - 'tenant' AS line FROM side s WHERE tenant = 'bulk stepped')
SELECT 'copied' AS side, line FROM (TABLE copied EXCEPT ALL TABLE stepped) c
UNION ALL
SELECT 'stepped', line FROM (TABLE stepped EXCEPT ALL TABLE copied) s;
TABLE differences LIMIT 10;
SELECT count(*) = 2 * :bulk_lines AS all_recorded, count(*) FILTER (WHERE allocated > 0) > 0 AS some_have, count(*) FILTER (WHERE backordered > 0) > 0 AS some_wait,
	count(*) FILTER (WHERE allocated > 0 AND backordered > 0) > 0 AS some_both FROM side;
SELECT item, location, on_hand, allocated, backordered, available FROM backorder.stock WHERE tenant = 'bulk copied'
EXCEPT
SELECT item, location, on_hand, allocated, backordered, available FROM backorder.stock WHERE tenant = 'bulk stepped';
-- The same customers were told the same.
WITH said AS (SELECT tenant, aggregateid, type, payload - 'source' AS payload FROM backorder.event WHERE tenant IN ('bulk copied', 'bulk stepped'))
SELECT count(*) FROM (
	(SELECT aggregateid, type, payload FROM said WHERE tenant = 'bulk copied' EXCEPT ALL SELECT aggregateid, type, payload FROM said WHERE tenant = 'bulk stepped')
	UNION ALL
	(SELECT aggregateid, type, payload FROM said WHERE tenant = 'bulk stepped' EXCEPT ALL SELECT aggregateid, type, payload FROM said WHERE tenant = 'bulk copied')) d;
-- Goods that arrive go to the same lines.
INSERT INTO backorder.stock_movement (tenant, item, kind, quantity)
SELECT t, 'item ' || i, 'receipt', 1 + i % 50 FROM unnest('{bulk copied,bulk stepped}'::text[]) t, generate_series(1, 1000, 3) i;
TABLE differences LIMIT 10;

SELECT * FROM backorder.verify();

-- Nothing is left behind.
SELECT backorder.detach('copied'), backorder.detach('stepped');
SELECT count(*) FROM side;
TRUNCATE copied, stepped, orders;
SELECT sum(allocated) AS allocated, sum(backordered) AS backordered FROM backorder.stock WHERE tenant LIKE 'bulk %';
SELECT * FROM backorder.verify();
DELETE FROM backorder.event WHERE tenant LIKE 'bulk %';
VACUUM ANALYZE backorder.order_line, backorder.stock, backorder.event, backorder.sales_order, backorder.waiting_order;
SET client_min_messages = warning;
DROP SCHEMA bulk CASCADE;
