/*
 * compat.h
 *		What differs between the supported versions of PostgreSQL.
 *
 * The only file that asks for PG_VERSION_NUM.
 */
#ifndef BO_COMPAT_H
#define BO_COMPAT_H

#include "access/tableam.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "backorder supports PostgreSQL 15 to 18"
#endif

/* check_timezone() */
#if PG_VERSION_NUM >= 160000
#include "utils/guc_hooks.h"
#else
#include "commands/variable.h"
#endif

/* From 18 on; the letter is ATTRIBUTE_GENERATED_VIRTUAL. */
#define bo_is_virtual(att) ((att)->attgenerated == 'v')

#if PG_VERSION_NUM >= 160000
#define bo_owns_relation(relid, role) object_ownercheck(RelationRelationId, relid, role)
#else
#define bo_owns_relation(relid, role) pg_class_ownercheck(relid, role)
#endif

/* Columns of a range table entry that a query reads, offset by FirstLowInvalidHeapAttributeNumber. */
#if PG_VERSION_NUM >= 160000
#define bo_selected_columns(query, rte) \
	((rte)->perminfoindex == 0 ? NULL : getRTEPermissionInfo((query)->rteperminfos, rte)->selectedCols)
#else
#define bo_selected_columns(query, rte) ((rte)->selectedCols)
#endif

#if PG_VERSION_NUM >= 160000
#define bo_qualified_name(text) stringToQualifiedNameList(text, NULL)
#else
#define bo_qualified_name(text) stringToQualifiedNameList(text)
#endif

/* What an update says of indexes that need a new entry. */
#if PG_VERSION_NUM >= 160000
typedef TU_UpdateIndexes BoUpdateIndexes;
#define BO_UPDATE_NO_INDEXES TU_None
#define bo_only_summarizing(update) ((update) == TU_Summarizing)
#define bo_insert_index_tuples(rri, slot, estate, update, summarizing) \
	ExecInsertIndexTuples(rri, slot, estate, update, false, NULL, NIL, summarizing)
#define bo_insert_index_tuples_if_new(rri, slot, estate, conflict) \
	ExecInsertIndexTuples(rri, slot, estate, false, true, conflict, NIL, false)
#else
typedef bool BoUpdateIndexes;
#define BO_UPDATE_NO_INDEXES false
#define bo_only_summarizing(update) false
#define bo_insert_index_tuples(rri, slot, estate, update, summarizing) \
	ExecInsertIndexTuples(rri, slot, estate, update, false, NULL, NIL)
#define bo_insert_index_tuples_if_new(rri, slot, estate, conflict) \
	ExecInsertIndexTuples(rri, slot, estate, false, true, conflict, NIL)
#endif

#if PG_VERSION_NUM >= 180000
#define bo_index_beginscan(rel, index, snapshot, nkeys) index_beginscan(rel, index, snapshot, NULL, nkeys, 0)
#else
#define bo_index_beginscan(rel, index, snapshot, nkeys) index_beginscan(rel, index, snapshot, nkeys, 0)
#endif

/* In front of a declaration; 18's own word. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

#endif							/* BO_COMPAT_H */
