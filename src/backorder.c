/*
 * backorder.c
 *		Module entry, the end of transactions and savepoints, and today(),
 *		day_of() and next_xid().
 */
#include "postgres.h"

#include <limits.h>

#include "utils/xid8.h"

#include "announce/announce.h"
#include "base/base.h"
#include "capture/capture.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "settle/settle.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_today);
PG_FUNCTION_INFO_V1(bo_day_of);
PG_FUNCTION_INFO_V1(bo_next_xid);

PG_MODULE_MAGIC;

void		_PG_init(void);

static void
xact_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (bo_orders_pending() > 0 || bo_stock_pending() || bo_announce_pending())
				elog(ERROR, "backorder: orders were noted and not settled");
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			bo_notes_reset();
			bo_stock_notes_reset();
			bo_subxact_forget();
			bo_writing = false;
			bo_announce_reset();
			bo_allocated_reset();
			break;
		default:
			break;
	}
}

static void
subxact_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	if (!bo_is_trying())
		bo_allocated_reset();
	bo_subxact_undo(mine);
	bo_forget_inserted();
	bo_notes_rolled_back();
}

void
_PG_init(void)
{
	bo_qty_init();
	bo_settings_init();
#ifdef BO_DEBUG_POINTS
	bo_debug_init();
#endif
	MarkGUCPrefixReserved("backorder");
	bo_names_init();
	bo_spi_scope_init();
	bo_mapping_init();
	bo_notes_init();
	bo_capture_init();
	bo_heap_init();
	RegisterXactCallback(xact_end, NULL);
	RegisterSubXactCallback(subxact_end, NULL);
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
