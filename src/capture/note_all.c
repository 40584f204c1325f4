/*
 * note_all.c
 *		Notes all orders of a source: those recorded, and those in its table.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "base/base.h"
#include "capture/capture.h"
#include "mapping/mapping.h"
#include "pending/pending.h"
#include "store/store.h"

/* Notes every order recorded of a source: what TRUNCATE may have emptied. Expects no SPI scope; the caller settles or queues. */
void
bo_note_recorded(Mapping *mapping)
{
	SpiScope	spi;
	Datum		args[2] = {CStringGetTextDatum(mapping->tenant), Int32GetDatum(mapping->source_id)};
	SPITupleTable *table;
	uint64		n;

	bo_spi_begin(&spi);
	/* The table is locked: every order that was recorded, also after an older snapshot. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	n = bo_run_statement(BO_READ_SOURCE_ORDERS, NULL, args, true);
	PopActiveSnapshot();
	table = SPI_tuptable;
	for (uint64 row = 0; row < n; row++)
	{
		bo_note_order_text(mapping, bo_result_text(table, row, 1), false);
	}
	bo_spi_end(&spi);
}

/* Notes every order of the attached table. Expects an SPI scope. */
void
bo_mapping_note_all(Mapping *mapping)
{
	BoActor		before;
	int			level;
	SPITupleTable *table;
	uint64		n;

	bo_mapping_lock(mapping);
	level = bo_allow_all_plans();
	before = bo_act_as_owner(mapping->owner);
	/* Under our lock on the table: every order that was committed, also after an older snapshot. */
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute(mapping->keys_query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the order keys of %s", mapping->line.name);
	PopActiveSnapshot();
	bo_act_as_before(&before);
	AtEOXact_GUC(false, level);
	table = SPI_tuptable;
	n = SPI_processed;
	for (uint64 row = 0; row < n; row++)
	{
		Datum		keys[BO_MAX_KEYS];
		bool		isnull = false;

		for (int i = 0; i < mapping->line.nkeys && !isnull; i++)
			keys[i] = heap_getattr(table->vals[row], i + 1, table->tupdesc, &isnull);
		if (!isnull)
			bo_note_whole(bo_note_order(mapping, keys));
	}
	SPI_freetuptable(table);
}
