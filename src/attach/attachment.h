/*
 * attachment.h
 *		The arguments of attach() and attach_preview(), taken step by step, and
 *		what attach_stock() does with a table likewise.
 */
#ifndef BO_ATTACHMENT_H
#define BO_ATTACHMENT_H

#include "reconcile/reconcile.h"

#include "fmgr.h"
#include "storage/lockdefs.h"

/* The arguments of attach() and attach_preview(), which has all but the last. */
typedef enum AttachArgument
{
	ATTACH_LINE_TABLE,
	ATTACH_ITEM,
	ATTACH_QUANTITY,
	ATTACH_LINE_KEY,
	ATTACH_ORDER_KEY,
	ATTACH_HEADER_TABLE,
	ATTACH_HEADER_KEY,
	ATTACH_LIVE,
	ATTACH_SHIPPED,
	ATTACH_PICKED,
	ATTACH_CANCELLED,
	ATTACH_LOCATION,
	ATTACH_CUSTOMER,
	ATTACH_PRIORITY,
	ATTACH_QUEUED_AT,
	ATTACH_REQUESTED_AT,
	ATTACH_HELD,
	ATTACH_JOINS,
	ATTACH_WATCH,
	ATTACH_TIMING,
	ATTACH_OVERSHIP,
	ATTACH_ON_ERROR,
	ATTACH_TENANT,
	ATTACH_IMPORT
} AttachArgument;

/* The arguments of attach_stock(). */
typedef enum AttachStockArgument
{
	ATTACH_STOCK_TABLE,
	ATTACH_STOCK_EXPRESSIONS,	/* the first: item */
	ATTACH_STOCK_ON_HAND,
	ATTACH_STOCK_LOCATION,
	ATTACH_STOCK_UNAVAILABLE,
	ATTACH_STOCK_LIVE,
	ATTACH_STOCK_TIMING,
	ATTACH_STOCK_TENANT
} AttachStockArgument;

/* "table: keys" */
typedef struct WatchArgument
{
	MappedTable table;
	char	   *keys;
} WatchArgument;

typedef struct Attachment
{
	FunctionCallInfo fcinfo;
	bool		preview;		/* nothing is locked against writers, no trigger is touched */
	MappedTable line;
	MappedTable header;			/* relid InvalidOid: none */
	List	   *order_key;		/* names */
	List	   *line_key;
	List	   *key_expressions;
	List	   *header_key;
	char	   *joins;
	MappedColumn n;				/* the expression that is next */
	char	   *texts[MAPPED_COLUMNS];
	List	   *watched;		/* of WatchArgument */
	char	   *timing;
	char	   *overship;
	char	   *on_error;
	char	   *tenant;
	bool		again;			/* attached already */
	Oid			old_header;
} Attachment;

/* What the columns of an index begin with. */
typedef struct IndexStart
{
	AttrNumber	first;			/* 0: an expression */
	AttrNumber	second;			/* 0: any, or none */
} IndexStart;

typedef void (*BoHintFunc) (const char *message, const char *detail, const char *hint, void *arg);

/* In this order; each raises ERRCODE_BO_MAPPING for what is wrong.  The argument is an Attachment. */
extern void bo_attach_tables(void *arg);
extern void bo_attach_keys(void *arg);
extern void bo_attach_joins(void *arg);
extern void bo_attach_expression(void *arg);
extern void bo_attach_key_expressions(void *arg);
extern void bo_attach_watched(void *arg);
extern int32 bo_attach_source(Attachment *a);
extern void bo_attach_hints(Attachment *a, Mapping *mapping, BoHintFunc hint, void *arg);

/* What attaching needs of a table, order lines (attach.c, arguments.c) or stock (attach_stock.c). */
extern void bo_check_table(Oid relid, LOCKMODE lock);
extern char *bo_one_of(FunctionCallInfo fcinfo, int arg, const char *name, const char *first, const char *second);
extern Datum bo_column_array(const MappedTable *table);
extern void bo_create_triggers(const char *table, int32 source_id, const char *role);
extern void bo_release_table(Oid relid, int32 source_id);
extern void bo_say_hint(const char *message, const char *detail, const char *hint, void *arg);

/* import_state.c */
extern void bo_import_later(int32 source_id, bool again);
extern void bo_import_lock(int32 source_id);
extern void bo_import_forget(int32 source_id);
extern void bo_import_resynced(int32 source_id);
extern bool bo_has_unsettled(const Mapping *mapping);
extern void bo_lock_all_unsettled(const Mapping *mapping, SettleRequest *request);
extern bool bo_next_unsettled(const Mapping *mapping, const char *item, const char *location, int limit, SettleRequest *request);
extern bool bo_unsettled_done(const SettleRequest *request, char **item, char **location);

/* attached.c */
extern int32 bo_attached_argument(FunctionCallInfo fcinfo, SourceKind kind);
extern bool bo_has_index(Oid relid, const IndexStart *starts, int n);
extern char *bo_arg_text(FunctionCallInfo fcinfo, int arg);

/* triggers.c */
extern void bo_follow_tables(void *arg);
extern Datum bo_name_array(List *names);
extern void bo_release_watched(int32 source_id);

/* resync.c */
extern void bo_reconcile_source(Mapping *mapping, ReconcileMode mode);
extern void bo_settle_imported(Mapping *mapping);
extern void bo_end_lines(Mapping *stub);
extern int64 bo_reconcile_stock(int32 source_id, bool anew);

/* key_walk.c */
extern uint64 bo_read_keys(Mapping *mapping, const char *position, int limit);
extern char *bo_key_of_row(Mapping *mapping, SPITupleTable *table, uint64 row, Datum *native);
extern int	bo_compare_texts(const ListCell *a, const ListCell *b);
extern List *bo_missing_keys(Mapping *mapping, List *keys);

#endif							/* BO_ATTACHMENT_H */
