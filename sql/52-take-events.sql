-- Consumers take events.

CREATE FUNCTION backorder.take_events(max integer, consumer text DEFAULT 'default') RETURNS SETOF backorder.event
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
	place backorder.event_consumer;
	tenants text[];
	share bigint;
	last record;
	settled xid8;
	following bigint;
BEGIN
	IF max IS NULL OR max < 1 OR consumer IS NULL THEN
		RAISE EXCEPTION 'invalid arguments for take_events' USING ERRCODE = 'OB009', HINT = 'Take at least one event, and name the consumer.';
	END IF;
	INSERT INTO backorder.event_consumer (consumer) VALUES (take_events.consumer) ON CONFLICT DO NOTHING;
	SELECT * INTO place FROM backorder.event_consumer c WHERE c.consumer = take_events.consumer FOR UPDATE;
	-- A transaction that still runs writes events with numbers above its own: up to the oldest one all is complete.
	settled := pg_snapshot_xmin(pg_current_snapshot());
	-- The key begins with the tenant: the events of each come in order, and are put together.
	tenants := ARRAY(
		WITH RECURSIVE t AS (
			SELECT min(e.tenant) AS tenant FROM backorder.event e
			UNION ALL SELECT (SELECT min(e.tenant) FROM backorder.event e WHERE e.tenant > t.tenant) FROM t WHERE t.tenant IS NOT NULL
		)
		SELECT t.tenant FROM t WHERE t.tenant IS NOT NULL);
	-- A share of each at first, as far as that is complete: up to where the first tenant of which there may be more ends.
	share := take_events.max / greatest(cardinality(tenants), 1);
	LOOP
		share := least(4 * (share + 1), take_events.max);
		WITH next AS MATERIALIZED (
			SELECT n.*, count(*) OVER (PARTITION BY n.tenant) AS of_tenant FROM unnest(tenants) t (tenant), LATERAL (
				SELECT e.tenant, e.generation, e.xid, e.id, e.source_id, e.aggregatetype, e.aggregateid FROM backorder.event e
				WHERE e.tenant = t.tenant AND (e.generation, e.xid, e.id) > (place.generation, place.xid, place.id)
					AND (e.xid <= settled OR e.generation < (SELECT max(i.generation) FROM backorder_internal.installation i))
				ORDER BY e.generation, e.xid, e.id LIMIT share) n
		), complete AS (
			SELECT l.* FROM (
				SELECT DISTINCT ON (n.tenant) n.generation, n.xid, n.id FROM next n WHERE n.of_tenant = share
				ORDER BY n.tenant, n.generation DESC, n.xid DESC, n.id DESC) l
			ORDER BY l.generation, l.xid, l.id LIMIT 1
		), batch AS (
			SELECT n.*, row_number() OVER (ORDER BY n.generation, n.xid, n.id) AS n FROM next n
			WHERE NOT EXISTS (SELECT FROM complete c WHERE (n.generation, n.xid, n.id) > (c.generation, c.xid, c.id))
		)
		SELECT b.* INTO last FROM batch b WHERE b.n <= take_events.max ORDER BY b.n DESC LIMIT 1;
		EXIT WHEN last.n IS NULL OR share = take_events.max OR last.n >= take_events.max / 2;
	END LOOP;
	IF last.id IS NULL THEN
		RETURN;
	END IF;
	-- To the end of the last order: a transaction's events of one order stand together.
	SELECT e.id INTO following FROM backorder.event e
	WHERE e.tenant = last.tenant AND e.generation = last.generation AND e.xid = last.xid AND e.id > last.id
		AND (e.source_id, e.aggregatetype, e.aggregateid) IS DISTINCT FROM (last.source_id, last.aggregatetype, last.aggregateid)
	ORDER BY e.id LIMIT 1;
	SELECT e.id INTO last.id FROM backorder.event e
	WHERE e.tenant = last.tenant AND e.generation = last.generation AND e.xid = last.xid AND e.id >= last.id AND (following IS NULL OR e.id < following)
	ORDER BY e.id DESC LIMIT 1;
	-- A scan of an index ends at a bound of each column, not at that of a row.
	RETURN QUERY SELECT n.* FROM unnest(tenants) t (tenant), LATERAL (
		SELECT e.* FROM backorder.event e
		WHERE e.tenant = t.tenant AND e.generation = last.generation
			AND e.xid >= CASE WHEN place.generation = last.generation THEN place.xid ELSE '0' END AND e.xid <= last.xid
			AND (place.generation < last.generation OR e.xid > place.xid OR e.id > place.id) AND (e.xid < last.xid OR e.id <= last.id)
		UNION ALL
		SELECT e.* FROM backorder.event e
		WHERE place.generation < last.generation AND e.tenant = t.tenant AND e.generation < last.generation
			AND (e.generation, e.xid, e.id) > (place.generation, place.xid, place.id)) n
	ORDER BY n.generation, n.xid, n.id;
	UPDATE backorder.event_consumer c SET generation = last.generation, xid = last.xid, id = last.id, taken_at = now()
	WHERE c.consumer = take_events.consumer;
END $$;
COMMENT ON FUNCTION backorder.take_events(integer, text) IS 'The next events for a consumer. A batch never splits the events of one order. They are taken for good when the transaction commits.
max: about how many.
consumer: name of the consumer. A name that is new begins with the oldest event there is.';

CREATE FUNCTION backorder.drop_consumer(consumer text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM backorder.event_consumer c WHERE c.consumer = drop_consumer.consumer;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'consumer "%" has taken no events', consumer USING ERRCODE = 'OB009', HINT = 'Consumers are listed in backorder.event_consumer.';
	END IF;
END $$;
COMMENT ON FUNCTION backorder.drop_consumer(text) IS 'Forgets a consumer of take_events(): compact() keeps no events for it any more.
consumer: its name.';
