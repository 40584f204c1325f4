/*
 * actor.c
 *		As whom code runs that is the application's.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/base.h"

/* ---------- as whom ---------- */

/*
 * Goes on as the owner of the application's tables, in a security-restricted
 * operation with a GUC nest level of its own: whatever evaluates, or only
 * reads, an expression, a constant or a key of theirs may run code of theirs,
 * and what that sets must not outlive it.  Until bo_act_as_before() with what
 * this returns, or the end of the (sub)transaction on error.
 */
BoActor
bo_act_as_owner(Oid owner)
{
	BoActor		before = {.guc_level = NewGUCNestLevel()};

	GetUserIdAndSecContext(&before.userid, &before.sec_context);
	SetUserIdAndSecContext(owner, before.sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	return before;
}

void
bo_act_as_before(const BoActor *before)
{
	AtEOXact_GUC(false, before->guc_level);
	SetUserIdAndSecContext(before->userid, before->sec_context);
}

/* What a conversion leaves to be found. */
typedef struct Conversion
{
	bool		(*convert) (void *arg);
	void	   *arg;
	bool		known;
} Conversion;

static void
run_conversion(void *arg)
{
	Conversion *c = arg;

	c->known = c->convert(c->arg);
}

/*
 * Runs convert(arg), which reads values of an application's types, as the
 * owner of its tables, and returns what it returns; false too where a value is
 * none of its type (SQLSTATEs of class 22).  builtin: all that runs is
 * PostgreSQL's own, which leaves nothing behind; anything else runs in a
 * subtransaction.
 */
bool
bo_convert_as_owner(Oid owner, bool builtin, bool (*convert) (void *arg), void *arg)
{
	MemoryContext cx = CurrentMemoryContext;
	BoActor		before = bo_act_as_owner(owner);
	Conversion	c = {.convert = convert,.arg = arg};
	ErrorData  *error;

	if (builtin)
	{
		PG_TRY();
		{
			run_conversion(&c);
		}
		PG_CATCH();
		{
			if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION))
				PG_RE_THROW();
			MemoryContextSwitchTo(cx);
			FlushErrorState();
			c.known = false;
		}
		PG_END_TRY();
	}
	else if ((error = bo_try_any(run_conversion, &c)) != NULL)
	{
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION))
			ReThrowError(error);
		c.known = false;
	}
	bo_act_as_before(&before);
	return c.known;
}
