-- Triggers: on attached tables, on the input tables, and the commit work.

CREATE FUNCTION backorder_internal.capture() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_capture';
COMMENT ON FUNCTION backorder_internal.capture() IS 'Trigger on attached tables: notes which orders changed. Created by attach(); refuses any other table.';

CREATE FUNCTION backorder_internal.commit_work() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_commit_work';
COMMENT ON FUNCTION backorder_internal.commit_work() IS 'Deferred trigger: settles the noted orders and writes the events, once at commit.';

CREATE CONSTRAINT TRIGGER commit_work AFTER INSERT ON backorder_internal.commit_work
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION backorder_internal.commit_work();
ALTER TABLE backorder_internal.commit_work ENABLE ALWAYS TRIGGER commit_work;

CREATE FUNCTION backorder_internal.statement_work() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_statement_work';
COMMENT ON FUNCTION backorder_internal.statement_work() IS 'Trigger: settles the noted orders at the end of a statement, in immediate timing.';

CREATE TRIGGER statement_work AFTER INSERT ON backorder_internal.statement_work
	FOR EACH ROW EXECUTE FUNCTION backorder_internal.statement_work();
ALTER TABLE backorder_internal.statement_work ENABLE ALWAYS TRIGGER statement_work;

CREATE FUNCTION backorder_internal.apply_movements() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_apply_movements';
COMMENT ON FUNCTION backorder_internal.apply_movements() IS 'Trigger on stock_movement: applies the new rows to stock and allocates what arrived.';

CREATE TRIGGER apply_movements AFTER INSERT ON backorder.stock_movement
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.apply_movements();

CREATE FUNCTION backorder_internal.lock_pending() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_lock_pending';
COMMENT ON FUNCTION backorder_internal.lock_pending() IS 'Trigger before changes of purchase orders: locks the transaction''s pending orders first, as the lock order wants it.';

CREATE FUNCTION backorder_internal.lock_orders() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_lock_pending_orders';
COMMENT ON FUNCTION backorder_internal.lock_orders() IS 'Locks the transaction''s pending orders, the first in the order of locks.';

CREATE FUNCTION backorder_internal.apply_purchases() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_apply_purchases';
COMMENT ON FUNCTION backorder_internal.apply_purchases() IS 'Trigger on purchase orders and their lines: makes supply equal to what is placed and settles.';

-- States and what may change in which of them.  Rows that a restore brings (applied_at given) pass.
CREATE FUNCTION backorder_internal.check_purchase_order() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		IF OLD.status NOT IN ('draft', 'cancelled') THEN
			RAISE EXCEPTION 'cannot delete purchase order %', OLD.po_id USING ERRCODE = 'OB006',
				DETAIL = format('It is %s.', OLD.status),
				HINT = 'Only drafts and cancelled purchase orders can be deleted; cancel or close it.';
		END IF;
		RETURN OLD;
	END IF;
	IF TG_OP = 'INSERT' THEN
		IF NEW.applied_at IS DISTINCT FROM now() THEN
			RETURN NEW;
		END IF;
		IF NEW.status NOT IN ('draft', 'placed') THEN
			RAISE EXCEPTION 'a new purchase order cannot be %', NEW.status USING ERRCODE = 'OB006',
				HINT = 'Insert it as draft or placed.';
		END IF;
	ELSE
		IF (NEW.tenant, NEW.po_id) IS DISTINCT FROM (OLD.tenant, OLD.po_id) THEN
			RAISE EXCEPTION 'the key of purchase order % cannot change', OLD.po_id USING ERRCODE = 'OB006',
				HINT = 'Write a new purchase order and cancel this one.';
		END IF;
		IF OLD.status <> 'draft' AND (NEW.supplier, NEW.location) IS DISTINCT FROM (OLD.supplier, OLD.location)
			AND NOT (NEW.location = OLD.location AND NOT EXISTS (SELECT FROM backorder.supplier s WHERE (s.tenant, s.supplier) = (OLD.tenant, OLD.supplier))) THEN
			RAISE EXCEPTION 'supplier and location of purchase order % cannot change', OLD.po_id USING ERRCODE = 'OB006',
				DETAIL = format('It is %s.', OLD.status),
				HINT = 'Only a draft can change them.';
		END IF;
		IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN
			(('draft', 'placed'), ('placed', 'closed'), ('draft', 'cancelled'), ('placed', 'cancelled')) THEN
			RAISE EXCEPTION 'purchase order % cannot become %', OLD.po_id, NEW.status USING ERRCODE = 'OB006',
				DETAIL = format('It is %s.', OLD.status),
				HINT = 'States move draft, placed, closed; or from draft or placed, with nothing received, to cancelled.';
		END IF;
	END IF;
	IF NEW.status = 'placed' THEN
		NEW.placed_at := coalesce(NEW.placed_at, now());
	ELSIF NEW.status IN ('closed', 'cancelled') THEN
		NEW.closed_at := coalesce(NEW.closed_at, now());
	END IF;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION backorder_internal.check_purchase_order() IS 'Trigger: which changes of a purchase order are allowed in which state.';

