/*
 * stock_notes.c
 *		The transaction's notes of stock that the application keeps itself.
 *
 * Like orders: the trigger (capture.c) only notes which stock, item and
 * location, a row says something about, as it was and as it is.  Settling
 * looks the figures up later, under the stock locks (counted.c): two sessions
 * that write the table meet on the lock, and who comes second sees what the
 * first one left.  Notes are never taken back: a figure that is looked at
 * without need shows no difference.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"

/* The transaction's notes, in a context of their own below TopTransactionContext. */
typedef struct PendingCounts
{
	MemoryContext cx;
	HTAB	   *notes;			/* CountKey -> CountNote */
	List	   *order;			/* of CountNote, as first noted */
	struct
	{
		int			ndirty;
	}			state;			/* follows savepoints */
} PendingCounts;

static PendingCounts *counts;

static uint32
count_hash(const void *key, Size size)
{
	const CountKey *k = key;

	return string_hash(k->item, strlen(k->item) + 1) ^ (string_hash(k->location, strlen(k->location) + 1) * 31) ^
		((uint32) k->source_id * 0x9e3779b9u);
}

static int
count_match(const void *a, const void *b, Size size)
{
	const CountKey *x = a;
	const CountKey *y = b;

	return x->source_id != y->source_id || strcmp(x->item, y->item) != 0 || strcmp(x->location, y->location) != 0;
}

static void
note(Mapping *mapping, const char *item, const char *location)
{
	CountKey	key = {mapping->source_id, item, location};
	CountNote  *entry;
	bool		found;

	if (counts == NULL)
	{
		MemoryContext cx = AllocSetContextCreate(TopTransactionContext, "backorder counts", ALLOCSET_DEFAULT_SIZES);
		PendingCounts *p = MemoryContextAllocZero(cx, sizeof(PendingCounts));
		HASHCTL		ctl = {.keysize = sizeof(CountKey),.entrysize = sizeof(CountNote),.hash = count_hash,.match = count_match,.hcxt = cx};

		p->cx = cx;
		p->notes = hash_create("backorder counts", 16, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
		counts = p;
	}
	entry = hash_search(counts->notes, &key, HASH_ENTER, &found);
	if (!found)
	{
		MemoryContext old = MemoryContextSwitchTo(counts->cx);

		entry->key.item = pstrdup(item);
		entry->key.location = pstrdup(location);
		entry->tenant = pstrdup(mapping->tenant);
		entry->state.dirty = false;
		counts->order = lappend(counts->order, entry);
		MemoryContextSwitchTo(old);
	}
	if (!entry->state.dirty)
	{
		bo_save(&entry->state, sizeof(entry->state));
		bo_save(&counts->state, sizeof(counts->state));
		entry->state.dirty = true;
		counts->state.ndirty++;
	}
	bo_queue_commit_work();
}

/* Is there stock to look at? */
bool
bo_counts_pending(void)
{
	return counts != NULL && counts->state.ndirty > 0;
}

/* The stock to look at, of CountNote by source, which is done with that. */
List *
bo_take_counts(void)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (!bo_counts_pending())
		return NIL;
	foreach(lc, counts->order)
	{
		CountNote  *entry = lfirst(lc);

		if (!entry->state.dirty)
			continue;
		bo_save(&entry->state, sizeof(entry->state));
		entry->state.dirty = false;
		result = lappend(result, entry);
	}
	bo_save(&counts->state, sizeof(counts->state));
	counts->state.ndirty = 0;
	return result;
}

/* The transaction is over: its memory goes with it. */
void
bo_counts_reset(void)
{
	counts = NULL;
}

/* Notes the stock of which a row of the table, or of a partition, says something. */
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
