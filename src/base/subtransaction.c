/*
 * subtransaction.c
 *		Runs something in a subtransaction, and says what went wrong.
 */
#include "postgres.h"

#include "miscadmin.h"

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

/* Items that are read together. */
typedef struct Reading
{
	List	   *items;
	void		(*read) (List *items, void *arg);
	void	   *arg;
} Reading;

static void
read_items(void *arg)
{
	Reading    *reading = arg;

	reading->read(reading->items, reading->arg);
}

/*
 * Calls read(items, arg) in a subtransaction.  Where an error makes some of the
 * items unreadable (bo_try_reading), reads each half of them alone, and so on:
 * read() begins anew with the items that it is given.  unreadable() is called
 * for each item that cannot be read alone, with its error.
 */
void
bo_read_by_halves(List *items, void (*read) (List *items, void *arg),
				  void (*unreadable) (void *item, ErrorData *error, void *arg), void *arg)
{
	Reading		reading = {items, read, arg};
	int			half = list_length(items) / 2;
	ErrorData  *error;

	CHECK_FOR_INTERRUPTS();
	error = bo_try_reading(read_items, &reading);
	if (error == NULL)
		return;
	if (half == 0)
	{
		unreadable(linitial(items), error, arg);
		return;
	}
	bo_read_by_halves(list_copy_head(items, half), read, unreadable, arg);
	bo_read_by_halves(list_copy_tail(items, half), read, unreadable, arg);
}
