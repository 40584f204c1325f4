-- Promises: placed purchase order lines are dated supply, used up by the waiting lines in rank order.

\set SHOW_CONTEXT never
SET datestyle = ISO;
CREATE SCHEMA promises;
SET search_path = promises;

CREATE TABLE line (order_id integer, no integer, item text, quantity integer, priority integer NOT NULL DEFAULT 0, held boolean NOT NULL DEFAULT false,
	PRIMARY KEY (order_id, no));
SELECT backorder.attach('line', 'item', 'quantity', line_key => 'no', order_key => 'order_id', priority => 'priority', held => 'held') > 0 AS attached;
INSERT INTO backorder.supplier (supplier) VALUES ('promises');
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (600000001, 'promises', 'placed');

CREATE VIEW recorded AS
SELECT l.item, l.order_key, l.line_key, l.allocated || '/' || l.backordered AS "a/b", l.first_promised_at AS first, l.promised_at AS promised, l.priority, l.line_id
FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'promises';
CREATE VIEW events AS
SELECT e.aggregateid AS order_key, e.type, e.id
FROM backorder.event e JOIN backorder.source s USING (tenant, source_id)
WHERE s.line_schema = 'promises';
-- A line of the placed purchase order, by number.
CREATE FUNCTION supply(no integer, item text, quantity numeric, expected_at date) RETURNS void LANGUAGE sql AS $$
	INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (600000001, no, item, quantity, expected_at)
$$;

-- C23: 3 wait for A and for B; of each 4 are due on 1 Dec and 5 on 8 Dec.  A second line of 3: 8 Dec.
INSERT INTO line VALUES (1, 1, 'pr A', 3), (1, 2, 'pr B', 3);
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES
	(600000001, 1, 'pr A', 4, '2099-12-01'), (600000001, 2, 'pr A', 5, '2099-12-08'), (600000001, 3, 'pr B', 4, '2099-12-01'), (600000001, 4, 'pr B', 5, '2099-12-08');
SELECT item, order_key, first, promised FROM recorded ORDER BY line_id;
INSERT INTO line VALUES (2, 1, 'pr A', 3), (2, 2, 'pr B', 3);
SELECT item, order_key, first, promised FROM recorded ORDER BY line_id;

-- C24: both first purchase order lines move to 10 Dec in one transaction: 8 Dec and 10 Dec, two `delayed` events.
SELECT max(id) AS seen FROM events \gset
BEGIN;
UPDATE backorder.purchase_order_line SET expected_at = '2099-12-10' WHERE (po_id, line_no) = (600000001, 1);
UPDATE backorder.purchase_order_line SET expected_at = '2099-12-10' WHERE (po_id, line_no) = (600000001, 3);
COMMIT;
SELECT item, order_key, first, promised FROM recorded ORDER BY line_id;
SELECT order_key, type FROM events WHERE id > :seen ORDER BY id;
SELECT * FROM backorder.verify();

-- The line's last unit counts; supply that does not reach gives no date.
INSERT INTO line VALUES (11, 1, 'pr C', 4), (12, 1, 'pr C', 4), (13, 1, 'pr C', 4);
SELECT supply(11, 'pr C', 3, '2099-01-01');
SELECT supply(12, 'pr C', 6, '2099-02-01');
SELECT order_key, first, promised FROM recorded WHERE item = 'pr C' ORDER BY line_id;
SELECT supply(13, 'pr C', 3, '2099-01-15');
SELECT order_key, first, promised FROM recorded WHERE item = 'pr C' ORDER BY line_id;
-- Ranks move: promises follow.  The first promise is kept.
UPDATE line SET priority = 1 WHERE order_id = 13;
SELECT order_key, first, promised FROM recorded WHERE item = 'pr C' ORDER BY priority DESC, line_id;
UPDATE line SET quantity = 3 WHERE order_id = 13;
SELECT order_key, first, promised FROM recorded WHERE item = 'pr C' ORDER BY priority DESC, line_id;
DELETE FROM line WHERE order_id = 11;
SELECT order_key, first, promised FROM recorded WHERE item = 'pr C' ORDER BY priority DESC, line_id;
-- Stock from elsewhere: everyone moves up.
SELECT count(*) FROM backorder.receive('pr C', 4);
SELECT order_key, "a/b", first, promised FROM recorded WHERE item = 'pr C' ORDER BY priority DESC, line_id;
-- The purchase itself arrives, in full and in part.
INSERT INTO line VALUES (14, 1, 'pr C', 6);
SELECT order_key, "a/b", first, promised FROM recorded WHERE item = 'pr C' ORDER BY priority DESC, line_id;
SELECT order_key, quantity FROM backorder.receive_purchase_line(600000001, 11, 3);
SELECT order_key, "a/b", first, promised FROM recorded WHERE item = 'pr C' ORDER BY priority DESC, line_id;
SELECT order_key, quantity FROM backorder.receive_purchase_line(600000001, 12, 4);
SELECT order_key, "a/b", first, promised FROM recorded WHERE item = 'pr C' ORDER BY priority DESC, line_id;

