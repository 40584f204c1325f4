-- Peer of verify(): one pass of counts over the joins that it makes, comparing nothing.
SELECT count(*) FROM backorder.stock s
FULL JOIN (SELECT tenant, item, location, sum(quantity), sum(unavailable) FROM backorder.stock_movement GROUP BY 1, 2, 3) m USING (tenant, item, location)
FULL JOIN (SELECT tenant, item, location, sum(allocated), sum(backordered) FROM backorder.order_line GROUP BY 1, 2, 3) l USING (tenant, item, location)
FULL JOIN (SELECT tenant, item, location, sum(open) FROM backorder.supply GROUP BY 1, 2, 3) y USING (tenant, item, location);
SELECT count(*), count(a.quantity) FROM backorder.order_line l
LEFT JOIN (SELECT tenant, line_id, sum(quantity) AS quantity FROM backorder.allocation GROUP BY 1, 2) a USING (tenant, line_id);
SELECT count(*) FROM (SELECT tenant, line_id FROM backorder.order_line GROUP BY 1, 2) l;
SELECT count(*) FROM backorder.supply y
FULL JOIN (SELECT tenant, po_id, po_line_no AS line_no, sum(quantity) FROM backorder.stock_movement WHERE po_id IS NOT NULL GROUP BY 1, 2, 3) m USING (tenant, po_id, line_no);
SELECT count(*) FROM backorder.supply y
FULL JOIN (SELECT l.* FROM backorder.purchase_order_line l JOIN backorder.purchase_order o USING (tenant, po_id)) p USING (tenant, po_id, line_no);
SELECT count(*), count(expected) FROM backorder_internal.expected_promise;
SELECT count(*), count(w.last_notified), sum(n.waits) FROM backorder.waiting_order w
FULL JOIN (SELECT tenant, source_id, order_key, sum(backordered) AS waits FROM backorder.order_line GROUP BY 1, 2, 3 HAVING sum(backordered) > 0) n USING (tenant, source_id, order_key);
SELECT count(*) FROM (SELECT DISTINCT tenant, source_id, order_key FROM backorder.order_line) l JOIN backorder.sales_order o USING (tenant, source_id, order_key);
SELECT count(*) FROM (SELECT DISTINCT tenant, source_id FROM backorder.order_line) l JOIN backorder.source s USING (tenant, source_id);
SELECT count(*), sum(m.qty), sum(r.ordered)
FROM (SELECT l.order_no::text COLLATE "C" AS order_key, l.line_no::text COLLATE "C" AS line_key, l.qty, o.customer FROM lines l JOIN orders o USING (order_no)) m
FULL JOIN (SELECT * FROM backorder.order_line WHERE tenant = '' AND source_id = 1) r ON r.order_key = m.order_key AND r.line_key = m.line_key;
