# Hostile names, values and calls: names that are nobody's favourites work everywhere a name can stand;
# quantities that are no quantities are refused; no call with NULLs ends in an internal error; errors
# show the writer no row that he may not read; nothing of the same name can lie in wait.

use strict;
use warnings FATAL => 'all';
use utf8;

use Encode qw(encode);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('hardening', init => { extra => [ '-E', 'UTF8', '--locale=C' ] });
$node->safe_psql('postgres', <<'EOS');
CREATE ROLE keeper LOGIN;	-- owns the tables
CREATE ROLE clerk LOGIN;	-- writes orders
GRANT CREATE ON DATABASE postgres TO keeper;
GRANT USAGE ON SCHEMA backorder TO keeper;
GRANT EXECUTE ON FUNCTION backorder.attach, backorder.detach, backorder.resync TO keeper;
EOS
my @keeper = (extra_params => [ '-U', 'keeper' ]);
my @clerk = (extra_params => [ '-U', 'clerk' ]);

sub identifier
{
	return '"' . ($_[0] =~ s/"/""/gr) . '"';
}

sub literal
{
	return "'" . ($_[0] =~ s/'/''/gr) . "'";
}

# Each name as that of a schema, a table, a column and as a value of everything that has one.
my %names = (
	'double quote' => 'a"b',
	'single quote' => q{x'y},
	'dollars' => '$$',
	'dollar tag' => '$1 $body$ %s %I',
	'backslash' => 'c:\\n\\',
	'keyword' => 'select',
	'quoted keyword' => '"select"',
	'newline' => "new\nline",
	'comma and dot' => 'a, b.c',
	'braces' => '{1,"2"}',
	'comment' => '--/*',
	'63 bytes' => 'x' x 63,
	'multibyte' => 'Größe ☃',
	'63 bytes, multibyte' => ('ä' x 31) . 'x');
foreach my $kind (sort keys %names)
{
	my $raw = $names{$kind};
	my ($name, $value) = map { encode('UTF-8', $_) } (identifier($raw), literal($raw));
	my $place = encode('UTF-8', literal(literal($raw)));	# a constant as a mapped expression
	my $ok = eval {
		$node->safe_psql('postgres', qq{
			CREATE SCHEMA $name;
			CREATE TABLE $name.header ($name text PRIMARY KEY, live boolean NOT NULL DEFAULT true);
			CREATE TABLE $name.$name ($name text NOT NULL REFERENCES $name.header ON DELETE CASCADE, line text, item text, quantity integer,
				PRIMARY KEY ($name, line));
			GRANT USAGE ON SCHEMA $name TO clerk;
			GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA $name TO clerk;
			SELECT backorder.attach(} . encode('UTF-8', literal(identifier($raw) . '.' . identifier($raw))) . qq{, item => 'item', quantity => 'quantity',
				order_key => $value, line_key => 'line', header_table => } . encode('UTF-8', literal(identifier($raw) . '.header'))
			  . qq{, header_key => $value, live => 'live', customer => $value, location => $place, tenant => $value)}, @keeper);
		$node->safe_psql('postgres', qq{
			BEGIN;
			INSERT INTO $name.header VALUES ($value);
			INSERT INTO $name.$name VALUES ($value, $value, $value, 5), ($value, 'other', $value, 2);
			UPDATE $name.$name SET quantity = 6 WHERE line = $value;
			DELETE FROM $name.$name WHERE line = 'other';
			COMMIT}, @clerk);
		$node->safe_psql('postgres', qq{
			INSERT INTO backorder.supplier (tenant, supplier, lead_time) VALUES ($value, $value, 30000);
			INSERT INTO backorder.supplier_item (tenant, supplier, item) VALUES ($value, $value, $value);
			SELECT backorder.receive($value, 1, $value, reference => $value, tenant => $value);
			SELECT backorder.receive($value, 1, $value, reference => $value, tenant => $value);
			SELECT backorder.plan_purchases($value, $value, $value, $value);
			SELECT backorder.place_purchase_order(po_id, tenant => $value) FROM backorder.purchase_order WHERE tenant = $value;
			SELECT backorder.receive_purchase_order(po_id, $value, tenant => $value) FROM backorder.purchase_order WHERE tenant = $value;
			SELECT backorder.adjust($value, -2, $value, $value, tenant => $value)});
		1;
	};
	ok($ok, "$kind: a shop with this name everywhere") or diag($@);
	is($node->safe_psql('postgres', qq{
		SELECT order_key = $value, line_key = $value, item = $value, location = $value, customer = $value, ordered, allocated, backordered
		FROM backorder.order_line WHERE tenant = $value}),
		't|t|t|t|t|6|4|2', "$kind: its line is recorded");
	is($node->safe_psql('postgres', qq{
		SELECT line = $value, has, waits_for FROM backorder.explain($value, } . encode('UTF-8', literal(identifier($raw) . '.' . identifier($raw))) . ')'),
		't|4|2', "$kind: explain() finds the order");
	is($node->safe_psql('postgres', qq{
		SELECT string_agg(type, ' ' ORDER BY id), bool_and(payload->>'customer' = $value AND payload->>'order' = $value)
		FROM backorder.event WHERE tenant = $value}),
		'backordered allocated promised allocated ready deallocated backordered|t', "$kind: its events carry it");
	is($node->safe_psql('postgres', 'SELECT backorder.resync(' . encode('UTF-8', literal(identifier($raw) . '.' . identifier($raw))) . ", $value)", @keeper),
		'0', "$kind: resync() finds nothing to do");
}
consistent_ok($node, 'hostile names');
foreach my $kind (sort keys %names)
{
	$node->safe_psql('postgres', encode('UTF-8', 'SELECT backorder.detach(' . literal(identifier($names{$kind}) . '.' . identifier($names{$kind})) . ')'), @keeper);
}
is($node->safe_psql('postgres', 'SELECT sum(allocated + backordered) FROM backorder.stock'), '0', 'hostile names: all detached');
consistent_ok($node, 'hostile names, detached');

# Quantities that are none, and such as no numeric can hold.
$node->safe_psql('postgres', q{
	CREATE SCHEMA shop;
	CREATE TABLE shop.lines (id integer PRIMARY KEY, item text, quantity numeric, shipped numeric DEFAULT 0);
	GRANT USAGE ON SCHEMA shop TO clerk;
	GRANT SELECT, INSERT, UPDATE, DELETE ON shop.lines TO clerk;
	SELECT backorder.attach('shop.lines', item => 'item', quantity => 'quantity', shipped => 'shipped');
	INSERT INTO shop.lines VALUES (1, 'N', 3);
	SELECT backorder.receive('N', 1);
	INSERT INTO backorder.supplier (supplier) VALUES ('acme');
	INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (1, 'acme', 'placed');
	INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered) VALUES (1, 1, 'N', 5)});
my $state = q{
	SELECT to_jsonb(s) FROM backorder.stock s WHERE tenant = ''; SELECT to_jsonb(l) FROM backorder.order_line l WHERE tenant = '';
	SELECT to_jsonb(y) FROM backorder.supply y WHERE tenant = ''; SELECT count(*) FROM backorder.stock_movement; SELECT count(*) FROM backorder.event};
my $before = $node->safe_psql('postgres', $state);
foreach my $value ("'NaN'", "'Infinity'", "'-Infinity'")
{
	foreach my $statement (
		"SELECT backorder.receive('N', $value)", "SELECT backorder.adjust('N', $value, 'x')", "SELECT backorder.count_stock('N', $value)",
		"SELECT backorder.hold_stock('N', $value, 'x')", "SELECT backorder.release_stock('N', $value)", "SELECT backorder.transfer('N', $value, '', 'east')",
		"SELECT backorder.receive_purchase_line(1, 1, $value)",
		"INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('N', 'receipt', $value)",
		"INSERT INTO backorder.stock_movement (item, kind, unavailable) VALUES ('N', 'hold', $value)",
		"UPDATE backorder.purchase_order_line SET ordered = $value WHERE po_id = 1", "UPDATE backorder.purchase_order_line SET cancelled = $value WHERE po_id = 1",
		"UPDATE shop.lines SET quantity = $value", "UPDATE shop.lines SET shipped = $value")
	{
		refused_ok($node, $statement, 'OB003', "refused: $statement");
	}
}
foreach my $statement (
	q{SELECT backorder.receive('N', 9e131071) FROM generate_series(1, 2)}, q{SELECT backorder.receive('N', q) FROM (VALUES (9e131071), (9e131071)) v (q)},
	q{INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('N', 'receipt', 9e131071), ('N', 'receipt', 9e131071)},
	q{INSERT INTO shop.lines VALUES (2, 'N', 9e131071), (3, 'N', 9e131071)},
	q{INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered) VALUES (1, 2, 'N', 9e131071), (1, 3, 'N', 9e131071)})
{
	my ($status, $out, $err) = $node->psql('postgres', $statement, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	like($err, qr/ERROR:\s+(OB003|22003)/, "overflow refused: $statement");
}
is($node->safe_psql('postgres', $state), $before, 'nothing was changed by it');
consistent_ok($node, 'quantities');
$node->safe_psql('postgres', q{
	INSERT INTO shop.lines VALUES (4, 'tiny', 0.0000000000000000000000000001), (5, 'huge', 123456789012345678901234567890123456789.5);
	SELECT backorder.receive('tiny', 1e-28), backorder.receive('huge', 1e38)});
is($node->safe_psql('postgres', q{SELECT item, allocated = quantity, ordered - allocated - backordered FROM backorder.order_line JOIN shop.lines USING (item)
	WHERE item IN ('tiny', 'huge') ORDER BY item}),
	"huge|f|0.0\ntiny|t|0.0000000000000000000000000000", 'very small and very large quantities are exact');
consistent_ok($node, 'small and large');

# Every function: all arguments NULL, all empty, all far out.
my %arguments = (
	'nothing but NULL' => {},
	'empty arguments' => {
		text => q{''}, numeric => 0, integer => 0, bigint => 0, boolean => 'false', regclass => q{'shop.lines'},
		'timestamp with time zone' => 'now()', 'text[]' => q{'{}'}, 'backorder.stock_movement[]' => q{'{}'}, 'backorder.order_line[]' => q{'{}'} },
	'far-out arguments' => {
		text => q{repeat('x', 100000)}, numeric => '1e100000', integer => 2147483647, bigint => '-9223372036854775808', boolean => 'true',
		regclass => q{'pg_class'}, 'timestamp with time zone' => q{'-infinity'}, 'text[]' => q{'{{NULL,""},{x,x}}'},
		'backorder.stock_movement[]' => 'ARRAY[NULL]', 'backorder.order_line[]' => 'ARRAY[NULL]' });
my @functions = split(/\n/, $node->safe_psql('postgres', q{
	SELECT p.oid::regproc || '|' || string_agg(format_type(a.type, NULL), ',' ORDER BY a.n)
	FROM pg_proc p, unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, n)
	WHERE p.pronamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
	GROUP BY p.oid ORDER BY 1}));
foreach my $kind (sort keys %arguments)
{
	my $from = -s $node->logfile;
	my @internal;
	foreach my $function (@functions)
	{
		my ($name, $types) = split(/\|/, $function);
		my $call = "SELECT * FROM $name(" . join(', ', map { ($arguments{$kind}->{$_} // 'NULL') . "::$_" } split(/,/, $types)) . ')';
		my ($status, $out, $err) = $node->psql('postgres', "BEGIN; $call; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK",
			extra_params => [ '-v', 'VERBOSITY=sqlstate' ], on_error_stop => 1);
		push @internal, "$name: $err" if $err =~ /ERROR:\s+XX|server closed/;
	}
	is(join("\n", @internal), '', "$kind: no internal error in any function");
	unlike(slurp_file($node->logfile, $from), qr/terminated by signal|PANIC|TRAP/, "$kind: no crash");
}
consistent_ok($node, 'odd calls');

# Errors in a mapping name table, column and order; what they read on the way stays unsaid to a writer
# who may not read it.
$node->safe_psql('postgres', q{
	CREATE SCHEMA private;
	CREATE TABLE private.header (id integer PRIMARY KEY, note text, discount numeric DEFAULT 1);
	CREATE TABLE private.lines (header_id integer, line_no integer, item text, quantity numeric, PRIMARY KEY (header_id, line_no));
	GRANT USAGE ON SCHEMA private TO clerk;
	GRANT INSERT ON private.lines TO clerk;
	SELECT backorder.attach('private.lines', item => 'item', quantity => 'line.quantity / header.discount', order_key => 'header_id', line_key => 'line_no',
		header_table => 'private.header', header_key => 'id', priority => 'CASE WHEN header.note IS NOT NULL THEN header.note::integer END');
	INSERT INTO private.header VALUES (1, 'the combination is 4711', 1), (2, NULL, 0)}, @keeper);
foreach my $order ([ 1, 'priority' ], [ 2, 'quantity' ])
{
	my ($id, $column) = @$order;
	my ($status, $out, $err) = $node->psql('postgres', "INSERT INTO private.lines VALUES ($id, 1, 'P', 3)",
		extra_params => [ '-U', 'clerk', '-v', 'VERBOSITY=verbose' ]);
	like($err, qr/ERROR:\s+OB002/, "mapping error in $column: OB002");
	like($err, qr/private\.lines/, "mapping error in $column: names the table");
	like($err, qr/\b$column\b/, "mapping error in $column: names the mapped column");
	like($err, qr/\b$id\b/, "mapping error in $column: names the order");
	unlike($err, qr/4711/, "mapping error in $column: shows no row that the writer may not read");
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM private.lines}), '0', 'mapping error: the order is refused');

# The mapping cannot use the rights of whoever writes.
$node->safe_psql('postgres', q{
	CREATE FUNCTION private.sneak() RETURNS integer LANGUAGE plpgsql STABLE AS $$
	BEGIN
		RESET ROLE; RESET SESSION AUTHORIZATION;
		RETURN (SELECT count(*) FROM pg_authid);
	EXCEPTION WHEN OTHERS THEN
		RETURN CASE WHEN (SELECT count(*) FROM pg_authid) > 0 THEN 1000 END;
	END $$;
	UPDATE private.header SET note = NULL, discount = 1;
	SELECT backorder.attach('private.lines', item => 'item', quantity => 'quantity', order_key => 'header_id', line_key => 'line_no', priority => 'private.sneak()')},
	@keeper);
refused_ok($node, q{INSERT INTO private.lines VALUES (1, 1, 'P', 3)}, 'OB002', 'a mapping that reaches for a superuser\'s rights fails');
$node->safe_psql('postgres', q{SELECT backorder.detach('private.lines')}, @keeper);

# Row level security hides rows from their writer, and from their owner, not from the mapping.
$node->safe_psql('postgres', q{
	CREATE TABLE private.guarded (id integer PRIMARY KEY, item text, quantity integer, owner text DEFAULT current_user);
	ALTER TABLE private.guarded ENABLE ROW LEVEL SECURITY;
	ALTER TABLE private.guarded FORCE ROW LEVEL SECURITY;
	CREATE POLICY mine ON private.guarded USING (owner = current_user) WITH CHECK (true);
	GRANT SELECT, INSERT, UPDATE, DELETE ON private.guarded TO clerk;
	SELECT backorder.attach('private.guarded', item => 'item', quantity => 'quantity')}, @keeper);
$node->safe_psql('postgres', q{
	INSERT INTO private.guarded (id, item, quantity, owner) VALUES (1, 'R', 5, current_user), (2, 'R', 1, 'nobody');
	UPDATE private.guarded SET quantity = 6}, @clerk);
refused_ok($node, q{SET row_security = off; SELECT * FROM private.guarded}, '42501', 'row_security off: the clerk may not read', '-U', 'clerk');
$node->safe_psql('postgres', q{SET row_security = off; INSERT INTO private.guarded VALUES (3, 'R', 2)});
is($node->safe_psql('postgres', q{SELECT order_key, ordered FROM backorder.order_line WHERE item = 'R' ORDER BY order_key}),
	"1|6\n2|1\n3|2", 'row level security: the mapping sees every row, also with row_security off');
is($node->safe_psql('postgres', q{SELECT backorder.resync('private.guarded')}, @keeper), '0', 'row level security: resync() too');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace)}),
	'0', 'the extension has no policies of its own');
