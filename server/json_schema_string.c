/* Strings: lengths, patterns, formats. */
#include <string.h>

#include "core/base/err.h"
#include "core/text/grammar_regex.h"
#include "server/json_schema_writer.h"

enum { MAX_OTHERS = 64 };

static const struct {
    const char *name, *regex;
} FORMATS[] = {
    {"date",
     "^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
     "|02-(0[1-9]|1[0-9]|2[0-8]))$"},
    {"time", "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):"
             "[0-5][0-9])$"},
    {"date-time",
     "^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0["
     "1-9]|1[0-9]|2[0-8]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-"
     "9]|2[0-3]):[0-5][0-9])$"},
    {"duration",
     "^P([0-9]{1,4}W|[0-9]{1,4}D(T[0-9]{1,2}H([0-9]{1,2}M)?)?|T([0-9]{1,3}H([0-9]{1,2}M("
     "[0-9]{1,2}S)?)?|[0-9]{1,3}M([0-9]{1,2}S)?|[0-9]{1,4}S))$"},
    {"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
    {"email",
     "^[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,32}){0,3}@[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-"
     "Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?){1,3}$"},
    {"hostname", "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-"
                 "Za-z0-9])?){0,3}$"},
    {"ipv4",
     "^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-"
     "9]?[0-9])$"},
    {"ipv6",
     "^([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$|^([0-9a-fA-F]{1,4}:){1,6}(:[0-9a-fA-F]{1,4})$"
     "|^::([0-9a-fA-F]{1,4}:){0,5}[0-9a-fA-F]{1,4}$"},
    {"uri",
     "^[a-z][a-z0-9+.-]{1,15}://[A-Za-z0-9]([A-Za-z0-9.-]{0,60}[A-Za-z0-9])?(:[0-9]{1,4})?(/[A"
     "-Za-z0-9._~!$&'()*+,;=:@-]{0,64}){0,12}$"},
};

static const char *find_format(const json_t *schema)
{
    const char *name = json_string_value(json_object_get(schema, "format"));
    for (size_t i = 0; name != NULL && i < sizeof FORMATS / sizeof FORMATS[0]; i++) {
        if (strcmp(name, FORMATS[i].name) == 0)
            return FORMATS[i].regex;
    }
    return NULL; /* an annotation */
}

static bool write_regex(struct schema_writer *writer, const char *regex, int min, int max,
                        struct buf *out)
{
    return grammar_regex_write(regex, strlen(regex), GRAMMAR_REGEX_JSON_STRING, min, max, out,
                               writer->err);
}

/* The pattern says more than the format beside it, which generators add to it. But a grammar cannot
 * say every pattern: then the format has to do. */
static bool write_pattern(struct schema_writer *writer, const char *pattern, const char *format,
                          int min, int max, struct buf *out)
{
    struct buf text;
    buf_init(&text);
    bool is_said = write_regex(writer, pattern, min, max, &text);
    if (is_said)
        buf_append(out, buf_text(&text), text.len);
    buf_done(&text);
    return is_said ||
           (format != NULL && min <= 0 && max < 0 && write_regex(writer, format, 0, -1, out)) ||
           err_prefix(writer->err, "'pattern'");
}

/* What stands between the quotes. */
static bool write_characters(struct schema_writer *writer, const json_t *schema, int min, int max,
                             struct buf *out)
{
    const char *pattern = json_string_value(json_object_get(schema, "pattern"));
    const char *format = find_format(schema);
    if (pattern != NULL)
        return write_pattern(writer, pattern, format, min, max, out);
    if (format != NULL)
        return ((min <= 0 && max < 0) ||
                schema_refuse(writer, max < 0 ? "minLength" : "maxLength")) &&
               write_regex(writer, format, 0, -1, out);
    if (max < 0)
        buf_append_format(out, "json-char{%d,}", min);
    else
        buf_append_format(out, "json-char{%d,%d}", min, max);
    return true;
}

/* Of "not", with which nothing else can stand. Sorting changes no meaning. */
static bool write_other(struct schema_writer *writer, const json_t *values, struct buf *out)
{
    const char *names[MAX_OTHERS];
    struct schema_rule_name rule;
    size_t n = json_array_size(values);
    bool is_known = n <= MAX_OTHERS;
    for (size_t i = 0; i < n && is_known; i++) {
        names[i] = json_string_value(json_array_get(values, i));
        is_known = !schema_needs_escape(names[i]);
    }
    if (!is_known) {
        buf_append_text(out, "json-string");
        return schema_refuse(writer, "not");
    }
    if (!schema_add_other_string(writer, names, n, &rule))
        return false;
    buf_append_format(out, "\"\\\"\" %s", rule.text);
    return true;
}

bool schema_write_string(struct schema_writer *writer, const json_t *schema, struct buf *out)
{
    int min, max;
    const json_t *pattern = json_object_get(schema, "pattern");
    if (!schema_get_count(writer, schema, "minLength", &min) ||
        !schema_get_count(writer, schema, "maxLength", &max))
        return false;
    if (max >= 0 && max < min)
        return schema_fail(writer, "'maxLength' is less than 'minLength'");
    if (pattern != NULL && !json_is_string(pattern))
        return schema_fail(writer, "'pattern' must be a string");
    const json_t *others = json_object_get(json_object_get(schema, "not"), "enum");
    bool is_any = pattern == NULL && find_format(schema) == NULL && min <= 0 && max < 0;
    if (others != NULL && is_any)
        return write_other(writer, others, out);
    if (others != NULL && !schema_refuse(writer, "not"))
        return false;
    if (is_any) {
        buf_append_text(out, "json-string");
        return true;
    }
    struct buf text;
    struct schema_rule_name rule;
    buf_init(&text);
    buf_append_text(&text, "\"\\\"\" ");
    bool is_good = write_characters(writer, schema, min < 0 ? 0 : min, max, &text);
    buf_append_text(&text, " \"\\\"\"");
    is_good = is_good && schema_add_rule(writer, &text, &rule);
    buf_append_text(out, is_good ? rule.text : "");
    buf_done(&text);
    return is_good;
}
