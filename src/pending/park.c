/*
 * park.c
 *		Orders that cannot be read, where attach() was told on_error => 'park'.
 *
 * The order is noted in "parked" with the error, and the application goes on;
 * what is recorded of it stays what it said before.  The next time it can be
 * read it is parked no more.
 */
#include "postgres.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "store/store.h"

/*
 * Parks an order, or with order_key '' a whole source, whose mapping cannot be
 * read.  Says so once: with a WARNING and an event.  Expects an SPI scope.
 */
void
bo_park(const char *tenant, int32 source_id, const char *order_key, ErrorData *error)
{
	char	   *message = error->detail ? psprintf("%s: %s", error->message, error->detail) : error->message;
	Datum		args[5] = {bo_text(tenant), Int32GetDatum(source_id), bo_text(order_key),
	bo_text(unpack_sql_state(error->sqlerrcode)), bo_text(message)};
	const char *table;

	if (bo_run_statement(BO_PARK, NULL, args, false) == 0)
		return;
	table = quote_literal_cstr(bo_source_identity(source_id)->line.name);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 order_key[0] ? errmsg("order %s is parked: %s", order_key, error->message) : errmsg("all orders of a table are parked: %s", error->message),
			 error->detail ? errdetail("%s", error->detail) : 0,
			 order_key[0] ?
			 errhint("What is recorded of it stays until the order is corrected and written again, or looked at with SELECT backorder.resync(%s, %s).",
					 table, quote_literal_cstr(order_key)) :
			 errhint("What is recorded of them stays until the table is attached again with a mapping that fits, or is corrected and looked at with SELECT backorder.resync(%s).",
					 table)));
}

typedef struct MappingTry
{
	int32		source_id;
	Mapping    *mapping;
} MappingTry;

static void
try_mapping(void *arg)
{
	MappingTry *attempt = arg;

	attempt->mapping = bo_mapping_if_exists(attempt->source_id);
}

/*
 * bo_mapping_if_exists(), but where the mapping cannot be read and the source
 * is one that parks, the source is parked and a stub returned, with
 * unreadable set.
 */
Mapping *
bo_mapping_or_park(int32 source_id)
{
	MappingTry	attempt = {.source_id = source_id};
	ErrorData  *error;
	Mapping    *stub;
	SpiScope	spi;

	if (bo_mapping_is_loaded(source_id))
		return bo_mapping_if_exists(source_id);
	error = bo_try_reading(try_mapping, &attempt);
	if (error == NULL)
		return attempt.mapping;
	stub = bo_source_identity(source_id);
	if (!stub->park)
		ReThrowError(error);
	stub->unreadable = true;
	bo_spi_begin(&spi);
	bo_park(stub->tenant, source_id, "", error);
	bo_spi_end(&spi);
	return stub;
}

/* These orders, and so their sources, could be read: they are parked no more.  Expects an SPI scope. */
void
bo_unpark(List *notes)
{
	BoRows	   *rows = bo_rows(BO_ROWS_ORDERS);
	OrderNote  *last = NULL;
	ListCell   *lc;
	int			n = 0;

	foreach(lc, notes)
	{
		OrderNote  *note = lfirst(lc);

		bo_put_order(rows, note->tenant, note->key.source_id, note->key.order_key, n++);
		if (last == NULL || last->key.source_id != note->key.source_id)
			bo_put_order(rows, note->tenant, note->key.source_id, "", n++);
		last = note;
	}
	bo_flush_rows(BO_UNPARK, rows);
}

/* The mapping of a source could be read, or matters no more. */
void
bo_unpark_source(Mapping *mapping)
{
	SpiScope	spi;
	OrderNote	note = {.key = {mapping->source_id, ""},.tenant = mapping->tenant};

	bo_spi_begin(&spi);
	bo_unpark(list_make1(&note));
	bo_spi_end(&spi);
}
