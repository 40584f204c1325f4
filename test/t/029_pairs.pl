# Every pair of operations, in two sessions at once: under each isolation level, where the first
# transaction commits, is rolled back, or goes back to a savepoint and then commits, and with the second
# settling before, during and after the first. Each transaction ends well, or with 40001 or 40P01, or in a
# refusal that it also meets when it runs alone; what both got and all that is left is what one of
# them after the other gives. There are no answers to compare with: the serial runs are made here.
#
# All of them take too long for the suite, which does a sample; BO_PAIRS=all does all. BO_PAIRS_SEED says
# which sample, BO_PAIRS_ONLY='insert receive' does all cases of pairs of these operations.

use strict;
use warnings FATAL => 'all';
no warnings 'portable';

use IO::Select;
use IO::Socket::UNIX;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use BackorderTest;

my $workers = 3;
my $limit = 30;			# seconds until a case counts as hanging
my $seed = $ENV{BO_PAIRS_SEED} // int(rand(1_000_000));
my @only = split(' ', $ENV{BO_PAIRS_ONLY} // '');
my $all = @only || ($ENV{BO_PAIRS} // '') eq 'all';
my $sample = 5;			# of so many cases, of so many pairs, the suite runs one

sub remapped
{
	my ($quantity) = @_;

	return <<"EOS";
SELECT FROM backorder.attach('shop.lines', item => 'item', quantity => '$quantity', order_key => 'order_id', line_key => 'line_no',
	header_table => 'shop.orders', header_key => 'id', live => \$\$header.status = 'open'\$\$, shipped => 'shipped', customer => 'customer', priority => 'urgency')
EOS
}

# NAME => { sql => ..., captured => settles when flushed or committed, undo => what the reset cannot }.
# %d is 1 or 2: which of the two operations of a pair it is. Lines are named: rows that READ COMMITTED does not find,
# as they are not committed yet, are the application's business.
my %operations = (
	insert => { captured => 1, sql => <<'EOS' },
INSERT INTO shop.orders (id) VALUES (100 + %d);
INSERT INTO shop.lines VALUES (100 + %d, 1, 'Y', 2), (100 + %d, 2, 'X', 2);
INSERT INTO shop.parts VALUES (100 + %d, 'X', 1)
EOS
	increase => { captured => 1, sql => 'UPDATE shop.lines SET quantity = quantity + %d WHERE order_id = 2 AND line_no <= 2' },
	cancel => { captured => 1, sql => q{UPDATE shop.orders SET status = 'cancelled' WHERE id = 2} },
	item_change => { captured => 1, sql => q{UPDATE shop.lines SET item = CASE item WHEN 'X' THEN 'Y' ELSE 'X' END WHERE order_id = 2 AND line_no <= 2} },
	add_line => { captured => 1, sql => q{INSERT INTO shop.lines VALUES (2, 2 + %d, 'X', 2)} },
	urgency => { captured => 1, sql => 'UPDATE shop.orders SET urgency = %d WHERE id = 3' },
	ship => { captured => 1, sql => 'UPDATE shop.lines SET shipped = shipped + 2 WHERE order_id = 2 AND line_no <= 2' },
	receive => { sql => q{SELECT source, order_key, line_key, quantity, allocated, backordered, ready FROM backorder.receive('X', 3 + %d)} },
	adjust => { sql => q{SELECT source, order_key, line_key, quantity, allocated, backordered, ready FROM backorder.adjust('X', -1 - %d, 'broken')} },
	plan => { sql => 'SELECT item, line_no, ordered, planned, for_backorders, for_reorder, for_rounding FROM backorder.plan_purchases() ORDER BY 1, 2' },
	place => { sql => 'SELECT backorder.place_purchase_order(2)' },
	receive_purchase => { sql => 'SELECT source, order_key, line_key, item, quantity, allocated, backordered, ready FROM backorder.receive_purchase_order(1)' },
	cancel_purchase => { sql => 'SELECT backorder.cancel_purchase_order(1)' },
	attach => { sql => q{SELECT FROM backorder.attach('shop.parts', item => 'item', quantity => 'quantity')},
		undo => 'DROP TABLE IF EXISTS shop.parts; CREATE TABLE shop.parts (id integer PRIMARY KEY, item text NOT NULL, quantity integer NOT NULL)' },
	remap => { sql => remapped('quantity + 1'), undo => remapped('quantity') },
	delete => { captured => 1, sql => 'DELETE FROM shop.orders WHERE id = 2' },
	truncate => { captured => 1, sql => 'TRUNCATE shop.lines' },
	detach => { sql => q{SELECT backorder.detach('shop.lines')}, undo => remapped('quantity') },
	policy => { sql => 'UPDATE backorder.item_policy SET handling_time = %d, order_up_to = 8 + %d' },
	move_dates => { sql => q{UPDATE backorder.purchase_order_line SET expected_at = expected_at + 40 + %d WHERE po_id = 1 AND line_no <= 2} },
	add_purchase_line => { sql => q{INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (1, 2 + %d, 'X', 2, '2099-01-20')} },
	delete_purchase_line => { sql => q{DELETE FROM backorder.purchase_order_line WHERE po_id = 1 AND item = 'Y'} },
	edit_draft => { sql => 'UPDATE backorder.purchase_order_line SET ordered = ordered + %d WHERE po_id = 2 AND line_no <= 2' },
	close_purchase => { sql => 'SELECT backorder.close_purchase_order(1)' },
	lead_time => { sql => 'UPDATE backorder.supplier_item SET order_multiple = 4 + %d' },
	# What was written past the triggers is found.
	resync => { sql => <<'EOS' },
SET LOCAL session_replication_role = replica;
UPDATE shop.lines SET quantity = quantity + 1 WHERE order_id = 3;
SET LOCAL session_replication_role = origin;
SELECT FROM backorder.resync('shop.lines')
EOS
	alter => { captured => 1, sql => 'ALTER TABLE shop.lines ALTER quantity TYPE bigint', undo => 'ALTER TABLE shop.lines ALTER quantity TYPE integer' },
);
my @levels = ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE');
my %ends = (commit => 'COMMIT', rollback => 'ROLLBACK', savepoint => 'ROLLBACK TO s; COMMIT');
# How far the first has come when the second settles: held: it has settled and not ended; noted: it has ended;
# passed: it has only written its own rows.
my @ways = ('held', 'noted', 'passed');

my $node = new_node('pairs', conf => [ 'deadlock_timeout = 20ms', 'autovacuum = off', 'synchronous_commit = off', 'fsync = off' ]);

# ---------- the shop, its state and the way back to it ----------

create_shop($node);
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE shop.parts (id integer PRIMARY KEY, item text NOT NULL, quantity integer NOT NULL);
-- From 18 on NOT NULL is a constraint, and of two that change the type of a column with one, under REPEATABLE READ, the
-- second gets an internal error of PostgreSQL's own.
ALTER TABLE shop.lines ALTER quantity DROP NOT NULL;
INSERT INTO backorder.supplier (supplier) VALUES ('acme');
INSERT INTO backorder.supplier_item (supplier, item, minimum_quantity, order_multiple) VALUES ('acme', 'X', 2, 6), ('acme', 'Y', 2, 1);
INSERT INTO backorder.item_policy (item, reorder_point, order_up_to) VALUES ('Y', 5, 8);
INSERT INTO backorder.purchase_order (po_id, supplier) OVERRIDING SYSTEM VALUE VALUES (1, 'acme');
INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) VALUES (1, 1, 'Y', 3, '2099-02-01'), (1, 2, 'X', 4, '2099-01-01');
SELECT backorder.place_purchase_order(1);
SELECT backorder.receive('X', 6);
SELECT backorder.receive('Y', 4);
ALTER TABLE shop.orders ALTER id DROP IDENTITY;
INSERT INTO shop.orders (id) VALUES (1);
INSERT INTO shop.lines VALUES (1, 1, 'X', 4);
INSERT INTO shop.orders (id) VALUES (2);
INSERT INTO shop.lines VALUES (2, 1, 'X', 5), (2, 2, 'Y', 3);
INSERT INTO shop.orders (id) VALUES (3);
INSERT INTO shop.lines VALUES (3, 1, 'X', 3);
INSERT INTO shop.orders (id) VALUES (4);
INSERT INTO shop.lines VALUES (4, 1, 'Y', 2);
INSERT INTO shop.parts VALUES (1, 'X', 1), (2, 'Y', 1);
SELECT setval(pg_get_serial_sequence('backorder.purchase_order', 'po_id'), 1);
SELECT backorder.plan_purchases();
UPDATE backorder.purchase_order_line SET expected_at = date '2099-03-01' + line_no WHERE po_id = 2;
DELETE FROM backorder.event;
EOS
consistent_ok($node, 'start');

# Everything as it was, without a trigger and without DDL, so that the sessions keep their plans.
$node->safe_psql('postgres', <<'EOS');
CREATE SCHEMA seed;
DO $$
DECLARE
	body text := '';
	entry record;
	columns text;
BEGIN
	FOR entry IN
		SELECT c.oid, c.oid::regclass::text AS name, c.relname, c.relkind
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname IN ('shop', 'backorder', 'backorder_internal') AND c.relkind IN ('r', 'S') AND c.relname NOT IN ('installation', 'commit_work', 'statement_work')
		ORDER BY c.relkind, c.oid
	LOOP
		IF entry.relkind = 'S' THEN
			EXECUTE format('SELECT last_value::text || '', '' || is_called FROM %s', entry.name) INTO columns;
			body := body || format(E'PERFORM setval(%L, %s);\n', entry.name, columns);
		ELSE
			SELECT string_agg(quote_ident(attname), ', ') INTO columns FROM pg_attribute
			WHERE attrelid = entry.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
			EXECUTE format('CREATE TABLE seed.%I AS SELECT %s FROM %s', entry.relname, columns, entry.name);
			body := body || format(E'DELETE FROM %2$s;\nINSERT INTO %2$s (%3$s) SELECT %3$s FROM seed.%1$I;\n', entry.relname, entry.name, columns);
		END IF;
	END LOOP;
	EXECUTE format('CREATE FUNCTION seed.reset() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS %L', 'BEGIN ' || body || 'END');
END $$;

-- All that is true, in words that do not depend on what sequences gave and clocks said.
CREATE FUNCTION seed.line(line_id bigint) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT order_key || '/' || line_key FROM seed.order_line l WHERE l.line_id = $1),
		(SELECT order_key || '/' || line_key FROM backorder.order_line l WHERE l.line_id = $1), 'gone')
