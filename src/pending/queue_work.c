/*
 * queue_work.c
 *		Queues the work that is due at commit, or at the end of a statement.
 *
 * The first note of a transaction queues one deferred trigger event, on the one
 * row of commit_work that never changes: nothing is written for it.
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"

#include "base/base.h"
#include "pending/pending.h"
#include "pending/transaction.h"

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

/* Queues the commit work once.  at: the event that fired, to be queued again; NULL: a new one. */
static void
queue_commit_work(const TriggerData *at, bool at_end)
{
	TransactionNotes *p = bo_transaction_notes();

	if (p->paused || p->state.queued)
		return;
	bo_subxact_remember(&p->state, sizeof(p->state));
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

/*
 * Queues the deferred event that runs bo_commit_work.  Under SET CONSTRAINTS
 * ... IMMEDIATE it runs in here: call this where nothing is half done.
 */
void
bo_queue_commit_work(void)
{
	queue_commit_work(NULL, false);
}

/* The same, but under SET CONSTRAINTS ... IMMEDIATE it runs at the end of the statement that fired the trigger we are in. */
void
bo_queue_commit_work_at_end(void)
{
	queue_commit_work(NULL, true);
}

/* In immediate timing: queues the event that settles when the statement has ended. */
void
bo_queue_statement_work(void)
{
	TransactionNotes *p = bo_transaction_notes();

	if (p->state.statement_queued)
		return;
	bo_subxact_remember(&p->state, sizeof(p->state));
	p->state.statement_queued = true;
	queue_event(&statement_work, true);
}

/* Notes that the event at the end of a statement fired. */
void
bo_statement_work_fired(void)
{
	if (bo_notes == NULL)
		return;
	bo_subxact_remember(&bo_notes->state, sizeof(bo_notes->state));
	bo_notes->state.statement_queued = false;
}

/*
 * The deferred event fired.  The first time it goes to the end of the queue,
 * so that the application's own deferred triggers come first.  Returns whether
 * the commit work is due now.
 */
bool
bo_commit_work_fired(const TriggerData *event)
{
	TransactionNotes *p = bo_notes;

	if (p == NULL)
		return false;
	bo_subxact_remember(&p->state, sizeof(p->state));
	p->state.queued = false;
	p->state.sent_to_end = !p->state.sent_to_end && !p->queueing;
	if (p->state.sent_to_end)
		queue_commit_work(event, false);
	return !p->state.sent_to_end;
}

/* While paused, no commit event is queued: the caller runs the commit work itself.  Returns what it was before. */
bool
bo_set_commit_work_paused(bool paused)
{
	TransactionNotes *p = bo_transaction_notes();
	bool		before = p->paused;

	p->paused = paused;
	return before;
}
