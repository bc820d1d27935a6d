#include "core/text/lottery.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/kernels/kernels.h"

enum {
    BLOCK = 512, /* weights that are added up in float, or looked at one by one */
    LANES = 16,  /* sums side by side: a compiler does not reorder one */
};

static int n_blocks(const struct lottery *lottery)
{
    return (lottery->n + BLOCK - 1) / BLOCK;
}

static int block_len(const struct lottery *lottery, int begin)
{
    return lottery->n - begin < BLOCK ? lottery->n - begin : BLOCK;
}

bool lottery_init(struct lottery *lottery, int n, struct err *err)
{
    *lottery = (struct lottery){.n = n};
    lottery->weights = malloc((size_t)n * sizeof *lottery->weights);
    lottery->sums = malloc((size_t)n_blocks(lottery) * sizeof *lottery->sums);
    if (lottery->weights != NULL && lottery->sums != NULL)
        return true;
    lottery_done(lottery);
    return err_no_memory(err, "a sampler");
}

void lottery_done(struct lottery *lottery)
{
    free(lottery->weights);
    free(lottery->sums);
    *lottery = (struct lottery){0};
}

double lottery_fill(struct lottery *lottery, const float *logits, float largest, float temperature)
{
    double total = 0;
    for (int begin = 0; begin < lottery->n; begin += BLOCK) {
        float sum = kernels->weigh(lottery->weights + begin, logits + begin,
                                   block_len(lottery, begin), largest, temperature);
        lottery->sums[begin / BLOCK] = (double)sum;
        total += (double)sum;
    }
    lottery->bar = 0;
    lottery->bar_id = 0;
    return total;
}

/* What is above this is as heavy as the weight. */
static float just_below(float weight)
{
    return nextafterf(weight, -INFINITY);
}

static float sum_above(const float *weights, int n, float bar)
{
    float sums[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] += weights[i + lane] > bar ? weights[i + lane] : 0;
    }
    for (int lane = 1; lane < LANES; lane++)
        sums[0] += sums[lane];
    for (; i < n; i++)
        sums[0] += weights[i] > bar ? weights[i] : 0;
    return sums[0];
}

/* Of weights [begin, begin + n) those that are in. */
static float sum_of_in(const struct lottery *lottery, int begin, int n)
{
    const float *weights = lottery->weights + begin;
    int n_first = lottery->bar_id - begin; /* of equals these are better */
    n_first = n_first < 0 ? 0 : n_first > n ? n : n_first;
    return sum_above(weights, n_first, just_below(lottery->bar)) +
           sum_above(weights + n_first, n - n_first, lottery->bar);
}

static double raise_bar(struct lottery *lottery, float weight, int32_t id)
{
    double total = 0;
    lottery->bar = weight;
    lottery->bar_id = id;
    for (int begin = 0; begin < lottery->n; begin += BLOCK) {
        double sum = (double)sum_of_in(lottery, begin, block_len(lottery, begin));
        lottery->sums[begin / BLOCK] = sum;
        total += sum;
    }
    return total;
}

void lottery_drop_lighter(struct lottery *lottery, float weight)
{
    raise_bar(lottery, weight, lottery->n);
}

double lottery_keep_better(struct lottery *lottery, int32_t id)
{
    return raise_bar(lottery, lottery->weights[id], id);
}

static bool is_in(const struct lottery *lottery, int32_t id)
{
    float weight = lottery->weights[id];
    return weight > lottery->bar || (weight == lottery->bar && id < lottery->bar_id);
}

/* Rounding may use up the sum: the last one that is in, then. */
static int32_t pick_in_block(const struct lottery *lottery, int block, double left)
{
    int begin = block * BLOCK;
    int32_t last = begin;
    for (int32_t id = begin; id < begin + block_len(lottery, begin); id++) {
        if (!is_in(lottery, id))
            continue;
        last = id;
        left -= (double)lottery->weights[id];
        if (left < 0)
            break;
    }
    return last;
}

int32_t lottery_pick(const struct lottery *lottery, double at)
{
    double total = 0;
    for (int block = 0; block < n_blocks(lottery); block++)
        total += lottery->sums[block];
    double left = at * total;
    int last = 0;
    for (int block = 0; block < n_blocks(lottery); block++) {
        if (lottery->sums[block] == 0)
            continue;
        last = block;
        if (left < lottery->sums[block])
            return pick_in_block(lottery, block, left);
        left -= lottery->sums[block];
    }
    return pick_in_block(lottery, last, INFINITY);
}
