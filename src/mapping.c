/*
 * mapping.c
 *		An attached table: its mapping as SQL text, loaded from the source's row
 *		and again when anything about its tables changes.
 *
 * Expressions are stored as text over "line" and "header"; at plan time both
 * get alias lists that bind the names of attach time to columns by number, so
 * a renamed column is followed (mapped_table.c).  What the queries find is
 * mapping_read.c's.
 */
#include "backorder.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static HTAB *mappings;			/* by source_id */
static uint32 loads;			/* of mappings, so far */

/* The sources that are being loaded, the innermost first. */
typedef struct Loading
{
	bool	   *valid;
	struct Loading *outer;
} Loading;

static Loading *loading;

/* Invalidation only sets flags; relid InvalidOid means everything. */
static void
relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS seq;
	Mapping    *mapping;

	/* What is being loaded does not say yet of which tables it is. */
	for (Loading *l = loading; l != NULL; l = l->outer)
		*l->valid = false;
	hash_seq_init(&seq, mappings);
	while ((mapping = hash_seq_search(&seq)) != NULL)
		if (relid == InvalidOid || mapping->line.relid == relid || mapping->header.relid == relid || bo_watches(mapping, relid))
			mapping->valid = false;
}

/* Queries name tables: a schema that is renamed changes none of these itself. */
static void
schema_changed(Datum arg, int cacheid, uint32 hash)
{
	relation_changed(arg, InvalidOid);
}

void
bo_mapping_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(int32),.entrysize = sizeof(Mapping)};

	mappings = hash_create("backorder mappings", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
}

/* The source's row was changed by this backend. */
void
bo_mapping_forget(int32 source_id)
{
	Mapping    *mapping = hash_search(mappings, &source_id, HASH_FIND, NULL);

	if (mapping)
		mapping->valid = false;
}

/* ---------- loading ---------- */

/* Does a table carry our capture trigger for this source? */
static bool
carries_capture(Oid relid, int32 source_id)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	Oid			capture = bo_function("capture");
	bool		found = false;

	if (rel == NULL)
		return false;
	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers && !found; i++)
	{
		Trigger    *t = &rel->trigdesc->triggers[i];

		found = t->tgfoid == capture && t->tgnargs == 2 && atoi(t->tgargs[0]) == source_id;
	}
	relation_close(rel, NoLock);
	return found;
}

/*
 * The table of a source: the one it was attached to as long as that carries
 * our trigger, whatever it is called now; after a restore, the name counts.
 */
Oid
bo_resolve_table(Oid cached, char *schema, char *name, int32 source_id)
{
	Oid			nsp;

	if (schema == NULL)
		return InvalidOid;
	if (OidIsValid(cached) && carries_capture(cached, source_id))
		return cached;
	nsp = get_namespace_oid(schema, true);
	return OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;
}

static void
resolve_keys(MappedTable *table, ArrayType *names, AttrNumber *keys, Oid *types, int *nkeys, const char *what)
{
	Datum	   *datums;
	int			n;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &datums, NULL, &n);
	*nkeys = n;
	for (int i = 0; i < n; i++)
	{
		char	   *name = TextDatumGetCString(datums[i]);

		keys[i] = bo_mapped_column(table, name);
		if (keys[i] == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_BO_EVALUATION),
					 errmsg("mapping of table %s cannot be read", table->name),
					 errdetail("Column \"%s\" of its %s does not exist any more.", name, what),
					 errhint("Attach the table again with the columns it has now, or detach it with backorder.detach().")));
		types[i] = getBaseType(get_atttype(table->relid, keys[i]));
	}
}

/* Is a column computed when it is read?  Then reading it may fail. */
static bool
column_is_virtual(Oid relid, AttrNumber attnum)
{
	Relation	rel = table_open(relid, AccessShareLock);
	bool		result = bo_is_virtual(TupleDescAttr(RelationGetDescr(rel), attnum - 1));

	table_close(rel, NoLock);
	return result;
}

