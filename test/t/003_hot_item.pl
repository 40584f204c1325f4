# Eight sessions and one item that runs in and out of stock: ordered, received, shipped, cancelled and
# counted at once, and events taken. No transaction fails, every unit is accounted for, and every event
# is taken once, those of an order one after the other.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('hot');
create_shop($node);
$node->safe_psql('postgres', 'CREATE TABLE shop.taken (n bigint GENERATED ALWAYS AS IDENTITY, id bigint, order_key text)');

load_ok($node, 'hot item', [ '-c', 8, '-j', 2, '-t', 150 ], {
	order => [ 6, <<'EOS' ],
\set quantity random(1, 4)
WITH o AS (INSERT INTO shop.orders DEFAULT VALUES RETURNING id)
INSERT INTO shop.lines (order_id, line_no, item, quantity) SELECT id, 1, 'HOT', :quantity FROM o;
EOS
	receive => [ 2, <<'EOS' ],
\set quantity random(1, 12)
SELECT count(*) FROM backorder.receive('HOT', :quantity);
EOS
	ship => [ 2, <<'EOS' ],
\set id random(1, 500)
UPDATE shop.lines SET shipped = quantity WHERE order_id = :id AND shipped < quantity;
EOS
	cancel => [ 1, <<'EOS' ],
\set id random(1, 500)
UPDATE shop.orders SET status = 'cancelled' WHERE id = :id;
EOS
	take => [ 2, <<'EOS' ],
INSERT INTO shop.taken (id, order_key) SELECT id, aggregateid FROM backorder.take_events(20);
EOS
	count => [ 1, <<'EOS' ],
\set counted random(0, 25)
SELECT count(*) FROM backorder.count_stock('HOT', :counted);
EOS
});

is($node->safe_psql('postgres', q{
	SELECT count(*) FROM backorder.allocation a WHERE a.quantity = 0}),
	'0', 'hot item: no empty entry in the ledger');
is($node->safe_psql('postgres', q{
	SELECT w.order_key FROM backorder.waiting_order w JOIN backorder.order_line l USING (order_key)
	GROUP BY w.order_key HAVING sum(l.backordered) = 0}),
	'', 'hot item: only orders that wait are waiting orders');
sums_ok($node, 'hot item');
consistent_ok($node, 'hot item');

$node->safe_psql('postgres', 'INSERT INTO shop.taken (id, order_key) SELECT id, aggregateid FROM backorder.take_events(100000)');
is($node->safe_psql('postgres', q{
	SELECT count(*) - count(DISTINCT id), count(DISTINCT id) = (SELECT count(*) FROM backorder.event) FROM shop.taken}),
	'0|t', 'hot item: each event is taken once');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT id < lag(id) OVER (PARTITION BY order_key ORDER BY n) AS late FROM shop.taken) t WHERE late}),
	'0', 'hot item: the events of an order are taken as they became true');

# When all that is short has arrived, nobody waits.
$node->safe_psql('postgres', q{SELECT backorder.receive('HOT', backordered) FROM backorder.stock WHERE backordered > 0});
is($node->safe_psql('postgres', 'SELECT backordered FROM backorder.stock'), '0', 'hot item: all that waited is served');
consistent_ok($node, 'hot item, served');

done_testing();
