# Two-phase commit: an order settles when its transaction is prepared. It holds its stock until
# COMMIT PREPARED, over a crash too; ROLLBACK PREPARED leaves nothing behind.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('prepared');
create_shop($node);
$node->safe_psql('postgres', q{SELECT backorder.receive('X', 5)});

sub order
{
	my ($quantity) = @_;

	return "WITH o AS (INSERT INTO shop.orders DEFAULT VALUES RETURNING id)
		INSERT INTO shop.lines (order_id, line_no, item, quantity) SELECT id, 1, 'X', $quantity FROM o;";
}
my $lines = 'SELECT ordered, allocated, backordered FROM backorder.order_line ORDER BY line_id';

$node->safe_psql('postgres', 'BEGIN;' . order(3) . q{PREPARE TRANSACTION 'gone'});
is($node->safe_psql('postgres', $lines), '', 'prepared: nothing is seen');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'gone'});
is($node->safe_psql('postgres', 'SELECT on_hand, allocated, backordered FROM backorder.stock'),
	'5|0|0', 'rolled back: nothing is left');
consistent_ok($node, 'rolled back');

$node->safe_psql('postgres', 'BEGIN;' . order(4) . q{PREPARE TRANSACTION 'order'});
refused_ok($node, q{SET lock_timeout = '300ms'; } . order(2), '55P03', 'prepared: the stock is held');
$node->safe_psql('postgres', q{SET lock_timeout = '30s'; SELECT backorder.receive('Y', 1)});
is($node->safe_psql('postgres', q{
	INSERT INTO shop.orders DEFAULT VALUES;
	INSERT INTO shop.lines SELECT max(id), 1, 'Z', 1 FROM shop.orders;
	SELECT count(*) FROM backorder.event; SELECT count(*) FROM backorder.take_events(10)}),
	"1\n0", 'prepared: later events wait for those that may come before them');

$node->stop('immediate');
$node->start;
refused_ok($node, q{SET lock_timeout = '300ms'; SELECT backorder.receive('X', 1)}, '55P03', 'after a crash: the stock is held');
$node->safe_psql('postgres', q{COMMIT PREPARED 'order'});
is($node->safe_psql('postgres', "$lines LIMIT 1"), '4|4|0', 'committed: the order has its stock');
consistent_ok($node, 'committed');

$node->safe_psql('postgres', order(2));
is($node->safe_psql('postgres', q{SELECT on_hand, allocated, backordered FROM backorder.stock WHERE item = 'X'}),
	'5|5|1', 'the next order gets what is left');

# Receipts and purchase orders, prepared.
$node->safe_psql('postgres', q{
	INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 30000);
	INSERT INTO backorder.supplier_item (supplier, item) VALUES ('acme', 'X');
	BEGIN;
	SELECT backorder.lock_stock(ARRAY['X', 'Z']);
	SELECT backorder.receive('Z', 1);
	SELECT count(*) FROM backorder.plan_purchases();
	UPDATE backorder.purchase_order SET status = 'placed' WHERE status = 'draft';
	PREPARE TRANSACTION 'bought'});
$node->safe_psql('postgres', q{COMMIT PREPARED 'bought'});
is($node->safe_psql('postgres', q{SELECT item, backordered, on_order FROM backorder.stock ORDER BY item}),
	"X|1|1\nY|0|0\nZ|0|0", 'a receipt and a placed purchase order, prepared and committed');
is($node->safe_psql('postgres', q{
	SELECT string_agg(type, ' ' ORDER BY type) FROM backorder.take_events(100)}),
	'allocated backordered backordered promised ready', 'all events, once');
consistent_ok($node, 'the end');

# One notification for all that a transaction said, to who listens; and then it cannot be prepared.
my ($status, $out, $err) = $node->psql('postgres', q{LISTEN backorder; SET backorder.notify = on;
	BEGIN; SAVEPOINT a; } . order(11) . q{RELEASE a; } . order(12) . q{COMMIT;
	SELECT count(*) FROM backorder.receive('X', 0.5)});
is(scalar(() = $out =~ /Asynchronous notification "backorder" received/g), 2, 'backorder.notify: once a transaction') or diag($out . $err);
refused_ok($node, q{SET backorder.notify = on; BEGIN; } . order(13) . q{PREPARE TRANSACTION 'heard'}, '0A000', 'a transaction that notifies cannot be prepared');

# Stock that the shop keeps itself is counted when its transaction is prepared.
$node->safe_psql('postgres', q{
	CREATE TABLE shop.shelf (item text PRIMARY KEY, n integer);
	INSERT INTO shop.shelf VALUES ('S', 4);
	SELECT backorder.attach_stock('shop.shelf', 'item', 'n');
	BEGIN; UPDATE shop.shelf SET n = 7; PREPARE TRANSACTION 'gone'});
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'gone'; BEGIN; UPDATE shop.shelf SET n = 6; PREPARE TRANSACTION 'shelf'});
is($node->safe_psql('postgres', q{SELECT on_hand FROM backorder.stock WHERE item = 'S'}), '4', 'prepared: stock as it was');
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', q{COMMIT PREPARED 'shelf'});
is($node->safe_psql('postgres', q{SELECT on_hand FROM backorder.stock WHERE item = 'S'}), '6', 'committed: stock as it was counted');
consistent_ok($node, 'stock of the shop\'s own');

done_testing();
