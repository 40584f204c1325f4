/*
 * eligibility.c
 *		Who gets how much.  Pure: no database access, no state.
 *
 * settle.c walks the eligible waiting lines of one item and location in rank
 * order and asks here what each is to get of what is left.  The fulfilment
 * rules differ only here: a rule that looks at more than one line (ship
 * complete) gets its second pass from settle's walk, not from another path.
 */
#include "postgres.h"

#include "base/base.h"
#include "settle/settling.h"

/*
 * What a line that still wants `want` gets of `free`; both are positive.
 * A `partial` line takes what there is.
 */
Qty
bo_may_get(Fulfilment fulfilment, Qty want, Qty free)
{
	switch (fulfilment)
	{
		case FULFILMENT_PARTIAL:
			return qty_min(want, free);
	}
	return qty_zero;			/* keep the compiler quiet */
}

/*
 * How much of `need` can be taken back from a line: its allocation without
 * what is picked.
 */
Qty
bo_take_back(Qty need, Qty allocated, Qty picked)
{
	if (qty_cmp(picked, allocated) >= 0)
		return qty_zero;
	return qty_min(need, qty_sub(allocated, picked));
}
