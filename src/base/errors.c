/*
 * errors.c
 *		Errors that several floors raise.
 */
#include "postgres.h"

#include "base/base.h"

/* Refuses an attachment: ERRCODE_BO_MAPPING. */
void
bo_refuse(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_BO_MAPPING),
			 errmsg("%s", message),
			 errhint("%s", hint)));
}
