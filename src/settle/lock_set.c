/*
 * lock_set.c
 *		The set of stock rows that a settling locks.
 *
 * All rows of a set are locked sorted, before anything is read of them.  A
 * rule may need more stock than the settling began with, and know it only
 * under the locks: an order that is served whole or not at all, a line that
 * several locations may serve.  Then the locks are given back and the larger
 * set is locked, so that they are always taken in one order.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/base.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

/* Never seen by anybody: it undoes the locks of a set that is too small. */
#define LOCK_MORE MAKE_SQLSTATE('O', 'B', '9', '0', '2')

/* A rule that may need more stock than a settling began with. */
typedef struct StockRule
{
	/* Could it need more, as far as can be seen without the locks?  Where no rule does, no subtransaction is begun. */
	bool		(*applies) (const SettleState *st);

	/* Under the locks: takes what it needs into the settling with bo_find_stock().  Returns whether there was any. */
	bool		(*extend) (SettleState *st);
} StockRule;

#ifdef BO_DEBUG_POINTS

/* backorder.debug_stock_rule: "A>B" says that who settles item A needs item B too. */
static bool
debug_applies(const SettleState *st)
{
	return bo_debug_stock_rule != NULL && strchr(bo_debug_stock_rule, '>') != NULL;
}

static bool
debug_extend(SettleState *st)
{
	char	   *item = pstrdup(bo_debug_stock_rule);
	char	   *other = strchr(item, '>');
	StockKey	key = {"", item, ""};
	StockKey	other_key = {"", other + 1, ""};

	*other = '\0';
	if (bo_known_stock(st, &key) == NULL || bo_known_stock(st, &other_key) != NULL)
		return false;
	(void) bo_find_stock(st, other_key.tenant, other_key.item, other_key.location);
	return true;
}

#endif

static const StockRule rules[] = {
#ifdef BO_DEBUG_POINTS
	{debug_applies, debug_extend},
#endif
	{NULL, NULL}
};

static void
take_counters(int i, const StockCounters *counters, void *arg)
{
	Stock	   *stock = ((SettleState *) arg)->stocks[i];

	stock->tid = counters->tid;
	stock->on_hand = stock->old_on_hand = counters->on_hand;
	stock->unavailable = counters->unavailable;
	stock->allocated = counters->allocated;
	stock->backordered = stock->old_backordered = counters->backordered;
	stock->backordered_held = stock->old_held = counters->backordered_held;
	stock->on_order = counters->on_order;
	stock->promises_stale = counters->promises_stale;
	stock->stock_source_id = counters->stock_source_id;
	stock->locked = true;
}

static void
lock_stocks(SettleState *st)
{
	const StockKey **keys;

	/* What an attempt before this one locked, it has given back. */
	bo_sort_stocks(st);
	if (st->nstocks == 0)
		return;
	keys = palloc(sizeof(StockKey *) * st->nstocks);
	for (int i = 0; i < st->nstocks; i++)
		keys[i] = &st->stocks[i]->key;
	bo_lock_stock_rows(keys, st->nstocks, take_counters, st);
	pfree(keys);
}

static bool
any_rule_applies(const SettleState *st)
{
	for (const StockRule *rule = rules; rule->applies != NULL; rule++)
		if (rule->applies(st))
			return true;
	return false;
}

/* Locks the set.  Raises LOCK_MORE where a rule needs more. */
static void
lock_and_look(void *arg)
{
	SettleState *st = arg;
	bool		more = false;

	lock_stocks(st);
	for (const StockRule *rule = rules; rule->extend != NULL; rule++)
		more |= rule->extend(st);
	if (more)
		ereport(ERROR,
				(errcode(LOCK_MORE),
				 errmsg("more stock is to be locked")));
}

/*
 * Locks the stock rows of a settling, sorted, and what rules need beside them;
 * rows that do not exist are created.  Raises 40001 where REPEATABLE READ asks
 * for it.  Expects an SPI scope.
 */
void
bo_lock_set(SettleState *st)
{
	ErrorData  *error;

	if (!any_rule_applies(st))
	{
		lock_stocks(st);
		return;
	}
	/* What an attempt locked it gives back, so that the larger set is locked in order. */
	while ((error = bo_try_any(lock_and_look, st)) != NULL)
	{
		if (error->sqlerrcode != LOCK_MORE)
			ReThrowError(error);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Locks stock rows, sorted. Expects an SPI scope. */
void
bo_lock_stock_keys(List *stock_keys)
{
	SettleState st;
	SettleRequest none = {0};
	ListCell   *lc;

	bo_settle_start(&st, &none);
	foreach(lc, stock_keys)
	{
		StockKey   *key = lfirst(lc);

		(void) bo_find_stock(&st, key->tenant, key->item, key->location);
	}
	bo_lock_set(&st);
}
