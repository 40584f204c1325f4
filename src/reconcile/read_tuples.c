/*
 * read_tuples.c
 *		Orders that this transaction began: what they say is read from their rows,
 *		without a query.
 *
 * Capture notes where the rows are that a transaction inserts; where the order
 * is new, these are all of its rows, as pending/inserted_rows.c says.  When
 * the order is reconciled they are read there, as they are then, and the
 * mapping's expressions evaluated over them.  That needs a mapping of line and
 * header alone (Mapping.readable_from_tuples).
 *
 * The header is read where it was noted too, or by the unique index of its
 * key where somebody else inserted it, with the snapshot of the query that
 * this is in place of.  Without one the line is read as by the LEFT JOIN of
 * that query, with a header of NULLs.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "reconcile/order.h"
#include "store/store.h"

/* The mapping's expressions, over a line in the outer and its header in the inner tuple. */
struct TupleRead
{
	MemoryContext cx;			/* in which all of it is */
	int			ncolumns;		/* of the mapping's queries */
	ExprState **columns;
	ExprContext *context;
	bool		pin;			/* what they say depends on settings */
	int			nkeys;			/* columns of the line key */
	FmgrInfo	compare[BO_MAX_KEYS];	/* as ORDER BY does it */
	Oid			collation[BO_MAX_KEYS];
	int16		typlen[BO_MAX_KEYS];
	bool		typbyval[BO_MAX_KEYS];
	ScanKeyData header_keys[BO_MAX_KEYS];	/* of the header's index; what is looked for comes in later */
	int			header_key[BO_MAX_KEYS];	/* which column of the order key that is */
};

/* Line and header are first and second in the mapping's FROM clause. */
static Node *
bind_columns(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) copyObject(node);

		if (var->varlevelsup != 0 || var->varno > 2)
			elog(ERROR, "a mapping of line and header reads range table entry %d", (int) var->varno);
		var->varno = var->varno == 1 ? OUTER_VAR : INNER_VAR;
		return (Node *) var;
	}
	return expression_tree_mutator(node, bind_columns, context);
}

/* Makes the search for a header ready. */
static void
prepare_header_keys(Mapping *mapping, struct TupleRead *read)
{
	Relation	index = index_open(mapping->header_index, AccessShareLock);

	for (int i = 0; i < mapping->header.nkeys; i++)
	{
		int			k = 0;
		Oid			type = index->rd_opcintype[i];
		Oid			right;
		Oid			opr;

		while (mapping->header.key[k] != index->rd_index->indkey.values[i])
			k++;
		/* What is looked for is the line's: of the same type, but for integers of another size. */
		right = type == INT2OID || type == INT4OID || type == INT8OID ? mapping->line.key_type[k] : type;
		opr = get_opfamily_member(index->rd_opfamily[i], type, right, BTEqualStrategyNumber);
		if (!OidIsValid(opr))
			elog(ERROR, "index %u cannot be searched for a key of type %u", mapping->header_index, right);
		read->header_key[i] = k;
		ScanKeyEntryInitialize(&read->header_keys[i], 0, i + 1, BTEqualStrategyNumber, right == type ? InvalidOid : right,
							   index->rd_indcollation[i], get_opcode(opr), (Datum) 0);
	}
	index_close(index, NoLock);
}

/* Makes the expressions ready to be evaluated.  As the owner of the tables. */
static struct TupleRead *
prepare_to_read(Mapping *mapping)
{
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder written orders", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cx);
	struct TupleRead *read = palloc0(sizeof(struct TupleRead));
	ListCell   *lc;

	read->cx = cx;
	read->pin = mapping->pin_keys || bo_depends_on_settings((Node *) mapping->columns);
	read->columns = palloc(sizeof(ExprState *) * list_length(mapping->columns));
	foreach(lc, mapping->columns)
	{
		/* A copy, as constants stay where they are. */
		Node	   *column = bind_columns(copyObject((Node *) ((TargetEntry *) lfirst(lc))->expr), NULL);

		read->columns[read->ncolumns++] = ExecInitExpr(expression_planner((Expr *) column), NULL);
	}
	read->context = CreateStandaloneExprContext();
	read->nkeys = mapping->nline_columns;
	for (int k = 0; k < read->nkeys; k++)
	{
		Oid			type;
		int32		typmod;
		TypeCacheEntry *cache;

		get_atttypetypmodcoll(mapping->line.relid, mapping->line_key[k], &type, &typmod, &read->collation[k]);
		cache = lookup_type_cache(type, TYPECACHE_CMP_PROC);
		if (!OidIsValid(cache->cmp_proc))
			elog(ERROR, "values of type %u have no order", type);
		fmgr_info(cache->cmp_proc, &read->compare[k]);
		get_typlenbyval(type, &read->typlen[k], &read->typbyval[k]);
	}
	if (OidIsValid(mapping->header.relid))
		prepare_header_keys(mapping, read);
	MemoryContextSwitchTo(old);
	return read;
}

