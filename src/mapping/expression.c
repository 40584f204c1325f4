/*
 * expression.c
 *		What attach() is given as SQL: expressions, joins, queries of watched
 *		tables. Parsed under the caller's search_path, checked, and deparsed
 *		with every name qualified.
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"

static bool
depends_on_time(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction))
	{
		switch (((SQLValueFunction *) node)->op)
		{
			case SVFOP_CURRENT_DATE:
			case SVFOP_CURRENT_TIME:
			case SVFOP_CURRENT_TIME_N:
			case SVFOP_CURRENT_TIMESTAMP:
			case SVFOP_CURRENT_TIMESTAMP_N:
			case SVFOP_LOCALTIME:
			case SVFOP_LOCALTIME_N:
			case SVFOP_LOCALTIMESTAMP:
			case SVFOP_LOCALTIMESTAMP_N:
				return true;
			default:
				break;
		}
	}
	if (IsA(node, FuncExpr))
	{
		char	   *name = get_func_name(((FuncExpr *) node)->funcid);
		static const char *const clocks[] = {"now", "transaction_timestamp", "statement_timestamp"};

		if (get_func_namespace(((FuncExpr *) node)->funcid) == PG_CATALOG_NAMESPACE && name != NULL)
		{
			for (int i = 0; i < (int) lengthof(clocks); i++)
				if (strcmp(name, clocks[i]) == 0)
					return true;
			if (strcmp(name, "age") == 0 && list_length(((FuncExpr *) node)->args) == 1)
				return true;
		}
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, depends_on_time, context, 0);
	return expression_tree_walker(node, depends_on_time, context);
}

/* What a mapped expression may be. */
#define OVER_LINE "Give a column, or one SQL expression over line, header and joins."

#define OVER_ROW "Give a column, or one SQL expression over the row."

/* The raw expression of a mapping: one, and nothing else. */
static Node *
parse_expression(const char *name, const char *text, const char *hint)
{
	List	   *list = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *stmt = (SelectStmt *) ((RawStmt *) linitial(list))->stmt;
	ResTarget  *target;

	if (!IsA(stmt, SelectStmt) || stmt->op != SETOP_NONE || list_length(stmt->targetList) != 1 ||
		stmt->distinctClause || stmt->intoClause || stmt->fromClause || stmt->whereClause || stmt->groupClause ||
		stmt->havingClause || stmt->windowClause || stmt->valuesLists || stmt->sortClause || stmt->limitOffset ||
		stmt->limitCount || stmt->lockingClause || stmt->withClause ||
		(target = linitial(stmt->targetList))->name != NULL || target->indirection != NIL)
		bo_refuse(psprintf("mapping \"%s\" is not one expression", name), hint);
	return target->val;
}

/*
 * Raises what the parser said of a text of attach() in words that name the argument, what, which was allocated
 * before the error; other errors as they are.
 */
static void
report_syntax(const char *what, const char *hint, MemoryContext cx)
{
	ErrorData  *error;

	MemoryContextSwitchTo(cx);
	error = CopyErrorData();
	/* Constants are read as they are parsed: a value that an enum does not have is an error of the text too. */
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION) &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION))
		PG_RE_THROW();
	FlushErrorState();
	ereport(ERROR,
			(errcode(ERRCODE_BO_MAPPING),
			 errmsg("%s is not valid", what),
			 errdetail("%s", error->message),
			 errhint("%s", hint)));
}

/*
 * SELECT expression FROM the attached tables, analyzed as their owner: constants
 * are read, and the types of those may be of his making.  An error names the mapping.
 */
static Query *
analyze_expression(Oid owner, const char *name, const char *text, const char *from, const char *hint)
{
	MemoryContext cx = CurrentMemoryContext;
	BoActor		before = bo_act_as_owner(owner);
	char	   *what = psprintf("mapping \"%s\"", name);
	Query	   *query = NULL;

	PG_TRY();
	{
		RawStmt    *raw = linitial(raw_parser(psprintf("SELECT NULL%s", from), RAW_PARSE_DEFAULT));
		ResTarget  *target = linitial(((SelectStmt *) raw->stmt)->targetList);

		target->val = parse_expression(name, text, hint);
		query = parse_analyze_fixedparams(raw, from, NULL, 0, NULL);
	}
	PG_CATCH();
	{
		report_syntax(what, hint, cx);
	}
	PG_END_TRY();
	bo_act_as_before(&before);
	if (list_length(query->targetList) != 1)	/* a star */
		bo_refuse(psprintf("%s is not one expression", what), "Give a column, or one SQL expression over line, header and joins.");
	if (query->hasAggs || query->hasWindowFuncs || query->hasTargetSRFs)
		bo_refuse(psprintf("%s has aggregates, window functions or set-returning functions", what),
			   "Give one scalar expression.");
	return query;
}

