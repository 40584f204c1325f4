/*
 * attach.c
 *		attach(), detach() and resync(): which tables are watched, and how.
 *
 * A mapping is parsed under the caller's search_path, checked, and stored
 * deparsed with every name qualified.  The triggers are created here; what
 * they note is capture.c's.
 */
#include "attach.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parse_node.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(bo_attach);
PG_FUNCTION_INFO_V1(bo_detach);
PG_FUNCTION_INFO_V1(bo_detach_source);
PG_FUNCTION_INFO_V1(bo_end_source);
PG_FUNCTION_INFO_V1(bo_resync);

/* The mapped expressions, in the order of attach()'s arguments and of the source table. */
static const struct
{
	const char *name;
	int			arg;			/* of attach() */
	Oid			type;
}			expressions[] = {
	{"item", 1, TEXTOID}, {"quantity", 2, NUMERICOID}, {"live", 7, BOOLOID}, {"shipped", 8, NUMERICOID},
	{"picked", 9, NUMERICOID}, {"cancelled", 10, NUMERICOID}, {"location", 11, TEXTOID}, {"customer", 12, TEXTOID},
	{"priority", 13, INT4OID}, {"queued_at", 14, TIMESTAMPTZOID}, {"requested_at", 15, DATEOID}, {"held", 16, BOOLOID}
};

#define NEXPRESSIONS ((int) lengthof(expressions))

StaticAssertDecl(lengthof(expressions) == BO_EXPRESSIONS, "each mapped expression has its argument");

