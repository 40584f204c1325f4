/*
 * attach.c
 *		attach(), detach() and resync(): which tables are watched, and how.
 *
 * What attach() is given is arguments.c's.  The triggers are created
 * here; what they note is capture.c's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "mapping/mapping.h"
#include "reconcile/reconcile.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_attach);

/* ---------- attach, detach, resync ---------- */

/* Writes the source's row; returns its number. */
int32
bo_attach_source(Attachment *a)
{
	Datum		args[BO_MAX_ARGUMENTS] = {0};
	SpiScope	spi;
	ListCell   *lc;
	int32		source_id;
	int			n = 0;
	char	   *old_tenant = NULL;
	bool		detached = false;

	args[2] = CStringGetTextDatum(get_namespace_name(get_rel_namespace(a->line.relid)));
	args[3] = CStringGetTextDatum(get_rel_name(a->line.relid));
	args[4] = ObjectIdGetDatum(a->line.relid);
	if (OidIsValid(a->header.relid))
	{
		args[5] = CStringGetTextDatum(get_namespace_name(get_rel_namespace(a->header.relid)));
		args[6] = CStringGetTextDatum(get_rel_name(a->header.relid));
		args[10] = bo_name_array(a->header_key);
		args[26] = bo_column_array(&a->header);
	}
	args[7] = ObjectIdGetDatum(a->header.relid);
	args[8] = bo_name_array(a->order_key);
	args[9] = bo_name_array(a->line_key);
	for (int i = 0; i < BO_EXPRESSIONS; i++)
		args[11 + i] = a->texts[i] ? CStringGetTextDatum(a->texts[i]) : (Datum) 0;
	args[23] = bo_column_array(&a->line);
	args[24] = CStringGetTextDatum(a->timing);
	args[25] = CStringGetTextDatum(a->overship);
	args[27] = a->joins ? CStringGetTextDatum(a->joins) : (Datum) 0;
	args[28] = a->key_expressions ? bo_name_array(a->key_expressions) : (Datum) 0;
	args[29] = CStringGetTextDatum(a->on_error);
	args[30] = args[23];
	args[31] = args[26];
	source_id = bo_source_of_table(a->line.relid, SOURCE_OF_ORDERS, &old_tenant, &detached);
	if (source_id != 0)
	{
		a->again = !detached;
		if (strcmp(old_tenant, a->tenant) != 0)
			bo_refuse(psprintf("table %s is recorded for tenant \"%s\"", a->line.name, old_tenant), "A table belongs to one tenant.");
		a->old_header = bo_source_identity(source_id)->header.relid;
		bo_mapping_forget(source_id);
	}
	bo_spi_begin(&spi);
	args[0] = CStringGetTextDatum(a->tenant);
	args[1] = Int32GetDatum(source_id != 0 ? source_id : bo_next_source_id());
	if (source_id == 0)
		(void) bo_run_statement(BO_ADD_SOURCE, NULL, args, false);
	else if (bo_run_statement(BO_CHANGE_SOURCE, NULL, args, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update of source %d", source_id)));
	source_id = DatumGetInt32(args[1]);
	if (!a->preview)
		bo_release_watched(source_id);
	(void) bo_run_statement(BO_FORGET_WATCHED, NULL, args, false);
	foreach(lc, a->watched)
	{
		WatchArgument *watch = lfirst(lc);
		Oid			relid = watch->table.relid;
		Datum		row[9] = {args[0], args[1], Int32GetDatum(++n),
			CStringGetTextDatum(get_namespace_name(get_rel_namespace(relid))), CStringGetTextDatum(get_rel_name(relid)),
		ObjectIdGetDatum(relid), bo_column_array(&watch->table), CStringGetTextDatum(watch->keys), bo_column_array(&watch->table)};

		(void) bo_run_statement(BO_ADD_WATCHED, NULL, row, false);
	}
	bo_spi_end(&spi);
	bo_mapping_forget(source_id);
	return source_id;
}

/*
 * attach(): see the reference.  Runs as the caller, who must own the tables;
 * takes SHARE ROW EXCLUSIVE on them, so writers wait until the transaction
 * ends: with import => false that is before any order is read.
 */
Datum
bo_attach(PG_FUNCTION_ARGS)
{
	Attachment	a = {.fcinfo = fcinfo};
	Mapping    *mapping;
	int32		source_id;
	ListCell   *lc;

	bo_attach_tables(&a);
	bo_attach_keys(&a);
	bo_attach_joins(&a);
	for (a.n = 0; a.n < BO_EXPRESSIONS; a.n++)
		bo_attach_expression(&a);
	bo_attach_key_expressions(&a);
	bo_attach_watched(&a);
	(void) bo_settle_pending();
	source_id = bo_attach_source(&a);

	/* As the caller, who owns the tables. */
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	bo_release_table(a.old_header, source_id);
	bo_create_triggers(a.line.name, source_id, "line");
	if (OidIsValid(a.header.relid))
		bo_create_triggers(a.header.name, source_id, "header");
	foreach(lc, a.watched)
		bo_create_triggers(((WatchArgument *) lfirst(lc))->table.name, source_id, "watch");
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	CommandCounterIncrement();
	bo_follow_tables(NULL);
	CommandCounterIncrement();
	bo_mapping_forget(source_id);
	mapping = bo_mapping(source_id);
	bo_attach_hints(&a, mapping, bo_say_hint, NULL);
	if (PG_ARGISNULL(23) || PG_GETARG_BOOL(23))
	{
		bool		importing = mapping->importing;

		bo_import_lock(source_id);
		bo_reconcile_source(mapping, (ReconcileMode) {.reason = !a.again ? RECONCILE_ATTACH : importing ? RECONCILE_IMPORT : RECONCILE_RESYNC});
		if (importing)
			bo_settle_imported(bo_mapping(source_id));
		bo_import_forget(source_id);
	}
	else
		bo_import_later(source_id, a.again);
	PG_RETURN_INT32(source_id);
}
