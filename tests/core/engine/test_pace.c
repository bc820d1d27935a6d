#include "core/engine/pace.h"

#include "tests/support/check.h"

/* A machine of which all is known. */
struct machine {
    struct pace pace;
    int64_t base_ns, speaker_ns, reader_ns;
    int64_t speak_ns, longest_ns; /* what speaking alone costs; the longest step so far */
    int n_read;                   /* tokens, in all */
};

static int step(struct machine *machine, int n_speakers, int max)
{
    int n_read = pace_budget(&machine->pace, n_speakers, max);
    assert_in_range(n_read, 0, max);
    machine->speak_ns = machine->base_ns + n_speakers * machine->speaker_ns;
    int64_t step_ns = machine->speak_ns + n_read * machine->reader_ns;
    if (step_ns > machine->longest_ns)
        machine->longest_ns = step_ns;
    machine->n_read += n_read;
    pace_learn(&machine->pace, n_speakers, n_read, step_ns);
    return n_read;
}

static struct machine make(int64_t base_us, int64_t speaker_us, int64_t reader_us)
{
    struct machine machine = {
        .base_ns = base_us * 1000, .speaker_ns = speaker_us * 1000, .reader_ns = reader_us * 1000};
    pace_init(&machine.pace);
    return machine;
}

static void nobody_who_speaks_stalls(void **state)
{
    (void)state;
    static const struct {
        int base_us, speaker_us, reader_us, n_speakers;
    } cases[] = {
        {10000, 200, 400, 1}, {10000, 200, 400, 200},   {100, 20, 20, 200},
        {200, 50, 30, 3},     {250000, 1000, 40000, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct machine machine = make(cases[i].base_us, cases[i].speaker_us, cases[i].reader_us);
        while (machine.n_read < 256) /* its own prompt */
            step(&machine, 0, 256);
        machine.longest_ns = 0;
        machine.n_read = 0;
        for (int j = 0; j < 200; j++)
            step(&machine, cases[i].n_speakers, 256);
        assert_true(machine.longest_ns <= 3 * machine.speak_ns ||
                    machine.longest_ns == machine.speak_ns + PACE_MIN_TOKENS * machine.reader_ns);
        /* Nor do those who read: they have half of the time, or all that they can use. */
        assert_true(machine.n_read * machine.reader_ns >= 100 * machine.speak_ns ||
                    machine.n_read >= 200 * 256 * 9 / 10);
    }
}

static void a_step_reads_all_it_can_when_nobody_speaks(void **state)
{
    (void)state;
    struct machine machine = make(10000, 200, 400);
    for (int i = 0; i < 5; i++)
        assert_int_equal(step(&machine, 0, 256), 256);
    for (int i = 0; i < 50; i++)
        step(&machine, 2, 256);
    assert_in_range(step(&machine, 2, 256), 1, 60);
    assert_int_equal(step(&machine, 0, 256), 256);
}

static void what_speaking_costs_is_measured_again(void **state)
{
    (void)state;
    struct machine machine = make(1000, 1000, 100);
    step(&machine, 0, 256);
    assert_int_equal(step(&machine, 1, 256), 0); /* not known yet */
    int n_with_one = step(&machine, 1, 256);
    for (int i = 0; i < 8 * PACE_RECHECK; i++)
        step(&machine, 20, 256);
    int n_with_twenty = step(&machine, 20, 256);
    assert_true(n_with_twenty > 5 * n_with_one);
    /* Those who are left are not made to wait as if they were many. */
    assert_int_equal(step(&machine, 1, 256), 0);
    assert_in_range(step(&machine, 1, 256), n_with_one - 1, n_with_one + 1); /* but for rounding */
}

static void a_slow_step_by_chance_changes_little(void **state)
{
    (void)state;
    struct machine machine = make(1000, 100, 100);
    step(&machine, 0, 256);
    for (int i = 0; i < 5 * PACE_RECHECK; i++)
        step(&machine, 4, 256);
    int before = pace_budget(&machine.pace, 4, 256);
    pace_learn(&machine.pace, 4, 0, 1000 * 1000 * 1000);
    assert_int_equal(pace_budget(&machine.pace, 4, 256), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_who_speaks_stalls),
        cmocka_unit_test(a_step_reads_all_it_can_when_nobody_speaks),
        cmocka_unit_test(what_speaking_costs_is_measured_again),
        cmocka_unit_test(a_slow_step_by_chance_changes_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
