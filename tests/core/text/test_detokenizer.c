#include "tests/support/check.h"

#include <string.h>

#include "core/text/detokenizer.h"
#include "tests/core/text/random.h"
#include "tests/core/text/small_vocab.h"

enum { FIRST_BYTE = 3, HELLO = 259, STOP_TOKEN, EMPTY };

static struct tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    (void)state;
    struct small_vocab vocab;
    struct err err = {0};
    small_vocab_spm(&vocab);
    small_vocab_add(&vocab, "\xE2\x96\x81hello", -1, 1);
    small_vocab_add(&vocab, "xSTOPy", -2, 1);
    small_vocab_add(&vocab, "<|x|>", 0, 3);
    tokenizer = small_vocab_open(&vocab, &err);
    return tokenizer == NULL;
}

static int close_tokenizer(void **state)
{
    (void)state;
    tokenizer_close(&tokenizer);
    return 0;
}

static void init(struct detokenizer *detokenizer, const char *const *stops, int n_stops)
{
    const struct detokenizer_stops wanted = {.texts = stops, .n = n_stops};
    struct err err = {0};
    assert_true(detokenizer_init(detokenizer, tokenizer, &wanted, &err));
}

static bool push_byte(struct detokenizer *detokenizer, unsigned char byte, struct buf *out)
{
    return detokenizer_push(detokenizer, FIRST_BYTE + byte, out);
}

/* What a stream of single bytes comes out as, with the flush at its end. */
static const char *stream(const char *bytes, const char *const *stops, int n_stops)
{
    static char result[256];
    struct detokenizer detokenizer;
    struct buf out;
    buf_init(&out);
    init(&detokenizer, stops, n_stops);
    for (size_t i = 0; bytes[i] != '\0'; i++)
        push_byte(&detokenizer, (unsigned char)bytes[i], &out);
    detokenizer_flush(&detokenizer, &out);
    assert_true(out.len < sizeof result);
    memcpy(result, buf_text(&out), out.len + 1);
    detokenizer_done(&detokenizer);
    buf_done(&out);
    return result;
}

static void a_control_token_reads_as_its_name_when_asked(void **state)
{
    (void)state;
    struct detokenizer detokenizer;
    struct buf out;
    const int32_t shown[] = {EMPTY};
    buf_init(&out);
    init(&detokenizer, NULL, 0);
    detokenizer_push(&detokenizer, EMPTY, &out);
    assert_int_equal(out.len, 0);
    detokenizer_show(&detokenizer, shown, 1);
    detokenizer_push(&detokenizer, EMPTY, &out);
    assert_string_equal(buf_text(&out), "<|x|>");
    detokenizer_done(&detokenizer);
    buf_done(&out);
}

static void an_incomplete_character_is_held_back(void **state)
{
    (void)state;
    static const unsigned char SMILE[] = {0xF0, 0x9F, 0x99, 0x82};
    struct detokenizer detokenizer;
    struct buf out;
    buf_init(&out);
    init(&detokenizer, NULL, 0);
    detokenizer_push(&detokenizer, HELLO, &out);
    assert_string_equal(buf_text(&out), " hello");
    for (int i = 0; i < 3; i++) {
        push_byte(&detokenizer, SMILE[i], &out);
        assert_int_equal(out.len, 6);
        assert_int_equal(detokenizer.held.len, i + 1);
    }
    push_byte(&detokenizer, SMILE[3], &out);
    assert_string_equal(buf_text(&out), " hello\xF0\x9F\x99\x82");
    assert_int_equal(detokenizer.held.len, 0);
    detokenizer_push(&detokenizer, EMPTY, &out);
    detokenizer_push(&detokenizer, 0, &out);
    detokenizer_push(&detokenizer, -7, &out);
    detokenizer_push(&detokenizer, 1 << 30, &out);
    assert_int_equal(out.len, 10);
    detokenizer_done(&detokenizer);
    buf_done(&out);
}

/* The standard's own examples (Unicode 15, tables 3-8 to 3-11). */
static void broken_sequences_become_replacements(void **state)
{
    (void)state;
#define R "\xEF\xBF\xBD"
    assert_string_equal(stream("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", NULL, 0),
                        R R R R R R R R "A");
    assert_string_equal(stream("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", NULL, 0),
                        R R R R R R R R "A");
    assert_string_equal(stream("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", NULL, 0),
                        R R R R R "A" R R "B");
    assert_string_equal(stream("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", NULL, 0), R R R R "A");
    assert_string_equal(stream("ab\xE2\x82", NULL, 0), "ab" R);
    assert_string_equal(stream("\xE2\x82\xAC", NULL, 0), "\xE2\x82\xAC");
#undef R
}

static void stop_strings_end_the_text(void **state)
{
    (void)state;
    const char *one[] = {"END"};
    assert_string_equal(stream("hello END rest", one, 1), "hello ");
    assert_string_equal(stream("hello EN", one, 1), "hello EN"); /* flushed */
    assert_string_equal(stream("EEND", one, 1), "E");
    const char *periodic[] = {"aab"};
    assert_string_equal(stream("xaaaab", periodic, 1), "xaa");
    const char *euro[] = {"\xE2\x82\xAC!"};
    assert_string_equal(stream("1\xE2\x82\xAC?\xE2\x82\xAC!", euro, 1), "1\xE2\x82\xAC?");
}

