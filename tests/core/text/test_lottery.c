#include "core/text/lottery.h"

#include <math.h>
#include <stdlib.h>

#include "tests/core/text/random.h"
#include "tests/support/each_isa.h"

enum { N = 2000 };

static uint32_t state_of_random = 11;
static float logits[N];

/* Few values, so that many are equal, with what has no weight strewn in. */
static float fill(int n)
{
    float largest = -INFINITY;
    for (int i = 0; i < n; i++) {
        logits[i] = (float)random_below(&state_of_random, 40) / 8.0F;
        if (random_below(&state_of_random, 9) == 0)
            logits[i] = (const float[]){NAN, INFINITY, -INFINITY}[i % 3];
        else if (logits[i] > largest)
            largest = logits[i];
    }
    return largest;
}

static bool is_better(const struct lottery *lottery, int32_t a, int32_t b)
{
    float x = lottery->weights[a], y = lottery->weights[b];
    return x > y || (x == y && a < b);
}

/* What of all tokens is better than this one; all for -1. */
static double sum_of_better(const struct lottery *lottery, int32_t id)
{
    double sum = 0;
    for (int32_t i = 0; i < lottery->n; i++)
        sum += id < 0 || is_better(lottery, i, id) ? (double)lottery->weights[i] : 0;
    return sum;
}

/* Every place of [0, 1) belongs to the token whose share of the sum lies there. */
static void check_places(const struct lottery *lottery, int32_t left_out, double total)
{
    double before = 0;
    for (int32_t i = 0; i < lottery->n; i++) {
        double weight = (double)lottery->weights[i];
        if (weight == 0 || (left_out >= 0 && !is_better(lottery, i, left_out)))
            continue;
        assert_int_equal(lottery_pick(lottery, (before + weight / 2) / total), i);
        before += weight;
    }
    int32_t last = lottery_pick(lottery, 1 - 0x1p-53);
    assert_true(lottery->weights[last] > 0);
    assert_true(left_out < 0 || is_better(lottery, last, left_out));
}

static void weights_are_places(void **state)
{
    static const int sizes[] = {1, 15, 16, 511, 512, 513, N};
    if (!select_isa(*state))
        return;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct lottery lottery;
        int n = sizes[s];
        float largest = fill(n);
        logits[n / 2] = largest = isfinite(largest) ? largest : 1;
        assert_true(lottery_init(&lottery, n, NULL));
        double total = lottery_fill(&lottery, logits, largest, 0.7F);
        for (int i = 0; i < n; i++)
            check_near((double)lottery.weights[i],
                       isfinite(logits[i]) ? exp(((double)logits[i] - (double)largest) / 0.7) : 0,
                       1e-5);
        check_near(total, sum_of_better(&lottery, -1), 1e-5 * total);
        check_places(&lottery, -1, total);
        lottery_done(&lottery);
    }
}

static void open_full(struct lottery *lottery)
{
    float largest = fill(N);
    assert_true(lottery_init(lottery, N, NULL));
    lottery_fill(lottery, logits, largest, 1);
}

static void only_better_ones_stay(void **state)
{
    if (!select_isa(*state))
        return;
    struct lottery lottery;
    open_full(&lottery);
    int32_t id = lottery_pick(&lottery, 0.999);
    for (int n_better = N; n_better > 0; id = lottery_pick(&lottery, 0.5)) {
        double total = lottery_keep_better(&lottery, id);
        check_near(total, sum_of_better(&lottery, id), 1e-5 * total);
        if (total == 0)
            break;
        check_places(&lottery, id, total);
        n_better--;
    }
    /* The last one was the best of all. */
    for (int32_t i = 0; i < N; i++)
        assert_true(i == id || is_better(&lottery, id, i));
    lottery_done(&lottery);
}

static void lighter_ones_are_dropped(void **state)
{
    if (!select_isa(*state))
        return;
    struct lottery lottery;
    open_full(&lottery);
    float weight = lottery.weights[lottery_pick(&lottery, 0.3)];
    lottery_drop_lighter(&lottery, weight);
    double total = 0;
    for (int32_t i = 0; i < N; i++)
        total += lottery.weights[i] >= weight ? (double)lottery.weights[i] : 0;
    double before = 0;
    for (int32_t i = 0; i < N; i++) {
        if (lottery.weights[i] < weight)
            continue;
        double half = (double)lottery.weights[i] / 2;
        assert_int_equal(lottery_pick(&lottery, (before + half) / total), i);
        before += 2 * half;
    }
    lottery_done(&lottery);
}

int main(void)
{
    static const struct isa_check checks[] = {
        {"weights are places", weights_are_places},
        {"only better ones stay", only_better_ones_stay},
        {"lighter ones are dropped", lighter_ones_are_dropped},
    };
    return run_with_each_isa(checks, sizeof checks / sizeof checks[0], NULL, 0);
}
