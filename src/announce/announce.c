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
#include "postgres.h"

#include "commands/async.h"
#include "utils/memutils.h"

#include "announce/announce.h"
#include "announce/compare.h"
#include "base/base.h"
#include "base/json.h"
#include "pending/pending.h"
#include "store/store.h"

/* Orders are announced in batches of this many, so that memory stays flat. */
#define ANNOUNCE_BATCH 1000

/* A line before the transaction first changed what it has. */
typedef struct LineAtStart
{
	int64		line_id;		/* hash key */
	bool		valid;			/* follows savepoints */
	Qty			allocated;
	Qty			covered;		/* allocated + shipped */
} LineAtStart;

/* The lines of one order, by line_id. */
struct OrderState
{
	LineState  *lines;
	int			n;
	int			capacity;
	char	   *customer;
	Jsonb	   *last_notified;	/* what was told, as its row says it; NULL: there is none yet */
	ItemPointerData tid;		/* of that row */
};

typedef struct OrderToAnnounce
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
} OrderToAnnounce;

static MemoryContext announce_cx;
static HTAB *orders_to_announce;
static HTAB *lines_at_start;
static int64 npending;			/* touched orders to be announced; follows savepoints */
static MemoryContext kept_cx;	/* what is kept in this run (below); NULL: nothing */

static MemoryContext
need_context(void)
{
	if (announce_cx == NULL)
		announce_cx = AllocSetContextCreate(TopTransactionContext, "backorder announcements", ALLOCSET_DEFAULT_SIZES);
	return announce_cx;
}

