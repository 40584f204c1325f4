/*
 * inputs.h
 *		What the triggers on input tables share.
 */
#ifndef BO_INPUTS_H
#define BO_INPUTS_H

#include "commands/trigger.h"
#include "fmgr.h"

/* own_trigger.c */
extern TriggerData *bo_own_trigger(FunctionCallInfo fcinfo, const char *function, const char *table, const char *other);

#endif							/* BO_INPUTS_H */
