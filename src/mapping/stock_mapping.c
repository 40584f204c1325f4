/*
 * stock_mapping.c
 *		Tables in which the application keeps on hand itself: their mapping,
 *		and what they say.  Several rows may make up one figure.
 *
 * Expressions are over the row, called "stock", and run as the owner of the
 * table.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupconvert.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"
#include "store/store.h"

/* From this many figures on the planner chooses how to read them. */
#define MANY_STOCK_KEYS 32

/* How figures are looked up. */
typedef enum AppStockScope
{
	BY_ITEM,
	BY_ITEM_MANY,
	BY_PLACE,					/* item and location, both columns */
	BY_PLACE_MANY,
	ALL_STOCK,
	APP_STOCK_SCOPES
} AppStockScope;

typedef struct StockSource
{
	int32		source_id;		/* hash key */
	bool		valid;
	Mapping		mapping;		/* tenant, owner, timing and table; what bo_mapping_run() wants */
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
} StockSource;

static HTAB *sources;			/* by source_id */

/* ---------- loading ---------- */

static void
relation_changed(Oid relid)
{
	HASH_SEQ_STATUS seq;
	StockSource *source;

	hash_seq_init(&seq, sources);
	while ((source = hash_seq_search(&seq)) != NULL)
		if (relid == InvalidOid || source->mapping.line.relid == relid)
			source->valid = false;
}

/* Queries name tables: a schema that is renamed changes none of these itself. */
static void
schema_changed(Datum arg, int cacheid, uint32 hash)
{
	relation_changed(InvalidOid);
}

void
bo_stock_source_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(int32),.entrysize = sizeof(StockSource)};

	sources = hash_create("backorder stock sources", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	bo_on_relation_change(relation_changed);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
}

/* The source's row was changed by this backend. */
void
bo_stock_forget(int32 source_id)
{
	StockSource *source = hash_search(sources, &source_id, HASH_FIND, NULL);

	if (source)
		source->valid = false;
}

/*
 * The column that an expression is, where its text is what a cast to text
 * would give, whatever the settings, and can be read back; else 0.
 */
static AttrNumber
plain_column(const MappedTable *table, const char *expression, Oid *type)
{
	*type = TEXTOID;
	for (int i = 0; expression != NULL && i < table->natts; i++)
	{
		if (table->alias[i] == NULL || strcmp(expression, psprintf("stock.%s", quote_identifier(table->alias[i]))) != 0)
			continue;
		switch (getBaseType(get_atttype(table->relid, i + 1)))
		{
			case INT2OID:
			case INT4OID:
			case INT8OID:
			case NUMERICOID:
			case TEXTOID:
			case VARCHAROID:
			case BPCHAROID:
			case UUIDOID:
				*type = getBaseType(get_atttype(table->relid, i + 1));
				return i + 1;
			default:
				return 0;
		}
	}
	return 0;
}

/* One mapped expression, marked so that an error in it can be named with the item, where it can be. */
static char *
marked(const char *column, const char *expression, const char *type, const char *item)
{
	return psprintf("CASE WHEN backorder_internal.evaluating('%s', %s) THEN (%s)::%s END", column, item, expression, type);
}

