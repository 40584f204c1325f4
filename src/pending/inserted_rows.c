/*
 * inserted_rows.c
 *		Notes where the rows are of orders that this transaction writes whole, so
 *		that they can be read there (reconcile/read_tuples.c).
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "mapping/mapping.h"
#include "pending/pending.h"
#include "pending/transaction.h"

/* ---------- noting ---------- */

/* Notes that the header of an order was inserted. */
void
bo_note_header_inserted(OrderNote *note, const Mapping *mapping, Oid relid, ItemPointer tid)
{
	/* It is the second one, or a row of a partition. */
	if (note->inserted.rollback_epoch != 0 || relid != mapping->header.relid)
	{
		bo_note_incomplete(note);
		return;
	}
	note->inserted.rollback_epoch = bo_notes->rollback_epoch;
	note->inserted.mapping_version = mapping->version;
	note->inserted.first = -1;
	note->inserted.header = *tid;
}

/* Notes that a line of an order was inserted. */
void
bo_note_line_inserted(OrderNote *note, const Mapping *mapping, Oid relid, ItemPointer tid)
{
	TransactionNotes *p = bo_notes;
	InsertedRow *row;

	if (note->inserted.incomplete)
		return;
	/* Its header was there before, or it is looked at already, or this is a row of a partition. */
	if (!bo_is_readable_from_tuples(note, mapping) || (note->state.locked && note->state.seen != ORDER_NEW) || relid != mapping->line.relid || p->ninserted == PG_INT32_MAX)
	{
		bo_note_incomplete(note);
		return;
	}
	if (p->ninserted == p->inserted_capacity)
	{
		int64		capacity = Min(Max(64, (int64) p->inserted_capacity * 2), PG_INT32_MAX);

		p->inserted_rows = p->inserted_rows == NULL ? MemoryContextAlloc(p->cx, sizeof(InsertedRow) * capacity) :
			repalloc_huge(p->inserted_rows, sizeof(InsertedRow) * capacity);
		p->inserted_capacity = capacity;
	}
	row = &p->inserted_rows[p->ninserted];
	row->tid = *tid;
	if (note->inserted.first < 0)
		note->inserted.first = p->ninserted;
	else
		p->inserted_rows[note->inserted.last].next = p->ninserted;
	note->inserted.last = p->ninserted++;
}

/* Notes that there may be more of an order than the rows that were noted.  note may be NULL. */
void
bo_note_incomplete(OrderNote *note)
{
	if (note != NULL)
		note->inserted.incomplete = true;
}

/* Forgets the rows that were noted: they may not exist any more, or are not needed any more. */
void
bo_forget_inserted(void)
{
	if (bo_notes == NULL)
		return;
	bo_notes->rollback_epoch++;
	bo_notes->ninserted = 0;
}

/* Did this transaction insert the header of an order, and every row of it that there is? */
bool
bo_is_inserted_whole(const OrderNote *note)
{
	return !note->inserted.incomplete && note->inserted.rollback_epoch == bo_notes->rollback_epoch;
}

/* May an order be read from its rows, if nothing was recorded of it before? */
bool
bo_is_readable_from_tuples(const OrderNote *note, const Mapping *mapping)
{
	return mapping->readable_from_tuples && bo_is_inserted_whole(note) && note->inserted.mapping_version == mapping->version;
}

/* Where a row of an order is, by its number, beginning with inserted.first; returns the number of the next, -1 after the last. */
int32
bo_inserted_row(const OrderNote *note, int32 row, ItemPointer tid)
{
	*tid = bo_notes->inserted_rows[row].tid;
	return row == note->inserted.last ? -1 : bo_notes->inserted_rows[row].next;
}
