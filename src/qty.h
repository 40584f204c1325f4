/*
 * qty.h
 *		Quantities: exact, of any size, held as numeric.
 *
 * Everything here allocates its result in the current memory context and
 * may raise numeric_value_out_of_range; nothing here sees NaN or infinity,
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

static inline Qty
qty_add(Qty a, Qty b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a), NumericGetDatum(b)));
}

static inline Qty
qty_sub(Qty a, Qty b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_sub, NumericGetDatum(a), NumericGetDatum(b)));
}

static inline Qty
qty_neg(Qty a)
{
	return DatumGetNumeric(DirectFunctionCall1(numeric_uminus, NumericGetDatum(a)));
}

static inline int
qty_cmp(Qty a, Qty b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

/* -1, 0 or 1; the zero is the module's own (backorder.c). */
extern Qty	qty_zero;

static inline int
qty_sign(Qty a)
{
	return qty_cmp(a, qty_zero);
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
