# On a hot standby every view and every function that reads, whichever there are, work and say what they say on the primary. After
# promotion orders go on.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $primary = new_node('primary', init => { allows_streaming => 1 });
create_shop($primary);
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# After the backup, so that the standby sees it by replay.
$primary->safe_psql('postgres', <<'EOS');
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 30000);
INSERT INTO backorder.supplier_item (supplier, item) VALUES ('acme', 'X'), ('acme', 'Y');
SELECT backorder.receive('X', 10);
INSERT INTO shop.orders DEFAULT VALUES;
INSERT INTO shop.orders DEFAULT VALUES;
INSERT INTO shop.lines VALUES (1, 1, 'X', 8), (1, 2, 'Y', 2);
INSERT INTO shop.lines VALUES (2, 1, 'X', 6), (2, 2, 'Z', 1);
SELECT count(*) FROM backorder.plan_purchases();
UPDATE backorder.purchase_order SET status = 'placed' WHERE status = 'draft';
UPDATE shop.lines SET shipped = 3 WHERE order_id = 1 AND line_no = 1;
INSERT INTO shop.orders DEFAULT VALUES;
INSERT INTO shop.lines VALUES (3, 1, 'X', 5);
CREATE TABLE shop.shelf (item text PRIMARY KEY, n integer);
INSERT INTO shop.shelf VALUES ('S', 4);
SELECT backorder.attach_stock('shop.shelf', 'item', 'n');
EOS
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'the standby is one');
my @views = split(/\n/, $primary->safe_psql('postgres', q{SELECT schemaname || '.' || viewname FROM pg_views WHERE schemaname IN ('backorder', 'backorder_internal') ORDER BY viewname}));
cmp_ok(scalar @views, '>=', 9, 'there are views');
foreach my $query (
	(map { "SELECT to_jsonb(v) - 'age' FROM $_ v ORDER BY 1" } @views),
	"SELECT * FROM backorder.explain('1')",
	"SELECT * FROM backorder.explain('2', 'shop.lines')",
	"SELECT f FROM backorder.available_from('X', 3) f",
	"SELECT f FROM backorder.available_from('Z', 1) f",
	'SELECT * FROM backorder_internal.mapped_lines(1)',
	'SELECT * FROM backorder_internal.mapped_stock(2)',
	'SELECT * FROM backorder.verify()')
{
	my ($name) = $query =~ /FROM (\S+)/;
	is($standby->safe_psql('postgres', $query), $primary->safe_psql('postgres', $query), "standby: $name as on the primary");
}
# A function that is not volatile reads; a new one is found here.
my %argument = (
	text => q{'1'}, numeric => 2, integer => 1, bigint => 1, boolean => 'false', date => q{'2024-02-01'}, oid => q{'shop.lines'::regclass},
	regclass => q{'shop.lines'}, 'timestamp with time zone' => q{'2024-02-01 12:00+00'}, 'text[]' => q{'{a,b}'},
	'backorder.order_line[]' => '(SELECT array_agg(l ORDER BY l.line_id) FROM backorder.order_line l)',
	'backorder.source' => '(SELECT s FROM backorder.source s ORDER BY s.source_id LIMIT 1)',
	'backorder.stock_source' => '(SELECT s FROM backorder.stock_source s ORDER BY s.source_id LIMIT 1)',
	'backorder_internal.source_import' => '(SELECT i FROM backorder_internal.source_import i LIMIT 1)');
my @functions = split(/\n/, $primary->safe_psql('postgres', q{
	SELECT p.oid::regproc || '|' || coalesce((SELECT string_agg(format_type(a.type, NULL), ',' ORDER BY a.n)
		FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, n)), '')
	FROM pg_proc p WHERE p.pronamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND p.prokind = 'f' AND p.provolatile <> 'v' ORDER BY 1}));
cmp_ok(scalar @functions, '>=', 14, 'there are functions that read');
foreach my $function (@functions)
{
	my ($name, $types) = split(/\|/, $function);
	my @types = split(/,/, $types // '');
	my @unknown = grep { !exists $argument{$_} } @types;
	is("@unknown", '', "standby: $name has arguments of known types");
	my $query = "SELECT to_jsonb(f) FROM $name(" . join(', ', map { "$argument{$_}::$_" } @types) . ') f';
	my ($status, $out, $err) = $standby->psql('postgres', $query);
	is($err, '', "standby: $name runs");
	is($out, $primary->safe_psql('postgres', $query), "standby: $name as on the primary");
}
consistent_ok($standby, 'standby');
cmp_ok($standby->safe_psql('postgres', 'SELECT count(*) FROM backorder.backlog'), '>', 0, 'standby: somebody waits');
refused_ok($standby, q{SELECT backorder.receive('X', 1)}, '25006', 'standby: no receipt');
refused_ok($standby, q{SELECT backorder.take_events(1)}, '25006', 'standby: no events taken');
refused_ok($standby, q{SELECT backorder.resync_stock('shop.shelf')}, '25006', 'standby: no stock counted');

$primary->stop;
$standby->promote;
$standby->safe_psql('postgres', q{UPDATE shop.shelf SET n = 3; INSERT INTO shop.orders DEFAULT VALUES;
	INSERT INTO shop.lines SELECT max(id), 1, 'X', 2 FROM shop.orders; SELECT backorder.receive('X', 20)});
is($standby->safe_psql('postgres', q{SELECT on_hand FROM backorder.stock WHERE item = 'S'}), '3', 'promoted: the shop\'s own stock is followed');
is($standby->safe_psql('postgres', q{SELECT allocated, backordered FROM backorder.stock WHERE item = 'X'}),
	'18|0', 'promoted: orders are recorded and served');
sums_ok($standby, 'promoted');
consistent_ok($standby, 'promoted');

done_testing();
