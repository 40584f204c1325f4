/*
 * supplier.c
 *		What still refers to a supplier.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_supplier_references);

/*
 * supplier_references(tenant text, supplier text, OUT po_id bigint, OUT item text)
 *		What still refers to a supplier that is deleted or renamed.
 *
 * Looks with a snapshot of its own: a transaction in REPEATABLE READ does not see rows that were
 * committed after it began, and must not leave them without their supplier.  The caller's row lock on the
 * supplier keeps others from adding more.
 */
Datum
bo_supplier_references(PG_FUNCTION_ARGS)
{
	Datum		args[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};
	TupleDesc	desc;
	MemoryContext cx = CurrentMemoryContext;
	SpiScope	spi;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	CommandCounterIncrement();
	bo_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	if (bo_run_statement(BO_SUPPLIER_REFERENCES, NULL, args, true) > 0)
	{
		char	   *item;

		values[0] = bo_result(SPI_tuptable, 0, 1, &nulls[0]);
		item = bo_result_text(SPI_tuptable, 0, 2);
		if (item != NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(cx);

			values[1] = bo_text(item);
			nulls[1] = false;
			MemoryContextSwitchTo(old);
		}
	}
	PopActiveSnapshot();
	bo_spi_end(&spi);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
