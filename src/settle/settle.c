/*
 * settle.c
 *		The only place that allocates stock.
 *
 * Every cause ends here: under the stock locks, taken sorted, movements,
 * supply and line changes are applied, what is available is allocated down
 * the queue (or what is missing taken back from its end), promises are made, and
 * lines, counters and ledger are written, each row once.
 *
 * The queue of an item is the recorded rows by rank with the lines of this
 * settling merged in; rows are read only as far as stock, or supply, reaches.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "announce/announce.h"
#include "base/base.h"
#include "pending/pending.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

/* What is allocated to lines that this settling has not touched. */
static Qty
other_allocated(Stock *stock)
{
	Qty			result = stock->allocated;
	ListCell   *lc;

	foreach(lc, stock->lines)
		result = qty_sub(result, ((Line *) lfirst(lc))->allocated);
	return result;
}

/* Less stock than promised: takes allocations back from the lowest rank up; what is picked where it cannot be otherwise. */
static Qty
take_back(SettleState *st, Stock *stock, Qty missing, bool picked)
{
	Queue		queue;
	Line	   *line;
	bool		rows = qty_sign(other_allocated(stock)) != 0;

	if (rows)
		bo_deferred_index_flush(st->deferred);
	bo_queue_open(&queue, stock, true, rows);
	while (qty_sign(missing) > 0 && (line = bo_queue_next(&queue)) != NULL)
	{
		Qty			part = bo_may_lose(line, missing, picked);

		if (qty_sign(part) == 0)
			continue;
		bo_allocate(st, line, qty_neg(part), "taken back", 0, NULL);
		line->rank_changed = true;
		missing = qty_sub(missing, part);
	}
	bo_queue_close(&queue);
	return missing;
}

/* Sees to it that no more is promised of a stock row than there is; raises ERRCODE_BO_STOCK where that cannot be. */
static void
reclaim(SettleState *st, Stock *stock)
{
	Qty			free = bo_free_quantity(stock);

	if (qty_sign(free) < 0)
	{
		Qty			missing = take_back(st, stock, qty_neg(free), false);

		if (qty_sign(missing) > 0 && stock->app_on_hand != NULL)
			missing = take_back(st, stock, bo_release_held(st, stock, missing), true);
		else if (qty_sign(missing) > 0)
			missing = bo_book_discrepancies(st, stock, missing);
		if (qty_sign(missing) > 0)
			ereport(ERROR,
					(errcode(ERRCODE_BO_STOCK),
					 errmsg("too little stock of item \"%s\" at location \"%s\"", stock->key.item, stock->key.location),
					 errdetail("On hand would be %s with %s unavailable and %s picked or allocated beyond taking back.",
							   qty_text(stock->on_hand), qty_text(stock->unavailable), qty_text(stock->allocated)),
					 errhint("Nothing was changed. Picked goods are on hand: ship or unpick them first.")));
	}
	if (qty_sign(stock->on_hand) < 0 || qty_sign(stock->unavailable) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_BO_STOCK),
				 errmsg("too little stock of item \"%s\" at location \"%s\"", stock->key.item, stock->key.location),
				 errdetail("On hand would be %s, unavailable %s.", qty_text(stock->on_hand), qty_text(stock->unavailable)),
				 errhint("Nothing was changed. Release no more than is held.")));
}

/* Allocates what a stock row has free down its queue. */
static void
allocate(SettleState *st, Stock *stock)
{
	Qty			free = bo_free_quantity(stock);
	Queue		queue;
	Line	   *line;

	if (qty_sign(free) <= 0)
		return;
	bo_queue_open(&queue, stock, false, qty_sign(bo_other_waiting(stock)) > 0);
	while (qty_sign(free) > 0 && (line = bo_queue_next(&queue)) != NULL)
	{
		Qty			part = bo_may_get(line, free);

		if (qty_sign(part) == 0)
			continue;
		bo_allocate_to(st, line, part);
		if (line->exists && !line->rank_changed)
			stock->allocated_to_waiting = qty_add(stock->allocated_to_waiting, part);
		free = qty_sub(free, part);
	}
	bo_queue_close(&queue);
}

