# pg_dump and restore, plain, custom, and schema and data apart, with and without triggers: nothing is
# applied twice, ledger, events and sequences are kept, and orders written afterwards are
# recorded.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('dump');
my $dir = PostgreSQL::Test::Utils::tempdir();
create_shop($node);

# Some of everything: waiting, part-allocated, shipped, cancelled and deleted orders; purchase orders
# in every state, received in part and in excess; stock on hold, and stock that the shop keeps itself; a detached table; events half taken;
# a column that was renamed and attached again by its new name, as a dump carries no other.
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE shop.samples (id integer PRIMARY KEY, item text NOT NULL, quantity integer NOT NULL, sent integer NOT NULL);
SELECT backorder.attach('shop.samples', item => 'item', quantity => 'quantity', shipped => 'sent');
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 7), ('apex', NULL);
INSERT INTO backorder.supplier_item (supplier, item, minimum_quantity, order_multiple)
SELECT CASE WHEN n % 2 = 0 THEN 'acme' ELSE 'apex' END, 'I' || n, 6, 3 FROM generate_series(1, 6) n;
INSERT INTO backorder.item_policy (item, reorder_point, order_up_to, handling_time) VALUES ('I1', 5, 10, 2);
INSERT INTO backorder.stock_movement (item, kind, quantity, reference) SELECT 'I' || n, 'opening', 10 * n, 'count ' || n FROM generate_series(1, 5) n;
SELECT backorder.hold_stock('I5', 4, 'damaged');
INSERT INTO shop.orders (customer) SELECT 'c' || n FROM generate_series(1, 30) n;
INSERT INTO shop.lines SELECT o, l, 'I' || 1 + (o + l) % 6, 1 + (o * l) % 9 FROM generate_series(1, 30) o, generate_series(1, 3) l;
INSERT INTO shop.samples SELECT n, 'I' || n, 2, n % 2 FROM generate_series(1, 6) n;
UPDATE shop.lines SET shipped = quantity WHERE order_id IN (2, 3);
UPDATE shop.orders SET status = 'done' WHERE id = 3;
UPDATE shop.orders SET status = 'cancelled' WHERE id = 4;
DELETE FROM shop.orders WHERE id IN (2, 5);
SELECT count(*) FROM backorder.plan_purchases();
SELECT backorder.place_purchase_order(po_id) FROM backorder.purchase_order WHERE supplier = 'acme';
INSERT INTO shop.lines SELECT 30, l, 'I' || l, 7 FROM generate_series(4, 6) l;
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (100, 'apex', 'placed'), (101, 'apex', 'draft'), (102, 'apex', 'placed'), (103, 'apex', 'placed');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at)
SELECT po, n, 'I' || n, 10, '2099-05-01' FROM unnest(ARRAY[100, 101, 102, 103]) po, generate_series(1, 2) n;
SELECT backorder.receive_purchase_line(100, 1, 4);
SELECT backorder.receive_purchase_line(102, 2, 13, reference => 'note 7');
SELECT backorder.close_purchase_order(102);
SELECT backorder.cancel_purchase_order(103);
SELECT count(*) FROM backorder.plan_purchases();
UPDATE backorder.purchase_order_line SET ordered = ordered + 3 WHERE (po_id, line_no) =
	(SELECT po_id, line_no FROM backorder.purchases WHERE status = 'draft' AND planned IS NOT NULL ORDER BY 1, 2 LIMIT 1);
SELECT count(*) FROM backorder.take_events(5);
SELECT count(*) FROM backorder.take_events(1000, 'mailer');
SELECT backorder.detach('shop.samples');
ALTER TABLE shop.lines RENAME quantity TO qty;
UPDATE shop.lines SET qty = qty + 1 WHERE order_id = 7;
SELECT backorder.attach('shop.lines', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'line_no',
	header_table => 'shop.orders', header_key => 'id', live => $$header.status = 'open'$$, shipped => 'shipped',
	customer => 'customer', priority => 'urgency');
