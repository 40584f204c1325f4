/*
 * direct_table.h
 *		What is known of a table that is written without a statement: direct.c
 *		and direct_table.c share it.
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
	int			late_index;		/* number of the one whose entries may be late (direct_late.c), which is partial; -1: none */
	ItemPointerData *seen;		/* where rows were seen, by a hash of their keys; NULL: none yet */
	int			ncolumns;
	int8		from[BO_ROWS_KINDS][MAX_COLUMNS];	/* position + 1 of each column in row sets of a kind; -1: not given */
} Table;

/* A table while rows of it are written. */
struct BoDirect
{
	Table	   *table;
	Relation	rel;
	Relation	indexes[MAX_INDEXES];	/* NULL: not opened yet */
};

extern Table bo_direct_tables[];	/* by BoTable */

extern Relation bo_index(BoDirect *direct, int which);
extern void bo_open_indexes(BoDirect *direct, TupleTableSlot *slot, int late);
extern bool bo_is_in_index(const BoDirect *direct, int which, TupleTableSlot *slot);
extern int	bo_late_index(const BoLate *late, const BoDirect *direct);
extern void bo_late_put(BoLate *late, const BoDirect *direct, TupleTableSlot *slot);
extern void bo_heap_insert_indexes(BoDirect *direct, TupleTableSlot *slot, bool update, bool summarizing, int late);
extern void bo_direct_update_row(BoDirect *direct, ItemPointer tid, TupleTableSlot *slot, CommandId cid);

#endif							/* BO_HEAP_TABLE_H */
