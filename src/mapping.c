/*
 * mapping.c
 *		An attached table: its mapping as SQL text and plans.
 *
 * The only code that reads the application's tables.  Expressions are stored
 * as text over "line" and "header"; at plan time both get alias lists that
 * bind the names of attach time to columns by number, so a renamed column is
 * followed.  Queries run as the owner of the tables in a security-restricted
 * operation, inside the caller's section with its pinned settings.
 */
#include "backorder.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static HTAB *mappings;			/* by source_id */

/* The mapped column and order that are being evaluated, for errors. */
static char evaluating_column[NAMEDATALEN];
static char evaluating_order[256];

PG_FUNCTION_INFO_V1(bo_evaluating);

/*
 * evaluating(column, order) returns true: notes what the mapping query is at.
 */
Datum
bo_evaluating(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0))
		text_to_cstring_buffer(PG_GETARG_TEXT_PP(0), evaluating_column, sizeof(evaluating_column));
	if (!PG_ARGISNULL(1))
		text_to_cstring_buffer(PG_GETARG_TEXT_PP(1), evaluating_order, sizeof(evaluating_order));
	PG_RETURN_BOOL(true);
}

/* Invalidation only sets flags; relid InvalidOid means everything. */
static void
relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS seq;
	Mapping    *mapping;

	if (mappings == NULL)
		return;
	hash_seq_init(&seq, mappings);
	while ((mapping = hash_seq_search(&seq)) != NULL)
		if (relid == InvalidOid || mapping->line.relid == relid || mapping->header.relid == relid || bo_watches(mapping, relid))
			mapping->valid = false;
}

void
bo_mapping_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(int32),.entrysize = sizeof(Mapping)};

	mappings = hash_create("backorder mappings", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}

/* The source's row was changed by this backend. */
void
bo_mapping_forget(int32 source_id)
{
	Mapping    *mapping = hash_search(mappings, &source_id, HASH_FIND, NULL);

	if (mapping)
		mapping->valid = false;
}

/* ---------- columns ---------- */

static char *
element(Datum *array, int n, int i)
{
	return i < n ? TextDatumGetCString(array[i]) : "";
}

/*
 * Fills the names by which a mapping knows a table's columns.  columns has
 * those of attach time by number, names what each is called now.  With names
 * NULL the table is the one that was attached, and the number counts; after a
 * restore it is another, and the name does.
 */
void
bo_mapped_table(MappedTable *table, Oid relid, ArrayType *columns, ArrayType *names)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	Datum	   *known = NULL;
	Datum	   *called = NULL;
	int			nknown = 0;
	int			ncalled = 0;

	if (columns != NULL)
		deconstruct_array(columns, TEXTOID, -1, false, TYPALIGN_INT, &known, NULL, &nknown);
	if (names != NULL)
		deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &called, NULL, &ncalled);
	memset(table, 0, sizeof(*table));
	table->relid = relid;
	table->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel));
	table->natts = desc->natts;
	table->alias = palloc0(sizeof(char *) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		char	   *alias = NULL;

		if (att->attisdropped)
			continue;
		if (names == NULL)
			alias = element(known, nknown, i);
		else
			for (int j = 0; j < ncalled && alias == NULL; j++)
				if (strcmp(element(called, ncalled, j), NameStr(att->attname)) == 0)
					alias = element(known, nknown, j);
		if (alias != NULL && alias[0] != '\0')
		{
			table->alias[i] = alias;
			continue;
		}
		/* A column added later; it may have taken a name that the mapping uses for another. */
		table->alias[i] = pstrdup(NameStr(att->attname));
		for (int j = 0; j < nknown; j++)
			if (strcmp(table->alias[i], element(known, nknown, j)) == 0)
				table->alias[i] = psprintf("backorder_column_%d", i + 1);
	}
	table_close(rel, NoLock);
}

/* The column's number, or InvalidAttrNumber. */
AttrNumber
bo_mapped_column(const MappedTable *table, const char *name)
{
	for (int i = 0; i < table->natts; i++)
		if (table->alias[i] != NULL && strcmp(table->alias[i], name) == 0)
			return i + 1;
	return InvalidAttrNumber;
}

static char *
column_ref(const char *side, const MappedTable *table, AttrNumber attnum)
{
	return psprintf("%s.%s", side, quote_identifier(table->alias[attnum - 1]));
}

/* The alias of a table in FROM, which gives its columns the names that the mapping knows. */
char *
bo_alias(const char *side, const MappedTable *table)
{
	StringInfoData s;
	const char *comma = "";

	initStringInfo(&s);
	appendStringInfo(&s, "%s(", side);
	for (int i = 0; i < table->natts; i++)
	{
		if (table->alias[i] == NULL)
			continue;
		appendStringInfo(&s, "%s%s", comma, quote_identifier(table->alias[i]));
		comma = ", ";
	}
	appendStringInfoChar(&s, ')');
	return s.data;
}

