/*
 * settings.h
 *		What settings.c says to its own folder.
 */
#ifndef BO_SETTINGS_H
#define BO_SETTINGS_H

#include "pgtime.h"

extern pg_tz *bo_days_timezone(void);

#endif							/* BO_SETTINGS_H */
