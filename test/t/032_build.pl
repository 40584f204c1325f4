# The build: outside of the source tree, as packages do it (make -f ../Makefile), and the bitcode for JIT of each file, in its folder.

use strict;
use warnings FATAL => 'all';

use Test::More;

my $top = $ENV{TESTDIR};
my $pg_config = $ENV{PG_CONFIG} // 'pg_config';

sub run_ok
{
	my ($command, $name) = @_;
	my $said = qx($command 2>&1);
	return ok($? == 0, $name) || diag($said);
}

sub files
{
	my ($dir) = @_;
	return grep { length } split(/\n/, qx(cd '$dir' 2>/dev/null && find . -type f | sort));
}

# The sources as they are committed, with nothing built.
my $sources = "$top/tmp_check/sources";
my $build = "$top/tmp_check/build";
system("rm -rf $sources $build && mkdir -p $sources $build && cp -R $top/Makefile $top/backorder.control $top/sql $top/src $top/script $sources"
	  . " && find $sources '(' -name '*.o' -o -name '*.bc' -o -name '*.so' -o -name .flags -o -name 'backorder--[0-9]*[0-9].sql' ')' -delete") == 0
  or BAIL_OUT('no copy of the sources');
my @before = files($sources);

run_ok("make -s -j2 -C $build -f $sources/Makefile PG_CONFIG=$pg_config install DESTDIR=$build/installed", 'built and installed from another directory');
is_deeply([ files($sources) ], \@before, 'the sources are as they were');
my $pkglibdir = qx($pg_config --pkglibdir) =~ s/\n//r;
my $sharedir = qx($pg_config --sharedir) =~ s/\n//r;
ok(-s "$build/installed$pkglibdir/backorder.so", 'the library is installed');
ok(-s "$build/installed$sharedir/extension/backorder.control", 'so is the control file');
my ($version) = qx(sed -n "s/^default_version *= *'\\(.*\\)'.*/\\1/p" $sources/backorder.control) =~ /(\S+)/;
ok(-s "$build/installed$sharedir/extension/backorder--$version.sql", 'and the install script');
is(scalar(grep { m{/include/} } files("$build/installed")), 0, 'the headers are nobody else\'s, and not installed');
SKIP:
{
	my @objects = map { s{^\./}{}r =~ s/\.c$/.bc/r } grep { /\.c$/ } files("$sources/src");
	my $makefile = qx($pg_config --pgxs) =~ s/\n//r =~ s{makefiles/pgxs\.mk$}{Makefile.global}r;
	my $global = qx(grep -c '^with_llvm.*yes' $makefile) =~ s/\n//r;
	skip 'this PostgreSQL is built without LLVM', 2 if !$global;
	is_deeply([ map { s{^\./}{}r } grep { /\.bc$/ } files("$build/installed$pkglibdir/bitcode/backorder/src") ], \@objects, 'bitcode of each file is in the folder of its source');
	ok(-s "$build/installed$pkglibdir/bitcode/backorder.index.bc", 'and the index of them');
}

done_testing();
