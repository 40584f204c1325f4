/*
 * section.c
 *		Sections of work on the extension's tables: as whom, under which
 *		settings, and in which subtransaction.
 */
#include "backorder.h"

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

#include "store.h"

/* Of the current section: what SPI keeps about row sets outlives any context of its callers. */
MemoryContext bo_spi_cx;

/* While our own statements run, the triggers on our own tables stand aside. */
bool		bo_writing = false;

static bool trying;

/* Is a subtransaction of our own being undone, not one of the application's? */
bool
bo_is_trying(void)
{
	return trying;
}

/* Runs func(arg) in a subtransaction.  Returns NULL or the error. */
ErrorData *
bo_try_all(void (*func) (void *arg), void *arg)
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
bo_try(void (*func) (void *arg), void *arg)
{
	ErrorData  *error = bo_try_all(func, arg);

	if (error != NULL && error->sqlerrcode != ERRCODE_BO_EVALUATION && error->sqlerrcode != ERRCODE_BO_QUANTITY &&
		error->sqlerrcode != ERRCODE_BO_MAPPING && error->sqlerrcode != ERRCODE_BO_NOT_ATTACHED)
		ReThrowError(error);
	return error;
}

/* ---------- names ---------- */

/* Relations as they were found, until one is created, renamed or dropped. */
static struct
{
	const char *name;			/* a literal, compared by address: another one with the same text is found once more */
	Oid			relid;
}			found[32];
static int	nfound = 0;

static void
names_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	nfound = 0;
}

/* The tables and sequences that no user reads or writes.  They lie in a schema of their own. */
static const char *const internal_relations[] = {"commit_work", "statement_work", "installation", "source_id_seq", "line_id_seq"};

/* The schema of a table or sequence of the extension. */
static const char *
relation_schema(const char *name)
{
	for (int i = 0; i < (int) lengthof(internal_relations); i++)
		if (strcmp(name, internal_relations[i]) == 0)
			return "backorder_internal";
	return "backorder";
}

/* OID of a table or sequence of the extension, whose name is a literal. */
Oid
bo_relation(const char *name)
{
	const char *schema;
	Oid			relid;

	for (int i = 0; i < nfound; i++)
		if (found[i].name == name)
			return found[i].relid;
	schema = relation_schema(name);
	relid = get_relname_relid(name, get_namespace_oid(schema, false));
	if (!OidIsValid(relid))
		elog(ERROR, "relation %s.%s does not exist", schema, name);
	if (nfound < (int) lengthof(found))
	{
		found[nfound].name = name;
		found[nfound++].relid = relid;
	}
	return relid;
}

/* OID of a function without arguments.  Users call none of those that the library looks for: all are internal. */
Oid
bo_function(const char *name)
{
	oidvector  *noargs = buildoidvector(NULL, 0);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(name), PointerGetDatum(noargs),
						   ObjectIdGetDatum(get_namespace_oid("backorder_internal", false)));
}

Oid
bo_relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* The role that owns the extension's tables; our statements run as it. */
Oid
bo_owner(void)
{
	return bo_relation_owner(bo_relation("order_line"));
}

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
	else if ((error = bo_try_all(run_conversion, &c)) != NULL)
	{
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION))
			ReThrowError(error);
		c.known = false;
	}
	bo_act_as_before(&before);
	return c.known;
}

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
bo_section_init(void)
{
	CacheRegisterSyscacheCallback(PROCOID, function_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(RELNAMENSP, names_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACENAME, names_changed, (Datum) 0);
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

/* ---------- sections ---------- */

static void
set_here(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static void
pin_setting(const char *name, const char *value)
{
	const char *now = GetConfigOption(name, false, false);

	if (now == NULL || strcmp(now, value) != 0)
		set_here(name, value);
}

/*
 * From now on, and until the end of the innermost GUC nest level, which is one
 * of ours, nothing of the session's settings can change what a mapping or a
 * statement evaluates to, or how a key is written.
 */
void
bo_pin(void)
{
	const char *timezone = pg_get_timezone_name(bo_days_timezone());

	/* For most sessions most of them are right: setting one costs more than a look. */
	if (strcmp(namespace_search_path, "pg_catalog, pg_temp") != 0)
		set_here("search_path", "pg_catalog, pg_temp");
	if (session_timezone == NULL || strcmp(pg_get_timezone_name(session_timezone), timezone) != 0)
		set_here("TimeZone", timezone);
	if (DateStyle != USE_ISO_DATES || DateOrder != DATEORDER_YMD)
		set_here("DateStyle", "ISO, YMD");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		set_here("IntervalStyle", "postgres");
	if (extra_float_digits != 1)
		set_here("extra_float_digits", "1");
	if (bytea_output != BYTEA_OUTPUT_HEX)
		set_here("bytea_output", "hex");
}

/* Opens a GUC nest level with settings pinned.  Closed with AtEOXact_GUC, or by the end of the (sub)transaction on error. */
int
bo_pin_settings(void)
{
	int			level = NewGUCNestLevel();

	bo_pin();
	return level;
}

/*
 * Opens a GUC nest level in which statements are planned to go by index,
 * whatever the statistics say now.
 */
int
bo_pin_planning(void)
{
	int			level = NewGUCNestLevel();

	pin_setting("enable_nestloop", "on");
	pin_setting("enable_tidscan", "on");
	pin_setting("enable_seqscan", "off");
	pin_setting("enable_bitmapscan", "off");
	pin_setting("enable_hashjoin", "off");
	pin_setting("enable_mergejoin", "off");
	pin_setting("enable_sort", "off");
	pin_setting("jit", "off");
	return level;
}

/*
 * Makes the generic plan of a prepared statement now, by index, so that it is
 * there when the statement runs; nothing where it is made already.  Expects
 * the row set of the statement to be registered.
 */
void
bo_plan_by_index(SPIPlanPtr plan)
{
	int			level = bo_pin_planning();
	CachedPlan *cached = SPI_plan_get_cached_plan(plan);

	if (cached != NULL)
		ReleaseCachedPlan(cached, CurrentResourceOwner);
	AtEOXact_GUC(false, level);
}

/*
 * Begins a section in which settings are the session's until something asks
 * for bo_pin(): statements and mapping queries do.  An order that is written
 * without any pays for none: the levels of settings that were changed are
 * undone by a look at every setting there is (PostgreSQL 15).
 */
void
bo_enter_unpinned(BoSection *section)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	section->save_spi_cx = bo_spi_cx;
	bo_spi_cx = CurrentMemoryContext;
	GetUserIdAndSecContext(&section->save_userid, &section->save_sec_context);
	SetUserIdAndSecContext(bo_owner(),
						   section->save_sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	section->guc_level = NewGUCNestLevel();
	if (!interface_fits)
		check_interface();
}

/*
 * Begins a section with pinned settings.  Errors inside need no bo_leave: the
 * end of the (sub)transaction undoes all of it.
 */
void
bo_enter(BoSection *section)
{
	bo_enter_unpinned(section);
	bo_pin();
}

void
bo_leave(BoSection *section)
{
	AtEOXact_GUC(false, section->guc_level);
	SetUserIdAndSecContext(section->save_userid, section->save_sec_context);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	bo_spi_cx = section->save_spi_cx;
}
