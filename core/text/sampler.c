#include "core/text/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/candidates.h"
#include "core/text/grammar_matcher.h"
#include "core/text/lottery.h"

enum {
    ASKED_PER_TOP_K = 4,
    MAX_ASKED_TOP_K = 128,
};

struct sampler {
    struct sampler_settings settings;
    uint64_t state[4]; /* xoshiro256** */
    int n_vocab;
    struct candidate *candidates; /* with top_k, room for those who are asked; weights: see weigh */
    struct lottery lottery;       /* without top_k */
    uint32_t *counts;             /* [n_vocab] times generated; NULL without penalties */
    int32_t *seen;                /* [n_vocab], n_seen filled: ids with a count */
    int n_seen;
    struct token_bias *biases; /* [settings.n_biases] */
};

/* Splitmix64 (Steele, Lea, Flood 2014): spreads a small seed over the whole state. */
static uint64_t splitmix(uint64_t *x)
{
    *x += 0x9E3779B97F4A7C15u;
    uint64_t z = *x;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static uint64_t rotate_left(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

/* Xoshiro256** (Blackman, Vigna 2018), its upper 53 bits as a number in [0, 1). */
static double draw_uniform(uint64_t s[4])
{
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

/* Written so that NaN is out of every range. */
static bool check_settings(const struct sampler_settings *s, struct err *err)
{
    if (!(s->temperature >= 0.0f && s->temperature < INFINITY))
        return err_set(err, ERR_INVALID, "temperature must be a number >= 0");
    if (!(s->top_p >= 0.0f && s->top_p <= 1.0f))
        return err_set(err, ERR_INVALID, "top_p must be 0 .. 1");
    if (!(s->min_p >= 0.0f && s->min_p <= 1.0f))
        return err_set(err, ERR_INVALID, "min_p must be 0 .. 1");
    if (s->top_k < 0)
        return err_set(err, ERR_INVALID, "top_k must be >= 0");
    if (!(s->repetition_penalty > 0.0f && s->repetition_penalty < INFINITY))
        return err_set(err, ERR_INVALID, "repetition_penalty must be a number > 0");
    if (!(s->presence_penalty >= -2.0f && s->presence_penalty <= 2.0f))
        return err_set(err, ERR_INVALID, "presence_penalty must be -2 .. 2");
    if (!(s->frequency_penalty >= -2.0f && s->frequency_penalty <= 2.0f))
        return err_set(err, ERR_INVALID, "frequency_penalty must be -2 .. 2");
    return true;
}

static bool has_penalties(const struct sampler_settings *s)
{
    return s->repetition_penalty != 1.0f || s->presence_penalty != 0.0f ||
           s->frequency_penalty != 0.0f;
}

static bool check_biases(const struct sampler_settings *s, int n_vocab, struct err *err)
{
    for (int i = 0; i < s->n_biases; i++) {
        int32_t id = s->biases[i].id;
        if (id < 0 || id >= n_vocab)
            return err_set(err, ERR_INVALID, "logit_bias: there is no token %d, only 0 to %d",
                           (int)id, n_vocab - 1);
        if (!isfinite(s->biases[i].bias))
            return err_set(err, ERR_INVALID, "logit_bias must be numbers");
    }
    return true;
}

static bool is_greedy(const struct sampler_settings *s)
{
    return s->temperature == 0.0f || s->top_p == 0.0f;
}

/* How many candidates may have to be asked whether a grammar allows them. */
static int n_asked(const struct sampler_settings *s)
{
    return s->top_k <= MAX_ASKED_TOP_K ? ASKED_PER_TOP_K * s->top_k : s->top_k;
}

static bool allocate_draw(struct sampler *sampler)
{
    const struct sampler_settings *s = &sampler->settings;
    if (is_greedy(s))
        return true;
    if (s->top_k == 0)
        return lottery_init(&sampler->lottery, sampler->n_vocab, NULL);
    size_t n = CANDIDATES_ROOM(n_asked(s));
    n = n < (size_t)sampler->n_vocab ? n : (size_t)sampler->n_vocab;
    sampler->candidates = malloc(n * sizeof *sampler->candidates);
    return sampler->candidates != NULL;
}

static bool allocate(struct sampler *sampler, const struct sampler_settings *settings)
{
    size_t n = (size_t)sampler->n_vocab;
    bool is_complete = allocate_draw(sampler);
    if (has_penalties(settings)) {
        sampler->counts = calloc(n, sizeof *sampler->counts);
        sampler->seen = malloc(n * sizeof *sampler->seen);
        is_complete = is_complete && sampler->counts != NULL && sampler->seen != NULL;
    }
    if (settings->n_biases > 0) {
        size_t n_bytes = (size_t)settings->n_biases * sizeof *sampler->biases;
        sampler->biases = malloc(n_bytes);
        if (sampler->biases != NULL)
            memcpy(sampler->biases, settings->biases, n_bytes);
        is_complete = is_complete && sampler->biases != NULL;
    }
    return is_complete;
}

bool sampler_open(struct sampler **out, const struct sampler_settings *settings, int n_vocab,
                  struct err *err)
{
    if (n_vocab < 1)
        return err_set(err, ERR_INVALID, "a sampler needs a vocabulary of at least one token");
    if (!check_settings(settings, err) || !check_biases(settings, n_vocab, err))
        return false;

    struct sampler *sampler = calloc(1, sizeof *sampler);
    if (sampler == NULL)
        return err_no_memory(err, "a sampler");
    sampler->settings = *settings;
    sampler->settings.biases = NULL;
    if (settings->top_k >= n_vocab)
        sampler->settings.top_k = 0;
    sampler->n_vocab = n_vocab;
    uint64_t seed = settings->seed;
    for (int i = 0; i < 4; i++)
        sampler->state[i] = splitmix(&seed);
    if (!allocate(sampler, settings)) {
        sampler_close(&sampler);
        return err_no_memory(err, "a sampler");
    }
    *out = sampler;
    return true;
}

void sampler_close(struct sampler **sampler)
{
    if (*sampler == NULL)
        return;
    free((*sampler)->candidates);
    lottery_done(&(*sampler)->lottery);
    free((*sampler)->counts);
    free((*sampler)->seen);
    free((*sampler)->biases);
    free(*sampler);
    *sampler = NULL;
}

void sampler_accept(struct sampler *sampler, int32_t id)
{
    if (sampler->counts == NULL || id < 0 || id >= sampler->n_vocab)
        return;
    if (sampler->counts[id]++ == 0)
        sampler->seen[sampler->n_seen++] = id;
}

static void add_biases(const struct sampler *sampler, float *logits)
{
    for (int i = 0; i < sampler->settings.n_biases; i++) {
        struct token_bias bias = sampler->biases[i];
        logits[bias.id] = bias.bias <= SAMPLER_BAN ? -INFINITY : logits[bias.id] + bias.bias;
    }
}

static void penalize(const struct sampler *sampler, float *logits)
{
    const struct sampler_settings *s = &sampler->settings;
    for (int i = 0; i < sampler->n_seen; i++) {
        int32_t id = sampler->seen[i];
        float logit = logits[id];
        logit = logit > 0.0f ? logit / s->repetition_penalty : logit * s->repetition_penalty;
        logits[id] =
            logit - s->presence_penalty - s->frequency_penalty * (float)sampler->counts[id];
    }
}

/* Weights instead of logits, relative to the largest (whose weight is 1), of the top_k. */
static int weigh(struct sampler *sampler, int n)
{
    struct candidate *c = sampler->candidates;
    int top_k = sampler->settings.top_k;
    if (top_k > 0 && top_k < n) {
        candidates_keep_count(c, n, top_k);
        n = top_k;
    }
    float largest = -INFINITY;
    for (int i = 0; i < n; i++)
        largest = c[i].weight > largest ? c[i].weight : largest;
    for (int i = 0; i < n; i++)
        c[i].weight = expf((c[i].weight - largest) / sampler->settings.temperature);
    return n;
}

static double total_weight(const struct candidate *c, int n)
{
    double total = 0.0;
    for (int i = 0; i < n; i++)
        total += (double)c[i].weight;
    return total;
}

static int keep_likely(struct candidate *c, int n, float min_p)
{
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (c[i].weight >= min_p)
            c[kept++] = c[i];
    }
    return kept;
}

/* One of the first n candidates. */
static int32_t draw(struct sampler *sampler, int n)
{
    const struct sampler_settings *s = &sampler->settings;
    struct candidate *c = sampler->candidates;
    n = weigh(sampler, n);
    if (s->top_p < 1.0f) {
        double total = total_weight(c, n);
        n = candidates_keep_mass(c, n, (double)s->top_p * total, total);
    }
    if (s->min_p > 0.0f)
        n = keep_likely(c, n, s->min_p);

    double left = draw_uniform(sampler->state) * total_weight(c, n);
    for (int i = 0; i < n; i++) {
        left -= (double)c[i].weight;
        if (left < 0.0)
            return c[i].id;
    }
    /* Rounding used up the sum: the last one that has any weight. */
    while (n > 1 && c[n - 1].weight == 0.0f)
        n--;
    return c[n - 1].id;
}

/* One of all, of which `best` is the best. Min_p first: where it leaves less than top_p would, that
 * is all there is to choose from. */
static int32_t draw_of_all(struct sampler *sampler, const float *logits, int32_t best)
{
    const struct sampler_settings *s = &sampler->settings;
    struct lottery *lottery = &sampler->lottery;
    double need = (double)s->top_p * lottery_fill(lottery, logits, logits[best], s->temperature);
    int32_t id;
    if (s->min_p > 0.0f)
        lottery_drop_lighter(lottery, s->min_p);
    do
        id = lottery_pick(lottery, draw_uniform(sampler->state));
    while (s->top_p < 1.0f && lottery_keep_better(lottery, id) >= need);
    return id;
}

/* -1 when nothing finite is left. */
static int32_t choose(struct sampler *sampler, const float *logits)
{
    const struct sampler_settings *s = &sampler->settings;
    if (!is_greedy(s) && s->top_k > 0) {
        int n = candidates_collect(sampler->candidates, logits, sampler->n_vocab, s->top_k);
        return n == 0 ? -1 : draw(sampler, n);
    }
    int32_t best = candidates_best(logits, sampler->n_vocab);
    return is_greedy(s) || best < 0 ? best : draw_of_all(sampler, logits, best);
}

int32_t sampler_choose(struct sampler *sampler, float *logits)
{
    add_biases(sampler, logits);
    penalize(sampler, logits);
    int32_t id = choose(sampler, logits);
    return id < 0 ? 0 : id;
}

/* With top_k, only the best candidates need to be asked whether they are allowed, as long as top_k
 * of them are. False when they are not. */
static bool choose_of_best(struct sampler *sampler, const float *logits,
                           struct grammar_matcher *matcher, int32_t *out)
{
    struct candidate *c = sampler->candidates;
    int top_k = sampler->settings.top_k;
    int n = candidates_collect(c, logits, sampler->n_vocab, ASKED_PER_TOP_K * top_k);
    int n_allowed = 0;
    for (int i = 0; i < n; i++) {
        if (grammar_matcher_allows(matcher, c[i].id))
            c[n_allowed++] = c[i];
    }
    if (n_allowed < top_k)
        return false;
    *out = draw(sampler, n_allowed);
    return true;
}

/* A token may be drawn before the grammar is asked if that draw does not depend on what is
 * forbidden: rejecting it and drawing from the allowed ones then gives each of these p / sum(p). */
static bool can_draw_first(const struct sampler_settings *s)
{
    return is_greedy(s) || (s->top_k == 0 && s->top_p == 1.0f && s->min_p == 0.0f);
}

int32_t sampler_choose_allowed(struct sampler *sampler, float *logits,
                               struct grammar_matcher *matcher)
{
    const struct sampler_settings *s = &sampler->settings;
    int32_t id = -1;
    add_biases(sampler, logits);
    penalize(sampler, logits);
    if (can_draw_first(s)) {
        id = choose(sampler, logits);
        if (id >= 0 && grammar_matcher_allows(matcher, id))
            return id;
    } else if (s->top_k > 0 && s->top_k <= MAX_ASKED_TOP_K &&
               choose_of_best(sampler, logits, matcher, &id)) {
        return id;
    }
    return grammar_matcher_mask(matcher, logits) ? choose(sampler, logits) : -1;
}
