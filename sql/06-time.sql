-- Days, as backorder.timezone counts them.

CREATE FUNCTION backorder_internal.today() RETURNS date
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'bo_today';
COMMENT ON FUNCTION backorder_internal.today() IS 'Today in backorder.timezone.';

CREATE FUNCTION backorder_internal.day_of(at timestamptz) RETURNS date
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'bo_day_of';
COMMENT ON FUNCTION backorder_internal.day_of(timestamptz) IS 'The day of a moment in backorder.timezone.
at: the moment.';
