/*
 * planning.c
 *		What to buy, and the lines of the drafts that ask for it.
 *
 * plan_purchases() in SQL locks the drafts and says what was bought too much;
 * here quantities are computed and the drafts made equal to them: one pass
 * over what is short, one over who sells it, one over the lines that are still
 * as planned, the lines in the order supplier, location, item.
 */
#include "backorder.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(bo_wanted_purchases);
PG_FUNCTION_INFO_V1(bo_write_drafts);

/*
 * What may be short, in no order.  An item without a reorder level is short
 * only where lines wait, as what is available is never negative.
 */
static const char *const positions_sql =
	"SELECT p.item, p.location, p.position, p.drafted, p.reorder_point, p.order_up_to FROM backorder.inventory_position p "
	"WHERE p.tenant = $1 AND ($2 IS NULL OR p.item = $2) AND ($3 IS NULL OR p.location = $3) "
	"AND (p.backordered > 0 OR p.reorder_point > 0)";

/* Who can be bought from: suppliers are numbered in the order of their names. */
static const char *const suppliers_sql =
	"SELECT a.supplier FROM backorder.supplier a WHERE a.tenant = $1 AND a.active ORDER BY a.supplier";

/* Who sells what, in no order. */
static const char *const terms_sql =
	"SELECT i.item, i.supplier, i.rank, i.unit_cost, i.order_multiple, i.minimum_quantity, i.maximum_quantity "
	"FROM backorder.supplier_item i WHERE i.tenant = $1 AND i.active AND ($2 IS NULL OR i.item = $2)";

/* The planner's drafts of a supplier and location (NULL: of all), and their last line numbers. */
static const char *const drafts_sql =
	"SELECT o.supplier, o.location, o.po_id, coalesce((SELECT max(l.line_no) FROM backorder.purchase_order_line l "
	"WHERE l.tenant = o.tenant AND l.po_id = o.po_id), 0) "
	"FROM backorder.purchase_order o WHERE o.tenant = $1 AND o.planner AND o.status = 'draft' "
	"AND ($3 IS NULL OR o.location = $3) AND ($4 IS NULL OR o.supplier = $4) ORDER BY o.supplier, o.location";

/* Their lines that are still as planned. */
static const char *const present_sql =
	"SELECT o.supplier, o.location, l.item, l.line_no, l.ordered, l.unit_cost, l.for_backorders, l.for_reorder, l.for_rounding "
	"FROM backorder.purchase_order_line l JOIN backorder.purchase_order o ON o.tenant = l.tenant AND o.po_id = l.po_id "
	"WHERE o.tenant = $1 AND o.planner AND o.status = 'draft' AND l.planned = l.ordered AND l.cancelled = 0 "
	"AND ($2 IS NULL OR l.item = $2) AND ($3 IS NULL OR o.location = $3) AND ($4 IS NULL OR o.supplier = $4) "
	"ORDER BY o.supplier, o.location, l.item, l.line_no";

/* What is planned: everything of a tenant, or what is not NULL. */
typedef struct Scope
{
	text	   *tenant;
	text	   *item;
	text	   *location;
	text	   *supplier;
} Scope;

/* Somebody who sells an item. */
typedef struct Candidate
{
	int			rank;
	int			supplier;		/* number */
	Qty			unit_cost;		/* NULL: not known */
	Qty			multiple;
	Qty			smallest;		/* of what is bought at once */
	Qty			largest;		/* a multiple; NULL: no maximum */
	struct Candidate *next;
} Candidate;

/* An item that is short somewhere. */
typedef struct ShortItem
{
	text	   *name;
	Candidate  *candidates;		/* sorted; NULL: nobody sells it */
} ShortItem;

/* What is short of an item at a location. */
typedef struct Need
{
	int			item;			/* number */
	text	   *location;
	Qty			rest;			/* of the quantity needed; 0 or less when all is bought */
	Qty			rest_short;		/* of the part that order lines wait for */
	int			lines;
} Need;

/* A purchase order line as it should be. */
typedef struct Wanted
{
	int			supplier;
	int			n;				/* of the lines of the item, in the order in which they take the need */
	const text *location;
	const text *item;
	Qty			quantity;
	Qty			unit_cost;
	Qty			for_backorders;
	Qty			for_reorder;
	Qty			for_rounding;
	int64		po_id;			/* of a line that is new, as the next */
	int32		line_no;		/* 0: it is there, or not written */
} Wanted;

