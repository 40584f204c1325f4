-- Events: one per order and kind, for what is different at commit from what the customer was last told.

\set SHOW_CONTEXT never
CREATE SCHEMA events;
SET search_path = events;

CREATE TABLE header (id integer PRIMARY KEY, customer text);
CREATE TABLE line (order_id integer REFERENCES header ON DELETE CASCADE, no integer, item text, quantity integer, shipped integer NOT NULL DEFAULT 0,
	priority integer NOT NULL DEFAULT 0, PRIMARY KEY (order_id, no));
SELECT backorder.attach('line', 'item', 'quantity', line_key => 'no', order_key => 'order_id', header_table => 'header', header_key => 'id',
	customer => 'customer', shipped => 'shipped', priority => 'line.priority') > 0 AS attached;
INSERT INTO header SELECT i, 'customer ' || i FROM generate_series(1, 20) i;
INSERT INTO backorder.supplier (supplier) VALUES ('events');
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (700000001, 'events', 'placed');

-- The events since the last look, and what they say of each line.
CREATE TABLE seen (id bigint);
INSERT INTO seen SELECT coalesce(max(id), 0) FROM backorder.event;
CREATE FUNCTION news() RETURNS TABLE (order_key text, customer text, type text, line text, item text, has text, had text, waits text, waited text, promised text, promised_before text)
LANGUAGE sql AS $$
	WITH new AS MATERIALIZED (SELECT e.* FROM backorder.event e JOIN backorder.source s USING (tenant, source_id), seen
		WHERE s.line_schema = 'events' AND e.id > seen.id),
	looked AS (UPDATE seen SET id = (SELECT max(n.id) FROM new n) WHERE EXISTS (SELECT FROM new))
	SELECT n.aggregateid, n.customer, n.type, l->>'line', l->>'item', l->>'allocated', l->>'allocated_before', l->>'backordered', l->>'backordered_before',
		l->>'promised_at', l->>'promised_before'
	FROM new n CROSS JOIN jsonb_array_elements(n.payload->'lines') WITH ORDINALITY l (l, i) ORDER BY n.id, i
$$;

-- An order that is never short emits nothing.
SELECT count(*) FROM backorder.receive('ev A', 4);
SELECT count(*) FROM backorder.receive('ev B', 2);
INSERT INTO line VALUES (1, 1, 'ev A', 1), (1, 2, 'ev B', 2);
UPDATE line SET quantity = 1 WHERE item = 'ev B';
UPDATE line SET shipped = quantity;
SELECT * FROM news();

-- `backordered`: an event of the order with its short lines; the whole row.
INSERT INTO line VALUES (2, 1, 'ev A', 5), (2, 2, 'ev B', 1), (2, 3, 'ev C', 2);
SELECT aggregatetype, aggregateid, type, e.customer, jsonb_pretty(payload) AS payload
FROM backorder.event e JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'events';
SELECT * FROM news();

-- `promised`: a first date given later.  `backordered` carries its promise at once where there is one.
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES
	(700000001, 1, 'ev A', 10, '2099-12-01'), (700000001, 2, 'ev C', 10, '2099-12-02');
SELECT * FROM news();
INSERT INTO line VALUES (3, 1, 'ev A', 1);
SELECT * FROM news();

-- `delayed` and `advanced`, for the orders concerned only.
UPDATE backorder.purchase_order_line SET expected_at = '2099-12-08' WHERE (po_id, line_no) = (700000001, 1);
SELECT * FROM news();
UPDATE backorder.purchase_order_line SET expected_at = '2099-11-30' WHERE (po_id, line_no) = (700000001, 2);
SELECT * FROM news();
-- A promise that is lost is a delay without a date; a new one is a promise again.
UPDATE backorder.purchase_order_line SET cancelled = 10 WHERE (po_id, line_no) = (700000001, 2);
SELECT * FROM news();
UPDATE backorder.purchase_order_line SET cancelled = 0 WHERE (po_id, line_no) = (700000001, 2);
SELECT * FROM news();

