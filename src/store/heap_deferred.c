/*
 * direct_late.c
 *		Index entries of many rows that are inserted together, later, in the
 *		order of their keys.
 *
 * The keys of one index of order_line are hashes: those of a large load fall
 * on pages all over it, and finding each page anew is most of what they cost.
 * Sorted, one is next to the one before.  Until then no scan of that index
 * finds the rows: whoever needs one calls bo_late_flush() first, and so does
 * the settling at its end.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/base.h"
#include "store/heap.h"
#include "store/heap_table.h"
#include "store/store.h"

/* So many entries wait at most: 4 MB of them. */
#define MOST_ENTRIES (256 * 1024)

typedef struct LateEntry
{
	int64		key;
	ItemPointerData tid;
	bool		isnull;
} LateEntry;

/* What waits; all of it is forgotten with its memory context, and the rows with the transaction. */
struct BoLate
{
	MemoryContext cx;
	Oid			table;
	Oid			index;
	LateEntry  *entries;
	int			n;
	int			capacity;
};

#define ST_SORT sort_entries
#define ST_ELEMENT_TYPE LateEntry
#define ST_COMPARE(a, b) ((a)->key < (b)->key ? -1 : (a)->key > (b)->key ? 1 : ItemPointerCompare(&(a)->tid, &(b)->tid))
#define ST_SCOPE static
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

/* Nothing waits yet; in the current memory context. */
BoLate *
bo_late(void)
{
	BoLate	   *late = palloc0(sizeof(BoLate));

	late->cx = CurrentMemoryContext;
	return late;
}

/* The number of the index of whose entries more may wait here; -1: none. */
int
bo_late_index(const BoLate *late, const BoDirect *direct)
{
	int			which = direct->table->late_index;

	return which >= 0 && (!OidIsValid(late->index) || late->index == direct->table->indexes[which]) ? which : -1;
}

/* Notes the entry that a row, which was inserted, will have in that index, if it is in it. */
void
bo_late_put(BoLate *late, const BoDirect *direct, TupleTableSlot *slot)
{
	int			which = direct->table->late_index;
	Datum		value[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	if (!bo_is_in_index(direct, which, slot))
		return;
	if (!OidIsValid(late->index))
	{
		index_close(index_open(direct->table->indexes[which], RowExclusiveLock), NoLock);
		late->table = RelationGetRelid(direct->rel);
		late->index = direct->table->indexes[which];
	}
	FormIndexDatum(direct->table->rri->ri_IndexRelationInfo[which], slot, direct->table->estate, value, isnull);
	if (late->n == MOST_ENTRIES)
		bo_late_flush(late);
	if (late->n == late->capacity)
	{
		late->capacity = late->capacity == 0 ? 4096 : late->capacity * 2;
		late->entries = late->entries == NULL ? MemoryContextAlloc(late->cx, sizeof(LateEntry) * late->capacity) :
			repalloc(late->entries, sizeof(LateEntry) * late->capacity);
	}
	late->entries[late->n++] = (LateEntry) {
		.key = isnull[0] ? 0 : DatumGetInt64(value[0]),.tid = slot->tts_tid,.isnull = isnull[0]
	};
}

/* Inserts what waits; nothing for NULL.  Table and index are locked since the rows were written. */
void
bo_late_flush(BoLate *late)
{
	Relation	rel;
	Relation	index;
	IndexInfo  *info;

	if (late == NULL || late->n == 0)
		return;
	BO_POINT("late entries");
	rel = table_open(late->table, NoLock);
	index = index_open(late->index, NoLock);
	info = BuildIndexInfo(index);
	sort_entries(late->entries, late->n);
	for (int i = 0; i < late->n; i++)
	{
		LateEntry  *entry = &late->entries[i];
		Datum		value = Int64GetDatum(entry->key);

		CHECK_FOR_INTERRUPTS();
		(void) index_insert(index, &value, &entry->isnull, &entry->tid, rel, UNIQUE_CHECK_NO, false, info);
	}
	late->n = 0;
	index_close(index, NoLock);
	table_close(rel, NoLock);
}
