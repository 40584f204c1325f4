/*
 * settings.c
 *		The settings of the extension, and what day it is.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/datetime.h"

#include "base/base.h"
#include "base/settings.h"

bool		bo_notify = false;

int			bo_repromise_limit = 10000;

static char *bo_timezone = NULL;
static pg_tz *timezone_named = NULL;	/* by it; NULL: log_timezone */

/* A zone is written as in TimeZone: a name, a number of hours, an interval. */
static bool
check_days_timezone(char **newval, void **extra, GucSource source)
{
	return (*newval)[0] == '\0' || check_timezone(newval, extra, source);
}

static void
assign_days_timezone(const char *newval, void *extra)
{
	timezone_named = extra != NULL ? *(pg_tz **) extra : NULL;
}

/* The time zone in which days are counted. */
pg_tz *
bo_days_timezone(void)
{
	return timezone_named != NULL ? timezone_named : log_timezone;
}

/* Today in backorder.timezone, whatever the session's is. */
DateADT
bo_current_day(void)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;

	if (timestamp2tm(GetCurrentTimestamp(), &offset, &tm, &fsec, NULL, bo_days_timezone()) != 0)
		elog(ERROR, "the clock is out of range");
	return date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
}

/* Defines the settings. Called once, when the library is loaded. */
void
bo_settings_init(void)
{
	DefineCustomBoolVariable("backorder.notify", "Sends NOTIFY backorder when a transaction wrote events.",
							 "NOTIFY takes a database-wide lock at commit and forbids PREPARE TRANSACTION.",
							 &bo_notify, false, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("backorder.repromise_limit", "How many waiting lines of an item settling promises again at most.",
							"The rest is marked on the stock row and finished by backorder.repromise().",
							&bo_repromise_limit, 10000, 1, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("backorder.timezone", "Time zone in which days are counted and mapped times without zone are read.",
							   "Empty: the server's log_timezone.",
							   &bo_timezone, "", PGC_SUSET, 0, check_days_timezone, assign_days_timezone, NULL);
}
