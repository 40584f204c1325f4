/*
 * stock_mapping.c
 *		Tables in which the application keeps on hand itself: what they say.
 *		Several rows may make up one figure.
 *
 * What a mapping of such a table is made of is stock_build.c's.
 */
#include "postgres.h"

#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"
#include "store/store.h"

/* From this many figures on the planner chooses how to read them. */
#define MANY_STOCK_KEYS 32

/* ---------- the source ---------- */

/* Is this the number of an attached table of stock?  relid: the table, InvalidOid where it is gone. */
bool
bo_stock_attached(int32 source_id, Oid *relid)
{
	SpiScope	spi;
	SPITupleTable *row;
	bool		found;
	bool		isnull;

	*relid = InvalidOid;
	bo_spi_begin(&spi);
	row = bo_find_source(source_id, SOURCE_OF_STOCK);
	found = row != NULL && !bo_source_is_detached(row, STOCK_SOURCE_DETACHED_AT);
	if (found)
		*relid = bo_resolve_table(DatumGetObjectId(bo_result(row, 0, STOCK_SOURCE_RELID, &isnull)),
								  bo_result_text(row, 0, STOCK_SOURCE_SCHEMA), bo_result_text(row, 0, STOCK_SOURCE_TABLE), source_id);
	bo_spi_end(&spi);
	return found;
}

/* What the table of a source was called last, for messages; it need not be readable. */
char *
bo_stock_table_name(int32 source_id)
{
	MemoryContext cx = CurrentMemoryContext;
	SpiScope	spi;
	char	   *name = psprintf("source %d", source_id);
	SPITupleTable *row;

	bo_spi_begin(&spi);
	row = bo_find_source(source_id, SOURCE_OF_STOCK);
	if (row != NULL)
	{
		MemoryContextSwitchTo(cx);
		name = quote_qualified_identifier(bo_result_text(row, 0, STOCK_SOURCE_SCHEMA), bo_result_text(row, 0, STOCK_SOURCE_TABLE));
	}
	bo_spi_end(&spi);
	return name;
}

/* Does the application say what is unavailable, too? */
bool
bo_stock_holds(int32 source_id)
{
	Mapping    *mapping = bo_stock_mapping(source_id);

	return mapping != NULL && mapping->stock->holds;
}

/* The column that is the item, and the one that is the location; 0 where it is none. */
AttrNumber
bo_stock_item_column(int32 source_id, AttrNumber *location)
{
	Mapping    *mapping = bo_stock_mapping(source_id);

	*location = mapping ? mapping->stock->location : 0;
	return mapping ? mapping->stock->item : 0;
}

/* ---------- which stock rows are about ---------- */

/* The text of a column of a row of the table, or of a partition of it; NULL for NULL. */
static char *
column_text(TupleTableSlot *slot, Relation rel, const MappedTable *table, AttrNumber attnum, Oid type)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, bo_partition_column(RelationGetRelid(rel), table, attnum), &isnull);

	return isnull ? NULL : bo_key_text(&value, &type, 1);
}

/* Calls func for the rows of a result: item and location. */
static void
each_place(Mapping *mapping, StockKeyFunc func)
{
	SPITupleTable *rows = SPI_tuptable;
	uint64		n = SPI_processed;

	for (uint64 i = 0; i < n; i++)
	{
		func(mapping, bo_result_text(rows, i, 1), bo_result_text(rows, i, 2));
	}
	SPI_freetuptable(rows);
}

/* Calls func with the stock that a row of the table, or of a partition of it, is about; not for a row without item. */
void
bo_stock_of_row(int32 source_id, TupleTableSlot *slot, Relation rel, StockKeyFunc func)
{
	Mapping    *mapping = bo_stock_mapping(source_id);
	StockMapping *stock;
	SpiScope	spi;
	Datum		row;

	if (mapping == NULL)
		return;
	stock = mapping->stock;
	if (stock->item && (stock->location || !stock->has_location))
	{
		char	   *item = column_text(slot, rel, &mapping->line, stock->item, stock->item_type);
		char	   *location = stock->location ? column_text(slot, rel, &mapping->line, stock->location, stock->location_type) : NULL;

		if (item != NULL)
			func(mapping, item, location ? location : "");
		return;
	}
	row = bo_row_of_table(slot, rel, mapping->line.relid);
	bo_spi_begin(&spi);
	PushActiveSnapshot(GetTransactionSnapshot());
	bo_mapping_run(mapping, &stock->row_plan, stock->row_query, 1, &stock->row_type, &row, false, NULL);
	PopActiveSnapshot();
	each_place(mapping, func);
	bo_spi_end(&spi);
}

/*
 * Calls func with all stock of a source: what it is recorded to keep, and what
 * its table has, as it is now even where the transaction's snapshot is older.
 */
