-- attach_preview(): what attach() would record, and everything that is wrong, changing nothing.
SET client_min_messages = warning;
CREATE SCHEMA preview;
SET search_path = preview;
CREATE TABLE head (id integer PRIMARY KEY, state text, customer text);
CREATE TABLE line (id integer PRIMARY KEY, order_id integer, no integer, sku text, amount text, sent integer DEFAULT 0, pack integer DEFAULT 1);
CREATE TABLE unit (pack integer PRIMARY KEY, factor integer);
INSERT INTO unit SELECT 1, 1;
INSERT INTO head SELECT i, CASE WHEN i % 5 = 0 THEN 'cart' ELSE 'open' END, 'customer ' || i FROM generate_series(1, 20) i;
INSERT INTO line SELECT i, (i + 1) / 2, 1 + i % 2, 'pv ' || i, i::text, CASE WHEN i % 4 = 0 THEN i END FROM generate_series(1, 40) i;
SET client_min_messages = notice;

-- Everything that is wrong at once.
SELECT kind, message FROM backorder.attach_preview('line', 'skuu', 'amount::int + ', order_key => 'order_id', header_table => 'head',
	live => 'random() < 0.5', shipped => 'now()', customer => 'customer', priority => 'count(*)', watch => ARRAY['nothing: x']);
-- One at a time where the rest needs it.
SELECT kind, message FROM backorder.attach_preview('line', 'sku', 'amount', order_key => 'order', header_table => 'head');
SELECT kind, message FROM backorder.attach_preview('line', 'sku', 'amount', joins => 'JOIN units u ON true', live => 'nothing');
SELECT kind, message FROM backorder.attach_preview('pg_class', 'relname', '1');
SELECT kind, message FROM backorder.attach_preview('line', 'sku', 'amount', timing => 'soon');
SELECT kind, message FROM backorder.attach_preview(NULL, 'sku', 'amount');
-- What is wrong shows only in the rows.
BEGIN;
UPDATE line SET amount = 'seven' WHERE id = 7;
UPDATE line SET amount = 'NaN' WHERE id = 20;
UPDATE line SET no = 1 WHERE order_id = 12;
UPDATE line SET order_id = NULL WHERE id = 1;
UPDATE line SET sku = NULL WHERE id = 2;
UPDATE line SET amount = '-1' WHERE id = 3;
SELECT * FROM backorder.attach_preview('line', 'sku', 'amount', order_key => 'order_id', line_key => 'no', header_table => 'head',
	live => $$state = 'open'$$, shipped => 'sent', customer => 'customer', location => $$'east'$$);
ROLLBACK;
-- Right: the lines, the counts, and what would be better.
SELECT * FROM backorder.attach_preview('line', 'sku', 'amount::int * factor', order_key => 'order_id', header_table => 'head',
	live => $$state = 'open'$$, shipped => 'sent', customer => 'customer', joins => 'JOIN unit u ON u.pack = line.pack');
-- What is assumed is said.
SELECT kind, message FROM backorder.attach_preview('line', 'sku', 'amount') WHERE kind = 'hint';
-- Nothing was changed, and what follows in the transaction is as if it had not been asked.
SELECT count(*) FROM backorder.source WHERE line_schema = 'preview';
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('line'::regclass, 'head'::regclass) AND NOT tgisinternal;
BEGIN;
SELECT count(*) > 0 AS previewed FROM backorder.attach_preview('line', 'sku', 'amount', order_key => 'order_id', header_table => 'head');
SELECT mode FROM pg_locks WHERE relation = 'line'::regclass AND pid = pg_backend_pid() ORDER BY 1;
SELECT backorder.attach('line', 'sku', 'amount', order_key => 'order_id', header_table => 'head', live => $$state = 'open'$$) > 0 AS attached;
INSERT INTO line VALUES (41, 1, 3, 'pv 41', '1');
COMMIT;
SELECT count(*) FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE line_schema = 'preview';
-- Of an attached table: what another mapping would say.
SELECT message, n FROM backorder.attach_preview('line', 'sku', 'amount', order_key => 'order_id', header_table => 'head', live => $$state = 'cart'$$) WHERE kind = 'count';
INSERT INTO line VALUES (42, 2, 3, 'pv 42', '1');
SELECT count(*) FROM backorder.order_line l JOIN backorder.source s USING (tenant, source_id) WHERE line_schema = 'preview';
SELECT message FROM backorder.attach_preview('line', 'sku', 'amount', tenant => 'other');
-- Only its owner's.
CREATE ROLE regress_backorder_reader;
GRANT USAGE ON SCHEMA preview, backorder TO regress_backorder_reader;
GRANT SELECT ON line TO regress_backorder_reader;
SET ROLE regress_backorder_reader;
SELECT message FROM backorder.attach_preview('line', 'sku', 'amount');
RESET ROLE;
-- A constant of which its type knows nothing.
SELECT kind, message FROM backorder.attach_preview('line', 'sku', 'amount', live => $$'maybe'::boolean$$) WHERE kind = 'problem';
GRANT EXECUTE ON FUNCTION backorder.attach_preview TO regress_backorder_reader;
SET ROLE regress_backorder_reader;
SELECT message FROM backorder.attach_preview('line', 'sku', 'amount');
RESET ROLE;
DROP OWNED BY regress_backorder_reader;
DROP ROLE regress_backorder_reader;
SELECT backorder.detach('line');
SELECT * FROM backorder.verify();
SET client_min_messages = warning;
DROP SCHEMA preview CASCADE;
