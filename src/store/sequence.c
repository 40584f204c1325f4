/*
 * sequence.c
 *		Numbers that rows of the extension are given.
 */
#include "postgres.h"

#include "access/table.h"
#include "commands/sequence.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "store/heap.h"
#include "store/store.h"

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
