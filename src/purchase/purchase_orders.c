/*
 * purchase_orders.c
 *		Triggers on purchase orders and their lines: what of them is supply.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/base.h"
#include "purchase/inputs.h"
#include "reconcile/reconcile.h"
#include "settle/settle.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_apply_purchases);

/*
 * Locks the purchase orders of lines that were written.  Their states were
 * checked before each row; what became of them meanwhile counts.
 */
static void
revise_purchase_orders(BoStatement differences)
{
	char	   *status;

	if (bo_run_statement(differences == BO_LINE_INSERTED ? BO_PO_REVISE_INSERTED : differences == BO_LINE_UPDATED ? BO_PO_REVISE_UPDATED : BO_PO_REVISE_DELETED,
				NULL, NULL, false) == 0)
		return;
	status = bo_result_text(SPI_tuptable, 0, 3);
	if (status == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("purchase order %lld does not exist", (long long) bo_result_int64(SPI_tuptable, 0, 1)),
				 errdetail("A row of backorder.purchase_order_line names it."),
				 errhint("Insert it into backorder.purchase_order first.")));
	ereport(ERROR,
			(errcode(ERRCODE_BO_PURCHASE),
			 errmsg(differences == BO_LINE_DELETED ? "cannot delete line %d of purchase order %lld" : "cannot change line %d of purchase order %lld",
					bo_result_int32(SPI_tuptable, 0, 2), (long long) bo_result_int64(SPI_tuptable, 0, 1)),
			 errdetail("It is %s.", status),
			 differences == BO_LINE_DELETED ? errhint("What was received stays on record.") : errhint("Write a new purchase order.")));
}

/*
 * After INSERT, UPDATE and DELETE on purchase_order_line, INSERT and UPDATE on
 * purchase_order, per statement: makes supply what is placed, and settles.
 */
Datum
bo_apply_purchases(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = bo_own_trigger(fcinfo, "apply_purchases", "purchase_order_line", "purchase_order");
	bool		of_lines = RelationGetRelid(trigdata->tg_relation) == bo_relation("purchase_order_line");
	SettleRequest request = {0};
	BoStatement differences;
	SpiScope	spi;
	MemoryContext cx;
	MemoryContext old;
	SPITupleTable *table;
	uint64		n;

	if (bo_writing)
		PG_RETURN_POINTER(NULL);
	cx = AllocSetContextCreate(CurrentMemoryContext, "backorder purchases", ALLOCSET_DEFAULT_SIZES);
	bo_spi_begin(&spi);
	if (SPI_register_trigger_data(trigdata) != SPI_OK_TD_REGISTER)
		elog(ERROR, "could not register transition table");
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		differences = of_lines ? BO_LINE_INSERTED : BO_PO_INSERTED;
	else if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		differences = of_lines ? BO_LINE_UPDATED : BO_PO_UPDATED;
	else
		differences = BO_LINE_DELETED;
	if (of_lines)
		revise_purchase_orders(differences);
	n = bo_run_statement(differences, NULL, NULL, false);
	table = SPI_tuptable;
	old = MemoryContextSwitchTo(cx);
	for (uint64 i = 0; i < n; i++)
	{
		SupplyChange *c = palloc0(sizeof(SupplyChange));
		bool		isnull;

		c->tenant = bo_result_text(table, i, 1);
		c->po_id = bo_result_int64(table, i, 2);
		c->line_no = bo_result_int32(table, i, 3);
		c->wanted = bo_result_bool(table, i, 4);
		c->status = bo_result_text(table, i, 5);
		c->item = bo_result_text(table, i, 6);
		c->location = bo_result_text(table, i, 7);
		c->quantity = bo_result_qty(table, i, 8);
		c->expected_at = DatumGetDateADT(bo_result(table, i, 9, &isnull));
		c->has_expected_at = !isnull;
		c->closed = bo_result_bool(table, i, 10);
		c->old_item = bo_result_text(table, i, 11);
		c->old_location = bo_result_text(table, i, 12);
		if (c->wanted || c->old_item != NULL)
			request.supplies = lappend(request.supplies, c);
	}
	MemoryContextSwitchTo(old);
	bo_spi_end(&spi);
	if (request.supplies != NIL)
		(void) bo_reconcile_and_settle(&request, (ReconcileMode) {.reason = RECONCILE_CHANGES});
	MemoryContextDelete(cx);
	PG_RETURN_POINTER(NULL);
}
