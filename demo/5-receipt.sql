--# 5. A delivery is less than due

--=
SELECT format('%s customers wait for the chain. The key account (priority 1) ordered last and is served first:', count(*))
FROM backorder.backlog WHERE item = 'CH-11-118';

SELECT rank, order_key AS "order", customer, priority, queued_at::date AS ordered_on,
    backordered, ahead, promised_at
FROM backorder.backlog WHERE item = 'CH-11-118' ORDER BY rank;

--$
CREATE TEMP TABLE queue AS SELECT rank, order_key, backordered, ahead FROM backorder.backlog WHERE item = 'CH-11-118';
SELECT open AS due FROM backorder.purchases WHERE item = 'CH-11-118' AND status = 'placed' \gset

--=
SELECT format('To make up for the delay Kitano flies in 10 of the %s. They are allocated as they are received:', open)
FROM backorder.purchases WHERE item = 'CH-11-118' AND status = 'placed';

SELECT r.order_key AS "order", r.customer, r.quantity AS got, r.allocated, r.backordered, r.ready
FROM backorder.purchases p, backorder.receive_purchase_line(p.po_id, p.line_no, 10) AS r
WHERE p.item = 'CH-11-118' AND p.status = 'placed';

--?
SELECT :due > 10 AND bool_and(coalesce(g.got, 0) = greatest(least(q.backordered, 10 - q.ahead), 0)) AND sum(g.got) = 10,
	format('%s due, 10 came, allocated by rank: %s', :due, string_agg(format('%s of %s for %s', coalesce(g.got, 0), q.backordered, q.order_key), ', ' ORDER BY q.rank))
FROM queue q LEFT JOIN (
	SELECT l.order_key, sum(a.quantity) AS got
	FROM backorder.allocation a JOIN backorder.order_line l USING (tenant, line_id)
	WHERE a.item = 'CH-11-118' AND a.cause = 'receipt' GROUP BY 1
) g USING (order_key);

--: Why did the last one get nothing? What every clerk on the telephone can see:
SELECT waits_for, rank, next_supply, why
FROM backorder.explain('SO-10126') WHERE item = 'CH-11-118';

--?
SELECT has = 0 AND waits_for = 1 AND rank = 2 AND ahead = 2 AND promised_at IS NOT NULL,
	format('%s waits for %s with %s ahead, still promised for %s', 'SO-10126', waits_for, ahead, promised_at)
FROM backorder.explain('SO-10126') WHERE item = 'CH-11-118';

--: And for the auditor the ledger says from which purchase order each unit came:
SELECT l.order_key AS "order", l.customer, a.quantity, a.cause, a.po_id, a.po_line_no
FROM backorder.allocation a JOIN backorder.order_line l USING (tenant, line_id)
WHERE a.item = 'CH-11-118' ORDER BY a.allocation_id;