$$;
CREATE FUNCTION seed.po(po_id bigint) RETURNS text LANGUAGE sql STABLE AS $$ SELECT CASE WHEN po_id <= 2 THEN po_id::text ELSE 'new' END $$;
CREATE FUNCTION seed.source(source_id integer) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT line_table FROM backorder.source s WHERE s.source_id = $1
$$;
CREATE FUNCTION seed.state() RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$ BEGIN
	RETURN QUERY SELECT kind || ' ' || row FROM (
		SELECT 'shop.orders' AS kind, to_jsonb(o) AS row FROM shop.orders o
		UNION ALL SELECT 'shop.lines', to_jsonb(l) FROM shop.lines l
		UNION ALL SELECT 'shop.parts', to_jsonb(p) FROM shop.parts p
		UNION ALL SELECT 'column', to_jsonb(format_type(atttypid, atttypmod)) FROM pg_attribute WHERE attrelid = 'shop.lines'::regclass AND attname = 'quantity'
		UNION ALL SELECT 'triggers', jsonb_build_array(tgrelid::regclass, count(*)) FROM pg_trigger WHERE tgfoid = 'backorder_internal.capture()'::regprocedure GROUP BY tgrelid
		UNION ALL SELECT 'source', to_jsonb(s) - ARRAY['source_id', 'line_relid', 'header_relid', 'attached_at']
			|| jsonb_build_object('detached_at', detached_at IS NOT NULL) FROM backorder.source s
		UNION ALL SELECT 'parked', to_jsonb(p) - ARRAY['source_id', 'parked_at'] FROM backorder.parked p
		UNION ALL SELECT 'sales_order', jsonb_build_array(seed.source(source_id), order_key) FROM backorder.sales_order
		UNION ALL SELECT 'order_line', to_jsonb(l) - ARRAY['line_id', 'source_id', 'queued_at'] || jsonb_build_object('source', seed.source(source_id),
			'rank', CASE WHEN backordered > 0 THEN row_number() OVER (PARTITION BY item, backordered > 0 ORDER BY priority DESC, queued_at, line_id) END)
			FROM backorder.order_line l
		UNION ALL SELECT 'waiting_order', jsonb_build_array(seed.source(source_id), order_key, customer,
			(SELECT jsonb_agg(value ORDER BY value) FROM jsonb_each(last_notified))) FROM backorder.waiting_order
		UNION ALL SELECT 'stock', to_jsonb(s) - 'version' FROM backorder.stock s
		UNION ALL SELECT 'supply', to_jsonb(s) || jsonb_build_object('po_id', seed.po(po_id)) FROM backorder.supply s
		UNION ALL SELECT 'movement', to_jsonb(m) - ARRAY['movement_id', 'line_id', 'occurred_at', 'applied_at'] || jsonb_build_object('line', seed.line(line_id))
			FROM backorder.stock_movement m
		UNION ALL SELECT 'allocation', jsonb_build_array(seed.line(a.line_id), a.item, a.quantity, a.cause, m.kind, m.quantity, m.reason, a.po_id, a.po_line_no)
			FROM backorder.allocation a LEFT JOIN backorder.stock_movement m USING (tenant, movement_id)
		UNION ALL SELECT 'purchase_order', jsonb_build_array(seed.po(po_id), supplier, location, status, planner, placed_at IS NOT NULL, closed_at IS NOT NULL)
			FROM backorder.purchase_order
		UNION ALL SELECT 'purchase_order_line', to_jsonb(l) - 'applied_at' || jsonb_build_object('po_id', seed.po(po_id)) FROM backorder.purchase_order_line l
		UNION ALL SELECT 'event', jsonb_build_array(aggregateid, row_number() OVER (PARTITION BY aggregatetype, aggregateid ORDER BY id), type, customer, payload)
			FROM backorder.event
	) AS t ORDER BY 1;
