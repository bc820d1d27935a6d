#include "core/session/lookup.h"

#include <stdbool.h>

#include "tests/support/check.h"

static void say(struct lookup *lookup, const char *text)
{
    for (; *text != '\0'; text++)
        lookup_say(lookup, *text);
}

static void read_text(struct lookup *lookup, const char *text)
{
    for (; *text != '\0'; text++) {
        int32_t id = *text;
        lookup_read(lookup, &id, 1);
    }
}

/* The guess as a text of up to 15 characters. */
static const char *guess(const struct lookup *lookup, int max)
{
    static char text[16];
    int32_t ids[15];
    int n = lookup_guess(lookup, ids, max);
    for (int i = 0; i < n; i++)
        text[i] = (char)ids[i];
    text[n] = '\0';
    return text;
}

static void guesses_what_followed_the_same_words(void **state)
{
    (void)state;
    struct lookup lookup;
    lookup_init(&lookup, 100);
    assert_string_equal(guess(&lookup, 5), "");
    read_text(&lookup, "the quick brown fox. ");
    assert_string_equal(guess(&lookup, 5), ""); /* nothing is said yet */
    say(&lookup, "q");
    assert_string_equal(guess(&lookup, 5), "uick ");
    say(&lookup, "uick b");
    assert_string_equal(guess(&lookup, 10), "rown fox. ");
    assert_string_equal(guess(&lookup, 0), "");
    say(&lookup, "l");
    assert_string_equal(guess(&lookup, 5), ""); /* " bl" is new, and so is "bl" */
    lookup_done(&lookup);
}

/* Of several places the one whose words before it agree the longest, else the last one. */
static void prefers_the_longest_match_then_the_latest(void **state)
{
    (void)state;
    struct lookup lookup;
    lookup_init(&lookup, 100);
    read_text(&lookup, "one two A, six two B, two C. ");
    say(&lookup, "one two");
    assert_string_equal(guess(&lookup, 2), " A");
    lookup_clear(&lookup);
    read_text(&lookup, "one two A, six two B, two C. ");
    say(&lookup, "two");
    assert_string_equal(guess(&lookup, 2), " C");
    lookup_done(&lookup);
}

static void a_period_goes_on(void **state)
{
    (void)state;
    struct lookup lookup;
    lookup_init(&lookup, 100);
    say(&lookup, "abcabc");
    assert_string_equal(guess(&lookup, 10), "abcabcabca");
    say(&lookup, "dddd");
    assert_string_equal(guess(&lookup, 7), "ddddddd");
    lookup_done(&lookup);
}

static void learns_how_often_it_is_right(void **state)
{
    (void)state;
    struct lookup lookup;
    lookup_init(&lookup, 1000);
    read_text(&lookup, "abcdefghijklmnopqrstuvwxyz ");
    say(&lookup, "abc");
    float before = lookup_chance(&lookup, 20);
    assert_true(before > lookup_chance(&lookup, 0)); /* a longer match is more likely right */
    for (int i = 0; i < 20; i++)
        say(&lookup, "defghijklmnopqrstuvwxyz abc");
    float after = lookup_chance(&lookup, 0);
    assert_true(after > before && after <= 1);

    /* Pairs that are never followed by the same. */
    lookup_clear(&lookup);
    for (int32_t i = 1000; i < 1200; i++) {
        say(&lookup, "xy");
        if (i > 1000)
            assert_int_equal(lookup_guess(&lookup, (int32_t[1]){0}, 1), 1);
        if (i == 1199)
            assert_true(lookup_chance(&lookup, 0) < 0.02f);
        lookup_say(&lookup, i);
    }
    lookup_done(&lookup);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Whatever is said, long beyond the limit: a guess is what followed a place where the last tokens
 * are the same, and memory has an end. */
static void a_guess_is_always_what_followed(void **state)
{
    (void)state;
    enum { N = 40000, ALPHABET = 7 };
    static int32_t said[N];
    uint32_t random = 1;
    struct lookup lookup;
    lookup_init(&lookup, 300);
    int n_guesses = 0;
    for (int n = 0; n < N; n++) {
        int32_t id, guessed;
        bool goes_on = lookup_guess(&lookup, &guessed, 1) == 1 && next_random(&random) % 4 != 0;
        id = goes_on ? guessed : (int32_t)(next_random(&random) % ALPHABET);
        said[n] = id;
        if (n % 100 < 20)
            lookup_read(&lookup, &id, 1);
        else
            lookup_say(&lookup, id);
        assert_true(lookup.max <= 1024);
        assert_true(lookup.n <= lookup.max && lookup.n >= (size_t)(n < 300 ? n + 1 : 300));
        assert_memory_equal(lookup.ids, said + n + 1 - lookup.n, lookup.n * sizeof *said);
        if (lookup_guess(&lookup, &guessed, 1) == 0)
            continue;
        n_guesses++;
        assert_true(lookup.next >= LOOKUP_MIN_MATCH || lookup.n_matched > LOOKUP_MIN_MATCH);
        assert_true(lookup.next < lookup.n);
        assert_int_equal(guessed, lookup.ids[lookup.next]);
        size_t n_there =
            lookup.next < (size_t)lookup.n_matched ? lookup.next : (size_t)lookup.n_matched;
        assert_memory_equal(lookup.ids + lookup.next - n_there, lookup.ids + lookup.n - n_there,
                            n_there * sizeof *lookup.ids);
    }
    assert_true(n_guesses > N / 2);
    lookup_done(&lookup);
}

/* A prompt of any length at once; what it began with is forgotten. */
static void remembers_the_end_of_a_long_prompt(void **state)
{
    (void)state;
    enum { N = 300000 };
    static int32_t ids[N];
    struct lookup lookup;
    for (int32_t i = 0; i < N; i++)
        ids[i] = i;
    lookup_init(&lookup, 1 << 24);
    lookup_read(&lookup, ids, N);
    assert_true(lookup.max == LOOKUP_MAX_TOKENS && lookup.n >= LOOKUP_MAX_TOKENS / 2);
    for (int32_t i = N - LOOKUP_MAX_TOKENS / 4; i < N - LOOKUP_MAX_TOKENS / 4 + 2; i++)
        lookup_say(&lookup, i);
    int32_t next[2];
    assert_int_equal(lookup_guess(&lookup, next, 2), 2);
    assert_int_equal(next[0], N - LOOKUP_MAX_TOKENS / 4 + 2);
    assert_int_equal(next[1], N - LOOKUP_MAX_TOKENS / 4 + 3);
    lookup_say(&lookup, 5);
    lookup_say(&lookup, 6);
    assert_int_equal(lookup_guess(&lookup, next, 2), 0);
    lookup_done(&lookup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guesses_what_followed_the_same_words),
        cmocka_unit_test(prefers_the_longest_match_then_the_latest),
        cmocka_unit_test(a_period_goes_on),
        cmocka_unit_test(learns_how_often_it_is_right),
        cmocka_unit_test(a_guess_is_always_what_followed),
        cmocka_unit_test(remembers_the_end_of_a_long_prompt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