UPDATE shop.lines SET qty = qty + 1 WHERE order_id = 6;
CREATE TABLE shop.shelf (bin integer PRIMARY KEY, item text, there integer);
CREATE INDEX ON shop.shelf (item);
INSERT INTO shop.shelf VALUES (1, 'S1', 2), (2, 'S1', 2), (3, 'S2', 9);
SELECT backorder.attach_stock('shop.shelf', item => 'item', on_hand => 'there');
INSERT INTO shop.lines SELECT 30, 7, 'S1', 6;
BEGIN;
UPDATE shop.lines SET shipped = 1 WHERE item = 'S1';
UPDATE shop.shelf SET there = there - 1 WHERE bin = 1;
COMMIT;
ALTER TABLE shop.shelf RENAME there TO n;
SELECT backorder.attach_stock('shop.shelf', item => 'item', on_hand => 'n');
EOS
consistent_ok($node, 'before');
my $contents = contents($node, 'postgres');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM backorder.event'), '>', 10, 'there are events to keep');
my $left = $node->safe_psql('postgres', q{
	BEGIN; SELECT string_agg(id::text, ' ' ORDER BY id) FROM backorder.take_events(1000); ROLLBACK});

# What must hold in a restored database, DB. SAME may change what of its contents is compared.
sub restored_ok
{
	my ($db, $name, $same) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$same //= sub { $_[0] };

	# verify() first: it must do without anything having warmed up
	consistent_ok($node, $name, $db);
	same_ok($same->(contents($node, $db)), $same->($contents), "$name: ledger, counters, events and sequences are the same");
	is($node->safe_psql($db, q{
		BEGIN; SELECT string_agg(id::text, ' ' ORDER BY id) FROM backorder.take_events(1000); ROLLBACK}),
		$left, "$name: the consumer goes on where it was");
	return;
}

# Orders, receipts and events go on in DB.
sub usable_ok
{
	my ($db, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $max = $node->safe_psql($db, 'SELECT max(line_id) FROM backorder.order_line');
	my $event = $node->safe_psql($db, 'SELECT max(id) FROM backorder.event');
	my $order = $node->safe_psql($db, q{
		WITH o AS (INSERT INTO shop.orders (customer) VALUES ('new') RETURNING id)
		INSERT INTO shop.lines (order_id, line_no, item, qty) SELECT id, 1, 'I6', 1000 FROM o RETURNING order_id});
	is($node->safe_psql($db, qq{
		SELECT line_id > $max, backordered > 0 FROM backorder.order_line WHERE order_key = '$order'}),
		't|t', "$name: a new order is recorded");
	is($node->safe_psql($db, qq{SELECT type, aggregateid FROM backorder.event WHERE id > $event}),
		"backordered|$order", "$name: and announced");
	is($node->safe_psql($db, qq{
		SELECT count(*) FROM backorder.take_events(1000, 'mailer') WHERE aggregateid = '$order';
		SELECT count(*) FROM backorder.take_events(1000, 'mailer')}),
		"1\n0", "$name: each consumer gets it once");
	$node->safe_psql($db, q{SELECT backorder.receive('I6', 2000); SELECT backorder.receive_purchase_order(100);
		SELECT backorder.receive('I1', 5, reference => 'count 1x');
		UPDATE shop.lines SET shipped = qty WHERE order_id = 7; UPDATE shop.orders SET status = 'cancelled' WHERE id = 8});
	is($node->safe_psql($db, qq{SELECT backordered FROM backorder.order_line WHERE order_key = '$order'}),
		'0', "$name: and served");
	is($node->safe_psql($db, q{
		SELECT on_hand, allocated, backordered FROM backorder.stock WHERE item = 'S1';
		UPDATE shop.shelf SET n = n + 1 WHERE bin = 2;
		SELECT on_hand, allocated, backordered FROM backorder.stock WHERE item = 'S1'}),
		"3|3|2\n4|4|1", "$name: stock that the shop keeps is followed");
	$node->safe_psql($db, 'SELECT count(*) FROM backorder.plan_purchases()');
	consistent_ok($node, "$name, in use", $db);
	return;
}

$node->run_log([ 'createdb', '-h', $node->host, '-p', $node->port, $_ ]) foreach qw(plain custom again parts apart once
	parallel folder there selective lines naive);

# plain
$node->command_ok([ 'pg_dump', '-f', "$dir/plain.sql", 'postgres' ], 'pg_dump, plain');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'plain', '-f', "$dir/plain.sql" ], 'psql restores it');
restored_ok('plain', 'plain');

# the restored database can be dumped like the first
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/again.dump", 'plain' ], 'pg_dump of the restored database');
$node->command_ok([ 'pg_restore', '-e', '-d', 'again', "$dir/again.dump" ], 'pg_restore restores it');
restored_ok('again', 'dump of a dump');
usable_ok('plain', 'plain');

# custom
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom.dump", 'postgres' ], 'pg_dump, custom');
$node->command_ok([ 'pg_restore', '-e', '-d', 'custom', "$dir/custom.dump" ], 'pg_restore restores the whole');
restored_ok('custom', 'custom');
usable_ok('custom', 'custom');

