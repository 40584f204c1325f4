/*
 * announce.c
 *		What was told minus what is true now = events.
 *
 * Settling only notes which orders it touched.  At commit the waiting_order
 * row of each is locked (the last lock of the order of locks), and one
 * statement compares what it was told with its lines, writes one event per
 * order and kind, and what is told from now on.  Orders that are never short
 * are not touched at all.
 */
#include "backorder.h"

#include "commands/async.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

typedef struct Touched
{
	NoteKey		key;			/* hash key */
	char	   *tenant;
	bool		quiet;
} Touched;

typedef struct Lost
{
	int64		line_id;
	Qty			covered;		/* allocated + shipped before the first loss */
} Lost;

static MemoryContext announce_cx;
static HTAB *touched_orders;
static List *lost_lines;

static uint32
touched_hash(const void *key, Size size)
{
	const NoteKey *k = key;

	return string_hash(k->order_key, strlen(k->order_key) + 1) ^ ((uint32) k->source_id * 0x9e3779b9u);
}

static int
touched_match(const void *a, const void *b, Size size)
{
	const NoteKey *x = a;
	const NoteKey *y = b;

	return x->source_id != y->source_id || strcmp(x->order_key, y->order_key) != 0;
}

static MemoryContext
need_context(void)
{
	if (announce_cx == NULL)
		announce_cx = AllocSetContextCreate(TopTransactionContext, "backorder announcements", ALLOCSET_DEFAULT_SIZES);
	return announce_cx;
}

/* An order of which a line waits, or waited, was changed. quiet: no events. */
void
bo_touch_order(const char *tenant, int32 source_id, const char *order_key, bool quiet)
{
	NoteKey		key = {source_id, order_key};
	Touched    *entry;
	bool		found;

	if (touched_orders == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(NoteKey),.entrysize = sizeof(Touched),.hash = touched_hash,.match = touched_match,.hcxt = need_context()};

		touched_orders = hash_create("backorder touched orders", 16, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	}
	entry = hash_search(touched_orders, &key, HASH_ENTER, &found);
	if (!found)
	{
		entry->key.order_key = MemoryContextStrdup(announce_cx, order_key);
		entry->tenant = MemoryContextStrdup(announce_cx, tenant);
		entry->quiet = quiet;
	}
	entry->quiet |= quiet;
	bo_queue_commit_work();
}

/* Allocation was taken back from a line that had covered = allocated + shipped. */
void
bo_lost(int64 line_id, Qty covered)
{
	MemoryContext old = MemoryContextSwitchTo(need_context());
	Lost	   *lost = palloc(sizeof(Lost));

	lost->line_id = line_id;
	lost->covered = qty_add(covered, qty_zero);
	lost_lines = lappend(lost_lines, lost);
	MemoryContextSwitchTo(old);
}

/* Is there anything to announce before the transaction may commit? */
bool
bo_announce_pending(void)
{
	return touched_orders != NULL && hash_get_num_entries(touched_orders) > 0;
}

/* The transaction is over, or all is said. */
void
bo_announce_reset(void)
{
	announce_cx = NULL;
	touched_orders = NULL;
	lost_lines = NIL;
}

static int
compare_touched(const void *a, const void *b)
{
	const Touched *x = *(Touched *const *) a;
	const Touched *y = *(Touched *const *) b;
	int			cmp = strcmp(x->tenant, y->tenant);

	if (cmp == 0 && x->key.source_id != y->key.source_id)
		cmp = x->key.source_id < y->key.source_id ? -1 : 1;
	return cmp != 0 ? cmp : strcmp(x->key.order_key, y->key.order_key);
}

/*
 * Writes the events of this transaction.  Called once at commit; locks the
 * waiting_order rows, sorted.
 */
void
bo_announce(void)
{
	BoSection	section;
	BoRows	   *rows;
	BoRows	   *lost;
	HASH_SEQ_STATUS seq;
	Touched    *entry;
	Touched   **sorted;
	MemoryContext cx = announce_cx;
	ListCell   *lc;
	int			n = 0;
	int64		written;

	if (!bo_announce_pending())
		return;
	sorted = palloc(sizeof(Touched *) * hash_get_num_entries(touched_orders));
	hash_seq_init(&seq, touched_orders);
	while ((entry = hash_seq_search(&seq)) != NULL)
		sorted[n++] = entry;
	qsort(sorted, n, sizeof(Touched *), compare_touched);

	bo_enter(&section);
	rows = bo_rows(BO_ROWS_TOUCHED);
	for (int i = 0; i < n; i++)
	{
		Datum		values[4] = {bo_text(sorted[i]->tenant), Int32GetDatum(sorted[i]->key.source_id), bo_text(sorted[i]->key.order_key), BoolGetDatum(sorted[i]->quiet)};
		bool		nulls[4] = {false};

		bo_rows_put(rows, values, nulls);
	}
	lost = bo_rows(BO_ROWS_LOST);
	foreach(lc, lost_lines)
	{
		Lost	   *l = lfirst(lc);
		Datum		values[2] = {Int64GetDatum(l->line_id), NumericGetDatum(l->covered)};
		bool		nulls[2] = {false};

		bo_rows_put(lost, values, nulls);
	}
	(void) bo_exec(BO_LOCK_WAITING, rows, NULL, NULL, false);
	(void) bo_exec(BO_ANNOUNCE, rows, lost, NULL, false);
	written = bo_get_int64(0, 1);
	bo_rows_drop(rows);
	bo_rows_drop(lost);
	bo_leave(&section);
	bo_announce_reset();
	MemoryContextDelete(cx);
	if (written > 0 && bo_notify)
		Async_Notify("backorder", "");
}
