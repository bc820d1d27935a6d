/* json_schema_writer.h - one schema on its way to rules. Inside server/json_schema*.c only. */
#ifndef SERVER_JSON_SCHEMA_WRITER_H
#define SERVER_JSON_SCHEMA_WRITER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "server/json_schema.h"

struct err;

enum {
    SCHEMA_MAX_DEPTH = 64,
    SCHEMA_MAX_RULES = 8192,
    SCHEMA_MAX_TEXT = 1 << 19,
    SCHEMA_MAX_MERGES = 4096,
    SCHEMA_NAME_SIZE = 96,
};

struct schema_writer {
    const json_t *root;
    const char *name;
    bool is_strict;
    struct buf *out;
    struct err *err;
    int n_rules;
    int depth;
    int n_merges;
    json_t *made;    /* an array that owns what merging made */
    json_t *made_in; /* the object that is being merged */
    struct schema_rule {
        const json_t *schema; /* a rule is found by its schema's address */
        int rule;             /* 0: the root's, without a number */
    } * rules;                /* [SCHEMA_MAX_RULES * 2], by hash */
    struct schema_text {
        size_t begin, len; /* in `out`; len is 0 where the slot is empty */
        int rule;
    } * texts; /* [SCHEMA_MAX_RULES * 2], by hash: rules that can be used again */
};

/* The name of an expression: a rule. */
struct schema_rule_name {
    char text[SCHEMA_NAME_SIZE];
};

/* Sets *out to the rule of a schema, which is written unless it is known. */
bool schema_visit(struct schema_writer *writer, const json_t *schema, struct schema_rule_name *out);
/* The rule "NAME-N ::= TEXT": a new one, or one that says the same. */
bool schema_add_rule(struct schema_writer *writer, const struct buf *text,
                     struct schema_rule_name *out);

/* For schema_visit, in three steps: the slot of a schema's rule, whose schema is NULL while there
 * is none; a number for a new one; its text. */
struct schema_rule *schema_find_rule(const struct schema_writer *writer, const json_t *schema);
bool schema_count_rule(struct schema_writer *writer, int *out);
bool schema_write_rule(struct schema_writer *writer, int rule, const struct buf *text);
void schema_name_rule(const struct schema_writer *writer, int rule, struct schema_rule_name *out);

/* Follows $ref and merges allOf until neither is left: *out is an object or a boolean, borrowed. */
bool schema_flatten(struct schema_writer *writer, const json_t *schema, const json_t **out);
/* What fits both. */
bool schema_merge(struct schema_writer *writer, const json_t *a, const json_t *b,
                  const json_t **out);
/* NULL with an error when it leads out of the document or nowhere. */
const json_t *schema_resolve(struct schema_writer *writer, const json_t *reference);

/* One type each; `schema` is flat. Appends an expression. */
bool schema_write_object(struct schema_writer *writer, const json_t *schema, struct buf *out);
bool schema_write_array(struct schema_writer *writer, const json_t *schema, struct buf *out);
bool schema_write_string(struct schema_writer *writer, const json_t *schema, struct buf *out);
bool schema_write_number(struct schema_writer *writer, const json_t *schema, bool is_integer,
                         struct buf *out);

/* Members from the last to the first, as rules: what may follow once something is there (`after`,
 * with its comma), and while nothing is (`first`). */
struct schema_tail {
    struct schema_rule_name after, first;
};
/* Puts one before them; `comma` and `pair` are expressions. */
bool schema_prepend(struct schema_writer *writer, const char *comma, const struct buf *pair,
                    bool may_be_missing, struct schema_tail *tail);
bool schema_is_required(const json_t *required, const char *name);
/* All parameters, as an expression. */
bool schema_write_pairs(struct schema_writer *writer, const json_t *schema,
                        const struct json_schema_pairs *form, struct buf *out);

/* What stands between two items or properties. */
#define SCHEMA_COMMA "\",\" json-space "
/* "(X (, X){..})" for min to max of X, an expression; max < 0: any number. Nothing when max is 0.
 */
void schema_write_list(struct buf *out, const char *item, int min, int max);

/* Multiples of a number within a range. Not written, and refused if strict, when a grammar cannot
 * say that. */
struct number_range;
bool schema_write_multiple(struct schema_writer *writer, const json_t *step,
                           const struct number_range *range, bool *out_is_written, struct buf *out);
/* Sets *out to a rule: any string but these, of which there are n, sorted; none needs an
 * escape. From behind its opening quote on. */
bool schema_add_other_string(struct schema_writer *writer, const char **names, size_t n,
                             struct schema_rule_name *out);
/* True when the text cannot stand in a JSON string as it is. */
bool schema_needs_escape(const char *text);
/* What "not" leaves of a schema; where a grammar cannot say that, it is refused if strict. */
bool schema_apply_not(struct schema_writer *writer, const json_t *schema, const json_t **out);
/* Makes the writer the owner of `made`; NULL with an error when there is no memory. */
json_t *schema_own(struct schema_writer *writer, json_t *made);

/* A non-negative whole number, -1 when the keyword is absent. */
bool schema_get_count(struct schema_writer *writer, const json_t *schema, const char *keyword,
                      int *out);
bool schema_fail(struct schema_writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A keyword that narrows the value and is not supported: refused if strict. */
bool schema_refuse(struct schema_writer *writer, const char *keyword);

#endif
