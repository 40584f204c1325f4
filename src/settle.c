/*
 * settle.c
 *		The only place that deals stock.
 *
 * Every cause ends here: under the stock locks, taken sorted, movements,
 * supply and line changes are applied, what is available is dealt down the
 * queue (or what is missing taken back from its end), promises are made, and
 * lines, counters and ledger are written, each row once.
 *
 * The queue of an item is the recorded rows by rank with the lines of this
 * settling merged in; rows are read only as far as stock, or supply, reaches.
 */
#include "backorder.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "json.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(bo_collect_dealt);
PG_FUNCTION_INFO_V1(bo_collected_dealt);

/* Rows are fetched from a queue in pieces that grow up to this. */
#define FETCH_MAX 1000

/* Goods that came in with this settling, in order: what deals are made from. */
typedef struct GoodsIn
{
	Movement   *movement;
	Qty			left;
} GoodsIn;

/* One supply row. */
typedef struct SupplyRow
{
	char	   *tenant;
	int64		po_id;
	int32		line_no;
	Stock	   *stock;
	Qty			quantity;
	Qty			received;
	bool		has_expected_at;
	DateADT		expected_at;
	bool		closed;
	Qty			open;
	bool		exists;
	bool		dirty;
	bool		remove;
} SupplyRow;

/* One item at one location. */
struct Stock
{
	StockKey	key;
	int			n;				/* position in lock order */
	Qty			on_hand;
	Qty			unavailable;
	Qty			allocated;
	Qty			backordered;
	Qty			backordered_held;
	Qty			on_order;
	bool		promises_stale;
	int32		handling_time;
	bool		locked;

	/* as locked */
	Qty			old_backordered;
	Qty			old_held;

	List	   *lines;			/* of Line: touched */
	HTAB	   *touched_rows;	/* line_id of touched lines that have a row */
	List	   *goods;			/* of GoodsIn */
	List	   *supplies;		/* of SupplyRow that this settling touches */
	Qty			shipped_out;	/* shipped beyond allocation: what may be booked as found */
	Qty			dealt_waiting;	/* dealt to lines that had been waiting */
	bool		requeued;		/* the queue changed otherwise than by dealing and joining at its end */
	bool		supply_changed;
	bool		changed;
	bool		reduced;		/* a movement took stock away */
};

typedef struct Settle
{
	Settlement *s;
	HTAB	   *by_key;
	Stock	  **stocks;			/* sorted */
	int			nstocks;
	TimestampTz now;
	DateADT		today;
	BoRows	   *allocations;
	BoRows	   *movements;
	BoRows	   *events;
	List	   *supplies;		/* of SupplyRow */
} Settle;

/* What the stock functions return; see collect_dealt(). */
static bool collecting;
static MemoryContext dealt_cx;
static Tuplestorestate *dealt_store;
static TupleDesc dealt_desc;

/* ---------- stock ---------- */

static uint32
stock_hash(const void *key, Size size)
{
	const StockKey *k = key;

	return string_hash(k->item, strlen(k->item) + 1) ^ (string_hash(k->location, strlen(k->location) + 1) * 31) ^
		(string_hash(k->tenant, strlen(k->tenant) + 1) * 131);
}

static int
compare_keys(const StockKey *a, const StockKey *b)
{
	int			cmp = strcmp(a->tenant, b->tenant);

	if (cmp == 0)
		cmp = strcmp(a->item, b->item);
	return cmp != 0 ? cmp : strcmp(a->location, b->location);
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

static Stock *
find_stock(Settle *st, char *tenant, char *item, char *location)
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

		stock->on_hand = bo_get_qty(row, 2);
		stock->unavailable = bo_get_qty(row, 3);
		stock->allocated = bo_get_qty(row, 4);
		stock->backordered = stock->old_backordered = bo_get_qty(row, 5);
		stock->backordered_held = stock->old_held = bo_get_qty(row, 6);
		stock->on_order = bo_get_qty(row, 7);
		stock->promises_stale = bo_get_bool(row, 8);
		stock->handling_time = bo_get_int32(row, 9);
		stock->locked = true;
	}
	bo_rows_drop(rows);
	return (int) n;
}

/*
 * Locks the stock rows, sorted; those that do not exist are created before
 * any is locked, so that the order of locks is one for all transactions.
 */
static void
lock_stocks(Settle *st)
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

static Qty
free_quantity(Stock *stock)
{
	return qty_sub(qty_sub(stock->on_hand, stock->unavailable), stock->allocated);
}

/* ---------- lines ---------- */

static void
set_open(Line *line)
{
	Qty			open = qty_sub(qty_sub(qty_sub(line->ordered, line->cancelled), line->auto_cancelled), line->shipped);

	line->open = qty_sign(open) < 0 ? qty_zero : open;
}

static Qty
waits_for(Line *line)
{
	return qty_sub(line->open, line->allocated);
}

static bool
is_waiting(Line *line)
{
	return !line->held && !line->remove && qty_cmp(line->open, line->allocated) > 0;
}

/* A line out of LINE_COLUMNS in SPI_tuptable. */
static Line *
load_line(int row, Stock *stock)
{
	Line	   *line = palloc0(sizeof(Line));
	bool		isnull;
	Qty			backordered;

	line->tid = *(ItemPointer) DatumGetPointer(bo_get(row, 1, &isnull));
	line->exists = true;
	line->stock = stock;
	line->line_id = bo_get_int64(row, 2);
	line->source_id = bo_get_int32(row, 3);
	line->tenant = stock ? stock->key.tenant : NULL;
	line->order_key = bo_get_text(row, 4);
	line->line_key = bo_get_text(row, 5);
	line->customer = bo_get_text(row, 6);
	line->ordered = bo_get_qty(row, 7);
	line->cancelled = bo_get_qty(row, 8);
	line->auto_cancelled = bo_get_qty(row, 9);
	line->shipped = bo_get_qty(row, 10);
	line->picked = bo_get_qty(row, 11);
	line->allocated = bo_get_qty(row, 12);
	line->first_allocated = bo_get_qty(row, 13);
	line->priority = bo_get_int32(row, 14);
	line->held = bo_get_bool(row, 15);
	line->live = bo_get_bool(row, 16);
	line->deleted = bo_get_bool(row, 17);
	line->queued_at = DatumGetTimestampTz(bo_get(row, 18, &isnull));
	line->requested_at = DatumGetDateADT(bo_get(row, 19, &isnull));
	line->has_requested_at = !isnull;
	line->first_promised_at = DatumGetDateADT(bo_get(row, 20, &isnull));
	line->has_first_promised_at = !isnull;
	line->promised_at = DatumGetDateADT(bo_get(row, 21, &isnull));
	line->has_promised_at = !isnull;
	backordered = bo_get_qty(row, 22);
	line->first_shipped = bo_get_qty(row, 23);
	line->old_backordered = backordered;
	line->old_covered = qty_add(line->allocated, line->shipped);
	line->old_allocated = line->allocated;
	line->old_held = line->held;
	line->dealt = qty_zero;
	line->returned = qty_zero;
	line->overshipped = qty_zero;
	line->open = qty_add(line->allocated, backordered);
	return line;
}

