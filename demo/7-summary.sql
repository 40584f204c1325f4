--# Where we are

SELECT (SELECT count(*) FROM backorder.sales_order) AS orders, count(*) AS lines,
    count(*) FILTER (WHERE l.backordered > 0) AS waiting, count(l.promised_at) AS with_a_date,
    (SELECT count(*) FROM backorder.purchase_order) AS purchase_orders,
    (SELECT count(*) FROM backorder.event) AS events,
    (SELECT count(*) FROM backorder.verify()) AS verify
FROM backorder.order_line l;

--?
SELECT count(*) FILTER (WHERE has_any_column_privilege('shop_app', c.oid, 'SELECT, INSERT, UPDATE')) = 0
		AND NOT has_function_privilege('shop_app', 'backorder.flush()', 'EXECUTE'),
	'the application''s role still has no right on any table, view or function of backorder''s'
FROM pg_class c WHERE c.relnamespace = 'backorder'::regnamespace AND c.relkind IN ('r', 'v');

--?
SELECT count(*) = 0, 'verify() is empty' FROM backorder.verify();
