/*
 * planning.c
 *		What to buy, and the lines of the drafts that ask for it.
 *
 * plan_purchases() in SQL locks the drafts and says what was bought too much;
 * here quantities are computed and the drafts made equal to them: one pass
 * over what is short, one over the lines that are still as planned, the lines
 * in the order supplier, location, item.
 */
#include "backorder.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(bo_wanted_purchases);
PG_FUNCTION_INFO_V1(bo_write_drafts);

/*
 * What is short, with everybody who sells it, in no order: needs are numbered,
 * suppliers in the order of their names.  An item without a reorder level is
 * short only where lines wait, as what is available is never negative.
 */
static const char *const needed_sql =
	"WITH needed AS MATERIALIZED ("
	"SELECT row_number() OVER () AS n, p.item, p.location, p.order_up_to - p.position - p.drafted AS need, - p.position - p.drafted AS short "
	"FROM backorder.inventory_position p "
	"WHERE p.tenant = $1 AND ($2 IS NULL OR p.item = $2) AND ($3 IS NULL OR p.location = $3) "
	"AND (p.backordered > 0 OR p.reorder_point > 0) AND p.position + p.drafted < p.reorder_point) "
	"SELECT n.n, n.item, n.location, n.need, n.short, s.n, i.supplier, i.rank, i.unit_cost, i.order_multiple, i.minimum_quantity, i.maximum_quantity "
	"FROM needed n JOIN backorder.supplier_item i ON i.item = n.item "
	"JOIN (SELECT row_number() OVER (ORDER BY a.supplier) AS n, a.supplier FROM backorder.supplier a WHERE a.tenant = $1 AND a.active) s "
	"ON s.supplier = i.supplier "
	"WHERE i.tenant = $1 AND i.active AND ($2 IS NULL OR i.item = $2)";

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
	char	   *tenant;
	char	   *item;
	char	   *location;
	char	   *supplier;
} Scope;

/* Somebody who sells an item. */
typedef struct Candidate
{
	int			rank;
	int			supplier;		/* number */
	Qty			unit_cost;		/* NULL: not known */
	Qty			multiple;
	Qty			smallest;		/* of what is bought at once, both multiples */
	Qty			largest;		/* NULL: no maximum */
	struct Candidate *next;
} Candidate;

/* An item that is short at a location. */
typedef struct Need
{
	char	   *item;			/* NULL: nobody sells it */
	char	   *location;
	Qty			rest;			/* of the quantity needed; 0 or less when all is bought */
	Qty			rest_short;		/* of the part that order lines wait for */
	int			lines;
	Candidate  *candidates;		/* sorted */
} Need;

/* A purchase order line as it should be. */
typedef struct Wanted
{
	int			supplier;
	int			n;				/* of the lines of the item, in the order in which they take the need */
	const char *location;
	const char *item;
	Qty			quantity;
	Qty			unit_cost;
	Qty			for_backorders;
	Qty			for_reorder;
	Qty			for_rounding;
} Wanted;

/* An array that grows; its items are zero at first. */
typedef struct Vector
{
	void	   *items;
	int			n;
	int			capacity;
} Vector;

typedef struct Wants
{
	const Scope *scope;
	Vector		needs;			/* of Need, by number */
	Vector		suppliers;		/* of their names, by number */
	Vector		wanted;			/* of Wanted */
} Wants;

typedef struct Draft
{
	char	   *supplier;
	char	   *location;
	int64		po_id;
	int32		last_line_no;
} Draft;