-- `allocated`; and `ready` when the order that waited has all its open stock.
SELECT count(*) FROM backorder.receive('ev A', 1);
SELECT * FROM news();
SELECT count(*) FROM backorder.receive('ev C', 2);
SELECT * FROM news();
SELECT count(*) FROM backorder.receive_purchase_line(700000001, 1, 10);
SELECT * FROM news();

-- `deallocated`: an order loses what it has; `ready` again when it has it back.
SELECT count(*) FROM backorder.receive('ev A', -10);
SELECT * FROM news();
SELECT count(*) FROM backorder.receive('ev A', 5);
SELECT * FROM news();

-- `cancelled`: less is wanted of what waits, or nothing.
INSERT INTO line VALUES (4, 1, 'ev D', 5), (4, 2, 'ev D', 2), (5, 1, 'ev D', 3);
SELECT * FROM news();
UPDATE line SET quantity = 4 WHERE (order_id, no) = (4, 1);
SELECT * FROM news();
DELETE FROM line WHERE (order_id, no) = (4, 2);
SELECT * FROM news();
DELETE FROM header WHERE id = 5;
SELECT * FROM news();
SELECT count(*) FROM backorder.waiting_order w JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'events' AND w.order_key = '5';
-- More is wanted: `backordered` again.
UPDATE line SET quantity = 6 WHERE (order_id, no) = (4, 1);
SELECT * FROM news();
-- What has stock is lowered: nobody is told.
SELECT count(*) FROM backorder.receive('ev D', 6);
SELECT type FROM news();
UPDATE line SET quantity = 3 WHERE (order_id, no) = (4, 1);
SELECT * FROM news();

-- The lines of an order are one event of each kind.
SELECT count(*) FROM backorder.receive('ev E', 1);
INSERT INTO line VALUES (6, 1, 'ev E', 3), (6, 2, 'ev F', 1);
SELECT * FROM news();
INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('ev E', 'receipt', 2), ('ev F', 'receipt', 1);
SELECT * FROM news();

-- Undone within the transaction means unsaid; done in steps means said once.
BEGIN;
INSERT INTO line VALUES (7, 1, 'ev G', 2);
SELECT backorder.flush();
SELECT count(*) FROM backorder.receive('ev G', 2);
COMMIT;
SELECT * FROM news();
BEGIN;
SELECT count(*) FROM backorder.adjust('ev G', -1, 'broken');
SELECT count(*) FROM backorder.adjust('ev G', 1, 'found');
COMMIT;
SELECT * FROM news();
INSERT INTO line VALUES (8, 1, 'ev G', 5);
SELECT type FROM news();
BEGIN;
SELECT count(*) FROM backorder.receive('ev G', 1);
SELECT count(*) FROM backorder.receive('ev G', 1);
SAVEPOINT s;
SELECT count(*) FROM backorder.receive('ev G', 3);
ROLLBACK TO s;
COMMIT;
SELECT * FROM news();
-- A change of priority gives and takes no stock: nothing to say.
INSERT INTO line VALUES (9, 1, 'ev G', 1);
SELECT type FROM news();
UPDATE line SET priority = 1 WHERE order_id = 9;
SELECT * FROM news();

-- A line whose item changes: what was waited for is cancelled, what is wanted now is backordered.
UPDATE line SET item = 'ev H' WHERE order_id = 9;
SELECT * FROM news();
-- A waiting line that moves to another order: cancelled here, backordered there.
UPDATE line SET order_id = 10 WHERE order_id = 9;
SELECT * FROM news();
-- Shipped although it waits: there is nothing to wait for.
SELECT count(*) FROM backorder.receive('ev I', 1);
INSERT INTO line VALUES (11, 1, 'ev I', 2);
UPDATE line SET shipped = 1 WHERE order_id = 11;
SELECT * FROM news();
UPDATE line SET shipped = 2 WHERE order_id = 11;
SELECT type FROM backorder.event e JOIN backorder.source s USING (tenant, source_id) WHERE s.line_schema = 'events' AND e.aggregateid = '11' ORDER BY e.id;
UPDATE seen SET id = (SELECT max(id) FROM backorder.event);

