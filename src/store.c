/*
 * store.c
 *		Runs the statements that read and write the extension's tables.
 *
 * Every statement (statements.c) is prepared once per backend; its input comes
 * as a named row set (an ephemeral named relation over a tuplestore), its plan
 * is a generic one that goes by index.
 *
 * What it is not: it decides nothing.
 */
#include "backorder.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "direct.h"
#include "store.h"

/* So many rows of a set stay in memory as they were given. */
#define ROWS_IN_MEMORY 1000

static TupleDesc row_descs[lengthof(bo_rows_kinds)];

static SPIPlanPtr plans[BO_STATEMENTS];
static bool planned[BO_STATEMENTS];

/* ---------- row sets ---------- */

static TupleDesc
rows_desc(BoRowsKind kind)
{
	const RowsKind *k = &bo_rows_kinds[kind];
	MemoryContext old;
	TupleDesc	desc;
	int			natts = 0;

	if (row_descs[kind] != NULL)
		return row_descs[kind];
	while (natts < (int) lengthof(k->columns) && k->columns[natts].name != NULL)
		natts++;
	old = MemoryContextSwitchTo(TopMemoryContext);
	desc = CreateTemplateTupleDesc(natts);
	for (int i = 0; i < natts; i++)
	{
		TupleDescInitEntry(desc, i + 1, k->columns[i].name, k->columns[i].type, -1, 0);
		/* The keys of our tables are COLLATE "C"; so joins with them have one collation. */
		if (k->columns[i].type == TEXTOID)
			TupleDescInitEntryCollation(desc, i + 1, C_COLLATION_OID);
	}
	MemoryContextSwitchTo(old);
	row_descs[kind] = desc;
	return desc;
}

/*
 * A new, empty row set in the current memory context, where what it is given
 * must stay until it is dropped; many rows are copied, and spill to disk above
 * work_mem.
 */
BoRows *
bo_rows(BoRowsKind kind)
{
	BoRows	   *rows = palloc0(sizeof(BoRows));

	rows->kind = kind;
	rows->desc = rows_desc(kind);
	return rows;
}

/* A row set of n rows that a function makes when they are written, one after the other: they are kept nowhere. */
BoRows *
bo_rows_made(BoRowsKind kind, uint64 n, BoMakeRowFunc make, void *arg)
{
	BoRows	   *rows = bo_rows(kind);
	int			natts = rows->desc->natts;

	rows->n = n;
	rows->make = make;
	rows->arg = arg;
	rows->values = palloc(sizeof(Datum) * natts);
	rows->nulls = palloc(sizeof(bool) * natts);
	return rows;
}

/* Puts the rows so far, and those to come, into a tuplestore. */
static void
need_store(BoRows *rows)
{
	int			natts = rows->desc->natts;

	if (rows->store != NULL)
		return;
	rows->store = tuplestore_begin_heap(false, false, work_mem);
	for (uint64 i = 0; i < rows->n; i++)
	{
		uint64		place = rows->make != NULL ? 0 : i * natts;

		if (rows->make != NULL)
			rows->make(rows->values, rows->nulls, rows->arg);
		tuplestore_putvalues(rows->store, rows->desc, rows->values + place, rows->nulls + place);
	}
}

/* The same for rows of order_line, some of whose index entries may wait there; late may be NULL. */
BoRows *
bo_rows_late(BoRowsKind kind, BoLate *late)
{
	BoRows	   *rows = bo_rows(kind);

	rows->late = late;
	return rows;
}

/* Returns how many rows the set has now; what they point to stays the caller's until there are more than a few. */
uint64
bo_rows_put(BoRows *rows, const Datum *values, const bool *nulls)
{
	int			natts = rows->desc->natts;

	if (rows->store == NULL && rows->n == ROWS_IN_MEMORY)
		need_store(rows);
	if (rows->store != NULL)
		tuplestore_putvalues(rows->store, rows->desc, (Datum *) values, (bool *) nulls);
	else
	{
		if (rows->n == (uint64) rows->capacity)
		{
			rows->capacity = rows->capacity == 0 ? 8 : rows->capacity * 2;
			rows->values = rows->values == NULL ? palloc(sizeof(Datum) * natts * rows->capacity) :
				repalloc(rows->values, sizeof(Datum) * natts * rows->capacity);
			rows->nulls = rows->nulls == NULL ? palloc(sizeof(bool) * natts * rows->capacity) :
				repalloc(rows->nulls, sizeof(bool) * natts * rows->capacity);
		}
		memcpy(rows->values + rows->n * natts, values, sizeof(Datum) * natts);
		memcpy(rows->nulls + rows->n * natts, nulls, sizeof(bool) * natts);
	}
	return ++rows->n;
}

void
bo_rows_drop(BoRows *rows)
{
	if (rows->store != NULL)
		tuplestore_end(rows->store);
	if (rows->values != NULL)
	{
		pfree(rows->values);
		pfree(rows->nulls);
	}
	pfree(rows);
}

