-- Floor of a receipt that fills all waiting lines of "scarce": movement, counters, lines, ledger, waiting orders, events.
WITH movement AS (
	INSERT INTO floor.stock_movement (item, kind, quantity) VALUES ('scarce', 'receipt', :quantity) RETURNING movement_id
), counter AS (
	UPDATE floor.stock SET on_hand = on_hand + :quantity, allocated = allocated + :quantity, backordered = backordered - :quantity, version = version + 1
	WHERE tenant = '' AND item = 'scarce' AND location = ''
), line AS (
	UPDATE floor.order_line l SET allocated = l.allocated + 1, promised_at = NULL
	WHERE l.tenant = '' AND l.item = 'scarce' AND l.location = '' AND l.backordered > 0 AND NOT l.held
	RETURNING l.line_id, l.order_key, l.customer, floor.payload(l.order_key, l.customer, l.line_key, l.item, l.ordered, l.shipped) AS payload
), ledger AS (
	INSERT INTO floor.allocation (line_id, item, location, quantity, cause, movement_id)
	SELECT l.line_id, 'scarce', '', 1, 'receipt', m.movement_id FROM line l, movement m
), gone AS (
	DELETE FROM floor.waiting_order w USING line l WHERE w.tenant = '' AND w.source_id = 1 AND w.order_key = l.order_key
)
INSERT INTO floor.event (aggregatetype, aggregateid, type, payload, source_id, customer, generation)
SELECT 'order', l.order_key, k.type, l.payload, 1, l.customer, 1
FROM line l, (VALUES ('allocated'), ('ready')) AS k (type);
