# shellcheck shell=bash disable=SC2119,SC2120
# script/lib.sh: what the scripts share. Source it from bash, do not run it.
#
#   . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#   bo_setup                                # install what is missing, build, install, start
#   psql -c 'CREATE EXTENSION backorder'    # plain psql is superuser of a throwaway cluster
#
# bo_setup [NAME=VALUE ...]   the arguments are server settings, e.g. fsync=on shared_buffers=1GB
#
# Afterwards the current directory is the top of the clone, PATH begins with PostgreSQL's own
# directory, and PGHOST, PGPORT, PGUSER, PGDATABASE are exported. The server listens on a socket in
# a private directory only; when the script ends, in any way, server and directory are gone. A
# script that sets an EXIT trap of its own calls bo_cleanup in it. PG_CONFIG chooses another
# PostgreSQL than the one found. Progress and complaints go to stderr. Works under set -eu.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

BO_TMP=			# the directory of the throwaway cluster
BO_SERVER_ENV=()	# what servers need in their environment
BO_NOCLUSTER=	# the file that keeps apt from creating a cluster

# Nothing of the caller's may lead a client to a real server. PG_CONFIG and PG_TEST_... may stay.
for bo_var in "${!PG@}"; do
	if [[ $bo_var != PG_* ]]; then unset "$bo_var"; fi
done

trap bo_cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

bo_say() { echo "$*" >&2; }
bo_die() { bo_say "$(basename "$0"): $*"; exit 1; }

