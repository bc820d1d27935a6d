/* What layers do that carry a state from token to token, on every instruction set that this CPU
 * has, compared with the same in double. */
#include <math.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "tests/support/each_isa.h"

enum { MAX_DIM = 64, MAX_COLUMNS = 200, STRIDE = MAX_COLUMNS + 8, N_TOKENS = 5, MAX_TAPS = 4 };

static void fill(float *to, int n, float range)
{
    for (int i = 0; i < n; i++)
        to[i] = random_float(range);
}

static void test_conv_silu(void **state)
{
    if (!select_isa(*state))
        return;
    static const int sizes[] = {1, 15, 16, 33, MAX_COLUMNS};
    static float w[MAX_TAPS * STRIDE], x[MAX_TAPS][STRIDE], y[STRIDE], before[STRIDE];
    for (int s = 0; s < (int)(sizeof sizes / sizeof sizes[0]) * MAX_TAPS; s++) {
        int n = sizes[s / MAX_TAPS], n_taps = 1 + s % MAX_TAPS;
        const float *rows[MAX_TAPS] = {x[0], x[1], x[2], x[3]};
        fill(w, MAX_TAPS * STRIDE, 1);
        fill(x[0], MAX_TAPS * STRIDE, 3);
        fill(y, STRIDE, 1);
        memcpy(before, y, sizeof y);
        kernels->conv_silu(y, w, STRIDE, rows, n_taps, n);
        for (int i = 0; i < n; i++) {
            double sum = 0;
            for (int j = 0; j < n_taps; j++)
                sum += (double)w[j * STRIDE + i] * (double)x[j][i];
            check_near(y[i], sum / (1 + exp(-sum)), 1e-5);
        }
        assert_memory_equal(y + n, before + n, (size_t)(STRIDE - n) * sizeof *y);
    }
}

/* As the paper has it: S (decay (I - beta k k^T)) + beta v k^T, with a row of S to a column here.
 */
static void exact_rule(double *s, double *y, const struct delta_token *token, int dim, int n)
{
    for (int i = 0; i < n; i++) {
        double found = 0;
        for (int r = 0; r < dim; r++)
            found += s[r * STRIDE + i] * (double)token->k[r];
        y[i] = 0;
        for (int r = 0; r < dim; r++) {
            double *one = &s[r * STRIDE + i];
            *one = (double)token->decay * (*one - (double)(token->beta * token->k[r]) * found) +
                   (double)token->beta * (double)token->v[i] * (double)token->k[r];
            y[i] += *one * (double)token->q[r];
        }
    }
}

static void test_delta_rule(void **state)
{
    if (!select_isa(*state))
        return;
    static const int sizes[] = {1, 16, 24, 64, 129, MAX_COLUMNS};
    static float s[MAX_DIM * STRIDE], before[MAX_DIM * STRIDE], y[STRIDE];
    static double exact[MAX_DIM * STRIDE], exact_y[STRIDE];
    for (int size = 0; size < (int)(sizeof sizes / sizeof sizes[0]) * 2; size++) {
        int n = sizes[size / 2], dim = size % 2 == 0 ? MAX_DIM : 7;
        fill(s, MAX_DIM * STRIDE, 1);
        memcpy(before, s, sizeof s);
        for (int i = 0; i < MAX_DIM * STRIDE; i++)
            exact[i] = (double)s[i];
        for (int t = 0; t < N_TOKENS; t++) {
            float q[MAX_DIM], k[MAX_DIM], v[MAX_COLUMNS];
            struct delta_token token = {.q = q, .k = k, .v = v};
            fill(q, dim, 1);
            fill(k, dim, 0.2F); /* about of length 1 */
            fill(v, n, 2);
            token.decay = fabsf(random_float(1));
            token.beta = fabsf(random_float(1));
            kernels->delta_rule(y, s, STRIDE, &token, dim, n);
            exact_rule(exact, exact_y, &token, dim, n);
            for (int i = 0; i < n; i++)
                check_near(y[i], exact_y[i], 2e-5);
        }
        for (int r = 0; r < MAX_DIM; r++) {
            int n_changed = r < dim ? n : 0; /* all others are not this head's */
            for (int i = 0; i < n_changed; i++)
                check_near(s[r * STRIDE + i], exact[r * STRIDE + i], 1e-5);
            assert_memory_equal(s + r * STRIDE + n_changed, before + r * STRIDE + n_changed,
                                (size_t)(STRIDE - n_changed) * sizeof *s);
        }
    }
}

int main(void)
{
    static const struct isa_check checks[] = {
        {"convolution", test_conv_silu},
        {"delta rule", test_delta_rule},
    };
    return run_with_each_isa(checks, sizeof checks / sizeof checks[0], NULL, 0);
}
