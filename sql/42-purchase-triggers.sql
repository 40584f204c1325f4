-- Triggers on suppliers and purchase orders: which changes are allowed, what rows refer to, and that
-- supply follows what is placed.

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

-- What foreign keys among suppliers, what they supply, and purchase orders would do.
--
-- A parallel restore loads our tables in any order, so rows with a stamp of another time (applied_at)
-- may come before what they refer to.  All others refer to a row that is there and stays: it is
-- locked FOR KEY SHARE as a foreign key does.  Lines write their purchase order (apply_purchases()), which is
-- more than a lock, and refuse one that is not there.

CREATE FUNCTION backorder_internal.check_supplier() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	unknown text;
BEGIN
	IF TG_LEVEL = 'ROW' THEN
		PERFORM FROM backorder.supplier s WHERE s.tenant = NEW.tenant AND s.supplier = NEW.supplier FOR KEY SHARE;
		IF NOT FOUND THEN
			unknown := NEW.supplier;
		END IF;
	ELSE
		-- One statement: what counts as there is what it could lock.
		WITH wanted AS MATERIALIZED (
			SELECT DISTINCT n.tenant, n.supplier FROM new_rows n WHERE n.applied_at = now() ORDER BY 1, 2
		), locked AS MATERIALIZED (
			SELECT s.tenant, s.supplier FROM wanted w JOIN backorder.supplier s ON s.tenant = w.tenant AND s.supplier = w.supplier
			FOR KEY SHARE OF s
		)
		SELECT w.supplier INTO unknown FROM wanted w
		WHERE NOT EXISTS (SELECT FROM locked l WHERE l.tenant = w.tenant AND l.supplier = w.supplier) ORDER BY 1 LIMIT 1;
	END IF;
	IF unknown IS NOT NULL THEN
		RAISE EXCEPTION 'supplier "%" does not exist', unknown USING ERRCODE = 'OB009',
			DETAIL = format('A row of backorder.%I names it.', TG_TABLE_NAME), HINT = 'Insert it into backorder.supplier first.';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION backorder_internal.check_supplier() IS 'Trigger: refuses an unknown supplier and keeps a known one from going away meanwhile.';

CREATE TRIGGER check_supplier AFTER INSERT ON backorder.supplier_item
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.check_supplier();
CREATE TRIGGER check_new_supplier AFTER UPDATE OF tenant, supplier ON backorder.supplier_item
	FOR EACH ROW WHEN ((NEW.tenant, NEW.supplier) IS DISTINCT FROM (OLD.tenant, OLD.supplier)) EXECUTE FUNCTION backorder_internal.check_supplier();
CREATE TRIGGER check_supplier AFTER INSERT ON backorder.purchase_order
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.check_supplier();
CREATE TRIGGER check_new_supplier AFTER UPDATE OF tenant, supplier ON backorder.purchase_order
	FOR EACH ROW WHEN ((NEW.tenant, NEW.supplier) IS DISTINCT FROM (OLD.tenant, OLD.supplier)) EXECUTE FUNCTION backorder_internal.check_supplier();

CREATE FUNCTION backorder_internal.supplier_references(tenant text, supplier text, OUT po_id bigint, OUT item text) RETURNS record
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_supplier_references';
COMMENT ON FUNCTION backorder_internal.supplier_references(text, text) IS 'A purchase order and an item that refer to a supplier that is gone, seen or not seen by this transaction''s snapshot.
tenant: company or stock pool.
supplier: the supplier.
po_id: a purchase order, or NULL.
item: an item, or NULL.';

