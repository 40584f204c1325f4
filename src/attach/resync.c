/*
 * resync.c
 *		resync() and resync_stock(): all of an attached table looked at again; also
 *		what attaching and detaching do with all its orders.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "announce/announce.h"
#include "attach/attachment.h"
#include "base/base.h"
#include "capture/capture.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "reconcile/reconcile.h"
#include "settle/settle.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_end_source);
PG_FUNCTION_INFO_V1(bo_resync);
PG_FUNCTION_INFO_V1(bo_resync_stock);

/* ---------- reconciling what is attached ---------- */

/*
 * Makes our own rows agree with each other, where somebody changed them past
 * the extension, under the locks of the noted orders.  What that frees is dealt
 * by the settlement, and orders are told what they had not been.
 */
static void
mend(Mapping *mapping, Settlement *settlement)
{
	MemoryContext cx = CurrentMemoryContext;
	BoSection	section;
	SPITupleTable *rows;
	uint64		n;
	Datum		arg = Int32GetDatum(mapping->source_id);

	bo_lock_orders(bo_pending_orders());
	bo_enter(&section);
	n = bo_exec(BO_MEND, NULL, &arg, false);
	rows = SPI_tuptable;
	MemoryContextSwitchTo(cx);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *item;

		SPI_tuptable = rows;
		item = bo_get_text(i, 1);
		if (item == NULL)
			bo_touch_order(mapping->tenant, bo_get_int32(i, 3), bo_get_text(i, 4), false);
		else
		{
			StockKey   *key = palloc(sizeof(StockKey));

			key->tenant = mapping->tenant;
			key->item = item;
			key->location = bo_get_text(i, 2);
			settlement->places = lappend(settlement->places, key);
		}
	}
	settlement->repromise = settlement->places != NIL;
	bo_leave(&section);
	CommandCounterIncrement();
}

typedef struct SourceReconciling
{
	Mapping    *mapping;
	ReconcileMode mode;
	int64		changed;
} SourceReconciling;

static void
reconcile_alone(void *arg)
{
	SourceReconciling *s = arg;
	Settlement	settlement = {0};

	bo_note_recorded(s->mapping);
	if (s->mode.detach == NULL)
	{
		BoSection	section;

		bo_enter(&section);
		bo_mapping_note_all(s->mapping);
		bo_leave(&section);
	}
	if (s->mode.mend)
		mend(s->mapping, &settlement);
	s->changed = bo_reconcile_and_settle(&settlement, s->mode);
}

/* Reconciles all orders of a source, in one settling of their own.  Returns lines that changed. */
int64
bo_reconcile_source(Mapping *mapping, ReconcileMode mode)
{
	SourceReconciling s = {.mapping = mapping,.mode = mode};

	s.mode.whole = true;
	(void) bo_settle_pending();
	bo_alone(reconcile_alone, &s);
	bo_unpark_source(mapping);
	return s.changed;
}

static void
end_alone(void *arg)
{
	Mapping    *stub = arg;

	(void) bo_reconcile_source(stub, (ReconcileMode) {.detach = stub});
	bo_run_commit_work();
}

/*
 * The open lines of a source leave, and nothing is left for the commit: the
 * extension itself may be dropped next.
 */
void
bo_end_lines(Mapping *stub)
{
	(void) bo_settle_pending();
	bo_alone(end_alone, stub);
}

/* end_source(source_id): ends the open lines of a source whose table was dropped; for the event trigger. */
Datum
bo_end_source(PG_FUNCTION_ARGS)
{
	bo_end_lines(bo_mapping_stub(PG_GETARG_INT32(0)));
	PG_RETURN_VOID();
}

/* resync(): reconciles one order, or all; returns lines that changed. */
Datum
bo_resync(PG_FUNCTION_ARGS)
{
	Mapping    *mapping = bo_mapping(bo_attached_argument(fcinfo));
	Settlement	settlement = {0};
	BoSection	section;

	if (PG_ARGISNULL(1))
	{
		bo_import_resynced(mapping->source_id);
		PG_RETURN_INT64(bo_reconcile_source(mapping, (ReconcileMode) {.mend = true}));
	}
	bo_enter(&section);			/* the key is read under pinned settings */
	if (!bo_note_order_text(mapping, text_to_cstring(PG_GETARG_TEXT_PP(1)), true))
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("\"%s\" is no order key of %s", text_to_cstring(PG_GETARG_TEXT_PP(1)), mapping->line.name),
				 errhint("A key of several columns is an array literal, such as {1,2}.")));
	bo_leave(&section);
	PG_RETURN_INT64(bo_reconcile_and_settle(&settlement, (ReconcileMode) {0}));
}

typedef struct StockCount
{
	int32		source_id;
	Settlement	settlement;
} StockCount;

static void
settle_all_stock(void *arg)
{
	StockCount *count = arg;

	bo_stock_note_all(count->source_id);
	(void) bo_reconcile_and_settle(&count->settlement, (ReconcileMode) {0});
}

/* Looks at all of a source, in one settling of its own.  Returns how many counts were written. */
int64
bo_count_all(int32 source_id, bool anew)
{
	StockCount	count = {.source_id = source_id,.settlement = {.counts_whole = true,.counts_anew = anew}};

	(void) bo_settle_pending();
	bo_alone(settle_all_stock, &count);
	return count.settlement.counted;
}

/* resync_stock(stock_table): for the table's owner. */
Datum
bo_resync_stock(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(bo_count_all(bo_attached_stock_argument(fcinfo), false));
}
