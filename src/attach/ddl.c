/*
 * ddl.c
 *		The application's DDL on attached tables: event triggers that follow
 *		new names, give new partitions what old ones have, and note the orders,
 *		or the stock, in a partition that comes or goes.
 *
 * Nothing here makes DDL fail: what cannot be followed is left to verify().
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "utils/lsyscache.h"

#include "attach/attachment.h"
#include "base/base.h"
#include "capture/capture.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_column_names);
PG_FUNCTION_INFO_V1(bo_follow_ddl);
PG_FUNCTION_INFO_V1(bo_note_source);

/* A partition that came or went, and what it was one of. */
typedef struct PartitionChange
{
	Oid			partition;
	Oid			parent;
} PartitionChange;

static List *
with_ancestors(Oid parent)
{
	List	   *result = list_make1_oid(parent);

	return get_rel_relispartition(parent) ? list_concat(result, get_partition_ancestors(parent)) : result;
}

/* Notes the orders of a partition's rows for every source that captures one of its ancestors. */
static void
note_partition(void *arg)
{
	PartitionChange *change = arg;
	List	   *ancestors = with_ancestors(change->parent);
	SpiScope	spi;
	SPITupleTable *rows;
	uint64		n;

	bo_spi_begin(&spi);
	n = bo_run_statement(BO_READ_SOURCES, NULL, NULL, false);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		Mapping    *mapping;
		ListCell   *lc;

		mapping = bo_mapping_or_park(bo_result_int32(rows, i, 1));
		if (mapping == NULL || mapping->unreadable)
			continue;
		foreach(lc, ancestors)
			bo_note_rows(mapping, lfirst_oid(lc), change->partition);
	}
	bo_spi_end(&spi);
}

/* Notes all stock of every source that keeps it in one of the ancestors. */
static void
note_stock_partition(void *arg)
{
	List	   *ancestors = with_ancestors(((PartitionChange *) arg)->parent);
	SpiScope	spi;
	SPITupleTable *rows;
	uint64		n;

	bo_spi_begin(&spi);
	n = bo_run_statement(BO_READ_STOCK_SOURCES, NULL, NULL, false);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		Mapping    *mapping;
		int32		source_id;

		source_id = bo_result_int32(rows, i, 1);
		mapping = bo_stock_mapping(source_id);
		if (mapping != NULL && list_member_oid(ancestors, mapping->line.relid))
			bo_stock_note_all(source_id);
	}
	bo_spi_end(&spi);
}

/* Runs a part of following; an error is said and does not end the command, unless somebody wants it to end. */
static void
follow(void (*func) (void *arg), void *arg)
{
	ErrorData  *error = bo_try_any(func, arg);

	if (error == NULL)
		return;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES))
		ReThrowError(error);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("backorder could not follow the change of a table: %s", error->message),
			 errhint("See backorder.verify(), and attach the table again.")));
}

/* The same for a partition that is itself partitioned: leaf by leaf. */
static void
note_leaves(Oid partition, Oid parent)
{
	ListCell   *lc;
	PartitionChange change = {partition, parent};

	if (get_rel_relkind(partition) == RELKIND_PARTITIONED_TABLE)
	{
		foreach(lc, find_inheritance_children(partition, AccessShareLock))
			note_leaves(lfirst_oid(lc), parent);
	}
	else if (get_rel_relkind(partition) == RELKIND_RELATION)
		follow(note_partition, &change);
}

/*
 * Event trigger at the end of CREATE TABLE, ALTER TABLE and ALTER SCHEMA.
 */
Datum
bo_follow_ddl(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder_internal.follow_ddl() is called by event triggers only"),
				 errhint("It follows DDL on attached tables.")));
	if (IsA(data->parsetree, CreateStmt) && ((CreateStmt *) data->parsetree)->partbound == NULL)
		PG_RETURN_NULL();		/* a new table that is no partition concerns nobody */
	if (creating_extension && CurrentExtensionObject == get_extension_oid("backorder", true))
		PG_RETURN_NULL();		/* our own tables change, and are not yet what this library knows */
	follow(bo_follow_tables, NULL);
	if (IsA(data->parsetree, AlterTableStmt))
	{
		AlterTableStmt *stmt = (AlterTableStmt *) data->parsetree;
		Oid			parent = RangeVarGetRelid(stmt->relation, NoLock, true);
		ListCell   *lc;

		foreach(lc, stmt->cmds)
		{
			AlterTableCmd *cmd = lfirst(lc);
			Oid			partition;

			if ((cmd->subtype != AT_AttachPartition && cmd->subtype != AT_DetachPartition) || !OidIsValid(parent))
				continue;
			partition = RangeVarGetRelid(((PartitionCmd *) cmd->def)->name, NoLock, true);
			if (!OidIsValid(partition))
				continue;
			note_leaves(partition, parent);
			follow(note_stock_partition, &(PartitionChange) {partition, parent});
			if (cmd->subtype == AT_DetachPartition)
				follow(bo_follow_tables, &partition);
		}
	}
	PG_RETURN_NULL();
}

/* note_source(source_id): notes every recorded order of a source. */
Datum
bo_note_source(PG_FUNCTION_ARGS)
{
	int32		source_id = PG_GETARG_INT32(0);
	Mapping    *mapping = bo_mapping_or_park(source_id);

	bo_note_recorded(mapping ? mapping : bo_source_identity(source_id));
	bo_queue_commit_work();
	PG_RETURN_VOID();
}

/* column_names(relid): the columns of a table by number, an empty text for one that was dropped; NULL where there is no table any more. */
Datum
bo_column_names(PG_FUNCTION_ARGS)
{
	Relation	rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	TupleDesc	desc;
	Datum	   *names;

	if (rel == NULL)
		PG_RETURN_NULL();
	desc = RelationGetDescr(rel);
	names = palloc(sizeof(Datum) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		names[i] = CStringGetTextDatum(att->attisdropped ? "" : NameStr(att->attname));
	}
	relation_close(rel, NoLock);
	PG_RETURN_ARRAYTYPE_P(construct_array(names, desc->natts, TEXTOID, -1, false, TYPALIGN_INT));
}
