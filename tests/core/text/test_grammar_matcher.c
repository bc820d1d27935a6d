#include "tests/core/text/grammar_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/text/grammar_matcher.h"
#include "tests/core/text/random.h"
#include "tests/core/text/real_vocab.h"
#include "tests/core/text/small_vocab.h"

static const char JSON[] =
    "root ::= object\n"
    "value ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n"
    "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? ws \"}\"\n"
    "array ::= \"[\" ws (value (\",\" ws value)*)? ws \"]\"\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1F] | \"\\\\\" [\"\\\\/bfnrt])* \"\\\"\"\n"
    "number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15}) (\".\" [0-9]{1,9})?\n"
    "ws ::= \" \"?\n";

static struct grammar_matcher *open_matcher(const char *gbnf, const struct tokenizer *tokenizer,
                                            bool allows_end)
{
    struct grammar *grammar = grammar_check_new(gbnf);
    struct grammar_matcher *matcher = NULL;
    struct err err = {0};
    if (!grammar_matcher_open(&matcher, grammar, tokenizer, allows_end, &err))
        fail_msg("%s", err.text);
    grammar_free(&grammar);
    return matcher;
}

/* Bytes, letters, and words that cross the borders of anything in JSON. */
static struct tokenizer *open_small(void)
{
    static const char *const words[] = {"{",
                                        "}",
                                        "{\"",
                                        "\":",
                                        "\": \"",
                                        "\",",
                                        "\"}",
                                        "[",
                                        "]",
                                        "],",
                                        "true",
                                        "false",
                                        "null",
                                        "tr",
                                        "ue",
                                        "123",
                                        "4.5",
                                        "-",
                                        "a",
                                        "bc",
                                        "\xC3",
                                        "\xA9",
                                        "\xE4\xB8",
                                        "\xAD",
                                        "\xC3\xA9t",
                                        "\xE2\x96\x81",
                                        "\xE2\x96\x81\"",
                                        "\"\"",
                                        "\\n",
                                        "\\",
                                        "}}",
                                        "\":{\"",
                                        "1,",
                                        ",\"",
                                        "null}"};
    struct small_vocab vocab;
    struct err err;
    small_vocab_spm(&vocab);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        small_vocab_add(&vocab, words[i], 0, 1);
    small_vocab_add(&vocab, "<|im_end|>", 0, 3);
    small_vocab_add(&vocab, "<tool>", 0, 3);
    struct tokenizer *tokenizer = small_vocab_open(&vocab, &err);
    assert_non_null(tokenizer);
    return tokenizer;
}

static bool fits(struct grammar_states *states, const char *text, size_t len)
{
    return grammar_check_fit(states, text, len) != FIT_NOT;
}

/* The mask against the definition: what was said, with each token's text after it, is the beginning
 * of something. */
static void check_mask(struct grammar_matcher *matcher, struct grammar_states *states,
                       const struct tokenizer *tokenizer, const struct buf *said)
{
    int n_vocab = tokenizer_n_vocab(tokenizer);
    float *logits = calloc((size_t)n_vocab, sizeof *logits);
    struct buf text;
    bool has_any = grammar_matcher_mask(matcher, logits);
    buf_init(&text);
    buf_append(&text, said->data, said->len);
    bool may_end = grammar_check_fit(states, buf_text(said), said->len) >= FIT_WHOLE;
    assert_int_equal(grammar_matcher_may_end(matcher), may_end);
    for (int32_t id = 0; id < n_vocab; id++) {
        size_t len;
        const char *piece = tokenizer_piece(tokenizer, id, &len);
        text.len = said->len;
        buf_append(&text, piece, len);
        bool expected = tokenizer_is_end(tokenizer, id)
                            ? may_end
                            : len > 0 && fits(states, text.data, text.len);
        if (has_any && isfinite(logits[id]) != expected)
            fail_msg("token %d '%.*s' after '%.*s': expected %d", id, (int)len, piece,
                     (int)said->len, buf_text(said), expected);
        assert_int_equal(grammar_matcher_allows(matcher, id), expected);
        assert_true(has_any || !expected);
    }
    buf_done(&text);
    free(logits);
}