/* The type of a column that is all there is to an expression; InvalidOid for any other expression. */
static Oid
plain_column_type(Mapping *mapping, const char *expression)
{
	const MappedTable *tables[] = {&mapping->line, &mapping->header};
	static const char *const sides[] = {"line", "header"};

	for (int side = 0; side < 2; side++)
		for (int i = 0; i < tables[side]->natts; i++)
			if (tables[side]->alias[i] != NULL && strcmp(expression, bo_column_ref(sides[side], tables[side], i + 1)) == 0)
				return column_is_virtual(tables[side]->relid, i + 1) ? InvalidOid : get_atttype(tables[side]->relid, i + 1);
	return InvalidOid;
}

/* Can reading this expression, cast to what the column is, not fail? */
static bool
cannot_fail(Mapping *mapping, const char *expression, const char *type)
{
	Oid			from;

	if (strcmp(type, "boolean") == 0 && strcmp(expression, "true") == 0)
		return true;
	from = plain_column_type(mapping, expression);
	switch (from)
	{
		case INT2OID:
		case INT4OID:
			return strcmp(type, "numeric") == 0 || strcmp(type, "integer") == 0 || strcmp(type, "text") == 0;
		case INT8OID:
		case NUMERICOID:
			return strcmp(type, "numeric") == 0 || strcmp(type, "text") == 0;
		case TEXTOID:
		case VARCHAROID:
		case UUIDOID:
			return strcmp(type, "text") == 0;
		case BOOLOID:
			return strcmp(type, "boolean") == 0;
		case DATEOID:
			return strcmp(type, "date") == 0;
		case TIMESTAMPTZOID:
			return strcmp(type, "timestamptz") == 0;
		default:
			return false;
	}
}

/* The mapped columns, by MappedColumn. */
static const struct
{
	const char *name;
	const char *type;
}			mapped_columns[MAPPED_COLUMNS] =
{
	[MAPPED_ITEM] = {"item", "text"},
	[MAPPED_QUANTITY] = {"quantity", "numeric"},
	[MAPPED_LIVE] = {"live", "boolean"},
	[MAPPED_SHIPPED] = {"shipped", "numeric"},
	[MAPPED_PICKED] = {"picked", "numeric"},
	[MAPPED_CANCELLED] = {"cancelled", "numeric"},
	[MAPPED_LOCATION] = {"location", "text"},
	[MAPPED_CUSTOMER] = {"customer", "text"},
	[MAPPED_PRIORITY] = {"priority", "integer"},
	[MAPPED_QUEUED_AT] = {"queued_at", "timestamptz"},
	[MAPPED_REQUESTED_AT] = {"requested_at", "date"},
	[MAPPED_HELD] = {"held", "boolean"},
};

/* A mapped expression, marked so that an error in it can be named. */
static void
append_expression(StringInfo s, Mapping *mapping, MappedColumn column, const char *expression)
{
	const char *name = mapped_columns[column].name;
	const char *type = mapped_columns[column].type;

	if (cannot_fail(mapping, expression, type))
		appendStringInfo(s, ", (%s)::%s", expression, type);
	else
		appendStringInfo(s, ", CASE WHEN backorder_internal.evaluating('%s', %s::text) THEN (%s)::%s END", name,
						 bo_column_ref("line", &mapping->line, mapping->line.key[0]), expression, type);
	appendStringInfo(s, " AS mapped_%s", name);
}

static ArrayType *
get_array(int column)
{
	bool		isnull;
	Datum		value = bo_get(0, column, &isnull);

	return isnull ? NULL : DatumGetArrayTypePCopy(value);
}

/* Columns of a table that the mapping reads; NULL where the mapping does not name the table. */
Bitmapset *
bo_mapping_columns_read(Mapping *mapping, Oid relid)
{
	ListCell   *lc;

	foreach(lc, mapping->reads)
		if (((TableRead *) lfirst(lc))->relid == relid)
			return ((TableRead *) lfirst(lc))->used;
	return NULL;
}

