/*
 * queue.c
 *		The queue of an item: the recorded rows by rank with the lines of this
 *		settling merged in.  Rows are read only as far as somebody asks.
 *
 * Part of settling: everything here runs under the stock locks that
 * bo_settle() takes, in its SPI scope and memory context.
 */
#include "postgres.h"

#include "base/base.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

/*
 * Rows are fetched from a queue in pieces.  Mostly the first few lines get all
 * there is, so the first piece is small; each next one is larger, as far as
 * memory for its rows stays small.
 */
#define FETCH_FIRST 10
#define FETCH_GROWTH 4
#define FETCH_MAX 1000

/* Makes open what the other quantities of the line say. */
void
bo_set_open(Line *line)
{
	Qty			open = qty_sub(qty_sub(qty_sub(line->ordered, line->cancelled), line->auto_cancelled), line->shipped);

	line->open = qty_sign(open) < 0 ? qty_zero : open;
}

/* Does the line wait, and may it be served? */
bool
bo_is_waiting(const Line *line)
{
	return bo_is_eligible(line) && !line->remove && qty_cmp(line->open, line->allocated) > 0;
}

static char *
text_or_null(Datum value, bool isnull)
{
	return isnull ? NULL : TextDatumGetCString(value);
}

static Qty
qty_or_null(Datum value, bool isnull)
{
	return isnull ? NULL : qty_copy(value);
}

/* A line out of a result by LineColumn. */
Line *
bo_load_line(SPITupleTable *table, uint64 row, Stock *stock)
{
	Line	   *line = palloc0(sizeof(Line));
	Datum		values[LINE_COLUMNS_READ];
	bool		nulls[LINE_COLUMNS_READ];
	Qty			backordered;

	bo_result_row(table, row, values, nulls);
	line->tid = *(ItemPointer) DatumGetPointer(values[LINE_CTID]);
	line->exists = true;
	line->stock = stock;
	line->line_id = DatumGetInt64(values[LINE_LINE_ID]);
	line->new_incarnation = stock != NULL && stock->own_lines_from != 0 && line->line_id >= stock->own_lines_from;
	line->queued_at = DatumGetTimestampTz(values[LINE_QUEUED_AT]);
	line->source_id = DatumGetInt32(values[LINE_SOURCE_ID]);
	line->priority = DatumGetInt32(values[LINE_PRIORITY]);
	line->live = DatumGetBool(values[LINE_LIVE]);
	line->deleted = DatumGetBool(values[LINE_DELETED]);
	line->held = DatumGetBool(values[LINE_HELD]);
	line->tenant = stock ? stock->key.tenant : NULL;
	line->order_key = TextDatumGetCString(values[LINE_ORDER_KEY]);
	line->line_key = TextDatumGetCString(values[LINE_LINE_KEY]);
	line->ordered = qty_copy(values[LINE_ORDERED]);
	line->cancelled = qty_copy(values[LINE_CANCELLED]);
	line->auto_cancelled = qty_copy(values[LINE_AUTO_CANCELLED]);
	line->shipped = qty_copy(values[LINE_SHIPPED]);
	line->picked = qty_copy(values[LINE_PICKED]);
	line->allocated = qty_copy(values[LINE_ALLOCATED]);
	line->first_allocated = qty_or_null(values[LINE_FIRST_ALLOCATED], nulls[LINE_FIRST_ALLOCATED]);
	backordered = qty_copy(values[LINE_BACKORDERED]);
	line->customer = text_or_null(values[LINE_CUSTOMER], nulls[LINE_CUSTOMER]);
	line->requested_at = DatumGetDateADT(values[LINE_REQUESTED_AT]);
	line->has_requested_at = !nulls[LINE_REQUESTED_AT];
	line->first_promised_at = DatumGetDateADT(values[LINE_FIRST_PROMISED_AT]);
	line->has_first_promised_at = !nulls[LINE_FIRST_PROMISED_AT];
	line->promised_at = DatumGetDateADT(values[LINE_PROMISED_AT]);
	line->has_promised_at = !nulls[LINE_PROMISED_AT];
	line->first_shipped = qty_or_null(values[LINE_FIRST_SHIPPED], nulls[LINE_FIRST_SHIPPED]);
	line->folded = qty_or_null(values[LINE_FOLDED], nulls[LINE_FOLDED]);
	line->old_backordered = backordered;
	line->old_covered = qty_add(line->allocated, line->shipped);
	line->old_allocated = line->allocated;
	line->old_eligible = bo_is_eligible(line);
	line->returned = qty_zero;
	line->overshipped = qty_zero;
	line->open = qty_add(line->allocated, backordered);
	return line;
}

