/* Arrays, as one expression. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "server/json_schema_writer.h"

void schema_write_list(struct buf *out, const char *item, int min, int max)
{
    if (max == 0)
        return;
    buf_append_format(out, "(%s (%s%s)", item, SCHEMA_COMMA, item);
    int more_min = min > 1 ? min - 1 : 0;
    if (max < 0 && more_min == 0)
        buf_append_text(out, "*");
    else if (max < 0)
        buf_append_format(out, "{%d,}", more_min);
    else
        buf_append_format(out, "{%d,%d}", more_min, max - 1);
    buf_append_text(out, min > 0 ? ") " : ")? ");
}

/* The tuple from place i on, as a rule's text: each item may be the last one that is there when
 * enough are. */
static bool write_tuple(struct schema_writer *writer, const json_t *items, size_t i, int min,
                        const char *rest, struct buf *out)
{
    size_t n = json_array_size(items);
    struct schema_rule_name item;
    size_t n_open = 0;
    for (; i < n; i++) {
        if (!schema_visit(writer, json_array_get(items, i), &item))
            return false;
        bool may_be_missing = (int)i >= min;
        buf_append_text(out, may_be_missing ? "(" : "");
        n_open += may_be_missing;
        buf_append_format(out, "%s%s ", i == 0 ? "" : SCHEMA_COMMA, item.text);
        if (n_open > 60)
            return schema_fail(writer, "'prefixItems' has too many items that may be missing");
    }
    buf_append_text(out, rest);
    while (n_open-- > 0)
        buf_append_text(out, ")? ");
    return true;
}

static bool read_array(struct schema_writer *writer, const json_t *schema, int *min, int *max)
{
    if (!schema_get_count(writer, schema, "minItems", min) ||
        !schema_get_count(writer, schema, "maxItems", max))
        return false;
    *min = *min < 0 ? 0 : *min;
    return *max < 0 || *max >= *min || schema_fail(writer, "'maxItems' is less than 'minItems'");
}

static bool write_tuple_array(struct schema_writer *writer, const json_t *prefix,
                              const json_t *more, int min, int max, struct buf *out)
{
    int n = (int)json_array_size(prefix);
    struct buf rest;
    struct schema_rule_name item;
    if (max >= 0 && max < n)
        return schema_fail(writer, "'maxItems' is less than the number of 'prefixItems'");
    if (!json_is_false(more) && more != NULL && !schema_visit(writer, more, &item))
        return false;
    buf_init(&rest);
    bool has_more = more != NULL && !json_is_false(more) && max != n;
    if (has_more && max < 0)
        buf_append_format(&rest, "(%s%s){%d,} ", SCHEMA_COMMA, item.text, min > n ? min - n : 0);
    else if (has_more)
        buf_append_format(&rest, "(%s%s){%d,%d} ", SCHEMA_COMMA, item.text, min > n ? min - n : 0,
                          max - n);
    bool is_good = (min <= n || has_more) ||
                   schema_fail(writer, "'minItems' is more than the number of 'prefixItems'");
    is_good = is_good && write_tuple(writer, prefix, 0, min, buf_text(&rest), out);
    buf_done(&rest);
    return is_good;
}

/* ---- items that differ ---- */

enum { MAX_UNIQUE = 8 };

/* Few values, each at most once. */
struct unique {
    struct schema_writer *writer;
    struct schema_rule_name values[MAX_UNIQUE];
    int n;
    int min, max;
    struct schema_rule_name *rest; /* [1 << n] by the set of values that are left */
};

/* The values that items may have; NULL when they are not listed. */
static const json_t *list_values(struct schema_writer *writer, const json_t *items)
{
    const json_t *flat;
    if (items == NULL || !schema_flatten(writer, items, &flat))
        return NULL;
    const json_t *listed = json_object_get(flat, "enum");
    const char *type = json_string_value(json_object_get(flat, "type"));
    bool is_boolean = json_object_size(flat) == 1 && type != NULL && strcmp(type, "boolean") == 0;
    if (is_boolean)
        return schema_own(writer, json_pack("[b, b]", 1, 0));
    return json_is_array(listed) && json_array_size(listed) <= MAX_UNIQUE ? listed : NULL;
}

