#include "tests/support/check.h"

#include <math.h>
#include <string.h>

#include "tests/core/text/small_vocab.h"

/* The GGUF files of this test are wrong in one way each. None may crash; some are refused. */

static struct tokenizer *open_vocab(const struct small_vocab *vocab, struct err *err)
{
    *err = (struct err){0};
    return small_vocab_open(vocab, err);
}

static void check_refused(const struct small_vocab *vocab, enum err_code code)
{
    struct err err;
    assert_null(open_vocab(vocab, &err));
    assert_int_equal(err.code, code);
    assert_true(strlen(err.text) > 10);
}

static void lists_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct small_vocab vocab;
    small_vocab_spm(&vocab);
    vocab.n_scores = 5;
    check_refused(&vocab, ERR_FORMAT);
    small_vocab_spm(&vocab);
    vocab.n_types = 300;
    check_refused(&vocab, ERR_FORMAT);
    small_vocab_spm(&vocab);
    vocab.tokens[7].score = NAN;
    check_refused(&vocab, ERR_FORMAT);
    small_vocab_spm(&vocab);
    vocab.tokens[7].score = -INFINITY;
    check_refused(&vocab, ERR_FORMAT);
    small_vocab_spm(&vocab);
    vocab.n = 0;
    check_refused(&vocab, ERR_FORMAT);
    small_vocab_spm(&vocab);
    vocab.model = "bert";
    check_refused(&vocab, ERR_UNSUPPORTED);
}

static void missing_keys_are_refused(void **state)
{
    (void)state;
    struct gguf_builder builder;
    struct err err = {0};
    gguf_builder_init(&builder);
    assert_null(small_vocab_finish(&builder, &err));
    assert_int_equal(err.code, ERR_FORMAT);

    static const char *const MODELS[] = {"llama", "gpt2"};
    for (int i = 0; i < 2; i++) {
        gguf_builder_init(&builder);
        gguf_add_text(&builder, "tokenizer.ggml.model", MODELS[i]);
        gguf_add_u32(&builder, "tokenizer.ggml.tokens", 3);
        assert_null(small_vocab_finish(&builder, &err));
        assert_int_equal(err.code, ERR_FORMAT);
    }
    const char *tokens[] = {"a", "b"};
    gguf_builder_init(&builder);
    gguf_add_text(&builder, "tokenizer.ggml.model", "gpt2");
    gguf_add_texts(&builder, "tokenizer.ggml.tokens", tokens, 2);
    assert_null(small_vocab_finish(&builder, &err)); /* no merges */
    assert_int_equal(err.code, ERR_FORMAT);
}

static void odd_tokens_are_tolerated(void **state)
{
    (void)state;
    struct small_vocab vocab;
    struct err err;
    small_vocab_spm(&vocab);
    small_vocab_add(&vocab, "<0x-1>", 0, 6);
    small_vocab_add(&vocab, "<0xZZ>", 0, 6);
    small_vocab_add(&vocab, "<0x1>", 0, 6);
    small_vocab_add(&vocab, "<0x41>", 0, 6); /* a second 'A' */
    small_vocab_add(&vocab, "", 1, 1);
    small_vocab_add(&vocab, "", 1, 3);
    small_vocab_add(&vocab, "", 1, 4);
    small_vocab_add(&vocab, "dup", 1, 1);
    small_vocab_add(&vocab, "dup", 2, 1);
    small_vocab_add(&vocab, "\xFF\xFE", 3, 1);
    small_vocab_add(&vocab, "odd kind", 3, 77);
    small_vocab_add(&vocab, "odd kind", 3, -1);
    struct tokenizer *tokenizer = open_vocab(&vocab, &err);
    assert_non_null(tokenizer);
    assert_string_equal(small_vocab_plain(tokenizer, "A", false), "68");
    for (int32_t id = -3; id < (int32_t)vocab.n + 3; id++) {
        size_t len;
        assert_non_null(tokenizer_piece(tokenizer, id, &len));
        assert_non_null(tokenizer_name(tokenizer, id, &len));
        tokenizer_is_end(tokenizer, id);
        tokenizer_is_control(tokenizer, id);
    }
    tokenizer_close(&tokenizer);
}

