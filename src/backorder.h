/*
 * backorder.h
 *		Types and functions shared by the files of the extension.
 *
 * Data flows one way: capture notes which orders changed, reconcile compares
 * what they say now with what is recorded, settle applies the differences
 * under the stock locks, announce says what became different.  Only store.c
 * reads and writes the extension's tables, only mapping_read.c the
 * application's.
 */
#ifndef BACKORDER_H
#define BACKORDER_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "tcop/dest.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "qty.h"

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
#define ERRCODE_BO_COUNTED		MAKE_SQLSTATE('O','B','0','1','2')	/* the application keeps on hand */
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

/* Settings (backorder.c) */
extern bool bo_notify;
extern int	bo_repromise_limit;

/* ---------- debug.c: points at which tests fail, wait or crash ---------- */

#ifdef BO_DEBUG_POINTS
extern void bo_debug_init(void);
extern void bo_debug_point(const char *name);
#define BO_POINT(name) bo_debug_point(name)
#else
#define BO_POINT(name) ((void) 0)
#endif

/* ---------- section.c ---------- */

/*
 * A section of work on the extension's tables: SPI connected, the owner of
 * the tables as current user, settings that change results pinned.
 */
typedef struct BoSection
{
	Oid			save_userid;
	int			save_sec_context;
	int			guc_level;
	MemoryContext save_spi_cx;
} BoSection;

/* As whom code ran before bo_act_as_owner(). */
typedef struct BoActor
{
	Oid			userid;
	int			sec_context;
	int			guc_level;
} BoActor;

extern void bo_section_init(void);
extern BoActor bo_act_as_owner(Oid owner);
extern void bo_act_as_before(const BoActor *before);
extern bool bo_convert_as_owner(Oid owner, bool builtin, bool (*convert) (void *arg), void *arg);
extern void bo_enter(BoSection *section);
extern void bo_enter_unpinned(BoSection *section);
extern void bo_leave(BoSection *section);
extern ErrorData *bo_try_all(void (*func) (void *arg), void *arg);
extern ErrorData *bo_try(void (*func) (void *arg), void *arg);
extern bool bo_is_trying(void);
extern Oid	bo_owner(void);
extern Oid	bo_relation_owner(Oid relid);
extern Oid	bo_relation(const char *name);
extern Oid	bo_function(const char *name);
extern pg_tz *bo_days_timezone(void);
extern void bo_pin(void);
extern int	bo_pin_settings(void);
extern int	bo_pin_planning(void);
extern void bo_plan_by_index(SPIPlanPtr plan);
extern bool bo_writing;

/* ---------- statements.c, store.c: statements, rows ---------- */

/* Kinds of row sets handed to statements; see bo_rows_kinds. */
typedef enum BoRowsKind
{
	BO_ROWS_ORDERS,
	BO_ROWS_LINE_KEYS,
	BO_ROWS_PLACES,
	BO_ROWS_SUPPLY_KEYS,
	BO_ROWS_LINES,
	BO_ROWS_STOCK,
	BO_ROWS_SUPPLY,
	BO_ROWS_ALLOCATIONS,
	BO_ROWS_MOVEMENTS,
	BO_ROWS_EVENTS,
	BO_ROWS_TOUCHED,
	BO_ROWS_TOLD,
	BO_ROWS_FIRST_TOLD,
	BO_ROWS_DRAFTS,
	BO_ROWS_PLANNED,
	BO_ROWS_KINDS				/* how many there are */
} BoRowsKind;

typedef struct BoRows BoRows;
typedef struct BoLate BoLate;

