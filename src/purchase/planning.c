/*
 * planning.c
 *		What to buy: what is short, and who sells it.
 *
 * One pass over what is short, one over who sells it.  Nothing is written
 * here: drafts.c makes the drafts ask for what is wanted.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"

#include "base/base.h"
#include "purchase/planning.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(bo_wanted_purchases);

/*
 * What may be short, in no order.  An item without a reorder level is short
 * only where lines wait, as what is available is never negative.
 */
static const char *const positions_sql =
	"SELECT p.item, p.location, p.position, p.drafted, p.reorder_point, p.order_up_to FROM backorder_internal.inventory_position p "
	"WHERE p.tenant = $1 AND ($2 IS NULL OR p.item = $2) AND ($3 IS NULL OR p.location = $3) "
	"AND (p.backordered > 0 OR p.reorder_point > 0)";

/* Who can be bought from: suppliers are numbered in the order of their names. */
static const char *const suppliers_sql =
	"SELECT a.supplier FROM backorder.supplier a WHERE a.tenant = $1 AND a.active ORDER BY a.supplier";

/* Who sells what, in no order. */
static const char *const terms_sql =
	"SELECT i.item, i.supplier, i.rank, i.unit_cost, i.order_multiple, i.minimum_quantity, i.maximum_quantity "
	"FROM backorder_internal.purchase_candidate i WHERE i.tenant = $1 AND ($2 IS NULL OR i.item = $2)";

/* Somebody who sells an item. */
typedef struct Candidate
{
	int			rank;
	int			supplier;		/* number */
	Qty			unit_cost;		/* NULL: not known */
	Qty			multiple;
	Qty			smallest;		/* of what is bought at once */
	Qty			largest;		/* a multiple; NULL: no maximum */
	struct Candidate *next;
} Candidate;

/* An item that is short somewhere. */
typedef struct ShortItem
{
	text	   *name;
	Candidate  *candidates;		/* sorted; NULL: nobody sells it */
} ShortItem;

/* What is short of an item at a location. */
typedef struct Requirement
{
	int			item;			/* number */
	text	   *location;
	Qty			rest;			/* of the quantity needed; 0 or less when all is bought */
	Qty			rest_short;		/* of the part that order lines wait for */
	int			lines;
} Requirement;

/* The number of a name. */
typedef struct NameNumber
{
	const text *name;			/* the key */
	int			number;
	uint32		hash;
	char		status;
} NameNumber;

/* ---------- what both files use ---------- */

/*
 * Reads a statement's rows, one call for each in the caller's memory context.
 * The plan is made for this scope: all of a tenant and one item differ.
 */
void
bo_read_plan_rows(const char *sql, const Scope *scope, bool read_only, BoTakeRowFunc take, void *arg)
{
	BoReceiver	receiver = bo_receiver(take, arg);
	text	   *given[] = {scope->tenant, scope->item, scope->location, scope->supplier};
	ParamListInfo params = makeParamList(lengthof(given));
	SPIExecuteOptions options = {.params = params,.read_only = read_only,.dest = &receiver.dest};
	int			rc;

	for (int i = 0; i < (int) lengthof(given); i++)
	{
		params->params[i].value = PointerGetDatum(given[i]);
		params->params[i].isnull = given[i] == NULL;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = TEXTOID;
	}
	rc = SPI_execute_extended(sql, &options);
	if (rc < 0)
		elog(ERROR, "reading for a plan failed: %s", SPI_result_code_string(rc));
}

/* ---------- names ---------- */

