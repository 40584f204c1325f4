-- What owners of the application's tables call: attach, detach, resync.

CREATE FUNCTION backorder.attach(
	line_table regclass, item text, quantity text,
	line_key text DEFAULT NULL, order_key text DEFAULT NULL,
	header_table regclass DEFAULT NULL, header_key text DEFAULT NULL,
	live text DEFAULT 'true', shipped text DEFAULT NULL, picked text DEFAULT NULL, cancelled text DEFAULT NULL,
	location text DEFAULT NULL, customer text DEFAULT NULL, priority text DEFAULT NULL, queued_at text DEFAULT NULL,
	requested_at text DEFAULT NULL, held text DEFAULT NULL, joins text DEFAULT NULL, watch text[] DEFAULT NULL,
	timing text DEFAULT 'deferred', overship text DEFAULT 'adjust', on_error text DEFAULT 'refuse', tenant text DEFAULT '', import boolean DEFAULT true)
RETURNS integer LANGUAGE c AS 'MODULE_PATHNAME', 'bo_attach';
COMMENT ON FUNCTION backorder.attach(regclass, text, text, text, text, regclass, text, text, text, text, text, text, text, text, text, text, text, text, text[], text, text, text, text, boolean)
	IS 'Watches a table of order lines and records the orders that it has. On a table that is attached already it changes the mapping in place. Returns the source_id.
line_table: the table of order lines.
item, quantity: a column of the line table, else of the header, else an SQL expression over line, header and what joins adds. Item NULL: the line is not stocked.
line_key: the columns that tell the lines of one order apart; the primary key where it is NULL. With joins, expressions may follow the columns: they make each joined row unique, and may be NULL.
order_key: the columns of the line table that hold the key of the order. NULL: each line is an order of its own.
header_table: the table of orders, if there is one. A line whose header is missing is read with a NULL header.
header_key: its key, joined to order_key by =; the primary key where it is NULL.
live: when a line is demand.
shipped, picked, cancelled: cumulative quantities; NULL: none. NULL and negative values count as 0.
location: where the line is taken from; NULL: one location.
customer: whom events and views name; NULL: nobody.
priority: higher is served first; NULL: 0.
queued_at: since when the line waits; NULL: since it was recorded.
requested_at: the day on which the customer wants it.
held: true while the line may not be served; NULL: never.
joins: further FROM items behind line and header. Begin with JOIN, LEFT JOIN or a comma, as in JOIN shop.product p ON p.id = line.product_id.
watch: further tables whose changes concern orders. Each is "table: key columns" or "table: SELECT order keys FROM ... WHERE ... watched.column"; watched is the row that changed.
timing: deferred settles at commit, immediate at the end of each statement.
overship: what to do when more is shipped than is on hand: adjust books the difference, refuse is an error.
on_error: what to do with an order that cannot be read: refuse it, or park it in table parked.
tenant: company or stock pool of all orders of the table.
import: false leaves existing orders to CALL backorder.import().';

CREATE TYPE backorder.previewed AS (
	kind text,
	n bigint,
	order_key text,
	line_key text,
	item text,
	location text,
	customer text,
	ordered numeric,
	shipped numeric,
	open numeric,
	message text
);
COMMENT ON TYPE backorder.previewed IS 'One finding of attach_preview(): kind problem, hint, line or count; of a count n, and in message what is counted.';
COMMENT ON COLUMN backorder.previewed.kind IS 'problem, hint, line or count.';
COMMENT ON COLUMN backorder.previewed.n IS 'The number of a count.';
COMMENT ON COLUMN backorder.previewed.order_key IS 'Key of the order, of a line.';
COMMENT ON COLUMN backorder.previewed.line_key IS 'Key of the line.';
COMMENT ON COLUMN backorder.previewed.item IS 'The item.';
COMMENT ON COLUMN backorder.previewed.location IS 'The location.';
COMMENT ON COLUMN backorder.previewed.customer IS 'The customer.';
COMMENT ON COLUMN backorder.previewed.ordered IS 'Ordered quantity.';
COMMENT ON COLUMN backorder.previewed.shipped IS 'Cumulative shipped quantity.';
COMMENT ON COLUMN backorder.previewed.open IS 'What is still wanted.';
COMMENT ON COLUMN backorder.previewed.message IS 'What is wrong, what could be better, or what was counted.';

CREATE FUNCTION backorder.attach_preview(
	line_table regclass, item text, quantity text,
	line_key text DEFAULT NULL, order_key text DEFAULT NULL,
	header_table regclass DEFAULT NULL, header_key text DEFAULT NULL,
	live text DEFAULT 'true', shipped text DEFAULT NULL, picked text DEFAULT NULL, cancelled text DEFAULT NULL,
	location text DEFAULT NULL, customer text DEFAULT NULL, priority text DEFAULT NULL, queued_at text DEFAULT NULL,
	requested_at text DEFAULT NULL, held text DEFAULT NULL, joins text DEFAULT NULL, watch text[] DEFAULT NULL,
	timing text DEFAULT 'deferred', overship text DEFAULT 'adjust', on_error text DEFAULT 'refuse', tenant text DEFAULT '', import boolean DEFAULT true)
RETURNS SETOF backorder.previewed LANGUAGE c AS 'MODULE_PATHNAME', 'bo_attach_preview';
COMMENT ON FUNCTION backorder.attach_preview(regclass, text, text, text, text, regclass, text, text, text, text, text, text, text, text, text, text, text, text, text[], text, text, text, text, boolean)
	IS 'Shows what attach() with the same arguments would record, and changes nothing: everything that is wrong with the mapping, the first lines, and counts of live, open, shipped and unusable lines.
