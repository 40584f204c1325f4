/*
 * lock.c
 *		Locks orders, waiting orders and stock by their rows, in the order in
 *		which callers give them, and reads orders' lines: without a statement
 *		(heap_lock.c) as long as that goes, else by one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "store/heap.h"
#include "store/heap_table.h"
#include "store/rows.h"
#include "store/statements.h"
#include "store/store.h"

/* Locks rows from the first on, without a statement; returns the number of the first that is left to one. */
typedef int (*LockInHeapFunc) (BoHeap *heap, int first, int n, void *arg);

/* Locks rows by a statement, all of them. */
typedef void (*LockByStatementFunc) (int first, int end, void *arg);

/*
 * Locks n rows of a table in their order.  Where one cannot be locked without
 * a statement, that one is locked by it, and the rest without again.
 */
static void
lock_rows(BoTable table, int n, LockInHeapFunc in_heap, LockByStatementFunc by_statement, void *arg)
{
	int			i = 0;

	while (i < n)
	{
		BoHeap	   *heap = bo_heap_open(table);
		int			end = n;

		if (heap != NULL)
		{
			CommandCounterIncrement();
			PushActiveSnapshot(GetTransactionSnapshot());
			i = in_heap(heap, i, n, arg);
			PopActiveSnapshot();
			bo_heap_close(heap);
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

/* A row set of these orders, numbered. */
static BoRows *
order_rows(BoRowsKind kind, const OrderKey *keys, int first, int end)
{
	BoRows	   *rows = bo_rows(kind);

	for (int i = first; i < end; i++)
	{
		Datum		values[4] = {bo_text(keys[i].tenant), Int32GetDatum(keys[i].source_id), bo_text(keys[i].order_key), Int32GetDatum(i)};
		bool		nulls[4] = {false};

		bo_rows_put(rows, values, nulls);
	}
	return rows;
}

typedef struct OrderLocking
{
	const OrderKey *keys;
	int64	   *before;
} OrderLocking;

static int
lock_orders_in_heap(BoHeap *heap, int first, int n, void *arg)
{
	OrderLocking *locking = arg;

	return bo_heap_lock_orders(heap, first, n, locking->keys, locking->before);
}

static void
lock_orders_by_statement(int first, int end, void *arg)
{
	OrderLocking *locking = arg;
	BoRows	   *rows = order_rows(BO_ROWS_ORDERS, locking->keys, first, end);
	/* One row comes back for each given, in the same order. */
	uint64		locked = bo_run_statement(BO_LOCK_ORDERS, rows, NULL, false);

	if (locked != (uint64) (end - first))
		elog(ERROR, "not all orders were locked");
	for (uint64 row = 0; row < locked; row++)
		locking->before[first + row] = bo_result_int64(SPI_tuptable, row, 1);
	bo_rows_drop(rows);
}

/*
 * Locks orders by writing their sales_order rows, in the order given, and
 * stores what their revisions were, -1 of one that is new.  Raises 40001
 * where REPEATABLE READ asks for it.  Expects an SPI scope.
 */
void
bo_lock_order_rows(const OrderKey *keys, int n, int64 *before)
{
	OrderLocking locking = {keys, before};

	lock_rows(BO_TABLE_SALES_ORDER, n, lock_orders_in_heap, lock_orders_by_statement, &locking);
}

/* ---------- waiting orders ---------- */

typedef struct WaitingLocking
{
	const OrderKey *keys;
	LastNotifiedFunc func;
	void	   *arg;
} WaitingLocking;

static int
lock_waiting_in_heap(BoHeap *heap, int first, int n, void *arg)
{
	WaitingLocking *locking = arg;

	return bo_heap_lock_waiting(heap, first, n, locking->keys, locking->func, locking->arg);
}

/* Locked in one statement, read in the next. */
static void
lock_waiting_by_statement(int first, int end, void *arg)
{
	WaitingLocking *locking = arg;
	BoRows	   *rows = order_rows(BO_ROWS_TOUCHED, locking->keys, first, end);
	uint64		n;
	SPITupleTable *table;

	(void) bo_run_statement(BO_LOCK_WAITING, rows, NULL, false);
	n = bo_run_statement(BO_READ_LAST_NOTIFIED, rows, NULL, false);
	table = SPI_tuptable;
	if (n != (uint64) (end - first))
		elog(ERROR, "not all waiting orders were locked");
	for (uint64 row = 0; row < n; row++)
	{
		bool		isnull;

		/* Under REPEATABLE READ: one that is no more, and the one that was inserted beside it. */
		if (bo_result_int64(table, row, 5) != 1)
			bo_raise_concurrent();
		locking->func(bo_result_int32(table, row, 1), (ItemPointer) DatumGetPointer(bo_result(table, row, 4, &isnull)), bo_result(table, row, 3, &isnull), bo_result_text(table, row, 2), locking->arg);
	}
	SPI_freetuptable(table);
	bo_rows_drop(rows);
}

/*
 * Locks the waiting_order rows of orders in the order given, which is sorted,
 * and hands over what each says then; those that do not exist are created, or
 * left out where nobody else can create them.
 * Raises 40001 where REPEATABLE READ asks for it.  Expects an SPI scope.
 */
void
bo_lock_waiting_orders(const OrderKey *keys, int n, LastNotifiedFunc func, void *arg)
{
	WaitingLocking locking = {keys, func, arg};

	lock_rows(BO_TABLE_WAITING_ORDER, n, lock_waiting_in_heap, lock_waiting_by_statement, &locking);
}

/* Hands over the recorded lines of orders, as a new snapshot sees them; those of one order in no order.  Expects an SPI scope. */
void
bo_read_order_lines(const OrderKey *keys, int n, OrderLineFunc func, void *arg)
{
	BoHeap	   *heap = bo_heap_open(BO_TABLE_ORDER_LINE);
	BoRows	   *rows;
	SPITupleTable *table;
	uint64		found;

	if (heap != NULL)
	{
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		bo_heap_read_lines(heap, keys, n, func, arg);
		PopActiveSnapshot();
		bo_heap_close(heap);
		return;
	}
	rows = order_rows(BO_ROWS_TOUCHED, keys, 0, n);
	found = bo_run_statement(BO_READ_ORDER_LINES, rows, NULL, false);
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
		.stock_source_id = DatumGetInt32(values[11]) /* 0 for NULL */
	};

	locking->func(i, &counters, locking->arg);
}

static int
lock_stock_in_heap(BoHeap *heap, int first, int n, void *arg)
{
	return bo_heap_lock_stock(heap, first, n, stock_key, take_stock_row, arg);
}

/* Those that do not exist are created first. */
static void
lock_stock_by_statement(int first, int end, void *arg)
{
	StockLocking *locking = arg;
	BoRows	   *rows = bo_rows(BO_ROWS_STOCK_KEYS);
	uint64		found;

	for (int i = first; i < end; i++)
	{
		const StockKey *key = locking->keys[i];
		Datum		values[4] = {bo_text(key->tenant), bo_text(key->item), bo_text(key->location), Int32GetDatum(i)};
		bool		nulls[4] = {false};

		bo_rows_put(rows, values, nulls);
	}
	(void) bo_run_statement(BO_ADD_STOCK, rows, NULL, false);
	found = bo_run_statement(BO_LOCK_STOCK, rows, NULL, false);
	for (uint64 row = 0; row < found; row++)
	{
		bool		isnull;
		StockCounters counters = {
			.tid = *(ItemPointer) DatumGetPointer(bo_result(SPI_tuptable, row, 2, &isnull)),
			.on_hand = bo_result_qty(SPI_tuptable, row, 3),
			.unavailable = bo_result_qty(SPI_tuptable, row, 4),
			.allocated = bo_result_qty(SPI_tuptable, row, 5),
			.backordered = bo_result_qty(SPI_tuptable, row, 6),
			.backordered_held = bo_result_qty(SPI_tuptable, row, 7),
			.on_order = bo_result_qty(SPI_tuptable, row, 8),
			.promises_stale = bo_result_bool(SPI_tuptable, row, 9),
			.stock_source_id = bo_result_int32(SPI_tuptable, row, 10)
		};

		locking->func(bo_result_int32(SPI_tuptable, row, 1), &counters, locking->arg);
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
 * REPEATABLE READ asks for it.  Expects an SPI scope.
 */
void
bo_lock_stock_rows(const StockKey *const *keys, int n, StockLockedFunc func, void *arg)
{
	StockLocking locking = {keys, func, arg};

	lock_rows(BO_TABLE_STOCK, n, lock_stock_in_heap, lock_stock_by_statement, &locking);
}
