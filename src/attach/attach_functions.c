/*
 * attach_functions.c
 *		mapped_lines() and mapped_stock(): what an attached table says now.
 */
#include "postgres.h"

#include <limits.h>

#include "funcapi.h"

#include "base/base.h"
#include "mapping/mapping.h"
#include "pending/pending.h"

PG_FUNCTION_INFO_V1(bo_mapped_stock);
PG_FUNCTION_INFO_V1(bo_mapped_lines);

static void
put_app_stock(char *item, char *location, Qty on_hand, Qty unavailable, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[4] = {bo_text(item), bo_text(location), NumericGetDatum(on_hand), unavailable ? NumericGetDatum(unavailable) : (Datum) 0};
	bool		nulls[4] = {false, false, false, unavailable == NULL};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* mapped_stock(source_id): what the table says now; for verify(). */
Datum
bo_mapped_stock(PG_FUNCTION_ARGS)
{
	SpiScope	spi;

	InitMaterializedSRF(fcinfo, 0);
	bo_spi_begin(&spi);
	bo_read_app_stock(PG_GETARG_INT32(0), NIL, true, put_app_stock, fcinfo->resultinfo);
	bo_spi_end(&spi);
	return (Datum) 0;
}

static void
put_mapped(Mapping *mapping, MappedLine *line, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[14];
	bool		nulls[14] = {false};

	values[0] = bo_text(line->order_key);
	values[1] = bo_text(line->line_key);
	values[2] = bo_text(line->item);
	nulls[2] = line->item == NULL;
	values[3] = bo_text(line->location);
	values[4] = bo_text(line->customer);
	nulls[4] = line->customer == NULL;
	values[5] = line->quantity ? NumericGetDatum(line->quantity) : (Datum) 0;
	nulls[5] = line->quantity == NULL;
	values[6] = NumericGetDatum(line->cancelled);
	values[7] = NumericGetDatum(line->shipped);
	values[8] = NumericGetDatum(line->picked);
	values[9] = BoolGetDatum(line->live);
	values[10] = Int32GetDatum(line->priority);
	values[11] = TimestampTzGetDatum(line->queued_at);
	nulls[11] = !line->has_queued_at;
	values[12] = DateADTGetDatum(line->requested_at);
	nulls[12] = !line->has_requested_at;
	values[13] = BoolGetDatum(line->held);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* mapped_lines(source_id, order_key): what the mapping reads now, of all orders or of one; for verify() and explain(). */
Datum
bo_mapped_lines(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Mapping    *mapping;
	OrderNote	note = {.tenant = NULL};
	SpiScope	spi;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	mapping = bo_mapping(PG_GETARG_INT32(0));
	bo_spi_begin(&spi);
	if (PG_ARGISNULL(1))
		bo_mapping_read(mapping, MAPPING_ALL, NIL, put_mapped, rsinfo);
	else if (bo_key_native(mapping, text_to_cstring(PG_GETARG_TEXT_PP(1)), note.keys.order))
		bo_mapping_read(mapping, MAPPING_ONE, list_make1(&note), put_mapped, rsinfo);
	bo_spi_end(&spi);
	return (Datum) 0;
}
