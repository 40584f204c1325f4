/*
 * direct_table.c
 *		The tables whose rows are written without a statement: what is known of
 *		each, and whether it is what the extension created.
 *
 * That is kept until the table's relcache entry changes.  A table that is not
 * what the extension created, as one that got a trigger, a rule, a policy, a
 * column, a constraint or an index of another kind, is left to the statement.
 */
#include "direct_table.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

Table		bo_direct_tables[] = {
	[BO_TABLE_ORDER_LINE] = {.name = "order_line",.nchecks = 4,
		.nullable = {"requested_at", "first_promised_at", "promised_at", "customer", "first_shipped", "folded", "backordered"},.columns = {
			[LINE_LINE_ID] = {"line_id", INT8OID}, [LINE_QUEUED_AT] = {"queued_at", TIMESTAMPTZOID}, [LINE_SOURCE_ID] = {"source_id", INT4OID},
			[LINE_PRIORITY] = {"priority", INT4OID}, [LINE_LIVE] = {"live", BOOLOID}, [LINE_DELETED] = {"deleted", BOOLOID}, [LINE_HELD] = {"held", BOOLOID},
			[LINE_TENANT] = {"tenant", TEXTOID}, [LINE_ORDER_KEY] = {"order_key", TEXTOID}, [LINE_LINE_KEY] = {"line_key", TEXTOID},
			[LINE_ITEM] = {"item", TEXTOID}, [LINE_LOCATION] = {"location", TEXTOID}, [LINE_ORDERED] = {"ordered", NUMERICOID},
			[LINE_CANCELLED] = {"cancelled", NUMERICOID}, [LINE_AUTO_CANCELLED] = {"auto_cancelled", NUMERICOID}, [LINE_SHIPPED] = {"shipped", NUMERICOID},
			[LINE_PICKED] = {"picked", NUMERICOID}, [LINE_ALLOCATED] = {"allocated", NUMERICOID}, [LINE_FIRST_ALLOCATED] = {"first_allocated", NUMERICOID},
			[LINE_BACKORDERED] = {"backordered", NUMERICOID}, [LINE_FULFILMENT] = {"fulfilment", TEXTOID}, [LINE_CUSTOMER] = {"customer", TEXTOID},
			[LINE_REQUESTED_AT] = {"requested_at", DATEOID}, [LINE_FIRST_PROMISED_AT] = {"first_promised_at", DATEOID},
			[LINE_PROMISED_AT] = {"promised_at", DATEOID},
			{"first_shipped", NUMERICOID}, {"folded", NUMERICOID}
	}},
	[BO_TABLE_STOCK] = {.name = "stock",.nchecks = 7,.remember = true,.nullable = {"available", "stock_source_id"},.columns = {
			{"tenant", TEXTOID}, {"item", TEXTOID}, {"location", TEXTOID}, {"on_hand", NUMERICOID}, {"unavailable", NUMERICOID},
			{"allocated", NUMERICOID}, {"backordered", NUMERICOID}, {"backordered_held", NUMERICOID}, {"on_order", NUMERICOID},
			{"available", NUMERICOID}, {"promises_stale", BOOLOID},
			{"stock_source_id", INT4OID}, {"version", INT8OID}
	}},
	[BO_TABLE_SALES_ORDER] = {.name = "sales_order",.columns = {
			{"tenant", TEXTOID}, {"source_id", INT4OID}, {"order_key", TEXTOID}, {"revision", INT8OID}
	}},
	[BO_TABLE_ALLOCATION] = {.name = "allocation",.nullable = {"movement_id", "po_id", "po_line_no"},.columns = {
			{"tenant", TEXTOID}, {"allocation_id", INT8OID}, {"line_id", INT8OID}, {"item", TEXTOID}, {"location", TEXTOID},
			{"quantity", NUMERICOID}, {"cause", TEXTOID}, {"movement_id", INT8OID}, {"po_id", INT8OID}, {"po_line_no", INT4OID},
			{"allocated_at", TIMESTAMPTZOID}
	}},
	[BO_TABLE_EVENT] = {.name = "event",.nullable = {"source_id", "customer"},.columns = {
			{"tenant", TEXTOID}, {"id", INT8OID}, {"aggregatetype", TEXTOID}, {"aggregateid", TEXTOID}, {"type", TEXTOID},
			{"payload", JSONBOID}, {"source_id", INT4OID}, {"customer", TEXTOID}, {"created_at", TIMESTAMPTZOID},
			{"generation", INT8OID}, {"xid", XID8OID}
	}},
	[BO_TABLE_PURCHASE_ORDER_LINE] = {.name = "purchase_order_line",.nullable = {"unit_cost", "expected_at", "planned", "applied_at"},
		.triggers = {"check_purchase_order_line", "lock_pending", "apply_purchases"},.columns = {
			{"tenant", TEXTOID}, {"po_id", INT8OID}, {"line_no", INT4OID}, {"item", TEXTOID}, {"ordered", NUMERICOID},
			{"cancelled", NUMERICOID}, {"unit_cost", NUMERICOID}, {"expected_at", DATEOID}, {"planned", NUMERICOID},
			{"for_backorders", NUMERICOID}, {"for_reorder", NUMERICOID}, {"for_rounding", NUMERICOID}, {"applied_at", TIMESTAMPTZOID}
	}},
	[BO_TABLE_WAITING_ORDER] = {.name = "waiting_order",.nullable = {"customer"},.columns = {
			{"tenant", TEXTOID}, {"source_id", INT4OID}, {"order_key", TEXTOID}, {"customer", TEXTOID}, {"since", TIMESTAMPTZOID}, {"last_notified", JSONBOID}
	}},
};

