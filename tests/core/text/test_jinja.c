/* Templates against the outputs that the reference implementation gave (tests/fixtures/jinja),
 * marks that no operation may lose, and bombs. */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "tests/core/text/jinja_support.h"

#define FOLDER "tests/fixtures/jinja/"

static void read_file(const char *path, struct buf *out)
{
    char bytes[4096];
    size_t n;
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    buf_init(out);
    while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
        buf_append(out, bytes, n);
    fclose(file);
}

static struct jinja_run fixture_run;

static struct jinja_value read_fixture(const char *path, struct buf *text)
{
    static const struct jinja_limits limits = {100000000, 256 << 20, 0, 100000000000};
    struct err err = {0};
    struct jinja_value value;
    read_file(path, text);
    jinja_run_init(&fixture_run, &limits, 0, &err);
    if (!json_read(&fixture_run, path, buf_text(text), text->len, JINJA_DATA, &value))
        fail_msg("%s", err.text);
    return value;
}

static void check_case(const struct jinja_string *template, const struct jinja_dict *variables,
                       const struct jinja_dict *expected)
{
    struct prompt out;
    struct err err;
    prompt_init(&out);
    bool is_good = jinja_test_render(template->data, template->len, NULL, variables, &out, &err);
    const struct jinja_value *output = jinja_dict_get_text(expected, "output");
    if (is_good != (output != NULL))
        fail_msg("%.*s: %s", (int)template->len, template->data,
                 is_good ? "should have failed" : err.text);
    if (is_good && (out.text.len != output->string->len ||
                    memcmp(buf_text(&out.text), output->string->data, out.text.len) != 0))
        fail_msg("%.*s\nexpected: %.*s\ngot: %s", (int)template->len, template->data,
                 (int)output->string->len, output->string->data, buf_text(&out.text));
    prompt_done(&out);
}

static void the_language_is_jinja2s(void **state)
{
    (void)state;
    struct buf text;
    const struct jinja_dict *root = read_fixture(FOLDER "language.json", &text).dict;
    const struct jinja_dict *variables = jinja_dict_get_text(root, "variables")->dict;
    const struct jinja_list *cases = jinja_dict_get_text(root, "cases")->list;
    assert_true(cases->n > 200);
    for (size_t i = 0; i < cases->n; i++) {
        const struct jinja_dict *one = cases->items[i].dict;
        check_case(jinja_dict_get_text(one, "template")->string, variables, one);
    }
    jinja_run_done(&fixture_run);
    buf_done(&text);
}

static void chats_are_rendered_byte_for_byte(void **state)
{
    (void)state;
    struct buf text;
    const struct jinja_list *files = read_fixture(FOLDER "chats.json", &text).list;
    assert_true(files->n >= 12);
    for (size_t i = 0; i < files->n; i++) {
        const struct jinja_dict *file = files->items[i].dict;
        const struct jinja_list *cases = jinja_dict_get_text(file, "cases")->list;
        for (size_t k = 0; k < cases->n; k++) {
            const struct jinja_dict *one = cases->items[k].dict;
            check_case(jinja_dict_get_text(file, "template")->string,
                       jinja_dict_get_text(one, "variables")->dict, one);
        }
    }
    jinja_run_done(&fixture_run);
    buf_done(&text);
}

/* Compares the output with control text in angle brackets. */
static void check_spans(const struct prompt *out, const char *expected)
{
    struct buf shown;
    size_t begin = 0;
    buf_init(&shown);
    for (size_t i = 0; i < out->n_spans; i++) {
        const struct prompt_span *span = &out->spans[i];
        buf_append_text(&shown, span->is_control ? "<" : "");
        buf_append(&shown, buf_text(&out->text) + begin, span->end - begin);
        buf_append_text(&shown, span->is_control ? ">" : "");
        begin = span->end;
    }
    assert_string_equal(buf_text(&shown), expected);
    buf_done(&shown);
}

