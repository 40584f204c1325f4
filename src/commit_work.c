/*
 * commit_work.c
 *		The work that is due at commit, or at the end of a statement: what makes
 *		it run.
 *
 * The first note of a transaction queues one deferred trigger event, on the one
 * row of commit_work that never changes: nothing is written for it.
 */
#include "notes.h"

#include "access/table.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(bo_commit_work);
PG_FUNCTION_INFO_V1(bo_statement_work);

/*
 * Settles what is noted and writes the events; what that notes anew is
 * announced in here.  At commit, or before where nothing may be left to do.
 */
void
bo_run_commit_work(void)
{
	Pending    *p = bo_need_pending();
	bool		paused = p->paused;

	p->paused = true;
	bo_announce_keep(true);
	PG_TRY();
	{
		(void) bo_settle_pending();
		bo_announce();
		BO_POINT("announced");
	}
	PG_FINALLY();
	{
		p->paused = paused;
		bo_announce_keep(false);
	}
	PG_END_TRY();
}

/* A table of one row, and where this session saw it. */
typedef struct OneRow
{
	const char *name;
	Oid			relid;			/* InvalidOid: nowhere yet */
	ItemPointerData tid;
} OneRow;

static OneRow commit_work = {.name = "commit_work"};
static OneRow statement_work = {.name = "statement_work"};

/* Finds the row, which goes into the slot. */
static void
find_row(OneRow *table, Relation rel, TupleTableSlot *row)
{
	TableScanDesc scan = table_beginscan(rel, SnapshotSelf, 0, NULL);

	if (!table_scan_getnextslot(scan, ForwardScanDirection, row))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("table backorder_internal.%s is empty", table->name),
				 errhint("Its one row is part of the extension: INSERT INTO backorder_internal.%s DEFAULT VALUES.", table->name)));
	table_endscan(scan);
	table->relid = RelationGetRelid(rel);
	table->tid = row->tts_tid;
}

/* Queues an event on a row, as if it had been inserted; at_end: see queue_event(). */
static void
queue_row_event(Relation rel, TupleTableSlot *row, bool at_end)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *rri = makeNode(ResultRelInfo);

	InitResultRelInfo(rri, rel, 1, NULL, 0);
	if (!at_end)
		AfterTriggerBeginQuery();
	ExecARInsertTriggers(estate, rri, row, NIL, NULL);
	if (!at_end)
		AfterTriggerEndQuery(estate);
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseResultRelations(estate);
	FreeExecutorState(estate);
}

/*
 * Queues an event on the one row of a table, as if it had been inserted: it
 * was there all the time, nothing is written.  at_end: for the end of the
 * statement that fired the trigger we are in, behind what is queued already;
 * else for when the table's trigger is due, at once where that is not
 * deferred.
 */
static void
queue_event(OneRow *table, bool at_end)
{
	Relation	rel = table_open(bo_relation(table->name), RowExclusiveLock);
	TupleTableSlot *row = table_slot_create(rel, NULL);

	/* Without a scan, which costs more than all else here; the page may be no more. */
	if (RelationGetRelid(rel) != table->relid || ItemPointerGetBlockNumber(&table->tid) >= RelationGetNumberOfBlocks(rel) ||
		!table_tuple_fetch_row_version(rel, &table->tid, SnapshotSelf, row))
		find_row(table, rel, row);
	queue_row_event(rel, row, at_end);
	ExecDropSingleTupleTableSlot(row);
	table_close(rel, NoLock);
}

/* at is the event that fired, which is queued again; or NULL. */
static void
queue_commit_work(const TriggerData *at, bool at_end)
{
	Pending    *p = bo_need_pending();

	if (p->paused || p->state.queued)
		return;
	bo_save(&p->state, sizeof(p->state));
	p->state.queued = true;
	p->queueing = !at_end;
	PG_TRY();
	{
		if (at != NULL)
			queue_row_event(at->tg_relation, at->tg_trigslot, at_end);
		else
			queue_event(&commit_work, at_end);
	}
	PG_FINALLY();
	{
		p->queueing = false;
	}
	PG_END_TRY();
}

void
bo_queue_commit_work_at(bool at_end)
{
	queue_commit_work(NULL, at_end);
}

/*
 * Queues the deferred event that runs bo_commit_work.  Under SET CONSTRAINTS
 * ... IMMEDIATE it runs in here: so this is called where there is nothing half
 * done.
 */
void
bo_queue_commit_work(void)
{
	bo_queue_commit_work_at(false);
}

/* In immediate timing: queues the event that settles when the statement has ended. */
void
bo_queue_statement_work(void)
{
	Pending    *p = bo_pending;

	if (p == NULL || (p->state.ndirty == 0 && !bo_counts_pending()) || p->state.statement_queued)
		return;
	bo_save(&p->state, sizeof(p->state));
	p->state.statement_queued = true;
	queue_event(&statement_work, true);
}

/* The trigger behind that event. */
Datum
bo_statement_work(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || RelationGetRelid(trigdata->tg_relation) != bo_relation("statement_work"))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder_internal.statement_work() is called by its own trigger only"),
				 errhint("Use backorder.flush() to settle pending orders now.")));
	if (bo_pending == NULL)
		PG_RETURN_POINTER(NULL);
	bo_save(&bo_pending->state, sizeof(bo_pending->state));
	bo_pending->state.statement_queued = false;
	(void) bo_settle_pending();
	PG_RETURN_POINTER(NULL);
}

/*
 * From true to false nothing is queued: the caller does the commit work
 * itself.  At the end it is queued for what is left to announce.  Returns what
 * it was before.
 */
bool
bo_pause_commit_work(bool pause)
{
	Pending    *p = bo_need_pending();
	bool		before = p->paused;

	p->paused = pause;
	if (!pause && bo_announce_pending())
		bo_queue_commit_work();
	return before;
}

/* The same after an error: nothing is queued, as what there was to announce is undone. */
void
bo_unpause_commit_work(bool before)
{
	if (bo_pending != NULL)
		bo_pending->paused = before;
}

/*
 * The deferred trigger.  The first time it goes to the end of the queue, so
 * that the application's own deferred triggers come first; then it settles
 * what is noted and writes the events.
 */
Datum
bo_commit_work(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || RelationGetRelid(trigdata->tg_relation) != bo_relation("commit_work"))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder_internal.commit_work() is called by its own trigger only"),
				 errhint("Use backorder.flush() to settle pending orders now.")));
	if (bo_pending == NULL)
		PG_RETURN_POINTER(NULL);
	bo_save(&bo_pending->state, sizeof(bo_pending->state));
	bo_pending->state.queued = false;
	if (!bo_pending->state.requeued && !bo_pending->queueing)
	{
		bo_pending->state.requeued = true;
		queue_commit_work(trigdata, false);
		PG_RETURN_POINTER(NULL);
	}
	bo_pending->state.requeued = false;
	bo_run_commit_work();
	PG_RETURN_POINTER(NULL);
}
