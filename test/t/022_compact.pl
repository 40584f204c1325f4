# compact() again and again while orders are written, shipped, deleted and written again, goods arrive
# and purchase orders are closed: no deadlock, no failed transaction, everything explained by rows.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('compact');
create_shop($node);
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE shop.folded (movements bigint, allocations bigint, lines bigint, orders bigint, events bigint);
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 30000);
INSERT INTO backorder.supplier_item (supplier, item) SELECT 'acme', 'I' || n FROM generate_series(0, 9) n;
INSERT INTO backorder.stock_movement (item, kind, quantity) SELECT 'I' || n, 'opening', 50 FROM generate_series(0, 9) n;
INSERT INTO shop.orders (id) OVERRIDING SYSTEM VALUE SELECT n FROM generate_series(1, 400) n;
ALTER TABLE shop.orders ALTER id RESTART WITH 1000;
INSERT INTO shop.lines SELECT n, l, 'I' || (n + l) % 10, 1 + n % 4 FROM generate_series(1, 400) n, generate_series(1, 2) l;
CREATE FUNCTION shop.attempt(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN SQLSTATE 'OB005' OR SQLSTATE 'OB006' OR SQLSTATE 'OB009' THEN NULL;	-- OB009: a draft that a plan took away meanwhile
END $$;
EOS

my %scripts = (
	order => [ 8, <<'EOS' ],
\set lines random(1, 4)
WITH o AS (INSERT INTO shop.orders DEFAULT VALUES RETURNING id)
INSERT INTO shop.lines (order_id, line_no, item, quantity)
SELECT o.id, n, 'I' || floor(random() * 10)::int, 1 + floor(random() * 6)::int FROM o, generate_series(1, :lines) n;
EOS
	edit => [ 3, <<'EOS' ],
\set id random(1, 400)
\set quantity random(1, 9)
UPDATE shop.lines SET quantity = shipped + :quantity WHERE order_id = :id AND line_no = 1;
EOS
	item => [ 2, <<'EOS' ],
\set id random(1, 400)
\set item random(0, 9)
UPDATE shop.lines SET item = 'I' || :item WHERE order_id = :id AND line_no = 2 AND shipped = 0;
EOS
	ship => [ 5, <<'EOS' ],
\set id random(1, 400)
UPDATE shop.lines SET shipped = quantity WHERE order_id = :id;
EOS
	remove => [ 3, <<'EOS' ],
\set id random(1, 400)
DELETE FROM shop.orders WHERE id = :id;
EOS
	replace => [ 2, <<'EOS' ],
\set id random(1, 400)
WITH o AS (INSERT INTO shop.orders (id) OVERRIDING SYSTEM VALUE VALUES (:id) ON CONFLICT DO NOTHING RETURNING id)
INSERT INTO shop.lines (order_id, line_no, item, quantity) SELECT o.id, 1, 'I' || floor(random() * 10)::int, 2 FROM o;
EOS
	receive => [ 3, <<'EOS' ],
INSERT INTO backorder.stock_movement (item, kind, quantity) SELECT 'I' || n, 'receipt', 1 + floor(random() * 5)::int FROM generate_series(0, 9) n;
EOS
	plan => [ 1, 'SELECT count(*) FROM backorder.plan_purchases();' ],
	place => [ 1, <<'EOS' ],
SELECT shop.attempt(format('SELECT backorder.place_purchase_order(%s)', min(po_id))) FROM backorder.purchase_order WHERE status = 'draft' HAVING count(*) > 0;
EOS
	arrive => [ 1, <<'EOS' ],
SELECT shop.attempt(format('SELECT backorder.receive_purchase_order(%s)', p.po_id))
FROM (SELECT po_id FROM backorder.purchase_order WHERE status = 'placed' ORDER BY random() LIMIT 1) p;
EOS
	close => [ 1, <<'EOS' ],
SELECT shop.attempt(format('SELECT backorder.close_purchase_order(%s)', p.po_id))
FROM (SELECT po_id FROM backorder.purchase_order WHERE status = 'placed' ORDER BY random() LIMIT 1) p;
EOS
	take => [ 1, 'SELECT count(*) FROM backorder.take_events(50);' ],
	compact => [ 2, <<'EOS' ],
\set places random(1, 12)
INSERT INTO shop.folded SELECT movements, allocations, lines, orders, events FROM backorder.compact(now() - interval '300 ms', places => :places);
EOS
);

load_ok($node, 'read committed', [ '-c', 6, '-j', 2, '-t', 250 ], \%scripts);
sums_ok($node, 'read committed');
consistent_ok($node, 'read committed');
load_ok($node, 'repeatable read', [ '-c', 4, '-j', 2, '-t', 100 ], \%scripts, 'repeatable read');
sums_ok($node, 'repeatable read');
consistent_ok($node, 'repeatable read');
is($node->safe_psql('postgres', 'SELECT every(f.n > 0) FROM (SELECT unnest(ARRAY[sum(movements), sum(allocations), sum(lines), sum(orders), sum(events)]) AS n FROM shop.folded) f'),
	't', 'there was something of each kind to fold');
$node->safe_psql('postgres', "SELECT pg_sleep(0.1); SELECT * FROM backorder.compact(now() - interval '50 ms')");
is($node->safe_psql('postgres', 'SELECT count(*) FROM backorder.stock_movement m WHERE m.po_id IS NULL'), 10, 'in the end one movement for each item');
is($node->safe_psql('postgres', 'SELECT count(*) FROM backorder.allocation'), 0, 'and no ledger');
sums_ok($node, 'in the end');
consistent_ok($node, 'in the end');

$node->stop;
done_testing();
