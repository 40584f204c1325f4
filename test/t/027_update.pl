# ALTER EXTENSION backorder UPDATE with data in place: the catalog is that of a new installation, the data is what it was,
# the library of the new version works with the objects of the old one until then, and sessions that were there go on.
#
# From each version in test/released (install scripts as they were released) to the one in the control file, by the update
# scripts in sql/. While there is none before it: to a version made here, whose update script replaces every function and view,
# and adds to a table that is written directly, a table of its own and a function.
#
# Runs in a copy of PostgreSQL, as extensions of other versions are not to be left in the installed one.
#
# Changes hot tables on purpose: stock (see script/test).

use strict;
use warnings FATAL => 'all';

use File::Basename;
use File::Path;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

sub write_file { my ($file, $text) = @_; unlink($file); append_to_file($file, $text); return }

# A PostgreSQL finds its files by where its programs are: so those are copied, and what does not differ is linked.
sub copy_of_postgres
{
	my ($top) = @_;
	my %dir = map { my $d = `$ENV{PG_CONFIG} --$_`; chomp $d; ($_ => $d) } qw(bindir sharedir pkglibdir);
	my $prefix = dirname($dir{bindir});

	$prefix = dirname($prefix) while grep { index($_, $prefix eq '/' ? '/' : "$prefix/") != 0 } values %dir;
	my %copy = map { $_ => $top . substr($dir{$_}, $prefix eq '/' ? 0 : length($prefix)) } keys %dir;
	File::Path::make_path(@copy{ 'sharedir', 'pkglibdir' }, "$copy{sharedir}/extension", dirname($copy{bindir}));
	system('cp', '-RL', $dir{bindir}, $copy{bindir}) == 0 or BAIL_OUT('no copy of the programs');
	symlink($_, "$copy{pkglibdir}/" . basename($_)) foreach glob("$dir{pkglibdir}/*");
	symlink($_, "$copy{sharedir}/" . basename($_)) foreach glob("$dir{sharedir}/*");
	symlink($_, "$copy{sharedir}/extension/" . basename($_)) foreach grep { !/backorder/ } glob("$dir{sharedir}/extension/*");
	return (dirname($copy{bindir}), "$copy{sharedir}/extension");
}

my ($install_path, $extension_dir) = copy_of_postgres(PostgreSQL::Test::Utils::tempdir_short() . '/pg');
my $control = slurp_file('backorder.control');
my ($current) = $control =~ /^default_version\s*=\s*'([^']+)'/m;

# What a package does.
sub install
{
	my ($version, %scripts) = @_;

	write_file("$extension_dir/backorder.control", $control =~ s/^(default_version\s*=\s*)'[^']+'/$1'$version'/mr);
	write_file("$extension_dir/$_", $scripts{$_}) foreach keys %scripts;
	return;
}

# ---------- the versions ----------

