/* The grammar's side of a schema: numbered rules, none twice. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "server/json_schema_writer.h"

void schema_name_rule(const struct schema_writer *writer, int rule, struct schema_rule_name *out)
{
    if (rule == 0)
        snprintf(out->text, sizeof out->text, "%s", writer->name);
    else
        snprintf(out->text, sizeof out->text, "%s-%d", writer->name, rule);
}

bool schema_write_rule(struct schema_writer *writer, int rule, const struct buf *text)
{
    struct schema_rule_name name;
    schema_name_rule(writer, rule, &name);
    buf_append_text(writer->out, name.text);
    buf_append_text(writer->out, " ::= ");
    buf_append(writer->out, buf_text(text), text->len);
    buf_append_text(writer->out, "\n");
    if (text->failed || writer->out->failed)
        return err_no_memory(writer->err, "a schema");
    return writer->out->len <= SCHEMA_MAX_TEXT ||
           schema_fail(writer, "the schema is too large: it becomes more than %d kB of grammar",
                       SCHEMA_MAX_TEXT / 1024);
}

bool schema_count_rule(struct schema_writer *writer, int *out)
{
    *out = writer->n_rules++;
    return writer->n_rules <= SCHEMA_MAX_RULES ||
           schema_fail(writer, "the schema is too large: it has more than %d parts",
                       (int)SCHEMA_MAX_RULES);
}

static struct schema_text *find_text(const struct schema_writer *writer, const struct buf *text)
{
    const uint32_t n_slots = SCHEMA_MAX_RULES * 2;
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < text->len; i++)
        hash = (hash ^ (unsigned char)text->data[i]) * 16777619u;
    uint32_t slot = hash % n_slots;
    for (; writer->texts[slot].len != 0; slot = (slot + 1) % n_slots) {
        const struct schema_text *known = &writer->texts[slot];
        if (known->len == text->len &&
            memcmp(writer->out->data + known->begin, text->data, text->len) == 0)
            break;
    }
    return &writer->texts[slot];
}

bool schema_add_rule(struct schema_writer *writer, const struct buf *text,
                     struct schema_rule_name *out)
{
    struct schema_text *known = find_text(writer, text);
    if (known->len == 0) {
        int rule;
        if (!schema_count_rule(writer, &rule) || !schema_write_rule(writer, rule, text))
            return false;
        *known = (struct schema_text){writer->out->len - text->len - 1, text->len, rule};
    }
    schema_name_rule(writer, known->rule, out);
    return true;
}

struct schema_rule *schema_find_rule(const struct schema_writer *writer, const json_t *schema)
{
    const uint32_t n_slots = SCHEMA_MAX_RULES * 2;
    uint32_t slot = (uint32_t)(((uintptr_t)schema >> 4) * 0x9E3779B97F4A7C15u >> 40) % n_slots;
    while (writer->rules[slot].schema != NULL && writer->rules[slot].schema != schema)
        slot = (slot + 1) % n_slots;
    return &writer->rules[slot];
}