/* Puts a line into its stock's list: it will be counted, and written if dirty. */
static void
touch(Line *line)
{
	Stock	   *stock = line->stock;

	if (line->touched)
		return;
	line->touched = true;
	stock->lines = lappend(stock->lines, line);
	if (line->exists)
	{
		if (stock->touched_rows == NULL)
		{
			HASHCTL		ctl = {.keysize = sizeof(int64),.entrysize = sizeof(int64),.hcxt = CurrentMemoryContext};

			stock->touched_rows = hash_create("backorder touched lines", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		}
		(void) hash_search(stock->touched_rows, &line->line_id, HASH_ENTER, NULL);
	}
}

static int
compare_rank(const Line *a, const Line *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	if (a->queued_at != b->queued_at)
		return a->queued_at < b->queued_at ? -1 : 1;
	return a->line_id < b->line_id ? -1 : a->line_id > b->line_id;
}

static int
compare_rank_cells(const ListCell *a, const ListCell *b)
{
	return compare_rank(lfirst(a), lfirst(b));
}

/* ---------- ledger ---------- */

static void
add_ledger(Settle *st, Line *line, Stock *stock, Qty quantity, const char *cause, int64 movement_id, Movement *goods)
{
	Datum		values[9];
	bool		nulls[9] = {false};

	values[0] = bo_text(stock->key.tenant);
	values[1] = Int64GetDatum(line->line_id);
	values[2] = bo_text(stock->key.item);
	values[3] = bo_text(stock->key.location);
	values[4] = NumericGetDatum(quantity);
	values[5] = bo_text(cause);
	values[6] = Int64GetDatum(movement_id);
	nulls[6] = movement_id == 0;
	values[7] = goods && goods->has_po ? Int64GetDatum(goods->po_id) : (Datum) 0;
	values[8] = goods && goods->has_po ? Int32GetDatum(goods->po_line_no) : (Datum) 0;
	nulls[7] = nulls[8] = goods == NULL || !goods->has_po;
	if (st->allocations == NULL)
		st->allocations = bo_rows(BO_ROWS_ALLOCATIONS);
	bo_rows_put(st->allocations, values, nulls);
}

/*
 * Changes a line's allocation.  The first of an incarnation is kept on the
 * line, every later one in the ledger.
 */
static void
allocate(Settle *st, Line *line, Qty quantity, const char *cause, int64 movement_id, Movement *goods)
{
	if (qty_sign(quantity) == 0)
		return;
	touch(line);
	line->allocated = qty_add(line->allocated, quantity);
	line->dirty = true;
	line->stock->allocated = qty_add(line->stock->allocated, quantity);
	line->stock->changed = true;
	if (line->incarnated)
		line->first_allocated = qty_add(line->first_allocated, quantity);
	else
		add_ledger(st, line, line->stock, quantity, cause, movement_id, goods);
}

static void
note_dealt(Line *line, Qty quantity)
{
	MemoryContext old;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (!collecting)
		return;
	old = MemoryContextSwitchTo(dealt_cx);
	values[0] = bo_text(line->stock->key.tenant);
	values[1] = Int32GetDatum(line->source_id);
	values[2] = bo_text(line->order_key);
	values[3] = bo_text(line->line_key);
	values[4] = NumericGetDatum(quantity);
	tuplestore_putvalues(dealt_store, dealt_desc, values, nulls);
	MemoryContextSwitchTo(old);
}

/* Gives stock to a line, naming the goods that came in with this settling first. */
static void
deal_to(Settle *st, Line *line, Qty quantity)
{
	Stock	   *stock = line->stock;
	Qty			rest = quantity;

	touch(line);
	while (qty_sign(rest) > 0)
	{
		GoodsIn    *goods = stock->goods != NIL ? linitial(stock->goods) : NULL;
		Qty			part = goods ? qty_min(goods->left, rest) : rest;

		if (goods)
			allocate(st, line, part, goods->movement->kind, goods->movement->movement_id, goods->movement);
		else
			allocate(st, line, part, "released", 0, NULL);
		rest = qty_sub(rest, part);
		if (goods)
		{
			goods->left = qty_sub(goods->left, part);
			if (qty_sign(goods->left) <= 0)
				stock->goods = list_delete_first(stock->goods);
		}
	}
	line->dealt = qty_add(line->dealt, quantity);
	note_dealt(line, quantity);
}

/* ---------- the queue: recorded rows and this settling's lines, by rank ---------- */

typedef struct Queue
{
	Stock	   *stock;
	bool		backwards;		/* allocated lines from the lowest rank up */
	List	   *mine;			/* of Line, sorted */
	int			next_mine;
	Portal		portal;			/* NULL: no rows to read, or none left */
	SPITupleTable *table;
	uint64		nrows;
	uint64		next_row;
	long		fetch;
	Line	   *row;			/* read ahead */
	uint64		nread;
} Queue;

static void
queue_open(Queue *queue, Stock *stock, bool backwards, bool read_rows)
{
	ListCell   *lc;

	memset(queue, 0, sizeof(*queue));
	queue->stock = stock;
	queue->backwards = backwards;
	foreach(lc, stock->lines)
	{
		Line	   *line = lfirst(lc);

		if (backwards ? qty_sign(line->allocated) > 0 && !line->remove : is_waiting(line))
			queue->mine = lappend(queue->mine, line);
	}
	list_sort(queue->mine, compare_rank_cells);
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

		queue->portal = bo_open(backwards ? BO_READ_ALLOCATED : BO_READ_QUEUE, args);
		queue->fetch = 10;
	}
}

static void
queue_close(Queue *queue)
{
	if (queue->table)
		SPI_freetuptable(queue->table);
	if (queue->portal)
		SPI_cursor_close(queue->portal);
	queue->table = NULL;
	queue->portal = NULL;
}

/* The next recorded row that this settling has not touched, or NULL. */
static Line *
next_row(Queue *queue)
{
	while (queue->portal != NULL)
	{
		while (queue->next_row < queue->nrows)
		{
			Line	   *line;

			SPI_tuptable = queue->table;
			if (queue->stock->touched_rows != NULL)
			{
				int64		line_id = bo_get_int64(queue->next_row, 2);

				if (hash_search(queue->stock->touched_rows, &line_id, HASH_FIND, NULL) != NULL)
				{
					queue->next_row++;
					continue;
				}
			}
			line = load_line(queue->next_row++, queue->stock);
			queue->nread++;
			return line;
		}
		if (queue->table)
			SPI_freetuptable(queue->table);
		SPI_cursor_fetch(queue->portal, true, queue->fetch);
		queue->table = SPI_tuptable;
		queue->nrows = SPI_processed;
		queue->next_row = 0;
		queue->fetch = Min(queue->fetch * 4, FETCH_MAX);
		if (queue->nrows == 0)
			queue_close(queue);
	}
	return NULL;
}

static Line *
queue_next(Queue *queue)
{
	Line	   *mine = queue->next_mine < list_length(queue->mine) ? list_nth(queue->mine, queue->next_mine) : NULL;
	Line	   *result;

	if (queue->row == NULL)
		queue->row = next_row(queue);
	if (mine == NULL && queue->row == NULL)
		return NULL;
	if (queue->row == NULL ||
		(mine != NULL && (queue->backwards ? compare_rank(mine, queue->row) > 0 : compare_rank(mine, queue->row) < 0)))
	{
		queue->next_mine++;
		return mine;
	}
	result = queue->row;
	queue->row = NULL;
	return result;
}

