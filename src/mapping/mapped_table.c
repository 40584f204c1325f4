/*
 * mapped_table.c
 *		One side of an attached table: its columns, by number, under the names
 *		that the mapping uses, and the FROM clause they come from.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_operator.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "mapping/building.h"
#include "mapping/mapping.h"

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

char *
bo_column_ref(const char *side, const MappedTable *table, AttrNumber attnum)
{
	return psprintf("%s.%s", side, quote_identifier(table->alias[attnum - 1]));
}

/* The column that is all there is to an expression over this side; InvalidAttrNumber for any other expression. */
AttrNumber
bo_plain_column(const char *side, const MappedTable *table, const char *expression)
{
	for (int i = 0; i < table->natts; i++)
		if (table->alias[i] != NULL && strcmp(expression, bo_column_ref(side, table, i + 1)) == 0)
			return i + 1;
	return InvalidAttrNumber;
}

/* The number that a column has in relid: the table itself, or a partition of it. */
AttrNumber
bo_partition_column(Oid relid, const MappedTable *table, AttrNumber attnum)
{
	AttrNumber	result;

	if (relid == table->relid)
		return attnum;
	result = get_attnum(relid, get_attname(table->relid, attnum, false));
	if (result == InvalidAttrNumber)
		elog(ERROR, "column %d of %s is missing in relation %u", attnum, table->name, relid);
	return result;
}

/* A row of a table, or of a partition of it, as a value of the table's row type. */
Datum
bo_row_of_table(TupleTableSlot *slot, Relation rel, Oid relid)
{
	bool		free_tuple;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &free_tuple);
	Relation	parent;
	TupleConversionMap *map;
	Datum		row;

	if (RelationGetRelid(rel) == relid)
		return heap_copy_tuple_as_datum(tuple, RelationGetDescr(rel));
	parent = table_open(relid, AccessShareLock);
	map = convert_tuples_by_name(RelationGetDescr(rel), RelationGetDescr(parent));
	if (map != NULL)
		tuple = execute_attr_map_tuple(tuple, map);
	row = heap_copy_tuple_as_datum(tuple, RelationGetDescr(parent));
	table_close(parent, NoLock);
	return row;
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

/* An operator, wherever it lives. */
char *
bo_operator_name(Oid opr)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(opr));
	Form_pg_operator form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", opr);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	name = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)), NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return name;
}

/* "=" for two types: the type's own where they are the same. */
char *
bo_equals(Oid left, Oid right)
{
	Oid			opr = left == right ? lookup_type_cache(left, TYPECACHE_EQ_OPR)->eq_opr : InvalidOid;

	return OidIsValid(opr) ? bo_operator_name(opr) : "=";
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
			appendStringInfo(&s, "%s%s %s %s", i ? " AND " : "", bo_column_ref("header", header, header->key[i]),
							 bo_equals(header->key_type[i], line->key_type[i]), bo_column_ref("line", line, line->key[i]));
	}
	if (joins != NULL)
		appendStringInfoString(&s, joins);
	return s.data;
}
