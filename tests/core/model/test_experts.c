/* Who goes to which expert: choices and their weights, and the batch seen from the experts' side.
 */
#include "core/model/experts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/each_isa.h"

enum {
    N_EXPERTS = 9,
    N_USED = 3,
    N_TOKENS = 40,
    N_SLOTS = N_TOKENS * N_USED + EXPERTS_MOST_PADDING * N_EXPERTS
};

static void test_weights(void **state)
{
    (void)state;
    const float logits[4] = {1, 3, -2, 2};
    struct expert_choice choices[2];
    experts_choose(logits, 4, 2, true, choices);
    assert_int_equal(choices[0].expert, 1);
    assert_int_equal(choices[1].expert, 3);
    assert_float_equal(choices[0].weight, expf(1) / (expf(1) + 1), 1e-6);
    assert_float_equal(choices[1].weight, 1 / (expf(1) + 1), 1e-6);
    experts_choose(logits, 4, 2, false, choices);
    assert_int_equal(choices[0].expert, 1);
    assert_float_equal(choices[0].weight, expf(3) / (expf(1) + expf(3) + expf(-2) + expf(2)), 1e-6);
    assert_float_equal(choices[1].weight, expf(2) / (expf(1) + expf(3) + expf(-2) + expf(2)), 1e-6);
}

/* The same choices as one who sorts, ties and all. */
static void test_largest_are_chosen(void **state)
{
    (void)state;
    for (int run = 0; run < 2000; run++) {
        float logits[N_EXPERTS];
        struct expert_choice choices[N_EXPERTS];
        int n_used = 1 + run % N_EXPERTS;
        for (int i = 0; i < N_EXPERTS; i++)
            logits[i] = (float)(random_bits() % 6);
        experts_choose(logits, N_EXPERTS, n_used, run % 2 == 0, choices);
        for (int i = 0; i < n_used; i++) {
            int n_before = 0, own = choices[i].expert;
            for (int j = 0; j < N_EXPERTS; j++)
                n_before += logits[j] > logits[own] || (logits[j] == logits[own] && j < own);
            assert_int_equal(n_before, i);
        }
    }
}

/* Logits of a broken model: the choice is still one of different experts. */
static void test_logits_that_are_no_numbers(void **state)
{
    (void)state;
    const float odd[] = {NAN, INFINITY, -INFINITY, 0};
    for (int run = 0; run < 256; run++) {
        float logits[4];
        struct expert_choice choices[2];
        for (int i = 0; i < 4; i++)
            logits[i] = odd[run >> (2 * i) & 3];
        experts_choose(logits, 4, 2, true, choices);
        assert_in_range(choices[0].expert, 0, 3);
        assert_in_range(choices[1].expert, 0, 3);
        assert_int_not_equal(choices[0].expert, choices[1].expert);
    }
    experts_choose((float[]){NAN, 1, 2, NAN}, 4, 2, true, (struct expert_choice[2]){{0}});
}

/* A bias helps to be chosen and weighs nothing; weights are scores, or their shares, times a scale.
 */
static void test_scores(void **state)
{
    (void)state;
    struct experts_routing routing = {
        .is_sigmoid = true, .scale = 2, .n_groups = 1, .n_groups_used = 1};
    const float bias[4] = {0, -9, 0.5F, 0}, sigmoid_1 = 1 / (1 + expf(-1));
    struct expert_choice choices[2];
    experts_choose_by_score(&routing, bias, (float[]){1, 8, 0, -3}, 4, 2, choices);
    assert_int_equal(choices[0].expert, 2);
    assert_int_equal(choices[1].expert, 0);
    assert_float_equal(choices[0].weight, 2 * 0.5, 1e-6);
    assert_float_equal(choices[1].weight, 2 * sigmoid_1, 1e-6);
    routing.sums_to_one = true;
    experts_choose_by_score(&routing, bias, (float[]){1, 8, 0, -3}, 4, 2, choices);
    assert_float_equal(choices[1].weight, 2 * sigmoid_1 / (0.5F + sigmoid_1), 1e-6);
    routing = (struct experts_routing){.scale = 1, .n_groups = 1, .n_groups_used = 1};
    experts_choose_by_score(&routing, NULL, (float[]){1, 3, -2, 2}, 4, 2, choices);
    assert_int_equal(choices[0].expert, 1);
    assert_float_equal(choices[1].weight, expf(2) / (expf(1) + expf(3) + expf(-2) + expf(2)), 1e-6);
    experts_choose_by_score(&routing, NULL, (float[]){NAN, INFINITY, NAN, NAN}, 4, 2, choices);
    assert_int_not_equal(choices[0].expert, choices[1].expert);
}

