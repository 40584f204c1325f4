/*
 * heap_lock.c
 *		Rows of stock and of orders, locked without a statement, and the lines of
 *		orders, read so.
 *
 * Part of store.  Rows are found by primary key: through the index, and those
 * of stock first of all where this session saw them last.  Pages are pruned
 * when they have no room for what is to be written, while an index scan prunes
 * whenever it meets less free space than the table's fillfactor leaves: of
 * stock, which leaves half of each page free for new versions, once for every
 * update.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "catalog/pg_collation.h"
#include "executor/executor.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"

#include "base/base.h"
#include "base/json.h"
#include "store/heap.h"
#include "store/heap_table.h"
#include "store/store.h"

/* The tables have keys of three columns, or keys that begin with three that are looked for. */
#define KEY_COLUMNS 3

StaticAssertDecl((int) STOCK_LOCATION == KEY_COLUMNS - 1 && (int) SALES_ORDER_ORDER_KEY == KEY_COLUMNS - 1 && (int) WAITING_ORDER_KEY == KEY_COLUMNS - 1,
				 "the key comes first");

/* About what a new version of a row takes. */
#define VERSION_SIZE 128

/* ---------- finding ---------- */

/* Looks for rows of one table, one key after another. */
typedef struct Search
{
	BoHeap	   *heap;
	IndexScanDesc scan;			/* NULL: not yet needed */
	ScanKeyData keys[KEY_COLUMNS];
	BlockNumber blocks;			/* of the table when the search began; none of them goes while we have it open */
	int			room;			/* a page with less is pruned */
	TupleTableSlot *slot;		/* of the row that was found */
} Search;

/* A scan by primary key. */
static IndexScanDesc
begin_key_scan(BoHeap *heap)
{
	for (int i = 0; i < heap->table->nindexes; i++)
		if (heap->table->indexes[i] == heap->table->primary_key)
			return bo_index_beginscan(heap->rel, bo_index(heap, i), GetActiveSnapshot(), KEY_COLUMNS);
	elog(ERROR, "table %s has no primary key", heap->table->name);
	return NULL;
}

/* For n rows that will be written when all of them are found, perhaps on one page. */
static void
begin_search(Search *search, BoHeap *heap, int n)
{
	search->heap = heap;
	search->scan = NULL;
	search->blocks = heap->table->remember ? RelationGetNumberOfBlocks(heap->rel) : 0;
	search->room = Max(BLCKSZ / 10, Min(Min(n, BLCKSZ) * VERSION_SIZE, (int) RelationGetTargetPageFreeSpace(heap->rel, HEAP_DEFAULT_FILLFACTOR)));
	search->slot = table_slot_create(heap->rel, NULL);
}

static void
end_search(Search *search)
{
	if (search->scan != NULL)
		index_endscan(search->scan);
	ExecDropSingleTupleTableSlot(search->slot);
}

static void
set_text_key(ScanKey key, AttrNumber attnum, const char *value)
{
	ScanKeyEntryInitialize(key, 0, attnum, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID, F_TEXTEQ, bo_text(value));
}

/*
 * The row that a version chain begins with at root, as the active snapshot
 * sees it, goes into the slot; false: there is none.  *dead, if asked for: and
 * nobody else sees one either.
 */
static bool
fetch_row(Search *search, ItemPointerData root, bool *dead)
{
	Relation	rel = search->heap->rel;
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) ExecClearTuple(search->slot);
	Buffer		buffer = ReadBuffer(rel, ItemPointerGetBlockNumber(&root));
	Page		page = BufferGetPage(buffer);
	bool		found;

	/* As table scans do: without a lock, what is read wrongly only prunes sooner or later. */
	if (PageIsFull(page) || (int) PageGetHeapFreeSpace(page) < search->room)
		heap_page_prune_opt(rel, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&root, rel, buffer, GetActiveSnapshot(), &slot->base.tupdata, dead, true);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (found)
	{
		slot->base.tupdata.t_self = root;
		ExecStoreBufferHeapTuple(&slot->base.tupdata, &slot->base.base, buffer);
	}
	ReleaseBuffer(buffer);
	return found;
}

/* Has the row in the slot the key, all of text, that is looked for? */
static bool
has_key(Search *search)
{
	slot_getsomeattrs(search->slot, KEY_COLUMNS);
	for (int k = 0; k < KEY_COLUMNS; k++)
	{
		struct varlena *is = (struct varlena *) DatumGetPointer(search->slot->tts_values[k]);
		struct varlena *wanted = (struct varlena *) DatumGetPointer(search->keys[k].sk_argument);
		Size		length = VARSIZE_ANY_EXHDR(wanted);

		if (VARATT_IS_COMPRESSED(is) || VARATT_IS_EXTERNAL(is) || VARSIZE_ANY_EXHDR(is) != length || memcmp(VARDATA_ANY(is), VARDATA_ANY(wanted), length) != 0)
			return false;
	}
	return true;
}

