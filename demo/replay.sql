-- A replay of orders from a file: an ordinary shop, the file as it was loaded, and procedures that
-- live through its weeks with backorder. replay-baseline.sql lives through them without.
--
-- The rules of a week, the same for both:
--   Monday    what is allocated is shipped; purchases are planned and placed
--   Thursday  what is due by now arrives
--   between   orders are entered, one after the other, in order of their time
--
-- The whole timeline is moved by whole weeks, so that the first Monday is not before today and what is
-- placed in the replay is due in the future: only such supply is promised. With --copy all orders are there
-- before the first Monday, as a backlog that is imported, so it is the last week that comes before today.
--
-- psql variables: columns, copy (0 or 1), stock_weeks

CREATE EXTENSION backorder;

CREATE SCHEMA shop;
CREATE TABLE shop.orders (
	order_no text PRIMARY KEY,
	customer text,
	ordered_at timestamptz NOT NULL,
	status text NOT NULL DEFAULT 'open'
);
CREATE TABLE shop.order_lines (
	order_no text REFERENCES shop.orders,
	line_no integer,
	sku text,
	qty numeric,
	shipped numeric NOT NULL DEFAULT 0,
	PRIMARY KEY (order_no, line_no)
);

CREATE SCHEMA replay;
CREATE TABLE replay.file (
	order_no text COLLATE "C" NOT NULL,
	line_no integer NOT NULL,
	sku text,
	qty numeric,
	ordered_at timestamptz NOT NULL,
	customer text,
	supplier text
);
SELECT format('ALTER TABLE replay.file ADD COLUMN %I text', name)
FROM unnest(string_to_array(:'columns', ', ')) AS name WHERE name LIKE 'ignored%' \gexec

CREATE TABLE replay.setting (
	copy boolean,
	stock_weeks numeric,
	suppliers_known boolean,
	first_day date,			-- of the file, unmoved
	last_day date,
	moved interval,			-- added to every date of the file
	monday date,			-- the first one of the replay
	weeks integer,			-- with orders
	steps integer			-- half weeks to live through
);
INSERT INTO replay.setting (copy, stock_weeks, suppliers_known)
VALUES (:copy = 1, :stock_weeks, ', ' || :'columns' || ', ' LIKE '%, supplier, %');

-- An order's place is its own in the queue: by time, then number. step is its half week.
CREATE TABLE replay.orders (
	n integer PRIMARY KEY,
	order_no text COLLATE "C" UNIQUE,
	customer text,
	ordered_at timestamptz,
	step integer
);
CREATE INDEX ON replay.orders (step);
CREATE TABLE replay.supplier (supplier text PRIMARY KEY, lead_days integer, multiple numeric, minimum numeric);
CREATE TABLE replay.item (
	sku text PRIMARY KEY,
	supplier text,
	demand numeric,			-- units in the file
	opening numeric,
	reorder_point numeric,
	order_up_to numeric
);
CREATE TABLE replay.shelf (side text, step integer, units numeric);		-- free stock at the end of each week
CREATE TABLE replay.clock (work text PRIMARY KEY, seconds numeric NOT NULL DEFAULT 0);
INSERT INTO replay.clock VALUES ('orders'), ('shipping'), ('planning'), ('receiving');

-- Once the file is loaded: the shop's items, suppliers, stock; what backorder is told of them; attach.
CREATE PROCEDURE replay.prepare() LANGUAGE plpgsql AS $$
DECLARE
	setting replay.setting;
	first_monday date;
	wrong text;
