#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/grammar.h"
#include "core/text/grammar_matcher.h"
#include "core/text/sampler.h"
#include "tests/core/text/small_vocab.h"

enum { N = 16, N_DRAWS = 40000 };

static const struct sampler_settings PLAIN = {
    .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 42};

static struct sampler *open_sampler(struct sampler_settings settings, int n_vocab)
{
    struct sampler *sampler = NULL;
    struct err err = {0};
    assert_true(sampler_open(&sampler, &settings, n_vocab, &err));
    return sampler;
}

static int32_t choose_once(struct sampler_settings settings, const float *logits, int n)
{
    float copy[N];
    memcpy(copy, logits, (size_t)n * sizeof *copy);
    struct sampler *sampler = open_sampler(settings, n);
    int32_t id = sampler_choose(sampler, copy);
    sampler_close(&sampler);
    return id;
}

/* Draws many times and holds the counts against the expected probabilities: Pearson's chi-square
 * may not pass its mean by six standard deviations, and what has probability 0 may not come. */
static void check_allowed(struct sampler_settings settings, struct grammar_matcher *matcher,
                          const float *logits, const double *expected, int n)
{
    struct sampler *sampler = open_sampler(settings, n);
    int counts[N] = {0};
    for (int i = 0; i < N_DRAWS; i++) {
        float copy[N];
        memcpy(copy, logits, (size_t)n * sizeof *copy);
        int32_t id = matcher == NULL ? sampler_choose(sampler, copy)
                                     : sampler_choose_allowed(sampler, copy, matcher);
        assert_in_range(id, 0, n - 1);
        counts[id]++;
    }
    double chi_square = 0;
    int n_possible = 0;
    for (int i = 0; i < n; i++) {
        if (expected[i] == 0) {
            assert_int_equal(counts[i], 0);
            continue;
        }
        double mean = expected[i] * N_DRAWS;
        chi_square += (counts[i] - mean) * (counts[i] - mean) / mean;
        n_possible++;
    }
    double freedom = n_possible - 1;
    assert_true(chi_square < freedom + 6 * sqrt(2 * freedom) + 1);
    sampler_close(&sampler);
}

static void check_distribution(struct sampler_settings settings, const float *logits,
                               const double *expected, int n)
{
    check_allowed(settings, NULL, logits, expected, n);
}

/* The definition, computed the slow way: sort, cut, renormalize. */
static void expect(struct sampler_settings s, const float *logits, double *out, int n)
{
    int order[N];
    for (int i = 0; i < n; i++) {
        order[i] = i;
        out[i] = 0;
    }
    for (int i = 0; i < n; i++) {
        for (int j = i + 1; j < n; j++) {
            if (logits[order[j]] > logits[order[i]]) {
                int t = order[i];
                order[i] = order[j];
                order[j] = t;
            }
        }
    }
    int kept = s.top_k > 0 && s.top_k < n ? s.top_k : n;
    double p[N], total = 0, sum = 0;
    for (int i = 0; i < kept; i++)
        total += p[i] = exp((double)(logits[order[i]] - logits[order[0]]) / (double)s.temperature);
    int last = 0;
    while (last < kept && sum < s.top_p * total)
        sum += p[last++];
    while (last > 0 && p[last - 1] < s.min_p)
        last--;
    total = 0;
    for (int i = 0; i < last; i++)
        total += p[i];
    for (int i = 0; i < last; i++)
        out[order[i]] = p[i] / total;
}

static const float LOGITS[N] = {0.5f, -1, 2,  1.5f,  -3, 0.1f, 2.5f, -0.7f,
                                1,    -2, 0., -1.5f, 3,  0.9f, -4,   1.7f};
