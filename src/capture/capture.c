/*
 * capture.c
 *		Triggers on attached tables: note which orders, or which stock, changed.
 *
 * Capture only notes.  A row trigger adds the order's key to a set that lives
 * as long as the transaction (order_notes.c); reconcile.c looks at the orders later.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/partition.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "capture/capture.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "reconcile/reconcile.h"

PG_FUNCTION_INFO_V1(bo_capture);

typedef enum CaptureRole
{
	CAPTURE_LINE,
	CAPTURE_HEADER,
	CAPTURE_WATCH,
	CAPTURE_STOCK
} CaptureRole;

/* What capture has to know of a table that fires it; by trigger, as one table may carry those of several sources. */
typedef struct CapturedTable
{
	Oid			trigger;		/* hash key */
	bool		valid;
	int32		source_id;
	CaptureRole role;
	Oid			attached;		/* the table itself, or the one it is a partition of */
	int			nkeys;			/* 0: the row does not have the order key itself */
	AttrNumber	key[BO_MAX_KEYS];
	AttrNumber	line_key[BO_MAX_KEYS];
	Bitmapset  *used;			/* attnums that matter; with 0, all */
} CapturedTable;

static HTAB *captured_tables;

static void
relation_changed(Oid relid)
{
	HASH_SEQ_STATUS seq;
	CapturedTable *table;

	/* A change of the attached table matters to its partitions too: forget all. */
	hash_seq_init(&seq, captured_tables);
	while ((table = hash_seq_search(&seq)) != NULL)
		table->valid = false;
}

void
bo_capture_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(CapturedTable)};

	captured_tables = hash_create("backorder captured tables", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	bo_on_relation_change(relation_changed);
}

static bool
belongs_to(Oid relid, Oid attached)
{
	return OidIsValid(attached) &&
		(relid == attached || (get_rel_relispartition(relid) && list_member_oid(get_partition_ancestors(relid), attached)));
}

/* The watched table that this one is, or is a partition of; NULL for none. */
static MappedTable *
watched_by(Mapping *mapping, Oid relid)
{
	MappedTable *table = bo_watched_table(mapping, relid);
	ListCell   *lc;

	if (table == NULL && get_rel_relispartition(relid))
		foreach(lc, get_partition_ancestors(relid))
			if (table == NULL)
				table = bo_watched_table(mapping, lfirst_oid(lc));
	return table;
}

static Mapping *
captured_mapping(CaptureRole role, int32 source_id)
{
	return role == CAPTURE_STOCK ? bo_stock_mapping(source_id) : bo_mapping_or_park(source_id);
}

/*
 * What capture must know of this table; NULL for the header of line tables
 * that do not exist any more, and where the source was parked.  Refuses a table that is not attached.
 */
