/*
 * json.h
 *		Members of a jsonb object, one after another, and back: what events
 *		and waiting orders hold.
 *
 * What is pushed is not copied until the whole is finished.
 */
#ifndef BO_JSON_H
#define BO_JSON_H

#include "miscadmin.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "base/qty.h"

static inline void
json_string(JsonbParseState **state, JsonbIteratorToken token, const char *s)
{
	JsonbValue	v = {.type = jbvString,.val.string = {.val = (char *) s,.len = strlen(s)}};

	(void) pushJsonbValue(state, token, &v);
}

static inline void
json_begin(JsonbParseState **state)
{
	(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
}

static inline void
json_end(JsonbParseState **state)
{
	(void) pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* A member that is an array, up to json_end_array(). */
static inline void
json_begin_array(JsonbParseState **state, const char *name)
{
	json_string(state, WJB_KEY, name);
	(void) pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
}

static inline void
json_end_array(JsonbParseState **state)
{
	(void) pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/* value NULL: null */
static inline void
json_text(JsonbParseState **state, const char *name, const char *value)
{
	JsonbValue	none = {.type = jbvNull};

	json_string(state, WJB_KEY, name);
	if (value != NULL)
		json_string(state, WJB_VALUE, value);
	else
		(void) pushJsonbValue(state, WJB_VALUE, &none);
}

static inline void
json_qty(JsonbParseState **state, const char *name, Qty value)
{
	JsonbValue	v = {.type = jbvNumeric,.val.numeric = value};

	json_string(state, WJB_KEY, name);
	(void) pushJsonbValue(state, WJB_VALUE, &v);
}

/* As date_out() does it under DateStyle ISO. */
static inline void
json_date(JsonbParseState **state, const char *name, bool has, DateADT value)
{
	char	   *text = has ? palloc(MAXDATELEN + 1) : NULL;
	struct pg_tm tm;

	if (has && DATE_NOT_FINITE(value))
		EncodeSpecialDate(value, text);
	else if (has)
	{
		j2date(value + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
		EncodeDateOnly(&tm, USE_ISO_DATES, text);
	}
	json_text(state, name, text);
}

/* The object that was begun first, finished. */
static inline Datum
json_finish(JsonbParseState **state)
{
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(state, WJB_END_OBJECT, NULL)));
}

/* A member of an object, NULL where there is none of this type. */
static inline JsonbValue *
json_member(JsonbContainer *object, const char *name, enum jbvType type)
{
	JsonbValue *v = getKeyJsonValueFromContainer(object, name, strlen(name), NULL);

	return v != NULL && v->type == type ? v : NULL;
}

/* NULL where there is none */
static inline char *
json_get_text(JsonbContainer *object, const char *name)
{
	JsonbValue *v = json_member(object, name, jbvString);

	return v != NULL ? pnstrdup(v->val.string.val, v->val.string.len) : NULL;
}

/* Zero where there is none */
static inline Qty
json_get_qty(JsonbContainer *object, const char *name)
{
	JsonbValue *v = json_member(object, name, jbvNumeric);

	return v != NULL ? qty_copy(NumericGetDatum(v->val.numeric)) : qty_zero;
}

/* False where there is none.  What json_date() wrote reads the same under any DateStyle: the year is first. */
static inline bool
json_get_date(JsonbContainer *object, const char *name, DateADT *value)
{
	char	   *text = json_get_text(object, name);

	if (text == NULL)
		return false;
	*value = DatumGetDateADT(DirectFunctionCall1(date_in, CStringGetDatum(text)));
	return true;
}

#endif							/* BO_JSON_H */
