# The floors of the house: calls and includes of src/ go down only. And the check itself: it names an arrow that goes up.

use strict;
use warnings;
use Test::More;

my $top = $ENV{TESTDIR};

# check DIR: what script/arrows says, and whether it was content.
sub check
{
	my ($dir) = @_;
	my $said = qx($top/script/arrows $dir 2>&1);
	return ($said, $? == 0);
}

my ($said, $content) = check($top);
ok($content, 'calls and includes go down only') or diag($said);

# PostgreSQL has room for ten relcache callbacks in a session, of all extensions together.
my @callbacks = split(/\n/, qx(grep -rn --include='*.c' CacheRegisterRelcacheCallback $top/src));
is(scalar(@callbacks), 1, 'the library takes one relcache callback') or diag(join("\n", @callbacks));

# A house of three files, each wrong in its own way.
my $wrong = "$top/tmp_check/wrong";
my %files = (
	'src/base/low.c' => "extern void bo_high(void); void bo_low(void); void bo_low(void) { bo_high(); }\n",
	'src/base/base.h' => "extern void bo_low(void);\nextern void bo_own(void);\n",
	'src/store/one.c' => "#include \"attach/attach.h\"\nextern void bo_two(void); void bo_one(void); void bo_one(void) { bo_two(); }\n",
	'src/store/two.c' => "extern void bo_one(void); extern void bo_low(void); void bo_two(void); void bo_two(void) { bo_one(); bo_low(); }\n",
	'src/attach/high.c' => "#include \"store/private.h\"\nextern void bo_one(void); void bo_high(void); void bo_alone(void); void bo_high(void) { bo_one(); } void bo_alone(void) { }\n",
	'src/attach/attach.h' => "\n",
	'src/store/private.h' => "\n",
	'src/cellar/deep.c' => "void bo_deep(void); void bo_deep(void) { }\n");
system('rm', '-rf', $wrong);
foreach my $file (sort keys %files)
{
	my ($dir) = $file =~ m{^(.*)/};
	system('mkdir', '-p', "$wrong/$dir") == 0 or BAIL_OUT("no directory $dir");
	open(my $f, '>', "$wrong/$file") or BAIL_OUT("$file: $!");
	print $f $files{$file};
	close($f);
}
foreach my $file (grep { /\.c$/ } sort keys %files)
{
	my $object = "$wrong/$file" =~ s/c$/o/r;
	system('gcc', '-c', '-I', "$wrong/src", '-o', $object, "$wrong/$file") == 0 or BAIL_OUT("$file does not compile");
}
($said, $content) = check($wrong);
ok(!$content, 'a house with wrong arrows is refused');
like($said, qr{^src/base/low\.c calls up: bo_high\(\) of src/attach/high\.c$}m, 'a call that goes up is named');
like($said, qr{^calls in a circle inside a folder: .*src/store/(?:one\.c src/store/two|two\.c src/store/one)\.c}m, 'a circle inside a folder is named');
like($said, qr{^src/store/one\.c includes up: attach/attach\.h$}m, 'an include that goes up is named');
like($said, qr{^src/attach/high\.c includes a private header: store/private\.h$}m, 'so is one of a private header');
like($said, qr{^folder without a floor: src/cellar$}m, 'a folder without a floor is named');
like($said, qr{^not static and used by no other file: bo_alone of src/attach/high\.c$}m, 'so is a function that should be static');
like($said, qr{^public, but of no use outside its folder: bo_own of src/base/base\.h$}m, 'and one that should be private');

done_testing();