/* The best expert of all is in a group whose two best together are worse than another's. */
static void test_groups_of_experts(void **state)
{
    (void)state;
    const struct experts_routing routing = {
        .is_sigmoid = true, .scale = 1, .n_groups = 3, .n_groups_used = 2};
    struct expert_choice choices[3];
    float logits[9] = {3, -9, -9, 1, 1, 1, -2, 2, 2};
    experts_choose_by_score(&routing, NULL, logits, 9, 3, choices);
    assert_int_equal(choices[0].expert, 7);
    assert_int_equal(choices[1].expert, 8);
    assert_int_equal(choices[2].expert, 3);
    assert_float_equal(choices[2].weight, 1 / (1 + expf(-1)), 1e-6);
}

/* With a softmax a group is as good as its best. */
static void test_groups_of_a_softmax(void **state)
{
    (void)state;
    const struct experts_routing routing = {.scale = 1, .n_groups = 3, .n_groups_used = 2};
    struct expert_choice choices[3];
    float logits[9] = {3, -9, -9, 2, 2, 1, -2, 2.5F, -9};
    experts_choose_by_score(&routing, NULL, logits, 9, 3, choices);
    assert_int_equal(choices[0].expert, 0);
    assert_int_equal(choices[1].expert, 7);
    assert_int_equal(choices[2].expert, 6);
}

static int to_fours(int n)
{
    return (n + 3) / 4 * 4;
}

static void test_groups(void **state)
{
    (void)state;
    struct expert_choice choices[N_TOKENS * N_USED];
    struct experts_group groups[N_EXPERTS];
    int tokens[N_SLOTS];
    float weights[N_SLOTS];
    struct experts_batch batch = {choices, tokens, weights, groups, 0};
    for (int n_tokens = 1; n_tokens <= N_TOKENS; n_tokens++) {
        int n_seen = 0, n_slots = 0, last = -1;
        for (int i = 0; i < n_tokens * N_USED; i++) /* none goes to experts 0 and 4 */
            choices[i] = (struct expert_choice){(i % N_USED * 3 + 1 + i / N_USED % 2), (float)i};
        for (int i = 0; i < n_tokens * N_USED; i++)
            choices[i].expert += choices[i].expert == 4;
        experts_group(&batch, n_tokens, N_USED, N_EXPERTS, to_fours);
        for (int g = 0; g < batch.n_groups; g++) {
            assert_true(groups[g].expert > last && groups[g].n > 0);
            assert_int_equal(groups[g].first, n_slots);
            assert_int_equal(groups[g].n_padded, to_fours(groups[g].n));
            last = groups[g].expert;
            n_seen += groups[g].n;
            n_slots += groups[g].n_padded;
            for (int i = groups[g].first + groups[g].n; i < n_slots; i++) {
                assert_in_range(tokens[i], 0, n_tokens - 1);
                assert_true(weights[i] == 0);
            }
            for (int i = groups[g].first; i < groups[g].first + groups[g].n; i++) {
                const struct expert_choice *choice = &choices[(int)weights[i]];
                assert_int_equal(tokens[i], (int)weights[i] / N_USED);
                assert_int_equal(choice->expert, groups[g].expert);
                assert_true(i == groups[g].first || tokens[i] > tokens[i - 1]);
            }
        }
        assert_int_equal(n_seen, n_tokens * N_USED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_largest_are_chosen),
        cmocka_unit_test(test_logits_that_are_no_numbers),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_groups_of_experts),
        cmocka_unit_test(test_groups_of_a_softmax),
        cmocka_unit_test(test_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
