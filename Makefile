# sinkd - `make help` lists the targets.
#
# Layout: core/ is one static library without libuv or HTTP; server/ adds them; every
# tests/**/test_*.c is one program. Sanitizer and fuzz builds are this same file with another
# BUILD folder and EXTRA flags.

VERSION := 0.1.0
BUILD   ?= build
PREFIX  ?= /usr/local

ifeq ($(origin CC),default)
CC := gcc
endif

MODEL ?=# a GGUF file; empty: the default model is found or fetched
HOST  ?=# make run: address to listen on
PORT  ?=# make run: port to listen on
ARGS  ?=# make run: any other flags of sinkd
TESTS ?=# make test, test-unit: only programs whose path holds this text
V     ?=# V=1 shows the commands

CFLAGS   ?= -O3 -g
WARN     ?= -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
CPPFLAGS += -I. -D_GNU_SOURCE -DSINKD_VERSION='"$(VERSION)"' -MMD -MP
STD      := -std=c17 -fno-math-errno -pthread $(EXTRA)
LDFLAGS  += -pthread $(EXTRA)

CORE_LIBS   := -lutf8proc -lm -ldl
SERVER_LIBS := -lmicrohttpd -luv -ljansson -linih -lsqlite3 -lnettle

CORE_SRC    := $(wildcard core/*/*.c)
EVAL_SRC    := $(filter-out eval/main.c,$(wildcard eval/*.c))
SERVER_SRC  := $(filter-out server/main.c,$(wildcard server/*.c))
TEST_SRC    := $(sort $(shell find tests -name 'test_*.c'))
SUPPORT_SRC := $(wildcard tests/support/*.c)
FUZZ_SRC    := $(wildcard tests/fuzz/fuzz_*.c)
BENCH_SRC   := $(wildcard tests/bench/bench_*.c)
PRELOAD_SRC := tests/e2e/failing_calls.c
ALL_SRC     := $(CORE_SRC) $(SERVER_SRC) server/main.c $(EVAL_SRC) eval/main.c $(TEST_SRC) \
               $(SUPPORT_SRC) $(FUZZ_SRC) $(BENCH_SRC) $(PRELOAD_SRC)
ALL_HEADERS := $(wildcard core/*/*.h server/*.h eval/*.h tests/support/*.h)

objects = $(patsubst %.c,$(BUILD)/%.o,$1)
CORE    := $(BUILD)/libcore.a
SERVER  := $(BUILD)/libserver.a
EVAL    := $(BUILD)/libeval.a
SUPPORT := $(BUILD)/libsupport.a

# Of these one takes as long to compile as all else on a few cores: `all` begins with them.
PRODUCT_OBJ := $(call objects,$(filter core/kernels/matmul_avx% core/kernels/%_vbmi.c,$(CORE_SRC)))

TEST_BIN  := $(TEST_SRC:%.c=$(BUILD)/%)
FUZZ_BIN  := $(FUZZ_SRC:%.c=$(BUILD)/%)
BENCH_BIN := $(BENCH_SRC:%.c=$(BUILD)/%)
# The longest first: in the end nobody waits for one of them alone.
E2E_ALL   := $(wildcard tests/e2e/test_*.py)
E2E_LONG  := $(filter %/test_clients.py %/test_page.py,$(E2E_ALL))
E2E       := $(E2E_LONG) $(filter-out $(E2E_LONG),$(E2E_ALL))
PRELOADS  := $(PRELOAD_SRC:%.c=$(BUILD)/%.so)
SCRIPTS   := $(wildcard tests/scripts/test_*.sh)

# What `make test` runs once with each set of kernels that this CPU has, not once in all. Sets that
# differ from the one before in products alone, which are compared there, leave what is above out;
# where only those of weights in blocks do, models of floats would run the same code once more.
PRODUCTS := $(filter $(addprefix $(BUILD)/tests/core/,kernels/% model/%),$(TEST_BIN))
BLOCKS   := $(filter $(addprefix $(BUILD)/tests/core/,kernels/% model/test_forward_quantized \
              model/test_forward_experts),$(PRODUCTS))
NUMERIC  := $(PRODUCTS) $(filter $(addprefix $(BUILD)/tests/core/,session/% engine/%),$(TEST_BIN))
chosen    = $(if $(TESTS),$(foreach test,$1,$(if $(findstring $(TESTS),$(test)),$(test))),$1)
UNIT_RUN  = $(call chosen,$(filter-out $(NUMERIC),$(TEST_BIN)) $(SCRIPTS)) \
            $(foreach isa,scalar avx2 avx512 amx,-k $(isa) $(call chosen,$(NUMERIC))) \
            -k avxvnni $(call chosen,$(PRODUCTS)) -k vbmi $(call chosen,$(BLOCKS)) -k auto
E2E_RUN   = $(call chosen,$(E2E))

# All cores, unless the caller says otherwise.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-print-directory

QUIET = $(if $(V),,@echo "  $1 $@";)

.PHONY: all run test test-unit test-e2e soak test-sillytavern test-image screenshots asan tsan fuzz lint format \
        bench install deb clean help unit-bins threaded-bins fuzz-bins bench-bins tidy deps-%
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PRODUCT_OBJ) $(BUILD)/sinkd $(BUILD)/sinkd-eval ## build the daemon and the experiments: build/sinkd[-eval]

run: deps-build ## install what is missing, build, start with the default model (MODEL= HOST= PORT= ARGS=)
	@$(MAKE) -s $(BUILD)/sinkd
	@scripts/run.sh $(BUILD)/sinkd "$(MODEL)" $(if $(HOST),--host "$(HOST)") \
	    $(if $(PORT),--port "$(PORT)") $(ARGS)

test: deps-test ## install what is missing, build, run all tests (TESTS=text picks some)
	@$(MAKE) all unit-bins
	@SINKD=$(BUILD)/sinkd tests/run-tests $(UNIT_RUN) $(E2E_RUN)

test-unit: unit-bins ## the unit tests, numeric ones per kernel set
	@tests/run-tests $(UNIT_RUN)

test-e2e: all $(PRELOADS) ## the daemon with a tiny model against real clients
	@SINKD=$(BUILD)/sinkd tests/run-tests $(E2E_RUN)

SECONDS ?= 60
soak: all ## everything at once for a long time (SECONDS=60; an hour shows slow leaks)
	@SINKD=$(BUILD)/sinkd tests/e2e/soak.py $(SECONDS)

test-sillytavern: all ## a chat front end against the daemon: fetches half a gigabyte, once
	@SINKD=$(BUILD)/sinkd tests/run-tests tests/e2e/sillytavern.py

test-image: ## the Dockerfile, built by buildah and tried: as root, half an hour, 10 GB of disk
	@tests/e2e/image.py

screenshots: all ## pictures of the chat page with the default model, for the README
	@SINKD=$(BUILD)/sinkd tests/e2e/screenshots.py docs/screenshots

deps-%:
	@scripts/install-deps.sh $*

# --- the daemon ---------------------------------------------------------------------------------

# Instruction sets are set on these objects alone: everything else is plain x86-64, and which of
# them runs is decided at start.
ISA_AVX2   := -mavx2 -mfma -mf16c
ISA_AVXVNNI := $(ISA_AVX2) -mavxvnni
ISA_AVX512 := $(ISA_AVX2) -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni \
              -mprefer-vector-width=512
ISA_VBMI   := $(ISA_AVX512) -mavx512vbmi
ISA_AMX    := $(ISA_AVX512) -mamx-tile -mamx-int8
ifeq ($(shell uname -m),x86_64)
$(BUILD)/core/kernels/%_avx2.o: STD += $(ISA_AVX2)
$(BUILD)/core/kernels/%_avxvnni.o: STD += $(ISA_AVXVNNI)
$(BUILD)/core/kernels/%_avx512.o: STD += $(ISA_AVX512)
$(BUILD)/core/kernels/%_vbmi.o: STD += $(ISA_VBMI)
$(BUILD)/core/kernels/%_amx.o: STD += $(ISA_AMX)
endif
# Products unroll by hand what should be: -O3 makes them three times as large and slow to compile, no
# faster to run. Of all these a debugger knows lines (-g1); what it wants to know of each variable
# of each step takes half of the time to compile and most of the bytes to link.
VECTOR_OBJ  := $(PRODUCT_OBJ) $(call objects,$(filter core/kernels/kernels_avx%,$(CORE_SRC)))
$(PRODUCT_OBJ): CFLAGS += -O2
$(VECTOR_OBJ): OWN = $(patsubst -g,-g1,$(filter -g,$(CFLAGS))) $(LESS)
# What a sanitizer's build need not make anew is taken from the build that PLAIN names; COPY says
# what that is. Of products AddressSanitizer would make objects that take minutes and a gigabyte each
# to compile, and test_matmul has pages that nobody may touch behind each array. Of vector kernels
# fuzzers run none, and tests of threads those of the best set that the CPU has.
cpu_has   = $(shell grep -qw -m1 $1 /proc/cpuinfo && echo yes)
BEST_SETS := $(if $(call cpu_has,avx512_vnni),avx512 vbmi amx,$(if $(call cpu_has,avx_vnni),avxvnni,avx2))
COPY_products := $(PRODUCT_OBJ)
COPY_vectors  := $(VECTOR_OBJ)
COPY_unused   := $(filter-out $(foreach set,$(BEST_SETS),%_$(set).o),$(VECTOR_OBJ))
ifneq ($(PLAIN),)
$(COPY_$(COPY)): $(BUILD)/%.o: $(PLAIN)/%.o
	@mkdir -p $(@D)
	@cp $< $@
endif

# How objects are made is one of the things they are made from. A target's own flags are not here:
# they would come to what it depends on.
FLAGS := $(strip $(CC) $(CPPFLAGS) $(STD) $(CFLAGS) $(WARN) $(LESS) $(PLAIN) $(COPY) $(LDFLAGS))
ifneq ($(file <$(BUILD)/flags),$(FLAGS))
.PHONY: $(BUILD)/flags
endif
$(BUILD)/flags: export FLAGS := $(FLAGS)
$(BUILD)/flags:
	@mkdir -p $(@D)
	@printf '%s\n' "$$FLAGS" >$@

$(BUILD)/%.o: %.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	$(call QUIET,CC)$(CC) $(CPPFLAGS) $(STD) $(CFLAGS) $(OWN) $(WARN) -c $< -o $@

$(CORE): $(call objects,$(CORE_SRC))
$(SERVER): $(call objects,$(SERVER_SRC)) $(BUILD)/server/page_data.o
$(SUPPORT): $(call objects,$(SUPPORT_SRC))
$(BUILD)/lib%.a:
	@rm -f $@
	$(call QUIET,AR)ar rcs $@ $^

# The chat page, as bytes of the program.
$(BUILD)/server/page_data.c: $(wildcard server/page/*)
	@mkdir -p $(@D)
	$(call QUIET,GEN)server/page/make.sh >$@
$(BUILD)/server/page_data.o: $(BUILD)/server/page_data.c $(BUILD)/flags
	$(call QUIET,CC)$(CC) $(CPPFLAGS) $(STD) $(CFLAGS) $(WARN) -c $< -o $@

$(BUILD)/sinkd: $(BUILD)/server/main.o $(SERVER) $(CORE)
	$(call QUIET,LD)$(CC) $(LDFLAGS) $^ $(SERVER_LIBS) $(CORE_LIBS) -o $@

install: all ## install the daemon, its unit file and configuration (DESTDIR= PREFIX=)
	install -D -m 755 $(BUILD)/sinkd $(DESTDIR)$(PREFIX)/bin/sinkd
	install -d $(DESTDIR)/etc/sinkd $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' systemd/sinkd.service \
	    >$(DESTDIR)$(PREFIX)/lib/systemd/system/sinkd.service
	install -m 644 systemd/sinkd.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/sinkd.socket
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	scripts/make-man.sh $(BUILD)/sinkd docs/sinkd.1.in >$(DESTDIR)$(PREFIX)/share/man/man1/sinkd.1
	[ -e $(DESTDIR)/etc/sinkd/sinkd.ini ] || \
	    install -m 644 config/sinkd.ini $(DESTDIR)/etc/sinkd/sinkd.ini

deb: all ## a Debian package in the build folder
	+@scripts/make-deb.sh $(BUILD)

# --- the experiments ----------------------------------------------------------------------------

$(EVAL): $(call objects,$(EVAL_SRC))
$(BUILD)/sinkd-eval: $(BUILD)/eval/main.o $(EVAL) $(CORE)
	$(call QUIET,LD)$(CC) $(LDFLAGS) $^ -ljansson $(CORE_LIBS) -o $@

$(BUILD)/tests/eval/%: $(BUILD)/tests/eval/%.o $(SUPPORT) $(EVAL) $(CORE)
	$(call QUIET,LD)$(call link_test,-lcmocka -ljansson $(CORE_LIBS))

# --- tests --------------------------------------------------------------------------------------

unit-bins: $(TEST_BIN) $(PRELOADS)
	@:

# A hundred and fifty programs are linked for each build, by the quicker linker where it is there.
# With clang's AddressSanitizer it warns of each of the runtime's names.
TEST_LINKER := $(if $(findstring clang,$(CC)),,$(if $(shell command -v ld.gold),-fuse-ld=gold))

# Tests of core link core alone. The libraries stand in a group because tests/support uses core
# and may itself stand in for a part of it.
link_test = $(CC) $(LDFLAGS) $(TEST_LINKER) $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $1 -o $@

$(BUILD)/tests/core/%: $(BUILD)/tests/core/%.o $(SUPPORT) $(CORE)
	$(call QUIET,LD)$(call link_test,-lcmocka $(CORE_LIBS))

$(BUILD)/tests/server/%: $(BUILD)/tests/server/%.o $(SUPPORT) $(SERVER) $(CORE)
	$(call QUIET,LD)$(call link_test,-lcmocka $(SERVER_LIBS) $(CORE_LIBS))

# Allocations of our own code go through tests/support/failing_memory.c.
$(addprefix $(BUILD)/tests/server/test_,out_of_memory json_load conversation_record): LDFLAGS += \
    $(foreach name,malloc calloc realloc reallocarray aligned_alloc strdup asprintf mmap,-Wl,--wrap=$(name))

# What end-to-end tests load before the daemon's libraries.
$(BUILD)/%.so: %.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	$(call QUIET,LD)$(CC) $(CPPFLAGS) $(STD) $(CFLAGS) $(WARN) -fPIC -shared $< -ldl -o $@

# Sanitizers: the whole tree once more, in a folder of its own. Their reports name lines (-g1); for
# variables there is the ordinary build. In vector kernels AddressSanitizer's checks are calls: in line
# they take twice as long to compile.
ASAN := BUILD=build/asan CFLAGS='-O1 -g1 -fno-omit-frame-pointer' \
        EXTRA='-fsanitize=address,undefined -fno-sanitize-recover=all' PLAIN=$(BUILD) COPY=products \
        LESS=--param=asan-instrumentation-with-call-threshold=0
TSAN := BUILD=build/tsan CFLAGS='-O1 -g1 -fno-omit-frame-pointer' EXTRA='-fsanitize=thread' PLAIN=$(BUILD) COPY=unused

asan: deps-test ## all tests under AddressSanitizer and UBSan
	@$(MAKE) -s $(PRODUCT_OBJ)
	@$(MAKE) $(ASAN) all unit-bins
	@UBSAN_OPTIONS=print_stacktrace=1 E2E_SHORT=1 $(MAKE) $(ASAN) run-sanitized

# Only what has threads, and of the daemon what brings several clients, leaves amid an answer or has
# the other threads at work: the way of one request through them is in all of these. OpenBLAS is
# not instrumented, hence the suppressions. Where it is allowed without address space randomization:
# ThreadSanitizer's layout collides with it on newer kernels. It would wait a second at each exit
# for races of threads that outlive main; ours have been joined by then.
THREADED := $(filter %/test_thread_pool $(BUILD)/tests/core/engine/% \
              $(addprefix $(BUILD)/tests/server/test_,body_reader event_loop mailbox chat_turn% conversations% \
                  generations grammar_cache http_server% response_turn% routes sd_watch server% store%),$(TEST_BIN))
E2E_THREADED := $(patsubst %,tests/e2e/test_%.py,completions conversations crash exhaustion hostile \
                  lifecycle load operations proxies resume responses service sessions streams)
threaded-bins: $(THREADED)
tsan: deps-test ## what has threads under ThreadSanitizer
	@$(MAKE) -s $(COPY_unused)
	@$(MAKE) $(TSAN) all threaded-bins
	@TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.supp halt_on_error=0 second_deadlock_stack=1 \
	    atexit_sleep_ms=50" \
	    E2E_SHORT=1 $$(setarch -R true 2>/dev/null && echo setarch -R) $(MAKE) $(TSAN) run-threaded

.PHONY: run-sanitized run-threaded run-fuzz
run-sanitized:
	@SINKD=$(BUILD)/sinkd tests/run-tests $(call chosen,$(TEST_BIN)) $(E2E_RUN)
run-threaded:
	@SINKD=$(BUILD)/sinkd tests/run-tests $(call chosen,$(THREADED) $(E2E_THREADED))

FUZZ_SECONDS ?= 60
FUZZ := BUILD=build/fuzz CC=clang CFLAGS='-O1 -g1' WARN=-Wall \
        EXTRA='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all' \
        PLAIN=$(BUILD) COPY=vectors
fuzz: deps-lint ## libFuzzer on everything that parses (FUZZ_SECONDS=60 for each target)
	@$(MAKE) -s $(VECTOR_OBJ)
	@$(MAKE) $(FUZZ) fuzz-bins
	@$(MAKE) $(FUZZ) run-fuzz

run-fuzz:
	@tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ_BIN)

fuzz-bins: $(FUZZ_BIN)
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(SUPPORT) $(SERVER) $(CORE)
	$(call QUIET,LD)$(call link_test,-fsanitize=fuzzer $(SERVER_LIBS) $(CORE_LIBS))

bench-bins: $(BENCH_BIN)
$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(SUPPORT) $(CORE)
	$(call QUIET,LD)$(call link_test,$(CORE_LIBS))

bench: deps-bench ## tables of speed into tests/bench/RESULTS.md; LLAMA_BENCH=path of llama.cpp's to compare
	@$(MAKE) all bench-bins
	@tests/bench/compare.py $(BUILD)/tests/bench --out tests/bench/RESULTS.md \
	    $(if $(LLAMA_BENCH),--peer $(LLAMA_BENCH))
	@tests/bench/serve.py $(BUILD)/sinkd "$${MODEL:-$$(scripts/fetch-model.sh)}"

# --- style --------------------------------------------------------------------------------------

TIDY_SRC := $(filter-out $(wildcard core/kernels/*_a[mv]x*.c),$(ALL_SRC))

lint: deps-lint ## layers, format, clang-tidy, shellcheck: no warnings
	@scripts/check-layers.sh
	@scripts/check-calls.sh
	@clang-format --dry-run -Werror $(ALL_SRC) $(ALL_HEADERS)
	@shellcheck scripts/*.sh server/page/make.sh tests/run-tests .ci/run $(SCRIPTS) \
	    tests/scripts/checks.sh
	@$(MAKE) tidy
	@echo "lint: clean"

# Many files at a time: to start takes clang-tidy longer than to read one. All, if a header or a
# check is new, or what is new since all were clean.
tidy: $(BUILD)/tidy.ok
$(BUILD)/tidy.ok: $(TIDY_SRC) $(ALL_HEADERS) .clang-tidy tests/.clang-tidy
	@mkdir -p $(@D)
	@echo '  TIDY'; printf '%s\n' $(if $(filter-out $(TIDY_SRC),$?),$(TIDY_SRC),$?) | \
	    xargs -P "$$(nproc)" -n 12 sh -c 'clang-tidy --quiet "$$@" -- -std=c17 -I. -D_GNU_SOURCE \
	    -DSINKD_VERSION=\"\"' clang-tidy 2>/dev/null
	@touch $@

format: ## bring all C files into the house format
	clang-format -i $(ALL_SRC) $(ALL_HEADERS)

clean: ## remove what was built
	rm -rf build

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

-include $(patsubst %.c,$(BUILD)/%.d,$(ALL_SRC))
