/*
 * reconcile.c
 *		What the noted orders say now, minus what is recorded = the changes.
 *
 * Locks the orders first, each by a write to its sales_order row, then reads
 * mapping and recorded lines with one snapshot.  Without that order two
 * transactions that change one order, a line here and the header there, would
 * each miss the other's half.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "reconcile/order.h"
#include "reconcile/reconcile.h"
#include "settle/settle.h"
#include "store/store.h"

/*
 * Locks orders by writing their sales_order rows, in the order given, which is
 * sorted; those locked before are left.  Raises 40001 where REPEATABLE READ
 * asks for it.
 */
void
bo_lock_orders(List *notes)
{
	SpiScope	spi;
	List	   *locked = NIL;
	OrderKey   *keys;
	int64	   *before;
	ListCell   *lc;
	int			n = 0;

	foreach(lc, notes)
		if (!((OrderNote *) lfirst(lc))->state.locked)
			locked = lappend(locked, lfirst(lc));
	if (locked == NIL)
		return;
	before = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * list_length(locked));
	keys = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(OrderKey) * list_length(locked));
	foreach(lc, locked)
	{
		OrderNote  *note = lfirst(lc);

		keys[n++] = (OrderKey) {.tenant = note->tenant,.source_id = note->key.source_id,.order_key = note->key.order_key,.new_by_us = bo_is_header_inserted(note)};
	}
	bo_spi_begin_unpinned(&spi);
	bo_lock_order_rows(keys, n, before);
	bo_spi_end(&spi);
	n = 0;
	foreach(lc, locked)
	{
		OrderNote  *note = lfirst(lc);

		bo_subxact_remember(&note->state, sizeof(note->state));
		note->state.created = before[n] < 0;
		note->state.seen = before[n] < 0 ? ORDER_NEW : before[n] == 0 ? ORDER_NOT_YET_IMPORTED : ORDER_KNOWN;
		n++;
		note->state.locked = true;
	}
	pfree(keys);
	pfree(before);
	list_free(locked);
}

/*
 * A key is found that "=" takes for one of those looked at and that is written
 * in another way.  It is an order of its own, to be looked at next.
 */
static void
add_key_variant(Reconcile *r, Mapping *mapping, char *order_key, bool header)
{
	KeyVariant *variant;
	ListCell   *lc;

	foreach(lc, r->request->key_variants)
	{
		variant = lfirst(lc);
		if (variant->mapping == mapping && variant->header == header && strcmp(variant->order_key, order_key) == 0)
			return;
	}
	variant = palloc(sizeof(KeyVariant));
	variant->mapping = mapping;
	variant->order_key = order_key;
	variant->header = header;
	r->request->key_variants = lappend(r->request->key_variants, variant);
}

static void
take_mapped(Mapping *mapping, MappedLine *line, void *arg)
{
	Reconcile  *r = arg;
	NoteKey		key = {mapping->source_id, line->order_key};
	Order	   *order = r->last;

	/* Lines come by order. */
	if (order == NULL || order->mapping != mapping || strcmp(order->key.order_key, line->order_key) != 0)
		order = r->last = hash_search(r->orders, &key, HASH_FIND, NULL);

	if (order != NULL)
		order->lines_now = lappend(order->lines_now, line);
	else if (r->key_variants)
		add_key_variant(r, mapping, line->order_key, false);
	/* Writers of a line and of its header must contend for one lock: that of the key as the header writes it. */
	if (order != NULL && line->header_key != NULL && strcmp(line->header_key, line->order_key) != 0 &&
		!bo_order_is_locked(mapping->source_id, line->header_key))
		add_key_variant(r, mapping, line->header_key, true);
}

/* The one line noted of an order, as it is recorded. */
static uint64
read_recorded_line(OrderNote *note, Mapping *mapping)
{
	Datum		args[4] = {bo_text(note->tenant), Int32GetDatum(note->key.source_id), bo_text(note->key.order_key)};

	bo_pin();
	args[3] = bo_text(bo_key_text(note->keys.line, mapping->line_key_type, mapping->nline_columns));
	return bo_run_statement(BO_READ_RECORDED_LINE, NULL, args, true);
}