/* Statements; see bo_statements. */
typedef enum BoStatement
{
	BO_LOCK_ORDERS,
	BO_READ_RECORDED,
	BO_READ_RECORDED_LINE,
	BO_FIND_RECORDED,
	BO_READ_SOURCE_ORDERS,
	BO_ADD_STOCK,
	BO_LOCK_STOCK,
	BO_READ_LINES,
	BO_READ_QUEUE,
	BO_READ_ALLOCATED,
	BO_READ_LAST_WAITING,
	BO_READ_HANDLING_TIME,
	BO_READ_OPEN_SUPPLY,
	BO_READ_SUPPLY,
	BO_INSERT_LINES,
	BO_UPDATE_LINES,
	BO_DELETE_LINES,
	BO_WRITE_STOCK,
	BO_INSERT_SUPPLY,
	BO_UPDATE_SUPPLY,
	BO_DELETE_SUPPLY,
	BO_INSERT_ALLOCATIONS,
	BO_INSERT_MOVEMENTS,
	BO_READ_SOURCE_TABLE,
	BO_INSERT_EVENTS,
	BO_LOCK_WAITING,
	BO_READ_TOLD,
	BO_READ_ORDER_LINES,
	BO_TELL_FIRST,
	BO_TELL,
	BO_FORGET_ORDERS,
	BO_READ_SOURCE,
	BO_READ_SOURCE_BY_TABLE,
	BO_ADD_SOURCE,
	BO_CHANGE_SOURCE,
	BO_READ_WATCHED,
	BO_ADD_WATCHED,
	BO_FORGET_WATCHED,
	BO_READ_SOURCES,
	BO_READ_STOCK_SOURCE,
	BO_READ_STOCK_SOURCE_BY_TABLE,
	BO_READ_STOCK_SOURCES,
	BO_WRITE_STOCK_SOURCE,
	BO_DETACH_STOCK_SOURCE,
	BO_READ_COUNTED,
	BO_RELEASE_COUNTED,
	BO_FOLLOW_TABLES,
	BO_PARK,
	BO_UNPARK,
	BO_DETACH_SOURCE,
	BO_MEND,
	BO_READ_STALE_STOCK,
	BO_NEW_MOVEMENTS,
	BO_LINE_INSERTED,
	BO_LINE_UPDATED,
	BO_LINE_DELETED,
	BO_PO_INSERTED,
	BO_PO_UPDATED,
	BO_PO_REVISE_INSERTED,
	BO_PO_REVISE_UPDATED,
	BO_PO_REVISE_DELETED,
	BO_SUPPLIER_REFERENCES,
	BO_ADD_DRAFTS,
	BO_INSERT_PLANNED,
	BO_UPDATE_PLANNED,
	BO_DELETE_PLANNED,
	BO_DELETE_EMPTY_DRAFTS,
	BO_READ_IMPORT,
	BO_LOCK_IMPORT,
	BO_ADD_IMPORT,
	BO_READ_IMPORT_BEGIN,
	BO_STEP_IMPORT,
	BO_FORGET_IMPORT,
	BO_RANK_IMPORTED,
	BO_UNSEE_ORDERS,
	BO_READ_RECORDED_ORDERS,
	BO_READ_PARKED,
	BO_STATEMENTS				/* how many there are */
} BoStatement;

/* Fills a row of a set.  What it points to stays until the next. */
typedef void (*BoMakeRowFunc) (Datum *values, bool *nulls, void *arg);

extern BoRows *bo_rows(BoRowsKind kind);
extern BoRows *bo_rows_late(BoRowsKind kind, BoLate *late);
extern BoLate *bo_late(void);
extern void bo_late_flush(BoLate *late);
extern BoRows *bo_rows_made(BoRowsKind kind, uint64 n, BoMakeRowFunc make, void *arg);
extern uint64 bo_rows_put(BoRows *rows, const Datum *values, const bool *nulls);
extern void bo_rows_drop(BoRows *rows);
extern uint64 bo_exec(BoStatement statement, BoRows *rows, const Datum *args, bool read_only);
extern void bo_write(BoStatement statement, BoRows *rows);
extern Portal bo_open(BoStatement statement, const Datum *args);
extern int64 bo_next_line_id(void);
extern void bo_check_line_id(int64 line_id);
extern int64 bo_next_allocation_id(void);
extern int64 bo_next_event_id(void);
extern int64 bo_generation(void);
extern int64 bo_next_movement_id(void);
extern int32 bo_next_source_id(void);

extern Datum bo_get(int row, int column, bool *isnull);
extern char *bo_get_text(int row, int column);
extern Qty	bo_get_qty(int row, int column);
extern int64 bo_get_int64(int row, int column);
extern int32 bo_get_int32(int row, int column);
extern bool bo_get_bool(int row, int column);

/* A row of a statement that is still running: no other may run, and an error shows its text. */
typedef void (*BoTakeRowFunc) (const Datum *values, const bool *nulls, void *arg);

/* Takes the rows of a statement as they come, in the memory context in which it was made; &dest is for SPI. */
typedef struct BoReceiver
{
	DestReceiver dest;
	BoTakeRowFunc take;
	void	   *arg;
	MemoryContext cx;
} BoReceiver;

extern BoReceiver bo_receiver(BoTakeRowFunc take, void *arg);
static inline Datum
bo_text(const char *s)
{
	return s ? PointerGetDatum(cstring_to_text(s)) : (Datum) 0;
}

