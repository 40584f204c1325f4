/*
 * attach.c
 *		attach(), detach() and resync(): which tables are watched, and how.
 *
 * What attach() is given is attach_arguments.c's.  The triggers are created
 * here; what they note is capture.c's.
 */
#include "attach.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(bo_attach);
PG_FUNCTION_INFO_V1(bo_detach);
PG_FUNCTION_INFO_V1(bo_detach_source);
PG_FUNCTION_INFO_V1(bo_end_source);
PG_FUNCTION_INFO_V1(bo_resync);

static Datum
name_array(List *names)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(list_length(names), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, names)
		datums[n++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(datums, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The names that a mapping uses for the columns of a table, by number. */
Datum
bo_column_array(const MappedTable *table)
{
	List	   *names = NIL;

	for (int i = 0; i < table->natts; i++)
		names = lappend(names, table->alias[i] ? table->alias[i] : "");
	return name_array(names);
}

/* ---------- triggers ---------- */

static void
run_ddl(const char *sql)
{
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not run %s", sql);
}

/* The triggers of one source: a table may have those of others too. */
static void
drop_triggers(const char *table, int32 source_id)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	run_ddl(psprintf("DROP TRIGGER IF EXISTS backorder_capture_%d ON %s", source_id, table));
	run_ddl(psprintf("DROP TRIGGER IF EXISTS backorder_capture_%d_statement ON %s", source_id, table));
	AtEOXact_GUC(false, level);
}

/* The triggers of a source on a table and its partitions go, if there is the table. */
void
bo_release_table(Oid relid, int32 source_id)
{
	char	   *name = OidIsValid(relid) ? get_rel_name(relid) : NULL;
	ListCell   *lc;

	if (name == NULL)
		return;
	drop_triggers(quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name), source_id);
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		foreach(lc, find_inheritance_children(relid, NoLock))
			bo_release_table(lfirst_oid(lc), source_id);
}

/* The capture triggers of a source on a table, in a role.  As its owner, in SPI; the table is locked. */
void
bo_create_triggers(const char *table, int32 source_id, const char *role)
{
	drop_triggers(table, source_id);
	run_ddl(psprintf("CREATE TRIGGER backorder_capture_%d AFTER INSERT OR UPDATE OR DELETE ON %s "
					 "FOR EACH ROW EXECUTE FUNCTION backorder_internal.capture('%d', '%s')", source_id, table, source_id, role));
	run_ddl(psprintf("CREATE TRIGGER backorder_capture_%d_statement AFTER TRUNCATE ON %s "
					 "FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.capture('%d', '%s')", source_id, table, source_id, role));
	/* So DROP EXTENSION takes them along. */
	run_ddl(psprintf("ALTER TRIGGER backorder_capture_%d ON %s DEPENDS ON EXTENSION backorder", source_id, table));
	run_ddl(psprintf("ALTER TRIGGER backorder_capture_%d_statement ON %s DEPENDS ON EXTENSION backorder", source_id, table));
}

/* The tables that a source watched lose its triggers. */
static void
release_watched(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	SPITupleTable *rows;
	uint64		n = bo_exec(BO_READ_WATCHED, NULL, &arg, false);

	rows = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;

		SPI_tuptable = rows;
		bo_release_table(bo_resolve_table(DatumGetObjectId(bo_get(i, 3, &isnull)), bo_get_text(i, 1), bo_get_text(i, 2), source_id), source_id);
	}
}

/* ---------- reconciling what is attached ---------- */

/*
 * Makes our own rows agree with each other, where somebody changed them past
 * the extension, under the locks of the noted orders.  What that frees is dealt
 * by the settlement, and orders are told what they had not been.
 */
static void
mend(Mapping *mapping, Settlement *settlement)
{
	MemoryContext cx = CurrentMemoryContext;
	BoSection	section;
	SPITupleTable *rows;
	uint64		n;
	Datum		arg = Int32GetDatum(mapping->source_id);

	bo_lock_orders(bo_pending_orders());
	bo_enter(&section);
	n = bo_exec(BO_MEND, NULL, &arg, false);
	rows = SPI_tuptable;
	MemoryContextSwitchTo(cx);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *item;

		SPI_tuptable = rows;
		item = bo_get_text(i, 1);
		if (item == NULL)
			bo_touch_order(mapping->tenant, bo_get_int32(i, 3), bo_get_text(i, 4), false);
		else
		{
			StockKey   *key = palloc(sizeof(StockKey));

			key->tenant = mapping->tenant;
			key->item = item;
			key->location = bo_get_text(i, 2);
			settlement->places = lappend(settlement->places, key);
		}
	}
	settlement->repromise = settlement->places != NIL;
	bo_leave(&section);
	CommandCounterIncrement();
}

