/*
 * import.c
 *		import(): the orders of an attached table, recorded in batches that
 *		commit one by one.
 *
 * How far it has come is a row of source_import, which every batch locks
 * first and writes last: so an import that was cancelled, or whose server
 * died, goes on where it was, and two at once take turns.  Orders are read in
 * the order of their key's own type.  An order that the application writes
 * before the import comes to it is recorded by reconcile.c as it was before
 * that transaction, and then changed.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "capture/capture.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "reconcile/reconcile.h"
#include "settle/settle.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_import);
PG_FUNCTION_INFO_V1(bo_orders_to_import);

/* How many orders the planner expects; the table was analyzed. Expects an SPI scope. */
static int64
estimate_orders(Mapping *mapping)
{
	BoActor		before = bo_act_as_owner(mapping->owner);
	SPIPlanPtr	plan;
	CachedPlan *cached;
	double		rows;

	plan = SPI_prepare(mapping->keys_query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare the order keys of %s", mapping->line.name);
	cached = SPI_plan_get_cached_plan(plan);
	bo_act_as_before(&before);
	if (cached == NULL)
		elog(ERROR, "could not plan the order keys of %s", mapping->line.name);
	rows = linitial_node(PlannedStmt, cached->stmt_list)->planTree->plan_rows;
	ReleaseCachedPlan(cached, NULL);
	SPI_freeplan(plan);
	return (int64) rows;
}

/* ---------- import() ---------- */

/* A batch chooses its way by statistics, so there have to be some. Runs as the caller, who owns the table. */
static void
analyze_if_never(const MappedTable *table)
{
	HeapTuple	tuple;
	bool		never;

	if (!OidIsValid(table->relid))
		return;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table->relid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", table->relid);
	never = ((Form_pg_class) GETSTRUCT(tuple))->reltuples < 0;
	ReleaseSysCache(tuple);
	if (never && SPI_execute(psprintf("ANALYZE %s", table->name), false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not analyze %s", table->name);
}

/* Begins an import, or a resync where the orders are recorded already; one that is not finished goes on. */
static void
start_import(int32 source_id)
{
	Mapping    *mapping = bo_mapping(source_id);
	Datum		args[4] = {Int32GetDatum(source_id), bo_text("resyncing"), BoolGetDatum(true), Int64GetDatum(0)};
	SpiScope	spi;
	char	   *state = NULL;

	analyze_if_never(&mapping->line);
	analyze_if_never(&mapping->header);
	mapping = bo_mapping(source_id);
	bo_spi_begin(&spi);
	if (bo_run_statement(BO_LOCK_IMPORT, NULL, args, false) > 0)
		state = bo_result_text(SPI_tuptable, 0, IMPORT_STATE);
	if (state == NULL || (strcmp(state, "importing") != 0 && strcmp(state, "resyncing") != 0))
	{
		if (state != NULL && strcmp(state, "waiting") == 0)
		{
			args[1] = bo_text("importing");
			args[2] = BoolGetDatum(bo_result_bool(SPI_tuptable, 0, IMPORT_RECHECK));
		}
		args[3] = Int64GetDatum(estimate_orders(mapping));
		(void) bo_run_statement(BO_ADD_IMPORT, NULL, args, false);
	}
	bo_spi_end(&spi);
}

/* Notes the next orders of the table. Returns whether there may be more; *position is the last one's key. */
static bool
note_from_table(Mapping *mapping, char **position, int limit, int64 *orders)
{
	SPITupleTable *table;
	uint64		n;

	PushActiveSnapshot(GetLatestSnapshot());
	n = bo_read_keys(mapping, *position, limit);
	PopActiveSnapshot();
	table = SPI_tuptable;
	for (uint64 row = 0; row < n; row++)
	{
		Datum		native[BO_MAX_KEYS];

		char	   *key = bo_key_of_row(mapping, table, row, native);

		/* Keys that differ only in how they are written may come once for each of their lines. */
		if (*position == NULL || strcmp(*position, key) != 0)
			(*orders)++;
		*position = key;
		bo_note_whole(bo_note_order(mapping, native));
	}
	return n >= (uint64) limit;
}

/*
 * The same for recorded orders that the table does not have any more; at the end
 * for parked orders.  first: also where all lines are known to be deleted, so
 * that an order which comes back is not taken for a new one.
 */
static bool
note_from_records(Mapping *mapping, char **position, int limit, bool first)
{
	const char *behind = (*position)[0] ? *position : NULL;
	Datum		args[6] = {bo_text(mapping->tenant), Int32GetDatum(mapping->source_id), bo_text(*position), bo_text(behind),
	Int64GetDatum(limit), BoolGetDatum(first)};
	uint64		n = bo_run_statement(BO_READ_RECORDED_ORDERS, NULL, args, false);
	List	   *keys = NIL;
	ListCell   *lc;
	bool		more = n == (uint64) limit;

	for (uint64 row = 0; row < n; row++)
		keys = lappend(keys, bo_result_text(SPI_tuptable, row, 1));
	if (keys != NIL)
	{
		*position = llast(keys);
		PushActiveSnapshot(GetLatestSnapshot());
		keys = bo_missing_keys(mapping, keys);
		PopActiveSnapshot();
	}
	if (!more)
	{
		n = bo_run_statement(BO_READ_PARKED, NULL, args, false);
		for (uint64 row = 0; row < n; row++)
			keys = lappend(keys, bo_result_text(SPI_tuptable, row, 1));
	}
	foreach(lc, keys)
		(void) bo_note_order_text(mapping, lfirst(lc), false);
	return more;
}

/* Where a source is: the row of source_import. */
typedef struct Import
{
	char	   *state;
	char	   *phase;
	char	   *position;
	char	   *recorded;
	char	   *item;			/* the last stock row whose lines were allocated to; NULL: none was */
	char	   *location;
	bool		recheck;
} Import;

/* False where nothing is left to do.  Allocates in cx. */
static bool
lock_import(int32 source_id, Import *import, MemoryContext cx)
{
	Datum		arg = Int32GetDatum(source_id);

	if (bo_run_statement(BO_LOCK_IMPORT, NULL, &arg, false) == 0)
		return false;			/* attached again with its orders, or detached */
	MemoryContextSwitchTo(cx);
	import->state = bo_result_text(SPI_tuptable, 0, IMPORT_STATE);
	import->phase = bo_result_text(SPI_tuptable, 0, IMPORT_PHASE);
	import->position = bo_result_text(SPI_tuptable, 0, IMPORT_POSITION);
	import->recorded = bo_result_text(SPI_tuptable, 0, IMPORT_RECORDED);
	import->recheck = bo_result_bool(SPI_tuptable, 0, IMPORT_RECHECK);
	import->item = bo_result_text(SPI_tuptable, 0, IMPORT_ALLOCATED_ITEM);
	import->location = bo_result_text(SPI_tuptable, 0, IMPORT_ALLOCATED_LOCATION);
	return strcmp(import->state, "imported") != 0;
}

/* Does the next batch and writes down how far it came. False where nothing is left to do. */
static bool
import_batch(int32 source_id, int limit)
{
	MemoryContext cx = CurrentMemoryContext;
	Mapping    *mapping;
	Datum		args[9] = {Int32GetDatum(source_id)};
	SettleRequest request = {0};
	Import		import;
	SpiScope	spi;
	bool		first;
	bool		more;
	int64		orders = 0;

	bo_mapping_lock(bo_mapping(source_id));
	mapping = bo_mapping(source_id);
	bo_spi_begin(&spi);
	if (!lock_import(source_id, &import, cx))
	{
		bo_spi_end(&spi);
		return false;
	}
	/* Attached again meanwhile: from the beginning. */
	if (strcmp(import.state, "waiting") == 0)
		import.state = "importing";
	else if (strcmp(import.state, "outdated") == 0)
		import.state = "resyncing";
	first = strcmp(import.state, "importing") == 0;
	request.record_only = first && mapping->ranked;
	if (strcmp(import.phase, "table") == 0)
	{
		more = note_from_table(mapping, &import.position, limit, &orders);
		if (!more && import.recheck)
			import.phase = import.recorded = "";
	}
	else if (strcmp(import.phase, "recorded") == 0)
		more = note_from_records(mapping, &import.recorded, limit, first);
	else
		more = bo_next_unsettled(mapping, import.item, import.location, limit, &request);
	bo_reconcile(&request, (ReconcileMode) {.reason = RECONCILE_IMPORT});
	bo_settle(&request);
	if (request.first_settling != 0)
		more = bo_unsettled_done(&request, &import.item, &import.location) || more;
	if (!more)
	{
		/* What comes next, if anything. */
		more = true;
		if (import.phase[0] == '\0')
			import.phase = "recorded";
		else if (first && strcmp(import.phase, "allocate") != 0 && bo_has_unsettled(mapping))
			import.phase = "allocate";
		else
		{
			import.state = "imported";
			more = false;
		}
	}
	args[1] = bo_text(import.state);
	args[2] = bo_text(import.position);
	args[3] = bo_text(import.recorded);
	args[4] = Int64GetDatum(orders);
	args[5] = Int64GetDatum(request.lines_changed);
	args[6] = bo_text(import.phase);
	args[7] = bo_text(import.item);
	args[8] = bo_text(import.location);
	if (bo_run_statement(BO_STEP_IMPORT, NULL, args, false) != 1)
		elog(ERROR, "source %d lost its import", source_id);
	bo_spi_end(&spi);
	if (!more)
	{
		bo_unpark_source(mapping);
		CacheInvalidateRelcacheByRelid(mapping->line.relid);
		bo_mapping_forget(source_id);
	}
	return more;
}

typedef struct Batch
{
	int32		source_id;
	int			limit;
	bool		more;			/* there may be */
} Batch;

static void
import_alone(void *arg)
{
	Batch	   *batch = arg;

	batch->more = import_batch(batch->source_id, batch->limit);
}

/* The same, with nothing but the announcements left for the commit. */
static bool
import_batch_and_announce(int32 source_id, int limit)
{
	Batch		batch = {.source_id = source_id,.limit = limit};

	(void) bo_settle_pending();
	bo_alone(import_alone, &batch);
	return batch.more;
}

/*
 * Begins a transaction of the import.  Locks the table first: loading its
 * mapping and analyzing it take weaker locks, which would have to be upgraded,
 * and the row of the import is looked at under this lock.  Whoever attaches,
 * detaches or drops the table holds a lock that conflicts, so one of us waits
 * for the other.  Refuses a table that is not attached any more.
 */
static void
begin_transaction(Oid relid, int32 source_id)
{
	char	   *tenant;
	bool		detached = false;

	LockRelationOid(relid, RowExclusiveLock);
	/* Whatever the session's default is: after a wait we want to see what the other did. */
	XactIsoLevel = XACT_READ_COMMITTED;
	PushActiveSnapshot(GetTransactionSnapshot());
	if (bo_source_of_table(relid, SOURCE_OF_ORDERS, &tenant, &detached) != source_id || detached)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("the table was detached while it was imported"),
				 errdetail("What was imported of it was ended then."),
				 errhint("Attached tables are listed in backorder.source.")));
}

/*
 * import(line_table, batch): a procedure, for the table's owner; see the
 * reference.  Commits after each batch.  Per batch it locks the source's
 * import, the batch's orders and their stock.
 */
Datum
bo_import(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	int32		batch = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1);
	int32		source_id = bo_attached_argument(fcinfo, SOURCE_OF_ORDERS);
	Oid			relid = PG_GETARG_OID(0);
	MemoryContext cx;
	bool		more = true;

	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("import() cannot run in a transaction block"),
				 errdetail("It commits after each batch of orders."),
				 errhint("CALL it alone, not between BEGIN and COMMIT and not from a function; or use backorder.resync().")));
	if (batch < 1)
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("invalid batch"),
				 errdetail("%s orders.", PG_ARGISNULL(1) ? "NULL" : psprintf("%d", batch)),
				 errhint("A batch has at least one order.")));
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	cx = AllocSetContextCreate(CurrentMemoryContext, "backorder import", ALLOCSET_DEFAULT_SIZES);
	SPI_commit();				/* which had a snapshot to find the table */
	begin_transaction(relid, source_id);
	start_import(source_id);
	PopActiveSnapshot();
	SPI_commit();
	for (;;)
	{
		MemoryContext old = MemoryContextSwitchTo(cx);

		begin_transaction(relid, source_id);
		if (!more)
			break;				/* and attached it still is */
		more = import_batch_and_announce(source_id, batch);
		PopActiveSnapshot();
		MemoryContextSwitchTo(old);
		SPI_commit();
		MemoryContextReset(cx);
		CHECK_FOR_INTERRUPTS();
	}
	PopActiveSnapshot();
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	PG_RETURN_VOID();
}