static void odd_merges_are_tolerated(void **state)
{
    (void)state;
    static const char *const ODD[] = {"",
                                      " ",
                                      "  ",
                                      "a",
                                      "a ",
                                      " a",
                                      "a b c",
                                      "\xFF b",
                                      "x \xFF",
                                      "nope nada",
                                      "\xE4\xBD\xA0 a",
                                      "a b",
                                      "a b"};
    struct small_vocab vocab;
    struct err err;
    small_vocab_bpe(&vocab, "gpt-2");
    for (size_t i = 0; i < sizeof ODD / sizeof ODD[0]; i++)
        small_vocab_merge(&vocab, ODD[i]);
    struct tokenizer *tokenizer = open_vocab(&vocab, &err);
    assert_non_null(tokenizer);
    /* "ab" is merged to a string that is no token, and comes out as its bytes. */
    assert_string_equal(small_vocab_plain(tokenizer, "ab", false), "97 98");
    tokenizer_close(&tokenizer);
}

static void ids_out_of_range_are_ignored(void **state)
{
    (void)state;
    struct small_vocab vocab;
    struct gguf_builder builder;
    struct err err = {0};
    small_vocab_bpe(&vocab, "gpt-2");
    gguf_builder_init(&builder);
    small_vocab_put(&vocab, &builder);
    gguf_add_u32(&builder, "tokenizer.ggml.bos_token_id", 256);
    gguf_add_u32(&builder, "tokenizer.ggml.eos_token_id", 0xFFFFFFFF);
    gguf_add_u32(&builder, "tokenizer.ggml.unknown_token_id", 1u << 31);
    gguf_add_bool(&builder, "tokenizer.ggml.add_bos_token", 1);
    struct tokenizer *tokenizer = small_vocab_finish(&builder, &err);
    assert_non_null(tokenizer);
    assert_int_equal(tokenizer_bos(tokenizer), -1);
    assert_int_equal(tokenizer_eos(tokenizer), -1);
    assert_string_equal(small_vocab_plain(tokenizer, "a", true), "97");
    tokenizer_close(&tokenizer);
}

/* Else a person could write control tokens by bytes that the vocabulary lacks. */
static void a_control_token_is_not_the_unknown_one(void **state)
{
    (void)state;
    struct small_vocab vocab = {.model = "gpt2", .pre = "gpt-2"};
    struct gguf_builder builder;
    struct err err = {0};
    small_vocab_add(&vocab, "<|endoftext|>", 0, 3);
    small_vocab_add(&vocab, "a", 0, 1);
    gguf_builder_init(&builder);
    small_vocab_put(&vocab, &builder);
    gguf_add_u32(&builder, "tokenizer.ggml.unknown_token_id", 0);
    struct tokenizer *tokenizer = small_vocab_finish(&builder, &err);
    assert_non_null(tokenizer);
    assert_string_equal(small_vocab_plain(tokenizer, "aba", false), "1 1");
    tokenizer_close(&tokenizer);
}

static void a_token_of_ten_megabytes(void **state)
{
    (void)state;
    enum { LEN = 10 << 20 };
    char *name = malloc(LEN + 1);
    assert_non_null(name);
    memset(name, 'a', LEN);
    name[LEN] = '\0';
    for (int kind = 1; kind <= 4; kind++) {
        struct small_vocab vocab;
        struct err err;
        small_vocab_spm(&vocab);
        small_vocab_add(&vocab, name, 0, kind);
        struct tokenizer *tokenizer = open_vocab(&vocab, &err);
        assert_non_null(tokenizer);
        assert_string_equal(small_vocab_plain(tokenizer, "aa", false), "100 100");
        tokenizer_close(&tokenizer);
    }
    free(name);
}

static void ends_of_turns(void **state)
{
    (void)state;
    static const char *const ENDS[] = {"<|im_end|>",    "<|eot_id|>",    "<|end|>",
                                       "<end_of_turn>", "<|endoftext|>", "<|eom_id|>"};
    struct small_vocab vocab;
    struct err err = {0};
    struct gguf_builder builder;
    small_vocab_spm(&vocab);
    int32_t first = (int32_t)vocab.n;
    for (int i = 0; i < 6; i++)
        small_vocab_add(&vocab, ENDS[i], 0, i % 2 == 0 ? 3 : 4); /* called words by mistake */
    int32_t by_id = (int32_t)vocab.n;
    small_vocab_add(&vocab, "<|stop|>", 0, 3);
    small_vocab_add(&vocab, "<|user|>", 0, 3);
    small_vocab_add(&vocab, "<EOT>", 0, 1); /* a word after all */
    gguf_builder_init(&builder);
    small_vocab_put(&vocab, &builder);
    gguf_add_u32(&builder, "tokenizer.ggml.eot_token_id", (uint32_t)by_id);
    struct tokenizer *tokenizer = small_vocab_finish(&builder, &err);
    assert_non_null(tokenizer);
    for (int32_t id = first; id <= by_id; id++) {
        assert_true(tokenizer_is_end(tokenizer, id));
        assert_true(tokenizer_is_control(tokenizer, id));
    }
    assert_false(tokenizer_is_end(tokenizer, by_id + 1));
    assert_false(tokenizer_is_end(tokenizer, by_id + 2));
    assert_true(tokenizer_is_end(tokenizer, 2));
    assert_int_equal(tokenizer_eos(tokenizer), 2); /* sentencepiece's usual places */
    assert_int_equal(tokenizer_bos(tokenizer), 1);
    tokenizer_close(&tokenizer);
}

