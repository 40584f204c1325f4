-- What the library knows of the tables whose rows it writes to the heap, without a statement (src/store/columns.h).

CREATE FUNCTION backorder_internal.heap_columns(OUT table_name text, OUT "position" integer, OUT column_name text, OUT type regtype,
	OUT nullable boolean, OUT computed boolean, OUT value text) RETURNS SETOF record
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'bo_heap_columns';
COMMENT ON FUNCTION backorder_internal.heap_columns() IS 'The columns that the library expects of each hot table. computed: the library fills it in itself; value: its default, or how it is generated.';

CREATE FUNCTION backorder_internal.heap_checks(OUT table_name text, OUT constraint_name text, OUT condition text) RETURNS SETOF record
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'bo_heap_checks';
COMMENT ON FUNCTION backorder_internal.heap_checks() IS 'The CHECK constraints that the library expects of each hot table, and checks itself.';

CREATE FUNCTION backorder_internal.heap_usable(OUT table_name text, OUT usable boolean, OUT reason text, OUT left_to_statements bigint) RETURNS SETOF record
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_heap_usable';
COMMENT ON FUNCTION backorder_internal.heap_usable() IS 'Are rows of each hot table written to the heap? Else by statements, which is slower, for the reason given: somebody changed the table. left_to_statements: how often this session did that.';
