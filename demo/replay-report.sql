-- Both columns in one shape, and the summary. A line that still waits has waited until the end.

-- n is the line's place in the order of entry; filled_at is when it had all of its quantity.
CREATE TABLE replay.outcome (
	side text,
	n bigint,
	order_no text,
	sku text,
	entered_at timestamptz,
	qty numeric,
	first numeric,
	waiting numeric,
	filled_at timestamptz
);
INSERT INTO replay.outcome
SELECT 'with', row_number() OVER (ORDER BY o.n, l.line_key::integer), l.order_key, l.item,
	CASE WHEN s.copy THEN s.monday ELSE o.ordered_at END, l.ordered, l.first_allocated, l.backordered,
	CASE WHEN l.first_allocated = l.ordered THEN CASE WHEN s.copy THEN s.monday ELSE o.ordered_at END
		WHEN l.backordered = 0 THEN a.filled_at END
FROM replay.setting s, backorder.order_line l
JOIN replay.orders o ON o.order_no = l.order_key
LEFT JOIN (
	SELECT a.line_id, max(m.occurred_at) AS filled_at
	FROM backorder.allocation a JOIN backorder.stock_movement m USING (tenant, movement_id)
	WHERE a.quantity > 0 GROUP BY 1
) a USING (line_id);
INSERT INTO replay.outcome
SELECT 'without', n, order_no, sku, entered_at, qty, first, waiting, filled_at FROM baseline.line;

CREATE TABLE replay.bought AS
SELECT 'with' AS side, po_id, ordered AS quantity, received > 0 AS received FROM backorder.purchases WHERE status <> 'draft'
UNION ALL
SELECT 'without', po, quantity, received FROM baseline.purchase;

CREATE FUNCTION replay.days(i interval) RETURNS text LANGUAGE sql AS $$
	SELECT to_char(extract(epoch FROM i) / 86400, 'FM9990.0') || ' days'
$$;

CREATE TABLE replay.summary AS
WITH ended AS (
	SELECT monday + steps / 2 * 7 AS at FROM replay.setting
), passed AS (
	SELECT side, entered_at, first, max(coalesce(filled_at, 'infinity'))
		OVER (PARTITION BY side, sku ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS older_filled_at
	FROM replay.outcome
), lines AS (
	SELECT side, count(*) AS lines, count(*) FILTER (WHERE first < qty) AS short, sum(qty - first) AS units_short,
		sum(first) / sum(qty) AS fill_rate, sum(qty - first - waiting) AS allocated,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY coalesce(filled_at, at) - entered_at) FILTER (WHERE first < qty) AS median,
		max(coalesce(filled_at, at) - entered_at) AS longest, count(*) FILTER (WHERE waiting > 0) AS waiting
	FROM replay.outcome, ended GROUP BY side
)
SELECT l.*, b.orders, b.po_lines, b.units_bought, p.passed, s.on_shelf
FROM lines l
LEFT JOIN (SELECT side, count(DISTINCT po_id) AS orders, count(*) AS po_lines, sum(quantity) AS units_bought FROM replay.bought GROUP BY side) b USING (side)
LEFT JOIN (SELECT side, avg(units) AS on_shelf FROM replay.shelf GROUP BY side) s USING (side)
LEFT JOIN (SELECT side, count(*) AS passed FROM passed WHERE first > 0 AND older_filled_at > entered_at GROUP BY side) p USING (side);

\pset linestyle unicode
\pset footer off
\pset null '-'
SELECT r.name AS "the same weeks", r.a AS "with backorder", r.b AS "without"
FROM replay.summary w, replay.summary o, replay.setting s
CROSS JOIN LATERAL (VALUES
	(1, 'lines recorded', replay.number(w.lines), replay.number(o.lines)),
	(2, 'lines short when ordered', replay.number(w.short), replay.number(o.short)),
	(3, 'units short when ordered', replay.number(w.units_short), replay.number(o.units_short)),
	(4, 'first-pass fill rate, of units', to_char(100 * w.fill_rate, 'FM990.0') || ' %', to_char(100 * o.fill_rate, 'FM990.0') || ' %'),
	(5, 'purchase orders', replay.number(coalesce(w.orders, 0)), replay.number(coalesce(o.orders, 0))),
	(6, 'purchase order lines', replay.number(coalesce(w.po_lines, 0)), replay.number(coalesce(o.po_lines, 0))),
	(7, 'units bought', replay.number(coalesce(w.units_bought, 0)), replay.number(coalesce(o.units_bought, 0))),
	(8, 'free units in stock, weekly average', replay.number(w.on_shelf), replay.number(o.on_shelf)),
	(9, 'units allocated on receipt', replay.number(w.allocated), replay.number(o.allocated)),
	(10, 'median wait of a short line', replay.days(w.median), replay.days(o.median)),
	(11, 'longest wait', replay.days(w.longest), replay.days(o.longest)),
	(12, 'lines served before an older one', replay.number(coalesce(w.passed, 0)), replay.number(coalesce(o.passed, 0))),
	(13, 'lines still waiting', replay.number(w.waiting), replay.number(o.waiting)),
	(14, 'wall time', (SELECT to_char(sum(seconds), 'FM999,990') FROM replay.clock) || ' s', NULL)
) AS r (n, name, a, b)
WHERE w.side = 'with' AND o.side = 'without'
ORDER BY r.n;
