/*
 * capture.c
 *		Triggers on attached tables: note which orders, or which stock, changed;
 *		run the work that is due at commit.
 *
 * Capture only notes.  A row trigger adds the order's key to a set that lives
 * as long as the transaction; reconcile.c looks at the orders later.  The
 * first note of a transaction queues one deferred trigger event, on the one
 * row of commit_work that never changes: nothing is written for it.
 *
 * Notes are never taken back.  An order that is looked at without need shows
 * no difference, so after a rollback to a savepoint every order noted so far
 * is simply looked at again.
 */
#include "backorder.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(bo_capture);
PG_FUNCTION_INFO_V1(bo_commit_work);
PG_FUNCTION_INFO_V1(bo_statement_work);
PG_FUNCTION_INFO_V1(bo_lock_pending);
PG_FUNCTION_INFO_V1(bo_lock_pending_orders);

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

/* The types that the native keys in the notes of a source have. */
typedef struct NotedTypes
{
	int32		source_id;
	Oid			order_key[BO_MAX_KEYS];
	Oid			line_key[BO_MAX_KEYS];
} NotedTypes;

/* The transaction's notes, in a context of their own below TopTransactionContext. */
typedef struct Pending
{
	MemoryContext cx;
	List	   *types;			/* of NotedTypes */
	HTAB	   *notes;			/* NoteKey -> OrderNote */
	List	   *order;			/* of OrderNote, as first noted */
	List	   *moves;			/* of LineMove */
	struct
	{
		int			ndirty;		/* notes to reconcile */
		int			nmoves;		/* moves that count */
		bool		queued;		/* the commit event is */
		bool		requeued;	/* it has gone to the end of the queue once */
		bool		statement_queued;	/* the event at the end of the statement is */
	}			state;			/* follows savepoints */
	bool		queueing;		/* the event is being queued: one that fires now does not wait */
	bool		paused;			/* whoever set this does the commit work, or queues it */
	Mapping    *last_mapping;	/* the last note, as most rows repeat it */
	OrderNote  *last_note;
} Pending;

static Pending *pending;

/* ---------- life cycle ---------- */

/* Hash functions of tables keyed by NoteKey. */
uint32
bo_note_key_hash(const void *key, Size size)
{
	const NoteKey *k = key;

	return string_hash(k->order_key, strlen(k->order_key) + 1) ^ ((uint32) k->source_id * 0x9e3779b9u);
}

int
bo_note_key_match(const void *a, const void *b, Size size)
{
	const NoteKey *x = a;
	const NoteKey *y = b;

	return x->source_id != y->source_id || strcmp(x->order_key, y->order_key) != 0;
}

static Pending *
need_pending(void)
{
	if (pending == NULL)
	{
		MemoryContext cx = AllocSetContextCreate(TopTransactionContext, "backorder notes", ALLOCSET_DEFAULT_SIZES);
		Pending    *p = MemoryContextAllocZero(cx, sizeof(Pending));
		HASHCTL		ctl = {.keysize = sizeof(NoteKey),.entrysize = sizeof(OrderNote),.hash = bo_note_key_hash,.match = bo_note_key_match,.hcxt = cx};

		p->cx = cx;
		p->notes = hash_create("backorder notes", 16, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
		pending = p;
	}
	return pending;
}

static void
xact_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if ((pending != NULL && pending->state.ndirty > 0) || bo_counts_pending() || bo_announce_pending())
				elog(ERROR, "backorder: orders were noted and not settled");
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			pending = NULL;		/* its memory goes with the transaction */
			bo_counts_reset();
			bo_forget_saved();
			bo_writing = false;
			bo_announce_reset();
			bo_dealt_reset();
			break;
		default:
			break;
	}
}

static void
subxact_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	if (!bo_is_trying())
		bo_dealt_reset();
	bo_restore(mine);
	if (pending != NULL)
		pending->last_note = NULL;
}

static void
relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS seq;
	CapturedTable *table;

	if (pending != NULL)
	{
		pending->last_mapping = NULL;	/* its types may be others now */
		pending->last_note = NULL;
	}
	if (captured_tables == NULL)
		return;
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
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	RegisterXactCallback(xact_end, NULL);
	RegisterSubXactCallback(subxact_end, NULL);
}

/* ---------- the commit event ---------- */

/*
 * Settles what is noted and writes the events; what that notes anew is
 * announced in here.  At commit, or before where nothing may be left to do.
 */
