/*
 * first_settling.c
 *		The first settling of lines that an import recorded.
 *
 * Where priority or queued_at is mapped, an import meets lines in another
 * order than that of their rank.  So it only records them, and when all are
 * recorded they are settled, by rank, as if they had come at once.  Nobody was
 * told of them, and nobody is told now.
 *
 * Part of settling: everything here runs under the stock locks that
 * bo_settle() takes, in its SPI scope and memory context.
 */
#include "postgres.h"

#include "base/base.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

/* Takes into the settling what waits for its first at a stock row, at most `limit` lines from the front of the queue; returns how many. */
static int
begin_at(SettleState *st, Stock *stock, int limit)
{
	Datum		args[5] = {bo_text(stock->key.tenant), bo_text(stock->key.item), bo_text(stock->key.location),
	Int32GetDatum(st->request->first_settling), Int32GetDatum(limit)};
	int			n = bo_run_statement(BO_READ_UNSETTLED_LINES, NULL, args, false);

	for (int row = 0; row < n; row++)
	{
		Line	   *line = bo_load_line(SPI_tuptable, row, stock);

		line->first_allocated = qty_zero;
		line->new_incarnation = true;	/* what it gets now is the first that it gets, and so is the promise */
		line->rank_changed = true;
		line->quiet = true;
		line->dirty = true;
		bo_join_settling(line);
	}
	SPI_freetuptable(SPI_tuptable);
	return n;
}

/* Begins what the request asks for, and counts the stock rows that have no more of it. */
void
bo_begin_first_settlings(SettleState *st)
{
	int			left = st->request->settle_limit;
	ListCell   *lc;

	if (st->request->first_settling == 0)
		return;
	foreach(lc, st->request->stock_keys)
	{
		Stock	   *stock = bo_known_stock(st, lfirst(lc));

		if (stock != NULL)
			left -= begin_at(st, stock, left);
		if (left <= 0)
			break;
		st->request->settled_keys++;
	}
}
