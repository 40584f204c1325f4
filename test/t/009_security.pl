# Who may do what: the application's roles need no right on the extension and get none; forged
# triggers are refused; names that shadow ours, in the search path or as temporary tables, change
# nothing; a mapping runs as the owner of its tables.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('security');
$node->safe_psql('postgres', <<'EOS');
CREATE ROLE keeper LOGIN;	-- owns the shop's tables
CREATE ROLE clerk LOGIN;	-- writes orders
CREATE ROLE buyer LOGIN;	-- uses the extension's functions
CREATE SCHEMA shop AUTHORIZATION keeper;
CREATE SCHEMA evil AUTHORIZATION clerk;
GRANT USAGE ON SCHEMA evil TO buyer;
GRANT TEMPORARY ON DATABASE postgres TO clerk, buyer;
SET ROLE keeper;
CREATE TABLE shop.orders (id integer PRIMARY KEY, customer text NOT NULL DEFAULT 'walk-in', status text NOT NULL DEFAULT 'open');
CREATE TABLE shop.lines (order_id integer NOT NULL REFERENCES shop.orders ON DELETE CASCADE, line_no integer NOT NULL,
	item text NOT NULL, quantity numeric NOT NULL, shipped numeric NOT NULL DEFAULT 0, PRIMARY KEY (order_id, line_no));
