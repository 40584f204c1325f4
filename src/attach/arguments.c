/*
 * arguments.c
 *		The arguments of attach() and attach_preview(), taken step by step.
 *
 * A mapping is parsed under the caller's search_path, checked, and deparsed
 * with every name qualified (expression.c).
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "mapping/mapping.h"

/* The mapped expressions, in the order of the source table. */
static const struct
{
	const char *name;
	AttachArgument arg;
	Oid			type;
}			expressions[MAPPED_COLUMNS] =
{
	[MAPPED_ITEM] = {"item", ATTACH_ITEM, TEXTOID},
	[MAPPED_QUANTITY] = {"quantity", ATTACH_QUANTITY, NUMERICOID},
	[MAPPED_LIVE] = {"live", ATTACH_LIVE, BOOLOID},
	[MAPPED_SHIPPED] = {"shipped", ATTACH_SHIPPED, NUMERICOID},
	[MAPPED_PICKED] = {"picked", ATTACH_PICKED, NUMERICOID},
	[MAPPED_CANCELLED] = {"cancelled", ATTACH_CANCELLED, NUMERICOID},
	[MAPPED_LOCATION] = {"location", ATTACH_LOCATION, TEXTOID},
	[MAPPED_CUSTOMER] = {"customer", ATTACH_CUSTOMER, TEXTOID},
	[MAPPED_PRIORITY] = {"priority", ATTACH_PRIORITY, INT4OID},
	[MAPPED_QUEUED_AT] = {"queued_at", ATTACH_QUEUED_AT, TIMESTAMPTZOID},
	[MAPPED_REQUESTED_AT] = {"requested_at", ATTACH_REQUESTED_AT, DATEOID},
	[MAPPED_HELD] = {"held", ATTACH_HELD, BOOLOID}
};

static char *
columns_text(List *columns)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	foreach(lc, columns)
		appendStringInfo(&s, "%s%s", s.len ? ", " : "", quote_identifier(lfirst(lc)));
	return s.data;
}

/* Says so where each look at an order would read a whole table. */
static void
hint_index(MappedTable *table, List *columns, const char *what, BoHintFunc hint, void *arg)
{
	IndexStart	starts[BO_MAX_KEYS] = {0};

	for (int i = 0; i < table->nkeys; i++)
		starts[i].first = table->key[i];
	if (bo_has_index(table->relid, starts, table->nkeys))
		return;
	hint(psprintf("table %s has no index on its %s", table->name, what), "Each look at an order reads the whole table.",
		 psprintf("CREATE INDEX ON %s (%s);", table->name, columns_text(columns)), arg);
}

/* ---------- keys ---------- */

static List *
primary_key(MappedTable *table, const char *what)
{
	Relation	rel = table_open(table->relid, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	Oid			index = rel->rd_pkindex;
	HeapTuple	tuple;
	Form_pg_index form;
	List	   *result = NIL;

	list_free(indexes);
	table_close(rel, NoLock);
	if (!OidIsValid(index))
		bo_refuse(psprintf("table %s has no primary key", table->name), psprintf("Give %s.", what));
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", index);
	form = (Form_pg_index) GETSTRUCT(tuple);
	for (int i = 0; i < form->indnkeyatts; i++)
		result = lappend(result, pstrdup(table->alias[form->indkey.values[i] - 1]));
	ReleaseSysCache(tuple);
	return result;
}

/* One name, or several separated by commas; as they are, or as identifiers. */
static List *
key_columns(MappedTable *table, const char *names, const char *what)
{
	List	   *result = NIL;
	List	   *parts = NIL;
	ListCell   *lc;

	if (bo_mapped_column(table, names) != InvalidAttrNumber)
		parts = list_make1(pstrdup(names));
	else
	{
		char	   *copy = pstrdup(names);
		char	   *part;
		char	   *rest = copy;
		bool		all = true;

		while ((part = strsep(&rest, ",")) != NULL)
		{
			while (*part == ' ')
				part++;
			for (size_t n = strlen(part); n > 0 && part[n - 1] == ' '; n--)
				part[n - 1] = '\0';
			all = all && bo_mapped_column(table, part) != InvalidAttrNumber;
			parts = lappend(parts, part);
		}
		if (!all && (!SplitIdentifierString(pstrdup(names), ',', &parts) || parts == NIL))
			bo_refuse(psprintf("invalid %s \"%s\"", what, names), "Name one column, or several separated by commas.");
	}
	foreach(lc, parts)
	{
		if (bo_mapped_column(table, lfirst(lc)) == InvalidAttrNumber)
			bo_refuse(psprintf("column \"%s\" of %s does not exist in %s", (char *) lfirst(lc), what, table->name),
				   "Keys are columns, not expressions.");
		result = lappend(result, lfirst(lc));
	}
	return result;
}

/* The raw target list of SELECT ..., or NIL where it is none. */
static List *
parse_targets(const char *query)
{
	MemoryContext cx = CurrentMemoryContext;
	List	   *volatile targets = NIL;

	PG_TRY();
	{
		SelectStmt *stmt = (SelectStmt *) ((RawStmt *) linitial(raw_parser(query, RAW_PARSE_DEFAULT)))->stmt;

		if (IsA(stmt, SelectStmt) && stmt->fromClause == NIL)
			targets = stmt->targetList;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cx);
		FlushErrorState();
	}
	PG_END_TRY();
	return targets;
}

