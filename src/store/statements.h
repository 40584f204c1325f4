/*
 * store.h
 *		The statements and the section in which they run: store.c, statements.c
 *		and section.c share it.
 */
#ifndef BO_STORE_H
#define BO_STORE_H

#include "backorder.h"

typedef struct RowsColumn
{
	const char *name;
	Oid			type;
} RowsColumn;

typedef struct RowsKind
{
	const char *name;			/* as statements call it */
	RowsColumn	columns[28];
} RowsKind;

typedef struct Statement
{
	int			rows;			/* BoRowsKind, or -1 */
	int			nargs;
	Oid			args[32];
	const char *sql;
} Statement;

extern const RowsKind bo_rows_kinds[BO_ROWS_KINDS];
extern const Statement bo_statements[BO_STATEMENTS];

/* Of the current section: what SPI keeps about row sets outlives any context of its callers. */
extern MemoryContext bo_spi_cx;

#endif							/* BO_STORE_H */
