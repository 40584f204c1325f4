/*
 * build.c
 *		Builds a mapping from its source's row: which tables and keys, and the
 *		queries that read them.
 *
 * Expressions are stored as text over "line" and "header"; at plan time both
 * get alias lists that bind the names of attach time to columns by number, so
 * a renamed column is followed (mapped_table.c).
 */
#include "postgres.h"

#include "access/table.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"
#include "store/store.h"

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
	const MappedTable *table = &mapping->line;
	AttrNumber	attnum = bo_plain_column("line", table, expression);

	if (attnum == InvalidAttrNumber)
	{
		table = &mapping->header;
		attnum = bo_plain_column("header", table, expression);
	}
	if (attnum == InvalidAttrNumber || column_is_virtual(table->relid, attnum))
		return InvalidOid;
	return get_atttype(table->relid, attnum);
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

/* ---------- the row of the source ---------- */

/* A mapping that is being built. */
typedef struct Building
{
	Mapping    *mapping;
	SPITupleTable *row;			/* of the source */
	char	   *expression[MAPPED_COLUMNS]; /* NULL: not mapped */
	char	   *line_key[BO_MAX_KEYS];	/* columns first, then expressions */
	char	   *joins;
	char	   *select;			/* SELECT and FROM, which the queries for lines have in common */
	char	   *order_by;
} Building;

static char *
row_text(const Building *b, SourceColumn column)
{
	return bo_result_text(b->row, 0, column);
}

static Oid
row_oid(const Building *b, SourceColumn column)
{
	bool		isnull;

	return DatumGetObjectId(bo_result(b->row, 0, column, &isnull));
}

/* NULL for NULL */
static ArrayType *
row_array(const Building *b, SourceColumn column)
{
	bool		isnull;
	Datum		value = bo_result(b->row, 0, column, &isnull);

	return isnull ? NULL : DatumGetArrayTypePCopy(value);
}

/* Finds out how far the orders of the table are imported. */
static void
read_import(Mapping *mapping)
{
	static const char *const columns[] = {"state"};
	SPITupleTable *row;
	char	   *state;

	PushActiveSnapshot(GetLatestSnapshot());
	row = bo_read_source_row("source_import", "source_import_pkey", mapping->tenant, mapping->source_id, columns, lengthof(columns));
	PopActiveSnapshot();
	state = row == NULL ? "imported" : bo_result_text(row, 0, 1);
	mapping->importing = strcmp(state, "waiting") == 0 || strcmp(state, "importing") == 0;
	mapping->seen_all = strcmp(state, "imported") == 0 && !mapping->park;
}

/* Takes from the row what needs no table. */
static void
read_row(Building *b)
{
	Mapping    *mapping = b->mapping;

	mapping->tenant = row_text(b, SOURCE_TENANT);
	mapping->immediate = strcmp(row_text(b, SOURCE_TIMING), "immediate") == 0;
	mapping->refuse_overship = strcmp(row_text(b, SOURCE_OVERSHIP), "refuse") == 0;
	mapping->park = strcmp(row_text(b, SOURCE_ON_ERROR), "park") == 0;
	mapping->detached = bo_source_is_detached(b->row, SOURCE_DETACHED_AT);
	read_import(mapping);
	for (int i = 0; i < MAPPED_COLUMNS; i++)
		b->expression[i] = row_text(b, SOURCE_EXPRESSIONS + i);
	b->joins = row_text(b, SOURCE_JOINS);
	mapping->ranked = b->expression[MAPPED_PRIORITY] != NULL || b->expression[MAPPED_QUEUED_AT] != NULL;
	mapping->picks = b->expression[MAPPED_PICKED] != NULL;
}

/* ---------- its tables and keys ---------- */

/* Finds the line table and its keys; false where it does not exist any more. */
static bool
resolve_line_table(Building *b)
{
	Mapping    *mapping = b->mapping;
	Oid			known = row_oid(b, SOURCE_LINE_RELID);
	Oid			found = bo_resolve_table(known, row_text(b, SOURCE_LINE_SCHEMA), row_text(b, SOURCE_LINE_TABLE), mapping->source_id);
	ArrayType  *expressions = row_array(b, SOURCE_LINE_KEY_EXPRESSIONS);

	if (!OidIsValid(found))
		return false;
	mapping->owner = bo_relation_owner(found);
	bo_mapped_table(&mapping->line, found, row_array(b, SOURCE_LINE_COLUMNS), found == known ? NULL : row_array(b, SOURCE_LINE_NAMES));
	resolve_keys(&mapping->line, row_array(b, SOURCE_ORDER_KEY), mapping->line.key, mapping->line.key_type, &mapping->line.nkeys, "order key");
	resolve_keys(&mapping->line, row_array(b, SOURCE_LINE_KEY), mapping->line_key, mapping->line_key_type, &mapping->nline_columns, "line key");
	for (int i = 0; i < mapping->nline_columns; i++)
		b->line_key[i] = bo_column_ref("line", &mapping->line, mapping->line_key[i]);
	mapping->nline_keys = mapping->nline_columns;
	if (expressions != NULL)
	{
		Datum	   *datums;
		int			n;

		deconstruct_array(expressions, TEXTOID, -1, false, TYPALIGN_INT, &datums, NULL, &n);
		for (int i = 0; i < n; i++)
			b->line_key[mapping->nline_keys++] = psprintf("(%s)", TextDatumGetCString(datums[i]));
	}
	return true;
}

