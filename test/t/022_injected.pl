# Errors, cancels, timeouts and SIGKILL at every point of the work: capture, reading the mapping, each statement,
# under the stock locks, allocated, written, announced. What follows in the same transaction, or session, is right.
# Runs a build of its own with debug points (src/base/debug.c), which is loaded in place of the installed one.

use strict;
use warnings FATAL => 'all';

use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $build = PostgreSQL::Test::Utils::tempdir() . '/build';
mkdir($build);
system("cp -R Makefile backorder.control sql src $build && find $build/src '(' -name '*.o' -o -name '*.bc' ')' -delete") == 0 or BAIL_OUT('no copy of the sources');
system("make -s -j2 -C $build DEBUG_POINTS=1 PG_CONFIG=$ENV{PG_CONFIG} backorder.so >$build/log 2>&1") == 0
  or BAIL_OUT('no build with debug points: ' . slurp_file("$build/log"));

my $node = new_node('injected', conf => [ 'restart_after_crash = on', 'fsync = on' ]);
create_shop($node);
$node->safe_psql('postgres', <<"EOS");
UPDATE pg_proc SET probin = '$build/backorder' WHERE probin LIKE '%/backorder';
EOS
$node->safe_psql('postgres', <<'EOS');
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 30000);
INSERT INTO backorder.supplier_item (supplier, item) SELECT 'acme', i FROM unnest(ARRAY['A', 'B', 'C']) i;
INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (1000, 'acme', 'placed');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (1000, 1, 'A', 5, '2099-01-01'), (1000, 2, 'B', 5, '2099-02-01');
SELECT backorder.receive(i, 4) FROM unnest(ARRAY['A', 'B', 'C']) i;
INSERT INTO shop.orders (customer) SELECT 'c' || n FROM generate_series(1, 6) n;
INSERT INTO shop.lines SELECT id, n, chr(64 + n), id FROM shop.orders, generate_series(1, 3) n;

-- What is there, without numbers and times that a sequence or clock gave.
CREATE FUNCTION shop.state() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(E'\n',
		(SELECT string_agg(concat_ws(' ', order_key, line_key, item, ordered, shipped, allocated, backordered, promised_at), E'\n' ORDER BY order_key, line_key) FROM backorder.order_line),
		(SELECT string_agg(concat_ws(' ', item, on_hand, unavailable, allocated, backordered, on_order), E'\n' ORDER BY item) FROM backorder.stock),
		(SELECT string_agg(concat_ws(' ', aggregateid, type), E'\n' ORDER BY aggregateid, type) FROM backorder.event),
		(SELECT string_agg(concat_ws(' ', item, ordered), E'\n' ORDER BY item, ordered) FROM backorder.purchase_order_line),
		(SELECT string_agg('verify: ' || v::text, E'\n') FROM backorder.verify() v))
$$;

-- Does BEFORE, then the statements of WORK with ACTION at the Nth point, for every N there is; then WORK again.
-- Returns how many points there were, and what differed from WORK done at once.
CREATE FUNCTION shop.sweep(before text, work text[], action text, OUT points integer, OUT problem text) LANGUAGE plpgsql AS $$
DECLARE
	expected text;
	got text;
	hit boolean;
	step text;
BEGIN
	points := 0;
	FOR n IN 0 .. 2000 LOOP
		-- what a released savepoint set is not set back when the one around it is rolled back
		SET CONSTRAINTS ALL DEFERRED;
		BEGIN
			EXECUTE before;
			hit := false;
			BEGIN
				IF n > 0 THEN
					PERFORM set_config('backorder.debug_point', format('any %s %s', action, n), true);
				END IF;
				FOREACH step IN ARRAY work LOOP
					EXECUTE step;
				END LOOP;
			EXCEPTION WHEN internal_error OR query_canceled THEN
				hit := true;
			END;
			PERFORM set_config('backorder.debug_point', '', true);
			IF hit THEN
				FOREACH step IN ARRAY work LOOP
					EXECUTE step;
				END LOOP;
			END IF;
			SET CONSTRAINTS ALL IMMEDIATE;
			RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = shop.state();
		EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
			got := SQLERRM;
		END;
		expected := coalesce(expected, got);
		IF got <> expected THEN
			problem := format(E'after point %s expected\n%s\ngot\n%s', n, expected, got);
			RETURN;
		END IF;
		IF n > 0 AND NOT hit THEN
			RETURN;
		END IF;
		points := n;
	END LOOP;
	problem := 'too many points';
