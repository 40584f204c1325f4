-- Recorded order lines, the ledger of their allocations, and what customers were told.

CREATE SEQUENCE backorder_internal.line_id_seq;

-- Columns of fixed width first, then what is always there: so a row has no gaps, and most columns are found without walking it.
CREATE TABLE backorder.order_line (
	line_id bigint NOT NULL,
	queued_at timestamptz NOT NULL,
	source_id integer NOT NULL,
	priority integer NOT NULL DEFAULT 0,
	live boolean NOT NULL DEFAULT true,
	deleted boolean NOT NULL DEFAULT false,
	held boolean NOT NULL DEFAULT false,
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	order_key text COLLATE "C" NOT NULL,
	line_key text COLLATE "C" NOT NULL,
	item text COLLATE "C" NOT NULL,
	location text COLLATE "C" NOT NULL DEFAULT '',
	ordered numeric NOT NULL,
	cancelled numeric NOT NULL DEFAULT 0,
	auto_cancelled numeric NOT NULL DEFAULT 0,
	shipped numeric NOT NULL DEFAULT 0,
	picked numeric NOT NULL DEFAULT 0,
	allocated numeric NOT NULL DEFAULT 0,
	first_allocated numeric DEFAULT 0,
	backordered numeric GENERATED ALWAYS AS (greatest(ordered - cancelled - auto_cancelled - shipped, 0) - allocated) STORED,
	fulfilment text NOT NULL DEFAULT 'partial',
	customer text COLLATE "C",
	requested_at date,
	first_promised_at date,
	promised_at date,
	first_shipped numeric,
	folded numeric,
	PRIMARY KEY (tenant, source_id, order_key, line_key),
	CONSTRAINT order_line_not_negative CHECK (ordered >= 0 AND cancelled >= 0 AND auto_cancelled >= 0 AND shipped >= 0 AND picked >= 0 AND allocated >= 0),
	CONSTRAINT order_line_allocated_is_open CHECK (allocated <= greatest(ordered - cancelled - auto_cancelled - shipped, 0)),
	CONSTRAINT order_line_open_is_live CHECK (live OR ordered - cancelled - auto_cancelled <= shipped),
	CHECK (fulfilment IN ('partial'))
) WITH (fillfactor = 92);
-- No two entries are equal, as line_id is in them: there is nothing to deduplicate.
CREATE INDEX order_line_queue_idx ON backorder.order_line (tenant, item, location, priority DESC, queued_at, line_id) WITH (deduplicate_items = off) WHERE backordered > 0 AND NOT held;
-- Read whole when stock has to be taken back, which is rare; every order in stock writes it: so its key is one number, which
-- costs a third of what three texts do. The hash is the one that hash partitions rest on: the same in all versions.
CREATE INDEX order_line_allocated_idx ON backorder.order_line ((hashtextextended(item, hashtextextended(location, hashtextextended(tenant, 0)))))
	WHERE allocated > 0;

COMMENT ON SEQUENCE backorder_internal.line_id_seq IS 'Numbers the incarnations of order lines.';
COMMENT ON TABLE backorder.order_line IS 'One order line of an attached table, as last reconciled and settled.';
COMMENT ON COLUMN backorder.order_line.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.order_line.line_id IS 'Number of this incarnation of the line; kept when the line moves or is replaced.';
COMMENT ON COLUMN backorder.order_line.source_id IS 'The attached table.';
COMMENT ON COLUMN backorder.order_line.priority IS 'Higher is served first.';
COMMENT ON COLUMN backorder.order_line.live IS 'False where the line left the application or is not live any more and only what was shipped remains.';
COMMENT ON COLUMN backorder.order_line.deleted IS 'True where the line is not in the application''s table any more.';
COMMENT ON COLUMN backorder.order_line.held IS 'True while the line may not be served.';
COMMENT ON COLUMN backorder.order_line.queued_at IS 'Since when the line waits, the second part of its rank.';
COMMENT ON COLUMN backorder.order_line.requested_at IS 'Day on which the customer wants it.';
COMMENT ON COLUMN backorder.order_line.first_promised_at IS 'The first date promised for the line''s last unit.';
COMMENT ON COLUMN backorder.order_line.promised_at IS 'The date promised now; NULL where supply does not reach.';
COMMENT ON COLUMN backorder.order_line.order_key IS 'Key of the order, as text.';
COMMENT ON COLUMN backorder.order_line.line_key IS 'Key of the line within the order, as text.';
COMMENT ON COLUMN backorder.order_line.item IS 'The item.';
COMMENT ON COLUMN backorder.order_line.location IS 'Where it is to be taken from.';
COMMENT ON COLUMN backorder.order_line.customer IS 'The customer.';
COMMENT ON COLUMN backorder.order_line.ordered IS 'Ordered quantity.';
COMMENT ON COLUMN backorder.order_line.cancelled IS 'Cancelled quantity.';
COMMENT ON COLUMN backorder.order_line.auto_cancelled IS 'Quantity cancelled by the line''s own fulfilment rule.';
COMMENT ON COLUMN backorder.order_line.shipped IS 'Cumulative shipped quantity.';
COMMENT ON COLUMN backorder.order_line.picked IS 'Picked and not yet shipped; never taken back.';
COMMENT ON COLUMN backorder.order_line.allocated IS 'Stock tied to the line.';
COMMENT ON COLUMN backorder.order_line.first_allocated IS 'What the line got when it was first settled; later changes are in the ledger, or folded. NULL: an import recorded the line, and its first settling, by rank, is yet to come.';
COMMENT ON COLUMN backorder.order_line.first_shipped IS 'What was shipped already when the line was first settled (a counter sale, a line found at attach); NULL: nothing.';
COMMENT ON COLUMN backorder.order_line.folded IS 'Sum of the line''s ledger rows that compact() folded; NULL: none.';
COMMENT ON COLUMN backorder.order_line.backordered IS 'What the line waits for: open - allocated.';
COMMENT ON COLUMN backorder.order_line.fulfilment IS 'How the line may be served: partial.';

