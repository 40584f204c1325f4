/*
 * reconcile.h
 *		What the noted orders say now against what is recorded, settled.
 */
#ifndef BO_RECONCILE_H
#define BO_RECONCILE_H

#include "settle/settle.h"

/* Why orders are reconciled.  But for changes, all orders of a source are, also those that an older snapshot does not see. */
typedef enum ReconcileReason
{
	RECONCILE_CHANGES,			/* this transaction changed them */
	RECONCILE_ATTACH,			/* their table is attached: what was shipped is taken as it is, no events */
	RECONCILE_RESYNC,			/* they may have changed unseen */
	RECONCILE_IMPORT,			/* as ATTACH for orders that are not recorded yet, as RESYNC for others */
	RECONCILE_DETACH			/* all lines leave, without events */
} ReconcileReason;

typedef struct ReconcileMode
{
	ReconcileReason reason;
	Mapping    *detach;			/* with RECONCILE_DETACH: whose lines leave */
} ReconcileMode;

/* reconcile.c */
extern void bo_lock_orders(List *notes);
extern void bo_reconcile(SettleRequest *request, ReconcileMode mode);

/* batches.c */
extern int64 bo_settle_pending(void);
extern int64 bo_reconcile_and_settle(SettleRequest *request, ReconcileMode mode);

#endif							/* BO_RECONCILE_H */
