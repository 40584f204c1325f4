/*
 * read.c
 *		Reads the application's tables through a mapping.
 *
 * Queries run as the owner of the tables in a security-restricted operation,
 * inside the caller's SPI scope with its pinned settings.  An error in one is
 * told in words that name the mapping.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "parser/analyze.h"
#include "utils/acl.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_evaluating);

/* The mapped column and order that are being evaluated, for errors. */
static char evaluating_column[NAMEDATALEN];
static char evaluating_order[256];

/*
 * evaluating(column, order) returns true.  It remembers where the mapping query
 * is.
 */
Datum
bo_evaluating(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0))
		text_to_cstring_buffer(PG_GETARG_TEXT_PP(0), evaluating_column, sizeof(evaluating_column));
	if (!PG_ARGISNULL(1))
		text_to_cstring_buffer(PG_GETARG_TEXT_PP(1), evaluating_order, sizeof(evaluating_order));
	PG_RETURN_BOOL(true);
}

/*
 * An error of the mapping, in words that name it.  The mapping runs as the
 * owner of the tables, so its message may show rows that the user cannot
 * read: it goes to the server's log, and only to who has the owner's rights.
 */
static void
report_evaluation(Mapping *mapping, MemoryContext cx)
{
	static const int others[] = {ERRCODE_BO_MAPPING, ERRCODE_INVALID_TRANSACTION_STATE, ERRCODE_TRANSACTION_ROLLBACK, ERRCODE_INSUFFICIENT_RESOURCES,
		ERRCODE_PROGRAM_LIMIT_EXCEEDED, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, ERRCODE_OPERATOR_INTERVENTION, ERRCODE_SYSTEM_ERROR, ERRCODE_INTERNAL_ERROR};
	ErrorData  *error;
	const char *detail;

	MemoryContextSwitchTo(cx);
	error = CopyErrorData();
	/* Errors that no expression causes go on as they are; an expression may raise SQLSTATEs of its own. */
	for (int i = 0; i < (int) lengthof(others); i++)
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TO_CATEGORY(others[i]))
			PG_RE_THROW();
	FlushErrorState();
	detail = has_privs_of_role(GetOuterUserId(), bo_relation_owner(mapping->line.relid)) ? error->message :
		psprintf("The expression failed with SQLSTATE %s; the message is in the server's log.", unpack_sql_state(error->sqlerrcode));
	if (evaluating_column[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_BO_EVALUATION),
				 errmsg("mapping of table %s cannot be read", mapping->line.name),
				 errdetail("%s", detail),
				 errdetail_log("%s", error->message),
				 errhint("Attach the table again with a mapping that fits the columns it has now, or detach it with backorder.%s().",
						 mapping->kind == SOURCE_OF_STOCK ? "detach_stock" : "detach")));
	if (evaluating_order[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_BO_EVALUATION),
				 errmsg("mapping \"%s\" of table %s failed", evaluating_column, mapping->line.name),
				 errdetail("%s", detail),
				 errdetail_log("%s", error->message),
				 errhint("Attach the table again with another query, or correct the row.")));
	if (mapping->kind == SOURCE_OF_STOCK)
		ereport(ERROR,
				(errcode(ERRCODE_BO_EVALUATION),
				 errmsg("mapping \"%s\" of table %s failed for item %s", evaluating_column, mapping->line.name, evaluating_order),
				 errdetail("%s", detail),
				 errdetail_log("%s", error->message),
				 errhint("Correct the row, or attach the table again with another expression.")));
	ereport(ERROR,
			(errcode(ERRCODE_BO_EVALUATION),
			 errmsg("mapping \"%s\" of table %s failed for order %s", evaluating_column, mapping->line.name, evaluating_order),
			 errdetail("%s", detail),
			 errdetail_log("%s", error->message),
			 errhint("Correct the order, or attach the table again with another expression.")));
}

/*
 * Runs func(arg), which evaluates the mapping, as the owner of its tables: an
 * error in it is told in words that name the mapping, and what of it, NULL: the
 * mapped columns name themselves (evaluating()).
 */
void
bo_mapping_evaluate(Mapping *mapping, const char *what, void (*func) (void *arg), void *arg)
{
	MemoryContext cx = CurrentMemoryContext;
	BoActor		before = bo_act_as_owner(mapping->owner);

	evaluating_order[0] = '\0';
	strlcpy(evaluating_column, what ? what : "", sizeof(evaluating_column));
	PG_TRY();
	{
		func(arg);
		bo_act_as_before(&before);
		MemoryContextSwitchTo(cx);
	}
	PG_CATCH();
	{
		bo_act_as_before(&before);
		report_evaluation(mapping, cx);
	}
	PG_END_TRY();
}