/* NULL is the same as NULL. */
static inline bool
bo_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* ---------- lock.c ---------- */

typedef struct StockKey
{
	char	   *tenant;
	char	   *item;
	char	   *location;
} StockKey;

/* The counters of a stock row when it was locked. */
typedef struct StockCounters
{
	ItemPointerData tid;
	Qty			on_hand;
	Qty			unavailable;
	Qty			allocated;
	Qty			backordered;
	Qty			backordered_held;
	Qty			on_order;
	bool		promises_stale;
	int32		counted_by;		/* 0: movements keep on hand */
} StockCounters;

typedef void (*StockLockedFunc) (int i, const StockCounters *counters, void *arg);

/* The key of an order. */
typedef struct OrderKey
{
	const char *tenant;
	int32		source_id;
	const char *order_key;
	bool		born;			/* by this transaction: nobody else sees it */
} OrderKey;

/* What the customer of an order was told, in the row at tid; not called for one that has none. The name is the function's to keep. */
typedef void (*ToldFunc) (int i, ItemPointer tid, Datum told, char *customer, void *arg);

/* The columns of a recorded line, in the order of its table; as far as they are read without knowing the table. */
typedef enum LineColumn
{
	LINE_LINE_ID,
	LINE_QUEUED_AT,
	LINE_SOURCE_ID,
	LINE_PRIORITY,
	LINE_LIVE,
	LINE_DELETED,
	LINE_HELD,
	LINE_TENANT,
	LINE_ORDER_KEY,
	LINE_LINE_KEY,
	LINE_ITEM,
	LINE_LOCATION,
	LINE_ORDERED,
	LINE_CANCELLED,
	LINE_AUTO_CANCELLED,
	LINE_SHIPPED,
	LINE_PICKED,
	LINE_ALLOCATED,
	LINE_FIRST_ALLOCATED,
	LINE_BACKORDERED,
	LINE_FULFILMENT,
	LINE_CUSTOMER,
	LINE_REQUESTED_AT,
	LINE_FIRST_PROMISED_AT,
	LINE_PROMISED_AT
} LineColumn;

#define LINE_COLUMNS_READ (LINE_PROMISED_AT + 1)

/* A recorded line of the ith order; values are by LineColumn, and the caller's only until this returns. */
typedef void (*OrderLineFunc) (int i, const Datum *values, const bool *nulls, void *arg);

extern void bo_lock_order_rows(List *notes, int64 *before);
extern void bo_lock_waiting_orders(const OrderKey *keys, int n, ToldFunc func, void *arg);
extern void bo_read_order_lines(const OrderKey *keys, int n, OrderLineFunc func, void *arg);
extern void bo_lock_stock_rows(const StockKey *const *keys, int n, StockLockedFunc func, void *arg);

/* ---------- event.c ---------- */

/* Events to be written together. */
typedef struct EventSet
{
	BoRows	   *rows;
	int32		source_id;		/* of which the rest is; 0: none yet */
	char	   *source;
	Datum		generation;
} EventSet;

extern void bo_event_put(EventSet *set, const char *tenant, int32 source_id, const char *order_key, const char *type, const char *customer, JsonbParseState **payload);
extern void bo_events_write(EventSet *set);

/* ---------- mapped_table.c, key.c, mapping.c, mapping_read.c ---------- */

/* One side of an attached table: the columns by number, under the names that the mapping uses. */
typedef struct MappedTable
{
	Oid			relid;
	char	   *name;			/* qualified and quoted */
	int			natts;
	char	  **alias;			/* by attnum - 1; NULL: dropped */
	Bitmapset  *used;			/* attnums that the mapping reads; 0: the whole row */
	int			nkeys;
	AttrNumber	key[BO_MAX_KEYS];	/* order key (line table) or what it refers to (header) */
	Oid			key_type[BO_MAX_KEYS];	/* domains: the base type */
} MappedTable;

/* A table that a query reads. */
typedef struct TableRead
{
	Oid			relid;
	Bitmapset  *used;			/* attnums; 0: the whole row */
} TableRead;

/* What a mapping says of a line, in the order in which a source is read. */
typedef enum MappedColumn
{
	MAPPED_ITEM,
	MAPPED_QUANTITY,
	MAPPED_LIVE,
	MAPPED_SHIPPED,
	MAPPED_PICKED,
	MAPPED_CANCELLED,
	MAPPED_LOCATION,
	MAPPED_CUSTOMER,
	MAPPED_PRIORITY,
	MAPPED_QUEUED_AT,
	MAPPED_REQUESTED_AT,
	MAPPED_HELD
} MappedColumn;

