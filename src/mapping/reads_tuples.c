/*
 * reads_tuples.c
 *		Which mappings can be evaluated over the rows of line and header alone,
 *		without a query.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

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

/* Does a validated foreign key make each line's order key that of a header? */
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
		found = found || ((Form_pg_constraint) GETSTRUCT(tuple))->convalidated;
		ReleaseSysCache(tuple);
	}
	table_close(rel, NoLock);
	for (int k = 0; k < mapping->line.nkeys; k++)
		found = found && same_values(mapping->line.key_type[k], mapping->header.key_type[k]);
	return found;
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

/* May orders that were written whole be read from their rows?  For a mapping that is being loaded, and its analyzed query. */
bool
bo_mapping_reads_tuples(const Mapping *mapping, Query *query)
{
	return mapping->lines_independent && OidIsValid(mapping->header.relid) && is_plain(&mapping->line) && is_plain(&mapping->header) &&
		bo_relation_owner(mapping->header.relid) == mapping->owner && !has_domain((Node *) query->targetList, NULL) && lines_refer_to_header(mapping);
}
