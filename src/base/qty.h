/*
 * qty.h
 *		Quantities: exact, of any size, held as numeric.
 *
 * Everything here returns a value that is never changed, nor freed: one of its arguments,
 * one of the module's own, or a new one in the current memory context.  It may raise numeric_value_out_of_range; nothing here sees NaN or infinity,
 * which are refused where quantities come in.
 */
#ifndef BO_QTY_H
#define BO_QTY_H

#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

typedef Numeric Qty;

/*
 * Most quantities are whole numbers of at most four digits.  In numeric's short
 * form these are two bytes, with the sign as one bit, and one digit of base
 * 10,000, which zero does not have.  This is the form on disk, which cannot
 * change; bo_qty_init() checks it all the same.
 */
#define QTY_SMALL 0x8000		/* the two bytes: short, no scale, one digit before the point */
#define QTY_NEGATIVE 0x2000
#define QTY_SMALL_END 10000

typedef struct SmallQty
{
	int32		header;			/* a varlena's */
	uint16		form;
	uint16		digit;
} SmallQty;

/* Numbers from - QTY_OWN to QTY_OWN are the module's own (qty.c): they need no memory, and are near. */
#define QTY_OWN 255
extern SmallQty bo_own_qty[2 * QTY_OWN + 1];
extern void bo_qty_init(void);

#define qty_zero ((Qty) &bo_own_qty[QTY_OWN])

static inline void
qty_set_small(SmallQty *small, int value)
{
	SET_VARSIZE(small, value == 0 ? offsetof(SmallQty, digit) : sizeof(SmallQty));
	small->form = value < 0 ? QTY_SMALL | QTY_NEGATIVE : QTY_SMALL;
	small->digit = value < 0 ? -value : value;
}

static inline Qty
qty_int(int64 value)
{
	SmallQty   *small;

	if (value >= -QTY_OWN && value <= QTY_OWN)
		return (Qty) &bo_own_qty[QTY_OWN + value];
	if (value <= -QTY_SMALL_END || value >= QTY_SMALL_END)
		return int64_to_numeric(value);
	small = palloc(sizeof(SmallQty));
	qty_set_small(small, value);
	return (Qty) small;
}

/* Is it such a number?  With a scale it is not: what is computed from it has one too. */
static inline bool
qty_small(Qty a, int *value)
{
	const SmallQty *small = (const SmallQty *) a;

	if ((small->form & ~QTY_NEGATIVE) != QTY_SMALL || VARSIZE(a) > sizeof(SmallQty))
		return false;
	*value = VARSIZE(a) < sizeof(SmallQty) ? 0 : (small->form & QTY_NEGATIVE) != 0 ? -small->digit : small->digit;
	return true;
}

/* A quantity of a row, to outlive it. */
static inline Qty
qty_copy(Datum value)
{
	SmallQty	small = {0};
	const void *given = DatumGetPointer(value);

	/* In a row it has a varlena's short header, as what is computed has not. */
	if (!VARATT_IS_EXTERNAL(given) && !VARATT_IS_COMPRESSED(given) &&
		VARSIZE_ANY_EXHDR(given) <= sizeof(SmallQty) - offsetof(SmallQty, form))
	{
		memcpy(&small.form, VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given));
		if ((small.form & ~QTY_NEGATIVE) == QTY_SMALL && small.digit <= QTY_OWN)
			return qty_int((small.form & QTY_NEGATIVE) != 0 ? -small.digit : small.digit);
	}
	return DatumGetNumericCopy(value);
}

static inline int
qty_cmp(Qty a, Qty b)
{
	int			x;
	int			y;

	if (qty_small(a, &x) && qty_small(b, &y))
		return x < y ? -1 : x > y;
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

/*
 * -1, 0 or 1.  Most of what is asked of a quantity is its sign: a bit of all
 * numbers in the short form, which all but very long ones have.
 */
static inline int
qty_sign(Qty a)
{
	uint16		header = *(const uint16 *) VARDATA(a);

	if ((header & 0xC000) != 0x8000)
		return qty_cmp(a, qty_zero);
	if (VARSIZE(a) == VARHDRSZ + sizeof(uint16))
		return 0;
	return (header & QTY_NEGATIVE) ? -1 : 1;
}

static inline Qty
qty_neg(Qty a)
{
	return DatumGetNumeric(DirectFunctionCall1(numeric_uminus, NumericGetDatum(a)));
}

static inline Qty
qty_add(Qty a, Qty b)
{
	int			x;
	int			y;

	if (qty_sign(b) == 0)
		return a;
	if (qty_sign(a) == 0)
		return b;
	if (qty_small(a, &x) && qty_small(b, &y))
		return qty_int(x + y);
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a), NumericGetDatum(b)));
}

static inline Qty
qty_sub(Qty a, Qty b)
{
	int			x;
	int			y;

	if (qty_sign(b) == 0)
		return a;
	if (qty_small(a, &x) && qty_small(b, &y))
		return qty_int(x - y);
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
