/*
 * missing_orders.c
 *		missing_orders(): of which orders an attached table has no line, for
 *		compact().
 *
 * An order whose row of sales_order goes is new to whoever writes a line of it
 * next, who takes his own lines for all of it (pending/inserted_rows.c).  So
 * the row of an order stays as long as the table has a line of it, though none
 * that is recorded.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "mapping/mapping.h"

PG_FUNCTION_INFO_V1(bo_missing_orders);

typedef struct MissingOrders
{
	int32		source_id;
	List	   *keys;			/* of char *, sorted */
	List	   *missing;
} MissingOrders;

/* The lines that are committed count, also those that the transaction's snapshot does not see. */
static void
find_missing(void *arg)
{
	MissingOrders *m = arg;
	Mapping    *mapping = bo_mapping_if_exists(m->source_id);
	MemoryContext cx = CurrentMemoryContext;
	SpiScope	spi;

	if (mapping == NULL)
	{
		m->missing = m->keys;	/* with the table, all lines are gone */
		return;
	}
	bo_mapping_lock(mapping);
	if (m->keys == NIL)
		return;
	bo_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	MemoryContextSwitchTo(cx);
	m->missing = bo_missing_keys(mapping, m->keys);
	PopActiveSnapshot();
	bo_spi_end(&spi);
}

/*
 * missing_orders(source_id, order_keys): those of the orders, whose rows the
 * caller has locked, of which the table has no line; none where it cannot be
 * read.  Locks the table, AccessShare: who is going to lock orders first calls
 * this without one, so that the locks are taken in their order.
 */
Datum
bo_missing_orders(PG_FUNCTION_ARGS)
{
	MissingOrders m = {.source_id = PG_GETARG_INT32(0)};
	Datum	   *keys;
	ListCell   *lc;
	int			n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &keys, NULL, &n);
	for (int i = 0; i < n; i++)
		m.keys = lappend(m.keys, TextDatumGetCString(keys[i]));
	list_sort(m.keys, bo_compare_texts);
	if (bo_try_reading(find_missing, &m) != NULL)
		m.missing = NIL;
	n = 0;
	keys = palloc(sizeof(Datum) * Max(list_length(m.missing), 1));
	foreach(lc, m.missing)
		keys[n++] = CStringGetTextDatum(lfirst(lc));
	PG_RETURN_ARRAYTYPE_P(construct_array(keys, n, TEXTOID, -1, false, TYPALIGN_INT));
}