static void
read_recorded(Reconcile *r, List *notes)
{
	BoRows	   *rows = bo_rows(BO_ROWS_ORDERS);
	Order	   *first = bo_order_of(r, linitial(notes));
	List	   *orders = NIL;
	SPITupleTable *table;
	ListCell   *lc;
	uint64		n;
	int			i = 0;

	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);

		if (note->state.seen == ORDER_NEW && r->mode.reason == RECONCILE_CHANGES)
			continue;			/* recorded by nobody before */
		bo_put_order(rows, note->tenant, note->key.source_id, note->key.order_key, i++);
		orders = lappend(orders, hash_search(r->orders, &note->key, HASH_FIND, NULL));
	}
	if (i == 0)
	{
		bo_rows_drop(rows);
		return;
	}
	if (first->one_line)
		n = read_recorded_line(first->note, first->mapping);
	else
		n = bo_run_statement(BO_READ_RECORDED, rows, NULL, true);
	table = SPI_tuptable;
	for (uint64 row = 0; row < n; row++)
	{
		Recorded   *rec = palloc0(sizeof(Recorded));
		Datum		values[RECORDED_COLUMNS_READ];
		bool		nulls[RECORDED_COLUMNS_READ];
		Order	   *order;

		bo_result_row(table, row, values, nulls);
		order = list_nth(orders, DatumGetInt32(values[RECORDED_N]));
		rec->line_key = rec->old_line_key = TextDatumGetCString(values[RECORDED_LINE_KEY]);
		rec->old_order_key = order->note->key.order_key ? (char *) order->note->key.order_key : NULL;
		rec->item = TextDatumGetCString(values[RECORDED_ITEM]);
		rec->location = TextDatumGetCString(values[RECORDED_LOCATION]);
		rec->customer = nulls[RECORDED_CUSTOMER] ? NULL : TextDatumGetCString(values[RECORDED_CUSTOMER]);
		rec->ordered = qty_copy(values[RECORDED_ORDERED]);
		rec->cancelled = qty_copy(values[RECORDED_CANCELLED]);
		rec->shipped = qty_copy(values[RECORDED_SHIPPED]);
		rec->picked = qty_copy(values[RECORDED_PICKED]);
		rec->live = DatumGetBool(values[RECORDED_LIVE]);
		rec->deleted = DatumGetBool(values[RECORDED_DELETED]);
		rec->priority = DatumGetInt32(values[RECORDED_PRIORITY]);
		rec->queued_at = DatumGetTimestampTz(values[RECORDED_QUEUED_AT]);
		rec->requested_at = DatumGetDateADT(values[RECORDED_REQUESTED_AT]);
		rec->has_requested_at = !nulls[RECORDED_REQUESTED_AT];
		rec->held = DatumGetBool(values[RECORDED_HELD]);
		rec->here = -1;
		bo_check_line_id(DatumGetInt64(values[RECORDED_LINE_ID]));
		order->recorded = lappend(order->recorded, rec);
	}
	SPI_freetuptable(table);
	bo_rows_drop(rows);
}

static bool
is_there(Order *order, const char *line_key)
{
	ListCell   *lc;

	foreach(lc, order->lines_now)
		if (strcmp(((MappedLine *) lfirst(lc))->line_key, line_key) == 0)
			return true;
	return false;
}

/*
 * The key that a recorded line has after a move, NULL where the move is not
 * its own.  Where expressions follow the columns of the line key, the move
 * names the columns only and moves all lines that begin with them; where there
 * are none but expressions, all that are not there any more.
 */