-- A line that joins at the end is promised from what the others leave.
SELECT supply(21, 'pr D', 10, '2099-03-01');
SELECT supply(22, 'pr D', 10, '2099-04-01');
INSERT INTO line VALUES (21, 1, 'pr D', 4);
INSERT INTO line VALUES (22, 1, 'pr D', 6);
INSERT INTO line VALUES (23, 1, 'pr D', 1);
INSERT INTO line VALUES (24, 1, 'pr D', 10);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr D' ORDER BY line_id;
-- Held lines have no promise, and leave their supply to the others.
UPDATE line SET held = true WHERE order_id IN (21, 24);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr D' ORDER BY line_id;
UPDATE line SET held = false WHERE order_id IN (21, 24);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr D' ORDER BY line_id;

-- Handling time is part of the promise; when it changes, repromise() does the rest.
INSERT INTO backorder.item_policy (item, handling_time) VALUES ('pr E', 2);
SELECT supply(31, 'pr E', 5, '2099-05-01');
INSERT INTO line VALUES (31, 1, 'pr E', 2), (32, 1, 'pr E', 3), (33, 1, 'pr E', 1);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr E' ORDER BY line_id;
UPDATE backorder.item_policy SET handling_time = 4 WHERE item = 'pr E';
SELECT promises_stale FROM backorder.stock WHERE item = 'pr E';
SELECT backorder.repromise('pr E');
SELECT order_key, first, promised FROM recorded WHERE item = 'pr E' ORDER BY line_id;
SELECT promises_stale FROM backorder.stock WHERE item = 'pr E';
SELECT order_key, type FROM events WHERE order_key IN ('31', '32', '33') ORDER BY id;
DELETE FROM backorder.item_policy WHERE item = 'pr E';
SELECT backorder.repromise();
SELECT order_key, first, promised FROM recorded WHERE item = 'pr E' ORDER BY line_id;
SELECT backorder.repromise();

-- Supply whose day has passed gives no new promise, and takes none away.
SELECT supply(41, 'pr F', 5, '2000-01-01');
INSERT INTO line VALUES (41, 1, 'pr F', 2);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr F' ORDER BY line_id;
SELECT supply(42, 'pr F', 5, '2099-06-01');
INSERT INTO line VALUES (42, 1, 'pr F', 4);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr F' ORDER BY line_id;
UPDATE backorder.purchase_order_line SET expected_at = '2000-01-02' WHERE (po_id, line_no) = (600000001, 42);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr F' ORDER BY line_id;
UPDATE backorder.purchase_order_line SET expected_at = '2099-07-01' WHERE (po_id, line_no) = (600000001, 41);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr F' ORDER BY line_id;

-- An unknown day comes last and promises nothing; when it is known, there is a promise.
SELECT supply(51, 'pr G', 5, NULL);
INSERT INTO line VALUES (51, 1, 'pr G', 2);
SELECT supply(52, 'pr G', 1, '2099-06-01');
INSERT INTO line VALUES (52, 1, 'pr G', 1);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr G' ORDER BY line_id;
UPDATE backorder.purchase_order_line SET expected_at = '2099-08-01' WHERE (po_id, line_no) = (600000001, 51);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr G' ORDER BY line_id;
SELECT order_key, type FROM events WHERE order_key IN ('51', '52') ORDER BY id;
-- A day that is not known any more is promised no more.
UPDATE backorder.purchase_order_line SET expected_at = NULL WHERE (po_id, line_no) = (600000001, 51);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr G' ORDER BY line_id;