void
bo_run_commit_work(void)
{
	Pending    *p = need_pending();
	bool		paused = p->paused;

	p->paused = true;
	PG_TRY();
	{
		(void) bo_settle_pending();
		bo_announce();
		BO_POINT("announced");
	}
	PG_FINALLY();
	{
		p->paused = paused;
	}
	PG_END_TRY();
}

/*
 * Queues an event on the one row of a table, as if it had been inserted: it
 * was there all the time, nothing is written.  at_end: for the end of the
 * statement that fired the trigger we are in, behind what is queued already;
 * else for when the table's trigger is due, at once where that is not
 * deferred.
 */
static void
queue_event(const char *table, bool at_end)
{
	Relation	rel = table_open(bo_relation(table), RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, SnapshotSelf, 0, NULL);
	EState	   *estate;
	ResultRelInfo *rri;

	if (!table_scan_getnextslot(scan, ForwardScanDirection, slot))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("table backorder.%s is empty", table),
				 errhint("Its one row is part of the extension: INSERT INTO backorder.%s DEFAULT VALUES.", table)));
	estate = CreateExecutorState();
	rri = makeNode(ResultRelInfo);
	InitResultRelInfo(rri, rel, 1, NULL, 0);
	if (!at_end)
		AfterTriggerBeginQuery();
	ExecARInsertTriggers(estate, rri, slot, NIL, NULL);
	if (!at_end)
		AfterTriggerEndQuery(estate);
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseResultRelations(estate);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
}

static void
queue_commit_work(bool at_end)
{
	Pending    *p = need_pending();

	if (p->paused || p->state.queued)
		return;
	bo_save(&p->state, sizeof(p->state));
	p->state.queued = true;
	p->queueing = !at_end;
	PG_TRY();
	{
		queue_event("commit_work", at_end);
	}
	PG_FINALLY();
	{
		p->queueing = false;
	}
	PG_END_TRY();
}

/*
 * Queues the deferred event that runs bo_commit_work.  Under SET CONSTRAINTS
 * ... IMMEDIATE it runs in here: so this is called where there is nothing half
 * done.
 */
void
bo_queue_commit_work(void)
{
	queue_commit_work(false);
}

/* In immediate timing: queues the event that settles when the statement has ended. */
static void
queue_statement_work(void)
{
	Pending    *p = pending;

	if (p == NULL || (p->state.ndirty == 0 && !bo_counts_pending()) || p->state.statement_queued)
		return;
	bo_save(&p->state, sizeof(p->state));
	p->state.statement_queued = true;
	queue_event("statement_work", true);
}

/* The trigger behind that event. */
Datum
bo_statement_work(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || RelationGetRelid(trigdata->tg_relation) != bo_relation("statement_work"))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder.statement_work() is called by its own trigger only"),
				 errhint("Use backorder.flush() to settle pending orders now.")));
	if (pending == NULL)
		PG_RETURN_POINTER(NULL);
	bo_save(&pending->state, sizeof(pending->state));
	pending->state.statement_queued = false;
	(void) bo_settle_pending();
	PG_RETURN_POINTER(NULL);
}

/*
 * From true to false nothing is queued: the caller does the commit work
 * itself.  At the end it is queued for what is left to announce.  Returns what
 * it was before.
 */
bool
bo_pause_commit_work(bool pause)
{
	Pending    *p = need_pending();
	bool		before = p->paused;

	p->paused = pause;
	if (!pause && bo_announce_pending())
		bo_queue_commit_work();
	return before;
}

/* The same after an error: nothing is queued, as what there was to announce is undone. */
void
bo_unpause_commit_work(bool before)
{
	if (pending != NULL)
		pending->paused = before;
}

/*
 * The deferred trigger.  The first time it goes to the end of the queue, so
 * that the application's own deferred triggers come first; then it settles
 * what is noted and writes the events.
 */
Datum
bo_commit_work(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || RelationGetRelid(trigdata->tg_relation) != bo_relation("commit_work"))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder.commit_work() is called by its own trigger only"),
				 errhint("Use backorder.flush() to settle pending orders now.")));
	if (pending == NULL)
		PG_RETURN_POINTER(NULL);
	bo_save(&pending->state, sizeof(pending->state));
	pending->state.queued = false;
	if (!pending->state.requeued && !pending->queueing)
	{
		pending->state.requeued = true;
		bo_queue_commit_work();
		PG_RETURN_POINTER(NULL);
	}
	pending->state.requeued = false;
	bo_run_commit_work();
	PG_RETURN_POINTER(NULL);
}

