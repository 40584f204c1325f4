-- Floor of a cancellation: order :order_no held all of "shared N", which 1,000 lines wait for.
WITH header AS (
	UPDATE orders SET status = 'cancelled' WHERE order_no = :order_no
), revision AS (
	UPDATE floor.sales_order SET revision = revision + 1 WHERE tenant = '' AND source_id = 1 AND order_key = :'order_no'
), cancelled AS (
	DELETE FROM floor.order_line WHERE tenant = '' AND source_id = 1 AND order_key = :'order_no' RETURNING line_id, item, allocated
), line AS (
	UPDATE floor.order_line l SET allocated = l.allocated + 1, promised_at = NULL
	WHERE l.tenant = '' AND l.item = :'item' AND l.location = '' AND l.backordered > 0 AND NOT l.held
	RETURNING l.line_id, l.order_key, l.customer, floor.payload(l.order_key, l.customer, l.line_key, l.item, l.ordered, l.shipped) AS payload
), counter AS (
	UPDATE floor.stock SET backordered = backordered - 1000, version = version + 1 WHERE tenant = '' AND item = :'item' AND location = ''
), ledger AS (
	INSERT INTO floor.allocation (line_id, item, location, quantity, cause)
	SELECT c.line_id, c.item, '', - c.allocated, 'cancelled' FROM cancelled c
	UNION ALL SELECT l.line_id, :'item', '', 1, 'released' FROM line l
), gone AS (
	DELETE FROM floor.waiting_order w USING line l WHERE w.tenant = '' AND w.source_id = 1 AND w.order_key = l.order_key
)
INSERT INTO floor.event (aggregatetype, aggregateid, type, payload, source_id, customer, generation)
SELECT 'order', l.order_key, k.type, l.payload, 1, l.customer, 1
FROM line l, (VALUES ('allocated'), ('ready')) AS k (type);
