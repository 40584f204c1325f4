# Random transactions of nested blocks, of which about every third is undone: orders written and
# changed, goods moved, flushed in between, errors in a mapping and refusals half-way. What is left
# is what the surviving blocks did. Each session has items and orders of its own, as several
# settlings in one transaction may meet others in a deadlock; that is not looked at here.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('savepoints');
$node->safe_psql('postgres', <<'EOS');
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'open', urgency text NOT NULL DEFAULT '0');
CREATE TABLE shop.lines (order_id integer NOT NULL REFERENCES shop.orders ON DELETE CASCADE, line_no integer NOT NULL,
	item text NOT NULL, quantity integer NOT NULL, shipped integer NOT NULL DEFAULT 0, PRIMARY KEY (order_id, line_no));
SELECT backorder.attach('shop.lines', item => 'item', quantity => 'quantity', order_key => 'order_id', line_key => 'line_no',
	header_table => 'shop.orders', header_key => 'id', live => $$header.status = 'open'$$, shipped => 'shipped', priority => 'urgency::integer');
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 30000);
INSERT INTO backorder.purchase_order (po_id, supplier, status) SELECT n, 'acme', 'placed' FROM generate_series(0, 3) n;
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered)
SELECT n, l, format('C%s-%s', n, l), 100000 FROM generate_series(0, 3) n, generate_series(1, 3) l;

-- What each transaction did, block by block; rolled back with it.
CREATE TABLE shop.diary (client integer, item text, quantity integer);

CREATE FUNCTION shop.play(client integer, depth integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_item text;
	v_order integer;
	v_other integer;
	v_quantity integer;
BEGIN
	FOR i IN 1 .. 1 + floor(random() * 4) LOOP
		v_item := format('C%s-%s', client, 1 + floor(random() * 3));
		v_order := client * 1000 + floor(random() * 12);
		v_other := client * 1000 + floor(random() * 12);
		v_quantity := 1 + floor(random() * 6);
		CASE floor(random() * 18)
			WHEN 0, 1, 2 THEN
				INSERT INTO shop.orders VALUES (v_order) ON CONFLICT DO NOTHING;
				INSERT INTO shop.lines VALUES (v_order, 1 + floor(random() * 4), v_item, v_quantity)
				ON CONFLICT (order_id, line_no) DO UPDATE SET quantity = excluded.quantity;
			WHEN 3 THEN
				UPDATE shop.lines SET quantity = quantity + v_quantity - 3 WHERE order_id = v_order AND quantity > 3;
			WHEN 4 THEN
				UPDATE shop.lines SET item = v_item WHERE order_id = v_order AND line_no = 1;
			WHEN 5 THEN
				UPDATE shop.orders SET status = CASE status WHEN 'open' THEN 'cancelled' ELSE 'open' END WHERE id = v_order;
			WHEN 6 THEN
				DELETE FROM shop.orders WHERE id = v_order;
			WHEN 7 THEN
				UPDATE shop.lines SET line_no = line_no + 10 WHERE order_id = v_order AND line_no < 10;
				UPDATE shop.lines SET line_no = line_no - 10 WHERE order_id = v_order;
			WHEN 8 THEN
				UPDATE shop.lines l SET order_id = v_other WHERE order_id = v_order
					AND EXISTS (SELECT FROM shop.orders WHERE id = v_other)
					AND NOT EXISTS (SELECT FROM shop.lines o WHERE o.order_id = v_other AND o.line_no = l.line_no);
			WHEN 9 THEN
				UPDATE shop.lines SET shipped = least(shipped + v_quantity, quantity) WHERE order_id = v_order AND shipped < quantity;
			WHEN 10 THEN
				UPDATE shop.orders SET urgency = CASE WHEN random() < 0.3 THEN 'high' ELSE v_quantity::text END WHERE id = v_order;
			WHEN 11 THEN
				PERFORM backorder.receive(v_item, v_quantity);
				INSERT INTO shop.diary VALUES (client, v_item, v_quantity);
			WHEN 12 THEN
				PERFORM backorder.adjust(v_item, - v_quantity, 'broken');
				INSERT INTO shop.diary VALUES (client, v_item, - v_quantity);
			WHEN 13 THEN
				PERFORM backorder.receive_purchase_line(client, right(v_item, 1)::integer, v_quantity);
				INSERT INTO shop.diary VALUES (client, v_item, v_quantity);
			WHEN 14 THEN
				UPDATE backorder.purchase_order_line SET expected_at = date '2099-01-01' + v_quantity WHERE po_id = client AND item = v_item;
			WHEN 15 THEN
				PERFORM backorder.flush();
			WHEN 16 THEN
				SET CONSTRAINTS ALL IMMEDIATE;
				SET CONSTRAINTS ALL DEFERRED;
			ELSE
				IF depth < 4 THEN
					BEGIN
						PERFORM shop.play(client, depth + 1);
						IF random() < 0.35 THEN
							RAISE EXCEPTION 'undone' USING ERRCODE = 'UUUUU';
						END IF;
					EXCEPTION WHEN SQLSTATE 'UUUUU' OR SQLSTATE 'OB002' OR SQLSTATE 'OB005' THEN NULL;
					END;
				END IF;
		END CASE;
	END LOOP;
	-- What a later block would trip over is put right.
	UPDATE shop.orders SET urgency = '1' WHERE urgency = 'high' AND id / 1000 = client AND depth = 0;
EXCEPTION WHEN SQLSTATE 'OB002' OR SQLSTATE 'OB005' THEN NULL;
END $$;
EOS

# The same transactions each time; BACKORDER_SEED tries others.
my $seed = $ENV{BACKORDER_SEED} // 1;
load_ok($node, "savepoints, seed $seed", [ '-c', 4, '-j', 2, '-t', 250, "--random-seed=$seed" ], { play => [ 1, <<'EOS' ] });
\set seed random(0, 1000000)
SELECT setseed(:seed / 1000000.0), shop.play(:client_id, 0);
EOS

consistent_ok($node, 'savepoints');
is($node->safe_psql('postgres', <<'EOS'), '', 'savepoints: counters equal the sums of the lines');
SELECT item, s.allocated, s.backordered, l.open
FROM backorder.stock s
FULL JOIN (SELECT item, sum(greatest(quantity - shipped, 0)) AS open
	FROM shop.lines JOIN shop.orders ON id = order_id WHERE status = 'open' AND quantity > 0 GROUP BY item) l USING (item)
WHERE s.allocated + s.backordered <> coalesce(l.open, 0) OR s.item IS NULL OR s.backordered > 0 AND s.on_hand > s.allocated
EOS
is($node->safe_psql('postgres', <<'EOS'), '', 'savepoints: each movement that survived counts, and no other');
SELECT item, d.moved, m.moved
FROM (SELECT item, sum(quantity) AS moved, count(*) FROM shop.diary GROUP BY item) d
FULL JOIN (SELECT item, sum(quantity) AS moved, count(*) FROM backorder.stock_movement
	WHERE kind = 'receipt' OR reason = 'broken' GROUP BY item) m USING (item)
WHERE (d.moved, d.count) IS DISTINCT FROM (m.moved, m.count)
EOS
cmp_ok($node->safe_psql('postgres', q{SELECT least((SELECT count(*) FROM backorder.event), (SELECT count(*) FROM backorder.order_line), (SELECT count(*) FROM shop.diary))}),
	'>', 20, 'savepoints: there was something to see');

done_testing();
