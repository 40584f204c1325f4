/*
 * statements.c
 *		The statements over the extension's tables, and the row sets that they
 *		are given: their texts, nothing else.
 *
 * Each is set-based: its input comes as a named row set, and its cost follows
 * the number of rows it is given and not the size of the tables.  Locks are
 * taken by the statements that say so.
 */
#include "postgres.h"

#include "store/columns.h"
#include "store/statements.h"
#include "store/store.h"

/* Columns of columns.h in row sets and texts: after a comma, unless they are the first. */
#define GIVEN_COLUMN(constant, name, type, null, value) {#name, type},
#define FIRST_NAME(constant, name, type, null, value) #name
#define NAME(constant, name, type, null, value) ", " #name
#define FIRST_GIVEN(constant, name, type, null, value) "g." #name
#define GIVEN(constant, name, type, null, value) ", g." #name
#define FIRST_SET(constant, name, type, null, value) #name " = g." #name
#define SET(constant, name, type, null, value) ", " #name " = g." #name
#define FIRST_OF_LINE(constant, name, type, null, value) "l." #name
#define OF_LINE(constant, name, type, null, value) ", l." #name
#define FIRST_OF_STOCK(constant, name, type, null, value) "s." #name
#define OF_STOCK(constant, name, type, null, value) ", s." #name
#define FIRST_OF_WAITING(constant, name, type, null, value) "w." #name
#define OF_WAITING(constant, name, type, null, value) ", w." #name

/* A kind of row sets: what it is called, and its columns. */
#define KIND(name, ...) {name, lengthof(((const RowsColumn[]) {__VA_ARGS__})), (const RowsColumn[]) {__VA_ARGS__}}
#define GIVEN_COLUMNS(table) table(GIVEN_COLUMN, GIVEN_COLUMN, GIVEN_COLUMN, COLUMN_NOTHING)

const RowsKind bo_rows_kinds[] = {
	[BO_ROWS_ORDERS] = KIND("given_orders",
							{"tenant", TEXTOID}, {"source_id", INT4OID}, {"order_key", TEXTOID}, {"n", INT4OID}),
	[BO_ROWS_LINE_KEYS] = KIND("given_keys",
							   {"tenant", TEXTOID}, {"source_id", INT4OID}, {"order_key", TEXTOID}, {"line_key", TEXTOID}, {"n", INT4OID}),
	[BO_ROWS_STOCK_KEYS] = KIND("given_stock_keys",
								{"tenant", TEXTOID}, {"item", TEXTOID}, {"location", TEXTOID}, {"n", INT4OID}),
	[BO_ROWS_SUPPLY_KEYS] = KIND("given_supply_keys",
								 {"tenant", TEXTOID}, {"po_id", INT8OID}, {"line_no", INT4OID}),
	[BO_ROWS_LINES] = KIND("given_lines", {"tid", TIDOID}, GIVEN_COLUMNS(ORDER_LINE_COLUMNS)),
	[BO_ROWS_STOCK] = KIND("given_stock", {"tid", TIDOID}, GIVEN_COLUMNS(STOCK_COLUMNS)),
	[BO_ROWS_SUPPLY] = KIND("given_supply",
							{"tenant", TEXTOID}, {"po_id", INT8OID}, {"line_no", INT4OID}, {"item", TEXTOID}, {"location", TEXTOID},
							{"quantity", NUMERICOID}, {"received", NUMERICOID}, {"expected_at", DATEOID}, {"closed", BOOLOID}),
	[BO_ROWS_ALLOCATIONS] = KIND("given_allocations", GIVEN_COLUMNS(ALLOCATION_COLUMNS)),
	[BO_ROWS_MOVEMENTS] = KIND("given_movements",
							   {"tenant", TEXTOID}, {"movement_id", INT8OID}, {"item", TEXTOID}, {"location", TEXTOID}, {"kind", TEXTOID},
							   {"quantity", NUMERICOID}, {"line_id", INT8OID}, {"reason", TEXTOID}, {"unavailable", NUMERICOID}),
	[BO_ROWS_EVENTS] = KIND("given_events", GIVEN_COLUMNS(EVENT_COLUMNS)),
	/* by NotifiedColumn */
	[BO_ROWS_LAST_NOTIFIED] = KIND("given_last_notified",
								   {"tid", TIDOID}, {"customer", TEXTOID}, {"last_notified", JSONBOID}),
	[BO_ROWS_FIRST_NOTIFIED] = KIND("given_first_notified", GIVEN_COLUMNS(WAITING_ORDER_COLUMNS)),
	[BO_ROWS_DRAFTS] = KIND("given_drafts",
							{"tenant", TEXTOID}, {"supplier", TEXTOID}, {"location", TEXTOID}),
	[BO_ROWS_PLANNED] = KIND("given_planned",
							 {"tenant", TEXTOID}, {"po_id", INT8OID}, {"line_no", INT4OID}, {"item", TEXTOID}, {"ordered", NUMERICOID}, {"planned", NUMERICOID},
							 {"unit_cost", NUMERICOID}, {"for_backorders", NUMERICOID}, {"for_reorder", NUMERICOID}, {"for_rounding", NUMERICOID}),
};

