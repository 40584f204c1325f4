-- Triggers: on attached tables, on the input tables, and the commit work.

CREATE FUNCTION backorder.capture() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_capture';
COMMENT ON FUNCTION backorder.capture() IS 'Trigger on attached tables: notes which orders changed. Created by attach(); refuses any other table.';

CREATE FUNCTION backorder.commit_work() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_commit_work';
COMMENT ON FUNCTION backorder.commit_work() IS 'Deferred trigger: settles the noted orders and writes the events, once at commit.';

CREATE CONSTRAINT TRIGGER commit_work AFTER INSERT ON backorder.commit_work
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION backorder.commit_work();
ALTER TABLE backorder.commit_work ENABLE ALWAYS TRIGGER commit_work;

CREATE FUNCTION backorder.apply_movements() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_apply_movements';
COMMENT ON FUNCTION backorder.apply_movements() IS 'Trigger on stock_movement: applies the new rows to stock and deals what arrived.';

CREATE TRIGGER apply_movements AFTER INSERT ON backorder.stock_movement
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder.apply_movements();

CREATE FUNCTION backorder.lock_pending() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_lock_pending';
COMMENT ON FUNCTION backorder.lock_pending() IS 'Trigger before changes of purchase orders: locks the transaction''s pending orders first, as the lock order wants it.';

CREATE FUNCTION backorder.apply_purchases() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_apply_purchases';
COMMENT ON FUNCTION backorder.apply_purchases() IS 'Trigger on purchase orders and their lines: makes supply equal to what is placed and settles.';

-- States and what may change in which of them.  Rows that a restore brings (applied_at given) pass.
CREATE FUNCTION backorder.check_purchase_order() RETURNS trigger
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
COMMENT ON FUNCTION backorder.check_purchase_order() IS 'Trigger: which changes of a purchase order are allowed in which state.';

CREATE FUNCTION backorder.check_purchase_order_line() RETURNS trigger
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
COMMENT ON FUNCTION backorder.check_purchase_order_line() IS 'Trigger: which changes of a purchase order line are allowed.';

CREATE TRIGGER check_purchase_order BEFORE INSERT OR UPDATE OR DELETE ON backorder.purchase_order
	FOR EACH ROW EXECUTE FUNCTION backorder.check_purchase_order();
CREATE TRIGGER check_purchase_order_line BEFORE INSERT OR UPDATE OR DELETE ON backorder.purchase_order_line
	FOR EACH ROW EXECUTE FUNCTION backorder.check_purchase_order_line();

CREATE TRIGGER lock_pending BEFORE INSERT OR UPDATE OR DELETE ON backorder.purchase_order
	FOR EACH STATEMENT EXECUTE FUNCTION backorder.lock_pending();
CREATE TRIGGER lock_pending BEFORE INSERT OR UPDATE OR DELETE ON backorder.purchase_order_line
	FOR EACH STATEMENT EXECUTE FUNCTION backorder.lock_pending();

CREATE TRIGGER apply_insert AFTER INSERT ON backorder.purchase_order
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder.apply_purchases();
CREATE TRIGGER apply_update AFTER UPDATE ON backorder.purchase_order
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder.apply_purchases();
CREATE TRIGGER apply_insert AFTER INSERT ON backorder.purchase_order_line
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder.apply_purchases();
CREATE TRIGGER apply_update AFTER UPDATE ON backorder.purchase_order_line
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder.apply_purchases();
CREATE TRIGGER apply_delete AFTER DELETE ON backorder.purchase_order_line
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder.apply_purchases();

-- A handling time is part of every promise of the item.
CREATE FUNCTION backorder.policy_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	changed record;
BEGIN
	IF TG_OP = 'UPDATE' AND NEW = OLD THEN
		RETURN NULL;
	END IF;
	FOR changed IN
		SELECT DISTINCT k.tenant, k.item, k.location
		FROM (VALUES (OLD.tenant, OLD.item, OLD.location, OLD.handling_time),
		             (NEW.tenant, NEW.item, NEW.location, NEW.handling_time)) AS k (tenant, item, location, handling_time)
		WHERE k.item IS NOT NULL AND coalesce(NEW.handling_time, 0) <> coalesce(OLD.handling_time, 0)
		ORDER BY 1, 2, 3
	LOOP
		UPDATE backorder.stock s SET promises_stale = true, version = s.version + 1
		WHERE s.tenant = changed.tenant AND s.item = changed.item AND s.location = changed.location AND s.on_order > 0;
	END LOOP;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION backorder.policy_changed() IS 'Trigger on item_policy: promises made with another handling time are to be made again.';
CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE ON backorder.item_policy
	FOR EACH ROW EXECUTE FUNCTION backorder.policy_changed();

CREATE FUNCTION backorder.evaluating(mapped_column text, order_key text) RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'bo_evaluating';
COMMENT ON FUNCTION backorder.evaluating(text, text) IS 'Internal, in mapping queries: notes which mapped column of which order is evaluated, for the error message.';
