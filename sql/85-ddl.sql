-- The application's DDL on attached tables.  Nothing here makes it fail.

CREATE FUNCTION backorder_internal.note_source(source_id integer) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_note_source';
COMMENT ON FUNCTION backorder_internal.note_source(integer) IS 'Notes every recorded order of a source, to be settled at commit.
source_id: the source.';

CREATE FUNCTION backorder_internal.note_stock(source_id integer) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_note_stock';
COMMENT ON FUNCTION backorder_internal.note_stock(integer) IS 'Notes all of an attached table of stock, to be looked at at commit.
source_id: the source.';

CREATE FUNCTION backorder_internal.end_source(source_id integer) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_end_source';
COMMENT ON FUNCTION backorder_internal.end_source(integer) IS 'Ends the open lines of a source whose table was dropped.
source_id: the source.';

CREATE FUNCTION backorder_internal.end_stock_source(source_id integer) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bo_end_stock_source';
COMMENT ON FUNCTION backorder_internal.end_stock_source(integer) IS 'From now on movements keep what a table of stock kept, that was dropped.
source_id: the source.';

-- The table that a source was attached to is the one with its trigger, whatever it is called now.
CREATE FUNCTION backorder_internal.traced_table(source_id integer, role text, relid oid, table_schema text, table_name text) RETURNS oid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(
		(SELECT t.tgrelid FROM pg_trigger t WHERE t.tgrelid = $3 AND t.tgname = format('backorder_capture_%s', $1)),
		(SELECT t.tgrelid FROM pg_trigger t WHERE t.tgrelid = to_regclass(format('%I.%I', $4, $5)) AND t.tgname = format('backorder_capture_%s', $1)),
		(SELECT t.tgrelid FROM pg_trigger t WHERE $2 <> 'watch' AND t.tgfoid = 'backorder_internal.capture()'::regprocedure AND t.tgparentid = 0
			AND t.tgname = format('backorder_capture_%s', $1) AND split_part(encode(t.tgargs, 'escape'), '\000', 2) = $2 LIMIT 1))
$$;
COMMENT ON FUNCTION backorder_internal.traced_table(integer, text, oid, text, text) IS 'The table that carries the trigger of a source in a role.
source_id: the source.
role: line, header, watch or stock.
relid: the table it was.
table_schema: its schema then.
table_name: its name then.';

CREATE FUNCTION backorder_internal.column_names(relid oid) RETURNS text[]
LANGUAGE c STRICT STABLE AS 'MODULE_PATHNAME', 'bo_column_names';
COMMENT ON FUNCTION backorder_internal.column_names(oid) IS 'The columns of a table by number, as they are now: to an older snapshot a column that was changed since is there twice.
relid: the table.';