-- What each waiting order was last told.
SELECT w.order_key, w.customer, t.value - 'location' AS told FROM backorder.waiting_order w JOIN backorder.source s USING (tenant, source_id), jsonb_each(w.last_notified) t
WHERE s.line_schema = 'events' ORDER BY w.order_key::integer, t.key::bigint;

-- take_events: what is older than every transaction still running, in order.
CREATE PROCEDURE settled() LANGUAGE plpgsql AS $$
BEGIN
	WHILE EXISTS (SELECT FROM backorder.event e WHERE e.xid > pg_snapshot_xmin(pg_current_snapshot())) LOOP
		PERFORM pg_sleep(0.01);
	END LOOP;
END $$;
CALL settled();
SELECT count(*) > 0 AS skipped FROM backorder.take_events(1000000, 'events one');
SELECT count(*) > 0 AS skipped FROM backorder.take_events(1000000, 'events two');
SELECT count(*) FROM backorder.take_events(10, 'events one');
INSERT INTO line VALUES (12, 1, 'ev J', 1), (12, 2, 'ev J', 2), (13, 1, 'ev J', 4);
INSERT INTO line VALUES (14, 1, 'ev J', 8);
SELECT count(*) FROM backorder.receive('ev J', 5);
CALL settled();
-- Whole orders at a time: the events of an order in one transaction are not torn apart.
SELECT aggregateid, type FROM backorder.take_events(1, 'events one');
SELECT aggregateid, type FROM backorder.take_events(2, 'events one');
SELECT aggregateid, type FROM backorder.take_events(1, 'events one');
SELECT aggregateid, type FROM backorder.take_events(1, 'events one');
SELECT aggregateid, type FROM backorder.take_events(1, 'events one');
-- Each consumer has its own place.
SELECT aggregateid, type FROM backorder.take_events(3, 'events two');
-- Taken for good at commit.
BEGIN;
SELECT aggregateid, type FROM backorder.take_events(100, 'events two');
ROLLBACK;
SELECT aggregateid, type FROM backorder.take_events(100, 'events two');
SELECT count(*) FROM backorder.take_events(100, 'events two');
-- Not one's own before commit.
BEGIN;
INSERT INTO line VALUES (15, 1, 'ev K', 1);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT count(*) FROM news();
SELECT count(*) FROM backorder.take_events(100, 'events one');
COMMIT;
CALL settled();
SELECT aggregateid, type FROM backorder.take_events(100, 'events one');
-- A consumer that is dropped is forgotten; under its name another one begins anew.
SELECT backorder.drop_consumer('events one');
SELECT backorder.drop_consumer('events one');
\echo :SQLSTATE
SELECT consumer FROM backorder.event_consumer WHERE consumer LIKE 'events%';
SELECT count(*) FROM backorder.take_events(1, 'events one') WHERE id = (SELECT id FROM backorder.event ORDER BY generation, xid, id LIMIT 1);
SELECT backorder.drop_consumer(NULL);
SELECT backorder.drop_consumer('events one'), backorder.drop_consumer('events two');
SELECT * FROM backorder.take_events(0);
\echo :SQLSTATE
SELECT * FROM backorder.take_events(NULL);
\echo :SQLSTATE
SELECT * FROM backorder.take_events(1, NULL);
\echo :SQLSTATE

-- A line that lost stock only in a savepoint has what it had, when another line of its order is told.
SELECT count(*) FROM backorder.receive('ev S', 5);
CALL settled();
INSERT INTO line VALUES (16, 1, 'ev S', 3), (16, 2, 'ev T', 0);
BEGIN;
SAVEPOINT before;
SELECT count(*) FROM backorder.adjust('ev S', -4, 'lost');
ROLLBACK TO before;
UPDATE line SET quantity = 2 WHERE order_id = 16 AND no = 2;
COMMIT;
CALL settled();
SELECT e.type, jsonb_path_query_array(e.payload, '$.lines[*].item') AS items FROM backorder.event e JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'events' AND e.aggregateid = '16' ORDER BY e.id;

