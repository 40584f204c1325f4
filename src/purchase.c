/*
 * purchase.c
 *		Triggers on the input tables: stock movements and purchase orders.
 *
 * Both turn the rows of one statement into one settling, together with the
 * orders that are pending in the transaction.  What to buy is decided by
 * plan_purchases() in SQL; what of it is supply is decided here.
 */
#include "backorder.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(bo_apply_movements);
PG_FUNCTION_INFO_V1(bo_apply_purchases);
PG_FUNCTION_INFO_V1(bo_supplier_references);

/* Refuses to run as the trigger of any table but ours. */
static TriggerData *
own_trigger(FunctionCallInfo fcinfo, const char *function, const char *table, const char *other)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		(RelationGetRelid(trigdata->tg_relation) != bo_relation(table) &&
		 RelationGetRelid(trigdata->tg_relation) != bo_relation(other)))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder_internal.%s() is called by its own triggers only", function),
				 errhint("Insert into backorder.%s.", table)));
	return trigdata;
}

/*
 * After INSERT on stock_movement, per statement: applies the rows that this
 * statement brought (a restore's have another applied_at) and settles.
 */
Datum
bo_apply_movements(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = own_trigger(fcinfo, "apply_movements", "stock_movement", "stock_movement");
	Settlement	settlement = {0};
	BoSection	section;
	MemoryContext cx;
	MemoryContext old;
	uint64		n;

	if (bo_writing)
		PG_RETURN_POINTER(NULL);
	cx = AllocSetContextCreate(CurrentMemoryContext, "backorder movements", ALLOCSET_DEFAULT_SIZES);
	bo_enter(&section);
	if (SPI_register_trigger_data(trigdata) != SPI_OK_TD_REGISTER)
		elog(ERROR, "could not register transition table");
	n = bo_exec(BO_NEW_MOVEMENTS, NULL, NULL, false);
	old = MemoryContextSwitchTo(cx);
	for (uint64 i = 0; i < n; i++)
	{
		Movement   *m = palloc0(sizeof(Movement));
		bool		no_po;
		bool		no_line;

		m->movement_id = bo_get_int64(i, 1);
		m->tenant = bo_get_text(i, 2);
		m->item = bo_get_text(i, 3);
		m->location = bo_get_text(i, 4);
		m->kind = bo_get_text(i, 5);
		m->quantity = bo_get_qty(i, 6);
		m->unavailable = bo_get_qty(i, 7);
		m->po_id = DatumGetInt64(bo_get(i, 8, &no_po));
		m->po_line_no = DatumGetInt32(bo_get(i, 9, &no_line));
		m->has_po = !no_po && !no_line;
		m->half_po = no_po != no_line;
		settlement.movements = lappend(settlement.movements, m);
	}
	MemoryContextSwitchTo(old);
	bo_leave(&section);
	if (settlement.movements != NIL)
		(void) bo_reconcile_and_settle(&settlement, (ReconcileMode) {0});
	MemoryContextDelete(cx);
	PG_RETURN_POINTER(NULL);
}

/*
 * Locks the purchase orders of lines that were written.  Their states were
 * checked before each row; what became of them meanwhile counts.
 */
static void
revise_purchase_orders(BoStatement differences)
{
	char	   *status;

	if (bo_exec(differences == BO_LINE_INSERTED ? BO_PO_REVISE_INSERTED : differences == BO_LINE_UPDATED ? BO_PO_REVISE_UPDATED : BO_PO_REVISE_DELETED,
				NULL, NULL, false) == 0)
		return;
	status = bo_get_text(0, 3);
	if (status == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("purchase order %lld does not exist", (long long) bo_get_int64(0, 1)),
				 errdetail("A row of backorder.purchase_order_line names it."),
				 errhint("Insert it into backorder.purchase_order first.")));
	ereport(ERROR,
			(errcode(ERRCODE_BO_PURCHASE),
			 errmsg(differences == BO_LINE_DELETED ? "cannot delete line %d of purchase order %lld" : "cannot change line %d of purchase order %lld",
					bo_get_int32(0, 2), (long long) bo_get_int64(0, 1)),
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
	TriggerData *trigdata = own_trigger(fcinfo, "apply_purchases", "purchase_order_line", "purchase_order");
	bool		of_lines = RelationGetRelid(trigdata->tg_relation) == bo_relation("purchase_order_line");
	Settlement	settlement = {0};
	BoStatement differences;
	BoSection	section;
	MemoryContext cx;
	MemoryContext old;
	SPITupleTable *table;
	uint64		n;

	if (bo_writing)
		PG_RETURN_POINTER(NULL);
	cx = AllocSetContextCreate(CurrentMemoryContext, "backorder purchases", ALLOCSET_DEFAULT_SIZES);
	bo_enter(&section);
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
	n = bo_exec(differences, NULL, NULL, false);
	table = SPI_tuptable;
	old = MemoryContextSwitchTo(cx);
	for (uint64 i = 0; i < n; i++)
	{
		SupplyChange *c = palloc0(sizeof(SupplyChange));
		bool		isnull;

		SPI_tuptable = table;
		c->tenant = bo_get_text(i, 1);
		c->po_id = bo_get_int64(i, 2);
		c->line_no = bo_get_int32(i, 3);
		c->wanted = bo_get_bool(i, 4);
		c->status = bo_get_text(i, 5);
		c->item = bo_get_text(i, 6);
		c->location = bo_get_text(i, 7);
		c->quantity = bo_get_qty(i, 8);
		c->expected_at = DatumGetDateADT(bo_get(i, 9, &isnull));
		c->has_expected_at = !isnull;
		c->closed = bo_get_bool(i, 10);
		c->old_item = bo_get_text(i, 11);
		c->old_location = bo_get_text(i, 12);
		if (c->wanted || c->old_item != NULL)
			settlement.supplies = lappend(settlement.supplies, c);
	}
	MemoryContextSwitchTo(old);
	bo_leave(&section);
	if (settlement.supplies != NIL)
		(void) bo_reconcile_and_settle(&settlement, (ReconcileMode) {0});
	MemoryContextDelete(cx);
	PG_RETURN_POINTER(NULL);
}

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
	BoSection	section;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	CommandCounterIncrement();
	bo_enter(&section);
	PushActiveSnapshot(GetLatestSnapshot());
	if (bo_exec(BO_SUPPLIER_REFERENCES, NULL, args, true) > 0)
	{
		char	   *item;

		values[0] = bo_get(0, 1, &nulls[0]);
		item = bo_get_text(0, 2);
		if (item != NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(cx);

			values[1] = bo_text(item);
			nulls[1] = false;
			MemoryContextSwitchTo(old);
		}
	}
	PopActiveSnapshot();
	bo_leave(&section);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
