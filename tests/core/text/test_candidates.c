#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/candidates.h"
#include "tests/core/text/random.h"

enum { MAX_N = 3000 };

static uint32_t state_of_random = 7;

static int below(int n)
{
    return random_below(&state_of_random, n);
}

/* Logits in an order that is hard on a selection, with what is no candidate strewn in. */
enum order { RANDOM, ASCENDING, DESCENDING, FEW_VALUES, ALL_EQUAL, N_ORDERS };

static void fill(float *logits, int n, enum order order)
{
    for (int i = 0; i < n; i++) {
        logits[i] = (float)(below(20000)) / 500.0F - 20.0F;
        if (order == ASCENDING)
            logits[i] = (float)i;
        else if (order == DESCENDING)
            logits[i] = -(float)i;
        else if (order == FEW_VALUES)
            logits[i] = (float)(below(3));
        else if (order == ALL_EQUAL)
            logits[i] = 1.5F;
        if (below(7) == 0)
            logits[i] = (const float[]){NAN, INFINITY, -INFINITY}[below(3)];
    }
}

static int compare(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* All candidates, best first. */
static int sorted(const float *logits, int n, struct candidate *out)
{
    int n_out = 0;
    for (int i = 0; i < n; i++) {
        if (isfinite(logits[i]))
            out[n_out++] = (struct candidate){logits[i], i};
    }
    qsort(out, (size_t)n_out, sizeof *out, compare);
    return n_out;
}

static void check_same(struct candidate *c, const struct candidate *expected, int n)
{
    qsort(c, (size_t)n, sizeof *c, compare);
    for (int i = 0; i < n; i++) {
        assert_int_equal(c[i].id, expected[i].id);
        assert_true(c[i].weight == expected[i].weight);
    }
}

static const int SIZES[] = {1, 2, 63, 64, 65, 500, MAX_N};
enum { N_SIZES = sizeof SIZES / sizeof SIZES[0] };

/* Calls check with logits of every size and order. */
static void each(void (*check)(const float *logits, int n, const struct candidate *all, int n_all))
{
    static float logits[MAX_N];
    static struct candidate all[MAX_N];
    for (int i = 0; i < N_SIZES * N_ORDERS; i++) {
        int n = SIZES[i / N_ORDERS];
        fill(logits, n, (enum order)(i % N_ORDERS));
        check(logits, n, all, sorted(logits, n, all));
    }
}

static void check_best(const float *logits, int n, const struct candidate *all, int n_all)
{
    assert_int_equal(candidates_best(logits, n), n_all > 0 ? all[0].id : -1);
}

static void the_best_is_the_largest_and_the_first_of_equals(void **state)
{
    (void)state;
    each(check_best);
    assert_int_equal(candidates_best((const float[]){NAN, -INFINITY, INFINITY}, 3), -1);
    assert_int_equal(candidates_best((const float[]){-1, 2, INFINITY, 2}, 4), 1);
}

static void check_collect(const float *logits, int n, const struct candidate *all, int n_all)
{
    static struct candidate c[MAX_N];
    for (int k = 1; k <= n; k = k * 2 + 1) {
        int expected = k > n_all ? n_all : k;
        assert_int_equal(candidates_collect(c, logits, n, k), expected);
        check_same(c, all, expected);
    }
}

static void the_k_best_are_collected(void **state)
{
    (void)state;
    each(check_collect);
}

static void check_count(const float *logits, int n, const struct candidate *all, int n_all)
{
    static struct candidate c[MAX_N];
    for (int k = 1; k <= n_all; k = k * 3 + 1) {
        assert_int_equal(candidates_collect(c, logits, n, n), n_all);
        candidates_keep_count(c, n_all, k);
        check_same(c, all, k);
    }
}

static void the_k_best_are_kept(void **state)
{
    (void)state;
    each(check_count);
}

/* Weights whose sums are exact, so that there is one right answer. */
static void check_mass(const float *logits, int n, const struct candidate *all, int n_all)
{
    static struct candidate c[MAX_N], weighed[MAX_N];
    (void)all;
    double total = 0;
    for (int i = 0; i < n_all; i++) {
        float weight = ldexpf(1.0F, -(int)fabsf(logits[all[i].id]) % 12);
        weighed[i] = (struct candidate){weight, all[i].id};
        total += (double)weight;
    }
    qsort(weighed, (size_t)n_all, sizeof *weighed, compare);
    for (int tenth = 1; n_all > 0 && tenth <= 10; tenth++) {
        double need = tenth * total / 10, sum = 0;
        int expected = 0;
        while (expected < n_all && sum < need)
            sum += (double)weighed[expected++].weight;
        memcpy(c, weighed, (size_t)n_all * sizeof *c);
        for (int i = n_all - 1; i > 0; i--) {
            int j = below(i + 1);
            struct candidate t = c[i];
            c[i] = c[j];
            c[j] = t;
        }
        assert_int_equal(candidates_keep_mass(c, n_all, need, total), expected);
        check_same(c, weighed, expected);
    }
    (void)n;
}

static void the_shortest_run_with_the_mass_is_kept(void **state)
{
    (void)state;
    each(check_mass);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_is_the_largest_and_the_first_of_equals),
        cmocka_unit_test(the_k_best_are_collected),
        cmocka_unit_test(the_k_best_are_kept),
        cmocka_unit_test(the_shortest_run_with_the_mass_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
