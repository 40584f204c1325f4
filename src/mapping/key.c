/*
 * key.c
 *		Keys of orders and lines: as text, as it is recorded, and as the values
 *		that the application's tables have.
 */
#include "postgres.h"

#include "parser/parse_coerce.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "mapping/building.h"
#include "mapping/mapping.h"

/* May a value be written as text in another way under other settings? */
bool
bo_key_depends_on_settings(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case UUIDOID:
		case BOOLOID:
			return false;
		default:
			return get_typtype(type) != TYPTYPE_ENUM;
	}
}

/*
 * May values of a column that "=" takes for equal differ as text?  As 1.0 and
 * 1.00, or as citext.  *scale gets the digits behind the point that a number is
 * always written with; -1 for all else.
 */
bool
bo_has_key_variants(const MappedTable *table, AttrNumber attnum, int32 *scale)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	*scale = -1;
	get_atttypetypmodcoll(table->relid, attnum, &type, &typmod, &collation);
	switch (getBaseTypeAndTypmod(type, &typmod))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			*scale = 0;
			return false;
		case NUMERICOID:
			if (typmod >= 0)
				*scale = (typmod - VARHDRSZ) & 0x7ff;
			return typmod < 0;
		case OIDOID:
		case UUIDOID:
		case BOOLOID:
		case CHAROID:
		case NAMEOID:
		case BYTEAOID:
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return false;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return !get_collation_isdeterministic(collation);
		default:
			return get_typtype(getBaseType(type)) != TYPTYPE_ENUM;
	}
}

char *
bo_value_text(Datum value, Oid type)
{
	Oid			output;
	bool		varlena;
	char	   *result;

	/* Without looking for the output function where that is known, as each row of a source has a key or two. */
	switch (type)
	{
		case INT4OID:
		case INT8OID:
			result = palloc(MAXINT8LEN + 1);
			(void) pg_lltoa(type == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value), result);
			return result;
		case TEXTOID:
		case VARCHAROID:
			return TextDatumGetCString(value);
		default:
			break;
	}
	getTypeOutputInfo(type, &output, &varlena);
	result = OidOutputFunctionCall(output, value);
	if (type == BPCHAROID)		/* the padding is not part of the value */
		for (size_t n = strlen(result); n > 0 && result[n - 1] == ' '; n--)
			result[n - 1] = '\0';
	return result;
}

char *
bo_key_parts_text(const Datum *values, const bool *nulls, const Oid *types, int n)
{
	Datum		texts[BO_MAX_KEYS];
	bool		missing[BO_MAX_KEYS] = {false};
	int			dims[1] = {n};
	int			lower[1] = {1};
	Oid			output;
	bool		varlena;

	if (n == 1)
		return bo_value_text(values[0], types[0]);
	for (int i = 0; i < n; i++)
	{
		missing[i] = nulls != NULL && nulls[i];
		texts[i] = missing[i] ? (Datum) 0 : CStringGetTextDatum(bo_value_text(values[i], types[i]));
	}
	getTypeOutputInfo(TEXTARRAYOID, &output, &varlena);
	return OidOutputFunctionCall(output, PointerGetDatum(construct_md_array(texts, missing, 1, dims, lower, TEXTOID, -1, false, TYPALIGN_INT)));
}

/* An array of n values of a type that has arrays. */
Datum
bo_native_array(Datum *values, int n, Oid type)
{
	int16		typlen;
	bool		typbyval;
	char		typalign;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_array(values, n, type, typlen, typbyval, typalign));
}

/* A key as text: the value's own, or an array literal of several. */
char *
bo_key_text(const Datum *values, const Oid *types, int n)
{
	return bo_key_parts_text(values, NULL, types, n);
}

/* What the text of a key of n parts and more begins with, from the text of its first n parts. */
char *
bo_key_prefix(const char *key, int n)
{
	Datum		one;
	Oid			output;
	bool		varlena;
	char	   *text;

	if (n > 1)
		text = pstrdup(key);
	else
	{
		one = CStringGetTextDatum(key);
		getTypeOutputInfo(TEXTARRAYOID, &output, &varlena);
		text = OidOutputFunctionCall(output, PointerGetDatum(construct_array(&one, 1, TEXTOID, -1, false, TYPALIGN_INT)));
	}
	text[strlen(text) - 1] = ',';
	return text;
}

