/*
 * store.h
 *		The extension's own tables: row sets, statements, locks by key.
 */
#ifndef BO_STORE_H
#define BO_STORE_H

#include "executor/spi.h"
#include "tcop/dest.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "store/columns.h"
#include "store/statements.h"

typedef struct BoRows BoRows;

typedef struct BoDeferredIndex BoDeferredIndex;

/* Fills a row of a set.  What it points to stays until the next. */
typedef void (*BoMakeRowFunc) (Datum *values, bool *nulls, void *arg);

/* A row of a statement that is still running: no other may run, and an error shows its text. */
typedef void (*BoTakeRowFunc) (const Datum *values, const bool *nulls, void *arg);

/* Takes the rows of a statement as they come, in the memory context in which it was made; &dest is for SPI. */
typedef struct BoReceiver
{
	DestReceiver dest;
	BoTakeRowFunc take;
	void	   *arg;
	MemoryContext cx;
} BoReceiver;

typedef struct StockKey
{
	char	   *tenant;
	char	   *item;
	char	   *location;
} StockKey;

/* A key of these texts, which stay the caller's, in the current context. */
static inline StockKey *
bo_stock_key(char *tenant, char *item, char *location)
{
	StockKey   *key = palloc(sizeof(StockKey));

	*key = (StockKey) {.tenant = tenant,.item = item,.location = location};
	return key;
}

/* The counters of a stock row when it was locked. */
typedef struct StockCounters
{
	ItemPointerData tid;
	Qty			on_hand;
	Qty			unavailable;
	Qty			allocated;
	Qty			backordered;
	Qty			backordered_held;
	Qty			on_order;
	bool		promises_stale;
	int32		stock_source_id; /* 0: movements keep on hand */
} StockCounters;

typedef void (*StockLockedFunc) (int i, const StockCounters *counters, void *arg);

/* The key of an order. */
typedef struct OrderKey
{
	const char *tenant;
	int32		source_id;
	const char *order_key;
	bool		new_by_us;		/* this transaction inserted it: nobody else sees it */
} OrderKey;

/* What the customer of an order was told, in the row at tid; not called for one that has none. The name is the function's to keep. */
typedef void (*LastNotifiedFunc) (int i, ItemPointer tid, Datum last_notified, char *customer, void *arg);

/* A recorded line of the ith order; values are by LineColumn, those of the table, and the caller's only until this returns. */
typedef void (*OrderLineFunc) (int i, const Datum *values, const bool *nulls, void *arg);

/* Columns of IMPORT_COLUMNS in statements.c. */
enum
{
	IMPORT_STATE = 1, IMPORT_RECHECK, IMPORT_POSITION, IMPORT_RECORDED, IMPORT_ADDED, IMPORT_PHASE,
	IMPORT_ALLOCATED_ITEM, IMPORT_ALLOCATED_LOCATION
};

/* rows.c */
extern BoRows *bo_rows(BoRowsKind kind);
extern BoRows *bo_rows_deferred(BoRowsKind kind, BoDeferredIndex *deferred);
extern BoRows *bo_rows_made(BoRowsKind kind, uint64 n, BoMakeRowFunc make, void *arg);
extern uint64 bo_rows_put(BoRows *rows, const Datum *values, const bool *nulls);
extern void bo_put_order(BoRows *rows, const char *tenant, int32 source_id, const char *order_key, int32 n);
extern void bo_rows_drop(BoRows *rows);
extern BoReceiver bo_receiver(BoTakeRowFunc take, void *arg);

/* heap_table.c */
extern void bo_heap_init(void);

/* heap_deferred.c */
extern BoDeferredIndex *bo_deferred_index(void);
extern void bo_deferred_index_flush(BoDeferredIndex *deferred);

/* read_rows.c */
extern SPITupleTable *bo_read_source_row(const char *table, const char *index, const char *tenant, int32 source_id, const char *const *columns, int n);

/* run_statement.c */
extern uint64 bo_run_statement(BoStatement statement, BoRows *rows, const Datum *args, bool read_only);
extern void bo_flush_rows(BoStatement statement, BoRows *rows);
extern Portal bo_open_cursor(BoStatement statement, const Datum *args);

/* sequence.c */
extern int64 bo_next_line_id(void);
extern void bo_check_line_id(int64 line_id);
extern int64 bo_generation(void);
extern int64 bo_next_movement_id(void);
extern int32 bo_next_source_id(void);

/* result.c */
extern void bo_result_row(SPITupleTable *table, uint64 row, Datum *values, bool *nulls);
extern Datum bo_result(SPITupleTable *table, uint64 row, int column, bool *isnull);
extern char *bo_result_text(SPITupleTable *table, uint64 row, int column);
extern Qty	bo_result_qty(SPITupleTable *table, uint64 row, int column);
extern int64 bo_result_int64(SPITupleTable *table, uint64 row, int column);
extern int32 bo_result_int32(SPITupleTable *table, uint64 row, int column);
extern bool bo_result_bool(SPITupleTable *table, uint64 row, int column);

/* lock.c */
extern void bo_lock_order_rows(const OrderKey *keys, int n, int64 *before);
extern void bo_lock_waiting_orders(const OrderKey *keys, int n, LastNotifiedFunc func, void *arg);
extern void bo_read_order_lines(const OrderKey *keys, int n, OrderLineFunc func, void *arg);
extern void bo_lock_stock_rows(const StockKey *const *keys, int n, StockLockedFunc func, void *arg);

#endif							/* BO_STORE_H */
