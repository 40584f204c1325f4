/*
 * mapping.h
 *		The application's tables, as their mapping reads them.
 */
#ifndef BO_MAPPING_H
#define BO_MAPPING_H

#include "access/attnum.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "store/store.h"

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

/* The mapped columns of a line, in the order in which a source is read. */
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

/* What the rows of an attached table are. */
typedef enum SourceKind
{
	SOURCE_OF_ORDERS,			/* order lines: a row of backorder.source */
	SOURCE_OF_STOCK				/* on hand: a row of backorder.stock_source */
} SourceKind;

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
	bool		picks;			/* picked is mapped */
	bool		ranked;			/* priority or queued_at is mapped: rank is not the order of recording */
	bool		pin_keys;		/* the text of a key depends on settings */
	bool		key_variants;		/* keys that "=" takes for equal may differ as text */
	bool		detached;
	bool		importing;		/* orders may not be recorded that were there when it was attached */
	bool		seen_all;		/* every order of the table has its row of sales_order (pending/inserted_rows.c) */
	bool		unreadable;		/* a stub of a parked source */
	SourceKind	kind;			/* of a table of stock: errors name items */
	struct StockMapping *stock; /* what else is known of a table of stock; stays where it is when that is loaded again */
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
	char	   *stock_keys_query; /* items and locations of several orders */
	char	   *keys_query;		/* all order keys */
	char	   *keyless_query;	/* how many rows have none */
	Oid			array_type[BO_MAX_KEYS];	/* of text where key_as_text */
	bool		key_as_text[BO_MAX_KEYS];
	bool		lines_independent; /* a line's values depend on its row and header only */
	uint32		version;		/* which loading of a mapping this is: no two have the same */
	bool		readable_from_tuples; /* an order can be read from its rows; see read_tuples.c */
	Oid			header_index;	/* then: the unique one of the header's key */
	List	   *columns;		/* then: those of the queries, analyzed, of TargetEntry */
	struct TupleRead *tuple_read; /* how; NULL: not made, or in use */
	SPIPlanPtr	plans[5];		/* by MappingScope */
	SPIPlanPtr	stock_keys_plan;
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

/* The native values of a key: of an order as the line table has them, and of one of its lines. */
typedef struct KeyValues
{
	Datum		order[BO_MAX_KEYS];
	Datum		line[BO_MAX_KEYS];
	bool		unreadable;		/* the text of the key is none of the table (any more): nothing is read */
} KeyValues;

typedef enum MappingScope
{
	MAPPING_ONE,				/* one order */
	MAPPING_FEW,
	MAPPING_MANY,
	MAPPING_ALL,
	MAPPING_LINE				/* one line of one order */
} MappingScope;

/* Takes the key of an order, by native values, which are valid until this returns. */
typedef void (*OrderKeyFunc) (Mapping *mapping, const Datum *keys, void *arg);

typedef void (*MappedLineFunc) (Mapping *mapping, MappedLine *line, void *arg);

typedef struct SourceStockKey
{
	int32		source_id;
	const char *item;
	const char *location;
} SourceStockKey;

/* Takes what the application says of stock; unavailable is NULL where that is not mapped. */
typedef void (*AppStockFunc) (char *item, char *location, Qty on_hand, Qty unavailable, void *arg);

/* Takes an item at a location. */
typedef void (*StockKeyFunc) (Mapping *mapping, const char *item, const char *location);

/* mapping.c */
extern Mapping *bo_mapping(int32 source_id);
extern Mapping *bo_mapping_if_exists(int32 source_id);
extern Mapping *bo_source_identity(int32 source_id);
extern bool bo_mapping_is_loaded(int32 source_id);
extern Mapping *bo_stock_mapping(int32 source_id);
extern int32 bo_source_of_table(Oid relid, SourceKind kind, char **tenant, bool *detached);
extern void bo_mapping_init(void);
extern void bo_mapping_forget(int32 source_id);

/* load.c */
extern Oid	bo_resolve_table(Oid cached, char *schema, char *name, int32 source_id);

/* read.c */
extern void bo_mapping_read(Mapping *mapping, MappingScope scope, List *keys,
							MappedLineFunc func, void *arg);
extern Datum bo_order_key_array(Mapping *mapping, List *keys, int k);
extern List *bo_mapping_stock_keys(Mapping *mapping, List *keys);
extern void bo_mapping_evaluate(Mapping *mapping, const char *what, void (*func) (void *arg), void *arg);
extern MappedLine *bo_mapped_line(Mapping *mapping, const Datum *values, const bool *nulls, char *order_key);
extern void bo_check_mapped_line(Mapping *mapping, MappedLine *line);
extern void bo_mapping_run(Mapping *mapping, SPIPlanPtr *plan, const char *query, int nargs, Oid *types, Datum *values, bool custom, const char *what);
extern int	bo_allow_all_plans(void);

/* key.c */
extern char *bo_key_text(const Datum *values, const Oid *types, int n);
extern char *bo_key_prefix(const char *key, int n);
extern bool bo_key_native(Mapping *mapping, const char *order_key, Datum *native);
extern bool bo_header_key(Mapping *mapping, Datum *values);

/* mapped_table.c */
extern void bo_mapped_table(MappedTable *table, Oid relid, ArrayType *columns, ArrayType *names);
extern AttrNumber bo_mapped_column(const MappedTable *table, const char *name);
extern char *bo_operator_name(Oid opr);
extern char *bo_equals(Oid left, Oid right);
extern AttrNumber bo_partition_column(Oid relid, const MappedTable *table, AttrNumber attnum);
extern char *bo_aliased(const char *side, const MappedTable *table);

/* table_rewrite.c */
extern void bo_mapping_lock(Mapping *mapping);
extern void bo_mapping_check_rewritten(Mapping *mapping);

/* expression.c */
extern char *bo_prepare_expression(const char *name, Oid type, char *text, const MappedTable *line, const MappedTable *header, const char *joins);
extern char *bo_prepare_row_expression(const char *name, Oid type, char *text, const char *side, const MappedTable *table);
extern void bo_check_header(const MappedTable *line, const MappedTable *header);
extern char *bo_prepare_joins(char *text, const MappedTable *line, const MappedTable *header);
extern char *bo_prepare_watch(char *text, const MappedTable *watched, const MappedTable *line);

/* query_tree.c */
extern bool bo_depends_on_settings(Node *expressions);

/* watch.c */
extern bool bo_watches(Mapping *mapping, Oid relid);
extern MappedTable *bo_watched_table(Mapping *mapping, Oid relid);
extern void bo_watch_keys(Mapping *mapping, Oid relid, TupleTableSlot *slot, Relation rel, OrderKeyFunc func, void *arg);

/* stock_mapping.c */
extern bool bo_stock_attached(int32 source_id, Oid *relid);
extern char *bo_stock_table_name(int32 source_id);
extern bool bo_stock_holds(int32 source_id);
extern AttrNumber bo_stock_item_column(int32 source_id, AttrNumber *location);
extern void bo_stock_of_row(int32 source_id, TupleTableSlot *slot, Relation rel, StockKeyFunc func);
extern void bo_stock_of_source(int32 source_id, StockKeyFunc func);
extern void bo_read_app_stock(int32 source_id, List *keys, bool all, AppStockFunc func, void *arg);

#endif							/* BO_MAPPING_H */
