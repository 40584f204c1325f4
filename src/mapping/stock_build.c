/*
 * stock_build.c
 *		Builds the mapping of a table in which the application keeps on hand
 *		itself.
 *
 * Expressions are over the row, called "stock", and run as the owner of the
 * table.
 */
#include "postgres.h"

#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"
#include "store/store.h"

/*
 * The column that an expression is, where its text is what a cast to text
 * would give, whatever the settings, and can be read back; else 0.  *type gets
 * the type by which the expression's values are looked up.
 */
static AttrNumber
key_column(const MappedTable *table, const char *expression, Oid *type)
{
	AttrNumber	attnum = expression != NULL ? bo_plain_column("stock", table, expression) : InvalidAttrNumber;
	Oid			base = attnum != InvalidAttrNumber ? getBaseType(get_atttype(table->relid, attnum)) : InvalidOid;

	*type = TEXTOID;
	switch (base)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case UUIDOID:
			*type = base;
			return attnum;
		default:
			return 0;
	}
}

/* One mapped expression, marked so that an error in it can be named with the item, where it can be. */
static char *
marked(const char *column, const char *expression, const char *type, const char *item)
{
	return psprintf("CASE WHEN backorder_internal.evaluating('%s', %s) THEN (%s)::%s END", column, item, expression, type);
}

/* The mapped expressions of a table of stock, NULL where they are not mapped. */
typedef struct StockExpressions
{
	char	   *item;
	char	   *on_hand;
	char	   *location;
	char	   *unavailable;
	char	   *live;
} StockExpressions;

/* Makes the queries for the keys of a table, for those of one row, and for what it says of them. */
static void
build_queries(Mapping *mapping, const StockExpressions *given)
{
	StockMapping *stock = mapping->stock;
	MappedTable *table = &mapping->line;
	/* What an error names the item with: not by evaluating an expression again. */
	char	   *named = stock->item ? psprintf("(%s)::text", given->item) : "NULL";
	char	   *item = psprintf("%s COLLATE pg_catalog.\"C\"", marked("item", given->item, "text", "NULL"));
	char	   *location = given->location ? psprintf("coalesce(%s, '') COLLATE pg_catalog.\"C\"", marked("location", given->location, "text", named)) : "''::text";
	char	   *key = psprintf("SELECT %s AS item, %s AS location", item, location);
	char	   *where[APP_STOCK_SCOPES] = {NULL};
	StringInfoData s;

	stock->keys_query = psprintf("SELECT k.item, k.location FROM (%s FROM %s) k WHERE k.item IS NOT NULL GROUP BY 1, 2",
								 key, bo_aliased("stock", table));
	stock->row_query = psprintf("SELECT k.item, k.location FROM (%s FROM (SELECT ($1).*) AS %s) k WHERE k.item IS NOT NULL",
								key, bo_alias("stock", table));

	initStringInfo(&s);
	appendStringInfo(&s, "%s, %s AS on_hand, ", key, marked("on_hand", given->on_hand, "numeric", named));
	appendStringInfo(&s, "%s AS unavailable FROM %s WHERE %s", given->unavailable ? marked("unavailable", given->unavailable, "numeric", named) : "NULL::numeric",
					 bo_aliased("stock", table), strcmp(given->live, "true") == 0 ? given->live : marked("live", given->live, "boolean", named));

	/* By the column itself where it is one, or by the expression as it is: an index on it serves. */
	where[ALL_STOCK] = "";
	where[BY_ITEM] = where[BY_ITEM_MANY] = stock->item ?
		psprintf(" AND %s = ANY ($1)", given->item) : psprintf(" AND (%s)::text = ANY ($1)", given->item);
	if (stock->location)
		where[BY_PLACE] = where[BY_PLACE_MANY] =
			psprintf("%s AND %s = ANY ($2)", where[BY_ITEM], bo_column_ref("stock", table, stock->location));
	for (int i = 0; i < APP_STOCK_SCOPES; i++)
		if (where[i] != NULL)
			stock->queries[i] = psprintf("SELECT k.item, k.location, coalesce(sum(k.on_hand), 0), coalesce(sum(k.unavailable), 0) "
										 "FROM (%s%s) k WHERE k.item IS NOT NULL GROUP BY 1, 2", s.data, where[i]);
}

