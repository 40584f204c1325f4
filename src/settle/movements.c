/*
 * movements.c
 *		Stock movements: checked, applied to their stock, and booked where more was
 *		shipped than there is.
 */
#include "postgres.h"

#include "announce/announce.h"
#include "base/base.h"
#include "base/json.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

static void
refuse_movement(Movement *m, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_BO_QUANTITY),
			 errmsg("invalid %s of item \"%s\"", m->kind, m->item),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/* Kind and signs; a shipment takes away, a receipt may be reversed, and so on. */
void
bo_check_movement(Movement *m)
{
	static const struct
	{
		const char *kind;
		int			quantity;	/* allowed sign: 1, -1, 0 none, 2 any */
		int			unavailable;	/* likewise */
	}			kinds[] = {
		{"receipt", 2, 2}, {"shipment", 2, 0}, {"adjustment", 2, 2}, {"count", 2, 2}, {"transfer", 2, 2},
		{"return", 2, 2}, {"hold", 0, 1}, {"release", 0, -1}, {"opening", 1, 1}
	};
	int			i = 0;

	while (i < (int) lengthof(kinds) && strcmp(kinds[i].kind, m->kind) != 0)
		i++;
	if (i == (int) lengthof(kinds))
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("unknown kind of stock movement \"%s\"", m->kind),
				 errhint("Use receipt, shipment, adjustment, count, transfer, return, hold, release or opening.")));
	if (m->quantity == NULL || m->unavailable == NULL || !qty_finite(m->quantity) || !qty_finite(m->unavailable))
		refuse_movement(m, "Its quantity is not finite.", "Quantities are numbers.");
	if ((kinds[i].quantity == 0 && qty_sign(m->quantity) != 0) ||
		(kinds[i].quantity == 1 && qty_sign(m->quantity) < 0) ||
		(kinds[i].unavailable == 0 && qty_sign(m->unavailable) != 0) ||
		(kinds[i].unavailable == 1 && qty_sign(m->unavailable) < 0) ||
		(kinds[i].unavailable == -1 && qty_sign(m->unavailable) > 0))
		refuse_movement(m, psprintf("Quantity %s and unavailable %s do not fit the kind.", qty_text(m->quantity), qty_text(m->unavailable)),
						"A hold or release changes unavailable only; an opening is not negative.");
	if (m->has_po && strcmp(m->kind, "receipt") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("stock movement of kind \"%s\" cannot name a purchase order", m->kind),
				 errhint("Only receipts do.")));
	if (m->half_po)
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("receipt of item \"%s\" names half a purchase order line", m->item),
				 errhint("Give po_id and po_line_no, or neither.")));
}

void
bo_take_movements(SettleState *st)
{
	ListCell   *lc;

	foreach(lc, st->request->movements)
	{
		Movement   *m = lfirst(lc);
		Stock	   *stock = bo_find_stock(st, m->tenant, m->item, m->location);
		Qty			comes = qty_sub(m->quantity, m->unavailable);

		bo_check_attached_stock(stock, m);
		if (m->has_po)
		{
			SupplyRow  *row = bo_find_supply(st, m->tenant, m->po_id, m->po_line_no);
			Qty			before;

			if (row == NULL || row->stock != stock)
				ereport(ERROR,
						(errcode(ERRCODE_BO_PURCHASE),
						 errmsg("line %d of purchase order " INT64_FORMAT " cannot be received", m->po_line_no, m->po_id),
						 errdetail(row == NULL ? "It is not placed." : "It is of another item or location."),
						 errhint("Only lines of placed purchase orders are received, at their location.")));
			if (row->closed && qty_sign(m->quantity) > 0)
				ereport(ERROR,
						(errcode(ERRCODE_BO_PURCHASE),
						 errmsg("line %d of purchase order " INT64_FORMAT " cannot be received", m->po_line_no, m->po_id),
						 errdetail("The purchase order is closed."),
						 errhint("Receive without a purchase order, or write a new one.")));
			before = bo_supply_open(row);
			row->received = qty_add(row->received, m->quantity);
			if (qty_sign(row->received) < 0)
				ereport(ERROR,
						(errcode(ERRCODE_BO_PURCHASE),
						 errmsg("more of line %d of purchase order " INT64_FORMAT " is reversed than was received", m->po_line_no, m->po_id),
						 errhint("See received in backorder.purchases.")));
			bo_supply_written(row, before);
		}
		stock->on_hand = qty_add(stock->on_hand, m->quantity);
		stock->unavailable = qty_add(stock->unavailable, m->unavailable);
		stock->changed = true;
		if (qty_sign(comes) > 0)
		{
			GoodsIn    *goods = palloc(sizeof(GoodsIn));

			goods->movement = m;
			goods->left = comes;
			stock->goods = lappend(stock->goods, goods);
		}
	}
}

static void
note_discrepancy(SettleState *st, Line *line, Qty missing)
{
	JsonbParseState *payload = NULL;

	json_begin(&payload);
	json_text(&payload, "order", line->order_key);
	json_text(&payload, "customer", line->customer);
	json_begin_array(&payload, "lines");
	json_begin(&payload);
	json_text(&payload, "line", line->line_key);
	json_text(&payload, "item", line->stock->key.item);
	json_text(&payload, "location", line->stock->key.location);
	json_qty(&payload, "ordered", line->ordered);
	json_qty(&payload, "shipped", line->shipped);
	json_qty(&payload, "adjusted", missing);
	json_end(&payload);
	json_end_array(&payload);
	bo_event_put(&st->events, line->stock->key.tenant, line->source_id, line->order_key, "discrepancy", line->customer, &payload);
}

/*
 * More was shipped than was to be had: it came out of what is held, and what
 * on hand lacks is booked as found, line by line.
 */
Qty
bo_book_discrepancies(SettleState *st, Stock *stock, Qty missing)
{
	/* The last line to ship beyond its allocation is the first to be doubted. */
	for (int i = list_length(stock->lines) - 1; i >= 0 && qty_sign(missing) > 0; i--)
	{
		Line	   *line = list_nth(stock->lines, i);
		Qty			part = qty_min(line->overshipped, missing);
		Qty			held;

		if (qty_sign(part) <= 0)
			continue;
		missing = qty_sub(missing, part);
		held = qty_min(part, stock->unavailable);
		if (qty_sign(held) > 0)
		{
			bo_add_movement(st, stock, bo_next_movement_id(), "release", qty_zero, qty_neg(held), line->line_id, "shipped although held");
			part = qty_sub(part, held);
		}
		if (qty_sign(part) <= 0)
			continue;
		if (line->refuse_overship)
			ereport(ERROR,
					(errcode(ERRCODE_BO_OVERSHIP),
					 errmsg("more of item \"%s\" was shipped than is on hand", stock->key.item),
					 errdetail("Line %s of order %s ships %s more than there are.", line->line_key, line->order_key, qty_text(part)),
					 errhint("Receive or count the stock first, or attach with overship => 'adjust'.")));
		bo_add_movement(st, stock, bo_next_movement_id(), "adjustment", part, qty_zero, line->line_id, "shipped more than was on hand");
		note_discrepancy(st, line, part);
	}
	return missing;
}
