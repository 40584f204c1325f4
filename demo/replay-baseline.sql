-- The same weeks without backorder, reckoned on the same orders, stock, suppliers and levels:
--
--   an order takes what is on the shelf when it is entered
--   Monday    what is on the shelf is allocated to waiting lines in order of entry; then each order that is short is
--             bought for, one purchase order per order and supplier; then the shelf is filled up to its levels
--   Thursday  what is due by now arrives on the shelf
--
-- Two books are kept, as in a shop whose purchase orders for a customer are tied to his order: what was bought
-- for short orders is no supply of the shelf, and short orders are no demand on it.

CREATE SCHEMA baseline;
CREATE TABLE baseline.shelf (sku text PRIMARY KEY, quantity numeric NOT NULL);
CREATE TABLE baseline.line (
	n bigint PRIMARY KEY,
	order_no text,
	sku text,
	step integer,
	entered_at timestamptz,
	qty numeric,
	first numeric,
	waiting numeric,
	bought boolean NOT NULL DEFAULT false,
	filled_at timestamptz
);
CREATE INDEX ON baseline.line (step);
CREATE INDEX ON baseline.line (sku, n) WHERE waiting > 0;
CREATE TABLE baseline.purchase (
	po bigint,
	supplier text,
	order_no text,			-- NULL: for the shelf
	sku text,
	quantity numeric,
	due date,
	received boolean NOT NULL DEFAULT false
);
CREATE INDEX ON baseline.purchase (due) WHERE NOT received;
CREATE INDEX ON baseline.purchase (po);

-- Allocates the shelf to some lines in order of entry: those of a half week as they are entered, or those that wait.
CREATE PROCEDURE baseline.enter(steps int4range) LANGUAGE sql AS $$
	WITH allocated AS (
		SELECT l.n, greatest(least(l.qty, s.quantity - (sum(l.qty) OVER (PARTITION BY l.sku ORDER BY l.n) - l.qty)), 0) AS got
		FROM baseline.line l JOIN baseline.shelf s USING (sku) WHERE l.step <@ steps
	), entered AS (
		UPDATE baseline.line l SET first = d.got, waiting = l.qty - d.got,
			filled_at = CASE WHEN d.got = l.qty THEN l.entered_at END
		FROM allocated d WHERE d.n = l.n RETURNING l.sku, l.first
	)
	UPDATE baseline.shelf s SET quantity = s.quantity - e.first
	FROM (SELECT sku, sum(first) AS first FROM entered GROUP BY sku) e WHERE e.sku = s.sku
$$;
CREATE PROCEDURE baseline.allocate(today date) LANGUAGE sql AS $$
	WITH allocated AS (
		SELECT l.n, greatest(least(l.waiting, s.quantity - (sum(l.waiting) OVER (PARTITION BY l.sku ORDER BY l.n) - l.waiting)), 0) AS got
		FROM baseline.line l JOIN baseline.shelf s USING (sku) WHERE l.waiting > 0 AND s.quantity > 0
	), served AS (
		UPDATE baseline.line l SET waiting = l.waiting - d.got, filled_at = CASE WHEN d.got = l.waiting THEN today END
		FROM allocated d WHERE d.n = l.n AND d.got > 0 RETURNING l.sku, d.got
	)
	UPDATE baseline.shelf s SET quantity = s.quantity - v.got
	FROM (SELECT sku, sum(got) AS got FROM served GROUP BY sku) v WHERE v.sku = s.sku
$$;

CREATE PROCEDURE baseline.buy(today date) LANGUAGE sql AS $$
	INSERT INTO baseline.purchase (po, supplier, order_no, sku, quantity, due)
	SELECT p.last + dense_rank() OVER (ORDER BY w.order_no, w.supplier), w.supplier, w.order_no, w.sku,
		greatest(ceil(w.short / s.multiple), ceil(s.minimum / s.multiple)) * s.multiple, today + s.lead_days
	FROM (SELECT coalesce(max(po), 0) AS last FROM baseline.purchase) p, (
		SELECT l.order_no, i.supplier, l.sku, sum(l.waiting) AS short
		FROM baseline.line l JOIN replay.item i USING (sku) WHERE l.waiting > 0 AND NOT l.bought GROUP BY 1, 2, 3
	) w
	JOIN replay.supplier s USING (supplier);
	UPDATE baseline.line SET bought = true WHERE waiting > 0 AND NOT bought;

	INSERT INTO baseline.purchase (po, supplier, sku, quantity, due)
	SELECT p.last + dense_rank() OVER (ORDER BY n.supplier), n.supplier, n.sku,
		greatest(ceil(n.need / s.multiple), ceil(s.minimum / s.multiple)) * s.multiple, today + s.lead_days
	FROM (SELECT coalesce(max(po), 0) AS last FROM baseline.purchase) p, (
		SELECT i.sku, i.supplier, i.order_up_to - f.quantity - coalesce(o.quantity, 0) AS need
		FROM replay.item i JOIN baseline.shelf f USING (sku)
		LEFT JOIN (SELECT sku, sum(quantity) AS quantity FROM baseline.purchase WHERE NOT received AND order_no IS NULL GROUP BY sku) o USING (sku)
		WHERE f.quantity + coalesce(o.quantity, 0) < i.reorder_point
	) n
	JOIN replay.supplier s USING (supplier)
$$;
CREATE PROCEDURE baseline.receive(today date) LANGUAGE sql AS $$
	WITH arrived AS (
		UPDATE baseline.purchase SET received = true WHERE NOT received AND due <= today RETURNING sku, quantity
	)
	UPDATE baseline.shelf s SET quantity = s.quantity + a.quantity
	FROM (SELECT sku, sum(quantity) AS quantity FROM arrived GROUP BY sku) a WHERE a.sku = s.sku
$$;

CREATE PROCEDURE baseline.run() LANGUAGE plpgsql AS $$
DECLARE
	setting replay.setting;
BEGIN
	SELECT * INTO setting FROM replay.setting;
	INSERT INTO baseline.shelf SELECT i.sku, i.opening FROM replay.item i;
	INSERT INTO baseline.line (n, order_no, sku, step, entered_at, qty)
	SELECT row_number() OVER (ORDER BY o.n, f.line_no), f.order_no, f.sku, o.step,
		CASE WHEN setting.copy THEN setting.monday ELSE o.ordered_at END, f.qty
	FROM replay.file f JOIN replay.orders o USING (order_no) WHERE f.sku IS NOT NULL AND f.qty > 0;
	ANALYZE baseline.line;

	IF setting.copy THEN
		CALL baseline.enter('(,)');
	END IF;
	FOR step IN 0 .. setting.steps - 1 LOOP
		IF step % 2 = 0 THEN
			CALL baseline.allocate(setting.monday + step / 2 * 7);
			CALL baseline.buy(setting.monday + step / 2 * 7);
		ELSE
			CALL baseline.receive(setting.monday + step / 2 * 7 + 3);
		END IF;
		IF NOT setting.copy THEN
			CALL baseline.enter(int4range(step, step, '[]'));
		END IF;
		IF step % 2 = 1 THEN
			INSERT INTO replay.shelf SELECT 'without', step, sum(quantity) FROM baseline.shelf;
		END IF;
		COMMIT;
	END LOOP;
	-- What came on the last Thursday is not to be counted out: the Monday after it allocates it.
	CALL baseline.allocate(setting.monday + setting.steps / 2 * 7);
END $$;

CALL baseline.run();
