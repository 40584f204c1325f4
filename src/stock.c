/*
 * stock.c
 *		The stock rows of a settling: found, locked sorted, written.
 *
 * Part of settling: everything here runs under the stock locks that
 * bo_settle() takes, in its section and memory context.
 */
#include "settle.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"

static int
compare_keys(const StockKey *a, const StockKey *b)
{
	int			cmp = strcmp(a->tenant, b->tenant);

	if (cmp == 0)
		cmp = strcmp(a->item, b->item);
	return cmp != 0 ? cmp : strcmp(a->location, b->location);
}

static uint32
stock_hash(const void *key, Size size)
{
	const StockKey *k = key;

	return string_hash(k->item, strlen(k->item) + 1) ^ (string_hash(k->location, strlen(k->location) + 1) * 31) ^
		(string_hash(k->tenant, strlen(k->tenant) + 1) * 131);
}

static int
stock_match(const void *a, const void *b, Size size)
{
	return compare_keys(a, b);
}

static int
compare_stocks(const void *a, const void *b)
{
	return compare_keys(&(*(Stock *const *) a)->key, &(*(Stock *const *) b)->key);
}

/* Begins a settling: nothing is locked yet. Allocates in the current context. */
void
bo_settle_start(Settle *st, Settlement *settlement)
{
	HASHCTL		ctl = {.keysize = sizeof(StockKey),.entrysize = sizeof(Stock),.hash = stock_hash,.match = stock_match,.hcxt = CurrentMemoryContext};

	memset(st, 0, sizeof(*st));
	st->s = settlement;
	st->now = GetCurrentTimestamp();
	st->today = bo_current_day();
	st->by_key = hash_create("backorder stock", 64, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* The stock of an item at a location, taken into the settling if it was not. */
Stock *
bo_find_stock(Settle *st, char *tenant, char *item, char *location)
{
	StockKey	key = {tenant, item, location};
	bool		found;
	Stock	   *stock = hash_search(st->by_key, &key, HASH_ENTER, &found);

	if (!found)
	{
		memset(stock, 0, sizeof(*stock));
		stock->key = key;
	}
	return stock;
}

static BoRows *
place_rows(Settle *st)
{
	BoRows	   *rows = bo_rows(BO_ROWS_PLACES);

	for (int i = 0; i < st->nstocks; i++)
	{
		Stock	   *stock = st->stocks[i];
		Datum		values[4] = {bo_text(stock->key.tenant), bo_text(stock->key.item), bo_text(stock->key.location), Int32GetDatum(i)};
		bool		nulls[4] = {false};

		bo_rows_put(rows, values, nulls);
	}
	return rows;
}

static int
lock_rows(Settle *st)
{
	BoRows	   *rows = place_rows(st);
	uint64		n = bo_exec(BO_LOCK_STOCK, rows, NULL, false);

	for (uint64 row = 0; row < n; row++)
	{
		Stock	   *stock = st->stocks[bo_get_int32(row, 1)];

		stock->on_hand = stock->old_on_hand = bo_get_qty(row, 2);
		stock->unavailable = bo_get_qty(row, 3);
		stock->allocated = bo_get_qty(row, 4);
		stock->backordered = stock->old_backordered = bo_get_qty(row, 5);
		stock->backordered_held = stock->old_held = bo_get_qty(row, 6);
		stock->on_order = bo_get_qty(row, 7);
		stock->promises_stale = bo_get_bool(row, 8);
		stock->counted_by = bo_get_int32(row, 9);
		stock->locked = true;
	}
	bo_rows_drop(rows);
	return (int) n;
}

/*
 * Locks the stock rows, sorted; those that do not exist are created before
 * any is locked, so that the order of locks is one for all transactions.
 */
void
bo_lock_stocks(Settle *st)
{
	HASH_SEQ_STATUS seq;
	Stock	   *stock;
	int			i = 0;
	bool		known = true;

	st->nstocks = hash_get_num_entries(st->by_key);
	if (st->nstocks == 0)
		return;
	st->stocks = palloc(sizeof(Stock *) * st->nstocks);
	hash_seq_init(&seq, st->by_key);
	while ((stock = hash_seq_search(&seq)) != NULL)
	{
		st->stocks[i++] = stock;
		known = known && bo_stock_known(stock->key.tenant, stock->key.item, stock->key.location);
	}
	qsort(st->stocks, st->nstocks, sizeof(Stock *), compare_stocks);
	for (i = 0; i < st->nstocks; i++)
		st->stocks[i]->n = i;
	if (!known)
	{
		BoRows	   *rows = place_rows(st);

		(void) bo_exec(BO_MISSING_STOCK, rows, NULL, false);
		if (bo_get_int64(0, 1) > 0)
			(void) bo_exec(BO_ADD_STOCK, rows, NULL, false);
		bo_rows_drop(rows);
	}
	if (lock_rows(st) < st->nstocks)
	{
		BoRows	   *rows = place_rows(st);

		/* A row that was there once is gone: only a superuser can do that. */
		(void) bo_exec(BO_ADD_STOCK, rows, NULL, false);
		bo_rows_drop(rows);
		if (lock_rows(st) < st->nstocks)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update of stock")));
	}
	for (i = 0; i < st->nstocks; i++)
		bo_stock_remember(st->stocks[i]->key.tenant, st->stocks[i]->key.item, st->stocks[i]->key.location);
}

/* Locks stock rows, sorted. Expects a section. */
void
bo_lock_places(List *places)
{
	Settle		st;
	Settlement	none = {0};
	ListCell   *lc;

	bo_settle_start(&st, &none);
	foreach(lc, places)
	{
		StockKey   *key = lfirst(lc);

		(void) bo_find_stock(&st, key->tenant, key->item, key->location);
	}
	bo_lock_stocks(&st);
}

/* What could be dealt now; negative where more is promised than there is. */
Qty
bo_free_quantity(Stock *stock)
{
	return qty_sub(qty_sub(stock->on_hand, stock->unavailable), stock->allocated);
}

/* Writes the counters of the stock rows that changed. */
void
bo_write_stock(Settle *st)
{
	BoRows	   *rows = NULL;

	for (int i = 0; i < st->nstocks; i++)
	{
		Stock	   *stock = st->stocks[i];
		Datum		values[11];
		bool		nulls[11] = {false};

		if (!stock->changed)
			continue;
		values[0] = bo_text(stock->key.tenant);
		values[1] = bo_text(stock->key.item);
		values[2] = bo_text(stock->key.location);
		values[3] = NumericGetDatum(stock->on_hand);
		values[4] = NumericGetDatum(stock->unavailable);
		values[5] = NumericGetDatum(stock->allocated);
		values[6] = NumericGetDatum(stock->backordered);
		values[7] = NumericGetDatum(stock->backordered_held);
		values[8] = NumericGetDatum(stock->on_order);
		values[9] = BoolGetDatum(stock->promises_stale);
		values[10] = Int32GetDatum(stock->counted_by);
		nulls[10] = stock->counted_by == 0 || stock->uncounted;
		if (rows == NULL)
			rows = bo_rows(BO_ROWS_STOCK);
		bo_rows_put(rows, values, nulls);
	}
	bo_write(BO_WRITE_STOCK, rows);
}