my (@from, $to, %old, %new);
my $script = slurp_file("sql/backorder--$current.sql");
my %released = map { (basename($_) => slurp_file($_)) } glob('test/released/backorder--*.sql');
is($script, $released{"backorder--$current.sql"}, "what was released as $current does not change") if $released{"backorder--$current.sql"};
@from = grep { $_ ne $current } sort map { /--(.+)\.sql$/ } keys %released;
if (@from)
{
	$to = $current;
	%old = %released;
	%new = (%old, "backorder--$to.sql" => $script, map { (basename($_) => slurp_file($_)) } glob('sql/backorder--*--*.sql'));
}
else
{
	@from = ($current);
	$to = "$current.next";
	%old = ("backorder--$current.sql" => $script);

	my $body = qr/(?:[^\$';-]|-(?!-)|--[^\n]*|'[^']*'|\$(\w*)\$.*?\$\g{-1}\$)*;/s;
	my $replace = '';
	$replace .= "CREATE OR REPLACE $1\n" while $script =~ /^CREATE ((?:FUNCTION|PROCEDURE|VIEW) $body)/mg;
	$replace .= "$1\n" while $script =~ /^(COMMENT ON $body)/mg;
	my $added = <<'EOS';
CREATE TABLE backorder.next_table (tenant text COLLATE "C" NOT NULL DEFAULT '', n integer, PRIMARY KEY (tenant, n));
COMMENT ON TABLE backorder.next_table IS 'New.';
CREATE FUNCTION backorder.next_function(n integer) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM backorder.next_table t WHERE t.n = $1';
COMMENT ON FUNCTION backorder.next_function(integer) IS 'New.';
SELECT pg_catalog.pg_extension_config_dump('backorder.next_table', '');
EOS
	my $fresh = $script;
	$fresh =~ s/(CREATE TABLE backorder\.stock \(.*?)(,\n\tPRIMARY KEY)/$1,\n\tnext_note text CHECK (next_note <> '')$2/s or BAIL_OUT('no table stock');
	$fresh =~ s/^(?=-- sql\/90-)/$added/m or BAIL_OUT('no privileges');
	# The event triggers do not look at tables that are half changed: the library would not know the objects then.
	%new = (%old, "backorder--$to.sql" => $fresh, "backorder--$current--$to.sql" => <<"EOS");
CREATE OR REPLACE FUNCTION backorder_internal.interface() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 99';
ALTER TABLE backorder.stock ADD COLUMN next_note text CHECK (next_note <> '');
$replace
$added
REVOKE ALL ON FUNCTION backorder.next_function FROM PUBLIC;
EOS
}

# ---------- the catalog ----------

# All there is to know of the extension's objects, by name. Of the rest of the database, nothing.
my $catalog = <<'EOS';
CREATE FUNCTION pg_temp.rights(acl aclitem[]) RETURNS text LANGUAGE sql AS
	$$ SELECT coalesce((SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(acl) a), 'default') $$;
WITH extension AS (SELECT * FROM pg_extension WHERE extname = 'backorder'),
member AS (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM extension) AND deptype = 'e'),
class AS (SELECT c.*, c.oid::regclass::text AS name FROM pg_class c WHERE relnamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace) AND relkind <> 't'),
line (what, name, content) AS (
SELECT 'extension', extname::text, to_jsonb(e) - '{oid,extowner,extnamespace,extconfig,extcondition}'::text[] FROM extension e
UNION ALL SELECT 'dumped', c.oid::regclass::text, to_jsonb(c.condition) FROM extension, unnest(extconfig, extcondition) AS c (oid, condition)
UNION ALL SELECT 'member', pg_describe_object(classid, objid, 0), 'true' FROM member
UNION ALL SELECT 'rights of', pg_describe_object(classoid, objoid, objsubid), to_jsonb(privtype::text || pg_temp.rights(initprivs))
	FROM pg_init_privs WHERE (classoid, objoid) IN (TABLE member)
UNION ALL SELECT 'schema', nspname::text, to_jsonb(pg_temp.rights(nspacl)) FROM pg_namespace WHERE nspname IN ('backorder', 'backorder_internal')
UNION ALL SELECT 'function', p.oid::regprocedure::text, jsonb_build_array(pg_get_functiondef(p.oid), proowner::regrole, pg_temp.rights(proacl), obj_description(p.oid, 'pg_proc'))
	FROM pg_proc p WHERE pronamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace)
UNION ALL SELECT 'type', t.oid::regtype::text, jsonb_build_array(typtype, typowner::regrole, pg_temp.rights(typacl), obj_description(t.oid, 'pg_type'))
	FROM pg_type t WHERE typnamespace IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace)
UNION ALL SELECT 'class', name, jsonb_build_array(relkind, relpersistence, reloptions, relreplident, relrowsecurity, relforcerowsecurity, relispartition, relowner::regrole,
		pg_temp.rights(relacl), obj_description(oid, 'pg_class'), CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) WHEN 'i' THEN pg_get_indexdef(oid) END)
	FROM class
UNION ALL SELECT 'column', c.name || '.' || attname, jsonb_build_array(attnum, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attstorage, attcompression,
		attcollation::regcollation, attstattarget, (SELECT array_agg(o ORDER BY o) FROM unnest(attoptions) o WHERE o !~ '^pg_'), pg_temp.rights(attacl), pg_get_expr(adbin, adrelid), col_description(c.oid, attnum))
	FROM class c JOIN pg_attribute a ON attrelid = c.oid LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = attnum WHERE attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'constraint', c.name || ' ' || conname, jsonb_build_array(pg_get_constraintdef(k.oid), convalidated) FROM class c JOIN pg_constraint k ON conrelid = c.oid
UNION ALL SELECT 'trigger', c.name || ' ' || tgname, jsonb_build_array(pg_get_triggerdef(t.oid), tgenabled, obj_description(t.oid, 'pg_trigger'))
	FROM class c JOIN pg_trigger t ON tgrelid = c.oid WHERE NOT tgisinternal
UNION ALL SELECT 'event trigger', evtname::text, jsonb_build_array(evtevent, evtenabled, evttags, evtfoid::regproc, obj_description(oid, 'pg_event_trigger'))
	FROM pg_event_trigger