/* Inserts a row set that gives the rows of a table: what it does not give has its default. */
#define INSERT(table, columns, rows) \
	"INSERT INTO backorder." table " (" columns(FIRST_NAME, NAME, NAME, COLUMN_NOTHING) ") " \
	"SELECT " columns(FIRST_GIVEN, GIVEN, GIVEN, COLUMN_NOTHING) " FROM " rows " g"

/* By RecordedColumn. */
#define RECORDED_OF_LINE(constant, name) ", l." #name

/* By LineColumn, up to LINE_CTID; LINE_N may follow. */
#define LINE_COLUMNS ORDER_LINE_COLUMNS(FIRST_OF_LINE, OF_LINE, OF_LINE, OF_LINE) ", l.ctid"

/* Which purchase order lines a statement changed; $1 picks rows that a restore did not bring. */
#define PURCHASE_DIFFERENCES(rows) \
	"SELECT k.tenant, k.po_id, k.line_no, coalesce(p.status IN ('placed', 'closed'), false), p.status, l.item, p.location, " \
	"l.ordered - l.cancelled, " \
	"coalesce(l.expected_at, y.expected_at, backorder_internal.lead_time_date(p.tenant, p.supplier, l.item, p.placed_at)), " \
	"p.status = 'closed', y.item, y.location " \
	"FROM (" rows ") k " \
	"LEFT JOIN backorder.purchase_order_line l ON l.tenant = k.tenant AND l.po_id = k.po_id AND l.line_no = k.line_no " \
	"LEFT JOIN backorder.purchase_order p ON p.tenant = l.tenant AND p.po_id = l.po_id " \
	"LEFT JOIN backorder.supply y ON y.tenant = k.tenant AND y.po_id = k.po_id AND y.line_no = k.line_no " \
	"ORDER BY k.tenant, k.po_id, k.line_no"

/*
 * The write on the purchase order is its lock: a line changed here and a
 * status changed there meet on it, in REPEATABLE READ too.  What it returns is
 * the status after the wait.
 */
#define REVISE_PURCHASE_ORDERS(rows) \
	"WITH given AS MATERIALIZED (" rows "), " \
	"revised AS (UPDATE backorder.purchase_order p SET applied_at = now() " \
	"FROM (SELECT DISTINCT tenant, po_id FROM given ORDER BY tenant, po_id) k " \
	"WHERE p.tenant = k.tenant AND p.po_id = k.po_id RETURNING p.tenant, p.po_id, p.status) " \
	"SELECT g.po_id, g.line_no, v.status FROM given g LEFT JOIN revised v ON v.tenant = g.tenant AND v.po_id = g.po_id "

#define IMPORT_COLUMNS "i.state, i.recheck, i.position, i.recorded_position, i.added_at, i.phase, i.allocated_item, i.allocated_location"

#define SOURCE_COLUMNS \
	"line_schema, line_table, line_relid, header_schema, header_table, header_relid, order_key, line_key, header_key, " \
	"item, quantity, live, shipped, picked, cancelled, location, customer, priority, queued_at, requested_at, held, " \
	"line_columns, timing, overship, header_columns, joins, line_key_expressions, on_error, line_names, header_names"
#define SOURCE_TYPES \
	TEXTOID, TEXTOID, OIDOID, TEXTOID, TEXTOID, OIDOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, \
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, \
	TEXTARRAYOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, TEXTARRAYOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID

