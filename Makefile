# mailferry: build, test, demo. `make help` lists the targets.
#   SAN=1        AddressSanitizer and UndefinedBehaviorSanitizer, in a build folder of its own
#   WERROR=1     warnings are errors (always so in CI)
#   V=1          show the commands

PREFIX	  ?= /usr/local
DESTDIR	  ?=
SYSCONFDIR ?= /etc
UNITDIR	  ?= $(PREFIX)/lib/systemd/system
ZSHDIR	  ?= $(PREFIX)/share/zsh/site-functions
DOCDIR	  ?= $(PREFIX)/share/doc/mailferry
ifeq ($(origin CC),default)
CC	  := gcc
endif
PYTHON	  ?= /usr/bin/python3
SAN	  ?= 0
WERROR	  ?= $(if $(CI),1,0)

ifeq ($(SAN),1)
BUILD	  := build/asan
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# gcc takes 2.5 times as long over these at -O2; lines are all that a report needs. What may be
# truncated it only knows well at -O2, where the plain build asks it.
CFLAGS	  ?= -O1 -g1
SAN_FLAGS += -Wno-format-truncation
else
BUILD	  := build/plain
SAN_FLAGS :=
endif

WARNINGS  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	     -Wwrite-strings -Wvla -Wformat=2 -Wundef $(if $(filter 1,$(WERROR)),-Werror)
CPPFLAGS  += -D_GNU_SOURCE -I. -I$(BUILD)/gen -isystem /usr/include/postgresql
CFLAGS	  ?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(WARNINGS) $(SAN_FLAGS) -fstack-protector-strong -fPIE -pthread
LDFLAGS	  += -pie -pthread $(SAN_FLAGS) -Wl,-z,relro,-z,now,--build-id

# libetpan is named by hand: its pkg-config turns PIE off. libcurl is the OpenSSL flavour (libcurl4), built
# against the headers that libetpan-dev brings; admin/client.c checks at run time that it is.
LIBS	  := -levent -levent_openssl -lssl -lcrypto -ljansson -lsqlite3 -lz -lconfuse -lcsv -lutf8proc -lpq -lseccomp -lsodium -lcares -lresolv -letpan -l:libcurl.so.4

Q	  := $(if $(V),,@)
say	   = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

# ---- what is built from what

