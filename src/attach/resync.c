/*
 * resync.c
 *		resync() and resync_stock(): all of an attached table looked at again; also
 *		what attaching and detaching do with all its orders.
 */
#include "postgres.h"

#include "utils/memutils.h"

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
 * the extension, under the locks of the noted orders.  What that frees is allocated
 * by the settlement, and orders are told what they had not been.
 */
static void
mend(Mapping *mapping, SettleRequest *request)
{
	MemoryContext cx = CurrentMemoryContext;
	SpiScope	spi;
	SPITupleTable *rows;
	uint64		n;
	Datum		arg = Int32GetDatum(mapping->source_id);

	bo_lock_orders(bo_pending_orders());
	bo_spi_begin(&spi);
	n = bo_run_statement(BO_MEND, NULL, &arg, false);
	rows = SPI_tuptable;
	MemoryContextSwitchTo(cx);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *item = bo_result_text(rows, i, 1);

		if (item == NULL)
			bo_announce_later(mapping->tenant, bo_result_int32(rows, i, 3), bo_result_text(rows, i, 4), false);
		else
			request->stock_keys = lappend(request->stock_keys, bo_stock_key(mapping->tenant, item, bo_result_text(rows, i, 2)));
	}
	request->repromise = request->stock_keys != NIL;
	bo_spi_end(&spi);
	CommandCounterIncrement();
}

typedef struct SourceReconciling
{
	Mapping    *mapping;
	ReconcileMode mode;
	bool		mend;			/* our own rows may have been changed by somebody */
	int64		changed;
} SourceReconciling;

static void
reconcile_alone(void *arg)
{
	SourceReconciling *s = arg;
	SettleRequest request = {0};

	bo_note_recorded(s->mapping);
	if (s->mode.reason != RECONCILE_DETACH)
	{
		SpiScope	spi;

		bo_spi_begin(&spi);
		bo_mapping_note_all(s->mapping);
		bo_spi_end(&spi);
	}
	if (s->mode.reason == RECONCILE_IMPORT)
		bo_lock_all_unsettled(s->mapping, &request);
	if (s->mend)
		mend(s->mapping, &request);
	s->changed = bo_reconcile_and_settle(&request, s->mode);
}

/* Reconciles all orders of a source, in one settling of their own; mend: after our own rows.  Returns lines that changed. */
static int64
reconcile_source(Mapping *mapping, ReconcileMode mode, bool mend)
{
	SourceReconciling s = {.mapping = mapping,.mode = mode,.mend = mend};

	(void) bo_settle_pending();
	bo_alone(reconcile_alone, &s);
	bo_unpark_source(mapping);
	return s.changed;
}

/* Reconciles all orders of a source, in one settling of their own. */
void
bo_reconcile_source(Mapping *mapping, ReconcileMode mode)
{
	(void) reconcile_source(mapping, mode, false);
}

static void
end_alone(void *arg)
{
	Mapping    *stub = arg;

	bo_reconcile_source(stub, (ReconcileMode) {.reason = RECONCILE_DETACH,.detach = stub});
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
	bo_end_lines(bo_source_identity(PG_GETARG_INT32(0)));
	PG_RETURN_VOID();
}

/* resync(): reconciles one order, or all; returns lines that changed. */
Datum
bo_resync(PG_FUNCTION_ARGS)
{
	Mapping    *mapping = bo_mapping(bo_attached_argument(fcinfo, SOURCE_OF_ORDERS));
	SettleRequest request = {0};
	SpiScope	spi;

	if (PG_ARGISNULL(1))
	{
		bo_import_resynced(mapping->source_id);
		PG_RETURN_INT64(reconcile_source(mapping, (ReconcileMode) {.reason = RECONCILE_RESYNC}, true));
	}
	bo_spi_begin(&spi); 		/* the key is read under pinned settings */
	if (!bo_note_order_text(mapping, text_to_cstring(PG_GETARG_TEXT_PP(1)), true))
		ereport(ERROR,
				(errcode(ERRCODE_BO_ARGUMENT),
				 errmsg("\"%s\" is no order key of %s", text_to_cstring(PG_GETARG_TEXT_PP(1)), mapping->line.name),
				 errhint("A key of several columns is an array literal, such as {1,2}.")));
	bo_spi_end(&spi);
	PG_RETURN_INT64(bo_reconcile_and_settle(&request, (ReconcileMode) {.reason = RECONCILE_CHANGES}));
}

typedef struct StockReconciling
{
	int32		source_id;
	SettleRequest request;
} StockReconciling;

static void
settle_all_stock(void *arg)
{
	StockReconciling *count = arg;

	bo_stock_note_all(count->source_id);
	(void) bo_reconcile_and_settle(&count->request, (ReconcileMode) {.reason = RECONCILE_CHANGES});
}

/* Looks at all of a source, in one settling of its own.  Returns how many counts were written. */
int64
bo_reconcile_stock(int32 source_id, bool anew)
{
	StockReconciling count = {.source_id = source_id,.request = {.stock_notes_whole = true,.stock_mapping_changed = anew}};

	(void) bo_settle_pending();
	bo_alone(settle_all_stock, &count);
	return count.request.counts_written;
}

/* resync_stock(stock_table): for the table's owner. */
Datum
bo_resync_stock(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(bo_reconcile_stock(bo_attached_argument(fcinfo, SOURCE_OF_STOCK), false));
}

static void
settle_imported_alone(void *arg)
{
	Mapping    *mapping = arg;
	char	   *item = NULL;
	char	   *location = NULL;
	bool		more = true;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext step = AllocSetContextCreate(caller, "backorder first settlings", ALLOCSET_DEFAULT_SIZES);

	while (more)
	{
		SettleRequest request = {0};
		SpiScope	spi;

		bo_spi_begin(&spi);
		MemoryContextSwitchTo(step);
		more = bo_next_unsettled(mapping, item, location, 1000, &request);
		bo_settle(&request);
		more = bo_unsettled_done(&request, &item, &location) || more;
		MemoryContextSwitchTo(caller);
		item = item ? pstrdup(item) : NULL;
		location = location ? pstrdup(location) : NULL;
		bo_spi_end(&spi);
		MemoryContextReset(step);
	}
	MemoryContextDelete(step);
}

/* Settles what an import of the source that was not finished recorded only. */
void
bo_settle_imported(Mapping *mapping)
{
	bo_alone(settle_imported_alone, mapping);
}
