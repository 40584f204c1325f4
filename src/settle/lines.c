/*
 * lines.c
 *		What reconcile found, applied to the recorded lines, and the lines written.
 *
 * Part of settling: everything here runs under the stock locks that
 * bo_settle() takes, in its SPI scope and memory context.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "announce/announce.h"
#include "base/base.h"
#include "mapping/mapping.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

/*
 * The application says that more, or less, of a line was shipped.  Takes from
 * the line's allocation, then from what is free; settle_set() does the rest.
 */
static void
ship(SettleState *st, Line *line, Qty difference)
{
	int64		movement_id;

	if (qty_sign(difference) == 0)
		return;
	if (line->stock->stock_source_id != 0)
	{
		bo_ship_attached_stock(st, line, difference);
		return;
	}
	movement_id = bo_next_movement_id();
	bo_add_movement(st, line->stock, movement_id, "shipment", qty_neg(difference), qty_zero, line->line_id, NULL);
	if (qty_sign(difference) > 0)
	{
		Qty			own = qty_min(difference, line->allocated);

		bo_allocate(st, line, qty_neg(own), "shipment", movement_id, NULL);
		line->overshipped = qty_sub(difference, own);
	}
	else
		line->returned = qty_neg(difference);
}

/* The application's values, and what of the allocation they leave. */
static void
take_values(SettleState *st, LineChange *change, Line *line)
{
	MappedLine *now = change->mapped;

	line->customer = now->customer;
	line->ordered = now->quantity;
	line->cancelled = now->cancelled;
	line->picked = now->picked;
	line->priority = now->priority;
	line->held = now->held;
	line->has_requested_at = now->has_requested_at;
	line->requested_at = now->requested_at;
	if (now->has_queued_at)
		line->queued_at = now->queued_at;
	line->shipped = now->shipped;
	if (line->new_incarnation)
		line->first_shipped = qty_sign(now->shipped) > 0 ? now->shipped : NULL;
}

static void
release_excess(SettleState *st, Line *line, const char *cause)
{
	bo_set_open(line);
	/* A decrease: from auto_cancelled first, then from what waits, then from the allocation. */
	if (qty_cmp(line->allocated, line->open) > 0)
		bo_allocate(st, line, qty_sub(line->open, line->allocated), cause, 0, NULL);
}

/*
 * A line that an import records waits for its first settling, which is by rank
 * when all are recorded: until then first_allocated is NULL.  What is held,
 * picked or done with, or got back what it had shipped, has nothing to wait for.
 */
static void
wait_for_first_settling(SettleState *st, const LineChange *change, Line *line)
{
	bool		waits = !line->held && qty_sign(line->picked) == 0 && qty_cmp(line->open, line->allocated) > 0;

	if (line->first_allocated == NULL && !waits)
		line->first_allocated = qty_zero;
	else if (line->new_incarnation && st->request->record_only && change->baseline && waits)
		line->first_allocated = NULL;
}

static void
begin_incarnation(SettleState *st, Line *line)
{
	line->line_id = bo_next_line_id();
	if (st->first_line_id == 0)
		st->first_line_id = line->line_id;
	line->new_incarnation = true;
	line->queued_at = st->clock;
	line->first_allocated = line->allocated = qty_zero;
	line->auto_cancelled = qty_zero;
	line->has_promised_at = line->has_first_promised_at = false;
	line->live = true;
	line->deleted = false;
}

static Line *
new_line(SettleState *st, LineChange *change)
{
	Line	   *line = palloc0(sizeof(Line));
	MappedLine *now = change->mapped;

	line->stock = change->stock;
	line->tenant = change->mapping->tenant;
	line->source_id = change->mapping->source_id;
	line->order_key = change->order_key;
	line->line_key = now->line_key;
	line->old_backordered = line->old_covered = line->old_allocated = qty_zero;
	line->returned = line->overshipped = qty_zero;
	line->shipped = qty_zero;
	begin_incarnation(st, line);
	return line;
}

/* The line has another key now: the row follows, and the order it left is to be told. */
static void
move_line(LineChange *change, Line *line)
{
	if (strcmp(line->order_key, change->order_key) == 0 && strcmp(line->line_key, change->mapped->line_key) == 0)
		return;
	if (qty_sign(line->old_backordered) > 0)
		bo_announce_later(line->stock->key.tenant, line->source_id, line->order_key, line->quiet);
	line->rekeyed = true;
	line->order_key = change->order_key;
	line->line_key = change->mapped->line_key;
}

/* The line takes part in the settling, in the change's way, and is written. */
static void
begin_change(LineChange *change, Line *line)
{
	line->quiet = change->quiet;
	line->refuse_overship = change->mapping->refuse_overship;
	line->dirty = true;
	bo_join_settling(line);
}

