/*
 * reconcile.h
 *		What the noted orders say now against what is recorded, settled.
 */
#ifndef BO_RECONCILE_H
#define BO_RECONCILE_H

#include "settle/settle.h"

typedef struct ReconcileMode
{
	bool		whole;			/* all orders of a source, those too that an older snapshot does not see */
	bool		baseline;		/* attach: take shipped as it is, no events */
	bool		mend;			/* resync: our own rows may have been changed by somebody */
	bool		import;			/* the same for orders not recorded yet */
	Mapping    *detach;			/* all lines of this source leave, without events */
} ReconcileMode;

/* reconcile.c */
extern void bo_lock_orders(List *notes);
extern void bo_reconcile(SettleRequest *request, ReconcileMode mode);

/* batches.c */
extern int64 bo_settle_pending(void);
extern int64 bo_reconcile_and_settle(SettleRequest *request, ReconcileMode mode);

#endif							/* BO_RECONCILE_H */