#define MAPPED_COLUMNS (MAPPED_HELD + 1)

/* An attached table: its mapping as SQL text and plans. */
typedef struct Mapping
{
	int32		source_id;		/* hash key */
	bool		valid;
	MemoryContext cx;
	char	   *tenant;
	Oid			owner;			/* of the tables: what the mapping names is parsed and evaluated as this role */
	bool		immediate;
	bool		refuse_overship;
	bool		park;			/* an order that cannot be read is parked */
	bool		queued_mapped;
	bool		picks;			/* picked is mapped */
	bool		ranked;			/* priority or queued_at is mapped: rank is not the order of recording */
	bool		pin_keys;		/* the text of a key depends on settings */
	bool		spellings;		/* keys that "=" takes for equal may differ as text */
	bool		detached;
	bool		importing;		/* orders may not be recorded that were there when it was attached */
	bool		unreadable;		/* a stub of a parked source */
	bool		of_stock;		/* of a table of stock (stock_source.c): errors name items */
	MappedTable line;
	MappedTable header;			/* relid InvalidOid: no header table */
	List	   *watched;		/* of Watched */
	List	   *reads;			/* of TableRead, the attached tables included */
	int			nline_keys;
	int			nline_columns;	/* of these, the first are columns of the line table, the rest expressions */
	AttrNumber	line_key[BO_MAX_KEYS];
	Oid			line_key_type[BO_MAX_KEYS];
	char	   *queries[5];		/* by MappingScope */
	int16		at[MAPPED_COLUMNS];	/* by MappedColumn: which column of these queries it is; -1: not mapped */
	int16		header_key_at;	/* the first column of the header's spelling of the key; -1: there is none */
	char	   *where_keys;		/* by arrays of order keys, $1 ... */
	char	   *places_query;	/* items and locations of several orders */
	char	   *keys_query;		/* all order keys */
	char	   *keyless_query;	/* how many rows have none */
	Oid			array_type[BO_MAX_KEYS];	/* of text where key_as_text */
	bool		key_as_text[BO_MAX_KEYS];
	bool		by_line;		/* a line's values depend on its row and header only */
	uint32		load;			/* which loading of a mapping this is: no two have the same */
	bool		by_rows;		/* what an order says that was written whole can be read from its rows; see written.c */
	struct WrittenRead *written;	/* how; NULL: not made, or in use */
	SPIPlanPtr	plans[5];		/* by MappingScope */
	SPIPlanPtr	places_plan;
} Mapping;

/* A line as the mapping reads it now. */
typedef struct MappedLine
{
	char	   *order_key;
	char	   *header_key;		/* the header's spelling of it, where spellings differ and there is a header */
	char	   *line_key;
	char	   *item;			/* NULL: not stocked */
	char	   *location;
	char	   *customer;
	Qty			quantity;		/* NULL where the application has none */
	Qty			cancelled;
	Qty			shipped;
	Qty			picked;
	bool		live;
	bool		held;
	int32		priority;
	bool		has_queued_at;
	bool		has_requested_at;
	TimestampTz queued_at;
	DateADT		requested_at;
	bool		demand;			/* live, stocked, positive quantity */
} MappedLine;

typedef enum MappingScope
{
	MAPPING_ONE,				/* one order */
	MAPPING_FEW,
	MAPPING_MANY,
	MAPPING_ALL,
	MAPPING_LINE				/* one line of one order */
} MappingScope;

typedef void (*MappedLineFunc) (Mapping *mapping, MappedLine *line, void *arg);

extern Mapping *bo_mapping(int32 source_id);
extern Mapping *bo_mapping_if_exists(int32 source_id);
extern Mapping *bo_mapping_stub(int32 source_id);
extern bool bo_mapping_is_loaded(int32 source_id);
extern int32 bo_source_of_table(Oid relid, char **tenant, bool *detached);
extern void bo_mapping_init(void);
extern void bo_free_plan(SPIPlanPtr *plan);
extern bool bo_load_source(int32 source_id, bool *valid, bool (*load) (void *entry, int32 source_id), void *entry);
extern void bo_mapping_forget(int32 source_id);
extern void bo_mapping_read(Mapping *mapping, MappingScope scope, List *notes,
							MappedLineFunc func, void *arg);
