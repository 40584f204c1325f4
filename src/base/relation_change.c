/*
 * relation_change.c
 *		Tells those who keep something about relations that one of them changed.
 *
 * PostgreSQL has room for ten relcache callbacks in a session, of all
 * extensions together.  All our caches share one.
 */
#include "postgres.h"

#include "utils/inval.h"

#include "base/base.h"

static BoRelationFunc functions[8];
static int	nfunctions = 0;

static void
relation_changed(Datum arg, Oid relid)
{
	for (int i = 0; i < nfunctions; i++)
		functions[i] (relid);
}

/*
 * Calls func whenever a relation changed, with its OID, or with InvalidOid
 * where any may have.  func only sets flags: it runs in the middle of anything.
 * For the time when the library is loaded.
 */
void
bo_on_relation_change(BoRelationFunc func)
{
	if (nfunctions == (int) lengthof(functions))
		elog(ERROR, "too many functions follow changes of relations");
	if (nfunctions == 0)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	functions[nfunctions++] = func;
}
