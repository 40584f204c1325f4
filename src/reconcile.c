/*
 * reconcile.c
 *		What the noted orders say now, minus what is recorded = the changes.
 *
 * Locks the orders first, each by a write to its sales_order row, then reads
 * mapping and recorded lines with one snapshot.  Without that order two
 * transactions that change one order, a line here and the header there, would
 * each miss the other's half.
 */
#include "backorder.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* From this many orders on the planner chooses how to read them. */
#define MANY_ORDERS 32

/* A line as it is recorded, as far as reconcile needs it. */
typedef struct Recorded
{
	char	   *line_key;		/* changes with a move */
	char	   *old_order_key;	/* where the row is */
	char	   *old_line_key;
	char	   *item;
	char	   *location;
	char	   *customer;
	Qty			ordered;
	Qty			cancelled;
	Qty			shipped;
	Qty			picked;
	bool		live;
	bool		deleted;
	int32		priority;
	TimestampTz queued_at;
	bool		has_requested_at;
	DateADT		requested_at;
	bool		held;
	bool		matched;
	bool		moved;
	CommandId	moved_in;
} Recorded;

/* One order that is reconciled. */
typedef struct Order
{
	NoteKey		key;			/* hash key */
	OrderNote  *note;
	Mapping    *mapping;
	List	   *now;			/* of MappedLine, by line key */
	List	   *recorded;		/* of Recorded, by line_id */
} Order;

typedef struct Reconcile
{
	Settlement *settlement;
	ReconcileMode mode;
	HTAB	   *orders;
} Reconcile;

static uint32
order_hash(const void *key, Size size)
{
	const NoteKey *k = key;

	return string_hash(k->order_key, strlen(k->order_key) + 1) ^ ((uint32) k->source_id * 0x9e3779b9u);
}

static int
order_match(const void *a, const void *b, Size size)
{
	const NoteKey *x = a;
	const NoteKey *y = b;

	return x->source_id != y->source_id || strcmp(x->order_key, y->order_key) != 0;
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/*
 * Locks orders by writing their sales_order rows, in the order given, which is
 * sorted; those locked before are left.  Raises 40001 where REPEATABLE READ
 * asks for it.
 */
void
bo_lock_orders(List *notes)
{
	BoSection	section;
	BoRows	   *rows;
	List	   *locked = NIL;
	ListCell   *lc;
	int			n = 0;

	foreach(lc, notes)
		if (((OrderNote *) lfirst(lc))->locked_in == InvalidSubTransactionId)
			n++;
	if (n == 0)
		return;
	bo_enter(&section);
	rows = bo_rows(BO_ROWS_ORDERS);
	n = 0;
	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);
		Datum		values[4];
		bool		nulls[4] = {false};

		if (note->locked_in != InvalidSubTransactionId)
			continue;
		values[0] = bo_text(note->tenant);
		values[1] = Int32GetDatum(note->key.source_id);
		values[2] = bo_text(note->key.order_key);
		values[3] = Int32GetDatum(n++);
		bo_rows_put(rows, values, nulls);
		locked = lappend(locked, note);
	}
	/* One row comes back for each given, in the same order. */
	if (bo_exec(BO_LOCK_ORDERS, rows, NULL, false) != (uint64) n)
		elog(ERROR, "not all orders were locked");
	n = 0;
	foreach(lc, locked)
	{
		OrderNote  *note = lfirst(lc);

		note->fresh = bo_get_int64(n++, 1) == 1;
		note->locked_in = GetCurrentSubTransactionId();
	}
	bo_rows_drop(rows);
	bo_leave(&section);
}

static void
take_mapped(Mapping *mapping, MappedLine *line, void *arg)
{
	Reconcile  *r = arg;
	NoteKey		key = {mapping->source_id, line->order_key};
	Order	   *order = hash_search(r->orders, &key, HASH_FIND, NULL);

	/* Another spelling of a key that "=" takes for equal is noted by its own row. */
	if (order != NULL)
		order->now = lappend(order->now, line);
}

