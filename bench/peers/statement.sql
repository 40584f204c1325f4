-- Peer "statement trigger": PL/pgSQL over the transition table, set-based.  Stock rows are created and locked in order, and the next
-- statement reads them with a new snapshot, so that it cannot oversell or deadlock within one statement.
\ir recording.sql
CREATE FUNCTION rec.lines_inserted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	short boolean;
BEGIN
	INSERT INTO rec.stock (item)
	SELECT DISTINCT n.sku FROM new_lines n WHERE NOT EXISTS (SELECT FROM rec.stock s WHERE s.item = n.sku) ORDER BY 1 ON CONFLICT DO NOTHING;
	PERFORM FROM rec.stock s WHERE s.item IN (SELECT n.sku FROM new_lines n) ORDER BY s.item FOR NO KEY UPDATE;
	WITH recorded AS (
		INSERT INTO rec.order_line (order_no, line_no, item, customer, ordered, allocated)
		SELECT n.order_no, n.line_no, n.sku, o.customer, n.qty,
			CASE WHEN s.backordered > 0 THEN 0 ELSE
			greatest(least(n.qty, s.on_hand - s.allocated - coalesce(sum(n.qty) OVER (PARTITION BY n.sku ORDER BY n.order_no, n.line_no ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)), 0) END
		FROM new_lines n JOIN public.orders o ON o.order_no = n.order_no AND o.status = 'open' JOIN rec.stock s ON s.item = n.sku
		ORDER BY n.order_no, n.line_no
		RETURNING item, allocated, backordered
	), counted AS (
		UPDATE rec.stock s SET allocated = s.allocated + r.allocated, backordered = s.backordered + r.backordered
		FROM (SELECT item, sum(allocated) AS allocated, sum(backordered) AS backordered FROM recorded GROUP BY item) r WHERE s.item = r.item
	)
	SELECT bool_or(r.backordered > 0) INTO short FROM recorded r;
	IF short THEN
		WITH waiting AS (
			INSERT INTO rec.waiting_order (order_no, customer, told)
			SELECT l.order_no, max(l.customer), jsonb_object_agg(l.line_id, jsonb_build_object('line', l.line_no, 'item', l.item, 'ordered', l.ordered,
				'allocated', l.allocated, 'backordered', l.backordered))
			FROM new_lines n JOIN rec.order_line l ON l.order_no = n.order_no AND l.line_no = n.line_no WHERE l.backordered > 0
			GROUP BY l.order_no ORDER BY l.order_no
			ON CONFLICT (order_no) DO UPDATE SET told = waiting_order.told || excluded.told
			RETURNING order_no, customer, told)
		INSERT INTO rec.event (order_no, type, customer, payload)
		SELECT w.order_no, 'backordered', w.customer, jsonb_build_object('order', w.order_no, 'customer', w.customer, 'lines', w.told) FROM waiting w;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER record AFTER INSERT ON lines REFERENCING NEW TABLE AS new_lines FOR EACH STATEMENT EXECUTE FUNCTION rec.lines_inserted();
\ir preload.sql
