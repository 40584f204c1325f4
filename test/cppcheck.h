/* PostgreSQL's macros in words that cppcheck understands; for make lint. */
extern void abort(void) __attribute__((noreturn));
#define PG_VERSION_NUM 150000
#define ereport(l, ...) abort()
#define elog(l, ...) abort()
#define foreach(c, l) for ((c) = list_head(l); (c) != NULL; (c) = lnext(l, c))
#define foreach_delete_current(l, c) list_delete_cell(l, c)
#define pg_noreturn
#define PG_FUNCTION_INFO_V1(f) extern int f
#define PG_MODULE_MAGIC extern int magic
#define PG_TRY() if (trying())
#define PG_CATCH() else
#define PG_FINALLY() if (1)
#define PG_END_TRY() (void) 0
