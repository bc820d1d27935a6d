#include "tests/core/text/grammar_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "tests/core/text/random.h"

/* ---- random grammars over {a, b}, held against sets of places computed the slow way ---- */

enum { N_RULES = 4, MAX_EXPRESSIONS = 64, MAX_LEN = 7, N_GRAMMARS = 1500 };

enum kind { CHAR, EMPTY, SEQUENCE, CHOICE, STAR, OPTIONAL, CALL };

struct expression {
    enum kind kind;
    int a, b; /* parts, or the character, or the rule */
};

struct random_grammar {
    struct expression expressions[MAX_EXPRESSIONS];
    int n;
    int rules[N_RULES];
    /* The oracle's: places where a rule that begins at a place may end, as bits. */
    unsigned ends[N_RULES][MAX_LEN + 1];
};

static int make_expression(struct random_grammar *g, uint32_t *random, int depth)
{
    int at = g->n++;
    int kind = random_below(random, depth > 0 && g->n < MAX_EXPRESSIONS - 16 ? 12 : 3);
    struct expression *e = &g->expressions[at];
    if (kind < 2) {
        *e = (struct expression){CHAR, kind == 0 ? 'a' : 'b', 0};
    } else if (kind == 2) {
        *e = (struct expression){random_below(random, 3) == 0 ? EMPTY : CHAR, 'a', 0};
    } else if (kind < 9) {
        enum kind of = kind < 6 ? SEQUENCE : kind < 8 ? CHOICE : CALL;
        if (of == CALL) {
            *e = (struct expression){CALL, random_below(random, N_RULES), 0};
            return at;
        }
        int a = make_expression(g, random, depth - 1);
        int b = make_expression(g, random, depth - 1);
        g->expressions[at] = (struct expression){of, a, b};
    } else if (kind < 11) {
        *e = (struct expression){CALL, random_below(random, N_RULES), 0};
    } else {
        enum kind of = random_below(random, 2) == 0 ? STAR : OPTIONAL;
        int a = make_expression(g, random, depth - 1);
        g->expressions[at] = (struct expression){of, a, 0};
    }
    return at;
}

static void print_expression(const struct random_grammar *g, int at, struct buf *out)
{
    const struct expression *e = &g->expressions[at];
    switch (e->kind) {
    case CHAR:
        buf_append_format(out, "\"%c\"", e->a);
        break;
    case EMPTY:
        buf_append_text(out, "\"\"");
        break;
    case CALL:
        buf_append_format(out, "r%d", e->a);
        break;
    case SEQUENCE:
    case CHOICE:
        buf_append_text(out, "(");
        print_expression(g, e->a, out);
        buf_append_text(out, e->kind == CHOICE ? " | " : " ");
        print_expression(g, e->b, out);
        buf_append_text(out, ")");
        break;
    case STAR:
    case OPTIONAL:
        buf_append_text(out, "(");
        print_expression(g, e->a, out);
        buf_append_text(out, e->kind == STAR ? ")*" : ")?");
        break;
    }
}

/* Where the expression may end when it begins at any of the places `from`. */
static unsigned places_after(const struct random_grammar *g, int at, unsigned from,
                             const char *text, int len)
{
    const struct expression *e = &g->expressions[at];
    unsigned to = 0;
    switch (e->kind) {
    case CHAR:
        for (int i = 0; i < len; i++)
            to |= (from >> i & 1) != 0 && text[i] == e->a ? 2u << i : 0;
        return to;
    case EMPTY:
        return from;
    case CALL:
        for (int i = 0; i <= len; i++)
            to |= (from >> i & 1) != 0 ? g->ends[e->a][i] : 0;
        return to;
    case SEQUENCE:
        return places_after(g, e->b, places_after(g, e->a, from, text, len), text, len);
    case CHOICE:
        return places_after(g, e->a, from, text, len) | places_after(g, e->b, from, text, len);
    case OPTIONAL:
        return from | places_after(g, e->a, from, text, len);
    case STAR:
        to = from;
        for (unsigned before = 0; before != to;) {
            before = to;
            to |= places_after(g, e->a, to, text, len);
        }
        return to;
    }
    return to;
}

