/*
 * compare.c
 *		What is to be said of a line: what was told against what is.  Pure: no
 *		database access, no state.
 */
#include "postgres.h"

#include "announce/announce.h"
#include "announce/compare.h"
#include "base/base.h"
#include "base/json.h"

const char *const bo_event_names[EVENT_KINDS] = {
	[EVENT_CANCELLED] = "cancelled",
	[EVENT_DEALLOCATED] = "deallocated",
	[EVENT_BACKORDERED] = "backordered",
	[EVENT_PROMISED] = "promised",
	[EVENT_DELAYED] = "delayed",
	[EVENT_ADVANCED] = "advanced",
	[EVENT_ALLOCATED] = "allocated",
	[EVENT_READY] = "ready",
};

/* ---------- comparing ---------- */

int
bo_compare_line_ids(const void *a, const void *b)
{
	const LineState *x = a;
	const LineState *y = b;

	return x->line_id < y->line_id ? -1 : x->line_id > y->line_id;
}

Qty
bo_covered_quantity(const LineState *line)
{
	return qty_add(line->allocated, line->shipped);
}

/* What is to be said of one line: a set of kinds, EVENT_READY left to the caller. */
bits32
bo_event_kinds(const Comparison *c)
{
	const LineState *was = c->was;
	const LineState *now = c->now;
	Qty			old_backordered = was ? was->backordered : qty_zero;
	Qty			backordered = now ? now->backordered : qty_zero;
	Qty			covered = now ? bo_covered_quantity(now) : qty_zero;
	int			more = qty_cmp(backordered, old_backordered);
	int			gained = qty_cmp(covered, c->old_covered);
	bits32		kinds = 0;

	if (now != NULL && now->unsettled)
		return 0;
	if (qty_sign(backordered) > 0 && (was == NULL || (more > 0 && gained >= 0)))
		kinds |= 1 << EVENT_BACKORDERED;
	if (more > 0 && gained < 0)
		kinds |= 1 << EVENT_DEALLOCATED;
	if (was == NULL)
		return kinds;
	if (more < 0 && gained > 0)
		kinds |= 1 << EVENT_ALLOCATED;
	if (more < 0 && qty_cmp(qty_add(covered, backordered), qty_add(c->old_covered, old_backordered)) < 0)
		kinds |= 1 << EVENT_CANCELLED;
	if (now != NULL && qty_sign(backordered) > 0)
	{
		if (!was->has_promised_at)
			kinds |= now->has_promised_at ? 1 << EVENT_PROMISED : 0;
		else if (!now->has_promised_at || now->promised_at > was->promised_at)
			kinds |= 1 << EVENT_DELAYED;
		else if (now->promised_at < was->promised_at)
			kinds |= 1 << EVENT_ADVANCED;
	}
	return kinds;
}

void
bo_push_change(JsonbParseState **lines, const Comparison *c)
{
	const LineState *was = c->was;
	const LineState *now = c->now;
	const LineState *line = now ? now : was;

	Assert(line != NULL);
	/* In the order that jsonb sorts them in, which is quicker when there is nothing to sort. */
	json_begin(lines);
	json_text(lines, "item", line->item);
	json_text(lines, "line", line->line_key);
	json_qty(lines, "ordered", line->ordered);
	json_qty(lines, "shipped", line->shipped);
	json_text(lines, "location", line->location);
	json_qty(lines, "allocated", now ? now->allocated : qty_zero);
	json_qty(lines, "backordered", now ? now->backordered : qty_zero);
	json_date(lines, "promised_at", now && now->has_promised_at, now ? now->promised_at : 0);
	json_date(lines, "promised_before", was && was->has_promised_at, was ? was->promised_at : 0);
	json_qty(lines, "allocated_before", c->old_allocated);
	json_date(lines, "first_promised_at", now && now->has_first_promised_at, now ? now->first_promised_at : 0);
	json_qty(lines, "backordered_before", was ? was->backordered : qty_zero);
	json_end(lines);
}

/* What is told of a line that waits; backorder_internal.notified() says the same. */
void
bo_push_notified(JsonbParseState **last_notified, const LineState *line)
{
	json_string(last_notified, WJB_KEY, psprintf(INT64_FORMAT, line->line_id));
	json_begin(last_notified);	/* in the order of jsonb, as above */
	json_text(last_notified, "item", line->item);
	json_text(last_notified, "line", line->line_key);
	json_qty(last_notified, "ordered", line->ordered);
	json_qty(last_notified, "shipped", line->shipped);
	json_text(last_notified, "location", line->location);
	json_qty(last_notified, "allocated", line->allocated);
	json_qty(last_notified, "backordered", line->backordered);
	json_date(last_notified, "promised_at", line->has_promised_at, line->promised_at);
	json_end(last_notified);
}