END $$;
EOS
consistent_ok($node, 'before');

my @work = (
	[ 'an order', q{SELECT}, [ q{INSERT INTO shop.orders (id, customer) OVERRIDING SYSTEM VALUE VALUES (100, 'new')},
		q{INSERT INTO shop.lines SELECT 100, n, chr(64 + n), 3 FROM generate_series(1, 3) n}, 'SET CONSTRAINTS ALL IMMEDIATE' ] ],
	[ 'changes after others', q{UPDATE shop.lines SET quantity = quantity + 1 WHERE order_id < 3}, [
		q{UPDATE shop.lines SET item = 'B' WHERE order_id = 2 AND line_no = 1}, q{DELETE FROM shop.orders WHERE id = 3},
		q{UPDATE shop.lines SET shipped = 1 WHERE order_id = 1 AND line_no = 2}, 'SELECT backorder.flush()', 'SET CONSTRAINTS ALL IMMEDIATE' ] ],
	[ 'lines that move', q{UPDATE shop.lines SET quantity = 9 WHERE order_id = 1 AND line_no = 1}, [ q{UPDATE shop.lines SET order_id = 5, line_no = line_no + 10 WHERE order_id = 4},
		q{UPDATE shop.lines SET line_no = line_no + 3 WHERE order_id = 1}, 'SET CONSTRAINTS ALL IMMEDIATE' ] ],
	[ 'receipts', q{UPDATE shop.orders SET urgency = 1 WHERE id = 6}, [ q{SELECT count(*) FROM backorder.receive('A', 7)},
		q{SELECT count(*) FROM backorder.receive_purchase_order(1000)}, q{SELECT count(*) FROM backorder.adjust('C', -3, 'gone')}, 'SET CONSTRAINTS ALL IMMEDIATE' ] ],
	[ 'purchases', q{INSERT INTO shop.lines VALUES (1, 9, 'C', 30)}, [ 'SELECT count(*) FROM backorder.plan_purchases()',
		q{SELECT backorder.place_purchase_order(max(po_id)) FROM backorder.purchase_order WHERE status = 'draft'},
		q{UPDATE backorder.purchase_order_line SET expected_at = '2098-01-01' WHERE po_id = 1000}, 'SELECT backorder.close_purchase_order(1000)', 'SET CONSTRAINTS ALL IMMEDIATE' ] ],
	[ 'attached again', q{UPDATE shop.lines SET quantity = 5 WHERE order_id = 2}, [ q{SELECT backorder.detach('shop.lines')},
		q{SELECT backorder.attach('shop.lines', item => 'item', quantity => 'quantity', order_key => 'order_id', line_key => 'line_no',
			header_table => 'shop.orders', header_key => 'id', live => $e$header.status = 'open'$e$, shipped => 'shipped', customer => 'customer', priority => 'urgency')},
		q{SELECT backorder.resync('shop.lines')}, 'SET CONSTRAINTS ALL IMMEDIATE' ] ],
);
my ($points, $sweeps) = (0, 0);