SELECT * FROM backorder.verify();

-- What somebody else wrote there is no reason to fail: what cannot be read was not told.
INSERT INTO line VALUES (17, 1, 'ev odd', 2);
UPDATE backorder.waiting_order SET last_notified = '{"1": [5], "2": 3, "3": {"ordered": "many", "line": 7, "promised_at": null}, "x": {}}' WHERE order_key = '17' AND last_notified::text LIKE '%ev odd%';
SELECT count(*) AS allocated FROM backorder.receive('ev odd', 1);
SELECT last_notified - (SELECT line_id::text FROM backorder.order_line WHERE item = 'ev odd') AS others FROM backorder.waiting_order WHERE order_key = '17' AND last_notified::text LIKE '%ev odd%';
UPDATE backorder.waiting_order SET last_notified = '[1, 2]' WHERE order_key = '17' AND last_notified::text LIKE '%ev odd%';
SELECT count(*) AS allocated FROM backorder.receive('ev odd', 1);
SELECT e.type FROM backorder.event e JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'events' AND e.aggregateid = '17' ORDER BY e.id;
SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'events' AND detached_at IS NULL;
-- Events of many tenants, of three lives of the database, are taken in pieces: each once, in one order; one tenant has most of them.
INSERT INTO backorder.event (tenant, aggregatetype, aggregateid, type, payload, generation, xid)
SELECT 'ev tenant ' || CASE WHEN i % 3 = 0 THEN i % 40 ELSE 1 END, 'order', (i / 2)::text, 'ready', '{}', 1 + i / 400, (3 + (i * 7919 % 400) / 5)::text::xid8
FROM generate_series(0, 1199) i;
CREATE TABLE taken (n integer GENERATED ALWAYS AS IDENTITY, tenant text, generation bigint, xid xid8, id bigint);
DO $$
BEGIN
	FOR i IN 1 .. 1200 LOOP
		INSERT INTO taken (tenant, generation, xid, id)
		SELECT t.tenant, t.generation, t.xid, t.id FROM backorder.take_events(1 + i % 23, 'events many') WITH ORDINALITY t WHERE t.tenant LIKE 'ev tenant %' ORDER BY t.ordinality;
		EXIT WHEN NOT FOUND;
	END LOOP;
END $$;
SELECT count(*), count(DISTINCT id), count(DISTINCT tenant) AS tenants, bool_and(n = place) AS in_order
FROM (SELECT t.*, row_number() OVER (ORDER BY t.generation, t.xid, t.id) AS place FROM taken t) t;
-- Taking a few reads as much with thousands behind them as with none.
INSERT INTO backorder.event (tenant, aggregatetype, aggregateid, type, payload, generation, xid)
SELECT 'ev tenant 1', 'order', i::text, 'ready', '{}', 1, '100' FROM generate_series(1, 40000) i;
SELECT backorder.drop_consumer('events many');
SELECT count(*) >= 3 AS taken FROM backorder.take_events(3, 'events many');
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) FROM backorder.take_events(3, 'events many');
SELECT pg_stat_get_xact_blocks_hit('backorder.event_pkey'::regclass) + pg_stat_get_xact_blocks_fetched('backorder.event_pkey'::regclass) AS first \gset
COMMIT;
SELECT count(*) > 40000 AS rest FROM backorder.take_events(41190, 'events many');
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) > 0 AS taken FROM backorder.take_events(3, 'events many');
SELECT pg_stat_get_xact_blocks_hit('backorder.event_pkey'::regclass) + pg_stat_get_xact_blocks_fetched('backorder.event_pkey'::regclass) AS last \gset
COMMIT;
SELECT :first < :last + 50 AS as_much;
DELETE FROM backorder.event WHERE tenant LIKE 'ev tenant %';

SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA events CASCADE;
