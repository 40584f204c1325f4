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
#include "backorder.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(bo_import);
PG_FUNCTION_INFO_V1(bo_orders_to_import);

/* Columns of IMPORT_COLUMNS in statements.c. */
enum
{
	IMPORT_STATE = 1, IMPORT_RECHECK, IMPORT_POSITION, IMPORT_RECORDED, IMPORT_ADDED, IMPORT_PHASE, IMPORT_HAS_LINES
};

/* ---------- the row of a source ---------- */

/*
 * attach(import => false): the source's orders are left to import().  again:
 * it is attached already, so what is recorded stays until then, and where that
 * is all of it import() goes through it from the beginning; else nothing that
 * was recorded in an earlier attachment counts as seen.  Expects the table
 * locked against writers.
 */
void
bo_import_later(int32 source_id, bool again)
{
	Mapping    *mapping = bo_mapping(source_id);
	Datum		args[4] = {Int32GetDatum(source_id), bo_text("waiting"), BoolGetDatum(true), Int64GetDatum(0)};
	Datum		orders[2];
	BoSection	section;

	if (again && !mapping->importing)
		args[1] = bo_text("outdated");
	bo_enter(&section);
	if (!again)
		(void) bo_exec(BO_FORGET_IMPORT, NULL, args, false);
	orders[0] = bo_text(mapping->tenant);
	orders[1] = args[0];
	if (!again)
	{
		args[2] = BoolGetDatum(bo_exec(BO_UNSEE_ORDERS, NULL, orders, false) > 0);
		bo_unlock_notes(source_id);
	}
	(void) bo_exec(BO_ADD_IMPORT, NULL, args, false);
	bo_leave(&section);
	bo_mapping_forget(source_id);
}

/* Locks the row, which comes before order rows in the order of locks. */
void
bo_import_lock(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	BoSection	section;

	bo_enter(&section);
	(void) bo_exec(BO_LOCK_IMPORT, NULL, &arg, false);
	bo_leave(&section);
}

/* All orders of the source are recorded by other means, or it is detached. */
void
bo_import_forget(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	BoSection	section;

	bo_enter(&section);
	(void) bo_exec(BO_FORGET_IMPORT, NULL, &arg, false);
	bo_leave(&section);
	bo_mapping_forget(source_id);
}

/* All orders of the source are looked at under its mapping by resync(): no import() need do that. */
void
bo_import_resynced(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	BoSection	section;

	bo_enter(&section);
	if (bo_exec(BO_LOCK_IMPORT, NULL, &arg, false) > 0 && strcmp(bo_get_text(0, IMPORT_STATE), "outdated") == 0)
		(void) bo_exec(BO_FORGET_IMPORT, NULL, &arg, false);
	bo_leave(&section);
}

/*
 * Raises 40001 where the active snapshot is older than the attachment: it may
 * not have what was written before that, with no trigger to note it.  Expects
 * a section.
 */
void
bo_import_seen(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	Datum		seen = 0;
	bool		isnull = true;

	if (!IsolationUsesXactSnapshot())
		return;
	if (bo_exec(BO_READ_IMPORT, NULL, &arg, true) > 0)
		seen = bo_get(0, IMPORT_ADDED, &isnull);
	PushActiveSnapshot(GetLatestSnapshot());
	if (bo_exec(BO_READ_IMPORT, NULL, &arg, true) > 0 &&
		(isnull || DatumGetTimestampTz(seen) != DatumGetTimestampTz(bo_get(0, IMPORT_ADDED, &isnull))))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent attachment of source %d", source_id)));
	PopActiveSnapshot();
}

/*
 * Up to which command what this transaction did counts as done before the
 * attachment.  Expects a section.
 */
CommandId
bo_import_begin(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	bool		isnull;

	if (bo_exec(BO_READ_IMPORT_BEGIN, NULL, &arg, true) > 0 &&
		TransactionIdIsCurrentTransactionId(DatumGetTransactionId(bo_get(0, 1, &isnull))))
		return DatumGetCommandId(bo_get(0, 2, &isnull));
	return FirstCommandId;
}

