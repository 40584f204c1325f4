# What the sessions of a random run do. An operation is one function that returns SQL statements; to add
# one, write the function and give it a weight in %operations.
#
# What may or may not settle, by what only the extension knows (dates, promises), flushes first.
#
# Effects on the application's tables and on purchase orders are logged by triggers (setup.sql). What
# calls the extension says so with model.did(KIND, ...), in the same statement, so that one is not done without
# the other; Model.pm says what each kind means.
package Operations;

use strict;
use warnings FATAL => 'all';
no warnings 'portable';

my $ORDERS = 60;		# of each shop; ids are used again

# A generator for one session. Its own random numbers: the same on every machine.
sub new
{
	my ($class, $seed) = @_;
	my $self = bless { state => 0, since => 1, seed => $seed }, $class;

	{
		use integer;
		$self->{state} = (($seed + 1) * 0x5DEECE66D + 0x1234567) & 0xFFFFFFFFFFFF;
	}
	$self->random(2) foreach 1 .. 5;
	return $self;
}

# An integer from 0 to n - 1.
sub random
{
	my ($self, $n) = @_;
	use integer;

	$self->{state} = ($self->{state} * 0x5DEECE66D + 0xB) & 0xFFFFFFFFFFFF;
	return ($self->{state} >> 17) % $n;
}

sub one_of { my $self = shift; return $_[ $self->random(scalar @_) ] }
sub chance { my ($self, $percent) = @_; return $self->random(100) < $percent }
sub item { my $self = shift; return 'I' . $self->random(12) }
sub location { my $self = shift; return $self->one_of('N', 'N', 'S') }
sub order { my $self = shift; return 1 + $self->random($ORDERS) }
sub line { my $self = shift; return 1 + $self->random(4) }
sub shop { my $self = shift; return $self->one_of('a', 'a', 'b', 'c') }