# Set PG_CONFIG: the caller's, else the one in PATH if its server is there too, else the newest of
# Debian's, else the version this machine's package sources offer.
bo_find_postgres() {
	local bin v
	if [ -z "${PG_CONFIG:-}" ]; then
		bin=$(pg_config --bindir 2>/dev/null) || bin=
		if [ ! -x "$bin/postgres" ]; then
			for v in 18 17 16 15; do
				bin=/usr/lib/postgresql/$v/bin
				if [ -x "$bin/postgres" ]; then break; fi
				bin=
			done
		fi
		if [ -z "$bin" ]; then
			bo_apt_update
			v=$(apt-cache policy postgresql 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
			if [ "${v:-0}" -lt 15 ]; then
				bo_die "no PostgreSQL 15 or newer here, and none in this machine's package sources;" \
					"install one (https://www.postgresql.org/download/) or set PG_CONFIG"
			fi
			bin=/usr/lib/postgresql/$v/bin
		fi
		PG_CONFIG=$bin/pg_config
	fi
	export PG_CONFIG
}

# Fresh machines have no package lists at all; old lists name files that are gone. Once is enough.
bo_apt_update() {
	if [ "$EUID" -eq 0 ] && command -v apt-get >/dev/null && [ -z "${BO_UPDATED:-}" ]; then
		BO_UPDATED=1
		apt-get update -qq >/dev/null 2>&1 || bo_say "warning: apt-get update failed, going on"
	fi
}

# Print, one per line, the Debian packages that are missing. With "tests", those the suite needs too, with "valgrind", that.
bo_missing() {
	local nn=NN
	if [[ $PG_CONFIG =~ ^/usr/lib/postgresql/([0-9]+)/ ]]; then nn=${BASH_REMATCH[1]}; fi

	command -v make >/dev/null || echo make
	echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1 || printf '%s\n' gcc libc6-dev
	[ -x "$(dirname "$PG_CONFIG")/initdb" ] || echo "postgresql-$nn"
	[ -f "$("$PG_CONFIG" --includedir-server 2>/dev/null)/postgres.h" ] || bo_server_dev "$nn"
	if [ "${1:-}" = tests ]; then
		perl -MTest::More -e 1 2>/dev/null || echo perl
		perl -MIPC::Run -e 1 2>/dev/null || echo libipc-run-perl
	fi
	if [ "${1:-}" = valgrind ]; then command -v valgrind >/dev/null || echo valgrind; fi
}

# Print the package of the server's headers: of the version of the server that is installed, if the
# package sources have it, so that apt does not upgrade, and restart, a server for the headers' sake.
bo_server_dev() {
	local package=postgresql-server-dev-$1 version
	version=$(dpkg-query -W -f '${Version}' "postgresql-$1" 2>/dev/null) || version=
	if [ -n "$version" ] && apt-cache madison "$package" 2>/dev/null | grep -qF " $version "; then
		package+="=$version"
	fi
	echo "$package"
}

# Install what is missing if we may, else say what to install.
bo_need() {
	local missing
	bo_find_postgres
	mapfile -t missing < <(bo_missing "$@")
	if [ ${#missing[@]} -eq 0 ]; then return; fi
	bo_apt_update		# which versions there are decides what is missing
	mapfile -t missing < <(bo_missing "$@")

	# NN: a PostgreSQL that is not Debian's, so we know no package names for it.
	if [ "$EUID" -ne 0 ] || ! command -v apt-get >/dev/null || [[ ${missing[*]} == *-NN* ]]; then
		bo_die "missing for $PG_CONFIG: ${missing[*]}
Install these (the names are Debian's, NN a major version), as root: apt-get install ${missing[*]}"
	fi

	bo_say "installing ${missing[*]}"
	# A newly installed server package creates and starts a cluster. Not on our account.
	BO_NOCLUSTER=/etc/postgresql-common/createcluster.d/zz-backorder-$$.conf
	mkdir -p "$(dirname "$BO_NOCLUSTER")"
	echo 'create_main_cluster = false  # while backorder installs PostgreSQL; safe to delete' >"$BO_NOCLUSTER"
	local log
	log=$(DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 "${missing[@]}" 2>&1 </dev/null) || {
		bo_say "$log"
		bo_die "apt-get could not install ${missing[*]}"
	}
	bo_allow_clusters

	mapfile -t missing < <(bo_missing "$@")
	if [ ${#missing[@]} -gt 0 ]; then bo_die "installed, yet still missing: ${missing[*]}"; fi
}

bo_allow_clusters() {
	if [ -n "$BO_NOCLUSTER" ]; then
		rm -f "$BO_NOCLUSTER"
		rmdir --ignore-fail-on-non-empty "$(dirname "$BO_NOCLUSTER")"
		BO_NOCLUSTER=
	fi
}

# A library with sanitizers is loaded only where theirs was first. What one finds is a crash; that memory
# is not given back at a server's end is none.
#
# Their library sets itself up with the first malloc(). Where that comes from bindtextdomain(), in the constructor of a
# library, the process hangs: setting up looks for functions that are missing, and the C library translates the message
# of dlsym() under the lock that bindtextdomain() holds. So malloc() is called before all constructors.
bo_sanitize() {
	printf '#include <stdlib.h>\n__attribute__((constructor)) static void first(void) { free(malloc(1)); }\n' |
		"${CC:-gcc}" -x c -O0 -shared -fPIC -Wl,-z,initfirst -o "$BO_TMP/first.so" - || bo_die "${CC:-gcc} cannot build a library"
	chmod a+rx "$BO_TMP/first.so"
	BO_SERVER_ENV=(LD_PRELOAD="$("${CC:-gcc}" -print-file-name=libasan.so) $BO_TMP/first.so" ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
		UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1)
}

# Quiet unless something is wrong; arguments go to make.
bo_build() {
	bo_say "building for $("$PG_CONFIG" --version)"
	make -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG" "$@" >&2
}

bo_install() {
	local lib share as=()
	lib=$("$PG_CONFIG" --pkglibdir)
	share=$("$PG_CONFIG" --sharedir)/extension
	if [ ! -w "$lib" ] || [ ! -w "$share" ]; then
		if ! sudo -n true 2>/dev/null; then
			bo_die "may not write to $lib and $share.
Run this as root, or allow sudo, or set PG_CONFIG to a PostgreSQL of your own."
		fi
		as=(sudo -n)
	fi
	# Built already. What WERROR adds is passed on, else make would compile again without it.
	"${as[@]}" make -s install PG_CONFIG="$PG_CONFIG" "$@" >/dev/null
}

# Run a command as the user the server runs as: PostgreSQL refuses root. That user may not be
# allowed into our current directory.
bo_as_server() {
	if [ "$EUID" -eq 0 ]; then
		(cd / && exec runuser -u "$BO_USER" -- "$@")
	else
		"$@"
	fi
}

# Make our directory, once.
bo_scratch() {
	if [ -n "$BO_TMP" ]; then return; fi
	BO_USER=$(id -un)
	# Always below /tmp: a socket's path may have 107 bytes, and the server's user must get there.
	BO_TMP=$(mktemp -d /tmp/backorder.XXXXXX)
	if [ "$EUID" -eq 0 ]; then
		BO_USER=postgres
		id postgres >/dev/null 2>&1 || BO_USER=nobody
		chown "$BO_USER:" "$BO_TMP"
	fi
}

# Start the throwaway cluster. The arguments are settings, NAME=VALUE.
bo_start() {
	local bin setting
	bin=$("$PG_CONFIG" --bindir)
	bo_scratch
	if [ "${SANITIZE:-}" = 1 ]; then bo_sanitize; fi

	bo_as_server "$bin/initdb" -D "$BO_TMP/data" -U postgres -A trust -E UTF8 --locale=C -N \
		>"$BO_TMP/log" 2>&1 || { cat "$BO_TMP/log" >&2; bo_die "initdb failed"; }

	# Nobody mourns this cluster: no fsync. synchronous_commit stays on, to keep the usual path.
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$BO_TMP'"
		echo "port = 5432"
		echo "fsync = off"
		echo "full_page_writes = off"
		echo "shared_buffers = 128MB"
		echo "max_wal_size = 4GB"
		echo "max_prepared_transactions = 10"
		echo "log_line_prefix = '%m [%p] %a '"
		for setting in "$@"; do echo "${setting%%=*} = '${setting#*=}'"; done
	} >>"$BO_TMP/data/postgresql.conf"

	bo_as_server env ${BO_SERVER_ENV[@]+"${BO_SERVER_ENV[@]}"} "$bin/pg_ctl" start -s -w -D "$BO_TMP/data" -l "$BO_TMP/server.log" >/dev/null ||
		{ cat "$BO_TMP/server.log" >&2; bo_die "the server does not start"; }

	export PGHOST=$BO_TMP PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PATH="$bin:$PATH"
}

# Stop every server below our directory (tests start some of their own) and delete it.
bo_cleanup() {
	local pidfile
	bo_allow_clusters
	if [[ $BO_TMP == /tmp/backorder.* ]]; then
		while read -r pidfile; do
			bo_as_server "$("$PG_CONFIG" --bindir)/pg_ctl" stop -s -m immediate \
				-D "$(dirname "$pidfile")" >/dev/null 2>&1 || :
		done < <(find "$BO_TMP" -name postmaster.pid)
		rm -rf "$BO_TMP"
		BO_TMP=
	fi
}

bo_setup() {
	bo_need
	bo_build || bo_die "the build failed"
	bo_install || bo_die "the installation failed"
	bo_start "$@"
}
