--# 3. From many short orders to a few purchase orders

--=
SELECT format('%s lines of %s orders wait. %s of them are promised from purchase orders that are under way; for the'
	||E'\n'||'other %s nothing is on order. One call:', count(*), count(DISTINCT order_key), count(promised_at), count(*) - count(promised_at))
FROM backorder.backlog;

--$
SELECT count(*) AS lines, count(DISTINCT order_key) AS orders, sum(backordered) AS units,
	count(DISTINCT (order_key, i.supplier)) AS singly
FROM backorder.backlog b JOIN shop.items i ON i.sku = b.item WHERE promised_at IS NULL \gset

SELECT count(*) AS lines_planned FROM backorder.plan_purchases();

SELECT po_id, supplier, count(*) AS lines, sum(ordered) AS units,
    sum(for_backorders) AS for_customers, sum(for_rounding) AS rounding,
    order_value, minimum_order_value AS minimum, currency
FROM backorder.purchases WHERE status = 'draft'
GROUP BY po_id, supplier, order_value, minimum_order_value, currency ORDER BY po_id;

--?
SELECT sum(for_backorders) = :units AND count(DISTINCT supplier) = count(DISTINCT po_id),
	format('%s short lines of %s orders → %s purchase orders (%s if each order were bought for by itself)',
		:lines, :orders, count(DISTINCT po_id), :singly)
FROM backorder.purchases WHERE status = 'draft';

--=
SELECT format('What is below a supplier''s minimum order value (%s) is shown, not padded: the buyer decides.'
	||E'\n'||'One line taken apart. %s sells this chain by the %s, not under %s:',
	(SELECT string_agg(DISTINCT p.supplier, ', ') FROM backorder.purchases p WHERE p.status = 'draft' AND p.order_value < p.minimum_order_value),
	initcap(supplier), order_multiple, minimum_quantity)
FROM backorder.supplier_item WHERE item = 'CH-11-118';

SELECT p.item, p.ordered, p.for_backorders, p.for_rounding,
    (SELECT string_agg(b.backordered || ' ' || b.customer, ', ' ORDER BY b.rank)
     FROM backorder.backlog b WHERE b.item = p.item) AS customers
FROM backorder.purchases p WHERE p.item = 'CH-11-118' AND p.status = 'draft';

--?
SELECT p.for_backorders = b.short AND p.ordered = p.for_backorders + p.for_rounding AND p.ordered % 6 = 0
		AND p.ordered >= 12 AND p.ordered - b.short < 6,
	format('%s = %s for customers + %s rounding', p.ordered, p.for_backorders, p.for_rounding)
FROM backorder.purchases p, (SELECT sum(backordered) AS short FROM backorder.backlog WHERE item = 'CH-11-118') b
WHERE p.item = 'CH-11-118' AND p.status = 'draft';

--$
CREATE TEMP TABLE planned AS SELECT po_id, line_no, item, ordered, for_backorders, for_rounding FROM backorder.purchases WHERE status = 'draft';

--: Planning again changes nothing, so it may run every hour:
SELECT count(*) AS lines_planned FROM backorder.plan_purchases();

--?
SELECT count(*) = 0, 'the second plan is the first, line by line'
FROM ((TABLE planned EXCEPT ALL SELECT po_id, line_no, item, ordered, for_backorders, for_rounding FROM backorder.purchases WHERE status = 'draft')
	UNION ALL (SELECT po_id, line_no, item, ordered, for_backorders, for_rounding FROM backorder.purchases WHERE status = 'draft' EXCEPT ALL TABLE planned)) d;

--: The buyer places them:
SELECT count(*) AS placed
FROM backorder.purchase_order, backorder.place_purchase_order(po_id) WHERE status = 'draft';

--?
SELECT count(*) > 0 AND count(*) = count(promised_at),
	format('each of the %s waiting lines has a date now, from %s to %s', count(*), min(promised_at), max(promised_at))
FROM backorder.backlog;
