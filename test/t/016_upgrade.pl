# pg_upgrade from an older version: state, ledger, events, sequences and triggers are what they were, and
# orders go on. PG_UPGRADE_FROM is the directory of the older version's programs, with the
# extension installed for it too; script/matrix sets it.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $old_bin = $ENV{PG_UPGRADE_FROM} // '';
plan skip_all => 'PG_UPGRADE_FROM names no older PostgreSQL' if $old_bin eq '';
plan skip_all => "no postgres in $old_bin" unless -x "$old_bin/postgres";

my $old = new_node('old', new => { install_path => $old_bin =~ s{/bin/?$}{}r });
create_shop($old);
fill_shop($old);
$old->safe_psql('postgres', 'ALTER TABLE shop.lines RENAME quantity TO qty');
# The pair of tables that hold no configuration are moved with the rest.
my $rest = q{SELECT max(generation) FROM backorder_internal.installation; SELECT count(*) FROM backorder_internal.commit_work; SELECT count(*) FROM backorder_internal.statement_work;
	SELECT tgname, tgenabled, tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal AND tgfoid::regproc::text LIKE 'backorder_internal.%' ORDER BY tgrelid::regclass::text, 1;
	SELECT evtname, evtenabled FROM pg_event_trigger ORDER BY 1;
	SELECT classid::regclass, count(*) FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
	WHERE e.extname = 'backorder' AND refclassid = 'pg_extension'::regclass AND deptype IN ('e', 'x') AND classid <> 'pg_type'::regclass GROUP BY 1 ORDER BY classid::regclass::text};
consistent_ok($old, 'before');
my $contents = contents($old, 'postgres');
my $others = $old->safe_psql('postgres', $rest);
my $version = $old->safe_psql('postgres', 'SHOW server_version_num');

my $new = PostgreSQL::Test::Cluster->new('new');
# From 18 on a new cluster has checksums unless told otherwise, and the old one has none.
$new->init(extra => $new->pg_version >= 18 ? [ '--no-data-checksums' ] : []);
$new->append_conf('postgresql.conf', "max_prepared_transactions = 10\n");
$old->stop;
chdir($new->basedir) or die "chdir: $!";
$new->command_ok([ 'pg_upgrade', '--no-sync', '-b', $old_bin, '-B', $new->config_data('--bindir'),
		'-d', $old->data_dir, '-D', $new->data_dir, '-s', $new->host, '-p', $old->port, '-P', $new->port, '-U', $ENV{PGUSER} // (getpwuid($<))[0] ],
	"pg_upgrade from $version");
$new->start;

cmp_ok($new->safe_psql('postgres', 'SHOW server_version_num'), '>', $version, 'the server is a newer one');
consistent_ok($new, 'upgraded');
same_ok(contents($new, 'postgres'), $contents, 'upgraded: ledger, counters, events and sequences are the same');
is($new->safe_psql('postgres', $rest), $others, 'upgraded: generation, triggers and members are the same');

my $max = $new->safe_psql('postgres', 'SELECT max(line_id) FROM backorder.order_line');
my $event = $new->safe_psql('postgres', 'SELECT max(id) FROM backorder.event');
my $order = $new->safe_psql('postgres', q{
	WITH o AS (INSERT INTO shop.orders (customer) VALUES ('new') RETURNING id)
	INSERT INTO shop.lines (order_id, line_no, item, qty) SELECT id, 1, 'I6', 1000 FROM o RETURNING order_id});
is($new->safe_psql('postgres', qq{
	SELECT line_id > $max, backordered > 0 FROM backorder.order_line WHERE order_key = '$order'}), 't|t', 'upgraded: a new order is recorded');
is($new->safe_psql('postgres', qq{SELECT type, aggregateid FROM backorder.event WHERE id > $event}), "backordered|$order", 'upgraded: and announced');
is($new->safe_psql('postgres', qq{
	SELECT count(*) FROM backorder.take_events(1000, 'mailer') WHERE aggregateid = '$order';
	SELECT count(*) FROM backorder.take_events(1000, 'mailer')}), "1\n0", 'upgraded: each consumer gets it once');
$new->safe_psql('postgres', q{
	SELECT backorder.receive('I6', 2000); SELECT count(*) FROM backorder.plan_purchases();
	UPDATE shop.lines SET shipped = qty WHERE order_id = 7; ALTER TABLE shop.lines RENAME qty TO wanted; UPDATE shop.lines SET wanted = wanted + 1 WHERE order_id = 8});
is($new->safe_psql('postgres', qq{SELECT backordered FROM backorder.order_line WHERE order_key = '$order'}), '0', 'upgraded: and served');
consistent_ok($new, 'upgraded, in use');

# The upgraded database is dumped and restored like any other.
$contents = contents($new, 'postgres');
$new->command_ok([ 'pg_dump', '-Fc', '-f', $new->basedir . '/upgraded.dump', 'postgres' ], 'upgraded: pg_dump');
$new->run_log([ 'createdb', '-h', $new->host, '-p', $new->port, 'again' ]);
$new->command_ok([ 'pg_restore', '-e', '-j', '2', '-d', 'again', $new->basedir . '/upgraded.dump' ], 'upgraded: pg_restore -j');
consistent_ok($new, 'upgraded, restored', 'again');
same_ok(contents($new, 'again'), $contents, 'upgraded, restored: all is the same');
$new->safe_psql('postgres', 'DROP EXTENSION backorder');
is($new->safe_psql('postgres', q{SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal}), '0', 'upgraded: DROP EXTENSION takes its triggers along');

done_testing();
