-- Orders recorded in batches: how far it has come, and the procedure.

CREATE TABLE backorder.source_import (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	source_id integer NOT NULL,
	state text NOT NULL,
	recheck boolean NOT NULL,
	position text COLLATE "C",
	recorded_position text COLLATE "C",
	orders bigint NOT NULL DEFAULT 0,
	lines bigint NOT NULL DEFAULT 0,
	total bigint NOT NULL DEFAULT 0,
	added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	started_at timestamptz,
	updated_at timestamptz,
	finished_at timestamptz,
	PRIMARY KEY (tenant, source_id),
	CHECK (state IN ('waiting', 'importing', 'resyncing', 'imported'))
) WITH (fillfactor = 50);
COMMENT ON TABLE backorder.source_import IS 'How far import() has come with a source. A source without a row was recorded by attach().';
COMMENT ON COLUMN backorder.source_import.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.source_import.source_id IS 'The source.';
COMMENT ON COLUMN backorder.source_import.state IS 'waiting for import(), importing, resyncing (all orders were recorded and are looked at again), or imported.';
COMMENT ON COLUMN backorder.source_import.recheck IS 'Whether recorded orders are to be looked for that the table does not have any more.';
COMMENT ON COLUMN backorder.source_import.position IS 'Key of the last order that was read from the table, in the order of its type; NULL: none.';
COMMENT ON COLUMN backorder.source_import.recorded_position IS 'Once the table is done: key of the last recorded order that was looked for in it.';
COMMENT ON COLUMN backorder.source_import.orders IS 'Orders read from the table.';
COMMENT ON COLUMN backorder.source_import.lines IS 'Lines that changed, or were recorded.';
COMMENT ON COLUMN backorder.source_import.total IS 'Orders the planner expected at the beginning.';
COMMENT ON COLUMN backorder.source_import.added_at IS 'When the table was attached without its orders.';
COMMENT ON COLUMN backorder.source_import.started_at IS 'When the first batch was done.';
COMMENT ON COLUMN backorder.source_import.updated_at IS 'When the last batch was done.';
COMMENT ON COLUMN backorder.source_import.finished_at IS 'When it was finished.';

CREATE PROCEDURE backorder.import(line_table regclass, batch integer DEFAULT 1000)
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_import';
COMMENT ON PROCEDURE backorder.import(regclass, integer) IS 'Records the orders of a table that was attached with import => false, or reconciles all orders of an attached table, in batches of so many orders that commit one by one. Cancelled, or called again after a crash, it goes on where it was; two at once take turns.';

CREATE FUNCTION backorder.orders_to_import(source_id integer, OUT order_key text)
RETURNS SETOF text LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_orders_to_import';
COMMENT ON FUNCTION backorder.orders_to_import(integer) IS 'Internal: the orders of a table that import() has not come to.';

CREATE VIEW backorder.import_progress AS
SELECT i.tenant, i.source_id, backorder.source_relation(i.source_id) AS source, i.state, i.orders, i.total,
	CASE WHEN i.state = 'imported' THEN 100 ELSE least(99, i.orders * 100 / greatest(i.total, 1)) END AS percent,
	i.lines, coalesce(i.recorded_position, i.position) AS position, i.recorded_position IS NOT NULL AS table_done,
	i.started_at, i.updated_at, i.finished_at
FROM backorder.source_import i;
COMMENT ON VIEW backorder.import_progress IS 'How far import() has come with each table it is used for, as of its last batch: orders done of about total.';
