/*
 * heap_compute.c
 *		What a statement would compute of a row, for rows that are written to the
 *		heap: defaults and generated columns; and the CHECK constraints.
 *
 * Which columns and constraints these are, columns.h says.
 */
#include "postgres.h"

#include "base/base.h"
#include "store/columns.h"
#include "store/heap.h"
#include "store/heap_table.h"

/* Begins with rows of a table.  Allocates in the current context. */
void
bo_compute_begin(Computing *computing, BoTable which)
{
	computing->which = which;
	if (which == BO_TABLE_ORDER_LINE)
		computing->value = bo_text("partial");
	else if (which == BO_TABLE_ALLOCATION || which == BO_TABLE_EVENT || which == BO_TABLE_PURCHASE_ORDER_LINE)
		computing->value = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
}

static void
refuse_row(const char *table, const char *constraint)
{
	elog(ERROR, "a row of backorder.%s would violate check constraint %s", table, constraint);
}

/* What the conditions in columns.h call. */
#define quantity(column) DatumGetNumeric(values[column])
#define not_negative(column) (qty_sign(quantity(column)) >= 0)

#define CHECK_LINE(name, condition, holds) if (!(holds)) refuse_row("order_line", #name);
#define CHECK_STOCK(name, condition, holds) if (!(holds)) refuse_row("stock", #name);

static void
set_column(Datum *values, bool *nulls, int column, Datum value)
{
	values[column] = value;
	nulls[column] = false;
}

static void
compute_line(const Computing *computing, Datum *values, bool *nulls)
{
	Qty			open = qty_sub(qty_sub(qty_sub(quantity(LINE_ORDERED), quantity(LINE_CANCELLED)), quantity(LINE_AUTO_CANCELLED)), quantity(LINE_SHIPPED));
	Qty			backordered = qty_sub(qty_sign(open) < 0 ? qty_zero : open, quantity(LINE_ALLOCATED));

	set_column(values, nulls, LINE_BACKORDERED, NumericGetDatum(backordered));
	set_column(values, nulls, LINE_FULFILMENT, computing->value);
	ORDER_LINE_CHECKS(CHECK_LINE)
}

static void
compute_stock(Datum *values, bool *nulls)
{
	Qty			available = qty_sub(qty_sub(quantity(STOCK_ON_HAND), quantity(STOCK_UNAVAILABLE)), quantity(STOCK_ALLOCATED));

	set_column(values, nulls, STOCK_AVAILABLE, NumericGetDatum(available));
	set_column(values, nulls, STOCK_VERSION, Int64GetDatum(DatumGetInt64(values[STOCK_VERSION]) + 1));
	STOCK_CHECKS(CHECK_STOCK)
}

/*
 * Fills the columns of a row that were not given.  What it allocates is in the
 * current context.  Raises an error for a row that a constraint forbids.
 */
void
bo_compute(const Computing *computing, Datum *values, bool *nulls)
{
	switch (computing->which)
	{
		case BO_TABLE_ORDER_LINE:
			compute_line(computing, values, nulls);
			break;
		case BO_TABLE_STOCK:
			compute_stock(values, nulls);
			break;
		case BO_TABLE_ALLOCATION:
			set_column(values, nulls, ALLOCATION_ALLOCATION_ID, Int64GetDatum(bo_next_allocation_id()));
			set_column(values, nulls, ALLOCATION_ALLOCATED_AT, computing->value);
			break;
		case BO_TABLE_EVENT:
			set_column(values, nulls, EVENT_ID, Int64GetDatum(bo_next_event_id()));
			set_column(values, nulls, EVENT_CREATED_AT, computing->value);
			break;
		case BO_TABLE_PURCHASE_ORDER_LINE:
			set_column(values, nulls, PO_LINE_CANCELLED, NumericGetDatum(qty_zero));
			nulls[PO_LINE_EXPECTED_AT] = true;
			set_column(values, nulls, PO_LINE_APPLIED_AT, computing->value);
			break;
		case BO_TABLE_SALES_ORDER:
		case BO_TABLE_WAITING_ORDER:
		case BO_TABLES:
			break;
	}
}
