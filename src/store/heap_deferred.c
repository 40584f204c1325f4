/*
 * heap_deferred.c
 *		Index entries of many rows that are inserted together, later, in the
 *		order of their keys.
 *
 * The keys of one index of order_line are hashes: those of a large load fall
 * on pages all over it, and finding each page anew is most of what they cost.
 * Sorted, one is next to the one before.  Until then no scan of that index
 * finds the rows: whoever needs one calls bo_deferred_index_flush() first, and so does
 * the settling at its end.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/index.h"
#include "miscadmin.h"

#include "base/base.h"
#include "store/heap.h"
#include "store/heap_table.h"
#include "store/store.h"

/* So many entries wait at most: 4 MB of them. */
#define MOST_ENTRIES (256 * 1024)

typedef struct DeferredEntry
{
	int64		key;
	ItemPointerData tid;
	bool		isnull;
} DeferredEntry;

/* What waits; all of it is forgotten with its memory context, and the rows with the transaction. */
struct BoDeferredIndex
{
	MemoryContext cx;
	Oid			table;
	Oid			index;
	DeferredEntry *entries;
	int			n;
	int			capacity;
};

#define ST_SORT sort_entries
#define ST_ELEMENT_TYPE DeferredEntry
#define ST_COMPARE(a, b) ((a)->key < (b)->key ? -1 : (a)->key > (b)->key ? 1 : ItemPointerCompare(&(a)->tid, &(b)->tid))
#define ST_SCOPE static
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

/* Nothing waits yet; in the current memory context. */
BoDeferredIndex *
bo_deferred_index(void)
{
	BoDeferredIndex *deferred = palloc0(sizeof(BoDeferredIndex));

	deferred->cx = CurrentMemoryContext;
	return deferred;
}

/* The number of the index of whose entries more may wait here; -1: none. */
int
bo_deferred_index_number(const BoDeferredIndex *deferred, const BoHeap *heap)
{
	int 		which = heap->table->deferred_index;

	return which >= 0 && (!OidIsValid(deferred->index) || deferred->index == heap->table->indexes[which]) ? which : -1;
}

/* Notes the entry that a row, which was inserted, will have in that index, if it is in it. */
void
bo_deferred_index_put(BoDeferredIndex *deferred, const BoHeap *heap, TupleTableSlot *slot)
{
	int 		which = heap->table->deferred_index;
	Datum		value[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	if (!bo_is_in_index(heap, which, slot))
		return;
	if (!OidIsValid(deferred->index))
	{
		index_close(index_open(heap->table->indexes[which], RowExclusiveLock), NoLock);
		deferred->table = RelationGetRelid(heap->rel);
		deferred->index = heap->table->indexes[which];
	}
	FormIndexDatum(heap->table->rri->ri_IndexRelationInfo[which], slot, heap->table->estate, value, isnull);
	if (deferred->n == MOST_ENTRIES)
		bo_deferred_index_flush(deferred);
	if (deferred->n == deferred->capacity)
	{
		deferred->capacity = deferred->capacity == 0 ? 4096 : deferred->capacity * 2;
		deferred->entries = deferred->entries == NULL ? MemoryContextAlloc(deferred->cx, sizeof(DeferredEntry) * deferred->capacity) :
			repalloc(deferred->entries, sizeof(DeferredEntry) * deferred->capacity);
	}
	deferred->entries[deferred->n++] = (DeferredEntry) {
		.key = isnull[0] ? 0 : DatumGetInt64(value[0]),.tid = slot->tts_tid,.isnull = isnull[0]
	};
}

/* Inserts what waits; nothing for NULL.  Table and index are locked since the rows were written. */
void
bo_deferred_index_flush(BoDeferredIndex *deferred)
{
	Relation	rel;
	Relation	index;
	IndexInfo  *info;

	if (deferred == NULL || deferred->n == 0)
		return;
	BO_POINT("late entries");
	rel = table_open(deferred->table, NoLock);
	index = index_open(deferred->index, NoLock);
	info = BuildIndexInfo(index);
	sort_entries(deferred->entries, deferred->n);
	for (int i = 0; i < deferred->n; i++)
	{
		DeferredEntry *entry = &deferred->entries[i];
		Datum		value = Int64GetDatum(entry->key);

		CHECK_FOR_INTERRUPTS();
		(void) index_insert(index, &value, &entry->isnull, &entry->tid, rel, UNIQUE_CHECK_NO, false, info);
	}
	deferred->n = 0;
	index_close(index, NoLock);
	table_close(rel, NoLock);
}