/* What recorded lines that this settling has not touched wait for, held ones left out. */
static Qty
untouched_waiting(Stock *stock)
{
	Qty			result = qty_sub(stock->old_backordered, stock->old_held);
	ListCell   *lc;

	foreach(lc, stock->lines)
	{
		Line	   *line = lfirst(lc);

		if (line->exists && !line->old_held)
			result = qty_sub(result, line->old_backordered);
	}
	return result;
}

/* ---------- movements ---------- */

static void
refuse_movement(Movement *m, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_BO_QUANTITY),
			 errmsg("invalid %s of item \"%s\"", m->kind, m->item),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/* Kind and signs; a shipment takes away, a receipt may be reversed, and so on. */
static void
check_movement(Movement *m)
{
	static const struct
	{
		const char *kind;
		int			quantity;	/* allowed sign: 1, -1, 0 none, 2 any */
		int			unavailable;	/* likewise */
	}			kinds[] = {
		{"receipt", 2, 2}, {"shipment", 2, 0}, {"adjustment", 2, 2}, {"count", 2, 2}, {"transfer", 2, 2},
		{"return", 2, 2}, {"hold", 0, 1}, {"release", 0, -1}, {"opening", 1, 1}
	};
	int			i = 0;

	while (i < (int) lengthof(kinds) && strcmp(kinds[i].kind, m->kind) != 0)
		i++;
	if (i == (int) lengthof(kinds))
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("unknown kind of stock movement \"%s\"", m->kind),
				 errhint("Use receipt, shipment, adjustment, count, transfer, return, hold, release or opening.")));
	if (m->quantity == NULL || m->unavailable == NULL || !qty_finite(m->quantity) || !qty_finite(m->unavailable))
		refuse_movement(m, "Its quantity is not finite.", "Quantities are numbers.");
	if ((kinds[i].quantity == 0 && qty_sign(m->quantity) != 0) ||
		(kinds[i].quantity == 1 && qty_sign(m->quantity) < 0) ||
		(kinds[i].unavailable == 0 && qty_sign(m->unavailable) != 0) ||
		(kinds[i].unavailable == 1 && qty_sign(m->unavailable) < 0) ||
		(kinds[i].unavailable == -1 && qty_sign(m->unavailable) > 0))
		refuse_movement(m, psprintf("Quantity %s and unavailable %s do not fit the kind.", qty_text(m->quantity), qty_text(m->unavailable)),
						"A hold or release changes unavailable only; an opening is not negative.");
	if (m->has_po && strcmp(m->kind, "receipt") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("stock movement of kind \"%s\" cannot name a purchase order", m->kind),
				 errhint("Only receipts do.")));
	if (m->half_po)
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("receipt of item \"%s\" names half a purchase order line", m->item),
				 errhint("Give po_id and po_line_no, or neither.")));
}

static SupplyRow *
find_supply(Settle *st, const char *tenant, int64 po_id, int32 line_no)
{
	ListCell   *lc;

	foreach(lc, st->supplies)
	{
		SupplyRow  *row = lfirst(lc);

		if (row->po_id == po_id && row->line_no == line_no && strcmp(row->tenant, tenant) == 0)
			return row;
	}
	return NULL;
}

static Qty
supply_open(SupplyRow *row)
{
	Qty			open = qty_sub(row->quantity, row->received);

	return row->closed || row->remove || qty_sign(open) < 0 ? qty_zero : open;
}

/* Reads the supply rows that movements and purchase changes name. */
static void
read_supply(Settle *st)
{
	BoRows	   *rows = NULL;
	ListCell   *lc;
	uint64		n;

	foreach(lc, st->s->movements)
	{
		Movement   *m = lfirst(lc);
		Datum		values[3] = {bo_text(m->tenant), Int64GetDatum(m->po_id), Int32GetDatum(m->po_line_no)};
		bool		nulls[3] = {false};

		if (!m->has_po)
			continue;
		if (rows == NULL)
			rows = bo_rows(BO_ROWS_SUPPLY_KEYS);
		bo_rows_put(rows, values, nulls);
	}
	foreach(lc, st->s->supplies)
	{
		SupplyChange *c = lfirst(lc);
		Datum		values[3] = {bo_text(c->tenant), Int64GetDatum(c->po_id), Int32GetDatum(c->line_no)};
		bool		nulls[3] = {false};

		if (rows == NULL)
			rows = bo_rows(BO_ROWS_SUPPLY_KEYS);
		bo_rows_put(rows, values, nulls);
	}
	if (rows == NULL)
		return;
	n = bo_exec(BO_READ_SUPPLY, rows, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		SupplyRow  *row;
		char	   *tenant = bo_get_text(i, 1);
		bool		isnull;
		StockKey	key = {tenant, bo_get_text(i, 4), bo_get_text(i, 5)};

		if (find_supply(st, tenant, bo_get_int64(i, 2), bo_get_int32(i, 3)) != NULL)
			continue;
		row = palloc0(sizeof(SupplyRow));
		row->tenant = tenant;
		row->po_id = bo_get_int64(i, 2);
		row->line_no = bo_get_int32(i, 3);
		row->stock = hash_search(st->by_key, &key, HASH_FIND, NULL);
		row->quantity = bo_get_qty(i, 6);
		row->received = bo_get_qty(i, 7);
		row->expected_at = DatumGetDateADT(bo_get(i, 8, &isnull));
		row->has_expected_at = !isnull;
		row->closed = bo_get_bool(i, 9);
		row->open = bo_get_qty(i, 10);
		row->exists = true;
		if (row->stock)
			row->stock->supplies = lappend(row->stock->supplies, row);
		st->supplies = lappend(st->supplies, row);
	}
	bo_rows_drop(rows);
}

/* Sets on_order and the marks after a supply row changed; before is its open quantity until now. */
static void
supply_written(SupplyRow *row, Qty before)
{
	row->dirty = true;
	row->stock->supply_changed = true;
	row->stock->changed = true;
	row->stock->on_order = qty_add(row->stock->on_order, qty_sub(supply_open(row), before));
}

