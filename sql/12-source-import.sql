-- How far import() has come with each attached table.

CREATE TABLE backorder_internal.source_import (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	source_id integer NOT NULL,
	state text NOT NULL,
	recheck boolean NOT NULL,
	phase text NOT NULL DEFAULT 'table',
	position text COLLATE "C",
	recorded_position text COLLATE "C",
	allocated_item text COLLATE "C",
	allocated_location text COLLATE "C",
	orders bigint NOT NULL DEFAULT 0,
	lines bigint NOT NULL DEFAULT 0,
	total bigint NOT NULL DEFAULT 0,
	added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	started_at timestamptz,
	updated_at timestamptz,
	finished_at timestamptz,
	PRIMARY KEY (tenant, source_id),
	CHECK (state IN ('waiting', 'importing', 'outdated', 'resyncing', 'imported')),
	CHECK (phase IN ('table', 'recorded', 'allocate'))
) WITH (fillfactor = 50);
COMMENT ON TABLE backorder_internal.source_import IS 'How far import() has come with a source. A source without a row was recorded by attach().';
COMMENT ON COLUMN backorder_internal.source_import.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder_internal.source_import.source_id IS 'The source.';
COMMENT ON COLUMN backorder_internal.source_import.state IS 'waiting for import(), importing, outdated (all orders were recorded under another mapping; import() is to look at them again), resyncing (it does), or imported.';
COMMENT ON COLUMN backorder_internal.source_import.recheck IS 'Whether recorded orders are to be looked for that the table does not have any more.';
COMMENT ON COLUMN backorder_internal.source_import.phase IS 'table: orders are read from it; recorded: recorded orders are looked for in it; allocate: lines that were recorded only are settled by rank, where priority or queued_at is mapped.';
COMMENT ON COLUMN backorder_internal.source_import.position IS 'Key of the last order that was read from the table, in the order of its type; NULL: none.';
COMMENT ON COLUMN backorder_internal.source_import.recorded_position IS 'Key of the last recorded order that was looked for in the table.';
COMMENT ON COLUMN backorder_internal.source_import.allocated_item IS 'Item of the last stock row whose lines were settled by rank.';
COMMENT ON COLUMN backorder_internal.source_import.allocated_location IS 'Its location.';
COMMENT ON COLUMN backorder_internal.source_import.orders IS 'Orders read from the table.';
COMMENT ON COLUMN backorder_internal.source_import.lines IS 'Lines that changed, or were recorded.';
COMMENT ON COLUMN backorder_internal.source_import.total IS 'Orders the planner expected at the beginning.';
COMMENT ON COLUMN backorder_internal.source_import.added_at IS 'When the table was attached without its orders.';
COMMENT ON COLUMN backorder_internal.source_import.started_at IS 'When the first batch was done.';
COMMENT ON COLUMN backorder_internal.source_import.updated_at IS 'When the last batch was done.';
COMMENT ON COLUMN backorder_internal.source_import.finished_at IS 'When it was finished.';