static int32_t pick_allowed(struct grammar_matcher *matcher, const struct tokenizer *tokenizer,
                            uint32_t *random)
{
    for (;;) {
        int32_t id = random_below(random, tokenizer_n_vocab(tokenizer));
        if (!tokenizer_is_end(tokenizer, id) && grammar_matcher_allows(matcher, id))
            return id;
    }
}

/* Says random allowed tokens, and checks the mask before each. */
static void check_walk(const char *gbnf, const struct tokenizer *tokenizer, int n_tokens,
                       uint32_t seed)
{
    struct grammar_matcher *matcher = open_matcher(gbnf, tokenizer, true);
    struct grammar *grammar = grammar_check_new(gbnf);
    struct grammar_states states;
    struct buf said;
    assert_true(grammar_states_init(&states, grammar));
    buf_init(&said);
    for (int i = 0; i < n_tokens && !grammar_matcher_must_end(matcher); i++) {
        check_mask(matcher, &states, tokenizer, &said);
        int32_t id = pick_allowed(matcher, tokenizer, &seed);
        size_t len;
        const char *piece = tokenizer_piece(tokenizer, id, &len);
        buf_append(&said, piece, len);
        grammar_matcher_accept(matcher, id);
        states.work = 0;
    }
    check_mask(matcher, &states, tokenizer, &said);
    buf_done(&said);
    grammar_states_done(&states);
    grammar_free(&grammar);
    grammar_matcher_close(&matcher);
    assert_null(matcher);
}

static void masks_are_the_definition(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_small();
    for (uint32_t seed = 1; seed < 12; seed++)
        check_walk(JSON, tokenizer, 40, seed);
    check_walk("root ::= [\\u00e0-\\u4e2d]*", tokenizer, 40, 5);
    check_walk("root ::= \"\"", tokenizer, 3, 5);
    tokenizer_close(&tokenizer);
}

static void check_two_walks(const struct tokenizer *tokenizer)
{
    for (uint32_t seed = 1; seed < 3; seed++)
        check_walk(JSON, tokenizer, 12, seed);
}

static void masks_of_real_vocabularies(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-spm", "gpt-2", "falcon"};
    real_vocab_each(names, sizeof names / sizeof names[0], check_two_walks);
}

static void accept_text(struct grammar_matcher *matcher, const char *text)
{
    for (; *text != '\0'; text++) {
        int32_t id = 3 + (unsigned char)*text; /* byte tokens */
        assert_true(grammar_matcher_allows(matcher, id));
        grammar_matcher_accept(matcher, id);
    }
}

static void the_end_of_a_turn_is_the_end_of_the_grammar(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_small();
    int n_vocab = tokenizer_n_vocab(tokenizer);
    int32_t eos = 2, im_end = n_vocab - 2, tool = n_vocab - 1;
    assert_true(tokenizer_is_end(tokenizer, im_end));
    struct grammar_matcher *matcher = open_matcher("root ::= [0-9]+ | \"x\"", tokenizer, true);
    assert_false(grammar_matcher_allows(matcher, eos));
    accept_text(matcher, "12");
    assert_true(grammar_matcher_allows(matcher, eos));
    assert_true(grammar_matcher_allows(matcher, im_end));
    assert_false(grammar_matcher_allows(matcher, tool));
    assert_false(grammar_matcher_allows(matcher, 0)); /* <unk> */
    assert_false(grammar_matcher_allows(matcher, -1));
    assert_false(grammar_matcher_allows(matcher, n_vocab));
    assert_true(grammar_matcher_may_end(matcher));
    assert_false(grammar_matcher_must_end(matcher));
    grammar_matcher_close(&matcher);

    matcher = open_matcher("root ::= [0-9]+ | \"x\"", tokenizer, true);
    accept_text(matcher, "x");
    assert_true(grammar_matcher_must_end(matcher));
    grammar_matcher_close(&matcher);

    /* A turn that ignores ends goes on as long as anything fits. */
    matcher = open_matcher("root ::= [0-9]{1,2}", tokenizer, false);
    accept_text(matcher, "1");
    assert_false(grammar_matcher_allows(matcher, eos));
    accept_text(matcher, "2");
    float *logits = calloc((size_t)n_vocab, sizeof *logits);
    assert_false(grammar_matcher_mask(matcher, logits));
    assert_true(grammar_matcher_may_end(matcher));
    free(logits);
    grammar_matcher_close(&matcher);
    tokenizer_close(&tokenizer);
}