-- Who runs the mapping, and does it leave settings behind?
CREATE FUNCTION shop.seen_by(customer text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	PERFORM pg_catalog.set_config('search_path', 'nowhere', false);
	RETURN customer || ' seen by ' || current_user;
END $$;
GRANT USAGE ON SCHEMA shop TO clerk, buyer;
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.orders, shop.lines TO clerk;
RESET ROLE;
EOS

my $attach = q{SELECT backorder.attach('shop.lines', item => 'item', quantity => 'quantity', order_key => 'order_id', line_key => 'line_no',
	header_table => 'shop.orders', header_key => 'id', live => $$header.status = 'open'$$, shipped => 'shipped',
	customer => 'shop.seen_by(header.customer)')};

# nobody may do anything by default
is($node->safe_psql('postgres', q{
	SELECT c.oid::regclass, p.name FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p (name)
	WHERE c.relnamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND c.relkind IN ('r', 'v') AND has_table_privilege('clerk', c.oid, p.name)
	UNION ALL
	SELECT c.oid::regclass, p.name FROM pg_class c, unnest(ARRAY['SELECT', 'USAGE', 'UPDATE']) AS p (name)
	WHERE c.relnamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND c.relkind = 'S' AND has_sequence_privilege('clerk', c.oid, p.name)}),
	'', 'PUBLIC has no right on any table, view or sequence');
is($node->safe_psql('postgres', q{
	SELECT p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND has_function_privilege('clerk', p.oid, 'EXECUTE') ORDER BY p.proname}),
	"backorder_internal.capture()\nbackorder_internal.evaluating(text,text)", 'PUBLIC may execute what triggers and mappings call, and nothing else');
is($node->safe_psql('postgres', q{
	SELECT has_schema_privilege('clerk', 'backorder_internal', 'USAGE'), has_schema_privilege('clerk', 'backorder_internal', 'CREATE'),
		has_schema_privilege('clerk', 'backorder', 'USAGE'), has_schema_privilege('clerk', 'backorder', 'CREATE')}),
	't|f|f|f', 'PUBLIC may look names up in the schema of the machinery, and not create any; nothing in that of users');
is($node->safe_psql('postgres', q{
	SELECT p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND p.prosecdef AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']}),
	'', 'every SECURITY DEFINER function pins its search_path');
refused_ok($node, $attach, '42501', 'attach: not without the right to', '-U', 'keeper');

# attach: the right, and the table's owner
$node->safe_psql('postgres', q{GRANT USAGE ON SCHEMA backorder TO keeper, buyer; GRANT EXECUTE ON FUNCTION backorder.attach TO keeper, buyer});
my ($status, $out, $err) = $node->psql('postgres', $attach, extra_params => [ '-U', 'buyer', '-v', 'VERBOSITY=sqlstate' ]);
ok($status != 0 && $err =~ /ERROR:\s+(OB001|42501)/, 'attach: not another role\'s table') or diag($err);
is($node->safe_psql('postgres', $attach, extra_params => [ '-U', 'keeper' ]), '1', 'attach: the owner may');
$node->safe_psql('postgres', 'REVOKE EXECUTE ON FUNCTION backorder.attach FROM keeper, buyer');

# what only reads a mapping runs code of its owner's too: constants of types over a domain are checked
$node->safe_psql('postgres', q{
	CREATE TABLE shop.seen (who name);
	GRANT INSERT, SELECT ON shop.seen TO PUBLIC;
	GRANT CREATE ON SCHEMA shop TO keeper;
	SET ROLE keeper;
	-- which leaves a search_path behind with operators that shadow PostgreSQL's
	CREATE FUNCTION shop.equal(integer, integer) RETURNS boolean LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO shop.seen VALUES (current_user); RETURN $1 OPERATOR(pg_catalog.=) $2; END$$;
	CREATE FUNCTION shop.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO shop.seen VALUES (current_user); RETURN $1 OPERATOR(pg_catalog.=) $2; END$$;
	CREATE OPERATOR shop.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = shop.equal);
	CREATE OPERATOR shop.= (LEFTARG = text, RIGHTARG = text, FUNCTION = shop.equal);
	CREATE FUNCTION shop.leads_astray(text) RETURNS text LANGUAGE plpgsql STABLE AS
		$$BEGIN PERFORM pg_catalog.set_config('search_path', 'shop, pg_catalog', true); RETURN $1; END$$;
	CREATE FUNCTION shop.spy(text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO shop.seen VALUES (current_user);
		PERFORM pg_catalog.set_config('search_path', 'shop, pg_catalog', true);
		RETURN true;
	END$$;
	CREATE DOMAIN shop.spying AS text CHECK (shop.spy(VALUE));
	CREATE TYPE shop.pair AS (a shop.spying, b integer);
	CREATE TABLE shop.spied (k shop.pair PRIMARY KEY, item text, quantity integer, tags shop.spying[]);
	CREATE TABLE shop.led (k shop.pair);
	RESET ROLE;
	GRANT EXECUTE ON FUNCTION backorder.attach TO keeper;
	SET ROLE keeper;
	SELECT backorder.attach('shop.spied', item => $$shop.leads_astray(coalesce(item, ('{x}'::shop.spying[])[1]))$$, quantity => 'quantity', order_key => 'k', line_key => 'item',
		watch => ARRAY[$$shop.led: SELECT watched.k WHERE ('{x}'::shop.spying[])[1] OPERATOR(pg_catalog.=) 'x'$$]);
	INSERT INTO shop.spied VALUES (('a', 1), 'X', 1);
	RESET ROLE;
	REVOKE EXECUTE ON FUNCTION backorder.attach FROM keeper});
$node->safe_psql('postgres', $_) foreach (
	q{INSERT INTO shop.spied VALUES (('b', 1), NULL, 1), (('c', 1), 'Y', 2)},
	q{SELECT count(*) FROM backorder.attach_preview('shop.spied', item => 'item', quantity => 'quantity', line_key => 'item', live => $$tags OPERATOR(pg_catalog.=) '{open}'$$)},
	q{UPDATE shop.spied SET quantity = quantity + 1},
	q{INSERT INTO shop.led VALUES (('a', 1))},
	q{SELECT backorder.resync('shop.spied')},
	q{SELECT * FROM backorder.verify()});
# the application's own statements are who sent them
is($node->safe_psql('postgres', q{SELECT DISTINCT who FROM shop.seen WHERE who NOT IN ('keeper')}), 'postgres', 'only statements of others ran it as others');
$node->safe_psql('postgres', q{DELETE FROM shop.seen});
$node->safe_psql('postgres', $_) foreach (
	q{SELECT count(*) FROM backorder.source s, backorder_internal.mapped_lines(s.source_id) WHERE s.line_table = 'spied'},
	q{SELECT count(*) FROM backorder.attach_preview('shop.spied', item => 'item', quantity => 'quantity', line_key => 'item', live => $$tags OPERATOR(pg_catalog.=) '{open}'$$)},
	q{BEGIN; SET LOCAL ROLE keeper; UPDATE shop.spied SET quantity = quantity + 1 WHERE quantity > 0; RESET ROLE; COMMIT},
	q{SELECT backorder.resync('shop.spied')},
	q{SELECT * FROM backorder.verify()});
is($node->safe_psql('postgres', q{SELECT DISTINCT who FROM shop.seen}), 'keeper', 'a mapping is parsed, and its keys are read, as the owner of its tables');
$node->safe_psql('postgres', q{SELECT backorder.detach('shop.spied'); DROP TABLE shop.spied, shop.led});

# orders by a role without any right on the extension
is($node->safe_psql('postgres', q{
	INSERT INTO shop.orders VALUES (1);
	INSERT INTO shop.lines VALUES (1, 1, 'X', 3), (1, 2, 'Y', 2);
	UPDATE shop.lines SET quantity = 4 WHERE line_no = 1;
	DELETE FROM shop.lines WHERE line_no = 2;
	SHOW search_path}, extra_params => [ '-U', 'clerk' ]),
	'"$user", public', 'orders are written without a right, and settings stay as they are');
is($node->safe_psql('postgres', 'SELECT order_key, line_key, item, ordered, backordered, customer FROM backorder.order_line'),
	'1|1|X|4|4|walk-in seen by keeper', 'the mapping runs as the owner of the table');
$node->safe_psql('postgres', q{INSERT INTO shop.orders VALUES (2); INSERT INTO shop.lines VALUES (2, 1, 'X', 1)});
is($node->safe_psql('postgres', q{SELECT customer FROM backorder.order_line WHERE order_key = '2'}),
	'walk-in seen by keeper', 'also when a superuser writes the order');
refused_ok($node, 'SELECT * FROM backorder.order_line', '42501', 'clerk may not look names up', '-U', 'clerk');
$node->safe_psql('postgres', 'GRANT USAGE ON SCHEMA backorder TO clerk');
foreach my $statement (
	'SELECT * FROM backorder.order_line', 'SELECT * FROM backorder.backlog', 'UPDATE backorder.stock SET on_hand = 100',
	q{INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('X', 'receipt', 5)},
	'INSERT INTO backorder_internal.commit_work VALUES (true)', q{SELECT backorder.receive('X', 5)}, 'SELECT * FROM backorder.verify()',
	'SELECT backorder.flush()', q{SELECT backorder.detach('shop.lines')}, q{SELECT nextval('backorder_internal.line_id_seq')},
	'SELECT * FROM backorder_internal.mapped_lines(1)')
{
	refused_ok($node, $statement, '42501', "clerk may not: $statement", '-U', 'clerk');
}
$node->safe_psql('postgres', 'REVOKE USAGE ON SCHEMA backorder FROM clerk');

# forged triggers
$node->safe_psql('postgres', 'CREATE TABLE evil.lines AS SELECT * FROM shop.lines', extra_params => [ '-U', 'clerk' ]);
my $forge = q{CREATE TRIGGER forged AFTER INSERT ON evil.lines FOR EACH ROW EXECUTE FUNCTION backorder_internal.capture('1')};
foreach my $trigger (
	[ 'row', $forge ],
	[ 'no argument', q{CREATE TRIGGER forged AFTER INSERT ON evil.lines FOR EACH ROW EXECUTE FUNCTION backorder_internal.capture()} ],
	[ 'nonsense argument', q{CREATE TRIGGER forged AFTER INSERT ON evil.lines FOR EACH ROW EXECUTE FUNCTION backorder_internal.capture('x', '2')} ],
	[ 'before', q{CREATE TRIGGER forged BEFORE INSERT ON evil.lines FOR EACH ROW EXECUTE FUNCTION backorder_internal.capture('1')} ],
	[ 'statement', q{CREATE TRIGGER forged AFTER INSERT ON evil.lines FOR EACH STATEMENT EXECUTE FUNCTION backorder_internal.capture('1')} ])
{
	my ($name, $create) = @$trigger;
	$node->safe_psql('postgres', $create, extra_params => [ '-U', 'clerk' ]);
	($status, $out, $err) = $node->psql('postgres', q{INSERT INTO evil.lines VALUES (9, 1, 'X', 5, 0)},
		extra_params => [ '-U', 'clerk', '-v', 'VERBOSITY=sqlstate' ]);
	ok($status != 0 && $err =~ /ERROR:\s+(OB010|39P01)/, "forged trigger, $name: refused") or diag($err);
	$node->safe_psql('postgres', 'DROP TRIGGER forged ON evil.lines');
}
$node->safe_psql('postgres', $forge);
refused_ok($node, q{INSERT INTO evil.lines VALUES (9, 1, 'X', 5, 0)}, 'OB010', 'forged trigger, row: refused with OB010', '-U', 'clerk');
refused_ok($node, q{INSERT INTO evil.lines VALUES (9, 1, 'X', 5, 0)}, 'OB010', 'forged trigger: refused to a superuser too');
refused_ok($node, q{TRUNCATE evil.lines; INSERT INTO evil.lines SELECT * FROM shop.lines}, 'OB010', 'forged trigger: also with rows of the real table');
($status, $out, $err) = $node->psql('postgres', 'SELECT backorder_internal.capture()', extra_params => [ '-U', 'clerk' ]);
isnt($status, 0, 'capture() cannot be called by hand');
foreach my $function (qw(commit_work apply_movements apply_purchases lock_pending check_purchase_order policy_changed))
{
	refused_ok($node, "CREATE TRIGGER forged2 AFTER INSERT ON evil.lines FOR EACH ROW EXECUTE FUNCTION backorder_internal.$function()",
		'42501', "$function() cannot be put on a table of one's own", '-U', 'clerk');
}
$node->safe_psql('postgres', 'DROP TABLE evil.lines');
is($node->safe_psql('postgres', 'SELECT count(*) FROM backorder.order_line'), '2', 'nothing forged was recorded');
consistent_ok($node, 'forged');

# Fakes: functions, operators and types that raise an error if anybody uses them.
my @types = qw(text integer bigint numeric boolean date timestamptz oid jsonb);
my $fakes = join("\n", map {
	my $type = $_;
	("CREATE FUNCTION evil.fake($type, $type) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN RAISE EXCEPTION 'fake used'; END \$\$;",
	 (map { "CREATE OPERATOR evil.$_ (LEFTARG = $type, RIGHTARG = $type, FUNCTION = evil.fake);" } qw(= <> < > <= >=)),
	 ("CREATE FUNCTION evil.fake_calc($type, $type) RETURNS $type LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN RAISE EXCEPTION 'fake used'; END \$\$;"),
	 (map { "CREATE OPERATOR evil.$_ (LEFTARG = $type, RIGHTARG = $type, FUNCTION = evil.fake_calc);" } qw(+ - * ||)),
	 "CREATE FUNCTION evil.sum_state($type, $type) RETURNS $type LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN RAISE EXCEPTION 'fake used'; END \$\$;",
	 (map { "CREATE AGGREGATE evil.$_ ($type) (SFUNC = evil.sum_state, STYPE = $type);" } qw(sum min max)),
	) } @types);
$fakes .= join("\n", map {
	my ($name, $args, $result) = @$_;
	"CREATE FUNCTION evil.$name($args) RETURNS $result LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'fake used'; END \$\$;"
} ([ 'now', '', 'timestamptz' ], [ 'clock_timestamp', '', 'timestamptz' ], [ 'nextval', 'regclass', 'bigint' ],
	[ 'nextval', 'text', 'bigint' ], [ 'lower', 'text', 'text' ], [ 'ceil', 'numeric', 'numeric' ], [ 'floor', 'numeric', 'numeric' ],
	[ 'to_regclass', 'text', 'regclass' ], [ 'quote_literal', 'text', 'text' ], [ 'quote_ident', 'text', 'text' ],
	[ 'pg_current_xact_id', '', 'xid8' ], [ 'trim_scale', 'numeric', 'numeric' ], [ 'current_setting', 'text', 'text' ],
	[ 'seen_by', 'text', 'text' ], [ 'capture', '', 'trigger' ], [ 'receive', 'text, numeric', 'void' ], [ 'flush', '', 'bigint' ]));
$fakes .= 'CREATE DOMAIN evil.text AS pg_catalog.int4; CREATE DOMAIN evil.numeric AS pg_catalog.bool;';
$node->safe_psql('postgres', $fakes, extra_params => [ '-U', 'clerk' ]);
$node->safe_psql('postgres', 'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA evil TO PUBLIC');

my @shadowed = split(/\n/, $node->safe_psql('postgres', q{
	SELECT relname FROM pg_class WHERE relnamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND relkind IN ('r', 'v') ORDER BY relname}));
my $shadow = join("\n", map { "CREATE TEMP TABLE $_ (nothing pg_catalog.int4);" } @shadowed, qw(orders lines line header new_rows old_rows))
	. "\nSET search_path = pg_temp, evil, pg_catalog;\n";

$node->safe_psql('postgres', $shadow . q{
	INSERT INTO shop.orders VALUES (3, 'Eve');
	INSERT INTO shop.lines VALUES (3, 1, 'X', 5), (3, 2, 'Z', 1);
	UPDATE shop.lines SET quantity = 6, shipped = 1 WHERE order_id OPERATOR(pg_catalog.=) 3 AND line_no OPERATOR(pg_catalog.=) 1;
	DELETE FROM shop.orders WHERE id OPERATOR(pg_catalog.=) 2;
}, extra_params => [ '-U', 'clerk' ]);
is($node->safe_psql('postgres', 'SELECT order_key, line_key, item, ordered, shipped, backordered, customer FROM backorder.order_line ORDER BY 1, 2'),
	"1|1|X|4|0|4|walk-in seen by keeper\n3|1|X|6|1|5|Eve seen by keeper\n3|2|Z|1|0|1|Eve seen by keeper",
	'fakes in the writer\'s search path change nothing');

# The functions, called by a role that has been granted them, with the same fakes in its path.
$node->safe_psql('postgres', q{
	INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('acme', 30000);
	INSERT INTO backorder.supplier_item (supplier, item) VALUES ('acme', 'X'), ('acme', 'Z');
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA backorder TO buyer;
	GRANT SELECT ON ALL TABLES IN SCHEMA backorder TO buyer;
	GRANT INSERT ON backorder.stock_movement TO buyer;
	GRANT INSERT, UPDATE, DELETE ON backorder.purchase_order, backorder.purchase_order_line TO buyer});
$node->safe_psql('postgres', $shadow . q{
	SELECT item FROM backorder.receive('X', 2);
	SELECT item FROM backorder.adjust('X', 1, 'found');
	SELECT item FROM backorder.count_stock('X', 3);
	SELECT item FROM backorder.hold_stock('Y', 0, 'none');
	SELECT item FROM backorder.plan_purchases();
	SELECT backorder.place_purchase_order(po_id) FROM backorder.purchase_order;
	SELECT item FROM backorder.receive_purchase_line(po_id => (SELECT po_id FROM backorder.purchase_order), line_no => 1, quantity => 1);
	UPDATE backorder.purchase_order_line SET expected_at = '2099-01-01';
	SELECT item FROM backorder.receive_purchase_order(po_id => (SELECT po_id FROM backorder.purchase_order));
	SELECT backorder.close_purchase_order(po_id) FROM backorder.purchase_order;
	INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES ('Y', 'receipt', 4);
	INSERT INTO backorder.purchase_order (po_id, supplier, status) VALUES (50, 'acme', 'placed');
	INSERT INTO backorder.purchase_order_line (po_id, line_no, item, ordered) VALUES (50, 1, 'Q', 4);
	DELETE FROM backorder.purchase_order_line WHERE po_id OPERATOR(pg_catalog.=) 50;
	SELECT item FROM backorder.explain('1');
	SELECT backorder.available_from('X', 3);
	SELECT id FROM backorder.take_events(100);
	SELECT check_name FROM backorder.verify();
	SELECT item FROM backorder.backlog; SELECT item FROM backorder.shortage; SELECT item FROM backorder.pegging;
	SELECT item FROM backorder.unsourced; SELECT item FROM backorder.purchases; SELECT item FROM backorder.availability;
	SELECT bucket FROM backorder.aging; SELECT item FROM backorder.fill_rate; SELECT order_key FROM backorder.order_status;
	SELECT backorder.repromise();
}, extra_params => [ '-U', 'buyer' ]);
is($node->safe_psql('postgres', 'SELECT item, on_hand, allocated, backordered, on_order FROM backorder.stock ORDER BY item'),
	"Q|0|0|0|0\nX|9|9|0|0\nY|4|0|0|0\nZ|1|1|0|0", 'nor do fakes in the buyer\'s');
foreach my $statement (
	'UPDATE backorder.stock SET on_hand = 100', 'UPDATE backorder.stock_movement SET quantity = 100', 'DELETE FROM backorder.allocation',
	q{INSERT INTO backorder.waiting_order (source_id, order_key) VALUES (1, '1')}, 'UPDATE backorder.supply SET received = 0')
{
	refused_ok($node, $statement, '42501', "buyer may not: $statement", '-U', 'buyer');
}

# Who may write a table, but not see how it is mapped, is not shown the mapping with an error in what he wrote.
$node->safe_psql('postgres', q{
	CREATE ROLE packer LOGIN;
	CREATE TABLE public.hidden (id integer PRIMARY KEY, item text, quantity numeric, kind text);
	GRANT INSERT ON public.hidden TO packer;
	SELECT backorder.attach('public.hidden', item => 'item', quantity => $e$CASE kind WHEN 'a secret' THEN 0 ELSE quantity END$e$, order_key => 'id');
});
foreach my $wrong (q{'NaN'}, q{'Infinity'})
{
	my $error = '';

	$node->psql('postgres', "INSERT INTO public.hidden VALUES (1, 'H', $wrong, 'x')", stderr => \$error, extra_params => [ '-U', 'packer' ]);
	like($error, qr/quantity of an order line is not finite/, "$wrong is refused");
	unlike($error, qr/secret|CASE|SELECT/, 'without the mapping');
}
consistent_ok($node, 'the end');

# an index of somebody's own on a table of ours calls a function by its bare name, of which there is a fake
$node->safe_psql('postgres', q{
	CREATE FUNCTION public.norm(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN lower(t); END$$;
	CREATE INDEX order_line_norm ON backorder.order_line (public.norm(item));
	CREATE TABLE shop.plain_orders (id integer PRIMARY KEY);
	CREATE TABLE shop.plain_lines (order_id integer NOT NULL REFERENCES shop.plain_orders, line_no integer, item text, PRIMARY KEY (order_id, line_no));
	GRANT SELECT, INSERT ON shop.plain_orders, shop.plain_lines TO clerk;
	SELECT backorder.attach('shop.plain_lines', item => 'item', quantity => '1', order_key => 'order_id', line_key => 'line_no', header_table => 'shop.plain_orders')});
is($node->safe_psql('postgres', q{
	SET search_path = evil, pg_catalog;
	BEGIN;
	INSERT INTO shop.plain_orders VALUES (1);
	INSERT INTO shop.plain_lines VALUES (1, 1, 'A');
	COMMIT;
	SHOW search_path}, extra_params => [ '-U', 'clerk' ]), 'evil, pg_catalog', 'an index of ours runs nothing of who writes an order');
is($node->safe_psql('postgres', q{SET enable_seqscan = off; SELECT order_key FROM backorder.order_line WHERE public.norm(item) = 'a'}), '1', '... and is kept');
$node->safe_psql('postgres', q{SELECT backorder.detach('shop.plain_lines'); DROP INDEX backorder.order_line_norm});
consistent_ok($node, 'an index of another');

done_testing();