static void
apply_movements(Settle *st)
{
	ListCell   *lc;

	foreach(lc, st->s->movements)
	{
		Movement   *m = lfirst(lc);
		Stock	   *stock = find_stock(st, m->tenant, m->item, m->location);
		Qty			comes = qty_sub(m->quantity, m->unavailable);

		if (m->has_po)
		{
			SupplyRow  *row = find_supply(st, m->tenant, m->po_id, m->po_line_no);
			Qty			before;

			if (row == NULL || row->stock != stock)
				ereport(ERROR,
						(errcode(ERRCODE_BO_PURCHASE),
						 errmsg("line %d of purchase order " INT64_FORMAT " cannot be received", m->po_line_no, m->po_id),
						 errdetail(row == NULL ? "It is not placed." : "It is of another item or location."),
						 errhint("Only lines of placed purchase orders are received, at their location.")));
			if (row->closed && qty_sign(m->quantity) > 0)
				ereport(ERROR,
						(errcode(ERRCODE_BO_PURCHASE),
						 errmsg("line %d of purchase order " INT64_FORMAT " cannot be received", m->po_line_no, m->po_id),
						 errdetail("The purchase order is closed."),
						 errhint("Receive without a purchase order, or write a new one.")));
			before = supply_open(row);
			row->received = qty_add(row->received, m->quantity);
			if (qty_sign(row->received) < 0)
				ereport(ERROR,
						(errcode(ERRCODE_BO_PURCHASE),
						 errmsg("more of line %d of purchase order " INT64_FORMAT " is reversed than was received", m->po_line_no, m->po_id),
						 errhint("See received in backorder.purchases.")));
			supply_written(row, before);
		}
		stock->on_hand = qty_add(stock->on_hand, m->quantity);
		stock->unavailable = qty_add(stock->unavailable, m->unavailable);
		stock->changed = true;
		if (qty_sign(comes) > 0)
		{
			GoodsIn    *goods = palloc(sizeof(GoodsIn));

			goods->movement = m;
			goods->left = comes;
			stock->goods = lappend(stock->goods, goods);
		}
		else if (qty_sign(comes) < 0)
			stock->reduced = true;
	}
}

/* ---------- purchase orders ---------- */

static void
refuse_supply(SupplyRow *row, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_BO_PURCHASE),
			 errmsg("line %d of purchase order " INT64_FORMAT " cannot be %s", row->line_no, row->po_id, what),
			 errdetail("%s of it were received.", qty_text(row->received)),
			 errhint("Reverse the receipt first, or close the purchase order.")));
}

static void
apply_supplies(Settle *st)
{
	ListCell   *lc;

	foreach(lc, st->s->supplies)
	{
		SupplyChange *c = lfirst(lc);
		SupplyRow  *row = find_supply(st, c->tenant, c->po_id, c->line_no);
		Stock	   *stock = c->wanted ? find_stock(st, c->tenant, c->item, c->location) : NULL;

		if (!c->wanted)
		{
			Qty			before;

			if (row == NULL)
				continue;
			if (qty_sign(row->received) != 0)
				refuse_supply(row, c->status && strcmp(c->status, "cancelled") == 0 ? "cancelled" : "deleted");
			before = supply_open(row);
			row->remove = true;
			supply_written(row, before);
			continue;
		}
		if (row != NULL && row->stock != stock)
		{
			Qty			before = supply_open(row);
			SupplyRow  *moved = palloc(sizeof(SupplyRow));

			if (qty_sign(row->received) != 0)
				refuse_supply(row, "moved to another item");
			/* Leaves one queue and joins another: two rows here, one update there. */
			*moved = *row;
			row->remove = true;
			supply_written(row, before);
			row->dirty = false;
			moved->stock = stock;
			moved->open = qty_zero;
			moved->exists = true;
			stock->supplies = lappend(stock->supplies, moved);
			st->supplies = lcons(moved, st->supplies);
			stock->on_order = qty_add(stock->on_order, before);
			row = moved;
		}
		else if (row == NULL)
		{
			row = palloc0(sizeof(SupplyRow));
			row->tenant = c->tenant;
			row->po_id = c->po_id;
			row->line_no = c->line_no;
			row->stock = stock;
			row->quantity = qty_zero;
			row->received = qty_zero;
			row->open = qty_zero;
			stock->supplies = lappend(stock->supplies, row);
			st->supplies = lappend(st->supplies, row);
		}
		else if (qty_cmp(row->quantity, c->quantity) == 0 && row->closed == c->closed &&
				 row->has_expected_at == c->has_expected_at && (!c->has_expected_at || row->expected_at == c->expected_at))
			continue;
		{
			Qty			before = supply_open(row);

			row->quantity = c->quantity;
			row->has_expected_at = c->has_expected_at;
			row->expected_at = c->expected_at;
			row->closed = c->closed;
			supply_written(row, before);
		}
	}
}

/* ---------- order lines ---------- */

static void
add_movement(Settle *st, Stock *stock, int64 movement_id, const char *kind, Qty quantity, Qty unavailable, int64 line_id, const char *reason)
{
	Datum		values[9];
	bool		nulls[9] = {false};

	values[0] = bo_text(stock->key.tenant);
	values[1] = Int64GetDatum(movement_id);
	values[2] = bo_text(stock->key.item);
	values[3] = bo_text(stock->key.location);
	values[4] = bo_text(kind);
	values[5] = NumericGetDatum(quantity);
	values[6] = Int64GetDatum(line_id);
	nulls[6] = line_id == 0;
	values[7] = bo_text(reason);
	nulls[7] = reason == NULL;
	values[8] = NumericGetDatum(unavailable);
	if (st->movements == NULL)
		st->movements = bo_rows(BO_ROWS_MOVEMENTS);
	bo_rows_put(st->movements, values, nulls);
	stock->on_hand = qty_add(stock->on_hand, quantity);
	stock->unavailable = qty_add(stock->unavailable, unavailable);
	stock->changed = true;
}

/*
 * The application says that more, or less, of a line was shipped.  Takes from
 * the line's allocation, then from what is free; settle_stock sees to the rest.
 */
static void
ship(Settle *st, Line *line, Qty difference)
{
	int64		movement_id;

	if (qty_sign(difference) == 0)
		return;
	movement_id = bo_next_movement_id();
	add_movement(st, line->stock, movement_id, "shipment", qty_neg(difference), qty_zero, line->line_id, NULL);
	if (qty_sign(difference) > 0)
	{
		Qty			own = qty_min(difference, line->allocated);

		allocate(st, line, qty_neg(own), "shipment", movement_id, NULL);
		line->overshipped = qty_sub(difference, own);
		line->stock->shipped_out = qty_add(line->stock->shipped_out, line->overshipped);
	}
	else
		line->returned = qty_neg(difference);
}

/* The application's values, and what of the allocation they leave. */
static void
take_values(Settle *st, LineChange *change, Line *line)
{
	MappedLine *now = change->now;

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
	if (line->incarnated)
		line->first_shipped = qty_sign(now->shipped) > 0 ? now->shipped : NULL;
}

static void
release_excess(Settle *st, Line *line, const char *cause)
{
	set_open(line);
	/* A decrease: from auto_cancelled first, then from what waits, then from the allocation. */
	if (qty_cmp(line->allocated, line->open) > 0)
		allocate(st, line, qty_sub(line->open, line->allocated), cause, 0, NULL);
}

static void
end_line(Settle *st, LineChange *change, Line *line)
{
	MappedLine *now = change->now;

	if (now != NULL && !change->baseline)
		ship(st, line, qty_sub(now->shipped, line->shipped));
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
	if (qty_sign(line->shipped) == 0 || change->displaced)
		line->remove = true;
}

static void
new_incarnation(Settle *st, Line *line)
{
	line->line_id = bo_next_line_id();
	line->incarnated = true;
	line->queued_at = st->now;
	line->first_allocated = qty_zero;
	line->allocated = qty_zero;
	line->auto_cancelled = qty_zero;
	line->has_promised_at = line->has_first_promised_at = false;
	line->live = true;
	line->deleted = false;
}

