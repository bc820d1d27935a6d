/* jinja_native.h - filters, tests, functions and methods that are written in C.
 *
 * Thread: any (constants); calls run on the run's thread. */
#ifndef CORE_TEXT_JINJA_NATIVE_H
#define CORE_TEXT_JINJA_NATIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_value.h"

struct jinja_name;

struct jinja_named {
    const char *name; /* NUL-terminated */
    struct jinja_value value;
};

/* What a call is given. */
struct jinja_args {
    const struct jinja_value *items; /* [n], by position */
    size_t n;
    const struct jinja_named *named; /* [n_named] */
    size_t n_named;
};

enum { JINJA_MAX_PARAMS = 6 };

struct jinja_call {
    struct jinja_value self;                  /* what is filtered, tested, or has the method */
    struct jinja_value arg[JINJA_MAX_PARAMS]; /* in the order of params; JINJA_ABSENT: not given */
    const struct jinja_args *args;            /* all, as given: for natives that take any number */
};

typedef bool jinja_function(struct jinja_run *run, const struct jinja_call *call,
                            struct jinja_value *out);

struct jinja_native {
    const char *name;
    const char *params; /* names, a space between; "*": any number, only in call->args */
    jinja_function *function;
};

/* The entry of a table of n whose name is text[0 .. len); NULL for none. */
const struct jinja_native *jinja_native_find(const struct jinja_native *table, size_t n,
                                             const char *text, size_t len);
/* Sorts the arguments into their places, and calls. Too many or unknown ones fail. */
bool jinja_native_call(struct jinja_run *run, const struct jinja_native *native,
                       struct jinja_value self, const struct jinja_args *args,
                       struct jinja_value *out);

/* The tables. */
const struct jinja_native *jinja_filter_find(const char *name, size_t len);
const struct jinja_native *jinja_test_find(const char *name, size_t len);
const struct jinja_native *jinja_method_find(enum jinja_type type, const char *name, size_t len);
const struct jinja_native *jinja_global_find(const char *name, size_t len);

/* What filters and methods do with an argument; the default when it is absent. */
bool jinja_arg_int(struct jinja_run *run, struct jinja_value arg, int64_t fallback, int64_t *out);
bool jinja_arg_string(struct jinja_run *run, struct jinja_value arg,
                      const struct jinja_string **out);

#endif