/* A text to be analyzed. */
typedef struct Analysis
{
	Mapping    *mapping;
	const char *text;
	Query	   *query;
} Analysis;

static void
analyze(void *arg)
{
	Analysis   *a = arg;

	a->query = parse_analyze_fixedparams(linitial(raw_parser(a->text, RAW_PARSE_DEFAULT)), a->text, NULL, 0, NULL);
}

/* A query of a mapping, analyzed; ERRCODE_BO_EVALUATION where it cannot be. */
Query *
bo_mapping_analyze(Mapping *mapping, const char *text)
{
	Analysis	a = {.mapping = mapping,.text = text};

	bo_pin();
	bo_mapping_evaluate(mapping, NULL, analyze, &a);
	return a.query;
}

/* A query of a mapping. */
typedef struct MappingQuery
{
	Mapping    *mapping;
	SPIPlanPtr *plan;
	const char *text;
	int			nargs;
	Oid		   *types;
	Datum	   *values;
	bool		custom;			/* planned for these values */
	DestReceiver *dest;			/* NULL: SPI_tuptable */
} MappingQuery;

static void
execute(void *arg)
{
	MappingQuery *q = arg;
	SPIPlanPtr *plan = q->plan;
	ParamListInfo params = q->nargs > 0 ? makeParamList(q->nargs) : NULL;
	SPIExecuteOptions options = {.params = params,.read_only = true,.dest = q->dest};

	if (*plan != NULL && !SPI_plan_is_valid(*plan))
	{
		SPIPlanPtr	old = *plan;

		*plan = NULL;
		SPI_freeplan(old);
	}
	BO_POINT("read");
	bo_mapping_check_rewritten(q->mapping);
	if (*plan == NULL)
	{
		SPIPlanPtr	fresh = SPI_prepare_cursor(q->text, q->nargs, q->types, q->custom ? CURSOR_OPT_CUSTOM_PLAN : CURSOR_OPT_GENERIC_PLAN);

		if (fresh == NULL || SPI_keepplan(fresh) != 0)
			elog(ERROR, "could not prepare mapping of %s", q->mapping->line.name);
		*plan = fresh;
		if (!q->custom)
			bo_plan_by_index(*plan);
	}
	for (int i = 0; i < q->nargs; i++)
		params->params[i] = (ParamExternData) {.value = q->values[i],.pflags = PARAM_FLAG_CONST,.ptype = q->types[i]};
	if (SPI_execute_plan_extended(*plan, &options) < 0)
		elog(ERROR, "mapping query failed");
}

/*
 * Runs a query of a mapping as the owner of its tables, with the active
 * snapshot; prepares it first where *plan is not valid.  custom: it is planned
 * for these values.  what: what errors name, NULL: see bo_mapping_evaluate().
 * Expects an SPI scope; the rows go to dest, NULL: to SPI_tuptable.
 */
static void
run_query(Mapping *mapping, SPIPlanPtr *plan, const char *query, int nargs, Oid *types, Datum *values, bool custom, const char *what, DestReceiver *dest)
{
	MappingQuery q = {mapping, plan, query, nargs, types, values, custom, dest};

	bo_pin();
	bo_mapping_evaluate(mapping, what, execute, &q);
}

/* The same, with the rows in SPI_tuptable. */
void
bo_mapping_run(Mapping *mapping, SPIPlanPtr *plan, const char *query, int nargs, Oid *types, Datum *values, bool custom, const char *what)
{
	run_query(mapping, plan, query, nargs, types, values, custom, what, NULL);
}