/* A table as a FROM item under such an alias. */
char *
bo_aliased(const char *side, const MappedTable *table)
{
	return psprintf("%s AS %s", table->name, bo_alias(side, table));
}

/* "=" for two types: the type's own where they are the same, wherever it lives. */
static char *
equals(Oid left, Oid right)
{
	if (left == right)
	{
		Oid			opr = lookup_type_cache(left, TYPECACHE_EQ_OPR)->eq_opr;

		if (OidIsValid(opr))
		{
			HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(opr));
			Form_pg_operator form;
			char	   *text;

			if (!HeapTupleIsValid(tuple))
				elog(ERROR, "cache lookup failed for operator %u", opr);
			form = (Form_pg_operator) GETSTRUCT(tuple);
			text = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)), NameStr(form->oprname));
			ReleaseSysCache(tuple);
			return text;
		}
	}
	return "=";
}

/* FROM line, header if there is one, and joins if there are any (text of bo_prepare_joins). */
char *
bo_from_clause(const MappedTable *line, const MappedTable *header, const char *joins)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, " FROM %s", bo_aliased("line", line));
	if (OidIsValid(header->relid))
	{
		appendStringInfo(&s, " LEFT JOIN %s ON ", bo_aliased("header", header));
		for (int i = 0; i < line->nkeys; i++)
			appendStringInfo(&s, "%s%s %s %s", i ? " AND " : "", column_ref("header", header, header->key[i]),
							 equals(header->key_type[i], line->key_type[i]), column_ref("line", line, line->key[i]));
	}
	if (joins != NULL)
		appendStringInfoString(&s, joins);
	return s.data;
}

/* ---------- keys as text ---------- */

static bool
key_depends_on_settings(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case UUIDOID:
		case BOOLOID:
			return false;
		default:
			return get_typtype(type) != TYPTYPE_ENUM;
	}
}

/*
 * May values of a column that "=" takes for equal differ as text?  As 1.0 and
 * 1.00, or as citext.  *scale gets the digits behind the point that a number is
 * always written with; -1 for all else.
 */
static bool
has_spellings(const MappedTable *table, AttrNumber attnum, int32 *scale)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	*scale = -1;
	get_atttypetypmodcoll(table->relid, attnum, &type, &typmod, &collation);
	switch (getBaseTypeAndTypmod(type, &typmod))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			*scale = 0;
			return false;
		case NUMERICOID:
			if (typmod >= 0)
				*scale = (typmod - VARHDRSZ) & 0x7ff;
			return typmod < 0;
		case OIDOID:
		case UUIDOID:
		case BOOLOID:
		case CHAROID:
		case NAMEOID:
		case BYTEAOID:
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return false;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return !get_collation_isdeterministic(collation);
		default:
			return get_typtype(getBaseType(type)) != TYPTYPE_ENUM;
	}
}

static char *
value_text(Datum value, Oid type)
{
	Oid			output;
	bool		varlena;
	char	   *text;

	getTypeOutputInfo(type, &output, &varlena);
	text = OidOutputFunctionCall(output, value);
	if (type == BPCHAROID)		/* the padding is not part of the value */
		for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--)
			text[n - 1] = '\0';
	return text;
}

static char *
key_text(const Datum *values, const bool *nulls, const Oid *types, int n)
{
	Datum		texts[BO_MAX_KEYS];
	bool		missing[BO_MAX_KEYS] = {false};
	int			dims[1] = {n};
	int			lower[1] = {1};
	Oid			output;
	bool		varlena;

	if (n == 1)
		return value_text(values[0], types[0]);
	for (int i = 0; i < n; i++)
	{
		missing[i] = nulls != NULL && nulls[i];
		texts[i] = missing[i] ? (Datum) 0 : CStringGetTextDatum(value_text(values[i], types[i]));
	}
	getTypeOutputInfo(TEXTARRAYOID, &output, &varlena);
	return OidOutputFunctionCall(output, PointerGetDatum(construct_md_array(texts, missing, 1, dims, lower, TEXTOID, -1, false, TYPALIGN_INT)));
}

/* A key as text: the value's own, or an array literal of several. */
char *
bo_key_text(const Datum *values, const Oid *types, int n)
{
	return key_text(values, NULL, types, n);
}

/* What the text of a key of n parts and more begins with, from the text of its first n parts. */
char *
bo_key_prefix(const char *key, int n)
{
	Datum		one;
	Oid			output;
	bool		varlena;
	char	   *text;

	if (n == 0)
		return "{";
	if (n > 1)
		text = pstrdup(key);
	else
	{
		one = CStringGetTextDatum(key);
		getTypeOutputInfo(TEXTARRAYOID, &output, &varlena);
		text = OidOutputFunctionCall(output, PointerGetDatum(construct_array(&one, 1, TEXTOID, -1, false, TYPALIGN_INT)));
	}
	text[strlen(text) - 1] = ',';
	return text;
}