CREATE FUNCTION backorder_internal.day_of(at timestamptz) RETURNS date
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'bo_day_of';
COMMENT ON FUNCTION backorder_internal.day_of(timestamptz) IS 'The day of a moment in backorder.timezone.';

-- placed + lead time of the supplier for the item, or of the supplier; NULL where neither is known.
CREATE FUNCTION backorder_internal.lead_time_date(tenant text, supplier text, item text, placed_at timestamptz) RETURNS date
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT backorder_internal.day_of($4) + coalesce(i.lead_time, s.lead_time)
	FROM backorder.supplier s
	LEFT JOIN backorder.supplier_item i ON i.tenant = s.tenant AND i.supplier = s.supplier AND i.item = $3
	WHERE s.tenant = $1 AND s.supplier = $2
$$;
COMMENT ON FUNCTION backorder_internal.lead_time_date(text, text, text, timestamptz) IS 'The day on which a purchase order line placed then is expected by lead time.';

CREATE FUNCTION backorder_internal.check_purchase_order_line() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	po_status text;
BEGIN
	IF TG_OP = 'INSERT' AND NEW.applied_at IS DISTINCT FROM now() THEN
		RETURN NEW;
	END IF;
	IF TG_OP = 'DELETE' THEN
		SELECT p.status INTO po_status FROM backorder.purchase_order p WHERE p.tenant = OLD.tenant AND p.po_id = OLD.po_id;
		IF po_status = 'closed' THEN
			RAISE EXCEPTION 'cannot delete line % of purchase order %', OLD.line_no, OLD.po_id USING ERRCODE = 'OB006',
				DETAIL = 'It is closed.', HINT = 'What was received stays on record.';
		END IF;
		RETURN OLD;
	END IF;
	-- The planner numbers lines of its drafts too: whoever comes second waits before the number is taken, not after.
	IF TG_OP = 'INSERT' THEN
		PERFORM FROM backorder.purchase_order p
		WHERE p.tenant = NEW.tenant AND p.po_id = NEW.po_id AND p.planner AND p.status = 'draft' FOR NO KEY UPDATE;
	END IF;
	SELECT p.status INTO po_status FROM backorder.purchase_order p WHERE p.tenant = NEW.tenant AND p.po_id = NEW.po_id;
	IF po_status IN ('closed', 'cancelled') THEN
		RAISE EXCEPTION 'cannot change line % of purchase order %', NEW.line_no, NEW.po_id USING ERRCODE = 'OB006',
			DETAIL = format('It is %s.', po_status), HINT = 'Write a new purchase order.';
	END IF;
	IF TG_OP = 'UPDATE' AND (NEW.tenant, NEW.po_id, NEW.line_no) IS DISTINCT FROM (OLD.tenant, OLD.po_id, OLD.line_no) THEN
		RAISE EXCEPTION 'the key of line % of purchase order % cannot change', OLD.line_no, OLD.po_id USING ERRCODE = 'OB006',
			HINT = 'Insert a new line and delete or cancel this one.';
	END IF;
	IF NOT (NEW.ordered >= 0 AND NEW.ordered < 'Infinity' AND NEW.cancelled >= 0 AND NEW.cancelled <= NEW.ordered) THEN
		RAISE EXCEPTION 'invalid quantity in line % of purchase order %', NEW.line_no, NEW.po_id USING ERRCODE = 'OB003',
			DETAIL = format('Ordered %s, cancelled %s.', NEW.ordered, NEW.cancelled),
			HINT = 'Both are finite and not negative, and no more is cancelled than ordered.';
	END IF;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION backorder_internal.check_purchase_order_line() IS 'Trigger: which changes of a purchase order line are allowed.';

CREATE TRIGGER check_purchase_order BEFORE INSERT OR UPDATE OR DELETE ON backorder.purchase_order
	FOR EACH ROW EXECUTE FUNCTION backorder_internal.check_purchase_order();