static void check_marks(const char *template, const char *variables, const char *expected)
{
    struct prompt out;
    struct err err;
    prompt_init(&out);
    if (!jinja_test_render(template, strlen(template), variables, NULL, &out, &err))
        fail_msg("%s: %s", template, err.text);
    check_spans(&out, expected);
    prompt_done(&out);
}

static void no_operation_turns_data_into_control(void **state)
{
    (void)state;
    static const struct {
        const char *template, *expected;
    } cases[] = {
        {"a{{ x }}b", "<a>d-e f<b>"},
        {"{{ 'a' + x + 'b' }}", "<a>d-e f<b>"},
        {"{{ 'a' ~ x ~ 1 ~ 'b' }}", "<a>d-e f1<b>"},
        {"{{ x[1:3] }}{{ ('q' + x)[:2] }}", "-e<q>d"},
        {"{{ ('q' + x)[::-1] }}{{ (x ~ 'q')[-1] }}", "f e-d<qq>"},
        {"{{ x.split('-')[1] }}{{ ('a-' + x).split('-')[0] }}", "e f<a>"},
        {"{{ x.replace('-', '+') }}{{ 'k-l' | replace('-', x) }}", "d<+>e f<k>d-e f<l>"},
        {"{{ x | upper }}{{ ('q' ~ x) | capitalize }}{{ x.title() }}", "D-E F<Q>d-e fD-E F"},
        {"{{ ['a', x] | join('+') }}{{ '+'.join([x, 'b']) }}", "<a+>d-e fd-e f<+b>"},
        {"{{ (' ' ~ x ~ ' ') | trim }}{{ x.strip('d') }}", "d-e f-e f"},
        {"{{ x | tojson }}{{ ['c', x] }}{{ x | list | first }}", "\"d-e f\"['<c>', 'd-e f']d"},
        {"{{ '%s|' % x }}{{ '{}!'.format(x) }}", "d-e f<|>d-e f<!>"},
        {"{{ x | indent(1, true) }}{{ x | e }}{{ '<' | e }}", "< >d-e fd-e f<&lt;>"},
        {"{% set y %}[{{ x }}]{% endset %}{{ y }}", "<[>d-e f<]>"},
        {"{% macro m(v) %}({{ v }}){% endmacro %}{{ m(x) }}", "<(>d-e f<)>"},
        {"{% filter upper %}a{{ x }}{% endfilter %}", "<A>D-E F"},
        {"{% set ns = namespace(t='a') %}{% set ns.t = ns.t ~ x %}{{ ns.t }}", "<a>d-e f"},
        {"{% for c in x %}{{ c }}{% endfor %}{{ n }}{{ x | length }}", "d-e f77"
                                                                       "5"},
        {"{{ {'a': x}.a }}{{ {x: 'v'} | first }}{{ d.k }}", "d-e fd-e fv"},
        {"{{ ['a', x] | join }}{{ [] | join }}{{ x | join }}", "<a>d-e fd-e f"},
        {"{{ x | default('a') }}{{ q | default('a') }}{{ x | truncate(4, true, '.', 0) }}",
         "d-e f<a>d-e<.>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_marks(cases[i].template, "{\"x\": \"d-e f\", \"n\": 77, \"d\": {\"k\": \"v\"}}",
                    cases[i].expected);
}

/* A literal with an escape, and one of two pieces, have room behind what they say: text joined to
 * them must not go there, since the next rendering reads the same literals. */
static void a_template_is_the_same_in_each_rendering(void **state)
{
    (void)state;
    static const char template[] = "{{ 'a\\n' + x }}{{ 'b' 'c\\t\\t' ~ x }}{{ 'd\\n' }}";
    static const char *const texts[] = {
        "{\"x\": \"1\"}",
        "{\"v\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], \"x\": \"1\"}",
        "{\"x\": \"1\"}",
    };
    struct jinja *jinja = NULL;
    struct prompt out;
    struct err err = {0};
    size_t tracked_end;
    assert_true(jinja_open(&jinja, template, strlen(template), &err));
    prompt_init(&out);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct jinja_run run;
        struct jinja_value variables;
        prompt_truncate(&out, 0);
        assert_true(jinja_begin(jinja, &run, &JINJA_TEST_LIMITS, 1700000000, &err));
        assert_true(
            json_read(&run, "variables", texts[i], strlen(texts[i]), JINJA_DATA, &variables));
        assert_true(jinja_test_set_all(&run, variables.dict));
        assert_true(jinja_write_prompt(jinja, &run, &out, &tracked_end));
        jinja_end(&run);
        check_spans(&out, "<a\n>1<bc\t\t>1<d\n>");
    }
    prompt_done(&out);
    jinja_close(&jinja);
}

static enum err_code fails_with(const char *template, size_t len)
{
    struct prompt out;
    struct err err;
    prompt_init(&out);
    assert_false(jinja_test_render(template, len, "{\"x\": \"abc\"}", NULL, &out, &err));
    prompt_done(&out);
    return err.code;
}

static void bombs_end_with_an_error(void **state)
{
    (void)state;
    static const char *const bombs[] = {
        "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor "
        "%}{% endfor %}{% endfor %}",
        "{{ range(1000000000)|length }}",
        "{{ 'x' * 1000000000 }}",
        "{{ [0] * 1000000000 }}",
        "{% set ns = namespace(x='xy') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% "
        "endfor %}",
        "{% set ns = namespace(x='xy') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% "
        "endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% "
        "endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% "
        "endfor %}{{ ns.x == ns.x }}{{ ns.x | tojson }}",
        "{% set l = [] %}{% do l.append(l) %}{{ l }}",
        "{% set l = [] %}{% do l.append(l) %}{{ l | tojson }}",
        "{% set l = [1] %}{% for i in range(30) %}{% do l.extend(l) %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
        "{% for i in range(100000) %}{{ x }}{{ i }}{{ 'a' * 1000 }}{% endfor %}",
        "{{ 2 ** 1000 }}",
        "{{ x.replace('', 'y' * 1000).replace('y', 'z' * 1000) }}",
        "{{ '%9999d' % 1 * 1000000 }}",
        "{{ x.ljust(1000000000) }}",
        "{{ ('a' * 200000).rfind('a' * 100000 ~ 'b') }}{{ ('a' * 200000).split('a') }}",
        "{{ x | indent(100000000, true) }}",
        "{{ x | center(100000000) }}",
        "{{ [1] | batch(1000000000, 0) }}",
        "{{ range(100000) | slice(1000000000) }}",
        "{% set ns = namespace(d={}) %}{% for i in range(1000000) %}{% do ns.d.update([]) %}{% do "
        "ns.d.setdefault(i, x) %}{% endfor %}",
    };
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        enum err_code code = fails_with(bombs[i], strlen(bombs[i]));
        if (code != ERR_LIMIT && code != ERR_INVALID)
            fail_msg("%s: code %d", bombs[i], code);
    }
}

