/*
 * order_notes.c
 *		Which orders were noted in this transaction, and what of them.
 *
 * Notes are never taken back.  An order that is looked at without need shows
 * no difference, so after a rollback to a savepoint every order noted so far
 * is simply looked at again.
 */
#include "postgres.h"

#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "pending/transaction.h"

static void
relation_changed(Oid relid)
{
	if (bo_notes != NULL)
	{
		bo_notes->last_mapping = NULL; /* its types may be others now */
		bo_notes->last_note = NULL;
	}
}

void
bo_notes_init(void)
{
	bo_on_relation_change(relation_changed);
}

/* ---------- notes ---------- */

static void
set_unreadable(OrderNote *note, bool unreadable)
{
	if (note->keys.unreadable == unreadable)
		return;
	bo_subxact_remember(&note->keys.unreadable, sizeof(note->keys.unreadable));
	note->keys.unreadable = unreadable;
}

/* The note of an order, which becomes dirty; anew: it was not. */
static OrderNote *
note(Mapping *mapping, char *order_key, bool *anew)
{
	TransactionNotes *p = bo_transaction_notes();
	NoteKey		key = {mapping->source_id, order_key};
	NoteEntry  *place;
	OrderNote  *entry;
	bool		found;

	place = hash_search(p->notes, &key, HASH_ENTER, &found);
	if (!found)
	{
		MemoryContext old = MemoryContextSwitchTo(p->cx);

		place->note = entry = palloc0(sizeof(OrderNote));
		entry->key = place->key = (NoteKey) {mapping->source_id, pstrdup(order_key)};
		entry->tenant = pstrdup(mapping->tenant);
		p->order = lappend(p->order, entry);
		MemoryContextSwitchTo(old);
	}
	entry = place->note;
	*anew = !entry->state.dirty;
	if (*anew)
	{
		bo_subxact_remember(&entry->state, sizeof(entry->state));
		bo_subxact_remember(&p->state, sizeof(p->state));
		entry->state.dirty = true;
		if (entry->state.seq == 0)
			entry->state.seq = ++p->last_seq;
		set_unreadable(entry, false);
		p->state.ndirty++;
	}
	p->last_mapping = mapping;
	p->last_note = entry;
	return entry;
}

static void
keep_native(Mapping *mapping, OrderNote *entry, const Datum *native)
{
	MemoryContext old;

	if (entry->keys.order[0] != (Datum) 0)
		bo_subxact_remember(entry->keys.order, sizeof(entry->keys.order));
	old = MemoryContextSwitchTo(bo_notes->cx);
	for (int i = 0; i < mapping->line.nkeys; i++)
		entry->keys.order[i] = datumCopy(native[i], get_typbyval(mapping->line.key_type[i]), get_typlen(mapping->line.key_type[i]));
	MemoryContextSwitchTo(old);
}

/* Notes that more may have changed of an order than the one line that is noted. */
void
bo_note_whole(OrderNote *note)
{
	if (note->state.whole)
		return;
	bo_subxact_remember(&note->state, sizeof(note->state));
	note->state.whole = true;
}

/*
 * As bo_note_whole(), for a key that comes from the header or the user: lines
 * may write it in other ways (1 for 1.0).
 */
void
bo_note_key_variants(Mapping *mapping, OrderNote *note)
{
	bo_note_whole(note);
	if (!mapping->key_variants || note->state.key_variants)
		return;
	bo_subxact_remember(&note->state, sizeof(note->state));
	note->state.key_variants = true;
}

/* Takes the orders of a source for not locked: their sales_order rows were written since, and count as not recorded. */
void
bo_unlock_notes(int32 source_id)
{
	ListCell   *lc;

	if (bo_notes == NULL)
		return;
	foreach(lc, bo_notes->order)
	{
		OrderNote  *entry = lfirst(lc);

		if (entry->key.source_id != source_id || !entry->state.locked)
			continue;
		bo_subxact_remember(&entry->state, sizeof(entry->state));
		entry->state.locked = false;
	}
}