/* Invalidation only sets flags. */
static void
relation_changed(Datum arg, Oid relid)
{
	for (int i = 0; i < (int) lengthof(bo_direct_tables); i++)
		if (relid == InvalidOid || bo_direct_tables[i].relid == relid || !bo_direct_tables[i].usable)
			bo_direct_tables[i].valid = false;
}

void
bo_direct_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}

static bool
may_be_null(const Table *table, const char *column)
{
	for (int i = 0; i < (int) lengthof(table->nullable) && table->nullable[i] != NULL; i++)
		if (strcmp(table->nullable[i], column) == 0)
			return true;
	return false;
}

/* Has the table the columns that are written here, with their constraints, and no others? */
static bool
columns_fit(Table *table, TupleDesc desc)
{
	int			n = 0;

	while (n < MAX_COLUMNS && table->columns[n].name != NULL)
		n++;
	table->ncolumns = n;
	if (desc->natts != n || (desc->constr ? desc->constr->num_check : 0) != table->nchecks)
		return false;
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->atttypid != table->columns[i].type || att->attnotnull == may_be_null(table, table->columns[i].name) || strcmp(NameStr(att->attname), table->columns[i].name) != 0)
			return false;
	}
	return true;
}

/* Are all triggers of the table the extension's own? */
static bool
triggers_fit(const Table *table, const TriggerDesc *triggers)
{
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		bool		own = false;

		for (int j = 0; j < (int) lengthof(table->triggers) && table->triggers[j] != NULL && !own; j++)
			own = triggers->triggers[i].tgfoid == bo_function(table->triggers[j]);
		if (!own)
			return false;
	}
	return true;
}

/*
 * Learns the indexes of a table.  False for what only a statement can keep:
 * an index that is no plain btree keeps state of its own between rows.
 */
static bool
learn_indexes(Table *table, Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	MemoryContext old = MemoryContextSwitchTo(table->cx);
	bool		fit = list_length(indexes) <= MAX_INDEXES;
	ListCell   *lc;

	table->estate = CreateExecutorState();
	table->rri = makeNode(ResultRelInfo);
	table->rri->ri_IndexRelationInfo = palloc0(sizeof(IndexInfo *) * MAX_INDEXES);
	table->nindexes = 0;
	table->late_index = -1;
	table->pin = false;
	table->primary_key = InvalidOid;
	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		fit = fit && index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indimmediate && !index->rd_index->indisexclusion;
		if (fit)
		{
			IndexInfo  *info = BuildIndexInfo(index);

			if (strcmp(RelationGetRelationName(index), "order_line_allocated_idx") == 0 && info->ii_ReadyForInserts && !info->ii_Unique &&
				info->ii_Predicate != NIL && info->ii_NumIndexAttrs == 1 && index->rd_opcintype[0] == INT8OID)
				table->late_index = table->nindexes;
			/* Somebody's own index, which runs code of theirs. */
			table->pin = table->pin || bo_runs_code((Node *) info->ii_Expressions) || bo_runs_code((Node *) info->ii_Predicate);
			for (int i = 0; i < info->ii_NumIndexKeyAttrs; i++)
				table->pin = table->pin || index->rd_opfamily[i] >= FirstNormalObjectId;
			table->rri->ri_IndexRelationInfo[table->nindexes] = info;
			table->indexes[table->nindexes++] = lfirst_oid(lc);
			if (index->rd_index->indisprimary)
				table->primary_key = lfirst_oid(lc);
		}
		index_close(index, NoLock);
	}
	MemoryContextSwitchTo(old);
	return fit && OidIsValid(table->primary_key);
}

