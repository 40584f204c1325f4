/*
 * qty.h
 *		Quantities: exact, of any size, held as numeric.
 *
 * Everything here returns a value that is never changed: one of its arguments,
 * or a new one in the current memory context.  It may raise numeric_value_out_of_range; nothing here sees NaN or infinity,
 * which are refused where quantities come in.
 */
#ifndef BO_QTY_H
#define BO_QTY_H

#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

typedef Numeric Qty;

static inline Qty
qty_int(int64 value)
{
	return int64_to_numeric(value);
}

static inline int
qty_cmp(Qty a, Qty b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

/* The zero is the module's own (backorder.c). */
extern Qty	qty_zero;

/*
 * -1, 0 or 1.  Most of what is asked of a quantity is its sign: of a number in
 * numeric's short form, which all but very long ones have, it is a bit of the
 * two bytes before the digits, and zero has no digits.  This is the form on
 * disk, which cannot change; _PG_init() looks all the same.
 */
static inline int
qty_sign(Qty a)
{
	uint16		header = *(const uint16 *) VARDATA(a);

	if ((header & 0xC000) != 0x8000)
		return qty_cmp(a, qty_zero);
	if (VARSIZE(a) == VARHDRSZ + sizeof(uint16))
		return 0;
	return (header & 0x2000) ? -1 : 1;
}

static inline Qty
qty_neg(Qty a)
{
	return DatumGetNumeric(DirectFunctionCall1(numeric_uminus, NumericGetDatum(a)));
}

static inline Qty
qty_add(Qty a, Qty b)
{
	if (qty_sign(b) == 0)
		return a;
	if (qty_sign(a) == 0)
		return b;
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a), NumericGetDatum(b)));
}

static inline Qty
qty_sub(Qty a, Qty b)
{
	if (qty_sign(b) == 0)
		return a;
	return DatumGetNumeric(DirectFunctionCall2(numeric_sub, NumericGetDatum(a), NumericGetDatum(b)));
}

static inline Qty
qty_min(Qty a, Qty b)
{
	return qty_cmp(a, b) <= 0 ? a : b;
}

static inline Qty
qty_max(Qty a, Qty b)
{
	return qty_cmp(a, b) >= 0 ? a : b;
}

static inline bool
qty_finite(Qty a)
{
	return !numeric_is_nan(a) && !numeric_is_inf(a);
}

static inline char *
qty_text(Qty a)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(a)));
}

#endif							/* BO_QTY_H */
