/*
 * settle_functions.c
 *		flush(), lock_stock() and repromise(): settling that is asked for.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/memutils.h"

#include "base/base.h"
#include "pending/pending.h"
#include "reconcile/reconcile.h"
#include "settle/settle.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_flush);
PG_FUNCTION_INFO_V1(bo_lock_stock);
PG_FUNCTION_INFO_V1(bo_repromise);

/* flush(): settles this transaction's pending orders now; returns lines that changed. */
Datum
bo_flush(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(bo_settle_pending());
}

/* lock_stock(items, location, tenant): locks stock rows sorted; pending orders are settled in the same step. */
Datum
bo_lock_stock(PG_FUNCTION_ARGS)
{
	ArrayType  *items = PG_GETARG_ARRAYTYPE_P(0);
	char	   *location = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *tenant = text_to_cstring(PG_GETARG_TEXT_PP(2));
	List	   *stock_keys = NIL;
	SpiScope	spi;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(items, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_BO_ARGUMENT),
					 errmsg("an item to lock is NULL"),
					 errhint("Name the items.")));
		stock_keys = lappend(stock_keys, bo_stock_key(tenant, TextDatumGetCString(values[i]), location));
	}
	if (bo_pending_orders() != NIL || bo_stock_pending())
	{
		/* One locking step: the stock of the pending orders is locked with it, sorted. */
		SettleRequest request = {.stock_keys = stock_keys};

		(void) bo_reconcile_and_settle(&request, (ReconcileMode) {.reason = RECONCILE_CHANGES});
	}
	else if (stock_keys != NIL)
	{
		bo_spi_begin(&spi);
		bo_lock_stock_keys(stock_keys);
		bo_spi_end(&spi);
	}
	PG_RETURN_VOID();
}

/* repromise(item): makes the promises again where settling left some; returns lines that changed. */
Datum
bo_repromise(PG_FUNCTION_ARGS)
{
	SettleRequest request = {0};
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder promises", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	SpiScope	spi;
	Datum		arg = PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0);
	uint64		n;

	bo_spi_begin(&spi);
	n = bo_run_statement(BO_READ_STALE_STOCK, NULL, &arg, false);
	old = MemoryContextSwitchTo(cx);
	for (uint64 i = 0; i < n; i++)
		request.stock_keys = lappend(request.stock_keys, bo_stock_key(bo_result_text(SPI_tuptable, i, 1), bo_result_text(SPI_tuptable, i, 2), bo_result_text(SPI_tuptable, i, 3)));
	MemoryContextSwitchTo(old);
	bo_spi_end(&spi);
	if (request.stock_keys != NIL)
	{
		request.repromise = true;
		(void) bo_reconcile_and_settle(&request, (ReconcileMode) {.reason = RECONCILE_CHANGES});
	}
	MemoryContextDelete(cx);
	PG_RETURN_INT64(request.lines_changed);
}
