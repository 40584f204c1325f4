/*
 * attach_stock.c
 *		attach_stock(), detach_stock() and resync_stock(): tables in which the
 *		application keeps on hand itself.
 *
 * What such a table says is stock_source.c's, which changes are noted
 * stock_notes.c's, what follows counted.c's.
 */
#include "attach/attachment.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(bo_attach_stock);
PG_FUNCTION_INFO_V1(bo_detach_stock);
PG_FUNCTION_INFO_V1(bo_end_stock_source);
PG_FUNCTION_INFO_V1(bo_resync_stock);
PG_FUNCTION_INFO_V1(bo_note_stock);
PG_FUNCTION_INFO_V1(bo_mapped_stock);

/* The mapped expressions, in the order of attach_stock()'s arguments. */
static const struct
{
	const char *name;
	Oid			type;
}			expressions[] = {
	{"item", TEXTOID}, {"on_hand", NUMERICOID}, {"location", TEXTOID}, {"unavailable", NUMERICOID}, {"live", BOOLOID}
};

#define NEXPRESSIONS ((int) lengthof(expressions))

/* Is there an index that finds the rows of an item (column 0: an expression), or of an item at a location? */
static bool
has_index(Oid relid, AttrNumber item, AttrNumber location)
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
			found = found || form->indkey.values[0] == item ||
				(location != 0 && form->indkey.values[0] == location && form->indnkeyatts > 1 && form->indkey.values[1] == item);
		ReleaseSysCache(tuple);
	}
	table_close(rel, NoLock);
	return found;
}

/* What an attached mapping could have better. */
static void
say_hints(int32 source_id)
{
	Mapping    *mapping = bo_stock_mapping(source_id);
	MappedTable *table = &mapping->line;
	AttrNumber	location;
	AttrNumber	item = bo_stock_item_column(source_id, &location);
	ListCell   *lc;

	if (item == 0)
	{
		if (!has_index(table->relid, 0, 0))
			bo_say_hint(psprintf("the item of table %s is not a column that an index could find", table->name), "Each look at an item reads the whole table.",
						"Map item to a column of a type of text, number or uuid, or create an index on the expression.", NULL);
	}
	else if (!has_index(table->relid, item, location))
		bo_say_hint(psprintf("table %s has no index on its item", table->name), "Each look at an item reads the whole table.",
					psprintf("CREATE INDEX ON %s (%s);", table->name, quote_identifier(get_attname(table->relid, item, false))), NULL);
	foreach(lc, mapping->reads)
	{
		Oid			relid = ((TableRead *) lfirst(lc))->relid;

		if (relid != table->relid)
			bo_say_hint(psprintf("changes of %s are not noticed", quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid))),
						NULL, "If they matter to stock, call backorder.resync_stock() after them.", NULL);
	}
}

/* Looks at all of a source, in one settling of its own.  Returns how many counts were written. */
static int64
count_all(int32 source_id, bool anew)
{
	Settlement	settlement = {.counts_whole = true,.counts_anew = anew};
	bool		paused;

	(void) bo_settle_pending();
	paused = bo_pause_commit_work(true);
	PG_TRY();
	{
		bo_stock_note_all(source_id);
		(void) bo_reconcile_and_settle(&settlement, (ReconcileMode) {0});
	}
	PG_CATCH();
	{
		bo_unpause_commit_work(paused);
		PG_RE_THROW();
	}
	PG_END_TRY();
	(void) bo_pause_commit_work(paused);
	return settlement.counted;
}

/*
 * attach_stock(): see the reference.  Runs as the caller, who must own the
 * table; takes SHARE ROW EXCLUSIVE on it, so writers wait until all is
 * counted.
 */