/* An array that grows; its items are zero at first. */
typedef struct Vector
{
	void	   *items;
	int			n;
	int			capacity;
} Vector;

/* The number of a name. */
typedef struct NameNumber
{
	const text *name;			/* the key */
	int			number;
	uint32		hash;
	char		status;
} NameNumber;

typedef struct Wants
{
	const Scope *scope;
	struct names_hash *item_numbers;
	struct names_hash *supplier_numbers;
	Vector		items;			/* of ShortItem, by number */
	Vector		suppliers;		/* of their names, by number */
	Vector		needs;			/* of Need */
	Vector		wanted;			/* of Wanted */
} Wants;

typedef struct Draft
{
	text	   *supplier;
	text	   *location;
	int64		po_id;
	int32		last_line_no;
	bool		asks;			/* for something that is wanted */
} Draft;

/* The pass over the lines that are there and those that should be. */
typedef struct Matching
{
	const Scope *scope;
	Wants		wants;
	Wanted	  **sorted;			/* what is wanted, in the order supplier, location, item */
	int			next;			/* of these */
	Vector		locked;			/* po_id of each draft that was written, sorted */
	Vector		drafts;
	int			draft;			/* that of the line before */
	text	   *supplier;		/* of the line that was looked at last, where it is known */
	text	   *location;
	text	   *item;
	uint64		inserted;		/* lines that are new; written after the pass, as are the others: SPI runs no
								 * statement while another one's rows come */
	BoRows	   *rewritten;
	BoRows	   *removed;
} Matching;

/*
 * Reads a statement's rows, one call for each in the caller's memory context.
 * The plan is made for this scope: all of a tenant and one item differ.
 */
static void
read_rows(const char *sql, const Scope *scope, bool read_only, BoTakeRowFunc take, void *arg)
{
	BoReceiver	receiver = bo_receiver(take, arg);
	text	   *given[] = {scope->tenant, scope->item, scope->location, scope->supplier};
	ParamListInfo params = makeParamList(lengthof(given));
	SPIExecuteOptions options = {.params = params,.read_only = read_only,.dest = &receiver.dest};
	int			rc;

	for (int i = 0; i < (int) lengthof(given); i++)
	{
		params->params[i].value = PointerGetDatum(given[i]);
		params->params[i].isnull = given[i] == NULL;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = TEXTOID;
	}
	rc = SPI_execute_extended(sql, &options);
	if (rc < 0)
		elog(ERROR, "reading for a plan failed: %s", SPI_result_code_string(rc));
}

/* The nth item, from 0. */
static void *
vector_at(Vector *v, int n, Size size)
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

#define AT(vector, type, n) ((type *) vector_at(&(vector), n, sizeof(type)))

/* In the order of collation "C". */
static int
compare_text(const text *a, const text *b)
{
	int			length_a = VARSIZE_ANY_EXHDR(a);
	int			length_b = VARSIZE_ANY_EXHDR(b);
	int			result = a == b ? 0 : memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(length_a, length_b));

	return result != 0 ? result : length_a - length_b;
}

/* The text itself where it is the same as the one before, as in a sorted column it mostly is. */
static text *
text_like(Datum value, text *before)
{
	return before != NULL && compare_text(DatumGetTextPP(value), before) == 0 ? before : DatumGetTextPCopy(value);
}

