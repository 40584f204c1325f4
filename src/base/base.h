/*
 * base.h
 *		What every floor stands on: errors, names, settings, roles, scopes of
 *		work, savepoints.
 */
#ifndef BO_BASE_H
#define BO_BASE_H

#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/date.h"

#include "base/compat.h"
#include "base/qty.h"

/* SQLSTATEs, class OB */
#define ERRCODE_BO_MAPPING		MAKE_SQLSTATE('O','B','0','0','1')	/* attach refused */
#define ERRCODE_BO_EVALUATION	MAKE_SQLSTATE('O','B','0','0','2')	/* a mapping expression failed */
#define ERRCODE_BO_QUANTITY		MAKE_SQLSTATE('O','B','0','0','3')	/* NaN, infinity, wrong sign */
#define ERRCODE_BO_NOT_ATTACHED MAKE_SQLSTATE('O','B','0','0','4')
#define ERRCODE_BO_STOCK		MAKE_SQLSTATE('O','B','0','0','5')	/* too little stock */
#define ERRCODE_BO_PURCHASE		MAKE_SQLSTATE('O','B','0','0','6')	/* state of a purchase order */
#define ERRCODE_BO_OVERSHIP		MAKE_SQLSTATE('O','B','0','0','7')
#define ERRCODE_BO_ARGUMENT		MAKE_SQLSTATE('O','B','0','0','9')
#define ERRCODE_BO_PROTECTED	MAKE_SQLSTATE('O','B','0','1','0')
#define ERRCODE_BO_ATTACHED_STOCK		MAKE_SQLSTATE('O','B','0','1','2')	/* the application keeps on hand */
#define ERRCODE_BO_RESTORING	MAKE_SQLSTATE('O','B','0','1','1')	/* rows came without their sequence */
#define ERRCODE_BO_INTERFACE	MAKE_SQLSTATE('O','B','0','1','3')	/* library and SQL objects do not fit */

/*
 * What this library and the SQL objects expect of each other, as
 * backorder_internal.interface() says it (sql/05-interface.sql): grows where either
 * could not go on with the other as it was.  A library knows that of the release
 * before too, so that orders are written between its installation and
 * ALTER EXTENSION UPDATE.
 */
#define BO_INTERFACE 1
#define BO_OLDEST_INTERFACE 1

#define BO_MAX_KEYS 4			/* columns of an order or line key */

#ifdef BO_DEBUG_POINTS
extern void bo_debug_init(void);
extern void bo_debug_point(const char *name);
extern char *bo_debug_stock_rule;
#define BO_POINT(name) bo_debug_point(name)
#else
#define BO_POINT(name) ((void) 0)
#endif

/*
 * An SPI scope of work on the extension's tables: SPI connected, the owner of
 * the tables as current user, settings that change results pinned.
 */
typedef struct SpiScope
{
	Oid			save_userid;
	int			save_sec_context;
	int			guc_level;
	MemoryContext save_spi_cx;
} SpiScope;

/* As whom code ran before bo_act_as_owner(). */
typedef struct BoActor
{
	Oid			userid;
	int			sec_context;
	int			guc_level;
} BoActor;

static inline Datum
bo_text(const char *s)
{
	return s ? PointerGetDatum(cstring_to_text(s)) : (Datum) 0;
}

/* For hash functions of keys that have texts. */
static inline uint32
bo_hash_text(const char *s)
{
	return hash_bytes((const unsigned char *) s, strlen(s));
}

/* NULL is the same as NULL. */
static inline bool
bo_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* settings.c */
extern bool bo_notify;
extern int	bo_repromise_limit;
extern void bo_settings_init(void);
extern DateADT bo_current_day(void);

/* spi_scope.c */
extern void bo_spi_scope_init(void);
extern void bo_spi_begin(SpiScope *spi);
extern void bo_spi_begin_unpinned(SpiScope *spi);
extern void bo_spi_end(SpiScope *spi);
extern bool bo_writing;

/* actor.c */
extern BoActor bo_act_as_owner(Oid owner);
extern void bo_act_as_before(const BoActor *before);
extern bool bo_convert_as_owner(Oid owner, bool builtin, bool (*convert) (void *arg), void *arg);

/* subtransaction.c */
extern ErrorData *bo_try_any(void (*func) (void *arg), void *arg);
extern ErrorData *bo_try_reading(void (*func) (void *arg), void *arg);
extern bool bo_is_trying(void);
extern void bo_read_by_halves(List *items, void (*read) (List *items, void *arg),
							  void (*unreadable) (void *item, ErrorData *error, void *arg), void *arg);

/* relation_change.c */
typedef void (*BoRelationFunc) (Oid relid);
extern void bo_on_relation_change(BoRelationFunc func);

/* names.c */
extern void bo_names_init(void);
extern Oid	bo_owner(void);
extern Oid	bo_relation_owner(Oid relid);
extern Oid	bo_relation(const char *name);
extern Oid	bo_function(const char *name);

/* pin.c */
extern void bo_pin(void);
extern int	bo_pin_settings(void);
extern int	bo_pin_planning(void);
extern void bo_plan_by_index(SPIPlanPtr plan);

/* errors.c */
pg_noreturn extern void bo_refuse(const char *message, const char *hint);

/* savepoint.c */
extern void bo_subxact_remember(void *where, Size size);
extern void bo_subxact_undo(SubTransactionId mine);
extern void bo_subxact_forget(void);

/* What SPI keeps about row sets outlives any context of its callers. */
extern MemoryContext bo_spi_cx;

#endif							/* BO_BASE_H */
