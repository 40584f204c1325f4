/*
 * inserted_rows.c
 *		Notes where the rows are that this transaction inserts of each order, so
 *		that an order that it begins can be read there (reconcile/read_tuples.c).
 *
 * When do these rows prove to be all rows of an order?  When locking the order
 * inserted its row of sales_order (ORDER_NEW).  Whoever writes a line, or the
 * header, through the triggers writes that row before the transaction
 * commits, and the row stays: attach(), import() and resync() write it for
 * every order of the table, whatever its lines ask for, and compact() removes
 * it only when the table has no line of the order (missing_orders.c).  The
 * unique index shows rows that the snapshot does not see too: who inserts it
 * second waits for the first and then finds it, or under REPEATABLE READ fails
 * with 40001.  So there were no lines but this transaction's, with or without a
 * header and a foreign key.
 *
 * The table may have orders without that row (Mapping.seen_all is false)
 * - while its import, or after it was attached again its resync, is not
 *   finished;
 * - where on_error is park: what is written while the mapping cannot be read is
 *   noted by nobody.
 * There the header has to be this transaction's, and a validated foreign key
 * says that no line is older than it.  Orders of a first import are read by
 * query always, as they are to be read as they were before, too.
 *
 * All that this transaction wrote of the order has to be noted: its first
 * row begins the list, each row is added to it or makes it incomplete.
 * Incomplete is what gets a row from another order, or gives one away; what
 * gets a row of a partition, or from whoever resyncs it; what was looked at
 * before; and an order that has a row which this transaction changed and did not
 * insert.  A list ends with rollback to a savepoint, TRUNCATE and whatever
 * makes the mapping be loaded again (rollback_epoch, mapping_version): some of
 * its rows may be no more, or may read otherwise.
 *
 * Lines that were written past the triggers are not found in this way: verify()
 * shows them, and resync() of the table records them.
 */
#include "postgres.h"

#include "mapping/mapping.h"
#include "pending/pending.h"
#include "pending/transaction.h"

/* ---------- noting ---------- */

/*
 * Begins the list of what this transaction inserts of an order, at the first
 * row.  False, and the list is incomplete, where this row cannot be added.
 */
static bool
may_add(OrderNote *note, const Mapping *mapping)
{
	if (note->inserted.incomplete)
		return false;
	if (note->inserted.rollback_epoch == 0)
	{
		note->inserted.rollback_epoch = bo_notes->rollback_epoch;
		note->inserted.mapping_version = mapping->version;
		note->inserted.first = -1;
		ItemPointerSetInvalid(&note->inserted.header);
	}
	/* It is looked at already, or rows were noted that may be no more. */
	if (bo_is_readable_from_tuples(note, mapping) && (!note->state.locked || note->state.seen == ORDER_NEW))
		return true;
	bo_note_incomplete(note);
	return false;
}

/* Notes that the header of an order was inserted. */
void
bo_note_header_inserted(OrderNote *note, const Mapping *mapping, Oid relid, ItemPointer tid)
{
	if (!may_add(note, mapping))
		return;
	/* It is the second one, or a row of a partition. */
	if (ItemPointerIsValid(&note->inserted.header) || relid != mapping->header.relid)
		bo_note_incomplete(note);
	else
		note->inserted.header = *tid;
}

/* Notes that a line of an order was inserted. */
void
bo_note_line_inserted(OrderNote *note, const Mapping *mapping, Oid relid, ItemPointer tid)
{
	TransactionNotes *p = bo_notes;
	InsertedRow *row;

	if (!may_add(note, mapping))
		return;
	if (relid != mapping->line.relid || p->ninserted == PG_INT32_MAX)
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

/* Are all rows of an order noted that this transaction inserted, and some? */
static bool
is_whole(const OrderNote *note)
{
	return !note->inserted.incomplete && note->inserted.rollback_epoch == bo_notes->rollback_epoch;
}

/* Did this transaction insert the header of an order?  Then hardly anybody else writes the order. */
bool
bo_is_header_inserted(const OrderNote *note)
{
	return is_whole(note) && ItemPointerIsValid(&note->inserted.header);
}

/* May an order be read from its noted rows, if this transaction inserted its row of sales_order? */
bool
bo_is_readable_from_tuples(const OrderNote *note, const Mapping *mapping)
{
	return mapping->readable_from_tuples && is_whole(note) && note->inserted.mapping_version == mapping->version;
}

/* Where a row of an order is, by its number, beginning with inserted.first; returns the number of the next, -1 after the last. */
int32
bo_inserted_row(const OrderNote *note, int32 row, ItemPointer tid)
{
	*tid = bo_notes->inserted_rows[row].tid;
	return row == note->inserted.last ? -1 : bo_notes->inserted_rows[row].next;
}