static inline uint32
hash_text(const text *t)
{
	return hash_bytes((const unsigned char *) VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
}

#define SH_PREFIX names
#define SH_ELEMENT_TYPE NameNumber
#define SH_KEY_TYPE const text *
#define SH_KEY name
#define SH_HASH_KEY(table, key) hash_text(key)
#define SH_EQUAL(table, a, b) (compare_text(a, b) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* ---------- quantities ---------- */

/* To the next multiple above, or below; exact, which a quotient is not. */
static Qty
to_multiple(Qty quantity, Qty multiple, bool up)
{
	Qty			beyond;
	int			q;
	int			m;

	if (qty_small(quantity, &q) && qty_small(multiple, &m))
		return q % m == 0 ? quantity : qty_int(q - q % m + (up ? m : 0));
	beyond = DatumGetNumeric(DirectFunctionCall2(numeric_mod, NumericGetDatum(quantity), NumericGetDatum(multiple)));
	if (qty_sign(beyond) == 0)
		return quantity;
	quantity = qty_sub(quantity, beyond);
	return up ? qty_add(quantity, multiple) : quantity;
}

/* One line of a supplier: what is needed, in its multiple, within its limits. */
static void
buy(Wants *wants, Need *need, const text *item, const Candidate *c)
{
	Qty			quantity = to_multiple(qty_max(need->rest, c->smallest), c->multiple, true);
	Qty			needed;
	Wanted		w = {.supplier = c->supplier,.n = ++need->lines,.location = need->location,.item = item,.unit_cost = c->unit_cost};

	if (c->largest != NULL)
		quantity = qty_min(quantity, c->largest);
	needed = qty_min(need->rest, quantity);
	w.quantity = quantity;
	w.for_backorders = qty_sign(need->rest_short) > 0 ? qty_min(need->rest_short, needed) : qty_zero;
	w.for_reorder = qty_sub(needed, w.for_backorders);
	w.for_rounding = qty_sub(quantity, needed);
	need->rest = qty_sub(need->rest, quantity);
	need->rest_short = qty_sub(need->rest_short, needed);
	if (wants->scope->supplier == NULL || compare_text(wants->scope->supplier, *AT(wants->suppliers, text *, c->supplier)) == 0)
		*AT(wants->wanted, Wanted, wants->wanted.n) = w;
}

/* The preferred supplier first, the next above its maximum, and further lines of the last one. */
static void
allot(Wants *wants, Need *need)
{
	const ShortItem *item = AT(wants->items, ShortItem, need->item);
	const Candidate *c = item->candidates;

	while (c != NULL && qty_sign(need->rest) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		buy(wants, need, item->name, c);
		c = c->next != NULL ? c->next : c;
	}
}

/* A row of positions_sql. */
static void
take_position(const Datum *values, const bool *nulls, void *arg)
{
	Wants	   *wants = arg;
	Qty			has = qty_add(DatumGetNumeric(values[2]), DatumGetNumeric(values[3]));	/* not to outlive the row */
	NameNumber *name;
	Need	   *need;
	bool		found;

	if (qty_cmp(has, qty_copy(values[4])) >= 0)
		return;
	name = names_insert(wants->item_numbers, DatumGetTextPP(values[0]), &found);
	if (!found)
	{
		name->number = wants->items.n;
		name->name = AT(wants->items, ShortItem, name->number)->name = DatumGetTextPCopy(values[0]);
	}
	need = AT(wants->needs, Need, wants->needs.n);
	need->item = name->number;
	need->location = text_like(values[1], wants->needs.n > 1 ? need[-1].location : NULL);
	need->rest = qty_sub(qty_copy(values[5]), has);
	need->rest_short = qty_min(qty_sub(qty_zero, has), need->rest);
}

/* A row of suppliers_sql. */
static void
take_supplier(const Datum *values, const bool *nulls, void *arg)
{
	Wants	   *wants = arg;
	int			number = wants->suppliers.n;
	text	   *supplier = *AT(wants->suppliers, text *, number) = DatumGetTextPCopy(values[0]);
	bool		found;

	names_insert(wants->supplier_numbers, supplier, &found)->number = number;
}

/*
 * A row of terms_sql.  Of the candidates only those are kept whose turn can
 * come: none after one without a maximum.
 */
static void
take_terms(const Datum *values, const bool *nulls, void *arg)
{
	Wants	   *wants = arg;
	const NameNumber *item = names_lookup(wants->item_numbers, DatumGetTextPP(values[0]));
	const NameNumber *supplier = item == NULL ? NULL : names_lookup(wants->supplier_numbers, DatumGetTextPP(values[1]));
	int			rank = DatumGetInt32(values[2]);
	Candidate **place;
	Candidate  *c;
	Qty			multiple;
	Qty			largest;

	if (supplier == NULL)
		return;					/* not short, or not active */
	multiple = qty_copy(values[4]);
	largest = nulls[6] ? NULL : to_multiple(qty_copy(values[6]), multiple, false);
	if (largest != NULL && qty_sign(largest) == 0)
		return;
	for (place = &AT(wants->items, ShortItem, item->number)->candidates; (c = *place) != NULL; place = &c->next)
	{
		if (c->rank > rank || (c->rank == rank && c->supplier > supplier->number))
			break;
		if (c->largest == NULL)
			return;
	}
	c = palloc(sizeof(Candidate));
	c->rank = rank;
	c->supplier = supplier->number;
	c->unit_cost = nulls[3] ? NULL : qty_copy(values[3]);
	c->multiple = multiple;
	c->smallest = qty_copy(values[5]);
	c->largest = largest;
	c->next = largest == NULL ? NULL : *place;
	*place = c;
}

/*
 * The lines that planning wants now, in wants->wanted.  Expects a section.  All
 * is read with the caller's snapshot, so that it fits together.
 */
static void
find_wanted(Wants *wants, const Scope *scope)
{
	wants->scope = scope;
	wants->item_numbers = names_create(CurrentMemoryContext, 256, NULL);
	wants->supplier_numbers = names_create(CurrentMemoryContext, 256, NULL);
	read_rows(positions_sql, scope, true, take_position, wants);
	if (wants->needs.n > 0)
	{
		read_rows(suppliers_sql, scope, true, take_supplier, wants);
		read_rows(terms_sql, scope, true, take_terms, wants);
	}
	for (int i = 0; i < wants->needs.n; i++)
		allot(wants, AT(wants->needs, Need, i));
}

/*
 * wanted_purchases(item text, location text, tenant text)
 *		Which quantities planning would have in drafts now; NULL is all items or locations.
 */
Datum
bo_wanted_purchases(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Scope		scope = {0};
	BoSection	section;
	MemoryContext cx = CurrentMemoryContext;
	Wants		wants = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(2))
		PG_RETURN_NULL();
	scope.item = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	scope.location = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	scope.tenant = PG_GETARG_TEXT_PP(2);
	bo_enter(&section);
	MemoryContextSwitchTo(cx);
	find_wanted(&wants, &scope);
	for (int i = 0; i < wants.wanted.n; i++)
	{
		Wanted	   *w = AT(wants.wanted, Wanted, i);
		Datum		values[] = {PointerGetDatum(w->item), PointerGetDatum(w->location), PointerGetDatum(*AT(wants.suppliers, text *, w->supplier)), Int32GetDatum(w->n),
			NumericGetDatum(w->quantity), NumericGetDatum(w->unit_cost), NumericGetDatum(w->for_backorders),
		NumericGetDatum(w->for_reorder), NumericGetDatum(w->for_rounding)};
		bool		nulls[lengthof(values)] = {[5] = w->unit_cost == NULL};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	bo_leave(&section);
	return (Datum) 0;
}

/* ---------- the drafts' lines ---------- */

static int
compare_place(const text *supplier1, const text *location1, const text *supplier2, const text *location2)
{
	int			result = compare_text(supplier1, supplier2);

	return result != 0 ? result : compare_text(location1, location2);
}

/* Of one supplier. */
static int
compare_wanted(const void *a, const void *b)
{
	const Wanted *w1 = *(const Wanted *const *) a;
	const Wanted *w2 = *(const Wanted *const *) b;
	int			result = compare_text(w1->location, w2->location);

	if (result == 0)
		result = compare_text(w1->item, w2->item);
	return result != 0 ? result : w1->n - w2->n;
}

/*
 * Suppliers are numbered in the order of their names.  So lines are counted
 * and laid together by supplier, in memory too, and those of each are sorted.
 */
static void
sort_wanted(Matching *m)
{
	int			n = m->wants.wanted.n;
	int			suppliers = m->wants.suppliers.n;
	const Wanted *wanted = m->wants.wanted.items;
	Wanted	   *together = palloc_extended(sizeof(Wanted) * n, MCXT_ALLOC_HUGE);
	int		   *end = palloc0(sizeof(int) * (suppliers + 1));	/* of a supplier's lines; of the one before, until they are there */

	m->sorted = palloc_extended(sizeof(Wanted *) * n, MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
		end[wanted[i].supplier + 1]++;
	for (int s = 1; s <= suppliers; s++)
		end[s] += end[s - 1];
	for (int i = 0; i < n; i++)
		together[end[wanted[i].supplier]++] = wanted[i];
	for (int i = 0; i < n; i++)
		m->sorted[i] = &together[i];
	for (int s = 0; s < suppliers; s++)
	{
		int			start = s == 0 ? 0 : end[s - 1];

		qsort(m->sorted + start, end[s] - start, sizeof(Wanted *), compare_wanted);
	}
	if (n > 0)
		pfree(m->wants.wanted.items);
	m->wants.wanted = (Vector) {.items = together,.n = n,.capacity = n};
	pfree(end);
}

/* The next of what is wanted, or NULL. */
static Wanted *
next_wanted(Matching *m)
{
	return m->next < m->wants.wanted.n ? m->sorted[m->next] : NULL;
}

static const text *
supplier_of(Matching *m, const Wanted *w)
{
	return *AT(m->wants.suppliers, text *, w->supplier);
}

static int
compare_po_id(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* Creates the drafts that are missing, and writes those that are there, so that nobody places one as it was before. */
static void
add_drafts(Matching *m)
{
	BoRows	   *rows = bo_rows(BO_ROWS_DRAFTS);
	Datum		args[] = {PointerGetDatum(m->scope->tenant), PointerGetDatum(m->scope->location), PointerGetDatum(m->scope->supplier)};
	int			n;

	for (int i = 0; i < m->wants.wanted.n; i++)
	{
		const Wanted *w = m->sorted[i];

		if (i == 0 || w->supplier != m->sorted[i - 1]->supplier || compare_text(w->location, m->sorted[i - 1]->location) != 0)
		{
			Datum		values[] = {PointerGetDatum(m->scope->tenant), PointerGetDatum(supplier_of(m, w)), PointerGetDatum(w->location)};
			bool		nulls[lengthof(values)] = {0};

			(void) bo_rows_put(rows, values, nulls);
		}
	}
	n = bo_exec(BO_ADD_DRAFTS, rows, args, false);
	for (int i = 0; i < n; i++)
		*AT(m->locked, int64, i) = bo_get_int64(i, 1);
	if (n > 0)
		qsort(m->locked.items, n, sizeof(int64), compare_po_id);
	bo_rows_drop(rows);
}

/* A row of drafts_sql.  Drafts that others wrote meanwhile, as for a supplier that is new, are theirs. */
static void
take_draft(const Datum *values, const bool *nulls, void *arg)
{
	Matching   *m = arg;
	int64		po_id = DatumGetInt64(values[2]);
	Draft	   *d;

	if (m->locked.n == 0 || bsearch(&po_id, m->locked.items, m->locked.n, sizeof(int64), compare_po_id) == NULL)
		return;
	d = AT(m->drafts, Draft, m->drafts.n);
	d->supplier = DatumGetTextPCopy(values[0]);
	d->location = DatumGetTextPCopy(values[1]);
	d->po_id = po_id;
	d->last_line_no = DatumGetInt32(values[3]);
}

/* The draft of a supplier and location, at or after the one before; NULL where there is none that is written here. */
static Draft *
draft_of(Matching *m, const text *supplier, const text *location)
{
	for (; m->draft < m->drafts.n; m->draft++)
	{
		Draft	   *d = AT(m->drafts, Draft, m->draft);
		int			order = compare_place(d->supplier, d->location, supplier, location);

		if (order >= 0)
			return order == 0 ? d : NULL;
	}
	return NULL;
}

/* A row of BO_ROWS_PLANNED.  w is NULL for a line that goes. */
static void
fill_line(const Matching *m, int64 po_id, int32 line_no, const Wanted *w, Datum *values, bool *nulls)
{
	values[0] = PointerGetDatum(m->scope->tenant);
	values[1] = Int64GetDatum(po_id);
	values[2] = Int32GetDatum(line_no);
	memset(nulls, false, 3);
	memset(nulls + 3, w == NULL, 7);
	if (w == NULL)
		return;
	values[3] = PointerGetDatum(w->item);
	values[4] = values[5] = NumericGetDatum(w->quantity);	/* ordered as planned */
	values[6] = NumericGetDatum(w->unit_cost);
	nulls[6] = w->unit_cost == NULL;
	values[7] = NumericGetDatum(w->for_backorders);
	values[8] = NumericGetDatum(w->for_reorder);
	values[9] = NumericGetDatum(w->for_rounding);
}

/* Puts a line to one of the sets. */
static void
put_line(const Matching *m, BoRows *rows, const Draft *d, int32 line_no, const Wanted *w)
{
	Datum		values[10];
	bool		nulls[10];

	fill_line(m, d->po_id, line_no, w, values, nulls);
	(void) bo_rows_put(rows, values, nulls);
}

/* A new line for the wanted one that is next. */
static void
add_line(Matching *m)
{
	Wanted	   *w = next_wanted(m);
	Draft	   *d = draft_of(m, supplier_of(m, w), w->location);

	m->next++;
	if (d == NULL)
		return;
	w->po_id = d->po_id;
	w->line_no = ++d->last_line_no;
	d->asks = true;
	m->inserted++;
}

/* The next of the new lines, after the pass. */
static void
make_line(Datum *values, bool *nulls, void *arg)
{
	Matching   *m = arg;

	while (next_wanted(m)->line_no == 0)
		m->next++;
	fill_line(m, next_wanted(m)->po_id, next_wanted(m)->line_no, next_wanted(m), values, nulls);
	m->next++;
}

static bool
same_qty(Qty a, bool isnull, Datum b)
{
	if (a == NULL || isnull)
		return a == NULL && isnull;
	return qty_cmp(a, DatumGetNumeric(b)) == 0;
}

/* A row of present_sql: it becomes the next wanted line of the item, or goes where there is none; not in a draft of others. */
static void
take_present(const Datum *values, const bool *nulls, void *arg)
{
	Matching   *m = arg;
	text	   *supplier = m->supplier = text_like(values[0], m->supplier);
	text	   *location = m->location = text_like(values[1], m->location);
	text	   *item = m->item = text_like(values[2], m->item);
	Wanted	   *w = NULL;
	Draft	   *d;
	int			order = -1;

	while (order < 0 && (w = next_wanted(m)) != NULL)
	{
		order = compare_place(supplier_of(m, w), w->location, supplier, location);
		if (order == 0)
			order = compare_text(w->item, item);
		if (order < 0)
			add_line(m);
	}
	d = draft_of(m, supplier, location);
	if (order == 0)
	{
		m->next++;
		if (d != NULL)
			d->asks = true;
		if (same_qty(w->quantity, nulls[4], values[4]) && same_qty(w->unit_cost, nulls[5], values[5]) &&
			same_qty(w->for_backorders, nulls[6], values[6]) && same_qty(w->for_reorder, nulls[7], values[7]) &&
			same_qty(w->for_rounding, nulls[8], values[8]))
			return;
	}
	if (d != NULL)
		put_line(m, order == 0 ? m->rewritten : m->removed, d, DatumGetInt32(values[3]), order == 0 ? w : NULL);
}

/* Of the drafts that ask for nothing those go that have no line by hand either, or of another item, and no note. */
static void
delete_empty_drafts(Matching *m)
{
	BoRows	   *rows = bo_rows(BO_ROWS_PLANNED);

	for (int i = 0; i < m->drafts.n; i++)
	{
		const Draft *d = AT(m->drafts, Draft, i);

		if (!d->asks)
			put_line(m, rows, d, 0, NULL);
	}
	bo_write(BO_DELETE_EMPTY_DRAFTS, rows);
}

/*
 * write_drafts(item text, supplier text, location text, tenant text)
 *		Makes the planner's drafts ask for what is wanted; NULL is all of them.
 *
 * Lines that are still as planned are rewritten where something differs, and
 * removed where nothing is wanted; others are left alone.  A draft of which no
 * line is left goes, but for one with a buyer's note.  Expects the locks that
 * plan_purchases() takes, and that it has flushed.
 */
Datum
bo_write_drafts(PG_FUNCTION_ARGS)
{
	Scope		scope;
	Matching	m = {.scope = &scope};
	BoSection	section;
	MemoryContext cx = CurrentMemoryContext;

	if (PG_ARGISNULL(3))
		PG_RETURN_VOID();		/* nobody's needs */
	scope.item = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	scope.supplier = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	scope.location = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	scope.tenant = PG_GETARG_TEXT_PP(3);
	bo_enter(&section);
	MemoryContextSwitchTo(cx);
	find_wanted(&m.wants, &scope);
	sort_wanted(&m);
	add_drafts(&m);
	m.rewritten = bo_rows(BO_ROWS_PLANNED);
	m.removed = bo_rows(BO_ROWS_PLANNED);
	read_rows(drafts_sql, &scope, false, take_draft, &m);
	read_rows(present_sql, &scope, false, take_present, &m);
	while (next_wanted(&m) != NULL)
		add_line(&m);
	bo_write(BO_DELETE_PLANNED, m.removed);
	bo_write(BO_UPDATE_PLANNED, m.rewritten);
	m.next = 0;
	bo_write(BO_INSERT_PLANNED, bo_rows_made(BO_ROWS_PLANNED, m.inserted, make_line, &m));
	delete_empty_drafts(&m);
	bo_leave(&section);
	PG_RETURN_VOID();
}
