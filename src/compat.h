/*
 * compat.h
 *		What differs between the supported versions of PostgreSQL.
 *
 * The only file that asks for PG_VERSION_NUM.
 */
#ifndef BO_COMPAT_H
#define BO_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "backorder supports PostgreSQL 15 to 18"
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

/* In front of a declaration; 18's own word. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

#endif							/* BO_COMPAT_H */
