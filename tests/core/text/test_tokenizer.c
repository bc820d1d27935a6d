#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/core/text/small_vocab.h"
#include "tests/core/text/vectors.h"

enum { MAX_IDS = 4096, FIRST = 259 };

/* Sizes of texts whose time is measured. A sanitizer's own time is much of it and grows as well,
 * the more so where an array is large enough to be mapped. */
#ifdef __SANITIZE_ADDRESS__
enum { LOG_LONG = 13, LOG_SHORT = 10 };
#else
enum { LOG_LONG = 19, LOG_SHORT = 14 };
#endif

static struct tokenizer *open_file(const char *path)
{
    struct gguf *file = NULL;
    struct tokenizer *tokenizer = NULL;
    struct err err = {0};
    if (!gguf_open(&file, path, &err))
        return NULL;
    assert_true(tokenizer_open(&tokenizer, file, &err));
    gguf_close(&file);
    return tokenizer;
}

/* The tool that made the lists took "\n" and "\t" written out in a text for the characters. */
static void unescape(struct buf *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len; i++) {
        char c = text->data[i];
        char next = i + 1 < text->len ? text->data[i + 1] : '\0';
        if (c == '\\' && (next == 'n' || next == 't')) {
            c = next == 'n' ? '\n' : '\t';
            i++;
        }
        text->data[n++] = c;
    }
    text->len = n;
}

/* One text: its ids are right, and their pieces are the text again. */
static void check_vector(const struct tokenizer *tokenizer, const struct buf *text,
                         const int32_t *ids, size_t n_ids)
{
    struct prompt prompt;
    struct token_list list;
    struct buf back;
    prompt_init(&prompt);
    token_list_init(&list);
    buf_init(&back);
    prompt_append_plain(&prompt, buf_text(text), text->len);
    assert_true(tokenizer_encode(tokenizer, &prompt, 0, true, &list, NULL));
    size_t n_bos = list.n > n_ids;
    assert_int_equal(list.n, n_ids + n_bos);
    assert_true(n_bos == 0 || list.ids[0] == tokenizer_bos(tokenizer));
    if (n_ids > 0)
        assert_memory_equal(list.ids + n_bos, ids, n_ids * sizeof *ids);
    for (size_t i = n_bos; i < list.n; i++) {
        size_t len;
        const char *piece = tokenizer_piece(tokenizer, list.ids[i], &len);
        buf_append(&back, piece, len);
    }
    size_t n_space = tokenizer_adds_space(tokenizer) && n_ids > 0;
    assert_int_equal(back.len, text->len + n_space);
    assert_memory_equal(buf_text(&back) + n_space, buf_text(text), text->len);
    prompt_done(&prompt);
    token_list_done(&list);
    buf_done(&back);
}

static void check_vectors(const char *name)
{
    char path[256];
    struct vectors vectors;
    struct buf text;
    int32_t ids[MAX_IDS];
    size_t n_ids, n = 0;
    snprintf(path, sizeof path, "../shared/fixtures/tokenizer/%s.gguf", name);
    struct tokenizer *tokenizer = open_file(path);
    snprintf(path, sizeof path, "../shared/fixtures/tokenizer/%s.json", name);
    if (tokenizer == NULL || !vectors_open(&vectors, path)) {
        tokenizer_close(&tokenizer);
        printf("skip: no vocabulary %s\n", name);
        skip();
        return;
    }
    buf_init(&text);
    for (; vectors_next(&vectors, &text, ids, MAX_IDS, &n_ids); n++) {
        unescape(&text);
        check_vector(tokenizer, &text, ids, n_ids);
    }
    assert_true(n >= 60);
    buf_done(&text);
    vectors_close(&vectors);
    tokenizer_close(&tokenizer);
}

static void vectors_of_falcon(void **state)
{
    (void)state;
    check_vectors("falcon");
}

static void vectors_of_gpt2(void **state)
{
    (void)state;
    check_vectors("gpt-2");
}

static void vectors_of_gpt_neox(void **state)
{
    (void)state;
    check_vectors("gpt-neox");
}

static void vectors_of_llama(void **state)
{
    (void)state;
    check_vectors("llama-spm");
}

static void vectors_of_mpt(void **state)
{
    (void)state;
    check_vectors("mpt");
}

