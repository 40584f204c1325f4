/*
 * announce.c
 *		What was told minus what is true now = events.
 *
 * Settling only notes which orders it touched.  At commit the waiting_order
 * row of each is locked (the last lock of the order of locks), what it was
 * told is compared with its lines, and one event per order and kind is
 * written, and what is told from now on.  Orders that are never short are not
 * touched at all.
 */
#include "backorder.h"

#include "commands/async.h"
#include "json.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Orders are announced in pieces of this many, so that memory stays flat. */
#define ANNOUNCE_PIECE 1000

/* A line before the transaction first changed what it has. */
typedef struct LineBefore
{
	int64		line_id;		/* hash key */
	bool		counts;			/* follows savepoints */
	Qty			allocated;
	Qty			covered;		/* allocated + shipped */
} LineBefore;

/* A line as it is, or as its customer was told. */
typedef struct LineState
{
	int64		line_id;
	char	   *line_key;
	char	   *item;
	char	   *location;
	char	   *customer;
	Qty			ordered;
	Qty			shipped;
	Qty			allocated;
	Qty			backordered;
	bool		has_promised_at;
	bool		has_first_promised_at;
	DateADT		promised_at;
	DateADT		first_promised_at;
} LineState;

/* The lines of one order, by line_id. */
typedef struct OrderState
{
	LineState  *lines;
	int			n;
	int			capacity;
	char	   *customer;
	Jsonb	   *told;			/* what was told, as its row says it; NULL: there is none yet */
	ItemPointerData tid;		/* of that row */
} OrderState;

typedef struct Touched
{
	NoteKey		key;			/* hash key */
	char	   *tenant;
	struct
	{
		bool		pending;	/* to be announced */
		bool		quiet;
	}			state;			/* follows savepoints */
	uint64		kept_in;		/* the run that keeps its lines; 0: none does */
	OrderState	kept;
} Touched;

/* Kinds of events, in the order in which those of one order are written. */
typedef enum EventKind
{
	EVENT_CANCELLED,
	EVENT_DEALLOCATED,
	EVENT_BACKORDERED,
	EVENT_PROMISED,
	EVENT_DELAYED,
	EVENT_ADVANCED,
	EVENT_ALLOCATED,
	EVENT_READY,
	EVENT_KINDS
} EventKind;

static const char *const event_names[] = {
	[EVENT_CANCELLED] = "cancelled",
	[EVENT_DEALLOCATED] = "deallocated",
	[EVENT_BACKORDERED] = "backordered",
	[EVENT_PROMISED] = "promised",
	[EVENT_DELAYED] = "delayed",
	[EVENT_ADVANCED] = "advanced",
	[EVENT_ALLOCATED] = "allocated",
	[EVENT_READY] = "ready",
};

static MemoryContext announce_cx;
static HTAB *touched_orders;
static int64 npending;			/* touched orders to be announced; follows savepoints */
static HTAB *lines_before;
static MemoryContext kept_cx;	/* what is kept in this run (below); NULL: nothing */

static MemoryContext
need_context(void)
{
	if (announce_cx == NULL)
		announce_cx = AllocSetContextCreate(TopTransactionContext, "backorder announcements", ALLOCSET_DEFAULT_SIZES);
	return announce_cx;
}

/* An order of which a line waits, or waited, was changed. quiet: no events. The settling queues the commit work. */
void
bo_touch_order(const char *tenant, int32 source_id, const char *order_key, bool quiet)
{
	NoteKey		key = {source_id, order_key};
	Touched    *entry;
	bool		found;

	if (touched_orders == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(NoteKey),.entrysize = sizeof(Touched),.hash = bo_note_key_hash,.match = bo_note_key_match,.hcxt = need_context()};

		touched_orders = hash_create("backorder touched orders", 16, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	}
	entry = hash_search(touched_orders, &key, HASH_ENTER, &found);
	if (!found)
	{
		entry->key.order_key = MemoryContextStrdup(announce_cx, order_key);
		entry->tenant = MemoryContextStrdup(announce_cx, tenant);
		memset(&entry->state, 0, sizeof(entry->state));
		entry->kept_in = 0;
	}
	if (entry->state.pending && (entry->state.quiet || !quiet))
		return;
	bo_save(&entry->state, sizeof(entry->state));
	entry->state.quiet = quiet || (entry->state.pending && entry->state.quiet);
	if (!entry->state.pending)
	{
		bo_save(&npending, sizeof(npending));
		npending++;
	}
	entry->state.pending = true;
}

