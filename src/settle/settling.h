/*
 * settling.h
 *		Private to settling; settle.h is what others see.  settle.c leads, the
 *		other files do the parts: see README.md.
 */
#ifndef BO_SETTLING_H
#define BO_SETTLING_H

#include "announce/announce.h"
#include "settle/settle.h"

/* A recorded line, in memory while it is settled. */
struct Line
{
	ItemPointerData tid;
	bool		exists;			/* there is a row */
	bool		dirty;			/* the row is to be written */
	bool		remove;			/* the row is to be deleted */
	bool		rekeyed;		/* the key changes: delete and insert */
	bool		new_incarnation; /* a new line_id in this settling */
	bool		joined; 		/* is in its stock's list */
	bool		rank_changed;	/* rank or want changed by something else than allocating */
	Stock	   *stock;
	int64		line_id;
	int32		source_id;
	bool		quiet;
	char	   *tenant;
	char	   *order_key;
	char	   *line_key;
	char	   *customer;
	Qty			ordered;
	Qty			cancelled;
	Qty			auto_cancelled;
	Qty			shipped;
	Qty			picked;
	Qty			allocated;
	Qty			first_allocated;	/* NULL: an import recorded the line and its first settling is yet to come */
	Qty			first_shipped;	/* NULL: nothing */
	Qty			folded;			/* NULL: nothing */
	int32		priority;
	bool		held;
	bool		live;
	bool		deleted;
	TimestampTz queued_at;
	bool		has_requested_at;
	bool		has_first_promised_at;
	bool		has_promised_at;
	DateADT		requested_at;
	DateADT		first_promised_at;
	DateADT		promised_at;

	/* while settling */
	Qty			open;			/* ordered - cancelled - auto_cancelled - shipped, not below 0 */
	Qty			old_backordered;	/* at load; 0 for a line without a row */
	Qty			old_covered;	/* allocated + shipped at load */
	Qty			old_allocated;
	bool		old_eligible;
	Qty			returned;		/* shipped goods that came back and are the line's first */
	Qty			overshipped;	/* shipped beyond its allocation */
	bool		refuse_overship;
};

/* Goods that came in with this settling, in order: what is allocated first. */
typedef struct GoodsIn
{
	Movement   *movement;
	Qty			left;
} GoodsIn;

/* One supply row. */
typedef struct SupplyRow
{
	char	   *tenant;
	int64		po_id;
	int32		line_no;
	Stock	   *stock;
	Qty			quantity;
	Qty			received;
	bool		has_expected_at;
	DateADT		expected_at;
	bool		closed;
	bool		exists;
	bool		dirty;
	bool		remove;
} SupplyRow;

/* One item at one location. */
struct Stock
{
	StockKey	key;
	ItemPointerData tid;
	Qty			on_hand;
	Qty			unavailable;
	Qty			allocated;
	Qty			backordered;
	Qty			backordered_held;	/* of backordered, what lines wait for that are not eligible */
	Qty			on_order;
	bool		promises_stale;
	int32		handling_time;
	bool		locked;

	/* as locked */
	Qty			old_on_hand;
	Qty			old_backordered;
	Qty			old_held;

	/* kept by the application (attached_stock.c) */
	int32		stock_source_id; /* its table; 0: movements keep on hand */
	bool		released;		/* no more after this settling */
	int32		looked_at;		/* the table in which to look */
	Qty 		app_on_hand;	/* what it says is on hand; NULL: not looked at */
	Qty 		app_unavailable; /* what of it is unavailable; NULL: not mapped */

	List	   *lines;			/* of Line: touched */
	HTAB	   *joined_rows;	/* line_id of touched lines that have a row */
	List	   *goods;			/* of GoodsIn */
	List	   *supplies;		/* of SupplyRow that this settling touches */
	Qty 		allocated_to_waiting; /* allocated to lines that had been waiting */
	bool		rank_changed;	/* the queue changed otherwise than by allocating and joining at its end */
	bool		to_settle;		/* it may have something to take back or to allocate */
	bool		supply_changed;
	bool		changed;

	/* of a settling in pieces */
	bool		in_batch;		/* this one touches it */
	int64		own_lines_from;	/* earlier pieces drew line_ids from here on; 0: none.  Whoever else did had the lock before. */
	char	   *kept;			/* its counters between pieces */
};

typedef struct SettleState
{
	SettleRequest *request;
	MemoryContext cx;			/* of what lives as long as the settling */
	HTAB	   *by_key;
	Stock	  **stocks;			/* sorted; what this piece of the settling touches */
	int			nstocks;
	TimestampTz clock;
	DateADT		today;
	BoRows	   *allocations;
	BoRows	   *movements;
	EventSet	events;
	List	   *supplies;		/* of SupplyRow */
	BoDeferredIndex *deferred;	/* index entries that wait; NULL: none do */
	int64		first_line_id;	/* the first that was drawn; 0: none was */
} SettleState;