# schema first, data later
$node->command_ok([ 'pg_restore', '-e', '-s', '-d', 'parts', "$dir/custom.dump" ], 'pg_restore, schema only');
$node->command_ok([ 'pg_restore', '-e', '-a', '--disable-triggers', '-d', 'parts', "$dir/custom.dump" ], 'pg_restore, data only, without triggers');
restored_ok('parts', 'schema first');
usable_ok('parts', 'schema first');

# dumped apart
$node->command_ok([ 'pg_dump', '-s', '-f', "$dir/schema.sql", 'postgres' ], 'pg_dump, schema only');
$node->command_ok([ 'pg_dump', '-a', '--disable-triggers', '-f', "$dir/data.sql", 'postgres' ], 'pg_dump, data only, without triggers');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'apart', '-f', "$dir/schema.sql", '-f', "$dir/data.sql" ], 'psql restores both');
restored_ok('apart', 'dumped apart');
usable_ok('apart', 'dumped apart');

# With triggers, data must come in one transaction: at its end the orders are found as they are
# recorded, and only their revisions grow.
$node->command_ok([ 'pg_dump', '-a', '-f', "$dir/data.sql", 'postgres' ], 'pg_dump, data only');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'once', '-f', "$dir/schema.sql" ], 'psql restores the schema');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-1', '-d', 'once', '-f', "$dir/data.sql" ],
	'psql restores the data in one transaction, with triggers');