static bool
key_native(Mapping *mapping, const char *order_key, Datum *native)
{
	int			n = mapping->line.nkeys;
	Datum	   *parts;
	bool	   *nulls;
	int			nparts;
	Oid			input;
	Oid			param;

	if (n == 1)
	{
		getTypeInputInfo(mapping->line.key_type[0], &input, &param);
		native[0] = OidInputFunctionCall(input, (char *) order_key, param, -1);
		return true;
	}
	getTypeInputInfo(TEXTARRAYOID, &input, &param);
	deconstruct_array(DatumGetArrayTypeP(OidInputFunctionCall(input, (char *) order_key, param, -1)),
					  TEXTOID, -1, false, TYPALIGN_INT, &parts, &nulls, &nparts);
	if (nparts != n)
		return false;
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			return false;
		getTypeInputInfo(mapping->line.key_type[i], &input, &param);
		native[i] = OidInputFunctionCall(input, TextDatumGetCString(parts[i]), param, -1);
	}
	return true;
}

/*
 * The native values of an order key given as text, in the current context.
 * False for a text that is no key of the table.
 */
bool
bo_key_native(Mapping *mapping, const char *order_key, Datum *native)
{
	MemoryContext cx = CurrentMemoryContext;
	volatile bool whole = false;

	PG_TRY();
	{
		whole = key_native(mapping, order_key, native);
	}
	PG_CATCH();
	{
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION))
			PG_RE_THROW();
		MemoryContextSwitchTo(cx);
		FlushErrorState();
	}
	PG_END_TRY();
	return whole;
}

/* A header's key value as the type that the line table has for it; by the cast there is, else by its text. */
static Datum
cast_value(Datum value, Oid from, Oid to)
{
	Oid			cast;
	Oid			output;
	Oid			input;
	Oid			param;
	bool		varlena;

	if (find_coercion_pathway(to, from, COERCION_EXPLICIT, &cast) == COERCION_PATH_FUNC && get_func_nargs(cast) == 1)
		return OidFunctionCall1(cast, value);
	getTypeOutputInfo(from, &output, &varlena);
	getTypeInputInfo(to, &input, &param);
	return OidInputFunctionCall(input, OidOutputFunctionCall(output, value), param, -1);
}

/*
 * Turns the key values of a header into those of its lines, in place.  False
 * where the line table's types have no such values: then it has no such line.
 */
bool
bo_header_key(Mapping *mapping, Datum *values)
{
	MemoryContext cx = CurrentMemoryContext;
	volatile bool known = true;

	PG_TRY();
	{
		for (int i = 0; i < mapping->line.nkeys; i++)
			if (mapping->header.key_type[i] != mapping->line.key_type[i])
				values[i] = cast_value(values[i], mapping->header.key_type[i], mapping->line.key_type[i]);
	}
	PG_CATCH();
	{
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION))
			PG_RE_THROW();
		MemoryContextSwitchTo(cx);
		FlushErrorState();
		known = false;
	}
	PG_END_TRY();
	return known;
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
			if (tables[side]->alias[i] != NULL && strcmp(expression, column_ref(sides[side], tables[side], i + 1)) == 0)
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

/* One mapped expression, marked so that an error in it can be named. */
static void
append_expression(StringInfo s, Mapping *mapping, const char *column, const char *expression, const char *type, const char *fallback)
{
	if (expression == NULL)
		appendStringInfo(s, ", %s", fallback);
	else if (cannot_fail(mapping, expression, type))
		appendStringInfo(s, ", (%s)::%s", expression, type);
	else
		appendStringInfo(s, ", CASE WHEN backorder.evaluating('%s', %s::text) THEN (%s)::%s END", column,
						 column_ref("line", &mapping->line, mapping->line.key[0]), expression, type);
	appendStringInfo(s, " AS mapped_%s", column);
}

static ArrayType *
get_array(int column)
{
	bool		isnull;
	Datum		value = bo_get(0, column, &isnull);

	return isnull ? NULL : DatumGetArrayTypePCopy(value);
}

/*
 * An error of the mapping, in words that name it.  The mapping runs as the
 * owner of the tables, so its message may show rows that the user cannot
 * read: it goes to the server's log, and only to who has the owner's rights.
 */