/*
 * A line that waits or waited is changed: this is what it had until now.
 * Only the first call in a transaction counts.
 */
void
bo_line_before(int64 line_id, Qty allocated, Qty covered)
{
	LineBefore *before;
	bool		found;

	if (lines_before == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(int64),.entrysize = sizeof(LineBefore),.hcxt = need_context()};

		lines_before = hash_create("backorder lines before", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	before = hash_search(lines_before, &line_id, HASH_ENTER, &found);
	if (!found)
		before->counts = false;
	if (!before->counts)
	{
		MemoryContext old = MemoryContextSwitchTo(need_context());

		bo_save(&before->counts, sizeof(before->counts));
		before->counts = true;
		before->allocated = qty_copy(NumericGetDatum(allocated));
		before->covered = qty_copy(NumericGetDatum(covered));
		MemoryContextSwitchTo(old);
	}
}

/* Is there anything to announce before the transaction may commit? */
bool
bo_announce_pending(void)
{
	return npending > 0;
}

/* The transaction is over, or all is said. */
void
bo_announce_reset(void)
{
	announce_cx = NULL;
	kept_cx = NULL;
	touched_orders = NULL;
	lines_before = NULL;
	npending = 0;
}

static int
compare_touched(const void *a, const void *b)
{
	const Touched *x = *(Touched *const *) a;
	const Touched *y = *(Touched *const *) b;
	int			cmp = strcmp(x->tenant, y->tenant);

	if (cmp == 0 && x->key.source_id != y->key.source_id)
		cmp = x->key.source_id < y->key.source_id ? -1 : 1;
	return cmp != 0 ? cmp : strcmp(x->key.order_key, y->key.order_key);
}

/* What a touched order was told: by line_id, as jsonb sorts shorter keys first. */
static void
take_told(Jsonb *told, OrderState *state)
{
	JsonbIterator *it = JsonbIteratorInit(&told->root);
	JsonbIteratorToken token;
	JsonbValue	v;

	if (!JB_ROOT_IS_OBJECT(told))
		return;
	state->lines = palloc0(sizeof(LineState) * Max(JB_ROOT_COUNT(told), 1));
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		LineState  *line = &state->lines[state->n];
		JsonbContainer *object;

		if (token == WJB_KEY)
			line->line_id = strtoll(pnstrdup(v.val.string.val, v.val.string.len), NULL, 10);
		if (token != WJB_VALUE || v.type != jbvBinary || !JsonContainerIsObject(v.val.binary.data))
			continue;
		object = v.val.binary.data;
		line->line_key = json_get_text(object, "line");
		line->item = json_get_text(object, "item");
		line->location = json_get_text(object, "location");
		line->ordered = json_get_qty(object, "ordered");
		line->shipped = json_get_qty(object, "shipped");
		line->allocated = json_get_qty(object, "allocated");
		line->backordered = json_get_qty(object, "backordered");
		line->has_promised_at = json_get_date(object, "promised_at", &line->promised_at);
		state->n++;
	}
}

/* What a touched order was told; its row is locked. */
static void
take_told_order(int i, ItemPointer tid, Datum told, char *customer, void *arg)
{
	OrderState *state = ((OrderState **) arg)[i];

	state->customer = customer;
	state->tid = *tid;
	state->told = DatumGetJsonbPCopy(told);
	take_told(state->told, state);
}

/* One more line of an order, and whose it is. */
static LineState *
add_line(OrderState *state, char *customer)
{
	if (state->customer == NULL || (customer && strcmp(customer, state->customer) > 0))
		state->customer = customer;
	if (state->n == state->capacity)
	{
		state->capacity = Max(4, state->capacity * 2);
		state->lines = state->lines == NULL ? palloc(sizeof(LineState) * state->capacity) : repalloc_huge(state->lines, sizeof(LineState) * state->capacity);
	}
	return &state->lines[state->n++];
}