/* What came back from the customer goes to the line itself, as far as it waits. */
static void
keep_returned(SettleState *st, Line *line)
{
	Qty			back;

	if (qty_sign(line->returned) <= 0)
		return;
	back = qty_min(line->returned, bo_waits_for(line));
	if (qty_sign(back) > 0)
		bo_allocate_to(st, line, back);
}

/* A line that is not recorded yet. */
static void
insert_line(SettleState *st, LineChange *change)
{
	Line	   *line = change->line = new_line(st, change);

	begin_change(change, line);
	take_values(st, change, line);
	if (line->ordered == NULL || qty_sign(line->ordered) < 0)
		line->ordered = line->shipped;
	if (!change->mapped->demand)
	{
		line->live = false;
		line->cancelled = qty_max(qty_sub(line->ordered, line->shipped), qty_zero);
	}
	bo_set_open(line);
	wait_for_first_settling(st, change, line);
	if (!change->baseline)
		ship(st, line, change->known_shipped ? qty_sub(line->shipped, change->known_shipped) : line->shipped);
}

/* A recorded line that stays in its place in the queue, but for what changes its rank. */
static void
update_line(SettleState *st, LineChange *change)
{
	Line	   *line = change->line;
	MappedLine *now = change->mapped;

	begin_change(change, line);
	move_line(change, line);
	if (!change->baseline)
		ship(st, line, qty_sub(now->shipped, line->shipped));
	if (line->priority != now->priority || line->held != now->held ||
		(now->has_queued_at && now->queued_at != line->queued_at))
		line->rank_changed = true;
	take_values(st, change, line);
	release_excess(st, line, "decrease");
	keep_returned(st, line);
	wait_for_first_settling(st, change, line);
	if (qty_cmp(bo_waits_for(line), line->old_backordered) != 0)
		line->rank_changed = true;
}

/* A recorded line gives back what it has and leaves its queue: another incarnation takes its row. */
static void
leave_queue(SettleState *st, LineChange *change, Line *line)
{
	bo_join_settling(line);
	line->rank_changed = true;
	if (qty_sign(line->allocated) > 0)
		bo_allocate(st, line, qty_neg(line->allocated), "requeued", 0, NULL);
	if (qty_sign(line->old_backordered) > 0)
		bo_announce_later(line->stock->key.tenant, line->source_id, line->order_key, change->quiet);
	line->dirty = false;
	line->open = qty_zero;
	line->remove = true;
	line->new_incarnation = true;
}

/* A recorded line that gets a new place in the queue, perhaps of other stock: a new incarnation in the same row. */
static void
renew_line(SettleState *st, LineChange *change)
{
	Line	   *old = change->line;
	Line	   *line;
	MappedLine *now = change->mapped;
	Qty			shipped = qty_sub(now->shipped, change->known_shipped ? change->known_shipped : old->shipped);

	/* Shipped before: of a deleted incarnation only the excess is new. */
	if (old->deleted && change->known_shipped == NULL && qty_sign(shipped) < 0)
		shipped = qty_zero;
	leave_queue(st, change, old);

	line = change->line = new_line(st, change);
	line->tid = old->tid;
	line->rekeyed = strcmp(old->order_key, change->order_key) != 0 || strcmp(old->line_key, now->line_key) != 0;
	begin_change(change, line);
	take_values(st, change, line);
	bo_set_open(line);
	if (!change->baseline)
	{
		if (qty_sign(shipped) >= 0 || old->stock == change->stock)
			ship(st, line, shipped);
		else if (old->stock->stock_source_id == 0)
			bo_add_movement(st, old->stock, bo_next_movement_id(), "shipment", qty_neg(shipped), qty_zero, old->line_id, NULL);
	}
	keep_returned(st, line);
	wait_for_first_settling(st, change, line);
}

/* A recorded line that left the application, or is not live any more. */
static void
end_line(SettleState *st, LineChange *change)
{
	Line	   *line = change->line;
	MappedLine *now = change->mapped;

	begin_change(change, line);
	if (now != NULL)
		move_line(change, line);
	if (qty_sign(line->old_backordered) > 0)
		line->rank_changed = true;
	if (now != NULL && !change->baseline)
		ship(st, line, qty_sub(now->shipped, change->known_shipped ? change->known_shipped : line->shipped));
	if (now != NULL)
	{
		line->shipped = now->shipped;
		line->returned = qty_zero;
	}
	line->live = false;
	line->deleted = now == NULL;
	line->auto_cancelled = qty_zero;
	line->cancelled = qty_max(qty_sub(line->ordered, line->shipped), qty_zero);
	release_excess(st, line, "cancelled");
	wait_for_first_settling(st, change, line);
	if (qty_sign(line->shipped) == 0 || change->displaced)
		line->remove = true;
}

