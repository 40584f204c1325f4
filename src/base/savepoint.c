/*
 * savepoint.c
 *		The transaction's own state, when a savepoint is rolled back.
 *
 * What capture and announce remember lives in memory until the end of the
 * transaction.  Before either changes a field inside a subtransaction it saves
 * the old bytes here; when the subtransaction, or one around it, is rolled
 * back they are put back in reverse order.  Outside of subtransactions there
 * is nothing to go back to, and nothing is saved.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/base.h"

/* Bytes in one piece: most states are that small. */
#define SAVED_MAX 16

typedef struct Remembered
{
	SubTransactionId in;
	void	   *where;
	Size		size;
	char		old[SAVED_MAX];
} Remembered;

static Remembered *saved;
static int64 nsaved;
static int64 allocated;

static void
remember_bytes(SubTransactionId current, char *where, Size size)
{
	if (saved == NULL)
	{
		allocated = 64;
		saved = MemoryContextAlloc(TopTransactionContext, sizeof(Remembered) * allocated);
	}
	else if (nsaved == allocated)
	{
		allocated *= 2;
		saved = repalloc_huge(saved, sizeof(Remembered) * allocated);
	}
	saved[nsaved].in = current;
	saved[nsaved].where = where;
	saved[nsaved].size = size;
	memcpy(saved[nsaved++].old, where, size);
}

/*
 * Saves the bytes at `where`, which is about to be changed.  It must stay where
 * it is until the end of the transaction.
 */
void
bo_subxact_remember(void *where, Size size)
{
	SubTransactionId current = GetCurrentSubTransactionId();

	if (current == TopSubTransactionId)
	{
		nsaved = 0;				/* no subtransaction is open that could be rolled back */
		return;
	}
	for (Size done = 0; done < size; done += SAVED_MAX)
		remember_bytes(current, (char *) where + done, Min(size - done, SAVED_MAX));
}

/* A subtransaction is rolled back. Later ones have greater numbers, so ">=" means in it or below. */
void
bo_subxact_undo(SubTransactionId mine)
{
	while (nsaved > 0 && saved[nsaved - 1].in >= mine)
	{
		nsaved--;
		memcpy(saved[nsaved].where, saved[nsaved].old, saved[nsaved].size);
	}
}

/* The transaction is over, or what was saved is freed: its memory goes with the transaction. */
void
bo_subxact_forget(void)
{
	saved = NULL;
	nsaved = 0;
}
