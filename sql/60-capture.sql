-- Triggers on attached tables, and the work at the end of a transaction or statement.

-- No key: a logical subscriber to the whole database copies the publisher's row beside its own.
CREATE TABLE backorder_internal.commit_work (
	one boolean NOT NULL DEFAULT true CHECK (one)
);
INSERT INTO backorder_internal.commit_work DEFAULT VALUES;
COMMENT ON TABLE backorder_internal.commit_work IS 'One row, never changed: the deferred trigger on it runs each transaction''s work at commit.';
COMMENT ON COLUMN backorder_internal.commit_work.one IS 'The one row.';

CREATE TABLE backorder_internal.statement_work (LIKE backorder_internal.commit_work INCLUDING ALL);
INSERT INTO backorder_internal.statement_work DEFAULT VALUES;
COMMENT ON TABLE backorder_internal.statement_work IS 'One row, never changed: the trigger on it settles at the end of a statement, in immediate timing.';
COMMENT ON COLUMN backorder_internal.statement_work.one IS 'The one row.';

CREATE FUNCTION backorder_internal.capture() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_capture';
COMMENT ON FUNCTION backorder_internal.capture() IS 'Trigger on attached tables: notes which orders changed. Created by attach(); refuses any other table.';

CREATE FUNCTION backorder_internal.commit_work() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_commit_work';
COMMENT ON FUNCTION backorder_internal.commit_work() IS 'Deferred trigger: settles the noted orders and writes the events, once at commit.';

CREATE CONSTRAINT TRIGGER commit_work AFTER INSERT ON backorder_internal.commit_work
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION backorder_internal.commit_work();
ALTER TABLE backorder_internal.commit_work ENABLE ALWAYS TRIGGER commit_work;

CREATE FUNCTION backorder_internal.statement_work() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_statement_work';
COMMENT ON FUNCTION backorder_internal.statement_work() IS 'Trigger: settles the noted orders at the end of a statement, in immediate timing.';

CREATE TRIGGER statement_work AFTER INSERT ON backorder_internal.statement_work
	FOR EACH ROW EXECUTE FUNCTION backorder_internal.statement_work();
ALTER TABLE backorder_internal.statement_work ENABLE ALWAYS TRIGGER statement_work;

CREATE FUNCTION backorder_internal.evaluating(mapped_column text, order_key text) RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'bo_evaluating';
COMMENT ON FUNCTION backorder_internal.evaluating(text, text) IS 'Notes which mapped column of which order is evaluated, for the error message.
mapped_column: name of the mapped column.
order_key: the order.';
