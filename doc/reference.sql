-- Prints doc/reference.md from the catalog: psql -XAtq -f doc/reference.sql > doc/reference.md
\set ON_ERROR_STOP on
LOAD 'backorder';
\echo '# Reference'
\echo
\echo 'Made from the comments in the catalog by `doc/reference.sql`; `\\df+ backorder.*` and `\\d+ backorder.*` say the same in psql. Schema `backorder_internal` is not for users.'
\echo
\echo '## Functions'
\echo
\echo 'Functions that allocate stock return rows of type `backorder.allocated`.'
\echo
-- The first line of a comment says what the function does; each line behind it explains an argument, or several.
SELECT format(E'### %s\n\n```sql\n%sbackorder.%s(%s)%s\n```\n\n%s\n%s', p.proname, CASE WHEN p.prokind = 'p' THEN 'CALL ' END, p.proname,
	regexp_replace(regexp_replace(pg_get_function_arguments(p.oid), '::(text|regclass|integer)(\[\])?', '', 'g'), '^IN |(, )IN ', '\1', 'g'),
	E'\n    RETURNS ' || pg_get_function_result(p.oid), d.lines[1],
	(SELECT E'\n| argument | |\n| --- | --- |\n' || string_agg(regexp_replace(l.line, '^([a-z_, ]+): (.*)$', '| \1 | \2 |'), E'\n' ORDER BY l.n) || E'\n'
		FROM unnest(d.lines) WITH ORDINALITY AS l (line, n) WHERE l.n > 1))
FROM pg_proc p
CROSS JOIN LATERAL string_to_array(obj_description(p.oid, 'pg_proc'), E'\n') AS d (lines)
WHERE p.pronamespace = 'backorder'::regnamespace
ORDER BY p.proname;
\echo '## Types'
\echo
SELECT format(E'### %s\n\n%s\n\n| column | type | |\n| --- | --- | --- |\n%s\n', c.relname, obj_description(c.reltype, 'pg_type'),
	string_agg(format('| %s | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)), E'\n' ORDER BY a.attnum))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'backorder'::regnamespace AND c.relkind = 'c'
GROUP BY c.oid, c.relname, c.reltype ORDER BY c.relname;
\echo '## Settings'
\echo
\echo '| setting | default | meaning |'
\echo '| --- | --- | --- |'
SELECT format('| `%s` | `%s` | %s |', name, CASE WHEN setting = '' THEN '''''' ELSE setting END, concat_ws(' ', short_desc, extra_desc)) FROM pg_settings WHERE name LIKE 'backorder.%' ORDER BY name;
\echo
\echo '## Errors'
\echo
\echo '| SQLSTATE | when |'
\echo '| --- | --- |'
\echo '| OB001 | `attach()` refuses a table or a mapping; a line key is not unique |'
\echo '| OB002 | a mapping cannot be read, or failed for an order; the message names column, table and order |'
\echo '| OB003 | a quantity is NaN or infinite; of a movement or purchase order line also NULL or of the wrong sign. A line whose quantity is NULL, zero or negative is no demand; NULL or negative `shipped` counts as 0 |'
\echo '| OB004 | the table, or source, is not attached |'
\echo '| OB005 | too little stock: the movement is refused |'
\echo '| OB006 | the state of a purchase order does not allow it |'
\echo '| OB007 | more was shipped than is on hand, with `overship => ''refuse''` |'
\echo '| OB008 | a reference was used for another movement |'
\echo '| OB009 | an argument has a value that is not allowed |'
\echo '| OB010 | a trigger or function of the extension''s own was called from elsewhere |'
\echo '| OB011 | data is restored alone with the capture triggers on, or a subscriber has not taken over |'
\echo '| OB012 | the application keeps on hand itself, in an attached table: the movement is refused; or two attached tables keep the same item and location |'
\echo '| OB013 | the library that the session loaded does not know these SQL objects: call `ALTER EXTENSION backorder UPDATE`; where that was done, the session is older than it and must connect again |'
\echo '| 40001 | REPEATABLE READ or SERIALIZABLE: try the transaction again |'
\echo '| 40P01 | a deadlock; possible only where one transaction settles several times, see the README |'
\echo
\echo '## Events'
\echo
\echo 'Rows of `backorder.event`, written by the transaction that made them true, one per order and kind. The payload of an order event has `order`, `customer`, `source` and `lines`; each line has `line`, `item`, `location`, `ordered`, `shipped`, `allocated`, `allocated_before`, `backordered`, `backordered_before`, `promised_at`, `promised_before`, `first_promised_at`.'
\echo
\echo '| type | said when |'
\echo '| --- | --- |'
\echo '| backordered | a line waits, or waits for more |'
\echo '| promised | a waiting line without a date got one |'
\echo '| delayed | a promise moved to a later day, or has no date any more |'
\echo '| advanced | a promise moved to an earlier day |'
\echo '| allocated | a waiting line got stock |'
\echo '| ready | an order that waited has all its open stock now |'
\echo '| deallocated | a line lost stock to a correction |'
\echo '| cancelled | what a line waited for was cancelled, or the line is gone |'
\echo '| discrepancy | more was shipped than was on hand; `lines` with `line`, `item`, `location`, `ordered`, `shipped`, `adjusted` |'
\echo '| parked | an order, or a whole table, cannot be read (`on_error => ''park''`): `source`, `order`, `sqlstate`, `message` |'
\echo '| detached | an attached table was dropped: `source`, and the `orders` and `lines` that were open, or of how many items and locations it kept the `stock` |'
\echo '| surplus | said by `plan_purchases()`: placed purchase orders have more of an item than is needed: `item`, `location`, `surplus`, `surplus_before`, `purchase_orders` |'
\echo
\echo '## Tables'
\echo
\echo 'Users write `supplier`, `supplier_item`, `item_policy`, `purchase_order`, `purchase_order_line` and `stock_movement`; the others are written by the extension only.'
\echo
SELECT format(E'### %s\n\n%s\n\n| column | type | |\n| --- | --- | --- |\n%s\n', c.relname, obj_description(c.oid, 'pg_class'),
	string_agg(format('| %s | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)), E'\n' ORDER BY a.attnum))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'backorder'::regnamespace AND c.relkind = 'r'
GROUP BY c.oid, c.relname ORDER BY c.relname;
\echo '## Views'
\echo
SELECT format(E'### %s\n\n%s\n\n| column | type | |\n| --- | --- | --- |\n%s\n', c.relname, obj_description(c.oid, 'pg_class'),
	string_agg(format('| %s | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)), E'\n' ORDER BY a.attnum))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'backorder'::regnamespace AND c.relkind = 'v'
GROUP BY c.oid, c.relname ORDER BY c.relname;