/* False where the table does not exist any more. */
static bool
load(void *entry, int32 source_id)
{
	StockSource *source = entry;
	Mapping    *m = &source->mapping;
	Datum		arg = Int32GetDatum(source_id);
	SpiScope	spi;
	MemoryContext old;
	StringInfoData s;
	bool		isnull;
	Oid			cached;
	Oid			relid;
	char	   *item;
	char	   *plain_item;
	char	   *on_hand;
	char	   *location;
	char	   *unavailable;
	char	   *live;
	char	   *key;
	char	   *named;
	char	   *app_stock;
	char	   *where[APP_STOCK_SCOPES] = {NULL};
	uint64		n;

	bo_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	n = bo_run_statement(BO_READ_STOCK_SOURCE, NULL, &arg, true);
	PopActiveSnapshot();
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("source %d does not exist", source_id),
				 errhint("Its trigger is left over: drop it, or attach the table again. Restore data alone with --disable-triggers.")));
	old = MemoryContextSwitchTo(m->cx);
	m->source_id = source_id;
	m->of_stock = true;
	m->tenant = bo_result_text(SPI_tuptable, 0, 1);
	cached = DatumGetObjectId(bo_result(SPI_tuptable, 0, 4, &isnull));
	relid = bo_resolve_table(cached, bo_result_text(SPI_tuptable, 0, 2), bo_result_text(SPI_tuptable, 0, 3), source_id);
	m->immediate = strcmp(bo_result_text(SPI_tuptable, 0, 12), "immediate") == 0;
	m->detached = bo_result_bool(SPI_tuptable, 0, 13);
	if (!OidIsValid(relid))
	{
		MemoryContextSwitchTo(old);
		bo_spi_end(&spi);
		return false;
	}
	bo_mapped_table(&m->line, relid, DatumGetArrayTypePCopy(bo_result(SPI_tuptable, 0, 5, &isnull)),
					relid == cached ? NULL : DatumGetArrayTypePCopy(bo_result(SPI_tuptable, 0, 6, &isnull)));
	m->owner = bo_relation_owner(relid);
	item = bo_result_text(SPI_tuptable, 0, 7);
	on_hand = bo_result_text(SPI_tuptable, 0, 8);
	location = bo_result_text(SPI_tuptable, 0, 9);
	unavailable = bo_result_text(SPI_tuptable, 0, 10);
	live = bo_result_text(SPI_tuptable, 0, 11);
	source->holds = unavailable != NULL;
	source->has_location = location != NULL;
	source->item = plain_column(&m->line, item, &source->item_type);
	source->location = plain_column(&m->line, location, &source->location_type);
	source->row_type = get_rel_type_id(relid);

	/* What an error names the item with; not by evaluating an expression again. */
	plain_item = item;
	named = source->item ? psprintf("(%s)::text", item) : "NULL";
	item = psprintf("%s COLLATE pg_catalog.\"C\"", marked("item", item, "text", "NULL"));
	location = location ? psprintf("coalesce(%s, '') COLLATE pg_catalog.\"C\"", marked("location", location, "text", named)) : "''::text";
	key = psprintf("SELECT %s AS item, %s AS location", item, location);
	initStringInfo(&s);
	appendStringInfo(&s, "%s, %s AS on_hand, ", key, marked("on_hand", on_hand, "numeric", named));
	appendStringInfo(&s, "%s AS unavailable FROM %s WHERE %s", unavailable ? marked("unavailable", unavailable, "numeric", named) : "NULL::numeric",
					 bo_aliased("stock", &m->line), strcmp(live, "true") == 0 ? live : marked("live", live, "boolean", named));
	app_stock = s.data;
	source->keys_query = psprintf("SELECT k.item, k.location FROM (%s FROM %s) k WHERE k.item IS NOT NULL GROUP BY 1, 2",
								  key, bo_aliased("stock", &m->line));
	source->row_query = psprintf("SELECT k.item, k.location FROM (%s FROM (SELECT ($1).*) AS %s) k WHERE k.item IS NOT NULL",
								 key, bo_alias("stock", &m->line));

	/* By the column itself where it is one, or by the expression as it is: an index on it serves. */
	where[ALL_STOCK] = "";
	where[BY_ITEM] = where[BY_ITEM_MANY] = source->item ?
		psprintf(" AND %s = ANY ($1)", plain_item) : psprintf(" AND (%s)::text = ANY ($1)", plain_item);
	if (source->location)
		where[BY_PLACE] = where[BY_PLACE_MANY] =
			psprintf("%s AND stock.%s = ANY ($2)", where[BY_ITEM], quote_identifier(m->line.alias[source->location - 1]));
	for (int i = 0; i < APP_STOCK_SCOPES; i++)
		if (where[i] != NULL)
			source->queries[i] = psprintf("SELECT k.item, k.location, coalesce(sum(k.on_hand), 0), coalesce(sum(k.unavailable), 0) "
										  "FROM (%s%s) k WHERE k.item IS NOT NULL GROUP BY 1, 2", app_stock, where[i]);
	m->reads = bo_tables_read(bo_mapping_analyze(m, source->queries[ALL_STOCK]));
	m->line.used = bo_mapping_columns_read(m, relid);
	MemoryContextSwitchTo(old);
	bo_spi_end(&spi);
	return true;
}

/* A source, loaded again if anything about its table changed; NULL where the table does not exist any more. */
static StockSource *
get_source(int32 source_id)
{
	bool		found;
	StockSource *source = hash_search(sources, &source_id, HASH_ENTER, &found);

	if (found && source->valid)
		return source;
	if (found)
	{
		for (int i = 0; i < APP_STOCK_SCOPES; i++)
			bo_free_plan(&source->plans[i]);
		bo_free_plan(&source->keys_plan);
		bo_free_plan(&source->row_plan);
		if (source->mapping.cx)
			MemoryContextDelete(source->mapping.cx);
	}
	memset(source, 0, sizeof(*source));
	source->source_id = source_id;
	source->mapping.cx = AllocSetContextCreate(CacheMemoryContext, "backorder stock source", ALLOCSET_SMALL_SIZES);
	return bo_load_source(source_id, &source->valid, load, source) ? source : NULL;
}

