/*
 * result.c
 *		The rows that a statement found.
 */
#include "postgres.h"

#include "base/base.h"
#include "store/store.h"

/* A whole row: columns from 0.  What the values point to goes with the table. */
void
bo_result_row(SPITupleTable *table, uint64 row, Datum *values, bool *nulls)
{
	heap_deform_tuple(table->vals[row], table->tupdesc, values, nulls);
}

/* Rows and columns of what a statement found, copied to the current context: rows from 0, columns from 1. */

Datum
bo_result(SPITupleTable *table, uint64 row, int column, bool *isnull)
{
	return heap_getattr(table->vals[row], column, table->tupdesc, isnull);
}

/* NULL for NULL */
char *
bo_result_text(SPITupleTable *table, uint64 row, int column)
{
	bool		isnull;
	Datum		value = bo_result(table, row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* NULL for NULL */
Qty
bo_result_qty(SPITupleTable *table, uint64 row, int column)
{
	bool		isnull;
	Datum		value = bo_result(table, row, column, &isnull);

	return isnull ? NULL : qty_copy(value);
}

int64
bo_result_int64(SPITupleTable *table, uint64 row, int column)
{
	bool		isnull;
	Datum		value = bo_result(table, row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int32
bo_result_int32(SPITupleTable *table, uint64 row, int column)
{
	bool		isnull;
	Datum		value = bo_result(table, row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

bool
bo_result_bool(SPITupleTable *table, uint64 row, int column)
{
	bool		isnull;
	Datum		value = bo_result(table, row, column, &isnull);

	return isnull ? false : DatumGetBool(value);
}
