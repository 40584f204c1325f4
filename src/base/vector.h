/*
 * vector.h
 *		An array that grows, and texts that are compared by their bytes.
 */
#ifndef BO_VECTOR_H
#define BO_VECTOR_H

#include "fmgr.h"
#include "utils/memutils.h"

/* An array that grows; its items are zero at first. */
typedef struct Vector
{
	void	   *items;
	int			n;
	int			capacity;
} Vector;

#define AT(vector, type, n) ((type *) bo_vector_at(&(vector), n, sizeof(type)))

/* The nth item, from 0. */
static inline void *
bo_vector_at(Vector *v, int n, Size size)
{
	if (n >= v->capacity)
	{
		int			capacity = Max(64, Max(n + 1, v->capacity * 2));

		v->items = v->items == NULL ? palloc_extended(size * capacity, MCXT_ALLOC_HUGE) : repalloc_huge(v->items, size * capacity);
		memset((char *) v->items + size * v->capacity, 0, size * (capacity - v->capacity));
		v->capacity = capacity;
	}
	v->n = Max(v->n, n + 1);
	return (char *) v->items + size * n;
}

/* In the order of collation "C". */
static inline int
bo_compare_text(const text *a, const text *b)
{
	int			length_a = VARSIZE_ANY_EXHDR(a);
	int			length_b = VARSIZE_ANY_EXHDR(b);
	int			result = a == b ? 0 : memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(length_a, length_b));

	return result != 0 ? result : length_a - length_b;
}

/* The text itself where it is the same as the one before, as in a sorted column it mostly is. */
static inline text *
bo_text_like(Datum value, text *before)
{
	return before != NULL && bo_compare_text(DatumGetTextPP(value), before) == 0 ? before : DatumGetTextPCopy(value);
}

#endif							/* BO_VECTOR_H */
