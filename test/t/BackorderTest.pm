# What the TAP tests share: a server with the extension, a shop with its tables attached, load by
# pgbench, and the checks that hold after anything.
package BackorderTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node create_shop fill_shop consistent_ok sums_ok load_ok start_load finish_load back_again refused_ok contents same_ok);

# new_node(NAME, new => {...}, init => {...}, conf => [...]): a running server, the extension in database postgres.
sub new_node
{
	my ($name, %arg) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, %{ $arg{new} // {} });

	$node->init(%{ $arg{init} // {} });
	$node->append_conf('postgresql.conf', join("\n",
		'log_statement = none',
		'max_connections = 40',
		'max_prepared_transactions = 10',
		'shared_buffers = 64MB',
		@{ $arg{conf} // [] }) . "\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION backorder');
	return $node;
}

# Orders and lines with every column that the tests map, attached.
sub create_shop
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'EOS');
CREATE SCHEMA shop;
CREATE TABLE shop.orders (
	id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer text NOT NULL DEFAULT 'walk-in',
	status text NOT NULL DEFAULT 'open',
	urgency integer NOT NULL DEFAULT 0
);
CREATE TABLE shop.lines (
	order_id integer NOT NULL REFERENCES shop.orders ON DELETE CASCADE,
	line_no integer NOT NULL,
	item text NOT NULL,
	quantity integer NOT NULL,
	shipped integer NOT NULL DEFAULT 0,
	PRIMARY KEY (order_id, line_no)
);
SELECT backorder.attach('shop.lines', item => 'item', quantity => 'quantity', order_key => 'order_id', line_key => 'line_no',
	header_table => 'shop.orders', header_key => 'id', live => $$header.status = 'open'$$, shipped => 'shipped',
	customer => 'customer', priority => 'urgency');
EOS
	return;
}

# Something of everything in it: stock, suppliers, purchase orders, orders in every state, events taken by two.
sub fill_shop
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'EOS');
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 7), ('apex', NULL);
INSERT INTO backorder.supplier_item (supplier, item, minimum_quantity, order_multiple)
SELECT CASE WHEN n % 2 = 0 THEN 'acme' ELSE 'apex' END, 'I' || n, 6, 3 FROM generate_series(1, 6) n;
INSERT INTO backorder.item_policy (item, reorder_point, order_up_to, handling_time) VALUES ('I1', 5, 10, 2);
INSERT INTO backorder.stock_movement (item, kind, quantity, reference) SELECT 'I' || n, 'opening', 10 * n, 'count ' || n FROM generate_series(1, 5) n;
INSERT INTO shop.orders (customer) SELECT 'c' || n FROM generate_series(1, 30) n;
INSERT INTO shop.lines SELECT o, l, 'I' || 1 + (o + l) % 6, 1 + (o * l) % 9 FROM generate_series(1, 30) o, generate_series(1, 3) l;
UPDATE shop.lines SET shipped = quantity WHERE order_id IN (2, 3);
UPDATE shop.orders SET status = 'cancelled' WHERE id = 4;
DELETE FROM shop.orders WHERE id IN (2, 5);
SELECT count(*) FROM backorder.plan_purchases();
SELECT backorder.place_purchase_order(po_id) FROM backorder.purchase_order WHERE supplier = 'acme';
SELECT backorder.receive_purchase_line(po_id, line_no, 4) FROM backorder.purchases WHERE status = 'placed' ORDER BY po_id, line_no LIMIT 1;
SELECT count(*) FROM backorder.take_events(5);
SELECT count(*) FROM backorder.take_events(1000, 'mailer');
EOS
	return;
}

# Everything is explained by rows.
sub consistent_ok
{
	my ($node, $name, $db) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->safe_psql($db // 'postgres', 'SELECT * FROM backorder.verify()'), '', "$name: verify() returns no row");
	return;
}

# The counters against the shop's tables, in words of our own.
sub sums_ok
{
	my ($node, $name, $db) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->safe_psql($db // 'postgres', <<'EOS'), '', "$name: counters equal the sums of the lines");
SELECT item, s.allocated, s.backordered, l.open, s.on_hand, m.moved
FROM (SELECT item, sum(allocated) AS allocated, sum(backordered) AS backordered, sum(on_hand) AS on_hand,
	sum(unavailable) AS unavailable FROM backorder.stock GROUP BY item) s
FULL JOIN (SELECT item, sum(greatest(quantity - shipped, 0)) AS open
	FROM shop.lines JOIN shop.orders ON id = order_id WHERE status = 'open' AND quantity > 0 GROUP BY item) l USING (item)
FULL JOIN (SELECT item, sum(quantity) AS moved FROM backorder.stock_movement GROUP BY item) m USING (item)
WHERE s.allocated + s.backordered <> coalesce(l.open, 0) OR s.item IS NULL
	OR s.on_hand <> coalesce(m.moved, 0) OR s.allocated > s.on_hand - s.unavailable
	OR s.backordered > 0 AND s.on_hand - s.unavailable > s.allocated
EOS
	return;
}

# The pgbench command for a set of scripts, { name => [weight, text] }.
sub pgbench_command
{
	my ($node, $options, $scripts) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my @files;

	foreach my $script (sort keys %$scripts)
	{
		my ($weight, $text) = @{ $scripts->{$script} };
		append_to_file("$dir/$script.sql", $text);
		push @files, '-f', "$dir/$script.sql\@$weight";
	}
	return ('pgbench', '-n', '-h', $node->host, '-p', $node->port, @$options, @files, 'postgres');
}

# Run load and require that not one transaction failed: no deadlock, no error of any other kind. At
# another isolation level, LEVEL, pgbench tries again after 40001 and 40P01, and those are allowed.
sub load_ok
{
	my ($node, $name, $options, $scripts, $level) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $from = -s $node->logfile;
	my ($out, $err) = ('', '');

	my @command = pgbench_command($node, $options, $scripts);
	push @command, '--max-tries=1000' if defined $level;
	local $ENV{PGOPTIONS} = $level ? '-c default_transaction_isolation=' . ($level =~ s/ /\\ /r) : '';
	IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err);
	my $status = $? >> 8;
	my @errors = grep { /ERROR|FATAL|PANIC/ } split(/\n/, slurp_file($node->logfile, $from));
	@errors = grep { !/ERROR:  (could not serialize access|deadlock detected)/ } @errors if defined $level;
	my $errors = join("\n", @errors);

	is($status, 0, "$name: pgbench ends well") or diag($err);
	ok($out =~ /^number of failed transactions: 0 /m, "$name: no failed transaction")
	  or diag(join("\n", grep { /^number of|failed transactions: [1-9]/ } split(/\n(?! - )/, $out)));
	is($errors, '', "$name: no error in the server's log");
	return;
}

# Load in the background, for the time until the server goes away.
sub start_load
{
	my ($node, $options, $scripts) = @_;
	my %load = (out => '', err => '');

	my @command = pgbench_command($node, $options, $scripts);
	$load{run} = IPC::Run::start(\@command, '<', \undef, '>', \$load{out}, '2>', \$load{err});
	return \%load;
}

# Wait for its end; returns how many transactions pgbench saw committed.
sub finish_load
{
	my ($load) = @_;

	$load->{run}->finish;
	$load->{out} =~ /number of transactions actually processed: (\d+)/
	  or BAIL_OUT("pgbench: $load->{out} $load->{err}");
	return $1;
}

# Wait until the server has recovered from a crash after its log was FROM long. Not by asking it: a client that
# is turned away may end before the query reaches its input, and one may be let in before the crash is noticed.
sub back_again
{
	my ($node, $from) = @_;

	$node->wait_for_log(qr/database system is ready to accept connections/, $from);
	return;
}

# The statement fails, with this SQLSTATE. OPTIONS go to psql, e.g. '-U', 'clerk'.
sub refused_ok
{
	my ($node, $sql, $sqlstate, $name, @options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my ($status, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-v', 'VERBOSITY=sqlstate', @options ]);
	my $states = join(' ', $err =~ /ERROR:\s+(\w{5})/g);
	ok($status != 0 && $states eq $sqlstate, $name) or diag("got status $status, '$err'");
	return;
}

# All that a dump carries, as text: every configuration table and sequence of the extension. OIDs are
# a cache and differ from database to database. KNOWN limits it to these relations and columns.
sub contents
{
	my ($node, $db, $known) = @_;
	my $read = '';

	foreach my $relation (split(/\n/, $node->safe_psql($db, <<'EOS')))
SELECT c.oid::regclass::text || ' ' || c.relkind::text FROM pg_class c JOIN pg_extension e ON c.oid = ANY (e.extconfig)
WHERE e.extname = 'backorder' ORDER BY c.oid::regclass::text
EOS
	{
		my ($name, $kind) = split(/ /, $relation);
		next if $known && !$known->{$name};
		my $columns = $kind eq 'S' ? 'last_value, is_called' : $known ? $known->{$name} : '*';
		$read .= <<"EOS";
SELECT '$name' UNION ALL
(SELECT r::text FROM (SELECT to_jsonb(t) - 'line_relid' - 'header_relid' - 'table_relid' AS r FROM (SELECT $columns FROM $name) t) s ORDER BY r::text);
EOS
	}
	return $node->safe_psql($db, $read);
}

# Two such texts are the same; if not, the lines that only one of them has are shown.
sub same_ok
{
	my ($got, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %got = map { $_ => 1 } split(/\n/, $got);
	my %expected = map { $_ => 1 } split(/\n/, $expected);
	my @differences = (
		(map { "- $_" } grep { !$got{$_} } sort keys %expected),
		(map { "+ $_" } grep { !$expected{$_} } sort keys %got));

	ok($got eq $expected, $name) or diag(join("\n", 'expected -, got +', splice(@differences, 0, 20)));
	return;
}

1;
