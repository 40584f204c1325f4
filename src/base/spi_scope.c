/*
 * spi_scope.c
 *		SPI scopes of work on the extension's tables: as whom and under which
 *		settings; and whether library and SQL objects fit together.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/base.h"

/* Of the current SPI scope: what SPI keeps about row sets outlives any context of its callers. */
MemoryContext bo_spi_cx;

/* While our own statements run, the triggers on our own tables stand aside. */
bool		bo_writing = false;

/* ---------- the SQL objects and this library ---------- */

/*
 * A new library meets the objects of before until ALTER EXTENSION UPDATE; a
 * session keeps the library that it loaded, and meets those that come after.
 * backorder_internal.interface() says what the objects expect; no version does, as
 * most of them change nothing that the library sees.
 */
static bool interface_fits = false;
static uint32 interface_hash;

static void
function_changed(Datum arg, int cacheid, uint32 hash)
{
	if (hash == 0 || hash == interface_hash)
		interface_fits = false;
}

void
bo_spi_scope_init(void)
{
	CacheRegisterSyscacheCallback(PROCOID, function_changed, (Datum) 0);
}

/* Refuses to work with objects that this library was not written for. */
static void
check_interface(void)
{
	Oid			function = bo_function("interface");
	int32		found;

	if (!OidIsValid(function))
		elog(ERROR, "function backorder_internal.interface() does not exist");
	interface_hash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
	interface_fits = true;		/* an invalidation meanwhile clears it again */
	bo_pin();
	PushActiveSnapshot(GetTransactionSnapshot());
	found = DatumGetInt32(OidFunctionCall0(function));
	PopActiveSnapshot();
	if (found >= BO_OLDEST_INTERFACE && found <= BO_INTERFACE)
		return;
	interface_fits = false;
	ereport(ERROR,
			(errcode(ERRCODE_BO_INTERFACE),
			 errmsg("the library of backorder and its SQL objects are of different versions"),
			 errdetail("The objects have interface %d, and the library that this session loaded knows %d to %d.",
					   found, BO_OLDEST_INTERFACE, BO_INTERFACE),
			 found < BO_OLDEST_INTERFACE ?
			 errhint("Call ALTER EXTENSION backorder UPDATE.") :
			 errhint("Connect again: sessions keep the library of before an update. If that does not help, install the new library.")));
}

/*
 * Begins an SPI scope in which settings are the session's until something asks
 * for bo_pin(): statements and mapping queries do.  An order that is written
 * without any pays for none: the levels of settings that were changed are
 * undone by a look at every setting there is (PostgreSQL 15).
 */
void
bo_spi_begin_unpinned(SpiScope *spi)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	spi->save_spi_cx = bo_spi_cx;
	bo_spi_cx = CurrentMemoryContext;
	GetUserIdAndSecContext(&spi->save_userid, &spi->save_sec_context);
	SetUserIdAndSecContext(bo_owner(),
						   spi->save_sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	spi->guc_level = NewGUCNestLevel();
	if (!interface_fits)
		check_interface();
}

/*
 * Begins an SPI scope with pinned settings.  Errors inside need no bo_spi_end: the
 * end of the (sub)transaction undoes all of it.
 */
void
bo_spi_begin(SpiScope *spi)
{
	bo_spi_begin_unpinned(spi);
	bo_pin();
}

void
bo_spi_end(SpiScope *spi)
{
	AtEOXact_GUC(false, spi->guc_level);
	SetUserIdAndSecContext(spi->save_userid, spi->save_sec_context);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	bo_spi_cx = spi->save_spi_cx;
}
