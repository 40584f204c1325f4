/*
 * promises.c
 *		The promises of a queue, made again where supply or ranks moved;
 *		supply_profile.c says what a promise is.
 *
 * Part of settling: everything here runs under the stock locks that
 * bo_settle() takes, in its SPI scope and memory context.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

static void
set_promise(Line *line, bool has_date, DateADT date)
{
	if (line->has_promised_at == has_date && (!has_date || line->promised_at == date))
		return;
	bo_join_settling(line);
	line->dirty = true;
	line->stock->changed = true;
	line->has_promised_at = has_date;
	line->promised_at = date;
	/* The first is the last that this settling makes of a line that is new in it. */
	if (line->new_incarnation || (has_date && !line->has_first_promised_at))
	{
		line->has_first_promised_at = has_date;
		line->first_promised_at = date;
	}
}

static void
promise_line(SettleState *st, Line *line, const SupplyProfile *profile, Qty upto)
{
	DateADT		date = 0;

	switch (bo_promise(profile, upto, st->today, &date))
	{
		case PROMISE_NONE:
			set_promise(line, false, 0);
			break;
		case PROMISE_DATE:
			set_promise(line, true, date + line->stock->handling_time);
			break;
		case PROMISE_KEEP:
			break;
	}
}

/*
 * Days from arrival to shipping.  Read after the stock row is locked and with
 * the latest snapshot whatever the isolation level: who changes it locks the
 * row too (policies_changed() in sql/72-policy.sql).
 */
static void
read_handling_time(Stock *stock)
{
	Datum		args[3] = {bo_text(stock->key.tenant), bo_text(stock->key.item), bo_text(stock->key.location)};

	PushActiveSnapshot(GetLatestSnapshot());
	stock->handling_time = bo_run_statement(BO_READ_HANDLING_TIME, NULL, args, true) > 0 ? bo_result_int32(SPI_tuptable, 0, 1) : 0;
	SPI_freetuptable(SPI_tuptable);
	PopActiveSnapshot();
}

/* Open supply as it was and as it is now, by date. */
static void
read_profiles(SettleState *st, Stock *stock, SupplyProfile *before, SupplyProfile *after)
{
	Datum		args[3] = {bo_text(stock->key.tenant), bo_text(stock->key.item), bo_text(stock->key.location)};
	uint64		n = bo_run_statement(BO_READ_OPEN_SUPPLY, NULL, args, false);
	int			max = n + list_length(stock->supplies);
	DatedSupply *old = palloc0(sizeof(DatedSupply) * Max(max, 1));
	DatedSupply *now = palloc0(sizeof(DatedSupply) * Max(max, 1));
	int			nnow = 0;
	ListCell   *lc;

	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		bool		in_settling = false;

		old[i].po_id = bo_result_int64(SPI_tuptable, i, 1);
		old[i].line_no = bo_result_int32(SPI_tuptable, i, 2);
		old[i].open = bo_result_qty(SPI_tuptable, i, 3);
		old[i].date = DatumGetDateADT(bo_result(SPI_tuptable, i, 4, &isnull));
		old[i].has_date = !isnull;
		foreach(lc, stock->supplies)
		{
			SupplyRow  *row = lfirst(lc);

			in_settling |= row->po_id == old[i].po_id && row->line_no == old[i].line_no;
		}
		if (!in_settling)
			now[nnow++] = old[i];
	}
	SPI_freetuptable(SPI_tuptable);
	foreach(lc, stock->supplies)
	{
		SupplyRow  *row = lfirst(lc);
		Qty			open = bo_supply_open(row);

		if (qty_sign(open) <= 0)
			continue;
		now[nnow].po_id = row->po_id;
		now[nnow].line_no = row->line_no;
		now[nnow].open = open;
		now[nnow].has_date = row->has_expected_at;
		now[nnow++].date = row->expected_at;
	}
	bo_supply_profile(before, old, n);
	bo_supply_profile(after, now, nnow);
}

/* Lines of this settling that wait and have no row yet, by rank. */
static List *
joining_lines(Stock *stock)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, stock->lines)
	{
		Line	   *line = lfirst(lc);

		if (!line->exists && bo_is_waiting(line))
			result = lappend(result, line);
	}
	list_sort(result, bo_compare_rank_cells);
	return result;
}

