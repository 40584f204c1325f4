/*
 * debug.c
 *		Debug points, for tests of errors and crashes; not in a normal build.
 *
 * make DEBUG_POINTS=1 compiles them in.  backorder.debug_point = 'NAME ACTION
 * N' then does ACTION the Nth time that this backend comes by the point NAME,
 * or any point; N 0 is every time:
 *
 *		error	an error
 *		cancel	as if the query was cancelled
 *		sleep	a minute, in which anything may interrupt
 *		wait	for whoever holds advisory lock 1
 *		kill	SIGKILL, to itself
 *
 * backorder.debug_stock_rule = 'A>B' is a rule that needs stock beside that of
 * a settling (settle/lock_set.c).
 *
 * backorder.debug_hits says how many points were passed since it was set.
 */
#include "postgres.h"

#include "base/base.h"

#ifdef BO_DEBUG_POINTS

#include <limits.h>
#include <signal.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

char	   *bo_debug_stock_rule;
static char *debug_point;
static int	debug_hits;

static void
assign_debug_point(const char *newval, void *extra)
{
	debug_hits = 0;
}

void
bo_debug_init(void)
{
	DefineCustomStringVariable("backorder.debug_point", "What to do at which debug point.", NULL,
							   &debug_point, "", PGC_SUSET, GUC_NO_RESET_ALL, NULL, assign_debug_point, NULL);
	DefineCustomIntVariable("backorder.debug_hits", "Debug points passed since backorder.debug_point was set.", NULL,
							&debug_hits, 0, 0, INT_MAX, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("backorder.debug_stock_rule", "Which item needs which other one to be settled.", NULL,
							   &bo_debug_stock_rule, "", PGC_SUSET, 0, NULL, NULL, NULL);
}

/* Does what backorder.debug_point says, if it is about this point. */
void
bo_debug_point(const char *name)
{
	char		wanted[64];
	char		action[64];
	int			n = 0;

	if (debug_point == NULL || sscanf(debug_point, "%63s %63s %d", wanted, action, &n) < 2)
		return;
	if (strcmp(wanted, "any") != 0 && strcmp(wanted, name) != 0)
		return;
	if (++debug_hits != n && n != 0)
		return;
	if (strcmp(action, "error") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("debug point \"%s\"", name)));
	else if (strcmp(action, "cancel") == 0)
	{
		InterruptPending = true;
		QueryCancelPending = true;
		CHECK_FOR_INTERRUPTS();
	}
	else if (strcmp(action, "sleep") == 0)
	{
		for (int i = 0; i < 600; i++)
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	}
	else if (strcmp(action, "wait") == 0)
		(void) DirectFunctionCall1(pg_advisory_xact_lock_int8, Int64GetDatum(1));
	else if (strcmp(action, "kill") == 0)
		kill(MyProcPid, SIGKILL);
}

#endif							/* BO_DEBUG_POINTS */
