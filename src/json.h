/*
 * json.h
 *		Members of a JSON object, written as text: what events and waiting
 *		orders hold.
 *
 * Each function appends `"name": value`, with a comma before it unless it is
 * the first of its object.
 */
#ifndef BO_JSON_H
#define BO_JSON_H

#include "lib/stringinfo.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "qty.h"

static inline void
json_name(StringInfo buf, const char *name)
{
	if (buf->len > 0 && buf->data[buf->len - 1] != '{')
		appendStringInfoString(buf, ", ");
	appendStringInfo(buf, "\"%s\": ", name);
}

/* value NULL: null */
static inline void
json_text(StringInfo buf, const char *name, const char *value)
{
	json_name(buf, name);
	if (value)
		escape_json(buf, value);
	else
		appendStringInfoString(buf, "null");
}

static inline void
json_qty(StringInfo buf, const char *name, Qty value)
{
	json_name(buf, name);
	appendStringInfoString(buf, qty_text(value));
}

/* Expects DateStyle ISO, as in every section. */
static inline void
json_date(StringInfo buf, const char *name, bool has, DateADT value)
{
	json_text(buf, name, has ? DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(value))) : NULL);
}

#endif							/* BO_JSON_H */