/*
 * line_key: columns of the line table, then expressions that tell apart what
 * joins multiply. Returns the columns; the texts of the rest go to
 * *expressions.
 */
static List *
line_key_parts(MappedTable *line, const char *text, bool joins, List **expressions)
{
	char	   *query = psprintf("SELECT %s", text);
	List	   *targets = joins && bo_mapped_column(line, text) == InvalidAttrNumber ? parse_targets(query) : NIL;
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, targets)
	{
		ResTarget  *target = lfirst(lc);
		ListCell   *next = lnext(targets, lc);
		char	   *part = pnstrdup(query + target->location, (next ? ((ResTarget *) lfirst(next))->location : (int) strlen(query)) - target->location);
		ColumnRef  *ref = (ColumnRef *) target->val;

		if (target->name != NULL)
			bo_refuse(psprintf("invalid line_key \"%s\"", text), "Name columns of the line table, then expressions over joins, separated by commas.");
		for (size_t n = strlen(part); n > 0 && strchr(" \t\n,", part[n - 1]); n--)
			part[n - 1] = '\0';
		if (*expressions == NIL && IsA(ref, ColumnRef) && list_length(ref->fields) == 1 && IsA(linitial(ref->fields), String) &&
			bo_mapped_column(line, strVal(linitial(ref->fields))) != InvalidAttrNumber)
			columns = lappend(columns, strVal(linitial(ref->fields)));
		else
			*expressions = lappend(*expressions, part);
	}
	return targets == NIL ? key_columns(line, text, "line_key") : columns;
}

/* Keys are compared and sorted, and read from rows as they are stored. */
static void
check_key_column(MappedTable *table, AttrNumber attnum, const char *what)
{
	Relation	rel = table_open(table->relid, AccessShareLock);
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	TypeCacheEntry *type = lookup_type_cache(getBaseType(att->atttypid), TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);

	if (!OidIsValid(type->eq_opr) || !OidIsValid(type->lt_opr))
		bo_refuse(psprintf("column \"%s\" of %s has type %s, which has no order", NameStr(att->attname), what, format_type_be(att->atttypid)),
				  "Keys are of types that can be compared and sorted.");
	if (bo_is_virtual(att))
		bo_refuse(psprintf("column \"%s\" of %s is a virtual generated column", NameStr(att->attname), what),
				  "Keys are columns that are stored.");
	table_close(rel, NoLock);
}

static void
set_key(MappedTable *table, List *columns, const char *what)
{
	ListCell   *lc;

	if (list_length(columns) > BO_MAX_KEYS)
		bo_refuse(psprintf("%s has %d columns", what, list_length(columns)), psprintf("At most %d are supported.", BO_MAX_KEYS));
	foreach(lc, columns)
	{
		AttrNumber	attnum = bo_mapped_column(table, lfirst(lc));

		check_key_column(table, attnum, what);
		table->key[table->nkeys] = attnum;
		table->key_type[table->nkeys++] = getBaseType(get_atttype(table->relid, attnum));
	}
}