const Statement bo_statements[] = {
	/* reconcile */
	[BO_LOCK_ORDERS] = {BO_ROWS_ORDERS, 0, {0},
		"INSERT INTO backorder.sales_order (tenant, source_id, order_key) "
		"SELECT g.tenant, g.source_id, g.order_key FROM given_orders g "
		"ON CONFLICT (tenant, source_id, order_key) DO UPDATE SET revision = sales_order.revision + 1 "
	"RETURNING revision - 1"},
	[BO_READ_RECORDED] = {BO_ROWS_ORDERS, 0, {0},
		"SELECT g.n" RECORDED_COLUMNS(RECORDED_OF_LINE) " FROM given_orders g JOIN backorder.order_line l ON l.tenant = g.tenant AND l.source_id = g.source_id AND l.order_key = g.order_key "
	"ORDER BY g.n, l.line_id"},
	[BO_READ_RECORDED_LINE] = {-1, 4, {TEXTOID, INT4OID, TEXTOID, TEXTOID},
		"SELECT 0" RECORDED_COLUMNS(RECORDED_OF_LINE)
	" FROM backorder.order_line l WHERE l.tenant = $1 AND l.source_id = $2 AND l.order_key = $3 AND l.line_key = $4"},
	[BO_FIND_RECORDED] = {BO_ROWS_ORDERS, 0, {0},
		"SELECT 1 FROM given_orders g "
	"JOIN backorder.order_line l ON l.tenant = g.tenant AND l.source_id = g.source_id AND l.order_key = g.order_key LIMIT 1"},
	[BO_READ_SOURCE_ORDERS] = {-1, 2, {TEXTOID, INT4OID},
		"SELECT l.order_key FROM backorder.order_line l WHERE l.tenant = $1 AND l.source_id = $2 "
	"UNION SELECT p.order_key FROM backorder.parked p WHERE p.tenant = $1 AND p.source_id = $2 AND p.order_key <> ''"},

	/* stock */
	[BO_ADD_STOCK] = {BO_ROWS_STOCK_KEYS, 0, {0},
		"INSERT INTO backorder.stock (tenant, item, location) SELECT g.tenant, g.item, g.location FROM given_stock_keys g "
		"WHERE NOT EXISTS (SELECT FROM backorder.stock s WHERE s.tenant = g.tenant AND s.item = g.item AND s.location = g.location) "
	"ON CONFLICT DO NOTHING"},
	/* by StockColumn */
	[BO_LOCK_STOCK] = {BO_ROWS_STOCK_KEYS, 0, {0},
		"SELECT " STOCK_COLUMNS(FIRST_OF_STOCK, OF_STOCK, OF_STOCK, OF_STOCK) ", s.ctid, g.n "
		"FROM given_stock_keys g JOIN backorder.stock s ON s.tenant = g.tenant AND s.item = g.item AND s.location = g.location "
	"ORDER BY g.n FOR NO KEY UPDATE OF s"},
	[BO_WRITE_STOCK] = {BO_ROWS_STOCK, 0, {0},
		"UPDATE backorder.stock s SET version = s.version + 1" STOCK_COLUMNS(COLUMN_NOTHING, COLUMN_NOTHING, SET, COLUMN_NOTHING)
	" FROM given_stock g WHERE s.ctid = g.tid"},
	[BO_READ_STALE_STOCK] = {-1, 1, {TEXTOID},
		"SELECT s.tenant, s.item, s.location FROM backorder.stock s WHERE s.promises_stale AND ($1 IS NULL OR s.item = $1) "
	"ORDER BY s.tenant, s.item, s.location"},

	/* lines */
	[BO_READ_LINES] = {BO_ROWS_LINE_KEYS, 0, {0},
		"SELECT " LINE_COLUMNS ", g.n FROM given_keys g JOIN backorder.order_line l "
	"ON l.tenant = g.tenant AND l.source_id = g.source_id AND l.order_key = g.order_key AND l.line_key = g.line_key"},
	[BO_READ_QUEUE] = {-1, 3, {TEXTOID, TEXTOID, TEXTOID},
		"SELECT " LINE_COLUMNS " FROM backorder.order_line l "
		"WHERE l.tenant = $1 AND l.item = $2 AND l.location = $3 AND l.backordered > 0 AND NOT l.held "
		"AND l.first_allocated IS NOT NULL "
	"ORDER BY l.priority DESC, l.queued_at, l.line_id"},
	[BO_READ_ALLOCATED] = {-1, 3, {TEXTOID, TEXTOID, TEXTOID},
		"SELECT " LINE_COLUMNS " FROM backorder.order_line l "
		"WHERE hashtextextended(l.item, hashtextextended(l.location, hashtextextended(l.tenant, 0))) "
		"= hashtextextended($2, hashtextextended($3, hashtextextended($1, 0))) "
		"AND l.tenant = $1 AND l.item = $2 AND l.location = $3 AND l.allocated > 0 "
	"ORDER BY l.priority, l.queued_at DESC, l.line_id DESC"},
	[BO_READ_LAST_WAITING] = {-1, 3, {TEXTOID, TEXTOID, TEXTOID},
		"SELECT l.priority, l.queued_at, l.line_id FROM backorder.order_line l "
		"WHERE l.tenant = $1 AND l.item = $2 AND l.location = $3 AND l.backordered > 0 AND NOT l.held "
		"AND l.first_allocated IS NOT NULL "
	"ORDER BY l.priority, l.queued_at DESC, l.line_id DESC LIMIT 1"},
	[BO_INSERT_LINES] = {BO_ROWS_LINES, 0, {0},
	INSERT("order_line", ORDER_LINE_COLUMNS, "given_lines")},
	[BO_UPDATE_LINES] = {BO_ROWS_LINES, 0, {0},
		"UPDATE backorder.order_line l SET " ORDER_LINE_COLUMNS(FIRST_SET, COLUMN_NOTHING, SET, COLUMN_NOTHING)
	" FROM given_lines g WHERE l.ctid = g.tid"},
	[BO_DELETE_LINES] = {BO_ROWS_LINES, 0, {0},
	"DELETE FROM backorder.order_line l USING given_lines g WHERE l.ctid = g.tid"},
	[BO_INSERT_ALLOCATIONS] = {BO_ROWS_ALLOCATIONS, 0, {0},
	INSERT("allocation", ALLOCATION_COLUMNS, "given_allocations")},

	/* movements and supply */
	[BO_NEW_MOVEMENTS] = {-1, 0, {0},
		"SELECT r.movement_id, r.tenant, r.item, r.location, r.kind, r.quantity, r.unavailable, r.po_id, r.po_line_no "
	"FROM new_rows r WHERE r.applied_at = now() ORDER BY r.movement_id"},
	[BO_INSERT_MOVEMENTS] = {BO_ROWS_MOVEMENTS, 0, {0},
		"INSERT INTO backorder.stock_movement (tenant, movement_id, item, location, kind, quantity, unavailable, line_id, reason) "
	"SELECT g.tenant, g.movement_id, g.item, g.location, g.kind, g.quantity, g.unavailable, g.line_id, g.reason FROM given_movements g"},
	[BO_READ_HANDLING_TIME] = {-1, 3, {TEXTOID, TEXTOID, TEXTOID},
		"SELECT p.handling_time FROM backorder.item_policy p WHERE p.tenant = $1 AND p.item = $2 AND p.location = $3"},
	[BO_READ_OPEN_SUPPLY] = {-1, 3, {TEXTOID, TEXTOID, TEXTOID},
		"SELECT y.po_id, y.line_no, y.open, y.expected_at FROM backorder.supply y "
	"WHERE y.tenant = $1 AND y.item = $2 AND y.location = $3 AND y.open > 0"},
	[BO_READ_SUPPLY] = {BO_ROWS_SUPPLY_KEYS, 0, {0},
		"SELECT y.tenant, y.po_id, y.line_no, y.item, y.location, y.quantity, y.received, y.expected_at, y.closed "
	"FROM given_supply_keys g JOIN backorder.supply y ON y.tenant = g.tenant AND y.po_id = g.po_id AND y.line_no = g.line_no"},
	[BO_INSERT_SUPPLY] = {BO_ROWS_SUPPLY, 0, {0},
		"INSERT INTO backorder.supply (tenant, po_id, line_no, item, location, quantity, received, expected_at, closed) "
	"SELECT g.tenant, g.po_id, g.line_no, g.item, g.location, g.quantity, g.received, g.expected_at, g.closed FROM given_supply g"},
	[BO_UPDATE_SUPPLY] = {BO_ROWS_SUPPLY, 0, {0},
		"UPDATE backorder.supply y SET item = g.item, location = g.location, quantity = g.quantity, received = g.received, "
		"expected_at = g.expected_at, closed = g.closed "
	"FROM given_supply g WHERE y.tenant = g.tenant AND y.po_id = g.po_id AND y.line_no = g.line_no"},
	[BO_DELETE_SUPPLY] = {BO_ROWS_SUPPLY, 0, {0},
		"DELETE FROM backorder.supply y USING given_supply g "
	"WHERE y.tenant = g.tenant AND y.po_id = g.po_id AND y.line_no = g.line_no"},

	/* purchase orders */
	[BO_LINE_INSERTED] = {-1, 0, {0},
	PURCHASE_DIFFERENCES("SELECT r.tenant, r.po_id, r.line_no FROM new_rows r WHERE r.applied_at = now()")},
	[BO_LINE_UPDATED] = {-1, 0, {0},
	PURCHASE_DIFFERENCES("SELECT r.tenant, r.po_id, r.line_no FROM new_rows r")},
	[BO_LINE_DELETED] = {-1, 0, {0},
	PURCHASE_DIFFERENCES("SELECT r.tenant, r.po_id, r.line_no FROM old_rows r")},
	[BO_PO_INSERTED] = {-1, 0, {0},
		PURCHASE_DIFFERENCES("SELECT o.tenant, o.po_id, o.line_no FROM new_rows r "
		"JOIN backorder.purchase_order_line o ON o.tenant = r.tenant AND o.po_id = r.po_id WHERE r.applied_at = now()")},
	[BO_PO_UPDATED] = {-1, 0, {0},
		PURCHASE_DIFFERENCES("SELECT o.tenant, o.po_id, o.line_no FROM new_rows r "
		"JOIN backorder.purchase_order_line o ON o.tenant = r.tenant AND o.po_id = r.po_id")},
	/* The first line that may not be written: its purchase order is not there, or came to a state in which that is refused. */
	[BO_PO_REVISE_INSERTED] = {-1, 0, {0},
		REVISE_PURCHASE_ORDERS("SELECT r.tenant, r.po_id, r.line_no FROM new_rows r WHERE r.applied_at = now()")
	"WHERE v.po_id IS NULL OR v.status IN ('closed', 'cancelled') ORDER BY 1, 2 LIMIT 1"},
	[BO_PO_REVISE_UPDATED] = {-1, 0, {0},
		REVISE_PURCHASE_ORDERS("SELECT r.tenant, r.po_id, r.line_no FROM new_rows r")
	"WHERE v.status IN ('closed', 'cancelled') ORDER BY 1, 2 LIMIT 1"},
	[BO_PO_REVISE_DELETED] = {-1, 0, {0},
		REVISE_PURCHASE_ORDERS("SELECT r.tenant, r.po_id, r.line_no FROM old_rows r")
	"WHERE v.status = 'closed' ORDER BY 1, 2 LIMIT 1"},
	[BO_SUPPLIER_REFERENCES] = {-1, 2, {TEXTOID, TEXTOID},
		"SELECT (SELECT min(p.po_id) FROM backorder.purchase_order p WHERE p.tenant = $1 AND p.supplier = $2), "
		"(SELECT min(i.item) FROM backorder.supplier_item i WHERE i.tenant = $1 AND i.supplier = $2) "
	"WHERE NOT EXISTS (SELECT FROM backorder.supplier s WHERE s.tenant = $1 AND s.supplier = $2)"},

	/* planning: what a user could have written */
	[BO_ADD_DRAFTS] = {BO_ROWS_DRAFTS, 3, {TEXTOID, TEXTOID, TEXTOID},
		"INSERT INTO backorder.purchase_order (tenant, supplier, location, planner) "
		"SELECT d.tenant, d.supplier, d.location, true FROM ("
		"SELECT g.tenant, g.supplier, g.location FROM given_drafts g UNION "
		"SELECT o.tenant, o.supplier, o.location FROM backorder.purchase_order o WHERE o.tenant = $1 AND o.planner AND o.status = 'draft' "
		"AND ($2 IS NULL OR o.location = $2) AND ($3 IS NULL OR o.supplier = $3)) d "
		"ORDER BY d.supplier, d.location "
		"ON CONFLICT (tenant, supplier, location) WHERE planner AND status = 'draft' DO UPDATE SET planner = true "
	"RETURNING po_id"},
	[BO_INSERT_PLANNED] = {BO_ROWS_PLANNED, 0, {0},
		"INSERT INTO backorder.purchase_order_line (tenant, po_id, line_no, item, ordered, planned, unit_cost, for_backorders, for_reorder, for_rounding) "
		"SELECT g.tenant, g.po_id, g.line_no, g.item, g.ordered, g.planned, g.unit_cost, g.for_backorders, g.for_reorder, g.for_rounding "
	"FROM given_planned g"},
	[BO_UPDATE_PLANNED] = {BO_ROWS_PLANNED, 0, {0},
		"UPDATE backorder.purchase_order_line l SET ordered = g.ordered, planned = g.planned, unit_cost = g.unit_cost, "
		"for_backorders = g.for_backorders, for_reorder = g.for_reorder, for_rounding = g.for_rounding "
	"FROM given_planned g WHERE l.tenant = g.tenant AND l.po_id = g.po_id AND l.line_no = g.line_no"},
	[BO_DELETE_PLANNED] = {BO_ROWS_PLANNED, 0, {0},
		"DELETE FROM backorder.purchase_order_line l USING given_planned g "
	"WHERE l.tenant = g.tenant AND l.po_id = g.po_id AND l.line_no = g.line_no"},
	/* A look into the index of lines for each draft, whatever the tables were when this was planned. */
	[BO_DELETE_EMPTY_DRAFTS] = {BO_ROWS_PLANNED, 0, {0},
		"DELETE FROM backorder.purchase_order o USING given_planned g "
		"WHERE o.tenant = g.tenant AND o.po_id = g.po_id AND o.planner AND o.status = 'draft' AND o.note IS NULL "
	"AND (SELECT min(l.line_no) FROM backorder.purchase_order_line l WHERE l.tenant = o.tenant AND l.po_id = o.po_id) IS NULL"},

	/* events */
	[BO_READ_SOURCE_TABLE] = {-1, 1, {INT4OID},
	"SELECT s.line_schema, s.line_table FROM backorder.source s WHERE s.source_id = $1"},
	[BO_INSERT_EVENTS] = {BO_ROWS_EVENTS, 0, {0},
	INSERT("event", EVENT_COLUMNS, "given_events")},
	[BO_LOCK_WAITING] = {BO_ROWS_ORDERS, 0, {0},
		"INSERT INTO backorder.waiting_order (tenant, source_id, order_key) "
		"SELECT g.tenant, g.source_id, g.order_key FROM given_orders g "
	"ON CONFLICT (tenant, source_id, order_key) DO UPDATE SET last_notified = excluded.last_notified WHERE false"},

	/* announce: what touched orders were told, and their lines */
	/* by WaitingOrderColumn */
	[BO_READ_LAST_NOTIFIED] = {BO_ROWS_ORDERS, 0, {0},
		"SELECT " WAITING_ORDER_COLUMNS(FIRST_OF_WAITING, OF_WAITING, OF_WAITING, OF_WAITING) ", w.ctid, g.n, "
		"(SELECT count(*) FROM backorder.waiting_order v WHERE v.tenant = g.tenant AND v.source_id = g.source_id AND v.order_key = g.order_key) "
	"FROM given_orders g JOIN backorder.waiting_order w ON w.tenant = g.tenant AND w.source_id = g.source_id AND w.order_key = g.order_key"},
	[BO_READ_ORDER_LINES] = {BO_ROWS_ORDERS, 0, {0},
		"SELECT " LINE_COLUMNS ", g.n FROM given_orders g JOIN backorder.order_line l "
	"ON l.tenant = g.tenant AND l.source_id = g.source_id AND l.order_key = g.order_key"},
	[BO_NOTIFY_FIRST] = {BO_ROWS_FIRST_NOTIFIED, 0, {0},
	INSERT("waiting_order", WAITING_ORDER_COLUMNS, "given_first_notified")},
	/* Rows that are locked: they are where they were read. */
	[BO_NOTIFY] = {BO_ROWS_LAST_NOTIFIED, 0, {0},
		"UPDATE backorder.waiting_order w SET last_notified = g.last_notified, customer = g.customer FROM given_last_notified g "
	"WHERE w.ctid = g.tid"},
	[BO_FORGET_ORDERS] = {BO_ROWS_LAST_NOTIFIED, 0, {0},
	"DELETE FROM backorder.waiting_order w USING given_last_notified g WHERE w.ctid = g.tid"},

	/* sources */
	[BO_ADD_SOURCE] = {-1, 32, {TEXTOID, INT4OID, SOURCE_TYPES},
		"INSERT INTO backorder.source (tenant, source_id, " SOURCE_COLUMNS ") "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)"},
	[BO_CHANGE_SOURCE] = {-1, 32, {TEXTOID, INT4OID, SOURCE_TYPES},
		"UPDATE backorder.source SET (" SOURCE_COLUMNS ", detached_at) = "
		"($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, NULL) "
	"WHERE tenant = $1 AND source_id = $2"},
	[BO_READ_WATCHED] = {-1, 1, {INT4OID},
		"SELECT w.table_schema, w.table_name, w.table_relid, w.columns, w.keys, w.names FROM backorder.source_watch w "
	"WHERE w.source_id = $1 ORDER BY w.n"},
	[BO_ADD_WATCHED] = {-1, 9, {TEXTOID, INT4OID, INT4OID, TEXTOID, TEXTOID, OIDOID, TEXTARRAYOID, TEXTOID, TEXTARRAYOID},
		"INSERT INTO backorder.source_watch (tenant, source_id, n, table_schema, table_name, table_relid, columns, keys, names) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"},
	[BO_FORGET_WATCHED] = {-1, 2, {TEXTOID, INT4OID},
	"DELETE FROM backorder.source_watch WHERE tenant = $1 AND source_id = $2"},
	[BO_READ_SOURCES] = {-1, 0, {0},
	"SELECT s.source_id FROM backorder.source s WHERE s.detached_at IS NULL"},
	[BO_READ_STOCK_SOURCE_BY_TABLE] = {-1, 3, {OIDOID, TEXTOID, TEXTOID},
		"SELECT c.source_id, c.tenant, c.detached_at IS NOT NULL FROM backorder.stock_source c "
		"WHERE (c.table_schema = $2 AND c.table_name = $3) OR c.table_relid = $1 "
	"ORDER BY (c.table_schema = $2 AND c.table_name = $3) DESC, c.detached_at IS NOT NULL LIMIT 1"},
	[BO_READ_STOCK_SOURCES] = {-1, 0, {0},
	"SELECT c.source_id FROM backorder.stock_source c WHERE c.detached_at IS NULL"},
	[BO_WRITE_STOCK_SOURCE] = {-1, 13, {TEXTOID, INT4OID, TEXTOID, TEXTOID, OIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID},
		"INSERT INTO backorder.stock_source AS c (tenant, source_id, table_schema, table_name, table_relid, item, on_hand, location, unavailable, "
		"live, timing, columns, names) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
		"ON CONFLICT (tenant, source_id) DO UPDATE SET (table_schema, table_name, table_relid, item, on_hand, location, unavailable, live, timing, "
	"columns, names, detached_at) = ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, NULL)"},
	[BO_DETACH_STOCK_SOURCE] = {-1, 1, {INT4OID},
	"UPDATE backorder.stock_source SET detached_at = now() WHERE source_id = $1"},
	[BO_READ_ATTACHED_STOCK] = {-1, 1, {INT4OID},
	"SELECT s.item, s.location, s.tenant FROM backorder.stock s WHERE s.stock_source_id = $1"},
	[BO_RELEASE_ATTACHED_STOCK] = {-1, 1, {INT4OID},
	"UPDATE backorder.stock SET stock_source_id = NULL, version = version + 1 WHERE stock_source_id = $1"},
	[BO_FOLLOW_TABLES] = {-1, 1, {OIDOID},
	"SELECT backorder_internal.follow_tables($1)"},
	[BO_PARK] = {-1, 5, {TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID},
		"WITH parked AS (INSERT INTO backorder.parked AS p (tenant, source_id, order_key, sqlstate, message) VALUES ($1, $2, $3, $4, $5) "
		"ON CONFLICT (tenant, source_id, order_key) DO UPDATE SET sqlstate = $4, message = $5, parked_at = now() "
		"WHERE p.message <> $5 RETURNING p.*) "
		"SELECT backorder_internal.put_event(p.tenant, CASE WHEN p.order_key = '' THEN 'source' ELSE 'order' END, "
		"CASE WHEN p.order_key = '' THEN n.name ELSE p.order_key END, 'parked', "
		"jsonb_build_object('source', n.name, 'order', nullif(p.order_key, ''), 'sqlstate', p.sqlstate, 'message', p.message), "
		"p.source_id) FROM parked p JOIN (SELECT s.source_id, format('%I.%I', s.line_schema, s.line_table) AS name "
	"FROM backorder.source s) n USING (source_id)"},
	[BO_UNPARK] = {BO_ROWS_ORDERS, 0, {0},
		"DELETE FROM backorder.parked p USING given_orders g "
	"WHERE p.tenant = g.tenant AND p.source_id = g.source_id AND p.order_key = g.order_key"},
	[BO_MEND] = {-1, 1, {INT4OID},
	"SELECT m.item, m.location, m.order_source, m.order_key FROM backorder_internal.mend($1) m"},
	[BO_DETACH_SOURCE] = {-1, 1, {INT4OID},
	"UPDATE backorder.source SET detached_at = now() WHERE source_id = $1"},
	/* imports */
	[BO_READ_IMPORT] = {-1, 1, {INT4OID},
	"SELECT " IMPORT_COLUMNS " FROM backorder_internal.source_import i WHERE i.source_id = $1"},
	[BO_LOCK_IMPORT] = {-1, 1, {INT4OID},
	"SELECT " IMPORT_COLUMNS " FROM backorder_internal.source_import i WHERE i.source_id = $1 FOR UPDATE"},
	[BO_ADD_IMPORT] = {-1, 4, {INT4OID, TEXTOID, BOOLOID, INT8OID},
		"INSERT INTO backorder_internal.source_import (tenant, source_id, state, recheck, total) "
		"SELECT s.tenant, s.source_id, $2, $3, $4 FROM backorder.source s WHERE s.source_id = $1 "
		"ON CONFLICT (tenant, source_id) DO UPDATE SET state = $2, recheck = $3, total = $4, phase = 'table', position = NULL, "
		"recorded_position = NULL, allocated_item = NULL, allocated_location = NULL, "
	"orders = 0, lines = 0, started_at = NULL, updated_at = NULL, finished_at = NULL"},
	[BO_READ_IMPORT_BEGIN] = {-1, 1, {INT4OID},
	"SELECT i.xmin, i.cmin FROM backorder_internal.source_import i WHERE i.source_id = $1"},
	[BO_STEP_IMPORT] = {-1, 9, {INT4OID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID},
		"UPDATE backorder_internal.source_import SET state = $2, phase = $7, position = coalesce($3, position), "
		"recorded_position = coalesce($4, recorded_position), orders = orders + $5, lines = lines + $6, "
		"allocated_item = $8, allocated_location = $9, "
		"started_at = coalesce(started_at, clock_timestamp()), updated_at = clock_timestamp(), "
		"finished_at = CASE WHEN $2 = 'imported' THEN clock_timestamp() END WHERE source_id = $1 "
	"RETURNING state"},
	[BO_FORGET_IMPORT] = {-1, 1, {INT4OID},
	"DELETE FROM backorder_internal.source_import WHERE source_id = $1"},
	[BO_READ_UNSETTLED_STOCK] = {-1, 4, {TEXTOID, TEXTOID, TEXTOID, INT4OID},
		"SELECT s.item, s.location FROM backorder.stock s WHERE s.tenant = $1 AND s.backordered_held > 0 "
	"AND ($2 IS NULL OR (s.item, s.location) > ($2, $3)) ORDER BY s.tenant, s.item, s.location LIMIT $4"},
	[BO_READ_UNSETTLED_LINES] = {-1, 5, {TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID},
		"SELECT " LINE_COLUMNS " FROM backorder.order_line l "
		"WHERE l.tenant = $1 AND l.item = $2 AND l.location = $3 AND l.backordered > 0 AND NOT l.held "
		"AND l.source_id = $4 AND l.first_allocated IS NULL "
	"ORDER BY l.priority DESC, l.queued_at, l.line_id LIMIT $5"},
	[BO_UNSEE_ORDERS] = {-1, 2, {TEXTOID, INT4OID},
	"UPDATE backorder.sales_order SET revision = 0 WHERE tenant = $1 AND source_id = $2"},
	[BO_READ_RECORDED_ORDERS] = {-1, 6, {TEXTOID, INT4OID, TEXTOID, TEXTOID, INT8OID, BOOLOID},
		"SELECT DISTINCT l.order_key FROM backorder.order_line l WHERE l.tenant = $1 AND l.source_id = $2 AND l.order_key >= $3 "
	"AND l.order_key IS DISTINCT FROM $4 AND ($6 OR l.live OR NOT l.deleted) ORDER BY l.order_key LIMIT $5"},
	[BO_READ_PARKED] = {-1, 2, {TEXTOID, INT4OID},
	"SELECT p.order_key FROM backorder.parked p WHERE p.tenant = $1 AND p.source_id = $2 AND p.order_key <> ''"},
	[BO_READ_SOURCE_BY_TABLE] = {-1, 3, {OIDOID, TEXTOID, TEXTOID},
		"SELECT s.source_id, s.tenant, s.detached_at IS NOT NULL FROM backorder.source s "
		"WHERE (s.line_schema = $2 AND s.line_table = $3) OR s.line_relid = $1 "
	"ORDER BY (s.line_schema = $2 AND s.line_table = $3) DESC, s.detached_at IS NOT NULL LIMIT 1"},
};

StaticAssertDecl(lengthof(bo_statements) == BO_STATEMENTS, "each statement has its text");
