# The server dies under load, with fsync on: a backend is killed, then every process of it, then as chance has
# it, at random moments. After each recovery what was committed is there, and everything is explained by
# rows. BO_CRASH_CYCLES says how often, BO_CRASH_SEED how.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use BackorderTest;

my $clients = 4;
my $node = new_node('crash', conf => [ 'fsync = on', 'restart_after_crash = on' ]);
create_shop($node);
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE shop.done (id bigint GENERATED ALWAYS AS IDENTITY);
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 30000);
INSERT INTO backorder.supplier_item (supplier, item) SELECT 'acme', 'I' || n FROM generate_series(0, 4) n;
EOS

# Each transaction leaves a row in shop.done.
my %scripts = (
	order => [ 5, <<'EOS' ],
\set lines random(1, 3)
WITH done AS (INSERT INTO shop.done DEFAULT VALUES), o AS (INSERT INTO shop.orders DEFAULT VALUES RETURNING id)
INSERT INTO shop.lines (order_id, line_no, item, quantity)
SELECT o.id, n, 'I' || floor(random() * 5)::int, 1 + floor(random() * 8)::int FROM o, generate_series(1, :lines) n;
EOS
	receive => [ 2, <<'EOS' ],
WITH done AS (INSERT INTO shop.done DEFAULT VALUES)
INSERT INTO backorder.stock_movement (item, kind, quantity)
SELECT 'I' || n, 'receipt', 1 + floor(random() * 5)::int FROM generate_series(0, 4) n;
EOS
	ship => [ 2, <<'EOS' ],
\set id random(1, 500)
WITH done AS (INSERT INTO shop.done DEFAULT VALUES)
UPDATE shop.lines SET shipped = quantity WHERE order_id = :id AND shipped < quantity;
EOS
	plan => [ 1, <<'EOS' ],
WITH done AS (INSERT INTO shop.done DEFAULT VALUES)
SELECT count(*) FROM backorder.plan_purchases();
EOS
);

my $before = 0;

# Compare with what pgbench saw committed; each client may have had one more on its way.
sub recovered_ok
{
	my ($load, $from, $name) = @_;
	my $seen = finish_load($load);

	back_again($node, $from);
	my $done = $node->safe_psql('postgres', 'SELECT count(*) FROM shop.done') - $before;
	cmp_ok($seen, '>', 0, "$name: there was load");
	cmp_ok($done, '>=', $seen, "$name: what was committed is there");
	cmp_ok($done, '<=', $seen + $clients, "$name: and nothing else");
	sums_ok($node, $name);
	consistent_ok($node, $name);
	$before += $done;
	return;
}

# Wait until the load runs for a while.
sub start_and_wait
{
	my $load = start_load($node, [ '-c', $clients, '-j', 2, '-T', 120 ], \%scripts);

	$node->poll_query_until('postgres', 'SELECT count(*) >= ' . ($before + 150) . ' FROM shop.done')
	  or BAIL_OUT('no load');
	return $load;
}

sub kill_backend
{
	my $pid = $node->safe_psql('postgres', q{
		SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1});
	kill('KILL', $pid) if $pid;
	return;
}

sub kill_server
{
	my @pids = split(/\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()'));
	push @pids, slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	$node->kill9;
	kill('KILL', @pids);
	# While one of them is left, so is the shared memory, and no server starts.
	foreach my $dying (@pids)
	{
		foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
		{
			last if !kill(0, $dying);
			sleep(0.1);
		}
	}
	$node->start;
	return;
}

sub stop_server
{
	$node->stop('immediate');
	$node->start;
	return;
}

my $cycles = $ENV{BO_CRASH_CYCLES} // 5;
my $seed = $ENV{BO_CRASH_SEED} // int(rand(1_000_000));
my @deaths = ([ 'backend killed', \&kill_backend ], [ 'server killed', \&kill_server ], [ 'server stopped at once', \&stop_server ]);

note("seed $seed");
srand($seed);
foreach my $cycle (0 .. $cycles - 1)
{
	my ($name, $die) = @{ $deaths[ $cycle < @deaths ? $cycle : int(rand(@deaths)) ] };
	my $load = start_and_wait();
	sleep(rand(0.5));
	my $from = -s $node->logfile;
	$die->();
	recovered_ok($load, $from, "$cycle, $name");
}

# Life goes on.
load_ok($node, 'afterwards', [ '-c', 2, '-t', 25 ], \%scripts);
consistent_ok($node, 'afterwards');

done_testing();
