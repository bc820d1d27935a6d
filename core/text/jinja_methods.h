/* jinja_methods.h - the methods of strings, for jinja_methods.c alone. Thread: the run's. */
#ifndef CORE_TEXT_JINJA_METHODS_H
#define CORE_TEXT_JINJA_METHODS_H

#include "core/text/jinja_native.h"

const struct jinja_native *jinja_text_method_find(const char *name, size_t len);

/* "{} of {name:>8}".format(...) */
jinja_function jinja_method_format;

#endif
