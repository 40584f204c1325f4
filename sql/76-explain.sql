-- explain(): per line of an order what it has and waits for, and why.

CREATE FUNCTION backorder_internal.explain_recorded(order_key text, source regclass)
RETURNS TABLE (source_ regclass, line text, item text, location text, ordered numeric, shipped numeric, has numeric, waits_for numeric,
	rank bigint, ahead numeric, next_supply text, promised_at date, why text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT backorder.source_relation(l.source_id), l.line_key, l.item, l.location, l.ordered, l.shipped, l.allocated, l.backordered,
		q.rank, q.ahead, u.supply, l.promised_at,
		CASE
			WHEN o.detached_at IS NOT NULL THEN 'its table was detached; what was shipped stays'
			WHEN l.deleted THEN 'deleted by the application; what was shipped stays'
			WHEN NOT l.live THEN 'not live any more; what was shipped stays'
			WHEN l.backordered = 0 AND l.allocated > 0 THEN 'all of it is allocated'
			WHEN l.backordered = 0 THEN 'nothing is open'
			WHEN l.held THEN 'held: not served until the hold ends'
			WHEN l.first_allocated IS NULL THEN 'recorded by an import: served by rank when that is done'
			WHEN l.promised_at IS NOT NULL AND l.promised_at < backorder_internal.today() THEN format('late: was promised for %s', l.promised_at)
			WHEN l.promised_at IS NOT NULL THEN concat_ws('; ', CASE WHEN q.ahead > 0 THEN format('%s ahead of it', trim_scale(q.ahead)) END,
				format('covered by placed purchase orders by %s', l.promised_at))
			WHEN s.promises_stale THEN 'the promise is to be made: repromise() finishes it'
			WHEN s.on_order = 0 AND EXISTS (SELECT FROM backorder.unsourced n WHERE n.tenant = l.tenant AND n.item = l.item AND n.location = l.location)
				THEN 'nothing is on order, and there is no supplier to plan with'
			WHEN s.on_order = 0 THEN 'nothing is on order'
			WHEN q.ahead + l.backordered > s.on_order THEN format('%s on order, %s ahead: supply does not reach', trim_scale(s.on_order), trim_scale(q.ahead))
			ELSE (
				-- What covers its last unit: supply in the order in which promises use it up.
				SELECT CASE WHEN c.expected_at IS NULL THEN format('covered by purchase order %s, which has no date', c.po_id)
					ELSE format('covered by purchase order %s, which is overdue since %s', c.po_id, c.expected_at) END
				FROM backorder_internal.dated_supply c
				WHERE c.tenant = l.tenant AND c.item = l.item AND c.location = l.location AND c.upto >= q.ahead + l.backordered
				ORDER BY c.upto LIMIT 1)
		END || CASE WHEN EXISTS (SELECT FROM backorder.parked p WHERE p.tenant = l.tenant AND p.source_id = l.source_id AND p.order_key IN ('', $1))
			THEN '; parked: as it was before it could not be read' ELSE '' END
	FROM backorder.source o
	JOIN backorder.order_line l ON l.tenant = o.tenant AND l.source_id = o.source_id AND l.order_key = $1
	JOIN backorder.stock s ON s.tenant = l.tenant AND s.item = l.item AND s.location = l.location
	LEFT JOIN LATERAL (
		SELECT count(*) + 1 AS rank, coalesce(sum(a.backordered), 0) AS ahead
		FROM backorder.order_line a
		WHERE a.tenant = l.tenant AND a.item = l.item AND a.location = l.location AND a.backordered > 0 AND NOT a.held AND a.first_allocated IS NOT NULL
			AND (- a.priority, a.queued_at, a.line_id) < (- l.priority, l.queued_at, l.line_id)
	) q ON l.backordered > 0 AND NOT l.held AND l.first_allocated IS NOT NULL
	LEFT JOIN LATERAL (
		SELECT format('%s of purchase order %s on %s%s', trim_scale(n.open), n.po_id, coalesce(n.expected_at::text, 'an unknown day'),
			CASE WHEN n.expected_at < backorder_internal.today() THEN ', overdue' END) AS supply
		FROM backorder.supply n
		WHERE n.tenant = l.tenant AND n.item = l.item AND n.location = l.location AND n.open > 0
		ORDER BY n.expected_at NULLS LAST, n.po_id, n.line_no LIMIT 1
	) u ON l.backordered > 0
	WHERE $2 IS NULL OR backorder.source_relation(o.source_id) = $2
	ORDER BY l.source_id, l.line_id
$$;
COMMENT ON FUNCTION backorder_internal.explain_recorded(text, regclass) IS 'The recorded lines of an order, for explain().
order_key: key of the order.
source: its table; NULL: all that have an order of that key.';

-- Of an order that is nothing to wait for and was never shipped no line is recorded: what its table says.
CREATE FUNCTION backorder_internal.explain_unrecorded(order_key text, source regclass)
RETURNS TABLE (source_ regclass, line text, item text, location text, ordered numeric, shipped numeric, has numeric, waits_for numeric,
	rank bigint, ahead numeric, next_supply text, promised_at date, why text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	p_order_key CONSTANT text := order_key;
	p_source CONSTANT regclass := source;
	other record;
BEGIN
	FOR other IN
		SELECT s.tenant, s.source_id, backorder.source_relation(s.source_id) AS relation,
			(SELECT p.message FROM backorder.parked p
			WHERE p.tenant = s.tenant AND p.source_id = s.source_id AND p.order_key IN ('', p_order_key) ORDER BY p.order_key LIMIT 1) AS parked
		FROM backorder.source s
		JOIN backorder.sales_order o ON o.tenant = s.tenant AND o.source_id = s.source_id AND o.order_key = p_order_key
		WHERE s.detached_at IS NULL AND (p_source IS NULL OR backorder.source_relation(s.source_id) = p_source)
			AND NOT EXISTS (SELECT FROM backorder.order_line l WHERE l.tenant = s.tenant AND l.source_id = s.source_id AND l.order_key = p_order_key)
		ORDER BY s.source_id
	LOOP
		source_ := other.relation;
		why := coalesce('parked: ' || other.parked, 'its table does not exist any more');
		IF other.parked IS NULL AND other.relation IS NOT NULL THEN
			RETURN QUERY
			SELECT other.relation, m.line_key, m.item, m.location, m.quantity, m.shipped, 0::numeric, 0::numeric, NULL::bigint, NULL::numeric, NULL::text, NULL::date,
				CASE
					WHEN NOT m.live THEN 'not live: nothing is wanted, and nothing was shipped'
					WHEN m.item IS NULL THEN 'not stocked: it has no item'
					WHEN m.quantity > 0 THEN 'not recorded yet'
					ELSE 'no quantity: nothing is wanted'
				END
			FROM backorder_internal.mapped_lines(other.source_id, p_order_key) m ORDER BY m.line_key;
			CONTINUE WHEN FOUND;
			why := 'its table has no line of it any more, and nothing was shipped';
		END IF;
		RETURN NEXT;
	END LOOP;
END $$;
COMMENT ON FUNCTION backorder_internal.explain_unrecorded(text, regclass) IS 'What the tables say of an order of which no line is recorded, for explain().
order_key: key of the order.
source: its table; NULL: all that have an order of that key.';

CREATE FUNCTION backorder.explain(order_key text, source regclass DEFAULT NULL)
RETURNS TABLE (source_ regclass, line text, item text, location text, ordered numeric, shipped numeric, has numeric, waits_for numeric,
	rank bigint, ahead numeric, next_supply text, promised_at date, why text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	p_order_key CONSTANT text := order_key;
	p_source CONSTANT regclass := source;
	said boolean;
BEGIN
	IF NOT EXISTS (SELECT FROM backorder.source s JOIN backorder.sales_order o ON o.tenant = s.tenant AND o.source_id = s.source_id
		WHERE o.order_key = p_order_key AND (p_source IS NULL OR backorder.source_relation(s.source_id) = p_source)) THEN
		RAISE EXCEPTION 'order "%" is not recorded', p_order_key USING ERRCODE = 'OB009',
			HINT = 'An order is recorded when a transaction that writes its lines commits; see backorder.sales_order.';
	END IF;
	RETURN QUERY SELECT * FROM backorder_internal.explain_recorded(p_order_key, p_source);
	said := FOUND;
	RETURN QUERY SELECT * FROM backorder_internal.explain_unrecorded(p_order_key, p_source);
	IF NOT said AND NOT FOUND THEN
		why := 'the table that it is in was detached';
		RETURN NEXT;
	END IF;
END $$;
COMMENT ON FUNCTION backorder.explain(text, regclass) IS 'Per line of an order: what it has and waits for, and why. If nothing is recorded of the order, for example because it is not live, it says what the table of the order says.
order_key: key of the order.
source: its table; NULL: all that have an order of that key.
source_: the table.
line: key of the line.
item: the item.
location: where it is taken from.
ordered: ordered quantity.
shipped: cumulative shipped quantity.
has: stock allocated to the line.
waits_for: what it waits for.
rank: its place in the queue, from 1.
ahead: what lines before it wait for.
next_supply: the next arrival of the item.
promised_at: the date promised now.
why: the reason, in words.';