static char *
moved_key(Order *from, LineMove *move, const Recorded *rec)
{
	Mapping    *mapping = from->mapping;
	char	   *line_key = rec->line_key;
	char	   *old;
	size_t		n;

	if (mapping->nline_keys == mapping->nline_columns)
		return strcmp(line_key, move->old_line) == 0 ? move->new_line : NULL;
	if (mapping->nline_columns == 0)
		return rec->deleted || is_there(from, line_key) ? NULL : line_key;
	old = bo_key_prefix(move->old_line, mapping->nline_columns);
	n = strlen(old);
	return strncmp(line_key, old, n) == 0 ? psprintf("%s%s", bo_key_prefix(move->new_line, mapping->nline_columns), line_key + n) : NULL;
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
			char	   *key = moved_key(from, move, rec);

			/* What one command moves, it moves at once: ids that shift by one do not chain. */
			if (key == NULL || (rec->moved && rec->moved_in == move->cid))
				continue;
			rec->line_key = key;
			rec->moved = true;
			rec->moved_in = move->cid;
			if (from != to)
			{
				from->recorded = foreach_delete_current(from->recorded, rc);
				to->recorded = lappend(to->recorded, rec);
			}
			if (from->mapping->nline_keys == from->mapping->nline_columns)
				break;
		}
	}
}

/* A stub, through which no line is seen, where the source is detached or its table gone. */
Mapping *
bo_mapping_to_use(int32 source_id, ReconcileMode mode)
{
	Mapping    *mapping;

	if (mode.detach != NULL && mode.detach->source_id == source_id)
		return mode.detach;
	mapping = bo_mapping_or_park(source_id);
	return mapping ? mapping : bo_source_identity(source_id);
}

/* Reads orders of one source (of OrderNote); arg is the Reading. */
static void
read_orders(List *given, void *arg)
{
	Reading    *reading = arg;
	Reconcile  *r = reading->r;
	List	   *notes = r->mode.reason != RECONCILE_CHANGES ? given : bo_read_from_tuples(reading->mapping, given, take_mapped, r);
	ListCell   *lc;

	if (notes != NIL)
	{
		OrderNote  *first = linitial(notes);
		MappingScope scope = bo_order_of(r, first)->one_line ? MAPPING_LINE :
			list_length(notes) == 1 && !first->keys.unreadable ? MAPPING_ONE :
			list_length(notes) < MANY_ORDERS ? MAPPING_FEW : MAPPING_MANY;

		bo_mapping_read(reading->mapping, scope, notes, take_mapped, r);
	}
	if (reading->mapping->park)
		foreach(lc, given)
			bo_check_line_keys(bo_order_of(r, lfirst(lc)));
}

/* The same, where some may have been read before an error in the others. */
static void
read_orders_again(List *notes, void *arg)
{
	Reading    *reading = arg;
	ListCell   *lc;

	foreach(lc, notes)
		bo_order_of(reading->r, lfirst(lc))->lines_now = NIL;
	read_orders(notes, arg);
}

/* An order that cannot be read remembers why. */
static void
set_error(void *note, ErrorData *error, void *arg)
{
	Order	   *order = bo_order_of(((Reading *) arg)->r, note);

	order->lines_now = NIL;
	order->error = error;
}

/* Reads orders of one source; where that parks, an error is one of an order. */
static void
read_or_park(Reconcile *r, Mapping *mapping, List *notes)
{
	Reading		reading = {r, mapping};

	if (mapping->park)
		bo_read_by_halves(notes, read_orders_again, set_error, &reading);
	else
		read_orders(notes, &reading);
}

/* Writes down which orders could not be read, and which can again. */
static void
park_orders(Reconcile *r, List *notes)
{
	List	   *readable = NIL;
	ListCell   *lc;

	foreach(lc, notes)
	{
		Order	   *order = bo_order_of(r, lfirst(lc));

		if (order->error != NULL)
			bo_park(order->note->tenant, order->key.source_id, order->key.order_key, order->error);
		else if ((order->mapping->park || r->mode.reason != RECONCILE_CHANGES) && !order->mapping->unreadable)
			readable = lappend(readable, order->note);
	}
	bo_unpark(readable);
}

/*
 * Adds to a settlement the differences of orders, which are locked, given
 * sorted, and done with that; reads them with the snapshot.
 */
