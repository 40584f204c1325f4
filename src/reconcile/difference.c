/*
 * difference.c
 *		What one order says now, minus what is recorded of it = its changes.
 */
#include "postgres.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "reconcile/order.h"
#include "settle/settle.h"

static LineChange *
add_change(Reconcile *r, Order *order, LineAction action, Recorded *rec, MappedLine *now)
{
	LineChange *change = palloc0(sizeof(LineChange));

	change->action = action;
	change->mapping = order->mapping;
	change->baseline = order->baseline;
	/* Of a table that was dropped, one event says it all. */
	change->quiet = order->baseline || (rec != NULL && rec->known) || order->mapping == r->mode.detach || order->mapping->detached;
	change->order_key = (char *) order->note->key.order_key;
	change->mapped = now;
	change->first = order->note->state.seen == ORDER_NEW && order->recorded == NIL;
	if (rec != NULL && rec->known)
		change->known_shipped = rec->shipped;
	if (rec != NULL && !rec->unrecorded)
	{
		change->old_order_key = rec->old_order_key;
		change->old_line_key = rec->old_line_key;
		change->old_item = rec->item;
		change->old_location = rec->location;
	}
	r->request->changes = lappend(r->request->changes, change);
	return change;
}

/* Does what the application says differ from what is recorded of this line? */
static bool
line_differs(Mapping *mapping, Order *order, Recorded *rec, MappedLine *now)
{
	return rec->moved ||
		!bo_same_text(rec->customer, now->customer) ||
		qty_cmp(rec->ordered, now->quantity) != 0 ||
		qty_cmp(rec->cancelled, now->cancelled) != 0 ||
		qty_cmp(rec->shipped, now->shipped) != 0 ||
		qty_cmp(rec->picked, now->picked) != 0 ||
		rec->priority != now->priority ||
		rec->held != now->held ||
		rec->has_requested_at != now->has_requested_at ||
		(now->has_requested_at && rec->requested_at != now->requested_at) ||
		(now->has_queued_at && rec->queued_at != now->queued_at);
}

static bool
same_place(Recorded *rec, MappedLine *now)
{
	return strcmp(rec->item, now->item) == 0 && strcmp(rec->location, now->location) == 0;
}

/* The lines an order has now, by line key. */
typedef struct LineEntry
{
	char	   *line_key;
	int 		n;				/* position in order->lines_now */
} LineEntry;

static int
compare_entries(const void *a, const void *b)
{
	return strcmp(((const LineEntry *) a)->line_key, ((const LineEntry *) b)->line_key);
}

static LineEntry *
sort_by_key(Order *order)
{
	int 		n = list_length(order->lines_now);
	LineEntry  *entries = palloc(sizeof(LineEntry) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		entries[i].line_key = ((MappedLine *) list_nth(order->lines_now, i))->line_key;
		entries[i].n = i;
	}
	qsort(entries, n, sizeof(LineEntry), compare_entries);
	for (int i = 1; i < n; i++)
		if (strcmp(entries[i - 1].line_key, entries[i].line_key) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_BO_MAPPING),
					 errmsg("line key %s of order %s in %s is not unique", entries[i].line_key, order->key.order_key, order->mapping->line.name),
					 errhint("Attach the table again with a line_key that tells the lines of an order apart.")));
	return entries;
}

/* Refuses keys that are not unique within the order. */
void
bo_check_line_keys(Order *order)
{
	(void) sort_by_key(order);
}

/* Position in order->lines_now of the line with this key, or -1. */
static int
find_key(Order *order, LineEntry *entries, char *line_key)
{
	LineEntry	key = {.line_key = line_key};
	LineEntry  *found = bsearch(&key, entries, list_length(order->lines_now), sizeof(LineEntry), compare_entries);

	return found ? found->n : -1;
}

/* Finds for each line now the recorded one under its key; one that moved there goes before one that was there. */
static void
match_keys(Order *order, LineEntry *entries, Recorded **match)
{
	ListCell   *lc;

	for (int pass = 0; pass < 2; pass++)
		foreach(lc, order->recorded)
		{
			Recorded   *rec = lfirst(lc);
			int			i = rec->moved == (pass == 0) ? find_key(order, entries, rec->line_key) : -1;

			if (i >= 0 && match[i] == NULL)
			{
				match[i] = rec;
				rec->here = i;
			}
		}
}

/*
 * Programs replace lines.  Those that vanish and those that appear with the
 * same item and location are paired in order: the recorded one gets the new
 * key.  What is under an old key now may itself be one that appears.
 */
