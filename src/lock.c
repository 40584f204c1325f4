/*
 * lock.c
 *		Locks orders, waiting orders and stock by their rows, in the order in
 *		which callers give them, and reads orders' lines: without a statement
 *		(direct_lock.c) as long as that goes, else by one.
 */
#include "backorder.h"

#include "access/htup_details.h"
#include "utils/snapmgr.h"

#include "direct.h"

/* Locks rows from the first on, without a statement; returns the number of the first that is left to one. */
typedef int (*LockDirectlyFunc) (BoDirect *direct, int first, int n, void *arg);

/* Locks rows by a statement, all of them. */
typedef void (*LockByStatementFunc) (int first, int end, void *arg);

/*
 * Locks n rows of a table in their order.  Where one cannot be locked without
 * a statement, that one is locked by it, and the rest without again.
 */
static void
lock_rows(BoTable table, int n, LockDirectlyFunc directly, LockByStatementFunc by_statement, void *arg)
{
	int			i = 0;

	while (i < n)
	{
		BoDirect   *direct = bo_direct_open(table);
		int			end = n;

		if (direct != NULL)
		{
			CommandCounterIncrement();
			PushActiveSnapshot(GetTransactionSnapshot());
			i = directly(direct, i, n, arg);
			PopActiveSnapshot();
			bo_direct_close(direct);
			CommandCounterIncrement();
			if (i == n)
				break;
			end = i + 1;
		}
		by_statement(i, end, arg);
		i = end;
	}
}

/* ---------- orders ---------- */

typedef struct OrderLocking
{
	List	   *notes;
	int64	   *before;
} OrderLocking;

static void
order_key(int i, OrderKey *key, void *arg)
{
	OrderNote  *note = list_nth(((OrderLocking *) arg)->notes, i);

	key->tenant = note->tenant;
	key->source_id = note->key.source_id;
	key->order_key = note->key.order_key;
	key->born = bo_rows_are_known(note);
}

static int
lock_orders_directly(BoDirect *direct, int first, int n, void *arg)
{
	return bo_direct_lock_orders(direct, first, n, order_key, ((OrderLocking *) arg)->before, arg);
}

static void
lock_orders_by_statement(int first, int end, void *arg)
{
	OrderLocking *locking = arg;
	BoRows	   *rows = bo_rows(BO_ROWS_ORDERS);
	uint64		locked;

	for (int i = first; i < end; i++)
	{
		OrderNote  *note = list_nth(locking->notes, i);
		Datum		values[4] = {bo_text(note->tenant), Int32GetDatum(note->key.source_id), bo_text(note->key.order_key), Int32GetDatum(i)};
		bool		nulls[4] = {false};

		bo_rows_put(rows, values, nulls);
	}
	/* One row comes back for each given, in the same order. */
	locked = bo_exec(BO_LOCK_ORDERS, rows, NULL, false);
	if (locked != (uint64) (end - first))
		elog(ERROR, "not all orders were locked");
	for (uint64 row = 0; row < locked; row++)
		locking->before[first + row] = bo_get_int64(row, 1);
	bo_rows_drop(rows);
}

/*
 * Locks orders (of OrderNote) by writing their sales_order rows, in the order
 * given, and stores what their revisions were, -1 of one that is new.  Raises 40001
 * where REPEATABLE READ asks for it.  Expects a section.
 */
void
bo_lock_order_rows(List *notes, int64 *before)
{
	OrderLocking locking = {notes, before};

	lock_rows(BO_TABLE_SALES_ORDER, list_length(notes), lock_orders_directly, lock_orders_by_statement, &locking);
}

/* ---------- waiting orders ---------- */

typedef struct WaitingLocking
{
	const OrderKey *keys;
	ToldFunc	func;
	void	   *arg;
} WaitingLocking;

/* A row set of these orders, numbered. */
static BoRows *
order_rows(const OrderKey *keys, int first, int end)
{
	BoRows	   *rows = bo_rows(BO_ROWS_TOUCHED);

	for (int i = first; i < end; i++)
	{
		Datum		values[4] = {bo_text(keys[i].tenant), Int32GetDatum(keys[i].source_id), bo_text(keys[i].order_key), Int32GetDatum(i)};
		bool		nulls[4] = {false};

		bo_rows_put(rows, values, nulls);
	}
	return rows;
}

static int
lock_waiting_directly(BoDirect *direct, int first, int n, void *arg)
{
	WaitingLocking *locking = arg;

	return bo_direct_lock_waiting(direct, first, n, locking->keys, locking->func, locking->arg);
}

/* Locked in one statement, read in the next. */
static void
lock_waiting_by_statement(int first, int end, void *arg)
{
	WaitingLocking *locking = arg;
	BoRows	   *rows = order_rows(locking->keys, first, end);
	uint64		n;
	SPITupleTable *table;

	(void) bo_exec(BO_LOCK_WAITING, rows, NULL, false);
	n = bo_exec(BO_READ_TOLD, rows, NULL, false);
	table = SPI_tuptable;
	if (n != (uint64) (end - first))
		elog(ERROR, "not all waiting orders were locked");
	for (uint64 row = 0; row < n; row++)
	{
		bool		isnull;

		SPI_tuptable = table;
		/* Under REPEATABLE READ: one that is no more, and the one that was inserted beside it. */
		if (bo_get_int64(row, 5) != 1)
			bo_raise_concurrent();
		locking->func(bo_get_int32(row, 1), (ItemPointer) DatumGetPointer(bo_get(row, 4, &isnull)), bo_get(row, 3, &isnull), bo_get_text(row, 2), locking->arg);
	}
	SPI_freetuptable(table);
	bo_rows_drop(rows);
}