/* Ids from FIRST on: " " 259, "a", "b", "c", "ab", "bc", "abc", " a", "  ", "\u00e9" 268 */
static struct tokenizer *open_letters(void)
{
    struct small_vocab vocab;
    struct err err = {0};
    small_vocab_spm(&vocab);
    small_vocab_add(&vocab, "\xE2\x96\x81", -9, 1);
    small_vocab_add(&vocab, "a", -9, 1);
    small_vocab_add(&vocab, "b", -9, 1);
    small_vocab_add(&vocab, "c", -9, 1);
    small_vocab_add(&vocab, "ab", -2, 1);
    small_vocab_add(&vocab, "bc", -1, 1);
    small_vocab_add(&vocab, "abc", -5, 1);
    small_vocab_add(&vocab,
                    "\xE2\x96\x81"
                    "a",
                    -3, 1);
    small_vocab_add(&vocab, "\xE2\x96\x81\xE2\x96\x81", -4, 1);
    small_vocab_add(&vocab, "\xC3\xA9", -9, 1);
    small_vocab_add(&vocab, "<x>", 0, 3);
    small_vocab_add(&vocab, "<tool>", 0, 4);
    struct tokenizer *tokenizer = small_vocab_open(&vocab, &err);
    assert_non_null(tokenizer);
    return tokenizer;
}

static void sentencepiece(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_letters();
    assert_string_equal(small_vocab_plain(tokenizer, "", true), "1");
    assert_string_equal(small_vocab_plain(tokenizer, "", false), "");
    assert_string_equal(small_vocab_plain(tokenizer, "b", true), "1 259 261");
    assert_string_equal(small_vocab_plain(tokenizer, "b", false), "261");
    assert_string_equal(small_vocab_plain(tokenizer, "bc", false), "264");
    assert_string_equal(small_vocab_plain(tokenizer, "abc", false), "265"); /* bc first, then all */
    assert_string_equal(small_vocab_plain(tokenizer, "ab a", false), "263 266");
    assert_string_equal(small_vocab_plain(tokenizer, "   ", false), "267 259");
    assert_string_equal(small_vocab_plain(tokenizer,
                                          "\xE2\x96\x81"
                                          "a",
                                          false),
                        "266");
    assert_string_equal(small_vocab_plain(tokenizer, "\xC3\xA9\n", false), "268 13");
    assert_string_equal(small_vocab_plain(tokenizer, "\xE2\x82\xAC", false), "229 133 175");
    assert_string_equal(small_vocab_plain(tokenizer, "\xC3z\xFF", false), "198 125 258");
    assert_string_equal(small_vocab_plain(tokenizer, "<s>", false), "63 118 65");
    assert_true(tokenizer_adds_space(tokenizer));
    assert_true(tokenizer_knows_pre(tokenizer));
    tokenizer_close(&tokenizer);
}

static void without_byte_tokens_unknown_characters_are_unknown(void **state)
{
    (void)state;
    struct small_vocab vocab = {.model = "llama"};
    struct err err = {0};
    small_vocab_add(&vocab, "<unk>", 0, 2);
    small_vocab_add(&vocab, "a", 0, 1);
    struct tokenizer *tokenizer = small_vocab_open(&vocab, &err);
    assert_non_null(tokenizer);
    assert_string_equal(small_vocab_plain(tokenizer,
                                          "a\xE2\x82\xAC"
                                          "a",
                                          false),
                        "1 0 1");
    tokenizer_close(&tokenizer);
}

/* Text is cut at spaces to merge faster, but not where a token reaches over one. */
static void tokens_may_hold_spaces_inside(void **state)
{
    (void)state;
    struct small_vocab vocab;
    struct err err = {0};
    small_vocab_spm(&vocab);
    small_vocab_add(&vocab, "\xE2\x96\x81", -9, 1);
    small_vocab_add(&vocab, "a", -9, 1);
    small_vocab_add(&vocab, "b", -9, 1);
    small_vocab_add(&vocab, "a\xE2\x96\x81", -2, 1);
    small_vocab_add(&vocab,
                    "a\xE2\x96\x81"
                    "b",
                    -1, 1);
    struct tokenizer *tokenizer = small_vocab_open(&vocab, &err);
    assert_non_null(tokenizer);
    assert_string_equal(small_vocab_plain(tokenizer, "a b a", false), "263 259 260");
    tokenizer_close(&tokenizer);
}

/* Spans as given: "c" control, "p" plain, of the lengths that follow. */
static void set_spans(struct prompt *prompt, const char *kinds, const size_t *lens)
{
    size_t end = 0;
    free(prompt->spans);
    prompt->n_spans = strlen(kinds);
    prompt->max_spans = prompt->n_spans;
    prompt->spans = calloc(prompt->n_spans, sizeof *prompt->spans);
    assert_non_null(prompt->spans);
    for (size_t i = 0; i < prompt->n_spans; i++)
        prompt->spans[i] = (struct prompt_span){end += lens[i], kinds[i] == 'c'};
}