static void
register_rows(BoRows *rows, EphemeralNamedRelationData *enr)
{
	MemoryContext old = MemoryContextSwitchTo(bo_spi_cx);

	need_store(rows);
	enr->md.name = (char *) bo_rows_kinds[rows->kind].name;
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = rows->desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = 1;
	enr->reldata = rows->store;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register row set %s", enr->md.name);
	MemoryContextSwitchTo(old);
}

/* ---------- running statements ---------- */

static SPIPlanPtr
prepared(BoStatement statement)
{
	const Statement *s = &bo_statements[statement];
	SPIPlanPtr	plan = plans[statement];

	/* The text never changes, so PostgreSQL's own revalidation is all that is needed. */
	if (plan == NULL)
	{
		plan = SPI_prepare_cursor(s->sql, s->nargs, (Oid *) s->args, CURSOR_OPT_GENERIC_PLAN | CURSOR_OPT_FAST_PLAN);
		if (plan == NULL)
			elog(ERROR, "could not prepare statement %d: %s", statement, SPI_result_code_string(SPI_result));
		if (SPI_keepplan(plan) != 0)
			elog(ERROR, "could not keep plan");
		plans[statement] = plan;
		planned[statement] = false;
	}
	/* Settings count when a plan is made: now, or when something it depends on has changed. */
	if (!planned[statement] || !SPI_plan_is_valid(plan))
	{
		planned[statement] = false;
		bo_plan_by_index(plan);
		planned[statement] = true;
	}
	return plan;
}

/* Does it write what a user could have written, so that the triggers on the input tables act on it? */
static bool
is_input(BoStatement statement)
{
	return statement == BO_ADD_DRAFTS || statement == BO_INSERT_PLANNED || statement == BO_UPDATE_PLANNED ||
		statement == BO_DELETE_PLANNED || statement == BO_DELETE_EMPTY_DRAFTS;
}

/*
 * Runs a statement over a row set, or with arguments (NULL for no
 * argument: none is SQL NULL but one given as pointer 0).  read_only reads
 * with the active snapshot; otherwise with a new one in READ COMMITTED.
 * Returns the number of rows; results are in SPI_tuptable.
 */
uint64
bo_exec(BoStatement statement, BoRows *rows, const Datum *args, bool read_only)
{
	const Statement *s = &bo_statements[statement];
	EphemeralNamedRelationData enr;
	char		nulls[lengthof(s->args)];
	bool		save_writing = bo_writing;
	MemoryContext cx = CurrentMemoryContext;
	int			rc;

	Assert((rows == NULL) == (s->rows < 0));
	Assert(args != NULL || s->nargs == 0);
	if (rows)
		register_rows(rows, &enr);
	for (int i = 0; args != NULL && i < s->nargs; i++)
		nulls[i] = (s->args[i] == TEXTOID || s->args[i] == TEXTARRAYOID) && args[i] == (Datum) 0 ? 'n' : ' ';
	bo_pin();
	PG_TRY();
	{
		bo_writing = !is_input(statement);
		BO_POINT("statement");
		rc = SPI_execute_plan(prepared(statement), (Datum *) args, nulls, read_only, 0);
	}
	PG_FINALLY();
	{
		bo_writing = save_writing;
	}
	PG_END_TRY();
	if (rc < 0)
		elog(ERROR, "statement %d failed: %s", statement, SPI_result_code_string(rc));
	if (rows)
		SPI_unregister_relation(enr.md.name);
	/* SPI leaves its own behind, which lives as long as the section. */
	MemoryContextSwitchTo(cx);
	return SPI_processed;
}

/* Writes a row set directly where a statement is of that kind and the table allows it; see direct.c. */
static bool
write_directly(BoStatement statement, BoRows *rows)
{
	BoTable		table;
	BoDirect   *direct;

	switch (statement)
	{
		case BO_INSERT_LINES:
		case BO_UPDATE_LINES:
			table = BO_TABLE_ORDER_LINE;
			break;
		case BO_WRITE_STOCK:
			table = BO_TABLE_STOCK;
			break;
		case BO_INSERT_ALLOCATIONS:
			table = BO_TABLE_ALLOCATION;
			break;
		case BO_INSERT_EVENTS:
			table = BO_TABLE_EVENT;
			break;
		case BO_INSERT_PLANNED:
			table = BO_TABLE_PURCHASE_ORDER_LINE;
			break;
		case BO_TELL_FIRST:
		case BO_TELL:
		case BO_FORGET_ORDERS:
			table = BO_TABLE_WAITING_ORDER;
			break;
		default:
			return false;
	}
	direct = bo_direct_open(table);
	if (direct == NULL)
		return false;
	if (statement == BO_UPDATE_LINES || statement == BO_WRITE_STOCK || statement == BO_TELL)
		bo_direct_update(direct, rows);
	else if (statement == BO_FORGET_ORDERS)
		bo_direct_delete(direct, rows);
	else
		bo_direct_insert(direct, rows);
	bo_direct_close(direct);
	CommandCounterIncrement();
	return true;
}