-- What is cancelled or closed is not coming.
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (600000002, 'promises', 'placed'), (600000003, 'promises', 'placed');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (600000002, 1, 'pr H', 2, '2099-09-01'), (600000003, 1, 'pr H', 2, '2099-10-01');
INSERT INTO line VALUES (61, 1, 'pr H', 2), (62, 1, 'pr H', 2);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr H' ORDER BY line_id;
SELECT backorder.cancel_purchase_order(600000002);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr H' ORDER BY line_id;
SELECT backorder.close_purchase_order(600000003);
SELECT order_key, first, promised FROM recorded WHERE item = 'pr H' ORDER BY line_id;

-- Each location has its own supply.
INSERT INTO backorder.purchase_order (po_id, supplier, location, status) VALUES (600000004, 'promises', 'east', 'placed');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (600000004, 1, 'pr H', 2, '2099-09-01');
SELECT order_key, first, promised FROM recorded WHERE item = 'pr H' ORDER BY line_id;

-- Settling re-promises at most repromise_limit lines of an item and marks the rest.
SET backorder.repromise_limit = 2;
INSERT INTO line SELECT 70 + i, 1, 'pr I', 1 FROM generate_series(1, 5) i;
SELECT supply(61, 'pr I', 9, '2099-11-01');
SELECT order_key, promised FROM recorded WHERE item = 'pr I' ORDER BY line_id;
SELECT promises_stale FROM backorder.stock WHERE item = 'pr I';
SELECT * FROM backorder.verify();
SELECT backorder.repromise('pr I');
SELECT order_key, promised FROM recorded WHERE item = 'pr I' ORDER BY line_id;
SELECT promises_stale FROM backorder.stock WHERE item = 'pr I';
SELECT order_key, type FROM events WHERE order_key BETWEEN '71' AND '75' ORDER BY id;
-- Joining at the end and being allocated stock are no re-promise.
INSERT INTO line VALUES (76, 1, 'pr I', 1);
SELECT count(*) FROM backorder.receive_purchase_line(600000001, 61, 1);
SELECT order_key, "a/b", promised FROM recorded WHERE item = 'pr I' ORDER BY line_id;
SELECT promises_stale FROM backorder.stock WHERE item = 'pr I';
SET backorder.repromise_limit = 1;
UPDATE backorder.purchase_order_line SET expected_at = '2099-12-01' WHERE (po_id, line_no) = (600000001, 61);
SELECT order_key, "a/b", promised FROM recorded WHERE item = 'pr I' ORDER BY line_id;
SELECT promises_stale FROM backorder.stock WHERE item = 'pr I';
INSERT INTO line VALUES (77, 1, 'pr I', 1);
SELECT backorder.repromise('pr I');
SELECT order_key, "a/b", promised FROM recorded WHERE item = 'pr I' ORDER BY line_id;
RESET backorder.repromise_limit;
SELECT * FROM backorder.verify();

-- Today is the day in backorder.timezone, whatever the session's is.
SET backorder.timezone = 'Pacific/Kiritimati';
SELECT backorder_internal.today() AS today_there \gset
SET timezone = 'Pacific/Kiritimati';
SET backorder.timezone = 'Etc/GMT+12';
SELECT backorder_internal.today() < :'today_there' AS earlier;
SET backorder.timezone = 'nowhere';
\echo :SQLSTATE
SELECT backorder_internal.day_of('2030-01-01 11:59+00'), backorder_internal.day_of('2030-01-01 12:00+00'), backorder_internal.day_of(NULL);
-- It may be written in all the ways that TimeZone may.
SET backorder.timezone = '-7';
SELECT backorder_internal.day_of('2030-01-01 06:59+00'), backorder_internal.day_of('2030-01-01 07:00+00'), backorder_internal.today() = (now() AT TIME ZONE INTERVAL '-7:00')::date AS same;
SET backorder.timezone = 'INTERVAL ''+14:00''';
SELECT backorder_internal.day_of('2030-01-01 09:59+00'), backorder_internal.day_of('2030-01-01 10:00+00'), backorder_internal.today() = (now() AT TIME ZONE INTERVAL '+14:00')::date AS same;
RESET timezone;
RESET backorder.timezone;
SELECT backorder_internal.today() = backorder_internal.day_of(now()) AS same;
SET backorder.repromise_limit = 0;
\echo :SQLSTATE

SELECT * FROM backorder.verify();

-- Nothing stays attached.
SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema = 'promises' AND detached_at IS NULL;
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA promises CASCADE;
