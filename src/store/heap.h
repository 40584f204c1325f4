/*
 * heap.h
 *		Rows of the hot tables without a statement: run_statement.c, lock.c and heap_write.c
 *		share it.
 */
#ifndef BO_HEAP_H
#define BO_HEAP_H

#include "store/store.h"

#include "storage/itemptr.h"
#include "store/rows.h"

typedef enum BoTable
{
	BO_TABLE_ORDER_LINE,
	BO_TABLE_STOCK,
	BO_TABLE_SALES_ORDER,
	BO_TABLE_ALLOCATION,
	BO_TABLE_EVENT,
	BO_TABLE_PURCHASE_ORDER_LINE,
	BO_TABLE_WAITING_ORDER
} BoTable;

typedef struct BoHeap BoHeap;

/* The key of the stock row to lock next: tenant, item, location. */
typedef void (*BoStockKeyFunc) (int i, const char **parts, void *arg);

/* A locked stock row: its columns in the order of the table, none is NULL. */
typedef void (*BoStockRowFunc) (int i, ItemPointer tid, const Datum *values, void *arg);

pg_noreturn extern void bo_raise_concurrent(void);
extern BoHeap *bo_heap_open(BoTable which);
extern void bo_heap_close(BoHeap *heap);
extern void bo_heap_insert(BoHeap *heap, BoRows *rows);
extern void bo_heap_update(BoHeap *heap, BoRows *rows);
extern void bo_heap_delete(BoHeap *heap, BoRows *rows);
extern int	bo_heap_lock_stock(BoHeap *heap, int first, int n, BoStockKeyFunc key_of, BoStockRowFunc take, void *arg);
extern int	bo_heap_lock_orders(BoHeap *heap, int first, int n, const OrderKey *keys, int64 *before);
extern int	bo_heap_lock_waiting(BoHeap *heap, int first, int n, const OrderKey *keys, LastNotifiedFunc take, void *arg);
extern void bo_heap_read_lines(BoHeap *heap, const OrderKey *keys, int n, OrderLineFunc take, void *arg);

/* sequence.c */
extern int64 bo_next_allocation_id(void);
extern int64 bo_next_event_id(void);

#endif							/* BO_HEAP_H */
