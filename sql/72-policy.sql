-- A change of an item's policy.

-- A handling time is part of every promise of the item.
CREATE FUNCTION backorder_internal.policy_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	places text[][];
BEGIN
	IF TG_OP = 'INSERT' THEN
		SELECT array_agg(ARRAY[n.tenant, n.item, n.location]) INTO places FROM new_rows n
		WHERE n.handling_time <> 0 AND n.applied_at = now();
	ELSIF TG_OP = 'DELETE' THEN
		SELECT array_agg(ARRAY[o.tenant, o.item, o.location]) INTO places FROM old_rows o WHERE o.handling_time <> 0;
	ELSE
		SELECT array_agg(ARRAY[coalesce(n.tenant, o.tenant), coalesce(n.item, o.item), coalesce(n.location, o.location)]) INTO places
		FROM old_rows o FULL JOIN new_rows n ON n.tenant = o.tenant AND n.item = o.item AND n.location = o.location
		WHERE coalesce(n.handling_time, 0) <> coalesce(o.handling_time, 0);
	END IF;
	PERFORM backorder_internal.policies_changed(places);
	RETURN NULL;
END $$;
COMMENT ON FUNCTION backorder_internal.policy_changed() IS 'Trigger on item_policy: promises made with another handling time are to be made again.';

-- Marks the stock rows in one pass, locked in the order of settling.
CREATE FUNCTION backorder_internal.policies_changed(places text[][]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF places IS NULL THEN
		RETURN;
	END IF;
	PERFORM backorder.flush();
	-- Where there is no row to lock a promise could be made meanwhile with what was.
	INSERT INTO backorder.stock (tenant, item, location)
	SELECT places[g.n][1] AS tenant, places[g.n][2] AS item, places[g.n][3] AS location FROM generate_subscripts(places, 1) AS g (n)
	WHERE NOT EXISTS (SELECT FROM backorder.stock s WHERE s.tenant = places[g.n][1] AND s.item = places[g.n][2] AND s.location = places[g.n][3])
	ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING;
	PERFORM FROM backorder.stock s
	JOIN generate_subscripts(places, 1) AS g (n) ON s.tenant = places[g.n][1] AND s.item = places[g.n][2] AND s.location = places[g.n][3]
	ORDER BY s.tenant, s.item, s.location FOR NO KEY UPDATE OF s;
	-- Not settled here: a settling of these rows, or repromise(), sees the mark under the same lock and makes the promises.
	UPDATE backorder.stock s SET promises_stale = true, version = s.version + 1
	FROM generate_subscripts(places, 1) AS g (n)
	WHERE s.tenant = places[g.n][1] AND s.item = places[g.n][2] AND s.location = places[g.n][3]
		AND s.on_order > 0 AND NOT s.promises_stale;
END $$;
COMMENT ON FUNCTION backorder_internal.policies_changed(text[]) IS 'Marks the promises of these stock rows (tenant, item, location) as to be made again.
places: rows of tenant, item and location.';

CREATE TRIGGER policy_inserted AFTER INSERT ON backorder.item_policy
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.policy_changed();
CREATE TRIGGER policy_updated AFTER UPDATE ON backorder.item_policy
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.policy_changed();
CREATE TRIGGER policy_deleted AFTER DELETE ON backorder.item_policy
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.policy_changed();