/* Reconciles all orders of a source, in one settling of their own. */
static int64
reconcile_source(Mapping *mapping, ReconcileMode mode)
{
	Settlement	settlement = {0};
	volatile int64 changed = 0;
	bool		paused;

	mode.whole = true;
	(void) bo_settle_pending();
	paused = bo_pause_commit_work(true);
	PG_TRY();
	{
		bo_note_recorded(mapping);
		if (mode.detach == NULL)
		{
			BoSection	section;

			bo_enter(&section);
			bo_mapping_note_all(mapping);
			bo_leave(&section);
		}
		if (mode.mend)
			mend(mapping, &settlement);
		changed = bo_reconcile_and_settle(&settlement, mode);
	}
	PG_CATCH();
	{
		bo_unpause_commit_work(paused);
		PG_RE_THROW();
	}
	PG_END_TRY();
	(void) bo_pause_commit_work(paused);
	bo_unpark_source(mapping);
	return changed;
}

/* ---------- attach, detach, resync ---------- */

/* Writes the source's row; returns its number. */
int32
bo_attach_source(Attachment *a)
{
	Datum		args[32] = {0};
	BoSection	section;
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
		args[10] = name_array(a->header_key);
		args[26] = bo_column_array(&a->header);
	}
	args[7] = ObjectIdGetDatum(a->header.relid);
	args[8] = name_array(a->order_key);
	args[9] = name_array(a->line_key);
	for (int i = 0; i < BO_EXPRESSIONS; i++)
		args[11 + i] = a->texts[i] ? CStringGetTextDatum(a->texts[i]) : (Datum) 0;
	args[23] = bo_column_array(&a->line);
	args[24] = CStringGetTextDatum(a->timing);
	args[25] = CStringGetTextDatum(a->overship);
	args[27] = a->joins ? CStringGetTextDatum(a->joins) : (Datum) 0;
	args[28] = a->key_expressions ? name_array(a->key_expressions) : (Datum) 0;
	args[29] = CStringGetTextDatum(a->on_error);
	args[30] = args[23];
	args[31] = args[26];
	source_id = bo_source_of_table(a->line.relid, &old_tenant, &detached);
	if (source_id != 0)
	{
		a->again = !detached;
		if (strcmp(old_tenant, a->tenant) != 0)
			bo_refuse(psprintf("table %s is recorded for tenant \"%s\"", a->line.name, old_tenant), "A table belongs to one tenant.");
		a->old_header = bo_mapping_stub(source_id)->header.relid;
		bo_mapping_forget(source_id);
	}
	bo_enter(&section);
	args[0] = CStringGetTextDatum(a->tenant);
	args[1] = Int32GetDatum(source_id != 0 ? source_id : bo_next_source_id());
	if (source_id == 0)
		(void) bo_exec(BO_ADD_SOURCE, NULL, args, false);
	else if (bo_exec(BO_CHANGE_SOURCE, NULL, args, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update of source %d", source_id)));
	source_id = DatumGetInt32(args[1]);
	if (!a->preview)
		release_watched(source_id);
	(void) bo_exec(BO_FORGET_WATCHED, NULL, args, false);
	foreach(lc, a->watched)
	{
		WatchArgument *watch = lfirst(lc);
		Oid			relid = watch->table.relid;
		Datum		row[9] = {args[0], args[1], Int32GetDatum(++n),
			CStringGetTextDatum(get_namespace_name(get_rel_namespace(relid))), CStringGetTextDatum(get_rel_name(relid)),
		ObjectIdGetDatum(relid), bo_column_array(&watch->table), CStringGetTextDatum(watch->keys), bo_column_array(&watch->table)};

		(void) bo_exec(BO_ADD_WATCHED, NULL, row, false);
	}
	bo_leave(&section);
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
	bo_follow_tables();
	CommandCounterIncrement();
	bo_mapping_forget(source_id);
	mapping = bo_mapping(source_id);
	bo_attach_hints(&a, mapping, bo_say_hint, NULL);
	if (PG_ARGISNULL(23) || PG_GETARG_BOOL(23))
	{
		bo_import_lock(source_id);
		(void) reconcile_source(mapping, (ReconcileMode) {.baseline = !a.again,.import = mapping->importing});
		bo_import_forget(source_id);
	}
	else
		bo_import_later(source_id, a.again);
	PG_RETURN_INT32(source_id);
}

/* The source of the attached table named by the first argument, which the caller must own. */
int32
bo_attached_argument(FunctionCallInfo fcinfo)
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
	source_id = bo_source_of_table(relid, &tenant, &detached);
	if (source_id == 0 || detached)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("table \"%s\" is not attached", get_rel_name(relid) ? get_rel_name(relid) : "?"),
				 errhint("Attached tables are listed in backorder.source.")));
	if (!bo_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	return source_id;
}