static void special_tokens_need_control_text(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_letters();
    struct prompt prompt;
    prompt_init(&prompt);
    prompt_append_control(&prompt, "<x>b</s>", 8);
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 0, false), "269 259 261 2");
    set_spans(&prompt, "ccc", (size_t[]){1, 1, 6}); /* over adjacent control spans */
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 0, false), "269 259 261 2");
    set_spans(&prompt, "cpc", (size_t[]){2, 1, 5}); /* one byte of it is a person's */
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 0, false), "63 123 65 261 2");
    set_spans(&prompt, "cp", (size_t[]){7, 1});
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 0, false), "269 259 261 63 50 118 65");
    prompt_done(&prompt);

    /* Text runs over the borders of spans as one. */
    prompt_append_control(&prompt, "a", 1);
    prompt_append_plain(&prompt, "b", 1);
    prompt_append_control(&prompt, "c", 1);
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 0, false), "265");
    prompt_done(&prompt);

    /* Words defined by hand are found everywhere, and a space comes after them too. */
    assert_string_equal(small_vocab_plain(tokenizer, "a<tool>b", false), "260 270 259 261");
    tokenizer_close(&tokenizer);
}

static void a_conversation_begins_once(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_letters();
    struct prompt prompt;
    prompt_init(&prompt);
    prompt_append_control(&prompt, "<s>", 3);
    prompt_append_plain(&prompt, "<s>", 3);
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 0, true), "1 259 63 118 65");
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 3, true), "1 259 63 118 65");
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 6, true), "1");
    prompt_done(&prompt);
    tokenizer_close(&tokenizer);
}

/* Encoding up to a special token and from there on gives what encoding at once gives. */
static void a_prompt_can_be_encoded_in_parts(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_letters();
    struct prompt prompt;
    prompt_init(&prompt);
    prompt_append_plain(&prompt, "ab", 2);
    prompt_append_control(&prompt, "</s>", 4);
    prompt_append_plain(&prompt, "b</s>c", 6);
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 0, true),
                        "1 259 263 2 259 261 63 50 118 65 262");
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 6, false), "259 261 63 50 118 65 262");
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 11, false), "262"); /* not control */
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 12, false), "");
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 13, false), "failed with a reason");
    prompt.text.failed = true;
    assert_string_equal(small_vocab_ids(tokenizer, &prompt, 0, false), "failed with a reason");
    prompt_done(&prompt);
    tokenizer_close(&tokenizer);
}

/* 256 "ab", 257 "bc", 258 "abc", 259 " a", 260 "zz", 261 "  " by hand, 262 "<s>" control */
static struct tokenizer *open_bpe(const char *pre)
{
    struct small_vocab vocab;
    struct err err = {0};
    small_vocab_bpe(&vocab, pre);
    small_vocab_add(&vocab, "ab", 0, 1);
    small_vocab_add(&vocab, "bc", 0, 1);
    small_vocab_add(&vocab, "abc", 0, 1);
    small_vocab_add(&vocab,
                    "\xC4\xA0"
                    "a",
                    0, 1);
    small_vocab_add(&vocab, "zz", 0, 1);
    small_vocab_add(&vocab, "  ", 0, 4);
    small_vocab_add(&vocab, "<s>", 0, 3);
    small_vocab_merge(&vocab, "\xC4\xA0 a");
    small_vocab_merge(&vocab, "b c");
    small_vocab_merge(&vocab, "a b");
    small_vocab_merge(&vocab, "a bc");
    small_vocab_merge(&vocab, "x y"); /* "xy" is no token, "xyx" neither */
    struct tokenizer *tokenizer = small_vocab_open(&vocab, &err);
    assert_non_null(tokenizer);
    return tokenizer;
}

static void byte_level_bpe(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_bpe("gpt-2");
    assert_string_equal(small_vocab_plain(tokenizer, "", true), "");
    assert_string_equal(small_vocab_plain(tokenizer, "abc", true), "258");
    assert_string_equal(small_vocab_plain(tokenizer, "abab", true), "256 256");
    assert_string_equal(small_vocab_plain(tokenizer, " abc", true), "259 257");
    assert_string_equal(small_vocab_plain(tokenizer, "zz", true), "122 122"); /* no merge says so */
    assert_string_equal(small_vocab_plain(tokenizer, "a  b", true), "97 261 98");
    assert_string_equal(small_vocab_plain(tokenizer, "xyx", true), "120 121 120");
    assert_string_equal(small_vocab_plain(tokenizer, "<s>", true), "60 115 62");
    assert_string_equal(small_vocab_plain(tokenizer, "\xF0\x9F\xFF", true), "240 159 255");
    assert_true(tokenizer_knows_pre(tokenizer));
    assert_false(tokenizer_adds_space(tokenizer));
    tokenizer_close(&tokenizer);

    tokenizer = open_bpe("llama-bpe");
    assert_string_equal(small_vocab_plain(tokenizer, "zz", true), "260"); /* merges are ignored */
    tokenizer_close(&tokenizer);

    tokenizer = open_bpe("of-tomorrow");
    assert_false(tokenizer_knows_pre(tokenizer));
    assert_string_equal(small_vocab_plain(tokenizer, "abc", true), "258");
    tokenizer_close(&tokenizer);
}