static Line *
new_line(Settle *st, LineChange *change)
{
	Line	   *line = palloc0(sizeof(Line));
	MappedLine *now = change->now;

	line->stock = find_stock(st, change->mapping->tenant, now->item, now->location);
	line->tenant = change->mapping->tenant;
	line->source_id = change->mapping->source_id;
	line->order_key = change->order_key;
	line->line_key = now->line_key;
	line->old_backordered = line->old_covered = line->old_allocated = qty_zero;
	line->dealt = line->returned = line->overshipped = qty_zero;
	line->shipped = qty_zero;
	new_incarnation(st, line);
	return line;
}

/* The line has another key now: the row follows, and the order it left is to be told. */
static void
move_line(LineChange *change, Line *line)
{
	if (strcmp(line->order_key, change->order_key) == 0 && strcmp(line->line_key, change->now->line_key) == 0)
		return;
	if (qty_sign(line->old_backordered) > 0)
		bo_touch_order(line->stock->key.tenant, line->source_id, line->order_key, line->quiet);
	line->rekeyed = true;
	line->order_key = change->order_key;
	line->line_key = change->now->line_key;
}

static void
apply_change(Settle *st, LineChange *change)
{
	Line	   *line = change->line;
	MappedLine *now = change->now;
	Qty			shipped;

	st->s->lines_changed++;
	switch (change->action)
	{
		case LINE_INSERT:
		case LINE_BASELINE:
			line = new_line(st, change);
			line->quiet = change->quiet;
			line->refuse_overship = change->mapping->refuse_overship;
			touch(line);
			line->dirty = true;
			take_values(st, change, line);
			if (line->ordered == NULL || qty_sign(line->ordered) < 0)
				line->ordered = line->shipped;
			if (!now->demand)
			{
				line->live = false;
				line->cancelled = qty_max(qty_sub(line->ordered, line->shipped), qty_zero);
			}
			set_open(line);
			if (!change->baseline && change->action == LINE_INSERT)
			{
				ship(st, line, line->shipped);
			}
			return;

		case LINE_UPDATE:
			touch(line);
			line->dirty = true;
			line->quiet = change->quiet;
			line->refuse_overship = change->mapping->refuse_overship;
			move_line(change, line);
			shipped = qty_sub(now->shipped, line->shipped);
			if (!change->baseline)
				ship(st, line, shipped);
			if (line->priority != now->priority || line->held != now->held ||
				(now->has_queued_at && now->queued_at != line->queued_at))
				line->requeued = true;
			take_values(st, change, line);
			release_excess(st, line, "decrease");
			if (qty_sign(line->returned) > 0)
			{
				Qty			back = qty_min(line->returned, waits_for(line));

				if (qty_sign(back) > 0)
					deal_to(st, line, back);
			}
			if (qty_cmp(waits_for(line), line->old_backordered) != 0)
				line->requeued = true;
			return;

		case LINE_RENEW:
			{
				Stock	   *stock = find_stock(st, change->mapping->tenant, now->item, now->location);
				Line	   *old = line;

				/* Shipped before: of a deleted incarnation only the excess is new. */
				shipped = qty_sub(now->shipped, line->shipped);
				if (old->deleted && qty_sign(shipped) < 0)
					shipped = qty_zero;
				touch(old);
				old->requeued = true;
				if (qty_sign(old->allocated) > 0)
					allocate(st, old, qty_neg(old->allocated), "requeued", 0, NULL);
				if (qty_sign(old->old_backordered) > 0)
					bo_touch_order(old->stock->key.tenant, old->source_id, old->order_key, change->quiet);

				line = new_line(st, change);
				line->tid = old->tid;
				line->rekeyed = strcmp(old->order_key, change->order_key) != 0 || strcmp(old->line_key, now->line_key) != 0;
				line->quiet = change->quiet;
				line->refuse_overship = change->mapping->refuse_overship;
				line->dirty = true;
				/* The row is written once, for the new incarnation; the old one only leaves its queue. */
				old->dirty = false;
				old->open = qty_zero;
				old->remove = true;
				old->incarnated = true;
				line->has_requested_at = now->has_requested_at;
				take_values(st, change, line);
				set_open(line);
				touch(line);
				if (!change->baseline)
				{
					if (qty_sign(shipped) < 0 && old->stock != stock)
						add_movement(st, old->stock, bo_next_movement_id(), "shipment", qty_neg(shipped), qty_zero, old->line_id, NULL);
					else
						ship(st, line, shipped);
				}
				if (qty_sign(line->returned) > 0)
				{
					Qty			back = qty_min(line->returned, waits_for(line));

					if (qty_sign(back) > 0)
						deal_to(st, line, back);
				}
				line->exists = false;
				change->line = line;
				return;
			}

		case LINE_END:
			touch(line);
			line->dirty = true;
			line->quiet = change->quiet;
			line->refuse_overship = change->mapping->refuse_overship;
			if (now != NULL)
				move_line(change, line);
			if (qty_sign(line->old_backordered) > 0)
				line->requeued = true;
			end_line(st, change, line);
			return;
	}
}

/* Reads the recorded rows of the changes, fresh under the stock locks. */
static void
read_changed_lines(Settle *st)
{
	BoRows	   *rows = NULL;
	LineChange **by_n = palloc(sizeof(LineChange *) * Max(list_length(st->s->changes), 1));
	ListCell   *lc;
	SPITupleTable *table;
	uint64		n;
	int			count = 0;

	foreach(lc, st->s->changes)
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
	n = bo_exec(BO_READ_LINES, rows, NULL, false);
	if (n != (uint64) count)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update of an order line")));
	table = SPI_tuptable;
	for (uint64 row = 0; row < n; row++)
	{
		LineChange *change;

		SPI_tuptable = table;
		change = by_n[bo_get_int32(row, 24)];
		change->line = load_line(row, find_stock(st, change->mapping->tenant, change->old_item, change->old_location));
	}
	SPI_freetuptable(table);
	bo_rows_drop(rows);
}

/* ---------- dealing ---------- */

static void
note_discrepancy(Settle *st, Line *line, Qty missing)
{
	StringInfoData payload;
	Datum		values[6];
	bool		nulls[6] = {false};

	initStringInfo(&payload);
	appendStringInfoChar(&payload, '{');
	json_text(&payload, "order", line->order_key);
	json_text(&payload, "customer", line->customer);
	appendStringInfoString(&payload, ", \"lines\": [{");
	json_text(&payload, "line", line->line_key);
	json_text(&payload, "item", line->stock->key.item);
	json_text(&payload, "location", line->stock->key.location);
	json_qty(&payload, "ordered", line->ordered);
	json_qty(&payload, "shipped", line->shipped);
	json_qty(&payload, "adjusted", missing);
	appendStringInfoString(&payload, "}]}");
	values[0] = bo_text(line->stock->key.tenant);
	values[1] = Int32GetDatum(line->source_id);
	values[2] = bo_text(line->order_key);
	values[3] = bo_text("discrepancy");
	values[4] = bo_text(line->customer);
	nulls[4] = line->customer == NULL;
	values[5] = bo_text(payload.data);
	if (st->events == NULL)
		st->events = bo_rows(BO_ROWS_EVENTS);
	bo_rows_put(st->events, values, nulls);
}

