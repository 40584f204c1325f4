/*
 * run_statement.c
 *		Runs the statements that read and write the extension's tables.
 *
 * Every statement (statements.c) is prepared once per backend; its input comes
 * as a named row set (an ephemeral named relation over a tuplestore), its plan
 * is a generic one that goes by index.
 *
 * What it is not: it decides nothing.
 */
#include "postgres.h"

#include "base/base.h"
#include "store/heap.h"
#include "store/heap_table.h"
#include "store/rows.h"
#include "store/statements.h"
#include "store/store.h"

static SPIPlanPtr plans[BO_STATEMENTS];
static bool planned[BO_STATEMENTS];

static void
register_rows(BoRows *rows, EphemeralNamedRelationData *enr)
{
	MemoryContext old = MemoryContextSwitchTo(bo_spi_cx);

	bo_rows_to_store(rows);
	enr->md.name = (char *) bo_rows_kinds[rows->kind].name;
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = rows->desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = 1;
	enr->reldata = rows->store;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register row set %s", enr->md.name);
	MemoryContextSwitchTo(old);
}

/* ---------- running statements ---------- */

static SPIPlanPtr
prepared(BoStatement statement)
{
	const Statement *s = &bo_statements[statement];
	SPIPlanPtr	plan = plans[statement];

	/* The text never changes, so PostgreSQL's own revalidation is all that is needed. */
	if (plan == NULL)
	{
		plan = SPI_prepare_cursor(s->sql, s->nargs, (Oid *) s->args, CURSOR_OPT_GENERIC_PLAN | CURSOR_OPT_FAST_PLAN);
		if (plan == NULL)
			elog(ERROR, "could not prepare statement %d: %s", statement, SPI_result_code_string(SPI_result));
		if (SPI_keepplan(plan) != 0)
			elog(ERROR, "could not keep plan");
		plans[statement] = plan;
		planned[statement] = false;
	}
	/* Settings count when a plan is made: now, or when something it depends on has changed. */
	if (!planned[statement] || !SPI_plan_is_valid(plan))
	{
		planned[statement] = false;
		bo_plan_by_index(plan);
		planned[statement] = true;
	}
	return plan;
}

/* Does it write what a user could have written, so that the triggers on the input tables act on it? */
static bool
is_input(BoStatement statement)
{
	return statement == BO_ADD_DRAFTS || statement == BO_INSERT_PLANNED || statement == BO_UPDATE_PLANNED ||
		statement == BO_DELETE_PLANNED || statement == BO_DELETE_EMPTY_DRAFTS;
}

/*
 * Runs a statement over a row set, or with arguments.  args is NULL if there
 * are none.  A text argument of 0 is passed as SQL NULL; others cannot be NULL.
 * read_only reads with the active snapshot; otherwise a statement has a new one
 * in READ COMMITTED.
 * Returns the number of rows; results are in SPI_tuptable.
 */
uint64
bo_run_statement(BoStatement statement, BoRows *rows, const Datum *args, bool read_only)
{
	const Statement *s = &bo_statements[statement];
	EphemeralNamedRelationData enr;
	char		nulls[lengthof(s->args)];
	bool		save_writing = bo_writing;
	MemoryContext cx = CurrentMemoryContext;
	int			rc;

	Assert((rows == NULL) == (s->rows < 0));
	Assert(args != NULL || s->nargs == 0);
	if (rows)
		register_rows(rows, &enr);
	for (int i = 0; args != NULL && i < s->nargs; i++)
		nulls[i] = (s->args[i] == TEXTOID || s->args[i] == TEXTARRAYOID) && args[i] == (Datum) 0 ? 'n' : ' ';
	bo_pin();
	PG_TRY();
	{
		bo_writing = !is_input(statement);
		BO_POINT("statement");
		rc = SPI_execute_plan(prepared(statement), (Datum *) args, nulls, read_only, 0);
	}
	PG_FINALLY();
	{
		bo_writing = save_writing;
	}
	PG_END_TRY();
	if (rc < 0)
		elog(ERROR, "statement %d failed: %s", statement, SPI_result_code_string(rc));
	if (rows)
		SPI_unregister_relation(enr.md.name);
	/* SPI leaves its own behind, which lives as long as the SPI scope. */
	MemoryContextSwitchTo(cx);
	return SPI_processed;
}

/* Writes a row set directly where a statement is of that kind and the table allows it; see heap_write.c. */
static bool
write_to_heap(BoStatement statement, BoRows *rows)
{
	BoTable		table;
	BoHeap	   *heap;

	switch (statement)
	{
		case BO_INSERT_LINES:
		case BO_UPDATE_LINES:
			table = BO_TABLE_ORDER_LINE;
			break;
		case BO_WRITE_STOCK:
			table = BO_TABLE_STOCK;
			break;
		case BO_INSERT_ALLOCATIONS:
			table = BO_TABLE_ALLOCATION;
			break;
		case BO_INSERT_EVENTS:
			table = BO_TABLE_EVENT;
			break;
		case BO_INSERT_PLANNED:
			table = BO_TABLE_PURCHASE_ORDER_LINE;
			break;
		case BO_NOTIFY_FIRST:
		case BO_NOTIFY:
		case BO_FORGET_ORDERS:
			table = BO_TABLE_WAITING_ORDER;
			break;
		default:
			return false;
	}
	heap = bo_heap_open(table);
	if (heap == NULL)
		return false;
	if (statement == BO_UPDATE_LINES || statement == BO_WRITE_STOCK || statement == BO_NOTIFY)
		bo_heap_update(heap, rows);
	else if (statement == BO_FORGET_ORDERS)
		bo_heap_delete(heap, rows);
	else
		bo_heap_insert(heap, rows);
	bo_heap_close(heap);
	CommandCounterIncrement();
	return true;
}

/* Writes a row set by a statement, or as the statement would, and drops the set; nothing for NULL or none. */
void
bo_flush_rows(BoStatement statement, BoRows *rows)
{
	if (rows == NULL)
		return;
	if (rows->n > 0 && !write_to_heap(statement, rows))
		(void) bo_run_statement(statement, rows, NULL, false);
	bo_rows_drop(rows);
}

/* Opens a cursor over a statement that reads, with a new snapshot in READ COMMITTED. */
Portal
bo_open_cursor(BoStatement statement, const Datum *args)
{
	BO_POINT("cursor");
	bo_pin();
	return SPI_cursor_open(NULL, prepared(statement), (Datum *) args, NULL, false);
}