/* Writes a row set by a statement, or as the statement would, and drops the set; nothing for NULL or none. */
void
bo_write(BoStatement statement, BoRows *rows)
{
	if (rows == NULL)
		return;
	if (rows->n > 0 && !write_directly(statement, rows))
		(void) bo_exec(statement, rows, NULL, false);
	bo_rows_drop(rows);
}

/* Opens a cursor over a statement that reads, with a new snapshot in READ COMMITTED. */
Portal
bo_open(BoStatement statement, const Datum *args)
{
	BO_POINT("cursor");
	bo_pin();
	return SPI_cursor_open(NULL, prepared(statement), (Datum *) args, NULL, false);
}

/* ---------- results: row and column of SPI_tuptable, copied to the current context ---------- */

Datum
bo_get(int row, int column, bool *isnull)
{
	return heap_getattr(SPI_tuptable->vals[row], column, SPI_tuptable->tupdesc, isnull);
}

/* NULL for NULL */
char *
bo_get_text(int row, int column)
{
	bool		isnull;
	Datum		value = bo_get(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* NULL for NULL */
Qty
bo_get_qty(int row, int column)
{
	bool		isnull;
	Datum		value = bo_get(row, column, &isnull);

	return isnull ? NULL : qty_copy(value);
}

int64
bo_get_int64(int row, int column)
{
	bool		isnull;
	Datum		value = bo_get(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int32
bo_get_int32(int row, int column)
{
	bool		isnull;
	Datum		value = bo_get(row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

bool
bo_get_bool(int row, int column)
{
	bool		isnull;
	Datum		value = bo_get(row, column, &isnull);

	return isnull ? false : DatumGetBool(value);
}

/* ---------- rows as they come ---------- */

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	BoReceiver *receiver = (BoReceiver *) self;
	MemoryContext old = MemoryContextSwitchTo(receiver->cx);

	slot_getallattrs(slot);
	receiver->take(slot->tts_values, slot->tts_isnull, receiver->arg);
	MemoryContextSwitchTo(old);
	return true;
}

static void
start_receiving(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
end_receiving(DestReceiver *self)
{
}

/* Hands each row to take(): nothing is kept of it, and no tuple is formed. */
BoReceiver
bo_receiver(BoTakeRowFunc take, void *arg)
{
	BoReceiver	receiver = {
		.dest = {.receiveSlot = receive_row,.rStartup = start_receiving,.rShutdown = end_receiving,.rDestroy = end_receiving,.mydest = DestNone},
		.take = take,.arg = arg,.cx = CurrentMemoryContext
	};

	return receiver;
}

/* ---------- sequences ---------- */

int64
bo_next_line_id(void)
{
	return nextval_internal(bo_relation("line_id_seq"), false);
}

/*
 * Refuses to go on where a recorded line has a number that was not drawn here.
 * Then rows came without their sequence: data is being restored alone, table
 * by table, with the capture triggers on, and the order only seems to have
 * changed; or a subscriber is written to that has not taken over.
 */
void
bo_check_line_id(int64 line_id)
{
	static int64 drawn = 0;
	LOCAL_FCINFO(call, 1);
	Datum		last;

	if (line_id <= drawn)
		return;
	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = ObjectIdGetDatum(bo_relation("line_id_seq"));
	call->args[0].isnull = false;
	last = pg_sequence_last_value(call);
	drawn = call->isnull ? 0 : DatumGetInt64(last);
	if (line_id > drawn)
		ereport(ERROR,
				(errcode(ERRCODE_BO_RESTORING),
				 errmsg("recorded order lines have numbers that backorder_internal.line_id_seq has not given yet"),
				 errdetail("A line has number %lld: rows were restored or replicated, and the sequence was not.", (long long) line_id),
				 errhint("Restore data alone with --disable-triggers. On a subscriber call backorder.take_over() before orders are written.")));
}

int64
bo_next_allocation_id(void)
{
	return nextval_internal(bo_relation("allocation_allocation_id_seq"), false);
}

int64
bo_next_event_id(void)
{
	return nextval_internal(bo_relation("event_id_seq"), false);
}

/*
 * The generation that events are written with, the greatest that a new
 * snapshot sees.  A session may see it grow: it is looked for each time.
 */
int64
bo_generation(void)
{
	Relation	rel = table_open(bo_relation("installation"), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	int64		generation = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;

		generation = Max(generation, DatumGetInt64(slot_getattr(slot, 1, &isnull)));
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return generation;
}

int64
bo_next_movement_id(void)
{
	return nextval_internal(bo_relation("stock_movement_movement_id_seq"), false);
}

int32
bo_next_source_id(void)
{
	return (int32) nextval_internal(bo_relation("source_id_seq"), false);
}
