# Logical replication: what is applied on a subscriber fires no trigger of ours, so a copy of everything
# stays a copy, and orders that arrive without their record are found by verify() and mended by
# resync(). The same for a session with session_replication_role = replica.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $subscriber = new_node('subscriber');
my $publisher = new_node('publisher', init => { allows_streaming => 'logical' });
create_shop($publisher);
my $connection = $publisher->connstr . ' dbname=postgres';

sub wait_for
{
	my ($subscription) = @_;

	$publisher->wait_for_catchup($subscription);
	$subscriber->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')})
	  or BAIL_OUT('the first copy does not end');
	$publisher->wait_for_catchup($subscription);
	return;
}

# Some of everything, before the first copy.
$publisher->safe_psql('postgres', <<'EOS');
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 30000);
INSERT INTO backorder.supplier_item (supplier, item) SELECT 'acme', 'I' || n FROM generate_series(0, 4) n;
INSERT INTO backorder.stock_movement (item, kind, quantity) SELECT 'I' || n, 'opening', 5 FROM generate_series(0, 3) n;
INSERT INTO shop.orders (customer) SELECT 'c' || n FROM generate_series(1, 6) n;
INSERT INTO shop.lines SELECT o, l, 'I' || (o + l) % 5, o FROM generate_series(1, 6) o, generate_series(1, 3) l;
SELECT count(*) FROM backorder.plan_purchases();
UPDATE backorder.purchase_order SET status = 'placed';
CREATE TABLE shop.shelf (item text PRIMARY KEY, n integer);
INSERT INTO shop.shelf VALUES ('S1', 4);
SELECT backorder.attach_stock('shop.shelf', 'item', 'n');
EOS

# Everything: the subscriber has the same tables, with all triggers.
$publisher->run_log([ 'pg_dump', '-h', $publisher->host, '-p', $publisher->port, '-s', '-n', 'shop', '-f', $publisher->basedir . '/shop.sql', 'postgres' ]);
$subscriber->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-f', $publisher->basedir . '/shop.sql' ],
	'the shop\'s schema, triggers included, on the subscriber');
$publisher->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION everything CONNECTION '$connection' PUBLICATION everything");
wait_for('everything');
consistent_ok($subscriber, 'first copy');

$publisher->safe_psql('postgres', <<'EOS');
INSERT INTO shop.orders (customer, urgency) VALUES ('late', 1);
INSERT INTO shop.lines SELECT max(id), 1, 'I0', 4 FROM shop.orders;
UPDATE shop.lines SET shipped = quantity WHERE order_id = 1;
UPDATE shop.orders SET status = 'cancelled' WHERE id = 2;
DELETE FROM shop.orders WHERE id = 3;
SELECT backorder.receive('I1', 3);
SELECT backorder.receive_purchase_line(po_id, 1, 2) FROM backorder.purchase_order;
UPDATE backorder.purchase_order_line SET expected_at = '2099-05-05' WHERE line_no = 2;
UPDATE shop.shelf SET n = n + 1;
INSERT INTO shop.lines SELECT max(id), 3, 'S1', 2 FROM shop.orders;
SELECT count(*) FROM backorder.take_events(3);
SELECT count(*) FROM backorder.plan_purchases();
EOS
# Its transaction numbers are ahead of the subscriber's, and one consumer has taken all there is.
$publisher->safe_psql('postgres', 'SELECT pg_current_xact_id();' x 500
	. "INSERT INTO shop.lines SELECT max(id), 2, 'I4', 1 FROM shop.orders; SELECT pg_current_xact_id();");
$publisher->safe_psql('postgres', q{SELECT count(*) FROM backorder.take_events(1000, 'mailer')});
wait_for('everything');
my $tables = sub { join("\n", grep { !/last_value/ } split(/\n/, contents($_[0], 'postgres'))) };
same_ok($tables->($subscriber), $tables->($publisher), 'the subscriber has what the publisher has, nothing applied twice');
consistent_ok($subscriber, 'applied');
consistent_ok($publisher, 'publisher');

# Orders only: recorded by nobody on the subscriber.
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION everything');
$publisher->safe_psql('postgres', 'CREATE PUBLICATION orders FOR TABLE shop.orders, shop.lines');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION orders CONNECTION '$connection' PUBLICATION orders WITH (copy_data = false)");
$publisher->safe_psql('postgres', q{INSERT INTO shop.orders (customer) VALUES ('new');
	INSERT INTO shop.lines SELECT max(id), 1, 'I4', 2 FROM shop.orders; UPDATE shop.lines SET quantity = quantity + 1 WHERE order_id = 4});