/* Takes from the source's row what the mapping says; false where the table does not exist any more. */
static bool
read_row(Mapping *mapping, SPITupleTable *row, StockExpressions *given)
{
	StockMapping *stock = mapping->stock;
	bool		isnull;
	Oid			known = DatumGetObjectId(bo_result(row, 0, STOCK_SOURCE_RELID, &isnull));
	Oid			relid = bo_resolve_table(known, bo_result_text(row, 0, STOCK_SOURCE_SCHEMA), bo_result_text(row, 0, STOCK_SOURCE_TABLE), mapping->source_id);

	mapping->tenant = bo_result_text(row, 0, STOCK_SOURCE_TENANT);
	mapping->immediate = strcmp(bo_result_text(row, 0, STOCK_SOURCE_TIMING), "immediate") == 0;
	mapping->detached = bo_source_is_detached(row, STOCK_SOURCE_DETACHED_AT);
	if (!OidIsValid(relid))
		return false;
	mapping->owner = bo_relation_owner(relid);
	bo_mapped_table(&mapping->line, relid, DatumGetArrayTypePCopy(bo_result(row, 0, STOCK_SOURCE_COLUMNS, &isnull)),
					relid == known ? NULL : DatumGetArrayTypePCopy(bo_result(row, 0, STOCK_SOURCE_NAMES, &isnull)));
	*given = (StockExpressions) {
		.item = bo_result_text(row, 0, STOCK_SOURCE_ITEM),
		.on_hand = bo_result_text(row, 0, STOCK_SOURCE_ON_HAND),
		.location = bo_result_text(row, 0, STOCK_SOURCE_LOCATION),
		.unavailable = bo_result_text(row, 0, STOCK_SOURCE_UNAVAILABLE),
		.live = bo_result_text(row, 0, STOCK_SOURCE_LIVE)
	};
	stock->holds = given->unavailable != NULL;
	stock->has_location = given->location != NULL;
	stock->item = key_column(&mapping->line, given->item, &stock->item_type);
	stock->location = key_column(&mapping->line, given->location, &stock->location_type);
	stock->row_type = get_rel_type_id(relid);
	return true;
}

/*
 * Builds the mapping of a table of stock from the source's row.  False where
 * the table does not exist any more.
 */
bool
bo_stock_mapping_build(Mapping *mapping)
{
	StockExpressions given;
	SPITupleTable *row;
	SpiScope	spi;
	MemoryContext old;
	bool		exists;

	if (mapping->stock == NULL)
		mapping->stock = MemoryContextAllocZero(CacheMemoryContext, sizeof(StockMapping));
	bo_spi_begin(&spi);
	row = bo_read_source(mapping->source_id, SOURCE_OF_STOCK);
	old = MemoryContextSwitchTo(mapping->cx);
	exists = read_row(mapping, row, &given);
	if (exists)
	{
		build_queries(mapping, &given);
		mapping->reads = bo_tables_read(bo_mapping_analyze(mapping, mapping->stock->queries[ALL_STOCK]));
		mapping->line.used = bo_mapping_columns_read(mapping, mapping->line.relid);
	}
	MemoryContextSwitchTo(old);
	bo_spi_end(&spi);
	return exists;
}

/* Empties what a mapping has of a table of stock, if anything: its plans are not in the mapping's memory. */
void
bo_stock_mapping_free(Mapping *mapping)
{
	StockMapping *stock = mapping->stock;

	if (stock == NULL)
		return;
	for (int i = 0; i < APP_STOCK_SCOPES; i++)
		bo_free_plan(&stock->plans[i]);
	bo_free_plan(&stock->keys_plan);
	bo_free_plan(&stock->row_plan);
	memset(stock, 0, sizeof(StockMapping));
}