/* ---------- order keys, in the order of their type ---------- */

static char *
operator_name(Oid type, int which)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
	Oid			opr = which == 0 ? entry->eq_opr : entry->gt_opr;
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(opr));
	Form_pg_operator form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", opr);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	name = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)), NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return name;
}

static char *
key_column(Mapping *mapping, int i)
{
	return psprintf("line.%s", quote_identifier(mapping->line.alias[mapping->line.key[i] - 1]));
}

/* "keys > $1, ..."; comparing rows is what an index can do, but only with the built-in operators. */
static void
append_after(StringInfo s, Mapping *mapping)
{
	int			n = mapping->line.nkeys;
	bool		builtin = n > 1;

	for (int i = 0; i < n && builtin; i++)
		builtin = strcmp(operator_name(mapping->line.key_type[i], 1), "OPERATOR(pg_catalog.>)") == 0;
	if (builtin)
	{
		appendStringInfoString(s, " AND (");
		for (int i = 0; i < n; i++)
			appendStringInfo(s, "%s%s", i ? ", " : "", key_column(mapping, i));
		appendStringInfoString(s, ") OPERATOR(pg_catalog.>) (");
		for (int i = 0; i < n; i++)
			appendStringInfo(s, "%s$%d", i ? ", " : "", i + 1);
		appendStringInfoChar(s, ')');
		return;
	}
	appendStringInfoString(s, " AND (false");
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(s, n > 1 ? " OR (" : " OR ");
		for (int j = 0; j < i; j++)
			appendStringInfo(s, "%s %s $%d AND ", key_column(mapping, j), operator_name(mapping->line.key_type[j], 0), j + 1);
		appendStringInfo(s, "%s %s $%d%s", key_column(mapping, i), operator_name(mapping->line.key_type[i], 1), i + 1, n > 1 ? ")" : "");
	}
	appendStringInfoChar(s, ')');
}

/*
 * Reads the order keys behind a position, all where limit is 0, into
 * SPI_tuptable; returns how many.  A position that is no key of the table any
 * more is none.  Expects a section and an active snapshot.
 */
static uint64
read_keys(Mapping *mapping, const char *position, int limit)
{
	Datum		values[BO_MAX_KEYS];
	SPIPlanPtr	plan = NULL;
	StringInfoData s;
	StringInfoData columns;
	bool		after = position != NULL && bo_key_native(mapping, position, values);

	initStringInfo(&columns);
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&columns, "%s%s", i ? ", " : "", key_column(mapping, i));
	initStringInfo(&s);
	appendStringInfo(&s, "SELECT DISTINCT %s FROM %s WHERE true", columns.data, bo_aliased("line", &mapping->line));
	for (int i = 0; i < mapping->line.nkeys; i++)
		appendStringInfo(&s, " AND %s IS NOT NULL", key_column(mapping, i));
	if (after)
		append_after(&s, mapping);
	appendStringInfo(&s, " ORDER BY %s", columns.data);
	if (limit > 0)
		appendStringInfo(&s, " LIMIT %d", limit);
	bo_mapping_run(mapping, &plan, s.data, after ? mapping->line.nkeys : 0, mapping->line.key_type, values, true, "order key");
	SPI_freeplan(plan);
	return SPI_processed;
}

/* The key in a row of SPI_tuptable; its text. */
static char *
key_of_row(Mapping *mapping, uint64 row, Datum *native)
{
	for (int i = 0; i < mapping->line.nkeys; i++)
	{
		bool		isnull;

		native[i] = bo_get(row, i + 1, &isnull);
	}
	return bo_key_text(native, mapping->line.key_type, mapping->line.nkeys);
}

