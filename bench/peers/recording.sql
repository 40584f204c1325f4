-- Tables of the two trigger peers: what a team writes for itself that wants recorded lines, counters, a queue per item and a
-- message to customers who wait.  Keys are the shop's own, in its own types.
\ir shop.sql
CREATE SCHEMA rec;
CREATE TABLE rec.stock (item text COLLATE "C" PRIMARY KEY, on_hand numeric NOT NULL DEFAULT 0, allocated numeric NOT NULL DEFAULT 0,
	backordered numeric NOT NULL DEFAULT 0, CHECK (allocated <= on_hand)) WITH (fillfactor = 50);
CREATE TABLE rec.order_line (line_id bigint GENERATED ALWAYS AS IDENTITY, order_no bigint, line_no integer, item text COLLATE "C" NOT NULL,
	customer text, ordered numeric NOT NULL, shipped numeric NOT NULL DEFAULT 0, allocated numeric NOT NULL DEFAULT 0,
	backordered numeric GENERATED ALWAYS AS (ordered - shipped - allocated) STORED, queued_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (order_no, line_no)) WITH (fillfactor = 90);
-- The queue of an item; and who gives stock back when there is less than was promised.
CREATE INDEX ON rec.order_line (item, queued_at, line_id) WHERE ordered - shipped - allocated > 0;
CREATE INDEX ON rec.order_line (item, queued_at DESC, line_id DESC) WHERE allocated > 0;
CREATE TABLE rec.waiting_order (order_no bigint PRIMARY KEY, customer text, since timestamptz NOT NULL DEFAULT now(), told jsonb NOT NULL);
CREATE TABLE rec.event (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_no bigint NOT NULL, type text NOT NULL, customer text,
	payload jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO rec.stock SELECT 'item ' || i, 100000000 FROM generate_series(1, :items) i;

-- Items whose counters are not what their lines say, and lines that were missed: none, or the peer is no peer.
CREATE VIEW rec.wrong AS
SELECT s.item FROM rec.stock s
LEFT JOIN (SELECT item, sum(allocated) AS allocated, sum(backordered) AS backordered FROM rec.order_line GROUP BY item) l USING (item)
WHERE s.allocated <> coalesce(l.allocated, 0) OR s.backordered <> coalesce(l.backordered, 0) OR s.backordered > 0 AND s.allocated < s.on_hand
UNION ALL
SELECT l.sku FROM lines l LEFT JOIN rec.order_line r USING (order_no, line_no) WHERE r.line_id IS NULL;