/*
 * A stock source as a mapping: table, tenant, owner, timing, the columns it
 * reads.  NULL where the table does not exist any more; ERRCODE_BO_NOT_ATTACHED
 * where there is no such source.
 */
Mapping *
bo_stock_mapping(int32 source_id)
{
	StockSource *source = get_source(source_id);

	return source ? &source->mapping : NULL;
}

/* Is this the number of an attached table of stock?  relid: the table, InvalidOid where it is gone. */
bool
bo_stock_attached(int32 source_id, Oid *relid)
{
	Datum		arg = Int32GetDatum(source_id);
	SpiScope	spi;
	bool		found;

	*relid = InvalidOid;
	bo_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	found = bo_run_statement(BO_READ_STOCK_SOURCE, NULL, &arg, true) > 0 && !bo_result_bool(SPI_tuptable, 0, 13);
	PopActiveSnapshot();
	if (found)
		*relid = bo_resolve_table(DatumGetObjectId(bo_result(SPI_tuptable, 0, 4, &(bool) {0})), bo_result_text(SPI_tuptable, 0, 2), bo_result_text(SPI_tuptable, 0, 3), source_id);
	bo_spi_end(&spi);
	return found;
}

/* What the table of a source was called last, for messages; it need not be readable. */
char *
bo_stock_table_name(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	MemoryContext cx = CurrentMemoryContext;
	SpiScope	spi;
	char	   *name = psprintf("source %d", source_id);

	bo_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	if (bo_run_statement(BO_READ_STOCK_SOURCE, NULL, &arg, true) > 0)
	{
		MemoryContextSwitchTo(cx);
		name = quote_qualified_identifier(bo_result_text(SPI_tuptable, 0, 2), bo_result_text(SPI_tuptable, 0, 3));
	}
	PopActiveSnapshot();
	bo_spi_end(&spi);
	return name;
}

/* Does the application say what is unavailable, too? */
bool
bo_stock_holds(int32 source_id)
{
	StockSource *source = get_source(source_id);

	return source != NULL && source->holds;
}

/* The column that is the item, and the one that is the location; 0 where it is none. */
AttrNumber
bo_stock_item_column(int32 source_id, AttrNumber *location)
{
	StockSource *source = get_source(source_id);

	*location = source ? source->location : 0;
	return source ? source->item : 0;
}

/*
 * The source that a table is or was attached as, as it is now even where the
 * transaction's snapshot is older.  Returns 0 for none; tenant is allocated in
 * the current context.
 */
int32
bo_stock_source_of_table(Oid relid, char **tenant, bool *detached)
{
	SpiScope	spi;
	MemoryContext cx = CurrentMemoryContext;
	Datum		args[3] = {ObjectIdGetDatum(relid), bo_text(get_namespace_name(get_rel_namespace(relid))), bo_text(get_rel_name(relid))};
	int32		source_id = 0;

	bo_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	if (bo_run_statement(BO_READ_STOCK_SOURCE_BY_TABLE, NULL, args, true) > 0)
	{
		MemoryContextSwitchTo(cx);
		source_id = bo_result_int32(SPI_tuptable, 0, 1);
		*tenant = bo_result_text(SPI_tuptable, 0, 2);
		*detached = bo_result_bool(SPI_tuptable, 0, 3);
	}
	PopActiveSnapshot();
	bo_spi_end(&spi);
	return source_id;
}

/* ---------- which stock rows are about ---------- */

static char *
column_text(TupleTableSlot *slot, Relation rel, StockSource *source, AttrNumber attnum, Oid type)
{
	Oid			relid = source->mapping.line.relid;
	bool		isnull;
	Datum		value;

	if (RelationGetRelid(rel) != relid)
		attnum = get_attnum(RelationGetRelid(rel), get_attname(relid, attnum, false));
	value = slot_getattr(slot, attnum, &isnull);
	return isnull ? NULL : bo_key_text(&value, &type, 1);
}

/* A row of the table, or of a partition of it, as a value of the table's row type. */
static Datum
row_datum(TupleTableSlot *slot, Relation rel, Oid relid)
{
	bool		free_tuple;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &free_tuple);
	Relation	parent;
	TupleConversionMap *map;
	Datum		row;

	if (RelationGetRelid(rel) == relid)
		return heap_copy_tuple_as_datum(tuple, RelationGetDescr(rel));
	parent = table_open(relid, AccessShareLock);
	map = convert_tuples_by_name(RelationGetDescr(rel), RelationGetDescr(parent));
	if (map != NULL)
		tuple = execute_attr_map_tuple(tuple, map);
	row = heap_copy_tuple_as_datum(tuple, RelationGetDescr(parent));
	table_close(parent, NoLock);
	return row;
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