sub literal { my $text = shift; $text =~ s/'/''/g; return "'$text'" }

foreach my $action ('error', 'cancel')
{
	# one session for all: what an error leaves in its caches meets what follows
	my $text = join("\n", map { sprintf('SELECT %s, points, problem FROM shop.sweep(%s, ARRAY[%s], %s);', literal($_->[0]), literal($_->[1]),
		join(', ', map { literal($_) } @{ $_->[2] }), literal($action)) } @work);
	# the first, before anything is cached, once more with everything cached
	my ($status, $out, $err) = $node->psql('postgres', $text . "\n" . $text);
	is($err, '', "$action: nothing else is raised");
	foreach my $work (@work, @work)
	{
		$out =~ s/^(\Q$work->[0]\E\|(\d+)\|(.*?))(?=^[a-z ]+\|\d+\||\z)//ms or last;
		my ($line, $n, $problem) = ($1, $2, $3);
		ok($n > 10 && $problem !~ /\S/, "$action at each point of $work->[0]: $n points, and as if nothing had been") or diag($line);
		$points += $n;
		$sweeps++;
	}
}
is($sweeps, 4 * @work, "$points points in all");
consistent_ok($node, 'errors and cancels');
sums_ok($node, 'errors and cancels');

# A table is attached anew while a session loads what it was attached with: the session loads it anew too.
my $attach = q{SELECT backorder.attach('shop.later', order_key => 'order_no', line_key => 'order_no', item => 'item', quantity => '%s')};
$node->safe_psql('postgres', q{CREATE TABLE shop.later (order_no integer PRIMARY KEY, item text, quantity integer);
	INSERT INTO shop.later SELECT n, 'C', 1 FROM generate_series(1, 2) n; } . sprintf($attach, 'quantity'));
my ($attach_out, $attach_err) = ('', '');
my $anew = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), map { ('-c', $_) } 'SELECT pg_advisory_lock(1)',
		q{DO $$ BEGIN FOR i IN 1 .. 6000 LOOP EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted); PERFORM pg_sleep(0.01); END LOOP; END $$},
		sprintf($attach, 'quantity * 10'), 'SELECT pg_advisory_unlock(1)' ], '<', \undef, '>', \$attach_out, '2>', \$attach_err);
$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')}) or BAIL_OUT('no lock');
my (undef, undef, $later_err) = $node->psql('postgres', <<'EOS');
SET backorder.debug_point = 'loading wait 1';
SELECT count(*) FROM backorder.source s, backorder_internal.mapped_lines(s.source_id) WHERE s.line_table = 'later';
UPDATE shop.later SET quantity = 2 WHERE order_no = 2;
EOS
$anew->finish;
is($attach_err . $later_err, '', 'attached anew while its mapping is loaded');
is($node->safe_psql('postgres', q{SELECT string_agg(ordered::text, ' ' ORDER BY order_key) FROM backorder.order_line
	WHERE backorder.source_relation(source_id) = 'shop.later'::regclass}), '10 20', 'what is written then goes by the new mapping');
consistent_ok($node, 'attached anew while its mapping is loaded');
$node->safe_psql('postgres', q{DROP TABLE shop.later});

# A timeout, and a cancel at commit, which has no timeout, in each phase.
my $order = q{BEGIN; INSERT INTO shop.orders (customer) VALUES ('late'); INSERT INTO shop.lines SELECT max(id), 1, 'A', 3 FROM shop.orders; COMMIT;};
foreach my $phase ('captured', 'mapping', 'read', 'statement', 'locked', 'allocated', 'written', 'announced')
{
	my $settled = $order =~ s/COMMIT/SET CONSTRAINTS ALL IMMEDIATE; COMMIT/r;
	my ($status, $out, $err) = $node->psql('postgres', <<"EOS", extra_params => [ '-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=sqlstate' ]);
SET statement_timeout = '150ms';
SET backorder.debug_point = '$phase sleep 1';
$settled
ROLLBACK;
SET statement_timeout = 0;
SET backorder.debug_point = '$phase cancel 1';
$order
ROLLBACK;
SET backorder.debug_point = '';
$order
SELECT count(*) FROM backorder.verify();
DELETE FROM shop.orders WHERE customer = 'late';
EOS
	is(scalar(() = $err =~ /ERROR:\s+57014/g), 2, "timeout and cancel when $phase") or diag($err);
	is($out, '0', "timeout when $phase: the session goes on");
	consistent_ok($node, "timeout when $phase");
}

