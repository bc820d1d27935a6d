#include "core/engine/scheduler.h"

#include "tests/support/check.h"

static int granted_to_prompts(const struct scheduler_turn *turns, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += turns[i].is_speaking ? 0 : turns[i].n_granted;
    return sum;
}

static void everyone_who_speaks_gets_a_token(void **state)
{
    (void)state;
    struct scheduler_turn turns[] = {{1, true, 0, 0}, {5000, false, 0, 0}, {1, true, 0, 0}};
    scheduler_plan(turns, 3, 256, 0);
    assert_int_equal(turns[0].n_granted, 1);
    assert_int_equal(turns[1].n_granted, 256);
    assert_int_equal(turns[2].n_granted, 1);
}

static void drafts_are_granted_with_their_token(void **state)
{
    (void)state;
    struct scheduler_turn turns[] = {{6, true, 0, 0}, {1, true, 0, 0}};
    scheduler_plan(turns, 2, 0, 3);
    assert_int_equal(turns[0].n_granted, 6);
    assert_int_equal(turns[1].n_granted, 1);
}

static void short_prompts_pass_beside_a_long_one(void **state)
{
    (void)state;
    struct scheduler_turn turns[] = {{5000, false, 0, 0}, {20, false, 0, 0}, {30, false, 0, 0}};
    scheduler_plan(turns, 3, 256, 0);
    assert_int_equal(turns[1].n_granted, 20);
    assert_int_equal(turns[2].n_granted, 30);
    assert_int_equal(turns[0].n_granted, 206);
}

static void the_budget_is_never_exceeded_nor_wasted(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (uint64_t step = 0; step < 2000; step++) {
        struct scheduler_turn turns[50];
        int n = 1 + (int)(step % 50), pending = 0;
        for (int i = 0; i < n; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bool is_speaking = random >> 63;
            int n_pending = is_speaking ? 1 : 1 + (int)(random >> 33) % 300;
            turns[i] = (struct scheduler_turn){n_pending, is_speaking, 99, i % 3};
            pending += is_speaking ? 0 : n_pending;
        }
        int budget = 1 + (int)(step % 256);
        scheduler_plan(turns, n, budget, step);
        assert_int_equal(granted_to_prompts(turns, n), pending < budget ? pending : budget);
        for (int i = 0; i < n; i++)
            assert_in_range(turns[i].n_granted, turns[i].is_speaking ? 1 : 0, turns[i].n_pending);
    }
}

static void a_budget_smaller_than_the_crowd_goes_round(void **state)
{
    (void)state;
    int served[4] = {0};
    for (uint64_t step = 0; step < 4; step++) {
        struct scheduler_turn turns[4] = {
            {100, false, 0, 0}, {100, false, 0, 0}, {100, false, 0, 0}, {100, false, 0, 0}};
        scheduler_plan(turns, 4, 1, step);
        for (int i = 0; i < 4; i++)
            served[i] += turns[i].n_granted;
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(served[i], 1);
}

static void nobody_is_fine(void **state)
{
    (void)state;
    struct scheduler_turn none = {7, false, 42, 0};
    scheduler_plan(&none, 0, 256, 3);
    assert_int_equal(none.n_granted, 42);
}

/* One owner's hundred prompts get no more than another's one. */
static void owners_share_alike_and_then_their_turns(void **state)
{
    (void)state;
    enum { N = 101 };
    struct scheduler_turn turns[N];
    int served[2] = {0};
    for (int i = 0; i < N; i++)
        turns[i] = (struct scheduler_turn){.n_pending = 5000, .share = i == 60};
    scheduler_plan(turns, N, 400, 7);
    for (int i = 0; i < N; i++) {
        served[turns[i].share] += turns[i].n_granted;
        assert_in_range(turns[i].n_granted, 1, 204);
    }
    assert_int_equal(served[0] + served[1], 400);
    assert_in_range(served[1], 196, 204);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_who_speaks_gets_a_token),
        cmocka_unit_test(drafts_are_granted_with_their_token),
        cmocka_unit_test(short_prompts_pass_beside_a_long_one),
        cmocka_unit_test(the_budget_is_never_exceeded_nor_wasted),
        cmocka_unit_test(a_budget_smaller_than_the_crowd_goes_round),
        cmocka_unit_test(nobody_is_fine),
        cmocka_unit_test(owners_share_alike_and_then_their_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
