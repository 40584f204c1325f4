/*
 * read_rows.c
 *		Reads rows of a small table without a statement: what a session reads once
 *		costs more to plan than to find.
 *
 * For tables of the extension that say how the application's are attached.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "store/store.h"

/* The number of a column; an error where the table has none of that name.  Asks no catalog, which would be read for each. */
static AttrNumber
column_number(Relation rel, const char *name)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i + 1;
	elog(ERROR, "table %s has no column %s", RelationGetRelationName(rel), name);
	return InvalidAttrNumber;
}

/* Looks for the rows of a source by the index of this name; without it, through the whole table. */
static SysScanDesc
begin_scan(Relation rel, const char *index, const char *tenant, int32 source_id)
{
	Oid			index_oid = get_relname_relid(index, RelationGetNamespace(rel));
	ScanKeyData keys[2];
	int			n = 0;

	if (tenant != NULL)
		ScanKeyEntryInitialize(&keys[n++], 0, column_number(rel, "tenant"), BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID, F_TEXTEQ, bo_text(tenant));
	ScanKeyInit(&keys[n++], column_number(rel, "source_id"), BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(source_id));
	return systable_beginscan(rel, index_oid, OidIsValid(index_oid), GetActiveSnapshot(), n, keys);
}

/*
 * The row of a source in a table of the extension, with these n columns, as the
 * active snapshot sees it; NULL: there is none.  It is found by an index on
 * source_id, or with a tenant on both.  Takes no lock that lasts beyond
 * AccessShare on the table; allocates in the current context.
 */
SPITupleTable *
bo_read_source_row(const char *table, const char *index, const char *tenant, int32 source_id, const char *const *columns, int n)
{
	Relation	rel = table_open(bo_relation(table), AccessShareLock);
	SysScanDesc scan = begin_scan(rel, index, tenant, source_id);
	HeapTuple	tuple = systable_getnext(scan);
	SPITupleTable *result = NULL;

	if (HeapTupleIsValid(tuple))
	{
		Datum	   *values = palloc(sizeof(Datum) * n);
		bool	   *nulls = palloc(sizeof(bool) * n);

		result = palloc0(sizeof(SPITupleTable));
		result->tupdesc = CreateTemplateTupleDesc(n);
		result->vals = palloc(sizeof(HeapTuple));
		for (int i = 0; i < n; i++)
		{
			AttrNumber	attnum = column_number(rel, columns[i]);

			TupleDescCopyEntry(result->tupdesc, i + 1, RelationGetDescr(rel), attnum);
			values[i] = heap_getattr(tuple, attnum, RelationGetDescr(rel), &nulls[i]);
			if (!nulls[i] && TupleDescAttr(result->tupdesc, i)->attlen == -1)
				values[i] = PointerGetDatum(PG_DETOAST_DATUM(values[i]));	/* the snapshot may be gone when it is read */
		}
		result->vals[0] = heap_form_tuple(result->tupdesc, values, nulls);
		result->numvals = 1;
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	return result;
}
