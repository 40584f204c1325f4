/*
 * direct.c
 *		The rows of the hot tables, locked and written without a statement.
 *
 * Part of store: an order writes a row for each of its lines and updates one
 * of stock for each of its items.  As statements, most of what that costs is
 * starting and ending an executor and evaluating constraints that settling
 * keeps anyway.  Here the rows go to the table's access method and its
 * indexes, in the same way and with the same locks, snapshots and errors.
 */
#include "direct_table.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

/* So many rows are inserted at once. */
#define INSERT_PIECE 256

/* From this many rows on the table is extended and written as COPY does. */
#define BULK_ROWS 1000

static void
insert_index_tuples(BoDirect *direct, TupleTableSlot *slot, bool update, bool summarizing)
{
	Table	   *table = direct->table;

	(void) bo_insert_index_tuples(table->rri, slot, table->estate, update, summarizing);
	ResetPerTupleExprContext(table->estate);
}

/* ---------- rows ---------- */

/* Where each column of a table stands in row sets of a kind, + 1; -1 where it is not given. */
static const int8 *
given_columns(Table *table, BoRowsKind kind, TupleDesc given)
{
	int8	   *from = table->from[kind];

	if (from[0] == 0)
		for (int i = 0; i < table->ncolumns; i++)
		{
			from[i] = -1;
			for (int j = 0; j < given->natts && from[i] < 0; j++)
				if (strcmp(NameStr(TupleDescAttr(given, j)->attname), table->columns[i].name) == 0)
					from[i] = j + 1;
		}
	return from;
}

static int
position(Table *table, const char *name)
{
	for (int i = 0; i < table->ncolumns; i++)
		if (strcmp(table->columns[i].name, name) == 0)
			return i;
	elog(ERROR, "table %s has no column %s", table->name, name);
	return -1;
}

/* The columns that compute() reads and fills, by table. */
static const char *const computing[][9] = {
	[BO_TABLE_ORDER_LINE] = {"ordered", "cancelled", "auto_cancelled", "shipped", "allocated", "backordered", "fulfilment", "picked", "live"},
	[BO_TABLE_STOCK] = {"on_hand", "unavailable", "allocated", "available", "version", "backordered", "backordered_held", "on_order"},
	[BO_TABLE_SALES_ORDER] = {NULL},
	[BO_TABLE_ALLOCATION] = {"allocation_id", "allocated_at"},
	[BO_TABLE_EVENT] = {"id", "created_at"},
	[BO_TABLE_PURCHASE_ORDER_LINE] = {"cancelled", "expected_at", "applied_at"},
};

/* What a statement would have computed: defaults and generated columns.  Checks what the table's constraints do. */
typedef struct Computed
{
	BoTable		which;
	int8	   *column;			/* positions of its columns in the table */
	Datum		value;
} Computed;

static Qty
quantity(const Datum *values, const Computed *c, int i)
{
	return DatumGetNumeric(values[c->column[i]]);
}

static void
start_computing(Computed *c, BoTable which)
{
	static int8 columns[lengthof(computing)][9];
	static bool known[lengthof(computing)];

	if (!known[which])
		for (int i = 0; i < 9 && computing[which][i] != NULL; i++)
			columns[which][i] = position(&bo_direct_tables[which], computing[which][i]);
	known[which] = true;
	c->which = which;
	c->column = columns[which];
	if (which == BO_TABLE_ORDER_LINE)
		c->value = bo_text("partial");
	else if (which == BO_TABLE_ALLOCATION || which == BO_TABLE_EVENT || which == BO_TABLE_PURCHASE_ORDER_LINE)
		c->value = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
}

static void
refuse_row(Table *table)
{
	elog(ERROR, "a row of backorder.%s would have a negative counter", table->name);
}