/* What the mapping query reads, and the types of the line key, by analyzing it. */
static void
analyze_query(Mapping *mapping)
{
	Query	   *query = bo_mapping_analyze(mapping, mapping->queries[MAPPING_ALL]);

	mapping->reads = bo_tables_read(query);
	mapping->line.used = bo_mapping_columns_read(mapping, mapping->line.relid);
	if (OidIsValid(mapping->header.relid))
		mapping->header.used = bo_mapping_columns_read(mapping, mapping->header.relid);
	/* Nothing joined: neither further tables nor anything else. */
	mapping->by_line = list_length(query->rtable) == (OidIsValid(mapping->header.relid) ? 3 : 1) && !query->hasSubLinks &&
		mapping->nline_keys == mapping->nline_columns && !bo_calls_functions(query) && !mapping->spellings;
	for (int i = 0; i < mapping->nline_columns && mapping->by_line; i++)
		mapping->by_line = !bo_has_spellings(&mapping->line, mapping->line_key[i], &(int32) {0});
	for (int i = mapping->nline_columns; i < mapping->nline_keys; i++)
		mapping->line_key_type[i] = getBaseType(exprType((Node *) ((TargetEntry *) list_nth(query->targetList, mapping->line.nkeys + i))->expr));
	for (int i = 0; i < mapping->nline_keys; i++)
		mapping->pin_keys |= bo_key_depends_on_settings(mapping->line_key_type[i]);
	mapping->by_rows = bo_mapping_by_rows(mapping, query);
}

/*
 * Reads the row of a source into SPI_tuptable, as it is now even where the
 * transaction's snapshot is older.  Expects a section.
 */
static void
read_source(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	uint64		n;

	PushActiveSnapshot(GetLatestSnapshot());
	n = bo_exec(BO_READ_SOURCE, NULL, &arg, true);
	PopActiveSnapshot();
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("source %d does not exist", source_id),
				 errhint("Its trigger is left over: drop it, or attach the table again. Restore data alone with --disable-triggers.")));
}