/* ---------- reading ---------- */

/* A line that was read, with its key as the table has it. */
typedef struct TupleLine
{
	MappedLine *line;
	Datum		key[BO_MAX_KEYS];
} TupleLine;

typedef struct TupleReading
{
	Mapping    *mapping;
	Mapping		as;				/* what it was: what is evaluated may be code that makes it be loaded again */
	struct TupleRead *read; 	/* taken from it, as that code may come here too */
	void		(*visit) (struct TupleReading *r, OrderNote *note); /* a line in the slots */
	List	   *notes;			/* to read */
	List	   *others;			/* left to the query */
	MemoryContext cx;			/* of what is read */
	Relation	rel[2];			/* of lines, and of headers; NULL: there is no such table */
	TupleTableSlot *slot[2];
	Relation	index;			/* of the header's key; NULL: not needed yet */
	IndexScanDesc scan;
	Datum	   *values;
	bool	   *nulls;
	TupleLine  *lines;			/* of one order after another */
	int			nlines;
	int			capacity;
	HTAB	   *stock_keys; 	/* of Place */
	List	   *stock;			/* of StockKey: those places */
	char	   *tenant;			/* of them */
} TupleReading;

/* The row that was inserted there, as the active snapshot sees it now; false where it was deleted. */
static bool
fetch(Relation rel, ItemPointerData tid, TupleTableSlot *slot)
{
	TableScanDesc scan;

	if (table_tuple_fetch_row_version(rel, &tid, GetActiveSnapshot(), slot))
		return true;
	scan = table_beginscan_tid(rel, GetActiveSnapshot());
	table_tuple_get_latest_tid(scan, &tid);
	table_endscan(scan);
	return table_tuple_fetch_row_version(rel, &tid, GetActiveSnapshot(), slot);
}

static int
compare_lines(const void *a, const void *b, void *arg)
{
	const TupleLine *x = a;
	const TupleLine *y = b;
	struct TupleRead *read = arg;
	int			result = 0;

	for (int k = 0; k < read->nkeys && result == 0; k++)
		result = DatumGetInt32(FunctionCall2Coll(&read->compare[k], read->collation[k], x->key[k], y->key[k]));
	return result;
}

/* The line in the slots; nothing where it belongs to no order yet. */
static void
read_line(TupleReading *r, OrderNote *note)
{
	struct TupleRead *read = r->read;
	TupleLine	this;

	for (int i = 0; i < read->ncolumns; i++)
		r->values[i] = ExecEvalExprSwitchContext(read->columns[i], read->context, &r->nulls[i]);
	this.line = bo_mapped_line(&r->as, r->values, r->nulls, (char *) note->key.order_key);
	if (this.line == NULL)
		return;
	for (int k = 0; k < read->nkeys; k++)
		this.key[k] = datumCopy(r->values[r->as.line.nkeys + k], read->typbyval[k], read->typlen[k]);
	if (r->nlines == r->capacity)
	{
		r->capacity = Max(16, r->capacity * 2);
		r->lines = r->lines == NULL ? palloc(sizeof(TupleLine) * r->capacity) : repalloc_huge(r->lines, sizeof(TupleLine) * r->capacity);
	}
	r->lines[r->nlines++] = this;
}

/* The header of an order goes into its slot, or NULLs.  False where it was inserted and deleted. */
static bool
read_header(TupleReading *r, OrderNote *note)
{
	ScanKeyData keys[BO_MAX_KEYS];
	int			nkeys = r->as.header.nkeys;

	if (r->rel[1] == NULL)
		return true;
	if (ItemPointerIsValid(&note->inserted.header))
		return fetch(r->rel[1], note->inserted.header, r->slot[1]);
	if (r->index == NULL)
	{
		r->index = index_open(r->as.header_index, AccessShareLock);
		r->scan = bo_index_beginscan(r->rel[1], r->index, GetActiveSnapshot(), nkeys);
	}
	memcpy(keys, r->read->header_keys, sizeof(ScanKeyData) * nkeys);
	for (int i = 0; i < nkeys; i++)
		keys[i].sk_argument = note->keys.order[r->read->header_key[i]];
	index_rescan(r->scan, keys, nkeys, NULL, 0);
	if (!index_getnext_slot(r->scan, ForwardScanDirection, r->slot[1]))
		ExecStoreAllNullTuple(r->slot[1]);
	return true;
}

