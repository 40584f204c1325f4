/*
 * event.c
 *		Rows of the outbox, as announcing and settling write them.
 *
 * What it is not: it does not decide what is said; announce.c and settle.c do.
 */
#include "backorder.h"

#include "access/transam.h"
#include "json.h"
#include "utils/xid8.h"

/* What all events of a source say: its table, and in which life of the database. */
static void
read_context(EventSet *set, int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	bool		isnull;

	/* With a new snapshot: the source may have been attached while this transaction waited for stock. */
	(void) bo_exec(BO_READ_EVENT_CONTEXT, NULL, &arg, false);
	set->source = bo_get_text(0, 1);
	set->generation = bo_get(0, 2, &isnull);
	set->source_id = source_id;
}

/*
 * Adds an event of an order to a set.  payload is an object that is not ended
 * yet.  Expects a section, and the lock under which events of this
 * order are serial: the transaction number that they are ordered by is read
 * here.  Allocates in the current context.
 */
void
bo_event_put(EventSet *set, const char *tenant, int32 source_id, const char *order_key, const char *type, const char *customer, JsonbParseState **payload)
{
	Datum		values[9];
	bool		nulls[9] = {false};

	if (set->rows == NULL)
		set->rows = bo_rows(BO_ROWS_EVENTS);
	if (set->source_id != source_id)
		read_context(set, source_id);
	json_text(payload, "source", set->source);
	values[0] = bo_text(tenant);
	values[1] = bo_text("order");
	values[2] = bo_text(order_key);
	values[3] = bo_text(type);
	values[4] = json_finish(payload);
	values[5] = Int32GetDatum(source_id);
	values[6] = bo_text(customer);
	nulls[6] = customer == NULL;
	values[7] = set->generation;
	values[8] = FullTransactionIdGetDatum(ReadNextFullTransactionId());
	bo_rows_put(set->rows, values, nulls);
}

/* Writes the events of a set. Expects a section. */
void
bo_events_write(EventSet *set)
{
	bo_write(BO_INSERT_EVENTS, set->rows);
	set->rows = NULL;
}