static const struct sampler_settings VARIANTS[] = {
    {.temperature = 1, .top_p = 1},
    {.temperature = 0.5f, .top_p = 1},
    {.temperature = 2, .top_p = 1},
    {.temperature = 1, .top_p = 1, .top_k = 5},
    {.temperature = 1, .top_p = 1, .top_k = 100},
    {.temperature = 1, .top_p = 0.8f},
    {.temperature = 1, .top_p = 0.01f},
    {.temperature = 1, .top_p = 0.9f, .top_k = 7},
    {.temperature = 1, .top_p = 1, .min_p = 0.1f},
    {.temperature = 1.5f, .top_p = 0.95f, .min_p = 0.2f, .top_k = 9},
};

static void distributions(void **state)
{
    (void)state;
    for (size_t v = 0; v < sizeof VARIANTS / sizeof VARIANTS[0]; v++) {
        for (uint64_t seed = 0; seed < 3; seed++) {
            struct sampler_settings settings = VARIANTS[v];
            settings.seed = seed;
            settings.repetition_penalty = 1;
            double expected[N];
            expect(settings, LOGITS, expected, N);
            check_distribution(settings, LOGITS, expected, N);
        }
    }
}

/* Tokens 'a' .. 'p', and what `gbnf` makes of them. */
static struct grammar_matcher *open_matcher(const char *gbnf, struct tokenizer **out_tokenizer)
{
    static char names[N][2];
    struct small_vocab vocab = {.model = "llama"};
    struct grammar *grammar = NULL;
    struct grammar_matcher *matcher = NULL;
    for (int i = 0; i < N; i++) {
        names[i][0] = (char)('a' + i);
        small_vocab_add(&vocab, names[i], 0, 1);
    }
    *out_tokenizer = small_vocab_open(&vocab, NULL);
    assert_non_null(*out_tokenizer);
    assert_true(grammar_new(&grammar, gbnf, strlen(gbnf), NULL));
    assert_true(grammar_matcher_open(&matcher, grammar, *out_tokenizer, true, NULL));
    grammar_free(&grammar);
    return matcher;
}

/* However the grammar is asked, what comes out has the distribution of the allowed tokens. */
static void a_grammar_keeps_the_distribution(void **state)
{
    (void)state;
    struct tokenizer *tokenizer;
    struct grammar_matcher *matcher = open_matcher("root ::= [abdefhjlnop]", &tokenizer);
    float allowed[N];
    for (int i = 0; i < N; i++)
        allowed[i] = strchr("abdefhjlnop", 'a' + i) != NULL ? LOGITS[i] : -INFINITY;
    for (size_t v = 0; v < sizeof VARIANTS / sizeof VARIANTS[0]; v++) {
        struct sampler_settings settings = VARIANTS[v];
        double expected[N];
        settings.seed = v;
        settings.repetition_penalty = 1;
        expect(settings, allowed, expected, N);
        check_allowed(settings, matcher, LOGITS, expected, N);
    }
    struct sampler_settings greedy = PLAIN;
    greedy.temperature = 0;
    double expected[N] = {[15] = 1}; /* 'm', 'g' and 'c' have more, but are forbidden */
    check_allowed(greedy, matcher, LOGITS, expected, N);
    grammar_matcher_close(&matcher);
    tokenizer_close(&tokenizer);
}

static void nothing_allowed_is_no_token(void **state)
{
    (void)state;
    struct tokenizer *tokenizer;
    struct tokenizer *same;
    struct grammar_matcher *matcher = open_matcher("root ::= \"x\"", &tokenizer);
    struct grammar_matcher *one = open_matcher("root ::= \"a\"", &same);
    for (size_t v = 0; v < sizeof VARIANTS / sizeof VARIANTS[0]; v++) {
        struct sampler_settings settings = VARIANTS[v];
        settings.repetition_penalty = 1;
        struct sampler *sampler = open_sampler(settings, N);
        float logits[N];
        memcpy(logits, LOGITS, sizeof logits);
        assert_int_equal(sampler_choose_allowed(sampler, logits, matcher), -1);
        /* The model gives the only allowed token no chance: still nothing else. */
        memcpy(logits, LOGITS, sizeof logits);
        logits[0] = NAN;
        assert_int_equal(sampler_choose_allowed(sampler, logits, one), -1);
        sampler_close(&sampler);
    }
    grammar_matcher_close(&matcher);
    grammar_matcher_close(&one);
    tokenizer_close(&tokenizer);
    tokenizer_close(&same);
}