/* Finds the header table and its key, if the mapping has one. */
static void
resolve_header_table(Building *b)
{
	Mapping    *mapping = b->mapping;
	char	   *schema = row_text(b, SOURCE_HEADER_SCHEMA);
	char	   *name = row_text(b, SOURCE_HEADER_TABLE);
	Oid			known = row_oid(b, SOURCE_HEADER_RELID);
	Oid			found;

	mapping->header.relid = InvalidOid;
	if (schema == NULL)
		return;
	found = bo_resolve_table(known, schema, name, mapping->source_id);
	if (!OidIsValid(found))
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("table \"%s.%s\" of source %d does not exist", schema, name, mapping->source_id),
				 errhint("It was dropped or renamed; attach the line table again.")));
	bo_mapped_table(&mapping->header, found, row_array(b, SOURCE_HEADER_COLUMNS), found == known ? NULL : row_array(b, SOURCE_HEADER_NAMES));
	resolve_keys(&mapping->header, row_array(b, SOURCE_HEADER_KEY), mapping->header.key, mapping->header.key_type, &mapping->header.nkeys, "header key");
}

/* Finds out how arrays of order keys are given to queries, and in how many ways one key may be written. */
static void
learn_order_key(Mapping *mapping)
{
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
		mapping->key_variants |= bo_has_key_variants(&mapping->line, mapping->line.key[i], &line_scale);
		if (OidIsValid(mapping->header.relid))
			mapping->key_variants |= bo_has_key_variants(&mapping->header, mapping->header.key[i], &header_scale) || line_scale != header_scale;
	}
}

/* ---------- its queries ---------- */

/* The ith column of the order key, in the line table. */
static char *
order_key_ref(const Mapping *mapping, int i)
{
	return bo_column_ref("line", &mapping->line, mapping->line.key[i]);
}

/* Appends the columns of the order key, and with line_key the line key, separated by commas. */
static void
append_keys(StringInfo s, const Building *b, bool line_key)
{
	for (int i = 0; i < b->mapping->line.nkeys; i++)
		appendStringInfo(s, "%s%s", i ? ", " : "", order_key_ref(b->mapping, i));
	for (int i = 0; line_key && i < b->mapping->nline_keys; i++)
		appendStringInfo(s, ", %s", b->line_key[i]);
}

/* Makes SELECT, FROM and ORDER BY of the queries for lines; bo_mapping_read() knows their columns by position. */
static void
build_select(Building *b)
{
	Mapping    *mapping = b->mapping;
	int			ncolumns = mapping->line.nkeys + mapping->nline_keys;
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, "SELECT ");
	append_keys(&s, b, true);
	for (int i = 0; i < MAPPED_COLUMNS; i++)
	{
		if (b->expression[i] != NULL)
			append_expression(&s, mapping, i, b->expression[i]);
		mapping->at[i] = b->expression[i] != NULL ? ncolumns++ : -1;
	}
	mapping->header_key_at = mapping->key_variants && OidIsValid(mapping->header.relid) ? ncolumns : -1;
	if (mapping->header_key_at >= 0)
		for (int i = 0; i < mapping->header.nkeys; i++)
			appendStringInfo(&s, ", %s::%s", bo_column_ref("header", &mapping->header, mapping->header.key[i]), format_type_be_qualified(mapping->line.key_type[i]));
	appendStringInfoString(&s, bo_from_clause(&mapping->line, &mapping->header, b->joins));
	b->select = s.data;

	initStringInfo(&s);
	appendStringInfoString(&s, " ORDER BY ");
	append_keys(&s, b, true);
	b->order_by = s.data;
}

/* A condition that takes the lines of several orders: by arrays of keys, $1 ... */
static char *
condition_of_orders(const Mapping *mapping)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, " WHERE ");
	if (mapping->line.nkeys == 1 && !mapping->key_as_text[0])
	{
		appendStringInfo(&s, "%s %s ANY ($1)", order_key_ref(mapping, 0), bo_equals(mapping->line.key_type[0], mapping->line.key_type[0]));
		return s.data;
	}
	/* As IN, which would take the "=" that it finds in the search_path. */
	appendStringInfoString(&s, "EXISTS (SELECT FROM ROWS FROM (");
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%sunnest($%d)", i ? ", " : "", i + 1);
	appendStringInfoString(&s, ") AS given(");
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%sk%d", i ? ", " : "", i + 1);
	appendStringInfoChar(&s, ')');
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s%s %s given.k%d::%s", i ? " AND " : " WHERE ", order_key_ref(mapping, i),
						 bo_equals(mapping->line.key_type[i], mapping->line.key_type[i]), i + 1, format_type_be_qualified(mapping->line.key_type[i]));
	appendStringInfoChar(&s, ')');
	return s.data;
}