static void
compute(Computed *c, Datum *values, bool *nulls)
{
	switch (c->which)
	{
		case BO_TABLE_ORDER_LINE:
			{
				Qty			open = qty_sub(qty_sub(qty_sub(quantity(values, c, 0), quantity(values, c, 1)), quantity(values, c, 2)), quantity(values, c, 3));
				Qty			waits = qty_sub(qty_sign(open) < 0 ? qty_zero : open, quantity(values, c, 4));

				for (int i = 0; i < 5; i++)
					if (qty_sign(quantity(values, c, i)) < 0)
						refuse_row(&bo_direct_tables[c->which]);
				if (qty_sign(waits) < 0 || qty_sign(quantity(values, c, 7)) < 0 ||
					(!DatumGetBool(values[c->column[8]]) && qty_sign(open) > 0))
					refuse_row(&bo_direct_tables[c->which]);
				values[c->column[5]] = NumericGetDatum(waits);
				nulls[c->column[5]] = false;
				values[c->column[6]] = c->value;
				nulls[c->column[6]] = false;
				break;
			}
		case BO_TABLE_STOCK:
			{
				Qty			available = qty_sub(qty_sub(quantity(values, c, 0), quantity(values, c, 1)), quantity(values, c, 2));

				if (qty_sign(available) < 0 || qty_sign(quantity(values, c, 0)) < 0 || qty_sign(quantity(values, c, 1)) < 0 ||
					qty_sign(quantity(values, c, 2)) < 0 || qty_sign(quantity(values, c, 6)) < 0 ||
					qty_cmp(quantity(values, c, 6), quantity(values, c, 5)) > 0 || qty_sign(quantity(values, c, 7)) < 0)
					refuse_row(&bo_direct_tables[c->which]);
				values[c->column[3]] = NumericGetDatum(available);
				nulls[c->column[3]] = false;
				values[c->column[4]] = Int64GetDatum(DatumGetInt64(values[c->column[4]]) + 1);
				break;
			}
		case BO_TABLE_ALLOCATION:
		case BO_TABLE_EVENT:
			values[c->column[0]] = Int64GetDatum(c->which == BO_TABLE_EVENT ? bo_next_event_id() : bo_next_allocation_id());
			nulls[c->column[0]] = false;
			values[c->column[1]] = c->value;
			nulls[c->column[1]] = false;
			break;
		case BO_TABLE_PURCHASE_ORDER_LINE:
			values[c->column[0]] = NumericGetDatum(qty_zero);
			nulls[c->column[0]] = false;
			nulls[c->column[1]] = true;
			values[c->column[2]] = c->value;
			nulls[c->column[2]] = false;
			break;
		case BO_TABLE_SALES_ORDER:
			break;
	}
}

/* A row set that is read, a row after another. */
typedef struct Reading
{
	BoRows	   *rows;
	uint64		next;
	TupleTableSlot *slot;		/* NULL: the rows are in memory */
	const Datum *values;		/* of the row that was read */
	const bool *nulls;
} Reading;

static void
begin_reading(Reading *reading, BoRows *rows)
{
	memset(reading, 0, sizeof(*reading));
	reading->rows = rows;
	if (rows->store != NULL)
		reading->slot = MakeSingleTupleTableSlot(rows->desc, &TTSOpsMinimalTuple);
}

static bool
read_row(Reading *reading)
{
	BoRows	   *rows = reading->rows;

	if (reading->slot != NULL)
	{
		if (!tuplestore_gettupleslot(rows->store, true, false, reading->slot))
			return false;
		slot_getallattrs(reading->slot);
		reading->values = reading->slot->tts_values;
		reading->nulls = reading->slot->tts_isnull;
		return true;
	}
	if (reading->next == rows->n)
		return false;
	reading->values = rows->values + reading->next * rows->desc->natts;
	reading->nulls = rows->nulls + reading->next * rows->desc->natts;
	reading->next++;
	return true;
}

static void
end_reading(Reading *reading)
{
	if (reading->slot != NULL)
		ExecDropSingleTupleTableSlot(reading->slot);
}

/* The given columns of a row, over those it has. */
static void
take_given(BoDirect *direct, const int8 *from, const Reading *given, Datum *values, bool *nulls)
{
	for (int i = 0; i < direct->table->ncolumns; i++)
		if (from[i] > 0)
		{
			values[i] = given->values[from[i] - 1];
			nulls[i] = given->nulls[from[i] - 1];
		}
}