BEGIN
	CREATE INDEX ON replay.file (order_no, line_no);
	ANALYZE replay.file;

	IF NOT EXISTS (SELECT FROM replay.file) THEN
		RAISE EXCEPTION 'there are no lines below the header';
	END IF;
	SELECT format('order %s, line %s: ', f.order_no, f.line_no) || CASE
			WHEN NOT isfinite(f.ordered_at) THEN 'ordered_at is ' || f.ordered_at
			WHEN f.qty IN ('NaN', 'Infinity', '-Infinity') THEN 'qty is ' || f.qty
			ELSE 'there twice' END
	INTO wrong
	FROM (SELECT *, lead(line_no) OVER (PARTITION BY order_no ORDER BY line_no) AS next_line_no FROM replay.file) f
	WHERE NOT isfinite(f.ordered_at) OR f.qty IN ('NaN', 'Infinity', '-Infinity') OR f.line_no = f.next_line_no
	ORDER BY f.order_no, f.line_no LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION '%', wrong;
	END IF;
	SELECT min(f.ordered_at)::date, max(f.ordered_at)::date INTO setting.first_day, setting.last_day FROM replay.file f;
	UPDATE replay.setting s SET first_day = setting.first_day, last_day = setting.last_day,
		weeks = (date_trunc('week', setting.last_day)::date - date_trunc('week', setting.first_day)::date) / 7 + 1;
	first_monday := date_trunc('week', current_date + 6)::date;
	UPDATE replay.setting s SET monday = first_monday, moved = CASE WHEN s.copy
		THEN (first_monday - 7 - date_trunc('week', setting.last_day)::date) * interval '1 day'
		ELSE (first_monday - date_trunc('week', setting.first_day)::date) * interval '1 day' END;
	SELECT * INTO setting FROM replay.setting;

	INSERT INTO replay.orders (n, order_no, customer, ordered_at, step)
	SELECT row_number() OVER (ORDER BY o.ordered_at, o.order_no), o.order_no, o.customer, o.ordered_at,
		(o.ordered_at::date - setting.monday) / 7 * 2 + ((o.ordered_at::date - setting.monday) % 7 >= 3)::integer
	FROM (SELECT f.order_no, max(f.customer) AS customer, min(f.ordered_at) + setting.moved AS ordered_at
		FROM replay.file f GROUP BY 1) o;

	-- The file names suppliers or none; their terms are made up either way.
	INSERT INTO replay.item (sku, supplier, demand)
	SELECT f.sku, coalesce(nullif(mode() WITHIN GROUP (ORDER BY f.supplier), ''),
			'supplier ' || 1 + ('x' || left(md5(f.sku), 7))::bit(28)::integer % least(23, 1 + count(*) OVER () / 10)), sum(f.qty)
	FROM replay.file f WHERE f.sku IS NOT NULL AND f.qty > 0 GROUP BY f.sku;
	INSERT INTO replay.supplier (supplier, lead_days, multiple, minimum)
	SELECT s.supplier, 3 + s.g * 7 % 25, (ARRAY[1, 6, 12, 24])[1 + s.g % 4], (ARRAY[1, 12, 24])[1 + s.g % 3]
	FROM (SELECT i.supplier, row_number() OVER (ORDER BY i.supplier COLLATE "C")::integer AS g FROM replay.item i GROUP BY 1) s;
	UPDATE replay.item i SET
		opening = ceil(setting.stock_weeks * i.demand / setting.weeks),
		reorder_point = ceil((s.lead_days / 7.0 + 3) * i.demand / setting.weeks),
		order_up_to = ceil((s.lead_days / 7.0 + 5) * i.demand / setting.weeks)
	FROM replay.supplier s WHERE s.supplier = i.supplier;
	-- A backlog that is imported is history: it says nothing of the demand to come.
	IF setting.copy THEN
		UPDATE replay.item i SET reorder_point = 0, order_up_to = 0;
	END IF;
	UPDATE replay.setting s SET steps = 2 * CASE WHEN s.copy THEN (SELECT max(lead_days) / 7 + 2 FROM replay.supplier) ELSE s.weeks END;

	INSERT INTO backorder.stock_movement (item, kind, quantity, occurred_at)
	SELECT i.sku, 'opening', i.opening, setting.monday FROM replay.item i WHERE i.opening > 0;
	INSERT INTO backorder.supplier (supplier, lead_time) SELECT s.supplier, s.lead_days FROM replay.supplier s;
	INSERT INTO backorder.supplier_item (supplier, item, order_multiple, minimum_quantity)
	SELECT i.supplier, i.sku, s.multiple, s.minimum FROM replay.item i JOIN replay.supplier s USING (supplier);
	INSERT INTO backorder.item_policy (item, reorder_point, order_up_to)
	SELECT i.sku, i.reorder_point, i.order_up_to FROM replay.item i WHERE i.reorder_point > 0;

	PERFORM backorder.attach('shop.order_lines', item => 'sku', quantity => 'qty', shipped => 'shipped',
		order_key => 'order_no', line_key => 'line_no', header_table => 'shop.orders', header_key => 'order_no',
		live => $live$status <> 'cancelled'$live$, customer => 'customer', queued_at => 'ordered_at');
	ANALYZE replay.orders;
	ANALYZE replay.item;
END $$;

CREATE FUNCTION replay.number(n numeric) RETURNS text LANGUAGE sql AS $$
	SELECT to_char(n, 'FM999,999,999,990')
$$;

CREATE VIEW replay.description AS
SELECT concat_ws(E'\n',
	format('%s orders with %s lines of %s items from %s to %s, moved by %s weeks,',
		replay.number((SELECT count(*) FROM replay.orders)), replay.number((SELECT count(*) FROM replay.file)),
		replay.number((SELECT count(*) FROM replay.item)), s.first_day, s.last_day, extract(day FROM s.moved)::integer / 7),
	'since only what is still to come can be promised. The same with and without:',
	format('  stock at the start: %s weeks of each item''s average demand, %s %% of the units ordered',
		s.stock_weeks, (SELECT round(100 * sum(opening) / sum(demand), 1) FROM replay.item)),
	format('  suppliers: %s, %s; %s to %s days, multiples to %s, minimum to %s',
		t.suppliers, CASE WHEN s.suppliers_known THEN 'as in the file, with made-up terms' ELSE 'made up (the file names none)' END,
		t.shortest, t.longest, t.multiple, t.minimum),
	CASE WHEN s.copy THEN '  reorder levels: none, only what is short is bought'
		ELSE '  reorder point: average demand of lead time + 3 weeks; order-up-to: of 2 weeks more' END,
	'  Mondays what is allocated is shipped, and what is needed is bought; Thursdays what is due arrives') AS text
