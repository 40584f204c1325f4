/*
 * capture.h
 *		Noting what changed, and the work that a transaction does before it commits.
 */
#ifndef BO_CAPTURE_H
#define BO_CAPTURE_H

#include "mapping/mapping.h"

/* note_all.c */
extern void bo_mapping_note_all(Mapping *mapping);
extern void bo_note_recorded(Mapping *mapping);

/* commit_work.c */
extern void bo_run_commit_work(void);
extern void bo_alone(void (*func) (void *arg), void *arg);

/* capture.c */
extern void bo_note_rows(Mapping *mapping, Oid attached, Oid partition);
extern void bo_capture_init(void);

#endif							/* BO_CAPTURE_H */
