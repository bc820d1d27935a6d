/* jinja_string.h - strings that know where each byte comes from.
 *
 * What a template's own text spells may become a control token, what a message says may not. So
 * each string is a view into bytes with marks, and whatever is made of strings keeps the marks of
 * its parts. Bytes once written never change, so views share them; joining onto the end of what was
 * joined last extends it in place, which keeps loops that collect a text linear. Only what
 * jinja_string_concat made grows so: it never leaves the run.
 * Owner: the run. Thread: the run's. */
#ifndef CORE_TEXT_JINJA_STRING_H
#define CORE_TEXT_JINJA_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/text/jinja_value.h"

enum jinja_mark {
    JINJA_CONTROL, /* the template's own text */
    JINJA_DATA,    /* messages, tools, variables, numbers */
    JINJA_TRACKED, /* data whose place in the output is wanted */
};

struct jinja_span {
    size_t end; /* in the bytes, just past this span; spans follow each other */
    enum jinja_mark mark;
};

struct jinja_bytes {
    char *data;
    size_t used;
    size_t max;
    struct jinja_span *spans;
    size_t n_spans;
    size_t max_spans;
    struct jinja_span one; /* where spans points at first */
};

struct jinja_string {
    const char *data; /* UTF-8 as a rule, any bytes at worst; not NUL-terminated */
    size_t len;
    size_t begin; /* of data in bytes */
    struct jinja_bytes *bytes;
};

/* Borrows the text, which must outlive the run. */
bool jinja_string_borrow(struct jinja_run *run, const char *text, size_t len, enum jinja_mark mark,
                         struct jinja_value *out);
/* Copies it. */
bool jinja_string_copy(struct jinja_run *run, const char *text, size_t len, enum jinja_mark mark,
                       struct jinja_value *out);
/* Bytes begin .. end-1 of `string`, shared. */
bool jinja_string_slice(struct jinja_run *run, const struct jinja_string *string, size_t begin,
                        size_t end, struct jinja_value *out);
bool jinja_string_concat(struct jinja_run *run, const struct jinja_string *a,
                         const struct jinja_string *b, struct jinja_value *out);

bool jinja_string_is(const struct jinja_string *string, const char *text);
bool jinja_string_same(const struct jinja_string *a, const struct jinja_string *b);
/* < 0, 0, > 0, by code points. */
int jinja_string_compare(const struct jinja_string *a, const struct jinja_string *b);
/* Where `part` begins in bytes from `from` on; SIZE_MAX for nowhere. */
size_t jinja_string_find(const struct jinja_string *string, size_t from,
                         const struct jinja_string *part);
/* The same backwards, for a `part` that ends at `end` or before. */
bool jinja_string_rfind(struct jinja_run *run, const struct jinja_string *string, size_t end,
                        const struct jinja_string *part, size_t *out);

/* Code points; a byte that is not UTF-8 counts as one. */
size_t jinja_string_n_points(const struct jinja_string *string);
/* The byte where code point `n` begins, or the length when there are fewer. */
size_t jinja_string_byte_at(const struct jinja_string *string, size_t n);
/* Bytes of the code point at byte `at` (>= 1), and the point itself; an invalid byte is 0xFFFFFFFF.
 */
size_t jinja_string_point(const struct jinja_string *string, size_t at, uint32_t *out_point);
/* Bytes of the code point that ends before byte `end` (>= 1). */
size_t jinja_string_point_before(const struct jinja_string *string, size_t end,
                                 uint32_t *out_point);
/* What Python's str.isspace and str.strip take for space. */
bool jinja_point_is_space(uint32_t point);

/* Calls `visit` for each run of bytes with one mark, in order. */
typedef void jinja_visit(void *arg, const char *text, size_t len, enum jinja_mark mark);
void jinja_string_visit(const struct jinja_string *string, jinja_visit *visit, void *arg);

/* A string under construction. Failure is sticky: write freely, ask at the end. */
struct jinja_writer {
    struct jinja_run *run;
    struct jinja_bytes *bytes;
    bool failed;
};

void jinja_writer_init(struct jinja_writer *writer, struct jinja_run *run, size_t expected);
void jinja_write(struct jinja_writer *writer, const char *text, size_t len, enum jinja_mark mark);
void jinja_write_string(struct jinja_writer *writer, const struct jinja_string *string);
/* Bytes begin .. end-1 of `string`. */
void jinja_write_part(struct jinja_writer *writer, const struct jinja_string *string, size_t begin,
                      size_t end);
/* `text` in place of bytes begin .. end-1 of `string`: takes the most guarded of their marks. */
void jinja_write_instead(struct jinja_writer *writer, const struct jinja_string *string,
                         size_t begin, size_t end, const char *text, size_t len);
bool jinja_writer_end(struct jinja_writer *writer, struct jinja_value *out);

/* Whether c, which is not NUL, is in `set`. */
static inline bool jinja_is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

#endif