/* A table that can be attached by the caller, locked; else ERRCODE_BO_MAPPING, which says why. */
void
bo_check_table(Oid relid, LOCKMODE lock)
{
	Relation	rel = table_open(relid, lock);
	char	   *name = RelationGetRelationName(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		bo_refuse(psprintf("cannot attach \"%s\": it is not a table", name), "Attach an ordinary or partitioned table.");
	if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		bo_refuse(psprintf("cannot attach \"%s\": it is temporary or unlogged", name), "Attach a permanent table.");
	if (rel->rd_rel->relispartition)
		bo_refuse(psprintf("cannot attach \"%s\": it is a partition", name), "Attach the partitioned table.");
	if (IsCatalogNamespace(RelationGetNamespace(rel)) || RelationGetNamespace(rel) == get_namespace_oid("backorder", false))
		bo_refuse(psprintf("cannot attach \"%s\": it is a system table", name), "Attach a table of the application.");
	if (rel->rd_rel->relhassubclass && rel->rd_rel->relkind == RELKIND_RELATION)
		bo_refuse(psprintf("cannot attach \"%s\": it has inheritance children", name), "Attach an ordinary or partitioned table.");
	if (has_superclass(relid))
		bo_refuse(psprintf("cannot attach \"%s\": it is an inheritance child", name), "Attach an ordinary or partitioned table.");
	if (!bo_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name);
	table_close(rel, NoLock);
}

/* Is there an index that finds rows by these columns? */
static bool
has_index(MappedTable *table)
{
	Relation	rel = table_open(table->relid, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		if (form->indisvalid && heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
			for (int i = 0; i < table->nkeys && !found; i++)
				found = form->indkey.values[0] == table->key[i];
		ReleaseSysCache(tuple);
	}
	table_close(rel, NoLock);
	return found;
}

/* Says so where each look at an order would read a whole table. */
static void
hint_index(MappedTable *table, List *columns, const char *what, BoHintFunc hint, void *arg)
{
	StringInfoData s;
	ListCell   *lc;

	if (has_index(table))
		return;
	initStringInfo(&s);
	foreach(lc, columns)
		appendStringInfo(&s, "%s%s", s.len ? ", " : "", quote_identifier(lfirst(lc)));
	hint(psprintf("table %s has no index on its %s", table->name, what), "Each look at an order reads the whole table.",
		 psprintf("CREATE INDEX ON %s (%s);", table->name, s.data), arg);
}

static char *
arg_text(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
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

static Datum
name_array(List *names)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(list_length(names), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, names)
		datums[n++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(datums, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The names that a mapping uses for the columns of a table, by number. */
Datum
bo_column_array(const MappedTable *table)
{
	List	   *names = NIL;

	for (int i = 0; i < table->natts; i++)
		names = lappend(names, table->alias[i] ? table->alias[i] : "");
	return name_array(names);
}

/* ---------- triggers ---------- */

static void
run_ddl(const char *sql)
{
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not run %s", sql);
}

/* The triggers of one source: a table may have those of others too. */
static void
drop_triggers(const char *table, int32 source_id)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	run_ddl(psprintf("DROP TRIGGER IF EXISTS backorder_capture_%d ON %s", source_id, table));
	run_ddl(psprintf("DROP TRIGGER IF EXISTS backorder_capture_%d_statement ON %s", source_id, table));
	AtEOXact_GUC(false, level);
}

/* The triggers of a source on a table and its partitions go, if there is the table. */
void
bo_release_table(Oid relid, int32 source_id)
{
	char	   *name = OidIsValid(relid) ? get_rel_name(relid) : NULL;
	ListCell   *lc;

	if (name == NULL)
		return;
	drop_triggers(quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name), source_id);
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		foreach(lc, find_inheritance_children(relid, NoLock))
			bo_release_table(lfirst_oid(lc), source_id);
}

/* The capture triggers of a source on a table, in a role.  As its owner, in SPI; the table is locked. */
void
bo_create_triggers(const char *table, int32 source_id, const char *role)
{
	drop_triggers(table, source_id);
	run_ddl(psprintf("CREATE TRIGGER backorder_capture_%d AFTER INSERT OR UPDATE OR DELETE ON %s "
					 "FOR EACH ROW EXECUTE FUNCTION backorder.capture('%d', '%s')", source_id, table, source_id, role));
	run_ddl(psprintf("CREATE TRIGGER backorder_capture_%d_statement AFTER TRUNCATE ON %s "
					 "FOR EACH STATEMENT EXECUTE FUNCTION backorder.capture('%d', '%s')", source_id, table, source_id, role));
	/* So DROP EXTENSION takes them along. */
	run_ddl(psprintf("ALTER TRIGGER backorder_capture_%d ON %s DEPENDS ON EXTENSION backorder", source_id, table));
	run_ddl(psprintf("ALTER TRIGGER backorder_capture_%d_statement ON %s DEPENDS ON EXTENSION backorder", source_id, table));
}

/* ---------- watched tables ---------- */

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

/* The tables that a source watched lose its triggers. */
static void
release_watched(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	SPITupleTable *rows;
	uint64		n = bo_exec(BO_READ_WATCHED, NULL, &arg, false);

	rows = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;

		SPI_tuptable = rows;
		bo_release_table(bo_resolve_table(DatumGetObjectId(bo_get(i, 3, &isnull)), bo_get_text(i, 1), bo_get_text(i, 2), source_id), source_id);
	}
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

/* ---------- attach ---------- */

/* An argument that is one of two words; else ERRCODE_BO_MAPPING. */
char *
bo_one_of(FunctionCallInfo fcinfo, int arg, const char *name, const char *first, const char *second)
{
	char	   *value = arg_text(fcinfo, arg);

	if (value == NULL || (strcmp(value, first) != 0 && strcmp(value, second) != 0))
		bo_refuse(psprintf("unknown %s \"%s\"", name, value ? value : "NULL"), psprintf("It is %s or %s.", first, second));
	return value;
}

/*
 * Makes our own rows agree with each other, where somebody changed them past
 * the extension, under the locks of the noted orders.  What that frees is dealt
 * by the settlement, and orders are told what they had not been.
 */
static void
mend(Mapping *mapping, Settlement *settlement)
{
	MemoryContext cx = CurrentMemoryContext;
	BoSection	section;
	SPITupleTable *rows;
	uint64		n;
	Datum		arg = Int32GetDatum(mapping->source_id);

	bo_lock_orders(bo_pending_orders());
	bo_enter(&section);
	n = bo_exec(BO_MEND, NULL, &arg, false);
	rows = SPI_tuptable;
	MemoryContextSwitchTo(cx);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *item;

		SPI_tuptable = rows;
		item = bo_get_text(i, 1);
		if (item == NULL)
			bo_touch_order(mapping->tenant, bo_get_int32(i, 3), bo_get_text(i, 4), false);
		else
		{
			StockKey   *key = palloc(sizeof(StockKey));

			key->tenant = mapping->tenant;
			key->item = item;
			key->location = bo_get_text(i, 2);
			settlement->places = lappend(settlement->places, key);
		}
	}
	settlement->repromise = settlement->places != NIL;
	bo_leave(&section);
	CommandCounterIncrement();
}

/* Reconciles all orders of a source, in one settling of their own. */
static int64
reconcile_source(Mapping *mapping, ReconcileMode mode)
{
	Settlement	settlement = {0};
	volatile int64 changed = 0;
	bool		paused;

	mode.whole = true;
	(void) bo_settle_pending();
	paused = bo_pause_commit_work(true);
	PG_TRY();
	{
		bo_note_recorded(mapping);
		if (mode.detach == NULL)
		{
			BoSection	section;

			bo_enter(&section);
			bo_mapping_note_all(mapping);
			bo_leave(&section);
		}
		if (mode.mend)
			mend(mapping, &settlement);
		changed = bo_reconcile_and_settle(&settlement, mode);
	}
	PG_CATCH();
	{
		bo_unpause_commit_work(paused);
		PG_RE_THROW();
	}
	PG_END_TRY();
	(void) bo_pause_commit_work(paused);
	bo_unpark_source(mapping);
	return changed;
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

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		bo_refuse("line_table, item and quantity are needed", "Name the table, and the columns or expressions of item and quantity.");
	a->timing = bo_one_of(fcinfo, 19, "timing", "deferred", "immediate");
	a->overship = bo_one_of(fcinfo, 20, "overship", "adjust", "refuse");
	a->on_error = bo_one_of(fcinfo, 21, "on_error", "refuse", "park");
	a->tenant = PG_ARGISNULL(22) ? "" : arg_text(fcinfo, 22);
	take_table(a, PG_GETARG_OID(0), &a->line);
	if (PG_ARGISNULL(5))
	{
		if (!PG_ARGISNULL(6))
			bo_refuse("header_key needs header_table", "Name the table of order headers.");
		return;
	}
	if (PG_GETARG_OID(5) == a->line.relid)
		bo_refuse("header_table is the line table", "Leave header_table out where line and header are one table.");
	take_table(a, PG_GETARG_OID(5), &a->header);
	if (PG_ARGISNULL(4))
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

	a->line_key = PG_ARGISNULL(3) ? primary_key(&a->line, "line_key") :
		line_key_parts(&a->line, arg_text(fcinfo, 3), !PG_ARGISNULL(17), &a->key_expressions);
	if (PG_ARGISNULL(4) && a->line_key == NIL)
		bo_refuse("line_key names no column of the line table", "Give order_key too, or a column of the line table first.");
	a->order_key = PG_ARGISNULL(4) ? list_copy(a->line_key) : key_columns(&a->line, arg_text(fcinfo, 4), "order_key");
	set_key(&a->line, a->order_key, "order_key");
	foreach(lc, a->line_key)
		check_key_column(&a->line, bo_mapped_column(&a->line, lfirst(lc)), "line_key");
	if (list_length(a->line_key) + list_length(a->key_expressions) > BO_MAX_KEYS)
		bo_refuse(psprintf("line_key has %d columns", list_length(a->line_key) + list_length(a->key_expressions)),
				  psprintf("At most %d are supported.", BO_MAX_KEYS));
	if (!OidIsValid(a->header.relid))
		return;
	a->header_key = PG_ARGISNULL(6) ? primary_key(&a->header, "header_key") : key_columns(&a->header, arg_text(fcinfo, 6), "header_key");
	if (list_length(a->header_key) != list_length(a->order_key))
		bo_refuse("order_key and header_key have different numbers of columns", "Give header_key the columns that order_key refers to.");
	set_key(&a->header, a->header_key, "header_key");
}

void
bo_attach_joins(void *arg)
{
	Attachment *a = arg;
	FunctionCallInfo fcinfo = a->fcinfo;

	if (!PG_ARGISNULL(17))
		a->joins = bo_prepare_joins(arg_text(fcinfo, 17), &a->line, &a->header);
}

/* The mapped expression a->n. */
void
bo_attach_expression(void *arg)
{
	Attachment *a = arg;
	char	   *text = arg_text(a->fcinfo, expressions[a->n].arg);

	if (text == NULL && expressions[a->n].type == BOOLOID && strcmp(expressions[a->n].name, "live") == 0)
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

	if (PG_ARGISNULL(18))
		return;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(18), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			a->watched = lappend(a->watched, prepare_watched(a, TextDatumGetCString(elements[i])));
}

/* Writes the source's row; returns its number. */
int32
bo_attach_source(Attachment *a)
{
	Datum		args[32] = {0};
	BoSection	section;
	ListCell   *lc;
	int32		source_id;
	int			n = 0;
	char	   *old_tenant = NULL;
	bool		detached = false;

	args[2] = CStringGetTextDatum(get_namespace_name(get_rel_namespace(a->line.relid)));
	args[3] = CStringGetTextDatum(get_rel_name(a->line.relid));
	args[4] = ObjectIdGetDatum(a->line.relid);
	if (OidIsValid(a->header.relid))
	{
		args[5] = CStringGetTextDatum(get_namespace_name(get_rel_namespace(a->header.relid)));
		args[6] = CStringGetTextDatum(get_rel_name(a->header.relid));
		args[10] = name_array(a->header_key);
		args[26] = bo_column_array(&a->header);
	}
	args[7] = ObjectIdGetDatum(a->header.relid);
	args[8] = name_array(a->order_key);
	args[9] = name_array(a->line_key);
	for (int i = 0; i < NEXPRESSIONS; i++)
		args[11 + i] = a->texts[i] ? CStringGetTextDatum(a->texts[i]) : (Datum) 0;
	args[23] = bo_column_array(&a->line);
	args[24] = CStringGetTextDatum(a->timing);
	args[25] = CStringGetTextDatum(a->overship);
	args[27] = a->joins ? CStringGetTextDatum(a->joins) : (Datum) 0;
	args[28] = a->key_expressions ? name_array(a->key_expressions) : (Datum) 0;
	args[29] = CStringGetTextDatum(a->on_error);
	args[30] = args[23];
	args[31] = args[26];
	source_id = bo_source_of_table(a->line.relid, &old_tenant, &detached);
	if (source_id != 0)
	{
		a->again = !detached;
		if (strcmp(old_tenant, a->tenant) != 0)
			bo_refuse(psprintf("table %s is recorded for tenant \"%s\"", a->line.name, old_tenant), "A table belongs to one tenant.");
		a->old_header = bo_mapping_stub(source_id)->header.relid;
		bo_mapping_forget(source_id);
	}
	bo_enter(&section);
	args[0] = CStringGetTextDatum(a->tenant);
	args[1] = Int32GetDatum(source_id != 0 ? source_id : bo_next_source_id());
	if (source_id == 0)
		(void) bo_exec(BO_ADD_SOURCE, NULL, args, false);
	else if (bo_exec(BO_CHANGE_SOURCE, NULL, args, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update of source %d", source_id)));
	source_id = DatumGetInt32(args[1]);
	if (!a->preview)
		release_watched(source_id);
	(void) bo_exec(BO_FORGET_WATCHED, NULL, args, false);
	foreach(lc, a->watched)
	{
		WatchArgument *watch = lfirst(lc);
		Oid			relid = watch->table.relid;
		Datum		row[9] = {args[0], args[1], Int32GetDatum(++n),
			CStringGetTextDatum(get_namespace_name(get_rel_namespace(relid))), CStringGetTextDatum(get_rel_name(relid)),
		ObjectIdGetDatum(relid), bo_column_array(&watch->table), CStringGetTextDatum(watch->keys), bo_column_array(&watch->table)};

		(void) bo_exec(BO_ADD_WATCHED, NULL, row, false);
	}
	bo_leave(&section);
	bo_mapping_forget(source_id);
	return source_id;
}

/* What an attached mapping could have better: an index, a watched table. */
void
bo_attach_hints(Attachment *a, Mapping *mapping, BoHintFunc hint, void *arg)
{
	hint_index(&a->line, a->order_key, "order key", hint, arg);
	if (OidIsValid(a->header.relid))
		hint_index(&a->header, a->header_key, "header key", hint, arg);
	hint_watch(mapping, hint, arg);
}

/* A hint of attaching as a NOTICE. */
void
bo_say_hint(const char *message, const char *detail, const char *hint, void *arg)
{
	ereport(NOTICE,
			(errmsg("%s", message),
			 detail ? errdetail("%s", detail) : 0,
			 errhint("%s", hint)));
}

/*
 * attach(): see the reference.  Runs as the caller, who must own the tables;
 * takes SHARE ROW EXCLUSIVE on them, so writers wait until the transaction
 * ends: with import => false that is before any order is read.
 */
Datum
bo_attach(PG_FUNCTION_ARGS)
{
	Attachment	a = {.fcinfo = fcinfo};
	Mapping    *mapping;
	int32		source_id;
	ListCell   *lc;

	bo_attach_tables(&a);
	bo_attach_keys(&a);
	bo_attach_joins(&a);
	for (a.n = 0; a.n < NEXPRESSIONS; a.n++)
		bo_attach_expression(&a);
	bo_attach_key_expressions(&a);
	bo_attach_watched(&a);
	(void) bo_settle_pending();
	source_id = bo_attach_source(&a);

	/* As the caller, who owns the tables. */
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	bo_release_table(a.old_header, source_id);
	bo_create_triggers(a.line.name, source_id, "line");
	if (OidIsValid(a.header.relid))
		bo_create_triggers(a.header.name, source_id, "header");
	foreach(lc, a.watched)
		bo_create_triggers(((WatchArgument *) lfirst(lc))->table.name, source_id, "watch");
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	CommandCounterIncrement();
	bo_follow_tables();
	CommandCounterIncrement();
	bo_mapping_forget(source_id);
	mapping = bo_mapping(source_id);
	bo_attach_hints(&a, mapping, bo_say_hint, NULL);
	if (PG_ARGISNULL(23) || PG_GETARG_BOOL(23))
	{
		bo_import_lock(source_id);
		(void) reconcile_source(mapping, (ReconcileMode) {.baseline = !a.again,.import = mapping->importing});
		bo_import_forget(source_id);
	}
	else
		bo_import_later(source_id, a.again);
	PG_RETURN_INT32(source_id);
}

/* The source of the attached table named by the first argument, which the caller must own. */
int32
bo_attached_argument(FunctionCallInfo fcinfo)
{
	Oid			relid;
	int32		source_id;
	char	   *tenant;
	bool		detached = false;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("line_table is NULL"),
				 errhint("Name an attached table.")));
	relid = PG_GETARG_OID(0);
	source_id = bo_source_of_table(relid, &tenant, &detached);
	if (source_id == 0 || detached)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("table \"%s\" is not attached", get_rel_name(relid) ? get_rel_name(relid) : "?"),
				 errhint("Attached tables are listed in backorder.source.")));
	if (!bo_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	return source_id;
}

/*
 * The open lines of a source leave, and nothing is left for the commit: the
 * extension itself may be dropped next.
 */
static void
end_lines(Mapping *stub)
{
	bool		paused;

	(void) bo_settle_pending();
	paused = bo_pause_commit_work(true);
	PG_TRY();
	{
		(void) reconcile_source(stub, (ReconcileMode) {.detach = stub});
		bo_run_commit_work();
	}
	PG_CATCH();
	{
		bo_unpause_commit_work(paused);
		PG_RE_THROW();
	}
	PG_END_TRY();
	(void) bo_pause_commit_work(paused);
}

/* end_source(source_id): ends the open lines of a source whose table was dropped; for the event trigger. */
Datum
bo_end_source(PG_FUNCTION_ARGS)
{
	end_lines(bo_mapping_stub(PG_GETARG_INT32(0)));
	PG_RETURN_VOID();
}

/* Open lines leave, triggers go; works without a mapping that can be read. */
static void
detach(int32 source_id)
{
	Mapping    *mapping = bo_mapping_stub(source_id);
	Datum		arg = Int32GetDatum(source_id);
	BoSection	section;

	if (mapping->detached)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("source %d is detached", source_id),
				 errhint("Attached tables are listed in backorder.source.")));
	if (OidIsValid(mapping->line.relid))
		LockRelationOid(mapping->line.relid, ShareRowExclusiveLock);
	if (OidIsValid(mapping->header.relid))
		LockRelationOid(mapping->header.relid, ShareRowExclusiveLock);
	bo_import_forget(source_id);	/* its row is locked before the orders */
	end_lines(mapping);
	bo_enter(&section);
	bo_release_table(mapping->line.relid, source_id);
	bo_release_table(mapping->header.relid, source_id);
	release_watched(source_id);
	(void) bo_exec(BO_DETACH_SOURCE, NULL, &arg, false);
	bo_leave(&section);
	bo_mapping_forget(source_id);
}

