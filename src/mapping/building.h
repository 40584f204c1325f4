/*
 * building.h
 *		What the files share that build a mapping from its row.
 */
#ifndef BO_BUILDING_H
#define BO_BUILDING_H

#include "mapping/mapping.h"

/* The columns of backorder.source, as bo_find_source() reads them. */
typedef enum SourceColumn
{
	SOURCE_TENANT = 1,
	SOURCE_ID,
	SOURCE_LINE_SCHEMA,
	SOURCE_LINE_TABLE,
	SOURCE_LINE_RELID,
	SOURCE_HEADER_SCHEMA,
	SOURCE_HEADER_TABLE,
	SOURCE_HEADER_RELID,
	SOURCE_ORDER_KEY,
	SOURCE_LINE_KEY,
	SOURCE_HEADER_KEY,
	SOURCE_EXPRESSIONS,			/* the first, by MappedColumn */
	SOURCE_LINE_COLUMNS = SOURCE_EXPRESSIONS + MAPPED_COLUMNS,
	SOURCE_HEADER_COLUMNS,
	SOURCE_TIMING,
	SOURCE_OVERSHIP,
	SOURCE_DETACHED_AT,
	SOURCE_JOINS,
	SOURCE_LINE_KEY_EXPRESSIONS,
	SOURCE_ON_ERROR,
	SOURCE_LINE_NAMES,
	SOURCE_HEADER_NAMES
} SourceColumn;

/* The columns of backorder.stock_source, as bo_find_source() reads them. */
typedef enum StockSourceColumn
{
	STOCK_SOURCE_TENANT = 1,
	STOCK_SOURCE_SCHEMA,
	STOCK_SOURCE_TABLE,
	STOCK_SOURCE_RELID,
	STOCK_SOURCE_COLUMNS,
	STOCK_SOURCE_NAMES,
	STOCK_SOURCE_ITEM,
	STOCK_SOURCE_ON_HAND,
	STOCK_SOURCE_LOCATION,
	STOCK_SOURCE_UNAVAILABLE,
	STOCK_SOURCE_LIVE,
	STOCK_SOURCE_TIMING,
	STOCK_SOURCE_DETACHED_AT
} StockSourceColumn;

/* How the stock in a table is looked up. */
typedef enum AppStockScope
{
	BY_ITEM,
	BY_ITEM_MANY,
	BY_PLACE,					/* item and location, both columns */
	BY_PLACE_MANY,
	ALL_STOCK,
	APP_STOCK_SCOPES			/* how many there are */
} AppStockScope;

/* What the mapping of a table of stock has besides table, tenant, owner and timing. */
typedef struct StockMapping
{
	bool		holds;			/* unavailable is mapped */
	AttrNumber	item;			/* column; 0: an expression */
	AttrNumber	location;		/* column; 0: an expression, or not mapped */
	bool		has_location;
	Oid			item_type;		/* as keys are looked up: the column's, or text */
	Oid			location_type;
	char	   *keys_query;		/* item and location of all rows */
	char	   *row_query;		/* of one row, $1 */
	Oid			row_type;
	char	   *queries[APP_STOCK_SCOPES];
	SPIPlanPtr	plans[APP_STOCK_SCOPES];
	SPIPlanPtr	keys_plan;
	SPIPlanPtr	row_plan;
} StockMapping;

/* load.c */
extern void bo_loading_changed(void);
extern SPITupleTable *bo_find_source(int32 source_id, SourceKind kind);
extern SPITupleTable *bo_read_source(int32 source_id, SourceKind kind);
extern bool bo_source_is_detached(SPITupleTable *row, int detached_at);
pg_noreturn extern void bo_no_source(int32 source_id);
extern void bo_free_plan(SPIPlanPtr *plan);
extern bool bo_load_source(Mapping *mapping, bool (*build) (Mapping *mapping));
extern Bitmapset *bo_mapping_columns_read(Mapping *mapping, Oid relid);

/* read.c */
extern Query *bo_mapping_analyze(Mapping *mapping, const char *text);

/* key.c */
extern char *bo_key_parts_text(const Datum *values, const bool *nulls, const Oid *types, int n);
extern char *bo_value_text(Datum value, Oid type);
extern Datum bo_native_array(Datum *values, int n, Oid type);
extern bool bo_key_depends_on_settings(Oid type);
extern bool bo_has_key_variants(const MappedTable *table, AttrNumber attnum, int32 *scale);

/* mapped_table.c */
extern char *bo_column_ref(const char *side, const MappedTable *table, AttrNumber attnum);
extern AttrNumber bo_plain_column(const char *side, const MappedTable *table, const char *expression);
extern Datum bo_row_of_table(TupleTableSlot *slot, Relation rel, Oid relid);
extern char *bo_alias(const char *side, const MappedTable *table);
extern char *bo_from_clause(const MappedTable *line, const MappedTable *header, const char *joins);

/* query_tree.c */
extern List *bo_tables_read(Query *query);
extern bool bo_calls_functions(Query *query);

/* watch.c */
extern void bo_watch_load(Mapping *mapping);
extern void bo_watch_free(Mapping *mapping);

/* reads_tuples.c */
extern bool bo_mapping_reads_tuples(Mapping *mapping, Query *query);

/* build.c */
extern bool bo_mapping_build(Mapping *mapping);

/* stock_build.c */
extern bool bo_stock_mapping_build(Mapping *mapping);
extern void bo_stock_mapping_free(Mapping *mapping);

#endif							/* BO_BUILDING_H */
