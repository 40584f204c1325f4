--# Where we are

--=
SELECT format('%s orders, %s lines, %s of them wait; %s purchase orders, %s events.',
	(SELECT count(*) FROM backorder.sales_order), count(*), count(*) FILTER (WHERE l.backordered > 0),
	(SELECT count(*) FROM backorder.purchase_order), (SELECT count(*) FROM backorder.event))
FROM backorder.order_line l;

--?
SELECT count(*) = 0, 'each waiting line has a date' FROM backorder.backlog WHERE promised_at IS NULL;

--?
SELECT count(*) FILTER (WHERE has_any_column_privilege('shop_app', c.oid, 'SELECT, INSERT, UPDATE')) = 0
		AND (SELECT array_agg(p.proname ORDER BY p.proname) FROM pg_proc p
			WHERE p.pronamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND has_function_privilege('shop_app', p.oid, 'EXECUTE')) = '{capture,evaluating}',
	'the application''s role has no right on any table or view of backorder''s, and of its functions only on the triggers'' two'
FROM pg_class c WHERE c.relnamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND c.relkind IN ('r', 'v');

--?
SELECT count(*) = 0, 'verify() is empty' FROM backorder.verify();
