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

#if PG_VERSION_NUM >= 160000
#define bo_owns_relation(relid, role) object_ownercheck(RelationRelationId, relid, role)
#else
#define bo_owns_relation(relid, role) pg_class_ownercheck(relid, role)
#endif

#endif							/* BO_COMPAT_H */
