/*
 * heap_functions.c
 *		What is known of the hot tables, for tests and for who wonders why writing
 *		got slow: heap_columns(), heap_checks() and heap_usable().
 */
#include "postgres.h"

#include "access/table.h"
#include "funcapi.h"

#include "base/base.h"
#include "store/heap.h"
#include "store/heap_table.h"

PG_FUNCTION_INFO_V1(bo_heap_columns);
PG_FUNCTION_INFO_V1(bo_heap_checks);
PG_FUNCTION_INFO_V1(bo_heap_usable);

static void
put_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* heap_columns(): the columns that each table must have, as columns.h says. */
Datum
bo_heap_columns(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < BO_TABLES; i++)
		for (int j = 0; j < bo_heap_tables[i].ncolumns; j++)
		{
			const Column *column = &bo_heap_tables[i].columns[j];
			Datum		values[] = {
				bo_text(bo_heap_tables[i].name), Int32GetDatum(j + 1), bo_text(column->name), ObjectIdGetDatum(column->type),
				BoolGetDatum(column->nullable), BoolGetDatum(column->computed), bo_text(column->value)
			};
			bool		nulls[lengthof(values)] = {false};

			nulls[lengthof(nulls) - 1] = column->value == NULL;
			put_row(fcinfo, values, nulls);
		}
	return (Datum) 0;
}

/* heap_checks(): the CHECK constraints that each table must have. */
Datum
bo_heap_checks(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < BO_TABLES; i++)
		for (int j = 0; j < bo_heap_tables[i].nchecks; j++)
		{
			const Check *check = &bo_heap_tables[i].checks[j];
			Datum		values[] = {bo_text(bo_heap_tables[i].name), bo_text(check->name), bo_text(check->condition)};
			bool		nulls[lengthof(values)] = {false};

			put_row(fcinfo, values, nulls);
		}
	return (Datum) 0;
}

/* heap_usable(): are rows of each table written to the heap now, and if not, why? */
Datum
bo_heap_usable(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < BO_TABLES; i++)
	{
		Table	   *table = &bo_heap_tables[i];
		Relation	rel = table_open(bo_relation(table->name), AccessShareLock);
		const char *unusable = bo_heap_unusable(table, rel);
		Datum		values[] = {bo_text(table->name), BoolGetDatum(unusable == NULL), bo_text(unusable), Int64GetDatum((int64) table->left)};
		bool		nulls[lengthof(values)] = {false, false, unusable == NULL, false};

		put_row(fcinfo, values, nulls);
		table_close(rel, AccessShareLock);
	}
	return (Datum) 0;
}
