/*
 * announce.h
 *		What customers are told: events for what became different.
 */
#ifndef BO_ANNOUNCE_H
#define BO_ANNOUNCE_H

#include "utils/jsonb.h"

#include "store/store.h"

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
	bool		unsettled;		/* an import recorded the line only: nothing is said of it before it is settled */
	bool		has_promised_at;
	bool		has_first_promised_at;
	DateADT		promised_at;
	DateADT		first_promised_at;
} LineState;

/* The lines of one order, while they are kept from settling to announcing. */
typedef struct OrderState OrderState;

/* Events to be written together. */
typedef struct EventSet
{
	BoRows	   *rows;
	int32		source_id;		/* whose name and generation follow; 0: none yet */
	char	   *source;
	Datum		generation;
} EventSet;

/* event.c */
extern void bo_event_put(EventSet *set, const char *tenant, int32 source_id, const char *order_key, const char *type, const char *customer, JsonbParseState **payload);
extern void bo_events_write(EventSet *set);

/* announce.c */
extern void bo_announce_later(const char *tenant, int32 source_id, const char *order_key, bool quiet);
extern void bo_remember_line(int64 line_id, Qty allocated, Qty covered);
extern bool bo_announce_pending(void);
extern void bo_announce_keep(bool keep);
extern bool bo_announce_keeps(int nchanges);
extern OrderState *bo_announce_order(int32 source_id, const char *order_key);
extern void bo_announce_line(OrderState *order, const LineState *line);
extern void bo_announce(void);
extern void bo_announce_reset(void);

#endif							/* BO_ANNOUNCE_H */
