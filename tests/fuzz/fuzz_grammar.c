/* fuzz_grammar.c - libFuzzer target: any bytes as a grammar. One that compiles must be followed, or
 * its limits met, without harm; and every state that is alive has a way on or an end. */
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/text/grammar.h"
#include "core/text/grammar_regex.h"
#include "core/text/grammar_states.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* A byte that fits, by choice of `pick`; 256 for none. */
static unsigned find_byte(struct grammar_states *states, uint32_t at, unsigned pick)
{
    for (unsigned i = 0; i < 256; i++) {
        unsigned byte = (pick + i * 7) & 255;
        if (grammar_states_step(states, at, (unsigned char)byte) != GRAMMAR_DEAD)
            return byte;
        if (states->status != GRAMMAR_OK)
            return 256;
    }
    return 256;
}

static void follow(struct grammar *grammar, const uint8_t *bytes, size_t n_bytes)
{
    struct grammar_states states;
    check(grammar_states_init(&states, grammar));
    states.max_bytes = 1 << 20;
    uint32_t at = grammar_states_start(&states);
    for (size_t i = 0; i < n_bytes && i < 200 && states.status == GRAMMAR_OK; i++) {
        unsigned byte = find_byte(&states, at, bytes[i]);
        if (byte == 256) {
            check(states.status != GRAMMAR_OK || grammar_states_accepts(&states, at) || i >= 100);
            break;
        }
        at = grammar_states_step(&states, at, (unsigned char)byte);
        if (i % 16 == 15)
            at = grammar_states_forget(&states, at);
    }
    grammar_states_done(&states);
}

static void compile(const char *text, size_t len, const uint8_t *bytes, size_t n_bytes)
{
    struct grammar *grammar = NULL;
    struct err err = {0};
    if (!grammar_new(&grammar, text, len, &err)) {
        check(grammar == NULL && err.code != ERR_NONE && err.text[0] != '\0');
        return;
    }
    follow(grammar, bytes, n_bytes);
    grammar_free(&grammar);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const char *text = n_bytes == 0 ? "" : (const char *)bytes;
    compile(text, n_bytes, bytes, n_bytes);
    for (int kind = 0; kind < 2; kind++) {
        struct buf gbnf;
        buf_init(&gbnf);
        buf_append_text(&gbnf, "root ::= ");
        if (grammar_regex_write(text, n_bytes, (enum grammar_regex_kind)kind, kind * 2,
                                kind * 90 - 1, &gbnf, NULL))
            compile(gbnf.data, gbnf.len, bytes, n_bytes);
        buf_done(&gbnf);
    }
    return 0;
}