/* "table: keys" */
static WatchArgument *
prepare_watched(Attachment *a, char *text)
{
	WatchArgument *watch = palloc0(sizeof(WatchArgument));
	bool		quoted = false;
	char	   *colon = text;
	Oid			relid;
	ListCell   *lc;

	for (; *colon != '\0' && (quoted || *colon != ':'); colon++)
		if (*colon == '"')
			quoted = !quoted;
	if (*colon == '\0')
		bo_refuse(psprintf("watch \"%s\" names no key", text), "Give \"table: column, ...\" or \"table: SELECT ...\".");
	*colon++ = '\0';
	while (*colon == ' ' || *colon == '\n' || *colon == '\t')
		colon++;
	relid = RangeVarGetRelid(makeRangeVarFromNameList(bo_qualified_name(text)), NoLock, true);
	if (!OidIsValid(relid))
		bo_refuse(psprintf("watched table \"%s\" does not exist", text), "Name a table, with its schema where it is not in the search_path.");
	if (relid == a->line.relid || relid == a->header.relid)
		bo_refuse(psprintf("watched table \"%s\" is attached already", text), "Lines and headers are watched without being named.");
	foreach(lc, a->watched)
		if (((WatchArgument *) lfirst(lc))->table.relid == relid)
			bo_refuse(psprintf("watched table \"%s\" is named twice", text), "Name it once, with a query that returns all order keys.");
	bo_check_table(relid, a->preview ? AccessShareLock : ShareRowExclusiveLock);
	bo_mapped_table(&watch->table, relid, NULL, NULL);
	watch->keys = bo_prepare_watch(colon, &watch->table, &a->line);
	return watch;
}

/* Says which tables the mapping reads whose changes nobody notices. */
static void
hint_watch(Mapping *mapping, BoHintFunc hint, void *arg)
{
	ListCell   *lc;

	foreach(lc, mapping->reads)
	{
		Oid			relid = ((TableRead *) lfirst(lc))->relid;

		if (relid != mapping->line.relid && relid != mapping->header.relid && !bo_watches(mapping, relid))
			hint(psprintf("changes of %s are not noticed", quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid))),
				 NULL, "If they matter to orders, name the table in watch, or call backorder.resync() after them.", arg);
	}
}

/* ---------- the arguments of attach(), in the order in which they need each other ---------- */

/* A table that is locked as for its triggers, or for reading only. */
static void
take_table(Attachment *a, Oid relid, MappedTable *table)
{
	bo_check_table(relid, a->preview ? AccessShareLock : ShareRowExclusiveLock);
	bo_mapped_table(table, relid, NULL, NULL);
}

/* Which tables, and which choices. */
void
bo_attach_tables(void *arg)
{
	Attachment *a = arg;
	FunctionCallInfo fcinfo = a->fcinfo;

	if (PG_ARGISNULL(ATTACH_LINE_TABLE) || PG_ARGISNULL(ATTACH_ITEM) || PG_ARGISNULL(ATTACH_QUANTITY))
		bo_refuse("line_table, item and quantity are needed", "Name the table, and the columns or expressions of item and quantity.");
	a->timing = bo_one_of(fcinfo, ATTACH_TIMING, "timing", "deferred", "immediate");
	a->overship = bo_one_of(fcinfo, ATTACH_OVERSHIP, "overship", "adjust", "refuse");
	a->on_error = bo_one_of(fcinfo, ATTACH_ON_ERROR, "on_error", "refuse", "park");
	a->tenant = PG_ARGISNULL(ATTACH_TENANT) ? "" : bo_arg_text(fcinfo, ATTACH_TENANT);
	take_table(a, PG_GETARG_OID(ATTACH_LINE_TABLE), &a->line);
	if (PG_ARGISNULL(ATTACH_HEADER_TABLE))
	{
		if (!PG_ARGISNULL(ATTACH_HEADER_KEY))
			bo_refuse("header_key needs header_table", "Name the table of order headers.");
		return;
	}
	if (PG_GETARG_OID(ATTACH_HEADER_TABLE) == a->line.relid)
		bo_refuse("header_table is the line table", "Leave header_table out where line and header are one table.");
	take_table(a, PG_GETARG_OID(ATTACH_HEADER_TABLE), &a->header);
	if (PG_ARGISNULL(ATTACH_ORDER_KEY))
		bo_refuse("header_table needs order_key", "Name the column of the line table that refers to the header.");
	if (bo_relation_owner(a->line.relid) != bo_relation_owner(a->header.relid))
		bo_refuse("line and header tables have different owners", "The mapping runs as their owner: give both to one role.");
}