extern List *bo_mapping_places(Mapping *mapping, List *notes);
extern void bo_mapping_note_all(Mapping *mapping);
extern char *bo_key_text(const Datum *values, const Oid *types, int n);
extern char *bo_key_parts_text(const Datum *values, const bool *nulls, const Oid *types, int n);
extern char *bo_value_text(Datum value, Oid type);
extern bool bo_key_depends_on_settings(Oid type);
extern bool bo_has_spellings(const MappedTable *table, AttrNumber attnum, int32 *scale);
extern char *bo_key_prefix(const char *key, int n);
extern bool bo_key_native(Mapping *mapping, const char *order_key, Datum *native);
extern bool bo_header_key(Mapping *mapping, Datum *values);
extern void bo_mapped_table(MappedTable *table, Oid relid, ArrayType *columns, ArrayType *names);
extern AttrNumber bo_mapped_column(const MappedTable *table, const char *name);
extern char *bo_column_ref(const char *side, const MappedTable *table, AttrNumber attnum);
extern char *bo_equals(Oid left, Oid right);
extern char *bo_alias(const char *side, const MappedTable *table);
extern char *bo_aliased(const char *side, const MappedTable *table);
extern char *bo_from_clause(const MappedTable *line, const MappedTable *header, const char *joins);
extern Oid	bo_resolve_table(Oid cached, char *schema, char *name, int32 source_id);
extern Bitmapset *bo_mapping_columns_read(Mapping *mapping, Oid relid);
extern void bo_mapping_lock(Mapping *mapping);	/* rewritten.c */
extern void bo_mapping_check_rewritten(Mapping *mapping);	/* rewritten.c */
extern void bo_mapping_evaluate(Mapping *mapping, const char *what, void (*func) (void *arg), void *arg);
extern MappedLine *bo_mapped_line(Mapping *mapping, const Datum *values, const bool *nulls, char *order_key);
extern void bo_check_mapped_line(Mapping *mapping, MappedLine *line);
extern void bo_mapping_run(Mapping *mapping, SPIPlanPtr *plan, const char *query, int nargs, Oid *types, Datum *values, bool custom, const char *what);
extern Query *bo_mapping_analyze(Mapping *mapping, const char *text);
extern int	bo_allow_all_plans(void);

/* ---------- expression.c: what attach() is given as SQL ---------- */

pg_noreturn extern void bo_refuse(const char *message, const char *hint);
extern char *bo_prepare_expression(const char *name, Oid type, char *text, const MappedTable *line, const MappedTable *header, const char *joins);
extern char *bo_prepare_row_expression(const char *name, Oid type, char *text, const char *side, const MappedTable *table);
extern void bo_check_header(const MappedTable *line, const MappedTable *header);
extern char *bo_prepare_joins(char *text, const MappedTable *line, const MappedTable *header);
extern char *bo_prepare_watch(char *text, const MappedTable *watched, const MappedTable *line);
extern List *bo_tables_read(Query *query);
extern bool bo_calls_functions(Query *query);
extern bool bo_depends_on_settings(Node *expressions);
extern bool bo_runs_code(Node *expressions);

/* ---------- watch.c: further tables whose changes concern an order ---------- */

extern void bo_watch_load(Mapping *mapping);
extern void bo_watch_free(Mapping *mapping);
extern bool bo_watches(Mapping *mapping, Oid relid);
extern MappedTable *bo_watched_table(Mapping *mapping, Oid relid);
extern void bo_watch_note(Mapping *mapping, Oid relid, TupleTableSlot *slot, Relation rel);

/* ---------- park.c: orders that cannot be read ---------- */

extern void bo_park(const char *tenant, int32 source_id, const char *order_key, ErrorData *error);
extern Mapping *bo_mapping_or_park(int32 source_id);
extern void bo_unpark(List *notes);
extern void bo_unpark_source(Mapping *mapping);

/* ---------- stock_source.c: tables in which the application keeps on hand ---------- */

typedef struct CountKey
{
	int32		source_id;
	const char *item;
	const char *location;
} CountKey;

/* Stock of which the application's figure may have changed in this transaction. */
typedef struct CountNote
{
	CountKey	key;			/* hash key */
	char	   *tenant;
	struct
	{
		bool		dirty;		/* to be looked at */
	}			state;			/* follows savepoints */
} CountNote;

/* What the application says; unavailable is NULL where that is not mapped. */
typedef void (*FigureFunc) (char *item, char *location, Qty on_hand, Qty unavailable, void *arg);

