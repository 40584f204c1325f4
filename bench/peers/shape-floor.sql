-- Floor of a bulk load: its lines, and the rows that the extension leaves of them, all in stock: nothing is read back that is known.
WITH line AS (
	INSERT INTO lines (order_no, line_no, sku, qty) SELECT order_no, line_no, sku, qty FROM incoming
), seen AS (
	INSERT INTO floor.sales_order (source_id, order_key) SELECT 1, order_no::text FROM incoming WHERE line_no = 1
), recorded AS (
	INSERT INTO floor.order_line (line_id, source_id, queued_at, order_key, line_key, item, customer, ordered, allocated, first_allocated)
	SELECT nextval('floor.line_id_seq'), 1, now(), order_no::text, line_no::text, sku, CASE WHEN :'shape' = 'nofk' THEN 'customer ' || order_no % 1000 END, qty, qty, qty
	FROM incoming
)
UPDATE floor.stock s SET allocated = s.allocated + r.n, version = s.version + 1
FROM (SELECT sku, sum(qty) AS n FROM incoming GROUP BY sku) r WHERE s.tenant = '' AND s.item = r.sku AND s.location = '';