void
bo_attach_keys(void *arg)
{
	Attachment *a = arg;
	FunctionCallInfo fcinfo = a->fcinfo;
	ListCell   *lc;

	a->line_key = PG_ARGISNULL(ATTACH_LINE_KEY) ? primary_key(&a->line, "line_key") :
		line_key_parts(&a->line, bo_arg_text(fcinfo, ATTACH_LINE_KEY), !PG_ARGISNULL(ATTACH_JOINS), &a->key_expressions);
	if (PG_ARGISNULL(ATTACH_ORDER_KEY) && a->line_key == NIL)
		bo_refuse("line_key names no column of the line table", "Give order_key too, or a column of the line table first.");
	a->order_key = PG_ARGISNULL(ATTACH_ORDER_KEY) ? list_copy(a->line_key) : key_columns(&a->line, bo_arg_text(fcinfo, ATTACH_ORDER_KEY), "order_key");
	set_key(&a->line, a->order_key, "order_key");
	foreach(lc, a->line_key)
		check_key_column(&a->line, bo_mapped_column(&a->line, lfirst(lc)), "line_key");
	if (list_length(a->line_key) + list_length(a->key_expressions) > BO_MAX_KEYS)
		bo_refuse(psprintf("line_key has %d columns", list_length(a->line_key) + list_length(a->key_expressions)),
				  psprintf("At most %d are supported.", BO_MAX_KEYS));
	if (!OidIsValid(a->header.relid))
		return;
	a->header_key = PG_ARGISNULL(ATTACH_HEADER_KEY) ? primary_key(&a->header, "header_key") : key_columns(&a->header, bo_arg_text(fcinfo, ATTACH_HEADER_KEY), "header_key");
	if (list_length(a->header_key) != list_length(a->order_key))
		bo_refuse("order_key and header_key have different numbers of columns", "Give header_key the columns that order_key refers to.");
	set_key(&a->header, a->header_key, "header_key");
	bo_check_header(&a->line, &a->header);
}

void
bo_attach_joins(void *arg)
{
	Attachment *a = arg;
	FunctionCallInfo fcinfo = a->fcinfo;

	if (!PG_ARGISNULL(ATTACH_JOINS))
		a->joins = bo_prepare_joins(bo_arg_text(fcinfo, ATTACH_JOINS), &a->line, &a->header);
}

/* The mapped expression a->n. */
void
bo_attach_expression(void *arg)
{
	Attachment *a = arg;
	char	   *text = bo_arg_text(a->fcinfo, expressions[a->n].arg);

	if (text == NULL && a->n == MAPPED_LIVE)
		text = "true";
	if (text != NULL)
		a->texts[a->n] = bo_prepare_expression(expressions[a->n].name, expressions[a->n].type, text, &a->line, &a->header, a->joins);
}

void
bo_attach_key_expressions(void *arg)
{
	Attachment *a = arg;
	ListCell   *lc;

	foreach(lc, a->key_expressions)
		lfirst(lc) = bo_prepare_expression("line_key", InvalidOid, lfirst(lc), &a->line, &a->header, a->joins);
}

void
bo_attach_watched(void *arg)
{
	Attachment *a = arg;
	FunctionCallInfo fcinfo = a->fcinfo;
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(ATTACH_WATCH))
		return;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(ATTACH_WATCH), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			a->watched = lappend(a->watched, prepare_watched(a, TextDatumGetCString(elements[i])));
}

/* What an attached mapping assumed, and what it could have better: an index, a watched table. */
void
bo_attach_hints(Attachment *a, Mapping *mapping, BoHintFunc hint, void *arg)
{
	FunctionCallInfo fcinfo = a->fcinfo;

	if (PG_ARGISNULL(ATTACH_ORDER_KEY))
		hint(psprintf("each line of %s is an order of its own", a->line.name), "No order_key was given: it is the line key.",
			 psprintf("Give order_key: the column that says which order a line belongs to, or %s if it is meant so.",
					  quote_literal_cstr(columns_text(a->order_key))), arg);
	hint_index(&a->line, a->order_key, "order key", hint, arg);
	if (OidIsValid(a->header.relid))
		hint_index(&a->header, a->header_key, "header key", hint, arg);
	hint_watch(mapping, hint, arg);
}