/* ---------- inserting ---------- */

typedef struct Insertion
{
	BoDirect   *direct;
	CommandId	cid;
	BulkInsertState bulk;
	TupleTableSlot *slots[INSERT_PIECE];
	int			n;				/* slots filled */
	int			allocated;
} Insertion;

static void
insert_piece(Insertion *in)
{
	Relation	rel = in->direct->rel;

	if (in->n == 0)
		return;
	BO_POINT("inserting");
	if (in->n == 1)
		table_tuple_insert(rel, in->slots[0], in->cid, 0, in->bulk);
	else
	{
		MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder insert", ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(cx);

		table_multi_insert(rel, in->slots, in->n, in->cid, 0, in->bulk);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cx);
	}
	for (int i = 0; i < in->n; i++)
		insert_index_tuples(in->direct, in->slots[i], false, false);
	in->n = 0;
}

/* Inserts a row set. Expects the locks that the rows need. */
void
bo_direct_insert(BoDirect *direct, BoRows *rows)
{
	Insertion	in = {.direct = direct,.cid = GetCurrentCommandId(true)};
	Reading		given;
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder row", ALLOCSET_SMALL_SIZES);
	const int8 *from = given_columns(direct->table, rows->kind, rows->desc);
	Computed	computed;

	start_computing(&computed, direct->table - bo_direct_tables);
	begin_reading(&given, rows);
	if (rows->n >= BULK_ROWS)
		in.bulk = GetBulkInsertState();
	while (read_row(&given))
	{
		TupleTableSlot *slot;
		MemoryContext old;

		if (in.n == in.allocated)
			in.slots[in.allocated++] = table_slot_create(direct->rel, NULL);
		slot = ExecClearTuple(in.slots[in.n++]);
		take_given(direct, from, &given, slot->tts_values, slot->tts_isnull);
		old = MemoryContextSwitchTo(cx);
		compute(&computed, slot->tts_values, slot->tts_isnull);
		MemoryContextSwitchTo(old);
		ExecStoreVirtualTuple(slot);
		ExecMaterializeSlot(slot);
		MemoryContextReset(cx);
		if (in.n == INSERT_PIECE)
			insert_piece(&in);
	}
	insert_piece(&in);
	if (in.bulk != NULL)
		FreeBulkInsertState(in.bulk);
	for (int i = 0; i < in.allocated; i++)
		ExecDropSingleTupleTableSlot(in.slots[i]);
	end_reading(&given);
	MemoryContextDelete(cx);
}

/* ---------- updating ---------- */

pg_noreturn static void
raise_concurrent(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update")));
}

/* Replaces the row at tid, which is locked, by the one in the slot. */
static void
update_row(BoDirect *direct, ItemPointer tid, TupleTableSlot *slot, CommandId cid)
{
	TM_FailureData failure;
	TM_Result	result;
	LockTupleMode lock;
	BoUpdateIndexes update_indexes;

	result = table_tuple_update(direct->rel, tid, slot, cid, GetActiveSnapshot(), InvalidSnapshot, true,
								&failure, &lock, &update_indexes);
	if (result == TM_Updated || result == TM_Deleted)
		raise_concurrent();
	if (result != TM_Ok)
		elog(ERROR, "row of backorder.%s cannot be updated: %d", direct->table->name, result);
	/* That no key changes is a hint for the indexes, and true of stock and orders. */
	if (update_indexes != BO_UPDATE_NO_INDEXES)
		insert_index_tuples(direct, slot, direct->table != &bo_direct_tables[BO_TABLE_ORDER_LINE], bo_only_summarizing(update_indexes));
}

/*
 * Updates rows by the column "tid" of a row set: rows that this transaction
 * has locked, or whose stock row it has, so nobody else changed them since.
 */
