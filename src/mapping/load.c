/*
 * load.c
 *		Loads a mapping, of orders or of stock: the source's row, its tables, and
 *		an invalidation that comes meanwhile.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"
#include "store/store.h"

/* The sources that are being loaded, the innermost first. */
typedef struct Loading
{
	bool	   *valid;
	struct Loading *outer;
} Loading;

static Loading *loading;

/* ---------- loading ---------- */

/* A table changed: what is being loaded does not say yet which tables it reads, and is loaded again. */
void
bo_loading_changed(void)
{
	for (Loading *l = loading; l != NULL; l = l->outer)
		*l->valid = false;
}

/* Does a table carry our capture trigger for this source? */
static bool
carries_capture(Oid relid, int32 source_id)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	Oid			capture = bo_function("capture");
	bool		found = false;

	if (rel == NULL)
		return false;
	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers && !found; i++)
	{
		Trigger    *t = &rel->trigdesc->triggers[i];

		found = t->tgfoid == capture && t->tgnargs == 2 && atoi(t->tgargs[0]) == source_id;
	}
	relation_close(rel, NoLock);
	return found;
}

/*
 * The table of a source: the one it was attached to as long as that carries
 * our trigger, whatever it is called now; after a restore, the name counts.
 */
Oid
bo_resolve_table(Oid cached, char *schema, char *name, int32 source_id)
{
	Oid			nsp;

	if (schema == NULL)
		return InvalidOid;
	if (OidIsValid(cached) && carries_capture(cached, source_id))
		return cached;
	nsp = get_namespace_oid(schema, true);
	return OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;
}

/* Columns of a table that the mapping reads; NULL where the mapping does not name the table. */
Bitmapset *
bo_mapping_columns_read(Mapping *mapping, Oid relid)
{
	ListCell   *lc;

	foreach(lc, mapping->reads)
		if (((TableRead *) lfirst(lc))->relid == relid)
			return ((TableRead *) lfirst(lc))->used;
	return NULL;
}

void
bo_free_plan(SPIPlanPtr *plan)
{
	if (*plan != NULL)
		SPI_freeplan(*plan);
	*plan = NULL;
}

/*
 * Builds the mapping of a source; false where its table does not exist any
 * more.  Then, after an error, and after an invalidation meanwhile, what was
 * built is not valid.
 */
bool
bo_load_source(Mapping *mapping, bool (*build) (Mapping *mapping))
{
	volatile bool exists = false;
	Loading		this = {&mapping->valid, loading};

	mapping->valid = true;		/* an invalidation while loading clears it again */
	loading = &this;
	PG_TRY();
	{
		exists = build(mapping);
	}
	PG_FINALLY();
	{
		loading = this.outer;
		mapping->valid &= exists;
	}
	PG_END_TRY();
	return exists;
}

/* Raises the error for a number that no source of the kind has. */
void
bo_no_source(int32 source_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_BO_NOT_ATTACHED),
			 errmsg("source %d does not exist", source_id),
			 errhint("Its trigger is left over: drop it, or attach the table again. Restore data alone with --disable-triggers.")));
}

/* By SourceColumn. */
static const char *const source_columns[] = {
	"tenant", "source_id", "line_schema", "line_table", "line_relid", "header_schema", "header_table", "header_relid", "order_key", "line_key", "header_key",
	"item", "quantity", "live", "shipped", "picked", "cancelled", "location", "customer", "priority", "queued_at", "requested_at", "held",
	"line_columns", "header_columns", "timing", "overship", "detached_at", "joins", "line_key_expressions", "on_error", "line_names", "header_names"
};

StaticAssertDecl(lengthof(source_columns) == SOURCE_HEADER_NAMES, "each column of a source has its name");

/* By StockSourceColumn. */
static const char *const stock_source_columns[] = {
	"tenant", "table_schema", "table_name", "table_relid", "columns", "names", "item", "on_hand", "location", "unavailable", "live", "timing", "detached_at"
};

StaticAssertDecl(lengthof(stock_source_columns) == STOCK_SOURCE_DETACHED_AT, "each column of a stock source has its name");

/*
 * The row of a source, in the current context, as it is now even where the
 * transaction's snapshot is older; NULL: there is none.
 */
SPITupleTable *
bo_find_source(int32 source_id, SourceKind kind)
{
	SPITupleTable *row;

	PushActiveSnapshot(GetLatestSnapshot());
	if (kind == SOURCE_OF_STOCK)
		row = bo_read_source_row("stock_source", "stock_source_id_key", NULL, source_id, stock_source_columns, lengthof(stock_source_columns));
	else
		row = bo_read_source_row("source", "source_id_key", NULL, source_id, source_columns, lengthof(source_columns));
	PopActiveSnapshot();
	return row;
}

/* The same, with an error where there is none. */
SPITupleTable *
bo_read_source(int32 source_id, SourceKind kind)
{
	SPITupleTable *row = bo_find_source(source_id, kind);

	if (row == NULL)
		bo_no_source(source_id);
	return row;
}

/* Is the source of a row detached?  detached_at: the number of that column. */
bool
bo_source_is_detached(SPITupleTable *row, int detached_at)
{
	bool		isnull;

	(void) bo_result(row, 0, detached_at, &isnull);
	return !isnull;
}
