/*
 * preview.c
 *		attach_preview(): what attach() would record, and everything that is
 *		wrong with the mapping, changing nothing.
 *
 * The arguments are taken one by one, each in a subtransaction, so that one
 * error does not hide the next.  Then the source is written and read through
 * its mapping in a subtransaction that is rolled back.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/snapmgr.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "capture/capture.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_attach_preview);

#define FIRST_LINES 10
#define COLUMNS 11

typedef struct Preview
{
	ReturnSetInfo *rsinfo;
	Attachment	a;
	int32		source_id;
	Mapping    *mapping;
	List	   *lines;			/* of the orders read last, of MappedLine */
	int64		nshown;
	int64		nlines;
	int64		nlive;
	int64		nopen;
	int64		nshipped;
	int64		nnothing;		/* not stocked, or without quantity */
	int64		nunusable;
	int			nproblems;
	MemoryContext cx;
} Preview;

/* Ends the subtransaction in which the source was written. */
#define PREVIEW_DONE MAKE_SQLSTATE('O','B','0','0','0')

static void
put(Preview *p, const char *kind, int64 n, MappedLine *line, const char *message)
{
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS];
	Qty			open;

	memset(nulls, true, sizeof(nulls));
	values[0] = bo_text(kind);
	nulls[0] = false;
	values[1] = Int64GetDatum(n);
	nulls[1] = n < 0;
	if (line != NULL)
	{
		open = qty_max(qty_sub(qty_sub(line->quantity ? line->quantity : qty_zero, line->cancelled), line->shipped), qty_zero);
		values[2] = bo_text(line->order_key);
		values[3] = bo_text(line->line_key);
		values[4] = bo_text(line->item);
		values[5] = bo_text(line->location);
		values[6] = bo_text(line->customer);
		values[7] = line->quantity ? NumericGetDatum(line->quantity) : (Datum) 0;
		values[8] = NumericGetDatum(line->shipped);
		values[9] = line->demand ? NumericGetDatum(open) : (Datum) 0;
		for (int i = 2; i < 10; i++)
			nulls[i] = values[i] == (Datum) 0;
	}
	values[10] = bo_text(message);
	nulls[10] = message == NULL;
	tuplestore_putvalues(p->rsinfo->setResult, p->rsinfo->setDesc, values, nulls);
}

static void
problem(Preview *p, ErrorData *error)
{
	char	   *message = error->detail ? psprintf("%s: %s", error->message, error->detail) : error->message;
	size_t		n = strlen(message);

	p->nproblems++;
	put(p, "problem", -1, NULL, psprintf("%s%s %s", message, n > 0 && message[n - 1] == '.' ? "" : ".", error->hint ? error->hint : ""));
}

static void
hint(const char *message, const char *detail, const char *text, void *arg)
{
	put(arg, "hint", -1, NULL, psprintf("%s. %s", message, text));
}

/* One step of attach(). True where nothing is wrong. */
static bool
step(Preview *p, void (*func) (void *arg))
{
	ErrorData  *error = bo_try_any(func, &p->a);

	if (error == NULL)
		return true;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_BO_MAPPING))
		ReThrowError(error);
	problem(p, error);
	return false;
}

/* ---------- reading ---------- */

static void
keep_line(Mapping *mapping, MappedLine *line, void *arg)
{
	Preview    *p = arg;

	p->lines = lappend(p->lines, line);
}

static int
compare_lines(const ListCell *a, const ListCell *b)
{
	const MappedLine *x = lfirst(a);
	const MappedLine *y = lfirst(b);
	int			cmp = strcmp(x->order_key, y->order_key);

	return cmp != 0 ? cmp : strcmp(x->line_key, y->line_key);
}

static void
count_line(Preview *p, MappedLine *line)
{
	if (p->nshown < FIRST_LINES)
	{
		p->nshown++;
		put(p, "line", -1, line, line->demand ? NULL : !line->live ? "not live" : line->item == NULL ? "not stocked" : "no quantity");
	}
	p->nlines++;
	p->nlive += line->demand;
	if (line->demand && qty_cmp(qty_add(line->cancelled, line->shipped), line->quantity) < 0)
		p->nopen++;
	if (qty_sign(line->shipped) > 0 && line->item != NULL)
		p->nshipped++;
	if (line->item == NULL || line->quantity == NULL || qty_sign(line->quantity) <= 0)
		p->nnothing++;
}