/* An item at a location. */
typedef void (*PlaceFunc) (Mapping *mapping, const char *item, const char *location);

extern void bo_stock_source_init(void);
extern Mapping *bo_stock_mapping(int32 source_id);
extern void bo_stock_forget(int32 source_id);
extern int32 bo_stock_source_of_table(Oid relid, char **tenant, bool *detached);
extern bool bo_stock_attached(int32 source_id, Oid *relid);
extern char *bo_stock_table_name(int32 source_id);
extern bool bo_stock_holds(int32 source_id);
extern AttrNumber bo_stock_item_column(int32 source_id, AttrNumber *location);
extern void bo_stock_of_row(int32 source_id, TupleTableSlot *slot, Relation rel, PlaceFunc func);
extern void bo_stock_of_source(int32 source_id, PlaceFunc func);
extern void bo_stock_figures(int32 source_id, List *notes, bool all, FigureFunc func, void *arg);

/* ---------- stock_notes.c ---------- */

extern void bo_stock_note_row(int32 source_id, TupleTableSlot *slot, Relation rel);
extern void bo_stock_note_all(int32 source_id);
extern bool bo_counts_pending(void);
extern List *bo_take_counts(void);
extern void bo_counts_reset(void);

/* ---------- notes.c, commit_work.c, capture.c: the transaction's notes ---------- */

typedef struct NoteKey
{
	int32		source_id;
	const char *order_key;
} NoteKey;

typedef struct OrderNote
{
	NoteKey		key;			/* hash key */
	char	   *tenant;
	int64		seq;			/* orders as first noted */
	Datum		native[BO_MAX_KEYS];
	struct
	{
		uint32		load;		/* of the mapping, when its rows were noted */
		uint32		era;		/* of the notes; 0: no row was */
		int32		first;		/* of its lines among the written rows; -1: none */
		int32		last;
		ItemPointerData header;
		bool		spoilt;		/* there may be more of it than these rows */
	}			written;		/* written.c */
	struct
	{
		bool		locked;		/* its sales_order row is */
		bool		born;		/* this transaction inserted that row: nobody else sees anything of the order */
		bool		fresh;		/* the order was new when it was locked: nothing is recorded of it */
		bool		unseen;		/* it was, or was not looked at since its table was attached */
		bool		dirty;		/* to be reconciled */
		bool		spellings;	/* lines may write the key in other ways: they are looked for */
		bool		whole;		/* more may have changed than the one line that is noted: */
		bool		one_line;
		bool		unreadable; /* recorded under a text that is no key of the table (any more): nothing is read */
		Datum		line[BO_MAX_KEYS];	/* native values of its key */
	}			state;			/* follows savepoints */
} OrderNote;

/* ---------- written.c: orders that this transaction wrote whole ---------- */

extern bool bo_mapping_by_rows(const Mapping *mapping, Query *query);
extern void bo_note_header_written(OrderNote *note, const Mapping *mapping, Oid relid, ItemPointer tid);
extern void bo_note_line_written(OrderNote *note, const Mapping *mapping, Oid relid, ItemPointer tid);
extern void bo_spoil_written(OrderNote *note);
extern void bo_forget_written(void);
extern bool bo_rows_are_known(const OrderNote *note);
extern bool bo_is_written(const OrderNote *note, const Mapping *mapping);
extern List *bo_read_written(Mapping *mapping, List *notes, MappedLineFunc func, void *arg);
extern bool bo_written_places(Mapping *mapping, List *notes, List **places);

/* A line whose key was updated. */
typedef struct LineMove
{
	int32		source_id;
	char	   *old_order;
	char	   *old_line;
	char	   *new_order;
	char	   *new_line;
	CommandId	cid;
	bool		done;			/* reconciled; follows savepoints */
} LineMove;