/* Must be so, since a mapping is read again whenever an order is looked at. */
static void
check_stable(const char *what, Node *node)
{
	if (contain_volatile_functions(node))
		bo_refuse(psprintf("%s is volatile", what), "The same rows must give the same values each time they are read.");
	if (depends_on_time(node, NULL))
		bo_refuse(psprintf("%s depends on the current time", what), "What is read must change only when its rows do; write the time to a column.");
}

/* Parses, checks and deparses a mapped expression over a FROM clause. */
static char *
prepare_expression(Oid owner, const char *name, Oid type, const char *text, const char *from, const char *hint)
{
	char	   *what = psprintf("mapping \"%s\"", name);
	char	   *result;
	Query	   *query;
	PlannedStmt *fake;
	List	   *names = NIL;
	Node	   *expr;
	ListCell   *lc;
	int			level;

	query = analyze_expression(owner, name, text, from, hint);
	expr = (Node *) ((TargetEntry *) linitial(query->targetList))->expr;
	check_stable(what, expr);
	if (OidIsValid(type) && !can_coerce_type(1, &(Oid) {exprType(expr)}, &type, COERCION_EXPLICIT) &&
		find_coercion_pathway(type, exprType(expr), COERCION_EXPLICIT, &(Oid) {InvalidOid}) == COERCION_PATH_NONE)
		bo_refuse(psprintf("%s is of type %s", what, format_type_be(exprType(expr))),
				  psprintf("It must be one that can be cast to %s.", format_type_be(type)));

	fake = makeNode(PlannedStmt);
	fake->rtable = query->rtable;
	foreach(lc, query->rtable)
		names = lappend(names, ((RangeTblEntry *) lfirst(lc))->eref->aliasname);
	level = bo_pin_settings();	/* with nothing in the search_path every name is qualified */
	result = deparse_expression(expr, deparse_context_for_plan_tree(fake, names), true, false);
	AtEOXact_GUC(false, level);
	return result;
}

/*
 * A mapped expression over the FROM clause of a mapping.  type InvalidOid:
 * any.  Returns the text to store, every name qualified; raises
 * ERRCODE_BO_MAPPING.
 */
char *
bo_prepare_expression(const char *name, Oid type, char *text, const MappedTable *line, const MappedTable *header, const char *joins)
{
	if (bo_mapped_column(line, text) != InvalidAttrNumber)
		text = psprintf("line.%s", quote_identifier(text));
	else if (OidIsValid(header->relid) && bo_mapped_column(header, text) != InvalidAttrNumber)
		text = psprintf("header.%s", quote_identifier(text));
	return prepare_expression(bo_relation_owner(line->relid), name, type, text, bo_from_clause(line, header, joins), OVER_LINE);
}

/* The same over the row of one table, which is called side. */
char *
bo_prepare_row_expression(const char *name, Oid type, char *text, const char *side, const MappedTable *table)
{
	if (bo_mapped_column(table, text) != InvalidAttrNumber)
		text = psprintf("%s.%s", side, quote_identifier(text));
	return prepare_expression(bo_relation_owner(table->relid), name, type, text, psprintf(" FROM %s", bo_aliased(side, table)), OVER_ROW);
}

