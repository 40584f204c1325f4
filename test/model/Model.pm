# A naive model of what the extension promises: it replays the log of committed transactions, in the order
# in which they committed, with plain loops over all lines of an item. Nothing of the extension is used.
#
# Whoever changes an order, a purchase order or stock holds its lock until the end of the transaction, so
# the order of commits is an order in which the transactions could have run one after the other.
package Model;

use strict;
use warnings FATAL => 'all';

use List::Util qw(max min sum0);
use POSIX qw(ceil);

sub new
{
	return bless { headers => {}, lines => {}, recorded => {}, stock => {}, orders => {}, supply => {}, po_lines => {}, references => {},
		bins => {}, keeps => 1, counted => {}, importing => {}, unseen => {},
		problems => [], serial => 0, settlings => 0, last => 0 }, shift;
}

sub problem
{
	my ($self, $text) = @_;

	push @{ $self->{problems} }, "log entry $self->{at}, transaction $self->{xid}: $text";
	return;
}

sub stock
{
	my ($self, $item, $location) = @_;

	return $self->{stock}{"$item|$location"} //= { on_hand => 0, unavailable => 0, lines => {} };
}

# What a line wants, and waits for.
sub open { my $l = shift; return $l->{live} ? max($l->{ordered} - $l->{cancelled} - $l->{shipped}, 0) : 0 }
sub waits { my $l = shift; return &open($l) - $l->{allocated} }

sub allocated { my $s = shift; return sum0(map { $_->{allocated} } values %{ $s->{lines} }) }

sub by_rank
{
	return sort { $b->{priority} <=> $a->{priority} || $a->{queued_at} <=> $b->{queued_at} || $a->{line_id} <=> $b->{line_id} } @_;
}

# Entries: [id, xid, kind, d], in the order of commits.
sub replay
{
	my ($self, $entries) = @_;
	my $n = 0;

	while ($n < @$entries)
	{
		my $last = $n;
		$last++ while $last + 1 < @$entries && $entries->[ $last + 1 ][1] eq $entries->[$n][1];
		$self->transaction(@$entries[ $n .. $last ]);
		last if @{ $self->{problems} } > 20;
		$n = $last + 1;
	}
	return;
}

sub transaction
{
	my ($self, @entries) = @_;

	$self->{pending} = {};		# "shop|order" => when first noted
	$self->{noted} = {};		# the same, whether settled since or not
	$self->{unordered} = 0;		# more was noted than the log says, who knows when
	$self->{counts} = {};		# "item|location" => 1: the bins of which changed
	$self->{before} = {};		# "shop|order" => its lines as they were, where an import has not come to it
	$self->{moves} = [];
	$self->{images} = {};		# purchase order lines written since the last settling
	$self->{statement} = 0;
	$self->{facts} = {};
	while (my $entry = shift @entries)
	{
		my ($id, $xid, $kind, $d) = @$entry;
		my %facts;

		@$self{qw(at xid)} = ($id, $xid);
		while (@entries && $entries[0][2] eq 'K')
		{
			my ($shop, $order, $line, $line_id, $queued_at) = split(/\|/, (shift @entries)->[3]);
			$facts{"$shop|$order|$line"} = [ $line_id, $queued_at ];
		}
		$self->{facts} = \%facts;
		my $method = "log_$kind";
		$self->$method(split(/\|/, $d, -1));
	}
	$self->{facts} = {};
	$self->settle if %{ $self->{pending} } || %{ $self->{counts} };
	return;
}

# ---------- the application's rows ----------

sub note
{
	my ($self, $shop, $order) = @_;

	$self->{pending}{"$shop|$order"} //= $self->{noted}{"$shop|$order"} //= ++$self->{serial};
	return;
}

# An order is about to change: keeps what it was, if an import has not come to it.
sub keep
{
	my ($self, $shop, @orders) = @_;

	foreach my $order (grep { $self->{unseen}{$shop}{$_} } @orders)
	{
		$self->{before}{"$shop|$order"} //= [ $self->lines_now($shop, $order) ];
	}
	return;
}

sub log_U { my $self = shift; $self->{statement}++; return }

sub log_L
{
	my ($self, $shop, $op, $rid, $old_order, $old_line, $order, $line, $item, $location, $quantity, $cancelled, $shipped, $picked, $since) = @_;
	my $row = { line => $line, item => $item, location => $location, quantity => $quantity + 0, cancelled => $cancelled + 0, shipped => $shipped + 0,
		picked => $picked + 0, since => $since };

	$self->keep($shop, $old_order, $order);
	my $before = $op eq 'INSERT' ? undef : delete $self->{lines}{$shop}{$old_order}{$rid};

	return $self->problem("a row that is not there was written: $shop $old_order/$old_line") if $op ne 'INSERT' && !$before;
	$self->{lines}{$shop}{$order}{$rid} = $row if $op ne 'DELETE';
	if ($op eq 'UPDATE')
	{
		my $moved = $old_order != $order || $old_line != $line;
		return if !$moved && !grep { $before->{$_} ne $row->{$_} } grep { $_ ne 'since' || $shop eq 'a' } keys %$row;
		push @{ $self->{moves} }, [ $shop, $old_order, $old_line, $order, $line, $self->{statement} ] if $moved;
	}
	$self->note($shop, $old_order) if $op ne 'INSERT';
	$self->note($shop, $order) if $op ne 'DELETE';
	return;
}

