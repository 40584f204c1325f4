# C37: one session changes a purchase order line's date, another receives that line, at once, 200
# times: no deadlock. Then the same with a whole purchase order: one session moves all its dates in
# one statement, another the date of one line, two more receive all lines, up and down.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('dates');
create_shop($node);
$node->safe_psql('postgres', <<'EOS');
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 7);
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (1, 'acme', 'placed'), (2, 'acme', 'placed');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at)
SELECT 1, 1, 'X', 1000, date '2099-01-01' UNION ALL
SELECT 2, n, 'I' || n, 1000, date '2099-01-01' + n FROM generate_series(1, 5) n;
INSERT INTO shop.orders (customer) SELECT 'c' || n FROM generate_series(1, 25) n;
INSERT INTO shop.lines SELECT n, 1, 'X', 20 FROM generate_series(1, 25) n;
INSERT INTO shop.lines SELECT n, i + 1, 'I' || i, 20 FROM generate_series(1, 25) n, generate_series(1, 5) i;
EOS

load_ok($node, 'C37', [ '-c', 2, '-j', 2, '-t', 200 ], { both => [ 1, <<'EOS' ] });
\set day random(0, 300)
\if :client_id = 0
UPDATE backorder.purchase_order_line SET expected_at = date '2099-01-01' + :day WHERE po_id = 1 AND line_no = 1;
\else
SELECT count(*) FROM backorder.receive_purchase_line(1, 1, 1);
\endif
EOS

is($node->safe_psql('postgres', q{SELECT received, open FROM backorder.purchases WHERE po_id = 1}),
	'200|800', 'C37: each receipt counted');
is($node->safe_psql('postgres', q{SELECT on_hand, allocated, backordered FROM backorder.stock WHERE item = 'X'}),
	'200|200|300', 'C37: each unit allocated');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM backorder.order_line l, backorder.supply s
	WHERE l.item = 'X' AND s.item = 'X' AND l.backordered > 0 AND l.promised_at IS DISTINCT FROM s.expected_at}),
	'0', 'C37: waiting lines have the date that won');
consistent_ok($node, 'C37');

load_ok($node, 'whole purchase orders', [ '-c', 4, '-j', 2, '-t', 60 ], { both => [ 1, <<'EOS' ] });
\set day random(0, 300)
\set line random(1, 5)
\if :client_id = 0
UPDATE backorder.purchase_order_line SET expected_at = date '2099-01-01' + :day + line_no WHERE po_id = 2;
\elif :client_id = 2
UPDATE backorder.purchase_order_line SET expected_at = date '2099-01-01' + :day WHERE po_id = 2 AND line_no = :line;
\elif :client_id = 1
INSERT INTO backorder.stock_movement (item, kind, quantity, po_id, po_line_no)
SELECT 'I' || n, 'receipt', 1, 2, n FROM generate_series(5, 1, -1) n;
\else
INSERT INTO backorder.stock_movement (item, kind, quantity, po_id, po_line_no)
SELECT 'I' || n, 'receipt', 1, 2, n FROM generate_series(1, 5) n;
\endif
EOS

is($node->safe_psql('postgres', q{SELECT DISTINCT received, open FROM backorder.purchases WHERE po_id = 2}),
	'120|880', 'whole purchase orders: each receipt counted');
sums_ok($node, 'whole purchase orders');
consistent_ok($node, 'whole purchase orders');

done_testing();
