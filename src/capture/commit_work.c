/*
 * commit_work.c
 *		The work that is due at commit, or at the end of a statement: what makes
 *		it run.
 *
 * The first note of a transaction queues one deferred trigger event, on the one
 * row of commit_work that never changes: nothing is written for it.
 */
#include "postgres.h"

#include "announce/announce.h"
#include "base/base.h"
#include "capture/capture.h"
#include "pending/pending.h"
#include "reconcile/reconcile.h"

PG_FUNCTION_INFO_V1(bo_commit_work);
PG_FUNCTION_INFO_V1(bo_statement_work);
PG_FUNCTION_INFO_V1(bo_lock_pending);
PG_FUNCTION_INFO_V1(bo_lock_pending_orders);

/*
 * Settles what is noted and writes the events; what that notes anew is
 * announced in here.  At commit, or before where nothing may be left to do.
 */
void
bo_run_commit_work(void)
{
	bool		paused = bo_set_commit_work_paused(true);

	bo_announce_keep(true);
	PG_TRY();
	{
		(void) bo_settle_pending();
		bo_announce();
		BO_POINT("announced");
	}
	PG_FINALLY();
	{
		(void) bo_set_commit_work_paused(paused);
		bo_announce_keep(false);
	}
	PG_END_TRY();
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
	bo_statement_work_fired();
	(void) bo_settle_pending();
	PG_RETURN_POINTER(NULL);
}

/*
 * Runs func(arg), which settles in its own way: no commit event is queued
 * meanwhile.  At the end one is queued for what is left to announce; after an
 * error there is nothing left, as all is undone.
 */
void
bo_alone(void (*func) (void *arg), void *arg)
{
	bool		paused = bo_set_commit_work_paused(true);

	PG_TRY();
	{
		func(arg);
	}
	PG_FINALLY();
	{
		(void) bo_set_commit_work_paused(paused);
	}
	PG_END_TRY();
	if (bo_announce_pending())
		bo_queue_commit_work();
}

/* The deferred trigger: settles what is noted and writes the events. */
Datum
bo_commit_work(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || RelationGetRelid(trigdata->tg_relation) != bo_relation("commit_work"))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder_internal.commit_work() is called by its own trigger only"),
				 errhint("Use backorder.flush() to settle pending orders now.")));
	if (bo_commit_work_fired(trigdata))
		bo_run_commit_work();
	PG_RETURN_POINTER(NULL);
}

/* Before changes of purchase orders: order rows come first in the lock order. */
Datum
bo_lock_pending(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder_internal.lock_pending() is called by triggers only"),
				 errhint("Use backorder.flush() to settle pending orders now.")));
	if (!bo_writing)
		bo_lock_orders(bo_pending_orders());
	PG_RETURN_POINTER(NULL);
}

/* lock_orders(): locks the transaction's pending orders; for functions that lock purchase orders next. */
Datum
bo_lock_pending_orders(PG_FUNCTION_ARGS)
{
	bo_lock_orders(bo_pending_orders());
	PG_RETURN_VOID();
}
