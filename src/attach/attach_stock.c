/*
 * attach_stock.c
 *		attach_stock(): tables in which the application keeps on hand itself.
 *
 * What such a table says is stock_mapping.c's, which changes are noted
 * stock_notes.c's, what follows attached_stock.c's.
 */
#include "postgres.h"

#include "utils/lsyscache.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "reconcile/reconcile.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_attach_stock);
PG_FUNCTION_INFO_V1(bo_note_stock);

/* The mapped expressions, in the order of attach_stock()'s arguments. */
static const struct
{
	const char *name;
	Oid			type;
}			expressions[] = {
	{"item", TEXTOID}, {"on_hand", NUMERICOID}, {"location", TEXTOID}, {"unavailable", NUMERICOID}, {"live", BOOLOID}
};

#define NEXPRESSIONS ((int) lengthof(expressions))

/* What an attached mapping could have better. */
static void
say_hints(int32 source_id)
{
	Mapping    *mapping = bo_stock_mapping(source_id);
	MappedTable *table = &mapping->line;
	AttrNumber	location;
	AttrNumber	item = bo_stock_item_column(source_id, &location);
	IndexStart	starts[] = {{item, 0}, {location, item}};
	bool		has_index = bo_has_index(table->relid, starts, item != 0 && location != 0 ? 2 : 1);
	ListCell   *lc;

	if (item == 0)
	{
		if (!has_index)
			bo_say_hint(psprintf("the item of table %s is not a column that an index could find", table->name), "Each look at an item reads the whole table.",
						"Map item to a column of a type of text, number or uuid, or create an index on the expression.", NULL);
	}
	else if (!has_index)
		bo_say_hint(psprintf("table %s has no index on its item", table->name), "Each look at an item reads the whole table.",
					psprintf("CREATE INDEX ON %s (%s);", table->name, quote_identifier(get_attname(table->relid, item, false))), NULL);
	foreach(lc, mapping->reads)
	{
		Oid			relid = ((TableRead *) lfirst(lc))->relid;

		if (relid != table->relid)
			bo_say_hint(psprintf("changes of %s are not noticed", quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid))),
						NULL, "If they matter to stock, call backorder.resync_stock() after them.", NULL);
	}
}

/*
 * attach_stock(): see the reference.  Runs as the caller, who must own the
 * table; takes SHARE ROW EXCLUSIVE on it, so writers wait until all is
 * counted.
 */
Datum
bo_attach_stock(PG_FUNCTION_ARGS)
{
	MappedTable table;
	char	   *texts[lengthof(expressions)];
	char	   *timing;
	char	   *tenant = PG_ARGISNULL(ATTACH_STOCK_TENANT) ? "" : bo_arg_text(fcinfo, ATTACH_STOCK_TENANT);
	char	   *old_tenant = NULL;
	bool		detached = false;
	Datum		columns;
	SpiScope	spi;
	Oid			relid;
	int32		source_id;

	if (PG_ARGISNULL(ATTACH_STOCK_TABLE) || PG_ARGISNULL(ATTACH_STOCK_EXPRESSIONS) || PG_ARGISNULL(ATTACH_STOCK_ON_HAND))
		bo_refuse("stock_table, item and on_hand are needed", "Name the table, and the columns or expressions of item and on hand.");
	timing = bo_one_of(fcinfo, ATTACH_STOCK_TIMING, "timing", "deferred", "immediate");
	relid = PG_GETARG_OID(ATTACH_STOCK_TABLE);
	bo_check_table(relid, ShareRowExclusiveLock);
	bo_mapped_table(&table, relid, NULL, NULL);
	for (int i = 0; i < NEXPRESSIONS; i++)
	{
		char	   *given = bo_arg_text(fcinfo, ATTACH_STOCK_EXPRESSIONS + i);

		if (given == NULL && ATTACH_STOCK_EXPRESSIONS + i == ATTACH_STOCK_LIVE)
			given = "true";
		texts[i] = given ? bo_prepare_row_expression(expressions[i].name, expressions[i].type, given, "stock", &table) : NULL;
	}
	(void) bo_settle_pending();

	source_id = bo_source_of_table(relid, SOURCE_OF_STOCK, &old_tenant, &detached);
	if (source_id != 0 && strcmp(old_tenant, tenant) != 0)
		bo_refuse(psprintf("table %s is recorded for tenant \"%s\"", table.name, old_tenant), "A table belongs to one tenant.");
	bo_spi_begin(&spi);
	if (source_id == 0)
		source_id = bo_next_source_id();
	columns = bo_column_array(&table);
	(void) bo_run_statement(BO_WRITE_STOCK_SOURCE, NULL, (Datum[]) {
		CStringGetTextDatum(tenant), Int32GetDatum(source_id),
		CStringGetTextDatum(get_namespace_name(get_rel_namespace(relid))), CStringGetTextDatum(get_rel_name(relid)), ObjectIdGetDatum(relid),
		bo_text(texts[0]), bo_text(texts[1]), bo_text(texts[2]), bo_text(texts[3]), bo_text(texts[4]),
		CStringGetTextDatum(timing), columns, columns
	}, false);
	bo_spi_end(&spi);

	/* As the caller, who owns the table. */
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	bo_create_triggers(table.name, source_id, "stock");
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	CommandCounterIncrement();
	bo_follow_tables(NULL);
	CommandCounterIncrement();
	bo_mapping_forget(source_id);
	say_hints(source_id);
	(void) bo_reconcile_stock(source_id, true);
	PG_RETURN_INT32(source_id);
}

/* note_stock(source_id): notes all of a table; for the event triggers. */
Datum
bo_note_stock(PG_FUNCTION_ARGS)
{
	bo_stock_note_all(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}
