/*
 * compare.h
 *		What is to be said of a line that was told of and is: compare.c finds it
 *		for announce.c.
 */
#ifndef BO_COMPARE_H
#define BO_COMPARE_H

#include "announce/announce.h"

/* Kinds of events, in the order in which those of one order are written. */
typedef enum EventKind
{
	EVENT_CANCELLED,
	EVENT_DEALLOCATED,
	EVENT_BACKORDERED,
	EVENT_PROMISED,
	EVENT_DELAYED,
	EVENT_ADVANCED,
	EVENT_ALLOCATED,
	EVENT_READY,
	EVENT_KINDS
} EventKind;

/* One line of an order, before and now. */
typedef struct Comparison
{
	const LineState *was;		/* as told; NULL: nothing was */
	const LineState *now;		/* NULL: the line is gone */
	Qty			old_allocated;
	Qty			old_covered;
} Comparison;

extern const char *const bo_event_names[EVENT_KINDS];

extern int	bo_compare_line_ids(const void *a, const void *b);
extern Qty	bo_covered_quantity(const LineState *line);
extern bits32 bo_event_kinds(const Comparison *c);
extern void bo_push_change(JsonbParseState **lines, const Comparison *c);
extern void bo_push_notified(JsonbParseState **last_notified, const LineState *line);

#endif							/* BO_COMPARE_H */