static CapturedTable *
captured_table(TriggerData *trigdata, Mapping **mapping)
{
	Oid			relid = RelationGetRelid(trigdata->tg_relation);
	Oid			trigger = trigdata->tg_trigger->tgoid;
	bool		found;
	CapturedTable *table = hash_search(captured_tables, &trigger, HASH_FIND, &found);
	CapturedTable fresh;
	const MappedTable *mapped = NULL;
	int			attnum = -1;

	if (found && table->valid)
	{
		*mapping = captured_mapping(table->role, table->source_id);
		if (*mapping != NULL && (*mapping)->unreadable)
			return NULL;
		if (*mapping != NULL && table->valid)
			return table;
	}
	memset(&fresh, 0, sizeof(fresh));
	fresh.trigger = trigger;
	if (trigdata->tg_trigger->tgnargs == 2)
		fresh.source_id = atoi(trigdata->tg_trigger->tgargs[0]);
	if (trigdata->tg_trigger->tgnargs == 2 && strcmp(trigdata->tg_trigger->tgargs[1], "header") == 0)
		fresh.role = CAPTURE_HEADER;
	else if (trigdata->tg_trigger->tgnargs == 2 && strcmp(trigdata->tg_trigger->tgargs[1], "watch") == 0)
		fresh.role = CAPTURE_WATCH;
	else if (trigdata->tg_trigger->tgnargs == 2 && strcmp(trigdata->tg_trigger->tgargs[1], "stock") == 0)
		fresh.role = CAPTURE_STOCK;
	if (fresh.source_id > 0)
	{
		*mapping = captured_mapping(fresh.role, fresh.source_id);
		if (*mapping == NULL || (*mapping)->unreadable)
			return NULL;
		mapped = fresh.role == CAPTURE_HEADER ? &(*mapping)->header :
			fresh.role == CAPTURE_WATCH ? watched_by(*mapping, relid) : &(*mapping)->line;
	}
	if (mapped == NULL || !belongs_to(relid, mapped->relid) || (*mapping)->detached)
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("table \"%s\" is not attached", RelationGetRelationName(trigdata->tg_relation)),
				 errhint("Create capture triggers with backorder.attach() only; drop this one.")));
	fresh.attached = mapped->relid;
	fresh.nkeys = mapped->nkeys;
	for (int i = 0; i < mapped->nkeys; i++)
		fresh.key[i] = bo_partition_column(relid, mapped, mapped->key[i]);
	if (fresh.role == CAPTURE_LINE)
		for (int i = 0; i < (*mapping)->nline_columns; i++)
			fresh.line_key[i] = bo_partition_column(relid, mapped, (*mapping)->line_key[i]);
	{
		MemoryContext old = MemoryContextSwitchTo(CacheMemoryContext);

		while ((attnum = bms_next_member(mapped->used, attnum)) >= 0)
			fresh.used = bms_add_member(fresh.used, attnum == 0 ? 0 : bo_partition_column(relid, mapped, attnum));
		MemoryContextSwitchTo(old);
	}
	table = hash_search(captured_tables, &trigger, HASH_ENTER, &found);
	if (found && table->used)
		bms_free(table->used);
	fresh.valid = true;
	*table = fresh;
	return table;
}

/* Do two versions of a row differ in a column that the mapping reads? */
static bool
differs(CapturedTable *table, TupleDesc desc, TupleTableSlot *before, TupleTableSlot *after)
{
	int			attnum = -1;
	bool		all = bms_is_member(0, table->used);

	for (;;)
	{
		Datum		x;
		Datum		y;
		bool		xnull;
		bool		ynull;
		Form_pg_attribute att;

		if (all)
		{
			attnum = Max(attnum, 0) + 1;
			if (attnum > desc->natts)
				return false;
		}
		else if ((attnum = bms_next_member(table->used, attnum)) < 0)
			return false;
		att = TupleDescAttr(desc, attnum - 1);
		if (att->attisdropped)
			continue;
		x = slot_getattr(before, attnum, &xnull);
		y = slot_getattr(after, attnum, &ynull);
		if (xnull != ynull || (!xnull && !datum_image_eq(x, y, att->attbyval, att->attlen)))
			return true;
	}
}

/* False where a part of the key is NULL. */
static bool
get_key(TupleTableSlot *slot, const AttrNumber *columns, int n, Datum *values)
{
	for (int i = 0; i < n; i++)
	{
		bool		isnull;

		values[i] = slot_getattr(slot, columns[i], &isnull);
		if (isnull)
			return false;
	}
	return true;
}

/* A varlena from a tuple, whole and in memory. */
static void
detoast(Datum *values, const Oid *types, int n)
{
	for (int i = 0; i < n; i++)
		if (get_typlen(types[i]) == -1)
			values[i] = PointerGetDatum(PG_DETOAST_DATUM(values[i]));
}

typedef struct WatchTry
{
	Mapping    *mapping;
	Oid			relid;
	TupleTableSlot *slot;
	Relation	rel;
} WatchTry;

/* An order that a row of a watched table leads to. */
static void
note_watched(Mapping *mapping, const Datum *keys, void *arg)
{
	bo_note_key_variants(mapping, bo_note_order(mapping, keys));
}

static void
try_watch(void *arg)
{
	WatchTry   *attempt = arg;

	bo_watch_keys(attempt->mapping, attempt->relid, attempt->slot, attempt->rel, note_watched, NULL);
}

/*
 * Notes a line of an order.  Where a transaction, or in immediate timing a
 * statement, writes one line only, the others of its order are not read.
 */
