/*
 * stock.c
 *		The stock rows of a settling: found, locked sorted, written.
 *
 * Part of settling: everything here runs under the stock locks that
 * bo_settle() takes, in its SPI scope and memory context.
 */
#include "postgres.h"

#include "base/base.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

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

	return bo_hash_text(k->item) ^ (bo_hash_text(k->location) * 31) ^
		(bo_hash_text(k->tenant) * 131);
}

static int
stock_match(const void *a, const void *b, Size size)
{
	return compare_keys(a, b);
}

/* In the order of locks. */
int
bo_compare_stocks(const void *a, const void *b)
{
	return compare_keys(&(*(Stock *const *) a)->key, &(*(Stock *const *) b)->key);
}

/* Entry of the hash table: a pointer, because Stock is big and a hash table takes memory for dozens of entries at once. */
typedef struct StockEntry
{
	StockKey	key;
	Stock	   *stock;
} StockEntry;

/* Begins a settling: nothing is locked yet. Allocates in the current context. */
void
bo_settle_start(SettleState *st, SettleRequest *request)
{
	HASHCTL		ctl = {.keysize = sizeof(StockKey),.entrysize = sizeof(StockEntry),.hash = stock_hash,.match = stock_match,.hcxt = CurrentMemoryContext};

	memset(st, 0, sizeof(*st));
	st->request = request;
	st->cx = CurrentMemoryContext;
	st->clock = GetCurrentTimestamp();
	st->today = bo_current_day();
	st->by_key = hash_create("backorder stock", 64, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* The stock of an item at a location, taken into the settling if it was not. */
Stock *
bo_find_stock(SettleState *st, char *tenant, char *item, char *location)
{
	StockKey	key = {tenant, item, location};
	bool		found;
	StockEntry *entry = hash_search(st->by_key, &key, HASH_ENTER, &found);

	if (!found)
	{
		entry->stock = MemoryContextAllocZero(st->cx, sizeof(Stock));
		entry->stock->key = key;
	}
	return entry->stock;
}

/* The same if it is in the settling; else NULL. */
Stock *
bo_known_stock(SettleState *st, const StockKey *key)
{
	StockEntry *entry = hash_search(st->by_key, key, HASH_FIND, NULL);

	return entry ? entry->stock : NULL;
}

/* What could be allocated now; negative where more is promised than there is. */
Qty
bo_free_quantity(Stock *stock)
{
	return qty_sub(qty_sub(stock->on_hand, stock->unavailable), stock->allocated);
}

/* Writes the counters of the stock rows that changed. */
void
bo_write_stock(SettleState *st)
{
	BoRows	   *rows = NULL;

	for (int i = 0; i < st->nstocks; i++)
	{
		Stock	   *stock = st->stocks[i];
		Datum		values[GIVEN_STOCK_COLUMNS];
		bool		nulls[GIVEN_STOCK_COLUMNS] = {false};

		if (!stock->changed)
			continue;
		values[GIVEN_STOCK_TID] = PointerGetDatum(&stock->tid);
		values[GIVEN_STOCK_TENANT] = bo_text(stock->key.tenant);
		values[GIVEN_STOCK_ITEM] = bo_text(stock->key.item);
		values[GIVEN_STOCK_LOCATION] = bo_text(stock->key.location);
		values[GIVEN_STOCK_ON_HAND] = NumericGetDatum(stock->on_hand);
		values[GIVEN_STOCK_UNAVAILABLE] = NumericGetDatum(stock->unavailable);
		values[GIVEN_STOCK_ALLOCATED] = NumericGetDatum(stock->allocated);
		values[GIVEN_STOCK_BACKORDERED] = NumericGetDatum(stock->backordered);
		values[GIVEN_STOCK_BACKORDERED_HELD] = NumericGetDatum(stock->backordered_held);
		values[GIVEN_STOCK_ON_ORDER] = NumericGetDatum(stock->on_order);
		values[GIVEN_STOCK_PROMISES_STALE] = BoolGetDatum(stock->promises_stale);
		values[GIVEN_STOCK_STOCK_SOURCE_ID] = Int32GetDatum(stock->stock_source_id);
		nulls[GIVEN_STOCK_STOCK_SOURCE_ID] = stock->stock_source_id == 0 || stock->released;
		if (rows == NULL)
			rows = bo_rows(BO_ROWS_STOCK);
		bo_rows_put(rows, values, nulls);
	}
	bo_flush_rows(BO_WRITE_STOCK, rows);
}

/* Makes st->stocks all the stock of the settling, in the order of locks. */
void
bo_sort_stocks(SettleState *st)
{
	HASH_SEQ_STATUS seq;
	StockEntry *entry;
	int			i = 0;

	st->nstocks = hash_get_num_entries(st->by_key);
	if (st->nstocks == 0)
		return;
	st->stocks = palloc(sizeof(Stock *) * st->nstocks);
	hash_seq_init(&seq, st->by_key);
	while ((entry = hash_seq_search(&seq)) != NULL)
		st->stocks[i++] = entry->stock;
	qsort(st->stocks, st->nstocks, sizeof(Stock *), bo_compare_stocks);
}