static int
compare_texts(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * Which of these keys (of char *, sorted) the table does not have any more.
 * Expects a section and an active snapshot.
 */
static List *
missing_keys(Mapping *mapping, List *keys)
{
	List	   *result = NIL;
	List	   *found = NIL;
	Datum	   *natives[BO_MAX_KEYS];
	Datum		values[BO_MAX_KEYS];
	SPIPlanPtr	plan = NULL;
	int			nkeys = mapping->line.nkeys;
	ListCell   *lc;
	ListCell   *fc;
	int			n = 0;
	StringInfoData s;

	for (int i = 0; i < nkeys; i++)
		natives[i] = palloc(sizeof(Datum) * Max(list_length(keys), 1));
	foreach(lc, keys)
		if (bo_key_native(mapping, lfirst(lc), values))
		{
			for (int i = 0; i < nkeys; i++)
				natives[i][n] = values[i];
			n++;
		}
	initStringInfo(&s);
	appendStringInfoString(&s, "SELECT DISTINCT ");
	for (int i = 0; i < nkeys; i++)
	{
		Oid			type = mapping->line.key_type[i];
		int16		typlen;
		bool		typbyval;
		char		typalign;

		get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
		values[i] = PointerGetDatum(construct_array(natives[i], n, type, typlen, typbyval, typalign));
		appendStringInfo(&s, "%s%s", i ? ", " : "", key_column(mapping, i));
	}
	appendStringInfo(&s, " FROM %s%s", bo_aliased("line", &mapping->line), mapping->where_keys);
	bo_mapping_run(mapping, &plan, s.data, nkeys, mapping->array_type, values, false, "order key");
	SPI_freeplan(plan);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum		native[BO_MAX_KEYS];

		found = lappend(found, key_of_row(mapping, row, native));
	}
	list_sort(found, compare_texts);
	fc = list_head(found);
	foreach(lc, keys)
	{
		while (fc != NULL && strcmp(lfirst(fc), lfirst(lc)) < 0)
			fc = lnext(found, fc);
		if (fc == NULL || strcmp(lfirst(fc), lfirst(lc)) != 0)
			result = lappend(result, lfirst(lc));
	}
	return result;
}

/* How many orders the planner expects; the table was analyzed. Expects a section. */
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
	BoSection	section;
	char	   *state = NULL;

	analyze_if_never(&mapping->line);
	analyze_if_never(&mapping->header);
	mapping = bo_mapping(source_id);
	bo_enter(&section);
	if (bo_exec(BO_LOCK_IMPORT, NULL, args, false) > 0)
		state = bo_get_text(0, IMPORT_STATE);
	if (state == NULL || (strcmp(state, "importing") != 0 && strcmp(state, "resyncing") != 0))
	{
		if (state != NULL && strcmp(state, "waiting") == 0)
		{
			args[1] = bo_text("importing");
			args[2] = BoolGetDatum(bo_get_bool(0, IMPORT_RECHECK));
		}
		args[3] = Int64GetDatum(estimate_orders(mapping));
		(void) bo_exec(BO_ADD_IMPORT, NULL, args, false);
	}
	bo_leave(&section);
}

/* Notes the next orders of the table. Returns whether there may be more; *position is the last one's key. */
static bool
note_from_table(Mapping *mapping, char **position, int limit, int64 *orders)
{
	SPITupleTable *table;
	uint64		n;

	PushActiveSnapshot(GetLatestSnapshot());
	n = read_keys(mapping, *position, limit);
	PopActiveSnapshot();
	table = SPI_tuptable;
	for (uint64 row = 0; row < n; row++)
	{
		Datum		native[BO_MAX_KEYS];

		SPI_tuptable = table;
		*position = key_of_row(mapping, row, native);
		bo_note_whole(bo_note_order(mapping, native));
	}
	*orders = n;
	return n == (uint64) limit;
}

/*
 * The same for recorded orders of which the table has nothing any more; at the
 * end those that are parked.  first: also where all lines are known to be
 * deleted, so that an order which comes back is not taken for a new one.
 */
