/* jinja_value.h - what a template computes with: Python's values, as far as templates use them.
 *
 * All lie in a run's arena and live as long. Strings and tuples never change; lists, dicts and
 * namespaces may. Owner: the run. Thread: the run's. */
#ifndef CORE_TEXT_JINJA_VALUE_H
#define CORE_TEXT_JINJA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jinja_bound_method;
struct jinja_cycler;
struct jinja_dict;
struct jinja_loop;
struct jinja_macro_value;
struct jinja_native;
struct jinja_run;
struct jinja_string;

enum jinja_type {
    JINJA_ABSENT, /* an argument that was not given; never a variable's value */
    JINJA_UNDEFINED,
    JINJA_NONE,
    JINJA_BOOL,
    JINJA_INT,
    JINJA_FLOAT,
    JINJA_STRING,
    JINJA_LIST,
    JINJA_TUPLE,
    JINJA_DICT,
    JINJA_NAMESPACE, /* a dict whose items are attributes */
    JINJA_LOOP,
    JINJA_NATIVE, /* a function of ours */
    JINJA_METHOD, /* of a string, list or dict */
    JINJA_MACRO,
    JINJA_CYCLER, /* cycler() or joiner() */
};

struct jinja_value {
    enum jinja_type type;
    union {
        const char *missing; /* undefined: what was looked for, NUL-terminated; NULL: not known */
        bool boolean;
        int64_t integer;
        double real;
        const struct jinja_string *string;
        struct jinja_list *list; /* and tuple */
        struct jinja_dict *dict; /* and namespace */
        struct jinja_loop *loop;
        const struct jinja_native *native;
        const struct jinja_bound_method *method;
        const struct jinja_macro_value *macro;
        struct jinja_cycler *cycler;
    };
};

struct jinja_list {
    struct jinja_value *items; /* [n] */
    size_t n;
    size_t max;
};

struct jinja_value jinja_none(void);
struct jinja_value jinja_undefined(const char *missing);
struct jinja_value jinja_bool(bool boolean);
struct jinja_value jinja_int(int64_t integer);
struct jinja_value jinja_float(double real);

/* A list or tuple with room for max items; false when the budget is spent. */
bool jinja_list_new(struct jinja_run *run, enum jinja_type type, size_t max,
                    struct jinja_value *out);
bool jinja_list_push(struct jinja_run *run, struct jinja_list *list, struct jinja_value item);

bool jinja_is_number(struct jinja_value value); /* int, float or bool */
/* Of a number; the second of one that is no float. */
double jinja_real(struct jinja_value value);
int64_t jinja_integer(struct jinja_value value);
bool jinja_is_true(struct jinja_value value);
/* The name of the type as Python's messages have it. */
const char *jinja_type_name(struct jinja_value value);

/* `*out` tells whether a == b. False when the budget is spent. */
bool jinja_equal(struct jinja_run *run, struct jinja_value a, struct jinja_value b, bool *out);
/* *out is < 0, 0 or > 0; types that have no order fail. */
bool jinja_compare(struct jinja_run *run, struct jinja_value a, struct jinja_value b, int *out);
/* Python's len(); what has none fails. */
bool jinja_length(struct jinja_run *run, struct jinja_value value, size_t *out);
/* `*out` tells whether container holds item: of a list an element, of a dict a key, of a string a
 * part. */
bool jinja_contains(struct jinja_run *run, struct jinja_value container, struct jinja_value item,
                    bool *out);
/* The items that a loop goes through, as a list that must not be changed: a string's characters, a
 * dict's keys. */
bool jinja_iterate(struct jinja_run *run, struct jinja_value value, const struct jinja_list **out);

#endif
