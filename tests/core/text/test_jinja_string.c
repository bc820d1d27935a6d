/* Who may write onto the end of whose bytes. */
#include "tests/support/check.h"

#include <string.h>

#include "core/base/err.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

static const struct jinja_limits LIMITS = {1000000, 1 << 20, 0, 20000000000};

static struct err run_err;

static void begin(struct jinja_run *run)
{
    run_err = (struct err){0};
    jinja_run_init(run, &LIMITS, 0, &run_err);
}

static struct jinja_value borrow(struct jinja_run *run, const char *text, enum jinja_mark mark)
{
    struct jinja_value value;
    assert_true(jinja_string_borrow(run, text, strlen(text), mark, &value));
    return value;
}

/* A writer that was given more room than it used, as for a literal with an escape. */
static struct jinja_value written(struct jinja_run *run, const char *text)
{
    struct jinja_writer writer;
    struct jinja_value value;
    jinja_writer_init(&writer, run, strlen(text) + 100);
    jinja_write(&writer, text, strlen(text), JINJA_CONTROL);
    assert_true(jinja_writer_end(&writer, &value));
    return value;
}

static void check_text(struct jinja_value value, const char *text)
{
    assert_int_equal(value.type, JINJA_STRING);
    assert_true(jinja_string_is(value.string, text));
}

/* A template's literals outlive a rendering, and many render at once: none may write there. */
static void joining_writes_nothing_into_a_finished_string(void **state)
{
    (void)state;
    struct jinja_run owner, run;
    struct jinja_value joined;
    begin(&owner);
    begin(&run);
    struct jinja_value literal = written(&owner, "user: ");
    struct jinja_value said = borrow(&run, "x", JINJA_DATA);
    assert_true(jinja_string_concat(&run, literal.string, said.string, &joined));
    check_text(joined, "user: x");
    assert_ptr_not_equal(joined.string->bytes, literal.string->bytes);
    assert_int_equal(literal.string->bytes->used, literal.string->len);
    assert_int_equal(literal.string->bytes->n_spans, 1);
    jinja_run_done(&run);
    check_text(literal, "user: ");
    jinja_run_done(&owner);
}

static void joining_again_and_again_extends_in_place(void **state)
{
    (void)state;
    struct jinja_run run;
    struct jinja_value text, one;
    char long_text[301] = {0};
    memset(long_text, 'a', 300);
    begin(&run);
    one = borrow(&run, "b", JINJA_DATA);
    text = borrow(&run, long_text, JINJA_CONTROL);
    assert_true(jinja_string_concat(&run, text.string, one.string, &text));
    const struct jinja_bytes *bytes = text.string->bytes;
    for (int i = 0; i < 100; i++)
        assert_true(jinja_string_concat(&run, text.string, one.string, &text));
    assert_ptr_equal(text.string->bytes, bytes);
    assert_int_equal(text.string->len, 401);
    assert_int_equal(bytes->n_spans, 2);
    jinja_run_done(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joining_writes_nothing_into_a_finished_string),
        cmocka_unit_test(joining_again_and_again_extends_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