/* Notes that an order changed that has, or had, a line that waits.  quiet: without events.  The settling queues the commit work. */
void
bo_announce_later(const char *tenant, int32 source_id, const char *order_key, bool quiet)
{
	NoteKey		key = {source_id, order_key};
	OrderToAnnounce *entry;
	bool		found;

	if (orders_to_announce == NULL)
	{
		HASHCTL 	ctl = {.keysize = sizeof(NoteKey),.entrysize = sizeof(OrderToAnnounce),.hash = bo_note_key_hash,.match = bo_note_key_match,.hcxt = need_context()};

		orders_to_announce = hash_create("backorder touched orders", 16, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	}
	entry = hash_search(orders_to_announce, &key, HASH_ENTER, &found);
	if (!found)
	{
		entry->key.order_key = MemoryContextStrdup(announce_cx, order_key);
		entry->tenant = MemoryContextStrdup(announce_cx, tenant);
		memset(&entry->state, 0, sizeof(entry->state));
		entry->kept_in = 0;
	}
	if (entry->state.pending && (entry->state.quiet || !quiet))
		return;
	bo_subxact_remember(&entry->state, sizeof(entry->state));
	entry->state.quiet = quiet || (entry->state.pending && entry->state.quiet);
	if (!entry->state.pending)
	{
		bo_subxact_remember(&npending, sizeof(npending));
		npending++;
	}
	entry->state.pending = true;
}

/*
 * A line that waits or waited is changed: this is what it had until now.
 * Only the first call in a transaction counts.
 */
void
bo_remember_line(int64 line_id, Qty allocated, Qty covered)
{
	LineAtStart *before;
	bool		found;

	if (lines_at_start == NULL)
	{
		HASHCTL 	ctl = {.keysize = sizeof(int64),.entrysize = sizeof(LineAtStart),.hcxt = need_context()};

		lines_at_start = hash_create("backorder lines before", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	before = hash_search(lines_at_start, &line_id, HASH_ENTER, &found);
	if (!found)
		before->valid = false;
	if (!before->valid)
	{
		MemoryContext old = MemoryContextSwitchTo(need_context());

		bo_subxact_remember(&before->valid, sizeof(before->valid));
		before->valid = true;
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
	orders_to_announce = NULL;
	lines_at_start = NULL;
	npending = 0;
}

static int
compare_orders_to_announce(const void *a, const void *b)
{
	const OrderToAnnounce *x = *(OrderToAnnounce *const *) a;
	const OrderToAnnounce *y = *(OrderToAnnounce *const *) b;
	int			cmp = strcmp(x->tenant, y->tenant);

	if (cmp == 0 && x->key.source_id != y->key.source_id)
		cmp = x->key.source_id < y->key.source_id ? -1 : 1;
	return cmp != 0 ? cmp : strcmp(x->key.order_key, y->key.order_key);
}

/* What a touched order was told: by line_id, as jsonb sorts shorter keys first. */
static void
take_last_notified(Jsonb *last_notified, OrderState *state)
{
	JsonbIterator *it = JsonbIteratorInit(&last_notified->root);
	JsonbIteratorToken token;
	JsonbValue	v;

	if (!JB_ROOT_IS_OBJECT(last_notified))
		return;
	state->lines = palloc0(sizeof(LineState) * Max(JB_ROOT_COUNT(last_notified), 1));
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
take_notified_order(int i, ItemPointer tid, Datum last_notified, char *customer, void *arg)
{
	OrderState *state = ((OrderState **) arg)[i];

	state->customer = customer;
	state->tid = *tid;
	state->last_notified = DatumGetJsonbPCopy(last_notified);
	take_last_notified(state->last_notified, state);
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
	line->unsettled = nulls[LINE_FIRST_ALLOCATED];
	line->has_promised_at = !nulls[LINE_PROMISED_AT];
	line->promised_at = line->has_promised_at ? DatumGetDateADT(values[LINE_PROMISED_AT]) : 0;
	line->has_first_promised_at = !nulls[LINE_FIRST_PROMISED_AT];
	line->first_promised_at = line->has_first_promised_at ? DatumGetDateADT(values[LINE_FIRST_PROMISED_AT]) : 0;
}

/* ---------- lines that need not be read ---------- */

/* Above this many changes no lines are kept: every kept line is a second copy in memory. */
#define KEPT_CHANGES 1000

/* Runs of settling and, at once, announcing: from one to the other the lines of new orders are kept. */
static uint64 run;
static bool keeping;
static int	nsettled;			/* settlings in this run */

/* Between keep(true) and keep(false), a run, only settling and announcing write our tables: so kept lines stay valid. */
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
 * A settling has written changes.  Are the lines of the new orders among them
 * to be kept?  A second settling may change what the first did: then none are.
 */
bool
bo_announce_keeps(int nchanges)
{
	if (++nsettled > 1 || !keeping || orders_to_announce == NULL || nchanges > KEPT_CHANGES)
		return false;
	Assert(kept_cx == NULL);
	kept_cx = AllocSetContextCreate(announce_cx, "backorder kept lines", ALLOCSET_SMALL_SIZES);
	return true;
}

/*
 * Where the lines of an order are kept that was first recorded by the settling:
 * its customer was told nothing, and the lines that are given are all it has.
 * NULL where it is not to be announced.
 */
OrderState *
bo_announce_order(int32 source_id, const char *order_key)
{
	NoteKey		key = {source_id, order_key};
	OrderToAnnounce *order = hash_search(orders_to_announce, &key, HASH_FIND, NULL);

	if (order == NULL)
		return NULL;
	if (order->kept_in != run)
		memset(&order->kept, 0, sizeof(order->kept));
	order->kept_in = run;
	return &order->kept;
}

/* Keeps a copy of a line. */
void
bo_announce_line(OrderState *order, const LineState *line)
{
	MemoryContext old = MemoryContextSwitchTo(kept_cx);
	LineState  *state = add_line(order, line->customer ? pstrdup(line->customer) : NULL);

	*state = *line;
	state->line_key = pstrdup(line->line_key);
	state->item = pstrdup(line->item);
	state->location = pstrdup(line->location);
	state->ordered = copy_qty(line->ordered);
	state->shipped = copy_qty(line->shipped);
	state->allocated = copy_qty(line->allocated);
	state->backordered = copy_qty(line->backordered);
	MemoryContextSwitchTo(old);
}

/* Are the lines of a touched order kept? */
static bool
is_kept(const OrderToAnnounce *order)
{
	return keeping && nsettled == 1 && order->kept_in == run;
}

/* ---------- comparing ---------- */

/* Compares a line with what its customer was told.  If nothing was, with the line as it was before this transaction. */
static Comparison
compare(const LineState *was, const LineState *now)
{
	Comparison	c = {.was = was,.now = now};
	LineAtStart *before = NULL;

	Assert(was != NULL || now != NULL);
	if (was == NULL && lines_at_start != NULL)
		before = hash_search(lines_at_start, &now->line_id, HASH_FIND, NULL);
	if (before && !before->valid)
		before = NULL;
	c.old_allocated = was ? was->allocated : before ? before->allocated : now->allocated;
	c.old_covered = was ? bo_covered_quantity(was) : before ? before->covered : bo_covered_quantity(now);
	return c;
}

/* A piece of the touched orders. */
typedef struct AnnounceBatch
{
	MemoryContext scratch;		/* for what building jsonb leaves behind, of one order after another */
	EventSet	events;
	BoRows	   *first_notified; /* what orders are told that were told nothing */
	BoRows	   *last_notified;	/* what others are told from now on */
	BoRows	   *gone;			/* orders that have no line that waits any more */
	bool		said;			/* there were events */
} AnnounceBatch;

/* Puts what an order is told for the first time. */
static void
notify_first(AnnounceBatch *batch, const OrderToAnnounce *order, const char *customer, Jsonb *last_notified)
{
	Datum		values[GIVEN_WAITING_COLUMNS];
	bool		nulls[GIVEN_WAITING_COLUMNS] = {false};

	values[GIVEN_WAITING_TENANT] = bo_text(order->tenant);
	values[GIVEN_WAITING_SOURCE_ID] = Int32GetDatum(order->key.source_id);
	values[GIVEN_WAITING_ORDER_KEY] = bo_text(order->key.order_key);
	values[GIVEN_WAITING_CUSTOMER] = bo_text(customer);
	nulls[GIVEN_WAITING_CUSTOMER] = customer == NULL;
	values[GIVEN_WAITING_SINCE] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	values[GIVEN_WAITING_LAST_NOTIFIED] = JsonbPGetDatum(last_notified);
	bo_rows_put(batch->first_notified, values, nulls);
}

/* Puts what an order is told from now on, if that is different, or that no line of it waits any more. */
static void
notify_again(AnnounceBatch *batch, const OrderState *was, bool waits, const char *customer, Jsonb *last_notified)
{
	Datum		values[NOTIFIED_COLUMNS];
	bool		nulls[NOTIFIED_COLUMNS] = {false};

	values[NOTIFIED_TID] = PointerGetDatum(&was->tid);
	values[NOTIFIED_CUSTOMER] = bo_text(customer);
	nulls[NOTIFIED_CUSTOMER] = customer == NULL;
	values[NOTIFIED_LAST_NOTIFIED] = JsonbPGetDatum(last_notified);
	if (!waits)
		bo_rows_put(batch->gone, values, nulls);
	else if (!bo_same_text(was->customer, customer) || VARSIZE(was->last_notified) != VARSIZE(last_notified) || memcmp(was->last_notified, last_notified, VARSIZE(last_notified)) != 0)
		bo_rows_put(batch->last_notified, values, nulls);
}

/* Compares one order: puts its events, and what it is told from now on, or that no line of it waits any more. */
static void
announce_order(AnnounceBatch *batch, const OrderToAnnounce *order, const OrderState *was, const OrderState *now)
{
	MemoryContext cx = MemoryContextSwitchTo(batch->scratch);
	JsonbParseState *changes[EVENT_KINDS] = {NULL};
	JsonbParseState *waiting = NULL;
	Jsonb	   *notified;
	const char *customer = now->customer ? now->customer : was->customer;
	bool		waits = false;

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
			bo_push_notified(&waiting, n);
		if (order->state.quiet)
			continue;
		c = compare(w, n);
		kinds = bo_event_kinds(&c);
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
			bo_push_change(&changes[kind], &c);
		}
	}
	MemoryContextSwitchTo(cx);
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		if (changes[kind] != NULL)
		{
			json_end_array(&changes[kind]);
			bo_event_put(&batch->events, order->tenant, order->key.source_id, order->key.order_key, bo_event_names[kind], customer, &changes[kind]);
			batch->said = true;
		}

	notified = DatumGetJsonbP(json_finish(&waiting));
	if (was->last_notified != NULL)
		notify_again(batch, was, waits, customer, notified);
	else if (waits)
		notify_first(batch, order, customer, notified);
	MemoryContextReset(batch->scratch);
}

/* Announces a piece of the touched orders, given sorted. Returns whether there were events. */
static bool
announce_batch(OrderToAnnounce **orders, int n)
{
	OrderKey   *keys = palloc(sizeof(OrderKey) * n);	/* of those to look for */
	OrderState **was_of = palloc(sizeof(OrderState *) * n);
	OrderState **now_of = palloc(sizeof(OrderState *) * n);
	int			nkeys = 0;
	AnnounceBatch batch = {
		.scratch = AllocSetContextCreate(CurrentMemoryContext, "backorder announced order", ALLOCSET_DEFAULT_SIZES),
		.first_notified = bo_rows(BO_ROWS_FIRST_NOTIFIED),
		.last_notified = bo_rows(BO_ROWS_LAST_NOTIFIED),
		.gone = bo_rows(BO_ROWS_LAST_NOTIFIED)
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
		bo_order_is_created(orders[i]->key.source_id, orders[i]->key.order_key)};
	}
	if (nkeys > 0)
	{
		bo_lock_waiting_orders(keys, nkeys, take_notified_order, was_of);
		bo_read_order_lines(keys, nkeys, take_line, now_of);
	}
	for (int i = 0; i < n; i++)
		if (now[i].n > 1)
			qsort(now[i].lines, now[i].n, sizeof(LineState), bo_compare_line_ids);
	for (int i = 0; i < n; i++)
		announce_order(&batch, orders[i], &was[i], &now[i]);
	bo_events_write(&batch.events);
	bo_flush_rows(BO_NOTIFY_FIRST, batch.first_notified);
	bo_flush_rows(BO_NOTIFY, batch.last_notified);
	bo_flush_rows(BO_FORGET_ORDERS, batch.gone);
	return batch.said;
}

/* What was announced in a subtransaction is to be announced again if that is rolled back. */
static void
all_said(OrderToAnnounce **orders, int n)
{
	HASH_SEQ_STATUS seq;
	LineAtStart *before;

	for (int i = 0; i < n; i++)
	{
		bo_subxact_remember(&orders[i]->state, sizeof(orders[i]->state));
		orders[i]->state.pending = false;
	}
	bo_subxact_remember(&npending, sizeof(npending));
	npending = 0;
	if (lines_at_start == NULL)
		return;
	hash_seq_init(&seq, lines_at_start);
	while ((before = hash_seq_search(&seq)) != NULL)
	{
		bo_subxact_remember(&before->valid, sizeof(before->valid));
		before->valid = false;
	}
}

/*
 * Writes the events of this transaction.  Called once at commit; locks the
 * waiting_order rows, sorted.
 */
void
bo_announce(void)
{
	SpiScope	spi;
	HASH_SEQ_STATUS seq;
	OrderToAnnounce *entry;
	OrderToAnnounce **sorted;
	MemoryContext cx = announce_cx;
	MemoryContext batch;
	MemoryContext old;
	int			n = 0;
	bool		said = false;

	if (!bo_announce_pending())
		return;
	sorted = palloc(sizeof(OrderToAnnounce *) * hash_get_num_entries(orders_to_announce));
	hash_seq_init(&seq, orders_to_announce);
	while ((entry = hash_seq_search(&seq)) != NULL)
		if (entry->state.pending)
			sorted[n++] = entry;
	qsort(sorted, n, sizeof(OrderToAnnounce *), compare_orders_to_announce);

	bo_spi_begin_unpinned(&spi);
	batch = AllocSetContextCreate(CurrentMemoryContext, "backorder announced orders", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(batch);
	for (int i = 0; i < n; i += ANNOUNCE_BATCH)
	{
		CHECK_FOR_INTERRUPTS();
		said |= announce_batch(sorted + i, Min(ANNOUNCE_BATCH, n - i));
		MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(old);
	bo_spi_end(&spi);
	if (GetCurrentSubTransactionId() == TopSubTransactionId)
	{
		bo_subxact_forget();
		bo_announce_reset();
		MemoryContextDelete(cx);
	}
	else
		all_said(sorted, n);
	if (said && bo_notify)
		Async_Notify("backorder", "");
}