static NotedTypes
types_of(Mapping *mapping)
{
	NotedTypes	types = {.source_id = mapping->source_id};

	memcpy(types.order_key, mapping->line.key_type, sizeof(Oid) * mapping->line.nkeys);
	memcpy(types.line_key, mapping->line_key_type, sizeof(Oid) * mapping->nline_columns);
	return types;
}

/*
 * Where a key column has got another type since orders of the source were
 * noted, their native keys are made again from their texts.
 */
void
bo_check_noted_types(Mapping *mapping)
{
	NotedTypes	now = types_of(mapping);
	NotedTypes *known = NULL;
	ListCell   *lc;

	if (bo_notes == NULL || mapping->line.nkeys == 0)
		return;
	foreach(lc, bo_notes->types)
		if (((NotedTypes *) lfirst(lc))->source_id == mapping->source_id)
			known = lfirst(lc);
	if (known != NULL && memcmp(known, &now, sizeof(now)) == 0)
		return;
	if (known == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(bo_notes->cx);

		known = palloc(sizeof(NotedTypes));
		bo_notes->types = lappend(bo_notes->types, known);
		MemoryContextSwitchTo(old);
	}
	else
		foreach(lc, bo_notes->order)
		{
			OrderNote  *entry = lfirst(lc);
			Datum		native[BO_MAX_KEYS];

			if (entry->key.source_id != mapping->source_id)
				continue;
			set_unreadable(entry, !bo_key_native(mapping, entry->key.order_key, native));
			if (!entry->keys.unreadable)
				keep_native(mapping, entry, native);
			bo_note_whole(entry);	/* not by the key of its one line, which may be of another type */
		}
	*known = now;
}

/*
 * Notes an order by the native values of its key, as the line table has them.
 * The caller says what of it: bo_note_whole(), or note_line(); and when all is
 * noted, bo_queue_commit_work().
 */
OrderNote *
bo_note_order(Mapping *mapping, const Datum *native)
{
	OrderNote  *entry;
	bool		anew;
	int			level = 0;

	/* Most rows repeat the order of the row before. */
	if (bo_notes != NULL && bo_notes->last_note != NULL && bo_notes->last_mapping == mapping && bo_notes->last_note->state.dirty &&
		!bo_notes->last_note->keys.unreadable && bo_notes->last_note->key.source_id == mapping->source_id)
	{
		bool		same = true;

		for (int i = 0; i < mapping->line.nkeys && same; i++)
			same = datumIsEqual(native[i], bo_notes->last_note->keys.order[i],
								get_typbyval(mapping->line.key_type[i]), get_typlen(mapping->line.key_type[i]));
		if (same)
			return bo_notes->last_note;
	}
	if (bo_notes == NULL || bo_notes->last_mapping != mapping)
	{
		(void) bo_transaction_notes();
		bo_check_noted_types(mapping);
	}
	if (mapping->pin_keys)
		level = bo_pin_settings();
	entry = note(mapping, bo_key_text(native, mapping->line.key_type, mapping->line.nkeys), &anew);
	if (mapping->pin_keys)
		AtEOXact_GUC(false, level);
	/* Noted before under another mapping, the key may have been of another type, or none. */
	if (anew || entry->keys.unreadable)
	{
		set_unreadable(entry, false);
		keep_native(mapping, entry, native);
	}
	return entry;
}

/*
 * Notes an order by its key as text, as it is recorded; with key_variants, as
 * anybody may write it.  False where the text is no key of the table, as after
 * another order_key was attached: then its lines end.
 */
bool
bo_note_order_text(Mapping *mapping, const char *order_key, bool key_variants)
{
	Datum		native[BO_MAX_KEYS];
	OrderNote  *entry;
	bool		anew;
	/* A stub's orders are ended unread. */
	bool		readable = mapping->line.nkeys > 0 && bo_key_native(mapping, order_key, native);

	(void) bo_transaction_notes();
	bo_check_noted_types(mapping);
	entry = note(mapping, pstrdup(order_key), &anew);
	bo_note_incomplete(entry);
	set_unreadable(entry, !readable);
	bo_note_whole(entry);
	if (key_variants)
		bo_note_key_variants(mapping, entry);
	if (readable)
		keep_native(mapping, entry, native);
	return readable;
}

