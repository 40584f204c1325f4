/*
 * rows.c
 *		Row sets: the rows that statements are given, and rows as statements give
 *		them.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "store/rows.h"
#include "store/statements.h"
#include "store/store.h"

/* So many rows of a set stay in memory as they were given: what most settlings write. More may be larger than work_mem. */
#define ROWS_IN_MEMORY 1000

static TupleDesc row_descs[BO_ROWS_KINDS];

/* ---------- row sets ---------- */

static TupleDesc
rows_desc(BoRowsKind kind)
{
	const RowsKind *k = &bo_rows_kinds[kind];
	MemoryContext old;
	TupleDesc	desc;

	if (row_descs[kind] != NULL)
		return row_descs[kind];
	old = MemoryContextSwitchTo(TopMemoryContext);
	desc = CreateTemplateTupleDesc(k->ncolumns);
	for (int i = 0; i < k->ncolumns; i++)
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
void
bo_rows_to_store(BoRows *rows)
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

/* As bo_rows(), for rows of order_line some of whose index entries may wait in deferred, which may be NULL. */
BoRows *
bo_rows_deferred(BoRowsKind kind, BoDeferredIndex *deferred)
{
	BoRows	   *rows = bo_rows(kind);

	rows->deferred = deferred;
	return rows;
}

/* Returns how many rows the set has now; what they point to stays the caller's until there are more than a few. */
uint64
bo_rows_put(BoRows *rows, const Datum *values, const bool *nulls)
{
	int			natts = rows->desc->natts;

	if (rows->store == NULL && rows->n == ROWS_IN_MEMORY)
		bo_rows_to_store(rows);
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

/* Puts the key of an order, and a number for it, into a set of BO_ROWS_ORDERS. */
void
bo_put_order(BoRows *rows, const char *tenant, int32 source_id, const char *order_key, int32 n)
{
	Datum		values[] = {bo_text(tenant), Int32GetDatum(source_id), bo_text(order_key), Int32GetDatum(n)};
	bool		nulls[lengthof(values)] = {false};

	(void) bo_rows_put(rows, values, nulls);
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