/* For many orders the planner chooses; for few, the path by index is fixed.  Returns the GUC nest level to end. */
int
bo_allow_all_plans(void)
{
	static const char *const names[] = {"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_sort"};
	int			level = bo_pin_planning();

	for (int i = 0; i < (int) lengthof(names); i++)
		(void) set_config_option(names[i], "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/* ---------- lines ---------- */

/* A row of a mapping query. */
typedef struct MappedRow
{
	Mapping    *mapping;
	const Datum *values;
	const bool *nulls;
} MappedRow;

/* The lines that were read. */
typedef struct MappedLines
{
	Mapping    *mapping;
	List	   *lines;			/* of MappedLine */
} MappedLines;

/* False where the column is not mapped, or NULL. */
static bool
row_has(const MappedRow *row, MappedColumn column, Datum *value)
{
	int			at = row->mapping->at[column];

	if (at < 0 || row->nulls[at])
		return false;
	*value = row->values[at];
	return true;
}

static char *
row_text(const MappedRow *row, MappedColumn column)
{
	Datum		value;

	return row_has(row, column, &value) ? TextDatumGetCString(value) : NULL;
}

/* NULL for NULL */
static Qty
row_quantity(const MappedRow *row, MappedColumn column)
{
	Datum		value;

	return row_has(row, column, &value) ? qty_copy(value) : NULL;
}

/*
 * A line out of the columns of a mapping's queries; order_key NULL: it is one
 * of them.  Returns NULL where it belongs to no order yet.  Checks nothing: an
 * error in here would show the query to whom it is not to be shown.
 */
MappedLine *
bo_mapped_line(Mapping *mapping, const Datum *values, const bool *nulls, char *order_key)
{
	MappedRow	row = {mapping, values, nulls};
	int			nkeys = mapping->line.nkeys;
	MappedLine *line;
	Datum		value;

	evaluating_column[0] = '\0';	/* no longer */
	for (int i = 0; i < nkeys + mapping->nline_columns; i++)
		if (nulls[i])
			return NULL;
	line = palloc0(sizeof(MappedLine));
	line->order_key = order_key != NULL ? order_key : bo_key_text(values, mapping->line.key_type, nkeys);
	/* NULL may be an expression over joins: what a LEFT JOIN did not find. */
	line->line_key = bo_key_parts_text(values + nkeys, nulls + nkeys, mapping->line_key_type, mapping->nline_keys);
	line->item = row_text(&row, MAPPED_ITEM);
	line->location = row_text(&row, MAPPED_LOCATION);
	if (line->location == NULL)
		line->location = "";
	line->customer = row_text(&row, MAPPED_CUSTOMER);
	line->quantity = row_quantity(&row, MAPPED_QUANTITY);
	line->cancelled = row_quantity(&row, MAPPED_CANCELLED);
	line->shipped = row_quantity(&row, MAPPED_SHIPPED);
	line->picked = row_quantity(&row, MAPPED_PICKED);
	line->live = row_has(&row, MAPPED_LIVE, &value) && DatumGetBool(value);
	line->priority = row_has(&row, MAPPED_PRIORITY, &value) ? DatumGetInt32(value) : 0;
	line->has_queued_at = row_has(&row, MAPPED_QUEUED_AT, &value);
	line->queued_at = line->has_queued_at ? DatumGetTimestampTz(value) : 0;
	line->has_requested_at = row_has(&row, MAPPED_REQUESTED_AT, &value);
	line->requested_at = line->has_requested_at ? DatumGetDateADT(value) : 0;
	line->held = row_has(&row, MAPPED_HELD, &value) && DatumGetBool(value);
	if (mapping->header_key_at >= 0)
	{
		bool		none = false;

		for (int i = 0; i < nkeys; i++)
			none |= nulls[mapping->header_key_at + i];
		if (!none)
			line->header_key = bo_key_text(values + mapping->header_key_at, mapping->line.key_type, nkeys);
	}
	return line;
}

static void
check_quantity(Mapping *mapping, const char *column, Qty value, const char *order_key)
{
	if (value != NULL && !qty_finite(value))
		ereport(ERROR,
				(errcode(ERRCODE_BO_QUANTITY),
				 errmsg("%s of an order line is not finite", column),
				 errdetail("Order %s in %s has %s.", order_key, mapping->line.name, qty_text(value)),
				 errhint("Correct the line, or the mapping of \"%s\".", column)));
}

static Qty
not_negative(Qty value)
{
	return value == NULL || qty_sign(value) < 0 ? qty_zero : value;
}

/* What a line says must be finite; below zero, or NULL, is nothing but for what is ordered. */
void
bo_check_mapped_line(Mapping *mapping, MappedLine *line)
{
	check_quantity(mapping, "quantity", line->quantity, line->order_key);
	check_quantity(mapping, "cancelled", line->cancelled, line->order_key);
	check_quantity(mapping, "shipped", line->shipped, line->order_key);
	check_quantity(mapping, "picked", line->picked, line->order_key);
	line->cancelled = not_negative(line->cancelled);
	line->shipped = not_negative(line->shipped);
	line->picked = not_negative(line->picked);
	line->demand = line->live && line->item != NULL && line->quantity != NULL && qty_sign(line->quantity) > 0;
}

static void
take_line(const Datum *values, const bool *nulls, void *arg)
{
	MappedLines *read = arg;
	MappedLine *line = bo_mapped_line(read->mapping, values, nulls, NULL);

	if (line != NULL)
		read->lines = lappend(read->lines, line);
}

/* Column k of these order keys (of KeyValues), without those that are unreadable, as the array that the mapping's queries take. */
Datum
bo_order_key_array(Mapping *mapping, List *keys, int k)
{
	Datum	   *datums = palloc(sizeof(Datum) * list_length(keys));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, keys)
	{
		KeyValues  *one = lfirst(lc);

		if (!one->unreadable)
			datums[n++] = mapping->key_as_text[k] ? CStringGetTextDatum(bo_value_text(one->order[k], mapping->line.key_type[k])) : one->order[k];
	}
	return bo_native_array(datums, n, mapping->key_as_text[k] ? TEXTOID : mapping->line.key_type[k]);
}

/*
 * Reads lines through the mapping, with the active snapshot, and calls func
 * for each, those of an order in order of their keys.  keys (of KeyValues) say which orders; with
 * MAPPING_ONE it is one that can be read, with MAPPING_LINE it says which of
 * its lines; with MAPPING_ALL they do not matter.  Expects an SPI scope; runs as the owner of
 * the table.  Errors in an expression become ERRCODE_BO_EVALUATION.
 */
void
bo_mapping_read(Mapping *mapping, MappingScope scope, List *keys, MappedLineFunc func, void *arg)
{
	Datum		values[2 * BO_MAX_KEYS];
	Oid			types[2 * BO_MAX_KEYS];
	int			nargs = 0;
	int			level = 0;
	bool		few = scope != MAPPING_MANY && scope != MAPPING_ALL;
	MappedLines read = {.mapping = mapping};
	BoReceiver	receiver = bo_receiver(take_line, &read);
	ListCell   *lc;

	bo_pin();					/* for the text of keys too */
	/* Only an array of single keys is looked up in an index whatever the statistics say: others one by one. */
	if (scope == MAPPING_FEW && (mapping->line.nkeys > 1 || mapping->key_as_text[0]))
	{
		foreach(lc, keys)
			if (!((KeyValues *) lfirst(lc))->unreadable)
				bo_mapping_read(mapping, MAPPING_ONE, list_make1(lfirst(lc)), func, arg);
		return;
	}
	if (scope == MAPPING_LINE || scope == MAPPING_ONE)
	{
		KeyValues  *one = linitial(keys);

		for (; nargs < mapping->line.nkeys; nargs++)
		{
			types[nargs] = mapping->line.key_type[nargs];
			values[nargs] = one->order[nargs];
		}
		for (int k = 0; scope == MAPPING_LINE && k < mapping->nline_columns; k++, nargs++)
		{
			types[nargs] = mapping->line_key_type[k];
			values[nargs] = one->line[k];
		}
	}
	else if (scope != MAPPING_ALL)
		for (; nargs < mapping->line.nkeys; nargs++)
		{
			types[nargs] = mapping->array_type[nargs];
			values[nargs] = bo_order_key_array(mapping, keys, nargs);
		}
	if (!few)
		level = bo_allow_all_plans();
	run_query(mapping, &mapping->plans[scope], mapping->queries[scope], nargs, types, values, !few, NULL, &receiver.dest);
	if (!few)
		AtEOXact_GUC(false, level);
	foreach(lc, read.lines)
	{
		bo_check_mapped_line(mapping, lfirst(lc));
		func(mapping, lfirst(lc), arg);
	}
	list_free(read.lines);
}

/* The items and locations of the lines of these orders (keys, of KeyValues), of StockKey, with the active snapshot. Expects an SPI scope. */
List *
bo_mapping_stock_keys(Mapping *mapping, List *keys)
{
	Datum		values[BO_MAX_KEYS];
	List	   *stock_keys = NIL;
	char	   *tenant = pstrdup(mapping->tenant);	/* the mapping may be loaded anew while they are in use */
	int			level;

	bo_pin();					/* for the text of keys too */
	level = bo_allow_all_plans();
	for (int k = 0; k < mapping->line.nkeys; k++)
		values[k] = bo_order_key_array(mapping, keys, k);
	bo_mapping_run(mapping, &mapping->stock_keys_plan, mapping->stock_keys_query, mapping->line.nkeys, mapping->array_type, values, true, NULL);
	AtEOXact_GUC(false, level);
	for (uint64 row = 0; row < SPI_processed; row++)
		stock_keys = lappend(stock_keys, bo_stock_key(tenant, bo_result_text(SPI_tuptable, row, 1), bo_result_text(SPI_tuptable, row, 2)));
	SPI_freetuptable(SPI_tuptable);
	return stock_keys;
}
