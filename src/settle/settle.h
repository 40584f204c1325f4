/*
 * settle.h
 *		One settling: what is asked of it.
 */
#ifndef BO_SETTLE_H
#define BO_SETTLE_H

#include "mapping/mapping.h"
#include "pending/pending.h"
#include "store/store.h"

/* A stock row and a recorded line while they are settled: settling.h. */
typedef struct Stock Stock;
typedef struct Line Line;

/* What reconcile found for one line. */
typedef enum LineAction
{
	LINE_INSERT,				/* not recorded yet */
	LINE_UPDATE,				/* recorded, the same incarnation */
	LINE_RENEW,					/* recorded, a new place in the queue */
	LINE_END					/* left the application or is not live any more */
} LineAction;

typedef struct LineChange
{
	LineAction	action;
	Mapping    *mapping;
	bool		baseline;		/* shipped is taken as it is, without a movement */
	Qty			known_shipped;	/* shipped before, where that is not what is recorded; or NULL */
	bool		quiet;			/* no event */
	bool		displaced;		/* another line has its key: its row goes */
	bool		first;			/* nothing was recorded of its order before: with it come all its lines */
	char	   *order_key;
	char	   *old_order_key;	/* where the recorded row is */
	char	   *old_line_key;
	char	   *old_item;
	char	   *old_location;
	MappedLine *mapped; 		/* NULL: the line is gone */
	Stock	   *stock;			/* where the line is now; filled by settle, as is what follows */
	Stock	   *old_stock;
	Line	   *line;
	int			n;
} LineChange;

typedef struct Movement
{
	int64		movement_id;
	char	   *tenant;
	char	   *item;
	char	   *location;
	char	   *kind;
	Qty			quantity;
	Qty			unavailable;
	bool		has_po;
	bool		half_po;		/* one of po_id and po_line_no is NULL: refused */
	int64		po_id;
	int32		po_line_no;
} Movement;

typedef struct SupplyChange
{
	char	   *tenant;
	int64		po_id;
	int32		line_no;
	bool		wanted;			/* false: the purchase order line is no supply */
	char	   *status;
	char	   *item;
	char	   *location;
	Qty			quantity;
	bool		has_expected_at;
	DateADT		expected_at;
	bool		closed;
	char	   *old_item;		/* where the recorded supply is, or NULL */
	char	   *old_location;
} SupplyChange;

/* One settling. */
typedef struct SettleRequest SettleRequest;

struct SettleRequest
{
	List	   *changes;		/* of LineChange */
	List	   *movements;		/* of Movement */
	List	   *supplies;		/* of SupplyChange */
	List	   *stock_keys; 	/* of StockKey, further stock to settle */
	List	   *key_variants;	/* other spellings of keys, to be looked at next: batches.c */
	bool		repromise;		/* make the promises of these places again, all of them */
	bool		(*next) (SettleRequest *request); /* the next piece of changes, which are all there is then; NULL: no more */
	bool		small_batches;	/* they may be */
	void	   *next_arg;
	bool		record_only;	/* lines that an import finds are recorded, and wait for their first settling */
	int32		first_settling; /* the source whose such lines have it now, at the stock rows that are named; 0: none */
	int			settle_limit;	/* so many of them at most */
	int			settled_keys;	/* how many of stock_keys, from the first, have none left */
	List	   *stock_notes;	/* of StockNote: stock whose figure is to be looked at */
	bool		stock_notes_whole; /* look at the whole table, with the latest snapshot */
	bool		stock_mapping_changed; /* with another mapping: what it does not name any more is not the application's */
	int64		lines_changed;
	int64		counts_written; /* counts written */
};

/* settle.c */
extern void bo_settle(SettleRequest *request);

/* stock.c */
extern void bo_lock_stock_keys(List *stock_keys);

/* allocated_rows.c */
extern void bo_allocated_reset(void);

#endif							/* BO_SETTLE_H */