/* What may follow when the values of a set are left. */
static bool add_rest(struct unique *unique, unsigned left)
{
    struct buf text;
    int n_said = unique->n - __builtin_popcount(left);
    bool is_good = true;
    if (unique->rest[left].text[0] != '\0')
        return true;
    buf_init(&text);
    buf_append_text(&text, n_said >= unique->min ? "\"\"" : "");
    for (int i = 0; i < unique->n && is_good; i++) {
        if ((left >> i & 1) == 0 || (unique->max >= 0 && n_said >= unique->max))
            continue;
        is_good = add_rest(unique, left & ~(1u << i));
        buf_append_format(&text, "%s%s%s %s", text.len > 0 ? " | " : "",
                          n_said > 0 ? SCHEMA_COMMA : "", unique->values[i].text,
                          unique->rest[left & ~(1u << i)].text);
    }
    is_good = is_good && schema_add_rule(unique->writer, &text, &unique->rest[left]);
    buf_done(&text);
    return is_good;
}

static bool write_unique(struct schema_writer *writer, const json_t *values, int min, int max,
                         struct buf *out)
{
    struct unique unique = {
        .writer = writer, .n = (int)json_array_size(values), .min = min, .max = max};
    if (min > unique.n)
        return schema_fail(writer, "'minItems' is more than there are different items");
    unique.rest = calloc((size_t)1 << unique.n, sizeof *unique.rest);
    bool is_good = unique.rest != NULL || err_no_memory(writer->err, "a schema");
    for (int i = 0; i < unique.n && is_good; i++) {
        json_t *one =
            schema_own(writer, json_pack("{s:O}", "const", json_array_get(values, (size_t)i)));
        is_good = one != NULL && schema_visit(writer, one, &unique.values[i]);
    }
    unsigned all = (1u << unique.n) - 1;
    is_good = is_good && add_rest(&unique, all);
    if (is_good)
        buf_append_format(out, "\"[\" %s \"]\"", unique.rest[all].text);
    free(unique.rest);
    return is_good;
}

/* Sets *out_is_done when all is written; else items may be alike, unless that is refused. */
static bool try_unique(struct schema_writer *writer, const json_t *schema, int min, int max,
                       struct buf *out, bool *out_is_done)
{
    const json_t *items = json_object_get(schema, "items");
    *out_is_done = false;
    if (!json_is_true(json_object_get(schema, "uniqueItems")) || (max >= 0 && max <= 1))
        return true;
    bool is_plain = json_object_get(schema, "prefixItems") == NULL && !json_is_array(items);
    const json_t *values = is_plain ? list_values(writer, items) : NULL;
    if (values == NULL)
        return schema_refuse(writer, "uniqueItems");
    *out_is_done = true;
    return write_unique(writer, values, min, max, out);
}

bool schema_write_array(struct schema_writer *writer, const json_t *schema, struct buf *out)
{
    int min, max;
    const json_t *items = json_object_get(schema, "items");
    const json_t *prefix = json_object_get(schema, "prefixItems");
    if (json_is_array(items)) { /* before 2020 */
        prefix = items;
        items = json_object_get(schema, "additionalItems");
    }
    bool is_done;
    if (!read_array(writer, schema, &min, &max) ||
        !try_unique(writer, schema, min, max, out, &is_done))
        return false;
    if (is_done)
        return true;
    buf_append_text(out, "\"[\" ");
    if (prefix != NULL) {
        if (!json_is_array(prefix))
            return schema_fail(writer, "'prefixItems' must be an array");
        if (!write_tuple_array(writer, prefix, items, min, max, out))
            return false;
    } else if (json_is_false(items)) {
        if (min > 0)
            return schema_fail(writer, "'items' forbids what 'minItems' asks for");
    } else {
        struct schema_rule_name item = {"json-value"};
        if (items != NULL && !schema_visit(writer, items, &item))
            return false;
        schema_write_list(out, item.text, min, max);
    }
    buf_append_text(out, "\"]\"");
    return true;
}
