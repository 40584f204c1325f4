/*
 * kept.c
 *		Lines of new orders, kept from settling to announcing: who writes an order
 *		and announces it in one go need not read it again.
 */
#include "postgres.h"

#include "announce/announce.h"
#include "settle/settle.h"
#include "settle/settling.h"

/* Hands over to announcing the lines of orders that were first recorded by this settling. */
void
bo_announce_settled(List *changes)
{
	ListCell   *lc;

	if (!bo_announce_keeps(list_length(changes)))
		return;
	foreach(lc, changes)
	{
		LineChange *change = lfirst(lc);
		Line	   *line = change->line;
		OrderState *order;

		if (!change->first || line == NULL || line->remove || !line->dirty)
			continue;
		order = bo_announce_order(change->mapping->source_id, change->order_key);
		if (order == NULL)
			continue;
		Assert(change->mapped != NULL); /* nothing was recorded of the order: none of its lines ends */
		bo_announce_line(order, &(LineState) {
			.line_id = line->line_id,
			.line_key = line->line_key,
			.item = change->mapped->item,
			.location = change->mapped->location,
			.customer = line->customer,
			.ordered = line->ordered,
			.shipped = line->shipped,
			.allocated = line->allocated,
			.backordered = qty_sub(line->open, line->allocated),
			.unsettled = line->first_allocated == NULL,
			.has_promised_at = line->has_promised_at,
			.promised_at = line->promised_at,
			.has_first_promised_at = line->has_first_promised_at,
			.first_promised_at = line->first_promised_at
		});
	}
}
