/* fuzz_json_schema.c - libFuzzer target: any bytes as a JSON Schema. What it becomes must be GBNF
 * that compiles or says why not, and the first text of it that ends must be JSON. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/text/grammar.h"
#include "core/text/grammar_states.h"
#include "server/json_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Bytes that lead to an end come first. */
static bool find_byte(struct grammar_states *states, uint32_t at, unsigned char *out)
{
    static const char first[] = "\"}]:0123456789nultrefas,-";
    for (int i = 0; i < 256 + (int)sizeof first - 1; i++) {
        *out = i < (int)sizeof first - 1 ? (unsigned char)first[i]
                                         : (unsigned char)(i - (int)sizeof first + 1);
        if (grammar_states_step(states, at, *out) != GRAMMAR_DEAD)
            return true;
        if (states->status != GRAMMAR_OK)
            return false;
    }
    return false;
}

static void say(struct grammar *grammar)
{
    struct grammar_states states;
    struct buf text;
    check(grammar_states_init(&states, grammar));
    buf_init(&text);
    uint32_t at = grammar_states_start(&states);
    unsigned char byte;
    while (text.len < 2000 && !grammar_states_accepts(&states, at) &&
           find_byte(&states, at, &byte)) {
        states.work = 0;
        buf_append(&text, &byte, 1);
        at = grammar_states_step(&states, at, byte);
    }
    if (grammar_states_accepts(&states, at)) {
        json_t *value = json_loadb(buf_text(&text), text.len, JSON_DECODE_ANY, NULL);
        check(value != NULL);
        json_decref(value);
    }
    buf_done(&text);
    grammar_states_done(&states);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const char *text = n_bytes == 0 ? "" : (const char *)bytes;
    json_t *schema = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (schema == NULL)
        return 0;
    for (int is_strict = 0; is_strict < 2; is_strict++) {
        struct buf gbnf;
        struct err err = {0};
        struct grammar *grammar = NULL;
        buf_init(&gbnf);
        json_schema_write_common(&gbnf);
        bool is_good = json_schema_write(schema, "root", is_strict != 0, &gbnf, &err) &&
                       grammar_new(&grammar, gbnf.data, gbnf.len, &err);
        check(is_good || err.text[0] != '\0');
        if (is_good)
            say(grammar);
        grammar_free(&grammar);
        buf_done(&gbnf);
    }
    json_decref(schema);
    return 0;
}
