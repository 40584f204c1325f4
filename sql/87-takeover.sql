-- A logical subscriber that becomes the database the application writes to.

-- Sequences are not replicated. A number that rows refer to is not given again, even if its own row is gone.
CREATE FUNCTION backorder.take_over() RETURNS TABLE (sequence text, value bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	numbered record;
BEGIN
	-- Nobody writes while the numbers are read.
	LOCK TABLE backorder.order_line, backorder.allocation, backorder.stock_movement, backorder.purchase_order, backorder.event IN SHARE ROW EXCLUSIVE MODE;
	FOR numbered IN
		SELECT * FROM (VALUES
			('backorder_internal.source_id_seq'::regclass,
				greatest((SELECT max(s.source_id)::bigint FROM backorder.source s), (SELECT max(s.source_id)::bigint FROM backorder.stock_source s))),
			('backorder_internal.line_id_seq',
				greatest((SELECT max(l.line_id) FROM backorder.order_line l), (SELECT max(a.line_id) FROM backorder.allocation a),
					(SELECT max(m.line_id) FROM backorder.stock_movement m))),
			(pg_get_serial_sequence('backorder.stock_movement', 'movement_id')::regclass,
				greatest((SELECT max(m.movement_id) FROM backorder.stock_movement m), (SELECT max(a.movement_id) FROM backorder.allocation a))),
			(pg_get_serial_sequence('backorder.allocation', 'allocation_id')::regclass,
				(SELECT max(a.allocation_id) FROM backorder.allocation a)),
			(pg_get_serial_sequence('backorder.purchase_order', 'po_id')::regclass,
				greatest((SELECT max(p.po_id) FROM backorder.purchase_order p), (SELECT max(m.po_id) FROM backorder.stock_movement m),
					(SELECT max(a.po_id) FROM backorder.allocation a))),
			(pg_get_serial_sequence('backorder.event', 'id')::regclass,
				greatest((SELECT max(e.id) FROM backorder.event e), (SELECT max(c.id) FROM backorder.event_consumer c)))
		) AS n (sequence, highest)
	LOOP
		-- Never back: what was drawn here meanwhile counts too.
		value := greatest(numbered.highest, (SELECT s.last_value FROM pg_sequences s
			WHERE to_regclass(format('%I.%I', s.schemaname, s.sequencename)) = numbered.sequence));
		IF value IS NOT NULL THEN
			PERFORM setval(numbered.sequence, value);
			sequence := numbered.sequence::text;
			RETURN NEXT;
		END IF;
	END LOOP;
	-- Its transaction numbers are not the publisher's.
	INSERT INTO backorder_internal.installation (generation)
	SELECT greatest(extract(epoch FROM clock_timestamp())::bigint,
		(SELECT max(i.generation) + 1 FROM backorder_internal.installation i), (SELECT max(e.generation) + 1 FROM backorder.event e),
		(SELECT max(c.generation) + 1 FROM backorder.event_consumer c));
END $$;
COMMENT ON FUNCTION backorder.take_over() IS 'Call it on a logical subscriber that the application will now write to, after DROP SUBSCRIPTION. It sets the extension''s sequences behind every number that was replicated, and begins a new generation of events. Returns the sequences.
sequence: name of a sequence.
value: the last number it counts as given.';