/* False where the line table does not exist any more. */
static bool
load(void *entry, int32 source_id)
{
	Mapping    *mapping = entry;
	BoSection	section;
	MemoryContext old;
	char	   *expr[MAPPED_COLUMNS];
	int			ncolumns;
	StringInfoData s;
	char	   *line_schema;
	char	   *line_table;
	Oid			line_relid;
	Oid			header_relid;
	char	   *joins;
	char	   *line_key[BO_MAX_KEYS];
	ArrayType  *expressions;
	char	   *query;
	char	   *order_by;

	bo_enter(&section);
	read_source(source_id);
	BO_POINT("loading");
	old = MemoryContextSwitchTo(mapping->cx);
	mapping->tenant = bo_get_text(0, 1);
	mapping->source_id = source_id;
	line_schema = bo_get_text(0, 3);
	line_table = bo_get_text(0, 4);
	line_relid = DatumGetObjectId(bo_get(0, 5, &(bool) {0}));
	header_relid = DatumGetObjectId(bo_get(0, 8, &(bool) {0}));
	for (int i = 0; i < MAPPED_COLUMNS; i++)
		expr[i] = bo_get_text(0, 12 + i);
	mapping->immediate = strcmp(bo_get_text(0, 26), "immediate") == 0;
	mapping->refuse_overship = strcmp(bo_get_text(0, 27), "refuse") == 0;
	mapping->detached = bo_get_bool(0, 28);
	joins = bo_get_text(0, 29);
	mapping->park = strcmp(bo_get_text(0, 31), "park") == 0;
	mapping->importing = bo_get_bool(0, 34);
	mapping->queued_mapped = expr[MAPPED_QUEUED_AT] != NULL;
	mapping->ranked = expr[MAPPED_PRIORITY] != NULL || mapping->queued_mapped;
	mapping->picks = expr[MAPPED_PICKED] != NULL;

	{
		Oid			found = bo_resolve_table(line_relid, line_schema, line_table, source_id);

		if (!OidIsValid(found))
		{
			MemoryContextSwitchTo(old);
			bo_leave(&section);
			return false;
		}
		mapping->owner = bo_relation_owner(found);
		bo_mapped_table(&mapping->line, found, get_array(24), found == line_relid ? NULL : get_array(32));
		resolve_keys(&mapping->line, get_array(9), mapping->line.key, mapping->line.key_type, &mapping->line.nkeys, "order key");
		resolve_keys(&mapping->line, get_array(10), mapping->line_key, mapping->line_key_type, &mapping->nline_columns, "line key");
		mapping->nline_keys = mapping->nline_columns;
		for (int i = 0; i < BO_MAX_KEYS; i++)
			line_key[i] = i < mapping->nline_columns ? bo_column_ref("line", &mapping->line, mapping->line_key[i]) : NULL;
		expressions = get_array(30);
		if (expressions != NULL)
		{
			Datum	   *datums;
			int			n;

			deconstruct_array(expressions, TEXTOID, -1, false, TYPALIGN_INT, &datums, NULL, &n);
			for (int i = 0; i < n; i++)
				line_key[mapping->nline_keys++] = psprintf("(%s)", TextDatumGetCString(datums[i]));
		}
		mapping->header.relid = InvalidOid;
		if (bo_get_text(0, 6) != NULL)
		{
			found = bo_resolve_table(header_relid, bo_get_text(0, 6), bo_get_text(0, 7), source_id);
			if (!OidIsValid(found))
				ereport(ERROR,
						(errcode(ERRCODE_BO_NOT_ATTACHED),
						 errmsg("table \"%s.%s\" of source %d does not exist", bo_get_text(0, 6), bo_get_text(0, 7), source_id),
						 errhint("It was dropped or renamed; attach the line table again.")));
			bo_mapped_table(&mapping->header, found, get_array(25), found == header_relid ? NULL : get_array(33));
			resolve_keys(&mapping->header, get_array(11), mapping->header.key, mapping->header.key_type, &mapping->header.nkeys, "header key");
		}
	}
	for (int i = 0; i < mapping->line.nkeys; i++)
	{
		int32		line_scale;
		int32		header_scale;

		mapping->array_type[i] = get_array_type(mapping->line.key_type[i]);
		/* There are no arrays of arrays, and unnest() takes rows apart. */
		mapping->key_as_text[i] = !OidIsValid(mapping->array_type[i]) || type_is_rowtype(mapping->line.key_type[i]);
		if (mapping->key_as_text[i])
			mapping->array_type[i] = TEXTARRAYOID;
		mapping->pin_keys |= bo_key_depends_on_settings(mapping->line.key_type[i]);
		mapping->spellings |= bo_has_spellings(&mapping->line, mapping->line.key[i], &line_scale);
		if (OidIsValid(mapping->header.relid))
			mapping->spellings |= bo_has_spellings(&mapping->header, mapping->header.key[i], &header_scale) || line_scale != header_scale;
	}

	/* The mapping query; bo_mapping_read knows its columns by position. */
	initStringInfo(&s);
	appendStringInfoString(&s, "SELECT ");
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s, ", bo_column_ref("line", &mapping->line, mapping->line.key[i]));
	for (int i = 0; i < mapping->nline_keys; i++)
		appendStringInfo(&s, "%s%s", i ? ", " : "", line_key[i]);
	ncolumns = mapping->line.nkeys + mapping->nline_keys;
	for (int i = 0; i < MAPPED_COLUMNS; i++)
	{
		if (expr[i] != NULL)
			append_expression(&s, mapping, i, expr[i]);
		mapping->at[i] = expr[i] != NULL ? ncolumns++ : -1;
	}
	mapping->header_key_at = mapping->spellings && OidIsValid(mapping->header.relid) ? ncolumns : -1;
	if (mapping->header_key_at >= 0)
		for (int i = 0; i < mapping->header.nkeys; i++)
			appendStringInfo(&s, ", %s::%s", bo_column_ref("header", &mapping->header, mapping->header.key[i]), format_type_be_qualified(mapping->line.key_type[i]));
	appendStringInfoString(&s, bo_from_clause(&mapping->line, &mapping->header, joins));
	query = s.data;

	initStringInfo(&s);
	appendStringInfoString(&s, " ORDER BY ");
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s, ", bo_column_ref("line", &mapping->line, mapping->line.key[i]));
	for (int i = 0; i < mapping->nline_keys; i++)
		appendStringInfo(&s, "%s%s", i ? ", " : "", line_key[i]);
	order_by = s.data;
	mapping->queries[MAPPING_ALL] = psprintf("%s%s", query, order_by);

	/* Several orders: by arrays of keys, $1 ... */
	initStringInfo(&s);
	appendStringInfoString(&s, " WHERE ");
	if (mapping->line.nkeys == 1 && !mapping->key_as_text[0])
		appendStringInfo(&s, "%s %s ANY ($1)", bo_column_ref("line", &mapping->line, mapping->line.key[0]),
						 bo_equals(mapping->line.key_type[0], mapping->line.key_type[0]));
	else
	{
		/* As IN, which would take the "=" that it finds in the search_path. */
		appendStringInfoString(&s, "EXISTS (SELECT FROM ROWS FROM (");
		for (int i = 0; i < mapping->line.nkeys; i++)
			appendStringInfo(&s, "%sunnest($%d)", i ? ", " : "", i + 1);
		appendStringInfoString(&s, ") AS given(");
		for (int i = 0; i < mapping->line.nkeys; i++)
			appendStringInfo(&s, "%sk%d", i ? ", " : "", i + 1);
		appendStringInfoChar(&s, ')');
		for (int i = 0; i < mapping->line.nkeys; i++)
			appendStringInfo(&s, "%s%s %s given.k%d::%s", i ? " AND " : " WHERE ", bo_column_ref("line", &mapping->line, mapping->line.key[i]),
							 bo_equals(mapping->line.key_type[i], mapping->line.key_type[i]), i + 1, format_type_be_qualified(mapping->line.key_type[i]));
		appendStringInfoChar(&s, ')');
	}
	mapping->where_keys = s.data;
	mapping->queries[MAPPING_FEW] = mapping->queries[MAPPING_MANY] = psprintf("%s%s%s", query, s.data, order_by);
	mapping->places_query = psprintf("SELECT DISTINCT q.mapped_item COLLATE pg_catalog.\"C\", %s COLLATE pg_catalog.\"C\" FROM (%s%s) q "
									 "WHERE q.mapped_item IS NOT NULL AND (q.mapped_live AND q.mapped_quantity > 0%s)",
									 mapping->at[MAPPED_LOCATION] < 0 ? "''::text" : "coalesce(q.mapped_location, '')", query, s.data,
									 mapping->at[MAPPED_SHIPPED] < 0 ? "" : " OR q.mapped_shipped > 0");

	/* One order: by its key, $1 ..., which then finds the header too; and one of its lines, by the next ones. */
	initStringInfo(&s);
	appendStringInfoString(&s, query);
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s%s %s $%d", i ? " AND " : " WHERE ", bo_column_ref("line", &mapping->line, mapping->line.key[i]),
						 bo_equals(mapping->line.key_type[i], mapping->line.key_type[i]), i + 1);
	mapping->queries[MAPPING_ONE] = psprintf("%s%s", s.data, order_by);
	for (int i = 0; i < mapping->nline_columns; i++)
		appendStringInfo(&s, " AND %s %s $%d", line_key[i], bo_equals(mapping->line_key_type[i], mapping->line_key_type[i]), mapping->line.nkeys + i + 1);
	appendStringInfoString(&s, order_by);
	mapping->queries[MAPPING_LINE] = s.data;

	initStringInfo(&s);
	/* DISTINCT would take one spelling for all. */
	appendStringInfoString(&s, mapping->spellings ? "SELECT " : "SELECT DISTINCT ");
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s%s", i ? ", " : "", bo_column_ref("line", &mapping->line, mapping->line.key[i]));
	appendStringInfo(&s, " FROM %s ORDER BY ", bo_aliased("line", &mapping->line));
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s%d", i ? ", " : "", i + 1);
	mapping->keys_query = s.data;

	initStringInfo(&s);
	appendStringInfo(&s, "SELECT count(*) FROM %s WHERE false", bo_aliased("line", &mapping->line));
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, " OR %s IS NULL", bo_column_ref("line", &mapping->line, mapping->line.key[i]));
	for (int i = 0; i < mapping->nline_columns; i++)
		appendStringInfo(&s, " OR %s IS NULL", line_key[i]);
	mapping->keyless_query = s.data;

	analyze_query(mapping);
	bo_watch_load(mapping);
	MemoryContextSwitchTo(old);
	bo_leave(&section);
	return true;
}

