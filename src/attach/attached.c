/*
 * attached.c
 *		The table that an SQL function is given: may it be attached, is it attached,
 *		and what its arguments are.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "mapping/mapping.h"

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
	if (IsCatalogNamespace(RelationGetNamespace(rel)) || RelationGetNamespace(rel) == get_namespace_oid("backorder", false) ||
		RelationGetNamespace(rel) == get_namespace_oid("backorder_internal", false))
		bo_refuse(psprintf("cannot attach \"%s\": it is a system table", name), "Attach a table of the application.");
	/* relhassubclass stays when the last child has gone */
	if (rel->rd_rel->relkind == RELKIND_RELATION && find_inheritance_children(relid, NoLock) != NIL)
		bo_refuse(psprintf("cannot attach \"%s\": it has inheritance children", name), "Attach an ordinary or partitioned table.");
	if (has_superclass(relid))
		bo_refuse(psprintf("cannot attach \"%s\": it is an inheritance child", name), "Attach an ordinary or partitioned table.");
	if (!bo_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name);
	table_close(rel, NoLock);
}

char *
bo_arg_text(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

/* An argument that is one of two words; else ERRCODE_BO_MAPPING. */
char *
bo_one_of(FunctionCallInfo fcinfo, int arg, const char *name, const char *first, const char *second)
{
	char	   *value = bo_arg_text(fcinfo, arg);

	if (value == NULL || (strcmp(value, first) != 0 && strcmp(value, second) != 0))
		bo_refuse(psprintf("unknown %s \"%s\"", name, value ? value : "NULL"), psprintf("It is %s or %s.", first, second));
	return value;
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

/* The source of the attached table named by the first argument, which the caller must own. */
int32
bo_attached_argument(FunctionCallInfo fcinfo, SourceKind kind)
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
	source_id = bo_source_of_table(relid, kind, &tenant, &detached);
	if (source_id == 0 || detached)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("table \"%s\" is not attached", get_rel_name(relid) ? get_rel_name(relid) : "?"),
				 kind == SOURCE_OF_STOCK ?
				 errhint("Attached tables of stock are listed in backorder.stock_source.") :
				 errhint("Attached tables are listed in backorder.source.")));
	if (!bo_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	return source_id;
}

/* Is there an index on all rows that begins in one of these ways? */
bool
bo_has_index(Oid relid, const IndexStart *starts, int n)
{
	Relation	rel = table_open(relid, AccessShareLock);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		if (form->indisvalid && heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
			for (int i = 0; i < n && !found; i++)
				found = form->indkey.values[0] == starts[i].first &&
					(starts[i].second == 0 || (form->indnkeyatts > 1 && form->indkey.values[1] == starts[i].second));
		ReleaseSysCache(tuple);
	}
	table_close(rel, NoLock);
	return found;
}
