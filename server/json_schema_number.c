/* Numbers and their bounds. */
#include "server/json_schema_writer.h"
#include "server/number_range.h"

static bool read_bound(struct schema_writer *writer, const json_t *schema, const char *keyword,
                       const char *exclusive, double *out, bool *out_has, bool *out_is_excluded)
{
    const json_t *bound = json_object_get(schema, keyword);
    const json_t *strict = json_object_get(schema, exclusive);
    bool is_upper = keyword[1] == 'a';
    if ((bound != NULL && !json_is_number(bound)) ||
        (strict != NULL && !json_is_number(strict) && !json_is_boolean(strict)))
        return schema_fail(writer, "'%s' must be a number", bound != NULL ? keyword : exclusive);
    *out_has = bound != NULL;
    *out = json_number_value(bound);
    *out_is_excluded = json_is_true(strict); /* draft 4 */
    if (!json_is_number(strict))
        return true;
    double limit = json_number_value(strict);
    bool is_tighter = !*out_has || (is_upper ? limit <= *out : limit >= *out);
    if (is_tighter) {
        *out = limit;
        *out_is_excluded = true;
    }
    *out_has = true;
    return true;
}

/* Nobody means to be told numbers of more digits, but generators write the bounds of types. */
static void clamp(struct number_range *range)
{
    const double most = 999999999999999;
    if (range->has_max && range->max > most) {
        range->max = most;
        range->is_max_excluded = false;
    }
    if (range->has_min && range->min < -most) {
        range->min = -most;
        range->is_min_excluded = false;
    }
}

bool schema_write_number(struct schema_writer *writer, const json_t *schema, bool is_integer,
                         struct buf *out)
{
    struct number_range range = {.is_integer = is_integer};
    if (!read_bound(writer, schema, "minimum", "exclusiveMinimum", &range.min, &range.has_min,
                    &range.is_min_excluded) ||
        !read_bound(writer, schema, "maximum", "exclusiveMaximum", &range.max, &range.has_max,
                    &range.is_max_excluded))
        return false;
    const json_t *step = json_object_get(schema, "multipleOf");
    bool is_written = false;
    if (step != NULL && !schema_write_multiple(writer, step, &range, &is_written, out))
        return false;
    if (is_written)
        return true;
    clamp(&range);
    if (!range.has_min && !range.has_max) {
        buf_append_text(out, is_integer ? "json-integer" : "json-number");
        return true;
    }
    return number_range_write(&range, out, writer->err);
}