static void
report_evaluation(Mapping *mapping, MemoryContext cx)
{
	static const int others[] = {ERRCODE_BO_MAPPING, ERRCODE_INVALID_TRANSACTION_STATE, ERRCODE_TRANSACTION_ROLLBACK, ERRCODE_INSUFFICIENT_RESOURCES,
		ERRCODE_PROGRAM_LIMIT_EXCEEDED, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, ERRCODE_OPERATOR_INTERVENTION, ERRCODE_SYSTEM_ERROR, ERRCODE_INTERNAL_ERROR};
	ErrorData  *error;
	const char *detail;

	MemoryContextSwitchTo(cx);
	error = CopyErrorData();
	/* What is not the expression's doing goes on as it is; it may raise SQLSTATEs of its own. */
	for (int i = 0; i < (int) lengthof(others); i++)
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TO_CATEGORY(others[i]))
			PG_RE_THROW();
	FlushErrorState();
	detail = has_privs_of_role(GetOuterUserId(), bo_relation_owner(mapping->line.relid)) ? error->message :
		psprintf("The expression failed with SQLSTATE %s; the message is in the server's log.", unpack_sql_state(error->sqlerrcode));
	if (evaluating_column[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_BO_EVALUATION),
				 errmsg("mapping of table %s cannot be read", mapping->line.name),
				 errdetail("%s", detail),
				 errdetail_log("%s", error->message),
				 errhint("Attach the table again with a mapping that fits the columns it has now, or detach it with backorder.%s().",
						 mapping->of_stock ? "detach_stock" : "detach")));
	if (evaluating_order[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_BO_EVALUATION),
				 errmsg("mapping \"%s\" of table %s failed", evaluating_column, mapping->line.name),
				 errdetail("%s", detail),
				 errdetail_log("%s", error->message),
				 errhint("Attach the table again with another query, or correct the row.")));
	if (mapping->of_stock)
		ereport(ERROR,
				(errcode(ERRCODE_BO_EVALUATION),
				 errmsg("mapping \"%s\" of table %s failed for item %s", evaluating_column, mapping->line.name, evaluating_order),
				 errdetail("%s", detail),
				 errdetail_log("%s", error->message),
				 errhint("Correct the row, or attach the table again with another expression.")));
	ereport(ERROR,
			(errcode(ERRCODE_BO_EVALUATION),
			 errmsg("mapping \"%s\" of table %s failed for order %s", evaluating_column, mapping->line.name, evaluating_order),
			 errdetail("%s", detail),
			 errdetail_log("%s", error->message),
			 errhint("Correct the order, or attach the table again with another expression.")));
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