void
bo_free_plan(SPIPlanPtr *plan)
{
	if (*plan != NULL)
		SPI_freeplan(*plan);
	*plan = NULL;
}

/*
 * Loads what a cache keeps of a source; false where its table does not exist
 * any more.  Then, after an error, and after an invalidation meanwhile, what
 * was loaded is not valid.
 */
bool
bo_load_source(int32 source_id, bool *valid, bool (*load) (void *entry, int32 source_id), void *entry)
{
	volatile bool exists = false;
	Loading		this = {valid, loading};

	*valid = true;				/* an invalidation while loading clears it again */
	loading = &this;
	PG_TRY();
	{
		exists = load(entry, source_id);
	}
	PG_FINALLY();
	{
		loading = this.outer;
		*valid &= exists;
	}
	PG_END_TRY();
	return exists;
}

/*
 * The mapping of a source, loaded again if anything about its tables changed;
 * NULL where its line table does not exist any more.  Takes no lock that
 * lasts beyond AccessShare on the tables.
 */
Mapping *
bo_mapping_if_exists(int32 source_id)
{
	bool		found;
	Mapping    *mapping = hash_search(mappings, &source_id, HASH_ENTER, &found);

	if (!found)
	{
		memset(mapping, 0, sizeof(*mapping));
		mapping->source_id = source_id;
	}
	if (!mapping->valid)
	{
		for (int i = 0; i < (int) lengthof(mapping->plans); i++)
			bo_free_plan(&mapping->plans[i]);
		bo_free_plan(&mapping->places_plan);
		bo_watch_free(mapping);
		if (mapping->cx)
			MemoryContextDelete(mapping->cx);
		memset(mapping, 0, sizeof(*mapping));
		mapping->source_id = source_id;
		mapping->load = ++loads;
		mapping->cx = AllocSetContextCreate(CacheMemoryContext, "backorder mapping", ALLOCSET_SMALL_SIZES);
		BO_POINT("mapping");
		if (!bo_load_source(source_id, &mapping->valid, load, mapping))
			return NULL;
	}
	return mapping;
}

