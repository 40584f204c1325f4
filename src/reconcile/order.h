/*
 * order.h
 *		Orders while they are reconciled; private to this folder.
 */
#ifndef BO_ORDER_H
#define BO_ORDER_H

#include "reconcile/reconcile.h"

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
	bool		moved;
	bool		unrecorded;		/* found in the table as it was, there is no row */
	bool		known;			/* shipped is what the table had, not what is recorded */
	CommandId	moved_in;
	int			here;			/* the line now that it is, by position; -1: none */
} Recorded;

/* One order that is reconciled. */
typedef struct Order
{
	NoteKey		key;			/* hash key */
	OrderNote  *note;
	Mapping    *mapping;
	List	   *lines_now;		/* of MappedLine, by line key */
	List	   *recorded;		/* of Recorded, by line_id */
	ErrorData  *error;			/* it could not be read: parked */
	bool		first_sight;	/* of a source that is being imported, and not recorded yet */
	bool		baseline;		/* what was shipped is known, no events */
	List	   *before;			/* of MappedLine: as it was before this transaction */
	bool		one_line;		/* only the line noted is looked at */
} Order;

/* Another way in which an order's key is written: by one of its lines, or by its header. */
typedef struct KeyVariant
{
	Mapping    *mapping;
	char	   *order_key;
	bool		header;
} KeyVariant;

typedef struct Reconcile
{
	SettleRequest *request;
	ReconcileMode mode;
	HTAB	   *orders;
	Order	   *last;			/* whose line was read last */
	bool		key_variants;	/* other ways to write the keys that are read are looked for */
} Reconcile;

/* From this many orders on the planner chooses how to read them. */
#define MANY_ORDERS 32

/* Orders of one source that are read together. */
typedef struct Reading
{
	Reconcile  *r;
	Mapping    *mapping;
} Reading;

/* difference.c */
extern Order *bo_order_of(Reconcile *r, const OrderNote *note);
extern void bo_check_line_keys(Order *order);
extern void bo_reconcile_order(Reconcile *r, Order *order);
extern void bo_reconcile_orders(SettleRequest *request, ReconcileMode mode, List *notes, Snapshot snapshot);
extern Mapping *bo_mapping_to_use(int32 source_id, ReconcileMode mode);
extern Snapshot bo_snapshot_after_locks(List *notes, ReconcileMode mode);

/* read_tuples.c */
extern List *bo_read_from_tuples(Mapping *mapping, List *notes, MappedLineFunc func, void *arg);
extern bool bo_inserted_stock_keys(Mapping *mapping, List *notes, List **stock_keys);

/* first_sight.c */
extern void bo_import_seen(int32 source_id);
extern List *bo_unseen_orders(Reconcile *r, List *notes);
extern void bo_read_before(Reconcile *r, Mapping *mapping, List *notes);
extern void bo_take_as_recorded(Order *order);

#endif							/* BO_ORDER_H */
