# Every message of the sources stands in an expected answer or a test, so that something reaches it; every public
# function is called by a test.

use strict;
use warnings FATAL => 'all';

use Test::More;

# What no test reaches, and why.
my %unreached = (
	'more stock is to be locked' => 'undoes the locks of a set that is too small, and is caught in it',
	'attach_preview() is done' => 'undoes what attach_preview() did, and is caught in it',
	'%s cannot be kept apart from the attached tables' => 'of a text that PostgreSQL deparses in another order than it was given; none is known',
	'could not serialize access due to concurrent update of an order line' => 'only where a superuser writes our tables in the same moment',
	'column "%s" of %s is a virtual generated column' => 'of PostgreSQL 18 only; answers are those of every version',
	'could not serialize access due to concurrent update of stock' => 'likewise',
);

sub slurp { my ($file) = @_; open(my $f, '<', $file) or die "$file: $!"; local $/; return scalar <$f> }

my $string = qr/"(?:[^"\\]|\\.)*"/;
my %messages;
foreach my $file (grep { !/debug\.c/ } glob('src/*.c src/*/*.c'))
{
	my $source = slurp($file);
	while ($source =~ /\b(?:errmsg|bo_refuse)\(\s*(?:psprintf\()?\s*((?:$string|INT64_FORMAT|\s)+)/g)
	{
		my $text = $1 =~ s/INT64_FORMAT/"%d"/gr;
		$text = join('', map { s/^"|"$//gr } $text =~ /$string/g);
		$messages{ $text =~ s/\\"/"/gr } = $file if $text =~ /[a-z] /;
	}
}
foreach my $file (glob('sql/[0-9][0-9]-*.sql'))
{
	my $source = slurp($file);
	$messages{ $1 =~ s/%/%s/gr =~ s/''/'/gr } = $file while $source =~ /\bRAISE (?:EXCEPTION|WARNING|NOTICE) '((?:[^']|'')*)'/g;
}
cmp_ok(scalar(keys %messages), '>', 80, 'messages are found in the sources');

my $answers = join("\n", map { slurp($_) } glob('expected/*.out'), glob('test/expected/*.out'), grep { !/024_messages/ } glob('test/t/*.pl'));
my @missing;
foreach my $text (sort keys %messages)
{
	my $pattern = join('.*?', map { quotemeta } split(/%(?:l*[sdu])/, $text, -1));
	my $reached = $answers =~ /$pattern/;
	push @missing, "$messages{$text}: $text" if !$reached && !$unreached{$text};
	push @missing, "$text is reached, and need not be excused" if $reached && $unreached{$text};
}
push @missing, map { "$_ is no message any more" } grep { !$messages{$_} } sort keys %unreached;
is(join("\n", @missing), '', 'every message is reached by a test, or it is said why not');

my $tests = join("\n", map { slurp($_) } glob('test/sql/*.sql'), glob('test/specs/*.spec'), grep { !/024_messages/ } glob('test/t/*.pl'), glob('test/model/*'));
my (@functions, @uncalled);
foreach my $file (glob('sql/[0-9][0-9]-*.sql'))
{
	my $source = slurp($file);
	while ($source =~ /^CREATE (?:FUNCTION|PROCEDURE) backorder\.(\w+)\(.*?^COMMENT ON (?:FUNCTION|PROCEDURE) backorder\.\1\(.*?\)\s+IS '((?:[^']|'')*)'/msg)
	{
		my ($name, $comment) = ($1, $2);
		next if $comment =~ /^(?:Internal|Trigger|Deferred trigger|Event trigger)/;
		push @functions, $name;
		push @uncalled, $name if $tests !~ /\b$name\b\s*\(/;
	}
}
cmp_ok(scalar(@functions), '>', 25, 'functions are found in the sources');
is(join(' ', @uncalled), '', 'every public function is called by a test');

done_testing();
