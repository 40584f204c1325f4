-- Orders recorded in batches.

CREATE PROCEDURE backorder.import(line_table regclass, batch integer DEFAULT 1000)
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_import';
COMMENT ON PROCEDURE backorder.import(regclass, integer) IS 'Records the orders of a table that was attached with import => false, or reconciles all orders of an attached table, in batches that commit one by one, in READ COMMITTED. What its caller did before is committed first. Called again after a cancel or a crash, it goes on where it was; two calls at once take turns.
line_table: the table.
batch: how many orders a batch has.';

CREATE FUNCTION backorder_internal.orders_to_import(source_id integer, OUT order_key text)
RETURNS SETOF text LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_orders_to_import';
COMMENT ON FUNCTION backorder_internal.orders_to_import(integer) IS 'The orders of a table that import() has not come to.
source_id: the source.
order_key: an order.';

CREATE VIEW backorder.import_progress AS
SELECT i.tenant, i.source_id, backorder.source_relation(i.source_id) AS source, i.state, i.orders, i.total,
	CASE WHEN i.state = 'imported' THEN 100 ELSE least(99, i.orders * 100 / greatest(i.total, 1)) END AS percent,
	i.lines, i.phase, CASE i.phase WHEN 'table' THEN i.position WHEN 'recorded' THEN i.recorded_position ELSE i.allocated_item END AS position,
	i.started_at, i.updated_at, i.finished_at
FROM backorder_internal.source_import i;
COMMENT ON VIEW backorder.import_progress IS 'How far import() has come with each table it is used for, as of its last batch: orders done of about total. In the states waiting and outdated import() is to be called.';
COMMENT ON COLUMN backorder.import_progress.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.import_progress.source_id IS 'The source.';
COMMENT ON COLUMN backorder.import_progress.source IS 'Its table.';
COMMENT ON COLUMN backorder.import_progress.state IS 'waiting for import(), importing, outdated (import() is to look at all orders again), resyncing (it does), or imported.';
COMMENT ON COLUMN backorder.import_progress.orders IS 'Orders read so far.';
COMMENT ON COLUMN backorder.import_progress.total IS 'Orders that the planner expected at the beginning.';
COMMENT ON COLUMN backorder.import_progress.percent IS 'The share of these.';
COMMENT ON COLUMN backorder.import_progress.lines IS 'Lines that changed, or were recorded.';
COMMENT ON COLUMN backorder.import_progress.phase IS 'Which step it is in.';
COMMENT ON COLUMN backorder.import_progress.position IS 'Where it is in that step: the last order, or item.';
COMMENT ON COLUMN backorder.import_progress.started_at IS 'When the first batch was done.';
COMMENT ON COLUMN backorder.import_progress.updated_at IS 'When the last batch was done.';
COMMENT ON COLUMN backorder.import_progress.finished_at IS 'When it was finished.';
