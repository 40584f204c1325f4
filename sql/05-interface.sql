-- What the library asks before it works with these objects; BO_INTERFACE in src/backorder.h.

CREATE FUNCTION backorder.interface() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
COMMENT ON FUNCTION backorder.interface() IS 'Internal: what the library and the SQL objects expect of each other. The library refuses what it does not know.';
