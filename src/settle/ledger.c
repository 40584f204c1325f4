/*
 * ledger.c
 *		What lines are given and what moves: allocations, movements, and the
 *		rows that the stock functions return.
 *
 * Part of settling: everything here runs under the stock locks that
 * bo_settle() takes, in its SPI scope and memory context.
 */
#include "postgres.h"

#include "base/base.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

static void
add_ledger(SettleState *st, Line *line, Stock *stock, Qty quantity, const char *cause, int64 movement_id, Movement *goods)
{
	bool		has_po = goods != NULL && goods->has_po;
	Datum		values[GIVEN_ALLOCATION_COLUMNS];
	bool		nulls[GIVEN_ALLOCATION_COLUMNS] = {false};

	values[GIVEN_ALLOCATION_TENANT] = bo_text(stock->key.tenant);
	values[GIVEN_ALLOCATION_LINE_ID] = Int64GetDatum(line->line_id);
	values[GIVEN_ALLOCATION_ITEM] = bo_text(stock->key.item);
	values[GIVEN_ALLOCATION_LOCATION] = bo_text(stock->key.location);
	values[GIVEN_ALLOCATION_QUANTITY] = NumericGetDatum(quantity);
	values[GIVEN_ALLOCATION_CAUSE] = bo_text(cause);
	values[GIVEN_ALLOCATION_MOVEMENT_ID] = Int64GetDatum(movement_id);
	nulls[GIVEN_ALLOCATION_MOVEMENT_ID] = movement_id == 0;
	values[GIVEN_ALLOCATION_PO_ID] = has_po ? Int64GetDatum(goods->po_id) : (Datum) 0;
	values[GIVEN_ALLOCATION_PO_LINE_NO] = has_po ? Int32GetDatum(goods->po_line_no) : (Datum) 0;
	nulls[GIVEN_ALLOCATION_PO_ID] = nulls[GIVEN_ALLOCATION_PO_LINE_NO] = !has_po;
	if (st->allocations == NULL)
		st->allocations = bo_rows(BO_ROWS_ALLOCATIONS);
	bo_rows_put(st->allocations, values, nulls);
}

/*
 * Changes a line's allocation.  The first of an incarnation is kept on the
 * line, every later one in the ledger.
 */
void
bo_allocate(SettleState *st, Line *line, Qty quantity, const char *cause, int64 movement_id, Movement *goods)
{
	if (qty_sign(quantity) == 0)
		return;
	bo_join_settling(line);
	line->allocated = qty_add(line->allocated, quantity);
	line->dirty = true;
	line->stock->allocated = qty_add(line->stock->allocated, quantity);
	line->stock->changed = true;
	if (line->new_incarnation)
		line->first_allocated = qty_add(line->first_allocated, quantity);
	else
		add_ledger(st, line, line->stock, quantity, cause, movement_id, goods);
}

/* Gives stock to a line, naming the goods that came in with this settling first. */
void
bo_allocate_to(SettleState *st, Line *line, Qty quantity)
{
	Stock	   *stock = line->stock;
	Qty			rest = quantity;

	bo_join_settling(line);
	while (qty_sign(rest) > 0)
	{
		GoodsIn    *goods = stock->goods != NIL ? linitial(stock->goods) : NULL;
		Qty			part = goods ? qty_min(goods->left, rest) : rest;

		if (goods)
			bo_allocate(st, line, part, goods->movement->kind, goods->movement->movement_id, goods->movement);
		else
			bo_allocate(st, line, part, "released", 0, NULL);
		rest = qty_sub(rest, part);
		if (goods)
		{
			goods->left = qty_sub(goods->left, part);
			if (qty_sign(goods->left) <= 0)
				stock->goods = list_delete_first(stock->goods);
		}
	}
	bo_collect_line(line, quantity);
}

/* Books a movement of the settling's own, and counts it. line_id 0: none. */
void
bo_add_movement(SettleState *st, Stock *stock, int64 movement_id, const char *kind, Qty quantity, Qty unavailable, int64 line_id, const char *reason)
{
	Datum		values[9];
	bool		nulls[9] = {false};

	values[0] = bo_text(stock->key.tenant);
	values[1] = Int64GetDatum(movement_id);
	values[2] = bo_text(stock->key.item);
	values[3] = bo_text(stock->key.location);
	values[4] = bo_text(kind);
	values[5] = NumericGetDatum(quantity);
	values[6] = Int64GetDatum(line_id);
	nulls[6] = line_id == 0;
	values[7] = bo_text(reason);
	nulls[7] = reason == NULL;
	values[8] = NumericGetDatum(unavailable);
	if (st->movements == NULL)
		st->movements = bo_rows(BO_ROWS_MOVEMENTS);
	bo_rows_put(st->movements, values, nulls);
	stock->on_hand = qty_add(stock->on_hand, quantity);
	stock->unavailable = qty_add(stock->unavailable, unavailable);
	stock->changed = true;
}
