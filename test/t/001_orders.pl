# C20: five sessions each order 60 of X and 60 of Y in one transaction, in alternating line order,
# 100 times: no deadlock, no failed transaction, and the counters equal the sums of the lines.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('orders');
create_shop($node);
$node->safe_psql('postgres', q{SELECT backorder.receive('X', 12000); SELECT backorder.receive('Y', 9000)});

load_ok($node, 'C20', [ '-c', 5, '-j', 2, '-t', 100 ], { order => [ 1, <<'EOS' ] });
BEGIN;
INSERT INTO shop.orders DEFAULT VALUES RETURNING id \gset
\if :id % 2 = 0
INSERT INTO shop.lines VALUES (:id, 1, 'X', 60);
INSERT INTO shop.lines VALUES (:id, 2, 'Y', 60);
\else
INSERT INTO shop.lines VALUES (:id, 1, 'Y', 60);
INSERT INTO shop.lines VALUES (:id, 2, 'X', 60);
\endif
COMMIT;
EOS

is($node->safe_psql('postgres', 'SELECT item, on_hand, allocated, backordered FROM backorder.stock ORDER BY item'),
	"X|12000|12000|18000\nY|9000|9000|21000", 'C20: what was there is allocated, the rest waits');
is($node->safe_psql('postgres', q{
	SELECT count(*), count(DISTINCT order_key), count(*) FILTER (WHERE backordered > 0 AND allocated > 0) FROM backorder.order_line}),
	'1000|500|0', 'C20: each line is recorded once');
is($node->safe_psql('postgres', q{
	SELECT l.order_key FROM backorder.order_line l JOIN backorder.waiting_order w USING (order_key)
	GROUP BY l.order_key HAVING sum(l.backordered) = 0}),
	'', 'C20: an order is told to wait only if it does');
sums_ok($node, 'C20');
consistent_ok($node, 'C20');

done_testing();
