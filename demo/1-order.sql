--# 1. An order is short, and the application did not have to know

--: The application sends what it always sent. Its role, shop_app, was granted nothing of backorder's.
--@ app
BEGIN;
INSERT INTO shop.orders (order_no, customer) VALUES ('SO-10151', 'LAGUNA');
INSERT INTO shop.order_lines (order_no, line_no, sku, qty)
VALUES ('SO-10151', 1, 'TY-28-32', 12), ('SO-10151', 2, 'BB-68-113', 4);
COMMIT;

--: What it got, what it waits for, and by when:
SELECT item, ordered, has, waits_for, next_supply, promised_at
FROM backorder.explain('SO-10151');

--: And one message for the customer lies in the outbox, written by the same transaction:
SELECT e.type, e.customer, e.aggregateid AS "order", line.*
FROM backorder.event e, jsonb_to_recordset(e.payload->'lines')
    AS line(item text, ordered int, allocated int, backordered int, promised_at date);

--?
SELECT count(*) = 2 AND sum(allocated) + sum(backordered) = 16 AND bool_and(backordered = 0 OR promised_at IS NOT NULL)
		AND sum(backordered) > 0 AND (SELECT count(*) FROM backorder.event) = 1,
	format('%s of 16 units allocated, %s short with a date, one event', sum(allocated), sum(backordered))
FROM backorder.order_line WHERE order_key = 'SO-10151';

--$
SELECT pg_temp.fingerprint() AS before \gset

--: The same once more. flush() settles now what COMMIT would settle; then it is rolled back:
BEGIN;
INSERT INTO shop.orders (order_no, customer) VALUES ('SO-10152', 'LAGUNA');
INSERT INTO shop.order_lines (order_no, line_no, sku, qty)
VALUES ('SO-10152', 1, 'TY-28-32', 12), ('SO-10152', 2, 'BB-68-113', 4);
SELECT backorder.flush() AS lines_settled;
ROLLBACK;

--?
SELECT pg_temp.fingerprint() = :'before' AND NOT EXISTS (SELECT FROM backorder.sales_order WHERE order_key = 'SO-10152'),
	'nothing is left of it: recorded orders, counters, ledger and events are byte for byte as before';
