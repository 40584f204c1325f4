/*
 * transaction.h
 *		The transaction's notes; private to this folder.
 */
#ifndef BO_TRANSACTION_H
#define BO_TRANSACTION_H

#include "pending/pending.h"

/* The types that the native keys in the notes of a source have. */
typedef struct NotedTypes
{
	int32		source_id;
	Oid			order_key[BO_MAX_KEYS];
	Oid			line_key[BO_MAX_KEYS];
} NotedTypes;

/* A row of order lines that this transaction inserted. */
typedef struct InsertedRow
{
	ItemPointerData tid;
	int32		next;			/* of the same order, as they were inserted */
} InsertedRow;

/* Entry of the hash table: a pointer, because notes are big and a hash table takes memory for dozens of entries at once. */
typedef struct NoteEntry
{
	NoteKey		key;
	OrderNote  *note;
} NoteEntry;

/* The transaction's notes, in a context of their own below TopTransactionContext. */
typedef struct TransactionNotes
{
	MemoryContext cx;
	List	   *types;			/* of NotedTypes */
	HTAB	   *notes;			/* NoteKey -> OrderNote */
	List	   *order;			/* of OrderNote, as first noted, whether rolled back since or not */
	int64		last_seq;		/* given to a note */
	List	   *moves;			/* of LineMove */
	struct
	{
		int			ndirty;		/* notes to reconcile */
		int			nmoves;		/* moves that count */
		bool		queued;		/* the commit event is */
		bool		sent_to_end; /* it has gone to the end of the queue once */
		bool		statement_queued;	/* the event at the end of the statement is */
	}			state;			/* follows savepoints */
	bool		queueing;		/* the event is being queued: one that fires now does not wait */
	bool		paused;			/* no commit event is queued: whoever set this does the work, or queues it */
	uint32		rollback_epoch; /* grows when rows that were written may be no more */
	InsertedRow *inserted_rows;
	int32		ninserted;
	int32		inserted_capacity;
	Mapping    *last_mapping;	/* the last note, as most rows repeat it */
	OrderNote  *last_note;
} TransactionNotes;

extern TransactionNotes *bo_notes; /* NULL: nothing was noted */

extern TransactionNotes *bo_transaction_notes(void);

#endif							/* BO_TRANSACTION_H */