FROM replay.setting s,
	(SELECT count(*) AS suppliers, min(lead_days) AS shortest, max(lead_days) AS longest, max(multiple) AS multiple, max(minimum) AS minimum
	FROM replay.supplier) t;

CREATE VIEW replay.copied AS
SELECT f.order_no, f.line_no, f.sku, f.qty FROM replay.file f JOIN replay.orders o USING (order_no) ORDER BY o.n, f.line_no;

CREATE VIEW replay.times AS
SELECT format('Wall time: entering orders %s s (%s lines a second), shipping %s s, planning %s s, receiving %s s.',
	round(max(seconds) FILTER (WHERE work = 'orders')),
	round((SELECT count(*) FROM replay.file) / greatest(max(seconds) FILTER (WHERE work = 'orders'), 0.001), -2),
	round(max(seconds) FILTER (WHERE work = 'shipping')), round(max(seconds) FILTER (WHERE work = 'planning')),
	round(max(seconds) FILTER (WHERE work = 'receiving'))) AS text
FROM replay.clock;

CREATE FUNCTION replay.tick(what text, since timestamptz) RETURNS timestamptz LANGUAGE sql AS $$
	UPDATE replay.clock SET seconds = seconds + extract(epoch FROM clock_timestamp() - since) WHERE work = what;
	SELECT clock_timestamp()
$$;

-- One half week: the Monday's or Thursday's work, then the orders, each in its own transaction.
-- Returns what a progress line shows.
CREATE PROCEDURE replay.half_week(step integer, INOUT week integer DEFAULT NULL, INOUT weeks integer DEFAULT NULL,
	INOUT orders bigint DEFAULT NULL, INOUT lines bigint DEFAULT NULL, INOUT waiting bigint DEFAULT NULL, INOUT took integer DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
	setting replay.setting;
	today date;
	since timestamptz := clock_timestamp();
	po record;
	entered record;
BEGIN
	SELECT * INTO setting FROM replay.setting;
	today := setting.monday + step / 2 * 7 + step % 2 * 3;

	IF step % 2 = 0 THEN
		UPDATE shop.order_lines l SET shipped = l.shipped + b.allocated
		FROM backorder.order_line b
		WHERE b.allocated > 0 AND l.order_no = b.order_key AND l.line_no = b.line_key::integer;
		COMMIT;
		since := replay.tick('shipping', since);

		PERFORM count(*) FROM backorder.plan_purchases();
		COMMIT;
		UPDATE backorder.purchase_order p SET status = 'placed', placed_at = today WHERE p.status = 'draft';
		COMMIT;
		since := replay.tick('planning', since);
	ELSE
		FOR po IN
			SELECT s.po_id FROM backorder.supply s
			WHERE s.open > 0 AND s.expected_at <= today GROUP BY 1 ORDER BY min(s.expected_at), 1
		LOOP
			PERFORM count(*) FROM backorder.receive_purchase_order(po.po_id, at => today);
			COMMIT;
		END LOOP;
		since := replay.tick('receiving', since);
	END IF;

	IF NOT setting.copy THEN
		FOR entered IN SELECT o.* FROM replay.orders o WHERE o.step = half_week.step ORDER BY o.n LOOP
			INSERT INTO shop.orders (order_no, customer, ordered_at)
			VALUES (entered.order_no, entered.customer, entered.ordered_at);
			INSERT INTO shop.order_lines (order_no, line_no, sku, qty)
			SELECT f.order_no, f.line_no, f.sku, f.qty FROM replay.file f WHERE f.order_no = entered.order_no ORDER BY f.line_no;
			COMMIT;
		END LOOP;
		since := replay.tick('orders', since);
	END IF;

	IF step % 2 = 1 THEN
		INSERT INTO replay.shelf SELECT 'with', step, sum(s.available) FROM backorder.stock s;
	END IF;
	week := step / 2 + 1;
	weeks := setting.steps / 2;
	SELECT count(*), count(*) FILTER (WHERE l.backordered > 0) INTO lines, waiting FROM backorder.order_line l;
	SELECT count(*) INTO orders FROM shop.orders;
	SELECT sum(seconds) INTO took FROM replay.clock;
END $$;
