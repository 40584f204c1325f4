/*
 * pin.c
 *		Settings that are pinned where something depends on them.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/bytea.h"
#include "utils/float.h"

#include "base/base.h"
#include "base/settings.h"

/* ---------- SPI scopes ---------- */

static void
set_here(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static void
pin_setting(const char *name, const char *value)
{
	const char *now = GetConfigOption(name, false, false);

	if (now == NULL || strcmp(now, value) != 0)
		set_here(name, value);
}

/*
 * From now on, and until the end of the innermost GUC nest level, which is one
 * of ours, nothing of the session's settings can change what a mapping or a
 * statement evaluates to, or how a key is written.
 */
void
bo_pin(void)
{
	const char *timezone = pg_get_timezone_name(bo_days_timezone());

	/* For most sessions most of them are right: setting one costs more than a look. */
	if (strcmp(namespace_search_path, "pg_catalog, pg_temp") != 0)
		set_here("search_path", "pg_catalog, pg_temp");
	if (session_timezone == NULL || strcmp(pg_get_timezone_name(session_timezone), timezone) != 0)
		set_here("TimeZone", timezone);
	if (DateStyle != USE_ISO_DATES || DateOrder != DATEORDER_YMD)
		set_here("DateStyle", "ISO, YMD");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		set_here("IntervalStyle", "postgres");
	if (extra_float_digits != 1)
		set_here("extra_float_digits", "1");
	if (bytea_output != BYTEA_OUTPUT_HEX)
		set_here("bytea_output", "hex");
}

/* Opens a GUC nest level with settings pinned.  Closed with AtEOXact_GUC, or by the end of the (sub)transaction on error. */
int
bo_pin_settings(void)
{
	int			level = NewGUCNestLevel();

	bo_pin();
	return level;
}

/*
 * Opens a GUC nest level in which statements are planned to go by index,
 * whatever the statistics say now.
 */
int
bo_pin_planning(void)
{
	int			level = NewGUCNestLevel();

	pin_setting("enable_nestloop", "on");
	pin_setting("enable_tidscan", "on");
	pin_setting("enable_seqscan", "off");
	pin_setting("enable_bitmapscan", "off");
	pin_setting("enable_hashjoin", "off");
	pin_setting("enable_mergejoin", "off");
	pin_setting("enable_sort", "off");
	pin_setting("jit", "off");
	return level;
}

/*
 * Makes the generic plan of a prepared statement now, by index, so that it is
 * there when the statement runs; nothing where it is made already.  Expects
 * the row set of the statement to be registered.
 */
void
bo_plan_by_index(SPIPlanPtr plan)
{
	int			level = bo_pin_planning();
	CachedPlan *cached = SPI_plan_get_cached_plan(plan);

	if (cached != NULL)
		ReleaseCachedPlan(cached, CurrentResourceOwner);
	AtEOXact_GUC(false, level);
}