/* ---------- notes ---------- */

/* The note of an order, which becomes dirty; anew: it was not. */
static OrderNote *
note(Mapping *mapping, char *order_key, bool *anew)
{
	Pending    *p = need_pending();
	NoteKey		key = {mapping->source_id, order_key};
	OrderNote  *entry;
	bool		found;

	entry = hash_search(p->notes, &key, HASH_ENTER, &found);
	if (!found)
	{
		MemoryContext old = MemoryContextSwitchTo(p->cx);

		entry->key.order_key = pstrdup(order_key);
		entry->tenant = pstrdup(mapping->tenant);
		entry->seq = list_length(p->order);
		memset(entry->native, 0, sizeof(entry->native));
		memset(&entry->state, 0, sizeof(entry->state));
		p->order = lappend(p->order, entry);
		MemoryContextSwitchTo(old);
	}
	*anew = !entry->state.dirty;
	if (*anew)
	{
		bo_save(&entry->state, sizeof(entry->state));
		bo_save(&p->state, sizeof(p->state));
		entry->state.dirty = true;
		entry->state.unreadable = false;
		p->state.ndirty++;
	}
	p->last_mapping = mapping;
	p->last_note = entry;
	return entry;
}

static void
keep_native(Mapping *mapping, OrderNote *entry, const Datum *native)
{
	MemoryContext old;

	if (entry->native[0] != (Datum) 0)
		bo_save(entry->native, sizeof(entry->native));
	old = MemoryContextSwitchTo(pending->cx);
	for (int i = 0; i < mapping->line.nkeys; i++)
		entry->native[i] = datumCopy(native[i], get_typbyval(mapping->line.key_type[i]), get_typlen(mapping->line.key_type[i]));
	MemoryContextSwitchTo(old);
}

/* Of this order more may have changed than the lines that are noted. */
void
bo_note_whole(OrderNote *note)
{
	if (note->state.whole)
		return;
	bo_save(&note->state, sizeof(note->state));
	note->state.whole = true;
}

/* The same, by a key that is not a line's own: its lines may write it in other ways. */
void
bo_note_spellings(Mapping *mapping, OrderNote *note)
{
	bo_note_whole(note);
	if (!mapping->spellings || note->state.spellings)
		return;
	bo_save(&note->state, sizeof(note->state));
	note->state.spellings = true;
}

/* Has the transaction this order's lock? */
bool
bo_order_is_locked(int32 source_id, const char *order_key)
{
	NoteKey		key = {source_id, order_key};
	OrderNote  *note = pending ? hash_search(pending->notes, &key, HASH_FIND, NULL) : NULL;

	return note != NULL && note->state.locked;
}

static NotedTypes
types_of(Mapping *mapping)
{
	NotedTypes	types = {.source_id = mapping->source_id};

	memcpy(types.order_key, mapping->line.key_type, sizeof(Oid) * mapping->line.nkeys);
	memcpy(types.line_key, mapping->line_key_type, sizeof(Oid) * mapping->nline_columns);
	return types;
}

/*
 * Where a key column has got another type since orders of the source were
 * noted, their native keys are made again from their texts.
 */
void
bo_check_noted_types(Mapping *mapping)
{
	NotedTypes	now = types_of(mapping);
	NotedTypes *known = NULL;
	ListCell   *lc;

	if (pending == NULL || mapping->line.nkeys == 0)
		return;
	foreach(lc, pending->types)
		if (((NotedTypes *) lfirst(lc))->source_id == mapping->source_id)
			known = lfirst(lc);
	if (known != NULL && memcmp(known, &now, sizeof(now)) == 0)
		return;
	if (known == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(pending->cx);

		known = palloc(sizeof(NotedTypes));
		pending->types = lappend(pending->types, known);
		MemoryContextSwitchTo(old);
	}
	else
		foreach(lc, pending->order)
		{
			OrderNote  *entry = lfirst(lc);
			Datum		native[BO_MAX_KEYS];

			if (entry->key.source_id != mapping->source_id)
				continue;
			bo_save(&entry->state, sizeof(entry->state));
			entry->state.unreadable = !bo_key_native(mapping, entry->key.order_key, native);
			if (!entry->state.unreadable)
				keep_native(mapping, entry, native);
			bo_note_whole(entry);	/* not by the key of its one line, which may be of another type */
		}
	*known = now;
}