static bool
learn(Table *table, Relation rel)
{
	table->valid = true;		/* an invalidation meanwhile clears it again */
	table->usable = false;
	table->relid = RelationGetRelid(rel);
	if (table->cx != NULL)
	{
		/* Its executor state goes with it: it lies below. */
		MemoryContextDelete(table->cx);
		table->cx = NULL;
	}
	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->rd_rel->relam != HEAP_TABLE_AM_OID || !triggers_fit(table, rel->trigdesc) || rel->rd_rules != NULL ||
		rel->rd_rel->relrowsecurity || rel->rd_rel->relhassubclass || !columns_fit(table, RelationGetDescr(rel)))
		return false;
	table->cx = AllocSetContextCreate(CacheMemoryContext, "backorder direct", ALLOCSET_SMALL_SIZES);
	table->usable = learn_indexes(table, rel);
	return table->usable;
}

/*
 * Opens a table for writing, with the lock that a statement would take, and
 * refuses to in a transaction that only reads; NULL where it is left to the
 * statement.
 */
BoDirect *
bo_direct_open(BoTable which)
{
	Table	   *table = &bo_direct_tables[which];
	Relation	rel;
	BoDirect   *direct;

	PreventCommandIfReadOnly("UPDATE");
	BO_POINT("direct");
	rel = table_open(bo_relation(table->name), RowExclusiveLock);
	if (!table->valid || table->relid != RelationGetRelid(rel))
	{
		table->valid = false;
		(void) learn(table, rel);
	}
	if (!table->usable)
	{
		ereport(DEBUG1, (errmsg_internal("rows of backorder.%s are written by statements", table->name)));
		table_close(rel, NoLock);
		return NULL;
	}
	if (table->pin)
		bo_pin();
	direct = palloc(sizeof(BoDirect));
	direct->table = table;
	direct->rel = rel;
	memset(direct->indexes, 0, sizeof(direct->indexes));	/* each is opened when it is needed */
	table->rri->ri_RelationDesc = rel;
	table->rri->ri_NumIndices = table->nindexes;
	table->rri->ri_IndexRelationDescs = direct->indexes;
	return direct;
}

/* Is a row in an index, by the index's predicate?  The caller resets the expressions' memory. */
bool
bo_is_in_index(const BoDirect *direct, int which, TupleTableSlot *slot)
{
	EState	   *estate = direct->table->estate;
	ExprContext *context = GetPerTupleExprContext(estate);
	IndexInfo  *info = direct->table->rri->ri_IndexRelationInfo[which];

	if (info->ii_Predicate == NIL)
		return true;
	if (info->ii_PredicateState == NULL)
		info->ii_PredicateState = ExecPrepareQual(info->ii_Predicate, estate);
	context->ecxt_scantuple = slot;
	return ExecQual(info->ii_PredicateState, context);
}

/* One of the table's indexes, open. */
Relation
bo_index(BoDirect *direct, int which)
{
	if (direct->indexes[which] == NULL)
		direct->indexes[which] = index_open(direct->table->indexes[which], RowExclusiveLock);
	return direct->indexes[which];
}

/* Opens the indexes that a row which is written is in, but for the one whose entries are late; -1: none are. */
void
bo_open_indexes(BoDirect *direct, TupleTableSlot *slot, int late)
{
	for (int i = 0; i < direct->table->nindexes; i++)
		if (direct->indexes[i] == NULL && i != late && bo_is_in_index(direct, i, slot))
			(void) bo_index(direct, i);
}

void
bo_direct_close(BoDirect *direct)
{
	for (int i = 0; i < direct->table->nindexes; i++)
		if (direct->indexes[i] != NULL)
			index_close(direct->indexes[i], NoLock);
	direct->table->rri->ri_RelationDesc = NULL;
	direct->table->rri->ri_IndexRelationDescs = NULL;
	table_close(direct->rel, NoLock);
	pfree(direct);
}
