/*
 * supply.c
 *		Dated supply: what is placed and not received, in a settling.
 *
 * Part of settling: everything here runs under the stock locks that
 * bo_settle() takes, in its SPI scope and memory context.
 */
#include "postgres.h"

#include "base/base.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

/* The supply row of a purchase order line in this settling, or NULL. */
SupplyRow *
bo_find_supply(SettleState *st, const char *tenant, int64 po_id, int32 line_no)
{
	ListCell   *lc;

	foreach(lc, st->supplies)
	{
		SupplyRow  *row = lfirst(lc);

		if (row->po_id == po_id && row->line_no == line_no && strcmp(row->tenant, tenant) == 0)
			return row;
	}
	return NULL;
}

/* What of it is still to come. */
Qty
bo_supply_open(SupplyRow *row)
{
	Qty			open = qty_sub(row->quantity, row->received);

	return row->closed || row->remove || qty_sign(open) < 0 ? qty_zero : open;
}

/* Reads the supply rows that movements and purchase changes name. */
void
bo_read_supply(SettleState *st)
{
	BoRows	   *rows = NULL;
	ListCell   *lc;
	uint64		n;

	foreach(lc, st->request->movements)
	{
		Movement   *m = lfirst(lc);
		Datum		values[3] = {bo_text(m->tenant), Int64GetDatum(m->po_id), Int32GetDatum(m->po_line_no)};
		bool		nulls[3] = {false};

		if (!m->has_po)
			continue;
		if (rows == NULL)
			rows = bo_rows(BO_ROWS_SUPPLY_KEYS);
		bo_rows_put(rows, values, nulls);
	}
	foreach(lc, st->request->supplies)
	{
		SupplyChange *c = lfirst(lc);
		Datum		values[3] = {bo_text(c->tenant), Int64GetDatum(c->po_id), Int32GetDatum(c->line_no)};
		bool		nulls[3] = {false};

		if (rows == NULL)
			rows = bo_rows(BO_ROWS_SUPPLY_KEYS);
		bo_rows_put(rows, values, nulls);
	}
	if (rows == NULL)
		return;
	n = bo_run_statement(BO_READ_SUPPLY, rows, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		SupplyRow  *row;
		char	   *tenant = bo_result_text(SPI_tuptable, i, 1);
		bool		isnull;
		StockKey	key = {tenant, bo_result_text(SPI_tuptable, i, 4), bo_result_text(SPI_tuptable, i, 5)};

		if (bo_find_supply(st, tenant, bo_result_int64(SPI_tuptable, i, 2), bo_result_int32(SPI_tuptable, i, 3)) != NULL)
			continue;
		row = palloc0(sizeof(SupplyRow));
		row->tenant = tenant;
		row->po_id = bo_result_int64(SPI_tuptable, i, 2);
		row->line_no = bo_result_int32(SPI_tuptable, i, 3);
		row->stock = bo_known_stock(st, &key);
		row->quantity = bo_result_qty(SPI_tuptable, i, 6);
		row->received = bo_result_qty(SPI_tuptable, i, 7);
		row->expected_at = DatumGetDateADT(bo_result(SPI_tuptable, i, 8, &isnull));
		row->has_expected_at = !isnull;
		row->closed = bo_result_bool(SPI_tuptable, i, 9);
		row->exists = true;
		if (row->stock)
			row->stock->supplies = lappend(row->stock->supplies, row);
		st->supplies = lappend(st->supplies, row);
	}
	bo_rows_drop(rows);
}

/* Sets on_order and the marks after a supply row changed; before is its open quantity until now. */
void
bo_supply_written(SupplyRow *row, Qty before)
{
	row->dirty = true;
	row->stock->supply_changed = true;
	row->stock->changed = true;
	row->stock->on_order = qty_add(row->stock->on_order, qty_sub(bo_supply_open(row), before));
}

static void
refuse_supply(SupplyRow *row, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_BO_PURCHASE),
			 errmsg("line %d of purchase order " INT64_FORMAT " cannot be %s", row->line_no, row->po_id, what),
			 errdetail("%s of it were received.", qty_text(row->received)),
			 errhint("Reverse the receipt first, or close the purchase order.")));
}

