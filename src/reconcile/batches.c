/*
 * pieces.c
 *		Reconciles and settles what is noted; many orders one piece after
 *		another, so that memory stays flat.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "reconcile/order.h"
#include "reconcile/reconcile.h"
#include "settle/settle.h"
#include "store/store.h"

/* So many orders are a piece. */
#define PIECE_ORDERS 5000

/*
 * So many where they are read from their rows and nothing is read for their
 * stock: what is done with their lines, one step after another, should find
 * them in the processor's cache.
 */
#define SMALL_PIECE 250

/* The orders that are settled in pieces. */
typedef struct Pieces
{
	List	   *notes;			/* as first noted */
	int			next;
	ReconcileMode mode;
	Snapshot	snapshot;
} Pieces;

static bool
next_piece(Settlement *settlement)
{
	Pieces	   *pieces = settlement->next_arg;
	List	   *piece = NIL;
	int			size = settlement->small_pieces ? SMALL_PIECE : PIECE_ORDERS;

	settlement->changes = NIL;
	while (pieces->next < list_length(pieces->notes) && list_length(piece) < size)
		piece = lappend(piece, list_nth(pieces->notes, pieces->next++));
	if (piece == NIL)
		return false;
	list_sort(piece, bo_compare_notes);
	bo_reconcile_orders(settlement, pieces->mode, piece, pieces->snapshot);
	return true;
}

/*
 * May these orders be settled one after another, if nothing is recorded of any
 * of them?  All stock is locked before the first.  Lines that are all new get
 * in the order in which they come what together they would get by rank, unless
 * that is mapped.
 */
static bool
may_be_pieces(const Settlement *settlement, ReconcileMode mode, List *notes)
{
	int32		source_id = 0;
	ListCell   *lc;

	if (list_length(notes) < 2 * SMALL_PIECE || bo_pending_moves() != NIL || (mode.whole && !mode.baseline) || mode.import ||
		settlement->movements != NIL || settlement->supplies != NIL || settlement->places != NIL || settlement->counts != NIL || settlement->repromise)
		return false;
	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);
		Mapping    *mapping;

		if (note->key.source_id == source_id)
			continue;
		source_id = note->key.source_id;
		mapping = bo_mapping_to_use(source_id, mode);
		bo_check_noted_types(mapping);
		if (mapping->park || mapping->unreadable || mapping->ranked || mapping->picks || mapping->spellings || mapping->importing || mapping->line.nkeys == 0)
			return false;
	}
	return true;
}

/* Is anything recorded of these orders? */
static bool
are_recorded(List *notes, ReconcileMode mode)
{
	BoRows	   *rows = bo_rows(BO_ROWS_ORDERS);
	ListCell   *lc;
	bool		result;
	int			i = 0;

	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);
		Datum		values[4] = {bo_text(note->tenant), Int32GetDatum(note->key.source_id), bo_text(note->key.order_key), Int32GetDatum(i++)};
		bool		nulls[4] = {false};

		if (!note->state.fresh || mode.whole)
			bo_rows_put(rows, values, nulls);
	}
	result = i > 0 && bo_exec(BO_FIND_RECORDED, rows, NULL, true) > 0;
	bo_rows_drop(rows);
	return result;
}

/* Where the orders have lines; *written: all are to be read from their rows. */
static List *
places_of(List *notes, ReconcileMode mode, bool *written)
{
	List	   *places = NIL;
	List	   *some = NIL;

	*written = true;
	for (ListCell *lc = list_head(notes); lc != NULL; lc = lnext(notes, lc))
	{
		OrderNote  *note = lfirst(lc);
		ListCell   *next = lnext(notes, lc);

		some = lappend(some, note);
		if (next == NULL || ((OrderNote *) lfirst(next))->key.source_id != note->key.source_id)
		{
			Mapping    *mapping = bo_mapping_to_use(note->key.source_id, mode);
			List	   *more;

			if (!bo_written_places(mapping, some, &more))
			{
				*written = false;
				if (list_length(notes) < 2 * PIECE_ORDERS)
					return NIL;
				more = bo_mapping_places(mapping, some);
			}
			places = list_concat(places, more);
			some = NIL;
		}
	}
	return places;
}

/* Notes the orders whose keys were found to be written in another way. */
static void
note_spellings(List *spellings)
{
	ListCell   *lc;

	foreach(lc, spellings)
	{
		OtherSpelling *spelling = lfirst(lc);

		(void) bo_note_order_text(spelling->mapping, spelling->order_key, spelling->header);
	}
}

/* Reconciles what is pending into the settlement and settles it. Returns lines that changed. */
int64
bo_reconcile_and_settle(Settlement *settlement, ReconcileMode mode)
{
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder settling", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cx);
	List	   *notes = bo_pending_orders();
	BoSection	section;
	int64		changed;

	bo_enter_unpinned(&section);
	MemoryContextSwitchTo(cx);
	settlement->counts = bo_take_counts();
	if (may_be_pieces(settlement, mode, notes))
	{
		Pieces	   *pieces = palloc0(sizeof(Pieces));

		pieces->notes = list_copy(notes);
		pieces->mode = mode;
		pieces->snapshot = bo_snapshot_after_locks(notes, mode);
		PushActiveSnapshot(pieces->snapshot);
		if (!are_recorded(notes, mode))
		{
			List	   *places = places_of(notes, mode, &settlement->small_pieces);

			if (settlement->small_pieces || list_length(notes) >= 2 * PIECE_ORDERS)
			{
				list_sort(pieces->notes, bo_compare_seq);
				settlement->places = places;
				settlement->next = next_piece;
				settlement->next_arg = pieces;
			}
		}
		PopActiveSnapshot();
		if (settlement->next == NULL)
			bo_reconcile_orders(settlement, mode, notes, pieces->snapshot);
		bo_settle(settlement);
		UnregisterSnapshot(pieces->snapshot);
	}
	else
	{
		bo_reconcile(settlement, mode);
		bo_settle(settlement);
	}
	changed = settlement->lines_changed;
	if (settlement->spellings != NIL)
		note_spellings(settlement->spellings);
	bo_leave(&section);
	MemoryContextSwitchTo(old);
	if (settlement->spellings != NIL)
		changed += bo_settle_pending();
	MemoryContextDelete(cx);
	return changed;
}

/* Settles the transaction's pending orders. Returns lines that changed. */
int64
bo_settle_pending(void)
{
	Settlement	settlement = {0};

	if (bo_pending_orders() == NIL && !bo_counts_pending())
		return 0;
	return bo_reconcile_and_settle(&settlement, (ReconcileMode) {0});
}
