/*
 * qty.c
 *		The module's own quantities; see qty.h.
 */
#include "postgres.h"

#include <limits.h>

#include "base/base.h"

SmallQty	bo_own_qty[2 * QTY_OWN + 1];

/* Makes the module's own quantities, after a look whether numeric is what qty.h takes it for. */
void
bo_qty_init(void)
{
	static const int looked_at[] = {-QTY_SMALL_END, 1 - QTY_SMALL_END, -1, 0, 1, QTY_SMALL_END - 1, QTY_SMALL_END};

	for (int i = -QTY_OWN; i <= QTY_OWN; i++)
		qty_set_small(&bo_own_qty[QTY_OWN + i], i);
	for (int i = 0; i < (int) lengthof(looked_at); i++)
	{
		int			value = looked_at[i];
		Qty			ours = qty_int(value);
		Qty			theirs = int64_to_numeric(value);

		if (VARSIZE(ours) != VARSIZE(theirs) || memcmp(ours, theirs, VARSIZE(ours)) != 0 ||
			qty_sign(theirs) != (value > 0) - (value < 0) ||
			qty_small(theirs, &value) != (abs(looked_at[i]) < QTY_SMALL_END) || value != looked_at[i])
			elog(ERROR, "numeric is not laid out as this library was written for");
	}
}