/* "SELECT NULL" and a FROM clause that may have anything else but is nothing else, analyzed. */
static Query *
analyze_from(Oid owner, const char *what, const char *from, const char *hint)
{
	MemoryContext cx = CurrentMemoryContext;
	BoActor		before = bo_act_as_owner(owner);
	Query	   *query = NULL;

	PG_TRY();
	{
		List	   *list = raw_parser(psprintf("SELECT NULL%s", from), RAW_PARSE_DEFAULT);
		SelectStmt *stmt = (SelectStmt *) ((RawStmt *) linitial(list))->stmt;

		if (list_length(list) != 1 || !IsA(stmt, SelectStmt) || stmt->op != SETOP_NONE || stmt->whereClause || stmt->groupClause ||
			stmt->havingClause || stmt->windowClause || stmt->sortClause || stmt->limitOffset || stmt->limitCount || stmt->lockingClause)
			bo_refuse(psprintf("%s is not a part of a FROM clause", what), hint);
		query = parse_analyze_fixedparams(linitial(list), from, NULL, 0, NULL);
	}
	PG_CATCH();
	{
		report_syntax(what, hint, cx);
	}
	PG_END_TRY();
	bo_act_as_before(&before);
	return query;
}

static char *
deparse_query(Query *query)
{
	int			level = bo_pin_settings();
	char	   *text = pg_get_querydef(query, true);

	AtEOXact_GUC(false, level);
	return text;
}

/*
 * Parses, checks and deparses what follows a FROM clause in it.  Returns the
 * text to store, every name qualified; what it follows is not part of it, as
 * the names of that table and its columns may change.
 */
static char *
prepare_from(Oid owner, const char *what, const char *from, const char *text, const char *hint)
{
	char	   *base = deparse_query(analyze_from(owner, what, from, hint));
	Query	   *query = analyze_from(owner, what, psprintf("%s %s", from, text), hint);
	char	   *whole = deparse_query(query);

	check_stable(what, (Node *) query);
	if (strncmp(whole, base, strlen(base)) != 0)
		bo_refuse(psprintf("%s cannot be kept apart from the attached tables", what), hint);
	return pstrdup(whole + strlen(base));
}

/* Refuses a header whose key "=" cannot compare with that of the lines. */
void
bo_check_header(const MappedTable *line, const MappedTable *header)
{
	(void) analyze_from(bo_relation_owner(line->relid), "\"header_key\"", bo_from_clause(line, header, NULL), "Give columns whose types can be compared with those of order_key.");
}

/* The joins of a mapping: further FROM items behind line and header. */
char *
bo_prepare_joins(char *text, const MappedTable *line, const MappedTable *header)
{
	return prepare_from(bo_relation_owner(line->relid), "\"joins\"", bo_from_clause(line, header, NULL), text,
						"Give what follows line and header in a FROM clause, such as LEFT JOIN unit u ON u.id = line.unit_id.");
}

/*
 * How a row of a watched table leads to order keys: a list of its columns, or
 * a query over "watched".  Returns a FROM item "keys" with the columns k1 ...
 * in the order of the order key.
 */
char *
bo_prepare_watch(char *text, const MappedTable *watched, const MappedTable *line)
{
	const char *hint = "Give \"table: column, ...\" or \"table: SELECT ...\", which returns the order key of a row that is called watched.";
	char	   *what = psprintf("watch of %s", watched->name);
	StringInfoData s;
	char	   *query;
	Query	   *analyzed;

	initStringInfo(&s);
	appendStringInfo(&s, ", LATERAL (%s) AS keys", pg_strncasecmp(text, "select", 6) == 0 || pg_strncasecmp(text, "with", 4) == 0 ?
					 text : psprintf("SELECT %s", text));
	analyzed = analyze_from(bo_relation_owner(line->relid), what, psprintf(" FROM %s%s", bo_aliased("watched", watched), s.data), hint);
	if (list_length(((RangeTblEntry *) list_nth(analyzed->rtable, 1))->eref->colnames) != line->nkeys)
		bo_refuse(psprintf("%s returns %d columns", what, list_length(((RangeTblEntry *) list_nth(analyzed->rtable, 1))->eref->colnames)),
				  psprintf("The order key has %d.", line->nkeys));
	appendStringInfoChar(&s, '(');
	for (int i = 0; i < line->nkeys; i++)
		appendStringInfo(&s, "%sk%d", i ? ", " : "", i + 1);
	appendStringInfoChar(&s, ')');
	query = prepare_from(bo_relation_owner(line->relid), what, psprintf(" FROM %s", bo_aliased("watched", watched)), s.data, hint);
	return query;
}
