--# 4. A delivery moves by a week

--$
DO $$ BEGIN PERFORM backorder.take_events(10000, 'mailer'); END $$;
CREATE TEMP TABLE dated AS SELECT order_key, line_key, customer, promised_at FROM backorder.backlog;
CREATE TEMP TABLE concerned AS SELECT DISTINCT order_key, g.customer FROM backorder.pegging g
	JOIN backorder.purchase_order p USING (po_id) WHERE p.supplier = 'KITANO';

--: The mailer has taken all events so far. Now Kitano writes: everything comes a week later.
UPDATE backorder.purchase_order_line SET expected_at = expected_at + 7
WHERE po_id IN (SELECT po_id FROM backorder.purchase_order
                WHERE supplier = 'KITANO' AND status = 'placed');

--: That was all. The next time it asks, the mailer gets:
SELECT e.type, e.customer, e.aggregateid AS "order", line.*
FROM backorder.take_events(10000, 'mailer') AS e, jsonb_to_recordset(e.payload->'lines')
    AS line(item text, backordered numeric, promised_before date, promised_at date)
WHERE line.promised_at <> line.promised_before
ORDER BY e.id, line.item;

--?
SELECT count(*) > 0 AND count(*) = count(DISTINCT e.aggregateid)
		AND array_agg(e.aggregateid ORDER BY e.aggregateid) = (SELECT array_agg(order_key ORDER BY order_key) FROM concerned),
	format('%s events, one for each order that waits for Kitano; the other %s waiting orders heard nothing',
		count(*), (SELECT count(DISTINCT order_key) FROM dated) - count(*))
FROM backorder.event e WHERE e.type = 'delayed';

--?
SELECT count(*) FILTER (WHERE moved = 7) > 0 AND bool_and(moved = CASE WHEN supplied THEN 7 ELSE 0 END),
	format('%s promises moved by 7 days, %s stayed', count(*) FILTER (WHERE moved = 7), count(*) FILTER (WHERE moved = 0))
FROM (
	SELECT b.promised_at - d.promised_at AS moved, i.supplier = 'KITANO' AS supplied
	FROM dated d JOIN backorder.backlog b USING (order_key, line_key) JOIN shop.items i ON i.sku = b.item
) m;