/* `begin` n times, then `middle`, then `end` n times. */
static void check_deep(const char *begin, const char *middle, const char *end, size_t n)
{
    struct buf text;
    buf_init(&text);
    buf_append_text(&text, "{{ ");
    for (size_t i = 0; i < n; i++)
        buf_append_text(&text, begin);
    buf_append_text(&text, middle);
    for (size_t i = 0; i < n; i++)
        buf_append_text(&text, end);
    buf_append_text(&text, " }}");
    enum err_code code = fails_with(buf_text(&text), text.len);
    assert_true(code == ERR_LIMIT || code == ERR_FORMAT);
    buf_done(&text);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    check_deep("(", "1", ")", 100000);
    check_deep("[", "1", "]", 100000);
    check_deep("{1:", "1", "}", 100000);
    check_deep("not ", "1", "", 100000);
    check_deep("-", "1", "", 100000);
    check_deep("1 if 1 else ", "1", "", 100000);
    check_deep("", "1", "+1", 100000);
    check_deep("", "x", "|upper", 100000);
    check_deep("", "x", "[0]", 100000);
    check_deep("a(", "1", ")", 100000);
    check_deep("}}{% if 1 %}{{", "1", "}}{% endif %}{{", 100000);
}

static void messages_say_what_and_where(void **state)
{
    (void)state;
    struct prompt out;
    struct err err;
    prompt_init(&out);
    static const struct {
        const char *template, *words;
    } cases[] = {
        {"a\nb{% if %}", "line 2"},
        {"{{ raise_exception('No \n way') }}", "No   way"},
        {"{{ a.b }}", "'a' is undefined"},
        {"{{ x.nothing() }}", "'nothing' is undefined"},
        {"{{ x + 1 }}", "'str' and 'int'"},
        {"{% if false %}{{ x | unknown }}{% endif %}{{ x | unknown }}", "no filter 'unknown'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(jinja_test_render(cases[i].template, strlen(cases[i].template),
                                       "{\"x\": \"abc\"}", NULL, &out, &err));
        if (strstr(err.text, cases[i].words) == NULL)
            fail_msg("%s: %s", cases[i].template, err.text);
    }
    prompt_done(&out);
}