/* Reads orders (of OrderNote) and counts their lines. */
static void
read_orders(List *orders, void *arg)
{
	Preview    *p = arg;
	MappedLine *last = NULL;
	MemoryContext old;
	ListCell   *lc;

	MemoryContextReset(p->cx);
	p->lines = NIL;
	old = MemoryContextSwitchTo(p->cx);
	bo_mapping_read(p->mapping, MAPPING_MANY, orders, keep_line, p);
	MemoryContextSwitchTo(old);
	foreach(lc, p->lines)
		count_line(p, lfirst(lc));
	list_sort(p->lines, compare_lines);
	foreach(lc, p->lines)
	{
		MappedLine *line = lfirst(lc);

		if (last != NULL && strcmp(last->order_key, line->order_key) == 0 && strcmp(last->line_key, line->line_key) == 0)
		{
			p->nunusable++;
			if (p->nunusable <= FIRST_LINES)
				put(p, "problem", -1, line, "line key is not unique. Give a line_key that tells the lines of an order apart.");
		}
		last = line;
	}
}

static void
count_unreadable(void *order, ErrorData *error, void *arg)
{
	Preview    *p = arg;

	p->nunusable++;
	if (p->nunusable <= FIRST_LINES)
		problem(p, error);
}

static int64
count_without_key(Mapping *mapping)
{
	SPIPlanPtr	plan = NULL;
	bool		isnull;

	bo_mapping_run(mapping, &plan, mapping->keyless_query, 0, NULL, NULL, true, "keys");
	SPI_freeplan(plan);
	return DatumGetInt64(bo_result(SPI_tuptable, 0, 1, &isnull));
}

/* In a subtransaction that is rolled back: writes the source and reads it. */
static void
read_source(void *arg)
{
	Preview    *p = arg;
	SpiScope	spi;
	List	   *orders = NIL;
	ListCell   *lc;
	int64		norders;
	int64		keyless;

	p->source_id = bo_attach_source(&p->a);
	CommandCounterIncrement();
	p->mapping = bo_mapping(p->source_id);
	bo_spi_begin(&spi);
	(void) bo_set_commit_work_paused(true);
	bo_mapping_note_all(p->mapping);
	foreach(lc, bo_pending_orders())
		if (((OrderNote *) lfirst(lc))->key.source_id == p->source_id)
			orders = lappend(orders, lfirst(lc));
	list_sort(orders, bo_compare_seq);
	PushActiveSnapshot(GetLatestSnapshot());
	for (int from = 0; from < list_length(orders); from += 1000)
		bo_read_by_halves(list_copy_head(list_copy_tail(orders, from), 1000), read_orders, count_unreadable, p);
	norders = list_length(orders);
	keyless = count_without_key(p->mapping);
	PopActiveSnapshot();
	bo_spi_end(&spi);
	p->nunusable += keyless;
	if (keyless > 0)
		put(p, "problem", keyless, NULL, "lines whose order or line key is NULL are not recorded");
	put(p, "count", norders, NULL, "orders");
	put(p, "count", p->nlines, NULL, "lines");
	put(p, "count", p->nlive, NULL, "live");
	put(p, "count", p->nopen, NULL, "open");
	put(p, "count", p->nshipped, NULL, "shipped, wholly or in part");
	put(p, "count", p->nnothing, NULL, "not stocked, or without quantity");
	put(p, "count", p->nunusable, NULL, "not usable");
	bo_attach_hints(&p->a, p->mapping, hint, p);
	ereport(ERROR, (errcode(PREVIEW_DONE), errmsg("attach_preview() is done")));
}

/*
 * attach_preview(): arguments and owner as attach(); locks the tables as a
 * reader does.  Returns rows of kind problem, hint, line and count.
 */
Datum
bo_attach_preview(PG_FUNCTION_ARGS)
{
	Preview    *p = palloc0(sizeof(Preview));
	ErrorData  *error;

	InitMaterializedSRF(fcinfo, 0);
	p->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	p->a.fcinfo = fcinfo;
	p->a.preview = true;
	p->cx = AllocSetContextCreate(CurrentMemoryContext, "backorder preview", ALLOCSET_DEFAULT_SIZES);
	if (!step(p, bo_attach_tables) || !step(p, bo_attach_keys) || !step(p, bo_attach_joins))
		return (Datum) 0;
	for (p->a.n = 0; p->a.n < MAPPED_COLUMNS; p->a.n++)
		(void) step(p, bo_attach_expression);
	(void) step(p, bo_attach_key_expressions);
	(void) step(p, bo_attach_watched);
	if (p->nproblems > 0)
		return (Datum) 0;
	error = bo_try_any(read_source, p);
	(void) bo_set_commit_work_paused(false);
	bo_mapping_forget(p->source_id);	/* what was read is not what is attached */
	if (error->sqlerrcode == ERRCODE_BO_MAPPING || error->sqlerrcode == ERRCODE_BO_EVALUATION)
		problem(p, error);
	else if (error->sqlerrcode != PREVIEW_DONE)
		ReThrowError(error);
	return (Datum) 0;
}
