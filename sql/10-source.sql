-- Attached tables and the orders seen in them.

CREATE SEQUENCE backorder_internal.source_id_seq AS integer;

CREATE TABLE backorder.source (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	source_id integer NOT NULL DEFAULT nextval('backorder_internal.source_id_seq'),
	line_schema text NOT NULL,
	line_table text NOT NULL,
	line_relid oid NOT NULL,
	header_schema text,
	header_table text,
	header_relid oid,
	order_key text[] NOT NULL,
	line_key text[] NOT NULL,
	header_key text[],
	item text NOT NULL,
	quantity text NOT NULL,
	live text NOT NULL,
	shipped text,
	picked text,
	cancelled text,
	location text,
	customer text,
	priority text,
	queued_at text,
	requested_at text,
	held text,
	joins text,
	line_key_expressions text[],
	line_columns text[] NOT NULL,
	line_names text[] NOT NULL,
	header_columns text[],
	header_names text[],
	timing text NOT NULL,
	overship text NOT NULL,
	on_error text NOT NULL,
	attached_at timestamptz NOT NULL DEFAULT now(),
	detached_at timestamptz,
	PRIMARY KEY (tenant, source_id),
	CHECK (timing IN ('deferred', 'immediate')),
	CHECK (overship IN ('adjust', 'refuse')),
	CHECK (on_error IN ('refuse', 'park'))
);
CREATE UNIQUE INDEX source_id_key ON backorder.source (source_id);
CREATE UNIQUE INDEX source_line_table_key ON backorder.source (line_schema, line_table);

COMMENT ON SEQUENCE backorder_internal.source_id_seq IS 'Numbers the attached tables.';
COMMENT ON TABLE backorder.source IS 'One attached order table and its mapping; written by attach() and detach().';
COMMENT ON COLUMN backorder.source.tenant IS 'Company or stock pool that the orders of this table belong to.';
COMMENT ON COLUMN backorder.source.source_id IS 'Number of the source; the argument of its capture triggers.';
COMMENT ON COLUMN backorder.source.line_schema IS 'Schema of the table of order lines.';
COMMENT ON COLUMN backorder.source.line_table IS 'Name of the table of order lines.';
COMMENT ON COLUMN backorder.source.line_relid IS 'OID of the table of order lines; a cache, the names count after a restore.';
COMMENT ON COLUMN backorder.source.header_schema IS 'Schema of the table of order headers, if there is one.';
COMMENT ON COLUMN backorder.source.header_table IS 'Name of the table of order headers, if there is one.';
COMMENT ON COLUMN backorder.source.header_relid IS 'OID of the table of order headers; a cache.';
COMMENT ON COLUMN backorder.source.order_key IS 'Columns of the line table that say which order a line belongs to.';
COMMENT ON COLUMN backorder.source.line_key IS 'Columns of the line table that tell the lines of one order apart.';
COMMENT ON COLUMN backorder.source.header_key IS 'Columns of the header table that order_key refers to.';
COMMENT ON COLUMN backorder.source.item IS 'Expression over line and header: the item, NULL where the line is not stocked.';
COMMENT ON COLUMN backorder.source.quantity IS 'Expression: the ordered quantity.';
COMMENT ON COLUMN backorder.source.live IS 'Expression: whether the line is demand now.';
COMMENT ON COLUMN backorder.source.shipped IS 'Expression: the cumulative shipped quantity.';
COMMENT ON COLUMN backorder.source.picked IS 'Expression: the quantity picked and not yet shipped; never taken back.';
COMMENT ON COLUMN backorder.source.cancelled IS 'Expression: the cancelled quantity, where the ordered quantity keeps it.';
COMMENT ON COLUMN backorder.source.location IS 'Expression: the stock location; empty where there is one.';
COMMENT ON COLUMN backorder.source.customer IS 'Expression: the customer.';
COMMENT ON COLUMN backorder.source.priority IS 'Expression: higher is served first; 0 where it is not mapped.';
COMMENT ON COLUMN backorder.source.queued_at IS 'Expression: since when the line waits; the time of recording where it is not mapped.';
COMMENT ON COLUMN backorder.source.requested_at IS 'Expression: the day on which the customer wants the line.';
COMMENT ON COLUMN backorder.source.held IS 'Expression: true while the line may not be served (credit hold).';
COMMENT ON COLUMN backorder.source.joins IS 'Further FROM items behind line and header.';
COMMENT ON COLUMN backorder.source.line_key_expressions IS 'Expressions that, behind the columns of line_key, tell the lines of one order apart where joins multiply rows.';
COMMENT ON COLUMN backorder.source.line_columns IS 'Columns of the line table by number when it was attached; expressions use these names.';
COMMENT ON COLUMN backorder.source.header_columns IS 'Columns of the header table by number when it was attached.';
COMMENT ON COLUMN backorder.source.line_names IS 'What line_columns are called now; kept current, for the restored table.';
COMMENT ON COLUMN backorder.source.header_names IS 'What header_columns are called now.';
COMMENT ON COLUMN backorder.source.timing IS 'deferred: settled at commit; immediate: at the end of each statement.';
COMMENT ON COLUMN backorder.source.overship IS 'What happens when more is shipped than is on hand: adjust books the difference, refuse is an error.';
COMMENT ON COLUMN backorder.source.on_error IS 'What happens when an order cannot be read: refuse is an error, park notes the order in parked.';
COMMENT ON COLUMN backorder.source.attached_at IS 'When the table was attached.';
COMMENT ON COLUMN backorder.source.detached_at IS 'When the table was detached; NULL while it is attached.';