static void
note_line(CapturedTable *table, Mapping *mapping, OrderNote *entry, TupleTableSlot *slot)
{
	Datum		values[BO_MAX_KEYS];
	bool		same = true;

	if (entry->state.whole)
		return;
	if (!mapping->lines_independent || bo_orders_pending() > 1 || !get_key(slot, table->line_key, mapping->nline_columns, values))
	{
		bo_note_whole(entry);
		return;
	}
	detoast(values, mapping->line_key_type, mapping->nline_columns);
	for (int i = 0; i < mapping->nline_columns && entry->state.one_line && same; i++)
		same = datumIsEqual(values[i], entry->keys.line[i],
							get_typbyval(mapping->line_key_type[i]), get_typlen(mapping->line_key_type[i]));
	if (entry->state.one_line)
	{
		if (!same)
			bo_note_whole(entry);
		return;
	}
	bo_note_one_line(mapping, entry, values);
}

/* Returns the note of the order that a row of it, or its header, names itself; NULL for none. */
static OrderNote *
note_row(CapturedTable *table, Mapping *mapping, TupleTableSlot *slot, Relation rel)
{
	Datum		values[BO_MAX_KEYS];
	int			n = mapping->line.nkeys;
	OrderNote  *note;

	if (table->role == CAPTURE_STOCK)
	{
		bo_stock_note_row(mapping->source_id, slot, rel);
		return NULL;
	}
	if (table->nkeys == 0)
	{
		WatchTry	attempt = {mapping, table->attached, slot, rel};
		ErrorData  *error;
		SpiScope	spi;

		if (!mapping->park)
			try_watch(&attempt);
		else if ((error = bo_try_reading(try_watch, &attempt)) != NULL)
		{
			bo_spi_begin(&spi);
			bo_park(mapping->tenant, mapping->source_id, "", error);
			bo_spi_end(&spi);
		}
		return NULL;
	}
	if (!get_key(slot, table->key, n, values))
		return NULL;
	if (table->role == CAPTURE_HEADER)
	{
		detoast(values, mapping->header.key_type, n);
		if (!bo_header_key(mapping, values))
			return NULL;
	}
	else
		detoast(values, mapping->line.key_type, n);
	note = bo_note_order(mapping, values);
	if (table->role == CAPTURE_LINE)
		note_line(table, mapping, note, slot);
	else
		bo_note_key_variants(mapping, note);
	return note;
}

/* Did this transaction write that version of a row? */
static bool
is_own(HeapTuple tuple)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

/* Notes a move where an UPDATE changed the key of a line: the recorded line follows, with all it has. */
static void
note_move(CapturedTable *table, Mapping *mapping, TupleDesc desc, TupleTableSlot *before, TupleTableSlot *after, HeapTuple written)
{
	TupleTableSlot *slots[2] = {before, after};
	char	   *keys[2][2];
	bool		same = true;

	for (int i = 0; i < mapping->line.nkeys + mapping->nline_columns && same; i++)
	{
		AttrNumber	attnum = i < mapping->line.nkeys ? table->key[i] : table->line_key[i - mapping->line.nkeys];
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		bool		xnull;
		bool		ynull;
		Datum		x = slot_getattr(before, attnum, &xnull);
		Datum		y = slot_getattr(after, attnum, &ynull);

		same = xnull == ynull && (xnull || datum_image_eq(x, y, att->attbyval, att->attlen));
	}
	if (same)
		return;
	for (int i = 0; i < 2; i++)
	{
		Datum		values[BO_MAX_KEYS];
		int			level = bo_pin_settings();
		bool		whole = get_key(slots[i], table->key, mapping->line.nkeys, values);

		if (whole)
			keys[i][0] = bo_key_text(values, mapping->line.key_type, mapping->line.nkeys);
		whole = whole && get_key(slots[i], table->line_key, mapping->nline_columns, values);
		if (whole)
			keys[i][1] = bo_key_text(values, mapping->line_key_type, mapping->nline_columns);
		AtEOXact_GUC(false, level);
		if (!whole)
			return;
	}
	bo_note_move(&(LineMove) {
		.source_id = mapping->source_id,
		.old_order = keys[0][0],
		.old_line = keys[0][1],
		.new_order = keys[1][0],
		.new_line = keys[1][1],
		/* Of the command that wrote the row: other triggers may have run commands of theirs since. */
		.cid = HeapTupleHeaderGetCmin(written->t_data)
	});
}

/*
 * Notes the orders of all rows of a partition that came to, or went from, a
 * table of the mapping.  Nothing where the mapping does not capture that
 * table.
 */