line_table, item, quantity, line_key, order_key, header_table, header_key, live, shipped, picked, cancelled, location, customer, priority, queued_at, requested_at, held, joins, watch, timing, overship, on_error, tenant, import: as for attach().';

CREATE FUNCTION backorder.detach(line_table regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_detach';
COMMENT ON FUNCTION backorder.detach(regclass) IS 'Stops watching a table of order lines. Its open lines leave and their stock is allocated to others; the ledger stays.
line_table: the table.';

CREATE FUNCTION backorder.attach_stock(
	stock_table regclass, item text, on_hand text, location text DEFAULT NULL, unavailable text DEFAULT NULL,
	live text DEFAULT 'true', timing text DEFAULT 'deferred', tenant text DEFAULT '')
RETURNS integer LANGUAGE c AS 'MODULE_PATHNAME', 'bo_attach_stock';
COMMENT ON FUNCTION backorder.attach_stock(regclass, text, text, text, text, text, text, text)
	IS 'Watches a table in which the application keeps on hand itself. On hand is what its rows of an item and location add up to. Each change is a movement of kind count, settled with the orders of the transaction; shipping consumes allocation only. On a table that is attached already it changes the mapping in place. Returns the source_id.
stock_table: the table.
item: a column, or an SQL expression over the row (stock). NULL: the row is no stock.
on_hand: what is physically there.
location: where it is; NULL: one location.
unavailable: how much of it is not to be allocated; NULL: hold_stock() and release_stock() say it.
live: when the row is stock.
timing: deferred settles at commit, immediate at the end of each statement.
tenant: company or stock pool.';

CREATE FUNCTION backorder.detach_stock(stock_table regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_detach_stock';
COMMENT ON FUNCTION backorder.detach_stock(regclass) IS 'Stops watching a table of stock. On hand stays as it is, and movements keep it from then on.
stock_table: the table.';

CREATE FUNCTION backorder.resync_stock(stock_table regclass) RETURNS bigint
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_resync_stock';
COMMENT ON FUNCTION backorder.resync_stock(regclass) IS 'Compares all of an attached table of stock with what is recorded and counts what differs. Returns how many counts were written.
stock_table: the table.';

CREATE FUNCTION backorder_internal.mapped_stock(source_id integer, OUT item text, OUT location text, OUT on_hand numeric, OUT unavailable numeric)
RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_mapped_stock';
COMMENT ON FUNCTION backorder_internal.mapped_stock(integer) IS 'What an attached table of stock says now, per item and location. unavailable is NULL where it is not mapped.
source_id: the source.
item: the item.
location: the location.
on_hand: what is there.
unavailable: how much of it is not to be allocated.';

CREATE FUNCTION backorder.detach_source(source_id integer) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_detach_source';
COMMENT ON FUNCTION backorder.detach_source(integer) IS 'Detaches a source whose table was dropped and cannot be named any more, as detach() or detach_stock() would. Only for the owner of the extension.
source_id: its number in source or stock_source.';

CREATE FUNCTION backorder.resync(line_table regclass, order_key text DEFAULT NULL) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_resync';
COMMENT ON FUNCTION backorder.resync(regclass, text) IS 'Reconciles one order, or all orders of a table, with what is recorded. Of a whole table it also mends what was changed in the tables of the extension. Returns the number of lines that changed.
line_table: the table.
order_key: the order; NULL: all.';

CREATE FUNCTION backorder.flush() RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_flush';
COMMENT ON FUNCTION backorder.flush() IS 'Settles this transaction''s pending orders now. Returns the number of lines that changed.';

CREATE FUNCTION backorder.lock_stock(items text[], location text DEFAULT '', tenant text DEFAULT '') RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_lock_stock';
COMMENT ON FUNCTION backorder.lock_stock(text[], text, text) IS 'Locks the stock of these items in the order of settling. Call it before several settlings in one transaction.
items: the items.
location: where; empty where there is one location.
tenant: company or stock pool.';

CREATE FUNCTION backorder.repromise(item text DEFAULT NULL) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_repromise';
COMMENT ON FUNCTION backorder.repromise(text) IS 'Makes the promises that settling left. Returns the number of lines that changed.
item: the item; NULL: all.';

CREATE FUNCTION backorder_internal.mapped_lines(source_id integer, of_order text DEFAULT NULL,
	OUT order_key text, OUT line_key text, OUT item text, OUT location text, OUT customer text,
	OUT quantity numeric, OUT cancelled numeric, OUT shipped numeric, OUT picked numeric, OUT live boolean,
	OUT priority integer, OUT queued_at timestamptz, OUT requested_at date, OUT held boolean)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'bo_mapped_lines';
COMMENT ON FUNCTION backorder_internal.mapped_lines(integer, text) IS 'The lines of an attached table, or of one order in it, as its mapping reads them now.
source_id: the source.
of_order: the order; NULL: all.
order_key, line_key, item, location, customer, quantity, cancelled, shipped, picked, live, priority, queued_at, requested_at, held: as mapped.';

CREATE FUNCTION backorder.source_relation(source_id integer) RETURNS regclass
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT to_regclass(format('%I.%I', s.line_schema, s.line_table)) FROM backorder.source s WHERE s.source_id = $1
$$;
COMMENT ON FUNCTION backorder.source_relation(integer) IS 'The table of order lines of a source; NULL where it does not exist any more. Views name orders by source_id.
source_id: the source.';
