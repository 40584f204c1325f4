/*
 * backorder.c
 *		Module entry, settings, and the SQL functions that are not triggers.
 */
#include "backorder.h"

#include "store/heap.h"

#include <limits.h>

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bo_flush);
PG_FUNCTION_INFO_V1(bo_lock_stock);
PG_FUNCTION_INFO_V1(bo_repromise);
PG_FUNCTION_INFO_V1(bo_mapped_lines);
PG_FUNCTION_INFO_V1(bo_today);
PG_FUNCTION_INFO_V1(bo_day_of);
PG_FUNCTION_INFO_V1(bo_next_xid);

bool		bo_notify = false;
int			bo_repromise_limit = 10000;
static char *bo_timezone = NULL;
static pg_tz *timezone_named = NULL;	/* by it; NULL: log_timezone */
SmallQty	bo_own_qty[2 * QTY_OWN + 1];

void		_PG_init(void);

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

/* Makes the module's own quantities, after a look whether numeric is what qty.h takes it for. */
void
bo_qty_init(void)
{
	static const int looked_at[] = {-QTY_SMALL_END, 1 - QTY_SMALL_END, -1, 0, 1, QTY_SMALL_END - 1, QTY_SMALL_END};

	for (int i = -QTY_OWN; i <= QTY_OWN; i++)
		qty_set_small(&bo_own_qty[QTY_OWN + i], i);
	for (int i = 0; i < (int) lengthof(looked_at); i++)
	{
		int			value = looked_at[i];
		Qty			ours = qty_int(value);
		Qty			theirs = int64_to_numeric(value);

		if (VARSIZE(ours) != VARSIZE(theirs) || memcmp(ours, theirs, VARSIZE(ours)) != 0 ||
			qty_sign(theirs) != (value > 0) - (value < 0) ||
			qty_small(theirs, &value) != (abs(looked_at[i]) < QTY_SMALL_END) || value != looked_at[i])
			elog(ERROR, "numeric is not laid out as this library was written for");
	}
}

void
_PG_init(void)
{
	bo_qty_init();
	DefineCustomBoolVariable("backorder.notify", "Sends NOTIFY backorder when a transaction wrote events.",
							 "NOTIFY takes a database-wide lock at commit and forbids PREPARE TRANSACTION.",
							 &bo_notify, false, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("backorder.repromise_limit", "How many waiting lines of an item settling promises again at most.",
							"The rest is marked on the stock row and finished by backorder.repromise().",
							&bo_repromise_limit, 10000, 1, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("backorder.timezone", "Time zone in which days are counted and mapped times without zone are read.",
							   "Empty: the server's log_timezone.",
							   &bo_timezone, "", PGC_SUSET, 0, check_days_timezone, assign_days_timezone, NULL);
#ifdef BO_DEBUG_POINTS
	bo_debug_init();
#endif
	MarkGUCPrefixReserved("backorder");
	bo_section_init();
	bo_mapping_init();
	bo_stock_source_init();
	bo_notes_init();
	bo_capture_init();
	bo_direct_init();
}

/* flush(): settles this transaction's pending orders now; returns lines that changed. */
Datum
bo_flush(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(bo_settle_pending());
}

/* lock_stock(items, location, tenant): locks stock rows sorted; pending orders are settled in the same step. */
Datum
bo_lock_stock(PG_FUNCTION_ARGS)
{
	ArrayType  *items = PG_GETARG_ARRAYTYPE_P(0);
	char	   *location = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *tenant = text_to_cstring(PG_GETARG_TEXT_PP(2));
	List	   *places = NIL;
	BoSection	section;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(items, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		StockKey   *key = palloc(sizeof(StockKey));

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_BO_ARGUMENT),
					 errmsg("an item to lock is NULL"),
					 errhint("Name the items.")));
		key->tenant = tenant;
		key->item = TextDatumGetCString(values[i]);
		key->location = location;
		places = lappend(places, key);
	}
	if (bo_pending_orders() != NIL || bo_counts_pending())
	{
		/* One locking step: the stock of the pending orders is locked with it, sorted. */
		Settlement	settlement = {.places = places};

		(void) bo_reconcile_and_settle(&settlement, (ReconcileMode) {0});
	}
	else if (places != NIL)
	{
		bo_enter(&section);
		bo_lock_places(places);
		bo_leave(&section);
	}
	PG_RETURN_VOID();
}

