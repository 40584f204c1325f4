/*
 * heap_table.c
 *		The tables whose rows are written without a statement: what is known of
 *		each, and whether it is what the extension created.
 *
 * What each looks like is in columns.h.  That a table looks so is kept until its
 * relcache entry changes.  A table that is not what the extension created, as
 * one that got a trigger, a rule, a policy, a column, a constraint or an index
 * of another kind, is left to the statement.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "store/columns.h"
#include "store/heap.h"
#include "store/heap_table.h"
#include "store/store.h"

#define COLUMN(constant, name, type, null, value) {#name, type, null, false, value},
#define COMPUTED_COLUMN(constant, name, type, null, value) {#name, type, null, true, value},
#define CONSTRAINT(name, condition, holds) {#name, condition},

/* What columns.h says of a table. */
#define COLUMNS(list) \
	.ncolumns = lengthof(((const Column[]) {list(COLUMN, COLUMN, COLUMN, COMPUTED_COLUMN)})), \
	.columns = (const Column[]) {list(COLUMN, COLUMN, COLUMN, COMPUTED_COLUMN)}
#define CHECKS(list) \
	.nchecks = lengthof(((const Check[]) {list(CONSTRAINT)})), \
	.checks = (const Check[]) {list(CONSTRAINT)}

Table		bo_heap_tables[] = {
	[BO_TABLE_ORDER_LINE] = {.name = "order_line", COLUMNS(ORDER_LINE_COLUMNS), CHECKS(ORDER_LINE_CHECKS)},
	[BO_TABLE_STOCK] = {.name = "stock",.remember = true, COLUMNS(STOCK_COLUMNS), CHECKS(STOCK_CHECKS)},
	[BO_TABLE_SALES_ORDER] = {.name = "sales_order", COLUMNS(SALES_ORDER_COLUMNS)},
	[BO_TABLE_ALLOCATION] = {.name = "allocation", COLUMNS(ALLOCATION_COLUMNS)},
	[BO_TABLE_EVENT] = {.name = "event", COLUMNS(EVENT_COLUMNS)},
	[BO_TABLE_PURCHASE_ORDER_LINE] = {.name = "purchase_order_line",
		.triggers = {"check_purchase_order_line", "lock_pending", "apply_purchases"}, COLUMNS(PURCHASE_ORDER_LINE_COLUMNS)},
	[BO_TABLE_WAITING_ORDER] = {.name = "waiting_order", COLUMNS(WAITING_ORDER_COLUMNS)},
};

/* LINE_CTID is the number of columns of the table with most of them. */
StaticAssertDecl(LINE_CTID <= MAX_COLUMNS, "a table has more columns than there is room for");

/* Invalidation only sets flags. */
static void
relation_changed(Oid relid)
{
	for (int i = 0; i < (int) lengthof(bo_heap_tables); i++)
		if (relid == InvalidOid || bo_heap_tables[i].relid == relid || bo_heap_tables[i].unusable != NULL)
			bo_heap_tables[i].valid = false;
}

void
bo_heap_init(void)
{
	bo_on_relation_change(relation_changed);
}

/* Has the table the columns that are written here, and no others? */
static bool
columns_fit(const Table *table, TupleDesc desc)
{
	if (desc->natts != table->ncolumns)
		return false;
	for (int i = 0; i < table->ncolumns; i++)
	{
		const Column *column = &table->columns[i];
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->atttypid != column->type || att->attnotnull == column->nullable || strcmp(NameStr(att->attname), column->name) != 0)
			return false;
	}
	return true;
}

/* Has it the CHECK constraints that are checked here, and no others? */
static bool
checks_fit(const Table *table, const TupleConstr *constr)
{
	int			n = constr != NULL ? constr->num_check : 0;

	for (int i = 0; i < n; i++)
	{
		int			j = 0;

		while (j < table->nchecks && strcmp(table->checks[j].name, constr->check[i].ccname) != 0)
			j++;
		if (j == table->nchecks)
			return false;
	}
	return n == table->nchecks;
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

/* Why only a statement can write the table's rows; NULL: nothing says so. */
static const char *
differs(Table *table, Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		return "it is no ordinary table";
	if (!triggers_fit(table, rel->trigdesc))
		return "it has a trigger";
	if (rel->rd_rules != NULL || rel->rd_rel->relrowsecurity)
		return "it has a rule or a policy";
	if (rel->rd_rel->relhassubclass)
		return "other tables inherit from it";
	if (!columns_fit(table, RelationGetDescr(rel)))
		return "its columns are others";
	if (!checks_fit(table, RelationGetDescr(rel)->constr))
		return "its check constraints are others";
	table->cx = AllocSetContextCreate(CacheMemoryContext, "backorder direct", ALLOCSET_SMALL_SIZES);
	return learn_indexes(table, rel) ? NULL : "it has an index of another kind";
}

/*
 * Why rows of the table, which is open, are left to statements; NULL: they are
 * not.  Looks again if the table changed since it was last asked.
 */
const char *
bo_heap_unusable(Table *table, Relation rel)
{
	if (table->valid && table->relid == RelationGetRelid(rel))
		return table->unusable;
	table->valid = true;		/* an invalidation meanwhile clears it again */
	table->unusable = "it could not be looked at";
	table->relid = RelationGetRelid(rel);
	if (table->cx != NULL)
	{
		/* Its executor state goes with it: it lies below. */
		MemoryContextDelete(table->cx);
		table->cx = NULL;
	}
	table->unusable = differs(table, rel);
	return table->unusable;
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
	if (bo_heap_unusable(table, rel) != NULL)
	{
		/* script/test looks for this line: see there. */
		ereport(DEBUG1, (errmsg_internal("rows of backorder.%s are written by statements: %s", table->name, table->unusable)));
		table->left++;
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

/* Opens the indexes that a written row is in, but for the one whose entries are deferred; -1: none are. */
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

/* Inserts the index entries of a written row, but for that of the deferred index; -1: all. */
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
	/* Updates of stock and sales_order never change an indexed key; this tells their indexes so. */
	if (update_indexes != BO_UPDATE_NO_INDEXES)
		bo_heap_insert_indexes(heap, slot, heap->table != &bo_heap_tables[BO_TABLE_ORDER_LINE], bo_only_summarizing(update_indexes), -1);
}
