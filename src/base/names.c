/*
 * names.c
 *		The OIDs of the extension's own tables and functions.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"

/* ---------- names ---------- */

/* Relations as they were found, until one is created, renamed or dropped. */
static struct
{
	const char *name;			/* a literal, compared by address: another one with the same text is found once more */
	Oid			relid;
}			found[32];

static int	nfound = 0;

static void
names_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	nfound = 0;
}

/* The tables and sequences that no user reads or writes.  They lie in a schema of their own. */
static const char *const internal_relations[] = {"commit_work", "statement_work", "installation", "source_import", "source_id_seq", "line_id_seq"};

/* The schema of a table or sequence of the extension. */
static const char *
relation_schema(const char *name)
{
	for (int i = 0; i < (int) lengthof(internal_relations); i++)
		if (strcmp(name, internal_relations[i]) == 0)
			return "backorder_internal";
	return "backorder";
}

/* OID of a table or sequence of the extension, whose name is a literal. */
Oid
bo_relation(const char *name)
{
	const char *schema;
	Oid			relid;

	for (int i = 0; i < nfound; i++)
		if (found[i].name == name)
			return found[i].relid;
	schema = relation_schema(name);
	relid = get_relname_relid(name, get_namespace_oid(schema, false));
	if (!OidIsValid(relid))
		elog(ERROR, "relation %s.%s does not exist", schema, name);
	if (nfound < (int) lengthof(found))
	{
		found[nfound].name = name;
		found[nfound++].relid = relid;
	}
	return relid;
}

/* OID of a function without arguments.  Users call none of those that the library looks for: all are internal. */
Oid
bo_function(const char *name)
{
	oidvector  *noargs = buildoidvector(NULL, 0);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(name), PointerGetDatum(noargs),
						   ObjectIdGetDatum(get_namespace_oid("backorder_internal", false)));
}

Oid
bo_relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* The role that owns the extension's tables; our statements run as it. */
Oid
bo_owner(void)
{
	return bo_relation_owner(bo_relation("order_line"));
}

/* Called once, when the library is loaded. */
void
bo_names_init(void)
{
	CacheRegisterSyscacheCallback(RELNAMENSP, names_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACENAME, names_changed, (Datum) 0);
}