static void control_tokens_say_their_names_when_shown(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_small();
    int n_vocab = tokenizer_n_vocab(tokenizer);
    int32_t tool = n_vocab - 1;
    float *logits = calloc((size_t)n_vocab, sizeof *logits);
    struct grammar_matcher *matcher = open_matcher("root ::= \"<tool>\" [a-z]+", tokenizer, true);
    assert_false(grammar_matcher_allows(matcher, tool));
    grammar_matcher_show(matcher, &tool, 1);
    assert_true(grammar_matcher_allows(matcher, tool));
    assert_true(grammar_matcher_mask(matcher, logits));
    assert_true(isfinite(logits[tool]));
    grammar_matcher_accept(matcher, tool);
    assert_false(grammar_matcher_allows(matcher, tool));
    accept_text(matcher, "ab");
    assert_true(grammar_matcher_may_end(matcher));
    grammar_matcher_close(&matcher);
    free(logits);
    tokenizer_close(&tokenizer);
}

/* A prompt may have begun what the grammar says. */
static void it_may_have_begun_before(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_small();
    const char gbnf[] = "root ::= (\"<t>\" [a-z]* \"</t>\")? \"{}\"";
    struct grammar_matcher *matcher = open_matcher(gbnf, tokenizer, true);
    grammar_matcher_begin(matcher, "<t>", 3);
    assert_false(grammar_matcher_allows(matcher, 3 + '{'));
    accept_text(matcher, "a</t>{");
    assert_false(grammar_matcher_must_end(matcher));
    accept_text(matcher, "}");
    assert_true(grammar_matcher_must_end(matcher));
    grammar_matcher_close(&matcher);
    tokenizer_close(&tokenizer);
}

static void a_token_that_nobody_has_is_a_dead_end(void **state)
{
    (void)state;
    struct small_vocab vocab = {.model = "llama"};
    struct err err;
    small_vocab_add(&vocab, "<unk>", 0, 2);
    small_vocab_add(&vocab, "<s>", 0, 3);
    small_vocab_add(&vocab, "</s>", 0, 3);
    small_vocab_add(&vocab, "a", 0, 1);
    struct tokenizer *tokenizer = small_vocab_open(&vocab, &err);
    assert_non_null(tokenizer);
    struct grammar_matcher *matcher = open_matcher("root ::= \"ab\"", tokenizer, true);
    float logits[4] = {0};
    assert_true(grammar_matcher_mask(matcher, logits));
    assert_true(isfinite(logits[3]) && !isfinite(logits[0]) && !isfinite(logits[2]));
    grammar_matcher_accept(matcher, 3);
    assert_false(grammar_matcher_mask(matcher, logits));
    assert_false(grammar_matcher_may_end(matcher));
    assert_false(grammar_matcher_is_out_of_memory(matcher));
    grammar_matcher_close(&matcher);
    tokenizer_close(&tokenizer);
}

/* More states than there is room for, again and again. */
static void long_texts_fit_into_bounded_memory(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_small();
    struct grammar_matcher *matcher =
        open_matcher("root ::= \"[\" ([a-z]{1,300} \",\"){0,900000} \"]\"", tokenizer, true);
    float *logits = calloc((size_t)tokenizer_n_vocab(tokenizer), sizeof *logits);
    accept_text(matcher, "[");
    for (int i = 0; i < 60000; i++) {
        accept_text(matcher, i % 5 == 4 ? "," : "a");
        if (i % 100 == 0)
            assert_true(grammar_matcher_mask(matcher, logits));
    }
    accept_text(matcher, "]");
    assert_true(grammar_matcher_must_end(matcher));
    free(logits);
    grammar_matcher_close(&matcher);
    tokenizer_close(&tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_the_definition),
        cmocka_unit_test(masks_of_real_vocabularies),
        cmocka_unit_test(the_end_of_a_turn_is_the_end_of_the_grammar),
        cmocka_unit_test(control_tokens_say_their_names_when_shown),
        cmocka_unit_test(it_may_have_begun_before),
        cmocka_unit_test(a_token_that_nobody_has_is_a_dead_end),
        cmocka_unit_test(long_texts_fit_into_bounded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
