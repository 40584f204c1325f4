/*
 * reads_tuples.c
 *		Which mappings can be evaluated over the rows of line and header alone,
 *		without a query.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"

/* ---------- which mappings can be read by rows ---------- */

/* Is each value of a header's key, as the type that the line's has, still that value and no other's? */
static bool
same_values(Oid line, Oid header)
{
	bool		integers = line == INT2OID || line == INT4OID || line == INT8OID;
	bool		texts = line == TEXTOID || line == VARCHAROID;

	return line == header || (integers && (header == INT2OID || header == INT4OID || header == INT8OID)) ||
		(texts && (header == TEXTOID || header == VARCHAROID));
}

/* Does a validated foreign key, checked at the end of each statement, make each line's order key that of a header? */
static bool
lines_refer_to_header(const Mapping *mapping)
{
	Relation	rel = table_open(mapping->line.relid, AccessShareLock);
	List	   *keys = copyObject(RelationGetFKeyList(rel));	/* it goes with the relation's cache entry */
	ListCell   *lc;
	bool		found = false;

	foreach(lc, keys)
	{
		ForeignKeyCacheInfo *fk = lfirst(lc);
		int			matched = 0;
		HeapTuple	tuple;

		if (fk->conrelid != mapping->line.relid || fk->confrelid != mapping->header.relid || fk->nkeys != mapping->line.nkeys)
			continue;
		for (int i = 0; i < fk->nkeys; i++)
			for (int k = 0; k < fk->nkeys; k++)
				if (fk->conkey[i] == mapping->line.key[k] && fk->confkey[i] == mapping->header.key[k])
					matched++;
		if (matched != fk->nkeys)
			continue;
		tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(fk->conoid));
		if (!HeapTupleIsValid(tuple))
			continue;
		found = found || (((Form_pg_constraint) GETSTRUCT(tuple))->convalidated && !((Form_pg_constraint) GETSTRUCT(tuple))->condeferrable);
		ReleaseSysCache(tuple);
	}
	table_close(rel, NoLock);
	return found;
}

/* Is this index, open, a unique one of just the header's key, in which "=" is the type's own? */
static bool
is_unique_key(const Mapping *mapping, Relation index)
{
	Form_pg_index form = index->rd_index;
	Bitmapset  *columns = NULL;

	if (index->rd_rel->relam != BTREE_AM_OID || !form->indisunique || !form->indimmediate || !form->indisvalid || form->indcheckxmin ||
		form->indnkeyatts != mapping->header.nkeys || RelationGetIndexPredicate(index) != NIL)
		return false;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		Oid			collation = index->rd_indcollation[i];

		if (index->rd_opfamily[i] >= FirstNormalObjectId || (OidIsValid(collation) && !get_collation_isdeterministic(collation)))
			return false;
		columns = bms_add_member(columns, Max(form->indkey.values[i], 0));	/* 0: an expression */
	}
	for (int i = 0; i < mapping->header.nkeys; i++)
		if (!bms_is_member(mapping->header.key[i], columns))
			return false;
	return true;
}

/* The index by which the header of an order is found, and which says that it has one at most; InvalidOid: there is none. */
static Oid
find_header_index(const Mapping *mapping)
{
	Relation	rel = table_open(mapping->header.relid, AccessShareLock);
	Oid			result = InvalidOid;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (!OidIsValid(result) && is_unique_key(mapping, index))
			result = lfirst_oid(lc);
		index_close(index, NoLock);
	}
	table_close(rel, NoLock);
	for (int k = 0; k < mapping->line.nkeys; k++)
		if (!same_values(mapping->line.key_type[k], mapping->header.key_type[k]))
			return InvalidOid;
	return result;
}

/* Has the table its rows in itself, in a heap, with nothing in them that is computed when it is read? */
static bool
is_plain(const MappedTable *table)
{
	Relation	rel = table_open(table->relid, AccessShareLock);
	bool		plain = rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_rel->relam == HEAP_TABLE_AM_OID && !rel->rd_rel->relhassubclass;

	table_close(rel, NoLock);
	return plain && !bms_is_member(0, table->used);
}

/* Its constraints may change, and are looked up when an expression is made ready. */
static bool
has_domain(Node *node, void *context)
{
	return node != NULL && (IsA(node, CoerceToDomain) || expression_tree_walker(node, has_domain, context));
}

/*
 * May orders that this transaction begins be read from their rows?  For a
 * mapping that is being loaded, and its analyzed query; looks for the header's
 * index.
 */
bool
bo_mapping_reads_tuples(Mapping *mapping, Query *query)
{
	if (!mapping->lines_independent || !is_plain(&mapping->line) || has_domain((Node *) query->targetList, NULL))
		return false;
	if (!OidIsValid(mapping->header.relid))
		return mapping->seen_all;
	if (!is_plain(&mapping->header) || bo_relation_owner(mapping->header.relid) != mapping->owner)
		return false;
	mapping->header_index = find_header_index(mapping);
	return OidIsValid(mapping->header_index) && (mapping->seen_all || lines_refer_to_header(mapping));
}
