# doc/reference.md says what the catalog says.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('reference');
my $made = $node->safe_psql('postgres', slurp_file('doc/reference.sql'));
my $kept = slurp_file('doc/reference.md');
chomp $kept;
# by line, so that what differs is shown
is_deeply([ split(/\n/, $made) ], [ split(/\n/, $kept) ], 'doc/reference.md is what psql -XAtq -f doc/reference.sql prints');
my $schemas = q{IN ('backorder'::regnamespace, 'backorder_internal'::regnamespace)};
is($node->safe_psql('postgres', qq{SELECT count(*) FROM pg_proc p WHERE p.pronamespace $schemas
	AND obj_description(p.oid, 'pg_proc') IS NULL}), '0', 'every function has a comment');
is($node->safe_psql('postgres', qq{SELECT string_agg(c.relname || coalesce('.' || a.attname, ''), ' ') FROM pg_class c
	LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r'
	WHERE c.relnamespace $schemas AND c.relkind IN ('r', 'v', 'S')
	AND (obj_description(c.oid, 'pg_class') IS NULL AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')
		OR a.attnum IS NOT NULL AND col_description(c.oid, a.attnum) IS NULL)}), '', 'and every table, view, sequence and column of a table');
# What is internal is not in the reference.
my @internal = split(/\n/, $node->safe_psql('postgres', q{SELECT relname FROM pg_class WHERE relnamespace = 'backorder_internal'::regnamespace
	AND relkind IN ('r', 'v') UNION SELECT proname FROM pg_proc WHERE pronamespace = 'backorder_internal'::regnamespace}));
cmp_ok(scalar(@internal), '>', 40, 'tables, functions and views of the machinery are in a schema of their own');
is(join(' ', grep { $kept =~ /^### \Q$_\E$/m } @internal), '', 'and the reference has none of them');
# The kinds of events that the reference lists are those that the column's comment lists.
my $kinds = $node->safe_psql('postgres', q{SELECT col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'backorder.event'::regclass AND attname = 'type'});
my ($listed) = $kept =~ /^## Events$(.*?)^## /ms;
my %said = map { $_ => 1 } $listed =~ /^\| (?!type)([a-z]+) \|/mg;
cmp_ok(scalar(keys %said), '>', 10, 'kinds of events are listed');
is(join(' ', sort grep { $kinds !~ /\b$_\b/ } keys %said), '', 'the comment on event.type names each kind of event');
$node->stop;
done_testing();