/* The order in which orders are locked, for list_sort(). */
int
bo_compare_notes(const ListCell *a, const ListCell *b)
{
	const OrderNote *x = lfirst(a);
	const OrderNote *y = lfirst(b);
	int			cmp = strcmp(x->tenant, y->tenant);

	if (cmp == 0 && x->key.source_id != y->key.source_id)
		cmp = x->key.source_id < y->key.source_id ? -1 : 1;
	return cmp != 0 ? cmp : strcmp(x->key.order_key, y->key.order_key);
}

/* The order in which orders were first noted, for list_sort(). */
int
bo_compare_seq(const ListCell *a, const ListCell *b)
{
	int64		x = ((const OrderNote *) lfirst(a))->state.seq;
	int64		y = ((const OrderNote *) lfirst(b))->state.seq;

	return x < y ? -1 : x > y;
}

/* The orders to reconcile, of OrderNote, sorted as they are to be locked. */
List *
bo_pending_orders(void)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (bo_notes == NULL || bo_notes->state.ndirty == 0)
		return NIL;
	foreach(lc, bo_notes->order)
		if (((OrderNote *) lfirst(lc))->state.dirty)
			result = lappend(result, lfirst(lc));
	list_sort(result, bo_compare_notes);
	return result;
}

/* The key updates not yet reconciled, of LineMove, as they happened. */
List *
bo_pending_moves(void)
{
	List	   *result = NIL;

	for (int i = 0; bo_notes != NULL && i < bo_notes->state.nmoves; i++)
	{
		LineMove   *move = list_nth(bo_notes->moves, i);

		if (!move->done)
			result = lappend(result, move);
	}
	return result;
}

/* Notes that these orders, and all moves, were reconciled. */
void
bo_pending_done(List *notes)
{
	ListCell   *lc;

	bo_subxact_remember(&bo_notes->state, sizeof(bo_notes->state));
	foreach(lc, notes)
	{
		OrderNote  *entry = lfirst(lc);

		bo_subxact_remember(&entry->state, sizeof(entry->state));
		if (entry->state.dirty)
			bo_notes->state.ndirty--;
		entry->state.dirty = false;
		entry->state.seen = ORDER_KNOWN;
		entry->state.whole = false;
		entry->state.key_variants = false;
		entry->state.one_line = false;
	}
	foreach(lc, bo_pending_moves())
	{
		LineMove   *move = lfirst(lc);

		bo_subxact_remember(&move->done, sizeof(move->done));
		move->done = true;
	}
	bo_notes->last_note = NULL;
	if (bo_notes->state.ndirty == 0)
		bo_forget_inserted();
}

/* Notes one line of a dirty order, by the native values of its key. */
void
bo_note_one_line(const Mapping *mapping, OrderNote *note, const Datum *values)
{
	MemoryContext old = MemoryContextSwitchTo(bo_notes->cx);

	bo_subxact_remember(&note->state, sizeof(note->state));
	bo_subxact_remember(note->keys.line, sizeof(note->keys.line));
	for (int i = 0; i < mapping->nline_columns; i++)
		note->keys.line[i] = datumCopy(values[i], get_typbyval(mapping->line_key_type[i]), get_typlen(mapping->line_key_type[i]));
	note->state.one_line = true;
	MemoryContextSwitchTo(old);
}

/* Notes that the key of a line was updated. */
void
bo_note_move(const LineMove *given)
{
	TransactionNotes *p = bo_transaction_notes();
	MemoryContext old = MemoryContextSwitchTo(p->cx);
	LineMove   *move = palloc(sizeof(LineMove));

	*move = *given;
	move->old_order = pstrdup(given->old_order);
	move->old_line = pstrdup(given->old_line);
	move->new_order = pstrdup(given->new_order);
	move->new_line = pstrdup(given->new_line);
	bo_subxact_remember(&p->state, sizeof(p->state));
	p->moves = lappend(list_truncate(p->moves, p->state.nmoves++), move);
	MemoryContextSwitchTo(old);
}
