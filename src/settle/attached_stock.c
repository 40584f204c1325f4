/*
 * attached_stock.c
 *		Settles the stock whose on hand the application keeps itself.
 *
 * What it says is looked up once the stock row is locked, and on hand made
 * that by one movement of kind count.  So nothing else may change on hand of
 * such stock: what is shipped only consumes allocation, a receipt only supply,
 * other movements are refused.
 *
 * Part of settling: everything here runs under the stock locks that
 * bo_settle() takes, in its SPI scope and memory context.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

/* Takes the stock to be looked at into the settling. */
void
bo_find_noted_stock(SettleState *st)
{
	ListCell   *lc;

	foreach(lc, st->request->stock_notes)
	{
		StockNote  *note = lfirst(lc);

		(void) bo_find_stock(st, note->tenant, (char *) note->key.item, (char *) note->key.location);
	}
}

typedef struct Look
{
	SettleState *st;
	Mapping    *mapping;
} Look;

static void
take_app_stock(char *item, char *location, Qty on_hand, Qty unavailable, void *arg)
{
	Look	   *look = arg;
	StockKey	key = {look->mapping->tenant, item, location};
	Stock	   *stock = bo_known_stock(look->st, &key);

	/* Of other stock the lock is not held; what changed there is noted by its own row. */
	if (stock == NULL || stock->looked_at != look->mapping->source_id)
		return;
	if (stock->stock_source_id != 0 && stock->stock_source_id != look->mapping->source_id)
		ereport(ERROR,
				(errcode(ERRCODE_BO_ATTACHED_STOCK),
				 errmsg("two tables keep stock of item \"%s\" at location \"%s\"", item, location),
				 errdetail("%s does, and now %s.", bo_stock_table_name(stock->stock_source_id), look->mapping->line.name),
				 errhint("Map location so that each item and location is in one table, or detach one with backorder.detach_stock().")));
	if (stock->stock_source_id == 0)
	{
		stock->stock_source_id = look->mapping->source_id;
		stock->changed = true;
	}
	stock->app_on_hand = on_hand;
	stock->app_unavailable = unavailable;
}

/* What one table says of the stock noted of it. */
static void
look_at(SettleState *st, int32 source_id, List *notes)
{
	Look		look = {st, bo_stock_mapping(source_id)};
	ListCell   *lc;

	if (look.mapping == NULL || look.mapping->detached)
		return;					/* it went in this transaction */
	foreach(lc, notes)
	{
		StockNote  *note = lfirst(lc);

		bo_find_stock(st, note->tenant, (char *) note->key.item, (char *) note->key.location)->looked_at = source_id;
	}
	bo_read_app_stock(source_id, notes, st->request->stock_notes_whole, take_app_stock, &look);
	foreach(lc, notes)
	{
		StockNote  *note = lfirst(lc);
		Stock	   *stock = bo_find_stock(st, note->tenant, (char *) note->key.item, (char *) note->key.location);

		if (stock->app_on_hand != NULL || stock->stock_source_id != source_id)
			continue;
		/* It had some, and has no row any more. */
		stock->app_on_hand = qty_zero;
		stock->app_unavailable = bo_stock_holds(source_id) ? qty_zero : NULL;
		if (st->request->stock_mapping_changed)
			stock->released = stock->changed = true;
	}
}

/*
 * Looks up what the application says, with a snapshot taken after the locks:
 * whoever changed it before and settled, is seen, and in REPEATABLE READ the
 * lock was refused with 40001.
 */
void
bo_read_attached_stock(SettleState *st)
{
	List	   *notes = NIL;
	ListCell   *lc;

	if (st->request->stock_notes == NIL)
		return;
	CommandCounterIncrement();
	PushActiveSnapshot(st->request->stock_notes_whole ? GetLatestSnapshot() : GetTransactionSnapshot());
	foreach(lc, st->request->stock_notes)
	{
		StockNote  *note = lfirst(lc);
		ListCell   *next = lnext(st->request->stock_notes, lc);

		notes = lappend(notes, note);
		if (next != NULL && ((StockNote *) lfirst(next))->key.source_id == note->key.source_id)
			continue;
		look_at(st, note->key.source_id, notes);
		notes = NIL;
	}
	PopActiveSnapshot();
}