/*
 * orders_to_import(source_id): the keys of orders that the import has not come
 * to; no row where it is finished.
 */
Datum
bo_orders_to_import(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		arg = Int32GetDatum(PG_GETARG_INT32(0));
	Mapping    *mapping;
	SpiScope	spi;
	SPITupleTable *table;
	uint64		n;
	char	   *state;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	mapping = bo_mapping(PG_GETARG_INT32(0));
	bo_spi_begin(&spi);
	if (bo_run_statement(BO_READ_IMPORT, NULL, &arg, true) > 0 &&
		(strcmp(state = bo_result_text(SPI_tuptable, 0, IMPORT_STATE), "waiting") == 0 || strcmp(state, "importing") == 0) &&
		strcmp(bo_result_text(SPI_tuptable, 0, IMPORT_PHASE), "table") == 0)
	{
		n = bo_read_keys(mapping, bo_result_text(SPI_tuptable, 0, IMPORT_POSITION), 0);
		table = SPI_tuptable;
		for (uint64 row = 0; row < n; row++)
		{
			Datum		native[BO_MAX_KEYS];
			Datum		value;
			bool		isnull = false;

			value = bo_text(bo_key_of_row(mapping, table, row, native));
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
		}
	}
	bo_spi_end(&spi);
	return (Datum) 0;
}