consistent_ok($node, 'row level security');

# What lies in wait under our names makes CREATE EXTENSION fail; so does the schema of the machinery itself.
foreach my $object (
	'TABLE backorder.stock (item text)', 'VIEW backorder.backlog AS SELECT 1 AS one', 'TYPE backorder.allocated AS (one integer)',
	q{FUNCTION backorder.flush() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'},
	q{FUNCTION backorder.source_relation(integer) RETURNS regclass LANGUAGE sql AS 'SELECT NULL::regclass'},
	'SCHEMA backorder_internal', 'SCHEMA backorder_internal CREATE SEQUENCE line_id_seq')
{
	my ($name) = $object =~ /^(\w+ [\w.]+)/;
	$node->safe_psql('postgres', 'CREATE DATABASE trap');
	$node->safe_psql('trap', "CREATE SCHEMA backorder; CREATE $object");
	my ($status, $out, $err) = $node->psql('trap', 'CREATE EXTENSION backorder', extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	like($err, qr/ERROR:\s+(42P07|42723|42710|42P06)/, "CREATE EXTENSION fails where there is a $name");
	$node->safe_psql('postgres', 'DROP DATABASE trap');
}
# Also where it lies there alone, and whoever owns it.
$node->safe_psql('postgres', 'CREATE DATABASE trap OWNER keeper');
$node->safe_psql('trap', 'CREATE SCHEMA backorder_internal', @keeper);
refused_ok($node, "\\c trap\nCREATE EXTENSION backorder", '42P06', 'CREATE EXTENSION fails where a role has made a schema backorder_internal');
$node->safe_psql('postgres', 'DROP DATABASE trap');

done_testing();