/* The same, with an error where the line table does not exist any more. */
Mapping *
bo_mapping(int32 source_id)
{
	Mapping    *mapping = bo_mapping_if_exists(source_id);

	if (mapping == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("the table of source %d does not exist any more", source_id),
				 errhint("End its lines with backorder.detach_source(%d), or attach the table that took its place.", source_id)));
	return mapping;
}

/* Is the mapping in memory, and nothing of its tables changed? */
bool
bo_mapping_is_loaded(int32 source_id)
{
	Mapping    *mapping = hash_search(mappings, &source_id, HASH_FIND, NULL);

	return mapping != NULL && mapping->valid;
}

/* A mapping that says whose a source is and nothing of its tables, in the current context: enough to end its lines. */
Mapping *
bo_mapping_stub(int32 source_id)
{
	BoSection	section;
	Mapping    *mapping = palloc0(sizeof(Mapping));
	MemoryContext cx = CurrentMemoryContext;

	bo_enter(&section);
	read_source(source_id);
	MemoryContextSwitchTo(cx);
	mapping->source_id = source_id;
	mapping->tenant = bo_get_text(0, 1);
	mapping->detached = bo_get_bool(0, 28);
	mapping->park = strcmp(bo_get_text(0, 31), "park") == 0;
	mapping->line.name = quote_qualified_identifier(bo_get_text(0, 3), bo_get_text(0, 4));
	mapping->line.relid = bo_resolve_table(DatumGetObjectId(bo_get(0, 5, &(bool) {0})), bo_get_text(0, 3), bo_get_text(0, 4), source_id);
	mapping->header.relid = bo_resolve_table(DatumGetObjectId(bo_get(0, 8, &(bool) {0})), bo_get_text(0, 6), bo_get_text(0, 7), source_id);
	bo_leave(&section);
	return mapping;
}

/*
 * The source that a table of order lines is or was attached as, as it is now
 * even where the transaction's snapshot is older.  Returns 0 for none; tenant
 * is allocated in the current context.
 */
int32
bo_source_of_table(Oid relid, char **tenant, bool *detached)
{
	BoSection	section;
	MemoryContext cx = CurrentMemoryContext;
	Datum		args[3] = {ObjectIdGetDatum(relid), bo_text(get_namespace_name(get_rel_namespace(relid))), bo_text(get_rel_name(relid))};
	int32		source_id = 0;

	bo_enter(&section);
	PushActiveSnapshot(GetLatestSnapshot());
	if (bo_exec(BO_READ_SOURCE_BY_TABLE, NULL, args, true) > 0)
	{
		MemoryContextSwitchTo(cx);
		source_id = bo_get_int32(0, 1);
		*tenant = bo_get_text(0, 2);
		*detached = bo_get_bool(0, 3);
	}
	PopActiveSnapshot();
	bo_leave(&section);
	return source_id;
}
