/*
 * watch.c
 *		Tables that are neither line nor header and whose changes concern an
 *		order: fulfilments, links, units.
 *
 * attach() stores for each how a row leads to order keys: as a FROM item over
 * the row, which is called "watched" (bo_prepare_watch).  Where these are
 * columns of the row itself they are read from it; else the query is run, as
 * the owner of the attached tables.
 */
#include "postgres.h"

#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"
#include "store/store.h"

typedef struct Watched
{
	MappedTable table;			/* with the columns that matter; key[]: where the row has the order key itself */
	Oid			row_type;
	char	   *query;
	SPIPlanPtr	plan;
} Watched;

/* The table's part of a mapping; NULL where it does not watch it. */
static Watched *
find_watched(Mapping *mapping, Oid relid)
{
	ListCell   *lc;

	foreach(lc, mapping->watched)
		if (((Watched *) lfirst(lc))->table.relid == relid)
			return lfirst(lc);
	return NULL;
}

/* Does the mapping watch this table? */
bool
bo_watches(Mapping *mapping, Oid relid)
{
	return find_watched(mapping, relid) != NULL;
}

/* A watched table by one of the attached sources, by its OID. */
MappedTable *
bo_watched_table(Mapping *mapping, Oid relid)
{
	Watched    *watched = find_watched(mapping, relid);

	return watched ? &watched->table : NULL;
}

/* Frees the plans, which are not in the mapping's memory. */
void
bo_watch_free(Mapping *mapping)
{
	ListCell   *lc;

	foreach(lc, mapping->watched)
		if (((Watched *) lfirst(lc))->plan != NULL)
			SPI_freeplan(((Watched *) lfirst(lc))->plan);
	mapping->watched = NIL;
}

/* Finds out whether the order key is made of columns of the row: SELECT watched.a, watched.b and nothing else, of the key's types. */
static void
find_columns(Mapping *mapping, Watched *watched, Query *query)
{
	RangeTblEntry *keys = list_nth(query->rtable, 1);
	Query	   *sub = keys->subquery;
	ListCell   *lc;
	int			n = 0;

	if (keys->rtekind != RTE_SUBQUERY || sub->setOperations || sub->cteList || sub->rtable || sub->hasAggs || sub->groupClause ||
		sub->havingQual || sub->distinctClause || sub->limitCount || sub->limitOffset || sub->jointree->quals)
		return;
	foreach(lc, sub->targetList)
	{
		Var		   *var = (Var *) ((TargetEntry *) lfirst(lc))->expr;

		if (n == mapping->line.nkeys || !IsA(var, Var) || var->varlevelsup != 1 || var->varno != 1 || var->varattno <= 0 ||
			getBaseType(var->vartype) != mapping->line.key_type[n])
			return;
		watched->table.key[n++] = var->varattno;
	}
	watched->table.nkeys = n;
}

/*
 * Reads what a mapping watches.  A table that does not exist any more is left
 * out.  Expects an SPI scope and the mapping's memory context.
 */
void
bo_watch_load(Mapping *mapping)
{
	Datum		arg = Int32GetDatum(mapping->source_id);
	MemoryContext cx = CurrentMemoryContext;
	SPITupleTable *rows;
	uint64		n;

	PushActiveSnapshot(GetLatestSnapshot());
	/* Mostly there is nothing, and to find that out costs less than the statement. */
	if (bo_read_source_row("source_watch", "source_watch_pkey", mapping->tenant, mapping->source_id, NULL, 0) == NULL)
		n = 0;
	else
		n = bo_run_statement(BO_READ_WATCHED, NULL, &arg, true);
	PopActiveSnapshot();
	MemoryContextSwitchTo(cx);	/* SPI leaves its own */
	rows = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		Watched    *watched;
		Oid			cached;
		Oid			relid;
		bool		isnull;
		StringInfoData s;
		Datum		columns;
		char	   *keys;
		Query	   *query;
		ListCell   *lc;

		cached = DatumGetObjectId(bo_result(rows, i, 3, &isnull));
		relid = bo_resolve_table(cached, bo_result_text(rows, i, 1), bo_result_text(rows, i, 2), mapping->source_id);
		if (!OidIsValid(relid))
			continue;
		columns = bo_result(rows, i, 4, &isnull);
		keys = bo_result_text(rows, i, 5);
		watched = palloc0(sizeof(Watched));
		bo_mapped_table(&watched->table, relid, DatumGetArrayTypePCopy(columns),
						relid == cached ? NULL : DatumGetArrayTypePCopy(bo_result(rows, i, 6, &isnull)));
		watched->row_type = get_rel_type_id(relid);

		initStringInfo(&s);
		appendStringInfo(&s, "SELECT NULL FROM %s%s", bo_aliased("watched", &watched->table), keys);
		query = bo_mapping_analyze(mapping, s.data);
		find_columns(mapping, watched, query);
		/* What the mapping reads of it, and what leads to the keys; all where the mapping reads it by way of a view or function. */
		watched->table.used = bms_copy(bo_mapping_columns_read(mapping, relid));
		if (watched->table.used == NULL)
			watched->table.used = bms_make_singleton(0);
		/* The query marks the columns of the row on the outer entry, which "SELECT NULL" leaves free of others. */
		foreach(lc, bo_tables_read(query))
			if (((TableRead *) lfirst(lc))->relid == relid)
				watched->table.used = bms_add_members(watched->table.used, ((TableRead *) lfirst(lc))->used);

		resetStringInfo(&s);
		appendStringInfoString(&s, "SELECT ");
		for (int k = 0; k < mapping->line.nkeys; k++)
			appendStringInfo(&s, "%skeys.k%d::%s", k ? ", " : "", k + 1, format_type_be_qualified(mapping->line.key_type[k]));
		appendStringInfo(&s, " FROM (SELECT ($1).*) AS %s%s", bo_alias("watched", &watched->table), keys);
		watched->query = s.data;
		mapping->watched = lappend(mapping->watched, watched);
	}
	if (rows)
		SPI_freetuptable(rows);
}

/* Calls func for each order that a row of a watched table, or of a partition of it, leads to. */
void
bo_watch_keys(Mapping *mapping, Oid relid, TupleTableSlot *slot, Relation rel, OrderKeyFunc func, void *arg)
{
	Watched    *watched = find_watched(mapping, relid);
	SpiScope	spi;
	SPITupleTable *rows;
	Datum		row = bo_row_of_table(slot, rel, relid);
	uint64		n;

	bo_spi_begin(&spi);
	bo_mapping_lock(mapping);
	PushActiveSnapshot(GetTransactionSnapshot());
	bo_mapping_run(mapping, &watched->plan, watched->query, 1, &watched->row_type, &row, false, psprintf("watch of %s", watched->table.name));
	PopActiveSnapshot();
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		Datum		keys[BO_MAX_KEYS];
		bool		isnull = false;

		for (int k = 0; k < mapping->line.nkeys && !isnull; k++)
			keys[k] = heap_getattr(rows->vals[i], k + 1, rows->tupdesc, &isnull);
		if (!isnull)
			func(mapping, keys, arg);
	}
	bo_spi_end(&spi);
}
