/*
 * attach.c
 *		attach(): which tables are watched, and how.
 *
 * What attach() is given is arguments.c's.  triggers.c creates the triggers;
 * what they note is capture.c's.
 */
#include "postgres.h"

#include "utils/lsyscache.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "mapping/mapping.h"
#include "reconcile/reconcile.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_attach);

/* The arguments of BO_ADD_SOURCE and BO_CHANGE_SOURCE, from 0. */
typedef enum SourceArgument
{
	PUT_TENANT,
	PUT_SOURCE_ID,
	PUT_LINE_SCHEMA,
	PUT_LINE_TABLE,
	PUT_LINE_RELID,
	PUT_HEADER_SCHEMA,
	PUT_HEADER_TABLE,
	PUT_HEADER_RELID,
	PUT_ORDER_KEY,
	PUT_LINE_KEY,
	PUT_HEADER_KEY,
	PUT_EXPRESSIONS,			/* the first, by MappedColumn */
	PUT_LINE_COLUMNS = PUT_EXPRESSIONS + MAPPED_COLUMNS,
	PUT_TIMING,
	PUT_OVERSHIP,
	PUT_HEADER_COLUMNS,
	PUT_JOINS,
	PUT_LINE_KEY_EXPRESSIONS,
	PUT_ON_ERROR,
	PUT_LINE_NAMES,
	PUT_HEADER_NAMES,
	SOURCE_ARGUMENTS			/* how many there are */
} SourceArgument;

/* Writes the source's row; returns its number. */
int32
bo_attach_source(Attachment *a)
{
	Datum		args[SOURCE_ARGUMENTS] = {0};
	SpiScope	spi;
	ListCell   *lc;
	int32		source_id;
	int			n = 0;
	char	   *old_tenant = NULL;
	bool		detached = false;

	args[PUT_LINE_SCHEMA] = CStringGetTextDatum(get_namespace_name(get_rel_namespace(a->line.relid)));
	args[PUT_LINE_TABLE] = CStringGetTextDatum(get_rel_name(a->line.relid));
	args[PUT_LINE_RELID] = ObjectIdGetDatum(a->line.relid);
	if (OidIsValid(a->header.relid))
	{
		args[PUT_HEADER_SCHEMA] = CStringGetTextDatum(get_namespace_name(get_rel_namespace(a->header.relid)));
		args[PUT_HEADER_TABLE] = CStringGetTextDatum(get_rel_name(a->header.relid));
		args[PUT_HEADER_KEY] = bo_name_array(a->header_key);
		args[PUT_HEADER_COLUMNS] = bo_column_array(&a->header);
	}
	args[PUT_HEADER_RELID] = ObjectIdGetDatum(a->header.relid);
	args[PUT_ORDER_KEY] = bo_name_array(a->order_key);
	args[PUT_LINE_KEY] = bo_name_array(a->line_key);
	for (int i = 0; i < MAPPED_COLUMNS; i++)
		args[PUT_EXPRESSIONS + i] = a->texts[i] ? CStringGetTextDatum(a->texts[i]) : (Datum) 0;
	args[PUT_LINE_COLUMNS] = bo_column_array(&a->line);
	args[PUT_TIMING] = CStringGetTextDatum(a->timing);
	args[PUT_OVERSHIP] = CStringGetTextDatum(a->overship);
	args[PUT_JOINS] = a->joins ? CStringGetTextDatum(a->joins) : (Datum) 0;
	args[PUT_LINE_KEY_EXPRESSIONS] = a->key_expressions ? bo_name_array(a->key_expressions) : (Datum) 0;
	args[PUT_ON_ERROR] = CStringGetTextDatum(a->on_error);
	args[PUT_LINE_NAMES] = args[PUT_LINE_COLUMNS];
	args[PUT_HEADER_NAMES] = args[PUT_HEADER_COLUMNS];
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
	args[PUT_TENANT] = CStringGetTextDatum(a->tenant);
	args[PUT_SOURCE_ID] = Int32GetDatum(source_id != 0 ? source_id : bo_next_source_id());
	if (source_id == 0)
		(void) bo_run_statement(BO_ADD_SOURCE, NULL, args, false);
	else if (bo_run_statement(BO_CHANGE_SOURCE, NULL, args, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update of source %d", source_id)));
	source_id = DatumGetInt32(args[PUT_SOURCE_ID]);
	if (!a->preview)
		bo_release_watched(source_id);
	(void) bo_run_statement(BO_FORGET_WATCHED, NULL, args, false);
	foreach(lc, a->watched)
	{
		WatchArgument *watch = lfirst(lc);
		Oid			relid = watch->table.relid;
		Datum		row[9] = {args[PUT_TENANT], args[PUT_SOURCE_ID], Int32GetDatum(++n),
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
	for (a.n = 0; a.n < MAPPED_COLUMNS; a.n++)
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
	if (PG_ARGISNULL(ATTACH_IMPORT) || PG_GETARG_BOOL(ATTACH_IMPORT))
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
