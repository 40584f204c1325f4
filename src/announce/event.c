/*
 * event.c
 *		Rows of the outbox, as announcing and settling write them.
 *
 * What it is not: it does not decide what is said; announce.c and
 * settle/movements.c do.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/lsyscache.h"
#include "utils/xid8.h"

#include "announce/announce.h"
#include "base/base.h"
#include "base/json.h"
#include "mapping/mapping.h"
#include "store/store.h"

/*
 * The table of a source, qualified; NULL where there is none any more.  With a
 * new snapshot: it may have been attached while this transaction waited for
 * stock.
 */
static char *
source_table(int32 source_id)
{
	Datum		arg = Int32GetDatum(source_id);
	char	   *schema;
	char	   *table;
	Oid			nsp;

	if (bo_mapping_is_loaded(source_id))
		return pstrdup(bo_mapping(source_id)->line.name);
	if (bo_run_statement(BO_READ_SOURCE_TABLE, NULL, &arg, false) == 0)
		return NULL;
	schema = bo_result_text(SPI_tuptable, 0, 1);
	table = bo_result_text(SPI_tuptable, 0, 2);
	nsp = get_namespace_oid(schema, true);
	return OidIsValid(nsp) && OidIsValid(get_relname_relid(table, nsp)) ? quote_qualified_identifier(schema, table) : NULL;
}

/* What all events of a source say: its table, and in which life of the database. */
static void
read_context(EventSet *set, int32 source_id)
{
	set->source = source_table(source_id);
	set->generation = Int64GetDatum(bo_generation());
	set->source_id = source_id;
}

/*
 * Adds an event of an order to a set.  payload is an object that is not ended
 * yet.  Expects an SPI scope, and the lock under which events of this
 * order are serial: the transaction number that they are ordered by is read
 * here.  Allocates in the current context.
 */
void
bo_event_put(EventSet *set, const char *tenant, int32 source_id, const char *order_key, const char *type, const char *customer, JsonbParseState **payload)
{
	Datum		values[GIVEN_EVENT_COLUMNS];
	bool		nulls[GIVEN_EVENT_COLUMNS] = {false};

	if (set->rows == NULL)
		set->rows = bo_rows(BO_ROWS_EVENTS);
	if (set->source_id != source_id)
		read_context(set, source_id);
	json_text(payload, "source", set->source);
	values[GIVEN_EVENT_TENANT] = bo_text(tenant);
	values[GIVEN_EVENT_AGGREGATETYPE] = bo_text("order");
	values[GIVEN_EVENT_AGGREGATEID] = bo_text(order_key);
	values[GIVEN_EVENT_TYPE] = bo_text(type);
	values[GIVEN_EVENT_PAYLOAD] = json_finish(payload);
	values[GIVEN_EVENT_SOURCE_ID] = Int32GetDatum(source_id);
	values[GIVEN_EVENT_CUSTOMER] = bo_text(customer);
	nulls[GIVEN_EVENT_CUSTOMER] = customer == NULL;
	values[GIVEN_EVENT_GENERATION] = set->generation;
	values[GIVEN_EVENT_XID] = FullTransactionIdGetDatum(ReadNextFullTransactionId());
	bo_rows_put(set->rows, values, nulls);
}

/* Writes the events of a set. Expects an SPI scope. */
void
bo_events_write(EventSet *set)
{
	bo_flush_rows(BO_INSERT_EVENTS, set->rows);
	set->rows = NULL;
}