/* detach(line_table): for the table's owner. */
Datum
bo_detach(PG_FUNCTION_ARGS)
{
	detach(bo_attached_argument(fcinfo));
	PG_RETURN_VOID();
}

/* detach_source(source_id): where the table is gone and cannot be named; for a superuser, or who owns the extension's tables. */
Datum
bo_detach_source(PG_FUNCTION_ARGS)
{
	Oid			relid;

	if (!has_privs_of_role(GetUserId(), bo_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to detach source %d", PG_GETARG_INT32(0)),
				 errhint("Only the owner of the extension may detach a source by its number; a table's owner uses backorder.detach().")));
	if (bo_stock_attached(PG_GETARG_INT32(0), &relid))
		bo_detach_stock_source(PG_GETARG_INT32(0), relid);
	else
		detach(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}

/* resync(): reconciles one order, or all; returns lines that changed. */
Datum
bo_resync(PG_FUNCTION_ARGS)
{
	Mapping    *mapping = bo_mapping(bo_attached_argument(fcinfo));
	Settlement	settlement = {0};
	BoSection	section;

	if (PG_ARGISNULL(1))
		PG_RETURN_INT64(reconcile_source(mapping, (ReconcileMode) {.mend = true}));
	bo_enter(&section);			/* the key is read under pinned settings */
	if (!bo_note_order_text(mapping, text_to_cstring(PG_GETARG_TEXT_PP(1)), true))
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("\"%s\" is no order key of %s", text_to_cstring(PG_GETARG_TEXT_PP(1)), mapping->line.name),
				 errhint("A key of several columns is an array literal, such as {1,2}.")));
	bo_leave(&section);
	PG_RETURN_INT64(bo_reconcile_and_settle(&settlement, (ReconcileMode) {0}));
}