static void
read_recorded(Reconcile *r, List *notes)
{
	BoRows	   *rows = bo_rows(BO_ROWS_ORDERS);
	List	   *orders = NIL;
	SPITupleTable *table;
	ListCell   *lc;
	uint64		n;
	int			i = 0;

	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);
		Datum		values[4];
		bool		nulls[4] = {false};

		if (note->fresh)
			continue;			/* recorded by nobody before */
		values[0] = bo_text(note->tenant);
		values[1] = Int32GetDatum(note->key.source_id);
		values[2] = bo_text(note->key.order_key);
		values[3] = Int32GetDatum(i++);
		bo_rows_put(rows, values, nulls);
		orders = lappend(orders, hash_search(r->orders, &note->key, HASH_FIND, NULL));
	}
	if (i == 0)
	{
		bo_rows_drop(rows);
		return;
	}
	n = bo_exec(BO_READ_RECORDED, rows, NULL, true);
	table = SPI_tuptable;
	for (uint64 row = 0; row < n; row++)
	{
		Recorded   *rec = palloc0(sizeof(Recorded));
		Order	   *order;
		bool		isnull;

		SPI_tuptable = table;
		order = list_nth(orders, bo_get_int32(row, 1));
		rec->line_key = rec->old_line_key = bo_get_text(row, 2);
		rec->old_order_key = order->note->key.order_key ? (char *) order->note->key.order_key : NULL;
		rec->item = bo_get_text(row, 3);
		rec->location = bo_get_text(row, 4);
		rec->customer = bo_get_text(row, 5);
		rec->ordered = bo_get_qty(row, 6);
		rec->cancelled = bo_get_qty(row, 7);
		rec->shipped = bo_get_qty(row, 8);
		rec->picked = bo_get_qty(row, 9);
		rec->live = bo_get_bool(row, 10);
		rec->deleted = bo_get_bool(row, 11);
		rec->priority = bo_get_int32(row, 12);
		rec->queued_at = DatumGetTimestampTz(bo_get(row, 13, &isnull));
		rec->requested_at = DatumGetDateADT(bo_get(row, 14, &isnull));
		rec->has_requested_at = !isnull;
		rec->held = bo_get_bool(row, 15);
		order->recorded = lappend(order->recorded, rec);
	}
	SPI_freetuptable(table);
	bo_rows_drop(rows);
}

/* Key updates: the recorded line follows, within its order or to another. */
static void
apply_moves(Reconcile *r)
{
	ListCell   *lc;

	foreach(lc, bo_pending_moves())
	{
		LineMove   *move = lfirst(lc);
		NoteKey		from_key = {move->source_id, move->old_order};
		NoteKey		to_key = {move->source_id, move->new_order};
		Order	   *from = hash_search(r->orders, &from_key, HASH_FIND, NULL);
		Order	   *to = hash_search(r->orders, &to_key, HASH_FIND, NULL);
		ListCell   *rc;

		if (from == NULL || to == NULL)
			continue;
		foreach(rc, from->recorded)
		{
			Recorded   *rec = lfirst(rc);

			/* What one command moves, it moves at once: ids that shift by one do not chain. */
			if (strcmp(rec->line_key, move->old_line) != 0 || (rec->moved && rec->moved_in == move->cid))
				continue;
			rec->line_key = move->new_line;
			rec->moved = true;
			rec->moved_in = move->cid;
			if (from != to)
			{
				from->recorded = foreach_delete_current(from->recorded, rc);
				to->recorded = lappend(to->recorded, rec);
			}
			break;
		}
	}
}

