-- The schema of the machinery, and what the library asks before it works with these objects.
--
-- backorder has what users call, read and write.  backorder_internal has the rest: trigger functions,
-- helpers, and tables that only the extension reads.  CREATE EXTENSION fails where somebody has made a
-- schema of that name before: it might hold functions that would then run with our rights.

CREATE SCHEMA backorder_internal;
COMMENT ON SCHEMA backorder_internal IS 'Machinery of the extension backorder. Nothing in it is for users.';

-- BO_INTERFACE in src/base/base.h.
CREATE FUNCTION backorder_internal.interface() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
COMMENT ON FUNCTION backorder_internal.interface() IS 'What the library and the SQL objects expect of each other. The library refuses what it does not know.';