/*
 * More was shipped than was to be had: it came out of what is held, and what
 * on hand lacks is booked as found, line by line.
 */
static Qty
book_discrepancies(Settle *st, Stock *stock, Qty missing)
{
	/* The last line to ship beyond its allocation is the first to be doubted. */
	for (int i = list_length(stock->lines) - 1; i >= 0 && qty_sign(missing) > 0; i--)
	{
		Line	   *line = list_nth(stock->lines, i);
		Qty			part = qty_min(line->overshipped, missing);
		Qty			held;

		if (qty_sign(part) <= 0)
			continue;
		missing = qty_sub(missing, part);
		held = qty_min(part, stock->unavailable);
		if (qty_sign(held) > 0)
		{
			add_movement(st, stock, bo_next_movement_id(), "release", qty_zero, qty_neg(held), line->line_id, "shipped although held");
			part = qty_sub(part, held);
		}
		if (qty_sign(part) <= 0)
			continue;
		if (line->refuse_overship)
			ereport(ERROR,
					(errcode(ERRCODE_BO_OVERSHIP),
					 errmsg("more of item \"%s\" was shipped than is on hand", stock->key.item),
					 errdetail("Line %s of order %s ships %s more than there are.", line->line_key, line->order_key, qty_text(part)),
					 errhint("Receive or count the stock first, or attach with overship => 'adjust'.")));
		add_movement(st, stock, bo_next_movement_id(), "adjustment", part, qty_zero, line->line_id, "shipped more than was on hand");
		note_discrepancy(st, line, part);
	}
	return missing;
}

/* Less stock than promised: takes allocations back from the lowest rank up. */
static Qty
take_back(Settle *st, Stock *stock, Qty missing)
{
	Queue		queue;
	Line	   *line;

	queue_open(&queue, stock, true, true);
	while (qty_sign(missing) > 0 && (line = queue_next(&queue)) != NULL)
	{
		Qty			part = bo_take_back(missing, line->allocated, line->picked);

		if (qty_sign(part) == 0)
			continue;
		allocate(st, line, qty_neg(part), "taken back", 0, NULL);
		line->requeued = true;
		missing = qty_sub(missing, part);
	}
	queue_close(&queue);
	return missing;
}

static void
settle_stock(Settle *st, Stock *stock)
{
	Qty			free = free_quantity(stock);
	Queue		queue;
	Line	   *line;
	bool		rows;

	if (qty_sign(free) < 0)
	{
		Qty			missing = take_back(st, stock, qty_neg(free));

		if (qty_sign(missing) > 0)
			missing = book_discrepancies(st, stock, missing);
		if (qty_sign(missing) > 0)
			ereport(ERROR,
					(errcode(ERRCODE_BO_STOCK),
					 errmsg("too little stock of item \"%s\" at location \"%s\"", stock->key.item, stock->key.location),
					 errdetail("On hand would be %s with %s unavailable and %s picked or allocated beyond taking back.",
							   qty_text(stock->on_hand), qty_text(stock->unavailable), qty_text(stock->allocated)),
					 errhint("Nothing was changed. Picked goods are on hand: ship or unpick them first.")));
		free = qty_zero;
	}
	if (qty_sign(stock->on_hand) < 0 || qty_sign(stock->unavailable) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_BO_STOCK),
				 errmsg("too little stock of item \"%s\" at location \"%s\"", stock->key.item, stock->key.location),
				 errdetail("On hand would be %s, unavailable %s.", qty_text(stock->on_hand), qty_text(stock->unavailable)),
				 errhint("Nothing was changed. Release no more than is held.")));
	if (qty_sign(free) == 0)
		return;
	rows = qty_sign(untouched_waiting(stock)) > 0;
	queue_open(&queue, stock, false, rows);
	while (qty_sign(free) > 0 && (line = queue_next(&queue)) != NULL)
	{
		Qty			part = bo_deal(FULFILMENT_PARTIAL, waits_for(line), free);

		if (qty_sign(part) == 0)
			continue;
		deal_to(st, line, part);
		if (line->exists && !line->requeued)
			stock->dealt_waiting = qty_add(stock->dealt_waiting, part);
		free = qty_sub(free, part);
	}
	queue_close(&queue);
}

/* ---------- promises ---------- */

static void
set_promise(Line *line, bool has_date, DateADT date)
{
	if (line->has_promised_at == has_date && (!has_date || line->promised_at == date))
		return;
	touch(line);
	line->dirty = true;
	line->stock->changed = true;
	line->has_promised_at = has_date;
	line->promised_at = date;
	if (has_date && !line->has_first_promised_at)
	{
		line->has_first_promised_at = true;
		line->first_promised_at = date;
	}
}

static void
promise_line(Settle *st, Line *line, const SupplyProfile *profile, Qty upto)
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

/* Open supply as it was and as it is now, by date. */
static void
read_profiles(Settle *st, Stock *stock, SupplyProfile *before, SupplyProfile *after)
{
	Datum		args[3] = {bo_text(stock->key.tenant), bo_text(stock->key.item), bo_text(stock->key.location)};
	uint64		n = bo_exec(BO_READ_OPEN_SUPPLY, NULL, args, false);
	int			max = n + list_length(stock->supplies);
	DatedSupply *old = palloc0(sizeof(DatedSupply) * Max(max, 1));
	DatedSupply *now = palloc0(sizeof(DatedSupply) * Max(max, 1));
	int			nnow = 0;
	ListCell   *lc;

	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		bool		touched = false;

		old[i].po_id = bo_get_int64(i, 1);
		old[i].line_no = bo_get_int32(i, 2);
		old[i].open = bo_get_qty(i, 3);
		old[i].date = DatumGetDateADT(bo_get(i, 4, &isnull));
		old[i].has_date = !isnull;
		foreach(lc, stock->supplies)
		{
			SupplyRow  *row = lfirst(lc);

			touched |= row->po_id == old[i].po_id && row->line_no == old[i].line_no;
		}
		if (!touched)
			now[nnow++] = old[i];
	}
	foreach(lc, stock->supplies)
	{
		SupplyRow  *row = lfirst(lc);
		Qty			open = supply_open(row);

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

		if (!line->exists && is_waiting(line))
			result = lappend(result, line);
	}
	list_sort(result, compare_rank_cells);
	return result;
}

/* Does every joining line rank behind every recorded waiting line? */
static bool
joins_at_end(Stock *stock, List *joining)
{
	Datum		args[3] = {bo_text(stock->key.tenant), bo_text(stock->key.item), bo_text(stock->key.location)};
	Line		last = {0};

	if (qty_cmp(stock->old_backordered, stock->old_held) == 0)
		return true;
	if (bo_exec(BO_READ_LAST_WAITING, NULL, args, false) == 0)
		return true;
	last.priority = bo_get_int32(0, 1);
	last.queued_at = (TimestampTz) bo_get_int64(0, 2);
	last.line_id = bo_get_int64(0, 3);
	return compare_rank(&last, linitial(joining)) < 0;
}

/* What waits now, held lines left out. */
static Qty
waiting_now(Stock *stock)
{
	Qty			result = untouched_waiting(stock);
	ListCell   *lc;

	foreach(lc, stock->lines)
		if (is_waiting(lfirst(lc)))
			result = qty_add(result, waits_for(lfirst(lc)));
	return result;
}

