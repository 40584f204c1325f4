# The README's SQL runs, and answers what the README says.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

my $node = new_node('readme');
# All blocks but those that leave something out.
my $sql = join("\n", grep { !/…/ } slurp_file('README.md') =~ /^```sql\n(.*?)^```$/msg);
$node->safe_psql('postgres', 'CREATE DATABASE readme');
my ($ret, $out, $err) = $node->psql('readme', $sql, on_error_stop => 1);
is($err, '', 'no error, and no notice');

# Rows, without the alignment; the first of a comment that names columns is no row.
my %answers = map { $_ => 1 } map { s/\s*\|\s*/|/gr =~ s/^\s+|\s+$//gr } split(/\n/, $out);
my @rows = grep { !/[a-z_]+\|allocated/ } map { s/\s*\|\s*/|/gr =~ s/^\s+|\s+$//gr } $sql =~ /^--(.*\|.*)$/mg;
cmp_ok(scalar(@rows), '>=', 7, 'the README shows answers');
is(join("\n", grep { !$answers{$_} } @rows), '', 'and these are them');
my ($events) = $sql =~ /^--  (backordered A, .*)$/m;
is(join(', ', map { /^([a-z]+)\|([A-C])\|[A-Z][a-z]+$/ ? "$1 $2" : () } split(/\n/, $out)), $events, 'so are the events, in their order');
is($node->safe_psql('readme', 'SELECT count(*) FROM backorder.verify()'), '0', 'verify() is empty');
$node->stop;
done_testing();
