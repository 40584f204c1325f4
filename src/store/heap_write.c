/*
 * heap_write.c
 *		The rows of the hot tables, written without a statement.
 *
 * Part of store: an order writes a row for each of its lines and updates one
 * of stock for each of its items.  As statements, most of what that costs is
 * starting and ending an executor and evaluating constraints that settling
 * keeps anyway.  Here the rows go to the table's access method and its
 * indexes, in the same way and with the same locks, snapshots and errors.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "executor/executor.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "store/columns.h"
#include "store/heap.h"
#include "store/heap_table.h"
#include "store/rows.h"
#include "store/statements.h"
#include "store/store.h"

/* So many rows are inserted at once: several pages of them, whose WAL records are then one a page. */
#define INSERT_BATCH 256

/* From this many rows on they are written as by COPY, through a few buffers, so that a load does not push all else out of memory. */
#define BULK_ROWS 1000

/* Slots of the table's own descriptor are noted with the resource owner, which gets slow from a few dozen on: then they have a copy. */
#define MANY_SLOTS 32

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

/* A row set that is read, a row after another. */
typedef struct Reading
{
	BoRows	   *rows;
	uint64		next;
	TupleTableSlot *slot;		/* NULL: the rows are in memory, or made */
	const Datum *values;		/* of the row that was read */
	const bool *nulls;
} Reading;