/* Where a row with this key may have been seen: any place is right, as what is found there has to have the key. */
static ItemPointer
place_to_remember(Search *search)
{
	Table	   *table = search->heap->table;
	uint32		hash = 0;

	if (table->seen == NULL)
		table->seen = MemoryContextAllocZero(TopMemoryContext, sizeof(ItemPointerData) * REMEMBERED_ROWS);
	for (int k = 0; k < KEY_COLUMNS; k++)
	{
		struct varlena *part = (struct varlena *) DatumGetPointer(search->keys[k].sk_argument);

		hash = hash_combine(hash, hash_bytes((unsigned char *) VARDATA_ANY(part), VARSIZE_ANY_EXHDR(part)));
	}
	return &table->seen[hash % REMEMBERED_ROWS];
}

/* The row with this key, as the active snapshot sees it, goes into the slot; false: there is none. */
static bool
find_row(Search *search)
{
	ItemPointer seen = search->heap->table->remember ? place_to_remember(search) : NULL;
	ItemPointer root;
	bool		dead;

	if (seen != NULL && ItemPointerIsValid(seen) && ItemPointerGetBlockNumber(seen) < search->blocks &&
		fetch_row(search, *seen, NULL) && has_key(search))
		return true;
	if (search->scan == NULL)
		search->scan = begin_key_scan(search->heap);
	index_rescan(search->scan, search->keys, KEY_COLUMNS, NULL, 0);
	while ((root = index_getnext_tid(search->scan, ForwardScanDirection)) != NULL)
	{
		if (fetch_row(search, *root, &dead))
		{
			pgstat_count_heap_fetch(search->scan->indexRelation);
			if (seen != NULL)
				*seen = *root;
			return true;
		}
		search->scan->kill_prior_tuple = dead;	/* the next search marks its entry */
	}
	return false;
}

/* ---------- locking ---------- */

typedef enum LockResult
{
	LOCK_MISSING,
	LOCK_TAKEN,
	LOCK_CONCURRENT				/* the row was deleted, or changed since a snapshot that must not see it */
} LockResult;

/*
 * Locks the row with this key, as SELECT ... FOR NO KEY UPDATE does; it is in
 * the slot then, as it is now.
 */
static LockResult
lock_row(Search *search, CommandId cid)
{
	TupleTableSlot *slot = search->slot;
	TM_FailureData failure;

	if (!find_row(search))
		return LOCK_MISSING;
	if (table_tuple_lock(search->heap->rel, &slot->tts_tid, GetActiveSnapshot(), slot, cid, LockTupleNoKeyExclusive, LockWaitBlock,
						 IsolationUsesXactSnapshot() ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure) != TM_Ok)
		return LOCK_CONCURRENT;
	slot_getallattrs(slot);
	return LOCK_TAKEN;
}

/* Inserts a row that may be there already. False, and nothing inserted, if it is or may soon be. */
static bool
insert_if_new(BoHeap *heap, TupleTableSlot *slot, CommandId cid)
{
	Table	   *table = heap->table;
	uint32		token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
	bool		conflict = false;

	table_tuple_insert_speculative(heap->rel, slot, cid, 0, NULL, token);
	bo_open_indexes(heap, slot, -1);
	list_free(bo_insert_index_tuples_if_new(table->rri, slot, table->estate, &conflict));
	table_tuple_complete_speculative(heap->rel, slot, token, !conflict);
	SpeculativeInsertionLockRelease(GetCurrentTransactionId());
	ResetPerTupleExprContext(table->estate);
	return !conflict;
}

/*
 * The same for a row that is expected to be new and that hardly anybody else
 * can be inserting: without what keeps two that do from waiting for each other.
 */
static bool
insert_expected_new(BoHeap *heap, TupleTableSlot *slot, CommandId cid)
{
	Table	   *table = heap->table;
	bool		conflict = false;

	table_tuple_insert(heap->rel, slot, cid, 0, NULL);
	bo_open_indexes(heap, slot, -1);
	list_free(bo_insert_index_tuples_if_new(table->rri, slot, table->estate, &conflict));
	ResetPerTupleExprContext(table->estate);
	if (conflict)
	{
		CommandCounterIncrement();
		simple_table_tuple_delete(heap->rel, &slot->tts_tid, GetActiveSnapshot());
	}
	return !conflict;
}