wait_for('orders');
is($subscriber->safe_psql('postgres', 'SELECT check_name, count(*) FROM backorder.verify() GROUP BY 1'),
	'order_line|4', 'orders only: verify() names the four lines');

# The subscriber takes over. Sequences are not replicated: the application's are set by hand, the extension's by
# take_over(), which also begins a new generation of events, as its transaction numbers are not the publisher's.
$subscriber->safe_psql('postgres', q{
	DROP SUBSCRIPTION orders;
	SELECT setval('shop.orders_id_seq', (SELECT max(id) FROM shop.orders))});
refused_ok($subscriber, 'UPDATE shop.lines SET quantity = quantity + 1 WHERE order_id = 5', 'OB011', 'not taken over: an order is refused');
my %highest = map { split(/\|/) } split(/\n/, $publisher->safe_psql('postgres', q{
	SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences WHERE schemaname IN ('backorder', 'backorder_internal')}));
my %set = map { split(/\|/) } split(/\n/, $subscriber->safe_psql('postgres', 'SELECT * FROM backorder.take_over()'));
is(join(' ', sort keys %set), join(' ', sort keys %highest), 'taken over: every sequence is set');
is(join(' ', grep { $set{$_} > $highest{$_} } sort keys %set), '', 'taken over: to no more than the publisher gave');
is($set{'backorder_internal.source_id_seq'}, 2, 'taken over: a table of stock has its number out of one sequence with those of lines');
is($subscriber->safe_psql('postgres', q{
	UPDATE shop.shelf SET n = 7; SELECT on_hand, allocated FROM backorder.stock WHERE item = 'S1'}), '7|2', 'taken over: its stock is followed');
is($subscriber->safe_psql('postgres', q{SELECT backorder.resync('shop.lines')}), '4', 'orders only: resync() records them');
consistent_ok($subscriber, 'resynced');
$subscriber->safe_psql('postgres', q{
	INSERT INTO shop.orders (customer) VALUES ('after');
	INSERT INTO shop.lines SELECT max(id), 1, 'I2', 9 FROM shop.orders;
	SELECT backorder.receive('I2', 50)});
is($subscriber->safe_psql('postgres', q{
	SELECT allocated, backordered FROM backorder.order_line WHERE customer = 'after'}),
	'9|0', 'taken over: orders are recorded and served');
is($subscriber->safe_psql('postgres', q{
	SELECT count(*) = (SELECT count(*) - 3 FROM backorder.event) FROM backorder.take_events(1000)}),
	't', 'taken over: a consumer gets the events from before and after, but no event twice');
is($subscriber->safe_psql('postgres', q{
	SELECT string_agg(type || ' ' || customer, ', ' ORDER BY id) FROM backorder.take_events(1000, 'mailer') WHERE customer IN ('new', 'after')}),
	'backordered new, backordered after, allocated after, ready after', 'taken over: a consumer that had all gets the new ones');
sums_ok($subscriber, 'taken over');
consistent_ok($subscriber, 'taken over');

# A superuser's script that skips triggers.
$subscriber->safe_psql('postgres', q{
	SET session_replication_role = replica;
	INSERT INTO shop.orders (customer) VALUES ('script');
	INSERT INTO shop.lines SELECT max(id), 1, 'I3', 7 FROM shop.orders;
	UPDATE shop.lines SET quantity = 3 WHERE order_id = 5 AND line_no = 1});
is($subscriber->safe_psql('postgres', 'SELECT check_name, count(*) FROM backorder.verify() GROUP BY 1'),
	'order_line|2', 'replica role: verify() names the two lines');
is($subscriber->safe_psql('postgres', q{
	SET session_replication_role = replica;
	SELECT backorder.resync('shop.lines', '5'); SELECT backorder.resync('shop.lines')}),
	"1\n1", 'replica role: resync() mends them, in that role too');
consistent_ok($subscriber, 'mended');
is($subscriber->safe_psql('postgres', q{
	SELECT type FROM backorder.event WHERE customer = 'script'}), 'backordered', 'and says so');

done_testing();