/* A message's end is a turn's only where turns have no other. */
static void ends_of_messages_within_a_turn(void **state)
{
    (void)state;
    static const char *const ENDS[] = {"<|end|>", "<|call|>", "<|return|>"};
    for (int n = 1; n <= 3; n++) {
        struct small_vocab vocab;
        struct err err = {0};
        struct gguf_builder builder;
        small_vocab_spm(&vocab);
        int32_t first = (int32_t)vocab.n;
        for (int i = 0; i < n; i++)
            small_vocab_add(&vocab, ENDS[i], 0, 3);
        gguf_builder_init(&builder);
        small_vocab_put(&vocab, &builder);
        struct tokenizer *tokenizer = small_vocab_finish(&builder, &err);
        assert_non_null(tokenizer);
        assert_int_equal(tokenizer_is_end(tokenizer, first), n < 3);
        for (int i = 1; i < n; i++)
            assert_true(tokenizer_is_end(tokenizer, first + i));
        tokenizer_close(&tokenizer);
    }
}

static void pieces_and_names(void **state)
{
    (void)state;
    struct small_vocab vocab;
    struct err err;
    size_t len;
    small_vocab_spm(&vocab);
    small_vocab_add(&vocab,
                    "\xE2\x96\x81\xE2\x96\x81"
                    "a\xE2\x96\x81",
                    0, 1);
    vocab.no_types = true; /* then the names tell */
    struct tokenizer *tokenizer = open_vocab(&vocab, &err);
    assert_non_null(tokenizer);
    assert_memory_equal(tokenizer_piece(tokenizer, 259, &len), "  a ", 4);
    assert_int_equal(len, 4);
    assert_memory_equal(tokenizer_piece(tokenizer, 3 + 0xC3, &len), "\xC3", 1);
    assert_int_equal(len, 1);
    tokenizer_piece(tokenizer, 2, &len);
    assert_int_equal(len, 0);
    assert_memory_equal(tokenizer_name(tokenizer, 2, &len), "</s>", 4);
    assert_int_equal(len, 4);
    assert_int_equal(tokenizer_n_vocab(tokenizer), 260);
    tokenizer_close(&tokenizer);

    small_vocab_bpe(&vocab, "gpt-2");
    small_vocab_add(&vocab, "\xC4\xA0the", 0, 1);
    small_vocab_add(&vocab, "caf\xC3\xA9", 0, 4); /* by hand: as it is */
    tokenizer = open_vocab(&vocab, &err);
    assert_non_null(tokenizer);
    for (int byte = 0; byte < 256; byte++) {
        assert_int_equal((unsigned char)tokenizer_piece(tokenizer, byte, &len)[0], byte);
        assert_int_equal(len, 1);
    }
    assert_memory_equal(tokenizer_piece(tokenizer, 256, &len), " the", 4);
    assert_memory_equal(tokenizer_piece(tokenizer, 257, &len), "caf\xC3\xA9", 5);
    tokenizer_close(&tokenizer);
    assert_null(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_that_do_not_fit_are_refused),
        cmocka_unit_test(missing_keys_are_refused),
        cmocka_unit_test(odd_tokens_are_tolerated),
        cmocka_unit_test(odd_merges_are_tolerated),
        cmocka_unit_test(ids_out_of_range_are_ignored),
        cmocka_unit_test(a_control_token_is_not_the_unknown_one),
        cmocka_unit_test(a_token_of_ten_megabytes),
        cmocka_unit_test(ends_of_turns),
        cmocka_unit_test(ends_of_messages_within_a_turn),
        cmocka_unit_test(pieces_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
