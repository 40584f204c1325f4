/*
 * counted.c
 *		Stock of which the application keeps on hand itself, in a settling.
 *
 * What it says is looked up once the stock row is locked, and on hand made
 * that by one movement of kind count.  So nothing else may change on hand of
 * such stock: what is shipped only consumes allocation, a receipt only supply,
 * other movements are refused.
 *
 * Part of settling: everything here runs under the stock locks that
 * bo_settle() takes, in its section and memory context.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "settle/settle.h"
#include "settle/settling.h"
#include "store/store.h"

/* Takes the stock to be looked at into the settling. */
void
bo_find_counts(Settle *st)
{
	ListCell   *lc;

	foreach(lc, st->s->counts)
	{
		CountNote  *note = lfirst(lc);

		(void) bo_find_stock(st, note->tenant, (char *) note->key.item, (char *) note->key.location);
	}
}

typedef struct Look
{
	Settle	   *st;
	Mapping    *mapping;
} Look;

static void
take_figure(char *item, char *location, Qty on_hand, Qty unavailable, void *arg)
{
	Look	   *look = arg;
	StockKey	key = {look->mapping->tenant, item, location};
	Stock	   *stock = bo_known_stock(look->st, &key);

	/* Of other stock the lock is not held; what changed there is noted by its own row. */
	if (stock == NULL || stock->looked_at != look->mapping->source_id)
		return;
	if (stock->counted_by != 0 && stock->counted_by != look->mapping->source_id)
		ereport(ERROR,
				(errcode(ERRCODE_BO_COUNTED),
				 errmsg("two tables keep stock of item \"%s\" at location \"%s\"", item, location),
				 errdetail("%s does, and now %s.", bo_stock_table_name(stock->counted_by), look->mapping->line.name),
				 errhint("Map location so that each item and location is in one table, or detach one with backorder.detach_stock().")));
	if (stock->counted_by == 0)
	{
		stock->counted_by = look->mapping->source_id;
		stock->changed = true;
	}
	stock->figure = on_hand;
	stock->figure_held = unavailable;
}

/* What one table says of the stock noted of it. */
static void
look_at(Settle *st, int32 source_id, List *notes)
{
	Look		look = {st, bo_stock_mapping(source_id)};
	ListCell   *lc;

	if (look.mapping == NULL || look.mapping->detached)
		return;					/* it went in this transaction */
	foreach(lc, notes)
	{
		CountNote  *note = lfirst(lc);

		bo_find_stock(st, note->tenant, (char *) note->key.item, (char *) note->key.location)->looked_at = source_id;
	}
	bo_stock_figures(source_id, notes, st->s->counts_whole, take_figure, &look);
	foreach(lc, notes)
	{
		CountNote  *note = lfirst(lc);
		Stock	   *stock = bo_find_stock(st, note->tenant, (char *) note->key.item, (char *) note->key.location);

		if (stock->figure != NULL || stock->counted_by != source_id)
			continue;
		/* It had some, and has no row any more. */
		stock->figure = qty_zero;
		stock->figure_held = bo_stock_holds(source_id) ? qty_zero : NULL;
		if (st->s->counts_anew)
			stock->uncounted = stock->changed = true;
	}
}

/*
 * Looks up what the application says, with a snapshot taken after the locks:
 * whoever changed it before and settled, is seen, and in REPEATABLE READ the
 * lock was refused with 40001.
 */
void
bo_read_counts(Settle *st)
{
	List	   *notes = NIL;
	ListCell   *lc;

	if (st->s->counts == NIL)
		return;
	CommandCounterIncrement();
	PushActiveSnapshot(st->s->counts_whole ? GetLatestSnapshot() : GetTransactionSnapshot());
	foreach(lc, st->s->counts)
	{
		CountNote  *note = lfirst(lc);
		ListCell   *next = lnext(st->s->counts, lc);

		notes = lappend(notes, note);
		if (next != NULL && ((CountNote *) lfirst(next))->key.source_id == note->key.source_id)
			continue;
		look_at(st, note->key.source_id, notes);
		notes = NIL;
	}
	PopActiveSnapshot();
}

/*
 * Refuses a movement by hand that would change what the application keeps:
 * ERRCODE_BO_COUNTED.  Goods of a purchase order are received, which is of the
 * purchase order; what they add to on hand is for the application to say.
 */
void
bo_check_counted(Stock *stock, Movement *m)
{
	if (stock->counted_by == 0 || (qty_sign(m->quantity) == 0 && qty_sign(m->unavailable) == 0))
		return;
	if (m->has_po && qty_sign(m->unavailable) == 0)
		return;
	if (qty_sign(m->quantity) == 0 && !bo_stock_holds(stock->counted_by))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_BO_COUNTED),
			 errmsg("%s of item \"%s\" at location \"%s\" is refused", m->kind, stock->key.item, stock->key.location),
			 errdetail("What is %s is kept by the application, in %s.", qty_sign(m->quantity) == 0 ? "unavailable" : "on hand", bo_stock_table_name(stock->counted_by)),
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
bo_apply_counts(Settle *st)
{
	for (int i = 0; i < st->nstocks; i++)
	{
		Stock	   *stock = st->stocks[i];
		Qty			difference;
		Qty			held = qty_zero;
		Qty			gain;
		int64		movement_id;

		if (stock->counted_by == 0)
			continue;
		difference = qty_sub(stock->figure ? stock->figure : stock->old_on_hand, stock->on_hand);
		if (stock->figure_held != NULL)
			held = qty_sub(stock->figure_held, stock->unavailable);
		if (qty_sign(difference) == 0 && qty_sign(held) == 0)
			continue;
		movement_id = bo_next_movement_id();
		bo_add_movement(st, stock, movement_id, "count", difference, held, 0, stock->figure ? NULL : "received, and not yet on hand by the application's figure");
		st->s->counted++;
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
bo_ship_counted(Settle *st, Line *line, Qty difference)
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
bo_release_held(Settle *st, Stock *stock, Qty missing)
{
	Qty			held = qty_min(missing, stock->unavailable);

	if (qty_sign(held) <= 0 || bo_stock_holds(stock->counted_by))
		return missing;
	bo_add_movement(st, stock, bo_next_movement_id(), "release", qty_zero, qty_neg(held), 0, "fewer on hand than are held");
	return qty_sub(missing, held);
}