/* Puts a line into its stock's list: it will be counted, and written if dirty. */
void
bo_join_settling(Line *line)
{
	Stock	   *stock = line->stock;

	if (line->joined)
		return;
	line->joined = true;
	stock->lines = lappend(stock->lines, line);
	if (line->exists)
	{
		if (stock->joined_rows == NULL)
		{
			HASHCTL		ctl = {.keysize = sizeof(int64),.entrysize = sizeof(int64),.hcxt = CurrentMemoryContext};

			stock->joined_rows = hash_create("backorder touched lines", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		}
		(void) hash_search(stock->joined_rows, &line->line_id, HASH_ENTER, NULL);
	}
}

/* Negative where a is served before b. */
int
bo_compare_rank(const Line *a, const Line *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	if (a->queued_at != b->queued_at)
		return a->queued_at < b->queued_at ? -1 : 1;
	return a->line_id < b->line_id ? -1 : a->line_id > b->line_id;
}

/* The same for list_sort(). */
int
bo_compare_rank_cells(const ListCell *a, const ListCell *b)
{
	return bo_compare_rank(lfirst(a), lfirst(b));
}

/* Opens the queue of a stock row, by rank; backwards: its allocated lines from the lowest rank up. */
void
bo_queue_open(Queue *queue, Stock *stock, bool backwards, bool read_rows)
{
	ListCell   *lc;

	memset(queue, 0, sizeof(*queue));
	queue->stock = stock;
	queue->backwards = backwards;
	foreach(lc, stock->lines)
	{
		Line	   *line = lfirst(lc);

		if (backwards ? qty_sign(line->allocated) > 0 && !line->remove : bo_is_waiting(line))
			queue->mine = lappend(queue->mine, line);
	}
	list_sort(queue->mine, bo_compare_rank_cells);
	if (backwards)
	{
		List	   *reversed = NIL;

		for (int i = list_length(queue->mine) - 1; i >= 0; i--)
			reversed = lappend(reversed, list_nth(queue->mine, i));
		queue->mine = reversed;
	}
	if (read_rows)
	{
		Datum		args[3] = {bo_text(stock->key.tenant), bo_text(stock->key.item), bo_text(stock->key.location)};

		queue->portal = bo_open_cursor(backwards ? BO_READ_ALLOCATED : BO_READ_QUEUE, args);
		queue->fetch = FETCH_FIRST;
	}
}

/* Closes a queue; what was read stays. */
void
bo_queue_close(Queue *queue)
{
	if (queue->table)
		SPI_freetuptable(queue->table);
	if (queue->portal)
		SPI_cursor_close(queue->portal);
	queue->table = NULL;
	queue->portal = NULL;
}

/* The next recorded row that this settling has not touched, or NULL. */
Line *
bo_queue_row(Queue *queue)
{
	while (queue->portal != NULL)
	{
		while (queue->next_row < queue->nrows)
		{
			Line	   *line;

			if (queue->stock->joined_rows != NULL)
			{
				int64		line_id = bo_result_int64(queue->table, queue->next_row, LINE_LINE_ID + 1);

				if (hash_search(queue->stock->joined_rows, &line_id, HASH_FIND, NULL) != NULL)
				{
					queue->next_row++;
					continue;
				}
			}
			line = bo_load_line(queue->table, queue->next_row++, queue->stock);
			queue->nread++;
			return line;
		}
		if (queue->table)
			SPI_freetuptable(queue->table);
		SPI_cursor_fetch(queue->portal, true, queue->fetch);
		queue->table = SPI_tuptable;
		queue->nrows = SPI_processed;
		queue->next_row = 0;
		queue->fetch = Min(queue->fetch * FETCH_GROWTH, FETCH_MAX);
		if (queue->nrows == 0)
			bo_queue_close(queue);
	}
	return NULL;
}

/* The next line of the queue, or NULL. */
Line *
bo_queue_next(Queue *queue)
{
	Line	   *mine = queue->next_mine < list_length(queue->mine) ? list_nth(queue->mine, queue->next_mine) : NULL;
	Line	   *result;

	if (queue->row == NULL)
		queue->row = bo_queue_row(queue);
	if (mine == NULL && queue->row == NULL)
		return NULL;
	if (queue->row == NULL ||
		(mine != NULL && (queue->backwards ? bo_compare_rank(mine, queue->row) > 0 : bo_compare_rank(mine, queue->row) < 0)))
	{
		queue->next_mine++;
		return mine;
	}
	result = queue->row;
	queue->row = NULL;
	return result;
}

/* What recorded lines that this settling has not touched wait for, as far as they are eligible. */
Qty
bo_other_waiting(Stock *stock)
{
	Qty			result = qty_sub(stock->old_backordered, stock->old_held);
	ListCell   *lc;

	foreach(lc, stock->lines)
	{
		Line	   *line = lfirst(lc);

		if (line->exists && line->old_eligible)
			result = qty_sub(result, line->old_backordered);
	}
	return result;
}