static void
pair_replaced(Reconcile *r, Order *order, Recorded **match)
{
	List	   *vanished = NIL;
	ListCell   *lc;
	int			i = 0;

	foreach(lc, order->recorded)
	{
		Recorded   *rec = lfirst(lc);
		MappedLine *now = rec->here >= 0 ? list_nth(order->lines_now, rec->here) : NULL;

		if (rec->live && (now == NULL || !now->demand || !same_place(rec, now)))
			vanished = lappend(vanished, rec);
	}
	if (vanished == NIL)
		return;
	foreach(lc, order->lines_now)
	{
		MappedLine *now = lfirst(lc);
		int			n = i++;
		ListCell   *vc;

		if (!now->demand || (match[n] != NULL && (!match[n]->live || same_place(match[n], now))))
			continue;
		foreach(vc, vanished)
		{
			Recorded   *rec = lfirst(vc);

			if (!same_place(rec, now))
				continue;
			if (rec->here >= 0)
			{
				MappedLine *left = list_nth(order->lines_now, rec->here);

				match[rec->here] = NULL;
				if (!left->demand)
				{
					/* The old line still stands there, not live: what it shipped is known. */
					if (left->item != NULL && qty_sign(left->shipped) > 0)
					{
						MappedLine *copy = palloc(sizeof(MappedLine));

						*copy = *left;
						add_change(r, order, LINE_INSERT, NULL, copy)->baseline = true;
					}
					left->item = NULL;
				}
			}
			if (match[n] != NULL)
				match[n]->here = -1;
			match[n] = rec;
			rec->here = n;
			rec->moved = true;
			rec->line_key = now->line_key;
			vanished = foreach_delete_current(vanished, vc);
			break;
		}
	}
}

/* Has another of the orders this line now? */
static bool
has_line(Reconcile *r, Mapping *mapping, char *order_key, char *line_key)
{
	NoteKey		key = {mapping->source_id, order_key};
	Order	   *order = hash_search(r->orders, &key, HASH_FIND, NULL);
	ListCell   *lc;

	if (order != NULL)
		foreach(lc, order->lines_now)
			if (strcmp(((MappedLine *) lfirst(lc))->line_key, line_key) == 0)
				return true;
	return false;
}

void
bo_reconcile_order(Reconcile *r, Order *order)
{
	LineEntry  *entries;
	Recorded  **match;
	ListCell   *lc;
	int			i = 0;

	if (order->error != NULL || order->mapping->unreadable)
		return;					/* parked: what is recorded stays */
	entries = sort_by_key(order);
	match = palloc0(sizeof(Recorded *) * Max(list_length(order->lines_now), 1));

	match_keys(order, entries, match);
	pair_replaced(r, order, match);

	foreach(lc, order->lines_now)
	{
		MappedLine *now = lfirst(lc);
		Recorded   *rec = match[i++];

		if (rec == NULL)
		{
			if (now->demand || (now->item != NULL && qty_sign(now->shipped) > 0))
				add_change(r, order, LINE_INSERT, NULL, now);
		}
		else if (rec->unrecorded)
		{
			if (now->demand || (now->item != NULL && (qty_sign(now->shipped) > 0 || qty_sign(rec->shipped) > 0)))
				add_change(r, order, LINE_INSERT, rec, now);
		}
		else if (!now->demand)
		{
			bool		gone = now->item == NULL;

			if (rec->live || rec->moved || (!gone && qty_cmp(rec->shipped, now->shipped) != 0) || rec->deleted != gone)
				add_change(r, order, LINE_END, rec, gone ? NULL : now);
		}
		else if (!rec->live || !same_place(rec, now))
			add_change(r, order, LINE_RENEW, rec, now);
		else if (line_differs(order->mapping, order, rec, now))
			add_change(r, order, LINE_UPDATE, rec, now);
	}
	foreach(lc, order->recorded)
	{
		Recorded   *rec = lfirst(lc);

		bool		displaced;

		if (rec->here >= 0 || rec->unrecorded)
			continue;
		/* Another line has its key now, here or in the order that it left: its row cannot stay. */
		displaced = strcmp(rec->old_order_key, order->key.order_key) == 0 ? find_key(order, entries, rec->old_line_key) >= 0 :
			has_line(r, order->mapping, rec->old_order_key, rec->old_line_key);
		if (rec->live || !rec->deleted || displaced)
			add_change(r, order, LINE_END, rec, NULL)->displaced = displaced;
	}
}

Order *
bo_order_of(Reconcile *r, const OrderNote *note)
{
	return hash_search(r->orders, &note->key, HASH_FIND, NULL);
}