/* Calls func with the stock of which a row of the table, or of a partition, says something; not for a row that is no stock. */
void
bo_stock_of_row(int32 source_id, TupleTableSlot *slot, Relation rel, StockKeyFunc func)
{
	StockSource *source = get_source(source_id);
	SpiScope	spi;
	Datum		row;

	if (source == NULL)
		return;
	if (source->item && (source->location || !source->has_location))
	{
		char	   *item = column_text(slot, rel, source, source->item, source->item_type);
		char	   *location = source->location ? column_text(slot, rel, source, source->location, source->location_type) : NULL;

		if (item != NULL)
			func(&source->mapping, item, location ? location : "");
		return;
	}
	row = row_datum(slot, rel, source->mapping.line.relid);
	bo_spi_begin(&spi);
	PushActiveSnapshot(GetTransactionSnapshot());
	bo_mapping_run(&source->mapping, &source->row_plan, source->row_query, 1, &source->row_type, &row, false, NULL);
	PopActiveSnapshot();
	each_place(&source->mapping, func);
	bo_spi_end(&spi);
}

/*
 * Calls func with all stock of a source: what it is recorded to keep, and what
 * its table has, as it is now even where the transaction's snapshot is older.
 */
void
bo_stock_of_source(int32 source_id, StockKeyFunc func)
{
	StockSource *source = get_source(source_id);
	Datum		arg = Int32GetDatum(source_id);
	SpiScope	spi;
	int			level;

	if (source == NULL)
		return;
	bo_spi_begin(&spi);
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	(void) bo_run_statement(BO_READ_ATTACHED_STOCK, NULL, &arg, true);
	each_place(&source->mapping, func);
	level = bo_allow_all_plans();
	bo_mapping_run(&source->mapping, &source->keys_plan, source->keys_query, 0, NULL, NULL, true, NULL);
	AtEOXact_GUC(false, level);
	each_place(&source->mapping, func);
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
	int16		typlen;
	bool		typbyval;
	char		typalign;

	if (!bo_convert_as_owner(mapping->owner, type < FirstNormalObjectId, convert_keys, &c))
		return false;
	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	*array = PointerGetDatum(construct_array(c.values, list_length(keys), type, typlen, typbyval, typalign));
	return true;
}

/*
 * Calls func with what a table says of the stock of these keys (of
 * SourceStockKey), or of others too; with all, of all it has.  Not at all for stock
 * of which it says nothing.  Reads with the active snapshot; expects an SPI scope.
 * Raises ERRCODE_BO_QUANTITY for what is not finite.
 */
void
bo_read_app_stock(int32 source_id, List *keys, bool all, AppStockFunc func, void *arg)
{
	StockSource *source = get_source(source_id);
	AppStockScope scope = ALL_STOCK;
	bool		many = all || list_length(keys) >= MANY_STOCK_KEYS;
	bool		anywhere = source == NULL || source->location == 0;
	Datum		values[2];
	Oid			types[2];
	int			level = 0;
	SPITupleTable *rows;
	uint64		n;
	ListCell   *lc;

	if (source == NULL)
		return;
	foreach(lc, keys)
		anywhere |= ((SourceStockKey *) lfirst(lc))->location[0] == '\0'; /* a NULL, perhaps */
	/* What is recorded may have another mapping's keys, that are none in this one. */
	if (!all && key_array(&source->mapping, keys, false, source->item_type, &values[0]))
	{
		scope = many ? BY_ITEM_MANY : BY_ITEM;
		types[0] = get_array_type(source->item_type);
		if (!anywhere && key_array(&source->mapping, keys, true, source->location_type, &values[1]))
		{
			scope = many ? BY_PLACE_MANY : BY_PLACE;
			types[1] = get_array_type(source->location_type);
		}
	}
	else
		many = true;
	if (many)
		level = bo_allow_all_plans();
	bo_mapping_run(&source->mapping, &source->plans[scope], source->queries[scope],
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
						 errdetail("%s has %s at location \"%s\".", source->mapping.line.name, qty_text(quantities[k]), location),
						 errhint("Correct the row, or the mapping of \"%s\".", k == 0 ? "on_hand" : "unavailable")));
			/* A shop may oversell; what is not there is not there. */
			quantities[k] = qty_max(quantities[k], qty_zero);
		}
		func(item, location, quantities[0], source->holds ? qty_min(quantities[1], quantities[0]) : NULL, arg);
	}
	SPI_freetuptable(rows);
}
