/*
 * detach.c
 *		detach(), detach_stock() and detach_source(): tables that are not watched
 *		any more.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/snapmgr.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "mapping/mapping.h"
#include "reconcile/reconcile.h"
#include "settle/settle.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_detach);
PG_FUNCTION_INFO_V1(bo_detach_source);
PG_FUNCTION_INFO_V1(bo_detach_stock);
PG_FUNCTION_INFO_V1(bo_end_stock_source);

/* Open lines leave, triggers go; works without a mapping that can be read. */
static void
detach(int32 source_id)
{
	Mapping    *mapping = bo_source_identity(source_id);
	Datum		arg = Int32GetDatum(source_id);
	SpiScope	spi;

	if (mapping->detached)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("source %d is detached", source_id),
				 errhint("Attached tables are listed in backorder.source.")));
	if (OidIsValid(mapping->line.relid))
		LockRelationOid(mapping->line.relid, ShareRowExclusiveLock);
	if (OidIsValid(mapping->header.relid))
		LockRelationOid(mapping->header.relid, ShareRowExclusiveLock);
	bo_import_forget(source_id);	/* its row is locked before the orders */
	bo_end_lines(mapping);
	bo_spi_begin(&spi);
	bo_release_table(mapping->line.relid, source_id);
	bo_release_table(mapping->header.relid, source_id);
	bo_release_watched(source_id);
	(void) bo_run_statement(BO_DETACH_SOURCE, NULL, &arg, false);
	bo_spi_end(&spi);
	bo_mapping_forget(source_id);
}

/* detach(line_table): for the table's owner. */
Datum
bo_detach(PG_FUNCTION_ARGS)
{
	detach(bo_attached_argument(fcinfo, SOURCE_OF_ORDERS));
	PG_RETURN_VOID();
}

/* What the source kept is kept by movements from now on.  The stock is locked sorted, all that was ever committed. */
static void
end_source(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	List	   *stock_keys = NIL;
	SpiScope	spi;
	uint64		n;

	bo_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	n = bo_run_statement(BO_READ_ATTACHED_STOCK, NULL, &arg, true);
	PopActiveSnapshot();
	for (uint64 i = 0; i < n; i++)
		stock_keys = lappend(stock_keys, bo_stock_key(bo_result_text(SPI_tuptable, i, 3), bo_result_text(SPI_tuptable, i, 1), bo_result_text(SPI_tuptable, i, 2)));
	bo_lock_stock_keys(stock_keys);
	(void) bo_run_statement(BO_RELEASE_ATTACHED_STOCK, NULL, &arg, false);
	(void) bo_run_statement(BO_DETACH_STOCK_SOURCE, NULL, &arg, false);
	bo_spi_end(&spi);
	bo_mapping_forget(source_id);
}

/* Detaches a source; relid InvalidOid: its table is gone. */
static void
detach_stock_source(int32 source_id, Oid relid)
{
	SpiScope	spi;

	if (OidIsValid(relid))
		LockRelationOid(relid, ShareRowExclusiveLock);
	(void) bo_settle_pending();
	bo_spi_begin(&spi);
	bo_release_table(relid, source_id);
	bo_spi_end(&spi);
	end_source(source_id);
}

/* detach_source(source_id): where the table is gone and cannot be named; for a superuser, or who owns the extension's tables. */
Datum
bo_detach_source(PG_FUNCTION_ARGS)
{
	Oid			relid;

	if (!has_privs_of_role(GetUserId(), bo_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to detach source %d", PG_GETARG_INT32(0)),
				 errhint("Only the owner of the extension may detach a source by its number; a table's owner uses backorder.detach().")));
	if (bo_stock_attached(PG_GETARG_INT32(0), &relid))
		detach_stock_source(PG_GETARG_INT32(0), relid);
	else
		detach(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}

/* end_stock_source(source_id): of a table that was dropped; for the event trigger. */
Datum
bo_end_stock_source(PG_FUNCTION_ARGS)
{
	end_source(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}

/* detach_stock(stock_table): for the table's owner. */
Datum
bo_detach_stock(PG_FUNCTION_ARGS)
{
	detach_stock_source(bo_attached_argument(fcinfo, SOURCE_OF_STOCK), PG_GETARG_OID(0));
	PG_RETURN_VOID();
}
