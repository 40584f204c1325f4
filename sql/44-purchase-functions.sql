-- What buyers call: place, close, cancel and receive purchase orders.

-- placed + lead time of the supplier for the item, or of the supplier; NULL where neither is known.
CREATE FUNCTION backorder_internal.lead_time_date(tenant text, supplier text, item text, placed_at timestamptz) RETURNS date
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT backorder_internal.day_of($4) + coalesce(i.lead_time, s.lead_time)
	FROM backorder.supplier s
	LEFT JOIN backorder.supplier_item i ON i.tenant = s.tenant AND i.supplier = s.supplier AND i.item = $3
	WHERE s.tenant = $1 AND s.supplier = $2
$$;
COMMENT ON FUNCTION backorder_internal.lead_time_date(text, text, text, timestamptz) IS 'The day on which a purchase order line placed then is expected by lead time.
tenant: company or stock pool.
supplier: the supplier.
item: the item.
placed_at: when it is placed.';

CREATE FUNCTION backorder_internal.lock_orders() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_lock_pending_orders';
COMMENT ON FUNCTION backorder_internal.lock_orders() IS 'Locks the transaction''s pending orders, the first in the order of locks.';

CREATE FUNCTION backorder.place_purchase_order(po_id bigint, at timestamptz DEFAULT now(), tenant text DEFAULT '') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- Lines first, then the purchase order: the order of locks.
	PERFORM backorder_internal.lock_orders();
	PERFORM FROM backorder.purchase_order_line l
	WHERE l.tenant = place_purchase_order.tenant AND l.po_id = place_purchase_order.po_id ORDER BY l.line_no FOR NO KEY UPDATE;
	UPDATE backorder.purchase_order_line l
	SET expected_at = backorder_internal.lead_time_date(p.tenant, p.supplier, l.item, coalesce(p.placed_at, at))
	FROM backorder.purchase_order p
	WHERE l.tenant = place_purchase_order.tenant AND l.po_id = place_purchase_order.po_id AND l.expected_at IS NULL
		AND p.tenant = l.tenant AND p.po_id = l.po_id AND p.status = 'draft'
		AND backorder_internal.lead_time_date(p.tenant, p.supplier, l.item, coalesce(p.placed_at, at)) IS NOT NULL;
	UPDATE backorder.purchase_order p SET status = 'placed', placed_at = coalesce(p.placed_at, at)
	WHERE p.tenant = place_purchase_order.tenant AND p.po_id = place_purchase_order.po_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'purchase order % does not exist', po_id USING ERRCODE = 'OB009', HINT = 'See backorder.purchase_order.';
	END IF;
END $$;
COMMENT ON FUNCTION backorder.place_purchase_order(bigint, timestamptz, text) IS 'Places a draft: its lines are supply from now on, dated by lead time where they have no date.
po_id: the purchase order.
at: when it is placed; lead times count from then.
tenant: company or stock pool.';

CREATE FUNCTION backorder.close_purchase_order(po_id bigint, tenant text DEFAULT '') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE backorder.purchase_order p SET status = 'closed'
	WHERE p.tenant = close_purchase_order.tenant AND p.po_id = close_purchase_order.po_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'purchase order % does not exist', po_id USING ERRCODE = 'OB009', HINT = 'See backorder.purchase_order.';
	END IF;
END $$;
COMMENT ON FUNCTION backorder.close_purchase_order(bigint, text) IS 'Ends what is open of a placed purchase order: it is not coming.
po_id: the purchase order.
tenant: company or stock pool.';

CREATE FUNCTION backorder.cancel_purchase_order(po_id bigint, tenant text DEFAULT '') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE backorder.purchase_order p SET status = 'cancelled'
	WHERE p.tenant = cancel_purchase_order.tenant AND p.po_id = cancel_purchase_order.po_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'purchase order % does not exist', po_id USING ERRCODE = 'OB009', HINT = 'See backorder.purchase_order.';
	END IF;
END $$;
COMMENT ON FUNCTION backorder.cancel_purchase_order(bigint, text) IS 'Cancels a purchase order of which nothing was received.
po_id: the purchase order.
tenant: company or stock pool.';

