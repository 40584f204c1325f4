# No room on the disk: files may not grow beyond a size, which the server takes for a full disk. The order that
# does not fit is undone, what was committed stays, and what fits goes on.

use strict;
use warnings FATAL => 'all';

# A limit for all that this test starts; WAL segments are 16 MB.
BEGIN
{
	if (!$ENV{BO_LIMITED})
	{
		$ENV{BO_LIMITED} = 1;
		exec('bash', '-c', 'ulimit -f $((17 * 1024)) && exec "$@"', 'bash', $^X, (map { "-I$_" } @INC), $0) or die "bash: $!";
	}
}

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('full', conf => [ 'autovacuum = off', 'full_page_writes = off', 'wal_compression = on' ]);
create_shop($node);
$node->safe_psql('postgres', q{SELECT backorder.receive('X', 100)});

# Orders of 2000 lines until a table of the extension is as large as a file may be.
my ($err, $orders) = ('', 0);
foreach (1 .. 60)
{
	(undef, undef, $err) = $node->psql('postgres', q{
		WITH o AS (INSERT INTO shop.orders (customer) VALUES (repeat('customer ', 30)) RETURNING id)
		INSERT INTO shop.lines (order_id, line_no, item, quantity) SELECT o.id, n, 'X', 1 FROM o, generate_series(1, 2000) n;},
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	last if $err;
	$orders++;
}
like($err, qr/could not (?:extend|write)[^\n]*(?:File too large|No space)|53100/, "no room after $orders orders");
like($err, qr/backorder|base\//, 'in whatever file');
cmp_ok($orders, '>', 3, 'some had room');
is($node->safe_psql('postgres', 'SELECT count(*) FROM shop.orders'), $orders, 'what did not fit is undone');
consistent_ok($node, 'full');
sums_ok($node, 'full');

# An order that goes makes room.
$node->safe_psql('postgres', q{DELETE FROM shop.orders WHERE id = (SELECT max(id) FROM shop.orders)});
$node->safe_psql('postgres', 'VACUUM backorder.order_line');
is($node->safe_psql('postgres', q{
	UPDATE shop.lines SET shipped = 1 WHERE order_id = 1 AND line_no <= 50;
	SELECT on_hand FROM backorder.stock}), '50', 'cancels, and ships');
consistent_ok($node, 'full, and used');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM shop.orders'), $orders - 1, 'after a crash all is there');
consistent_ok($node, 'full, and crashed');
sums_ok($node, 'full, and crashed');

done_testing();