-- A supplier that is renamed takes its rows along; one that is deleted takes what it supplies along, and
-- stays where there are purchase orders.
CREATE FUNCTION backorder_internal.supplier_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	left_over record;
BEGIN
	IF TG_OP = 'UPDATE' THEN
		UPDATE backorder.supplier_item i SET tenant = NEW.tenant, supplier = NEW.supplier WHERE i.tenant = OLD.tenant AND i.supplier = OLD.supplier;
		UPDATE backorder.purchase_order p SET tenant = NEW.tenant, supplier = NEW.supplier WHERE p.tenant = OLD.tenant AND p.supplier = OLD.supplier;
	ELSE
		DELETE FROM backorder.supplier_item i WHERE i.tenant = OLD.tenant AND i.supplier = OLD.supplier;
	END IF;
	SELECT r.po_id, r.item INTO left_over FROM backorder_internal.supplier_references(OLD.tenant, OLD.supplier) r;
	IF TG_OP = 'DELETE' AND left_over.po_id IS NOT NULL THEN
		RAISE EXCEPTION 'cannot delete supplier "%"', OLD.supplier USING ERRCODE = 'OB006',
			DETAIL = format('Purchase order %s was written to it.', left_over.po_id),
			HINT = 'Set active to false: nothing more is planned with it.';
	ELSIF left_over.po_id IS NOT NULL OR left_over.item IS NOT NULL THEN
		-- Only where the snapshot is older than they are.
		RAISE EXCEPTION 'could not serialize access due to a concurrent change of supplier "%"', OLD.supplier
			USING ERRCODE = 'serialization_failure', HINT = 'Try the transaction again.';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION backorder_internal.supplier_changed() IS 'Trigger: a supplier that is renamed or deleted takes what refers to it along, or is refused.';

CREATE TRIGGER supplier_deleted AFTER DELETE ON backorder.supplier
	FOR EACH ROW EXECUTE FUNCTION backorder_internal.supplier_changed();
CREATE TRIGGER supplier_renamed AFTER UPDATE OF tenant, supplier ON backorder.supplier
	FOR EACH ROW WHEN ((NEW.tenant, NEW.supplier) IS DISTINCT FROM (OLD.tenant, OLD.supplier)) EXECUTE FUNCTION backorder_internal.supplier_changed();

-- A purchase order takes its lines along.  Whoever wrote a line wrote the purchase order: in REPEATABLE READ a
-- line that is not seen makes the deletion fail with 40001.
CREATE FUNCTION backorder_internal.purchase_order_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM backorder.purchase_order_line l USING old_rows o WHERE l.tenant = o.tenant AND l.po_id = o.po_id;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION backorder_internal.purchase_order_deleted() IS 'Trigger: a purchase order that is deleted takes its lines along.';

CREATE TRIGGER purchase_order_deleted AFTER DELETE ON backorder.purchase_order
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.purchase_order_deleted();

CREATE FUNCTION backorder_internal.check_truncated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_TABLE_NAME = 'supplier' AND (EXISTS (SELECT FROM backorder.supplier_item) OR EXISTS (SELECT FROM backorder.purchase_order))
		OR TG_TABLE_NAME = 'purchase_order' AND EXISTS (SELECT FROM backorder.purchase_order_line) THEN
		RAISE EXCEPTION 'cannot truncate backorder.%', TG_TABLE_NAME USING ERRCODE = 'OB006',
			DETAIL = 'There are rows that refer to its rows.', HINT = 'Delete rows instead, or truncate the tables that refer to it in the same command.';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION backorder_internal.check_truncated() IS 'Trigger: a table that rows refer to is not truncated alone.';

CREATE TRIGGER check_truncated AFTER TRUNCATE ON backorder.supplier
	FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.check_truncated();
CREATE TRIGGER check_truncated AFTER TRUNCATE ON backorder.purchase_order
	FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.check_truncated();

CREATE FUNCTION backorder_internal.lock_pending() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_lock_pending';
COMMENT ON FUNCTION backorder_internal.lock_pending() IS 'Trigger before changes of purchase orders: locks the transaction''s pending orders first, as the lock order wants it.';

CREATE TRIGGER lock_pending BEFORE INSERT OR UPDATE OR DELETE ON backorder.purchase_order
	FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.lock_pending();
CREATE TRIGGER lock_pending BEFORE INSERT OR UPDATE OR DELETE ON backorder.purchase_order_line
	FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.lock_pending();

CREATE FUNCTION backorder_internal.apply_purchases() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_apply_purchases';
COMMENT ON FUNCTION backorder_internal.apply_purchases() IS 'Trigger on purchase orders and their lines: makes supply equal to what is placed and settles.';

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