void
bo_stock_of_source(int32 source_id, StockKeyFunc func)
{
	Mapping    *mapping = bo_stock_mapping(source_id);
	Datum		arg = Int32GetDatum(source_id);
	SpiScope	spi;
	int			level;

	if (mapping == NULL)
		return;
	bo_spi_begin(&spi);
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	(void) bo_run_statement(BO_READ_ATTACHED_STOCK, NULL, &arg, true);
	each_place(mapping, func);
	level = bo_allow_all_plans();
	bo_mapping_run(mapping, &mapping->stock->keys_plan, mapping->stock->keys_query, 0, NULL, NULL, true, NULL);
	AtEOXact_GUC(false, level);
	each_place(mapping, func);
	PopActiveSnapshot();
	bo_spi_end(&spi);
}

/* ---------- reading ---------- */

/* Items or locations of keys (of SourceStockKey) that are converted, as the owner of the table. */
typedef struct KeyConversion
{
	List	   *keys;
	bool		location;
	Oid			type;
	Datum	   *values;
} KeyConversion;

static bool
convert_keys(void *arg)
{
	KeyConversion *c = arg;
	Oid			input;
	Oid			param;
	ListCell   *lc;
	int			n = 0;

	if (bo_key_depends_on_settings(c->type))
		bo_pin();
	getTypeInputInfo(c->type, &input, &param);
	foreach(lc, c->keys)
	{
		SourceStockKey *key = lfirst(lc);

		c->values[n++] = OidInputFunctionCall(input, (char *) (c->location ? key->location : key->item), param, -1);
	}
	return true;
}

/* These keys as an array of the type of a column; false where one cannot be read as that. */
static bool
key_array(Mapping *mapping, List *keys, bool location, Oid type, Datum *array)
{
	KeyConversion c = {.keys = keys,.location = location,.type = type,.values = palloc(sizeof(Datum) * list_length(keys))};

	if (!bo_convert_as_owner(mapping->owner, type < FirstNormalObjectId, convert_keys, &c))
		return false;
	*array = bo_native_array(c.values, list_length(keys), type);
	return true;
}

/*
 * Calls func at least for the stock of these keys (of SourceStockKey), and for
 * every row with all; not for stock without a row.  Reads with the active
 * snapshot; expects an SPI scope.  Raises ERRCODE_BO_QUANTITY for what is not
 * finite.
 */
void
bo_read_app_stock(int32 source_id, List *keys, bool all, AppStockFunc func, void *arg)
{
	Mapping    *mapping = bo_stock_mapping(source_id);
	StockMapping *stock;
	AppStockScope scope = ALL_STOCK;
	bool		many = all || list_length(keys) >= MANY_STOCK_KEYS;
	bool		anywhere;
	Datum		values[2];
	Oid			types[2];
	int			level = 0;
	SPITupleTable *rows;
	uint64		n;
	ListCell   *lc;

	if (mapping == NULL)
		return;
	stock = mapping->stock;
	anywhere = stock->location == 0;
	foreach(lc, keys)
		anywhere |= ((SourceStockKey *) lfirst(lc))->location[0] == '\0'; /* a NULL, perhaps */
	/* What is recorded may have another mapping's keys, that are none in this one. */
	if (!all && key_array(mapping, keys, false, stock->item_type, &values[0]))
	{
		scope = many ? BY_ITEM_MANY : BY_ITEM;
		types[0] = get_array_type(stock->item_type);
		if (!anywhere && key_array(mapping, keys, true, stock->location_type, &values[1]))
		{
			scope = many ? BY_PLACE_MANY : BY_PLACE;
			types[1] = get_array_type(stock->location_type);
		}
	}
	else
		many = true;
	if (many)
		level = bo_allow_all_plans();
	bo_mapping_run(mapping, &stock->plans[scope], stock->queries[scope],
				   scope == ALL_STOCK ? 0 : scope == BY_PLACE || scope == BY_PLACE_MANY ? 2 : 1, types, values, many, NULL);
	if (many)
		AtEOXact_GUC(false, level);
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		char	   *item;
		char	   *location;
		Qty			quantities[2];

		item = bo_result_text(rows, i, 1);
		location = bo_result_text(rows, i, 2);
		for (int k = 0; k < 2; k++)
		{
			quantities[k] = bo_result_qty(rows, i, 3 + k);
			if (!qty_finite(quantities[k]))
				ereport(ERROR,
						(errcode(ERRCODE_BO_QUANTITY),
						 errmsg("%s of item \"%s\" is not finite", k == 0 ? "on_hand" : "unavailable", item),
						 errdetail("%s has %s at location \"%s\".", mapping->line.name, qty_text(quantities[k]), location),
						 errhint("Correct the row, or the mapping of \"%s\".", k == 0 ? "on_hand" : "unavailable")));
			/* A shop may oversell; what is not there is not there. */
			quantities[k] = qty_max(quantities[k], qty_zero);
		}
		func(item, location, quantities[0], stock->holds ? qty_min(quantities[1], quantities[0]) : NULL, arg);
	}
	SPI_freetuptable(rows);
}