/*
 * Locks one row of stock after another, in the order given from the first on,
 * and hands each over as it is then; one that does not exist is created in
 * its turn, so that the order of locks is one for all transactions.  Stops at
 * one that another transaction is creating, or just did, or changed since the
 * snapshot of REPEATABLE READ, and returns its number: that is left to the
 * statement.  Expects a new active snapshot.
 */
int
bo_heap_lock_stock(BoHeap *heap, int first, int n, BoStockKeyFunc key_of, BoRowFunc take, void *arg)
{
	CommandId	cid = GetCurrentCommandId(true);
	Search		search;
	TupleTableSlot *slot;
	int			i;

	begin_search(&search, heap, n - first);
	slot = search.slot;
	for (i = first; i < n; i++)
	{
		const char *parts[KEY_COLUMNS];
		LockResult	locked;

		key_of(i, parts, arg);
		for (int k = 0; k < KEY_COLUMNS; k++)
			set_text_key(&search.keys[k], k + 1, parts[k]);
		locked = lock_row(&search, cid);
		if (locked == LOCK_CONCURRENT)
			break;
		if (locked == LOCK_MISSING)
		{
			ExecClearTuple(slot);
			for (int k = 0; k < heap->table->ncolumns; k++)
			{
				slot->tts_isnull[k] = k == STOCK_STOCK_SOURCE_ID;
				slot->tts_values[k] = k < KEY_COLUMNS ? search.keys[k].sk_argument :
					heap->table->columns[k].type == NUMERICOID ? NumericGetDatum(qty_zero) : (Datum) 0;
			}
			ExecStoreVirtualTuple(slot);
			if (!insert_if_new(heap, slot, cid))
				break;
			slot_getallattrs(slot);
		}
		take(i, &slot->tts_tid, slot->tts_values, slot->tts_isnull, arg);
	}
	end_search(&search);
	return i;
}

/* ---------- orders ---------- */

/* Looks for the rows of an order from now on: all tables that have the key of one begin their primary key with it. */
static void
set_order_key(Search *search, const OrderKey *key)
{
	set_text_key(&search->keys[0], 1, key->tenant);
	ScanKeyInit(&search->keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(key->source_id));
	set_text_key(&search->keys[2], 3, key->order_key);
}

/* Makes the slot a row with the key that is looked for; what follows it, all given, is not NULL. */
static void
set_order_row(TupleTableSlot *slot, const Search *search, const Datum *rest)
{
	ExecClearTuple(slot);
	for (int k = 0; k < search->heap->table->ncolumns; k++)
		slot->tts_values[k] = k < KEY_COLUMNS ? search->keys[k].sk_argument : rest[k - KEY_COLUMNS];
	memset(slot->tts_isnull, 0, sizeof(bool) * search->heap->table->ncolumns);
	ExecStoreVirtualTuple(slot);
}

/* The greatest key of an order that this session locked, of the source it locked last; longer keys are greater, as numbers are. */
static struct
{
	int32		source_id;		/* 0: none */
	size_t		length;
	char		key[64];
	bool		was_new;
}			greatest_order;

static bool
is_greatest(const OrderKey *key, size_t length)
{
	if (key->source_id != greatest_order.source_id)
		return true;
	return length != greatest_order.length ? length > greatest_order.length : strcmp(key->order_key, greatest_order.key) > 0;
}

/* Is an order probably new?  As keys mostly grow, one that is greater than the greatest before, if that was new. */
static bool
is_probably_new(const OrderKey *key)
{
	return key->source_id == greatest_order.source_id && greatest_order.was_new && is_greatest(key, strlen(key->order_key));
}

/* Learns from an order that was locked. */
static void
learn_order(const OrderKey *key, bool was_new)
{
	size_t		length = strlen(key->order_key);

	if (length >= sizeof(greatest_order.key) || !is_greatest(key, length))
		return;
	greatest_order.source_id = key->source_id;
	greatest_order.length = length;
	greatest_order.was_new = was_new;
	memcpy(greatest_order.key, key->order_key, length + 1);
}

/*
 * Locks one order after another, in the order given, by writing its row of
 * sales_order, as INSERT ... ON CONFLICT DO UPDATE does, and stores what the
 * revisions were, -1 of one that is new.  Stops at one that another transaction is inserting, or just
 * did, or changed since the snapshot of REPEATABLE READ, and returns its
 * number: that is left to the statement.  Expects a new active snapshot.
 */