UNION ALL SELECT 'sequence', c.name, to_jsonb(s) - 'seqrelid' FROM class c JOIN pg_sequence s ON seqrelid = c.oid
UNION ALL SELECT 'dependency', pg_describe_object(d.classid, d.objid, d.objsubid), to_jsonb(pg_describe_object(refclassid, refobjid, refobjsubid) || ' ' || deptype::text)
	FROM pg_depend d JOIN member m ON (m.classid, m.objid) = (d.classid, d.objid))
SELECT concat_ws(' ', what, name, content) FROM line ORDER BY 1;
EOS

sub catalog { my ($node, $db, $before) = @_; return $node->safe_psql($db, 'BEGIN;' . ($before // '') . $catalog . 'ROLLBACK') }

# ---------- the updates ----------

my $write = q{WITH o AS (INSERT INTO shop.orders (customer) VALUES ('session') RETURNING id)
	INSERT INTO shop.lines (order_id, line_no, item, quantity) SELECT id, 1, 'I1', 2 FROM o};
my $written = q{SELECT count(*), sum(ordered) FROM backorder.order_line WHERE customer = 'session'};

foreach my $from (@from)
{
	my $name = "$from to $to";

	unlink(glob("$extension_dir/backorder*"));
	install($from, %old);
	my $node = new_node("from_$from", new => { install_path => $install_path });
	is($node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'backorder'}), $from, "$name: $from is installed");
	# The objects of the old version, and the library of the new one.
	create_shop($node);
	fill_shop($node);
	$node->safe_psql('postgres', <<'EOS');
CREATE TABLE shop.bins (sku text, bin text, qty integer NOT NULL, PRIMARY KEY (sku, bin));
INSERT INTO shop.bins VALUES ('B1', 'a', 5), ('B1', 'b', 2);
SELECT backorder.attach_stock('shop.bins', item => 'sku', on_hand => 'qty');
CREATE TABLE shop.later (id integer PRIMARY KEY, item text, quantity integer);
INSERT INTO shop.later SELECT n, 'I1', n FROM generate_series(1, 5) n;
SELECT backorder.attach('shop.later', 'item', 'quantity', import => false);
GRANT SELECT ON backorder.backlog TO PUBLIC;
EOS
	consistent_ok($node, "$name: objects of $from with the library of $to");
	$node->safe_psql('template1', 'CREATE DATABASE calm TEMPLATE postgres');

	my %known = map { split(/ /, $_, 2) } split(/\n/, $node->safe_psql('calm', <<'EOS'));
SELECT c.oid::regclass::text || ' ' || (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
FROM pg_class c JOIN pg_extension e ON c.oid = ANY (e.extconfig) WHERE e.extname = 'backorder'
EOS
	my $contents = contents($node, 'calm', \%known);

	# One session wrote orders, and has all its plans; another is in the middle.
	my $idle = $node->background_psql('calm', on_error_stop => 0);
	my $open = $node->background_psql('calm', on_error_stop => 0);
	$_->query_safe("PREPARE w AS $write; EXECUTE w; SELECT count(*) FROM backorder.receive('I1', 1)") foreach $idle, $open;
	$open->query_safe('BEGIN; EXECUTE w');
	$contents = contents($node, 'calm', \%known);

	install($to, %new);
	my ($status, $out, $err) = $node->psql('calm', 'ALTER EXTENSION backorder UPDATE');
	is($status, 0, "$name: ALTER EXTENSION UPDATE");
	is($err, '', "$name: without a warning");
	is($node->safe_psql('calm', q{SELECT extversion FROM pg_extension WHERE extname = 'backorder'}), $to, "$name: is $to then");
	same_ok(contents($node, 'calm', \%known), $contents, "$name: the data is what it was");
	consistent_ok($node, $name, 'calm');

	$open->query_safe('COMMIT');
	$open->query_safe('EXECUTE w');
	$idle->query_safe('EXECUTE w');
	is($node->safe_psql('calm', $written), '5|10', "$name: sessions that were there write orders");
	$node->safe_psql('calm', q{CALL backorder.import('shop.later'); UPDATE shop.bins SET qty = qty - 1; SELECT count(*) FROM backorder.plan_purchases();
		SELECT backorder.receive_purchase_line(po_id, line_no, 1) FROM backorder.purchases WHERE status = 'placed'});
	consistent_ok($node, "$name, in use", 'calm');

	$node->safe_psql('template1', 'CREATE DATABASE fresh');
	$node->safe_psql('fresh', 'CREATE EXTENSION backorder');
	my $fresh = catalog($node, 'fresh', 'GRANT SELECT ON backorder.backlog TO PUBLIC;');
	same_ok(catalog($node, 'calm'), $fresh, "$name: the catalog is that of a new installation, with what was granted");

	# The comparison sees what update scripts forget.
	foreach my $forgotten (
		'GRANT EXECUTE ON FUNCTION backorder.flush() TO PUBLIC', 'ALTER TABLE backorder.stock ALTER on_hand DROP DEFAULT',
		'COMMENT ON VIEW backorder.backlog IS NULL', 'ALTER EXTENSION backorder DROP VIEW backorder.backlog',
		'ALTER TABLE backorder.stock DROP CONSTRAINT stock_on_hand_check', 'ALTER TABLE backorder_internal.commit_work ENABLE TRIGGER commit_work',
		'ALTER FUNCTION backorder_internal.notified RESET ALL', 'CREATE INDEX ON backorder.event (type)', 'ALTER TABLE backorder.supply RESET (fillfactor); ALTER TABLE backorder.stock RESET (fillfactor)',
		q{UPDATE pg_extension SET extconfig[1] = extconfig[2], extconfig[2] = extconfig[1]; UPDATE pg_extension SET extcondition[1] = 'WHERE false' WHERE extname = 'backorder'})
	{
		isnt(catalog($node, 'calm', "$forgotten;"), $fresh, "$name: seen: $forgotten");
	}

	# A dump of it goes into a new installation.
	my $dump = $node->basedir . '/updated.dump';
	$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('calm') ], "$name: pg_dump");
	$node->safe_psql('template1', 'CREATE DATABASE again');
	$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('again'), $dump ], "$name: pg_restore");
	same_ok(contents($node, 'again'), contents($node, 'calm'), "$name: restored, the data is the same");
	same_ok(catalog($node, 'again'), $fresh, "$name: restored, the catalog is the same");
	consistent_ok($node, "$name, restored", 'again');

	# Sessions meet objects that their library does not know, and go on when it does.
	my $interface = $node->safe_psql('calm', 'SELECT backorder_internal.interface()');
	foreach my $other ([ $interface + 1, 'Connect again' ], [ 0, 'ALTER EXTENSION backorder UPDATE' ])
	{
		my $define = q{CREATE OR REPLACE FUNCTION backorder_internal.interface() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT %d'};

		$node->safe_psql('calm', sprintf($define, $other->[0]));
		$idle->query("\\set VERBOSITY verbose\nEXECUTE w;");
		like($idle->{stderr}, qr/OB013: the library of backorder and its SQL objects are of different versions.*HINT:.*$other->[1]/s,
			"$name: interface $other->[0] is refused");
		$idle->{stderr} = '';
		is($node->safe_psql('calm', $written), $other->[0] ? '5|10' : '6|12', "$name: and nothing is written");
		$node->safe_psql('calm', sprintf($define, $interface));
		$idle->query_safe('EXECUTE w');
	}
	is($node->safe_psql('calm', $written), '7|14', "$name: the session goes on");
	consistent_ok($node, "$name, at the end", 'calm');
	$_->quit foreach $idle, $open;

	# Writers wait for an update and see nothing of it.
	my $load = start_load($node, [ '-c', '4', '-j', '2', '-T', '4' ], {
		order => [ 3, "$write;\n" ],
		receive => [ 1, "SELECT count(*) FROM backorder.receive('I1', 1);\n" ] });
	my $size = -s $node->logfile;
	$node->poll_query_until('postgres', q{SELECT count(*) > 50 FROM shop.orders WHERE customer = 'session'}) or BAIL_OUT('no load');
	$node->safe_psql('postgres', 'ALTER EXTENSION backorder UPDATE');
	$node->poll_query_until('postgres', q{SELECT count(*) > } . $node->safe_psql('postgres', q{SELECT count(*) + 50 FROM shop.orders WHERE customer = 'session'})
		. q{ FROM shop.orders WHERE customer = 'session'}) or BAIL_OUT('the load does not go on');
	cmp_ok(finish_load($load), '>', 100, "$name: updated under load");
	unlike(slurp_file($node->logfile, $size), qr/ERROR|WARNING|FATAL|PANIC/, "$name: which sees no error");
	consistent_ok($node, "$name, under load");
	sums_ok($node, "$name, under load");
	same_ok(catalog($node, 'postgres'), $fresh, "$name: under load, the catalog is the same");
	$node->stop;
}

done_testing();