static bool oracle_accepts(struct random_grammar *g, const char *text, int len)
{
    memset(g->ends, 0, sizeof g->ends);
    for (bool changes = true; changes;) {
        changes = false;
        for (int r = 0; r < N_RULES; r++) {
            for (int i = 0; i <= len; i++) {
                unsigned now = places_after(g, g->rules[r], 1u << i, text, len);
                changes = changes || now != g->ends[r][i];
                g->ends[r][i] = now;
            }
        }
    }
    return (g->ends[0][0] >> len & 1) != 0;
}

static void check_all_texts(struct random_grammar *g, struct grammar_states *states,
                            const char *gbnf)
{
    char text[MAX_LEN + 1];
    for (int len = 0; len <= MAX_LEN; len++) {
        for (int bits = 0; bits < 1 << len; bits++) {
            for (int i = 0; i < len; i++)
                text[i] = (bits >> i & 1) != 0 ? 'b' : 'a';
            enum grammar_fit fit = grammar_check_fit(states, text, (size_t)len);
            if ((fit >= FIT_WHOLE) != oracle_accepts(g, text, len))
                fail_msg("'%.*s': %d in\n%s", len, text, (int)fit, gbnf);
        }
    }
}

static void random_grammars_agree_with_the_definition(void **state)
{
    (void)state;
    uint32_t random = 12345;
    int n_checked = 0;
    for (int round = 0; round < N_GRAMMARS; round++) {
        struct random_grammar g = {.n = 0};
        struct buf gbnf;
        struct grammar *grammar = NULL;
        buf_init(&gbnf);
        buf_append_text(&gbnf, "root ::= r0\n");
        for (int r = 0; r < N_RULES; r++) {
            g.rules[r] = make_expression(&g, &random, 3);
            buf_append_format(&gbnf, "r%d ::= ", r);
            print_expression(&g, g.rules[r], &gbnf);
            buf_append_text(&gbnf, "\n");
        }
        if (grammar_new(&grammar, gbnf.data, gbnf.len, NULL)) { /* else it is left-recursive */
            struct grammar_states states;
            assert_true(grammar_states_init(&states, grammar));
            check_all_texts(&g, &states, gbnf.data);
            grammar_states_done(&states);
            n_checked++;
        }
        grammar_free(&grammar);
        buf_done(&gbnf);
    }
    assert_true(n_checked > N_GRAMMARS / 4);
}

/* ---- bounds ---- */

static void ambiguity_does_not_multiply(void **state)
{
    (void)state;
    /* 2^n readings of n letters; a stack for each would end any daemon. */
    static const char *const grammars[] = {
        "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"",
        "root ::= (\"a\" | \"a\" | x)* \"d\"\nx ::= \"a\" | \"a\" x?",
        "root ::= s \"d\"\ns ::= \"a\" s s | \"\"",
    };
    for (size_t g = 0; g < sizeof grammars / sizeof grammars[0]; g++) {
        struct grammar *grammar = grammar_check_new(grammars[g]);
        struct grammar_states states;
        assert_true(grammar_states_init(&states, grammar));
        uint32_t at = grammar_states_start(&states);
        for (int i = 0; i < 200; i++) {
            states.work = 0;
            at = grammar_states_step(&states, at, 'a');
            assert_int_equal(states.status, GRAMMAR_OK);
            assert_int_not_equal(at, GRAMMAR_DEAD);
            uint32_t n;
            interner_words(&states.states, at, &n);
            assert_true(n <= grammar->n_nodes + 1);
        }
        assert_int_not_equal(grammar_states_step(&states, at, 'd'), GRAMMAR_DEAD);
        grammar_states_done(&states);
        grammar_free(&grammar);
    }
}

