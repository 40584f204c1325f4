-- The shops of the random runs, and the log of what committed transactions did.
--
-- Three attached tables take from one stock: a is deferred and maps queued_at, b is settled at the end of each
-- statement, c is deferred and refuses to ship what is not there. Triggers of our own log what became of the application's rows and of purchase
-- orders, in the same transaction; the rest is logged by the operation itself. Nothing here reads what
-- the extension computed, but the rank (line_id, queued_at) of lines whose queued_at is not mapped.

CREATE SCHEMA model;
CREATE TABLE model.log (
	id bigint GENERATED ALWAYS AS IDENTITY,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
	kind text NOT NULL,
	d text NOT NULL,
	orders text[]
);
CREATE INDEX ON model.log (xid) WHERE orders IS NOT NULL;
CREATE TABLE model.taken (id bigint);
CREATE TABLE model.compacted (id bigint);		-- events

-- did(KIND, D): an operation was done; then the ranks of the lines of b and c that this transaction touched. (A line that
-- was deleted may be gone, and another in its place, although an old snapshot has it.)
CREATE FUNCTION model.did(kind text, d text DEFAULT '', flush boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF flush THEN
		PERFORM backorder.flush();
	END IF;
	INSERT INTO model.log (kind, d, orders) VALUES (did.kind, did.d, CASE WHEN did.kind = 'Y' AND did.d !~ '^a' THEN ARRAY[replace(did.d, '|', '')] END);
	INSERT INTO model.log (kind, d)
	SELECT 'K', concat_ws('|', left(t.o, 1), l.order_key, l.line_key, l.line_id, (extract(epoch FROM l.queued_at) * 1000000)::bigint)
	FROM (SELECT DISTINCT unnest(g.orders) AS o FROM model.log g WHERE g.xid = pg_current_xact_id() AND g.orders IS NOT NULL) t
	JOIN backorder.order_line l ON l.tenant = '' AND l.source_id = position(left(t.o, 1) IN 'abc') AND l.order_key = substr(t.o, 2) AND NOT l.deleted;
END $$;

-- did_all(KIND, SOURCE, more): the same with the ranks of all lines of a source.
CREATE FUNCTION model.did_all(kind text, source text, VARIADIC more text[] DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	SELECT model.did(did_all.kind, array_to_string(source || more, '|', ''));
	INSERT INTO model.log (kind, d)
	SELECT 'K', concat_ws('|', source, l.order_key, l.line_key, l.line_id, (extract(epoch FROM l.queued_at) * 1000000)::bigint)
	FROM backorder.order_line l WHERE l.source_id = position(source IN 'abc') AND source <> 'a' AND NOT l.deleted;
$$;

-- All that is open of a purchase order was received: of the lines that were there, and of those that somebody had added
-- before its stock was locked: this transaction moved something of them. Others may have been received by others.
CREATE FUNCTION model.did_receive(po bigint, lines integer[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM model.did('R', concat_ws('|', po, (SELECT string_agg(n::text, '|') FROM (
		SELECT unnest(lines) UNION SELECT m.po_line_no FROM backorder.stock_movement m WHERE m.po_id = po AND m.applied_at = now()) l (n))));
END $$;

-- compact(), under one snapshot: what is there no more of references and deleted lines, and which events.
CREATE FUNCTION model.before_compact() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE before_compact ON COMMIT DROP AS
	SELECT 'R|' || m.reference AS what FROM backorder.stock_movement m WHERE m.reference IS NOT NULL
	UNION ALL SELECT concat_ws('|', 'L', substr('abc', l.source_id, 1), l.order_key, l.line_key) FROM backorder.order_line l WHERE l.deleted
	UNION ALL SELECT 'E|' || e.id FROM backorder.event e;
END $$;
CREATE FUNCTION model.did_compact() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM before_compact b USING (
		SELECT 'R|' || m.reference AS what FROM backorder.stock_movement m WHERE m.reference IS NOT NULL
		UNION ALL SELECT concat_ws('|', 'L', substr('abc', l.source_id, 1), l.order_key, l.line_key) FROM backorder.order_line l WHERE l.deleted
		UNION ALL SELECT 'E|' || e.id FROM backorder.event e) a WHERE a.what = b.what;
	PERFORM model.did('Z', b.what) FROM before_compact b WHERE b.what !~ '^E';
	INSERT INTO model.compacted SELECT substr(b.what, 3)::bigint FROM before_compact b WHERE b.what ~ '^E';
END $$;

-- A batch of import(): how far it came.
CREATE FUNCTION model.log_import() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	shop CONSTANT text := substr('abc', NEW.source_id, 1);
BEGIN
	PERFORM model.did_all('B', shop, NEW.state, OLD.phase, NEW.position, OLD.allocated_item, OLD.allocated_location, NEW.allocated_item, NEW.allocated_location);
	RETURN NULL;
END $$;

CREATE FUNCTION model.log_bin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO model.log (kind, d) VALUES ('N', concat_ws('|', TG_OP, coalesce(OLD.item, ''), coalesce(OLD.location, ''), coalesce(OLD.bin, 0),
		coalesce(NEW.item, ''), coalesce(NEW.location, ''), coalesce(NEW.bin, 0), coalesce(NEW.quantity, 0)));
	RETURN NULL;
END $$;
CREATE FUNCTION model.log_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO model.log (kind, d) VALUES ('X', TG_ARGV[0]);
	RETURN NULL;
END $$;

CREATE FUNCTION model.log_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO model.log (kind, d, orders) VALUES ('L', concat_ws('|', TG_ARGV[0], TG_OP,
		coalesce(NEW.rid, OLD.rid), coalesce(OLD.order_id, 0), coalesce(OLD.line_no, 0), coalesce(NEW.order_id, 0), coalesce(NEW.line_no, 0), coalesce(NEW.item, ''),
		coalesce(NEW.location, ''), coalesce(NEW.quantity, 0), coalesce(NEW.cancelled, 0), coalesce(NEW.shipped, 0), coalesce(NEW.picked, 0), coalesce(NEW.since, 0)),
		CASE WHEN TG_ARGV[0] <> 'a' THEN ARRAY[TG_ARGV[0] || coalesce(OLD.order_id, NEW.order_id), TG_ARGV[0] || coalesce(NEW.order_id, OLD.order_id)] END);
	RETURN NULL;
END $$;
CREATE FUNCTION model.log_header() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO model.log (kind, d, orders) VALUES ('H', concat_ws('|', TG_ARGV[0], TG_OP, coalesce(NEW.id, OLD.id), coalesce(NEW.status, ''),
		coalesce(NEW.urgency, 0), coalesce(NEW.hold, false)), CASE WHEN TG_ARGV[0] <> 'a' THEN ARRAY[TG_ARGV[0] || coalesce(NEW.id, OLD.id)] END);
	RETURN NULL;
END $$;
-- What one statement moves, it moves at once.
CREATE FUNCTION model.log_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO model.log (kind, d) VALUES ('U', TG_ARGV[0]);
	RETURN NULL;
END $$;
CREATE FUNCTION model.log_purchase_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO model.log (kind, d) VALUES ('P', concat_ws('|', TG_OP, coalesce(NEW.po_id, OLD.po_id), coalesce(NEW.status, ''), coalesce(NEW.location, '')));
	RETURN NULL;
END $$;
CREATE FUNCTION model.log_purchase_order_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO model.log (kind, d) VALUES ('Q', concat_ws('|', TG_OP, coalesce(NEW.po_id, OLD.po_id), coalesce(NEW.line_no, OLD.line_no),
		coalesce(NEW.item, ''), coalesce(NEW.ordered, 0), coalesce(NEW.cancelled, 0)));
	RETURN NULL;
END $$;

CREATE FUNCTION model.create_shop(s text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format($f$
		CREATE SCHEMA %1$I;
		CREATE TABLE %1$I.orders (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'open', urgency integer NOT NULL DEFAULT 0,
			hold boolean NOT NULL DEFAULT false, note text);
		CREATE TABLE %1$I.lines (order_id integer NOT NULL REFERENCES %1$I.orders ON DELETE CASCADE, line_no integer NOT NULL,
			item text NOT NULL, location text NOT NULL DEFAULT '', quantity numeric NOT NULL, cancelled numeric NOT NULL DEFAULT 0,
			shipped numeric NOT NULL DEFAULT 0, picked numeric NOT NULL DEFAULT 0, since bigint NOT NULL, note text,
			rid bigint GENERATED ALWAYS AS IDENTITY,
			PRIMARY KEY (order_id, line_no)%2$s);
		CREATE TRIGGER model_log_line AFTER INSERT OR UPDATE OR DELETE ON %1$I.lines FOR EACH ROW EXECUTE FUNCTION model.log_line(%1$L);
		CREATE TRIGGER model_log_header AFTER INSERT OR UPDATE OR DELETE ON %1$I.orders FOR EACH ROW EXECUTE FUNCTION model.log_header(%1$L);
		CREATE TRIGGER model_log_truncate BEFORE TRUNCATE ON %1$I.lines FOR EACH STATEMENT EXECUTE FUNCTION model.log_truncate(%1$L);
		CREATE TRIGGER model_log_statement BEFORE UPDATE ON %1$I.lines FOR EACH STATEMENT EXECUTE FUNCTION model.log_statement(%1$L);
		$f$, s, CASE s WHEN 'c' THEN ' DEFERRABLE' END);
END $$;
CREATE FUNCTION model.attach(s text, import boolean DEFAULT true) RETURNS integer LANGUAGE sql AS $$
	SELECT backorder.attach(format('%I.lines', s)::regclass, item => 'item', location => 'location', quantity => 'quantity', cancelled => 'cancelled',
		shipped => 'shipped', picked => 'picked', order_key => 'order_id', line_key => 'line_no', header_table => format('%I.orders', s)::regclass,
		header_key => 'id', live => $e$header.status = 'open'$e$, priority => 'urgency', held => 'hold',
		queued_at => CASE s WHEN 'a' THEN 'to_timestamp(since)' END, timing => CASE s WHEN 'b' THEN 'immediate' ELSE 'deferred' END,
		overship => CASE s WHEN 'c' THEN 'refuse' ELSE 'adjust' END,
		import => attach.import)
$$;
SELECT model.create_shop(s), model.attach(s) FROM unnest(ARRAY['a', 'b', 'c']) s;
DO $$ BEGIN ASSERT (SELECT array_agg(source_id || line_schema ORDER BY source_id) FROM backorder.source) = '{1a,2b,3c}'; END $$;

-- Bins of the items I10 and I11, of which the application keeps on hand: what they add up to.
CREATE SCHEMA s;
CREATE TABLE s.bins (item text, location text, bin integer, quantity numeric NOT NULL CHECK (quantity >= 0), note text, PRIMARY KEY (item, location, bin));
CREATE TRIGGER model_log_bin AFTER INSERT OR UPDATE OR DELETE ON s.bins FOR EACH ROW EXECUTE FUNCTION model.log_bin();
CREATE FUNCTION model.attach_stock() RETURNS integer LANGUAGE sql AS $$
	SELECT backorder.attach_stock('s.bins', item => 'item', on_hand => 'quantity', location => 'location')
$$;
SELECT model.attach_stock();

-- In the order of names these fire before the extension's own.
CREATE TRIGGER a_model_log AFTER INSERT OR UPDATE OR DELETE ON backorder.purchase_order FOR EACH ROW EXECUTE FUNCTION model.log_purchase_order();
CREATE TRIGGER a_model_log AFTER INSERT OR UPDATE OR DELETE ON backorder.purchase_order_line FOR EACH ROW EXECUTE FUNCTION model.log_purchase_order_line();
CREATE TRIGGER a_model_log AFTER UPDATE ON backorder_internal.source_import FOR EACH ROW EXECUTE FUNCTION model.log_import();

INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('north', 30000), ('south', 20000), ('west', NULL);
INSERT INTO backorder.supplier_item (supplier, item, rank, minimum_quantity, order_multiple, maximum_quantity, lead_time)
SELECT (ARRAY['north', 'south', 'west'])[1 + n % 3], 'I' || n, 1, n % 7, 1 + n % 5, CASE WHEN n % 4 = 0 THEN 40 END, CASE WHEN n % 2 = 0 THEN 25000 + n END
FROM generate_series(0, 8) n
UNION ALL SELECT (ARRAY['north', 'south', 'west'])[1 + (n + 1) % 3], 'I' || n, 2, 0, 1, NULL, NULL FROM generate_series(0, 8) n;
INSERT INTO backorder.item_policy (item, location, reorder_point, order_up_to, handling_time)
SELECT 'I' || n, l, 5, 10, n % 2 FROM generate_series(0, 3) n, unnest(ARRAY['N', 'S']) l;
