# Random mapping expressions, names, keys and quantities, some of them meant to do harm. Each is refused with an
# SQLSTATE that says why, or recorded right: as SQL of our own computes it from the table, and as verify() does.
# Never a crash, never an internal error. BO_FUZZ_INPUTS says how many, BO_FUZZ_SEED which.

use strict;
use warnings FATAL => 'all';
use lib 'test/model';

use Operations;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $inputs = $ENV{BO_FUZZ_INPUTS} // 10_000;
my $seed = $ENV{BO_FUZZ_SEED} // int(rand(1_000_000));
my $g = Operations->new($seed);
my $node = new_node('fuzz');

$node->safe_psql('postgres', <<'EOS');
CREATE SCHEMA fuzz;
CREATE TYPE fuzz.color AS ENUM ('red', 'green');
CREATE DOMAIN fuzz.positive AS integer CHECK (VALUE > 0);
CREATE FUNCTION fuzz.volatile() RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION fuzz.fails(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1 / ($1 - $1)';

-- Attaches a table, inserts a row, compares what is recorded with what EXPECTED reads, undoes it all.
-- Returns the SQLSTATE, or 00000, and what is wrong.
CREATE FUNCTION fuzz.try(create_table text, attach text, written text, expected text, OUT state text, OUT problem text) LANGUAGE plpgsql AS $$
DECLARE
	recorded text;
	meant text;
	step text := 'table';
BEGIN
	BEGIN
		EXECUTE create_table;
		step := 'attach';
		EXECUTE attach;
		step := 'row';
		EXECUTE written;
		PERFORM backorder.flush();
		SET CONSTRAINTS ALL IMMEDIATE;
		step := 'read';
		SELECT string_agg(concat_ws('|', order_key, line_key, item, location, ordered), E'\n' ORDER BY order_key, line_key) INTO recorded
		FROM backorder.order_line WHERE live;
		EXECUTE expected INTO meant;
		step := 'verify';
		SELECT string_agg(v::text, E'\n') INTO problem FROM backorder.verify() v;
		IF problem IS NULL AND recorded IS DISTINCT FROM meant THEN
			problem := format('recorded %s, expected %s', recorded, meant);
		END IF;
		RAISE EXCEPTION USING ERRCODE = 'ZZ001';
	EXCEPTION
		WHEN SQLSTATE 'ZZ001' THEN
			state := '00000';
		WHEN OTHERS THEN
			state := SQLSTATE;
			IF step IN ('read', 'verify') OR SQLSTATE !~ '^(OB|22|23|42|0A|54|3F|2F|P0)' OR SQLSTATE = '42601' AND step = 'row' THEN
				problem := format('%s: %s', step, SQLERRM);
			ELSIF step = 'row' AND SQLSTATE NOT LIKE 'OB%' AND SQLSTATE !~ '^(22|23)' THEN
				problem := format('%s: %s', step, SQLERRM);
			END IF;
	END;
	SET CONSTRAINTS ALL DEFERRED;
END $$;
EOS

sub literal { my $text = shift; $text =~ s/'/''/g; return $text =~ s/\\/\\\\/g ? "E'$text'" : "'$text'" }
sub name { my $text = shift; $text =~ s/"/""/g; return "\"$text\"" }

# Names of columns and tables, values of keys: what quoting, encoding and arrays of text stumble over.
my @odd = ('a', 'select', 'A b', 'x"y', "x'y", 'x$$y', 'x\\y', '{a,b}', '{}', 'NULL', '', ' ', ',', '"', "line\nfeed", "tab\t", "\x{c3}\x{a9}", 'line', 'header',
	'a' x 63, '$1', '--', '/* */', ';', '%s', '%', '01', '1.0', '+1', "a\x{01}", '(a,b)', 'watched', 'order', 'item');

sub odd { return $g->one_of(@odd) . ($g->chance(20) ? $g->one_of(@odd) : '') }
sub odd_name { my $text = substr(odd(), 0, 60); $text =~ s/[\x{80}-\x{ff}]*$//; return length($text) ? $text : 'empty' }

# An expression; mostly one that might do, sometimes with a piece that does not.
sub expression
{
	my ($depth, $column) = @_;
	my $n = $g->random($depth > 2 ? 6 : 16);

	return $column if $n < 3;
	return $g->one_of('line.n', 'n', 'line."n"', 'm', 'line.m') if $n == 3;
	return $g->one_of('1', '0', '-1', '2.5', "'3'", 'NULL', '1e20', "'NaN'::numeric", "'Infinity'::numeric", '1e131000', "''", 'true') if $n == 4;
	return $g->one_of('color', 'line.color', 'pos', 'j', 'ts', 'line', 'line.*', 'header.n', 'ctid', 'line.tableoid', 'xmin') if $n == 5;
	return '(' . expression($depth + 1, $column) . ' ' . $g->one_of('+', '-', '*', '/', '%', '||', '=', '<', 'AND', 'IS DISTINCT FROM', '^') . ' ' . expression($depth + 1, $column) . ')' if $n < 9;
	return $g->one_of('coalesce', 'greatest', 'least', 'nullif', 'round', 'abs', 'length', 'fuzz.fails', 'sum', 'count', 'lag', 'now', 'random', 'fuzz.volatile', 'generate_series', 'pg_sleep')
	  . '(' . join(', ', map { expression($depth + 1, $column) } 1 .. $g->random(3)) . ')' if $n < 11;
	return 'CASE WHEN ' . expression($depth + 1, $column) . ' THEN ' . expression($depth + 1, $column) . ' ELSE ' . expression($depth + 1, $column) . ' END' if $n == 11;
	return '(SELECT ' . expression($depth + 1, $column) . $g->one_of('', ' FROM generate_series(1, 2)', ' LIMIT 1', ' FROM pg_class', ' INTO x') . ')' if $n == 12;
	return expression($depth + 1, $column) . $g->one_of('::text', '::integer', '::numeric', '::boolean', '::fuzz.color', '::nothing', '[1]', '.n') if $n == 13;
	return $g->one_of('1; DROP SCHEMA fuzz CASCADE', '1) FROM line; --', '1 -- ', "1 /*", '$1', '1, 2', '', ' ', '*', "'", '"', '$$', 'n n', ')', '(', 'current_user', 'current_date', 'DEFAULT', 'ROW(1, 2)', 'n COLLATE "C"') if $n == 14;
	return $column;
}

my (%states, @bad);
my @batch;

sub run_batch
{
	my ($status, $out, $err) = $node->psql('postgres', join("\n", map { "SELECT $_->[0], * FROM fuzz.try($_->[1]);" } @batch), extra_params => [ '-v', 'ON_ERROR_STOP=0' ]);
	push @bad, "psql ended with $status: " . substr($err, 0, 2000) if $status != 0 || $err =~ /ERROR|FATAL|PANIC|connection/;
	my %seen;
	foreach (split(/^(?=\d+\|[0-9A-Z]{5}\|)/m, $out))
	{
		my ($n, $state, $problem) = /^(\d+)\|([0-9A-Z]{5})\|(.*)/s or next;
		$states{$state}++;
		$seen{$n} = 1;
		push @bad, "$problem$batch[$n % 250][1]" if $problem =~ /\S/;
	}
	push @bad, map { "no answer to $_->[1]" } grep { !$seen{ $_->[0] } } @batch;
	@batch = ();
	return;
}

foreach my $n (0 .. $inputs - 1)
{
	my ($create, $attach, $row, $expected);
	if ($n % 2)
	{
		# expressions over a plain table
		my ($item, $quantity, $location) = ($g->chance(60) ? 'i' : expression(0, 'i'), $g->chance(20) ? 'n' : expression(0, 'n'), $g->chance(70) ? "'x'" : expression(0, 'i'));
		$create = 'CREATE TABLE fuzz.t (id integer PRIMARY KEY, i text, n numeric, m integer, color fuzz.color, pos fuzz.positive, j jsonb, ts timestamptz)';
		$attach = 'SELECT backorder.attach(' . join(', ', literal('fuzz.t'), 'item => ' . literal($item), 'quantity => ' . literal($quantity), 'location => ' . literal($location)) . ')';
		$row = sprintf(q{INSERT INTO fuzz.t VALUES (%d, '%s', %s, %s, 'red', 3, '{"n": 4}', '2020-01-01')}, $g->random(5), $g->one_of('I1', 'I2', ''), $g->one_of(1, 2.5, 0, -3, 7, 'NULL'), $g->random(4));
		$expected = qq{SELECT string_agg(concat_ws('|', id::text, id::text, x.item, coalesce(x.location, ''), x.quantity), E'\\n') FROM fuzz.t AS line, LATERAL (SELECT ($item\n)::text, ($quantity\n)::numeric, ($location\n)::text) x (item, quantity, location) WHERE x.quantity > 0 AND x.item IS NOT NULL};
	}
	else
	{
		# names, keys and quantities
		my ($table, $key, $line, $item) = map { odd_name() . $_ } ('', '1', '2', '3');
		my $type = $g->one_of('text', 'text', 'varchar(200)', 'text COLLATE "C"');
		my $amount = $g->one_of('numeric', 'double precision', 'integer', 'text', 'real');
		my @keys = map { odd() } 1 .. 2;
		my $quantity = $g->one_of('1', '0', '-1', '2.5', '1e5', '0.000000000000000001', '99999999999999999999999999999999', 'NaN', 'Infinity', '-Infinity', '1e300', '', ' 7 ', 'x');
		my $value = literal($quantity) . "::$amount";
		$create = sprintf('CREATE TABLE fuzz.%s (%s %s, %s %s, %s text, q %s, PRIMARY KEY (%s, %s))', name($table), name($key), $type, name($line), $type, name($item), $amount, name($key), name($line));
		$attach = 'SELECT backorder.attach(' . join(', ', literal('fuzz.' . name($table)), 'item => ' . literal($g->chance(50) ? name($item) : 'line.' . name($item)), q{quantity => 'q'},
			'order_key => ' . literal($g->chance(50) ? $key : name($key)), 'line_key => ' . literal($g->chance(50) ? $line : name($line))) . ')';
		$row = sprintf('INSERT INTO fuzz.%s VALUES (%s, %s, %s, %s)', name($table), literal($keys[0]), literal($keys[1]), literal(odd()), $value);
		$expected = sprintf(q{SELECT string_agg(concat_ws('|', %s, %s, %s, '', q::numeric), E'\\n') FROM fuzz.%s WHERE q::numeric > 0}, name($key), name($line), name($item), name($table));
	}
	push @batch, [ $n, join(', ', map { literal($_) } $create, $attach, $row, $expected) ];
	run_batch() if @batch == 250;
}
run_batch() if @batch;

is(scalar(@bad), 0, "$inputs inputs, seed $seed: refused, or recorded right") or diag(join("\n---\n", splice(@bad, 0, 10)));
cmp_ok($states{'00000'} // 0, '>', $inputs / 10, ($states{'00000'} // 0) . ' were recorded');
cmp_ok($states{OB001} // 0, '>', $inputs / 100, ($states{OB001} // 0) . ' were refused by attach()');
note(join(', ', map { "$_ $states{$_}" } sort { $states{$b} <=> $states{$a} } keys %states));
consistent_ok($node, 'the end');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|XX000/, 'no crash');

done_testing();