/*
 * Settles the set of stock rows: takes back what is promised beyond what there
 * is, and allocates what is free.  What that does to one row may give another
 * one something to allocate: so it goes on until no row has.
 */
static void
settle_set(SettleState *st)
{
	bool		again;

	for (int i = 0; i < st->nstocks; i++)
		st->stocks[i]->to_settle = true;
	do
	{
		again = false;
		for (int i = 0; i < st->nstocks; i++)
		{
			Stock	   *stock = st->stocks[i];

			if (!stock->to_settle)
				continue;
			again = true;
			stock->to_settle = false;
			reclaim(st, stock);
			allocate(st, stock);
		}
	} while (again);
	for (int i = 0; i < st->nstocks; i++)
		bo_promise_stock(st, st->stocks[i]);
}

static void
write_ledger(SettleState *st)
{
	bo_flush_rows(BO_INSERT_MOVEMENTS, st->movements);
	bo_flush_rows(BO_INSERT_ALLOCATIONS, st->allocations);
	bo_events_write(&st->events);
	st->movements = NULL;
	st->allocations = NULL;
	memset(&st->events, 0, sizeof(st->events));
}

/* Settles all there is under the stock locks; the counters are left to be written. */
static void
settle_all(SettleState *st)
{
	SettleRequest *request = st->request;
	ListCell   *lc;

	bo_read_changed_lines(st);
	bo_begin_first_settlings(st);
	bo_read_supply(st);
	bo_read_attached_stock(st);
	bo_take_movements(st);
	bo_apply_attached_stock(st);
	bo_apply_supplies(st);
	foreach(lc, request->changes)
		bo_apply_change(st, lfirst(lc));
	settle_set(st);

	BO_POINT("allocated");
	if (request->repromise && request->changes == NIL)
		for (int i = 0; i < st->nstocks; i++)
			request->lines_changed += list_length(st->stocks[i]->lines);
	bo_write_lines(st);
	bo_announce_settled(request->changes);
	bo_write_supply(st);
	write_ledger(st);
}

/* The stock of new lines, which is all locked before the first of several pieces; what a piece touches becomes st->stocks, sorted. */
static void
find_changed_stock(SettleState *st)
{
	ListCell   *lc;

	st->nstocks = 0;
	foreach(lc, st->request->changes)
	{
		LineChange *change = lfirst(lc);
		Stock	   *stock;

		if (change->mapped && change->mapped->item && change->action != LINE_END)
			change->stock = bo_find_stock(st, change->mapping->tenant, change->mapped->item, change->mapped->location);
		stock = change->stock;
		if (stock == NULL)
			continue;
		if (!stock->locked)
			elog(ERROR, "stock of order %s was not locked", change->order_key);
		if (!stock->in_batch)
			st->stocks[st->nstocks++] = stock;
		stock->in_batch = true;
		stock->own_lines_from = st->first_line_id;
	}
	qsort(st->stocks, st->nstocks, sizeof(Stock *), bo_compare_stocks);
}

/* A counter of a stock row outlives a piece: so long are those that are kept where they were. */
#define KEPT_SIZE 32

/* The counters of a stock row, for the next piece of changes. */
static void
keep_counters(Stock *stock)
{
	Qty		   *counters[] = {&stock->on_hand, &stock->unavailable, &stock->allocated, &stock->backordered, &stock->backordered_held, &stock->on_order};
	char		copies[lengthof(counters)][KEPT_SIZE];

	if (stock->kept == NULL)
		stock->kept = palloc(sizeof(copies));
	/* A counter may point into the place of another: copies all out before it copies any back. */
	for (int i = 0; i < (int) lengthof(counters); i++)
		if (VARSIZE(*counters[i]) <= KEPT_SIZE)
			memcpy(copies[i], *counters[i], VARSIZE(*counters[i]));
		else
			*counters[i] = qty_copy(NumericGetDatum(*counters[i]));
	for (int i = 0; i < (int) lengthof(counters); i++)
		if (VARSIZE(*counters[i]) <= KEPT_SIZE)
		{
			Qty			kept = (Qty) (stock->kept + i * KEPT_SIZE);

			memcpy(kept, copies[i], KEPT_SIZE);
			*counters[i] = kept;
		}
	stock->old_backordered = stock->backordered;
	stock->old_held = stock->backordered_held;
}