/* A query of a mapping, analyzed; ERRCODE_BO_EVALUATION where it cannot be. */
Query *
bo_mapping_analyze(Mapping *mapping, const char *text)
{
	RawStmt    *raw = linitial(raw_parser(text, RAW_PARSE_DEFAULT));
	MemoryContext cx = CurrentMemoryContext;
	Query	   *query = NULL;

	evaluating_column[0] = '\0';
	PG_TRY();
	{
		query = parse_analyze_fixedparams(raw, text, NULL, 0, NULL);
	}
	PG_CATCH();
	{
		report_evaluation(mapping, cx);
	}
	PG_END_TRY();
	return query;
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
	mapping->by_line = list_length(mapping->reads) == (OidIsValid(mapping->header.relid) ? 2 : 1) && !query->hasSubLinks &&
		mapping->nline_keys == mapping->nline_columns && !bo_calls_functions(query) && !mapping->spellings;
	for (int i = 0; i < mapping->nline_columns && mapping->by_line; i++)
		mapping->by_line = !has_spellings(&mapping->line, mapping->line_key[i], &(int32) {0});
	for (int i = mapping->nline_columns; i < mapping->nline_keys; i++)
		mapping->line_key_type[i] = getBaseType(exprType((Node *) ((TargetEntry *) list_nth(query->targetList, mapping->line.nkeys + i))->expr));
	for (int i = 0; i < mapping->nline_keys; i++)
		mapping->pin_keys |= key_depends_on_settings(mapping->line_key_type[i]);
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
load(Mapping *mapping, int32 source_id)
{
	BoSection	section;
	MemoryContext old;
	char	   *expr[12];
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
	old = MemoryContextSwitchTo(mapping->cx);
	mapping->tenant = bo_get_text(0, 1);
	mapping->source_id = source_id;
	line_schema = bo_get_text(0, 3);
	line_table = bo_get_text(0, 4);
	line_relid = DatumGetObjectId(bo_get(0, 5, &(bool) {0}));
	header_relid = DatumGetObjectId(bo_get(0, 8, &(bool) {0}));
	for (int i = 0; i < 12; i++)
		expr[i] = bo_get_text(0, 12 + i);
	mapping->immediate = strcmp(bo_get_text(0, 26), "immediate") == 0;
	mapping->refuse_overship = strcmp(bo_get_text(0, 27), "refuse") == 0;
	mapping->detached = bo_get_bool(0, 28);
	joins = bo_get_text(0, 29);
	mapping->park = strcmp(bo_get_text(0, 31), "park") == 0;
	mapping->importing = bo_get_bool(0, 34);
	mapping->reattached = bo_get_bool(0, 35);
	mapping->queued_mapped = expr[9] != NULL;
	mapping->ranked = expr[8] != NULL || expr[9] != NULL;
	mapping->picks = expr[4] != NULL;

	{
		Oid			found = bo_resolve_table(line_relid, line_schema, line_table, source_id);

		if (!OidIsValid(found))
		{
			MemoryContextSwitchTo(old);
			bo_leave(&section);
			return false;
		}
		bo_mapped_table(&mapping->line, found, get_array(24), found == line_relid ? NULL : get_array(32));
		resolve_keys(&mapping->line, get_array(9), mapping->line.key, mapping->line.key_type, &mapping->line.nkeys, "order key");
		resolve_keys(&mapping->line, get_array(10), mapping->line_key, mapping->line_key_type, &mapping->nline_columns, "line key");
		mapping->nline_keys = mapping->nline_columns;
		for (int i = 0; i < BO_MAX_KEYS; i++)
			line_key[i] = i < mapping->nline_columns ? column_ref("line", &mapping->line, mapping->line_key[i]) : NULL;
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
		mapping->pin_keys |= key_depends_on_settings(mapping->line.key_type[i]);
		mapping->spellings |= has_spellings(&mapping->line, mapping->line.key[i], &line_scale);
		if (OidIsValid(mapping->header.relid))
			mapping->spellings |= has_spellings(&mapping->header, mapping->header.key[i], &header_scale) || line_scale != header_scale;
	}

	/* The mapping query; bo_mapping_read knows its columns by position. */
	initStringInfo(&s);
	appendStringInfoString(&s, "SELECT ");
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s, ", column_ref("line", &mapping->line, mapping->line.key[i]));
	for (int i = 0; i < mapping->nline_keys; i++)
		appendStringInfo(&s, "%s%s", i ? ", " : "", line_key[i]);
	append_expression(&s, mapping, "item", expr[0], "text", "NULL::text");
	append_expression(&s, mapping, "location", expr[6], "text", "''::text");
	append_expression(&s, mapping, "customer", expr[7], "text", "NULL::text");
	append_expression(&s, mapping, "quantity", expr[1], "numeric", "NULL::numeric");
	append_expression(&s, mapping, "cancelled", expr[5], "numeric", "NULL::numeric");
	append_expression(&s, mapping, "shipped", expr[3], "numeric", "NULL::numeric");
	append_expression(&s, mapping, "picked", expr[4], "numeric", "NULL::numeric");
	append_expression(&s, mapping, "live", expr[2], "boolean", "true");
	append_expression(&s, mapping, "priority", expr[8], "integer", "0");
	append_expression(&s, mapping, "queued_at", expr[9], "timestamptz", "NULL::timestamptz");
	append_expression(&s, mapping, "requested_at", expr[10], "date", "NULL::date");
	append_expression(&s, mapping, "held", expr[11], "boolean", "false");
	if (mapping->spellings && OidIsValid(mapping->header.relid))
		for (int i = 0; i < mapping->header.nkeys; i++)
			appendStringInfo(&s, ", %s::%s", column_ref("header", &mapping->header, mapping->header.key[i]), format_type_be_qualified(mapping->line.key_type[i]));
	appendStringInfoString(&s, bo_from_clause(&mapping->line, &mapping->header, joins));
	query = s.data;

	initStringInfo(&s);
	appendStringInfoString(&s, " ORDER BY ");
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s, ", column_ref("line", &mapping->line, mapping->line.key[i]));
	for (int i = 0; i < mapping->nline_keys; i++)
		appendStringInfo(&s, "%s%s", i ? ", " : "", line_key[i]);
	order_by = s.data;
	mapping->queries[MAPPING_ALL] = psprintf("%s%s", query, order_by);

	/* Several orders: by arrays of keys, $1 ... */
	initStringInfo(&s);
	appendStringInfoString(&s, " WHERE ");
	if (mapping->line.nkeys == 1 && !mapping->key_as_text[0])
		appendStringInfo(&s, "%s %s ANY ($1)", column_ref("line", &mapping->line, mapping->line.key[0]),
						 equals(mapping->line.key_type[0], mapping->line.key_type[0]));
	else
	{
		appendStringInfoString(&s, "(");
		for (int i = 0; i < mapping->line.nkeys; i++)
			appendStringInfo(&s, "%s%s", i ? ", " : "", column_ref("line", &mapping->line, mapping->line.key[i]));
		appendStringInfoString(&s, ") IN (SELECT ");
		for (int i = 0; i < mapping->line.nkeys; i++)
			appendStringInfo(&s, "%sk%d::%s", i ? ", " : "", i + 1, format_type_be_qualified(mapping->line.key_type[i]));
		appendStringInfoString(&s, " FROM ROWS FROM (");
		for (int i = 0; i < mapping->line.nkeys; i++)
			appendStringInfo(&s, "%sunnest($%d)", i ? ", " : "", i + 1);
		appendStringInfoString(&s, ") AS given(");
		for (int i = 0; i < mapping->line.nkeys; i++)
			appendStringInfo(&s, "%sk%d", i ? ", " : "", i + 1);
		appendStringInfoString(&s, "))");
	}
	mapping->where_keys = s.data;
	mapping->queries[MAPPING_FEW] = mapping->queries[MAPPING_MANY] = psprintf("%s%s%s", query, s.data, order_by);
	mapping->places_query = psprintf("SELECT DISTINCT q.mapped_item COLLATE pg_catalog.\"C\", coalesce(q.mapped_location, '') COLLATE pg_catalog.\"C\" FROM (%s%s) q "
									 "WHERE q.mapped_item IS NOT NULL AND (q.mapped_live AND q.mapped_quantity > 0 OR q.mapped_shipped > 0)", query, s.data);

	/* One order: by its key, $1 ..., which then finds the header too; and one of its lines, by the next ones. */
	initStringInfo(&s);
	appendStringInfoString(&s, query);
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s%s %s $%d", i ? " AND " : " WHERE ", column_ref("line", &mapping->line, mapping->line.key[i]),
						 equals(mapping->line.key_type[i], mapping->line.key_type[i]), i + 1);
	mapping->queries[MAPPING_ONE] = psprintf("%s%s", s.data, order_by);
	for (int i = 0; i < mapping->nline_columns; i++)
		appendStringInfo(&s, " AND %s %s $%d", line_key[i], equals(mapping->line_key_type[i], mapping->line_key_type[i]), mapping->line.nkeys + i + 1);
	appendStringInfoString(&s, order_by);
	mapping->queries[MAPPING_LINE] = s.data;

	initStringInfo(&s);
	/* DISTINCT would take one spelling for all. */
	appendStringInfoString(&s, mapping->spellings ? "SELECT " : "SELECT DISTINCT ");
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s%s", i ? ", " : "", column_ref("line", &mapping->line, mapping->line.key[i]));
	appendStringInfo(&s, " FROM %s ORDER BY ", bo_aliased("line", &mapping->line));
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, "%s%d", i ? ", " : "", i + 1);
	mapping->keys_query = s.data;

	initStringInfo(&s);
	appendStringInfo(&s, "SELECT count(*) FROM %s WHERE false", bo_aliased("line", &mapping->line));
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, " OR %s IS NULL", column_ref("line", &mapping->line, mapping->line.key[i]));
	for (int i = 0; i < mapping->nline_columns; i++)
		appendStringInfo(&s, " OR %s IS NULL", line_key[i]);
	mapping->keyless_query = s.data;

	analyze_query(mapping);
	bo_watch_load(mapping);
	mapping->owner = bo_relation_owner(mapping->line.relid);
	MemoryContextSwitchTo(old);
	bo_leave(&section);
	return true;
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
	bool		exists = true;
	Mapping    *mapping = hash_search(mappings, &source_id, HASH_ENTER, &found);

	if (!found)
	{
		memset(mapping, 0, sizeof(*mapping));
		mapping->source_id = source_id;
	}
	if (!mapping->valid)
	{
		for (int i = 0; i < (int) lengthof(mapping->plans); i++)
			if (mapping->plans[i])
				SPI_freeplan(mapping->plans[i]);
		if (mapping->places_plan)
			SPI_freeplan(mapping->places_plan);
		bo_watch_free(mapping);
		if (mapping->cx)
			MemoryContextDelete(mapping->cx);
		memset(mapping, 0, sizeof(*mapping));
		mapping->source_id = source_id;
		mapping->cx = AllocSetContextCreate(CacheMemoryContext, "backorder mapping", ALLOCSET_SMALL_SIZES);
		BO_POINT("mapping");
		mapping->valid = true;	/* an invalidation while loading clears it again */
		PG_TRY();
		{
			exists = load(mapping, source_id);
		}
		PG_CATCH();
		{
			mapping->valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
		if (!exists)
		{
			mapping->valid = false;
			return NULL;
		}
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

/* ---------- reading ---------- */

/*
 * Runs a query of a mapping as the owner of its tables, in a security-
 * restricted operation, with the active snapshot; prepares it first where
 * *plan is none that is valid.  what names it in errors, NULL: the mapped
 * columns name themselves (evaluating()).  Expects a section; the rows are in
 * SPI_tuptable.
 */
void
bo_mapping_run(Mapping *mapping, SPIPlanPtr *plan, const char *query, int nargs, Oid *types, Datum *values, bool custom, const char *what)
{
	Oid			userid;
	int			sec_context;
	MemoryContext cx = CurrentMemoryContext;
	volatile bool made = false;

	GetUserIdAndSecContext(&userid, &sec_context);
	evaluating_order[0] = '\0';
	strlcpy(evaluating_column, what ? what : "", sizeof(evaluating_column));
	PG_TRY();
	{
		if (*plan != NULL && !SPI_plan_is_valid(*plan))
		{
			SPIPlanPtr	old = *plan;

			*plan = NULL;
			SPI_freeplan(old);
		}
		if (*plan == NULL)
		{
			SPIPlanPtr	fresh = SPI_prepare_cursor(query, nargs, types, custom ? CURSOR_OPT_CUSTOM_PLAN : CURSOR_OPT_GENERIC_PLAN);

			if (fresh == NULL || SPI_keepplan(fresh) != 0)
				elog(ERROR, "could not prepare mapping of %s", mapping->line.name);
			*plan = fresh;
			made = true;
		}
		SetUserIdAndSecContext(mapping->owner,
							   sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
		if (made && !custom)
			bo_plan_by_index(*plan);
		BO_POINT("read");
		if (SPI_execute_plan(*plan, values, NULL, true, 0) < 0)
			elog(ERROR, "mapping query failed");
		SetUserIdAndSecContext(userid, sec_context);
	}
	PG_CATCH();
	{
		SetUserIdAndSecContext(userid, sec_context);
		report_evaluation(mapping, cx);
	}
	PG_END_TRY();
}

/* For many orders the planner chooses; for few, the path by index is fixed.  Returns the GUC nest level to end. */
int
bo_allow_all_plans(void)
{
	static const char *const names[] = {"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_sort"};
	int			level = bo_pin_planning();

	for (int i = 0; i < (int) lengthof(names); i++)
		(void) set_config_option(names[i], "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static void
check_quantity(Mapping *mapping, const char *column, Qty value, const char *order_key)
{
	if (value != NULL && !qty_finite(value))
		ereport(ERROR,
				(errcode(ERRCODE_BO_QUANTITY),
				 errmsg("%s of an order line is not finite", column),
				 errdetail("Order %s in %s has %s.", order_key, mapping->line.name, qty_text(value)),
				 errhint("Correct the line, or the mapping of \"%s\".", column)));
}

static Qty
not_negative(Qty value)
{
	return value == NULL || qty_sign(value) < 0 ? qty_zero : value;
}

static void
convert(Mapping *mapping, int row, MappedLine *line)
{
	Datum		keys[BO_MAX_KEYS];
	bool		missing[BO_MAX_KEYS];
	int			c = 1;
	bool		isnull;

	memset(line, 0, sizeof(*line));
	for (int i = 0; i < mapping->line.nkeys; i++)
	{
		keys[i] = bo_get(row, c++, &isnull);
		if (isnull)
			return;				/* belongs to no order yet */
	}
	line->order_key = bo_key_text(keys, mapping->line.key_type, mapping->line.nkeys);
	for (int i = 0; i < mapping->nline_keys; i++)
	{
		keys[i] = bo_get(row, c++, &isnull);
		if (isnull && i < mapping->nline_columns)
		{
			line->order_key = NULL;
			return;
		}
		missing[i] = isnull;	/* of an expression over joins: what a LEFT JOIN did not find */
	}
	line->line_key = key_text(keys, missing, mapping->line_key_type, mapping->nline_keys);
	line->item = bo_get_text(row, c++);
	line->location = bo_get_text(row, c++);
	if (line->location == NULL)
		line->location = "";
	line->customer = bo_get_text(row, c++);
	line->quantity = bo_get_qty(row, c++);
	check_quantity(mapping, "quantity", line->quantity, line->order_key);
	line->cancelled = bo_get_qty(row, c++);
	check_quantity(mapping, "cancelled", line->cancelled, line->order_key);
	line->cancelled = not_negative(line->cancelled);
	line->shipped = bo_get_qty(row, c++);
	check_quantity(mapping, "shipped", line->shipped, line->order_key);
	line->shipped = not_negative(line->shipped);
	line->picked = bo_get_qty(row, c++);
	check_quantity(mapping, "picked", line->picked, line->order_key);
	line->picked = not_negative(line->picked);
	line->live = bo_get_bool(row, c++);
	line->priority = bo_get_int32(row, c++);
	line->queued_at = DatumGetTimestampTz(bo_get(row, c++, &isnull));
	line->has_queued_at = !isnull;
	line->requested_at = DatumGetDateADT(bo_get(row, c++, &isnull));
	line->has_requested_at = !isnull;
	line->held = bo_get_bool(row, c++);
	if (mapping->spellings && OidIsValid(mapping->header.relid))
	{
		bool		none = false;

		for (int i = 0; i < mapping->line.nkeys && !none; i++)
			keys[i] = bo_get(row, c++, &none);
		if (!none)
			line->header_key = bo_key_text(keys, mapping->line.key_type, mapping->line.nkeys);
	}
	line->demand = line->live && line->item != NULL && line->quantity != NULL && qty_sign(line->quantity) > 0;
}

static Datum
native_array(Datum *datums, int n, Oid type)
{
	int16		typlen;
	bool		typbyval;
	char		typalign;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_array(datums, n, type, typlen, typbyval, typalign));
}

/* Column k of the order keys of these notes. */
static Datum
order_key_array(Mapping *mapping, List *notes, int k)
{
	Datum	   *datums = palloc(sizeof(Datum) * list_length(notes));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);

		if (!note->state.unreadable)
			datums[n++] = mapping->key_as_text[k] ? CStringGetTextDatum(value_text(note->native[k], mapping->line.key_type[k])) : note->native[k];
	}
	return native_array(datums, n, mapping->key_as_text[k] ? TEXTOID : mapping->line.key_type[k]);
}

/*
 * Reads lines through the mapping, with the active snapshot, and calls func
 * for each in order of the keys.  notes (of OrderNote) say which orders; with
 * MAPPING_ONE it is one that can be read, with MAPPING_LINE it says which of
 * its lines; with MAPPING_ALL they do not matter.  Expects a section; runs as the owner of
 * the table.  Errors in an expression become ERRCODE_BO_EVALUATION.
 */
void
bo_mapping_read(Mapping *mapping, MappingScope scope, List *notes, MappedLineFunc func, void *arg)
{
	Datum		values[2 * BO_MAX_KEYS];
	Oid			types[2 * BO_MAX_KEYS];
	int			nargs = 0;
	int			level = 0;
	bool		few = scope != MAPPING_MANY && scope != MAPPING_ALL;

	if (scope == MAPPING_LINE || scope == MAPPING_ONE)
	{
		OrderNote  *note = linitial(notes);

		for (; nargs < mapping->line.nkeys; nargs++)
		{
			types[nargs] = mapping->line.key_type[nargs];
			values[nargs] = note->native[nargs];
		}
		for (int k = 0; scope == MAPPING_LINE && k < mapping->nline_columns; k++, nargs++)
		{
			types[nargs] = mapping->line_key_type[k];
			values[nargs] = note->state.line[k];
		}
	}
	else if (scope != MAPPING_ALL)
		for (; nargs < mapping->line.nkeys; nargs++)
		{
			types[nargs] = mapping->array_type[nargs];
			values[nargs] = order_key_array(mapping, notes, nargs);
		}
	if (!few)
		level = bo_allow_all_plans();
	/* Prepared as ourselves: names of our own functions are looked up then. */
	bo_mapping_run(mapping, &mapping->plans[scope], mapping->queries[scope], nargs, types, values, !few, NULL);
	if (!few)
		AtEOXact_GUC(false, level);
	{
		SPITupleTable *table = SPI_tuptable;
		uint64		n = SPI_processed;

		for (uint64 row = 0; row < n; row++)
		{
			MappedLine *line = palloc(sizeof(MappedLine));

			SPI_tuptable = table;
			convert(mapping, row, line);
			if (line->order_key != NULL)
				func(mapping, line, arg);
		}
		SPI_freetuptable(table);
	}
}

/* The items and locations of the lines of these orders, of StockKey, with the active snapshot. Expects a section. */
List *
bo_mapping_places(Mapping *mapping, List *notes)
{
	Datum		values[BO_MAX_KEYS];
	List	   *places = NIL;
	char	   *tenant = pstrdup(mapping->tenant);	/* the mapping may be loaded anew while they are in use */
	int			level = bo_allow_all_plans();

	for (int k = 0; k < mapping->line.nkeys; k++)
		values[k] = order_key_array(mapping, notes, k);
	bo_mapping_run(mapping, &mapping->places_plan, mapping->places_query, mapping->line.nkeys, mapping->array_type, values, true, NULL);
	AtEOXact_GUC(false, level);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		StockKey   *place = palloc(sizeof(StockKey));

		place->tenant = tenant;
		place->item = bo_get_text(row, 1);
		place->location = bo_get_text(row, 2);
		places = lappend(places, place);
	}
	SPI_freetuptable(SPI_tuptable);
	return places;
}

/* Notes every order of the attached table. Expects a section. */
void
bo_mapping_note_all(Mapping *mapping)
{
	Oid			userid;
	int			sec_context;
	int			level;
	SPITupleTable *table;
	uint64		n;

	GetUserIdAndSecContext(&userid, &sec_context);
	level = bo_allow_all_plans();
	SetUserIdAndSecContext(mapping->owner,
						   sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	/* Under our lock on the table: every order that was committed, also after an older snapshot. */
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute(mapping->keys_query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the order keys of %s", mapping->line.name);
	PopActiveSnapshot();
	SetUserIdAndSecContext(userid, sec_context);
	AtEOXact_GUC(false, level);
	table = SPI_tuptable;
	n = SPI_processed;
	for (uint64 row = 0; row < n; row++)
	{
		Datum		keys[BO_MAX_KEYS];
		bool		isnull = false;

		for (int i = 0; i < mapping->line.nkeys && !isnull; i++)
			keys[i] = heap_getattr(table->vals[row], i + 1, table->tupdesc, &isnull);
		if (!isnull)
			bo_note_whole(bo_note_order(mapping, keys));
	}
	SPI_freetuptable(table);
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