static void of_several_the_first_to_be_complete_wins(void **state)
{
    (void)state;
    const char *stops[] = {"world", "lo wor", "zzz"};
    assert_string_equal(stream("hello world", stops, 3), "hel");
    const char *nested[] = {"bc", "abcd"};
    assert_string_equal(stream("xabcd", nested, 2), "xa");
    const char *same_end[] = {"cd", "bcd"};
    assert_string_equal(stream("abcd", same_end, 2), "a");
}

static void the_answer_does_not_depend_on_token_borders(void **state)
{
    (void)state;
    const char *stops[] = {"STOP"};
    struct detokenizer detokenizer;
    struct buf out;
    buf_init(&out);
    init(&detokenizer, stops, 1);
    push_byte(&detokenizer, 'S', &out);
    assert_int_equal(out.len, 0);
    assert_true(detokenizer_push(&detokenizer, STOP_TOKEN, &out)); /* "xSTOPy" */
    assert_string_equal(buf_text(&out), "Sx");
    assert_true(detokenizer_push(&detokenizer, HELLO, &out));
    detokenizer_flush(&detokenizer, &out);
    assert_string_equal(buf_text(&out), "Sx");
    detokenizer_done(&detokenizer);
    buf_done(&out);
}

static void only_what_may_become_a_stop_is_held_back(void **state)
{
    (void)state;
    const char *stops[] = {"\n\nUser:", "###"};
    struct detokenizer detokenizer;
    struct buf out;
    buf_init(&out);
    init(&detokenizer, stops, 2);
    detokenizer_push(&detokenizer, HELLO, &out);
    assert_int_equal(out.len, 6);
    push_byte(&detokenizer, '\n', &out);
    push_byte(&detokenizer, '\n', &out);
    assert_int_equal(out.len, 6);
    push_byte(&detokenizer, '\n', &out); /* the first of three is free now */
    assert_int_equal(out.len, 7);
    push_byte(&detokenizer, '#', &out);
    assert_int_equal(out.len, 9);
    detokenizer_flush(&detokenizer, &out);
    assert_string_equal(buf_text(&out), " hello\n\n\n#");
    detokenizer_done(&detokenizer);
    buf_done(&out);
}

/* Random texts over two letters against a plain search after the fact. */
static void stops_agree_with_a_plain_search(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int round = 0; round < 3000; round++) {
        char text[41] = {0}, stops[3][6] = {{0}};
        const char *list[3] = {stops[0], stops[1], stops[2]};
        for (int i = 0; i < 40; i++)
            text[i] = random_below(&random, 3) == 0 ? 'b' : 'a';
        for (int s = 0; s < 3; s++) {
            int len = 1 + random_below(&random, 5);
            for (int i = 0; i < len; i++)
                stops[s][i] = random_below(&random, 2) == 0 ? 'b' : 'a';
        }
        size_t cut = 40;
        for (size_t end = 1; end <= 40 && cut == 40; end++) {
            for (int s = 0; s < 3; s++) {
                size_t len = strlen(list[s]);
                bool ends_here = len <= end && memcmp(text + end - len, list[s], len) == 0;
                if (ends_here && end - len < cut)
                    cut = end - len;
            }
        }
        const char *got = stream(text, list, 3);
        assert_int_equal(strlen(got), cut);
        assert_memory_equal(got, text, cut);
    }
}

static void wrong_stops_are_refused(void **state)
{
    (void)state;
    struct detokenizer detokenizer;
    struct err err = {0};
    const char *empty[] = {"a", ""};
    const char *broken[] = {"\xFF"};
    const char *many[STOP_SEARCH_MAX_STOPS + 1];
    for (int i = 0; i <= STOP_SEARCH_MAX_STOPS; i++)
        many[i] = "x";
    const struct detokenizer_stops wrong[] = {
        {.texts = empty, .n = 2},
        {.texts = broken, .n = 1},
        {.texts = many, .n = STOP_SEARCH_MAX_STOPS + 1},
    };
    for (int i = 0; i < 3; i++) {
        assert_false(detokenizer_init(&detokenizer, tokenizer, &wrong[i], &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    const struct detokenizer_stops most = {.texts = many, .n = STOP_SEARCH_MAX_STOPS};
    assert_true(detokenizer_init(&detokenizer, tokenizer, &most, &err));
    detokenizer_done(&detokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_incomplete_character_is_held_back),
        cmocka_unit_test(a_control_token_reads_as_its_name_when_asked),
        cmocka_unit_test(broken_sequences_become_replacements),
        cmocka_unit_test(stop_strings_end_the_text),
        cmocka_unit_test(of_several_the_first_to_be_complete_wins),
        cmocka_unit_test(the_answer_does_not_depend_on_token_borders),
        cmocka_unit_test(only_what_may_become_a_stop_is_held_back),
        cmocka_unit_test(stops_agree_with_a_plain_search),
        cmocka_unit_test(wrong_stops_are_refused),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