static void equal_logits_and_top_k_take_the_first_ones(void **state)
{
    (void)state;
    float logits[N] = {0};
    double expected[N] = {0};
    struct sampler_settings settings = PLAIN;
    settings.top_k = 4;
    for (int i = 0; i < 4; i++)
        expected[i] = 0.25;
    check_distribution(settings, logits, expected, N);
}

static void greedy(void **state)
{
    (void)state;
    const float logits[4] = {1, 5, 5, NAN};
    struct sampler_settings settings = PLAIN;
    settings.temperature = 0;
    assert_int_equal(choose_once(settings, logits, 4), 1);
    settings = PLAIN;
    settings.top_p = 0;
    assert_int_equal(choose_once(settings, logits, 4), 1);
    settings = PLAIN;
    settings.top_k = 1;
    assert_int_equal(choose_once(settings, logits, 4), 1);
    settings = PLAIN;
    settings.temperature = 1e-40f;
    settings.min_p = 1;
    const float apart[3] = {-1e30f, 3, 2.9999f};
    assert_int_equal(choose_once(settings, apart, 3), 1);
}

static void nothing_finite_gives_token_0(void **state)
{
    (void)state;
    const float bad[4] = {NAN, -INFINITY, INFINITY, NAN};
    const float one[4] = {NAN, -INFINITY, -3e38f, INFINITY};
    struct sampler_settings greedy_settings = PLAIN;
    greedy_settings.temperature = 0;
    assert_int_equal(choose_once(PLAIN, bad, 4), 0);
    assert_int_equal(choose_once(greedy_settings, bad, 4), 0);
    assert_int_equal(choose_once(PLAIN, one, 4), 2);
    assert_int_equal(choose_once(greedy_settings, one, 4), 2);
}

static void the_seed_alone_decides(void **state)
{
    (void)state;
    int n_equal = 0;
    struct sampler_settings other = PLAIN;
    other.seed = 43;
    struct sampler *a = open_sampler(PLAIN, N);
    struct sampler *b = open_sampler(PLAIN, N);
    struct sampler *c = open_sampler(other, N);
    for (int i = 0; i < 200; i++) {
        float logits[3][N];
        memset(logits, 0, sizeof logits);
        int32_t id = sampler_choose(a, logits[0]);
        assert_int_equal(id, sampler_choose(b, logits[1]));
        n_equal += id == sampler_choose(c, logits[2]);
    }
    assert_true(n_equal < 60);
    sampler_close(&a);
    sampler_close(&b);
    sampler_close(&c);
    assert_null(a);
}

static void penalties(void **state)
{
    (void)state;
    struct sampler_settings settings = PLAIN;
    settings.temperature = 0;
    settings.repetition_penalty = 2;
    struct sampler *sampler = open_sampler(settings, 3);
    float positive[3] = {4, 3, 1};
    float negative[3] = {-1, -1.5f, -9};
    sampler_accept(sampler, 0);
    assert_int_equal(sampler_choose(sampler, positive), 1); /* 4 / 2 < 3 */
    assert_int_equal(sampler_choose(sampler, negative), 1); /* -1 * 2 < -1.5 */
    sampler_close(&sampler);

    settings.repetition_penalty = 1;
    settings.presence_penalty = 1;
    settings.frequency_penalty = 0.5f;
    sampler = open_sampler(settings, 3);
    for (int i = 0; i < 2; i++)
        sampler_accept(sampler, 0);
    sampler_accept(sampler, -1);
    sampler_accept(sampler, 3);
    float just_more[3] = {5.1f, 3, 0};
    float just_less[3] = {4.9f, 3, 0};
    assert_int_equal(sampler_choose(sampler, just_more), 0); /* 5.1 - 1 - 2 * 0.5 */
    assert_int_equal(sampler_choose(sampler, just_less), 1);
    sampler_close(&sampler);
}