/*
 * Notes an order by the native values of its key, as the line table has them.
 * The caller says what of it: bo_note_whole(), or note_line(); and when all is
 * noted, bo_queue_commit_work().
 */
OrderNote *
bo_note_order(Mapping *mapping, const Datum *native)
{
	OrderNote  *entry;
	bool		anew;
	int			level = 0;

	/* Most rows repeat the order of the row before. */
	if (pending != NULL && pending->last_note != NULL && pending->last_mapping == mapping && pending->last_note->state.dirty &&
		pending->last_note->key.source_id == mapping->source_id)
	{
		bool		same = true;

		for (int i = 0; i < mapping->line.nkeys && same; i++)
			same = datumIsEqual(native[i], pending->last_note->native[i],
								get_typbyval(mapping->line.key_type[i]), get_typlen(mapping->line.key_type[i]));
		if (same)
			return pending->last_note;
	}
	if (pending == NULL || pending->last_mapping != mapping)
	{
		(void) need_pending();
		bo_check_noted_types(mapping);
	}
	if (mapping->pin_keys)
		level = bo_pin_settings();
	entry = note(mapping, bo_key_text(native, mapping->line.key_type, mapping->line.nkeys), &anew);
	if (mapping->pin_keys)
		AtEOXact_GUC(false, level);
	/* Noted before under another mapping, the key may have been of another type, or none. */
	if (anew || entry->state.unreadable)
	{
		if (entry->state.unreadable)
		{
			bo_save(&entry->state, sizeof(entry->state));
			entry->state.unreadable = false;
		}
		keep_native(mapping, entry, native);
	}
	return entry;
}

/*
 * Notes an order by its key as text, as it is recorded, or with spellings as
 * anybody may write it.  False where that is no key of the table, as after
 * another order_key was attached: then its lines end.
 */
bool
bo_note_order_text(Mapping *mapping, const char *order_key, bool spellings)
{
	Datum		native[BO_MAX_KEYS];
	OrderNote  *entry;
	bool		anew;
	/* A stub's orders are ended unread. */
	bool		readable = mapping->line.nkeys > 0 && bo_key_native(mapping, order_key, native);

	(void) need_pending();
	bo_check_noted_types(mapping);
	entry = note(mapping, pstrdup(order_key), &anew);
	if (entry->state.unreadable == readable)
	{
		bo_save(&entry->state, sizeof(entry->state));
		entry->state.unreadable = !readable;
	}
	bo_note_whole(entry);
	if (spellings)
		bo_note_spellings(mapping, entry);
	if (readable)
		keep_native(mapping, entry, native);
	return readable;
}

/* The order in which orders are locked, for list_sort(). */
int
bo_compare_notes(const ListCell *a, const ListCell *b)
{
	const OrderNote *x = lfirst(a);
	const OrderNote *y = lfirst(b);
	int			cmp = strcmp(x->tenant, y->tenant);

	if (cmp == 0 && x->key.source_id != y->key.source_id)
		cmp = x->key.source_id < y->key.source_id ? -1 : 1;
	return cmp != 0 ? cmp : strcmp(x->key.order_key, y->key.order_key);
}

/* The orders to reconcile, of OrderNote, sorted as they are to be locked. */
List *
bo_pending_orders(void)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (pending == NULL || pending->state.ndirty == 0)
		return NIL;
	foreach(lc, pending->order)
		if (((OrderNote *) lfirst(lc))->state.dirty)
			result = lappend(result, lfirst(lc));
	list_sort(result, bo_compare_notes);
	return result;
}

/* The key updates not yet reconciled, of LineMove, as they happened. */
List *
bo_pending_moves(void)
{
	List	   *result = NIL;

	for (int i = 0; pending != NULL && i < pending->state.nmoves; i++)
	{
		LineMove   *move = list_nth(pending->moves, i);

		if (!move->done)
			result = lappend(result, move);
	}
	return result;
}

/* These orders, and all moves, were reconciled. */
void
bo_pending_done(List *notes)
{
	ListCell   *lc;

	bo_save(&pending->state, sizeof(pending->state));
	foreach(lc, notes)
	{
		OrderNote  *entry = lfirst(lc);

		bo_save(&entry->state, sizeof(entry->state));
		if (entry->state.dirty)
			pending->state.ndirty--;
		entry->state.dirty = false;
		entry->state.fresh = false;
		entry->state.whole = false;
		entry->state.spellings = false;
		entry->state.one_line = false;
	}
	foreach(lc, bo_pending_moves())
	{
		LineMove   *move = lfirst(lc);

		bo_save(&move->done, sizeof(move->done));
		move->done = true;
	}
	pending->last_note = NULL;
}