/* Does every joining line rank behind every recorded waiting line? */
static bool
joins_at_end(Stock *stock, List *joining)
{
	Datum		args[3] = {bo_text(stock->key.tenant), bo_text(stock->key.item), bo_text(stock->key.location)};
	Line		last = {0};
	bool		last_waits = false;

	if (qty_cmp(stock->old_backordered, stock->old_held) == 0)
		return true;
	if (bo_run_statement(BO_READ_LAST_WAITING, NULL, args, false) > 0)
	{
		last.priority = bo_result_int32(SPI_tuptable, 0, 1);
		last.queued_at = (TimestampTz) bo_result_int64(SPI_tuptable, 0, 2);
		last.line_id = bo_result_int64(SPI_tuptable, 0, 3);
		last_waits = true;
	}
	SPI_freetuptable(SPI_tuptable);
	return !last_waits || bo_compare_rank(&last, linitial(joining)) < 0;
}

/* What waits now, held lines left out. */
static Qty
waiting_now(Stock *stock)
{
	Qty 		result = bo_other_waiting(stock);
	ListCell   *lc;

	foreach(lc, stock->lines)
		if (bo_is_waiting(lfirst(lc)))
			result = qty_add(result, bo_waits_for(lfirst(lc)));
	return result;
}

/*
 * Walks the queue from its front and makes the promises that changed, of at
 * most `limit` recorded lines; the rest is marked on the stock row.
 */
static void
promise_queue(SettleState *st, Stock *stock, const SupplyProfile *before, const SupplyProfile *after, int64 limit)
{
	Queue		queue;
	Line	   *line;
	Qty			upto = qty_zero;
	Qty 		old_upto = qty_zero; /* of lines not in_settling, as they were */
	bool		finished = true;

	bo_queue_open(&queue, stock, false, qty_sign(bo_other_waiting(stock)) > 0);
	while ((line = bo_queue_next(&queue)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		upto = qty_add(upto, bo_waits_for(line));
		if (!line->joined)
			old_upto = qty_add(old_upto, bo_waits_for(line));
		promise_line(st, line, after, upto);
		/* Behind what supply reaches now and reached before, no line has a promise. */
		if (!stock->promises_stale && qty_cmp(upto, after->total) > 0 && qty_cmp(old_upto, before->total) > 0)
			break;
		if (limit > 0 && (int64) queue.nread >= limit)
		{
			if (queue.row == NULL)
				queue.row = bo_queue_row(&queue);
			if (queue.row != NULL)
			{
				finished = false;
				break;
			}
		}
	}
	/* This settling's own lines behind the end of the walk. */
	while (queue.next_mine < list_length(queue.mine))
		promise_line(st, list_nth(queue.mine, queue.next_mine++), after, qty_add(qty_add(after->total, upto), qty_int(1)));
	bo_queue_close(&queue);
	if (stock->promises_stale == finished)
	{
		stock->promises_stale = !finished;
		stock->changed = true;
	}
}

/* Makes the promises of a stock row's queue that changed. */
void
bo_promise_stock(SettleState *st, Stock *stock)
{
	SupplyProfile before;
	SupplyProfile after;
	ListCell   *lc;
	List	   *joining;

	foreach(lc, stock->lines)
	{
		Line	   *line = lfirst(lc);

		if (!line->remove && qty_cmp(line->open, line->allocated) <= 0)
			set_promise(line, false, 0);
		else if (!line->remove && !bo_is_eligible(line))
			set_promise(line, false, 0);	/* it uses no supply */
		stock->rank_changed |= line->rank_changed && (qty_sign(line->old_backordered) > 0 || bo_is_waiting(line));
	}
	if (qty_sign(stock->on_order) == 0 && !stock->supply_changed && !stock->promises_stale)
	{
		/* Nothing is coming and nothing was: no line has or gets a promise. */
		return;
	}
	joining = joining_lines(stock);
	if (st->request->leave_promises && joining != NIL && !joins_at_end(stock, joining))
	{
		stock->promises_stale = stock->changed = true;
		return;
	}
	if (joining == NIL && !stock->rank_changed && !stock->supply_changed && qty_sign(stock->allocated_to_waiting) == 0 && !st->request->repromise)
		return;
	read_handling_time(stock);
	read_profiles(st, stock, &before, &after);
	if (st->request->repromise)
	{
		promise_queue(st, stock, &before, &after, 0);
		return;
	}
	if (stock->rank_changed || !bo_profile_shifted(&before, &after, stock->allocated_to_waiting) ||
		(joining != NIL && !joins_at_end(stock, joining)))
	{
		promise_queue(st, stock, &before, &after, bo_repromise_limit);
		return;
	}
	if (joining != NIL)
	{
		Qty			upto = waiting_now(stock);

		foreach(lc, joining)
			upto = qty_sub(upto, bo_waits_for(lfirst(lc)));
		foreach(lc, joining)
		{
			upto = qty_add(upto, bo_waits_for(lfirst(lc)));
			promise_line(st, lfirst(lc), &after, upto);
		}
	}
}
