#include "core/engine/drafting.h"

#include "tests/support/check.h"

/* A machine whose step takes first_ns for a token and more_ns for each further one. */
struct machine {
    struct drafting drafting;
    int64_t first_ns, more_ns;
};

static struct machine make(int max, int64_t first_ns, int64_t more_ns)
{
    struct machine machine = {.first_ns = first_ns, .more_ns = more_ns};
    drafting_init(&machine.drafting, max);
    return machine;
}

static void run(struct machine *machine, int n_tokens)
{
    drafting_learn(&machine->drafting, n_tokens,
                   machine->first_ns + (n_tokens - 1) * machine->more_ns);
}

static void measure(struct machine *machine)
{
    for (int i = 0; i < DRAFTING_MEMORY; i++)
        for (int n = 1; n <= machine->drafting.max + 1; n++)
            run(machine, n);
}

static struct drafting_turn offer(int n, float chance)
{
    struct drafting_turn turn = {.n = n, .n_taken = -1};
    for (int i = 0; i < n; i++)
        turn.chances[i] = chance;
    return turn;
}

/* What one who speaks alone takes of 7 that are likely like this. */
static int taken(const struct machine *machine, float chance)
{
    struct drafting_turn turn = offer(7, chance);
    drafting_choose(&machine->drafting, &turn, 1);
    assert_in_range(turn.n_taken, 0, machine->drafting.max);
    return turn.n_taken;
}

static void takes_what_is_likely_while_tokens_are_cheap(void **state)
{
    (void)state;
    struct machine machine = make(7, 16000, 1300);
    assert_int_equal(taken(&machine, 0.95f), 7); /* before anything is measured */
    measure(&machine);
    assert_int_equal(taken(&machine, 0.95f), 7);
    assert_int_equal(taken(&machine, 0), 0);
    assert_int_equal(taken(&machine, 0.05f), 0);
    int n = taken(&machine, 0.3f);
    assert_in_range(n, 1, 3);
    assert_true(taken(&machine, 0.6f) > n);
}

static void takes_none_where_a_token_costs_a_step(void **state)
{
    (void)state;
    struct machine machine = make(7, 16000, 16000);
    for (int i = 0; i < DRAFTING_TRUST; i++) {
        run(&machine, 1);
        run(&machine, 1 + taken(&machine, 0.9f));
    }
    for (int i = 0; i < 10 * DRAFTING_MEMORY; i++) /* it tries shorter ones, and gives up */
        run(&machine, 1 + taken(&machine, 0.9f));
    assert_int_equal(taken(&machine, 0.9f), 0);
}

/* A size that is dear, as where a product changes its method, is stepped over. */
static void a_dear_size_does_not_hide_a_cheap_one(void **state)
{
    (void)state;
    struct machine machine = make(7, 16000, 1000);
    measure(&machine);
    for (int i = 0; i < DRAFTING_MEMORY; i++)
        drafting_learn(&machine.drafting, 3, 60000);
    assert_int_equal(taken(&machine, 0.95f), 7);
}

static void forgets_what_was_long_ago(void **state)
{
    (void)state;
    struct machine machine = make(7, 16000, 16000);
    measure(&machine);
    assert_int_equal(taken(&machine, 0.9f), 0);
    for (int i = 0; i <= DRAFTING_FORGET; i++)
        run(&machine, 1);
    assert_true(taken(&machine, 0.9f) > 0);
}

/* One step in a few that somebody else delays says nothing. */
static void a_delay_is_no_cost(void **state)
{
    (void)state;
    struct machine machine = make(7, 16000, 1300);
    measure(&machine);
    drafting_learn(&machine.drafting, 8, 900000);
    drafting_learn(&machine.drafting, 8, 900000);
    assert_int_equal(taken(&machine, 0.95f), 7);
}

static void the_likeliest_drafts_of_all_go_first(void **state)
{
    (void)state;
    struct machine machine = make(7, 16000, 500);
    measure(&machine);
    struct drafting_turn turns[] = {offer(7, 0.1f), offer(7, 0.9f), offer(0, 0), offer(2, 0.9f)};
    drafting_choose(&machine.drafting, turns, 4);
    assert_int_equal(turns[0].n_taken, 0);
    assert_int_equal(turns[2].n_taken, 0);
    assert_true(turns[1].n_taken >= 2);
    assert_in_range(turns[3].n_taken, 1, 2);
    assert_true(turns[1].n_taken + turns[3].n_taken <= 4); /* eight tokens in all */
}

/* Who drafts does not make the others wait for long. */
static void others_are_not_kept_waiting(void **state)
{
    (void)state;
    struct machine machine = make(7, 10000, 3000);
    measure(&machine);
    struct drafting_turn alone = offer(7, 1), turns[] = {offer(7, 1), offer(0, 0)};
    drafting_choose(&machine.drafting, &alone, 1);
    drafting_choose(&machine.drafting, turns, 2);
    assert_int_equal(alone.n_taken, 7);
    assert_int_equal(turns[0].n_taken, 1); /* 13000 and 3000 */
}

static void eight_who_speak_have_no_drafts(void **state)
{
    (void)state;
    struct machine machine = make(7, 16000, 100);
    struct drafting_turn turns[8];
    measure(&machine);
    for (int i = 0; i < 8; i++) {
        turns[i] = offer(7, 1);
        turns[i].n_taken = 0;
    }
    drafting_choose(&machine.drafting, turns, 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(turns[i].n_taken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_likely_while_tokens_are_cheap),
        cmocka_unit_test(takes_none_where_a_token_costs_a_step),
        cmocka_unit_test(a_dear_size_does_not_hide_a_cheap_one),
        cmocka_unit_test(forgets_what_was_long_ago),
        cmocka_unit_test(a_delay_is_no_cost),
        cmocka_unit_test(the_likeliest_drafts_of_all_go_first),
        cmocka_unit_test(others_are_not_kept_waiting),
        cmocka_unit_test(eight_who_speak_have_no_drafts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