extern OrderNote *bo_note_order(Mapping *mapping, const Datum *native);
extern void bo_note_whole(OrderNote *note);
extern int	bo_compare_notes(const ListCell *a, const ListCell *b);
extern void bo_check_noted_types(Mapping *mapping);
extern void bo_note_spellings(Mapping *mapping, OrderNote *note);
extern bool bo_order_is_locked(int32 source_id, const char *order_key);
extern bool bo_order_is_born(int32 source_id, const char *order_key);
extern bool bo_note_order_text(Mapping *mapping, const char *order_key, bool spellings);
extern List *bo_pending_orders(void);
extern List *bo_pending_moves(void);
extern void bo_pending_done(List *notes);
extern void bo_queue_commit_work(void);
extern void bo_run_commit_work(void);
extern bool bo_pause_commit_work(bool pause);
extern void bo_unpause_commit_work(bool before);
extern uint32 bo_note_key_hash(const void *key, Size size);
extern int	bo_note_key_match(const void *a, const void *b, Size size);
extern void bo_unlock_notes(int32 source_id);
extern void bo_note_recorded(Mapping *mapping);
extern void bo_note_rows(Mapping *mapping, Oid attached, Oid partition);
extern void bo_notes_init(void);
extern void bo_capture_init(void);

/* ---------- import.c: orders recorded in batches ---------- */

extern void bo_import_later(int32 source_id, bool again);
extern void bo_import_lock(int32 source_id);
extern void bo_import_forget(int32 source_id);
extern void bo_import_resynced(int32 source_id);
extern CommandId bo_import_begin(int32 source_id);
extern void bo_import_seen(int32 source_id);
extern int32 bo_attached_argument(FunctionCallInfo fcinfo);	/* attach.c */

/* ---------- ddl.c ---------- */

extern void bo_follow_tables(void);

/* ---------- savepoint.c ---------- */

extern void bo_save(void *where, Size size);
extern void bo_restore(SubTransactionId mine);
extern void bo_forget_saved(void);

/* ---------- settle.c ---------- */

typedef struct Stock Stock;

/* A recorded line, in memory while it is settled. */
typedef struct Line
{
	ItemPointerData tid;
	bool		exists;			/* there is a row */
	bool		dirty;			/* the row is to be written */
	bool		remove;			/* the row is to be deleted */
	bool		rekeyed;		/* the key changes: delete and insert */
	bool		incarnated;		/* a new line_id in this settling */
	bool		touched;		/* is in its stock's list */
	bool		requeued;		/* rank or want changed by something else than dealing */
	Stock	   *stock;
	int64		line_id;
	int32		source_id;
	bool		quiet;
	char	   *tenant;
	char	   *order_key;
	char	   *line_key;
	char	   *customer;
	Qty			ordered;
	Qty			cancelled;
	Qty			auto_cancelled;
	Qty			shipped;
	Qty			picked;
	Qty			allocated;
	Qty			first_allocated;
	Qty			first_shipped;	/* NULL: nothing */
	Qty			folded;			/* NULL: nothing */
	int32		priority;
	bool		held;
	bool		live;
	bool		deleted;
	TimestampTz queued_at;
	bool		has_requested_at;
	bool		has_first_promised_at;
	bool		has_promised_at;
	DateADT		requested_at;
	DateADT		first_promised_at;
	DateADT		promised_at;

	/* while settling */
	Qty			open;			/* ordered - cancelled - auto_cancelled - shipped, not below 0 */
	Qty			old_backordered;	/* at load; 0 for a line without a row */
	Qty			old_covered;	/* allocated + shipped at load */
	Qty			old_allocated;
	bool		old_held;
	Qty			dealt;
	Qty			returned;		/* shipped goods that came back and are the line's first */
	Qty			overshipped;	/* shipped beyond its allocation */
	bool		refuse_overship;
} Line;

/* What reconcile found for one line. */
typedef enum LineAction
{
	LINE_INSERT,				/* not recorded yet */
	LINE_UPDATE,				/* recorded, the same incarnation */
	LINE_RENEW,					/* recorded, a new place in the queue */
	LINE_END,					/* left the application or is not live any more */
	LINE_BASELINE				/* record what was shipped, nothing else */
} LineAction;

typedef struct LineChange
{
	LineAction	action;
	Mapping    *mapping;
	bool		baseline;		/* shipped is taken as it is, without a movement */
	Qty			known_shipped;	/* shipped before, where that is not what is recorded; or NULL */
	bool		quiet;			/* no event */
	bool		displaced;		/* another line has its key: its row goes */
	bool		first;			/* nothing was recorded of its order before: with it come all its lines */
	char	   *order_key;
	char	   *old_order_key;	/* where the recorded row is */
	char	   *old_line_key;
	char	   *old_item;
	char	   *old_location;
	MappedLine *now;			/* NULL: the line is gone */
	Stock	   *stock;			/* where the line is now; filled by settle, as is what follows */
	Stock	   *old_stock;
	Line	   *line;
	int			n;
} LineChange;