# Quarters are exact in binary.
sub quantity
{
	my ($self, $max) = @_;
	my $quantity = 1 + $self->random($max // 8);

	return $self->chance(10) ? $quantity - $self->random(4) / 4 : $quantity;
}

# No two lines wait since the same moment: the sessions' share one clock.
sub since
{
	my ($self) = @_;

	# room for three lines from one moment on
	return 320 * (1_000_000 + $self->{since}++ * 10 - $self->random(200)) + 320 * $self->{since} + 4 * ($self->{seed} % 64);
}

# A statement on a shop's tables. b settles at its end.
sub dml
{
	my ($self, $shop, @statements) = @_;

	$self->{touched}{$shop} = 1;
	# its primary key is deferrable, which ON CONFLICT does not take
	s/^(INSERT INTO c\.lines .*) ON CONFLICT DO NOTHING/$1/s foreach @statements;
	return @statements if $shop ne 'b';
	return map { ($_, q{SELECT model.did('I')}) } @statements;
}

sub lines_values
{
	my ($self, $order, $n) = @_;
	my %seen;
	my @rows;

	foreach (1 .. $n)
	{
		my $line = $self->line;
		next if $seen{$line}++;
		push @rows, sprintf(q{(%d, %d, '%s', '%s', %s, %d)}, $order, $line, $self->item, $self->location, $self->quantity, $self->since);
	}
	return join(', ', @rows);
}

my $columns = 'order_id, line_no, item, location, quantity, since';

sub order_insert
{
	my ($self) = @_;
	my ($shop, $order) = ($self->shop, $self->order);
	my $values = $self->lines_values($order, 1 + $self->random(4));
	my $urgency = $self->chance(20) ? 1 + $self->random(2) : 0;

	return $self->dml($shop,
		"INSERT INTO $shop.orders (id, urgency) VALUES ($order, $urgency) ON CONFLICT DO NOTHING",
		# in order: two who add the same lines to one order, each the other's first, make a deadlock
		"INSERT INTO $shop.lines ($columns) SELECT * FROM (VALUES $values) AS v ($columns) ORDER BY line_no ON CONFLICT DO NOTHING");
}

# Header and lines in one statement; several orders.
sub order_at_once
{
	my ($self) = @_;
	my $shop = $self->shop;
	my $first = $self->order;
	my @orders = $self->chance(50) ? ($first) : ($first, $first + 1);
	my $values = join(', ', map { $self->lines_values($_, 2) } @orders);
	my $headers = join(', ', map { "($_)" } @orders);

	return $self->dml($shop,
		"WITH o AS (INSERT INTO $shop.orders (id) VALUES $headers ON CONFLICT DO NOTHING RETURNING id) "
		. "INSERT INTO $shop.lines ($columns) SELECT v.* FROM (VALUES $values) AS v ($columns) JOIN o ON o.id = v.order_id");
}

# An order as a cart that is linked, filled and placed step by step.
sub order_in_steps
{
	my ($self) = @_;
	my ($shop, $order) = ($self->shop, $self->order);

	return $self->dml($shop,
		"INSERT INTO $shop.orders (id, status) VALUES ($order, 'cart') ON CONFLICT DO NOTHING",
		"INSERT INTO $shop.lines ($columns) SELECT $order, n, '${\ $self->item}', 'N', 0, ${\ $self->since} + n FROM generate_series(1, 3) n ON CONFLICT DO NOTHING",
		"UPDATE $shop.lines SET quantity = line_no * 2 WHERE order_id = $order AND quantity = 0",
		"UPDATE $shop.orders SET status = 'open' WHERE id = $order AND status = 'cart'");
}

# The header is there, or made first: psql goes on with the data wherever COPY does not begin.
sub copy_lines
{
	my ($self) = @_;
	my ($shop, $order) = ($self->one_of('a', 'c'), $self->order);
	my $text = join("\n", map { join("\t", $order, 10 + $_, $self->item, $self->location, $self->quantity, $self->since) } 1 .. 3);

	return $self->dml($shop,
		"INSERT INTO $shop.orders (id) VALUES ($order) ON CONFLICT DO NOTHING",
		"COPY $shop.lines ($columns) FROM STDIN;\n$text\n\\.");
}

sub upsert
{
	my ($self) = @_;
	my ($shop, $order) = ($self->one_of('a', 'b'), $self->order);
	my $values = $self->lines_values($order, 2);

	if ($self->chance(50))
	{
		return $self->dml($shop,
			"INSERT INTO $shop.lines ($columns) SELECT v.* FROM (VALUES $values) AS v ($columns) WHERE EXISTS (SELECT FROM $shop.orders WHERE id = v.order_id) "
			. 'ON CONFLICT (order_id, line_no) DO UPDATE SET quantity = excluded.quantity');
	}
	return $self->dml($shop,
		"MERGE INTO $shop.lines l USING (SELECT v.* FROM (VALUES $values) AS v ($columns) JOIN $shop.orders o ON o.id = v.order_id) v "
		. 'ON l.order_id = v.order_id AND l.line_no = v.line_no WHEN MATCHED AND v.quantity > 5 THEN DELETE '
		. "WHEN MATCHED THEN UPDATE SET quantity = v.quantity WHEN NOT MATCHED THEN INSERT ($columns) "
		. 'VALUES (v.order_id, v.line_no, v.item, v.location, v.quantity, v.since)');
}

# UPDATE of one line, or of all lines of an order.
sub update_lines
{
	my ($self, $set, $condition) = @_;
	my ($shop, $order) = ($self->shop, $self->order);
	my $where = "order_id = $order";

	$where .= ' AND line_no = ' . $self->line if $self->chance(70);
	$where .= " AND $condition" if $condition;
	return $self->dml($shop, "UPDATE $shop.lines SET $set WHERE $where");
}

sub update_header
{
	my ($self, $set) = @_;
	my $shop = $self->shop;

	return $self->dml($shop, "UPDATE $shop.orders SET $set WHERE id = " . $self->order);
}

sub increase { my $self = shift; return $self->update_lines('quantity = quantity + ' . $self->quantity(4)) }
sub decrease { my $self = shift; return $self->update_lines('quantity = greatest(quantity - ' . $self->quantity(4) . ', 0)') }
sub cancel_part { my $self = shift; return $self->update_lines('cancelled = ' . $self->random(4)) }
sub pick { my $self = shift; return $self->update_lines('picked = least(' . $self->random(3) . ', greatest(quantity - cancelled - shipped, 0))') }
sub item_change { my $self = shift; return $self->update_lines("item = '" . $self->item . "'") }
sub location_change { my $self = shift; return $self->update_lines("location = '" . $self->location . "'") }
sub irrelevant { my $self = shift; return $self->update_lines("note = 'seen'") }
sub ship { my $self = shift; return $self->update_lines('shipped = quantity - cancelled', 'quantity - cancelled > shipped') }
sub ship_part { my $self = shift; return $self->update_lines('shipped = shipped + ' . $self->quantity(2)) }
sub ship_less { my $self = shift; return $self->update_lines('shipped = greatest(shipped - ' . $self->quantity(3) . ', 0)', 'shipped > 0') }
sub cancel { my $self = shift; return $self->update_header(q{status = CASE status WHEN 'open' THEN 'cancelled' ELSE 'open' END}) }
sub hold { my $self = shift; return $self->update_header('hold = NOT hold') }
sub urgency { my $self = shift; return $self->update_header('urgency = ' . $self->random(3)) }

sub delete_order
{
	my ($self) = @_;
	my $shop = $self->shop;

	return $self->dml($shop, "DELETE FROM $shop.orders WHERE id = " . $self->order);
}

sub delete_lines
{
	my ($self) = @_;
	my $shop = $self->shop;

	return $self->dml($shop, "DELETE FROM $shop.lines WHERE order_id = " . $self->order . ($self->chance(70) ? ' AND line_no = ' . $self->line : ''));
}

# Programs delete all lines and insert them again, with the same keys or others.
sub replace_lines
{
	my ($self) = @_;
	my ($shop, $order) = ($self->shop, $self->order);
	my $key = $self->one_of('line_no', 'line_no', '(line_no + 4) % 20', '5 - line_no % 5 + 5 * (line_no / 5)');
	my $all = 'item, location, quantity, cancelled, shipped, picked, since';

	return $self->dml($shop, "WITH d AS (DELETE FROM $shop.lines WHERE order_id = $order RETURNING *) "
		. "INSERT INTO $shop.lines (order_id, line_no, $all) SELECT order_id, $key, $all FROM d") if $self->chance(50) || $shop eq 'b';
	return $self->dml($shop, "DO \$\$ DECLARE kept $shop.lines[]; BEGIN SELECT array_agg(l) INTO kept FROM $shop.lines l WHERE order_id = $order; "
		. "DELETE FROM $shop.lines WHERE order_id = $order; "
		. "INSERT INTO $shop.lines (order_id, line_no, $all) SELECT order_id, $key, $all FROM unnest(kept) WHERE quantity <> 3; END \$\$");
}

sub move_line
{
	my ($self) = @_;
	my ($shop, $from) = ($self->shop, $self->order);
	my $to = $self->chance(30) ? $from : $self->order;

	return $self->dml($shop, "UPDATE $shop.lines SET order_id = $to, line_no = ${\ $self->line} + 4 WHERE order_id = $from AND line_no = ${\ $self->line} "
		. "AND EXISTS (SELECT FROM $shop.orders WHERE id = $to)");
}

sub renumber
{
	my ($self) = @_;
	my $shop = $self->shop;
	my $change = $shop eq 'c' ? 'CASE WHEN line_no < 4 THEN line_no % 3 + 1 ELSE line_no END'
		: $self->one_of('line_no + 20', 'CASE WHEN line_no > 20 THEN line_no - 20 ELSE line_no + 40 END');

	return $self->dml($shop, "UPDATE $shop.lines SET line_no = $change WHERE order_id = " . $self->order);
}

sub split_line
{
	my ($self) = @_;
	my ($shop, $order, $line) = ($self->shop, $self->order, $self->line);

	return $self->dml($shop,
		"UPDATE $shop.lines SET quantity = quantity - 1 WHERE order_id = $order AND line_no = $line AND quantity > 1",
		"INSERT INTO $shop.lines ($columns) SELECT order_id, line_no + 60, item, location, 1, ${\ $self->since} FROM $shop.lines "
		. "WHERE order_id = $order AND line_no = $line AND NOT EXISTS (SELECT FROM $shop.lines WHERE order_id = $order AND line_no = $line + 60)");
}

# Lines of many orders, in whatever order the table has them.
sub update_item
{
	my ($self) = @_;
	my $shop = $self->shop;

	return $self->dml($shop, "UPDATE $shop.lines SET quantity = quantity + " . $self->one_of(1, -1)
		. " WHERE item = '${\ $self->item}' AND location = '${\ $self->location}' AND quantity > 1 AND order_id % 4 = " . $self->random(4));
}

# FUNCTION(ARGUMENTS) of a movement, logged in one statement: item|location|quantity|unavailable|po|line|reference
sub moved
{
	my ($self, $call, @movement) = @_;

	return sprintf(q{SELECT model.did('M', '%s') FROM (SELECT count(*) FROM backorder.%s) r}, join('|', @movement), $call);
}

sub receive
{
	my ($self) = @_;
	my ($item, $location, $n) = ($self->item, $self->location, $self->quantity(9));
	my $reference = $self->chance(10) ? 'r' . $self->random(400) : '';

	# a reference always stands for the same movement
	($item, $location, $n) = ('I' . substr($reference, -1), 'N', 1 + substr($reference, 1) % 7) if $reference;
	return $self->moved("receive('$item', $n, '$location', held => true)", $item, $location, $n, $n, '', '', '') if !$reference && $self->chance(10);
	return $self->moved("receive('$item', $n, '$location'" . ($reference ? ", reference => '$reference')" : ')'), $item, $location, $n, 0, '', '', $reference);
}

sub receive_back
{
	my ($self) = @_;
	my ($item, $location, $n) = ($self->item, $self->location, $self->quantity(4));

	return $self->moved("receive('$item', -$n, '$location')", $item, $location, -$n, 0, '', '', '');
}

sub adjust
{
	my ($self) = @_;
	my ($item, $location, $n) = ($self->item, $self->location, $self->quantity(5) * $self->one_of(1, -1));

	return $self->moved("adjust('$item', $n, 'because', '$location', held => true)", $item, $location, $n, $n, '', '', '') if $self->chance(20);
	return $self->moved("adjust('$item', $n, 'because', '$location')", $item, $location, $n, 0, '', '', '');
}

sub count_stock
{
	my ($self) = @_;
	my ($item, $location, $n) = ($self->item, $self->location, $self->random(20));

	return qq{SELECT model.did('C', '$item|$location|$n') FROM (SELECT count(*) FROM backorder.count_stock('$item', $n, '$location')) r};
}

sub hold_stock
{
	my ($self) = @_;
	my ($item, $location, $n) = ($self->item, $self->location, $self->quantity(3));

	return $self->moved("hold_stock('$item', $n, 'look', '$location')", $item, $location, 0, $n, '', '', '');
}

sub release_stock
{
	my ($self) = @_;
	my ($item, $location, $n) = ($self->item, $self->location, $self->quantity(3));

	return $self->moved("release_stock('$item', $n, '$location')", $item, $location, 0, -$n, '', '', '');
}

sub transfer
{
	my ($self) = @_;
	my ($item, $n) = ($self->item, $self->quantity(4));
	my ($from, $to) = $self->one_of([ 'N', 'S' ], [ 'S', 'N' ])->@*;

	return $self->moved("transfer('$item', $n, '$from', '$to')", $item, $from, -$n, 0, '', '', '', $item, $to, $n, 0, '', '', '');
}

sub movements
{
	my ($self) = @_;
	my (@rows, @movement);

	foreach (1 .. 2 + $self->random(4))
	{
		my ($item, $location, $n) = ($self->item, $self->location, $self->quantity(6));
		my $kind = $self->one_of('receipt', 'opening', 'return', 'adjustment', 'transfer');
		push @rows, "('$item', '$location', '$kind', $n)";
		push @movement, $item, $location, $n, 0, '', '', '';
	}
	return 'INSERT INTO backorder.stock_movement (item, location, kind, quantity) VALUES ' . join(', ', @rows),
	  sprintf(q{SELECT model.did('M', '%s')}, join('|', @movement));
}

sub plan
{
	my ($self) = @_;
	my $call = $self->one_of('', '', sprintf("item => '%s'", $self->item), "supplier => 'north'", "location => 'N'");

	return "SELECT model.did('S') FROM (SELECT count(*) FROM backorder.plan_purchases($call)) r";
}

# The nth of the purchase orders in this state.
sub nth_order
{
	my ($self, $where) = @_;

	return sprintf('(SELECT po_id FROM backorder.purchase_order WHERE %1$s ORDER BY po_id OFFSET %2$d %% greatest((SELECT count(*) FROM backorder.purchase_order WHERE %1$s), 1) LIMIT 1)',
		$where, $self->random(1000));
}

sub nth_supply
{
	my ($self, $where) = @_;

	return sprintf('(SELECT po_id, line_no FROM backorder.supply WHERE %1$s ORDER BY po_id, line_no OFFSET %2$d %% greatest((SELECT count(*) FROM backorder.supply WHERE %1$s), 1) LIMIT 1)',
		$where, $self->random(1000));
}

sub purchase_call
{
	my ($self, $function, $where) = @_;

	return "SELECT model.did('Q') FROM (SELECT count(backorder.$function(po_id)::text) AS n FROM ${\ $self->nth_order($where)} p) r";
}

sub place { my $self = shift; return $self->purchase_call('place_purchase_order', "status = 'draft'") }
sub close_order { my $self = shift; return $self->purchase_call('close_purchase_order', "status = 'placed'") }
sub cancel_purchase { my $self = shift; return $self->purchase_call('cancel_purchase_order', "status IN ('draft', 'placed')") }

sub receive_line
{
	my ($self, $sign, $where) = @_;
	my $n = $self->quantity(12) * ($sign // 1);
	my $held = $self->chance(10);

	return sprintf(q{SELECT model.did('M', format('||%3$s|%4$s|%%s|%%s|', p.po_id, p.line_no)) FROM %1$s p, LATERAL (SELECT count(*) AS n FROM backorder.%2$s) r WHERE r.n >= 0},
		$self->nth_supply($where // 'open > 0'), "receive_purchase_line(p.po_id, p.line_no, $n" . ($held ? ', held => true)' : ')'), $n, $held ? $n : 0);
}

sub reverse_line { my $self = shift; return $self->receive_line(-1, 'received > 0') }

sub receive_purchase
{
	my ($self) = @_;

	return sprintf(q{SELECT model.did_receive(p.po_id, (SELECT array_agg(l.line_no) FROM backorder.purchase_order_line l WHERE l.po_id = p.po_id)) }
		. q{FROM %s p, LATERAL (SELECT count(*) AS n FROM backorder.receive_purchase_order(p.po_id)) r WHERE r.n >= 0},
		$self->nth_order(q{status = 'placed'}));
}

# By plain SQL.
sub purchase_by_hand
{
	my ($self) = @_;
	my ($status, $location) = ($self->one_of('draft', 'placed'), $self->location);
	my $values = join(', ', map { sprintf(q{(%d, '%s', %s, date '2099-01-01' + %d)}, $_, $self->item, $self->quantity(12), $self->random(300)) } 1 .. 1 + $self->random(3));

	return "WITH p AS (INSERT INTO backorder.purchase_order (supplier, location, status) VALUES ('south', '$location', 'draft') RETURNING po_id) "
	  . "INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered, expected_at) SELECT p.po_id, v.* FROM p, (VALUES $values) v (line_no, item, ordered, expected_at)",
	  "UPDATE backorder.purchase_order SET status = '$status' WHERE po_id = (SELECT max(po_id) FROM backorder.purchase_order WHERE NOT planner AND status = 'draft') AND '$status' <> 'draft'",
	  q{SELECT model.did('Q')};
}

sub edit_purchase_line
{
	my ($self) = @_;
	my $set = $self->one_of('ordered = ordered + ' . $self->quantity(3), 'ordered = greatest(ordered - 2, cancelled)', 'cancelled = least(ordered, ' . $self->random(4) . ')',
		q{expected_at = date '2099-06-01' + } . $self->random(90), sprintf(q{item = '%s'}, $self->item));

	return $set =~ /expected_at/ ? $self->flush : (), "UPDATE backorder.purchase_order_line SET $set WHERE po_id = ${\ $self->nth_order(q{status IN ('draft', 'placed')})} AND line_no = ${\ $self->line}", q{SELECT model.did('Q')};
}

sub edit_purchase
{
	my ($self) = @_;

	return "UPDATE backorder.purchase_order SET " . $self->one_of("location = '" . $self->location . "'", "note = 'look'", "supplier = 'west'")
	  . " WHERE po_id = " . $self->nth_order(q{status = 'draft' AND NOT planner}), q{SELECT model.did('Q')};
}

sub add_purchase_line
{
	my ($self) = @_;

	# numbers of its own: a third who changes the line that two want to be the next one makes a deadlock
	return "INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered) SELECT p.po_id, ${\ (100 + $self->random(100_000))}, "
	  . "'${\ $self->item}', ${\ $self->quantity(6)} FROM ${\ $self->nth_order(q{status IN ('draft', 'placed')})} p", q{SELECT model.did('Q')};
}

sub delete_purchase_line
{
	my ($self) = @_;

	return "DELETE FROM backorder.purchase_order_line WHERE po_id = ${\ $self->nth_order(q{status IN ('draft', 'placed')})} AND line_no = ${\ $self->line}", q{SELECT model.did('Q')};
}

sub delete_purchase
{
	my ($self) = @_;

	return 'DELETE FROM backorder.purchase_order WHERE po_id = ' . $self->nth_order(q{status IN ('draft', 'cancelled')}), q{SELECT model.did('Q')};
}

# All dates of one purchase order in one statement.
sub move_dates
{
	my ($self) = @_;

	return $self->flush, "UPDATE backorder.purchase_order_line SET expected_at = date '2099-01-01' + line_no + ${\ $self->random(90)} WHERE po_id = " . $self->nth_order(q{status = 'placed'}), q{SELECT model.did('Q')};
}

sub resync
{
	my ($self) = @_;
	my $shop = $self->shop;

	$self->{touched}{$shop} = 1;
	my $order = $self->order;
	return "SELECT model.did('Y', '$shop|$order') FROM (SELECT backorder.resync('$shop.lines', '$order')) r";
}

# All orders of a shop are looked at, also those that an import has not come to.
sub resync_all { my $self = shift; return sprintf(q{SELECT model.did_all('J', '%1$s') FROM (SELECT backorder.resync('%1$s.lines')) r}, $self->shop) }
sub attach_again { my $self = shift; return sprintf(q{SELECT model.did_all('E', '%1$s') FROM (SELECT model.attach('%1$s')) r}, $self->shop) }

# Its orders are recorded at once, or left to import().
sub detach_and_attach
{
	my ($self) = @_;
	my $shop = $self->shop;
	my $attach = $self->chance(60) ? "SELECT model.did_all('W', '$shop') FROM (SELECT model.attach('$shop', false)) r"
		: "SELECT model.did_all('A', '$shop') FROM (SELECT model.attach('$shop')) r";

	# what is settled first loses its ranks with its lines, before anybody could log them
	return $shop eq 'c' && $self->{touched}{c} ? $self->flush : (), "SELECT model.did('D', '$shop') FROM (SELECT backorder.detach('$shop.lines')::text) r",
	  $attach;
}

# In batches that commit; without an import to do, all orders are looked at again.
sub import_orders { my $self = shift; return sprintf(q{CALL backorder.import('%s.lines', %d)}, $self->shop, 1 + $self->random(30)) }

sub truncate_lines
{
	my ($self) = @_;
	my $shop = $self->shop;

	return ($self->dml($shop, "TRUNCATE $shop.lines"))[0], $shop eq 'b' ? q{SELECT model.did('S')} : ();
}

# Folds what is older than a few seconds. One snapshot shows what went.
sub compact
{
	my ($self) = @_;

	return 'SELECT model.before_compact()',
	  sprintf(q{SELECT model.did_compact() FROM backorder.compact(now() - interval '%d seconds', places => %s) r}, 1 + $self->random(10), $self->one_of('NULL', 5));
}

# Stock that the application keeps: bins of two items.
sub bin
{
	my ($self) = @_;
	my ($item, $location, $bin, $n) = ('I1' . $self->random(2), $self->location, $self->random(3), $self->random(25));

	$self->{touched}{s} = 1;
	return $self->one_of(
		"INSERT INTO s.bins VALUES ('$item', '$location', $bin, $n) ON CONFLICT (item, location, bin) DO UPDATE SET quantity = excluded.quantity",
		"INSERT INTO s.bins VALUES ('$item', '$location', $bin, $n) ON CONFLICT (item, location, bin) DO UPDATE SET quantity = bins.quantity + 3",
		"UPDATE s.bins SET note = 'seen' WHERE item = '$item' AND location = '$location' AND bin = $bin",
		"DELETE FROM s.bins WHERE item = '$item' AND location = '$location' AND bin = $bin");
}

# Several, in whatever order the table has them.
sub bins
{
	my ($self) = @_;
	my ($item, $location, $bin) = ('I1' . $self->random(2), $self->location, $self->random(3));

	$self->{touched}{s} = 1;
	return $self->one_of(
		"UPDATE s.bins SET quantity = greatest(quantity - 4, 0) WHERE item = '$item' AND location = '$location'",
		"UPDATE s.bins SET location = '$location' WHERE item = '$item' AND bin = $bin AND NOT EXISTS (SELECT FROM s.bins WHERE item = '$item' AND location = '$location' AND bin = $bin)",
		"UPDATE s.bins SET note = 'seen' WHERE item = '$item'");
}

# Goods leave the shelf and are shipped in one transaction.
sub ship_from_bin
{
	my ($self) = @_;
	my ($shop, $item, $location) = ($self->shop, 'I1' . $self->random(2), $self->location);

	return $self->dml($shop,
		"UPDATE s.bins SET quantity = quantity - 1 WHERE item = '$item' AND location = '$location' AND quantity > 0 AND bin = " . $self->random(3),
		"UPDATE $shop.lines SET shipped = shipped + 1 WHERE item = '$item' AND location = '$location' AND order_id = ${\ $self->order} AND shipped < quantity");
}

sub resync_stock { return q{SELECT model.did('V', 'resync') FROM (SELECT backorder.resync_stock('s.bins')) r} }
sub attach_stock_again { return q{SELECT model.did('V', 'attach') FROM (SELECT model.attach_stock()) r} }

sub detach_and_attach_stock
{
	my ($self) = @_;

	return q{SELECT model.did('V', 'detach') FROM (SELECT backorder.detach_stock('s.bins')::text) r},
	  $self->chance(50) ? $self->adjust : (), q{SELECT model.did('V', 'attach') FROM (SELECT model.attach_stock()) r};
}

# What only reads, must not fail and not change anything.
sub look
{
	my ($self) = @_;
	my ($shop, $order, $item) = ($self->shop, $self->order, $self->item);

	return 'DO $$ BEGIN PERFORM ' . $self->one_of(
		"backorder.explain('$order', '$shop.lines')",
		"backorder.available_from('$item', ${\ $self->quantity}, '${\ $self->location}')",
		"n FROM backorder.attach_preview('$shop.lines', item => 'item', quantity => 'quantity + 1', order_key => 'order_id', line_key => 'line_no', shipped => 'shipped') n",
		"n FROM backorder_internal.mapped_lines(${\ (1 + $self->random(3))}) n",
		"n FROM backorder_internal.wanted_purchases('$item', NULL, '') n",
		map { "v FROM backorder.$_" } "backlog v WHERE item = '$item'", "shortage v WHERE item = '$item'", "pegging v WHERE item = '$item'",
			"order_status v WHERE order_key = '$order'", "availability v WHERE item = '$item'", "purchases v WHERE item = '$item'",
			map { "$_ v" } qw(unsourced aging fill_rate import_progress)) . '; END $$';
}

sub take_events { my $self = shift; return 'INSERT INTO model.taken SELECT id FROM backorder.take_events(' . (5 + $self->random(200)) . ')' }
sub repromise { my $self = shift; return $self->flush, q{SELECT model.did('Q') FROM (SELECT backorder.repromise()) r} }
sub flush { return q{SELECT model.did('S', '', true)} }
sub set_constraints { return 'SET CONSTRAINTS ALL IMMEDIATE', q{SELECT model.did('S')}, 'SET CONSTRAINTS backorder_internal.commit_work DEFERRED' }

sub lock_stock
{
	my ($self) = @_;

	return sprintf(q{SELECT model.did('S') FROM (SELECT backorder.lock_stock(ARRAY['%s', '%s', '%s'], '%s')::text) r},
		$self->item, $self->item, $self->item, $self->location);
}

# Handling times, levels and lead times: promises and plans, no stock.
sub terms
{
	my ($self) = @_;

	return $self->flush, $self->one_of(
		"UPDATE backorder.item_policy SET handling_time = ${\ $self->random(3)} WHERE item = 'I${\ $self->random(4)}'",
		"UPDATE backorder.item_policy SET reorder_point = ${\ $self->random(5)} WHERE item = 'I${\ $self->random(4)}'",
		"UPDATE backorder.supplier SET lead_time = ${\ $self->random(3)} * 10000 WHERE supplier = 'west'"), q{SELECT model.did('T')};
}

# NAME => [weight, kinds of transactions]: alone: in a transaction of its own, that it begins itself or under REPEATABLE READ; once: may be alone in a transaction of which no error is expected
# but refusals (not where the shop's own foreign keys may end in a deadlock, or a purchase order is deleted with its
# lines); more: may stand among others.
our %operations = (
	order_insert => [ 120, 'once more' ],
	order_at_once => [ 40, 'once more' ],
	order_in_steps => [ 25, 'more' ],
	copy_lines => [ 15, 'once' ],
	upsert => [ 25, 'more' ],
	increase => [ 40, 'once more' ],
	decrease => [ 40, 'once more' ],
	cancel_part => [ 15, 'once more' ],
	pick => [ 10, 'once more' ],
	item_change => [ 20, 'once more' ],
	location_change => [ 20, 'once more' ],
	irrelevant => [ 10, 'once more' ],
	ship => [ 60, 'once more' ],
	ship_part => [ 25, 'once more' ],
	ship_less => [ 15, 'once more' ],
	cancel => [ 30, 'once more' ],
	hold => [ 15, 'once more' ],
	urgency => [ 20, 'once more' ],
	delete_order => [ 40, 'once more' ],
	delete_lines => [ 25, 'once more' ],
	replace_lines => [ 25, 'more' ],
	move_line => [ 25, 'more' ],
	renumber => [ 15, 'once more' ],
	split_line => [ 15, 'more' ],
	update_item => [ 8, 'more' ],
	receive => [ 50, 'once more' ],
	receive_back => [ 12, 'once more' ],
	adjust => [ 20, 'once more' ],
	count_stock => [ 12, 'once more' ],
	hold_stock => [ 12, 'once more' ],
	release_stock => [ 14, 'once more' ],
	transfer => [ 14, 'once more' ],
	movements => [ 15, 'once more' ],
	plan => [ 12, 'once more' ],
	place => [ 14, 'once more' ],
	close_order => [ 4, 'once more' ],
	cancel_purchase => [ 4, 'once more' ],
	receive_line => [ 20, 'once more' ],
	reverse_line => [ 6, 'once more' ],
	receive_purchase => [ 6, 'once more' ],
	purchase_by_hand => [ 8, 'more' ],
	edit_purchase_line => [ 12, 'once more' ],
	edit_purchase => [ 4, 'once more' ],
	add_purchase_line => [ 8, 'once more' ],
	delete_purchase_line => [ 4, 'once more' ],
	delete_purchase => [ 4, 'more' ],
	move_dates => [ 6, 'more' ],
	resync => [ 8, 'once more' ],
	resync_all => [ 1, 'more' ],
	attach_again => [ 1, 'more' ],
	detach_and_attach => [ 1, 'more' ],
	import_orders => [ 3, 'alone' ],
	compact => [ 3, 'alone' ],
	truncate_lines => [ 1, 'more' ],
	bin => [ 25, 'once more' ],
	bins => [ 15, 'more' ],
	ship_from_bin => [ 10, 'more' ],
	resync_stock => [ 2, 'once more' ],
	attach_stock_again => [ 1, 'more' ],
	detach_and_attach_stock => [ 1, 'more' ],
	look => [ 12, 'once more' ],
	take_events => [ 8, 'once more' ],
	repromise => [ 4, 'once more' ],
	flush => [ 6, 'more' ],
	set_constraints => [ 6, 'more' ],
	lock_stock => [ 6, 'more' ],
	terms => [ 4, 'once more' ],
);

my $alone = 6;		# of a thousand transactions
my %choices;	# kind => the names, each as often as it weighs

sub operation
{
	my ($self, $kind) = @_;
	my $names = $choices{$kind} //= [ map { ($_) x $operations{$_}[0] } grep { $operations{$_}[1] =~ /\b$kind\b/ } sort keys %operations ];
	my $name = $self->one_of(@$names);
	my $function = $self->can($name) or die "no operation $name";

	push @{ $self->{done} }, $name;
	return $function->($self);
}

# An operation that is not to stand among others.
sub alone
{
	my ($self) = @_;
	my @sql = $self->operation('alone');

	@sql = ('BEGIN ISOLATION LEVEL REPEATABLE READ', @sql, 'COMMIT') if @sql > 1;
	return { sql => join('', map { "$_;\n" } @sql), operations => 1, names => "@{ $self->{done} }", calm => 0, read_committed => @sql == 1 };
}

# The next transaction: { sql => text, operations => how many, calm => no deadlock may end it, once => ... }.
sub transaction
{
	my ($self, $calm) = @_;
	my @sql;
	my $level = 'READ COMMITTED';
	my $undone = q{INSERT INTO model.log (kind, d) VALUES ('O', '')};
	my $end = 'COMMIT';

	$self->{touched} = {};
	$self->{done} = [];
	return $self->alone if $self->random(1000) < $alone;
	if ($calm)
	{
		@sql = $self->operation('once');
	}
	else
	{
		$level = $self->one_of(('READ COMMITTED') x 6, ('REPEATABLE READ') x 3, 'SERIALIZABLE');
		foreach (1 .. 1 + $self->random(5))
		{
			my @operation = $self->operation('more');
			if ($self->chance(25))
			{
				unshift @operation, 'SAVEPOINT s';
				push @operation, $self->chance(30) ? ('SAVEPOINT t', $self->operation('more'), 'ROLLBACK TO t', $undone) : () if $self->chance(50);
				push @operation, $self->chance(40) ? ('ROLLBACK TO s', $undone) : 'RELEASE s';
			}
			push @sql, @operation;
		}
		$end = "PREPARE TRANSACTION 'p$self->{seed}';\nCOMMIT PREPARED 'p$self->{seed}'" if $self->chance(4);
		$end = 'ROLLBACK' if $self->chance(4);
	}
	push @sql, q{SELECT model.did('S', '', true)} if $self->{touched}{c};
	# most go to the server as a whole: who holds locks and waits for us holds up the others
	my $then = $self->chance(75) ? '\\;' : ';';
	return { sql => join("\n", map { "$_$then" =~ s/\\\.\Q$then\E$/\\./r } "BEGIN ISOLATION LEVEL $level", @sql) . "\n$end;\n",
		operations => scalar @{ $self->{done} }, names => "@{ $self->{done} }", calm => $calm, read_committed => $level eq 'READ COMMITTED' };
}

1;
