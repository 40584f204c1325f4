/*
 * pending.h
 *		The transaction's notes: which orders, and which stock, are to be looked
 *		at before it ends.
 */
#ifndef BO_PENDING_H
#define BO_PENDING_H

#include "storage/itemptr.h"

#include "mapping/mapping.h"

/* Stock whose figure, in a table of the application, may have changed in this transaction. */
typedef struct StockNote
{
	SourceStockKey key; 		/* hash key */
	char	   *tenant;
	struct
	{
		bool		dirty;		/* to be looked at */
	}			state;			/* follows savepoints */
} StockNote;

typedef struct NoteKey
{
	int32		source_id;
	const char *order_key;
} NoteKey;

/* What is known of an order when it is locked. */
typedef enum OrderSeen
{
	ORDER_KNOWN,				/* it was looked at since its table was attached */
	ORDER_NOT_YET_IMPORTED,		/* it was not, though something may be recorded of it */
	ORDER_NEW					/* nothing is recorded of it */
} OrderSeen;

typedef struct OrderNote
{
	KeyValues	keys;			/* comes first, so that a list of notes is a list of keys to read by; follows savepoints */
	NoteKey		key;
	char	   *tenant;
	struct
	{
		uint32		mapping_version; /* when its rows were noted */
		uint32		rollback_epoch; /* of the notes; 0: no row was */
		int32		first;		/* of its lines among the inserted rows; -1: none */
		int32		last;
		ItemPointerData header; /* invalid: not inserted */
		bool		incomplete; /* there may be more of it than these rows */
	}			inserted;		/* rows of it that this transaction inserted (inserted_rows.c) */
	struct
	{
		int64		seq;		/* orders as first noted; 0: all that noted it was rolled back */
		bool		locked;		/* its sales_order row is */
		bool		created;	/* this transaction inserted that row: nobody else sees anything of the order */
		OrderSeen	seen;		/* when it was locked; KNOWN once it is reconciled */
		bool		dirty;		/* to be reconciled */
		bool		key_variants; /* lines may write the key in other ways: they are looked for */
		bool		whole;		/* more may have changed than the one line that is noted: */
		bool		one_line;	/* keys.line is its key */
	}			state;			/* follows savepoints */
} OrderNote;

/* A line whose key was updated. */
typedef struct LineMove
{
	int32		source_id;
	char	   *old_order;
	char	   *old_line;
	char	   *new_order;
	char	   *new_line;
	CommandId	cid;
	bool		done;			/* reconciled; follows savepoints */
} LineMove;

/* park.c */
extern void bo_park(const char *tenant, int32 source_id, const char *order_key, ErrorData *error);
extern Mapping *bo_mapping_or_park(int32 source_id);
extern void bo_unpark(List *notes);
extern void bo_unpark_source(Mapping *mapping);

/* stock_notes.c */
extern void bo_stock_note_row(int32 source_id, TupleTableSlot *slot, Relation rel);
extern void bo_stock_note_all(int32 source_id);
extern bool bo_stock_pending(void);
extern List *bo_take_stock_notes(void);
extern void bo_stock_notes_reset(void);

/* inserted_rows.c */
extern void bo_note_header_inserted(OrderNote *note, const Mapping *mapping, Oid relid, ItemPointer tid);
extern void bo_note_line_inserted(OrderNote *note, const Mapping *mapping, Oid relid, ItemPointer tid);
extern void bo_note_incomplete(OrderNote *note);
extern void bo_forget_inserted(void);
extern bool bo_is_header_inserted(const OrderNote *note);
extern int32 bo_inserted_row(const OrderNote *note, int32 row, ItemPointer tid);
extern bool bo_is_readable_from_tuples(const OrderNote *note, const Mapping *mapping);

/* order_notes.c */
extern OrderNote *bo_note_order(Mapping *mapping, const Datum *native);
extern void bo_note_whole(OrderNote *note);
extern void bo_note_one_line(const Mapping *mapping, OrderNote *note, const Datum *values);
extern void bo_note_move(const LineMove *given);
extern int	bo_compare_notes(const ListCell *a, const ListCell *b);
extern int	bo_compare_seq(const ListCell *a, const ListCell *b);
extern void bo_check_noted_types(Mapping *mapping);
extern void bo_note_key_variants(Mapping *mapping, OrderNote *note);
extern bool bo_note_order_text(Mapping *mapping, const char *order_key, bool key_variants);
extern List *bo_pending_orders(void);
extern List *bo_pending_moves(void);
extern void bo_pending_done(List *notes);
extern void bo_unlock_notes(int32 source_id);
extern void bo_notes_init(void);

/* transaction.c */
extern bool bo_order_is_locked(int32 source_id, const char *order_key);
extern bool bo_order_is_created(int32 source_id, const char *order_key);
extern int	bo_orders_pending(void);
extern void bo_notes_reset(void);
extern void bo_notes_rolled_back(void);
extern uint32 bo_note_key_hash(const void *key, Size size);
extern int	bo_note_key_match(const void *a, const void *b, Size size);

/* queue_work.c */
extern void bo_queue_commit_work(void);
extern void bo_queue_commit_work_at_end(void);
extern void bo_queue_statement_work(void);
extern void bo_statement_work_fired(void);
extern bool bo_commit_work_fired(const TriggerData *event);
extern bool bo_set_commit_work_paused(bool paused);

#endif							/* BO_PENDING_H */