static void
begin_reading(Reading *reading, BoRows *rows)
{
	memset(reading, 0, sizeof(*reading));
	reading->rows = rows;
	reading->values = rows->values;
	reading->nulls = rows->nulls;
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
	if (rows->make != NULL)
		rows->make(rows->values, rows->nulls, rows->arg);
	else
	{
		reading->values = rows->values + reading->next * rows->desc->natts;
		reading->nulls = rows->nulls + reading->next * rows->desc->natts;
	}
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
take_given(BoHeap *heap, const int8 *from, const Reading *given, Datum *values, bool *nulls)
{
	for (int i = 0; i < heap->table->ncolumns; i++)
		if (from[i] > 0)
		{
			values[i] = given->values[from[i] - 1];
			nulls[i] = given->nulls[from[i] - 1];
		}
}

/* ---------- inserting ---------- */

typedef struct Insertion
{
	BoHeap	   *heap;
	CommandId	cid;
	BulkInsertState bulk;
	TupleTableSlot *slots[INSERT_BATCH];
	int			n;				/* slots filled */
	int			allocated;
	BoDeferredIndex *deferred;
	int 		deferred_index; /* whose entries wait there; -1: none */
} Insertion;

static void
insert_batch(Insertion *in)
{
	Relation	rel = in->heap->rel;

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
	{
		if (in->deferred_index >= 0)
			bo_deferred_index_put(in->deferred, in->heap, in->slots[i]);
		bo_heap_insert_indexes(in->heap, in->slots[i], false, false, in->deferred_index);
	}
	in->n = 0;
}

/* Inserts a row set. Expects the locks that the rows need. */
void
bo_heap_insert(BoHeap *heap, BoRows *rows)
{
	Insertion	in = {.heap = heap,.cid = GetCurrentCommandId(true),.deferred = rows->deferred,.deferred_index = rows->deferred != NULL ? bo_deferred_index_number(rows->deferred, heap) : -1};
	Reading		given;
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder row", ALLOCSET_SMALL_SIZES);
	const int8 *from = given_columns(heap->table, rows->kind, rows->desc);
	TupleDesc	desc = rows->n < MANY_SLOTS ? RelationGetDescr(heap->rel) : CreateTupleDescCopy(RelationGetDescr(heap->rel));
	Computing	computing;

	bo_compute_begin(&computing, heap->table - bo_heap_tables);
	begin_reading(&given, rows);
	if (rows->n >= BULK_ROWS)
		in.bulk = GetBulkInsertState();
	while (read_row(&given))
	{
		TupleTableSlot *slot;
		MemoryContext old;

		if (in.n == in.allocated)
			in.slots[in.allocated++] = MakeSingleTupleTableSlot(desc, table_slot_callbacks(heap->rel));
		slot = ExecClearTuple(in.slots[in.n++]);
		take_given(heap, from, &given, slot->tts_values, slot->tts_isnull);
		old = MemoryContextSwitchTo(cx);
		bo_compute(&computing, slot->tts_values, slot->tts_isnull);
		MemoryContextSwitchTo(old);
		ExecStoreVirtualTuple(slot);
		ExecMaterializeSlot(slot);
		MemoryContextReset(cx);
		if (in.n == INSERT_BATCH)
			insert_batch(&in);
	}
	insert_batch(&in);
	if (in.bulk != NULL)
		FreeBulkInsertState(in.bulk);
	for (int i = 0; i < in.allocated; i++)
		ExecDropSingleTupleTableSlot(in.slots[i]);
	if (desc != RelationGetDescr(heap->rel))
		FreeTupleDesc(desc);
	end_reading(&given);
	MemoryContextDelete(cx);
}

/*
 * Updates rows by the column "tid" of a row set: rows that this transaction
 * has locked, or whose stock row it has, so nobody else changed them since.
 */
void
bo_heap_update(BoHeap *heap, BoRows *rows)
{
	Reading		given;
	TupleTableSlot *old = table_slot_create(heap->rel, NULL);
	TupleTableSlot *slot = table_slot_create(heap->rel, NULL);
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder row", ALLOCSET_SMALL_SIZES);
	CommandId	cid = GetCurrentCommandId(true);
	const int8 *from = given_columns(heap->table, rows->kind, rows->desc);
	Computing	computing;

	bo_compute_begin(&computing, heap->table - bo_heap_tables);
	CheckCmdReplicaIdentity(heap->rel, CMD_UPDATE);
	begin_reading(&given, rows);
	while (read_row(&given))
	{
		MemoryContext save = MemoryContextSwitchTo(cx);
		ItemPointerData tid;

		tid = *(ItemPointer) DatumGetPointer(given.values[GIVEN_TID]);
		if (!table_tuple_fetch_row_version(heap->rel, &tid, SnapshotAny, old))
			bo_raise_concurrent();
		slot_getallattrs(old);
		ExecClearTuple(slot);
		memcpy(slot->tts_values, old->tts_values, sizeof(Datum) * heap->table->ncolumns);
		memcpy(slot->tts_isnull, old->tts_isnull, sizeof(bool) * heap->table->ncolumns);
		take_given(heap, from, &given, slot->tts_values, slot->tts_isnull);
		bo_compute(&computing, slot->tts_values, slot->tts_isnull);
		ExecStoreVirtualTuple(slot);
		ExecMaterializeSlot(slot);
		bo_heap_update_row(heap, &tid, slot, cid);
		MemoryContextSwitchTo(save);
		MemoryContextReset(cx);
	}
	end_reading(&given);
	ExecDropSingleTupleTableSlot(old);
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(cx);
}

/* ---------- deleting ---------- */

/* Deletes rows by the column "tid" of a row set, the first, that this transaction has locked. */
void
bo_heap_delete(BoHeap *heap, BoRows *rows)
{
	Reading		given;
	CommandId	cid = GetCurrentCommandId(true);

	CheckCmdReplicaIdentity(heap->rel, CMD_DELETE);
	begin_reading(&given, rows);
	while (read_row(&given))
	{
		TM_FailureData failure;
		TM_Result	result = table_tuple_delete(heap->rel, (ItemPointer) DatumGetPointer(given.values[GIVEN_TID]), cid, GetActiveSnapshot(),
												InvalidSnapshot, true, &failure, false);

		if (result == TM_Updated || result == TM_Deleted)
			bo_raise_concurrent();
		if (result != TM_Ok)
			elog(ERROR, "row of backorder.%s cannot be deleted: %d", heap->table->name, result);
	}
	end_reading(&given);
}
