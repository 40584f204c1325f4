--# 2. Two sessions take the last five

--=
SELECT format('%s front lights are left. Session A orders them all. SET CONSTRAINTS makes PostgreSQL do now'
	||E'\n'||'what it would do at COMMIT, so that we can stop in the moment in between.', available)
FROM backorder.stock WHERE item = 'LT-F-USB';

--$
SELECT available AS left, backordered AS short FROM backorder.stock WHERE item = 'LT-F-USB' \gset

--@ A
BEGIN;
INSERT INTO shop.orders (order_no, customer) VALUES ('SO-10153', 'COGWORKS');
INSERT INTO shop.order_lines (order_no, line_no, sku, qty)
VALUES ('SO-10153', 1, 'LT-F-USB', 5);
SET CONSTRAINTS ALL IMMEDIATE;

--: Session B orders the same five before A has committed:
--@ B &
BEGIN;
INSERT INTO shop.orders (order_no, customer) VALUES ('SO-10154', 'TANDEM');
INSERT INTO shop.order_lines (order_no, line_no, sku, qty)
VALUES ('SO-10154', 1, 'LT-F-USB', 5);
COMMIT;

--~ B
SELECT b.application_name AS session, b.query AS statement, a.application_name AS waits_for
FROM pg_stat_activity a, pg_stat_activity b
WHERE a.pid = ANY (pg_blocking_pids(b.pid));

--: A commits. B goes on, and sees what A left:
--@ A
COMMIT;

--< B
SELECT order_key AS "order", customer, ordered, allocated, backordered
FROM backorder.order_line WHERE order_key IN ('SO-10153', 'SO-10154') ORDER BY order_key;

--?
SELECT array_agg(allocated || '/' || backordered ORDER BY order_key) = '{5/0,0/5}' AND :left = 5
	AND (SELECT available = 0 AND backordered = :short + 5 FROM backorder.stock WHERE item = 'LT-F-USB'),
	'one got the five, the other waits for five; nothing was sold twice'
FROM backorder.order_line WHERE order_key IN ('SO-10153', 'SO-10154');

--?
SELECT s.allocated = l.allocated AND s.backordered = l.backordered AND s.on_hand = m.on_hand,
	format('the sums: %s lines with %s allocated and %s short, %s on hand by movements; the counters agree',
		l.lines, l.allocated, l.backordered, m.on_hand)
FROM backorder.stock s,
	(SELECT sum(allocated) AS allocated, sum(backordered) AS backordered, count(*) AS lines FROM backorder.order_line WHERE item = 'LT-F-USB' AND live) l,
	(SELECT sum(quantity) AS on_hand FROM backorder.stock_movement WHERE item = 'LT-F-USB') m
WHERE s.item = 'LT-F-USB';