static bool
key_native(Mapping *mapping, const char *order_key, Datum *native)
{
	int			n = mapping->line.nkeys;
	Datum	   *parts;
	bool	   *nulls;
	int			nparts;
	Oid			input;
	Oid			param;

	if (n == 1)
	{
		getTypeInputInfo(mapping->line.key_type[0], &input, &param);
		native[0] = OidInputFunctionCall(input, (char *) order_key, param, -1);
		return true;
	}
	getTypeInputInfo(TEXTARRAYOID, &input, &param);
	deconstruct_array(DatumGetArrayTypeP(OidInputFunctionCall(input, (char *) order_key, param, -1)),
					  TEXTOID, -1, false, TYPALIGN_INT, &parts, &nulls, &nparts);
	if (nparts != n)
		return false;
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			return false;
		getTypeInputInfo(mapping->line.key_type[i], &input, &param);
		native[i] = OidInputFunctionCall(input, TextDatumGetCString(parts[i]), param, -1);
	}
	return true;
}

/* A key that is converted, as the owner of the tables. */
typedef struct KeyConversion
{
	Mapping    *mapping;
	const char *order_key;
	Datum	   *values;
} KeyConversion;

static bool
convert_text(void *arg)
{
	KeyConversion *c = arg;

	if (c->mapping->pin_keys)
		bo_pin();
	return key_native(c->mapping, c->order_key, c->values);
}

/* Do these types run no code but PostgreSQL's own? */
static bool
are_builtin(const Oid *types, int n)
{
	for (int i = 0; i < n; i++)
		if (types[i] >= FirstNormalObjectId)
			return false;
	return true;
}

/*
 * The native values of an order key given as text, in the current context.
 * False for a text that is no key of the table.
 */
bool
bo_key_native(Mapping *mapping, const char *order_key, Datum *native)
{
	KeyConversion c = {.mapping = mapping,.order_key = order_key,.values = native};

	return bo_convert_as_owner(mapping->owner, are_builtin(mapping->line.key_type, mapping->line.nkeys), convert_text, &c);
}

/* A header's key value as the type that the line table has for it; by the cast there is, else by its text. */
static Datum
cast_value(Datum value, Oid from, Oid to)
{
	Oid			cast;
	Oid			output;
	Oid			input;
	Oid			param;
	bool		varlena;

	if (find_coercion_pathway(to, from, COERCION_EXPLICIT, &cast) == COERCION_PATH_FUNC && get_func_nargs(cast) == 1)
		return OidFunctionCall1(cast, value);
	getTypeOutputInfo(from, &output, &varlena);
	getTypeInputInfo(to, &input, &param);
	return OidInputFunctionCall(input, OidOutputFunctionCall(output, value), param, -1);
}

static bool
convert_values(void *arg)
{
	KeyConversion *c = arg;
	Mapping    *mapping = c->mapping;

	for (int i = 0; i < mapping->line.nkeys; i++)
	{
		Oid			from = mapping->header.key_type[i];
		Oid			to = mapping->line.key_type[i];

		if (from == to)
			continue;
		if (bo_key_depends_on_settings(from) || bo_key_depends_on_settings(to))
			bo_pin();
		c->values[i] = cast_value(c->values[i], from, to);
	}
	return true;
}

/*
 * Turns the key values of a header into those of its lines, in place.  False
 * where the line table's types have no such values: then it has no such line.
 */
bool
bo_header_key(Mapping *mapping, Datum *values)
{
	KeyConversion c = {.mapping = mapping,.values = values};
	int			n = mapping->line.nkeys;

	if (memcmp(mapping->header.key_type, mapping->line.key_type, sizeof(Oid) * n) == 0)
		return true;
	return bo_convert_as_owner(mapping->owner, are_builtin(mapping->line.key_type, n) && are_builtin(mapping->header.key_type, n), convert_values, &c);
}
