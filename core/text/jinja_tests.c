/* The table of tests: what may stand behind "is". */
#include <math.h>

#include "core/text/jinja_eval.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_text.h"

static bool answer(struct jinja_value *out, bool is_so)
{
    *out = jinja_bool(is_so);
    return true;
}

static bool test_defined(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    (void)run;
    return answer(out, call->self.type != JINJA_UNDEFINED);
}

static bool test_undefined(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    (void)run;
    return answer(out, call->self.type == JINJA_UNDEFINED);
}

static bool test_none(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    (void)run;
    return answer(out, call->self.type == JINJA_NONE);
}

static bool test_boolean(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    (void)run;
    return answer(out, call->self.type == JINJA_BOOL);
}

static bool test_true(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    (void)run;
    return answer(out, call->self.type == JINJA_BOOL && call->self.boolean);
}

static bool test_false(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    (void)run;
    return answer(out, call->self.type == JINJA_BOOL && !call->self.boolean);
}

static bool test_integer(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    (void)run;
    return answer(out, call->self.type == JINJA_INT);
}

static bool test_float(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    (void)run;
    return answer(out, call->self.type == JINJA_FLOAT);
}

static bool test_number(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    (void)run;
    return answer(out, jinja_is_number(call->self));
}

static bool test_string(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    (void)run;
    return answer(out, call->self.type == JINJA_STRING);
}

static bool test_mapping(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    (void)run;
    return answer(out, call->self.type == JINJA_DICT);
}

/* What has a length and items; in Python an undefined value has both. */
static bool test_sequence(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    (void)run;
    enum jinja_type type = call->self.type;
    return answer(out, type == JINJA_STRING || type == JINJA_LIST || type == JINJA_TUPLE ||
                           type == JINJA_DICT || type == JINJA_UNDEFINED);
}

static bool test_callable(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    (void)run;
    enum jinja_type type = call->self.type;
    return answer(out, type == JINJA_NATIVE || type == JINJA_METHOD || type == JINJA_MACRO ||
                           type == JINJA_CYCLER || type == JINJA_UNDEFINED);
}

static bool test_escaped(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    (void)run;
    (void)call;
    return answer(out, false);
}

static bool remainder_of(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value divisor, int64_t wanted, struct jinja_value *out)
{
    struct jinja_value rest;
    bool is_equal;
    return jinja_binary(run, JINJA_MOD, call->self, divisor, &rest) &&
           jinja_equal(run, rest, jinja_int(wanted), &is_equal) && answer(out, is_equal);
}

static bool test_odd(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return remainder_of(run, call, jinja_int(2), 1, out);
}

static bool test_even(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return remainder_of(run, call, jinja_int(2), 0, out);
}

static bool test_divisibleby(struct jinja_run *run, const struct jinja_call *call,
                             struct jinja_value *out)
{
    return remainder_of(run, call, call->arg[0], 0, out);
}

static bool compare(struct jinja_run *run, const struct jinja_call *call, enum jinja_operator op,
                    struct jinja_value *out)
{
    bool holds;
    if (call->arg[0].type == JINJA_ABSENT)
        return jinja_fail(run, "a test needs something to compare with");
    return jinja_comparison(run, op, call->self, call->arg[0], &holds) && answer(out, holds);
}

static bool test_eq(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return compare(run, call, JINJA_EQ, out);
}

static bool test_ne(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return compare(run, call, JINJA_NE, out);
}

static bool test_lt(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return compare(run, call, JINJA_LT, out);
}

static bool test_le(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return compare(run, call, JINJA_LE, out);
}

static bool test_gt(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return compare(run, call, JINJA_GT, out);
}

static bool test_ge(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return compare(run, call, JINJA_GE, out);
}

static bool test_in(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return compare(run, call, JINJA_IN, out);
}

static bool test_sameas(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    bool is_equal;
    if (!jinja_equal(run, call->self, call->arg[0], &is_equal))
        return false;
    enum jinja_type type = call->self.type;
    bool is_shared = type == JINJA_LIST || type == JINJA_DICT;
    return answer(out, is_equal && type == call->arg[0].type &&
                           (!is_shared || call->self.list == call->arg[0].list));
}

static bool is_case(struct jinja_run *run, const struct jinja_call *call, bool is_upper,
                    struct jinja_value *out)
{
    struct jinja_value text;
    return jinja_to_string(run, call->self, &text) &&
           answer(out, jinja_text_is_case(text.string, is_upper));
}

static bool test_upper(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    return is_case(run, call, true, out);
}

static bool test_lower(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    return is_case(run, call, false, out);
}

static bool test_filter(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    const struct jinja_string *name;
    return jinja_arg_string(run, call->self, &name) &&
           answer(out, jinja_filter_find(name->data, name->len) != NULL);
}

static bool test_test(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    const struct jinja_string *name;
    return jinja_arg_string(run, call->self, &name) &&
           answer(out, jinja_test_find(name->data, name->len) != NULL);
}

static const struct jinja_native TESTS[] = {
    {"boolean", "", test_boolean},
    {"callable", "", test_callable},
    {"defined", "", test_defined},
    {"divisibleby", "num", test_divisibleby},
    {"eq", "other", test_eq},
    {"equalto", "other", test_eq},
    {"escaped", "", test_escaped},
    {"even", "", test_even},
    {"false", "", test_false},
    {"filter", "", test_filter},
    {"float", "", test_float},
    {"ge", "other", test_ge},
    {"greaterthan", "other", test_gt},
    {"gt", "other", test_gt},
    {"in", "seq", test_in},
    {"integer", "", test_integer},
    {"iterable", "", test_sequence},
    {"le", "other", test_le},
    {"lessthan", "other", test_lt},
    {"lower", "", test_lower},
    {"lt", "other", test_lt},
    {"mapping", "", test_mapping},
    {"ne", "other", test_ne},
    {"none", "", test_none},
    {"number", "", test_number},
    {"odd", "", test_odd},
    {"sameas", "other", test_sameas},
    {"sequence", "", test_sequence},
    {"string", "", test_string},
    {"test", "", test_test},
    {"true", "", test_true},
    {"undefined", "", test_undefined},
    {"upper", "", test_upper},
    {"==", "other", test_eq},
    {"!=", "other", test_ne},
    {"<", "other", test_lt},
    {"<=", "other", test_le},
    {">", "other", test_gt},
    {">=", "other", test_ge},
};

const struct jinja_native *jinja_test_find(const char *name, size_t len)
{
    return jinja_native_find(TESTS, sizeof TESTS / sizeof TESTS[0], name, len);
}