Datum
bo_attach_stock(PG_FUNCTION_ARGS)
{
	MappedTable table;
	char	   *texts[lengthof(expressions)];
	char	   *timing;
	char	   *tenant = PG_ARGISNULL(7) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(7));
	char	   *old_tenant = NULL;
	bool		detached = false;
	Datum		args[13];
	BoSection	section;
	Oid			relid;
	int32		source_id;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		bo_refuse("stock_table, item and on_hand are needed", "Name the table, and the columns or expressions of item and on hand.");
	timing = bo_one_of(fcinfo, 6, "timing", "deferred", "immediate");
	relid = PG_GETARG_OID(0);
	bo_check_table(relid, ShareRowExclusiveLock);
	bo_mapped_table(&table, relid, NULL, NULL);
	for (int i = 0; i < NEXPRESSIONS; i++)
	{
		char	   *given = strcmp(expressions[i].name, "live") == 0 ? "true" : NULL;

		if (!PG_ARGISNULL(1 + i))
			given = text_to_cstring(PG_GETARG_TEXT_PP(1 + i));
		texts[i] = given ? bo_prepare_row_expression(expressions[i].name, expressions[i].type, given, "stock", &table) : NULL;
	}
	(void) bo_settle_pending();

	source_id = bo_stock_source_of_table(relid, &old_tenant, &detached);
	if (source_id != 0 && strcmp(old_tenant, tenant) != 0)
		bo_refuse(psprintf("table %s is recorded for tenant \"%s\"", table.name, old_tenant), "A table belongs to one tenant.");
	bo_enter(&section);
	if (source_id == 0)
		source_id = bo_next_source_id();
	args[0] = CStringGetTextDatum(tenant);
	args[1] = Int32GetDatum(source_id);
	args[2] = CStringGetTextDatum(get_namespace_name(get_rel_namespace(relid)));
	args[3] = CStringGetTextDatum(get_rel_name(relid));
	args[4] = ObjectIdGetDatum(relid);
	args[5] = bo_text(texts[0]);
	args[6] = bo_text(texts[1]);
	args[7] = bo_text(texts[2]);
	args[8] = bo_text(texts[3]);
	args[9] = bo_text(texts[4]);
	args[10] = CStringGetTextDatum(timing);
	args[11] = args[12] = bo_column_array(&table);
	(void) bo_exec(BO_WRITE_STOCK_SOURCE, NULL, args, false);
	bo_leave(&section);

	/* As the caller, who owns the table. */
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	bo_create_triggers(table.name, source_id, "stock");
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	CommandCounterIncrement();
	bo_follow_tables();
	CommandCounterIncrement();
	bo_stock_forget(source_id);
	say_hints(source_id);
	(void) count_all(source_id, true);
	PG_RETURN_INT32(source_id);
}

/* The source of the attached table of stock named by the first argument, which the caller must own. */
static int32
attached_argument(FunctionCallInfo fcinfo)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *tenant;
	bool		detached = false;
	int32		source_id = bo_stock_source_of_table(relid, &tenant, &detached);

	if (source_id == 0 || detached)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("table \"%s\" is not attached", get_rel_name(relid) ? get_rel_name(relid) : "?"),
				 errhint("Attached tables of stock are listed in backorder.stock_source.")));
	if (!bo_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	return source_id;
}

/* What the source kept is kept by movements from now on.  The stock is locked sorted, all that was ever committed. */
static void
end_source(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	List	   *places = NIL;
	BoSection	section;
	uint64		n;

	bo_enter(&section);
	PushActiveSnapshot(GetLatestSnapshot());
	n = bo_exec(BO_READ_COUNTED, NULL, &arg, true);
	PopActiveSnapshot();
	for (uint64 i = 0; i < n; i++)
	{
		StockKey   *key = palloc(sizeof(StockKey));

		key->item = bo_get_text(i, 1);
		key->location = bo_get_text(i, 2);
		key->tenant = bo_get_text(i, 3);
		places = lappend(places, key);
	}
	bo_lock_places(places);
	(void) bo_exec(BO_RELEASE_COUNTED, NULL, &arg, false);
	(void) bo_exec(BO_DETACH_STOCK_SOURCE, NULL, &arg, false);
	bo_leave(&section);
	bo_stock_forget(source_id);
}

/* end_stock_source(source_id): of a table that was dropped; for the event trigger. */
Datum
bo_end_stock_source(PG_FUNCTION_ARGS)
{
	end_source(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}

/* Detaches a source; relid InvalidOid: its table is gone. */
void
bo_detach_stock_source(int32 source_id, Oid relid)
{
	BoSection	section;

	if (OidIsValid(relid))
		LockRelationOid(relid, ShareRowExclusiveLock);
	(void) bo_settle_pending();
	bo_enter(&section);
	bo_release_table(relid, source_id);
	bo_leave(&section);
	end_source(source_id);
}

/* detach_stock(stock_table): for the table's owner. */
Datum
bo_detach_stock(PG_FUNCTION_ARGS)
{
	bo_detach_stock_source(attached_argument(fcinfo), PG_GETARG_OID(0));
	PG_RETURN_VOID();
}

/* resync_stock(stock_table): for the table's owner. */
Datum
bo_resync_stock(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(count_all(attached_argument(fcinfo), false));
}

/* note_stock(source_id): notes all of a table; for the event triggers. */
Datum
bo_note_stock(PG_FUNCTION_ARGS)
{
	bo_stock_note_all(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}

static void
put_figure(char *item, char *location, Qty on_hand, Qty unavailable, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[4] = {bo_text(item), bo_text(location), NumericGetDatum(on_hand), unavailable ? NumericGetDatum(unavailable) : (Datum) 0};
	bool		nulls[4] = {false, false, false, unavailable == NULL};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* mapped_stock(source_id): what the table says now; for verify(). */
Datum
bo_mapped_stock(PG_FUNCTION_ARGS)
{
	BoSection	section;

	InitMaterializedSRF(fcinfo, 0);
	bo_enter(&section);
	bo_stock_figures(PG_GETARG_INT32(0), NIL, true, put_figure, fcinfo->resultinfo);
	bo_leave(&section);
	return (Datum) 0;
}