/* A line of a touched order as it is. */
static void
take_line(int i, const Datum *values, const bool *nulls, void *arg)
{
	LineState  *line = add_line(((OrderState **) arg)[i], nulls[LINE_CUSTOMER] ? NULL : TextDatumGetCString(values[LINE_CUSTOMER]));

	line->line_id = DatumGetInt64(values[LINE_LINE_ID]);
	line->line_key = TextDatumGetCString(values[LINE_LINE_KEY]);
	line->item = TextDatumGetCString(values[LINE_ITEM]);
	line->location = TextDatumGetCString(values[LINE_LOCATION]);
	line->ordered = qty_copy(values[LINE_ORDERED]);
	line->shipped = qty_copy(values[LINE_SHIPPED]);
	line->allocated = qty_copy(values[LINE_ALLOCATED]);
	line->backordered = qty_copy(values[LINE_BACKORDERED]);
	line->has_promised_at = !nulls[LINE_PROMISED_AT];
	line->promised_at = line->has_promised_at ? DatumGetDateADT(values[LINE_PROMISED_AT]) : 0;
	line->has_first_promised_at = !nulls[LINE_FIRST_PROMISED_AT];
	line->first_promised_at = line->has_first_promised_at ? DatumGetDateADT(values[LINE_FIRST_PROMISED_AT]) : 0;
}

/* ---------- lines that need not be read ---------- */

/* Of more changes nothing is kept: what they take is in memory twice. */
#define KEPT_CHANGES 1000

/* Runs of settling and, at once, announcing: from one to the other the lines of new orders are kept. */
static uint64 run;
static bool keeping;
static int	nsettled;			/* settlings in this run */

/* From true to false, a run, no row of ours is written but by settling and announcing. */
void
bo_announce_keep(bool keep)
{
	run++;
	keeping = keep;
	nsettled = 0;
	if (kept_cx != NULL)
		MemoryContextDelete(kept_cx);
	kept_cx = NULL;
}

static Qty
copy_qty(Qty quantity)
{
	return qty_copy(NumericGetDatum(quantity));
}

/*
 * A settling has written these changes.  Of an order that was first recorded
 * by it, its customer was told nothing, and these are all the lines it has:
 * where its lines are kept, neither is looked for.  A second settling may
 * change what the first did.
 */
