-- Peer "row trigger": PL/pgSQL line by line, the usual way.  One UPDATE both locks and counts, and what it leaves says what the line got:
-- more than its own quantity is backordered only where others waited before it.  Deadlocks are the caller's to avoid.
\ir recording.sql
CREATE FUNCTION rec.line_inserted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	buyer text;
	waits numeric;
	recorded bigint;
BEGIN
	SELECT o.customer INTO buyer FROM public.orders o WHERE o.order_no = NEW.order_no AND o.status = 'open';
	IF NOT FOUND THEN RETURN NULL; END IF;
	LOOP
		UPDATE rec.stock s SET
			allocated = s.allocated + CASE WHEN s.backordered > 0 THEN 0 ELSE least(NEW.qty, s.on_hand - s.allocated) END,
			backordered = s.backordered + NEW.qty - CASE WHEN s.backordered > 0 THEN 0 ELSE least(NEW.qty, s.on_hand - s.allocated) END
		WHERE s.item = NEW.sku RETURNING least(s.backordered, NEW.qty) INTO waits;
		EXIT WHEN FOUND;
		INSERT INTO rec.stock (item) VALUES (NEW.sku) ON CONFLICT DO NOTHING;
	END LOOP;
	INSERT INTO rec.order_line (order_no, line_no, item, customer, ordered, allocated)
	VALUES (NEW.order_no, NEW.line_no, NEW.sku, buyer, NEW.qty, NEW.qty - waits) RETURNING line_id INTO recorded;
	IF waits > 0 THEN
		INSERT INTO rec.waiting_order (order_no, customer, told)
		VALUES (NEW.order_no, buyer, jsonb_build_object(recorded, jsonb_build_object('line', NEW.line_no, 'item', NEW.sku, 'ordered', NEW.qty,
			'allocated', NEW.qty - waits, 'backordered', waits)))
		ON CONFLICT (order_no) DO UPDATE SET told = waiting_order.told || excluded.told;
		INSERT INTO rec.event (order_no, type, customer, payload)
		VALUES (NEW.order_no, 'backordered', buyer, jsonb_build_object('order', NEW.order_no, 'customer', buyer, 'line', NEW.line_no, 'item', NEW.sku, 'backordered', waits));
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER record AFTER INSERT ON lines FOR EACH ROW EXECUTE FUNCTION rec.line_inserted();
\ir preload.sql