/* repromise(item): makes the promises again where settling left some; returns lines that changed. */
Datum
bo_repromise(PG_FUNCTION_ARGS)
{
	Settlement	settlement = {0};
	MemoryContext cx = AllocSetContextCreate(CurrentMemoryContext, "backorder promises", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	BoSection	section;
	Datum		arg = PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0);
	uint64		n;

	bo_enter(&section);
	n = bo_exec(BO_READ_STALE_STOCK, NULL, &arg, false);
	old = MemoryContextSwitchTo(cx);
	for (uint64 i = 0; i < n; i++)
	{
		StockKey   *key = palloc(sizeof(StockKey));

		key->tenant = bo_get_text(i, 1);
		key->item = bo_get_text(i, 2);
		key->location = bo_get_text(i, 3);
		settlement.places = lappend(settlement.places, key);
	}
	MemoryContextSwitchTo(old);
	bo_leave(&section);
	if (settlement.places != NIL)
	{
		settlement.repromise = true;
		(void) bo_reconcile_and_settle(&settlement, (ReconcileMode) {0});
	}
	MemoryContextDelete(cx);
	PG_RETURN_INT64(settlement.lines_changed);
}

static void
put_mapped(Mapping *mapping, MappedLine *line, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[14];
	bool		nulls[14] = {false};

	values[0] = bo_text(line->order_key);
	values[1] = bo_text(line->line_key);
	values[2] = bo_text(line->item);
	nulls[2] = line->item == NULL;
	values[3] = bo_text(line->location);
	values[4] = bo_text(line->customer);
	nulls[4] = line->customer == NULL;
	values[5] = line->quantity ? NumericGetDatum(line->quantity) : (Datum) 0;
	nulls[5] = line->quantity == NULL;
	values[6] = NumericGetDatum(line->cancelled);
	values[7] = NumericGetDatum(line->shipped);
	values[8] = NumericGetDatum(line->picked);
	values[9] = BoolGetDatum(line->live);
	values[10] = Int32GetDatum(line->priority);
	values[11] = TimestampTzGetDatum(line->queued_at);
	nulls[11] = !line->has_queued_at;
	values[12] = DateADTGetDatum(line->requested_at);
	nulls[12] = !line->has_requested_at;
	values[13] = BoolGetDatum(line->held);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* mapped_lines(source_id, order_key): what the mapping reads now, of all orders or of one; for verify() and explain(). */
Datum
bo_mapped_lines(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Mapping    *mapping;
	OrderNote	note = {.tenant = NULL};
	BoSection	section;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	mapping = bo_mapping(PG_GETARG_INT32(0));
	bo_enter(&section);
	if (PG_ARGISNULL(1))
		bo_mapping_read(mapping, MAPPING_ALL, NIL, put_mapped, rsinfo);
	else if (bo_key_native(mapping, text_to_cstring(PG_GETARG_TEXT_PP(1)), note.native))
		bo_mapping_read(mapping, MAPPING_ONE, list_make1(&note), put_mapped, rsinfo);
	bo_leave(&section);
	return (Datum) 0;
}

/* today(): in backorder.timezone. */
Datum
bo_today(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATEADT(bo_current_day());
}

/* day_of(at): the day of a moment in backorder.timezone. */
Datum
bo_day_of(PG_FUNCTION_ARGS)
{
	int			level = bo_pin_settings();
	Datum		day = DirectFunctionCall1(timestamptz_date, PG_GETARG_DATUM(0));

	AtEOXact_GUC(false, level);
	PG_RETURN_DATUM(day);
}

/*
 * next_xid(): the transaction number that would be given next.  Events carry
 * it, read under the lock that makes those of one order serial: so they are
 * in the order in which they were said, and nothing can come before one that
 * is not above the oldest running transaction.
 */
Datum
bo_next_xid(PG_FUNCTION_ARGS)
{
	PG_RETURN_FULLTRANSACTIONID(ReadNextFullTransactionId());
}