# A backend that dies in each phase takes all of its transaction with it, and nothing of others.
my $orders = $node->safe_psql('postgres', 'SELECT count(*) FROM shop.orders');
foreach my $phase ('captured', 'mapping', 'read', 'statement', 'locked', 'allocated', 'written', 'announced')
{
	$node->safe_psql('postgres', q{SELECT backorder.receive('A', 1)});
	my $received = $node->safe_psql('postgres', q{SELECT on_hand FROM backorder.stock WHERE item = 'A'});
	my $from = -s $node->logfile;
	my ($status, $out, $err) = $node->psql('postgres', "SET backorder.debug_point = '$phase kill 1'; $order");
	isnt($status, 0, "killed when $phase");
	back_again($node, $from);
	is($node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM shop.orders), on_hand FROM backorder.stock WHERE item = 'A'}),
		"$orders|$received", "killed when $phase: what was committed is there, and nothing else");
	consistent_ok($node, "killed when $phase");
	sums_ok($node, "killed when $phase");
}

# A rule that needs more stock than a settling began with (settle/lock_set.c): all of it is locked sorted, whatever asks for what.
{
	my $sum = q{SELECT string_agg(item || ' ' || on_hand, ', ' ORDER BY item) FROM backorder.stock WHERE item IN ('A', 'B', 'new')};
	my $before = $node->safe_psql('postgres', $sum);
	my $session = sub { my ($err, @sql) = @_;
		return IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), map { ('-c', $_) } @sql ], '<', \undef, '>', \my $out, '2>', $err) };
	my @errors = ('', '');

	# Somebody has A. Who receives B, and so needs A, waits for A and has not got B meanwhile.
	$node->safe_psql('postgres', 'CREATE TABLE shop.go ()');
	my $holder = $session->(\$errors[0], 'BEGIN', q{SELECT backorder.lock_stock(ARRAY['A'])},
		q{DO $$ BEGIN FOR i IN 1 .. 6000 LOOP EXIT WHEN EXISTS (SELECT FROM shop.go); PERFORM pg_sleep(0.01); END LOOP; END $$}, 'COMMIT');
	$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DO %shop.go%' AND pid <> pg_backend_pid())}) or BAIL_OUT('nobody has A');
	my $waiter = $session->(\$errors[1], q{SET backorder.debug_stock_rule = 'B>A'}, q{SELECT count(*) FROM backorder.receive('B', 1)});
	$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%receive%')}) or BAIL_OUT('nobody waits');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT FROM backorder.stock WHERE item = 'B' FOR UPDATE NOWAIT) s}), '1', 'who waits for A has given B back');
	$node->safe_psql('postgres', 'INSERT INTO shop.go DEFAULT VALUES');
	$_->finish foreach $holder, $waiter;
	is("@errors", ' ', 'and gets both');

	# Two that need what the other one began with never meet in a deadlock; a row that does not exist is created.
	my @sessions = map { my ($item, $needs) = @{ [ [ 'A', 'B' ], [ 'B', 'A' ] ]->[$_] };
		$session->(\$errors[$_], "SET backorder.debug_stock_rule = '$item>$needs'", ("SELECT backorder.receive('$item', 1)") x 100) } 0, 1;
	$_->finish foreach @sessions;
	is("@errors", ' ', 'two that need each other take their locks in one order');
	$node->safe_psql('postgres', q{SET backorder.debug_stock_rule = 'A>new'; SELECT backorder.receive('A', 1)});
	my ($a, $b) = $before =~ /A (\d+), B (\d+)/;
	is($node->safe_psql('postgres', $sum), 'A ' . ($a + 101) . ', B ' . ($b + 101) . ', new 0', 'nothing is received twice, and the row of more stock is created');
	consistent_ok($node, 'more stock');
}

done_testing();