/* The lines of an order, sorted as a query would.  False, and none, where there is no header any more. */
static bool
read_order(TupleReading *r, OrderNote *note)
{
	ExprContext *context = r->read->context;
	int			start = r->nlines;
	int32		row = note->inserted.first;
	bool		sorted = true;

	if (!read_header(r, note))
		return false;
	context->ecxt_outertuple = r->slot[0];
	context->ecxt_innertuple = r->slot[1];
	while (row >= 0)
	{
		int			n = r->nlines;
		ItemPointerData tid;

		CHECK_FOR_INTERRUPTS();
		row = bo_inserted_row(note, row, &tid);
		if (!fetch(r->rel[0], tid, r->slot[0]))
			continue;
		r->visit(r, note);
		ResetExprContext(context);
		if (r->nlines > n && n > start)
			sorted = sorted && compare_lines(&r->lines[n - 1], &r->lines[n], r->read) <= 0;
	}
	if (!sorted)
		qsort_arg(r->lines + start, r->nlines - start, sizeof(TupleLine), compare_lines, r->read);
	return true;
}

static void
read_orders(void *arg)
{
	TupleReading *r = arg;
	MemoryContext old;
	Oid			tables[] = {r->as.line.relid, r->as.header.relid};
	ListCell   *lc;

	BO_POINT("read");
	bo_mapping_check_rewritten(r->mapping);
	if (r->read == NULL || r->read->pin)
		bo_pin();
	if (r->read == NULL)
		r->read = prepare_to_read(r->mapping);
	old = MemoryContextSwitchTo(r->cx);
	r->values = palloc(sizeof(Datum) * r->read->ncolumns);
	r->nulls = palloc(sizeof(bool) * r->read->ncolumns);
	for (int i = 0; i < 2 && OidIsValid(tables[i]); i++)
	{
		r->rel[i] = table_open(tables[i], AccessShareLock);
		r->slot[i] = table_slot_create(r->rel[i], NULL);
	}
	foreach(lc, r->notes)
		if (!read_order(r, lfirst(lc)))
			r->others = lappend(r->others, lfirst(lc));
	if (r->index != NULL)
	{
		index_endscan(r->scan);
		index_close(r->index, NoLock);
	}
	for (int i = 0; i < 2 && r->rel[i] != NULL; i++)
	{
		ExecDropSingleTupleTableSlot(r->slot[i]);
		table_close(r->rel[i], NoLock);
	}
	MemoryContextSwitchTo(old);
}

/* Are the noted rows of an order all that it has?  See pending/inserted_rows.c. */
static bool
is_begun_here(const Mapping *mapping, const OrderNote *note)
{
	return note->state.seen == ORDER_NEW && !mapping->importing && bo_is_readable_from_tuples(note, mapping) &&
		(mapping->seen_all || ItemPointerIsValid(&note->inserted.header));
}

/* Takes those of the orders that this transaction began; the others are left to the query. */
static void
choose(TupleReading *r, List *notes)
{
	ListCell   *lc;

	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);

		if (is_begun_here(r->mapping, note))
			r->notes = lappend(r->notes, note);
		else
			r->others = lappend(r->others, note);
	}
}

/* The expressions go back to the mapping, or where it is another now, away. */
static void
keep_for_next(TupleReading *r)
{
	if (r->mapping->version != r->as.version || r->mapping->tuple_read != NULL)
	{
		MemoryContextDelete(r->read->cx);
		return;
	}
	MemoryContextSetParent(r->read->cx, r->mapping->cx);
	r->mapping->tuple_read = r->read;
}

/* Visits the lines of the chosen orders, as the owner of the tables. */
static void
visit_chosen(TupleReading *r)
{
	Mapping    *mapping = r->mapping;

	r->as = *mapping;
	r->read = mapping->tuple_read;
	mapping->tuple_read = NULL;
	if (r->read != NULL)
		MemoryContextSetParent(r->read->cx, CurrentMemoryContext);	/* goes with it on error */
	bo_mapping_evaluate(mapping, NULL, read_orders, r);
	keep_for_next(r);
}

/*
 * Reads the lines of those of the orders (of OrderNote, locked) that this
 * transaction began, with the active snapshot, and calls func for each as
 * bo_mapping_read() does.  Returns the others.  Expects an SPI scope; evaluates
 * as the owner of the tables.  Errors in an expression become
 * ERRCODE_BO_EVALUATION.
 */
