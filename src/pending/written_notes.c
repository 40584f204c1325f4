/*
 * written_notes.c
 *		Notes where the rows are of orders that this transaction writes whole, so
 *		that they can be read there (reconcile/read_rows.c).
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
bo_note_header_written(OrderNote *note, const Mapping *mapping, Oid relid, ItemPointer tid)
{
	/* A second one, or a row of a partition. */
	if (note->written.era != 0 || relid != mapping->header.relid)
	{
		bo_spoil_written(note);
		return;
	}
	note->written.era = bo_pending->era;
	note->written.load = mapping->load;
	note->written.first = -1;
	note->written.header = *tid;
}

/* Notes that a line of an order was inserted. */
void
bo_note_line_written(OrderNote *note, const Mapping *mapping, Oid relid, ItemPointer tid)
{
	Pending    *p = bo_pending;
	WrittenRow *row;

	if (note->written.spoilt)
		return;
	/* Its header was there before, or it is looked at already, or this is a row of a partition. */
	if (!bo_is_written(note, mapping) || (note->state.locked && !note->state.fresh) || relid != mapping->line.relid || p->nwritten == PG_INT32_MAX)
	{
		bo_spoil_written(note);
		return;
	}
	if (p->nwritten == p->written_capacity)
	{
		int64		capacity = Min(Max(64, (int64) p->written_capacity * 2), PG_INT32_MAX);

		p->written = p->written == NULL ? MemoryContextAlloc(p->cx, sizeof(WrittenRow) * capacity) :
			repalloc_huge(p->written, sizeof(WrittenRow) * capacity);
		p->written_capacity = capacity;
	}
	row = &p->written[p->nwritten];
	row->tid = *tid;
	if (note->written.first < 0)
		note->written.first = p->nwritten;
	else
		p->written[note->written.last].next = p->nwritten;
	note->written.last = p->nwritten++;
}

/* There may be more of an order than the rows that were noted; nothing for NULL. */
void
bo_spoil_written(OrderNote *note)
{
	if (note != NULL)
		note->written.spoilt = true;
}

/* The rows that were noted may be no more, or are not needed any more. */
void
bo_forget_written(void)
{
	if (bo_pending == NULL)
		return;
	bo_pending->era++;
	bo_pending->nwritten = 0;
}

/* Did this transaction insert the header of an order, and every row of it that there is? */
bool
bo_rows_are_known(const OrderNote *note)
{
	return !note->written.spoilt && note->written.era == bo_pending->era;
}

/* May an order be read from its rows, if nothing was recorded of it before? */
bool
bo_is_written(const OrderNote *note, const Mapping *mapping)
{
	return mapping->by_rows && bo_rows_are_known(note) && note->written.load == mapping->load;
}

/* Where a row of an order is, by its number, beginning with written.first; returns the number of the next, -1 after the last. */
int32
bo_written_row(const OrderNote *note, int32 row, ItemPointer tid)
{
	*tid = bo_pending->written[row].tid;
	return row == note->written.last ? -1 : bo_pending->written[row].next;
}