/* Applies what reconcile found for one line. */
void
bo_apply_change(SettleState *st, LineChange *change)
{
	st->request->lines_changed++;
	switch (change->action)
	{
		case LINE_INSERT:
			insert_line(st, change);
			break;
		case LINE_UPDATE:
			update_line(st, change);
			break;
		case LINE_RENEW:
			renew_line(st, change);
			break;
		case LINE_END:
			end_line(st, change);
			break;
	}
}

/* Reads the recorded rows of the changes, fresh under the stock locks. */
void
bo_read_changed_lines(SettleState *st)
{
	BoRows	   *rows = NULL;
	LineChange **by_n = palloc(sizeof(LineChange *) * Max(list_length(st->request->changes), 1));
	ListCell   *lc;
	SPITupleTable *table;
	uint64		n;
	int			count = 0;

	foreach(lc, st->request->changes)
	{
		LineChange *change = lfirst(lc);
		Datum		values[5];
		bool		nulls[5] = {false};

		if (change->old_line_key == NULL)
			continue;
		values[0] = bo_text(change->mapping->tenant);
		values[1] = Int32GetDatum(change->mapping->source_id);
		values[2] = bo_text(change->old_order_key);
		values[3] = bo_text(change->old_line_key);
		values[4] = Int32GetDatum(count);
		if (rows == NULL)
			rows = bo_rows(BO_ROWS_LINE_KEYS);
		bo_rows_put(rows, values, nulls);
		by_n[count++] = change;
	}
	if (rows == NULL)
		return;
	n = bo_run_statement(BO_READ_LINES, rows, NULL, false);
	if (n != (uint64) count)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update of an order line")));
	table = SPI_tuptable;
	for (uint64 row = 0; row < n; row++)
	{
		LineChange *change = by_n[bo_result_int32(table, row, LINE_N + 1)];

		change->line = bo_load_line(table, row, change->old_stock);
	}
	SPI_freetuptable(table);
	bo_rows_drop(rows);
}

static void
put_line(BoRows *rows, Line *line)
{
	Datum		values[GIVEN_LINE_COLUMNS];
	bool		nulls[GIVEN_LINE_COLUMNS] = {false};

	values[GIVEN_LINE_TID] = PointerGetDatum(&line->tid);
	values[GIVEN_LINE_LINE_ID] = Int64GetDatum(line->line_id);
	values[GIVEN_LINE_QUEUED_AT] = TimestampTzGetDatum(line->queued_at);
	values[GIVEN_LINE_SOURCE_ID] = Int32GetDatum(line->source_id);
	values[GIVEN_LINE_PRIORITY] = Int32GetDatum(line->priority);
	values[GIVEN_LINE_LIVE] = BoolGetDatum(line->live);
	values[GIVEN_LINE_DELETED] = BoolGetDatum(line->deleted);
	values[GIVEN_LINE_HELD] = BoolGetDatum(line->held);
	values[GIVEN_LINE_TENANT] = bo_text(line->stock->key.tenant);
	values[GIVEN_LINE_ORDER_KEY] = bo_text(line->order_key);
	values[GIVEN_LINE_LINE_KEY] = bo_text(line->line_key);
	values[GIVEN_LINE_ITEM] = bo_text(line->stock->key.item);
	values[GIVEN_LINE_LOCATION] = bo_text(line->stock->key.location);
	values[GIVEN_LINE_ORDERED] = NumericGetDatum(line->ordered);
	values[GIVEN_LINE_CANCELLED] = NumericGetDatum(line->cancelled);
	values[GIVEN_LINE_AUTO_CANCELLED] = NumericGetDatum(line->auto_cancelled);
	values[GIVEN_LINE_SHIPPED] = NumericGetDatum(line->shipped);
	values[GIVEN_LINE_PICKED] = NumericGetDatum(line->picked);
	values[GIVEN_LINE_ALLOCATED] = NumericGetDatum(line->allocated);
	values[GIVEN_LINE_FIRST_ALLOCATED] = NumericGetDatum(line->first_allocated);
	nulls[GIVEN_LINE_FIRST_ALLOCATED] = line->first_allocated == NULL;
	values[GIVEN_LINE_CUSTOMER] = bo_text(line->customer);
	nulls[GIVEN_LINE_CUSTOMER] = line->customer == NULL;
	values[GIVEN_LINE_REQUESTED_AT] = DateADTGetDatum(line->requested_at);
	nulls[GIVEN_LINE_REQUESTED_AT] = !line->has_requested_at;
	values[GIVEN_LINE_FIRST_PROMISED_AT] = DateADTGetDatum(line->first_promised_at);
	nulls[GIVEN_LINE_FIRST_PROMISED_AT] = !line->has_first_promised_at;
	values[GIVEN_LINE_PROMISED_AT] = DateADTGetDatum(line->promised_at);
	nulls[GIVEN_LINE_PROMISED_AT] = !line->has_promised_at;
	values[GIVEN_LINE_FIRST_SHIPPED] = NumericGetDatum(line->first_shipped);
	nulls[GIVEN_LINE_FIRST_SHIPPED] = line->first_shipped == NULL;
	values[GIVEN_LINE_FOLDED] = NumericGetDatum(line->folded);
	nulls[GIVEN_LINE_FOLDED] = line->folded == NULL;
	bo_rows_put(rows, values, nulls);
}