static void a_large_vocabulary(void **state)
{
    (void)state;
    enum { N_LARGE = 150000 };
    float *logits = malloc(N_LARGE * sizeof *logits);
    assert_non_null(logits);
    struct sampler_settings settings = PLAIN;
    settings.top_p = 0.9f;
    settings.top_k = 1000;
    settings.min_p = 0.01f;
    struct sampler *sampler = open_sampler(settings, N_LARGE);
    for (int i = 0; i < 50; i++) {
        for (int k = 0; k < N_LARGE; k++)
            logits[k] = (float)(k % 977) * 0.01f;
        int32_t id = sampler_choose(sampler, logits);
        assert_true(id % 977 > 400);
    }
    sampler_close(&sampler);
    free(logits);
}

static void biases_force_and_ban(void **state)
{
    (void)state;
    float logits[N];
    for (int i = 0; i < N; i++)
        logits[i] = (float)i;
    struct token_bias biases[] = {{15, -100}, {14, -2.5F}, {3, 9.75F}};
    struct sampler_settings greedy = PLAIN;
    greedy.temperature = 0;
    greedy.biases = biases;
    greedy.n_biases = 1;
    assert_int_equal(choose_once(greedy, logits, N), 14);
    greedy.n_biases = 2;
    assert_int_equal(choose_once(greedy, logits, N), 13);
    greedy.n_biases = 3; /* 3 + 9.75 is less than 13 */
    assert_int_equal(choose_once(greedy, logits, N), 13);
    biases[2].bias = 100;
    assert_int_equal(choose_once(greedy, logits, N), 3);

    struct token_bias banned[N];
    double expected[N] = {0};
    for (int i = 0; i < N; i++)
        banned[i] = (struct token_bias){i, i < 2 ? 0 : -100};
    struct sampler_settings settings = PLAIN;
    settings.biases = banned;
    settings.n_biases = N;
    expected[0] = 1 / (1 + exp(1));
    expected[1] = 1 - expected[0];
    check_distribution(settings, logits, expected, N);
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    struct sampler_settings bad[] = {PLAIN, PLAIN, PLAIN, PLAIN, PLAIN, PLAIN,
                                     PLAIN, PLAIN, PLAIN, PLAIN, PLAIN};
    bad[0].temperature = -1;
    bad[1].temperature = NAN;
    bad[2].temperature = INFINITY;
    bad[3].top_p = 1.5f;
    bad[4].top_p = NAN;
    bad[5].min_p = -0.1f;
    bad[6].top_k = -1;
    bad[7].repetition_penalty = 0;
    bad[8].presence_penalty = 2.1f;
    bad[9].frequency_penalty = -3;
    bad[10].repetition_penalty = NAN;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sampler *sampler = NULL;
        struct err err = {0};
        assert_false(sampler_open(&sampler, &bad[i], N, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_null(sampler);
    }
    struct sampler *sampler = NULL;
    struct err err = {0};
    assert_false(sampler_open(&sampler, &PLAIN, 0, &err));
    static const struct token_bias biases[] = {{-1, 1}, {N, 1}, {0, NAN}, {0, INFINITY}};
    for (size_t i = 0; i < sizeof biases / sizeof biases[0]; i++) {
        struct sampler_settings settings = PLAIN;
        settings.biases = &biases[i];
        settings.n_biases = 1;
        assert_false(sampler_open(&sampler, &settings, N, &err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distributions),
        cmocka_unit_test(a_grammar_keeps_the_distribution),
        cmocka_unit_test(nothing_allowed_is_no_token),
        cmocka_unit_test(equal_logits_and_top_k_take_the_first_ones),
        cmocka_unit_test(greedy),
        cmocka_unit_test(nothing_finite_gives_token_0),
        cmocka_unit_test(the_seed_alone_decides),
        cmocka_unit_test(penalties),
        cmocka_unit_test(a_large_vocabulary),
        cmocka_unit_test(biases_force_and_ban),
        cmocka_unit_test(wrong_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
