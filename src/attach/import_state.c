/*
 * import_state.c
 *		How far an import has come: the row of source_import.
 */
#include "postgres.h"

#include "utils/inval.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "settle/settle.h"
#include "store/store.h"

/* ---------- the row of a source ---------- */

/*
 * Leaves the source's orders to import(), for attach(import => false).  again:
 * the table is attached already, so what is recorded stays; where that is all
 * of it, import() goes through it from the beginning.  Not again: what was
 * recorded in an earlier attachment does not count as seen.  Expects the table
 * locked against writers.
 */
void
bo_import_later(int32 source_id, bool again)
{
	Mapping    *mapping = bo_mapping(source_id);
	Datum		args[4] = {Int32GetDatum(source_id), bo_text("waiting"), BoolGetDatum(true), Int64GetDatum(0)};
	Datum		orders[2];
	SpiScope	spi;

	if (again && !mapping->importing)
		args[1] = bo_text("outdated");
	bo_spi_begin(&spi);
	if (!again)
		(void) bo_run_statement(BO_FORGET_IMPORT, NULL, args, false);
	orders[0] = bo_text(mapping->tenant);
	orders[1] = args[0];
	if (!again)
	{
		args[2] = BoolGetDatum(bo_run_statement(BO_UNSEE_ORDERS, NULL, orders, false) > 0);
		bo_unlock_notes(source_id);
	}
	(void) bo_run_statement(BO_ADD_IMPORT, NULL, args, false);
	bo_spi_end(&spi);
	bo_mapping_forget(source_id);
}

/* Locks the row, which comes before order rows in the order of locks. */
void
bo_import_lock(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	SpiScope	spi;

	bo_spi_begin(&spi);
	(void) bo_run_statement(BO_LOCK_IMPORT, NULL, &arg, false);
	bo_spi_end(&spi);
}

/* Forgets how far an import came: all orders of the source are recorded by other means, or it is detached. */
void
bo_import_forget(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	SpiScope	spi;

	bo_spi_begin(&spi);
	(void) bo_run_statement(BO_FORGET_IMPORT, NULL, &arg, false);
	bo_spi_end(&spi);
	bo_mapping_forget(source_id);
}

/* Forgets an import that only has to look at recorded orders again: resync() does that now. */
void
bo_import_resynced(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	SpiScope	spi;

	bo_spi_begin(&spi);
	if (bo_run_statement(BO_LOCK_IMPORT, NULL, &arg, false) > 0 && strcmp(bo_result_text(SPI_tuptable, 0, IMPORT_STATE), "outdated") == 0)
	{
		(void) bo_run_statement(BO_FORGET_IMPORT, NULL, &arg, false);
		/* All its orders are seen then: for all sessions. */
		CacheInvalidateRelcacheByRelid(bo_mapping(source_id)->line.relid);
		bo_mapping_forget(source_id);
	}
	bo_spi_end(&spi);
}

/* Adds to the request the stock rows behind one, or from the first, at which lines may wait for their first settling; returns how many. */
static uint64
add_unsettled_stock(const Mapping *mapping, const char *item, const char *location, int limit, SettleRequest *request)
{
	Datum		args[4] = {bo_text(mapping->tenant), bo_text(item), bo_text(location), Int32GetDatum(limit)};
	uint64		n = bo_run_statement(BO_READ_UNSETTLED_STOCK, NULL, args, false);

	for (uint64 row = 0; row < n; row++)
		request->stock_keys = lappend(request->stock_keys,
									  bo_stock_key(mapping->tenant, bo_result_text(SPI_tuptable, row, 1), bo_result_text(SPI_tuptable, row, 2)));
	return n;
}

/*
 * Adds to the request all of them: what settles them next in the transaction
 * finds them locked, in one order with what the request locks itself.
 * Allocates in the caller's context.
 */
void
bo_lock_all_unsettled(const Mapping *mapping, SettleRequest *request)
{
	MemoryContext cx = CurrentMemoryContext;
	SpiScope	spi;

	bo_spi_begin(&spi);
	MemoryContextSwitchTo(cx);
	(void) add_unsettled_stock(mapping, NULL, NULL, PG_INT32_MAX, request);
	bo_spi_end(&spi);
}

/* So many lines are settled for the first time in one transaction: what they take is in memory. */
#define FIRST_SETTLINGS 10000

/*
 * Makes a request to settle, for the first time, lines that an import of the
 * source recorded: of at most `limit` stock rows behind one, or from the first.
 * Returns whether there may be more rows.  Expects an SPI scope.
 */
bool
bo_next_unsettled(const Mapping *mapping, const char *item, const char *location, int limit, SettleRequest *request)
{
	request->first_settling = mapping->source_id;
	request->settle_limit = FIRST_SETTLINGS;
	request->repromise = true;
	return add_unsettled_stock(mapping, item, location, limit, request) == (uint64) limit;
}

/* How far such a request came: the last stock row that has no more of them.  Returns whether one of its rows has. */
bool
bo_unsettled_done(const SettleRequest *request, char **item, char **location)
{
	if (request->settled_keys > 0)
	{
		StockKey   *key = list_nth(request->stock_keys, request->settled_keys - 1);

		*item = key->item;
		*location = key->location;
	}
	return request->settled_keys < list_length(request->stock_keys);
}

/* May there be lines of the source, or of others of its tenant, that wait for their first settling?  Expects an SPI scope. */
bool
bo_has_unsettled(const Mapping *mapping)
{
	Datum		args[4] = {bo_text(mapping->tenant), (Datum) 0, (Datum) 0, Int32GetDatum(1)};

	return bo_run_statement(BO_READ_UNSETTLED_STOCK, NULL, args, false) > 0;
}