void
bo_announce_settled(List *changes)
{
	MemoryContext old;
	ListCell   *lc;

	if (++nsettled > 1 || !keeping || touched_orders == NULL || list_length(changes) > KEPT_CHANGES)
		return;
	Assert(kept_cx == NULL);
	kept_cx = AllocSetContextCreate(announce_cx, "backorder kept lines", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(kept_cx);
	foreach(lc, changes)
	{
		LineChange *change = lfirst(lc);
		Line	   *line = change->line;
		NoteKey		key = {change->mapping->source_id, change->order_key};
		Touched    *order;
		LineState  *state;

		if (!change->first || line == NULL || line->remove || !line->dirty)
			continue;
		order = hash_search(touched_orders, &key, HASH_FIND, NULL);
		if (order == NULL)
			continue;
		Assert(change->now != NULL);	/* nothing was recorded of the order: none of its lines ends */
		if (order->kept_in != run)
			memset(&order->kept, 0, sizeof(order->kept));
		order->kept_in = run;
		state = add_line(&order->kept, line->customer ? pstrdup(line->customer) : NULL);
		state->line_id = line->line_id;
		state->line_key = pstrdup(line->line_key);
		state->item = pstrdup(change->now->item);
		state->location = pstrdup(change->now->location);
		state->ordered = copy_qty(line->ordered);
		state->shipped = copy_qty(line->shipped);
		state->allocated = copy_qty(line->allocated);
		state->backordered = copy_qty(qty_sub(line->open, line->allocated));
		state->has_promised_at = line->has_promised_at;
		state->promised_at = line->promised_at;
		state->has_first_promised_at = line->has_first_promised_at;
		state->first_promised_at = line->first_promised_at;
	}
	MemoryContextSwitchTo(old);
}

/* Are the lines of a touched order kept? */
static bool
is_kept(const Touched *order)
{
	return keeping && nsettled == 1 && order->kept_in == run;
}

/* ---------- comparing ---------- */

static int
compare_line_ids(const void *a, const void *b)
{
	const LineState *x = a;
	const LineState *y = b;

	return x->line_id < y->line_id ? -1 : x->line_id > y->line_id;
}

static Qty
covered_quantity(const LineState *line)
{
	return qty_add(line->allocated, line->shipped);
}

/* One line of an order, before and now. */
typedef struct Comparison
{
	const LineState *was;		/* as told; NULL: nothing was */
	const LineState *now;		/* NULL: the line is gone */
	Qty			old_allocated;
	Qty			old_covered;
} Comparison;

/* A line of which nothing was told has what it had, unless this transaction changed that. */
static Comparison
compare(const LineState *was, const LineState *now)
{
	Comparison	c = {.was = was,.now = now};
	LineBefore *before = NULL;

	Assert(was != NULL || now != NULL);
	if (was == NULL && lines_before != NULL)
		before = hash_search(lines_before, &now->line_id, HASH_FIND, NULL);
	if (before && !before->counts)
		before = NULL;
	c.old_allocated = was ? was->allocated : before ? before->allocated : now->allocated;
	c.old_covered = was ? covered_quantity(was) : before ? before->covered : covered_quantity(now);
	return c;
}

/* What is to be said of one line: a set of kinds, EVENT_READY left to the caller. */
static bits32
event_kinds(const Comparison *c)
{
	const LineState *was = c->was;
	const LineState *now = c->now;
	Qty			old_backordered = was ? was->backordered : qty_zero;
	Qty			backordered = now ? now->backordered : qty_zero;
	Qty			covered = now ? covered_quantity(now) : qty_zero;
	int			more = qty_cmp(backordered, old_backordered);
	int			gained = qty_cmp(covered, c->old_covered);
	bits32		kinds = 0;

	if (qty_sign(backordered) > 0 && (was == NULL || (more > 0 && gained >= 0)))
		kinds |= 1 << EVENT_BACKORDERED;
	if (more > 0 && gained < 0)
		kinds |= 1 << EVENT_DEALLOCATED;
	if (was == NULL)
		return kinds;
	if (more < 0 && gained > 0)
		kinds |= 1 << EVENT_ALLOCATED;
	if (more < 0 && qty_cmp(qty_add(covered, backordered), qty_add(c->old_covered, old_backordered)) < 0)
		kinds |= 1 << EVENT_CANCELLED;
	if (now != NULL && qty_sign(backordered) > 0)
	{
		if (!was->has_promised_at)
			kinds |= now->has_promised_at ? 1 << EVENT_PROMISED : 0;
		else if (!now->has_promised_at || now->promised_at > was->promised_at)
			kinds |= 1 << EVENT_DELAYED;
		else if (now->promised_at < was->promised_at)
			kinds |= 1 << EVENT_ADVANCED;
	}
	return kinds;
}

static void
push_change(JsonbParseState **lines, const Comparison *c)
{
	const LineState *was = c->was;
	const LineState *now = c->now;
	const LineState *line = now ? now : was;

	Assert(line != NULL);
	/* In the order that jsonb sorts them in, which is quicker when there is nothing to sort. */
	json_begin(lines);
	json_text(lines, "item", line->item);
	json_text(lines, "line", line->line_key);
	json_qty(lines, "ordered", line->ordered);
	json_qty(lines, "shipped", line->shipped);
	json_text(lines, "location", line->location);
	json_qty(lines, "allocated", now ? now->allocated : qty_zero);
	json_qty(lines, "backordered", now ? now->backordered : qty_zero);
	json_date(lines, "promised_at", now && now->has_promised_at, now ? now->promised_at : 0);
	json_date(lines, "promised_before", was && was->has_promised_at, was ? was->promised_at : 0);
	json_qty(lines, "allocated_before", c->old_allocated);
	json_date(lines, "first_promised_at", now && now->has_first_promised_at, now ? now->first_promised_at : 0);
	json_qty(lines, "backordered_before", was ? was->backordered : qty_zero);
	json_end(lines);
}

/* What is told of a line that waits; backorder_internal.notified() says the same. */
static void
push_told(JsonbParseState **told, const LineState *line)
{
	json_string(told, WJB_KEY, psprintf(INT64_FORMAT, line->line_id));
	json_begin(told);			/* in the order of jsonb, as above */
	json_text(told, "item", line->item);
	json_text(told, "line", line->line_key);
	json_qty(told, "ordered", line->ordered);
	json_qty(told, "shipped", line->shipped);
	json_text(told, "location", line->location);
	json_qty(told, "allocated", line->allocated);
	json_qty(told, "backordered", line->backordered);
	json_date(told, "promised_at", line->has_promised_at, line->promised_at);
	json_end(told);
}

/* A piece of the touched orders. */
typedef struct Piece
{
	MemoryContext scratch;		/* for what building jsonb leaves behind, of one order after another */
	EventSet	events;
	BoRows	   *first_told;		/* what orders are told that were told nothing */
	BoRows	   *told;			/* what others are told from now on */
	BoRows	   *gone;			/* orders of which nothing waits any more */
	bool		said;			/* there were events */
} Piece;

/* Compares one order: puts its events, and what it is told from now on, or that nothing of it waits any more. */
static void
announce_order(Piece *piece, const Touched *order, const OrderState *was, const OrderState *now)
{
	MemoryContext cx = MemoryContextSwitchTo(piece->scratch);
	JsonbParseState *changes[EVENT_KINDS] = {NULL};
	JsonbParseState *waiting = NULL;
	const char *customer = now->customer ? now->customer : was->customer;
	bool		waits = false;
	Jsonb	   *told;

	for (int i = 0; i < now->n; i++)
		waits |= qty_sign(now->lines[i].backordered) > 0;
	json_begin(&waiting);
	for (int i = 0, j = 0; i < was->n || j < now->n;)
	{
		const LineState *w = i < was->n ? &was->lines[i] : NULL;
		const LineState *n = j < now->n ? &now->lines[j] : NULL;
		Comparison	c;
		bits32		kinds;

		if (w && n && w->line_id != n->line_id)
		{
			if (w->line_id < n->line_id)
				n = NULL;
			else
				w = NULL;
		}
		i += w != NULL;
		j += n != NULL;
		if (n && qty_sign(n->backordered) > 0)
			push_told(&waiting, n);
		if (order->state.quiet)
			continue;
		c = compare(w, n);
		kinds = event_kinds(&c);
		if (was->n > 0 && !waits && n && qty_sign(n->allocated) > 0)
			kinds |= 1 << EVENT_READY;
		for (int kind = 0; kinds != 0 && kind < EVENT_KINDS; kind++)
		{
			if ((kinds & (1 << kind)) == 0)
				continue;
			if (changes[kind] == NULL)
			{
				json_begin(&changes[kind]);
				json_text(&changes[kind], "order", order->key.order_key);
				json_text(&changes[kind], "customer", customer);
				json_begin_array(&changes[kind], "lines");
			}
			push_change(&changes[kind], &c);
		}
	}
	MemoryContextSwitchTo(cx);
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		if (changes[kind] != NULL)
		{
			json_end_array(&changes[kind]);
			bo_event_put(&piece->events, order->tenant, order->key.source_id, order->key.order_key, event_names[kind], customer, &changes[kind]);
			piece->said = true;
		}

	told = DatumGetJsonbP(json_finish(&waiting));
	if (was->told == NULL)
	{
		Datum		values[6] = {bo_text(order->tenant), Int32GetDatum(order->key.source_id), bo_text(order->key.order_key), bo_text(customer),
		TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()), JsonbPGetDatum(told)};
		bool		nulls[6] = {false};

		nulls[3] = customer == NULL;
		if (waits)
			bo_rows_put(piece->first_told, values, nulls);
	}
	else
	{
		Datum		values[3] = {PointerGetDatum(&was->tid), bo_text(customer), JsonbPGetDatum(told)};
		bool		nulls[3] = {false};

		nulls[1] = customer == NULL;
		if (!waits)
			bo_rows_put(piece->gone, values, nulls);
		else if (!bo_same_text(was->customer, customer) || VARSIZE(was->told) != VARSIZE(told) || memcmp(was->told, told, VARSIZE(told)) != 0)
			bo_rows_put(piece->told, values, nulls);
	}
	MemoryContextReset(piece->scratch);
}