/*
 * Refuses a movement by hand that would change what the application keeps:
 * ERRCODE_BO_ATTACHED_STOCK.  Goods of a purchase order are received, which is of the
 * purchase order; what they add to on hand is for the application to say.
 */
void
bo_check_attached_stock(Stock *stock, Movement *m)
{
	if (stock->stock_source_id == 0 || (qty_sign(m->quantity) == 0 && qty_sign(m->unavailable) == 0))
		return;
	if (m->has_po && qty_sign(m->unavailable) == 0)
		return;
	if (qty_sign(m->quantity) == 0 && !bo_stock_holds(stock->stock_source_id))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_BO_ATTACHED_STOCK),
			 errmsg("%s of item \"%s\" at location \"%s\" is refused", m->kind, stock->key.item, stock->key.location),
			 errdetail("What is %s is kept by the application, in %s.", qty_sign(m->quantity) == 0 ? "unavailable" : "on hand", bo_stock_table_name(stock->stock_source_id)),
			 m->has_po ? errhint("Receive it, and hold it with backorder.hold_stock() once the table shows it.") :
			 errhint("Write that table, or detach it with backorder.detach_stock().")));
}

/* The goods that came in, less what on hand does not show of them. */
static void
take_from_goods(Stock *stock, Qty quantity)
{
	while (qty_sign(quantity) > 0 && stock->goods != NIL)
	{
		GoodsIn    *goods = llast(stock->goods);
		Qty			part = qty_min(goods->left, quantity);

		goods->left = qty_sub(goods->left, part);
		quantity = qty_sub(quantity, part);
		if (qty_sign(goods->left) <= 0)
			stock->goods = list_delete_last(stock->goods);
	}
}

/* Makes on hand what the application says, or leaves it at what it said before, whatever was received. */
void
bo_apply_attached_stock(SettleState *st)
{
	for (int i = 0; i < st->nstocks; i++)
	{
		Stock	   *stock = st->stocks[i];
		Qty			difference;
		Qty			held = qty_zero;
		Qty			gain;
		int64		movement_id;

		if (stock->stock_source_id == 0)
			continue;
		difference = qty_sub(stock->app_on_hand ? stock->app_on_hand : stock->old_on_hand, stock->on_hand);
		if (stock->app_unavailable != NULL)
			held = qty_sub(stock->app_unavailable, stock->unavailable);
		if (qty_sign(difference) == 0 && qty_sign(held) == 0)
			continue;
		movement_id = bo_next_movement_id();
		bo_add_movement(st, stock, movement_id, "count", difference, held, 0, stock->app_on_hand ? NULL : "received, and not yet on hand by the application's figure");
		st->request->counts_written++;
		gain = qty_sub(difference, held);
		if (qty_sign(gain) > 0)
		{
			GoodsIn    *goods = palloc(sizeof(GoodsIn));

			goods->movement = palloc0(sizeof(Movement));
			goods->movement->movement_id = movement_id;
			goods->movement->kind = "count";
			goods->left = gain;
			stock->goods = lappend(stock->goods, goods);
		}
		else
			take_from_goods(stock, qty_neg(gain));
	}
}

/*
 * The application says that more, or less, of a line was shipped: that
 * consumes its allocation, on hand is for the application to say.  Less makes
 * what came back, as far as it is there, the line's first.
 */
void
bo_ship_attached_stock(SettleState *st, Line *line, Qty difference)
{
	if (qty_sign(difference) > 0)
		bo_allocate(st, line, qty_neg(qty_min(difference, line->allocated)), "shipment", 0, NULL);
	else
		line->returned = qty_max(qty_min(qty_neg(difference), bo_free_quantity(line->stock)), qty_zero);
}

/*
 * The application has fewer on hand than are held: they are not held any more.
 * Returns what is still missing; all of it where the application says what is
 * unavailable.
 */
Qty
bo_release_held(SettleState *st, Stock *stock, Qty missing)
{
	Qty			held = qty_min(missing, stock->unavailable);

	if (qty_sign(held) <= 0 || bo_stock_holds(stock->stock_source_id))
		return missing;
	bo_add_movement(st, stock, bo_next_movement_id(), "release", qty_zero, qty_neg(held), 0, "fewer on hand than are held");
	return qty_sub(missing, held);
}