/* ---------- the trigger on attached tables ---------- */

/* The number in a partition of a column of the attached table. */
static AttrNumber
partition_column(Oid relid, const MappedTable *table, AttrNumber attnum)
{
	AttrNumber	result;

	if (relid == table->relid)
		return attnum;
	result = get_attnum(relid, get_attname(table->relid, attnum, false));
	if (result == InvalidAttrNumber)
		elog(ERROR, "column %d of %s is missing in relation %u", attnum, table->name, relid);
	return result;
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
		fresh.key[i] = partition_column(relid, mapped, mapped->key[i]);
	if (fresh.role == CAPTURE_LINE)
		for (int i = 0; i < (*mapping)->nline_columns; i++)
			fresh.line_key[i] = partition_column(relid, mapped, (*mapping)->line_key[i]);
	{
		MemoryContext old = MemoryContextSwitchTo(CacheMemoryContext);

		while ((attnum = bms_next_member(mapped->used, attnum)) >= 0)
			fresh.used = bms_add_member(fresh.used, attnum == 0 ? 0 : partition_column(relid, mapped, attnum));
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

static void
try_watch(void *arg)
{
	WatchTry   *attempt = arg;

	bo_watch_note(attempt->mapping, attempt->relid, attempt->slot, attempt->rel);
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
	MemoryContext old;

	if (entry->state.whole)
		return;
	if (!mapping->by_line || pending->state.ndirty > 1 || !get_key(slot, table->line_key, mapping->nline_columns, values))
	{
		bo_note_whole(entry);
		return;
	}
	detoast(values, mapping->line_key_type, mapping->nline_columns);
	for (int i = 0; i < mapping->nline_columns && entry->state.one_line && same; i++)
		same = datumIsEqual(values[i], entry->state.line[i],
							get_typbyval(mapping->line_key_type[i]), get_typlen(mapping->line_key_type[i]));
	if (entry->state.one_line)
	{
		if (!same)
			bo_note_whole(entry);
		return;
	}
	bo_save(&entry->state, sizeof(entry->state));
	old = MemoryContextSwitchTo(pending->cx);
	for (int i = 0; i < mapping->nline_columns; i++)
		entry->state.line[i] = datumCopy(values[i], get_typbyval(mapping->line_key_type[i]), get_typlen(mapping->line_key_type[i]));
	MemoryContextSwitchTo(old);
	entry->state.one_line = true;
}

static void
note_row(CapturedTable *table, Mapping *mapping, TupleTableSlot *slot, Relation rel)
{
	Datum		values[BO_MAX_KEYS];
	int			n = mapping->line.nkeys;

	if (table->role == CAPTURE_STOCK)
	{
		bo_stock_note_row(mapping->source_id, slot, rel);
		return;
	}
	if (table->nkeys == 0)
	{
		WatchTry	attempt = {mapping, table->attached, slot, rel};
		ErrorData  *error;
		BoSection	section;

		if (!mapping->park)
			try_watch(&attempt);
		else if ((error = bo_try(try_watch, &attempt)) != NULL)
		{
			bo_enter(&section);
			bo_park(mapping->tenant, mapping->source_id, "", error);
			bo_leave(&section);
		}
		return;
	}
	if (!get_key(slot, table->key, n, values))
		return;
	if (table->role == CAPTURE_HEADER)
	{
		detoast(values, mapping->header.key_type, n);
		if (!bo_header_key(mapping, values))
			return;
	}
	else
		detoast(values, mapping->line.key_type, n);
	if (table->role == CAPTURE_LINE)
		note_line(table, mapping, bo_note_order(mapping, values), slot);
	else
		bo_note_spellings(mapping, bo_note_order(mapping, values));
}

/* An UPDATE that changes the key of a line moves the line, with all it has. */
static void
note_move(CapturedTable *table, Mapping *mapping, TupleDesc desc, TupleTableSlot *before, TupleTableSlot *after, HeapTuple written)
{
	TupleTableSlot *slots[2] = {before, after};
	char	   *keys[2][2];
	bool		same = true;
	LineMove   *move;
	MemoryContext old;

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
	old = MemoryContextSwitchTo(need_pending()->cx);
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
		{
			MemoryContextSwitchTo(old);
			return;
		}
	}
	move = palloc0(sizeof(LineMove));
	move->source_id = mapping->source_id;
	move->old_order = keys[0][0];
	move->old_line = keys[0][1];
	move->new_order = keys[1][0];
	move->new_line = keys[1][1];
	/* Of the command that wrote the row: other triggers may have run commands of theirs since. */
	move->cid = HeapTupleHeaderGetCmin(written->t_data);
	bo_save(&pending->state, sizeof(pending->state));
	pending->moves = lappend(list_truncate(pending->moves, pending->state.nmoves++), move);
	MemoryContextSwitchTo(old);
}

/* Every recorded order of the source: what TRUNCATE may have emptied. */
static void
note_recorded(Mapping *mapping)
{
	BoSection	section;
	Datum		args[2] = {CStringGetTextDatum(mapping->tenant), Int32GetDatum(mapping->source_id)};
	SPITupleTable *table;
	uint64		n;

	bo_enter(&section);
	n = bo_exec(BO_READ_SOURCE_ORDERS, NULL, args, false);
	table = SPI_tuptable;
	for (uint64 row = 0; row < n; row++)
	{
		SPI_tuptable = table;
		bo_note_order_text(mapping, bo_get_text(row, 1), false);
	}
	bo_leave(&section);
}

/* Notes every order recorded of a source. Expects no section; the caller settles or queues. */
void
bo_note_recorded(Mapping *mapping)
{
	note_recorded(mapping);
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
		table.key[i] = partition_column(partition, mapped, mapped->key[i]);
	if (table.role == CAPTURE_LINE)
		for (int i = 0; i < mapping->nline_columns; i++)
			table.line_key[i] = partition_column(partition, mapped, mapping->line_key[i]);
	rel = table_open(partition, AccessShareLock);
	slot = table_slot_create(rel, NULL);
	scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		note_row(&table, mapping, slot, rel);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	if (pending != NULL && pending->state.ndirty > 0)
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

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder.capture() is called by triggers only"),
				 errhint("Use backorder.attach() to watch a table.")));
	if (!TRIGGER_FIRED_AFTER(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("backorder.capture() must be fired AFTER"),
				 errhint("Create capture triggers with backorder.attach() only.")));
	table = captured_table(trigdata, &mapping);
	if (table == NULL)
		PG_RETURN_POINTER(NULL);	/* no line, nothing to note */
	if (TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event))
	{
		if (table->role == CAPTURE_STOCK)
			bo_stock_note_all(mapping->source_id);
		else
			note_recorded(mapping);
		if (mapping->immediate)
			(void) bo_settle_pending();
		else if (pending != NULL && pending->state.ndirty > 0)
			bo_queue_commit_work();	/* TRUNCATE does not close what an event at its end opens */
		PG_RETURN_POINTER(NULL);
	}
	desc = RelationGetDescr(trigdata->tg_relation);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		if (!differs(table, desc, trigdata->tg_trigslot, trigdata->tg_newslot))
			PG_RETURN_POINTER(NULL);
		note_row(table, mapping, trigdata->tg_trigslot, trigdata->tg_relation);
		note_row(table, mapping, trigdata->tg_newslot, trigdata->tg_relation);
		if (table->role == CAPTURE_LINE)
			note_move(table, mapping, desc, trigdata->tg_trigslot, trigdata->tg_newslot, trigdata->tg_newtuple);
	}
	else
		note_row(table, mapping, trigdata->tg_trigslot, trigdata->tg_relation);
	BO_POINT("captured");
	if (mapping->immediate)
		queue_statement_work();
	/* Under SET CONSTRAINTS ... IMMEDIATE: when all rows of the statement are noted. */
	if (pending != NULL && pending->state.ndirty > 0)
		queue_commit_work(true);
	PG_RETURN_POINTER(NULL);
}

/* Before changes of purchase orders: order rows come first in the lock order. */
Datum
bo_lock_pending(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_BO_PROTECTED),
				 errmsg("backorder.lock_pending() is called by triggers only"),
				 errhint("Use backorder.flush() to settle pending orders now.")));
	if (!bo_writing)
		bo_lock_orders(bo_pending_orders());
	PG_RETURN_POINTER(NULL);
}

/* lock_orders(): locks the transaction's pending orders; for functions that lock purchase orders next. */
Datum
bo_lock_pending_orders(PG_FUNCTION_ARGS)
{
	bo_lock_orders(bo_pending_orders());
	PG_RETURN_VOID();
}
