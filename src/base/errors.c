/*
 * errors.c
 *		Errors that several floors raise.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

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
