/*
 * building.h
 *		What the files share that build a mapping from its row.
 */
#ifndef BO_BUILDING_H
#define BO_BUILDING_H

#include "mapping/mapping.h"

/* The columns of BO_READ_SOURCE. */
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
	SOURCE_DETACHED,
	SOURCE_JOINS,
	SOURCE_LINE_KEY_EXPRESSIONS,
	SOURCE_ON_ERROR,
	SOURCE_LINE_NAMES,
	SOURCE_HEADER_NAMES,
	SOURCE_IMPORTING
} SourceColumn;

/* load.c */
extern void bo_loading_changed(void);
extern void bo_read_source(int32 source_id);
extern void bo_free_plan(SPIPlanPtr *plan);
extern bool bo_load_source(int32 source_id, bool *valid, bool (*load) (void *entry, int32 source_id), void *entry);
extern Bitmapset *bo_mapping_columns_read(Mapping *mapping, Oid relid);

/* key.c */
extern char *bo_key_parts_text(const Datum *values, const bool *nulls, const Oid *types, int n);
extern char *bo_value_text(Datum value, Oid type);
extern bool bo_key_depends_on_settings(Oid type);
extern bool bo_has_key_variants(const MappedTable *table, AttrNumber attnum, int32 *scale);

/* mapped_table.c */
extern char *bo_column_ref(const char *side, const MappedTable *table, AttrNumber attnum);
extern char *bo_equals(Oid left, Oid right);
extern char *bo_alias(const char *side, const MappedTable *table);
extern char *bo_from_clause(const MappedTable *line, const MappedTable *header, const char *joins);

/* query_tree.c */
extern List *bo_tables_read(Query *query);
extern bool bo_calls_functions(Query *query);

/* watch.c */
extern void bo_watch_load(Mapping *mapping);
extern void bo_watch_free(Mapping *mapping);

/* reads_tuples.c */
extern bool bo_mapping_reads_tuples(const Mapping *mapping, Query *query);

/* build.c */
extern bool bo_mapping_build(void *entry, int32 source_id);

#endif							/* BO_BUILDING_H */
