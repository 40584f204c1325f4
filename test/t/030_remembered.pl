# Rows of stock are found where the session saw them last, and by key as soon as something else is there.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('remembered', conf => ['autovacuum = off']);

$node->safe_psql('postgres', <<'EOS');
CREATE TABLE line (order_no integer, line_no integer, item text, qty integer, PRIMARY KEY (order_no, line_no));
SELECT backorder.attach('line', item => 'item', quantity => 'qty', order_key => 'order_no', line_key => 'line_no');
CREATE FUNCTION searches() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_stat_get_xact_numscans('backorder.stock_pkey'::regclass) $$;
CREATE VIEW counters AS SELECT string_agg(concat_ws(' ', item, on_hand, allocated, backordered), ', ' ORDER BY item) FROM backorder.stock WHERE item IN ('A', 'B', 'C', 'D');
CREATE PROCEDURE change(n integer) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. n LOOP
		UPDATE line SET qty = 1 + i % 2 WHERE order_no = 1 AND line_no = 1;
		COMMIT;
	END LOOP;
END $$;
EOS

# One session does it all.
my $script = '';
my @expected;

sub then_is
{
	my ($expected, $sql) = @_;

	$script .= $sql;
	push @expected, $expected;
	return;
}

my $order = 0;

sub order_of
{
	my ($items, $expected) = @_;

	$order++;
	then_is($expected, <<"EOS");
BEGIN;
SELECT searches() AS before \\gset
INSERT INTO line SELECT $order, n, item, 1 FROM unnest(string_to_array('$items', NULL)) WITH ORDINALITY AS o (item, n);
DO \$\$ BEGIN PERFORM backorder.flush(); END \$\$;
SELECT CASE searches() - :before WHEN 0 THEN 'no search' ELSE 'searched' END;
COMMIT;
EOS
	return;
}

$script .= <<'EOS';
DO $$ BEGIN
	PERFORM backorder.receive('A', 1000), backorder.receive('B', 1000), backorder.receive('C', 1000), backorder.receive('D', 1000);
END $$;
EOS
order_of('AB', 'searched');		# rows that it made
order_of('AB', 'no search');
order_of('AE', 'searched');		# E is new
order_of('E', 'searched');
order_of('E', 'no search');

# The table is written anew, in another order.
$script .= <<'EOS';
CREATE INDEX by_item ON backorder.stock (item DESC);
CLUSTER backorder.stock USING by_item;
DROP INDEX backorder.by_item;
EOS
order_of('AB', 'searched');
order_of('AB', 'no search');
then_is('A 1000 5 0, B 1000 4 0, C 1000 0 0, D 1000 0 0', 'TABLE counters;');

# Another item's row where one was.
then_is('2', <<'EOS');
CREATE TABLE place AS SELECT item, ctid AS tid FROM backorder.stock WHERE item IN ('C', 'D');
DO $$ BEGIN
	PERFORM backorder.adjust('C', -1000, 'gone'), backorder.adjust('D', -1000, 'gone');
END $$;
DELETE FROM backorder.stock_movement WHERE item IN ('C', 'D');
DELETE FROM backorder.stock WHERE item IN ('C', 'D');
VACUUM (TRUNCATE false) backorder.stock;
INSERT INTO backorder.stock (item) SELECT item FROM place ORDER BY tid DESC;
SELECT count(*) FROM backorder.stock s JOIN place p ON p.tid = s.ctid AND p.item <> s.item;
DO $$ BEGIN
	PERFORM backorder.receive('C', 3), backorder.receive('D', 4);
END $$;
EOS
order_of('CCCCCDDDDD', 'no search');
then_is('A 1000 5 0, B 1000 4 0, C 3 3 2, D 4 4 1', 'TABLE counters;');

# A page that is gone.
then_is('t', <<'EOS');
INSERT INTO line SELECT 100, n, 'filler ' || n, 1 FROM generate_series(1, 500) n;
DELETE FROM line WHERE order_no = 100;
DELETE FROM backorder.stock WHERE item LIKE 'filler%';
SELECT pg_relation_size('backorder.stock') AS before \gset
VACUUM backorder.stock;
SELECT pg_relation_size('backorder.stock') < :before;
EOS
then_is('500', <<'EOS');
INSERT INTO line SELECT 101, n, 'filler ' || n, 1 FROM generate_series(1, 500) n;
SELECT sum(backordered) FROM backorder.stock WHERE item LIKE 'filler%';
EOS

# Versions that nobody sees any more are removed on the way, without a vacuum and without a search.
then_is('t', <<'EOS');
SELECT pg_relation_size('backorder.stock') AS before \gset
CALL change(2000);
SELECT pg_relation_size('backorder.stock') = :before;
EOS
order_of('AB', 'no search');

is($node->safe_psql('postgres', $script), join("\n", @expected), 'rows of stock are found wherever they are');

# An order that writes most rows of a page finds room for all of them there.
$node->safe_psql('postgres', <<'EOS');
INSERT INTO backorder.stock_movement (item, kind, quantity) SELECT 'page ' || 1000 + n, 'opening', 100000 FROM generate_series(1, 400) n;
VACUUM FULL backorder.stock;
CREATE PROCEDURE orders(first integer, n integer, width integer) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN first .. first + n - 1 LOOP
		INSERT INTO line SELECT i, l, 'page ' || 1001 + i % (400 - width) + l, 1 FROM generate_series(1, width) l;
		COMMIT;
	END LOOP;
END $$;
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset();
CALL orders(1000, 300, 34);
SELECT pg_stat_force_next_flush();
EOS
is($node->safe_psql('postgres', q{SELECT n_tup_upd, n_tup_upd - n_tup_hot_upd <= 100 FROM pg_stat_user_tables WHERE relid = 'backorder.stock'::regclass}),
	'10200|t', 'versions of stock stay on their page');

# Entries of rows that nobody sees any more are marked in the index, not visited again and again.
my $old = $node->background_psql('postgres');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM line');
$node->safe_psql('postgres', 'CALL change(2000)');
$old->query_safe('COMMIT');
$old->quit;
$node->safe_psql('postgres', <<'EOS');
CALL change(4);
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset();
CALL change(50);
SELECT pg_stat_force_next_flush();
EOS
cmp_ok($node->safe_psql('postgres', q{SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelid = 'backorder.sales_order_pkey'::regclass}),
	'<=', 200, 'an order that was written often is found at once');
consistent_ok($node, 'afterwards');
done_testing();