/* The queue of a stock row, being walked. */
typedef struct Queue
{
	Stock	   *stock;
	bool		backwards;		/* allocated lines from the lowest rank up */
	List	   *mine;			/* of Line, sorted */
	int			next_mine;
	Portal		portal;			/* NULL: no rows to read, or none left */
	SPITupleTable *table;
	uint64		nrows;
	uint64		next_row;
	long		fetch;
	Line	   *row;			/* read ahead */
	uint64		nread;
} Queue;

typedef struct DatedSupply
{
	Qty			open;
	bool		has_date;
	DateADT		date;
	int64		po_id;
	int32		line_no;
	Qty			upto;			/* cumulative, set by bo_supply_profile */
} DatedSupply;

typedef struct SupplyProfile
{
	DatedSupply *entries;
	int			n;
	Qty			total;
} SupplyProfile;

typedef enum PromiseKind
{
	PROMISE_NONE,				/* supply does not reach, or has no date */
	PROMISE_DATE,
	PROMISE_KEEP				/* the day has passed: no new promise */
} PromiseKind;

/* What a line waits for: open - allocated. */
static inline Qty
bo_waits_for(const Line *line)
{
	return qty_sub(line->open, line->allocated);
}

/* stock.c */
extern void bo_settle_start(SettleState *st, SettleRequest *request);
extern Stock *bo_find_stock(SettleState *st, char *tenant, char *item, char *location);
extern void bo_sort_stocks(SettleState *st);
extern Stock *bo_known_stock(SettleState *st, const StockKey *key);
extern int	bo_compare_stocks(const void *a, const void *b);
extern Qty bo_free_quantity(Stock *stock);
extern void bo_write_stock(SettleState *st);

/* lock_set.c */
extern void bo_lock_set(SettleState *st);

/* first_settling.c */
extern void bo_begin_first_settlings(SettleState *st);

/* queue.c */
extern void bo_set_open(Line *line);
extern bool bo_is_waiting(const Line *line);
extern Line *bo_load_line(SPITupleTable *table, uint64 row, Stock *stock);
extern void bo_join_settling(Line *line);
extern int bo_compare_rank(const Line *a, const Line *b);
extern int bo_compare_rank_cells(const ListCell *a, const ListCell *b);
extern void bo_queue_open(Queue *queue, Stock *stock, bool backwards, bool read_rows);
extern void bo_queue_close(Queue *queue);
extern Line *bo_queue_row(Queue *queue);
extern Line *bo_queue_next(Queue *queue);
extern Qty bo_other_waiting(Stock *stock);

/* supply.c */
extern SupplyRow *bo_find_supply(SettleState *st, const char *tenant, int64 po_id, int32 line_no);
extern Qty bo_supply_open(SupplyRow *row);
extern void bo_read_supply(SettleState *st);
extern void bo_supply_written(SupplyRow *row, Qty before);
extern void bo_apply_supplies(SettleState *st);
extern void bo_write_supply(SettleState *st);

/* ledger.c */
extern void bo_allocate(SettleState *st, Line *line, Qty quantity, const char *cause, int64 movement_id, Movement *goods);
extern void bo_allocate_to(SettleState *st, Line *line, Qty quantity);
extern void bo_add_movement(SettleState *st, Stock *stock, int64 movement_id, const char *kind, Qty quantity, Qty unavailable, int64 line_id, const char *reason);

/* movements.c */
extern void bo_check_movement(Movement *m);
extern void bo_take_movements(SettleState *st);
extern Qty bo_book_discrepancies(SettleState *st, Stock *stock, Qty missing);

/* allocated_rows.c */
extern void bo_collect_line(Line *line, Qty quantity);

/* attached_stock.c */
extern void bo_find_noted_stock(SettleState *st);
extern void bo_read_attached_stock(SettleState *st);
extern void bo_check_attached_stock(Stock *stock, Movement *m);
extern void bo_apply_attached_stock(SettleState *st);
extern void bo_ship_attached_stock(SettleState *st, Line *line, Qty difference);
extern Qty bo_release_held(SettleState *st, Stock *stock, Qty missing);

/* lines.c */
extern void bo_apply_change(SettleState *st, LineChange *change);
extern void bo_read_changed_lines(SettleState *st);
extern void bo_write_lines(SettleState *st);

/* promises.c */
extern void bo_promise_stock(SettleState *st, Stock *stock);

/* eligibility.c */
extern Qty	bo_may_lose(const Line *line, Qty need, bool picked_too);
extern bool bo_is_eligible(const Line *line);
extern Qty	bo_may_get(const Line *line, Qty free);

/* supply_profile.c */
extern bool bo_profile_shifted(const SupplyProfile *before, const SupplyProfile *after, Qty allocated_now);
extern PromiseKind bo_promise(const SupplyProfile *profile, Qty upto, DateADT today, DateADT *date);
extern void bo_supply_profile(SupplyProfile *profile, DatedSupply *entries, int n);

/* kept.c */
extern void bo_announce_settled(List *changes);

#endif							/* BO_SETTLING_H */