static bool
note_from_records(Mapping *mapping, char **position, int limit, bool first)
{
	const char *behind = (*position)[0] ? *position : NULL;
	Datum		args[6] = {bo_text(mapping->tenant), Int32GetDatum(mapping->source_id), bo_text(*position), bo_text(behind),
	Int64GetDatum(limit), BoolGetDatum(first)};
	uint64		n = bo_exec(BO_READ_RECORDED_ORDERS, NULL, args, false);
	List	   *keys = NIL;
	ListCell   *lc;
	bool		more = n == (uint64) limit;

	for (uint64 row = 0; row < n; row++)
		keys = lappend(keys, bo_get_text(row, 1));
	if (keys != NIL)
	{
		*position = llast(keys);
		PushActiveSnapshot(GetLatestSnapshot());
		keys = missing_keys(mapping, keys);
		PopActiveSnapshot();
	}
	if (!more)
	{
		n = bo_exec(BO_READ_PARKED, NULL, args, false);
		for (uint64 row = 0; row < n; row++)
			keys = lappend(keys, bo_get_text(row, 1));
	}
	foreach(lc, keys)
		(void) bo_note_order_text(mapping, lfirst(lc), false);
	return more;
}

/* The lines that this batch recorded as they were found, as an int8multirange; NULL: none. */
static char *
recorded_line_ids(Settlement *settlement)
{
	StringInfoData s;
	int64		first = 0;
	int64		last = 0;
	ListCell   *lc;

	initStringInfo(&s);
	foreach(lc, settlement->changes)
	{
		LineChange *change = lfirst(lc);

		if (!change->baseline || change->line == NULL || !change->line->incarnated)
			continue;
		if (last != 0 && change->line->line_id == last + 1)
		{
			last++;
			continue;
		}
		if (last != 0)
			appendStringInfo(&s, "%c[" INT64_FORMAT "," INT64_FORMAT "]", s.len ? ',' : '{', first, last);
		first = last = change->line->line_id;
	}
	if (last == 0)
		return NULL;
	appendStringInfo(&s, "%c[" INT64_FORMAT "," INT64_FORMAT "]}", s.len ? ',' : '{', first, last);
	return s.data;
}

/* Where a source is: the row of source_import. */
typedef struct Import
{
	char	   *state;
	char	   *phase;
	char	   *position;
	char	   *recorded;
	bool		recheck;
	bool		has_lines;		/* that may have to be dealt anew */
} Import;

/* False where nothing is left to do.  Allocates in cx. */
static bool
lock_import(int32 source_id, Import *import, MemoryContext cx)
{
	Datum		arg = Int32GetDatum(source_id);

	if (bo_exec(BO_LOCK_IMPORT, NULL, &arg, false) == 0)
		return false;			/* attached again with its orders, or detached */
	MemoryContextSwitchTo(cx);
	import->state = bo_get_text(0, IMPORT_STATE);
	import->phase = bo_get_text(0, IMPORT_PHASE);
	import->position = bo_get_text(0, IMPORT_POSITION);
	import->recorded = bo_get_text(0, IMPORT_RECORDED);
	import->recheck = bo_get_bool(0, IMPORT_RECHECK);
	import->has_lines = bo_get_bool(0, IMPORT_HAS_LINES);
	return strcmp(import->state, "imported") != 0;
}

