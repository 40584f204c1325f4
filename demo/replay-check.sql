-- What a replay must have shown; read by script/demo like the scenes.

--?
SELECT count(*) = (SELECT count(*) FROM replay.file WHERE sku IS NOT NULL AND qty > 0) AND bool_and(l.ordered = f.qty AND l.item = f.sku),
	format('every line of the file with a quantity is recorded: %s', replay.number(count(*)))
FROM backorder.order_line l JOIN replay.file f ON f.order_no = l.order_key AND f.line_no = l.line_key::integer;

--?
SELECT w.units_short = l.units + w.still, format('of %s units short, %s were allocated on receipt by the ledger and %s still wait',
	replay.number(w.units_short), replay.number(l.units), replay.number(w.still))
FROM (SELECT sum(qty - first) AS units_short, sum(waiting) AS still FROM replay.outcome WHERE side = 'with') w,
	(SELECT coalesce(sum(quantity) FILTER (WHERE quantity > 0 AND cause = 'receipt'), 0) AS units FROM backorder.allocation) l;

--?
SELECT coalesce(passed, 0) = 0, 'with backorder no line was served before an older one of its item' FROM replay.summary WHERE side = 'with';

--?
SELECT count(*) = 0, 'the other column''s books close: per item, what was there and came is what was allocated and is left'
FROM replay.item i
JOIN baseline.shelf s USING (sku)
LEFT JOIN (SELECT sku, sum(quantity) AS units FROM baseline.purchase WHERE received GROUP BY 1) b USING (sku)
LEFT JOIN (SELECT sku, sum(qty - waiting) AS units FROM baseline.line GROUP BY 1) d USING (sku)
WHERE i.opening + coalesce(b.units, 0) <> coalesce(d.units, 0) + s.quantity OR s.quantity < 0;

--?
SELECT count(*) = 0, format('verify() returns %s rows', count(*)) FROM backorder.verify();