void
bo_direct_update(BoDirect *direct, BoRows *rows)
{
	Reading		given;
	TupleTableSlot *old = table_slot_create(direct->rel, NULL);
	TupleTableSlot *slot = table_slot_create(direct->rel, NULL);
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder row", ALLOCSET_SMALL_SIZES);
	CommandId	cid = GetCurrentCommandId(true);
	const int8 *from = given_columns(direct->table, rows->kind, rows->desc);
	Computed	computed;

	start_computing(&computed, direct->table - bo_direct_tables);
	CheckCmdReplicaIdentity(direct->rel, CMD_UPDATE);
	begin_reading(&given, rows);
	while (read_row(&given))
	{
		MemoryContext save = MemoryContextSwitchTo(cx);
		ItemPointerData tid;

		tid = *(ItemPointer) DatumGetPointer(given.values[0]);	/* its first column */
		if (!table_tuple_fetch_row_version(direct->rel, &tid, SnapshotAny, old))
			raise_concurrent();
		slot_getallattrs(old);
		ExecClearTuple(slot);
		memcpy(slot->tts_values, old->tts_values, sizeof(Datum) * direct->table->ncolumns);
		memcpy(slot->tts_isnull, old->tts_isnull, sizeof(bool) * direct->table->ncolumns);
		take_given(direct, from, &given, slot->tts_values, slot->tts_isnull);
		compute(&computed, slot->tts_values, slot->tts_isnull);
		ExecStoreVirtualTuple(slot);
		ExecMaterializeSlot(slot);
		update_row(direct, &tid, slot, cid);
		MemoryContextSwitchTo(save);
		MemoryContextReset(cx);
	}
	end_reading(&given);
	ExecDropSingleTupleTableSlot(old);
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(cx);
}

/* ---------- locking ---------- */

/* A scan by primary key, for one key after another. */
static IndexScanDesc
begin_key_scan(BoDirect *direct, int nkeys)
{
	for (int i = 0; i < direct->table->nindexes; i++)
		if (direct->table->indexes[i] == direct->table->primary_key)
			return bo_index_beginscan(direct->rel, direct->indexes[i], GetActiveSnapshot(), nkeys);
	elog(ERROR, "table %s has no primary key", direct->table->name);
	return NULL;
}

static void
set_text_key(ScanKey key, AttrNumber attnum, const char *value)
{
	ScanKeyEntryInitialize(key, 0, attnum, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID, F_TEXTEQ, bo_text(value));
}

typedef enum LockResult
{
	LOCK_MISSING,
	LOCK_TAKEN,
	LOCK_CONCURRENT				/* the row was deleted, or changed since a snapshot that must not see it */
} LockResult;

/*
 * Locks the row with this key, as SELECT ... FOR NO KEY UPDATE does; it is in
 * the slot then, as it is now.
 */
static LockResult
lock_row(BoDirect *direct, IndexScanDesc scan, ScanKey keys, int nkeys, CommandId cid, TupleTableSlot *slot)
{
	TM_FailureData failure;

	index_rescan(scan, keys, nkeys, NULL, 0);
	if (!index_getnext_slot(scan, ForwardScanDirection, slot))
		return LOCK_MISSING;
	if (table_tuple_lock(direct->rel, &slot->tts_tid, GetActiveSnapshot(), slot, cid, LockTupleNoKeyExclusive, LockWaitBlock,
						 IsolationUsesXactSnapshot() ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure) != TM_Ok)
		return LOCK_CONCURRENT;
	slot_getallattrs(slot);
	return LOCK_TAKEN;
}

/* Inserts a row that may be there already. False, and nothing inserted, if it is or may soon be. */
static bool
insert_if_new(BoDirect *direct, TupleTableSlot *slot, CommandId cid)
{
	Table	   *table = direct->table;
	uint32		token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
	bool		conflict = false;

	table_tuple_insert_speculative(direct->rel, slot, cid, 0, NULL, token);
	list_free(bo_insert_index_tuples_if_new(table->rri, slot, table->estate, &conflict));
	table_tuple_complete_speculative(direct->rel, slot, token, !conflict);
	SpeculativeInsertionLockRelease(GetCurrentTransactionId());
	ResetPerTupleExprContext(table->estate);
	return !conflict;
}

