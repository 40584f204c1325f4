/*
 * rows.h
 *		What a row set is, for the files of this folder that read it.
 */
#ifndef BO_ROWS_H
#define BO_ROWS_H

#include "access/tupdesc.h"
#include "utils/tuplestore.h"

#include "store/store.h"

/* A row set: few rows as they were given, more of them in a tuplestore; or made when they are read. */
struct BoRows
{
	BoRowsKind	kind;
	TupleDesc	desc;
	uint64		n;
	BoMakeRowFunc make;			/* NULL: the rows were given */
	void	   *arg;
	Datum	   *values;			/* of the rows before there was a store, one after another; of one that is made */
	bool	   *nulls;
	int			capacity;		/* rows */
	Tuplestorestate *store;		/* NULL: none */
	BoDeferredIndex *deferred;	/* where index entries may wait; NULL: nowhere */
};

extern void bo_rows_to_store(BoRows *rows);

#endif							/* BO_ROWS_H */