/* Announces a piece of the touched orders, given sorted. Returns whether there were events. */
static bool
announce_piece(Touched **orders, int n)
{
	OrderKey   *keys = palloc(sizeof(OrderKey) * n);	/* of those to look for */
	OrderState **was_of = palloc(sizeof(OrderState *) * n);
	OrderState **now_of = palloc(sizeof(OrderState *) * n);
	int			nkeys = 0;
	Piece		piece = {
		.scratch = AllocSetContextCreate(CurrentMemoryContext, "backorder announced order", ALLOCSET_DEFAULT_SIZES),
		.first_told = bo_rows(BO_ROWS_FIRST_TOLD),
		.told = bo_rows(BO_ROWS_TOLD),
		.gone = bo_rows(BO_ROWS_TOLD)
	};
	OrderState *was = palloc0(sizeof(OrderState) * n);
	OrderState *now = palloc0(sizeof(OrderState) * n);

	for (int i = 0; i < n; i++)
	{
		if (is_kept(orders[i]))
		{
			now[i] = orders[i]->kept;
			continue;
		}
		was_of[nkeys] = &was[i];
		now_of[nkeys] = &now[i];
		keys[nkeys++] = (OrderKey) {orders[i]->tenant, orders[i]->key.source_id, orders[i]->key.order_key,
		bo_order_is_born(orders[i]->key.source_id, orders[i]->key.order_key)};
	}
	if (nkeys > 0)
	{
		bo_lock_waiting_orders(keys, nkeys, take_told_order, was_of);
		bo_read_order_lines(keys, nkeys, take_line, now_of);
	}
	for (int i = 0; i < n; i++)
		if (now[i].n > 1)
			qsort(now[i].lines, now[i].n, sizeof(LineState), compare_line_ids);
	for (int i = 0; i < n; i++)
		announce_order(&piece, orders[i], &was[i], &now[i]);
	bo_events_write(&piece.events);
	bo_write(BO_TELL_FIRST, piece.first_told);
	bo_write(BO_TELL, piece.told);
	bo_write(BO_FORGET_ORDERS, piece.gone);
	return piece.said;
}

