/*
 * result.c
 *		The rows that a statement found.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "store/store.h"

/* ---------- results: row and column of SPI_tuptable, copied to the current context ---------- */

Datum
bo_get(int row, int column, bool *isnull)
{
	return heap_getattr(SPI_tuptable->vals[row], column, SPI_tuptable->tupdesc, isnull);
}

/* NULL for NULL */
char *
bo_get_text(int row, int column)
{
	bool		isnull;
	Datum		value = bo_get(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* NULL for NULL */
Qty
bo_get_qty(int row, int column)
{
	bool		isnull;
	Datum		value = bo_get(row, column, &isnull);

	return isnull ? NULL : qty_copy(value);
}

int64
bo_get_int64(int row, int column)
{
	bool		isnull;
	Datum		value = bo_get(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int32
bo_get_int32(int row, int column)
{
	bool		isnull;
	Datum		value = bo_get(row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

bool
bo_get_bool(int row, int column)
{
	bool		isnull;
	Datum		value = bo_get(row, column, &isnull);

	return isnull ? false : DatumGetBool(value);
}
