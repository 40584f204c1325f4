/*
 * triggers.c
 *		The triggers on attached tables.
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "mapping/mapping.h"
#include "store/store.h"

Datum
bo_name_array(List *names)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(list_length(names), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, names)
		datums[n++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(datums, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The names that a mapping uses for the columns of a table, by number. */
Datum
bo_column_array(const MappedTable *table)
{
	List	   *names = NIL;

	for (int i = 0; i < table->natts; i++)
		names = lappend(names, table->alias[i] ? table->alias[i] : "");
	return bo_name_array(names);
}

/* ---------- triggers ---------- */

static void
run_ddl(const char *sql)
{
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not run %s", sql);
}

/* The triggers of one source: a table may have those of others too. */
static void
drop_triggers(const char *table, int32 source_id)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	run_ddl(psprintf("DROP TRIGGER IF EXISTS backorder_capture_%d ON %s", source_id, table));
	run_ddl(psprintf("DROP TRIGGER IF EXISTS backorder_capture_%d_statement ON %s", source_id, table));
	AtEOXact_GUC(false, level);
}

/* The triggers of a source on a table and its partitions go, if there is the table. */
void
bo_release_table(Oid relid, int32 source_id)
{
	char	   *name = OidIsValid(relid) ? get_rel_name(relid) : NULL;
	ListCell   *lc;

	if (name == NULL)
		return;
	drop_triggers(quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name), source_id);
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		foreach(lc, find_inheritance_children(relid, NoLock))
			bo_release_table(lfirst_oid(lc), source_id);
}

/* The capture triggers of a source on a table, in a role.  As its owner, in SPI; the table is locked. */
void
bo_create_triggers(const char *table, int32 source_id, const char *role)
{
	drop_triggers(table, source_id);
	run_ddl(psprintf("CREATE TRIGGER backorder_capture_%d AFTER INSERT OR UPDATE OR DELETE ON %s "
					 "FOR EACH ROW EXECUTE FUNCTION backorder_internal.capture('%d', '%s')", source_id, table, source_id, role));
	run_ddl(psprintf("CREATE TRIGGER backorder_capture_%d_statement AFTER TRUNCATE ON %s "
					 "FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.capture('%d', '%s')", source_id, table, source_id, role));
	/* So DROP EXTENSION takes them along. */
	run_ddl(psprintf("ALTER TRIGGER backorder_capture_%d ON %s DEPENDS ON EXTENSION backorder", source_id, table));
	run_ddl(psprintf("ALTER TRIGGER backorder_capture_%d_statement ON %s DEPENDS ON EXTENSION backorder", source_id, table));
}

/* The tables that a source watched lose its triggers. */
void
bo_release_watched(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	SPITupleTable *rows;
	uint64		n = bo_run_statement(BO_READ_WATCHED, NULL, &arg, false);

	rows = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;

		bo_release_table(bo_resolve_table(DatumGetObjectId(bo_result(rows, i, 3, &isnull)), bo_result_text(rows, i, 1), bo_result_text(rows, i, 2), source_id), source_id);
	}
}

/* Creates or drops what partitions of attached tables need; arg: OID of a table that is no partition any more, or NULL. */
void
bo_follow_tables(void *arg)
{
	SpiScope	spi;
	Datum		detached = ObjectIdGetDatum(arg ? *(Oid *) arg : InvalidOid);

	bo_spi_begin(&spi);
	(void) bo_run_statement(BO_FOLLOW_TABLES, NULL, &detached, false);
	bo_spi_end(&spi);
}
