/*
 * allocated_rows.c
 *		Whom a settling gave stock to, for the functions that return it.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"

#include "base/base.h"
#include "settle/settle.h"
#include "settle/settling.h"

PG_FUNCTION_INFO_V1(bo_collect_allocated);
PG_FUNCTION_INFO_V1(bo_collected_allocated);

/* What the stock functions return; see collect_allocated(). */
static bool collecting;
static MemoryContext allocated_cx;
static Tuplestorestate *allocated_store;
static TupleDesc allocated_desc;

void
bo_collect_line(Line *line, Qty quantity)
{
	MemoryContext old;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (!collecting)
		return;
	old = MemoryContextSwitchTo(allocated_cx);
	values[0] = bo_text(line->stock->key.tenant);
	values[1] = Int32GetDatum(line->source_id);
	values[2] = bo_text(line->order_key);
	values[3] = bo_text(line->line_key);
	values[4] = NumericGetDatum(quantity);
	tuplestore_putvalues(allocated_store, allocated_desc, values, nulls);
	MemoryContextSwitchTo(old);
}

void
bo_allocated_reset(void)
{
	collecting = false;
	allocated_store = NULL; 	/* its memory goes with the transaction */
	allocated_cx = NULL;
}

/* collect_allocated(): begins to note what settling allocates in this transaction. */
Datum
bo_collect_allocated(PG_FUNCTION_ARGS)
{
	MemoryContext old;

	if (allocated_cx != NULL)
		MemoryContextDelete(allocated_cx);
	allocated_cx = AllocSetContextCreate(TopTransactionContext, "backorder allocated", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(allocated_cx);
	allocated_store = tuplestore_begin_heap(false, false, work_mem);
	allocated_desc = CreateTemplateTupleDesc(5);
	TupleDescInitEntry(allocated_desc, 1, "tenant", TEXTOID, -1, 0);
	TupleDescInitEntry(allocated_desc, 2, "source_id", INT4OID, -1, 0);
	TupleDescInitEntry(allocated_desc, 3, "order_key", TEXTOID, -1, 0);
	TupleDescInitEntry(allocated_desc, 4, "line_key", TEXTOID, -1, 0);
	TupleDescInitEntry(allocated_desc, 5, "quantity", NUMERICOID, -1, 0);
	MemoryContextSwitchTo(old);
	collecting = true;
	PG_RETURN_VOID();
}

/* collected_allocated(): what was allocated since collect_allocated(), and ends collecting. */
Datum
bo_collected_allocated(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TupleTableSlot *slot;

	InitMaterializedSRF(fcinfo, 0);
	if (!collecting)
		return (Datum) 0;
	slot = MakeSingleTupleTableSlot(allocated_desc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(allocated_store, true, false, slot))
		tuplestore_puttupleslot(rsinfo->setResult, slot);
	ExecDropSingleTupleTableSlot(slot);
	collecting = false;
	tuplestore_end(allocated_store);
	MemoryContextDelete(allocated_cx);
	allocated_cx = NULL;
	allocated_store = NULL;
	return (Datum) 0;
}
