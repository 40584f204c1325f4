/*
 * transaction.c
 *		The transaction's notes: where they are, and finding one.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/base.h"
#include "pending/pending.h"
#include "pending/transaction.h"

TransactionNotes *bo_notes;

/* ---------- life cycle ---------- */

/* Hash functions of tables keyed by NoteKey. */
uint32
bo_note_key_hash(const void *key, Size size)
{
	const NoteKey *k = key;

	return bo_hash_text(k->order_key) ^ ((uint32) k->source_id * 0x9e3779b9u);
}

int
bo_note_key_match(const void *a, const void *b, Size size)
{
	const NoteKey *x = a;
	const NoteKey *y = b;

	return x->source_id != y->source_id || strcmp(x->order_key, y->order_key) != 0;
}

TransactionNotes *
bo_transaction_notes(void)
{
	if (bo_notes == NULL)
	{
		MemoryContext cx = AllocSetContextCreate(TopTransactionContext, "backorder notes", ALLOCSET_DEFAULT_SIZES);
		TransactionNotes *p = MemoryContextAllocZero(cx, sizeof(TransactionNotes));
		HASHCTL		ctl = {.keysize = sizeof(NoteKey),.entrysize = sizeof(NoteEntry),.hash = bo_note_key_hash,.match = bo_note_key_match,.hcxt = cx};

		p->cx = cx;
		p->rollback_epoch = 1;
		p->notes = hash_create("backorder notes", 16, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
		bo_notes = p;
	}
	return bo_notes;
}

/* The note of an order; NULL: it is not noted. */
static OrderNote *
find_note(int32 source_id, const char *order_key)
{
	NoteKey		key = {source_id, order_key};
	NoteEntry  *place = bo_notes ? hash_search(bo_notes->notes, &key, HASH_FIND, NULL) : NULL;

	return place ? place->note : NULL;
}

/* Has the transaction this order's lock? */
bool
bo_order_is_locked(int32 source_id, const char *order_key)
{
	OrderNote  *note = find_note(source_id, order_key);

	return note != NULL && note->state.locked;
}

/* Did this transaction record the order first, so that nobody else sees anything of it? */
bool
bo_order_is_created(int32 source_id, const char *order_key)
{
	OrderNote  *note = find_note(source_id, order_key);

	return note != NULL && note->state.locked && note->state.created;
}

/* How many orders are to be reconciled? */
int
bo_orders_pending(void)
{
	return bo_notes != NULL ? bo_notes->state.ndirty : 0;
}

/* The transaction is over: the memory of the notes goes with it. */
void
bo_notes_reset(void)
{
	bo_notes = NULL;
}

/* A subtransaction was rolled back. */
void
bo_notes_rolled_back(void)
{
	if (bo_notes != NULL)
		bo_notes->last_note = NULL;
}