CREATE TRIGGER check_purchase_order_line BEFORE INSERT OR UPDATE OR DELETE ON backorder.purchase_order_line
	FOR EACH ROW EXECUTE FUNCTION backorder_internal.check_purchase_order_line();

CREATE TRIGGER lock_pending BEFORE INSERT OR UPDATE OR DELETE ON backorder.purchase_order
	FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.lock_pending();
CREATE TRIGGER lock_pending BEFORE INSERT OR UPDATE OR DELETE ON backorder.purchase_order_line
	FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.lock_pending();

CREATE TRIGGER apply_insert AFTER INSERT ON backorder.purchase_order
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.apply_purchases();
CREATE TRIGGER apply_update AFTER UPDATE ON backorder.purchase_order
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.apply_purchases();
CREATE TRIGGER apply_insert AFTER INSERT ON backorder.purchase_order_line
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.apply_purchases();
CREATE TRIGGER apply_update AFTER UPDATE ON backorder.purchase_order_line
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.apply_purchases();
CREATE TRIGGER apply_delete AFTER DELETE ON backorder.purchase_order_line
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.apply_purchases();

-- A handling time is part of every promise of the item.
CREATE FUNCTION backorder_internal.policy_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	places text[][];
BEGIN
	IF TG_OP = 'INSERT' THEN
		SELECT array_agg(ARRAY[n.tenant, n.item, n.location]) INTO places FROM new_rows n
		WHERE n.handling_time <> 0 AND n.applied_at = now();
	ELSIF TG_OP = 'DELETE' THEN
		SELECT array_agg(ARRAY[o.tenant, o.item, o.location]) INTO places FROM old_rows o WHERE o.handling_time <> 0;
	ELSE
		SELECT array_agg(ARRAY[coalesce(n.tenant, o.tenant), coalesce(n.item, o.item), coalesce(n.location, o.location)]) INTO places
		FROM old_rows o FULL JOIN new_rows n ON n.tenant = o.tenant AND n.item = o.item AND n.location = o.location
		WHERE coalesce(n.handling_time, 0) <> coalesce(o.handling_time, 0);
	END IF;
	PERFORM backorder_internal.policies_changed(places);
	RETURN NULL;
END $$;
COMMENT ON FUNCTION backorder_internal.policy_changed() IS 'Trigger on item_policy: promises made with another handling time are to be made again.';

-- Marks the stock rows in one pass, locked in the order of settling.
CREATE FUNCTION backorder_internal.policies_changed(places text[][]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF places IS NULL THEN
		RETURN;
	END IF;
	PERFORM backorder.flush();
	-- Where there is no row to lock a promise could be made meanwhile with what was.
	INSERT INTO backorder.stock (tenant, item, location)
	SELECT places[g.n][1] AS tenant, places[g.n][2] AS item, places[g.n][3] AS location FROM generate_subscripts(places, 1) AS g (n)
	WHERE NOT EXISTS (SELECT FROM backorder.stock s WHERE s.tenant = places[g.n][1] AND s.item = places[g.n][2] AND s.location = places[g.n][3])
	ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING;
	PERFORM FROM backorder.stock s
	JOIN generate_subscripts(places, 1) AS g (n) ON s.tenant = places[g.n][1] AND s.item = places[g.n][2] AND s.location = places[g.n][3]
	ORDER BY s.tenant, s.item, s.location FOR NO KEY UPDATE OF s;
	UPDATE backorder.stock s SET promises_stale = true, version = s.version + 1
	FROM generate_subscripts(places, 1) AS g (n)
	WHERE s.tenant = places[g.n][1] AND s.item = places[g.n][2] AND s.location = places[g.n][3]
		AND s.on_order > 0 AND NOT s.promises_stale;
END $$;
COMMENT ON FUNCTION backorder_internal.policies_changed(text[]) IS 'Marks the promises of these stock rows (tenant, item, location) as to be made again.';

CREATE TRIGGER policy_inserted AFTER INSERT ON backorder.item_policy
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.policy_changed();
CREATE TRIGGER policy_updated AFTER UPDATE ON backorder.item_policy
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.policy_changed();
CREATE TRIGGER policy_deleted AFTER DELETE ON backorder.item_policy
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.policy_changed();

CREATE FUNCTION backorder_internal.evaluating(mapped_column text, order_key text) RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'bo_evaluating';
COMMENT ON FUNCTION backorder_internal.evaluating(text, text) IS 'Notes which mapped column of which order is evaluated, for the error message.';
