-- All orders in one transaction: the headers by one INSERT, the lines by one COPY from standard input.
SELECT clock_timestamp() AS since \gset
BEGIN;
INSERT INTO shop.orders (order_no, customer, ordered_at)
SELECT order_no, customer, ordered_at FROM replay.orders ORDER BY n;
\copy shop.order_lines (order_no, line_no, sku, qty) FROM pstdin
COMMIT;
SELECT replay.tick('orders', :'since') \g /dev/null