/* So many lines are written at once: as many as a row set keeps in memory without copying them. */
#define WRITE_BATCH 1000

/* Lines on their way to a statement. */
typedef struct Writing
{
	BoStatement statement;
	BoDeferredIndex *deferred;	/* of the rows */
	BoRows	   *rows;
	int			n;
	MemoryContext cx;			/* of the rows */
} Writing;

static void
write_batch(Writing *writing)
{
	MemoryContext old;

	if (writing->cx == NULL)
		return;
	old = MemoryContextSwitchTo(writing->cx);
	bo_flush_rows(writing->statement, writing->rows);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writing->cx);
	writing->rows = NULL;
	writing->n = 0;
}

static void
write_line(Writing *writing, Line *line)
{
	MemoryContext old;

	if (writing->cx == NULL)
		writing->cx = AllocSetContextCreate(CurrentMemoryContext, "backorder lines", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(writing->cx);
	if (writing->rows == NULL)
		writing->rows = bo_rows_deferred(BO_ROWS_LINES, writing->deferred);
	put_line(writing->rows, line);
	MemoryContextSwitchTo(old);
	if (++writing->n == WRITE_BATCH)
		write_batch(writing);
}

/* Writes the lines that changed, counts them into their stock, and notes their orders for announcing. */
void
bo_write_lines(SettleState *st)
{
	Writing 	inserted = {.statement = BO_INSERT_LINES,.deferred = st->deferred};
	Writing		updated = {.statement = BO_UPDATE_LINES};
	Writing		deleted = {.statement = BO_DELETE_LINES};
	Qty			old_backordered;
	ListCell   *lc;

	for (int i = 0; i < st->nstocks; i++)
	{
		Stock	   *stock = st->stocks[i];

		foreach(lc, stock->lines)
		{
			Line	   *line = lfirst(lc);
			bool		has_row = ItemPointerIsValid(&line->tid);
			Qty			backordered = line->remove ? qty_zero : bo_waits_for(line);
			bool		eligible = bo_is_eligible(line);

			/* Counters: the line as it was goes, as it is comes. */
			old_backordered = line->exists ? line->old_backordered : qty_zero;
			if (qty_cmp(backordered, old_backordered) != 0 || (line->exists && eligible != line->old_eligible))
				stock->changed = true;
			stock->backordered = qty_add(stock->backordered, qty_sub(backordered, old_backordered));
			if (line->exists && !line->old_eligible)
				stock->backordered_held = qty_sub(stock->backordered_held, old_backordered);
			if (!eligible && !line->remove)
				stock->backordered_held = qty_add(stock->backordered_held, backordered);
			if (line->rank_changed)
				stock->changed = true;
			if (qty_sign(old_backordered) > 0 || qty_sign(backordered) > 0)
			{
				bo_announce_later(stock->key.tenant, line->source_id, line->order_key, line->quiet);
				if (!line->remove && (qty_cmp(line->allocated, line->old_allocated) != 0 || !line->exists))
					bo_remember_line(line->line_id, line->new_incarnation ? qty_zero : line->old_allocated, line->new_incarnation ? qty_zero : line->old_covered);
			}
			if (!line->dirty)
				continue;
			if (line->remove || line->rekeyed)
			{
				if (has_row)
					write_line(&deleted, line);
			}
			else if (has_row)
				write_line(&updated, line);
		}
	}
	/* Deletes first: a key that is freed here may be inserted below. */
	write_batch(&deleted);
	write_batch(&updated);
	/* Every line that gets a row comes from a change: in the order of orders and lines, so that those of one order lie together. */
	foreach(lc, st->request->changes)
	{
		Line	   *line = ((LineChange *) lfirst(lc))->line;

		if (line != NULL && line->dirty && !line->remove && (line->rekeyed || !ItemPointerIsValid(&line->tid)))
			write_line(&inserted, line);
	}
	write_batch(&inserted);
}