END $$;
EOS

my $tables = join(', ', split(/\n/, $node->safe_psql('postgres', q{SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace IN ('shop'::regnamespace, 'backorder'::regnamespace, 'backorder_internal'::regnamespace)})));

# ---------- sessions ----------

# What libpq does, as far as it is needed here: one socket to each session, so that three can be looked at while
# none is waited for.
sub connect_to
{
	my ($database) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "no connection: $!";
	my %session = (socket => $socket, database => $database, in => '', busy => 1, pid => 0);

	syswrite($socket, startup($database)) or die "no connection: $!";
	wait_for(\%session);
	die "no connection: $session{error}" if !$session{pid};
	return \%session;
}

sub startup
{
	my ($database) = @_;
	my $body = pack('N', 196608) . join("\0", 'user', (getpwuid($<))[0], 'database', $database, '', '');

	return pack('N', length($body) + 4) . $body;
}

sub send_sql
{
	my ($session, $sql) = @_;

	die 'a session is asked while it is busy' if $session->{busy};
	@$session{ 'busy', 'rows', 'error', 'message' } = (1, '', '', '');
	my $message = 'Q' . pack('N', length($sql) + 5) . "$sql\0";
	syswrite($session->{socket}, $message) == length($message) or die "a session went away: $!";
	return;
}

