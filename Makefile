# sinkd - make help lists the targets.
#
# Layout: core/ is one static library without libuv or HTTP; server/ adds them; every tests/**/test_*.c
# is one program. VARIANT builds (asan, tsan) go into a folder of their own.

VERSION := 0.1.0
BUILD   ?= build
CC      ?= gcc
MODEL   ?=
TESTS   ?=

CFLAGS  ?= -O3 -g
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
CPPFLAGS += -I. -D_GNU_SOURCE -DSINKD_VERSION='"$(VERSION)"' -MMD -MP
STD     := -std=c17 -fno-math-errno -pthread $(EXTRA)
LDFLAGS += -pthread $(EXTRA)

CORE_LIBS   := -lutf8proc -lm -ldl
SERVER_LIBS := -lmicrohttpd -luv -ljansson -linih

CORE_SRC   := $(wildcard core/*/*.c)
SERVER_SRC := $(filter-out server/main.c,$(wildcard server/*.c))
TEST_SRC   := $(shell find tests -name 'test_*.c' 2>/dev/null | sort)
SUPPORT_SRC := $(wildcard tests/support/*.c)

CORE_OBJ   := $(CORE_SRC:%.c=$(BUILD)/%.o)
SERVER_OBJ := $(SERVER_SRC:%.c=$(BUILD)/%.o)
SUPPORT_OBJ := $(SUPPORT_SRC:%.c=$(BUILD)/%.o)
TEST_BIN   := $(TEST_SRC:%.c=$(BUILD)/%)

.PHONY: all run test test-unit test-kernels test-e2e asan tsan lint format bench clean help deps
.SECONDARY:

all: $(BUILD)/sinkd ## build the daemon: build/sinkd

# Instruction sets are set on these objects alone: everything else is plain x86-64, and which of
# them runs is decided at start.
$(BUILD)/core/kernels/%_avx2.o:   STD += -mavx2 -mfma -mf16c
$(BUILD)/core/kernels/%_avx512.o: STD += -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl \
    -mavx512dq -mavx512vnni -mprefer-vector-width=512

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(STD) $(CFLAGS) $(WARN) -c $< -o $@

$(BUILD)/libcore.a: $(CORE_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/libserver.a: $(SERVER_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/sinkd: $(BUILD)/server/main.o $(BUILD)/libserver.a $(BUILD)/libcore.a
	$(CC) $(LDFLAGS) $^ $(SERVER_LIBS) $(CORE_LIBS) -o $@

$(BUILD)/tests/support/libsupport.a: $(SUPPORT_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

# Tests of core link core alone; tests of server meet the engine only through its door and may bring
# a fake one (tests/support/fake_engine.c comes first on the line).
$(BUILD)/tests/core/%: $(BUILD)/tests/core/%.o $(BUILD)/libcore.a $(BUILD)/tests/support/libsupport.a
	$(CC) $(LDFLAGS) $< -Wl,--start-group $(BUILD)/tests/support/libsupport.a $(BUILD)/libcore.a -Wl,--end-group -lcmocka $(CORE_LIBS) -o $@

$(BUILD)/tests/server/%: $(BUILD)/tests/server/%.o $(BUILD)/libserver.a $(BUILD)/libcore.a $(BUILD)/tests/support/libsupport.a
	$(CC) $(LDFLAGS) $< -Wl,--start-group $(BUILD)/tests/support/libsupport.a $(BUILD)/libserver.a $(BUILD)/libcore.a -Wl,--end-group -lcmocka $(SERVER_LIBS) $(CORE_LIBS) -o $@

unit-bins: $(TEST_BIN)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

clean: ## remove what was built
	rm -rf build

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16
