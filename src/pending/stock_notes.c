/*
 * stock_notes.c
 *		The transaction's notes of stock that the application keeps itself.
 *
 * As with orders, the trigger (capture.c) only notes which item and location a
 * row is about, as it was and as it is.  Settling looks the figures up later,
 * under the stock locks (attached_stock.c): two sessions that write the table
 * contend for the lock, and the second one sees what the first one left.  Notes
 * are never taken back: a figure that is looked at without need shows no
 * difference.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"

/* The transaction's notes, in a context of their own below TopTransactionContext. */
typedef struct StockNotes
{
	MemoryContext cx;
	HTAB	   *notes;			/* SourceStockKey -> StockNote */
	List	   *order;			/* of StockNote, as first noted */
	struct
	{
		int			ndirty;
	}			state;			/* follows savepoints */
} StockNotes;

static StockNotes *stock_notes;

static uint32
stock_note_hash(const void *key, Size size)
{
	const SourceStockKey *k = key;

	return bo_hash_text(k->item) ^ (bo_hash_text(k->location) * 31) ^
		((uint32) k->source_id * 0x9e3779b9u);
}

static int
stock_note_match(const void *a, const void *b, Size size)
{
	const SourceStockKey *x = a;
	const SourceStockKey *y = b;

	return x->source_id != y->source_id || strcmp(x->item, y->item) != 0 || strcmp(x->location, y->location) != 0;
}

static void
note(Mapping *mapping, const char *item, const char *location)
{
	SourceStockKey key = {mapping->source_id, item, location};
	StockNote  *entry;
	bool		found;

	if (stock_notes == NULL)
	{
		MemoryContext cx = AllocSetContextCreate(TopTransactionContext, "backorder stock notes", ALLOCSET_DEFAULT_SIZES);
		StockNotes *p = MemoryContextAllocZero(cx, sizeof(StockNotes));
		HASHCTL 	ctl = {.keysize = sizeof(SourceStockKey),.entrysize = sizeof(StockNote),.hash = stock_note_hash,.match = stock_note_match,.hcxt = cx};

		p->cx = cx;
		p->notes = hash_create("backorder stock notes", 16, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
		stock_notes = p;
	}
	entry = hash_search(stock_notes->notes, &key, HASH_ENTER, &found);
	if (!found)
	{
		MemoryContext old = MemoryContextSwitchTo(stock_notes->cx);

		entry->key.item = pstrdup(item);
		entry->key.location = pstrdup(location);
		entry->tenant = pstrdup(mapping->tenant);
		entry->state.dirty = false;
		stock_notes->order = lappend(stock_notes->order, entry);
		MemoryContextSwitchTo(old);
	}
	if (!entry->state.dirty)
	{
		bo_subxact_remember(&entry->state, sizeof(entry->state));
		bo_subxact_remember(&stock_notes->state, sizeof(stock_notes->state));
		entry->state.dirty = true;
		stock_notes->state.ndirty++;
	}
	bo_queue_commit_work();
}

/* Is there stock to look at? */
bool
bo_stock_pending(void)
{
	return stock_notes != NULL && stock_notes->state.ndirty > 0;
}

/* The stock to look at, of StockNote by source, which is done with that. */
List *
bo_take_stock_notes(void)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (!bo_stock_pending())
		return NIL;
	foreach(lc, stock_notes->order)
	{
		StockNote  *entry = lfirst(lc);

		if (!entry->state.dirty)
			continue;
		bo_subxact_remember(&entry->state, sizeof(entry->state));
		entry->state.dirty = false;
		result = lappend(result, entry);
	}
	bo_subxact_remember(&stock_notes->state, sizeof(stock_notes->state));
	stock_notes->state.ndirty = 0;
	return result;
}

/* The transaction is over: its memory goes with it. */
void
bo_stock_notes_reset(void)
{
	stock_notes = NULL;
}

/* Notes the stock that a row of the table, or of a partition of it, is about. */
void
bo_stock_note_row(int32 source_id, TupleTableSlot *slot, Relation rel)
{
	bo_stock_of_row(source_id, slot, rel, note);
}

/* Notes all stock of a source, recorded or in its table. */
void
bo_stock_note_all(int32 source_id)
{
	bo_stock_of_source(source_id, note);
}
