/*
 * drafts.c
 *		The lines of the drafts that ask for what planning wants.
 *
 * plan_purchases() in SQL locks the drafts and says what was bought too much;
 * here they are made equal to what is wanted: one pass over the lines that are
 * still as planned and those that should be, both in the order supplier,
 * location, item.
 */
#include "postgres.h"

#include "base/base.h"
#include "purchase/planning.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_write_drafts);

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
	PurchasePlan plan;
	PlannedLine **sorted;		/* what is wanted, in the order supplier, location, item */
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

static int
compare_place(const text *supplier1, const text *location1, const text *supplier2, const text *location2)
{
	int			result = bo_compare_text(supplier1, supplier2);

	return result != 0 ? result : bo_compare_text(location1, location2);
}

/* Of one supplier. */
static int
compare_planned(const void *a, const void *b)
{
	const PlannedLine *w1 = *(const PlannedLine *const *) a;
	const PlannedLine *w2 = *(const PlannedLine *const *) b;
	int			result = bo_compare_text(w1->location, w2->location);

	if (result == 0)
		result = bo_compare_text(w1->item, w2->item);
	return result != 0 ? result : w1->n - w2->n;
}

/*
 * Suppliers are numbered in the order of their names.  So lines are counted
 * and laid together by supplier, in memory too, and those of each are sorted.
 */
static void
sort_planned(Matching *m)
{
	int 		n = m->plan.planned.n;
	int 		suppliers = m->plan.suppliers.n;
	const PlannedLine *planned = m->plan.planned.items;
	PlannedLine *together = palloc_extended(sizeof(PlannedLine) * n, MCXT_ALLOC_HUGE);
	int		   *end = palloc0(sizeof(int) * (suppliers + 1));	/* of a supplier: one past its lines; while they are filled in, the next free place */

	m->sorted = palloc_extended(sizeof(PlannedLine *) * n, MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
		end[planned[i].supplier + 1]++;
	for (int s = 1; s <= suppliers; s++)
		end[s] += end[s - 1];
	for (int i = 0; i < n; i++)
		together[end[planned[i].supplier]++] = planned[i];
	for (int i = 0; i < n; i++)
		m->sorted[i] = &together[i];
	for (int s = 0; s < suppliers; s++)
	{
		int			start = s == 0 ? 0 : end[s - 1];

		qsort(m->sorted + start, end[s] - start, sizeof(PlannedLine *), compare_planned);
	}
	if (n > 0)
		pfree(m->plan.planned.items);
	m->plan.planned = (Vector) {.items = together,.n = n,.capacity = n};
	pfree(end);
}

/* The next of what is wanted, or NULL. */
static PlannedLine *
next_planned(Matching *m)
{
	return m->next < m->plan.planned.n ? m->sorted[m->next] : NULL;
}

static const text *
supplier_of(Matching *m, const PlannedLine *w)
{
	return *AT(m->plan.suppliers, text *, w->supplier);
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

	for (int i = 0; i < m->plan.planned.n; i++)
	{
		const PlannedLine *w = m->sorted[i];

		if (i == 0 || w->supplier != m->sorted[i - 1]->supplier || bo_compare_text(w->location, m->sorted[i - 1]->location) != 0)
		{
			Datum		values[] = {PointerGetDatum(m->scope->tenant), PointerGetDatum(supplier_of(m, w)), PointerGetDatum(w->location)};
			bool		nulls[lengthof(values)] = {0};

			(void) bo_rows_put(rows, values, nulls);
		}
	}
	n = bo_run_statement(BO_ADD_DRAFTS, rows, args, false);
	for (int i = 0; i < n; i++)
		*AT(m->locked, int64, i) = bo_result_int64(SPI_tuptable, i, 1);
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
fill_line(const Matching *m, int64 po_id, int32 line_no, const PlannedLine *w, Datum *values, bool *nulls)
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
put_line(const Matching *m, BoRows *rows, const Draft *d, int32 line_no, const PlannedLine *w)
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
	PlannedLine *w = next_planned(m);
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

	while (next_planned(m)->line_no == 0)
		m->next++;
	fill_line(m, next_planned(m)->po_id, next_planned(m)->line_no, next_planned(m), values, nulls);
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
	text	   *supplier = m->supplier = bo_text_like(values[0], m->supplier);
	text	   *location = m->location = bo_text_like(values[1], m->location);
	text	   *item = m->item = bo_text_like(values[2], m->item);
	PlannedLine *w = NULL;
	Draft	   *d;
	int			order = -1;

	while (order < 0 && (w = next_planned(m)) != NULL)
	{
		order = compare_place(supplier_of(m, w), w->location, supplier, location);
		if (order == 0)
			order = bo_compare_text(w->item, item);
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
	bo_flush_rows(BO_DELETE_EMPTY_DRAFTS, rows);
}

/*
 * write_drafts(item text, supplier text, location text, tenant text)
 *		Makes the planner's drafts ask for what is wanted; NULL is all of them.
 *
 * Lines that are still as planned are rewritten where something differs, and
 * removed where nothing is wanted; others are left alone.  A draft
 * without lines is deleted, unless a buyer wrote a note on it.  Expects the locks that
 * plan_purchases() takes, and that it has flushed.
 */
Datum
bo_write_drafts(PG_FUNCTION_ARGS)
{
	Scope		scope;
	Matching	m = {.scope = &scope};
	SpiScope	spi;
	MemoryContext cx = CurrentMemoryContext;

	if (PG_ARGISNULL(3))
		PG_RETURN_VOID();		/* nobody's needs */
	scope.item = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	scope.supplier = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	scope.location = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	scope.tenant = PG_GETARG_TEXT_PP(3);
	bo_spi_begin(&spi);
	MemoryContextSwitchTo(cx);
	bo_find_planned_lines(&m.plan, &scope);
	sort_planned(&m);
	add_drafts(&m);
	m.rewritten = bo_rows(BO_ROWS_PLANNED);
	m.removed = bo_rows(BO_ROWS_PLANNED);
	bo_read_plan_rows(drafts_sql, &scope, false, take_draft, &m);
	bo_read_plan_rows(present_sql, &scope, false, take_present, &m);
	while (next_planned(&m) != NULL)
		add_line(&m);
	bo_flush_rows(BO_DELETE_PLANNED, m.removed);
	bo_flush_rows(BO_UPDATE_PLANNED, m.rewritten);
	m.next = 0;
	bo_flush_rows(BO_INSERT_PLANNED, bo_rows_made(BO_ROWS_PLANNED, m.inserted, make_line, &m));
	delete_empty_drafts(&m);
	bo_spi_end(&spi);
	PG_RETURN_VOID();
}
