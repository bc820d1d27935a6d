/* Recall: facts, questions, what counts as right, and where a line lies. */
#include "eval/recall.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "eval/subject.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

static void test_facts(void **state)
{
    (void)state;
    char fact[80];
    int n_alike = 0;
    for (int line = 1; line < 2000; line++) {
        assert_in_range(recall_value(line), 0, 99999);
        n_alike += recall_value(line) == recall_value(line + 1);
        int n = recall_format_fact(line, fact, sizeof fact);
        assert_int_equal(n, strlen(fact));
        int said;
        char colour[16], animal[16], end;
        assert_int_equal(sscanf(fact, "The REGISTER_CONTENT of the %15s %15s is <%5d>%c", colour,
                                animal, &said, &end),
                         4);
        assert_int_equal(said, recall_value(line));
        assert_int_equal(end, '\n');
    }
    assert_int_equal(n_alike, 0);
}

/* Within a thousand lines a name stands for one line. */
static void test_names(void **state)
{
    (void)state;
    char fact[80], other[80];
    for (int line = 1; line < 1000; line += 37) {
        int n = recall_format_fact(line, fact, sizeof fact);
        for (int later = line + 1; later < line + 1024; later++) {
            recall_format_fact(later, other, sizeof other);
            assert_int_not_equal(strncmp(fact, other, (size_t)n - 8), 0);
        }
    }
}

static void test_questions(void **state)
{
    (void)state;
    struct subject subject;
    struct recall_question question;
    struct err err = {0};
    assert_true(subject_open(&subject, TINY_MODEL_PATH, 1, &err));
    for (int line = 1; line < 200; line++) {
        assert_true(recall_question_init(&question, &subject, line, &err));
        /* This vocabulary has a token for each byte. */
        assert_int_equal(question.tokens.n - question.n_asked, 5);
        bool is_best[128];
        memset(is_best, 0, sizeof is_best);
        memset(is_best + question.n_asked - 1, 1, 5);
        assert_true(recall_is_right(&question, is_best));
        for (size_t i = question.n_asked - 1; i < question.tokens.n - 1; i++) {
            is_best[i] = false;
            assert_false(recall_is_right(&question, is_best));
            is_best[i] = true;
        }
        double losses[128];
        for (size_t i = 0; i < question.tokens.n; i++)
            losses[i] = i < question.n_asked - 1 ? 100 : (double)i;
        assert_true(fabs(recall_loss(&question, losses) - (double)(question.n_asked + 1)) < 1e-9);
        recall_question_done(&question);
    }
    subject_close(&subject);
}

/* A window of 10 recent tokens; the answer has 5: first query at 100, last at 104. */
static void test_places(void **state)
{
    (void)state;
    enum { RECENT = 10, FIRST = 100, LAST = 104 };
    static const struct {
        int begin, end;
        enum recall_place place;
    } lines[] = {
        {95, 99, RECALL_INSIDE},  /* 104 sees 95 .. 104 */
        {94, 98, RECALL_ACROSS},  /* not 94 */
        {85, 91, RECALL_ACROSS},  /* 100 still sees 91 */
        {85, 90, RECALL_OUTSIDE}, /* nobody sees 90 */
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(recall_place_of(LAST - lines[i].begin, FIRST - lines[i].end, RECENT),
                         lines[i].place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