CREATE TABLE backorder.source_watch (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	source_id integer NOT NULL,
	n integer NOT NULL,
	table_schema text NOT NULL,
	table_name text NOT NULL,
	table_relid oid NOT NULL,
	columns text[] NOT NULL,
	names text[] NOT NULL,
	keys text NOT NULL,
	PRIMARY KEY (tenant, source_id, n)
);
COMMENT ON TABLE backorder.source_watch IS 'A further table whose changes concern orders of a source; written by attach().';
COMMENT ON COLUMN backorder.source_watch.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.source_watch.source_id IS 'The source.';
COMMENT ON COLUMN backorder.source_watch.n IS 'Number within the source.';
COMMENT ON COLUMN backorder.source_watch.table_schema IS 'Schema of the watched table.';
COMMENT ON COLUMN backorder.source_watch.table_name IS 'Name of the watched table.';
COMMENT ON COLUMN backorder.source_watch.table_relid IS 'OID of the watched table; a cache, the name counts after a restore.';
COMMENT ON COLUMN backorder.source_watch.columns IS 'Its columns by number when it was attached; keys uses these names.';
COMMENT ON COLUMN backorder.source_watch.names IS 'What they are called now.';
COMMENT ON COLUMN backorder.source_watch.keys IS 'FROM item that leads from its row, called watched, to order keys.';

CREATE TABLE backorder.stock_source (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	source_id integer NOT NULL,
	table_schema text NOT NULL,
	table_name text NOT NULL,
	table_relid oid NOT NULL,
	item text NOT NULL,
	on_hand text NOT NULL,
	location text,
	unavailable text,
	live text NOT NULL,
	columns text[] NOT NULL,
	names text[] NOT NULL,
	timing text NOT NULL,
	attached_at timestamptz NOT NULL DEFAULT now(),
	detached_at timestamptz,
	PRIMARY KEY (tenant, source_id),
	CHECK (timing IN ('deferred', 'immediate'))
);
CREATE UNIQUE INDEX stock_source_id_key ON backorder.stock_source (source_id);
CREATE UNIQUE INDEX stock_source_table_key ON backorder.stock_source (table_schema, table_name);
COMMENT ON TABLE backorder.stock_source IS 'One attached table in which the application keeps on hand itself; written by attach_stock() and detach_stock().';
COMMENT ON COLUMN backorder.stock_source.tenant IS 'Company or stock pool that the stock of this table belongs to.';
COMMENT ON COLUMN backorder.stock_source.source_id IS 'Number of the source, out of one sequence with the tables of order lines; the argument of its capture triggers.';
COMMENT ON COLUMN backorder.stock_source.table_schema IS 'Schema of the table.';
COMMENT ON COLUMN backorder.stock_source.table_name IS 'Name of the table.';
COMMENT ON COLUMN backorder.stock_source.table_relid IS 'OID of the table; a cache, the names count after a restore.';
COMMENT ON COLUMN backorder.stock_source.item IS 'Expression over the row: the item, NULL where the row is no stock.';
COMMENT ON COLUMN backorder.stock_source.on_hand IS 'Expression: what is physically there. Rows of one item and location are added up.';
COMMENT ON COLUMN backorder.stock_source.location IS 'Expression: the stock location; empty where there is one.';
COMMENT ON COLUMN backorder.stock_source.unavailable IS 'Expression: how much of it is not to be allocated; hold_stock() and release_stock() say it where this is not mapped.';
COMMENT ON COLUMN backorder.stock_source.live IS 'Expression: whether the row is stock now.';
COMMENT ON COLUMN backorder.stock_source.columns IS 'Columns of the table by number when it was attached; expressions use these names.';
COMMENT ON COLUMN backorder.stock_source.names IS 'What they are called now.';
COMMENT ON COLUMN backorder.stock_source.timing IS 'deferred: settled at commit; immediate: at the end of each statement.';
COMMENT ON COLUMN backorder.stock_source.attached_at IS 'When the table was attached.';
COMMENT ON COLUMN backorder.stock_source.detached_at IS 'When the table was detached; NULL while it is attached.';

CREATE TABLE backorder.parked (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	source_id integer NOT NULL,
	order_key text COLLATE "C" NOT NULL,
	sqlstate text NOT NULL,
	message text NOT NULL,
	parked_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant, source_id, order_key)
);
COMMENT ON TABLE backorder.parked IS 'Orders that could not be read (attach with on_error => park): what is recorded of them is what they said before.';
COMMENT ON COLUMN backorder.parked.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.parked.source_id IS 'The source.';
COMMENT ON COLUMN backorder.parked.order_key IS 'The order; empty for the whole source, where its mapping cannot be read.';
COMMENT ON COLUMN backorder.parked.sqlstate IS 'SQLSTATE of the error.';
COMMENT ON COLUMN backorder.parked.message IS 'The error, as it would have been reported.';
COMMENT ON COLUMN backorder.parked.parked_at IS 'When it was parked.';

CREATE TABLE backorder.sales_order (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	source_id integer NOT NULL,
	order_key text COLLATE "C" NOT NULL,
	revision bigint NOT NULL DEFAULT 1,
	PRIMARY KEY (tenant, source_id, order_key)
) WITH (fillfactor = 90);

COMMENT ON TABLE backorder.sales_order IS 'One order seen in a source. Every reconcile of the order updates it: it is the order''s lock.';
COMMENT ON COLUMN backorder.sales_order.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.sales_order.source_id IS 'The source in which the order was seen.';
COMMENT ON COLUMN backorder.sales_order.order_key IS 'Key of the order as text; an array literal where it has several columns.';
COMMENT ON COLUMN backorder.sales_order.revision IS 'How often the order was reconciled.';
