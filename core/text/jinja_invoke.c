/* Calls of natives and macros. */
#include <stdlib.h>
#include <string.h>

#include "core/text/jinja_dict.h"
#include "core/text/jinja_eval.h"
#include "core/text/jinja_names.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_scope.h"

const struct jinja_native *jinja_native_find(const struct jinja_native *table, size_t n,
                                             const char *text, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(table[i].name) == len && memcmp(table[i].name, text, len) == 0)
            return &table[i];
    }
    return NULL;
}

/* The place of a name in "a b c"; -1 for none. With NULL: how many names there are. */
static int place_of(const char *params, const char *name)
{
    int place = 0;
    for (; *params != '\0'; place++) {
        size_t len = strcspn(params, " ");
        if (name != NULL && strlen(name) == len && memcmp(params, name, len) == 0)
            return place;
        params += len + (params[len] == ' ');
    }
    return name == NULL ? place : -1;
}

static bool sort_arguments(struct jinja_run *run, const struct jinja_native *native,
                           const struct jinja_args *args, struct jinja_call *call)
{
    size_t n_params = (size_t)place_of(native->params, NULL);
    if (args->n > n_params)
        return jinja_fail(run, "%s() takes at most %zu arguments", native->name, n_params);
    for (size_t i = 0; i < args->n; i++)
        call->arg[i] = args->items[i];
    for (size_t i = 0; i < args->n_named; i++) {
        int place = place_of(native->params, args->named[i].name);
        if (place < 0)
            return jinja_fail(run, "%s() has no argument '%.40s'", native->name,
                              args->named[i].name);
        if (call->arg[place].type != JINJA_ABSENT)
            return jinja_fail(run, "%s() is given '%.40s' twice", native->name,
                              args->named[i].name);
        call->arg[place] = args->named[i].value;
    }
    return true;
}

bool jinja_native_call(struct jinja_run *run, const struct jinja_native *native,
                       struct jinja_value self, const struct jinja_args *args,
                       struct jinja_value *out)
{
    struct jinja_call call = {.self = self, .args = args};
    if (native->params[0] != '*' && !sort_arguments(run, native, args, &call))
        return false;
    return jinja_spend(run, 1) && native->function(run, &call, out);
}

bool jinja_arg_int(struct jinja_run *run, struct jinja_value arg, int64_t fallback, int64_t *out)
{
    *out = arg.type == JINJA_INT ? arg.integer : arg.type == JINJA_BOOL ? arg.boolean : fallback;
    return arg.type == JINJA_ABSENT || arg.type == JINJA_INT || arg.type == JINJA_BOOL ||
           jinja_fail(run, "an integer is expected, not '%s'", jinja_type_name(arg));
}

bool jinja_arg_string(struct jinja_run *run, struct jinja_value arg,
                      const struct jinja_string **out)
{
    *out = arg.type == JINJA_STRING ? arg.string : NULL;
    return arg.type == JINJA_STRING ||
           jinja_fail(run, "a string is expected, not '%s'", jinja_type_name(arg));
}

/* ---- macros ---- */

static const struct jinja_value *find_named(const struct jinja_args *args, const char *name)
{
    for (size_t i = 0; i < args->n_named; i++) {
        if (strcmp(args->named[i].name, name) == 0)
            return &args->named[i].value;
    }
    return NULL;
}

/* Sets the parameters in run->scope, which is the macro's own; *out_n: how many there are. */
static bool bind_parameters(struct jinja_run *run, const struct jinja_macro_value *macro,
                            const struct jinja_args *args, size_t *out_n)
{
    size_t i = 0;
    for (const struct jinja_parameter *one = macro->params; one != NULL; one = one->next, i++) {
        const struct jinja_value *named = find_named(args, one->name->text);
        struct jinja_value value = jinja_undefined(one->name->text);
        if (i < args->n)
            value = args->items[i];
        else if (named != NULL)
            value = *named;
        else if (one->fallback != NULL && !jinja_eval(run, one->fallback, &value))
            return false;
        if (!jinja_scope_set(run, run->scope, one->name, value))
            return false;
    }
    *out_n = i;
    return true;
}

static bool is_parameter(const struct jinja_macro_value *macro, const char *name)
{
    for (const struct jinja_parameter *one = macro->params; one != NULL; one = one->next) {
        if (strcmp(one->name->text, name) == 0)
            return true;
    }
    return false;
}