CREATE FUNCTION backorder.receive_purchase_line(po_id bigint, line_no integer, quantity numeric, held boolean DEFAULT false,
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	line record;
BEGIN
	SELECT l.item, p.location INTO line
	FROM backorder.purchase_order_line l JOIN backorder.purchase_order p USING (tenant, po_id)
	WHERE l.tenant = receive_purchase_line.tenant AND l.po_id = receive_purchase_line.po_id AND l.line_no = receive_purchase_line.line_no;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'line % of purchase order % does not exist', line_no, po_id USING ERRCODE = 'OB009', HINT = 'See backorder.purchases.';
	END IF;
	RETURN QUERY SELECT * FROM backorder_internal.post_movements(ARRAY[backorder_internal.movement('receipt', line.item, line.location, quantity,
		CASE WHEN held THEN quantity ELSE 0 END, reference, NULL, at, tenant, po_id, line_no)]);
END $$;
COMMENT ON FUNCTION backorder.receive_purchase_line(bigint, integer, numeric, boolean, text, timestamptz, text) IS 'Goods of one purchase order line arrived. Returns who got what.
po_id: the purchase order.
line_no: the line.
quantity: how much; negative reverses.
held: true: on hand, but not to be allocated.
reference: an idempotency key. The same call with the same reference does nothing.
at: when it happened; stored as occurred_at.
tenant: company or stock pool.';

-- Locks the stock rows of a purchase order's supply, in the order of settling; it has one location. Of lines that
-- are not open too: somebody may be reversing their receipt.
CREATE FUNCTION backorder_internal.lock_supply(po_id bigint, tenant text) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	items text[];
	place text;
BEGIN
	SELECT array_agg(DISTINCT s.item), min(s.location) INTO items, place FROM backorder.supply s
	WHERE s.tenant = $2 AND s.po_id = $1 AND NOT s.closed;
	IF items IS NOT NULL THEN
		PERFORM backorder.lock_stock(items, place, $2);
	END IF;
	RETURN items;
END $$;
COMMENT ON FUNCTION backorder_internal.lock_supply(bigint, text) IS 'Locks the stock rows of a purchase order''s lines, and says of which items.
po_id: the purchase order.
tenant: company or stock pool.';

CREATE FUNCTION backorder.receive_purchase_order(po_id bigint,
	reference text DEFAULT NULL, at timestamptz DEFAULT now(), tenant text DEFAULT '')
RETURNS SETOF backorder.allocated LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	arrived backorder.stock_movement[];
	expected integer[];
	locked text[];
	po_status text;
	line record;
BEGIN
	IF reference IS NOT NULL AND EXISTS (SELECT FROM backorder.stock_movement m
		WHERE m.tenant = receive_purchase_order.tenant AND m.po_id = receive_purchase_order.po_id
			AND m.reference = receive_purchase_order.reference || '/' || m.po_line_no) THEN
		RETURN;
	END IF;
	SELECT array_agg(s.line_no) INTO expected FROM backorder.supply s
	WHERE s.tenant = receive_purchase_order.tenant AND s.po_id = receive_purchase_order.po_id;
	locked := backorder_internal.lock_supply(po_id, tenant);
	-- Read after the lock: whoever closes or cancels it settles under the same.
	SELECT p.status INTO po_status FROM backorder.purchase_order p
	WHERE p.tenant = receive_purchase_order.tenant AND p.po_id = receive_purchase_order.po_id;
	IF po_status IS DISTINCT FROM 'placed' THEN
		RAISE EXCEPTION 'purchase order % cannot be received', po_id USING ERRCODE = 'OB006',
			DETAIL = 'It ' || coalesce('is ' || po_status, 'does not exist') || '.', HINT = 'Only a placed purchase order can be received.';
	END IF;
	-- The stock of an item that was corrected while we waited would be locked out of order too, but the line has arrived.
	SELECT s.line_no, s.item INTO line FROM backorder.supply s
	WHERE s.tenant = receive_purchase_order.tenant AND s.po_id = receive_purchase_order.po_id AND s.open > 0
		AND s.line_no = ANY (expected) AND s.item <> ALL (locked) ORDER BY s.line_no LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'could not serialize access due to concurrent update of purchase order %', po_id USING ERRCODE = '40001',
			DETAIL = format('Line %s is of item "%s" now.', line.line_no, line.item), HINT = 'Receive it again.';
	END IF;
	SELECT array_agg(backorder_internal.movement('receipt', s.item, s.location, s.open, 0,
			receive_purchase_order.reference || '/' || s.line_no, NULL, at, s.tenant, s.po_id, s.line_no) ORDER BY s.line_no)
	INTO arrived
	FROM backorder.supply s
	WHERE s.tenant = receive_purchase_order.tenant AND s.po_id = receive_purchase_order.po_id AND s.open > 0
		-- A line that somebody added while we waited has not arrived: its stock would be locked out of order.
		AND s.item = ANY (locked);
	IF arrived IS NOT NULL THEN
		RETURN QUERY SELECT * FROM backorder_internal.post_movements(arrived);
	END IF;
END $$;
COMMENT ON FUNCTION backorder.receive_purchase_order(bigint, text, timestamptz, text) IS 'All that is open of a purchase order arrived. Returns who got what.
po_id: the purchase order.
reference: an idempotency key. The movements get it with / and the line number.
at: when it happened; stored as occurred_at.
tenant: company or stock pool.';
