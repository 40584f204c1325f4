/*
 * supply_profile.c
 *		Dated supply against the queue.  Pure: no database access.
 *
 * Placed supply is used up in date order by the waiting lines in rank order;
 * a line's promise is the date of the supply that covers its last unit.
 */
#include "postgres.h"

#include "base/base.h"
#include "settle/settling.h"

static int
compare_supply(const void *a, const void *b)
{
	const DatedSupply *x = a;
	const DatedSupply *y = b;

	if (x->has_date != y->has_date)
		return x->has_date ? -1 : 1;	/* without a date: last */
	if (x->has_date && x->date != y->date)
		return x->date < y->date ? -1 : 1;
	if (x->po_id != y->po_id)
		return x->po_id < y->po_id ? -1 : 1;
	return x->line_no < y->line_no ? -1 : x->line_no > y->line_no;
}

/* Sorts the entries by date in place and adds them up. */
void
bo_supply_profile(SupplyProfile *profile, DatedSupply *entries, int n)
{
	profile->entries = entries;
	profile->n = n;
	profile->total = qty_zero;
	if (n > 1)
		qsort(entries, n, sizeof(DatedSupply), compare_supply);
	for (int i = 0; i < n; i++)
	{
		profile->total = qty_add(profile->total, entries[i].open);
		entries[i].upto = profile->total;
	}
}

/*
 * The date on which the unit number `upto` of the queue is covered, without
 * handling time.
 */
PromiseKind
bo_promise(const SupplyProfile *profile, Qty upto, DateADT today, DateADT *date)
{
	int			low = 0;
	int			high = profile->n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (qty_cmp(profile->entries[middle].upto, upto) >= 0)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == profile->n || !profile->entries[low].has_date)
		return PROMISE_NONE;
	if (profile->entries[low].date < today)
		return PROMISE_KEEP;
	*date = profile->entries[low].date;
	return PROMISE_DATE;
}

/*
 * Is `after` what `before` leaves when the first `allocated_now` units of both queue
 * and supply are gone?  Then no promise further down the queue changes.
 */
bool
bo_profile_shifted(const SupplyProfile *before, const SupplyProfile *after, Qty allocated_now)
{
	int			i = 0;
	int			j = 0;
	Qty			upto_before = qty_zero;
	Qty			upto_after = qty_zero;

	/* Compare the cumulative quantities at each date that either has. */
	while (i < before->n || j < after->n)
	{
		const DatedSupply *next;
		bool		has_date;
		DateADT		date;
		Qty			left;

		if (i == before->n)
			next = &after->entries[j];
		else if (j == after->n)
			next = &before->entries[i];
		else if (!before->entries[i].has_date)
			next = &after->entries[j];
		else if (!after->entries[j].has_date)
			next = &before->entries[i];
		else
			next = before->entries[i].date <= after->entries[j].date ? &before->entries[i] : &after->entries[j];
		has_date = next->has_date;
		date = next->date;
		while (i < before->n && (!has_date || (before->entries[i].has_date && before->entries[i].date <= date)))
			upto_before = before->entries[i++].upto;
		while (j < after->n && (!has_date || (after->entries[j].has_date && after->entries[j].date <= date)))
			upto_after = after->entries[j++].upto;
		left = qty_max(qty_sub(upto_before, allocated_now), qty_zero);
		if (qty_cmp(left, upto_after) != 0)
			return false;
	}
	return true;
}
