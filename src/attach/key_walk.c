/*
 * key_walk.c
 *		The order keys of a table, in the order of their type, a batch at a time.
 */
#include "postgres.h"

#include "utils/typcache.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "mapping/mapping.h"
#include "store/store.h"

/* ---------- order keys, in the order of their type ---------- */

/* ">" of the type of the ith column of the order key. */
static char *
greater(Mapping *mapping, int i)
{
	return bo_operator_name(lookup_type_cache(mapping->line.key_type[i], TYPECACHE_GT_OPR)->gt_opr);
}

static char *
key_column(Mapping *mapping, int i)
{
	return psprintf("line.%s", quote_identifier(mapping->line.alias[mapping->line.key[i] - 1]));
}

/* "keys > $1, ..."; comparing rows is what an index can do, but only with the built-in operators. */
static void
append_after(StringInfo s, Mapping *mapping)
{
	int			n = mapping->line.nkeys;
	bool		builtin = n > 1;

	for (int i = 0; i < n && builtin; i++)
		builtin = strcmp(greater(mapping, i), "OPERATOR(pg_catalog.>)") == 0;
	if (builtin)
	{
		appendStringInfoString(s, " AND (");
		for (int i = 0; i < n; i++)
			appendStringInfo(s, "%s%s", i ? ", " : "", key_column(mapping, i));
		appendStringInfoString(s, ") OPERATOR(pg_catalog.>) (");
		for (int i = 0; i < n; i++)
			appendStringInfo(s, "%s$%d", i ? ", " : "", i + 1);
		appendStringInfoChar(s, ')');
		return;
	}
	appendStringInfoString(s, " AND (false");
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(s, n > 1 ? " OR (" : " OR ");
		for (int j = 0; j < i; j++)
			appendStringInfo(s, "%s %s $%d AND ", key_column(mapping, j), bo_equals(mapping->line.key_type[j], mapping->line.key_type[j]), j + 1);
		appendStringInfo(s, "%s %s $%d%s", key_column(mapping, i), greater(mapping, i), i + 1, n > 1 ? ")" : "");
	}
	appendStringInfoChar(s, ')');
}

/*
 * Reads the order keys behind a position, all where limit is 0, into
 * SPI_tuptable; returns how many.  A position that is no key of the table any
 * more is none.  Expects an SPI scope and an active snapshot.
 */
uint64
bo_read_keys(Mapping *mapping, const char *position, int limit)
{
	Datum		values[BO_MAX_KEYS];
	SPIPlanPtr	plan = NULL;
	StringInfoData s;
	StringInfoData columns;
	bool		after = position != NULL && bo_key_native(mapping, position, values);

	initStringInfo(&columns);
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&columns, "%s%s", i ? ", " : "", key_column(mapping, i));
	initStringInfo(&s);
	/* DISTINCT would take one way of writing a key for all of them; WITH TIES takes all of the last one. */
	appendStringInfo(&s, "SELECT %s%s FROM %s WHERE true", mapping->key_variants ? "" : "DISTINCT ", columns.data, bo_aliased("line", &mapping->line));
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, " AND %s IS NOT NULL", key_column(mapping, i));
	if (after)
		append_after(&s, mapping);
	appendStringInfo(&s, " ORDER BY %s", columns.data);
	if (limit > 0)
		appendStringInfo(&s, " FETCH FIRST %d ROWS %s", limit, mapping->key_variants ? "WITH TIES" : "ONLY");
	bo_mapping_run(mapping, &plan, s.data, after ? mapping->line.nkeys : 0, mapping->line.key_type, values, true, "order key");
	SPI_freeplan(plan);
	return SPI_processed;
}

/* The key in a row that bo_read_keys() found; its text. */
char *
bo_key_of_row(Mapping *mapping, SPITupleTable *table, uint64 row, Datum *native)
{
	for (int i = 0; i < mapping->line.nkeys; i++)
	{
		bool		isnull;

		native[i] = bo_result(table, row, i + 1, &isnull);
	}
	return bo_key_text(native, mapping->line.key_type, mapping->line.nkeys);
}

/* The order of keys as text, for list_sort(). */
int
bo_compare_texts(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * Which of these keys (of char *, sorted) the table does not have any more.
 * Expects an SPI scope and an active snapshot.
 */
List *
bo_missing_keys(Mapping *mapping, List *keys)
{
	List	   *result = NIL;
	List	   *found = NIL;
	List	   *natives = NIL;	/* of KeyValues */
	Datum		values[BO_MAX_KEYS];
	SPIPlanPtr	plan = NULL;
	int			nkeys = mapping->line.nkeys;
	ListCell   *lc;
	ListCell   *fc;
	StringInfoData s;

	foreach(lc, keys)
	{
		KeyValues  *native = palloc0(sizeof(KeyValues));

		native->unreadable = !bo_key_native(mapping, lfirst(lc), native->order);
		natives = lappend(natives, native);
	}
	initStringInfo(&s);
	appendStringInfoString(&s, mapping->key_variants ? "SELECT " : "SELECT DISTINCT ");
	for (int i = 0; i < nkeys; i++)
	{
		values[i] = bo_order_key_array(mapping, natives, i);
		appendStringInfo(&s, "%s%s", i ? ", " : "", key_column(mapping, i));
	}
	appendStringInfo(&s, " FROM %s%s", bo_aliased("line", &mapping->line), mapping->where_keys);
	bo_mapping_run(mapping, &plan, s.data, nkeys, mapping->array_type, values, false, "order key");
	SPI_freeplan(plan);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum		native[BO_MAX_KEYS];

		found = lappend(found, bo_key_of_row(mapping, SPI_tuptable, row, native));
	}
	list_sort(found, bo_compare_texts);
	fc = list_head(found);
	foreach(lc, keys)
	{
		while (fc != NULL && strcmp(lfirst(fc), lfirst(lc)) < 0)
			fc = lnext(found, fc);
		if (fc == NULL || strcmp(lfirst(fc), lfirst(lc)) != 0)
			result = lappend(result, lfirst(lc));
	}
	return result;
}
