/* grammar_check.h - whether a text fits a grammar, byte by byte, for tests. */
#ifndef TESTS_CORE_TEXT_GRAMMAR_CHECK_H
#define TESTS_CORE_TEXT_GRAMMAR_CHECK_H

#include "tests/support/check.h"

#include <string.h>

#include "core/base/err.h"
#include "core/text/grammar.h"
#include "core/text/grammar_states.h"

enum grammar_fit { FIT_NOT, FIT_BEGINNING, FIT_WHOLE, FIT_WHOLE_AND_MORE };

static inline struct grammar *grammar_check_new(const char *gbnf)
{
    struct grammar *grammar = NULL;
    struct err err = {0};
    if (!grammar_new(&grammar, gbnf, strlen(gbnf), &err))
        fail_msg("%s\nin %s", err.text, gbnf);
    return grammar;
}

static inline enum grammar_fit grammar_check_fit(struct grammar_states *states, const char *text,
                                                 size_t len)
{
    uint32_t state = grammar_states_start(states);
    for (size_t i = 0; i < len; i++)
        state = grammar_states_step(states, state, (unsigned char)text[i]);
    assert_int_equal(states->status, GRAMMAR_OK);
    bool accepts = grammar_states_accepts(states, state);
    if (!accepts)
        return state == GRAMMAR_DEAD ? FIT_NOT : FIT_BEGINNING;
    return grammar_states_goes_on(states, state) ? FIT_WHOLE_AND_MORE : FIT_WHOLE;
}

static inline enum grammar_fit grammar_check_text(const char *gbnf, const char *text)
{
    struct grammar *grammar = grammar_check_new(gbnf);
    struct grammar_states states;
    assert_true(grammar_states_init(&states, grammar));
    enum grammar_fit fit = grammar_check_fit(&states, text, strlen(text));
    grammar_states_done(&states);
    grammar_free(&grammar);
    return fit;
}

#endif