/* What was announced in a subtransaction is to be announced again if that is rolled back. */
static void
all_said(Touched **orders, int n)
{
	HASH_SEQ_STATUS seq;
	LineBefore *before;

	for (int i = 0; i < n; i++)
	{
		bo_save(&orders[i]->state, sizeof(orders[i]->state));
		orders[i]->state.pending = false;
	}
	bo_save(&npending, sizeof(npending));
	npending = 0;
	if (lines_before == NULL)
		return;
	hash_seq_init(&seq, lines_before);
	while ((before = hash_seq_search(&seq)) != NULL)
	{
		bo_save(&before->counts, sizeof(before->counts));
		before->counts = false;
	}
}

/*
 * Writes the events of this transaction.  Called once at commit; locks the
 * waiting_order rows, sorted.
 */
void
bo_announce(void)
{
	BoSection	section;
	HASH_SEQ_STATUS seq;
	Touched    *entry;
	Touched   **sorted;
	MemoryContext cx = announce_cx;
	MemoryContext piece;
	MemoryContext old;
	int			n = 0;
	bool		said = false;

	if (!bo_announce_pending())
		return;
	sorted = palloc(sizeof(Touched *) * hash_get_num_entries(touched_orders));
	hash_seq_init(&seq, touched_orders);
	while ((entry = hash_seq_search(&seq)) != NULL)
		if (entry->state.pending)
			sorted[n++] = entry;
	qsort(sorted, n, sizeof(Touched *), compare_touched);

	bo_enter_unpinned(&section);
	piece = AllocSetContextCreate(CurrentMemoryContext, "backorder announced orders", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(piece);
	for (int i = 0; i < n; i += ANNOUNCE_PIECE)
	{
		CHECK_FOR_INTERRUPTS();
		said |= announce_piece(sorted + i, Min(ANNOUNCE_PIECE, n - i));
		MemoryContextReset(piece);
	}
	MemoryContextSwitchTo(old);
	bo_leave(&section);
	if (GetCurrentSubTransactionId() == TopSubTransactionId)
	{
		bo_forget_saved();
		bo_announce_reset();
		MemoryContextDelete(cx);
	}
	else
		all_said(sorted, n);
	if (said && bo_notify)
		Async_Notify("backorder", "");
}
