-- Prints doc/reference.md from the catalog: psql -XAtq -f doc/reference.sql > doc/reference.md
\set ON_ERROR_STOP on
LOAD 'backorder';
\echo '# Reference'
\echo
\echo 'Made from the comments in the catalog by `doc/reference.sql`; `\\df+ backorder.*` and `\\d+ backorder.*` say the same in psql. Schema `backorder_internal` is not for users.'
\echo
\echo '## Functions'
\echo
\echo 'Functions that allocate stock return rows of type `backorder.allocated`: source, order_key, line_key, customer, item, location, quantity, allocated, backordered, ready. `at` is stored as `occurred_at`. `reference` is an idempotency key: the same call with the same reference does nothing.'
\echo
SELECT format(E'### %s\n\n```sql\n%sbackorder.%s(%s)%s\n```\n\n%s\n', p.proname, CASE WHEN p.prokind = 'p' THEN 'CALL ' END, p.proname,
	regexp_replace(regexp_replace(pg_get_function_arguments(p.oid), '::(text|regclass)', '', 'g'), '^IN |(, )IN ', '\1', 'g'),
	E'\n    RETURNS ' || pg_get_function_result(p.oid), obj_description(p.oid, 'pg_proc'))
FROM pg_proc p
WHERE p.pronamespace = 'backorder'::regnamespace AND p.prorettype <> 'trigger'::regtype
ORDER BY p.proname;
\echo '### Arguments of attach'
\echo
\echo '| argument | meaning |'
\echo '| --- | --- |'
\echo '| item, quantity | a column of the line table, else of the header, else an SQL expression over `line`, `header` and what `joins` adds; item NULL: not stocked |'
\echo '| line_key | columns that tell the lines of an order apart; default: the primary key. Behind columns, with `joins`, expressions: what a LEFT JOIN did not find is a part too |'
\echo '| order_key | column(s) of the line table with the key of the order; default: the line key, so that each line is an order of its own, which is then said |'
\echo '| header_table, header_key | the table of orders and its key; default: its primary key. Header and line are joined by `=`; a line whose header is not there is read with a NULL header |'
\echo '| live | when a line is demand; default: always |'
\echo '| shipped, picked, cancelled | cumulative quantities; default: none. NULL and negative count as 0 |'
\echo '| location, customer, priority, queued_at, requested_at, held | default: one location, no customer, 0, when it was recorded, none, false |'
\echo '| fulfilment | only `partial` yet |'
\echo '| joins | further FROM items behind line and header: begins with JOIN, LEFT JOIN or a comma, e.g. `JOIN shop.product p ON p.id = line.product_id` |'
\echo '| watch | `table: key columns`, or `table: SELECT order keys FROM … WHERE … watched.column`; `watched` is the changed row |'
\echo '| timing | `deferred` (at commit) or `immediate` (at the end of each statement) |'
\echo '| overship | `adjust` or `refuse` |'
\echo '| on_error | `refuse` or `park` |'
\echo '| tenant | company or stock pool |'
\echo '| import | false: existing orders follow by `CALL backorder.import()` |'
\echo
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
\echo '| OB009 | an argument that cannot be |'
\echo '| OB010 | a trigger or function of the extension''s own was called from elsewhere |'
\echo '| OB011 | data is restored alone with the capture triggers on, or a subscriber has not taken over |'
\echo '| OB012 | the application keeps on hand itself, in an attached table: the movement is refused; or two tables do |'
\echo '| OB013 | the library that the session loaded does not know these SQL objects: `ALTER EXTENSION backorder UPDATE` is missing, or the session is older than it and connects again |'
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
SELECT format(E'### %s\n\n%s\n\nColumns: %s.\n', c.relname, obj_description(c.oid, 'pg_class'), string_agg(a.attname, ', ' ORDER BY a.attnum))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'backorder'::regnamespace AND c.relkind = 'v'
GROUP BY c.oid, c.relname ORDER BY c.relname;
