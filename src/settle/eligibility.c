/*
 * eligibility.c
 *		Which line may be served now, and what it may get.  Pure: no database
 *		access, no state.
 *
 * Settling walks the waiting lines of a stock row by rank and asks here.  A
 * new rule of who is served belongs here; where it needs stock that is not
 * locked, it has its place in lock_set.c too.  verify() has rules of its own,
 * so that it can find what is wrong with these.
 */
#include "postgres.h"

#include "base/base.h"
#include "settle/settle.h"
#include "settle/settling.h"

/* May the line be served at all, if there is stock?  One that may not uses up no supply, and has no promise. */
bool
bo_is_eligible(const Line *line)
{
	return !line->held;
}

/*
 * What an eligible line that waits may get of `free`, which is positive.  A
 * line is served partly.
 */
Qty
bo_may_get(const Line *line, Qty free)
{
	return qty_min(bo_waits_for(line), free);
}

/* How much of `need` can be taken back from a line: its allocation without what is picked. */
Qty
bo_may_lose(const Line *line, Qty need, bool picked_too)
{
	Qty			picked = picked_too ? qty_zero : line->picked;

	if (qty_cmp(picked, line->allocated) >= 0)
		return qty_zero;
	return qty_min(need, qty_sub(line->allocated, picked));
}
