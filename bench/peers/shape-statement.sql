-- Peer "statement trigger" of a shape, lean: PL/pgSQL over the transition table. It records a line with what it got, and counts both on
-- its item, nothing else: no queue, and nobody is told. Stock rows are locked in order, and the next statement reads them with a new
-- snapshot, so that it cannot oversell or deadlock within one statement.
\ir shape.sql
CREATE SCHEMA rec;
CREATE TABLE rec.stock (item text COLLATE "C" PRIMARY KEY, on_hand numeric NOT NULL DEFAULT 0, allocated numeric NOT NULL DEFAULT 0,
	backordered numeric NOT NULL DEFAULT 0, CHECK (allocated <= on_hand)) WITH (fillfactor = 50);
CREATE TABLE rec.order_line (order_no bigint, line_no integer, item text COLLATE "C" NOT NULL, customer text,
	ordered numeric NOT NULL, allocated numeric NOT NULL, PRIMARY KEY (order_no, line_no));
INSERT INTO rec.stock SELECT 'item ' || i, 100000000 FROM generate_series(1, :items) i;
-- Items whose counters are not what their lines say, and lines that were missed: none, or the peer is no peer.
CREATE VIEW rec.wrong AS
SELECT s.item FROM rec.stock s
LEFT JOIN (SELECT item, sum(allocated) AS allocated, sum(ordered - allocated) AS backordered FROM rec.order_line GROUP BY item) l USING (item)
WHERE s.allocated <> coalesce(l.allocated, 0) OR s.backordered <> coalesce(l.backordered, 0) OR s.backordered > 0 AND s.allocated < s.on_hand
UNION ALL
SELECT l.sku FROM lines l LEFT JOIN rec.order_line r USING (order_no, line_no) WHERE r.order_no IS NULL;
\if :header
\set customer o.customer
\set join 'JOIN public.orders o ON o.order_no = n.order_no AND o.status = ''open'' '
\else
\set customer NULL
\set join ''
\endif
SELECT format($function$
CREATE FUNCTION rec.lines_inserted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
	PERFORM FROM rec.stock s WHERE s.item IN (SELECT n.sku FROM new_lines n) ORDER BY s.item FOR NO KEY UPDATE;
	WITH recorded AS (
		INSERT INTO rec.order_line (order_no, line_no, item, customer, ordered, allocated)
		SELECT n.order_no, n.line_no, n.sku, %s, n.qty,
			CASE WHEN s.backordered > 0 THEN 0 ELSE
			greatest(least(n.qty, s.on_hand - s.allocated - coalesce(sum(n.qty) OVER (PARTITION BY n.sku ORDER BY n.order_no, n.line_no ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)), 0) END
		FROM new_lines n %sJOIN rec.stock s ON s.item = n.sku
		RETURNING item, ordered, allocated)
	UPDATE rec.stock s SET allocated = s.allocated + r.allocated, backordered = s.backordered + r.ordered - r.allocated
	FROM (SELECT item, sum(ordered) AS ordered, sum(allocated) AS allocated FROM recorded GROUP BY item) r WHERE s.item = r.item;
	RETURN NULL;
END $body$
$function$, :'customer', :'join') \gexec
CREATE TRIGGER record AFTER INSERT ON lines REFERENCING NEW TABLE AS new_lines FOR EACH STATEMENT EXECUTE FUNCTION rec.lines_inserted();
\ir shape-preload.sql