/* The pass over the lines that are there and those that should be. */
typedef struct Matching
{
	const Scope *scope;
	Datum		tenant;
	Wants		wants;
	int			next;			/* of what is wanted */
	Vector		locked;			/* po_id of each draft that was written, sorted */
	Vector		drafts;
	int			draft;			/* that of the line before */
	char	   *supplier;		/* of the line that was looked at last, where it is known */
	char	   *location;
	char	   *item;
	BoRows	   *inserted;		/* written after the pass: SPI runs no statement while another one's rows come */
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
	char	   *given[] = {scope->tenant, scope->item, scope->location, scope->supplier};
	ParamListInfo params = makeParamList(lengthof(given));
	SPIExecuteOptions options = {.params = params,.read_only = read_only,.dest = &receiver.dest};
	int			rc;

	for (int i = 0; i < (int) lengthof(given); i++)
	{
		params->params[i].value = bo_text(given[i]);
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

/* The string itself where it is the same as the one before, as in a sorted column it mostly is. */
static char *
text_like(Datum value, char *before)
{
	text	   *t = DatumGetTextPP(value);
	int			length = VARSIZE_ANY_EXHDR(t);

	if (before != NULL && strncmp(before, VARDATA_ANY(t), length) == 0 && before[length] == '\0')
		return before;
	return text_to_cstring(t);
}

/* ---------- quantities ---------- */

/* To the next multiple above, or below; exact, which a quotient is not. */
static Qty
to_multiple(Qty quantity, Qty multiple, bool up)
{
	Qty			beyond = DatumGetNumeric(DirectFunctionCall2(numeric_mod, NumericGetDatum(quantity), NumericGetDatum(multiple)));

	if (qty_sign(beyond) == 0)
		return quantity;
	quantity = qty_sub(quantity, beyond);
	return up ? qty_add(quantity, multiple) : quantity;
}

/* One line of a supplier: what is needed, in its multiple, within its limits. */
static void
buy(Wants *wants, Need *need, const Candidate *c)
{
	Qty			quantity = qty_max(to_multiple(need->rest, c->multiple, true), c->smallest);
	Qty			needed;
	Wanted		w = {.supplier = c->supplier,.n = ++need->lines,.location = need->location,.item = need->item,.unit_cost = c->unit_cost};

	if (c->largest != NULL)
		quantity = qty_min(quantity, c->largest);
	needed = qty_min(need->rest, quantity);
	w.quantity = quantity;
	w.for_backorders = qty_sign(need->rest_short) > 0 ? qty_min(need->rest_short, needed) : qty_zero;
	w.for_reorder = qty_sub(needed, w.for_backorders);
	w.for_rounding = qty_sub(quantity, needed);
	need->rest = qty_sub(need->rest, quantity);
	need->rest_short = qty_sub(need->rest_short, needed);
	if (wants->scope->supplier == NULL || strcmp(wants->scope->supplier, *AT(wants->suppliers, char *, c->supplier)) == 0)
		*AT(wants->wanted, Wanted, wants->wanted.n) = w;
}

/* The preferred supplier first, the next above its maximum, and further lines of the last one. */
static void
allot(Wants *wants, Need *need)
{
	const Candidate *c = need->candidates;

	while (c != NULL && qty_sign(need->rest) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		buy(wants, need, c);
		c = c->next != NULL ? c->next : c;
	}
}

/*
 * A row of needed_sql.  Of the candidates only those are kept whose turn can
 * come: none after one without a maximum.
 */
static void
take_needed(const Datum *values, const bool *nulls, void *arg)
{
	Wants	   *wants = arg;
	Need	   *need = AT(wants->needs, Need, DatumGetInt64(values[0]) - 1);
	int			rank = DatumGetInt32(values[7]);
	int			supplier = DatumGetInt64(values[5]) - 1;
	char	  **name = AT(wants->suppliers, char *, supplier);
	Candidate **place = &need->candidates;
	Candidate  *c;
	Qty			multiple = DatumGetNumeric(values[9]);
	Qty			largest = nulls[11] ? NULL : to_multiple(DatumGetNumericCopy(values[11]), multiple, false);

	if (largest != NULL && qty_sign(largest) == 0)
		return;
	while (*place != NULL && ((*place)->rank < rank || ((*place)->rank == rank && (*place)->supplier < supplier)))
	{
		if ((*place)->largest == NULL)
			return;
		place = &(*place)->next;
	}
	c = palloc(sizeof(Candidate));
	c->rank = rank;
	c->supplier = supplier;
	c->unit_cost = nulls[8] ? NULL : DatumGetNumericCopy(values[8]);
	c->multiple = DatumGetNumericCopy(values[9]);
	c->smallest = to_multiple(DatumGetNumericCopy(values[10]), multiple, true);
	c->largest = largest;
	c->next = largest == NULL ? NULL : *place;
	*place = c;
	if (*name == NULL)
		*name = TextDatumGetCString(values[6]);
	if (need->item == NULL)
	{
		need->item = TextDatumGetCString(values[1]);
		need->location = TextDatumGetCString(values[2]);
		need->rest = DatumGetNumericCopy(values[3]);
		need->rest_short = qty_min(DatumGetNumericCopy(values[4]), need->rest);
	}
}

/* The lines that planning wants now, in wants->wanted. Expects a section. */
static void
find_wanted(Wants *wants, const Scope *scope, bool read_only)
{
	wants->scope = scope;
	read_rows(needed_sql, scope, read_only, take_needed, wants);
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
	scope.item = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	scope.location = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	scope.tenant = text_to_cstring(PG_GETARG_TEXT_PP(2));
	bo_enter(&section);
	MemoryContextSwitchTo(cx);
	find_wanted(&wants, &scope, true);
	for (int i = 0; i < wants.wanted.n; i++)
	{
		Wanted	   *w = AT(wants.wanted, Wanted, i);
		Datum		values[] = {bo_text(w->item), bo_text(w->location), bo_text(*AT(wants.suppliers, char *, w->supplier)), Int32GetDatum(w->n),
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
compare_place(const char *supplier1, const char *location1, const char *supplier2, const char *location2)
{
	int			result = strcmp(supplier1, supplier2);

	return result != 0 ? result : strcmp(location1, location2);
}

/* Suppliers are numbered in the order of their names. */
static int
compare_wanted(const void *a, const void *b)
{
	const Wanted *w1 = a;
	const Wanted *w2 = b;
	int			result = w1->supplier - w2->supplier;

	if (result == 0)
		result = strcmp(w1->location, w2->location);
	if (result == 0)
		result = strcmp(w1->item, w2->item);
	return result != 0 ? result : w1->n - w2->n;
}

/* The next of what is wanted, or NULL. */
static Wanted *
next_wanted(Matching *m)
{
	return m->next < m->wants.wanted.n ? AT(m->wants.wanted, Wanted, m->next) : NULL;
}

static const char *
supplier_of(Matching *m, const Wanted *w)
{
	return *AT(m->wants.suppliers, char *, w->supplier);
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
	Datum		args[] = {m->tenant, bo_text(m->scope->location), bo_text(m->scope->supplier)};
	int			n;

	for (int i = 0; i < m->wants.wanted.n; i++)
	{
		Wanted	   *w = AT(m->wants.wanted, Wanted, i);

		if (i == 0 || w->supplier != w[-1].supplier || strcmp(w->location, w[-1].location) != 0)
		{
			Datum		values[] = {m->tenant, bo_text(supplier_of(m, w)), bo_text(w->location)};
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
	d->supplier = TextDatumGetCString(values[0]);
	d->location = TextDatumGetCString(values[1]);
	d->po_id = po_id;
	d->last_line_no = DatumGetInt32(values[3]);
}

/* The draft of a supplier and location, at or after the one before; NULL where there is none that is written here. */
static Draft *
draft_of(Matching *m, const char *supplier, const char *location)
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

/* Puts a line to one of the sets. w is NULL for a line that goes. */
static void
put_line(Matching *m, BoRows *rows, const Draft *d, int32 line_no, const Wanted *w)
{
	Datum		values[10] = {m->tenant, Int64GetDatum(d->po_id), Int32GetDatum(line_no)};
	bool		nulls[10] = {0};

	if (w == NULL)
		memset(nulls + 3, true, sizeof(nulls) - 3);
	else
	{
		values[3] = bo_text(w->item);
		values[4] = values[5] = NumericGetDatum(w->quantity);	/* ordered as planned */
		values[6] = NumericGetDatum(w->unit_cost);
		nulls[6] = w->unit_cost == NULL;
		values[7] = NumericGetDatum(w->for_backorders);
		values[8] = NumericGetDatum(w->for_reorder);
		values[9] = NumericGetDatum(w->for_rounding);
	}
	(void) bo_rows_put(rows, values, nulls);
}

/* A new line for the wanted one that is next. */
static void
add_line(Matching *m)
{
	Wanted	   *w = next_wanted(m);
	Draft	   *d = draft_of(m, supplier_of(m, w), w->location);

	m->next++;
	if (d != NULL)
		put_line(m, m->inserted, d, ++d->last_line_no, w);
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
	char	   *supplier = m->supplier = text_like(values[0], m->supplier);
	char	   *location = m->location = text_like(values[1], m->location);
	char	   *item = m->item = text_like(values[2], m->item);
	Wanted	   *w = NULL;
	Draft	   *d;
	int			order = -1;

	while (order < 0 && (w = next_wanted(m)) != NULL)
	{
		order = compare_place(supplier_of(m, w), w->location, supplier, location);
		if (order == 0)
			order = strcmp(w->item, item);
		if (order < 0)
			add_line(m);
	}
	if (order == 0)
	{
		m->next++;
		if (same_qty(w->quantity, nulls[4], values[4]) && same_qty(w->unit_cost, nulls[5], values[5]) &&
			same_qty(w->for_backorders, nulls[6], values[6]) && same_qty(w->for_reorder, nulls[7], values[7]) &&
			same_qty(w->for_rounding, nulls[8], values[8]))
			return;
	}
	d = draft_of(m, supplier, location);
	if (d != NULL)
		put_line(m, order == 0 ? m->rewritten : m->removed, d, DatumGetInt32(values[3]), order == 0 ? w : NULL);
}

/*
 * write_drafts(item text, supplier text, location text, tenant text)
 *		Makes the planner's drafts ask for what is wanted; NULL is all of them.
 *
 * Lines that are still as planned are rewritten where something differs, and
 * removed where nothing is wanted; others are left alone.  Expects the locks
 * that plan_purchases() takes, and that it has flushed.
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
	scope.item = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	scope.supplier = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	scope.location = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	scope.tenant = text_to_cstring(PG_GETARG_TEXT_PP(3));
	m.tenant = bo_text(scope.tenant);
	bo_enter(&section);
	MemoryContextSwitchTo(cx);
	find_wanted(&m.wants, &scope, false);
	if (m.wants.wanted.n > 0)
		qsort(m.wants.wanted.items, m.wants.wanted.n, sizeof(Wanted), compare_wanted);
	add_drafts(&m);
	m.inserted = bo_rows(BO_ROWS_PLANNED);
	m.rewritten = bo_rows(BO_ROWS_PLANNED);
	m.removed = bo_rows(BO_ROWS_PLANNED);
	read_rows(drafts_sql, &scope, false, take_draft, &m);
	read_rows(present_sql, &scope, false, take_present, &m);
	while (next_wanted(&m) != NULL)
		add_line(&m);
	bo_write(BO_DELETE_PLANNED, m.removed);
	bo_write(BO_UPDATE_PLANNED, m.rewritten);
	bo_write(BO_INSERT_PLANNED, m.inserted);
	bo_leave(&section);
	PG_RETURN_VOID();
}
