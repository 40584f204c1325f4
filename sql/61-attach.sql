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
	IS 'Watches a table of order lines, by columns or SQL expressions over line, header and joins, and records the orders it has; with import => false it leaves them to import(). Again on the same table: changes the mapping. Returns the source_id.';

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
	IS 'What attach() with the same arguments would record, changing nothing: everything that is wrong with the mapping, the first lines, counts of live, open, shipped and unusable lines.';

CREATE FUNCTION backorder.detach(line_table regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_detach';
COMMENT ON FUNCTION backorder.detach(regclass) IS 'Stops watching a table: its open lines leave and their stock is allocated to others; the ledger stays.';

CREATE FUNCTION backorder.attach_stock(
	stock_table regclass, item text, on_hand text, location text DEFAULT NULL, unavailable text DEFAULT NULL,
	live text DEFAULT 'true', timing text DEFAULT 'deferred', tenant text DEFAULT '')
RETURNS integer LANGUAGE c AS 'MODULE_PATHNAME', 'bo_attach_stock';
COMMENT ON FUNCTION backorder.attach_stock(regclass, text, text, text, text, text, text, text)
	IS 'Watches a table in which the application keeps on hand itself, by columns or SQL expressions over its row (stock): on hand is what its rows of an item and location add up to, each change a movement of kind count, settled with the orders of the transaction; shipping consumes allocation only. Again on the same table: changes the mapping. Returns the source_id.';

CREATE FUNCTION backorder.detach_stock(stock_table regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_detach_stock';
COMMENT ON FUNCTION backorder.detach_stock(regclass) IS 'Stops watching a table of stock: on hand stays as it is, and movements keep it from then on.';

CREATE FUNCTION backorder.resync_stock(stock_table regclass) RETURNS bigint
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_resync_stock';
COMMENT ON FUNCTION backorder.resync_stock(regclass) IS 'Compares all of an attached table of stock with what is recorded and counts what differs. Returns how many counts were written.';

CREATE FUNCTION backorder_internal.mapped_stock(source_id integer, OUT item text, OUT location text, OUT on_hand numeric, OUT unavailable numeric)
RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_mapped_stock';
COMMENT ON FUNCTION backorder_internal.mapped_stock(integer) IS 'What an attached table of stock says now, per item and location; what verify() compares with. unavailable is NULL where it is not mapped.';

CREATE FUNCTION backorder.detach_source(source_id integer) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_detach_source';
COMMENT ON FUNCTION backorder.detach_source(integer) IS 'The same, or as detach_stock(), for a source whose table was dropped and cannot be named any more; for the owner of the extension.';

CREATE FUNCTION backorder.resync(line_table regclass, order_key text DEFAULT NULL) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_resync';
COMMENT ON FUNCTION backorder.resync(regclass, text) IS 'Reconciles one order, or all orders of a table, with what is recorded. Returns the number of lines that changed.';

CREATE FUNCTION backorder.flush() RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_flush';
COMMENT ON FUNCTION backorder.flush() IS 'Settles this transaction''s pending orders now. Returns the number of lines that changed.';

CREATE FUNCTION backorder.lock_stock(items text[], location text DEFAULT '', tenant text DEFAULT '') RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_lock_stock';
COMMENT ON FUNCTION backorder.lock_stock(text[], text, text) IS 'Locks the stock of these items in one order, before several settlings in one transaction.';

CREATE FUNCTION backorder.repromise(item text DEFAULT NULL) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_repromise';
COMMENT ON FUNCTION backorder.repromise(text) IS 'Finishes the promises that settling left. Returns the number of lines that changed.';

CREATE FUNCTION backorder_internal.mapped_lines(source_id integer, of_order text DEFAULT NULL,
	OUT order_key text, OUT line_key text, OUT item text, OUT location text, OUT customer text,
	OUT quantity numeric, OUT cancelled numeric, OUT shipped numeric, OUT picked numeric, OUT live boolean,
	OUT priority integer, OUT queued_at timestamptz, OUT requested_at date, OUT held boolean)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'bo_mapped_lines';
COMMENT ON FUNCTION backorder_internal.mapped_lines(integer, text) IS 'The lines of an attached table, or of one order in it, as its mapping reads them now; what verify() compares with.';

CREATE FUNCTION backorder.source_relation(source_id integer) RETURNS regclass
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT to_regclass(format('%I.%I', s.line_schema, s.line_table)) FROM backorder.source s WHERE s.source_id = $1
$$;
COMMENT ON FUNCTION backorder.source_relation(integer) IS 'The table of order lines of a source.';