int
bo_heap_lock_orders(BoHeap *heap, int first, int n, const OrderKey *keys, int64 *before)
{
	TupleTableSlot *slot = table_slot_create(heap->rel, NULL);
	CommandId	cid = GetCurrentCommandId(true);
	Search		search;
	int			i;

	begin_search(&search, heap, n - first);
	CheckCmdReplicaIdentity(heap->rel, CMD_UPDATE);
	for (i = first; i < n; i++)
	{
		const OrderKey *key = &keys[i];
		Datum		revision;
		LockResult	locked;
		ItemPointerData tid;
		bool		unsearched = key->new_by_us || is_probably_new(key);

		set_order_key(&search, key);
		/* Of a new one there is mostly nothing to find. */
		locked = unsearched ? LOCK_MISSING : lock_row(&search, cid);
		if (locked == LOCK_MISSING)
		{
			before[i] = -1;
			revision = Int64GetDatum(1);
			set_order_row(slot, &search, &revision);
			if (key->new_by_us ? insert_expected_new(heap, slot, cid) : insert_if_new(heap, slot, cid))
			{
				learn_order(key, true);
				continue;
			}
			locked = unsearched ? lock_row(&search, cid) : LOCK_CONCURRENT;
		}
		learn_order(key, false);
		if (locked != LOCK_TAKEN)
			break;
		tid = search.slot->tts_tid;
		before[i] = DatumGetInt64(search.slot->tts_values[SALES_ORDER_REVISION]);
		revision = Int64GetDatum(before[i] + 1);
		set_order_row(slot, &search, &revision);
		bo_heap_update_row(heap, &tid, slot, cid);
	}
	end_search(&search);
	ExecDropSingleTupleTableSlot(slot);
	return i;
}

/*
 * Locks the waiting_order row of one order after another, in the order given,
 * and hands each over.  A missing row is created with an empty message; for an
 * order born in this transaction it is skipped.  Stops, as
 * bo_heap_lock_orders() does, at one that is left to the statement, and
 * returns its number.  Expects a new active snapshot.
 */
int
bo_heap_lock_waiting(BoHeap *heap, int first, int n, const OrderKey *keys, BoRowFunc take, void *arg)
{
	CommandId	cid = GetCurrentCommandId(true);
	JsonbParseState *nothing = NULL;
	Search		search;
	TupleTableSlot *slot;
	Datum		rest[] = {(Datum) 0, TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()), (Datum) 0};
	int			i;

	json_begin(&nothing);
	rest[WAITING_LAST_NOTIFIED - KEY_COLUMNS] = json_finish(&nothing);
	begin_search(&search, heap, n - first);
	slot = search.slot;
	for (i = first; i < n; i++)
	{
		LockResult	locked;

		set_order_key(&search, &keys[i]);
		locked = lock_row(&search, cid);
		/* The snapshot sees a row that is no more: the statement would insert one beside it. */
		if (locked == LOCK_CONCURRENT && IsolationUsesXactSnapshot())
			bo_raise_concurrent();
		if (locked == LOCK_CONCURRENT)
			break;
		if (locked == LOCK_MISSING && keys[i].new_by_us)
			continue;
		if (locked == LOCK_MISSING)
		{
			set_order_row(slot, &search, rest);
			slot->tts_isnull[WAITING_CUSTOMER] = true;
			if (!insert_if_new(heap, slot, cid))
				break;
			slot_getallattrs(slot);
		}
		take(i, &slot->tts_tid, slot->tts_values, slot->tts_isnull, arg);
	}
	end_search(&search);
	return i;
}

/* Reads the recorded lines of one order after another, those of each in no order.  Expects a new active snapshot. */
void
bo_heap_read_lines(BoHeap *heap, const OrderKey *keys, int n, OrderLineFunc take, void *arg)
{
	Search		search;
	ItemPointer root;

	begin_search(&search, heap, n);
	search.scan = begin_key_scan(heap);
	for (int i = 0; i < n; i++)
	{
		set_order_key(&search, &keys[i]);
		index_rescan(search.scan, search.keys, KEY_COLUMNS, NULL, 0);
		while ((root = index_getnext_tid(search.scan, ForwardScanDirection)) != NULL)
		{
			bool		dead = false;

			if (fetch_row(&search, *root, &dead))
			{
				pgstat_count_heap_fetch(search.scan->indexRelation);
				slot_getallattrs(search.slot);
				take(i, search.slot->tts_values, search.slot->tts_isnull, arg);
			}
			search.scan->kill_prior_tuple = dead;
		}
	}
	end_search(&search);
}
