/*
 * subtransaction.c
 *		Runs something in a subtransaction, and says what went wrong.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/base.h"

static bool trying;

/* Is a subtransaction of our own being undone, not one of the application's? */
bool
bo_is_trying(void)
{
	return trying;
}

/* Runs func(arg) in a subtransaction.  Returns NULL or the error. */
ErrorData *
bo_try_any(void (*func) (void *arg), void *arg)
{
	MemoryContext cx = CurrentMemoryContext;
	MemoryContext save_spi_cx = bo_spi_cx;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cx);
	PG_TRY();
	{
		func(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cx);
		error = CopyErrorData();
		FlushErrorState();
		trying = true;
		RollbackAndReleaseCurrentSubTransaction();
		trying = false;
		bo_spi_cx = save_spi_cx;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cx);
	CurrentResourceOwner = owner;
	return error;
}

/*
 * Runs func(arg) in a subtransaction.  Returns NULL, or the error where it is
 * one that makes an order unreadable (OB001 to OB004); others are raised.
 */
ErrorData *
bo_try_reading(void (*func) (void *arg), void *arg)
{
	ErrorData  *error = bo_try_any(func, arg);

	if (error != NULL && error->sqlerrcode != ERRCODE_BO_EVALUATION && error->sqlerrcode != ERRCODE_BO_QUANTITY &&
		error->sqlerrcode != ERRCODE_BO_MAPPING && error->sqlerrcode != ERRCODE_BO_NOT_ATTACHED)
		ReThrowError(error);
	return error;
}