-- By the numbers of a table that took the place of another: the names that a mapping uses, '' for columns it does not know.
CREATE FUNCTION backorder_internal.renumbered(columns text[], names text[], now text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT array_agg(coalesce(columns[array_position(names, n.name)], '') ORDER BY n.i) FROM unnest(now) WITH ORDINALITY AS n (name, i)
$$;
COMMENT ON FUNCTION backorder_internal.renumbered(text[], text[], text[]) IS 'Columns of a mapping by the numbers of a restored table.
columns: names that the mapping uses, by number in the old table.
names: what these columns were called last.
now: what the columns of the new table are called.';

CREATE FUNCTION backorder_internal.follow_tables(detached oid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	known record;
	leaf record;
	present text[];
BEGIN
	IF detached <> 0 THEN
		-- PostgreSQL takes the row triggers of a partition that goes; those on TRUNCATE are its own.
		FOR leaf IN
			SELECT t.tgname, format('%I.%I', n.nspname, c.relname) AS name
			FROM (SELECT detached AS relid UNION SELECT p.relid FROM pg_partition_tree(detached::regclass) p) p
			JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
			JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgfoid = 'backorder_internal.capture()'::regprocedure AND t.tgname ~ '^backorder_capture_\d+_statement$'
		LOOP
			EXECUTE format('DROP TRIGGER %I ON %s', leaf.tgname, leaf.name);
		END LOOP;
		RETURN;
	END IF;
	FOR known IN
		SELECT k.*, t.relid AS now, n.nspname, c.relname, c.relkind
		FROM (SELECT s.source_id, 'line' AS role, 0 AS n, s.line_relid AS relid, s.line_schema AS table_schema, s.line_table AS table_name, s.line_columns AS columns, s.line_names AS names
				FROM backorder.source s WHERE s.detached_at IS NULL
			UNION ALL SELECT s.source_id, 'header', 0, s.header_relid, s.header_schema, s.header_table, s.header_columns, s.header_names
				FROM backorder.source s WHERE s.detached_at IS NULL AND s.header_table IS NOT NULL
			UNION ALL SELECT w.source_id, 'watch', w.n, w.table_relid, w.table_schema, w.table_name, w.columns, w.names
				FROM backorder.source_watch w
			UNION ALL SELECT c.source_id, 'stock', 0, c.table_relid, c.table_schema, c.table_name, c.columns, c.names
				FROM backorder.stock_source c WHERE c.detached_at IS NULL) k
		CROSS JOIN LATERAL backorder_internal.traced_table(k.source_id, k.role, k.relid, k.table_schema, k.table_name) AS t (relid)
		JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
	LOOP
		present := backorder_internal.column_names(known.now);
		IF (known.relid, known.table_schema, known.table_name, known.names) IS DISTINCT FROM (known.now, known.nspname::text, known.relname::text, present) THEN
			IF known.relid <> known.now THEN
				known.columns := backorder_internal.renumbered(known.columns, known.names, present);
			END IF;
			CASE known.role
				WHEN 'line' THEN
					UPDATE backorder.source s SET line_relid = known.now, line_schema = known.nspname, line_table = known.relname,
						line_columns = known.columns, line_names = present
					WHERE s.source_id = known.source_id AND NOT EXISTS (SELECT FROM backorder.source o
						WHERE o.line_schema = known.nspname AND o.line_table = known.relname AND o.source_id <> s.source_id);
				WHEN 'header' THEN
					UPDATE backorder.source s SET header_relid = known.now, header_schema = known.nspname, header_table = known.relname,
						header_columns = known.columns, header_names = present
					WHERE s.source_id = known.source_id;
				WHEN 'stock' THEN
					UPDATE backorder.stock_source c SET table_relid = known.now, table_schema = known.nspname, table_name = known.relname,
						columns = known.columns, names = present
					WHERE c.source_id = known.source_id AND NOT EXISTS (SELECT FROM backorder.stock_source o
						WHERE o.table_schema = known.nspname AND o.table_name = known.relname AND o.source_id <> c.source_id);
				ELSE
					UPDATE backorder.source_watch w SET table_relid = known.now, table_schema = known.nspname, table_name = known.relname,
						columns = known.columns, names = present
					WHERE w.source_id = known.source_id AND w.n = known.n;
			END CASE;
		END IF;
		-- TRUNCATE of one partition fires no trigger of the partitioned table.
		IF known.relkind = 'p' THEN
			FOR leaf IN
				SELECT format('%I.%I', n.nspname, c.relname) AS name
				FROM pg_partition_tree(known.now::regclass) p JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
				WHERE p.isleaf AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_trigger t
					WHERE t.tgrelid = c.oid AND t.tgname = format('backorder_capture_%s_statement', known.source_id))
			LOOP
				EXECUTE format('CREATE TRIGGER backorder_capture_%s_statement AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.capture(%L, %L)',
					known.source_id, leaf.name, known.source_id::text, known.role);
				EXECUTE format('ALTER TRIGGER backorder_capture_%s_statement ON %s DEPENDS ON EXTENSION backorder', known.source_id, leaf.name);
			END LOOP;
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION backorder_internal.follow_tables(oid) IS 'Writes down what attached tables and their columns are called now, and gives new partitions their trigger on TRUNCATE; takes it from a detached one.
detached: a partition that was detached; 0: none.';

CREATE FUNCTION backorder_internal.follow_ddl() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bo_follow_ddl';
COMMENT ON FUNCTION backorder_internal.follow_ddl() IS 'Event trigger: follows new names of attached tables and their partitions.';

CREATE FUNCTION backorder_internal.follow_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	gone record;
BEGIN
	IF NOT EXISTS (SELECT FROM backorder.source WHERE detached_at IS NULL)
		AND NOT EXISTS (SELECT FROM backorder.stock_source WHERE detached_at IS NULL) THEN
		RETURN;
	END IF;
	FOR gone IN
		SELECT s.* FROM pg_event_trigger_dropped_objects() o
		JOIN backorder.source s ON s.line_schema = o.schema_name AND s.line_table = o.object_name
		WHERE o.object_type = 'table' AND s.detached_at IS NULL AND backorder.source_relation(s.source_id) IS NULL
	LOOP
		PERFORM backorder_internal.put_event(gone.tenant, 'source', format('%I.%I', gone.line_schema, gone.line_table), 'detached',
			jsonb_build_object('source', format('%I.%I', gone.line_schema, gone.line_table), 'orders', count(DISTINCT l.order_key), 'lines', count(*)),
			gone.source_id)
		FROM backorder.order_line l WHERE l.tenant = gone.tenant AND l.source_id = gone.source_id AND l.allocated + l.backordered > 0;
		DELETE FROM backorder_internal.source_import i WHERE i.tenant = gone.tenant AND i.source_id = gone.source_id;
		PERFORM backorder_internal.end_source(gone.source_id);
		UPDATE backorder.source s SET detached_at = now() WHERE s.tenant = gone.tenant AND s.source_id = gone.source_id;
		DELETE FROM backorder.source_watch w WHERE w.tenant = gone.tenant AND w.source_id = gone.source_id;
		DELETE FROM backorder.parked p WHERE p.tenant = gone.tenant AND p.source_id = gone.source_id;
	END LOOP;
	-- A partition was dropped: its trigger says whose it was.
	FOR gone IN
		SELECT DISTINCT s.source_id
		FROM pg_event_trigger_dropped_objects() t
		JOIN pg_event_trigger_dropped_objects() o ON o.object_type = 'table' AND (o.schema_name, o.object_name) = (t.address_names[1], t.address_names[2])
		JOIN backorder.source s ON t.address_names[3] = format('backorder_capture_%s', s.source_id)
		WHERE t.object_type = 'trigger' AND s.detached_at IS NULL AND backorder.source_relation(s.source_id) IS NOT NULL
			AND (s.header_schema IS NULL OR (s.header_schema, s.header_table) <> (o.schema_name, o.object_name))
			AND NOT EXISTS (SELECT FROM backorder.source_watch w WHERE w.source_id = s.source_id AND (w.table_schema, w.table_name) = (o.schema_name, o.object_name))
	LOOP
		PERFORM backorder_internal.note_source(gone.source_id);
	END LOOP;
	-- The same of tables of stock.
	FOR gone IN
		SELECT c.* FROM pg_event_trigger_dropped_objects() o
		JOIN backorder.stock_source c ON c.table_schema = o.schema_name AND c.table_name = o.object_name
		WHERE o.object_type = 'table' AND c.detached_at IS NULL AND to_regclass(format('%I.%I', c.table_schema, c.table_name)) IS NULL
	LOOP
		PERFORM backorder_internal.put_event(gone.tenant, 'source', format('%I.%I', gone.table_schema, gone.table_name), 'detached',
			jsonb_build_object('source', format('%I.%I', gone.table_schema, gone.table_name), 'stock', count(*)), gone.source_id)
		FROM backorder.stock s WHERE s.stock_source_id = gone.source_id;
		PERFORM backorder_internal.end_stock_source(gone.source_id);
	END LOOP;
	FOR gone IN
		SELECT DISTINCT c.source_id
		FROM pg_event_trigger_dropped_objects() t
		JOIN pg_event_trigger_dropped_objects() o ON o.object_type = 'table' AND (o.schema_name, o.object_name) = (t.address_names[1], t.address_names[2])
		JOIN backorder.stock_source c ON t.address_names[3] = format('backorder_capture_%s', c.source_id)
		WHERE t.object_type = 'trigger' AND c.detached_at IS NULL
	LOOP
		PERFORM backorder_internal.note_stock(gone.source_id);
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING 'backorder could not follow the drop of a table: %', SQLERRM USING ERRCODE = SQLSTATE, HINT = 'See backorder.verify().';
END $$;
COMMENT ON FUNCTION backorder_internal.follow_drop() IS 'Event trigger: ends the open lines of an attached table that was dropped.';

CREATE EVENT TRIGGER backorder_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'ALTER SCHEMA')
	EXECUTE FUNCTION backorder_internal.follow_ddl();
COMMENT ON EVENT TRIGGER backorder_ddl IS 'Follows new names of attached tables and their partitions.';
CREATE EVENT TRIGGER backorder_drop ON sql_drop EXECUTE FUNCTION backorder_internal.follow_drop();
COMMENT ON EVENT TRIGGER backorder_drop IS 'Ends the open lines of an attached table that was dropped.';
