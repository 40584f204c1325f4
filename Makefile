# backorder: PGXS build
#
#   make && sudo make install          build for the pg_config in PATH (or PG_CONFIG=...)
#   WERROR=1 make                      warnings are errors, as in CI
#   DEBUG_POINTS=1 make                with points at which tests inject errors and crashes
#   make installcheck                  against a running server; script/test needs none

EXTENSION = backorder
MODULE_big = backorder

# Where the sources are: another directory in a VPATH build, as make -f ../backorder/Makefile.
TOP := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))

# The control file is the one place that knows the version.
EXTVERSION := $(shell sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" $(TOP)/backorder.control)

# One folder of src/ a layer; a file of src/ itself is the top floor. See CONTRIBUTING.md.
SOURCES := $(sort $(wildcard $(TOP)/src/*.c $(TOP)/src/*/*.c))
PRIVATE_HEADERS := $(wildcard $(TOP)/src/*/*.h)
OBJS := $(patsubst $(TOP)/%.c,%.o,$(SOURCES))
PG_CPPFLAGS = -I$(TOP)/src

# The install script is built from its parts; update scripts are written by hand.
SQL_PARTS := $(sort $(wildcard $(TOP)/sql/[0-9][0-9]-*.sql))
DATA_built = sql/backorder--$(EXTVERSION).sql
DATA := $(patsubst $(TOP)/%,%,$(sort $(wildcard $(TOP)/sql/backorder--*--*.sql)))

# Of what -Wextra reports, only unused parameters come from PostgreSQL's own headers (and from
# every SQL-callable function).
WARNINGS = -Wall -Wextra -Wno-unused-parameter
PG_CFLAGS = $(WARNINGS)
ifeq ($(WERROR),1)
PG_CFLAGS += -Werror
endif

# Points at which tests make the code fail, wait or crash (src/base/debug.c). Never for a server in use.
ifeq ($(DEBUG_POINTS),1)
PG_CFLAGS += -DBO_DEBUG_POINTS
endif

# With sanitizers; script/test, told so too, starts servers that can load it.
# Instrumented, a variable of PG_TRY itself looks clobbered to gcc.
ifeq ($(SANITIZE),1)
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=all
PG_CFLAGS += $(SANITIZERS) -fno-omit-frame-pointer -O1 -Wno-clobbered
SHLIB_LINK += $(SANITIZERS)
endif

# For script/coverage.
ifeq ($(COVERAGE),1)
PG_CFLAGS += --coverage -O0
SHLIB_LINK += --coverage
endif

# Tests are found, not listed: none can be forgotten. := matters, PGXS asks "ifdef REGRESS".
# pg_regress looks for answers below the current directory first, hence the top-level expected/,
# and for scripts too: a test must not be named like a part of the install script. Isolation tests
# write to output_iso/, so their answers are found in test/expected/; from 16 on that must be said.
# The extension is loaded first so that each test also runs alone.
REGRESS := $(patsubst $(TOP)/test/sql/%.sql,%,$(sort $(wildcard $(TOP)/test/sql/*.sql)))
REGRESS_OPTS = --inputdir=$(TOP)/test --load-extension=backorder
ISOLATION := $(patsubst $(TOP)/test/specs/%.spec,%,$(sort $(wildcard $(TOP)/test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(TOP)/test --load-extension=backorder \
	$(if $(filter 15,$(MAJORVERSION)),,--expecteddir=$(TOP)/test)

EXTRA_CLEAN = src/.flags $(wildcard src/*.gcno src/*/*.gcno) $(wildcard sql/backorder--*.sql.new) tmp_check log

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# What the library calls of itself is its own: nothing is looked up by name for that when a session loads it.
ifeq ($(PORTNAME),linux)
SHLIB_LINK += -Wl,-Bsymbolic
endif

# Rebuilt each time, as a removed part leaves no newer file behind; replaced only when it differs.
$(DATA_built): FORCE
	@mkdir -p $(@D)
	@{ printf '%s\n' '\echo Use "CREATE EXTENSION backorder" to load this file. \quit'; \
	  for part in $(SQL_PARTS); do printf '\n-- %s\n\n' "sql/$${part##*/}"; cat $$part || exit 1; done; } > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@ && echo "built $@"; fi

# Objects depend on every header, and on what they were compiled for and with.
$(OBJS) $(OBJS:.o=.bc): $(PRIVATE_HEADERS) src/.flags

# In a VPATH build the folders are to be made, too.
src/.flags: FORCE
	@mkdir -p $(sort $(dir $(OBJS)))
	@printf '%s\n' '$(VERSION) $(OBJS)' '$(CC) $(CPPFLAGS) $(CFLAGS)' > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# Calls and includes go down the floors of the house only.
arrows: $(OBJS)
	$(TOP)/script/arrows .

# A second opinion on the sources, if there is a clang. PGXS's CFLAGS are those of the compiler that
# built PostgreSQL, so they are not used; the attributes ignored are gcc's, in PostgreSQL's headers.
clang: CLANG := $(or $(CLANG),clang)
clang:
	if command -v $(CLANG) >/dev/null; then \
	  $(CLANG) -fsyntax-only $(CPPFLAGS) $(WARNINGS) -Wno-ignored-attributes -Werror $(SOURCES); fi

# Static analysis. Left out is what it cannot see here, looked at by hand: pointers that one of two is never NULL,
# or that are set where PG_TRY is; branches alike on purpose; memcpy as such.
TIDY = -*,clang-analyzer-*,bugprone-*,-clang-analyzer-core.NullDereference,-bugprone-branch-clone,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-bugprone-narrowing-conversions,-bugprone-assignment-in-if-condition,-bugprone-macro-parentheses,-bugprone-implicit-widening-of-multiplication-result,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
lint:
	clang-tidy -quiet -warnings-as-errors='*' -checks='$(TIDY)' $(SOURCES) -- $(CPPFLAGS)
	cppcheck --include=test/cppcheck.h --enable=warning,performance,portability -q --std=c11 -I $(TOP)/src --error-exitcode=1 \
	  --suppress=missingInclude --suppress=nullPointerRedundantCheck:src/reconcile/difference.c --suppress=nullPointer:src/store/run_statement.c $(SOURCES)
	scan-build --status-bugs $(MAKE) -s -B with_llvm=no PG_CONFIG=$(PG_CONFIG) PG_CPPFLAGS='-I$(TOP)/src -DUSE_ASSERT_CHECKING=1' $(OBJS)

.PHONY: FORCE arrows clang lint