sub log_H
{
	my ($self, $shop, $op, $id, $status, $urgency, $hold) = @_;
	my $before = $self->{headers}{$shop}{$id};

	$self->keep($shop, $id);

	if ($op eq 'DELETE')
	{
		delete $self->{headers}{$shop}{$id};
	}
	else
	{
		my $row = $self->{headers}{$shop}{$id} = { status => $status, urgency => $urgency, hold => $hold eq 't' };
		return if $op eq 'UPDATE' && !grep { $before->{$_} ne $row->{$_} } keys %$row;
	}
	$self->note($shop, $id);
	return;
}

# All lines of a shop went.
sub log_X
{
	my ($self, $shop) = @_;

	$self->keep($shop, keys %{ $self->{lines}{$shop} // {} });
	$self->note($shop, $_) foreach sort { $a <=> $b } grep { %{ $self->{recorded}{$shop}{$_} } } keys %{ $self->{recorded}{$shop} // {} };
	$self->{lines}{$shop} = {};
	$self->{unordered} = 1;
	return;
}

# A bin.
sub log_N
{
	my ($self, $op, $old_item, $old_location, $old_bin, $item, $location, $bin, $quantity) = @_;
	my ($from, $to) = ("$old_item|$old_location", "$item|$location");
	my $before = $op eq 'INSERT' ? undef : delete $self->{bins}{$from}{$old_bin};

	$self->{bins}{$to}{$bin} = $quantity + 0 if $op ne 'DELETE';
	return if !$self->{keeps} || ($op eq 'UPDATE' && $from eq $to && $before == $quantity);
	$self->{counts}{$from} = 1 if $op ne 'INSERT';
	$self->{counts}{$to} = 1 if $op ne 'DELETE';
	return;
}

# An order's lines as the mapping reads them, by key.
sub lines_now
{
	my ($self, $shop, $order) = @_;
	my $header = $self->{headers}{$shop}{$order};
	my $lines = $self->{lines}{$shop}{$order} // {};

	return map {
		{
			line => $_->{line}, item => $_->{item}, location => $_->{location}, quantity => $_->{quantity}, cancelled => max($_->{cancelled}, 0),
			shipped => max($_->{shipped}, 0), picked => max($_->{picked}, 0), since => $_->{since}, priority => $header->{urgency}, held => $header->{hold},
			demand => $header->{status} eq 'open' && $_->{quantity} > 0
		}
	} sort { $a->{line} <=> $b->{line} } values %$lines;
}

# ---------- what calls the extension ----------

# Settled at the end of a statement on b, if that noted anything.
sub log_I { my $self = shift; $self->settle if grep { /^b/ } keys %{ $self->{pending} }; return }
sub log_S { my $self = shift; $self->settle; return }
sub log_T { return }

# The table of bins: attached (again), detached, or all of it looked at.
sub log_V
{
	my ($self, $what) = @_;

	$self->settle;
	$self->{keeps} = $what ne 'detach';
	if ($self->{keeps})
	{
		$self->{counts} = { map { $_ => 1 } keys %{ $self->{counted} }, grep { %{ $self->{bins}{$_} } } keys %{ $self->{bins} } };
		$self->settle(anew => $what eq 'attach');
	}
	else { $self->{counted} = {} }
	return;
}

# One order is looked at, without need or because an import has not come to it.
sub log_Y
{
	my ($self, $shop, $order) = @_;

	$self->note($shop, $order);
	$self->settle;
	return;
}

# Compacted: a reference (R) is free again, a deleted line (L) is not recorded any more.
sub log_Z
{
	my ($self, $what, $shop, $order, $line) = @_;

	return delete $self->{references}{$shop} if $what eq 'R';
	my $r = delete $self->{recorded}{$shop}{$order}{$line};
	return $self->problem("not deleted, but compacted: $shop $order/$line") if !$r || $r->{live} || !$r->{deleted};
	delete $self->stock($r->{item}, $r->{location})->{lines}{$r};
	return;
}

# Movements: item, location, quantity, unavailable, purchase order, line, reference; each.
sub log_M
{
	my ($self, @fields) = @_;
	my @movements;

	while (my ($item, $location, $quantity, $unavailable, $po, $line, $reference) = splice(@fields, 0, 7))
	{
		if ($po)
		{
			my $supply = $self->{supply}{"$po|$line"} or return $self->problem("receipt of a line that is not placed: $po|$line");
			($item, $location) = @$supply{qw(item location)};
		}
		next if $reference && $self->{references}{$reference}++;
		push @movements, { item => $item, location => $location, quantity => $quantity, unavailable => $unavailable, po => $po ? "$po|$line" : '' };
	}
	$self->settle(movements => \@movements) if @movements;
	return;
}

# A count: pending orders first.
sub log_C
{
	my ($self, $item, $location, $counted) = @_;

	$self->settle;
	$self->settle(movements => [ { item => $item, location => $location, quantity => $counted - $self->stock($item, $location)->{on_hand}, unavailable => 0, po => '' } ]);
	return;
}

# All that is open of a purchase order; where that is nothing, nothing is settled.
sub log_R
{
	my ($self, $po, @lines) = @_;

	my @movements = map {
		my $y = $self->{supply}{$_};
		{ item => $y->{item}, location => $y->{location}, quantity => supply_open($y), unavailable => 0, po => $_ }
	} grep { $self->{supply}{$_} && supply_open($self->{supply}{$_}) > 0 } map { "$po|$_" } @lines;
	return if !@movements;
	$self->settle;
	$self->settle(movements => \@movements);
	return;
}

sub supply_open { my $y = shift; return $y->{closed} ? 0 : max($y->{quantity} - $y->{received}, 0) }

sub log_P
{
	my ($self, $op, $po, $status, $location) = @_;

	if ($op eq 'DELETE') { delete $self->{orders}{$po} }
	else { $self->{orders}{$po} = { status => $status, location => $location } }
	$self->{images}{"$po|$_"} = 1 foreach keys %{ $self->{po_lines}{$po} // {} };
	return;
}

sub log_Q
{
	my ($self, $op, $po, $line, $item, $ordered, $cancelled) = @_;

	if (!defined $op || $op eq '')
	{
		# the end of a statement on purchase orders: settled where supply differs
		my @supplies;
		foreach my $key (sort keys %{ $self->{images} })
		{
			my ($po, $line) = split(/\|/, $key);
			my ($o, $l) = ($self->{orders}{$po}, $self->{po_lines}{$po}{$line});
			my $wanted = $o && $l && $o->{status} =~ /^(placed|closed)$/;
			my $y = $self->{supply}{$key};
			next if !$wanted && !$y;
			next if $wanted && $y && $y->{item} eq $l->{item} && $y->{location} eq $o->{location} && $y->{quantity} == $l->{ordered} - $l->{cancelled}
			  && $y->{closed} == ($o->{status} eq 'closed');
			push @supplies, { key => $key, wanted => $wanted, $wanted ? (item => $l->{item}, location => $o->{location}, quantity => $l->{ordered} - $l->{cancelled},
				closed => $o->{status} eq 'closed' ? 1 : 0) : () };
		}
		$self->{images} = {};
		$self->settle(supplies => \@supplies) if @supplies;
	}
	elsif ($op eq 'DELETE')
	{
		delete $self->{po_lines}{$po}{$line};
		$self->{images}{"$po|$line"} = 1;
	}
	else
	{
		$self->{po_lines}{$po}{$line} = { item => $item, ordered => $ordered + 0, cancelled => $cancelled + 0 };
		$self->{images}{"$po|$line"} = 1;
	}
	return;
}

# Detached: what is open of all recorded lines ends; shipped stays.
sub log_D
{
	my ($self, $shop) = @_;
	my %stocks;

	$self->settle;
	$self->imported($shop);
	foreach my $r (map { values %$_ } values %{ $self->{recorded}{$shop} // {} })
	{
		$stocks{"$r->{item}|$r->{location}"} = 1;
		$self->end_line($r, undef);
	}
	$self->allocate(\%stocks);
	return;
}

# All orders of a shop are looked at.
sub note_all
{
	my ($self, $shop) = @_;
	my %orders = (%{ $self->{recorded}{$shop} // {} }, %{ $self->{lines}{$shop} // {} });

	$self->note($shop, $_) foreach sort { $a <=> $b } keys %orders;
	$self->{unordered} = 1;
	return;
}

# A savepoint was rolled back: nothing of it is in the log, and nothing of it counts.
sub log_O { return }

# Attached: what was shipped is taken as it is.
sub log_A
{
	my ($self, $shop) = @_;

	$self->settle;
	$self->imported($shop);
	$self->note_all($shop);
	$self->settle(whole => 1, baseline => 1);
	return;
}

# Attached again: what an import had not come to is recorded, and was known.
sub log_E
{
	my ($self, $shop) = @_;

	$self->settle;
	$self->note_all($shop);
	$self->settle(whole => 1, import => 1);
	$self->settle_imported($shop, keys %{ $self->{stock} }) if $self->{importing}{$shop};
	$self->imported($shop);
	return;
}

# Resynced.
sub log_J
{
	my ($self, $shop) = @_;

	$self->settle;
	$self->note_all($shop);
	$self->settle(whole => 1);
	return;
}

# Attached, its orders are left to an import.
sub log_W
{
	my ($self, $shop) = @_;
	my $lines = $self->{lines}{$shop} // {};

	$self->settle;
	$self->{unordered} = 1;
	$self->{before} = {};
	$self->{importing}{$shop} = 1;
	$self->{unseen}{$shop} = { map { $_ => 1 } grep { %{ $lines->{$_} } } keys %$lines };
	return;
}

sub imported
{
	my ($self, $shop) = @_;

	delete $self->{$_}{$shop} foreach qw(importing unseen);
	return;
}

# A batch of an import: orders up to a position, or at its end stock from one place to another that is allocated by rank.
sub log_B
{
	my ($self, $shop, $state, $phase, $position, $item, $location, $to_item, $to_location) = @_;

	return if !$self->{importing}{$shop};
	if ($phase eq 'table' && $position ne '')
	{
		$self->note($shop, $_) foreach sort { $a <=> $b } grep { $_ <= $position } keys %{ $self->{unseen}{$shop} };
		$self->settle(whole => 1, import => 1, batch => 1);
	}
	elsif ($phase eq 'allocate' && "$item|$location" ne "$to_item|$to_location")
	{
		$self->settle_imported($shop, grep { my ($i, $l) = split(/\|/, $_); ($i cmp $item || $l cmp $location) > 0 && ($i cmp $to_item || $l cmp $to_location) <= 0 }
			keys %{ $self->{stock} });
	}
	$self->imported($shop) if $state eq 'imported';
	return;
}

# Lines that an import recorded only are settled, by rank.
sub settle_imported
{
	my ($self, $shop, @places) = @_;

	foreach my $place (@places)
	{
		delete $_->{unsettled} foreach grep { $_->{shop} eq $shop } values %{ $self->{stock}{$place}{lines} };
	}
	$self->allocate({ map { $_ => 1 } @places });
	return;
}

# ---------- settling ----------

sub settle
{
	my ($self, %with) = @_;
	my %stocks;			# touched
	my %overshipped;	# by stock: what was shipped beyond allocations, of lines that adjust, and that refuse

	$self->{settlings}++;
	$self->{fresh} = {};
	my %figure;			# on hand of stock that the application keeps
	foreach my $m (@{ $with{movements} // [] })
	{
		my $s = $self->stock($m->{item}, $m->{location});
		$stocks{"$m->{item}|$m->{location}"} = 1;
		$figure{"$m->{item}|$m->{location}"} //= $s->{on_hand} if $self->{counted}{"$m->{item}|$m->{location}"};
		$self->move("$m->{item}|$m->{location}", $m->{quantity});
		$s->{unavailable} += $m->{unavailable};
		next if !$m->{po};
		my $y = $self->{supply}{ $m->{po} };
		$y->{received} += $m->{quantity};
		$self->problem("received below 0: $m->{po}") if $y->{received} < 0;
		$self->problem("closed, but received: $m->{po}") if $y->{closed} && $m->{quantity} > 0;
	}
	my %counted;
	foreach my $place (keys %{ $self->{counts} })
	{
		my @bins = values %{ $self->{bins}{$place} // {} };
		next if !@bins && !$self->{counted}{$place};
		$stocks{$place} = $self->{counted}{$place} = $counted{$place} = 1;
		$figure{$place} = sum0(@bins);
	}
	$self->stock(split(/\|/, $_))->{on_hand} = $figure{$_} foreach keys %figure;
	$self->{counts} = {};
	foreach my $c (@{ $with{supplies} // [] })
	{
		my $y = $self->{supply}{ $c->{key} };
		$self->problem("supply that was received went: $c->{key}")
		  if $y && $y->{received} && (!$c->{wanted} || $y->{item} ne $c->{item} || $y->{location} ne $c->{location});
		if (!$c->{wanted}) { delete $self->{supply}{ $c->{key} } }
		else { $self->{supply}{ $c->{key} } = { received => $y ? $y->{received} : 0, map { $_ => $c->{$_} } qw(item location quantity closed) } }
	}

	my @orders = sort { $self->{pending}{$a} <=> $self->{pending}{$b} } keys %{ $self->{pending} };
	# Where each recorded line is now, after moves.
	my (%at, %known);
	foreach my $key (@orders)
	{
		my ($shop, $order) = split(/\|/, $key);
		$at{$key} = [ map { { row => $_, order => $_->{order}, line => $_->{line} } }
			sort { $a->{age} <=> $b->{age} } values %{ $self->{recorded}{$shop}{$order} // {} } ];
		next if !$self->{unseen}{$shop}{$order};
		if ($with{baseline} || $with{import}) { $known{$key} = 1 }
		else { $self->take_as_recorded($at{$key}, $order, @{ $self->{before}{$key} // [ $self->lines_now($shop, $order) ] }) }
		delete $self->{unseen}{$shop}{$order};
	}
	foreach my $move (@{ $self->{moves} })
	{
		my ($shop, $old_order, $old_line, $order, $line, $statement) = @$move;
		my ($from, $to) = ($at{"$shop|$old_order"}, $at{"$shop|$order"});
		my ($r) = grep { $_->{line} == $old_line && ($_->{moved_in} // -1) != $statement } @$from;
		next if !$r;
		@$r{qw(line moved moved_in)} = ($line, 1, $statement);
		next if $from == $to;
		@$from = grep { $_ != $r } @$from;
		push @$to, $r;
	}
	my (@changes, @fresh);
	foreach my $key (@orders)
	{
		push @changes, $self->compare($key, $at{$key});
	}
	# Rows leave their old places before they get their new ones.
	foreach my $change (@changes)
	{
		my $r = $change->{recorded} or next;
		delete $self->{recorded}{ $r->{shop} }{ $r->{order} }{ $r->{line} };
	}
	foreach my $change (@changes)
	{
		my ($what, $r, $now, $shop, $order) = @$change{qw(what recorded now shop order)};
		my $baseline = $with{baseline} || $known{"$shop|$order"} || $change->{baseline};
		my $over = 0;

		if ($what eq 'end')
		{
			$stocks{"$r->{item}|$r->{location}"} = 1;
			@$r{qw(order line)} = ($order, $now->{line}) if $now;
			$over = $self->ship($r, $now->{shipped} - ($change->{known} // $r->{shipped})) if $now && !$baseline;
			$r->{shipped} = $now->{shipped} if $now;
			$overshipped{"$r->{item}|$r->{location}"}{$shop} += $over if $over > 0;
			$self->end_line($r, $now, $change->{displaced});
			next;
		}
		if ($what eq 'new' || $what eq 'renew')
		{
			my $place = "$now->{item}|$now->{location}";
			my $difference = $now->{shipped} - ($change->{known} // ($r ? $r->{shipped} : 0));
			my $old = $r;

			$difference = 0 if $r && $r->{deleted} && !defined $change->{known} && $difference < 0;
			if ($old)
			{
				$stocks{"$old->{item}|$old->{location}"} = 1;
				delete $self->stock($old->{item}, $old->{location})->{lines}{$old};
			}
			$r = { shop => $shop, age => ++$self->{serial}, allocated => 0, live => $now->{demand}, deleted => 0, shipped => 0, queued_at => 0, line_id => 0 };
			push @fresh, $r;
			$self->{fresh}{$r} = 1;
			@$r{qw(order line)} = ($order, $now->{line});
			$self->values_of($r, $now);
			$r->{shipped} = $now->{shipped};
			$r->{unsettled} = 1 if $with{batch} && $baseline && may_wait_for_import($r);
			$self->stock($r->{item}, $r->{location})->{lines}{$r} = $r;
			$stocks{$place} = 1;
			if (!$baseline && $difference < 0 && $old && "$old->{item}|$old->{location}" ne $place)
			{
				$self->move("$old->{item}|$old->{location}", -$difference) if !$self->{counted}{"$old->{item}|$old->{location}"};
			}
			elsif (!$baseline)
			{
				$over = $self->ship($r, $difference);
				$overshipped{$place}{$shop} += $over if $over > 0;
				$self->give($r, min(-$over, waits($r))) if $over < 0;
			}
		}
		else
		{
			my $place = "$r->{item}|$r->{location}";
			$stocks{$place} = 1;
			@$r{qw(order line)} = ($order, $now->{line});
			$over = $self->ship($r, $now->{shipped} - $r->{shipped}) if !$baseline;
			$overshipped{$place}{$shop} += $over if $over > 0;
			$self->values_of($r, $now);
			$r->{shipped} = $now->{shipped};
			$self->give($r, min(waits($r), 0));
			delete $r->{unsettled} if !may_wait_for_import($r);
			$self->give($r, min(-$over, waits($r))) if $over < 0;
		}
		$self->{recorded}{$shop}{ $r->{order} }{ $r->{line} } = $r;
	}
	$self->ranks(\@changes, \@fresh, $with{whole});
	$self->{pending} = {};
	$self->{moves} = [];
	$self->allocate(\%stocks, \%overshipped, \%counted);
	delete @{ $self->{counted} }{ grep { !%{ $self->{bins}{$_} // {} } } keys %counted } if $with{anew};
	return;
}

# Ranks of lines whose queued_at is not mapped: as recorded, but new only where the line is.
sub ranks
{
	my ($self, $changes, $fresh, $unordered) = @_;
	my ($last, $order) = (0, '');

	foreach my $r (@$fresh)
	{
		if ($r->{shop} eq 'a')
		{
			$r->{line_id} = $r->{age};
			next;
		}
		my $fact = $self->{facts}{"$r->{shop}|$r->{order}|$r->{line}"} or next;
		@$r{qw(line_id queued_at)} = @$fact;
		$self->problem("line ids are not drawn in order: $r->{shop} $r->{order}/$r->{line}")
		  if $r->{line_id} <= $last && ($order eq "$r->{shop} $r->{order}" || !($unordered || $self->{unordered}));
		$self->problem("line id $r->{line_id} was used before") if $self->{line_ids}{ $r->{line_id} }++;
		($last, $order) = ($r->{line_id}, "$r->{shop} $r->{order}");
	}
	foreach my $change (@$changes)
	{
		my $r = $change->{recorded};
		next if $change->{what} ne 'same' || $r->{shop} eq 'a';
		my $fact = $self->{facts}{"$r->{shop}|$r->{order}|$r->{line}"};
		next if !$fact && $unordered;		# recorded by another since all were looked at
		$self->problem("line $r->{shop} $r->{order}/$r->{line} did not keep its place: line_id $r->{line_id} became " . ($fact ? $fact->[0] : 'none'))
		  if !$fact || $fact->[0] != $r->{line_id} || $fact->[1] != $r->{queued_at};
	}
	foreach my $r (@$fresh)
	{
		$self->problem("no rank of line $r->{shop} $r->{order}/$r->{line}") if $r->{live} && !$r->{line_id};
	}
	return;
}

sub values_of
{
	my ($self, $r, $now) = @_;

	@$r{qw(item location cancelled picked priority held)} = @$now{qw(item location cancelled picked priority held)};
	$r->{ordered} = $now->{quantity};
	$r->{queued_at} = $now->{since} if $r->{shop} eq 'a';
	return;
}

# What an order was that an import has not come to counts as recorded: what it had shipped is known.
sub take_as_recorded
{
	my ($self, $at, $order, @before) = @_;

	foreach my $line (@before)
	{
		next if !$line->{demand} && $line->{shipped} == 0;
		my ($e) = grep { $_->{line} == $line->{line} } @$at;
		push @$at, $e = { row => { %$line, order => $order, live => $line->{demand}, unrecorded => 1 }, order => $order, line => $line->{line} } if !$e;
		$e->{known} = $line->{shipped};
	}
	return;
}

# A line that an import finds and that wants stock waits until all are recorded, but for what is held or picked.
sub may_wait_for_import { my ($r) = @_; return !$r->{held} && $r->{picked} == 0 && waits($r) > 0 }

# More, or less, is allocated to a line.
sub give
{
	my ($self, $r, $quantity) = @_;

	$r->{allocated} += $quantity;
	return;
}

# On hand changes; by which transaction is kept for who looks for a difference.
sub move
{
	my ($self, $place, $quantity) = @_;

	$self->stock(split(/\|/, $place))->{on_hand} += $quantity;
	$self->{moved}{$place}{ $self->{xid} } += $quantity;
	return;
}

# Goods leave (or come back): from the line's allocation first. Returns what is beyond it, or below 0 what is back.
sub ship
{
	my ($self, $r, $difference) = @_;
	my $own = $difference > 0 ? min($difference, $r->{allocated}) : 0;
	my $s = $self->stock($r->{item}, $r->{location});

	if ($self->{counted}{"$r->{item}|$r->{location}"})
	{
		# on hand is for the application to say
		$self->give($r, -$own);
		return max($difference, min(allocated($s) + $s->{unavailable} - $s->{on_hand}, 0)) if $difference < 0;
		return 0;
	}
	$self->move("$r->{item}|$r->{location}", -$difference);
	$self->give($r, -$own);
	return $difference - $own;
}

sub end_line
{
	my ($self, $r, $now, $displaced) = @_;

	@$r{qw(live deleted allocated)} = (0, $now ? 0 : 1, 0);
	delete $r->{unsettled};
	if ($r->{shipped} == 0 || $displaced)
	{
		delete $self->stock($r->{item}, $r->{location})->{lines}{$r};
		delete $self->{recorded}{ $r->{shop} }{ $r->{order} }{ $r->{line} } if ($self->{recorded}{ $r->{shop} }{ $r->{order} }{ $r->{line} } // 0) == $r;
	}
	else
	{
		$self->{recorded}{ $r->{shop} }{ $r->{order} }{ $r->{line} } = $r;
	}
	return;
}

# Has the shop another line now where this one is recorded?
sub has_line
{
	my ($self, $shop, $r) = @_;

	return scalar grep { $_->{line} == $r->{line} } values %{ $self->{lines}{$shop}{ $r->{order} } // {} };
}

# What an order says now against what is recorded of it.
sub compare
{
	my ($self, $key, $recorded) = @_;
	my ($shop, $order) = split(/\|/, $key);
	my @now = $self->lines_now($shop, $order);
	my %now = map { $_->{line} => $_ } @now;
	my @changes;

	# by key; one that moved there goes before one that was there
	foreach my $moved (1, 0)
	{
		foreach my $r (grep { ($_->{moved} // 0) == $moved } @$recorded)
		{
			my $n = $now{ $r->{line} };
			next if !$n || $n->{is};
			$n->{is} = $r;
			$r->{is} = $n;
		}
	}
	# lines that vanish and lines that appear with the same item and location are paired in order
	my $same_place = sub { my ($r, $n) = @_; return $r->{row}{item} eq $n->{item} && $r->{row}{location} eq $n->{location} };
	my @vanished = grep { $_->{row}{live} && !($_->{is} && $_->{is}{demand} && $same_place->($_, $_->{is})) } @$recorded;
	foreach my $n (@now)
	{
		next if !$n->{demand} || ($n->{is} && (!$n->{is}{row}{live} || $same_place->($n->{is}, $n)));
		my ($r) = grep { $same_place->($_, $n) } @vanished or next;
		@vanished = grep { $_ != $r } @vanished;
		if (my $left = $r->{is})
		{
			delete $left->{is};
			if (!$left->{demand})
			{
				# what the old line shipped is known
				push @changes, { what => 'new', now => {%$left}, shop => $shop, order => $order, baseline => 1 } if $left->{shipped} > 0;
				$left->{gone} = 1;
			}
		}
		delete $n->{is}{is} if $n->{is};
		$n->{is} = $r;
		$r->{is} = $n;
		$r->{moved} = 1;
	}
	foreach my $n (@now)
	{
		my $r = $n->{is};
		my $change = { now => $n, shop => $shop, order => $order, $r && !$r->{row}{unrecorded} ? (recorded => $r->{row}) : (),
			$r && defined $r->{known} ? (known => $r->{known}) : () };

		if (!$r || $r->{row}{unrecorded})
		{
			push @changes, { %$change, what => 'new' } if ($n->{demand} || $n->{shipped} > 0 || ($r && $r->{known} > 0)) && !$n->{gone};
		}
		elsif (!$n->{demand}) { push @changes, { %$change, what => 'end' } }
		elsif (!$r->{row}{live} || !$same_place->($r, $n)) { push @changes, { %$change, what => 'renew' } }
		else { push @changes, { %$change, what => 'same' } }
	}
	foreach my $r (grep { !$_->{is} && !$_->{row}{unrecorded} } @$recorded)
	{
		push @changes, { what => 'end', recorded => $r->{row}, shop => $shop, order => $order, displaced => $self->has_line($shop, $r->{row}) };
	}
	return @changes;
}

# Serves the touched stock, or takes back from the lowest ranks.
sub allocate
{
	my ($self, $stocks, $overshipped, $counted) = @_;

	foreach my $place (sort keys %$stocks)
	{
		my $s = $self->stock(split(/\|/, $place));
		my @queue = by_rank(values %{ $s->{lines} });
		my $free = $s->{on_hand} - $s->{unavailable} - allocated($s);

		foreach my $r (reverse @queue)
		{
			last if $free >= 0;
			my $part = min(-$free, max($r->{allocated} - $r->{picked}, 0));
			$self->give($r, -$part);
			$free += $part;
		}
		if ($free < 0 && $counted->{$place})
		{
			# the application has fewer: what is held, then what is picked
			my $held = min(-$free, $s->{unavailable});
			$s->{unavailable} -= $held;
			$free += $held;
			foreach my $r (reverse @queue)
			{
				my $part = min(-$free, $r->{allocated});
				$self->give($r, -$part);
				$free += $part;
			}
		}
		if ($free < 0)
		{
			# shipped, so it was there: what is held, and what was found
			my $over = $overshipped->{$place} // {};
			my $part = min(-$free, sum0(values %$over));
			my $held = min($part, $s->{unavailable});
			$s->{unavailable} -= $held;
			$self->move($place, $part - $held);
			$free += $part;
			$self->problem("$place: less than was shipped, and not refused") if $part > $held && !grep { $_ ne 'c' } keys %$over;
			$self->problem("$place: too little stock, and not refused") if $free < 0;
		}
		$self->problem("$place: negative stock, and not refused") if $s->{on_hand} < 0 || $s->{unavailable} < 0;
		foreach my $r (@queue)
		{
			last if $free <= 0;
			next if $r->{held} || $r->{unsettled} || waits($r) <= 0;
			my $part = min($free, waits($r));
			$self->give($r, $part);
			$free -= $part;
		}
	}
	return;
}

# ---------- what is true in the end, a text a row ----------

sub number { my $n = shift; return $n == int($n) ? int($n) : 0 + sprintf('%.4f', $n) }

sub result
{
	my ($self) = @_;
	my @rows;

	foreach my $shop (sort keys %{ $self->{recorded} })
	{
		foreach my $r (map { values %$_ } values %{ $self->{recorded}{$shop} })
		{
			push @rows, join('|', 'line', $shop, $r->{order}, $r->{line}, $r->{item}, $r->{location}, $r->{live}
				? ('live', map { number($_) } $r->{ordered}, $r->{cancelled}, $r->{shipped}, $r->{picked}, $r->{allocated}, waits($r), $r->{priority}, $r->{held} ? 1 : 0)
				: ('not live', number($r->{shipped}), $r->{deleted} ? 'deleted' : 'there'));
		}
	}
	my %on_order;
	foreach my $key (keys %{ $self->{supply} })
	{
		my $y = $self->{supply}{$key};
		$on_order{"$y->{item}|$y->{location}"} += supply_open($y);
		$self->stock($y->{item}, $y->{location});
	}
	foreach my $place (keys %{ $self->{stock} })
	{
		my $s = $self->{stock}{$place};
		my @numbers = ($s->{on_hand}, $s->{unavailable}, allocated($s), sum0(map { waits($_) } values %{ $s->{lines} }), $on_order{$place} // 0);
		push @rows, join('|', 'stock', $place, map { number($_) } @numbers) if grep { $_ } @numbers;
	}
	foreach my $po (keys %{ $self->{orders} })
	{
		my $o = $self->{orders}{$po};
		foreach my $line (keys %{ $self->{po_lines}{$po} // {} })
		{
			my ($l, $y) = ($self->{po_lines}{$po}{$line}, $self->{supply}{"$po|$line"});
			push @rows, join('|', 'purchase', $po, $o->{status}, $o->{location}, $line, $l->{item}, map { number($_) } $l->{ordered}, $l->{cancelled}, $y ? ($y->{received}, supply_open($y)) : (0, 0));
		}
	}
	return sort @rows;
}

# What to buy: of each place what is short of its level, from the preferred supplier, the next ones above a maximum.
# Suppliers: by item, in order of rank, [supplier, minimum, multiple, maximum or '']. Levels: "item|location" => [point, up to].
# By hand: "item|location" => quantity in drafts that the planner does not rewrite.
sub plan
{
	my ($self, $suppliers, $levels, $by_hand) = @_;
	my (%on_order, @rows);

	foreach my $y (values %{ $self->{supply} })
	{
		$on_order{"$y->{item}|$y->{location}"} += supply_open($y);
	}
	foreach my $place (sort keys %{ { %{ $self->{stock} }, %$levels } })
	{
		my ($item, $location) = split(/\|/, $place);
		my $s = $self->stock($item, $location);
		my ($point, $up_to) = @{ $levels->{$place} // [ 0, 0 ] };
		my $has = $s->{on_hand} - $s->{unavailable} - sum0(map { &open($_) } values %{ $s->{lines} }) + ($on_order{$place} // 0) + ($by_hand->{$place} // 0);
		my @from = grep { $_->[3] eq '' || $_->[3] >= $_->[2] } @{ $suppliers->{$item} // [] };
		next if $has >= $point || !@from;
		for (my $need = $up_to - $has; $need > 0;)
		{
			my ($supplier, $minimum, $multiple, $maximum) = @{ $from[0] };
			my $quantity = $multiple * ceil(max($need, $minimum) / $multiple);
			$quantity = min($quantity, $multiple * int($maximum / $multiple)) if $maximum ne '';
			push @rows, join('|', 'plan', $supplier, $location, $item, number($quantity));
			$need -= $quantity;
			shift @from if @from > 1;
		}
	}
	return sort @rows;
}

our $plan_query = <<'EOQ';
SELECT count(*) FROM backorder.plan_purchases() \gset once_
SELECT count(*) FROM backorder.plan_purchases() \gset twice_
SELECT concat_ws('|', 'plan', o.supplier, o.location, l.item, trim_scale(l.ordered)) FROM backorder.purchase_order_line l JOIN backorder.purchase_order o USING (tenant, po_id)
WHERE o.planner AND o.status = 'draft' AND l.planned = l.ordered AND l.cancelled = 0
UNION ALL SELECT 'planning twice is not the same' WHERE :once_count <> :twice_count
EOQ

# The same as the extension has it.
our $result_query = <<'EOQ';
SELECT concat_ws('|', 'line', substr('abc', source_id, 1), order_key, line_key, item, location, CASE WHEN live
	THEN concat_ws('|', 'live', trim_scale(ordered), trim_scale(cancelled), trim_scale(shipped), trim_scale(picked), trim_scale(allocated), trim_scale(backordered), priority, held::int)
	ELSE concat_ws('|', 'not live', trim_scale(shipped), CASE WHEN deleted THEN 'deleted' ELSE 'there' END) END)
FROM backorder.order_line
UNION ALL
SELECT concat_ws('|', 'stock', item, location, trim_scale(on_hand), trim_scale(unavailable), trim_scale(allocated), trim_scale(backordered), trim_scale(on_order))
FROM backorder.stock WHERE on_hand <> 0 OR unavailable <> 0 OR allocated <> 0 OR backordered <> 0 OR on_order <> 0
UNION ALL
SELECT concat_ws('|', 'purchase', l.po_id, o.status, o.location, l.line_no, l.item, trim_scale(l.ordered), trim_scale(l.cancelled), trim_scale(coalesce(y.received, 0)), trim_scale(coalesce(y.open, 0)))
FROM backorder.purchase_order_line l JOIN backorder.purchase_order o USING (tenant, po_id) LEFT JOIN backorder.supply y USING (tenant, po_id, line_no)
EOQ

1;
