/*
 * movement_trigger.c
 *		The trigger on stock_movement: the rows of one statement in one settling,
 *		together with the orders that are pending in the transaction.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/base.h"
#include "purchase/inputs.h"
#include "reconcile/reconcile.h"
#include "settle/settle.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_apply_movements);

/*
 * After INSERT on stock_movement, per statement: applies the rows that this
 * statement brought (a restore's have another applied_at) and settles.
 */
Datum
bo_apply_movements(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = bo_own_trigger(fcinfo, "apply_movements", "stock_movement", "stock_movement");
	SettleRequest request = {0};
	SpiScope	spi;
	MemoryContext cx;
	MemoryContext old;
	uint64		n;

	if (bo_writing)
		PG_RETURN_POINTER(NULL);
	cx = AllocSetContextCreate(CurrentMemoryContext, "backorder movements", ALLOCSET_DEFAULT_SIZES);
	bo_spi_begin(&spi);
	if (SPI_register_trigger_data(trigdata) != SPI_OK_TD_REGISTER)
		elog(ERROR, "could not register transition table");
	n = bo_run_statement(BO_NEW_MOVEMENTS, NULL, NULL, false);
	old = MemoryContextSwitchTo(cx);
	for (uint64 i = 0; i < n; i++)
	{
		Movement   *m = palloc0(sizeof(Movement));
		bool		no_po;
		bool		no_line;

		m->movement_id = bo_result_int64(SPI_tuptable, i, 1);
		m->tenant = bo_result_text(SPI_tuptable, i, 2);
		m->item = bo_result_text(SPI_tuptable, i, 3);
		m->location = bo_result_text(SPI_tuptable, i, 4);
		m->kind = bo_result_text(SPI_tuptable, i, 5);
		m->quantity = bo_result_qty(SPI_tuptable, i, 6);
		m->unavailable = bo_result_qty(SPI_tuptable, i, 7);
		m->po_id = DatumGetInt64(bo_result(SPI_tuptable, i, 8, &no_po));
		m->po_line_no = DatumGetInt32(bo_result(SPI_tuptable, i, 9, &no_line));
		m->has_po = !no_po && !no_line;
		m->half_po = no_po != no_line;
		request.movements = lappend(request.movements, m);
	}
	MemoryContextSwitchTo(old);
	bo_spi_end(&spi);
	if (request.movements != NIL)
		(void) bo_reconcile_and_settle(&request, (ReconcileMode) {.reason = RECONCILE_CHANGES});
	MemoryContextDelete(cx);
	PG_RETURN_POINTER(NULL);
}