/* Settles a piece of many changes after another; only the counters of the stock outlive a piece. */
static void
settle_batches(SettleState *st)
{
	Stock	  **all = st->stocks;
	int			n = st->nstocks;
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder piece", 0, 1024 * 1024, ALLOCSET_DEFAULT_MAXSIZE);
	MemoryContext old;

	/* Promises are read for each piece that has some of the stock. */
	for (int i = 0; i < n; i++)
		st->request->small_batches = st->request->small_batches && qty_sign(all[i]->on_order) == 0 && !all[i]->promises_stale;
	st->deferred = bo_deferred_index();
	st->stocks = palloc(sizeof(Stock *) * Max(n, 1));
	old = MemoryContextSwitchTo(cx);
	while (st->request->next(st->request))
	{
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		find_changed_stock(st);
		bo_read_changed_lines(st);
		foreach(lc, st->request->changes)
			bo_apply_change(st, lfirst(lc));
		settle_set(st);
		bo_write_lines(st);
		bo_announce_settled(NIL);
		write_ledger(st);

		MemoryContextSwitchTo(old);
		for (int i = 0; i < st->nstocks; i++)
		{
			Stock	   *stock = st->stocks[i];

			keep_counters(stock);
			stock->lines = NIL;
			stock->joined_rows = NULL;
			stock->allocated_to_waiting = qty_zero;
			stock->rank_changed = false;
			stock->in_batch = false;
		}
		st->request->changes = NIL;
		MemoryContextReset(cx);
		MemoryContextSwitchTo(cx);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cx);
	bo_deferred_index_flush(st->deferred);
	st->stocks = all;
	st->nstocks = n;
}

/*
 * Applies changes, movements and supply under the stock locks, allocates, promises
 * and writes.  Expects an SPI scope, and the orders of the changes locked; locks
 * stock rows sorted; allocates in the current context.  Raises 40001 where
 * REPEATABLE READ asks for it, and the refusals of class OB; nothing is
 * changed then.
 */
void
bo_settle(SettleRequest *request)
{
	SettleState st;
	ListCell   *lc;

	bo_settle_start(&st, request);
	foreach(lc, request->changes)
	{
		LineChange *change = lfirst(lc);

		if (change->mapped && change->mapped->item && change->action != LINE_END)
			change->stock = bo_find_stock(&st, change->mapping->tenant, change->mapped->item, change->mapped->location);
		if (change->old_item)
			change->old_stock = bo_find_stock(&st, change->mapping->tenant, change->old_item, change->old_location);
	}
	foreach(lc, request->movements)
	{
		Movement   *m = lfirst(lc);

		bo_check_movement(m);
		(void) bo_find_stock(&st, m->tenant, m->item, m->location);
	}
	foreach(lc, request->supplies)
	{
		SupplyChange *c = lfirst(lc);

		if (c->wanted)
			(void) bo_find_stock(&st, c->tenant, c->item, c->location);
		if (c->old_item)
			(void) bo_find_stock(&st, c->tenant, c->old_item, c->old_location);
	}
	foreach(lc, request->stock_keys)
	{
		StockKey   *key = lfirst(lc);

		(void) bo_find_stock(&st, key->tenant, key->item, key->location);
	}
	bo_find_noted_stock(&st);
	if (hash_get_num_entries(st.by_key) == 0 && request->next == NULL)
		return;
	bo_lock_set(&st);
	BO_POINT("locked");
	for (int i = 0; i < st.nstocks; i++)
		st.stocks[i]->allocated_to_waiting = qty_zero;

	if (request->next != NULL)
		settle_batches(&st);
	else
		settle_all(&st);
	bo_write_stock(&st);
	BO_POINT("written");
	if (bo_announce_pending())
		bo_queue_commit_work();
}
