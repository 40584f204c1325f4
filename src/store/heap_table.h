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

#define MAX_COLUMNS 32
#define MAX_INDEXES 8

/* Of so many rows of a table a session remembers where they are. */
#define REMEMBERED_ROWS 16384

typedef struct Column
{
	const char *name;
	Oid			type;
} Column;

typedef struct Table
{
	const char *name;
	int			nchecks;		/* CHECK constraints that the extension created */
	const char *nullable[8];	/* columns that may be NULL */
	const char *triggers[3];	/* functions of the extension's own triggers, which have nothing to do for rows written here */
	bool		remember;		/* where rows are: they stay, and are locked often */
	Column		columns[MAX_COLUMNS];	/* in the order of the table; all of them */

	/* filled when first used, and again after a change */
	bool		valid;
	bool		usable;
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
	int			ncolumns;
	int8		from[BO_ROWS_KINDS][MAX_COLUMNS];	/* position + 1 of each column in row sets of a kind; -1: not given */
} Table;

/* A table while rows of it are written. */
struct BoHeap
{
	Table	   *table;
	Relation	rel;
	Relation	indexes[MAX_INDEXES];	/* NULL: not opened yet */
};

extern Table bo_heap_tables[];	/* by BoTable */

extern Relation bo_index(BoHeap *heap, int which);
extern void bo_open_indexes(BoHeap *heap, TupleTableSlot *slot, int deferred);
extern bool bo_is_in_index(const BoHeap *heap, int which, TupleTableSlot *slot);
extern int	bo_deferred_index_number(const BoDeferredIndex *deferred, const BoHeap *heap);
extern void bo_deferred_index_put(BoDeferredIndex *deferred, const BoHeap *heap, TupleTableSlot *slot);
extern void bo_heap_insert_indexes(BoHeap *heap, TupleTableSlot *slot, bool update, bool summarizing, int deferred);
extern void bo_heap_update_row(BoHeap *heap, ItemPointer tid, TupleTableSlot *slot, CommandId cid);

#endif							/* BO_HEAP_TABLE_H */