/*
 * Locks the waiting_order rows of orders in the order given, which is sorted,
 * and hands over what each says then; those that do not exist are created, or
 * left out where nobody else can create them.
 * Raises 40001 where REPEATABLE READ asks for it.  Expects a section.
 */
void
bo_lock_waiting_orders(const OrderKey *keys, int n, ToldFunc func, void *arg)
{
	WaitingLocking locking = {keys, func, arg};

	lock_rows(BO_TABLE_WAITING_ORDER, n, lock_waiting_directly, lock_waiting_by_statement, &locking);
}

/* Hands over the recorded lines of orders, as a new snapshot sees them; those of one order in no order.  Expects a section. */
void
bo_read_order_lines(const OrderKey *keys, int n, OrderLineFunc func, void *arg)
{
	BoDirect   *direct = bo_direct_open(BO_TABLE_ORDER_LINE);
	BoRows	   *rows;
	SPITupleTable *table;
	uint64		found;

	if (direct != NULL)
	{
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		bo_direct_read_lines(direct, keys, n, func, arg);
		PopActiveSnapshot();
		bo_direct_close(direct);
		return;
	}
	rows = order_rows(keys, 0, n);
	found = bo_exec(BO_READ_ORDER_LINES, rows, NULL, false);
	table = SPI_tuptable;
	for (uint64 row = 0; row < found; row++)
	{
		Datum		values[1 + LINE_COLUMNS_READ];
		bool		nulls[1 + LINE_COLUMNS_READ];

		heap_deform_tuple(table->vals[row], table->tupdesc, values, nulls);
		func(DatumGetInt32(values[0]), values + 1, nulls + 1, arg);
	}
	SPI_freetuptable(table);
	bo_rows_drop(rows);
}

/* ---------- stock ---------- */

typedef struct StockLocking
{
	const StockKey *const *keys;
	StockLockedFunc func;
	void	   *arg;
} StockLocking;

static void
stock_key(int i, const char **parts, void *arg)
{
	const StockKey *key = ((StockLocking *) arg)->keys[i];

	parts[0] = key->tenant;
	parts[1] = key->item;
	parts[2] = key->location;
}

static void
take_stock_row(int i, ItemPointer tid, const Datum *values, void *arg)
{
	StockLocking *locking = arg;
	StockCounters counters = {
		.tid = *tid,
		.on_hand = qty_copy(values[3]),
		.unavailable = qty_copy(values[4]),
		.allocated = qty_copy(values[5]),
		.backordered = qty_copy(values[6]),
		.backordered_held = qty_copy(values[7]),
		.on_order = qty_copy(values[8]),
		.promises_stale = DatumGetBool(values[10]),
		.counted_by = DatumGetInt32(values[11])	/* 0 for NULL */
	};

	locking->func(i, &counters, locking->arg);
}

static int
lock_stock_directly(BoDirect *direct, int first, int n, void *arg)
{
	return bo_direct_lock_stock(direct, first, n, stock_key, take_stock_row, arg);
}

/* Those that do not exist are created first. */
static void
lock_stock_by_statement(int first, int end, void *arg)
{
	StockLocking *locking = arg;
	BoRows	   *rows = bo_rows(BO_ROWS_PLACES);
	uint64		found;

	for (int i = first; i < end; i++)
	{
		const StockKey *key = locking->keys[i];
		Datum		values[4] = {bo_text(key->tenant), bo_text(key->item), bo_text(key->location), Int32GetDatum(i)};
		bool		nulls[4] = {false};

		bo_rows_put(rows, values, nulls);
	}
	(void) bo_exec(BO_ADD_STOCK, rows, NULL, false);
	found = bo_exec(BO_LOCK_STOCK, rows, NULL, false);
	for (uint64 row = 0; row < found; row++)
	{
		bool		isnull;
		StockCounters counters = {
			.tid = *(ItemPointer) DatumGetPointer(bo_get(row, 2, &isnull)),
			.on_hand = bo_get_qty(row, 3),
			.unavailable = bo_get_qty(row, 4),
			.allocated = bo_get_qty(row, 5),
			.backordered = bo_get_qty(row, 6),
			.backordered_held = bo_get_qty(row, 7),
			.on_order = bo_get_qty(row, 8),
			.promises_stale = bo_get_bool(row, 9),
			.counted_by = bo_get_int32(row, 10)
		};

		locking->func(bo_get_int32(row, 1), &counters, locking->arg);
	}
	bo_rows_drop(rows);
	/* A row that was there and is gone: only a superuser can do that. */
	if (found < (uint64) (end - first))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update of stock")));
}

/*
 * Locks stock rows in the order given, which is sorted, and hands each over as
 * it is then; those that do not exist are created.  Raises 40001 where
 * REPEATABLE READ asks for it.  Expects a section.
 */
void
bo_lock_stock_rows(const StockKey *const *keys, int n, StockLockedFunc func, void *arg)
{
	StockLocking locking = {keys, func, arg};

	lock_rows(BO_TABLE_STOCK, n, lock_stock_directly, lock_stock_by_statement, &locking);
}