List *
bo_read_from_tuples(Mapping *mapping, List *notes, MappedLineFunc func, void *arg)
{
	TupleReading r = {.mapping = mapping,.visit = read_line,.cx = CurrentMemoryContext};

	choose(&r, notes);
	if (r.notes == NIL)
		return notes;
	visit_chosen(&r);
	for (int i = 0; i < r.nlines; i++)
	{
		bo_check_mapped_line(mapping, r.lines[i].line);
		func(mapping, r.lines[i].line, arg);
	}
	return r.others;
}

/* ---------- places ---------- */

/* Where a line is wanted: values of a row, or copies of them. */
typedef struct Place
{
	const char *item;
	const char *location;
	int			item_length;
	int			location_length;
} Place;

static uint32
hash_place(const void *key, Size size)
{
	const Place *place = key;

	return hash_bytes((const unsigned char *) place->item, place->item_length) ^
		(hash_bytes((const unsigned char *) place->location, place->location_length) * 31);
}

static int
match_places(const void *a, const void *b, Size size)
{
	const Place *x = a;
	const Place *y = b;

	return x->item_length != y->item_length || x->location_length != y->location_length ||
		memcmp(x->item, y->item, x->item_length) != 0 || memcmp(x->location, y->location, x->location_length) != 0;
}

/* The value of a mapped column of the line in the slots; false where it is not mapped, or NULL. */
static bool
line_has(TupleReading *r, MappedColumn column, Datum *value)
{
	int			at = r->as.at[column];
	bool		isnull;

	if (at < 0)
		return false;
	*value = ExecEvalExprSwitchContext(r->read->columns[at], r->read->context, &isnull);
	return !isnull;
}

/* As the mapping's query for places says it. */
static bool
is_wanted(TupleReading *r)
{
	Datum		value;

	if (line_has(r, MAPPED_SHIPPED, &value) && qty_sign(DatumGetNumeric(value)) > 0)
		return true;
	return line_has(r, MAPPED_LIVE, &value) && DatumGetBool(value) && line_has(r, MAPPED_QUANTITY, &value) && qty_sign(DatumGetNumeric(value)) > 0;
}

/* Notes where the line in the slots is wanted. */
static void
note_place(TupleReading *r, OrderNote *note)
{
	MemoryContext old = MemoryContextSwitchTo(r->read->context->ecxt_per_tuple_memory);
	Place		place = {.location = ""};
	Place	   *entry;
	Datum		value;
	bool		found;

	if (line_has(r, MAPPED_ITEM, &value) && is_wanted(r))
	{
		text	   *item = DatumGetTextPP(value);

		place.item = VARDATA_ANY(item);
		place.item_length = VARSIZE_ANY_EXHDR(item);
		if (line_has(r, MAPPED_LOCATION, &value))
		{
			text	   *location = DatumGetTextPP(value);

			place.location = VARDATA_ANY(location);
			place.location_length = VARSIZE_ANY_EXHDR(location);
		}
		entry = hash_search(r->stock_keys, &place, HASH_ENTER, &found);
		if (!found)
		{
			StockKey   *key = MemoryContextAlloc(r->cx, sizeof(StockKey));

			MemoryContextSwitchTo(r->cx);
			key->tenant = r->tenant;
			entry->item = key->item = pnstrdup(place.item, place.item_length);
			entry->location = key->location = pnstrdup(place.location, place.location_length);
			r->stock = lappend(r->stock, key);
		}
	}
	MemoryContextSwitchTo(old);
}

/*
 * The items and locations of the lines of these orders, of StockKey, as
 * bo_mapping_stock_keys() finds them; in *stock_keys.  False, and nothing, where this
 * transaction did not begin all of them.
 */
bool
bo_inserted_stock_keys(Mapping *mapping, List *notes, List **stock_keys)
{
	TupleReading r = {.mapping = mapping,.visit = note_place,.cx = CurrentMemoryContext};
	HASHCTL		ctl = {.keysize = sizeof(Place),.entrysize = sizeof(Place),.hash = hash_place,.match = match_places,.hcxt = CurrentMemoryContext};

	choose(&r, notes);
	if (r.others != NIL)
		return false;
	r.tenant = pstrdup(mapping->tenant);
	r.stock_keys = hash_create("backorder places", 1024, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	visit_chosen(&r);
	hash_destroy(r.stock_keys);
	*stock_keys = r.stock;
	return r.others == NIL;
}