/* Makes the queries for the lines of all orders, and of several. */
static void
build_many(Building *b)
{
	Mapping    *mapping = b->mapping;

	mapping->queries[MAPPING_ALL] = psprintf("%s%s", b->select, b->order_by);
	mapping->where_keys = condition_of_orders(mapping);
	mapping->queries[MAPPING_FEW] = mapping->queries[MAPPING_MANY] = psprintf("%s%s%s", b->select, mapping->where_keys, b->order_by);
	mapping->stock_keys_query = psprintf("SELECT DISTINCT q.mapped_item COLLATE pg_catalog.\"C\", %s COLLATE pg_catalog.\"C\" FROM (%s%s) q "
										 "WHERE q.mapped_item IS NOT NULL AND (q.mapped_live AND q.mapped_quantity > 0%s)",
										 mapping->at[MAPPED_LOCATION] < 0 ? "''::text" : "coalesce(q.mapped_location, '')", b->select, mapping->where_keys,
										 mapping->at[MAPPED_SHIPPED] < 0 ? "" : " OR q.mapped_shipped > 0");
}

/* Makes the queries for one order, by its key, $1 ..., which then finds the header too; and for one of its lines, by the next ones. */
static void
build_one(Building *b)
{
	Mapping    *mapping = b->mapping;
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, b->select);
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s%s %s $%d", i ? " AND " : " WHERE ", order_key_ref(mapping, i),
						 bo_equals(mapping->line.key_type[i], mapping->line.key_type[i]), i + 1);
	mapping->queries[MAPPING_ONE] = psprintf("%s%s", s.data, b->order_by);
	for (int i = 0; i < mapping->nline_columns; i++)
		appendStringInfo(&s, " AND %s %s $%d", b->line_key[i], bo_equals(mapping->line_key_type[i], mapping->line_key_type[i]), mapping->line.nkeys + i + 1);
	appendStringInfoString(&s, b->order_by);
	mapping->queries[MAPPING_LINE] = s.data;
}

/* Makes the queries for the keys of all orders, and for how many lines have none. */
static void
build_keys(Building *b)
{
	Mapping    *mapping = b->mapping;
	StringInfoData s;

	initStringInfo(&s);
	/* DISTINCT would take one spelling for all. */
	appendStringInfoString(&s, mapping->key_variants ? "SELECT " : "SELECT DISTINCT ");
	append_keys(&s, b, false);
	appendStringInfo(&s, " FROM %s ORDER BY ", bo_aliased("line", &mapping->line));
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s%d", i ? ", " : "", i + 1);
	mapping->keys_query = s.data;

	initStringInfo(&s);
	appendStringInfo(&s, "SELECT count(*) FROM %s WHERE false", bo_aliased("line", &mapping->line));
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, " OR %s IS NULL", order_key_ref(mapping, i));
	for (int i = 0; i < mapping->nline_columns; i++)
		appendStringInfo(&s, " OR %s IS NULL", b->line_key[i]);
	mapping->keyless_query = s.data;
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
	mapping->lines_independent = list_length(query->rtable) == (OidIsValid(mapping->header.relid) ? 3 : 1) && !query->hasSubLinks &&
		mapping->nline_keys == mapping->nline_columns && !bo_calls_functions(query) && !mapping->key_variants;
	for (int i = 0; i < mapping->nline_columns && mapping->lines_independent; i++)
		mapping->lines_independent = !bo_has_key_variants(&mapping->line, mapping->line_key[i], &(int32) {0});
	for (int i = mapping->nline_columns; i < mapping->nline_keys; i++)
		mapping->line_key_type[i] = getBaseType(exprType((Node *) ((TargetEntry *) list_nth(query->targetList, mapping->line.nkeys + i))->expr));
	for (int i = 0; i < mapping->nline_keys; i++)
		mapping->pin_keys |= bo_key_depends_on_settings(mapping->line_key_type[i]);
	mapping->readable_from_tuples = bo_mapping_reads_tuples(mapping, query);
	mapping->columns = query->targetList;
}

/*
 * Builds the mapping of a table of order lines from the source's row.  False
 * where the table does not exist any more.
 */
bool
bo_mapping_build(Mapping *mapping)
{
	Building	b = {.mapping = mapping};
	SpiScope	spi;
	MemoryContext old;
	bool		exists;

	bo_spi_begin(&spi);
	b.row = bo_read_source(mapping->source_id, SOURCE_OF_ORDERS);
	BO_POINT("loading");
	old = MemoryContextSwitchTo(mapping->cx);
	read_row(&b);
	exists = resolve_line_table(&b);
	if (exists)
	{
		resolve_header_table(&b);
		learn_order_key(mapping);
		build_select(&b);
		build_many(&b);
		build_one(&b);
		build_keys(&b);
		analyze_query(mapping);
		bo_watch_load(mapping);
	}
	MemoryContextSwitchTo(old);
	bo_spi_end(&spi);
	return exists;
}