void
bo_note_rows(Mapping *mapping, Oid attached, Oid partition)
{
	CapturedTable table = {.attached = attached,.role = CAPTURE_LINE};
	MappedTable *mapped = &mapping->line;
	Relation	rel;
	TupleTableSlot *slot;
	TableScanDesc scan;

	if (attached == mapping->header.relid)
	{
		table.role = CAPTURE_HEADER;
		mapped = &mapping->header;
	}
	else if (attached != mapping->line.relid)
	{
		table.role = CAPTURE_WATCH;
		mapped = bo_watched_table(mapping, attached);
	}
	if (mapped == NULL)
		return;
	table.nkeys = mapped->nkeys;
	for (int i = 0; i < mapped->nkeys; i++)
		table.key[i] = bo_partition_column(partition, mapped, mapped->key[i]);
	if (table.role == CAPTURE_LINE)
		for (int i = 0; i < mapping->nline_columns; i++)
			table.line_key[i] = bo_partition_column(partition, mapped, mapping->line_key[i]);
	rel = table_open(partition, AccessShareLock);
	slot = table_slot_create(rel, NULL);
	scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		bo_note_incomplete(note_row(&table, mapping, slot, rel));
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	if (bo_orders_pending() > 0)
		bo_queue_commit_work();
}

/*
 * capture(source_id, 'line' | 'header' | 'watch' | 'stock'): per row, after INSERT,
 * UPDATE and DELETE; per statement, after TRUNCATE.
 */
Datum
bo_capture(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	CapturedTable *table;
	Mapping    *mapping = NULL;
	TupleDesc	desc;
	OrderNote  *note;
	OrderNote  *after;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder_internal.capture() is called by triggers only"),
				 errhint("Use backorder.attach() to watch a table.")));
	if (!TRIGGER_FIRED_AFTER(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("backorder_internal.capture() must be fired AFTER"),
				 errhint("Create capture triggers with backorder.attach() only.")));
	table = captured_table(trigdata, &mapping);
	if (table == NULL)
		PG_RETURN_POINTER(NULL);	/* no line, nothing to note */
	if (TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event))
	{
		bo_forget_inserted();
		if (table->role == CAPTURE_STOCK)
			bo_stock_note_all(mapping->source_id);
		else
			bo_note_recorded(mapping);
		if (mapping->immediate)
			(void) bo_settle_pending();
		else if (bo_orders_pending() > 0)
			bo_queue_commit_work();	/* TRUNCATE does not close what an event at its end opens */
		PG_RETURN_POINTER(NULL);
	}
	desc = RelationGetDescr(trigdata->tg_relation);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		if (!differs(table, desc, trigdata->tg_trigslot, trigdata->tg_newslot))
			PG_RETURN_POINTER(NULL);
		note = note_row(table, mapping, trigdata->tg_trigslot, trigdata->tg_relation);
		after = note_row(table, mapping, trigdata->tg_newslot, trigdata->tg_relation);
		if (note != after || !is_own(trigdata->tg_trigtuple))
		{
			bo_note_incomplete(note);
			bo_note_incomplete(after);
		}
		if (table->role == CAPTURE_LINE)
			note_move(table, mapping, desc, trigdata->tg_trigslot, trigdata->tg_newslot, trigdata->tg_newtuple);
	}
	else
	{
		bool		inserted = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event);
		Oid			relid = RelationGetRelid(trigdata->tg_relation);

		note = note_row(table, mapping, trigdata->tg_trigslot, trigdata->tg_relation);
		if (note != NULL && inserted && table->role == CAPTURE_HEADER)
			bo_note_header_inserted(note, mapping, relid, &trigdata->tg_trigslot->tts_tid);
		else if (note != NULL && inserted && table->role == CAPTURE_LINE)
			bo_note_line_inserted(note, mapping, relid, &trigdata->tg_trigslot->tts_tid);
		else if (table->role == CAPTURE_HEADER || !is_own(trigdata->tg_trigtuple))
			bo_note_incomplete(note); /* of a header, lines may be left over for the next of that key */
	}
	BO_POINT("captured");
	if (mapping->immediate && (bo_orders_pending() > 0 || bo_stock_pending()))
		bo_queue_statement_work();
	/* Under SET CONSTRAINTS ... IMMEDIATE: when all rows of the statement are noted. */
	if (bo_orders_pending() > 0)
		bo_queue_commit_work_at_end();
	PG_RETURN_POINTER(NULL);
}
