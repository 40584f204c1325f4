/*
 * mapping.c
 *		Attached tables, of order lines or of stock: their mappings as SQL text,
 *		loaded from the source's row and again when anything about the tables
 *		changes.
 *
 * Expressions are stored as text over "line" and "header"; at plan time both
 * get alias lists that bind the names of attach time to columns by number, so
 * a renamed column is followed (mapped_table.c).  What the queries find is
 * read.c's.
 */
#include "postgres.h"

#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"
#include "store/store.h"

static HTAB *mappings;			/* by source_id, of orders and of stock */
static uint32 loads;			/* of mappings, so far */

/* Invalidation only sets flags; relid InvalidOid means everything. */
static void
relation_changed(Oid relid)
{
	HASH_SEQ_STATUS seq;
	Mapping    *mapping;

	bo_loading_changed();
	hash_seq_init(&seq, mappings);
	while ((mapping = hash_seq_search(&seq)) != NULL)
		if (relid == InvalidOid || mapping->line.relid == relid || mapping->header.relid == relid || bo_watches(mapping, relid))
			mapping->valid = false;
}

/* Queries name tables: when a schema is renamed, none of these changes itself. */
static void
schema_changed(Datum arg, int cacheid, uint32 hash)
{
	relation_changed(InvalidOid);
}

/* Called once, when the library is loaded. */
void
bo_mapping_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(int32),.entrysize = sizeof(Mapping)};

	mappings = hash_create("backorder mappings", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	bo_on_relation_change(relation_changed);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
}

/* The source's row was changed by this backend. */
void
bo_mapping_forget(int32 source_id)
{
	Mapping    *mapping = hash_search(mappings, &source_id, HASH_FIND, NULL);

	if (mapping)
		mapping->valid = false;
}

/* Frees what a mapping has and leaves it empty. */
static void
empty(Mapping *mapping)
{
	int32		source_id = mapping->source_id;
	struct StockMapping *stock = mapping->stock;

	for (int i = 0; i < (int) lengthof(mapping->plans); i++)
		bo_free_plan(&mapping->plans[i]);
	bo_free_plan(&mapping->stock_keys_plan);
	bo_watch_free(mapping);
	bo_stock_mapping_free(mapping);
	if (mapping->cx)
		MemoryContextDelete(mapping->cx);
	memset(mapping, 0, sizeof(*mapping));
	mapping->source_id = source_id;
	mapping->stock = stock;
}

/*
 * The mapping of a source, loaded again if anything about its tables changed;
 * NULL where its table does not exist any more.  Raises ERRCODE_BO_NOT_ATTACHED
 * where no source of this kind has the number.  Takes no lock that lasts
 * beyond AccessShare on the tables.
 */
static Mapping *
get_mapping(int32 source_id, SourceKind kind)
{
	bool		found;
	Mapping    *mapping = hash_search(mappings, &source_id, HASH_ENTER, &found);

	if (!found)
	{
		memset(mapping, 0, sizeof(*mapping));
		mapping->source_id = source_id;
	}
	if (mapping->valid)
	{
		if (mapping->kind != kind)
			bo_no_source(source_id);
		return mapping;
	}
	empty(mapping);
	mapping->kind = kind;
	mapping->version = ++loads;
	mapping->cx = AllocSetContextCreate(CacheMemoryContext, "backorder mapping", ALLOCSET_SMALL_SIZES);
	BO_POINT("mapping");
	return bo_load_source(mapping, kind == SOURCE_OF_STOCK ? bo_stock_mapping_build : bo_mapping_build) ? mapping : NULL;
}

/* The mapping of a table of order lines; NULL where that does not exist any more. */
Mapping *
bo_mapping_if_exists(int32 source_id)
{
	return get_mapping(source_id, SOURCE_OF_ORDERS);
}

/* The mapping of a table of stock; NULL where that does not exist any more. */
Mapping *
bo_stock_mapping(int32 source_id)
{
	return get_mapping(source_id, SOURCE_OF_STOCK);
}

/* The mapping of a table of order lines, with an error where that does not exist any more. */
Mapping *
bo_mapping(int32 source_id)
{
	Mapping    *mapping = bo_mapping_if_exists(source_id);

	if (mapping == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BO_NOT_ATTACHED),
				 errmsg("the table of source %d does not exist any more", source_id),
				 errhint("End its lines with backorder.detach_source(%d), or attach the table that took its place.", source_id)));
	return mapping;
}

/* Is the mapping in memory, and nothing of its tables changed? */
bool
bo_mapping_is_loaded(int32 source_id)
{
	Mapping    *mapping = hash_search(mappings, &source_id, HASH_FIND, NULL);

	return mapping != NULL && mapping->valid;
}

/* A mapping that says whose a source is and nothing of its tables, in the current context: enough to end its lines. */
Mapping *
bo_source_identity(int32 source_id)
{
	SpiScope	spi;
	Mapping    *mapping = palloc0(sizeof(Mapping));
	MemoryContext cx = CurrentMemoryContext;
	SPITupleTable *row;
	bool		isnull;

	bo_spi_begin(&spi);
	row = bo_read_source(source_id, SOURCE_OF_ORDERS);
	MemoryContextSwitchTo(cx);
	mapping->source_id = source_id;
	mapping->tenant = bo_result_text(row, 0, SOURCE_TENANT);
	mapping->detached = bo_source_is_detached(row, SOURCE_DETACHED_AT);
	mapping->park = strcmp(bo_result_text(row, 0, SOURCE_ON_ERROR), "park") == 0;
	mapping->line.name = quote_qualified_identifier(bo_result_text(row, 0, SOURCE_LINE_SCHEMA), bo_result_text(row, 0, SOURCE_LINE_TABLE));
	mapping->line.relid = bo_resolve_table(DatumGetObjectId(bo_result(row, 0, SOURCE_LINE_RELID, &isnull)),
										   bo_result_text(row, 0, SOURCE_LINE_SCHEMA), bo_result_text(row, 0, SOURCE_LINE_TABLE), source_id);
	mapping->header.relid = bo_resolve_table(DatumGetObjectId(bo_result(row, 0, SOURCE_HEADER_RELID, &isnull)),
											 bo_result_text(row, 0, SOURCE_HEADER_SCHEMA), bo_result_text(row, 0, SOURCE_HEADER_TABLE), source_id);
	bo_spi_end(&spi);
	return mapping;
}

/*
 * The source that a table is or was attached as, as it is now even where the
 * transaction's snapshot is older.  Returns 0 for none; tenant is allocated in
 * the current context.
 */
int32
bo_source_of_table(Oid relid, SourceKind kind, char **tenant, bool *detached)
{
	SpiScope	spi;
	MemoryContext cx = CurrentMemoryContext;
	Datum		args[3] = {ObjectIdGetDatum(relid), bo_text(get_namespace_name(get_rel_namespace(relid))), bo_text(get_rel_name(relid))};
	int32		source_id = 0;

	bo_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	if (bo_run_statement(kind == SOURCE_OF_STOCK ? BO_READ_STOCK_SOURCE_BY_TABLE : BO_READ_SOURCE_BY_TABLE, NULL, args, true) > 0)
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
