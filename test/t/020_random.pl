# Random runs (test/model/run): eight sessions at once, then a naive model agrees with every line, counter and
# purchase order; and proof that it can fail, and that a failing run is made short. BO_RANDOM_OPERATIONS says
# how many operations, BO_RANDOM_SEED which; script/random does more.
#
# Changes hot tables on purpose: order_line, purchase_order_line (see script/test).

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $operations = $ENV{BO_RANDOM_OPERATIONS} // 100_000;
my $seed = $ENV{BO_RANDOM_SEED} // int(rand(1_000_000));
my $node = new_node('random', conf => [ 'track_commit_timestamp = on', 'deadlock_timeout = 20ms', 'synchronous_commit = off', 'max_prepared_transactions = 40' ]);

$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
delete $ENV{PGDATABASE};

sub random_run
{
	my ($out, $err) = ('', '');

	IPC::Run::run([ $^X, 'test/model/run', @_ ], '<', \undef, '>', \$out, '2>', \$err);
	return ($? >> 8, "$out$err");
}

my ($status, $text) = random_run('--operations', $operations, '--seed', $seed);
ok($status == 0 && $text =~ /^ok: /m, "$operations operations, seed $seed") or diag($text);
note($text);

# A counter that is wrong is found by verify() and by the model; what is consistent in itself, but against
# the ranks, by the model alone.
($status, $text) = random_run('--operations', 600, '--blocks', 1, '--seed', 1, '--sabotage', 'counter');
ok($status == 1 && $text =~ /verify\(\): stock\.on_hand/ && $text =~ /model has: stock/, 'a counter that is wrong is found') or diag($text);
($status, $text) = random_run('--operations', 2000, '--blocks', 1, '--seed', 1, '--sabotage', 'allocate');
ok($status == 1 && $text !~ /verify\(\)/ && $text =~ /model has: line/, 'stock allocated to the wrong line is found') or diag($text);

($status, $text) = random_run('--operations', 1000, '--blocks', 1, '--seed', 1, '--sabotage', 'lost', '--shrink');
like($text, qr/^FAILED with --seed 1 /m, 'a failing run prints its seed');
my ($n) = $text =~ /^(\d+) transactions are enough/m;
cmp_ok($n // 1000, '<=', 8, 'and shrinks to a short script') or diag($text);
like($text, qr/^BEGIN ISOLATION LEVEL .*^COMMIT;$/ms, 'of SQL');

done_testing();