/*
 * Walks the queue from its front and makes the promises that changed, of at
 * most `limit` recorded lines; the rest is marked on the stock row.
 */
static void
promise_queue(Settle *st, Stock *stock, const SupplyProfile *before, const SupplyProfile *after, int64 limit)
{
	Queue		queue;
	Line	   *line;
	Qty			upto = qty_zero;
	Qty			old_upto = qty_zero;	/* of lines not touched, as they were */
	bool		finished = true;

	queue_open(&queue, stock, false, qty_sign(untouched_waiting(stock)) > 0);
	while ((line = queue_next(&queue)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		upto = qty_add(upto, waits_for(line));
		if (!line->touched)
			old_upto = qty_add(old_upto, waits_for(line));
		promise_line(st, line, after, upto);
		/* Behind what supply reaches now and reached before, no line has a promise. */
		if (!stock->promises_stale && qty_cmp(upto, after->total) > 0 && qty_cmp(old_upto, before->total) > 0)
			break;
		if (limit > 0 && (int64) queue.nread >= limit)
		{
			if (queue.row == NULL)
				queue.row = next_row(&queue);
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
	queue_close(&queue);
	if (stock->promises_stale == finished)
	{
		stock->promises_stale = !finished;
		stock->changed = true;
	}
}

static void
promise_stock(Settle *st, Stock *stock)
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
		else if (!line->remove && line->held)
			set_promise(line, false, 0);	/* it uses no supply */
		stock->requeued |= line->requeued && (qty_sign(line->old_backordered) > 0 || is_waiting(line));
	}
	if (qty_sign(stock->on_order) == 0 && !stock->supply_changed && !stock->promises_stale)
	{
		/* Nothing is coming and nothing was: no line has or gets a promise. */
		return;
	}
	joining = joining_lines(stock);
	if (joining == NIL && !stock->requeued && !stock->supply_changed && qty_sign(stock->dealt_waiting) == 0 && !st->s->repromise)
		return;
	read_profiles(st, stock, &before, &after);
	if (st->s->repromise)
	{
		promise_queue(st, stock, &before, &after, 0);
		return;
	}
	if (stock->requeued || !bo_profile_shifted(&before, &after, stock->dealt_waiting) ||
		(joining != NIL && !joins_at_end(stock, joining)))
	{
		promise_queue(st, stock, &before, &after, bo_repromise_limit);
		return;
	}
	if (joining != NIL)
	{
		Qty			upto = waiting_now(stock);

		foreach(lc, joining)
			upto = qty_sub(upto, waits_for(lfirst(lc)));
		foreach(lc, joining)
		{
			upto = qty_add(upto, waits_for(lfirst(lc)));
			promise_line(st, lfirst(lc), &after, upto);
		}
	}
}

/* ---------- writing ---------- */

static void
put_line(BoRows *rows, Line *line)
{
	Datum		values[25];
	bool		nulls[25] = {false};

	values[0] = PointerGetDatum(&line->tid);
	values[1] = bo_text(line->stock->key.tenant);
	values[2] = Int64GetDatum(line->line_id);
	values[3] = Int32GetDatum(line->source_id);
	values[4] = Int32GetDatum(line->priority);
	values[5] = BoolGetDatum(line->live);
	values[6] = BoolGetDatum(line->deleted);
	values[7] = BoolGetDatum(line->held);
	values[8] = TimestampTzGetDatum(line->queued_at);
	values[9] = DateADTGetDatum(line->requested_at);
	nulls[9] = !line->has_requested_at;
	values[10] = DateADTGetDatum(line->first_promised_at);
	nulls[10] = !line->has_first_promised_at;
	values[11] = DateADTGetDatum(line->promised_at);
	nulls[11] = !line->has_promised_at;
	values[12] = bo_text(line->order_key);
	values[13] = bo_text(line->line_key);
	values[14] = bo_text(line->stock->key.item);
	values[15] = bo_text(line->stock->key.location);
	values[16] = bo_text(line->customer);
	nulls[16] = line->customer == NULL;
	values[17] = NumericGetDatum(line->ordered);
	values[18] = NumericGetDatum(line->cancelled);
	values[19] = NumericGetDatum(line->auto_cancelled);
	values[20] = NumericGetDatum(line->shipped);
	values[21] = NumericGetDatum(line->picked);
	values[22] = NumericGetDatum(line->allocated);
	values[23] = NumericGetDatum(line->first_allocated);
	values[24] = NumericGetDatum(line->first_shipped);
	nulls[24] = line->first_shipped == NULL;
	bo_rows_put(rows, values, nulls);
}

static void
put(BoRows **rows, BoRowsKind kind, Line *line)
{
	if (*rows == NULL)
		*rows = bo_rows(kind);
	put_line(*rows, line);
}

static void
write_lines(Settle *st)
{
	BoRows	   *inserted = NULL;
	BoRows	   *updated = NULL;
	BoRows	   *deleted = NULL;
	Qty			old_backordered;
	ListCell   *lc;

	for (int i = 0; i < st->nstocks; i++)
	{
		Stock	   *stock = st->stocks[i];

		foreach(lc, stock->lines)
		{
			Line	   *line = lfirst(lc);
			bool		has_row = ItemPointerIsValid(&line->tid);
			Qty			backordered = line->remove ? qty_zero : waits_for(line);

			/* Counters: the line as it was goes, as it is comes. */
			old_backordered = line->exists ? line->old_backordered : qty_zero;
			if (qty_cmp(backordered, old_backordered) != 0 || line->held != line->old_held)
				stock->changed = true;
			stock->backordered = qty_add(stock->backordered, qty_sub(backordered, old_backordered));
			if (line->exists && line->old_held)
				stock->backordered_held = qty_sub(stock->backordered_held, old_backordered);
			if (line->held && !line->remove)
				stock->backordered_held = qty_add(stock->backordered_held, backordered);
			if (line->requeued)
				stock->changed = true;
			if (qty_sign(old_backordered) > 0 || qty_sign(backordered) > 0)
			{
				bo_touch_order(stock->key.tenant, line->source_id, line->order_key, line->quiet);
				if (!line->remove && (qty_cmp(line->allocated, line->old_allocated) != 0 || !line->exists))
					bo_line_before(line->line_id, line->old_allocated, line->old_covered);
			}
			if (!line->dirty)
				continue;
			if (line->remove || line->rekeyed)
			{
				if (has_row)
					put(&deleted, BO_ROWS_LINES, line);
				if (!line->remove)
					put(&inserted, BO_ROWS_LINES, line);
			}
			else if (has_row)
				put(&updated, BO_ROWS_LINES, line);
			else
				put(&inserted, BO_ROWS_LINES, line);
		}
	}
	bo_write(BO_DELETE_LINES, deleted);
	bo_write(BO_UPDATE_LINES, updated);
	bo_write(BO_INSERT_LINES, inserted);
}

static void
put_supply(BoRows **rows, SupplyRow *row)
{
	Datum		values[9];
	bool		nulls[9] = {false};

	if (*rows == NULL)
		*rows = bo_rows(BO_ROWS_SUPPLY);
	values[0] = bo_text(row->tenant);
	values[1] = Int64GetDatum(row->po_id);
	values[2] = Int32GetDatum(row->line_no);
	values[3] = bo_text(row->stock->key.item);
	values[4] = bo_text(row->stock->key.location);
	values[5] = NumericGetDatum(row->quantity);
	values[6] = NumericGetDatum(row->received);
	values[7] = DateADTGetDatum(row->expected_at);
	nulls[7] = !row->has_expected_at;
	values[8] = BoolGetDatum(row->closed);
	bo_rows_put(*rows, values, nulls);
}

static void
write_supply(Settle *st)
{
	BoRows	   *inserted = NULL;
	BoRows	   *updated = NULL;
	BoRows	   *deleted = NULL;
	ListCell   *lc;

	foreach(lc, st->supplies)
	{
		SupplyRow  *row = lfirst(lc);

		if (!row->dirty)
			continue;
		if (row->remove)
		{
			if (row->exists)
				put_supply(&deleted, row);
		}
		else
			put_supply(row->exists ? &updated : &inserted, row);
	}
	bo_write(BO_DELETE_SUPPLY, deleted);
	bo_write(BO_UPDATE_SUPPLY, updated);
	bo_write(BO_INSERT_SUPPLY, inserted);
}

static void
write_stock(Settle *st)
{
	BoRows	   *rows = NULL;

	for (int i = 0; i < st->nstocks; i++)
	{
		Stock	   *stock = st->stocks[i];
		Datum		values[10];
		bool		nulls[10] = {false};

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
		if (rows == NULL)
			rows = bo_rows(BO_ROWS_STOCK);
		bo_rows_put(rows, values, nulls);
	}
	bo_write(BO_WRITE_STOCK, rows);
}

/* ---------- the settling ---------- */

static void
start(Settle *st, Settlement *settlement)
{
	HASHCTL		ctl = {.keysize = sizeof(StockKey),.entrysize = sizeof(Stock),.hash = stock_hash,.match = stock_match,.hcxt = CurrentMemoryContext};

	memset(st, 0, sizeof(*st));
	st->s = settlement;
	st->now = GetCurrentTimestamp();
	st->today = bo_current_day();
	st->by_key = hash_create("backorder stock", 64, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/*
 * Applies changes, movements and supply under the stock locks, deals, promises
 * and writes.  Expects a section, and the orders of the changes locked; locks
 * stock rows sorted; allocates in the current context.  Raises 40001 where
 * REPEATABLE READ asks for it, and the refusals of class OB; nothing is
 * changed then.
 */
void
bo_settle(Settlement *settlement)
{
	Settle		st;
	ListCell   *lc;

	start(&st, settlement);
	foreach(lc, settlement->changes)
	{
		LineChange *change = lfirst(lc);

		if (change->now && change->now->item && change->action != LINE_END)
			(void) find_stock(&st, change->mapping->tenant, change->now->item, change->now->location);
		if (change->old_item)
			(void) find_stock(&st, change->mapping->tenant, change->old_item, change->old_location);
	}
	foreach(lc, settlement->movements)
	{
		Movement   *m = lfirst(lc);

		check_movement(m);
		(void) find_stock(&st, m->tenant, m->item, m->location);
	}
	foreach(lc, settlement->supplies)
	{
		SupplyChange *c = lfirst(lc);

		if (c->wanted)
			(void) find_stock(&st, c->tenant, c->item, c->location);
		if (c->old_item)
			(void) find_stock(&st, c->tenant, c->old_item, c->old_location);
	}
	foreach(lc, settlement->places)
	{
		StockKey   *key = lfirst(lc);

		(void) find_stock(&st, key->tenant, key->item, key->location);
	}
	if (hash_get_num_entries(st.by_key) == 0)
		return;
	lock_stocks(&st);
	for (int i = 0; i < st.nstocks; i++)
		st.stocks[i]->shipped_out = st.stocks[i]->dealt_waiting = qty_zero;

	read_changed_lines(&st);
	read_supply(&st);
	apply_movements(&st);
	apply_supplies(&st);
	foreach(lc, settlement->changes)
		apply_change(&st, lfirst(lc));
	for (int i = 0; i < st.nstocks; i++)
		settle_stock(&st, st.stocks[i]);
	for (int i = 0; i < st.nstocks; i++)
		promise_stock(&st, st.stocks[i]);

	if (settlement->repromise)
		for (int i = 0; i < st.nstocks; i++)
			settlement->lines_changed += list_length(st.stocks[i]->lines);
	write_lines(&st);
	write_supply(&st);
	bo_write(BO_INSERT_MOVEMENTS, st.movements);
	bo_write(BO_INSERT_ALLOCATIONS, st.allocations);
	bo_write(BO_INSERT_EVENTS, st.events);
	write_stock(&st);
	if (bo_announce_pending())
		bo_queue_commit_work();
}

/* Locks stock rows, sorted. Expects a section. */
void
bo_lock_places(List *places)
{
	Settle		st;
	Settlement	none = {0};
	ListCell   *lc;

	start(&st, &none);
	foreach(lc, places)
	{
		StockKey   *key = lfirst(lc);

		(void) find_stock(&st, key->tenant, key->item, key->location);
	}
	lock_stocks(&st);
}

/* ---------- what was dealt, for the stock functions ---------- */

void
bo_dealt_reset(void)
{
	collecting = false;
	dealt_store = NULL;			/* its memory goes with the transaction */
	dealt_cx = NULL;
}

/* collect_dealt(): begins to note what settling deals in this transaction. */
Datum
bo_collect_dealt(PG_FUNCTION_ARGS)
{
	MemoryContext old;

	if (dealt_cx != NULL)
		MemoryContextDelete(dealt_cx);
	dealt_cx = AllocSetContextCreate(TopTransactionContext, "backorder dealt", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(dealt_cx);
	dealt_store = tuplestore_begin_heap(false, false, work_mem);
	dealt_desc = CreateTemplateTupleDesc(5);
	TupleDescInitEntry(dealt_desc, 1, "tenant", TEXTOID, -1, 0);
	TupleDescInitEntry(dealt_desc, 2, "source_id", INT4OID, -1, 0);
	TupleDescInitEntry(dealt_desc, 3, "order_key", TEXTOID, -1, 0);
	TupleDescInitEntry(dealt_desc, 4, "line_key", TEXTOID, -1, 0);
	TupleDescInitEntry(dealt_desc, 5, "quantity", NUMERICOID, -1, 0);
	MemoryContextSwitchTo(old);
	collecting = true;
	PG_RETURN_VOID();
}

/* collected_dealt(): what was dealt since collect_dealt(), and ends collecting. */
Datum
bo_collected_dealt(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TupleTableSlot *slot;

	InitMaterializedSRF(fcinfo, 0);
	if (!collecting)
		return (Datum) 0;
	slot = MakeSingleTupleTableSlot(dealt_desc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(dealt_store, true, false, slot))
		tuplestore_puttupleslot(rsinfo->setResult, slot);
	ExecDropSingleTupleTableSlot(slot);
	collecting = false;
	tuplestore_end(dealt_store);
	MemoryContextDelete(dealt_cx);
	dealt_cx = NULL;
	dealt_store = NULL;
	return (Datum) 0;
}
