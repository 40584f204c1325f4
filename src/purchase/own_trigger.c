/*
 * own_trigger.c
 *		The triggers of input tables belong to these tables.
 */
#include "postgres.h"

#include "base/base.h"
#include "purchase/inputs.h"

/* Refuses to run as the trigger of any table but ours. */
TriggerData *
bo_own_trigger(FunctionCallInfo fcinfo, const char *function, const char *table, const char *other)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		(RelationGetRelid(trigdata->tg_relation) != bo_relation(table) &&
		 RelationGetRelid(trigdata->tg_relation) != bo_relation(other)))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder_internal.%s() is called by its own triggers only", function),
				 errhint("Insert into backorder.%s.", table)));
	return trigdata;
}
