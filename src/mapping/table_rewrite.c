/*
 * table_rewrite.c
 *		Tables that ALTER TABLE wrote anew, against snapshots older than that.
 *
 * To such a snapshot a rewritten table is empty, and an order would look as if
 * all of its lines had been deleted.  So the tables are locked before a snapshot
 * is taken: then no rewrite is waited for afterwards.  Where the snapshot is the
 * transaction's, and too old, the transaction ends with 40001.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "partitioning/partdesc.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "mapping/building.h"
#include "mapping/mapping.h"

/* Does the snapshot see the table with other storage than it has now?  False where it does not see the table at all. */
static bool
stored_elsewhere(Form_pg_class now, Snapshot snapshot)
{
	Relation	classes = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		result;

	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(now->oid));
	scan = systable_beginscan(classes, ClassOidIndexId, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	result = HeapTupleIsValid(tuple) && ((Form_pg_class) GETSTRUCT(tuple))->relfilenode != now->relfilenode;
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	return result;
}

static void
check_table(Oid relid, Snapshot snapshot)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_class) GETSTRUCT(tuple);
	/* Mostly the row of pg_class is older than any snapshot. */
	if (XidInMVCCSnapshot(HeapTupleHeaderGetXmin(tuple->t_data), snapshot) && stored_elsewhere(form, snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent rewrite of table %s", quote_qualified_identifier(get_namespace_name(form->relnamespace), NameStr(form->relname)))));
	ReleaseSysCache(tuple);
}

/*
 * Locks a table and what is read with it: its partitions, or the tables of a
 * view.  Each of them may be rewritten alone, and a lock on the table does not
 * wait for that.  With a snapshot, checks each against it.
 */
static void
lock_table(Oid relid, Snapshot snapshot)
{
	char		relkind;

	check_stack_depth();
	LockRelationOid(relid, AccessShareLock);
	if (snapshot != NULL)
		check_table(relid, snapshot);
	relkind = get_rel_relkind(relid);
	if (relkind == RELKIND_PARTITIONED_TABLE)
	{
		Relation	rel = table_open(relid, NoLock);
		PartitionDesc partitions = RelationGetPartitionDesc(rel, true);

		for (int i = 0; i < partitions->nparts; i++)
			lock_table(partitions->oids[i], snapshot);
		table_close(rel, NoLock);
	}
	else if (relkind == RELKIND_VIEW)
	{
		Relation	rel = relation_open(relid, NoLock);
		ListCell   *lc;

		/* As OLD and NEW it names itself. */
		foreach(lc, bo_tables_read(get_view_query(rel)))
			if (((TableRead *) lfirst(lc))->relid != relid)
				lock_table(((TableRead *) lfirst(lc))->relid, snapshot);
		relation_close(rel, NoLock);
	}
	else
	{
		ListCell   *lc;

		foreach(lc, find_inheritance_children(relid, NoLock))
			lock_table(lfirst_oid(lc), snapshot);
	}
}

/*
 * Locks what a mapping reads, AccessShare, as reading it does: before the
 * snapshot that it will be read with.
 */
void
bo_mapping_lock(Mapping *mapping)
{
	ListCell   *lc;

	foreach(lc, mapping->reads)
		lock_table(((TableRead *) lfirst(lc))->relid, NULL);
}

/*
 * Raises 40001 where the active snapshot is the transaction's and older than a
 * rewrite of a table that the mapping reads.  Locks them.
 */
void
bo_mapping_check_rewritten(Mapping *mapping)
{
	ListCell   *lc;

	if (!IsolationUsesXactSnapshot())
		return;
	foreach(lc, mapping->reads)
		lock_table(((TableRead *) lfirst(lc))->relid, GetActiveSnapshot());
}
