/*
 * lock.c
 *		Locks orders, waiting orders and stock by their rows, in the order in
 *		which callers give them, and reads orders' lines: without a statement
 *		(heap_lock.c) as long as that goes, else by one.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "base/base.h"
#include "store/columns.h"
#include "store/heap.h"
#include "store/heap_table.h"
#include "store/rows.h"
#include "store/statements.h"
#include "store/store.h"

/* As many as a statement reads of the table with the most, order_line. */
#define MAX_RESULT_COLUMNS LINE_COLUMNS_READ

StaticAssertDecl((int) STOCK_COLUMNS_READ <= MAX_RESULT_COLUMNS && (int) WAITING_COLUMNS_READ <= MAX_RESULT_COLUMNS, "no result has more columns");

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

/*
 * Runs a statement that reads rows of a table for a row set, and hands each
 * over.  Its result is the table's columns, then where the row is, column
 * number ctid from 0, then the number of the given row, and may be more.
 * Returns how many there were.
 */
static uint64
take_rows(BoStatement statement, BoRows *rows, int ctid, BoRowFunc take, void *arg)
{
	uint64		n = bo_run_statement(statement, rows, NULL, false);
	SPITupleTable *table = SPI_tuptable;
	Datum		values[MAX_RESULT_COLUMNS];
	bool		nulls[MAX_RESULT_COLUMNS];

	for (uint64 row = 0; row < n; row++)
	{
		bo_result_row(table, row, values, nulls);
		take(DatumGetInt32(values[ctid + 1]), (ItemPointer) DatumGetPointer(values[ctid]), values, nulls, arg);
	}
	SPI_freetuptable(table);
	return n;
}

/* ---------- orders ---------- */

/* A row set of these orders, numbered. */
static BoRows *
order_rows(const OrderKey *keys, int first, int end)
{
	BoRows	   *rows = bo_rows(BO_ROWS_ORDERS);

	for (int i = first; i < end; i++)
		bo_put_order(rows, keys[i].tenant, keys[i].source_id, keys[i].order_key, i);
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
	BoRows	   *rows = order_rows(locking->keys, first, end);
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

static void
take_waiting_row(int i, ItemPointer tid, const Datum *values, const bool *nulls, void *arg)
{
	WaitingLocking *locking = arg;

	locking->func(i, tid, values[WAITING_LAST_NOTIFIED], nulls[WAITING_CUSTOMER] ? NULL : TextDatumGetCString(values[WAITING_CUSTOMER]), locking->arg);
}

/* Under REPEATABLE READ a row that is no more is seen, and the one that was inserted beside it. */
static void
take_only_waiting_row(int i, ItemPointer tid, const Datum *values, const bool *nulls, void *arg)
{
	if (DatumGetInt64(values[WAITING_ROWS]) != 1)
		bo_raise_concurrent();
	take_waiting_row(i, tid, values, nulls, arg);
}

static int
lock_waiting_in_heap(BoHeap *heap, int first, int n, void *arg)
{
	return bo_heap_lock_waiting(heap, first, n, ((WaitingLocking *) arg)->keys, take_waiting_row, arg);
}

/* Locked in one statement, read in the next. */
static void
lock_waiting_by_statement(int first, int end, void *arg)
{
	BoRows	   *rows = order_rows(((WaitingLocking *) arg)->keys, first, end);

	(void) bo_run_statement(BO_LOCK_WAITING, rows, NULL, false);
	if (take_rows(BO_READ_LAST_NOTIFIED, rows, WAITING_CTID, take_only_waiting_row, arg) != (uint64) (end - first))
		elog(ERROR, "not all waiting orders were locked");
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

/* ---------- lines ---------- */

typedef struct LineReading
{
	OrderLineFunc func;
	void	   *arg;
} LineReading;

static void
take_line_row(int i, ItemPointer tid, const Datum *values, const bool *nulls, void *arg)
{
	LineReading *reading = arg;

	reading->func(i, values, nulls, reading->arg);
}

/* Hands over the recorded lines of orders, as a new snapshot sees them; those of one order in no order.  Expects an SPI scope. */
void
bo_read_order_lines(const OrderKey *keys, int n, OrderLineFunc func, void *arg)
{
	LineReading reading = {func, arg};
	BoHeap	   *heap = bo_heap_open(BO_TABLE_ORDER_LINE);
	BoRows	   *rows;

	if (heap != NULL)
	{
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		bo_heap_read_lines(heap, keys, n, func, arg);
		PopActiveSnapshot();
		bo_heap_close(heap);
		return;
	}
	rows = order_rows(keys, 0, n);
	(void) take_rows(BO_READ_ORDER_LINES, rows, LINE_CTID, take_line_row, &reading);
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
take_stock_row(int i, ItemPointer tid, const Datum *values, const bool *nulls, void *arg)
{
	StockLocking *locking = arg;
	StockCounters counters = {
		.tid = *tid,
		.on_hand = qty_copy(values[STOCK_ON_HAND]),
		.unavailable = qty_copy(values[STOCK_UNAVAILABLE]),
		.allocated = qty_copy(values[STOCK_ALLOCATED]),
		.backordered = qty_copy(values[STOCK_BACKORDERED]),
		.backordered_held = qty_copy(values[STOCK_BACKORDERED_HELD]),
		.on_order = qty_copy(values[STOCK_ON_ORDER]),
		.promises_stale = DatumGetBool(values[STOCK_PROMISES_STALE]),
		.stock_source_id = nulls[STOCK_STOCK_SOURCE_ID] ? 0 : DatumGetInt32(values[STOCK_STOCK_SOURCE_ID])
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
		Datum		values[] = {bo_text(key->tenant), bo_text(key->item), bo_text(key->location), Int32GetDatum(i)};
		bool		nulls[lengthof(values)] = {false};

		bo_rows_put(rows, values, nulls);
	}
	(void) bo_run_statement(BO_ADD_STOCK, rows, NULL, false);
	found = take_rows(BO_LOCK_STOCK, rows, STOCK_CTID, take_stock_row, locking);
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
