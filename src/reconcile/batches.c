/*
 * batches.c
 *		Reconciles and settles what is noted; many orders one batch after
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

/* So many orders are a batch. */
#define BATCH_ORDERS 5000

/*
 * So many where orders are read from their rows and nothing is read for their
 * stock: then all steps find the lines in the processor's cache.
 */
#define SMALL_BATCH_ORDERS 250

/* The orders that are settled in batches. */
typedef struct Batches
{
	List	   *notes;			/* as first noted */
	int			next;
	ReconcileMode mode;
	Snapshot	snapshot;
} Batches;

static bool
next_batch(SettleRequest *request)
{
	Batches    *batches = request->next_arg;
	List	   *batch = NIL;
	int 		size = request->small_batches ? SMALL_BATCH_ORDERS : BATCH_ORDERS;

	request->changes = NIL;
	while (batches->next < list_length(batches->notes) && list_length(batch) < size)
		batch = lappend(batch, list_nth(batches->notes, batches->next++));
	if (batch == NIL)
		return false;
	list_sort(batch, bo_compare_notes);
	bo_reconcile_orders(request, batches->mode, batch, batches->snapshot);
	return true;
}

/*
 * May these orders be settled one after another, if nothing is recorded of any
 * of them?  All stock is locked before the first.  Lines that are all new get
 * in the order in which they come what together they would get by rank, unless
 * that is mapped.
 */
static bool
may_be_batches(const SettleRequest *request, ReconcileMode mode, List *notes)
{
	int32		source_id = 0;
	ListCell   *lc;

	if (list_length(notes) < 2 * SMALL_BATCH_ORDERS || bo_pending_moves() != NIL || (mode.reason != RECONCILE_CHANGES && mode.reason != RECONCILE_ATTACH) ||
		request->movements != NIL || request->supplies != NIL || request->stock_keys != NIL || request->stock_notes != NIL || request->repromise)
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
		if (mapping->park || mapping->unreadable || mapping->ranked || mapping->picks || mapping->key_variants || mapping->importing || mapping->line.nkeys == 0)
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

		if (note->state.seen != ORDER_NEW || mode.reason != RECONCILE_CHANGES)
			bo_put_order(rows, note->tenant, note->key.source_id, note->key.order_key, i);
		i++;
	}
	result = i > 0 && bo_run_statement(BO_FIND_RECORDED, rows, NULL, true) > 0;
	bo_rows_drop(rows);
	return result;
}

/* Where the orders have lines; *written: all are to be read from their rows. */
static List *
stock_keys_of(List *notes, ReconcileMode mode, bool *written)
{
	List	   *stock_keys = NIL;
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

			if (!bo_inserted_stock_keys(mapping, some, &more))
			{
				*written = false;
				if (list_length(notes) < 2 * BATCH_ORDERS)
					return NIL;
				more = bo_mapping_stock_keys(mapping, some);
			}
			stock_keys = list_concat(stock_keys, more);
			some = NIL;
		}
	}
	return stock_keys;
}

/* Notes the orders whose keys were found to be written in another way. */
static void
note_key_variants(List *key_variants)
{
	ListCell   *lc;

	foreach(lc, key_variants)
	{
		KeyVariant *variant = lfirst(lc);

		(void) bo_note_order_text(variant->mapping, variant->order_key, variant->header);
	}
}

/* Reconciles what is pending into the settlement and settles it. Returns lines that changed. */
int64
bo_reconcile_and_settle(SettleRequest *request, ReconcileMode mode)
{
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder settling", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cx);
	List	   *notes = bo_pending_orders();
	SpiScope	spi;
	int64		changed;

	bo_spi_begin_unpinned(&spi);
	MemoryContextSwitchTo(cx);
	request->stock_notes = bo_take_stock_notes();
	if (may_be_batches(request, mode, notes))
	{
		Batches    *batches = palloc0(sizeof(Batches));

		batches->notes = list_copy(notes);
		batches->mode = mode;
		batches->snapshot = bo_snapshot_after_locks(notes, mode);
		PushActiveSnapshot(batches->snapshot);
		if (!are_recorded(notes, mode))
		{
			List	   *stock_keys = stock_keys_of(notes, mode, &request->small_batches);

			if (request->small_batches || list_length(notes) >= 2 * BATCH_ORDERS)
			{
				list_sort(batches->notes, bo_compare_seq);
				request->stock_keys = stock_keys;
				request->next = next_batch;
				request->next_arg = batches;
			}
		}
		PopActiveSnapshot();
		if (request->next == NULL)
			bo_reconcile_orders(request, mode, notes, batches->snapshot);
		bo_settle(request);
		UnregisterSnapshot(batches->snapshot);
	}
	else
	{
		bo_reconcile(request, mode);
		bo_settle(request);
	}
	changed = request->lines_changed;
	if (request->key_variants != NIL)
		note_key_variants(request->key_variants);
	bo_spi_end(&spi);
	MemoryContextSwitchTo(old);
	if (request->key_variants != NIL)
		changed += bo_settle_pending();
	MemoryContextDelete(cx);
	return changed;
}

/* Settles the transaction's pending orders. Returns lines that changed. */
int64
bo_settle_pending(void)
{
	SettleRequest request = {0};

	if (bo_pending_orders() == NIL && !bo_stock_pending())
		return 0;
	return bo_reconcile_and_settle(&request, (ReconcileMode) {.reason = RECONCILE_CHANGES});
}