restored_ok('once', 'with triggers', sub { join("\n", sort(split(/\n/, $_[0] =~ s/"revision": \d+//gr))) });
usable_ok('once', 'with triggers');

# in parallel: tables of the extension are loaded in any order
foreach my $format ('c', 'd')
{
	my ($db, $file) = $format eq 'c' ? ('parallel', 'custom.dump') : ('folder', 'folder.dump');

	$node->command_ok([ 'pg_dump', '-Fd', '-j', '2', '-f', "$dir/$file", 'postgres' ], 'pg_dump, in parallel') if $format eq 'd';
	$node->command_ok([ 'pg_restore', '-e', '-j', '4', '-d', $db, "$dir/$file" ], "pg_restore -j, $db");
	restored_ok($db, "in parallel, $db");
	usable_ok($db, "in parallel, $db");
}

# data alone, in parallel, into what has been used before
$node->safe_psql('folder', q{
	DO $$ DECLARE t text; BEGIN
		SELECT string_agg(c.oid::regclass::text, ', ') INTO t FROM pg_class c JOIN pg_extension e ON c.oid = ANY (e.extconfig)
		WHERE e.extname = 'backorder' AND c.relkind = 'r';
		EXECUTE 'SET LOCAL session_replication_role = replica; TRUNCATE shop.orders, shop.lines, shop.samples, shop.shelf, ' || t;
	END $$});
$node->command_ok([ 'pg_restore', '-e', '-a', '--disable-triggers', '-j', '4', '-d', 'folder', "$dir/custom.dump" ], 'pg_restore, data only, in parallel');
restored_ok('folder', 'data only, in parallel');
usable_ok('folder', 'data only, in parallel');

# over what is there
$node->command_ok([ 'pg_restore', '-e', '--clean', '--if-exists', '-j', '4', '-d', 'parallel', "$dir/custom.dump" ], 'pg_restore --clean');
restored_ok('parallel', 'clean');
usable_ok('parallel', 'clean');

# where the extension is: only the schema it lies in is refused
$node->safe_psql('there', 'CREATE EXTENSION backorder');
$node->command_checks_all([ 'pg_restore', '-d', 'there', "$dir/custom.dump" ], 1, [],
	[ qr/schema "backorder" already exists/, qr/errors ignored on restore: 1$/m ], 'pg_restore where the extension is');
restored_ok('there', 'where the extension is');
usable_ok('there', 'where the extension is');

# The application's schema and the extension with its own, nothing else.
$node->command_ok([ 'pg_dump', '-n', 'shop', '-n', 'backorder', '-e', 'backorder', '-Fc', '-f', "$dir/selective.dump", 'postgres' ],
	'pg_dump -n shop -n backorder -e backorder');
$node->command_ok([ 'pg_restore', '-e', '-j', '2', '-d', 'selective', "$dir/selective.dump" ], 'pg_restore restores both');
restored_ok('selective', 'selective');
usable_ok('selective', 'selective');

# The application's schema alone: it is not attached there, says so, and can be attached.
$node->safe_psql('lines', 'CREATE EXTENSION backorder');
$node->command_ok([ 'pg_dump', '-n', 'shop', '-Fc', '-f', "$dir/shop.dump", 'postgres' ], 'pg_dump -n shop');
$node->command_ok([ 'pg_restore', '-e', '-d', 'lines', "$dir/shop.dump" ], 'pg_restore restores the application\'s schema');
my ($status, $out, $err) = $node->psql('lines', q{INSERT INTO shop.orders (customer) VALUES ('x')}, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
like($err, qr/ERROR:  OB004/, 'the application\'s schema alone: orders are refused');
$node->safe_psql('lines', q{
	SELECT backorder.attach('shop.lines', item => 'item', quantity => 'qty', order_key => 'order_id', line_key => 'line_no',
		header_table => 'shop.orders', header_key => 'id', live => $$header.status = 'open'$$, shipped => 'shipped',
		customer => 'customer', priority => 'urgency')});
consistent_ok($node, 'the application\'s schema alone, attached', 'lines');
is($node->safe_psql('lines', q{
	WITH o AS (INSERT INTO shop.orders (customer) VALUES ('x') RETURNING id)
	INSERT INTO shop.lines (order_id, line_no, item, qty) SELECT id, 1, 'I1', 3 FROM o;
	SELECT ordered, backordered FROM backorder.order_line WHERE customer = 'x'}), '3|3', 'the application\'s schema alone, attached: orders are recorded');

# One table of lines, emptied and restored with its triggers on, is compared as a whole.
my $before = $node->safe_psql('selective', 'SELECT line_id, ordered, allocated, shipped FROM backorder.order_line ORDER BY line_id');
$node->command_ok([ 'pg_dump', '-a', '-t', 'shop.lines', '-f', "$dir/lines.sql", 'selective' ], 'pg_dump -t');
append_to_file("$dir/truncate.sql", 'TRUNCATE shop.lines;');
$node->command_ok([ 'psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-d', 'selective', '-f', "$dir/truncate.sql", '-f', "$dir/lines.sql" ],
	'psql restores one table, over its rows');
is($node->safe_psql('selective', 'SELECT line_id, ordered, allocated, shipped FROM backorder.order_line ORDER BY line_id'), $before, 'one table: all lines kept their place');
consistent_ok($node, 'one table', 'selective');

# Data alone, table by table with triggers on, is refused before anything is recorded twice, whether the
# application's tables come behind the extension's or before them.
$node->safe_psql('postgres', q{
	CREATE SCHEMA app;
	CREATE TABLE app.requests (id integer PRIMARY KEY, item text, quantity integer);
	SELECT backorder.attach('app.requests', 'item', 'quantity');
	INSERT INTO app.requests VALUES (1, 'R', 2)});
$node->command_ok([ 'pg_dump', '-s', '-f', "$dir/naive.sql", 'postgres' ], 'table by table: pg_dump, schema only');
$node->command_ok([ 'pg_dump', '-a', '-Fc', '-f', "$dir/naive.dump", 'postgres' ], 'table by table: pg_dump, data only');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'naive', '-f', "$dir/naive.sql" ], 'table by table: psql restores the schema');
$node->command_checks_all([ 'pg_restore', '-a', '-d', 'naive', "$dir/naive.dump" ], 1, [],
	[ qr/source 4 does not exist\n.*Restore data alone with --disable-triggers/,
		qr/recorded order lines have numbers that backorder_internal.line_id_seq has not given yet\n.*\n.*Restore data alone with --disable-triggers/ ],
	'table by table: what would be recorded twice is refused');
is($node->safe_psql('naive', q{
	SELECT (SELECT count(*) FROM shop.orders), (SELECT count(*) FROM app.requests);
	SELECT check_name FROM backorder.verify() GROUP BY 1}), "0|0\norder_line", 'table by table: no order was taken for a new one');
$node->safe_psql('naive', 'SET session_replication_role = replica; TRUNCATE shop.samples, shop.shelf');
$node->command_ok([ 'pg_restore', '-e', '-a', '--disable-triggers', '-n', 'shop', '-n', 'app', '-d', 'naive', "$dir/naive.dump" ],
	'table by table: the rest, without triggers');
$node->safe_psql('naive', q{SELECT backorder.detach('app.requests')});
consistent_ok($node, 'table by table, the rest without triggers', 'naive');
usable_ok('naive', 'table by table, the rest without triggers');

$node->safe_psql('postgres', q{SELECT backorder.detach('app.requests')});
consistent_ok($node, 'the end');

done_testing();