/*
 * The open lines of a source leave, and nothing is left for the commit: the
 * extension itself may be dropped next.
 */
static void
end_lines(Mapping *stub)
{
	bool		paused;

	(void) bo_settle_pending();
	paused = bo_pause_commit_work(true);
	PG_TRY();
	{
		(void) reconcile_source(stub, (ReconcileMode) {.detach = stub});
		bo_run_commit_work();
	}
	PG_CATCH();
	{
		bo_unpause_commit_work(paused);
		PG_RE_THROW();
	}
	PG_END_TRY();
	(void) bo_pause_commit_work(paused);
}

/* end_source(source_id): ends the open lines of a source whose table was dropped; for the event trigger. */
Datum
bo_end_source(PG_FUNCTION_ARGS)
{
	end_lines(bo_mapping_stub(PG_GETARG_INT32(0)));
	PG_RETURN_VOID();
}

/* Open lines leave, triggers go; works without a mapping that can be read. */
static void
detach(int32 source_id)
{
	Mapping    *mapping = bo_mapping_stub(source_id);
	Datum		arg = Int32GetDatum(source_id);
	BoSection	section;

	if (mapping->detached)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("source %d is detached", source_id),
				 errhint("Attached tables are listed in backorder.source.")));
	if (OidIsValid(mapping->line.relid))
		LockRelationOid(mapping->line.relid, ShareRowExclusiveLock);
	if (OidIsValid(mapping->header.relid))
		LockRelationOid(mapping->header.relid, ShareRowExclusiveLock);
	bo_import_forget(source_id);	/* its row is locked before the orders */
	end_lines(mapping);
	bo_enter(&section);
	bo_release_table(mapping->line.relid, source_id);
	bo_release_table(mapping->header.relid, source_id);
	release_watched(source_id);
	(void) bo_exec(BO_DETACH_SOURCE, NULL, &arg, false);
	bo_leave(&section);
	bo_mapping_forget(source_id);
}

/* detach(line_table): for the table's owner. */
Datum
bo_detach(PG_FUNCTION_ARGS)
{
	detach(bo_attached_argument(fcinfo));
	PG_RETURN_VOID();
}

/* detach_source(source_id): where the table is gone and cannot be named; for a superuser, or who owns the extension's tables. */
Datum
bo_detach_source(PG_FUNCTION_ARGS)
{
	Oid			relid;

	if (!has_privs_of_role(GetUserId(), bo_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to detach source %d", PG_GETARG_INT32(0)),
				 errhint("Only the owner of the extension may detach a source by its number; a table's owner uses backorder.detach().")));
	if (bo_stock_attached(PG_GETARG_INT32(0), &relid))
		bo_detach_stock_source(PG_GETARG_INT32(0), relid);
	else
		detach(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}

/* resync(): reconciles one order, or all; returns lines that changed. */
Datum
bo_resync(PG_FUNCTION_ARGS)
{
	Mapping    *mapping = bo_mapping(bo_attached_argument(fcinfo));
	Settlement	settlement = {0};
	BoSection	section;

	if (PG_ARGISNULL(1))
	{
		bo_import_resynced(mapping->source_id);
		PG_RETURN_INT64(reconcile_source(mapping, (ReconcileMode) {.mend = true}));
	}
	bo_enter(&section);			/* the key is read under pinned settings */
	if (!bo_note_order_text(mapping, text_to_cstring(PG_GETARG_TEXT_PP(1)), true))
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("\"%s\" is no order key of %s", text_to_cstring(PG_GETARG_TEXT_PP(1)), mapping->line.name),
				 errhint("A key of several columns is an array literal, such as {1,2}.")));
	bo_leave(&section);
	PG_RETURN_INT64(bo_reconcile_and_settle(&settlement, (ReconcileMode) {0}));
}