# Takes what has come; busy ends with ReadyForQuery.
sub take
{
	my ($session) = @_;

	sysread($session->{socket}, $session->{in}, 65536, length($session->{in})) or die "a session ended: $session->{in}";
	while (length($session->{in}) >= 5)
	{
		my ($type, $length) = unpack('aN', $session->{in});
		last if length($session->{in}) <= $length;
		my $body = substr($session->{in}, 5, $length - 4);
		substr($session->{in}, 0, $length + 1) = '';
		if ($type eq 'Z') { $session->{busy} = 0 }
		elsif ($type eq 'K') { $session->{pid} = unpack('N', $body) }
		elsif ($type eq 'C') { $session->{rows} .= $body =~ s/\0//r . "\n" if $body =~ /^(INSERT|UPDATE|DELETE)/ }
		elsif ($type eq 'D')
		{
			my ($n, @values) = unpack('n', $body);
			my $at = 2;
			foreach (1 .. $n)
			{
				my $width = unpack('l>', substr($body, $at, 4));
				push @values, $width < 0 ? '' : substr($body, $at + 4, $width);
				$at += 4 + ($width < 0 ? 0 : $width);
			}
			$session->{rows} .= join('|', @values) . "\n";
		}
		elsif ($type eq 'E' && !$session->{error})
		{
			my %fields = map { substr($_, 0, 1) => substr($_, 1) } grep { $_ ne '' } split(/\0/, $body);
			# what cannot happen says more than its class
			@$session{ 'error', 'message' } = ($fields{C} =~ /^XX/ ? "$fields{C} $fields{M}" : $fields{C}, $fields{M});
		}
	}
	return;
}

sub wait_for
{
	my ($session) = @_;

	my $select = IO::Select->new($session->{socket});
	while ($session->{busy})
	{
		$select->can_read($limit) or die "no answer within $limit s";
		take($session);
	}
	return;
}

# Its answer to a question that must not fail.
sub ask
{
	my ($session, $sql) = @_;

	send_sql($session, $sql);
	wait_for($session);
	die "$sql: $session->{message}" if $session->{error};
	return $session->{rows};
}

# Until each session has answered or waits for a lock; with UNTIL_DONE, until one that waits has answered.
sub settle
{
	my ($monitor, $deadline, $until_done, @sessions) = @_;
	my $select = IO::Select->new(map { $_->{socket} } @sessions);
	my $busy = grep { $_->{busy} } @sessions;

	while (my @busy = grep { $_->{busy} } @sessions)
	{
		return if $until_done && @busy < $busy;
		die "HANGS\n" if time() > $deadline;
		my @ready = $select->can_read($until_done ? 0.02 : 0.001);
		foreach my $handle (@ready)
		{
			take((grep { $_->{socket} == $handle } @sessions)[0]);
		}
		next if @ready || $until_done;
		my $waiting = join(', ', map { "cardinality(pg_blocking_pids($_->{pid})) > 0" } @busy);
		return if ask($monitor, "SELECT $waiting") =~ /^t(\|t)*$/;
	}
	return;
}

# ---------- one case ----------

sub operation { my ($op) = @_; return $operations{ $op->{name} }{sql} =~ s/%d/$op->{number}/gr }
sub result { my ($session) = @_; return $session->{error} || "ok\n$session->{rows}" }

# A worker: three sessions in a database of its own.
sub new_worker
{
	my ($database) = @_;
	my %worker = (database => $database, monitor => connect_to($database), sessions => [ map { connect_to($database) } 1, 2 ], serial => {}, cases => 0);
	return \%worker;
}

sub reset_shop
{
	my ($worker, @names) = @_;
	my $undone = 0;

	foreach my $name (@names)
	{
		next if !$operations{$name}{undo};
		ask($worker->{monitor}, $operations{$name}{undo});
		$undone = 1;
	}
	ask($worker->{monitor}, 'SELECT seed.reset()');
	# As sessions are that have run for a while: with mappings and plans in memory.
	if ($undone)
	{
		ask($_, 'BEGIN; UPDATE shop.orders SET urgency = 1 WHERE id = 1; SELECT backorder.flush(); ROLLBACK') foreach @{ $worker->{sessions} };
	}
	# Dead rows make everything slow.
	ask($worker->{monitor}, "VACUUM $tables") if ++$worker->{cases} % 100 == 0;
	return;
}

sub state
{
	my ($worker) = @_;

	my $differences = ask($worker->{monitor}, 'SELECT * FROM backorder.verify()');
	return ask($worker->{monitor}, 'SELECT seed.state()') . ($differences ? "verify() finds\n$differences" : '');
}

# The operations one after the other: what each got, by its number, and what is left. One alone is asked for again and again.
sub serially
{
	my ($worker, @ops) = @_;
	my $what = join(' ', map { "$_->{name} $_->{number}" } @ops);
	my %outcome = (1 => '', 2 => '', what => @ops ? $what : 'nothing');

	return $worker->{serial}{$what} if $worker->{serial}{$what};
	foreach my $op (@ops)
	{
		my $session = $worker->{sessions}[ $op->{number} - 1 ];
		send_sql($session, 'BEGIN; SELECT FROM shop.orders LIMIT 0; ' . operation($op));
		wait_for($session);
		$outcome{ $op->{number} } = result($session);
		send_sql($session, 'COMMIT');
		wait_for($session);
		$outcome{ $op->{number} } = $session->{error} if $session->{error};
	}
	$outcome{state} = state($worker);
	die "serially, $what: $outcome{state}" if $outcome{state} =~ /^verify\(\) finds/m;
	reset_shop($worker, map { $_->{name} } @ops);
	return $worker->{serial}{$what} = \%outcome;
}

# Both at once, the first of them beginning and ending as said. Outcome as above; '' for what left nothing.
sub at_once
{
	my ($worker, $level, $end, $way, @ops) = @_;
	my ($first, $second) = @{ $worker->{sessions} };
	my $monitor = $worker->{monitor};
	my $deadline = time() + $limit;
	my $begin = "BEGIN ISOLATION LEVEL $level; SELECT FROM shop.orders LIMIT 0; ";
	my ($committed, $got) = (0, '');
	my %outcome = (errors => '');

	send_sql($first, $begin . ($end eq 'savepoint' ? 'SAVEPOINT s; ' : '') . operation($ops[0])
		. ($way eq 'held' ? '; SELECT WHERE backorder.flush() < 0' : ''));
	wait_for($first);
	my $first_got = result($first);
	send_sql($second, $begin . operation($ops[1]));
	settle($monitor, $deadline, 0, $second);
	my $commit = sub
	{
		return if $committed || $second->{busy};
		$got = result($second);
		send_sql($second, 'COMMIT');
		$committed = 1;
		return;
	};
	$outcome{blocked} = $second->{busy};
	if ($way ne 'noted')
	{
		$commit->();
		settle($monitor, $deadline, 0, $second);
		$outcome{blocked} = $second->{busy};
	}
	send_sql($first, $ends{$end});
	settle($monitor, $deadline, 0, $first, $second);
	$commit->();
	while ($first->{busy} || $second->{busy} || !$committed)
	{
		settle($monitor, $deadline, 1, $first, $second);
		$commit->();
	}
	$first_got = $first->{error} if $first->{error};
	$got = $second->{error} if $second->{error};

	# What was undone, or gave way, counts as never begun.
	foreach ($first_got, $got)
	{
		if (/^(40001|40P01)/) { $outcome{errors} .= $_; $_ = '' }
		else { $outcome{errors} .= '-' }
	}
	$first_got = '' if $end ne 'commit';
	$outcome{ $ops[0]{number} } = $first_got;
	$outcome{ $ops[1]{number} } = $got;
	ask($monitor, $worker->{spoil}) if $worker->{spoil};
	$outcome{state} = state($worker);
	reset_shop($worker, map { $_->{name} } @ops);
	return \%outcome;
}

sub same
{
	my ($one, $other) = @_;

	return $one->{1} eq $other->{1} && $one->{2} eq $other->{2} && $one->{state} eq $other->{state};
}

# In which an outcome differs from a serial one.
sub difference
{
	my ($got, $serial) = @_;
	my @lines;

	foreach my $n (1, 2)
	{
		push @lines, "  operation $n got $got->{$n}  instead of $serial->{$n}" if $got->{$n} ne $serial->{$n};
	}
	my (%got, %expected);
	$got{$_}++ foreach split(/\n/, $got->{state});
	$expected{$_}++ foreach split(/\n/, $serial->{state});
	push @lines, map { "  - $_" } grep { ($got{$_} // 0) < $expected{$_} } sort keys %expected;
	push @lines, map { "  + $_" } grep { ($expected{$_} // 0) < $got{$_} } sort keys %got;
	return join("\n", @lines);
}

# All chosen cases of two operations; returns { cases, problems => [...], counts => {...} }.
sub pair
{
	my ($worker, $one, $two, $chosen) = @_;
	my @ops = ({ name => $one, number => 1 }, { name => $two, number => 2 });
	my %result = (cases => 0, problems => [], counts => {});

	foreach my $order ($one eq $two ? [ @ops ] : ([ @ops ], [ reverse @ops ]))
	{
		foreach my $level (@levels)
		{
			foreach my $end (sort keys %ends)
			{
				foreach my $way (@ways)
				{
					# it has settled in any case
					next if $way eq 'held' && !$operations{ $order->[0]{name} }{captured};
					next if !$chosen->();
					my $case = "$order->[0]{name} ($level, $way, $end) with $order->[1]{name}";
					my $got = eval { at_once($worker, $level, $end, $way, @$order) };
					if (!$got)
					{
						my $why = $@;
						my $other = connect_to($worker->{database});
						push @{ $result{problems} }, "$case: $why" . ask($other, q{SELECT pid, wait_event_type, wait_event, state, pg_blocking_pids(pid), query FROM pg_stat_activity
							WHERE datname = current_database()}) . ask($other, 'SELECT pid, locktype, relation::regclass, page, tuple, transactionid, mode, granted FROM pg_locks ORDER BY granted, pid');
						ask($other, 'SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()');
						%$worker = %{ new_worker($worker->{database}) };
						reset_shop($worker, $one, $two);
						next;
					}
					$result{cases}++;
					$result{counts}{"$level: " . ($got->{blocked} ? 'waited' : 'did not wait') . ", $end: $got->{errors}"}++;
					# In READ COMMITTED nobody gives way, in REPEATABLE READ not to what was undone, and never both.
					push @{ $result{problems} }, "$case: gave way without need: $got->{errors}"
					  if $got->{errors} =~ /\d/ && ($level eq 'READ COMMITTED' || ($level eq 'REPEATABLE READ' && $end ne 'commit') || $got->{errors} !~ /-/);
					my @done = grep { $got->{ $_->{number} } } @ops;
					my @serial = map { serially($worker, @$_) } @done == 2 ? (\@done, [ reverse @done ]) : \@done;
					# PostgreSQL's own: to an older snapshot a table that ALTER TABLE wrote anew is empty, so there was nothing to update.
					push @serial, { %{ serially($worker, $order->[0]) }, $order->[1]{number} => $got->{ $order->[1]{number} } }
					  if $order->[0]{name} eq 'alter' && $level ne 'READ COMMITTED' && $got->{ $order->[1]{number} } =~ /^ok\n(UPDATE 0\n)+\s*$/;
					next if grep { same($got, $_) } @serial;
					push @{ $result{problems} }, "$case:\n" . join("\n", map { "other than $_->{what}:\n" . difference($got, $_) } @serial);
				}
			}
		}
	}
	return \%result;
}

# ---------- all of them ----------

# The same sample for the same seed.
my $state;
sub chosen
{
	use integer;
	return 1 if $all;
	$state = ($state * 0x5DEECE66D + 0xB) & 0xFFFFFFFFFFFF;
	return ($state >> 17) % $sample == 0;
}

my @names = sort keys %operations;
my @pairs;
foreach my $i (0 .. $#names)
{
	foreach my $j ($i .. $#names)
	{
		push @pairs, [ $names[$i], $names[$j] ]
		  if !@only || (grep { $_ eq $names[$i] } @only) && (grep { $_ eq $names[$j] } @only);
	}
}

my @handles;
foreach my $w (0 .. $workers - 1)
{
	$node->safe_psql('template1', "CREATE DATABASE pairs_$w TEMPLATE postgres");
}
my $started = time();
foreach my $w (0 .. $workers - 1)
{
	pipe(my $in, my $out) or die "pipe: $!";
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		# The server is the parent's to stop.
		eval
		{
			my $worker = new_worker("pairs_$w");
			reset_shop($worker);
			foreach my $n (grep { $_ % $workers == $w } 0 .. $#pairs)
			{
				$state = $seed * 1000 + $n;
				chosen() foreach 1 .. 5;
				my $result = !chosen() ? { cases => 0, counts => {}, problems => [] } : pair($worker, @{ $pairs[$n] }, \&chosen);
				print $out join("\t", 'pair', $n, $result->{cases}, map { "$_=$result->{counts}{$_}" } sort keys %{ $result->{counts} }), "\n";
				print $out join('', map { "problem\t$n\t" . s/\n/\x01/gr . "\n" } @{ $result->{problems} });
			}
			1;
		} or print $out "died\t", $@ =~ s/\n/\x01/gr, "\n";
		close($out);
		POSIX::_exit(0);
	}
	close($out);
	push @handles, $in;
}

my (%results, %counts, @died);
foreach my $in (@handles)
{
	while (my $line = <$in>)
	{
		chomp $line;
		my ($kind, $n, @rest) = split(/\t/, $line);
		if ($kind eq 'pair')
		{
			$results{$n}{cases} = shift @rest;
			foreach (@rest) { my ($what, $count) = /^(.*)=(\d+)$/; $counts{$what} += $count }
		}
		elsif ($kind eq 'problem') { push @{ $results{$n}{problems} }, $rest[0] =~ s/\x01/\n/gr }
		else { push @died, $line =~ s/\x01/\n/gr }
	}
}
1 while wait() > 0;
is(join("\n", @died), '', "seed $seed: no worker died");

my $cases = 0;
foreach my $name (@names)
{
	my @concerned = grep { $pairs[$_][0] eq $name } 0 .. $#pairs;
	my @problems = map { @{ $results{$_}{problems} // [] } } @concerned;
	next if !@concerned;
	$cases += $results{$_}{cases} // 0 foreach @concerned;
	ok(!@problems && !(grep { !defined $results{$_}{cases} } @concerned), "$name with each from there on")
	  or diag(scalar(@problems) . " problems\n" . join("\n", splice(@problems, 0, 20)));
}
cmp_ok($cases, '>', 0, sprintf('%d cases in %.0f s', $cases, time() - $started));
note("$_: $counts{$_}") foreach sort keys %counts;

# That it can fail: a counter that is wrong, an event that is lost, somebody who waits for ever.
sub first_problem
{
	my ($worker, $spoil) = @_;
	my $n = 0;

	$worker->{spoil} = $spoil;
	return pair($worker, 'receive', 'ship', sub { return $n++ == 0 })->{problems}[0] // '';
}
my $worker = new_worker('postgres');
reset_shop($worker);
like(first_problem($worker, q{UPDATE backorder.stock SET on_hand = on_hand + 1 WHERE item = 'Y'}), qr/\+ verify\(\) finds/, 'a wrong counter is found');
my $lost = first_problem($worker, 'DELETE FROM backorder.event WHERE id = (SELECT min(id) FROM backorder.event)');
ok($lost =~ /- event / && $lost !~ /verify\(\)/, 'a lost event is found') or diag($lost);
is(first_problem($worker, ''), '', 'and nothing where nothing is wrong');
$limit = 1;
my $other = connect_to('postgres');
ask($other, 'BEGIN; LOCK TABLE backorder.stock');
like(first_problem($worker, ''), qr/no answer.*AccessExclusiveLock\|t$/ms, 'who waits for ever is found, with the locks');

done_testing();
