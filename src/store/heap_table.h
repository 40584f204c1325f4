/*
 * heap_table.h
 *		What is known of a table that is written without a statement: heap_write.c
 *		and heap_table.c share it.
 */
#ifndef BO_HEAP_TABLE_H
#define BO_HEAP_TABLE_H

#include "store/heap.h"

#include "nodes/execnodes.h"
#include "utils/relcache.h"

/* At least what the largest table has (heap_table.c asserts it); indexes of somebody's own may come on top. */
#define MAX_COLUMNS 32
#define MAX_INDEXES 8

/* Of so many rows of a table a session remembers where they are: 6 bytes each, 96 kB a session. */
#define REMEMBERED_ROWS 16384

/* A column, and what columns.h says of it. */
typedef struct Column
{
	const char *name;
	Oid			type;
	bool		nullable;
	bool		computed;		/* no row set gives it */
	const char *value;			/* default, or what it is generated as; NULL: none */
} Column;

/* A CHECK constraint that heap_compute.c checks. */
typedef struct Check
{
	const char *name;
	const char *condition;
} Check;

typedef struct Table
{
	const char *name;
	const char *triggers[3];	/* functions of the extension's own triggers, which have nothing to do for rows written here */
	bool		remember;		/* where rows are: they stay, and are locked often */
	int			ncolumns;
	const Column *columns;		/* in the order of the table; all of them */
	int			nchecks;
	const Check *checks;		/* all that the extension created */

	/* filled when first used, and again after a change */
	bool		valid;
	const char *unusable;		/* why its rows are left to statements; NULL: they are not */
	uint64		left;			/* how often they were, in this session */
	Oid			relid;
	MemoryContext cx;
	EState	   *estate;			/* for the predicates of partial indexes */
	ResultRelInfo *rri;
	int			nindexes;
	Oid			indexes[MAX_INDEXES];
	Oid			primary_key;
	bool		pin;			/* an index runs code that is not PostgreSQL's: it needs pinned settings */
	int 		deferred_index; /* number of the one whose entries may be late (heap_deferred.c), which is partial; -1: none */
	ItemPointerData *seen;		/* where rows were seen, by a hash of their keys; NULL: none yet */
	int8		from[BO_ROWS_KINDS][MAX_COLUMNS];	/* position + 1 of each column in row sets of a kind; -1: not given */
} Table;

/* A table while rows of it are written. */
struct BoHeap
{
	Table	   *table;
	Relation	rel;
	Relation	indexes[MAX_INDEXES];	/* NULL: not opened yet */
};

/* The computing of rows of a table. */
typedef struct Computing
{
	BoTable		which;
	Datum		value;			/* of one of its columns, the same in all rows */
} Computing;

extern Table bo_heap_tables[BO_TABLES];

extern void bo_compute_begin(Computing *computing, BoTable which);
extern void bo_compute(const Computing *computing, Datum *values, bool *nulls);
extern const char *bo_heap_unusable(Table *table, Relation rel);
extern Relation bo_index(BoHeap *heap, int which);
extern void bo_open_indexes(BoHeap *heap, TupleTableSlot *slot, int deferred);
extern bool bo_is_in_index(const BoHeap *heap, int which, TupleTableSlot *slot);
extern int	bo_deferred_index_number(const BoDeferredIndex *deferred, const BoHeap *heap);
extern void bo_deferred_index_put(BoDeferredIndex *deferred, const BoHeap *heap, TupleTableSlot *slot);
extern void bo_heap_insert_indexes(BoHeap *heap, TupleTableSlot *slot, bool update, bool summarizing, int deferred);
extern void bo_heap_update_row(BoHeap *heap, ItemPointer tid, TupleTableSlot *slot, CommandId cid);

#endif							/* BO_HEAP_TABLE_H */