CREATE TABLE backorder.allocation (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	allocation_id bigint GENERATED BY DEFAULT AS IDENTITY,
	line_id bigint NOT NULL,
	item text COLLATE "C" NOT NULL,
	location text COLLATE "C" NOT NULL,
	quantity numeric NOT NULL,
	cause text NOT NULL,
	movement_id bigint,
	po_id bigint,
	po_line_no integer,
	allocated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant, allocation_id)
);
CREATE INDEX allocation_line_idx ON backorder.allocation (tenant, line_id);

COMMENT ON TABLE backorder.allocation IS 'Ledger, append-only: each change of a line''s allocation after its first.';
COMMENT ON COLUMN backorder.allocation.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.allocation.allocation_id IS 'Number of the entry.';
COMMENT ON COLUMN backorder.allocation.line_id IS 'The line.';
COMMENT ON COLUMN backorder.allocation.item IS 'The item.';
COMMENT ON COLUMN backorder.allocation.location IS 'The location.';
COMMENT ON COLUMN backorder.allocation.quantity IS 'Signed change of the allocation.';
COMMENT ON COLUMN backorder.allocation.cause IS 'Kind of the movement that the goods came from or went with; released: it came from other order lines, or went to them; decrease, cancelled, requeued: the line itself changed; taken back: less stock than promised; mended: resync() gave back what the line cannot have.';
COMMENT ON COLUMN backorder.allocation.movement_id IS 'The movement, where there is one.';
COMMENT ON COLUMN backorder.allocation.po_id IS 'Purchase order from which the goods came.';
COMMENT ON COLUMN backorder.allocation.po_line_no IS 'Line of that purchase order.';
COMMENT ON COLUMN backorder.allocation.allocated_at IS 'When the transaction that wrote it began.';

CREATE TABLE backorder.waiting_order (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	source_id integer NOT NULL,
	order_key text COLLATE "C" NOT NULL,
	customer text COLLATE "C",
	since timestamptz NOT NULL DEFAULT now(),
	last_notified jsonb NOT NULL DEFAULT '{}',
	PRIMARY KEY (tenant, source_id, order_key)
) WITH (fillfactor = 80);

COMMENT ON TABLE backorder.waiting_order IS 'One order with a waiting line, and what its customer was last told. Gone when nothing waits.';
COMMENT ON COLUMN backorder.waiting_order.tenant IS 'Company or stock pool.';
COMMENT ON COLUMN backorder.waiting_order.source_id IS 'The attached table.';
COMMENT ON COLUMN backorder.waiting_order.order_key IS 'Key of the order.';
COMMENT ON COLUMN backorder.waiting_order.customer IS 'The customer.';
COMMENT ON COLUMN backorder.waiting_order.since IS 'Since when the order has a waiting line.';
COMMENT ON COLUMN backorder.waiting_order.last_notified IS 'Per line_id: line, item, ordered, shipped, allocated, backordered and promised_at as last told.';

-- What a customer with these lines is told: one entry per line that waits.  bo_push_notified() in the library says the same;
-- verify() compares the two.
CREATE FUNCTION backorder_internal.notified(lines backorder.order_line[]) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT jsonb_object_agg(l.line_id, jsonb_build_object('line', l.line_key, 'item', l.item, 'location', l.location,
		'ordered', l.ordered, 'shipped', l.shipped, 'allocated', l.allocated, 'backordered', l.backordered, 'promised_at', l.promised_at))
	FROM unnest(lines) AS l WHERE l.backordered > 0
$$;
COMMENT ON FUNCTION backorder_internal.notified(backorder.order_line[]) IS 'What is told of an order''s lines, as waiting_order keeps it.
lines: the lines.';

CREATE TYPE backorder.allocated AS (
	source regclass,
	order_key text,
	line_key text,
	customer text,
	item text,
	location text,
	quantity numeric,
	allocated numeric,
	backordered numeric,
	ready boolean
);
COMMENT ON TYPE backorder.allocated IS 'What a line was allocated: the quantity, what it has and waits for now, and whether its order waits for nothing more.';
COMMENT ON COLUMN backorder.allocated.source IS 'The attached table.';
COMMENT ON COLUMN backorder.allocated.order_key IS 'Key of the order.';
COMMENT ON COLUMN backorder.allocated.line_key IS 'Key of the line.';
COMMENT ON COLUMN backorder.allocated.customer IS 'The customer.';
COMMENT ON COLUMN backorder.allocated.item IS 'The item.';
COMMENT ON COLUMN backorder.allocated.location IS 'The location.';
COMMENT ON COLUMN backorder.allocated.quantity IS 'What the line got.';
COMMENT ON COLUMN backorder.allocated.allocated IS 'What it has now.';
COMMENT ON COLUMN backorder.allocated.backordered IS 'What it waits for now.';
COMMENT ON COLUMN backorder.allocated.ready IS 'Whether its order waits for nothing more.';