/* What Python's sandbox refuses but chat templates use, and what the reference lacks. */
static void more_than_the_reference(void **state)
{
    (void)state;
    check_marks("{% set l = [] %}{% do l.append('a') %}{{ l[0] }}{{ l.pop() }}{{ l | length }}",
                "{}", "<aa>0");
    check_marks("{{ strftime_now('%Y') }}", "{}", "2023");
    check_marks("{{ 'Stra\xC3\x9F"
                "e' | upper }}{{ '\xC3\x89' | lower }}",
                "{}", "<STRASSE\xC3\xA9>");
    check_marks("{{ 'a\xFF"
                "b'[1:] }}{{ 'a\xFF' | length }}",
                "{}",
                "<\xFF"
                "b>2");
}

/* As templates do that look from each message for the one before: without a break, and through a
 * range of all. More steps than a run may make, if each iteration counted. */
static void searches_that_have_found_are_left(void **state)
{
    (void)state;
    check_marks("{% set all = namespace(n=0) %}{% for i in range(4000) %}{% set ns = "
                "namespace(found=false, at=0) %}{% for j in range(i, -1, -1) %}{% if not ns.found "
                "%}{% set ns.found = true %}{% set ns.at = j %}{% endif %}{% endfor %}{% for k in "
                "range(i, 4000) %}{% if ns.stop %}{% elif k > i %}{% set ns.stop = true %}{% endif "
                "%}{% endfor %}{% set all.n = all.n + ns.at %}{% endfor %}{{ all.n }}",
                "{}", "7998000");
    check_marks("{% for i in range(5) %}{% if x %}{% endif %}{{ i }}{% endfor %}{% for i in "
                "range(4, 1, -1) %}{% if not x %}{% else %}{{ i }}{% endif %}{% endfor %}",
                "{\"x\": 1}", "01234432");
    check_marks("{% for i in [1, 2, 3] %}{% if loop.last %}{{ i }}{% endif %}{% endfor %}", "{}",
                "3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_language_is_jinja2s),
        cmocka_unit_test(chats_are_rendered_byte_for_byte),
        cmocka_unit_test(no_operation_turns_data_into_control),
        cmocka_unit_test(a_template_is_the_same_in_each_rendering),
        cmocka_unit_test(bombs_end_with_an_error),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(messages_say_what_and_where),
        cmocka_unit_test(more_than_the_reference),
        cmocka_unit_test(searches_that_have_found_are_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
