/*
 * first_sight.c
 *		Orders of a table that is being imported, seen for the first time.
 *
 * Such an order is recorded as it was before this transaction, and then
 * changed: what had been shipped is no movement, what is shipped now is.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "reconcile/order.h"
#include "store/store.h"

/*
 * Raises 40001 where the active snapshot is older than the attachment: it may
 * not have what was written before that, with no trigger to note it.  Expects
 * an SPI scope.
 */
void
bo_import_seen(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	Datum		seen = 0;
	bool		isnull = true;

	if (!IsolationUsesXactSnapshot())
		return;
	if (bo_run_statement(BO_READ_IMPORT, NULL, &arg, true) > 0)
		seen = bo_result(SPI_tuptable, 0, IMPORT_ADDED, &isnull);
	PushActiveSnapshot(GetLatestSnapshot());
	if (bo_run_statement(BO_READ_IMPORT, NULL, &arg, true) > 0 &&
		(isnull || DatumGetTimestampTz(seen) != DatumGetTimestampTz(bo_result(SPI_tuptable, 0, IMPORT_ADDED, &isnull))))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent attachment of source %d", source_id)));
	PopActiveSnapshot();
}

/*
 * Up to which command what this transaction did counts as done before the
 * attachment.  Expects an SPI scope.
 */
static CommandId
import_begin(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	bool		isnull;

	if (bo_run_statement(BO_READ_IMPORT_BEGIN, NULL, &arg, true) > 0 &&
		TransactionIdIsCurrentTransactionId(DatumGetTransactionId(bo_result(SPI_tuptable, 0, 1, &isnull))))
		return DatumGetCommandId(bo_result(SPI_tuptable, 0, 2, &isnull));
	return FirstCommandId;
}

/* ---------- orders of a source that is being imported, seen for the first time ---------- */

static void
take_before(Mapping *mapping, MappedLine *line, void *arg)
{
	Reconcile  *r = arg;
	NoteKey		key = {mapping->source_id, line->order_key};
	Order	   *order = hash_search(r->orders, &key, HASH_FIND, NULL);

	if (order != NULL)
		order->before = lappend(order->before, line);
}

/* Reads orders (of OrderNote) with the active snapshot, but without anything that this transaction did since the attachment. */
static void
read_before(List *notes, void *arg)
{
	Reading    *reading = arg;
	CommandId	begin = import_begin(reading->mapping->source_id);
	ListCell   *lc;

	foreach(lc, notes)
		bo_order_of(reading->r, lfirst(lc))->before = NIL;
	PushCopiedSnapshot(GetActiveSnapshot());
	GetActiveSnapshot()->curcid = begin;
	bo_mapping_read(reading->mapping, list_length(notes) < MANY_ORDERS ? MAPPING_FEW : MAPPING_MANY, notes, take_before, reading->r);
	PopActiveSnapshot();
}

/* Where an order could not be read before, what it says now is taken for it. */
static void
take_as_it_is(void *note, ErrorData *error, void *arg)
{
	Order	   *order = bo_order_of(((Reading *) arg)->r, note);

	order->before = NIL;
	order->baseline = true;
}

/* Reads what orders (of OrderNote) were before this transaction. */
void
bo_read_before(Reconcile *r, Mapping *mapping, List *notes)
{
	Reading		reading = {r, mapping};

	if (notes != NIL)
		bo_read_by_halves(notes, read_before, take_as_it_is, &reading);
}

List *
bo_unseen_orders(Reconcile *r, List *notes)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, notes)
		if (bo_order_of(r, lfirst(lc))->first_sight && !bo_order_of(r, lfirst(lc))->baseline)
			result = lappend(result, lfirst(lc));
	return result;
}

/*
 * An order that was there before the import came to it counts as if it had
 * been imported just before this transaction: what it was then is compared
 * with what it is now.  A new one was nothing.
 */
void
bo_take_as_recorded(Order *order)
{
	ListCell   *lc;

	foreach(lc, order->before)
	{
		MappedLine *line = lfirst(lc);
		Recorded   *rec = NULL;
		ListCell   *rc;

		if (!line->demand && (line->item == NULL || qty_sign(line->shipped) == 0))
			continue;
		foreach(rc, order->recorded)	/* what is left of an attachment before this one */
			if (strcmp(((Recorded *) lfirst(rc))->line_key, line->line_key) == 0)
				rec = lfirst(rc);
		if (rec == NULL)
		{
			rec = palloc0(sizeof(Recorded));
			rec->line_key = rec->old_line_key = line->line_key;
			rec->old_order_key = line->order_key;
			rec->item = line->item;
			rec->location = line->location;
			rec->live = line->demand;
			rec->unrecorded = true;
			rec->here = -1;
			order->recorded = lappend(order->recorded, rec);
		}
		rec->shipped = line->shipped;
		rec->known = true;
	}
}
