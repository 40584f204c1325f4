/*
 * planning.h
 *		What planning.c wants and drafts.c makes the drafts ask for.
 */
#ifndef BO_PLANNING_H
#define BO_PLANNING_H

#include "base/vector.h"
#include "store/store.h"

/* What is planned: everything of a tenant, or what is not NULL. */
typedef struct Scope
{
	text	   *tenant;
	text	   *item;
	text	   *location;
	text	   *supplier;
} Scope;

/* A purchase order line as it should be. */
typedef struct PlannedLine
{
	int			supplier;
	int			n;				/* of the lines of the item, in the order in which they take the need */
	const text *location;
	const text *item;
	Qty			quantity;
	Qty			unit_cost;
	Qty			for_backorders;
	Qty			for_reorder;
	Qty			for_rounding;
	int64		po_id;			/* of a line that is new, as the next */
	int32		line_no;		/* 0: it is there, or not written */
} PlannedLine;

typedef struct PurchasePlan
{
	const Scope *scope;
	struct names_hash *item_numbers;
	struct names_hash *supplier_numbers;
	Vector		items;			/* of ShortItem, by number */
	Vector		suppliers;		/* of their names, by number */
	Vector		requirements;	/* of Requirement */
	Vector		planned;		/* of PlannedLine */
} PurchasePlan;


extern void bo_read_plan_rows(const char *sql, const Scope *scope, bool read_only, BoTakeRowFunc take, void *arg);
extern void bo_find_planned_lines(PurchasePlan *plan, const Scope *scope);

#endif							/* BO_PLANNING_H */