static void equal_situations_are_one_state(void **state)
{
    (void)state;
    struct grammar *grammar = grammar_check_new("root ::= \"{\" (\"a\" | \"b\" \"c\")* tail\n"
                                                "tail ::= \"}\" | \"x\" tail");
    struct grammar_states states;
    assert_true(grammar_states_init(&states, grammar));
    uint32_t inside = grammar_states_step(&states, grammar_states_start(&states), '{');
    uint32_t at = grammar_states_step(&states, inside, 'a');
    assert_int_equal(grammar_states_step(&states, at, 'a'), at);
    at = grammar_states_step(&states, grammar_states_step(&states, at, 'b'), 'c');
    assert_int_equal(grammar_states_step(&states, at, 'a'),
                     grammar_states_step(&states, inside, 'a'));
    /* A rule that repeats itself at its end needs no stack. */
    at = grammar_states_step(&states, at, 'x');
    for (int i = 0; i < 10000; i++)
        assert_int_equal(grammar_states_step(&states, at, 'x'), at);
    grammar_states_done(&states);
    grammar_free(&grammar);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct grammar *grammar = grammar_check_new("root ::= \"(\" root \")\" | \"x\"");
    struct grammar_states states;
    assert_true(grammar_states_init(&states, grammar));
    uint32_t at = grammar_states_start(&states);
    int depth = 0;
    while (grammar_states_step(&states, at, '(') != GRAMMAR_DEAD &&
           depth < 10 * GRAMMAR_MAX_DEPTH) {
        at = grammar_states_step(&states, at, '(');
        depth++;
    }
    assert_in_range(depth, GRAMMAR_MAX_DEPTH / 2, 2 * GRAMMAR_MAX_DEPTH);
    assert_int_equal(states.status, GRAMMAR_OK);
    grammar_states_done(&states);
    grammar_free(&grammar);
}

static void forgetting_changes_nothing(void **state)
{
    (void)state;
    struct grammar *grammar = grammar_check_new("root ::= \"(\" root* \")\" | \"[\" root? \"]\"");
    struct grammar_states states, reference;
    assert_true(grammar_states_init(&states, grammar));
    assert_true(grammar_states_init(&reference, grammar));
    uint32_t random = 7;
    uint32_t at = grammar_states_start(&states), expected = grammar_states_start(&reference);
    for (int i = 0; i < 3000; i++) {
        char byte = "()[]"[random_below(&random, 4)];
        uint32_t next = grammar_states_step(&reference, expected, (unsigned char)byte);
        assert_int_equal(grammar_states_step(&states, at, (unsigned char)byte) == GRAMMAR_DEAD,
                         next == GRAMMAR_DEAD);
        if (next == GRAMMAR_DEAD)
            continue;
        at = grammar_states_step(&states, at, (unsigned char)byte);
        expected = next;
        if (i % 50 == 0)
            at = grammar_states_forget(&states, at);
        assert_int_equal(states.status, GRAMMAR_OK);
        assert_int_equal(grammar_states_accepts(&states, at),
                         grammar_states_accepts(&reference, expected));
        if (!grammar_states_goes_on(&states, at)) {
            at = grammar_states_start(&states);
            expected = grammar_states_start(&reference);
        }
    }
    grammar_states_done(&states);
    grammar_states_done(&reference);
    grammar_free(&grammar);
}

static void work_and_memory_are_bounded(void **state)
{
    (void)state;
    struct grammar *grammar = grammar_check_new("root ::= \"(\" root* \")\" | \"[\" root* \"]\"");
    struct grammar_states states;
    assert_true(grammar_states_init(&states, grammar));
    states.max_bytes = 64 << 10;
    uint32_t at = grammar_states_start(&states);
    int n_steps = 0;
    while (states.status == GRAMMAR_OK && n_steps++ < 100000)
        at = grammar_states_step(&states, at, n_steps % 3 == 0 ? '[' : '(');
    assert_int_equal(states.status, GRAMMAR_FULL);
    grammar_states_done(&states);

    assert_true(grammar_states_init(&states, grammar));
    states.max_work = 1;
    grammar_states_start(&states);
    assert_int_equal(states.status, GRAMMAR_TOO_HARD);
    grammar_states_done(&states);
    grammar_free(&grammar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_grammars_agree_with_the_definition),
        cmocka_unit_test(ambiguity_does_not_multiply),
        cmocka_unit_test(equal_situations_are_one_state),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(forgetting_changes_nothing),
        cmocka_unit_test(work_and_memory_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
