/*
 * heap_table.c
 *		The tables whose rows are written without a statement: what is known of
 *		each, and whether it is what the extension created.
 *
 * That is kept until the table's relcache entry changes.  A table that is not
 * what the extension created, as one that got a trigger, a rule, a policy, a
 * column, a constraint or an index of another kind, is left to the statement.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "store/heap.h"
#include "store/heap_table.h"
#include "store/store.h"

Table		bo_heap_tables[] = {
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
relation_changed(Oid relid)
{
	for (int i = 0; i < (int) lengthof(bo_heap_tables); i++)
		if (relid == InvalidOid || bo_heap_tables[i].relid == relid || !bo_heap_tables[i].usable)
			bo_heap_tables[i].valid = false;
}

void
bo_heap_init(void)
{
	bo_on_relation_change(relation_changed);
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

static bool
is_not_builtin(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

static bool
find_not_builtin(Node *node, void *context)
{
	return node != NULL && (check_functions_in_node(node, is_not_builtin, context) || expression_tree_walker(node, find_not_builtin, context));
}

/* Do expressions, of an index, call functions that are not PostgreSQL's own? */
static bool
runs_code(Node *expressions)
{
	return find_not_builtin(expressions, NULL);
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
	table->deferred_index = -1;
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
				table->deferred_index = table->nindexes;
			/* Somebody's own index, which runs code of theirs. */
			table->pin = table->pin || runs_code((Node *) info->ii_Expressions) || runs_code((Node *) info->ii_Predicate);
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
BoHeap *
bo_heap_open(BoTable which)
{
	Table	   *table = &bo_heap_tables[which];
	Relation	rel;
	BoHeap	   *heap;

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
	heap = palloc(sizeof(BoHeap));
	heap->table = table;
	heap->rel = rel;
	memset(heap->indexes, 0, sizeof(heap->indexes)); /* each is opened when it is needed */
	table->rri->ri_RelationDesc = rel;
	table->rri->ri_NumIndices = table->nindexes;
	table->rri->ri_IndexRelationDescs = heap->indexes;
	return heap;
}

/* Is a row in an index, by the index's predicate?  The caller resets the expressions' memory. */
bool
bo_is_in_index(const BoHeap *heap, int which, TupleTableSlot *slot)
{
	EState	   *estate = heap->table->estate;
	ExprContext *context = GetPerTupleExprContext(estate);
	IndexInfo  *info = heap->table->rri->ri_IndexRelationInfo[which];

	if (info->ii_Predicate == NIL)
		return true;
	if (info->ii_PredicateState == NULL)
		info->ii_PredicateState = ExecPrepareQual(info->ii_Predicate, estate);
	context->ecxt_scantuple = slot;
	return ExecQual(info->ii_PredicateState, context);
}

/* One of the table's indexes, open. */
Relation
bo_index(BoHeap *heap, int which)
{
	if (heap->indexes[which] == NULL)
		heap->indexes[which] = index_open(heap->table->indexes[which], RowExclusiveLock);
	return heap->indexes[which];
}

/* Opens the indexes that a row which is written is in, but for the one whose entries are late; -1: none are. */
void
bo_open_indexes(BoHeap *heap, TupleTableSlot *slot, int deferred)
{
	for (int i = 0; i < heap->table->nindexes; i++)
		if (heap->indexes[i] == NULL && i != deferred && bo_is_in_index(heap, i, slot))
			(void) bo_index(heap, i);
}

void
bo_heap_close(BoHeap *heap)
{
	for (int i = 0; i < heap->table->nindexes; i++)
		if (heap->indexes[i] != NULL)
			index_close(heap->indexes[i], NoLock);
	heap->table->rri->ri_RelationDesc = NULL;
	heap->table->rri->ri_IndexRelationDescs = NULL;
	table_close(heap->rel, NoLock);
	pfree(heap);
}

/* Inserts the index entries of a row that was written, but for that of the index number late; -1: all. */
void
bo_heap_insert_indexes(BoHeap *heap, TupleTableSlot *slot, bool update, bool summarizing, int deferred)
{
	Table	   *table = heap->table;

	bo_open_indexes(heap, slot, deferred);
	(void) bo_insert_index_tuples(table->rri, slot, table->estate, update, summarizing);
	ResetPerTupleExprContext(table->estate);
}

/* ---------- updating ---------- */

/* As the executor does. */
void
bo_raise_concurrent(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update")));
}

/* Replaces the row at tid, which is locked, by the one in the slot. */
void
bo_heap_update_row(BoHeap *heap, ItemPointer tid, TupleTableSlot *slot, CommandId cid)
{
	TM_FailureData failure;
	TM_Result	result;
	LockTupleMode lock;
	BoUpdateIndexes update_indexes;

	result = table_tuple_update(heap->rel, tid, slot, cid, GetActiveSnapshot(), InvalidSnapshot, true,
								&failure, &lock, &update_indexes);
	if (result == TM_Updated || result == TM_Deleted)
		bo_raise_concurrent();
	if (result != TM_Ok)
		elog(ERROR, "row of backorder.%s cannot be updated: %d", heap->table->name, result);
	/* Updates of stock and sales_order never change an indexed key: tells the indexes so. */
	if (update_indexes != BO_UPDATE_NO_INDEXES)
		bo_heap_insert_indexes(heap, slot, heap->table != &bo_heap_tables[BO_TABLE_ORDER_LINE], bo_only_summarizing(update_indexes), -1);
}