/* Makes supply what purchase orders say. Refuses to take away what was received. */
void
bo_apply_supplies(SettleState *st)
{
	ListCell   *lc;

	foreach(lc, st->request->supplies)
	{
		SupplyChange *c = lfirst(lc);
		SupplyRow  *row = bo_find_supply(st, c->tenant, c->po_id, c->line_no);
		Stock	   *stock = c->wanted ? bo_find_stock(st, c->tenant, c->item, c->location) : NULL;

		if (!c->wanted)
		{
			Qty			before;

			if (row == NULL)
				continue;
			if (qty_sign(row->received) != 0)
				refuse_supply(row, c->status && strcmp(c->status, "cancelled") == 0 ? "cancelled" : "deleted");
			before = bo_supply_open(row);
			row->remove = true;
			bo_supply_written(row, before);
			continue;
		}
		if (row != NULL && row->stock != stock)
		{
			Qty			before = bo_supply_open(row);
			SupplyRow  *moved = palloc(sizeof(SupplyRow));

			if (qty_sign(row->received) != 0)
				refuse_supply(row, "moved to another item");
			/* Leaves one queue and joins another: two rows here, one update there. */
			*moved = *row;
			row->remove = true;
			bo_supply_written(row, before);
			row->dirty = false;
			moved->stock = stock;
			moved->exists = true;
			stock->supplies = lappend(stock->supplies, moved);
			st->supplies = lcons(moved, st->supplies);
			stock->on_order = qty_add(stock->on_order, before);
			row = moved;
		}
		else if (row == NULL)
		{
			row = palloc0(sizeof(SupplyRow));
			row->tenant = c->tenant;
			row->po_id = c->po_id;
			row->line_no = c->line_no;
			row->stock = stock;
			row->quantity = qty_zero;
			row->received = qty_zero;
			stock->supplies = lappend(stock->supplies, row);
			st->supplies = lappend(st->supplies, row);
		}
		else if (qty_cmp(row->quantity, c->quantity) == 0 && row->closed == c->closed &&
				 row->has_expected_at == c->has_expected_at && (!c->has_expected_at || row->expected_at == c->expected_at))
			continue;
		{
			Qty			before = bo_supply_open(row);

			row->quantity = c->quantity;
			row->has_expected_at = c->has_expected_at;
			row->expected_at = c->expected_at;
			row->closed = c->closed;
			bo_supply_written(row, before);
		}
	}
}

static void
put_supply(BoRows **rows, SupplyRow *row)
{
	Datum		values[9];
	bool		nulls[9] = {false};

	if (*rows == NULL)
		*rows = bo_rows(BO_ROWS_SUPPLY);
	values[0] = bo_text(row->tenant);
	values[1] = Int64GetDatum(row->po_id);
	values[2] = Int32GetDatum(row->line_no);
	values[3] = bo_text(row->stock->key.item);
	values[4] = bo_text(row->stock->key.location);
	values[5] = NumericGetDatum(row->quantity);
	values[6] = NumericGetDatum(row->received);
	values[7] = DateADTGetDatum(row->expected_at);
	nulls[7] = !row->has_expected_at;
	values[8] = BoolGetDatum(row->closed);
	bo_rows_put(*rows, values, nulls);
}

/* Writes the supply rows that changed. */
void
bo_write_supply(SettleState *st)
{
	BoRows	   *inserted = NULL;
	BoRows	   *updated = NULL;
	BoRows	   *deleted = NULL;
	ListCell   *lc;

	foreach(lc, st->supplies)
	{
		SupplyRow  *row = lfirst(lc);

		if (!row->dirty)
			continue;
		if (row->remove)
		{
			if (row->exists)
				put_supply(&deleted, row);
		}
		else
			put_supply(row->exists ? &updated : &inserted, row);
	}
	bo_flush_rows(BO_DELETE_SUPPLY, deleted);
	bo_flush_rows(BO_UPDATE_SUPPLY, updated);
	bo_flush_rows(BO_INSERT_SUPPLY, inserted);
}