typedef struct Movement
{
	int64		movement_id;
	char	   *tenant;
	char	   *item;
	char	   *location;
	char	   *kind;
	Qty			quantity;
	Qty			unavailable;
	bool		has_po;
	bool		half_po;		/* po_id or po_line_no alone */
	int64		po_id;
	int32		po_line_no;
} Movement;

typedef struct SupplyChange
{
	char	   *tenant;
	int64		po_id;
	int32		line_no;
	bool		wanted;			/* false: the purchase order line is no supply */
	char	   *status;
	char	   *item;
	char	   *location;
	Qty			quantity;
	bool		has_expected_at;
	DateADT		expected_at;
	bool		closed;
	char	   *old_item;		/* where the recorded supply is, or NULL */
	char	   *old_location;
} SupplyChange;

/* One settling. */
typedef struct Settlement Settlement;

struct Settlement
{
	List	   *changes;		/* of LineChange */
	List	   *movements;		/* of Movement */
	List	   *supplies;		/* of SupplyChange */
	List	   *places;			/* of StockKey, further stock to settle */
	List	   *spellings;		/* other spellings of keys, to be looked at next: pieces.c */
	bool		repromise;		/* make the promises of these places again, all of them */
	bool		(*next) (Settlement *settlement);	/* the next piece of changes, which are all there is then; NULL: no more */
	bool		small_pieces;	/* they may be */
	void	   *next_arg;
	bool		leave_promises;	/* of lines that do not join at the end: mark the stock row */
	List	   *counts;			/* of CountNote: stock whose figure is to be looked at */
	bool		counts_whole;	/* all of a table, rows too that an older snapshot does not see */
	bool		counts_anew;	/* with another mapping: what it does not name any more is not the application's */
	int64		lines_changed;
	int64		counted;		/* counts written */
};

extern void bo_settle(Settlement *settlement);
extern void bo_lock_places(List *places);

/* ---------- deal.c ---------- */

typedef enum Fulfilment
{
	FULFILMENT_PARTIAL
} Fulfilment;

extern Qty	bo_deal(Fulfilment fulfilment, Qty want, Qty free);
extern Qty	bo_take_back(Qty need, Qty allocated, Qty picked);

/* ---------- promise.c ---------- */

typedef struct DatedSupply
{
	Qty			open;
	bool		has_date;
	DateADT		date;
	int64		po_id;
	int32		line_no;
	Qty			upto;			/* cumulative, set by bo_supply_profile */
} DatedSupply;

typedef struct SupplyProfile
{
	DatedSupply *entries;
	int			n;
	Qty			total;
} SupplyProfile;

typedef enum PromiseKind
{
	PROMISE_NONE,				/* supply does not reach, or has no date */
	PROMISE_DATE,
	PROMISE_KEEP				/* the day has passed: no new promise */
} PromiseKind;

extern void bo_supply_profile(SupplyProfile *profile, DatedSupply *entries, int n);
extern PromiseKind bo_promise(const SupplyProfile *profile, Qty upto, DateADT today, DateADT *date);
extern bool bo_profile_shifted(const SupplyProfile *before, const SupplyProfile *after, Qty dealt);
extern DateADT bo_current_day(void);

/* ---------- reconcile.c, pieces.c ---------- */

typedef struct ReconcileMode
{
	bool		whole;			/* all orders of a source, those too that an older snapshot does not see */
	bool		baseline;		/* attach: take shipped as it is, no events */
	bool		mend;			/* resync: our own rows may have been changed by somebody */
	bool		import;			/* the same for orders not recorded yet */
	Mapping    *detach;			/* all lines of this source leave, without events */
} ReconcileMode;

extern void bo_lock_orders(List *notes);
extern void bo_reconcile(Settlement *settlement, ReconcileMode mode);
extern int64 bo_settle_pending(void);
extern int64 bo_reconcile_and_settle(Settlement *settlement, ReconcileMode mode);

/* ---------- announce.c ---------- */

extern void bo_touch_order(const char *tenant, int32 source_id, const char *order_key, bool quiet);
extern void bo_line_before(int64 line_id, Qty allocated, Qty covered);
extern void bo_forget_source(const char *tenant, int32 source_id);
extern bool bo_announce_pending(void);
extern void bo_announce_keep(bool keep);
extern void bo_announce_settled(List *changes);
extern void bo_announce(void);
extern void bo_announce_reset(void);

/* dealt rows for the stock functions (settle.c) */
extern void bo_dealt_reset(void);

#endif							/* BACKORDER_H */