static inline uint32
hash_text(const text *t)
{
	return hash_bytes((const unsigned char *) VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
}

#define SH_PREFIX names
#define SH_ELEMENT_TYPE NameNumber
#define SH_KEY_TYPE const text *
#define SH_KEY name
#define SH_HASH_KEY(table, key) hash_text(key)
#define SH_EQUAL(table, a, b) (bo_compare_text(a, b) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* ---------- quantities ---------- */

/* To the next multiple above, or below; exact, which a quotient is not. */
static Qty
to_multiple(Qty quantity, Qty multiple, bool up)
{
	Qty			beyond;
	int			q;
	int			m;

	if (qty_small(quantity, &q) && qty_small(multiple, &m))
		return q % m == 0 ? quantity : qty_int(q - q % m + (up ? m : 0));
	beyond = DatumGetNumeric(DirectFunctionCall2(numeric_mod, NumericGetDatum(quantity), NumericGetDatum(multiple)));
	if (qty_sign(beyond) == 0)
		return quantity;
	quantity = qty_sub(quantity, beyond);
	return up ? qty_add(quantity, multiple) : quantity;
}

/* One line of a supplier: what is needed, in its multiple, within its limits. */
static void
add_planned_line(PurchasePlan *plan, Requirement *requirement, const text *item, const Candidate *c)
{
	Qty 		quantity = to_multiple(qty_max(requirement->rest, c->smallest), c->multiple, true);
	Qty			needed;
	PlannedLine w = {.supplier = c->supplier,.n = ++requirement->lines,.location = requirement->location,.item = item,.unit_cost = c->unit_cost};

	if (c->largest != NULL)
		quantity = qty_min(quantity, c->largest);
	needed = qty_min(requirement->rest, quantity);
	w.quantity = quantity;
	w.for_backorders = qty_sign(requirement->rest_short) > 0 ? qty_min(requirement->rest_short, needed) : qty_zero;
	w.for_reorder = qty_sub(needed, w.for_backorders);
	w.for_rounding = qty_sub(quantity, needed);
	requirement->rest = qty_sub(requirement->rest, quantity);
	requirement->rest_short = qty_sub(requirement->rest_short, needed);
	if (plan->scope->supplier == NULL || bo_compare_text(plan->scope->supplier, *AT(plan->suppliers, text *, c->supplier)) == 0)
		*AT(plan->planned, PlannedLine, plan->planned.n) = w;
}

/* The preferred supplier first, the next above its maximum, and further lines of the last one. */
static void
source_requirement(PurchasePlan *plan, Requirement *requirement)
{
	const ShortItem *item = AT(plan->items, ShortItem, requirement->item);
	const Candidate *c = item->candidates;

	while (c != NULL && qty_sign(requirement->rest) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		add_planned_line(plan, requirement, item->name, c);
		c = c->next != NULL ? c->next : c;
	}
}

/* A row of positions_sql. */
static void
take_position(const Datum *values, const bool *nulls, void *arg)
{
	PurchasePlan *plan = arg;
	Qty			has = qty_add(qty_copy(values[2]), qty_copy(values[3]));
	NameNumber *name;
	Requirement *requirement;
	bool		found;

	if (qty_cmp(has, qty_copy(values[4])) >= 0)
		return;
	name = names_insert(plan->item_numbers, DatumGetTextPP(values[0]), &found);
	if (!found)
	{
		name->number = plan->items.n;
		name->name = AT(plan->items, ShortItem, name->number)->name = DatumGetTextPCopy(values[0]);
	}
	requirement = AT(plan->requirements, Requirement, plan->requirements.n);
	requirement->item = name->number;
	requirement->location = bo_text_like(values[1], plan->requirements.n > 1 ? requirement[-1].location : NULL);
	requirement->rest = qty_sub(qty_copy(values[5]), has);
	requirement->rest_short = qty_min(qty_sub(qty_zero, has), requirement->rest);
}

/* A row of suppliers_sql. */
static void
take_supplier(const Datum *values, const bool *nulls, void *arg)
{
	PurchasePlan *plan = arg;
	int 		number = plan->suppliers.n;
	text	   *supplier = *AT(plan->suppliers, text *, number) = DatumGetTextPCopy(values[0]);
	bool		found;

	names_insert(plan->supplier_numbers, supplier, &found)->number = number;
}

/*
 * A row of terms_sql.  Of the candidates only those are kept whose turn can
 * come: none after one without a maximum.
 */
static void
take_terms(const Datum *values, const bool *nulls, void *arg)
{
	PurchasePlan *plan = arg;
	const NameNumber *item = names_lookup(plan->item_numbers, DatumGetTextPP(values[0]));
	const NameNumber *supplier = item == NULL ? NULL : names_lookup(plan->supplier_numbers, DatumGetTextPP(values[1]));
	int			rank = DatumGetInt32(values[2]);
	Candidate **place;
	Candidate  *c;
	Qty			multiple;
	Qty			largest;

	if (supplier == NULL)
		return;					/* not short, or not active */
	multiple = qty_copy(values[4]);
	largest = nulls[6] ? NULL : to_multiple(qty_copy(values[6]), multiple, false);
	if (largest != NULL && qty_sign(largest) == 0)
		return;
	for (place = &AT(plan->items, ShortItem, item->number)->candidates; (c = *place) != NULL; place = &c->next)
	{
		if (c->rank > rank || (c->rank == rank && c->supplier > supplier->number))
			break;
		if (c->largest == NULL)
			return;
	}
	c = palloc(sizeof(Candidate));
	c->rank = rank;
	c->supplier = supplier->number;
	c->unit_cost = nulls[3] ? NULL : qty_copy(values[3]);
	c->multiple = multiple;
	c->smallest = qty_copy(values[5]);
	c->largest = largest;
	c->next = largest == NULL ? NULL : *place;
	*place = c;
}

/*
 * The lines that planning wants now, in plan->planned.  Expects an SPI scope.  All
 * is read with the caller's snapshot, so that it fits together.
 */
void
bo_find_planned_lines(PurchasePlan *plan, const Scope *scope)
{
	plan->scope = scope;
	plan->item_numbers = names_create(CurrentMemoryContext, 256, NULL);
	plan->supplier_numbers = names_create(CurrentMemoryContext, 256, NULL);
	bo_read_plan_rows(positions_sql, scope, true, take_position, plan);
	if (plan->requirements.n > 0)
	{
		bo_read_plan_rows(suppliers_sql, scope, true, take_supplier, plan);
		bo_read_plan_rows(terms_sql, scope, true, take_terms, plan);
	}
	for (int i = 0; i < plan->requirements.n; i++)
		source_requirement(plan, AT(plan->requirements, Requirement, i));
}

/*
 * wanted_purchases(item text, location text, tenant text)
 *		Which quantities planning would have in drafts now; NULL is all items or locations.
 */
Datum
bo_wanted_purchases(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Scope		scope = {0};
	SpiScope	spi;
	MemoryContext cx = CurrentMemoryContext;
	PurchasePlan plan = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(2))
		PG_RETURN_NULL();
	scope.item = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	scope.location = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	scope.tenant = PG_GETARG_TEXT_PP(2);
	bo_spi_begin(&spi);
	MemoryContextSwitchTo(cx);
	bo_find_planned_lines(&plan, &scope);
	for (int i = 0; i < plan.planned.n; i++)
	{
		PlannedLine *w = AT(plan.planned, PlannedLine, i);
		Datum		values[] = {PointerGetDatum(w->item), PointerGetDatum(w->location), PointerGetDatum(*AT(plan.suppliers, text *, w->supplier)), Int32GetDatum(w->n),
			NumericGetDatum(w->quantity), NumericGetDatum(w->unit_cost), NumericGetDatum(w->for_backorders),
		NumericGetDatum(w->for_reorder), NumericGetDatum(w->for_rounding)};
		bool		nulls[lengthof(values)] = {[5] = w->unit_cost == NULL};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	bo_spi_end(&spi);
	return (Datum) 0;
}