/*
 * Locks one row of stock after another, in the order given from the first on,
 * and hands each over as it is then; one that does not exist is created in
 * its turn, so that the order of locks is one for all transactions.  Stops at
 * one that another transaction is creating, or just did, or changed since the
 * snapshot of REPEATABLE READ, and returns its number: that is left to the
 * statement.  Expects a new active snapshot.
 */
int
bo_direct_lock_stock(BoDirect *direct, int first, int n, BoStockKeyFunc key_of, BoStockRowFunc take, void *arg)
{
	TupleTableSlot *slot = table_slot_create(direct->rel, NULL);
	CommandId	cid = GetCurrentCommandId(true);
	IndexScanDesc scan = begin_key_scan(direct, 3);
	int			i;

	for (i = first; i < n; i++)
	{
		ScanKeyData keys[3];
		const char *parts[3];
		LockResult	locked;

		key_of(i, parts, arg);
		for (int k = 0; k < 3; k++)
			set_text_key(&keys[k], k + 1, parts[k]);
		locked = lock_row(direct, scan, keys, 3, cid, slot);
		if (locked == LOCK_CONCURRENT)
			break;
		if (locked == LOCK_MISSING)
		{
			ExecClearTuple(slot);
			for (int k = 0; k < direct->table->ncolumns; k++)
			{
				slot->tts_isnull[k] = strcmp(direct->table->columns[k].name, "counted_by") == 0;
				slot->tts_values[k] = k < 3 ? keys[k].sk_argument :
					direct->table->columns[k].type == NUMERICOID ? NumericGetDatum(qty_zero) : (Datum) 0;
			}
			ExecStoreVirtualTuple(slot);
			if (!insert_if_new(direct, slot, cid))
				break;
			slot_getallattrs(slot);
		}
		take(i, &slot->tts_tid, slot->tts_values, arg);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return i;
}

/*
 * Locks one order after another, in the order given, by writing its row of
 * sales_order, as INSERT ... ON CONFLICT DO UPDATE does, and stores the
 * revisions.  Stops at one that another transaction is inserting, or just
 * did, or changed since the snapshot of REPEATABLE READ, and returns its
 * number: that is left to the statement.  Expects a new active snapshot.
 */
int
bo_direct_lock_orders(BoDirect *direct, int first, int n, BoOrderKeyFunc key_of, int64 *revisions, void *arg)
{
	TupleTableSlot *slot = table_slot_create(direct->rel, NULL);
	TupleTableSlot *fresh = table_slot_create(direct->rel, NULL);
	CommandId	cid = GetCurrentCommandId(true);
	IndexScanDesc scan = begin_key_scan(direct, 3);
	int			i;

	CheckCmdReplicaIdentity(direct->rel, CMD_UPDATE);
	for (i = first; i < n; i++)
	{
		ScanKeyData keys[3];
		const char *tenant;
		int32		source_id;
		const char *order_key;
		LockResult	locked;

		key_of(i, &tenant, &source_id, &order_key, arg);
		set_text_key(&keys[0], 1, tenant);
		ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(source_id));
		set_text_key(&keys[2], 3, order_key);
		ExecClearTuple(fresh);
		memset(fresh->tts_isnull, 0, sizeof(bool) * direct->table->ncolumns);
		for (int k = 0; k < 3; k++)
			fresh->tts_values[k] = keys[k].sk_argument;
		locked = lock_row(direct, scan, keys, 3, cid, slot);
		if (locked == LOCK_CONCURRENT)
			break;
		if (locked == LOCK_TAKEN)
		{
			ItemPointerData tid = slot->tts_tid;

			revisions[i] = DatumGetInt64(slot->tts_values[3]) + 1;
			fresh->tts_values[3] = Int64GetDatum(revisions[i]);
			ExecStoreVirtualTuple(fresh);
			update_row(direct, &tid, fresh, cid);
		}
		else
		{
			revisions[i] = 1;
			fresh->tts_values[3] = Int64GetDatum(1);
			ExecStoreVirtualTuple(fresh);
			if (!insert_if_new(direct, fresh, cid))
				break;
		}
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	ExecDropSingleTupleTableSlot(fresh);
	return i;
}