void
bo_reconcile_orders(SettleRequest *request, ReconcileMode mode, List *notes, Snapshot snapshot)
{
	Reconcile	r = {.request = request,.mode = mode};
	HASHCTL		ctl = {.keysize = sizeof(NoteKey),.entrysize = sizeof(Order),.hash = bo_note_key_hash,.match = bo_note_key_match,.hcxt = CurrentMemoryContext};
	Mapping    *mapping = NULL;
	List	   *by_seq;
	ListCell   *lc;
	bool		first_sight = false;

	r.orders = hash_create("backorder orders", list_length(notes), &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);
		Order	   *order = hash_search(r.orders, &note->key, HASH_ENTER, NULL);

		order->note = note;
		if (mapping == NULL || mapping->source_id != note->key.source_id)
		{
			mapping = bo_mapping_to_use(note->key.source_id, mode);
			bo_check_noted_types(mapping);
		}
		order->mapping = mapping;
		order->lines_now = NIL;
		order->recorded = NIL;
		order->error = NULL;
		order->before = NIL;
		order->first_sight = mapping->importing && note->state.seen != ORDER_KNOWN && !note->keys.unreadable;
		order->baseline = mode.reason == RECONCILE_ATTACH || (mode.reason == RECONCILE_IMPORT && order->first_sight);
		first_sight = first_sight || (order->first_sight && !order->baseline);
		/* Of one that is parked no line may be recorded yet. */
		order->one_line = list_length(notes) == 1 && note->state.one_line && !note->state.whole && note->state.seen == ORDER_KNOWN &&
			!note->keys.unreadable && mode.reason == RECONCILE_CHANGES && mapping->lines_independent && !mapping->park && bo_pending_moves() == NIL;
	}

	PushActiveSnapshot(snapshot);
	for (lc = list_head(notes); lc != NULL;)
	{
		OrderNote  *first = lfirst(lc);
		List	   *some = NIL;

		r.key_variants = false;
		for (; lc != NULL && ((OrderNote *) lfirst(lc))->key.source_id == first->key.source_id; lc = lnext(notes, lc))
		{
			some = lappend(some, lfirst(lc));
			r.key_variants |= ((OrderNote *) lfirst(lc))->state.key_variants;
		}
		mapping = ((Order *) hash_search(r.orders, &first->key, HASH_FIND, NULL))->mapping;
		if (mapping->line.nkeys > 0)
			read_or_park(&r, mapping, some);
		if (first_sight && mapping->importing)
		{
			if (mode.reason == RECONCILE_CHANGES)
				bo_import_seen(first->key.source_id);
			bo_read_before(&r, mapping, bo_unseen_orders(&r, some));
		}
	}
	read_recorded(&r, notes);
	PopActiveSnapshot();
	if (first_sight)
		foreach(lc, notes)
			bo_take_as_recorded(bo_order_of(&r, lfirst(lc)));
	park_orders(&r, notes);
	apply_moves(&r);

	/* Orders as first noted: line_id is drawn in this order. */
	by_seq = list_copy(notes);
	list_sort(by_seq, bo_compare_seq);
	foreach(lc, by_seq)
		bo_reconcile_order(&r, bo_order_of(&r, lfirst(lc)));
	bo_pending_done(notes);
}

/*
 * One snapshot for what orders say and for what is recorded of them, taken
 * after the locks: first of the tables that they are read from, so that no
 * rewrite of them is waited for with it (table_rewrite.c), then of the orders.
 */
Snapshot
bo_snapshot_after_locks(List *notes, ReconcileMode mode)
{
	int32		source_id = 0;
	ListCell   *lc;

	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);

		if (note->key.source_id == source_id)
			continue;
		source_id = note->key.source_id;
		bo_mapping_lock(bo_mapping_to_use(source_id, mode));
	}
	bo_lock_orders(notes);
	CommandCounterIncrement();
	return RegisterSnapshot(mode.reason != RECONCILE_CHANGES ? GetLatestSnapshot() : GetTransactionSnapshot());
}

/*
 * Adds to a settlement the differences of all pending orders, which are locked
 * and done with that.  Expects an SPI scope; allocates in the current context.
 */
void
bo_reconcile(SettleRequest *request, ReconcileMode mode)
{
	List	   *notes = bo_pending_orders();
	Snapshot	snapshot;

	if (notes == NIL)
		return;
	snapshot = bo_snapshot_after_locks(notes, mode);
	bo_reconcile_orders(request, mode, notes, snapshot);
	UnregisterSnapshot(snapshot);
}