/* Gemma 4's: SPM's names, merges of characters in whole lines. 259 a space, 260 "a", 261 "b", 262
 * " a", 263 "é", 264 "aé", 265 a newline, 266 two, 267 three, 268 " ab", 269 "</s>" by hand, 270
 * "<turn|>" by hand */
static void merges_of_characters(void **state)
{
    (void)state;
    struct small_vocab vocab;
    struct err err = {0};
    small_vocab_spm(&vocab);
    vocab.model = "gemma4";
    vocab.tokens[2] = (struct small_token){"<end>", 0, 3};
    static const char *const NAMES[] = {
        "\342\226\201", "a",  "b",    "\342\226\201a", "\303\251",
        "a\303\251",    "\n", "\n\n", "\n\n\n",        "\342\226\201ab"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        small_vocab_add(&vocab, NAMES[i], 0, 1);
    small_vocab_add(&vocab, "</s>", 0, 4);
    small_vocab_add(&vocab, "<turn|>", 0, 4);
    small_vocab_merge(&vocab, "a \xC3\xA9");
    small_vocab_merge(&vocab, "\xE2\x96\x81 a");
    small_vocab_merge(&vocab, "\xE2\x96\x81"
                              "a b");
    small_vocab_merge(&vocab, "\n \n");
    struct tokenizer *tokenizer = small_vocab_open(&vocab, &err);
    if (tokenizer == NULL)
        fail_msg("%s", err.text);
    assert_string_equal(small_vocab_plain(tokenizer, "a", true), "1 260");
    assert_string_equal(small_vocab_plain(tokenizer, " ab", false), "268");
    assert_string_equal(small_vocab_plain(tokenizer, "b ab", false), "261 268"); /* no words */
    assert_string_equal(small_vocab_plain(tokenizer, " a\xC3\xA9", false), "259 264");
    assert_string_equal(small_vocab_plain(tokenizer, "a\n\n\nb", false), "260 267 261");
    assert_string_equal(small_vocab_plain(tokenizer, "\n\n\n\n", false), "266 266");
    assert_string_equal(small_vocab_plain(tokenizer, "\xE2\x82\xAC", false), "229 133 175");
    assert_string_equal(small_vocab_plain(tokenizer, "a\xC3", false), "260 198");
    assert_string_equal(small_vocab_plain(tokenizer, "</s>", false), "269");
    assert_false(tokenizer_is_end(tokenizer, 269));
    assert_true(tokenizer_is_end(tokenizer, 270));
    assert_true(tokenizer_knows_pre(tokenizer));
    assert_false(tokenizer_adds_space(tokenizer));
    size_t len;
    assert_memory_equal(tokenizer_piece(tokenizer, 268, &len), " ab", 3);
    assert_int_equal(len, 3);
    tokenizer_close(&tokenizer);
}

static void the_golden_models(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_file("../shared/fixtures/golden/llama-mha/model.gguf");
    if (tokenizer == NULL) {
        printf("skip: no golden models\n");
        skip();
    }
    assert_int_equal(tokenizer_n_vocab(tokenizer), 512);
    assert_int_equal(tokenizer_bos(tokenizer), 1);
    assert_true(tokenizer_is_end(tokenizer, 2));
    struct buf text;
    struct prompt prompt;
    struct token_list list;
    buf_init(&text);
    prompt_init(&prompt);
    token_list_init(&list);
    buf_append_text(&text, "Any \xE2\x82\xAC text\n");
    prompt_append_plain(&prompt, text.data, text.len);
    assert_true(tokenizer_encode(tokenizer, &prompt, 0, true, &list, NULL));
    assert_true(list.n > 1 && list.ids[0] == 1);
    check_vector(tokenizer, &text, list.ids + 1, list.n - 1);
    token_list_done(&list);
    prompt_done(&prompt);
    buf_done(&text);
    tokenizer_close(&tokenizer);
}

/* CPU time of so many encodings of the unit, repeated to n bytes. */
static double encode_seconds(const struct tokenizer *tokenizer, const char *unit, size_t n,
                             int n_times)
{
    struct prompt prompt;
    struct token_list list;
    struct timespec begin, end;
    prompt_init(&prompt);
    while (prompt.text.len < n)
        prompt_append_plain(&prompt, unit, strlen(unit));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    for (int i = 0; i < n_times; i++) {
        token_list_init(&list);
        assert_true(tokenizer_encode(tokenizer, &prompt, 0, true, &list, NULL));
        token_list_done(&list);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    prompt_done(&prompt);
    return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
}

/* N_TIMES short texts against one that is as long as all of them. Its time may be 1.5 times theirs
 * for each doubling: n log n and memory beyond the caches stay below, a quadratic step shows as 2.
 * Both take about as long, so that a busy machine slows both, and each counts with the least of
 * several measurements. */
static void check_growth(const struct tokenizer *tokenizer, const char *unit, size_t small)
{
    enum { N_TIMES = 16, N_TRIES = 8 };
    double limit = pow(1.5, log2(N_TIMES));
    double least_small = INFINITY;
    double least_large = INFINITY;
    for (int i = 0; i < N_TRIES && least_large >= least_small * limit; i++) {
        least_small = fmin(least_small, encode_seconds(tokenizer, unit, small, N_TIMES));
        least_large = fmin(least_large, encode_seconds(tokenizer, unit, small * N_TIMES, 1));
    }
    if (least_large >= least_small * limit)
        fail_msg("%d times %zu bytes of \"%s\" take %.0f us, all at once %.0f us", N_TIMES, small,
                 unit, least_small * 1e6, least_large * 1e6);
}

/* What is done once too often for each character shows in short texts of one kind of them, what is
 * done rarely, in a long one of all kinds. */
static void check_linear(const struct tokenizer *tokenizer)
{
    static const char *const UNITS[] = {
        "a", " ", "\n", "7", "\xF0\x9F\x99\x82", "\xCC\x81", "abc",
    };
    static const char PROSE[] =
        "The quick brown fox, it's 42; \xC3\xA9t\xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD!\n  x = y+1\n";
    for (size_t u = 0; u < sizeof UNITS / sizeof UNITS[0]; u++)
        check_growth(tokenizer, UNITS[u], 1 << LOG_SHORT);
    check_growth(tokenizer, PROSE, 1 << LOG_LONG);
}

static void time_is_linear_for_sentencepiece(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_letters();
    check_linear(tokenizer);
    tokenizer_close(&tokenizer);
}

static void time_is_linear_for_bpe(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_bpe("llama-bpe");
    check_linear(tokenizer);
    tokenizer_close(&tokenizer);
}

/* Every scanner: a pass that looked too far ahead at each character would be quadratic. */
static void time_is_linear_for_every_pre_tokenizer(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"default",      "falcon",         "starcoder",
                                        "deepseek-llm", "deepseek-coder", "deepseek-v3",
                                        "tekken",       "bloom",          "viking"};
    static const char *const UNITS[] = {
        "a", " ", "\n", "7", " \n", "A", "\xE4\xBD\xA0", "\xCC\x81", "\x01", " 7", "\xC2\xA0", "'"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        struct tokenizer *tokenizer = open_bpe(NAMES[i]);
        for (size_t u = 0; u < sizeof UNITS / sizeof UNITS[0]; u++)
            check_growth(tokenizer, UNITS[u], 1 << LOG_SHORT);
        tokenizer_close(&tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_falcon),
        cmocka_unit_test(vectors_of_gpt2),
        cmocka_unit_test(vectors_of_gpt_neox),
        cmocka_unit_test(vectors_of_llama),
        cmocka_unit_test(vectors_of_mpt),
        cmocka_unit_test(sentencepiece),
        cmocka_unit_test(without_byte_tokens_unknown_characters_are_unknown),
        cmocka_unit_test(tokens_may_hold_spaces_inside),
        cmocka_unit_test(special_tokens_need_control_text),
        cmocka_unit_test(a_conversation_begins_once),
        cmocka_unit_test(a_prompt_can_be_encoded_in_parts),
        cmocka_unit_test(byte_level_bpe),
        cmocka_unit_test(merges_of_characters),
        cmocka_unit_test(the_golden_models),
        cmocka_unit_test(time_is_linear_for_sentencepiece),
        cmocka_unit_test(time_is_linear_for_bpe),
        cmocka_unit_test(time_is_linear_for_every_pre_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