/* What is left over becomes varargs, when the template knows that name. */
static bool bind_rest(struct jinja_run *run, const struct jinja_macro_value *macro,
                      const struct jinja_args *args, size_t n_params)
{
    const struct jinja_name *name = jinja_name_find(run->names, "varargs", 7);
    struct jinja_value rest;
    if (name == NULL)
        return args->n <= n_params || jinja_fail(run,
                                                 "macro '%.40s' takes not more than %zu "
                                                 "argument(s)",
                                                 macro->name, n_params);
    if (!jinja_list_new(run, JINJA_TUPLE, 0, &rest))
        return false;
    for (size_t i = n_params; i < args->n; i++) {
        if (!jinja_list_push(run, rest.list, args->items[i]))
            return false;
    }
    return jinja_scope_set(run, run->scope, name, rest);
}

/* Likewise kwargs; caller is a name of its own. */
static bool bind_named_rest(struct jinja_run *run, const struct jinja_macro_value *macro,
                            const struct jinja_args *args)
{
    const struct jinja_name *kwargs = jinja_name_find(run->names, "kwargs", 6);
    const struct jinja_name *caller = jinja_name_find(run->names, "caller", 6);
    struct jinja_value rest;
    if (kwargs != NULL && (!jinja_dict_new(run, JINJA_DICT, &rest) ||
                           !jinja_scope_set(run, run->scope, kwargs, rest)))
        return false;
    for (size_t i = 0; i < args->n_named; i++) {
        const struct jinja_named *named = &args->named[i];
        if (is_parameter(macro, named->name))
            continue;
        bool is_good;
        if (strcmp(named->name, "caller") == 0)
            is_good = caller == NULL || jinja_scope_set(run, run->scope, caller, named->value);
        else if (kwargs != NULL)
            is_good = jinja_dict_set_text(run, rest.dict, named->name, named->value);
        else
            is_good = jinja_fail(run, "macro '%.40s' takes no keyword argument '%.40s'",
                                 macro->name, named->name);
        if (!is_good)
            return false;
    }
    return true;
}

static bool call_macro(struct jinja_run *run, const struct jinja_macro_value *macro,
                       const struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_scope *outer = run->scope, *scope = jinja_scope_new(run, macro->scope);
    size_t n_params;
    if (scope == NULL || !jinja_enter(run))
        return false;
    run->scope = scope;
    bool is_good = bind_parameters(run, macro, args, &n_params) &&
                   bind_rest(run, macro, args, n_params) && bind_named_rest(run, macro, args) &&
                   jinja_capture(run, macro->body, out);
    run->scope = outer;
    jinja_leave(run);
    return is_good;
}

/* cycler.next and cycler() are one; a joiner gives nothing the first time, then its separator. */
static bool call_cycler(struct jinja_run *run, struct jinja_cycler *cycler, struct jinja_value *out)
{
    if (cycler->items == NULL) {
        *out = cycler->separator;
        return cycler->at++ > 0 || jinja_string_copy(run, "", 0, JINJA_CONTROL, out);
    }
    *out = cycler->items->items[cycler->at];
    cycler->at = (cycler->at + 1) % cycler->items->n;
    return true;
}

bool jinja_invoke(struct jinja_run *run, struct jinja_value callee, const struct jinja_args *args,
                  struct jinja_value *out)
{
    switch (callee.type) {
    case JINJA_UNDEFINED:
        return jinja_fail_undefined(run, callee);
    case JINJA_NATIVE:
        return jinja_native_call(run, callee.native, jinja_none(), args, out);
    case JINJA_METHOD:
        return jinja_native_call(run, callee.method->native, callee.method->self, args, out);
    case JINJA_MACRO:
        return call_macro(run, callee.macro, args, out);
    case JINJA_LOOP:
        return args->n == 1 && args->n_named == 0
                   ? jinja_call_loop(run, callee.loop, args->items[0], out)
                   : jinja_fail(run, "a loop is called with its items");
    case JINJA_CYCLER:
        return call_cycler(run, callee.cycler, out);
    default:
        return jinja_fail(run, "'%s' object is not callable", jinja_type_name(callee));
    }
}