/* Does the next batch and writes down how far it came. False where nothing is left to do. */
static bool
import_batch(int32 source_id, int limit)
{
	MemoryContext cx = CurrentMemoryContext;
	Mapping    *mapping;
	Datum		args[8] = {Int32GetDatum(source_id), Int32GetDatum(limit)};
	Settlement	settlement = {0};
	Import		import;
	BoSection	section;
	bool		first;
	bool		more;
	int64		orders = 0;

	bo_mapping_lock(bo_mapping(source_id));
	mapping = bo_mapping(source_id);
	bo_enter(&section);
	if (!lock_import(source_id, &import, cx))
	{
		bo_leave(&section);
		return false;
	}
	/* Attached again meanwhile: from the beginning. */
	if (strcmp(import.state, "waiting") == 0)
		import.state = "importing";
	else if (strcmp(import.state, "outdated") == 0)
		import.state = "resyncing";
	first = strcmp(import.state, "importing") == 0;
	settlement.leave_promises = first && mapping->ranked;
	if (strcmp(import.phase, "table") == 0)
	{
		more = note_from_table(mapping, &import.position, limit, &orders);
		if (!more && import.recheck)
			import.phase = import.recorded = "";
	}
	else if (strcmp(import.phase, "recorded") == 0)
		more = note_from_records(mapping, &import.recorded, limit, first);
	else
	{
		(void) bo_exec(BO_RANK_IMPORTED, NULL, args, false);
		more = bo_get_bool(0, 1);
	}
	bo_reconcile(&settlement, (ReconcileMode) {.whole = true,.import = true});
	bo_settle(&settlement);
	args[7] = first && mapping->ranked ? bo_text(recorded_line_ids(&settlement)) : (Datum) 0;
	if (!more)
	{
		/* What comes next, if anything. */
		more = true;
		if (import.phase[0] == '\0')
			import.phase = "recorded";
		else if (first && strcmp(import.phase, "ranks") != 0 && (import.has_lines || args[7] != (Datum) 0))
			import.phase = "ranks";
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
	args[5] = Int64GetDatum(settlement.lines_changed);
	args[6] = bo_text(import.phase);
	if (bo_exec(BO_STEP_IMPORT, NULL, args, false) != 1)
		elog(ERROR, "source %d lost its import", source_id);
	bo_leave(&section);
	if (!more)
	{
		bo_unpark_source(mapping);
		CacheInvalidateRelcacheByRelid(mapping->line.relid);
		bo_mapping_forget(source_id);
	}
	return more;
}

/* The same, with nothing but the announcements left for the commit. */
static bool
import_batch_and_announce(int32 source_id, int limit)
{
	bool		paused;
	volatile bool more = false;

	(void) bo_settle_pending();
	paused = bo_pause_commit_work(true);
	PG_TRY();
	{
		more = import_batch(source_id, limit);
	}
	PG_CATCH();
	{
		bo_unpause_commit_work(paused);
		PG_RE_THROW();
	}
	PG_END_TRY();
	(void) bo_pause_commit_work(paused);
	return more;
}

/*
 * Begins a transaction of the import, with the table locked before anything
 * else of it is: before its mapping is loaded and the table analyzed, of which
 * the lock would be an upgrade, and before the row of the import is looked at.
 * Whoever attaches, detaches or drops the table has it locked then, and waits
 * for us or we for him.  Refuses where it is not attached any more.
 */
static void
begin_transaction(Oid relid, int32 source_id)
{
	char	   *tenant;
	bool		detached = false;

	LockRelationOid(relid, RowExclusiveLock);
	/* Whatever the session's default: to wait is to see what came of it. */
	XactIsoLevel = XACT_READ_COMMITTED;
	PushActiveSnapshot(GetTransactionSnapshot());
	if (bo_source_of_table(relid, &tenant, &detached) != source_id || detached)
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
	int32		source_id = bo_attached_argument(fcinfo);
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
	BoSection	section;
	SPITupleTable *table;
	uint64		n;
	char	   *state;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	mapping = bo_mapping(PG_GETARG_INT32(0));
	bo_enter(&section);
	if (bo_exec(BO_READ_IMPORT, NULL, &arg, true) > 0 &&
		(strcmp(state = bo_get_text(0, IMPORT_STATE), "waiting") == 0 || strcmp(state, "importing") == 0) &&
		strcmp(bo_get_text(0, IMPORT_PHASE), "table") == 0)
	{
		n = read_keys(mapping, bo_get_text(0, IMPORT_POSITION), 0);
		table = SPI_tuptable;
		for (uint64 row = 0; row < n; row++)
		{
			Datum		native[BO_MAX_KEYS];
			Datum		value;
			bool		isnull = false;

			SPI_tuptable = table;
			value = bo_text(key_of_row(mapping, row, native));
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
		}
	}
	bo_leave(&section);
	return (Datum) 0;
}