static LineChange *
add_change(Reconcile *r, Order *order, LineAction action, Recorded *rec, MappedLine *now)
{
	LineChange *change = palloc0(sizeof(LineChange));

	change->action = action;
	change->mapping = order->mapping;
	change->baseline = r->mode.baseline;
	change->quiet = r->mode.baseline || order->mapping->source_id == r->mode.detach;
	change->order_key = (char *) order->note->key.order_key;
	change->now = now;
	if (rec != NULL)
	{
		change->old_order_key = rec->old_order_key;
		change->old_line_key = rec->old_line_key;
		change->old_item = rec->item;
		change->old_location = rec->location;
	}
	r->settlement->changes = lappend(r->settlement->changes, change);
	return change;
}

/* Does what the application says differ from what is recorded of this line? */
static bool
line_differs(Mapping *mapping, Order *order, Recorded *rec, MappedLine *now)
{
	return rec->moved ||
		!same_text(rec->customer, now->customer) ||
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

/* By line key; small orders by looking, large ones would want a hash. */
typedef struct LineEntry
{
	char	   *line_key;
	Recorded   *rec;
	MappedLine *now;
} LineEntry;

static int
compare_entries(const void *a, const void *b)
{
	return strcmp(((const LineEntry *) a)->line_key, ((const LineEntry *) b)->line_key);
}

/* Finds for each line now the recorded one with its key, in n log n. */
static Recorded **
match_keys(Order *order)
{
	int			nrec = list_length(order->recorded);
	int			nnow = list_length(order->now);
	Recorded  **match = palloc0(sizeof(Recorded *) * Max(nnow, 1));
	LineEntry  *entries;
	ListCell   *lc;
	int			i = 0;

	if (nrec == 0)
		return match;
	entries = palloc(sizeof(LineEntry) * nrec);
	foreach(lc, order->recorded)
	{
		entries[i].rec = lfirst(lc);
		entries[i].line_key = entries[i].rec->line_key;
		i++;
	}
	qsort(entries, nrec, sizeof(LineEntry), compare_entries);
	i = 0;
	foreach(lc, order->now)
	{
		LineEntry	key = {.line_key = ((MappedLine *) lfirst(lc))->line_key};
		LineEntry  *found = bsearch(&key, entries, nrec, sizeof(LineEntry), compare_entries);

		if (found && !found->rec->matched)
		{
			match[i] = found->rec;
			found->rec->matched = true;
		}
		i++;
	}
	pfree(entries);
	return match;
}

static void
reconcile_order(Reconcile *r, Order *order)
{
	Recorded  **match = match_keys(order);
	List	   *vanished = NIL; /* of Recorded: live, and no demand under their key any more */
	ListCell   *lc;
	int			i = 0;

	/* Lines that vanish here and appear there with the same item and place are the same line. */
	foreach(lc, order->recorded)
	{
		Recorded   *rec = lfirst(lc);

		if (!rec->matched && rec->live)
			vanished = lappend(vanished, rec);
	}
	i = 0;
	foreach(lc, order->now)
	{
		MappedLine *now = lfirst(lc);

		if (match[i] && match[i]->live && !now->demand)
			vanished = lappend(vanished, match[i]);
		i++;
	}
	i = 0;
	foreach(lc, order->now)
	{
		MappedLine *now = lfirst(lc);
		ListCell   *vc;

		if (vanished != NIL && now->demand && match[i] == NULL)
			foreach(vc, vanished)
			{
				Recorded   *rec = lfirst(vc);
				int			k = 0;
				ListCell   *nc;

				if (!same_place(rec, now))
					continue;
				if (rec->matched)
					foreach(nc, order->now)
					{
						/* The old line still stands there, not live: what it shipped is known. */
						if (match[k] == rec)
						{
							MappedLine *left = lfirst(nc);

							match[k] = NULL;
							if (qty_sign(left->shipped) > 0)
							{
								MappedLine *copy = palloc(sizeof(MappedLine));

								*copy = *left;
								add_change(r, order, LINE_BASELINE, NULL, copy);
							}
							left->item = NULL;
						}
						k++;
					}
				rec->matched = true;
				rec->moved = true;
				rec->line_key = now->line_key;
				match[i] = rec;
				vanished = foreach_delete_current(vanished, vc);
				break;
			}
		i++;
	}

	i = 0;
	foreach(lc, order->now)
	{
		MappedLine *now = lfirst(lc);
		Recorded   *rec = match[i++];

		if (rec == NULL)
		{
			if (now->demand || (now->item != NULL && qty_sign(now->shipped) > 0))
				add_change(r, order, now->demand ? LINE_INSERT : (r->mode.baseline ? LINE_BASELINE : LINE_INSERT), NULL, now);
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

		if (!rec->matched && (rec->live || !rec->deleted))
			add_change(r, order, LINE_END, rec, NULL);
	}
}

/*
 * Adds to a settlement the differences of all pending orders, which are locked
 * and done with that.  Expects a section; allocates in the current context.
 */
void
bo_reconcile(Settlement *settlement, ReconcileMode mode)
{
	List	   *notes = bo_pending_orders();
	Reconcile	r = {.settlement = settlement,.mode = mode};
	HASHCTL		ctl = {.keysize = sizeof(NoteKey),.entrysize = sizeof(Order),.hash = order_hash,.match = order_match,.hcxt = CurrentMemoryContext};
	List	   *by_seq;
	ListCell   *lc;

	if (notes == NIL)
		return;
	bo_lock_orders(notes);
	r.orders = hash_create("backorder orders", list_length(notes), &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);
		Order	   *order = hash_search(r.orders, &note->key, HASH_ENTER, NULL);

		order->note = note;
		order->mapping = bo_mapping(note->key.source_id);
		order->now = NIL;
		order->recorded = NIL;
	}

	/* One snapshot, taken after the locks, for both sides. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	for (lc = list_head(notes); lc != NULL;)
	{
		OrderNote  *first = lfirst(lc);
		List	   *some = NIL;

		for (; lc != NULL && ((OrderNote *) lfirst(lc))->key.source_id == first->key.source_id; lc = lnext(notes, lc))
			some = lappend(some, lfirst(lc));
		if (first->key.source_id != mode.detach)
			bo_mapping_read(bo_mapping(first->key.source_id),
							list_length(some) < MANY_ORDERS ? MAPPING_FEW : MAPPING_MANY, some, take_mapped, &r);
	}
	read_recorded(&r, notes);
	PopActiveSnapshot();
	apply_moves(&r);

	/* Orders as first noted: line_id is drawn in this order. */
	by_seq = list_copy(notes);
	{
		OrderNote **array = palloc(sizeof(OrderNote *) * list_length(notes));
		int64		max = 0;
		OrderNote **slots;
		int			i = 0;

		foreach(lc, by_seq)
		{
			array[i++] = lfirst(lc);
			max = Max(max, ((OrderNote *) lfirst(lc))->seq);
		}
		/* seq is a position in the list of notes: place them by it. */
		slots = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(OrderNote *) * (max + 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		while (i-- > 0)
			slots[array[i]->seq] = array[i];
		for (int64 k = 0; k <= max; k++)
			if (slots[k] != NULL)
				reconcile_order(&r, hash_search(r.orders, &slots[k]->key, HASH_FIND, NULL));
		pfree(slots);
		pfree(array);
	}
	bo_pending_done(notes);
}

/* Reconciles what is pending into the settlement and settles it. Returns lines that changed. */
int64
bo_reconcile_and_settle(Settlement *settlement, ReconcileMode mode)
{
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder settling", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cx);
	BoSection	section;
	int64		changed;

	bo_enter(&section);
	MemoryContextSwitchTo(cx);
	bo_reconcile(settlement, mode);
	bo_settle(settlement);
	changed = settlement->lines_changed;
	bo_leave(&section);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cx);
	return changed;
}

/* Settles the transaction's pending orders. Returns lines that changed. */
int64
bo_settle_pending(void)
{
	Settlement	settlement = {0};

	if (bo_pending_orders() == NIL)
		return 0;
	return bo_reconcile_and_settle(&settlement, (ReconcileMode) {0});
}