PARTS	  := common config certs proxy sync admin
sources	   = $(filter-out $(1)/main.c,$(wildcard $(1)/*.c $(1)/wire/*.c))
objects	   = $(patsubst %.c,$(BUILD)/%.o,$(1))
# In link order: users before what they use.
ARCHIVES  := $(foreach p,admin sync proxy certs config common,$(BUILD)/lib$(p).a)
PROGRAMS  := $(BUILD)/mailferry $(BUILD)/mailferry-proxy $(BUILD)/mailferry-sync
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
FUZZERS	  := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH_TOOLS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))

MANUALS	  := $(BUILD)/mailferry.1 $(BUILD)/mailferry.conf.5 $(BUILD)/mailferry-states.7
COMPLETIONS := $(BUILD)/completion.bash $(BUILD)/completion.zsh

all: $(PROGRAMS) $(BUILD)/mailferry.conf.sample $(MANUALS) $(COMPLETIONS)

$(BUILD)/mailferry: $(BUILD)/admin/main.o $(ARCHIVES)
$(BUILD)/mailferry-proxy: $(BUILD)/proxy/main.o $(ARCHIVES)
$(BUILD)/mailferry-sync: $(BUILD)/sync/main.o $(ARCHIVES)
$(PROGRAMS):
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(ARCHIVES) $(LIBS)

define archive
$(BUILD)/lib$(1).a: $(call objects,$(call sources,$(1)))
	$$(call say,AR,$$@)
	$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach p,$(PARTS),$(eval $(call archive,$(p))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# SQL as a C string: one quoted line for each line of the file.
$(BUILD)/gen/schema_sql.h: common/schema.sql
$(BUILD)/gen/schema_1_sql.h: tests/unit/schema_1.sql
$(BUILD)/gen/schema_sql.h $(BUILD)/gen/schema_1_sql.h:
	@mkdir -p $(@D)
	$(Q)sed 's/--.*//; s/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $< >$@
$(BUILD)/common/store.o: | $(BUILD)/gen/schema_sql.h
$(BUILD)/tests/unit/test_store_file.o: | $(BUILD)/gen/schema_1_sql.h

# They are inside of it.
$(BUILD)/admin/web.o: $(wildcard admin/web/*)

$(BUILD)/mailferry.conf.sample: $(BUILD)/mailferry
	$(Q)$(BUILD)/mailferry sample-config >$@.new && mv $@.new $@

$(MANUALS): $(BUILD)/mailferry
	$(Q)$(BUILD)/mailferry man $(subst .,,$(suffix $@)) >$@.new && mv $@.new $@
$(COMPLETIONS): $(BUILD)/mailferry
	$(Q)$(BUILD)/mailferry completion $(subst .,,$(suffix $@)) >$@.new && mv $@.new $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- tests

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(ARCHIVES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(ARCHIVES) $(LIBS) -lcmocka

# Each fuzz target replays its corpus in the suite; `make fuzz` lets clang search for more.
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(ARCHIVES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(BUILD)/tests/fuzz/replay.o $(ARCHIVES) $(LIBS)

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(ARCHIVES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(ARCHIVES) $(LIBS)

# Their stage stands in for the store, the listeners and the backends' names: its functions win.
$(BUILD)/tests/fuzz/fuzz_front $(BUILD)/tests/fuzz/fuzz_back: LDFLAGS += -Wl,-z,muldefs

.SECONDARY:

unit: $(UNIT_TESTS)
fuzzers: $(FUZZERS)
bench-tools: $(BENCH_TOOLS)
binaries: all unit fuzzers bench-tools

# One round: unit tests, layers, fuzz corpora, short end to end.
check: binaries
	tests/run --build $(BUILD) --python $(PYTHON)

# Everything that must hold before a change lands: the round plain, and again under the sanitizers.
test: deps
	tests/run --twice --python $(PYTHON)

test-full:
	tests/deps --full
	tests/run --twice --full --python $(PYTHON)

# The operator's page in Chromium; pictures of it are left in build/web/pictures.
test-web:
	tests/deps --web
	@$(MAKE) --no-print-directory all
	MAILFERRY_BUILD=$(CURDIR)/$(BUILD) $(PYTHON) -m pytest tests/e2e/test_web.py -q -p no:cacheprovider

FUZZ_SECONDS ?= 60
fuzz: deps
	tests/deps --fuzz
	tests/fuzz/run $(FUZZ_SECONDS)
# SEED=n: the same requests again.
fuzz-api: deps
	@$(MAKE) --no-print-directory SAN=1 all
	MAILFERRY_BUILD=build/asan API_FUZZ_SECONDS=$(FUZZ_SECONDS) $(if $(SEED),SEED=$(SEED)) \
		$(PYTHON) -m pytest tests/e2e/test_api_fuzz.py -q -s -p no:cacheprovider
show-libs:
	@echo $(LIBS)

# BENCH=quick: a minute, for a look. BENCH="--cells idle,NOOP --peers mailferry,haproxy --rounds 5" or
# BENCH="--cells users --copiers mailferry,mbsync": a part. Only the whole, slow run writes docs/benchmarks.md.
BENCH ?=
bench-proxy:
	tests/deps --bench
	@$(MAKE) --no-print-directory all bench-tools
	$(PYTHON) tests/bench/bench.py --build $(BUILD) \
		$(if $(BENCH),$(BENCH:quick=--quick),--write docs/benchmarks.md)
bench-sync:
	tests/deps --bench
	@$(MAKE) --no-print-directory all bench-tools
	$(PYTHON) tests/bench/sync.py --build $(BUILD) \
		$(if $(BENCH),$(BENCH:quick=--quick),--write docs/benchmarks.md)

# How long the command and the page take with 100,000 users in the store.
bench-desk:
	tests/deps --web
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/bench/desk.py --build $(BUILD) $(if $(BENCH),$(BENCH:quick=--quick),--write docs/benchmarks.md)

bench-cutover bench-waves: deps
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/bench/$(if $(findstring waves,$@),waves,cutovers).py --build $(BUILD) \
		$(if $(BENCH),$(BENCH:quick=--quick),--write docs/benchmarks.md)

# CHAOS="--servers shy --parts cuts": a part. SEED=n: the same choices again. CHAOS=--self-test: bugs are planted in a copy
# of the sources, one after the other, and each must be found.
CHAOS ?=
chaos-sync:
	tests/deps --full
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/chaos/chaos_sync.py --build $(BUILD) $(if $(SEED),--seed $(SEED)) $(CHAOS)

# SECONDS=1800: half an hour. SEED=n: the same choices again. CHAOS="--users 3 --mishaps reset,kill_node": less of it.
# CHAOS="--hosts 2": that many hosts on a PostgreSQL, which make passes for each other.
# CHAOS=--self-test: bugs are planted in a copy of the sources, one after the other, and each must be found.
chaos: deps
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/chaos/chaos.py --build $(BUILD) $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) $(CHAOS)

# ---- the rest

deps:
	tests/deps

demo: deps
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/demo/demo.py run --build $(BUILD)

demo-cluster: deps
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/demo/cluster.py --build $(BUILD)

demo-opensrs: deps
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/demo/opensrs.py --build $(BUILD)

demo-up: deps
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/demo/demo.py up --build $(BUILD)

demo-down:
	$(PYTHON) tests/demo/demo.py down

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

# Settings that are there are left alone. /run/mailferry is made at boot, by systemd or tmpfiles.d.
install: all
	install -d $(DESTDIR)$(SYSCONFDIR)/mailferry $(DESTDIR)$(UNITDIR)
	install -d -m 700 $(DESTDIR)/var/lib/mailferry
	[ -e $(DESTDIR)$(SYSCONFDIR)/mailferry/mailferry.conf ] || \
		install -m 644 config/mailferry.conf $(DESTDIR)$(SYSCONFDIR)/mailferry/
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/mailferry
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/libexec/mailferry $(BUILD)/mailferry-proxy $(BUILD)/mailferry-sync
	sed 's|/usr/local|$(PREFIX)|' config/mailferry.service >$(DESTDIR)$(UNITDIR)/mailferry.service
	install -D -m 644 config/mailferry.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/mailferry.conf
	install -D -m 644 -t $(DESTDIR)$(DOCDIR) README.md CHANGES.md docs/*.md
	install -D -m 644 -t $(DESTDIR)$(DOCDIR)/examples $(BUILD)/mailferry.conf.sample config/mailferry.socket \
		docs/alerts.yml docs/grafana.json docs/openapi.json docs/mailing/*
	for page in $(MANUALS); do \
		install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$${page##*.} $$page || exit 1; done
	install -D -m 644 $(BUILD)/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mailferry
	install -D -m 644 $(BUILD)/completion.zsh $(DESTDIR)$(ZSHDIR)/_mailferry

# Made of a copy of the sources, for what a build of a package leaves behind; the packages are then in build/deb.
deb:
	tests/deps --deb
	rm -rf build/deb/mailferry* && mkdir -p build/deb/mailferry
	tar -cf - --exclude=./build --exclude=./demo --exclude=./.git --exclude=__pycache__ . | tar -xf - -C build/deb/mailferry
	cd build/deb/mailferry && dpkg-buildpackage --build=binary --no-sign
	systemd-analyze security --offline=true --no-pager build/deb/mailferry/debian/mailferry/lib/systemd/system/mailferry.service | tail -1
	lintian --info --fail-on error,warning build/deb/mailferry_*.changes

# As root: installs the package on a fresh Debian in a folder, and upgrades it under a live session.
test-deb:
	tests/deps --deb
	[ -e build/deb/mailferry_*_*.deb ] || $(MAKE) --no-print-directory deb
	$(PYTHON) tests/deb/run.py build/deb/mailferry_*_*.deb

clean:
	rm -rf build

help:
	@echo 'make            build the programs into $(BUILD)'
	@echo 'make demo       two servers, live clients, five users moved while they work; ends with a report'
	@echo 'make demo-cluster  three hosts, PostgreSQL; nodes, engines and hosts die and are cut off during the moves'
	@echo 'make demo-opensrs  the whole plan of a move to OpenSRS, on a stand-in for it: accounts, waves, DNS, the checklist'
	@echo 'make demo-up    as make demo, and leaves everything running; make demo-down stops it'
	@echo 'make test       install what is missing, then the whole suite, plain and under sanitizers'
	@echo 'make check      one round of the suite with this build (SAN=1: under sanitizers)'
	@echo 'make test-full  the suite with its long parts'
	@echo 'make test-web   the operator'\''s page in a real browser, with pictures of it'
	@echo 'make fuzz       search with the fuzzers, FUZZ_SECONDS= each'
	@echo 'make fuzz-api   requests that nobody meant, made of docs/openapi.json, FUZZ_SECONDS= of them; SEED= repeats a run'
	@echo 'make bench-proxy  what a session costs here and in nginx, Dovecot and haproxy; BENCH=quick for a look'
	@echo 'make chaos      users at work are moved there and back while everything fails; then what was promised is checked; CHAOS="--hosts 2"'
	@echo 'make chaos-sync  the copier killed and cut everywhere, between four kinds of servers, and through whole lives of a mailbox; SEED= repeats a run'
	@echo 'make bench-sync  what copying mailboxes takes here and with mbsync, dsync and offlineimap'
	@echo 'make bench-cutover  how long logins wait while mailboxes of 10,000 messages are moved under load'
	@echo 'make bench-waves  a thousand users are moved in waves of a hundred while all of them are there'
	@echo 'make bench-desk  how long the command and the page take with 100,000 users in the store'
	@echo 'make install    PREFIX=$(PREFIX) DESTDIR='
	@echo 'make deb        Debian packages in build/deb'
	@echo 'make test-deb   as root: that package on a fresh Debian: login, move, upgrade under a session, removal'
	@echo 'make deps       install the Debian packages that building and testing need'
	@echo 'make format     clang-format over all sources'
	@echo 'make clean      remove build/'

.PHONY: all unit fuzzers bench-tools bench-proxy bench-sync bench-cutover bench-waves bench-desk chaos chaos-sync binaries check test test-full test-web fuzz fuzz-api show-libs deps demo demo-cluster demo-opensrs demo-up demo-down format install deb test-deb clean help
