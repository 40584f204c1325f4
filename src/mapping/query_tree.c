/*
 * query_tree.c
 *		What an analyzed query reads, and what it depends on.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "mapping/building.h"
#include "mapping/mapping.h"

/* ---------- what a query reads ---------- */

static bool
find_reads(Node *node, List **reads)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst(lc);
			TableRead  *read = NULL;
			ListCell   *rc;
			int			bit = -1;

			if (rte->rtekind != RTE_RELATION)
				continue;
			foreach(rc, *reads)
				if (((TableRead *) lfirst(rc))->relid == rte->relid)
					read = lfirst(rc);
			if (read == NULL)
			{
				read = palloc0(sizeof(TableRead));
				read->relid = rte->relid;
				*reads = lappend(*reads, read);
			}
			while ((bit = bms_next_member(bo_selected_columns(query, rte), bit)) >= 0)
				read->used = bms_add_member(read->used, Max(bit + FirstLowInvalidHeapAttributeNumber, 0));
		}
		return query_tree_walker(query, find_reads, reads, 0);
	}
	return expression_tree_walker(node, find_reads, reads);
}

/* A virtual generated column is not in the row: it changes with columns that the query does not name. */
static void
add_virtual_columns(TableRead *read)
{
	Relation	rel = relation_open(read->relid, AccessShareLock);
	int			attnum = 0;

	while ((attnum = bms_next_member(read->used, attnum)) > 0)
		if (bo_is_virtual(TupleDescAttr(RelationGetDescr(rel), attnum - 1)))
			read->used = bms_add_member(read->used, 0);
	relation_close(rel, NoLock);
}

/*
 * The tables that an analyzed query names, subqueries included, and which of
 * their columns it reads (0: the whole row), of TableRead.  What stands behind
 * a view or in a function is not seen.
 */
List *
bo_tables_read(Query *query)
{
	List	   *reads = NIL;
	ListCell   *lc;

	(void) find_reads((Node *) query, &reads);
	foreach(lc, reads)
		add_virtual_columns(lfirst(lc));
	return reads;
}

static bool
find_call(Node *node, void *context)
{
	Oid			function = InvalidOid;

	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr))
		function = ((FuncExpr *) node)->funcid;
	else if (IsA(node, OpExpr) || IsA(node, DistinctExpr) || IsA(node, NullIfExpr))
	{
		set_opfuncid((OpExpr *) node);
		function = ((OpExpr *) node)->opfuncid;
	}
	else if (IsA(node, ScalarArrayOpExpr))
	{
		set_sa_opfuncid((ScalarArrayOpExpr *) node);
		function = ((ScalarArrayOpExpr *) node)->opfuncid;
	}
	/* evaluating() is ours. */
	if (function >= FirstNormalObjectId && get_func_namespace(function) != *(Oid *) context)
		return true;
	return expression_tree_walker(node, find_call, context);
}

/* Does an analyzed query call functions of the application's, which may read what they like? Subqueries are not looked into. */
bool
bo_calls_functions(Query *query)
{
	Oid			ours = get_namespace_oid("backorder_internal", false);

	return find_call((Node *) query->targetList, &ours) || find_call((Node *) query->jointree, &ours);
}

/* May the result of a function depend on settings? */
static bool
reads_settings(Oid function, void *context)
{
	Oid		   *types;
	int			n;
	bool		result = get_func_rettype(function) == CSTRINGOID;

	/* evaluating() is ours. */
	if (get_func_namespace(function) == *(Oid *) context)
		return false;
	/* Some that write values as text, or read them, pass for immutable; so does this one. */
	(void) get_func_signature(function, &types, &n);
	for (int i = 0; i < n; i++)
		result = result || types[i] == CSTRINGOID;
	return result || func_volatile(function) != PROVOLATILE_IMMUTABLE || function == F_AGE_TIMESTAMPTZ_TIMESTAMPTZ;
}

/* Finds whatever may depend on settings; nodes that are not known here may. */
static bool
find_setting(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_List:
		case T_TargetEntry:
		case T_Var:
		case T_Const:
		case T_RelabelType:
		case T_BoolExpr:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_NullTest:
		case T_BooleanTest:
			break;
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
			if (check_functions_in_node(node, reads_settings, context))
				return true;
			break;
		case T_CoerceViaIO:
			if (bo_key_depends_on_settings(exprType((Node *) ((CoerceViaIO *) node)->arg)) || bo_key_depends_on_settings(exprType(node)))
				return true;
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, find_setting, context);
}

/* May what analyzed expressions say depend on settings, as DateStyle? */
bool
bo_depends_on_settings(Node *expressions)
{
	Oid			ours = get_namespace_oid("backorder_internal", false);

	return find_setting(expressions, &ours);
}
