/* jinja_filters.h - the functions behind the table of filters in jinja_filters.c. Each is
 * described in Jinja2's "List of Builtin Filters"; tojson is transformers'.
 *
 * Thread: the run's. */
#ifndef CORE_TEXT_JINJA_FILTERS_H
#define CORE_TEXT_JINJA_FILTERS_H

#include "core/text/jinja_native.h"

/* Strings. */
jinja_function jinja_filter_upper, jinja_filter_lower, jinja_filter_capitalize, jinja_filter_title,
    jinja_filter_string, jinja_filter_trim, jinja_filter_replace, jinja_filter_indent,
    jinja_filter_center, jinja_filter_truncate, jinja_filter_wordcount, jinja_filter_escape,
    jinja_filter_format, jinja_filter_tojson, jinja_filter_pprint;

/* Lists and dicts. */
jinja_function jinja_filter_length, jinja_filter_first, jinja_filter_last, jinja_filter_list,
    jinja_filter_reverse, jinja_filter_items, jinja_filter_join, jinja_filter_sort,
    jinja_filter_dictsort, jinja_filter_unique, jinja_filter_min, jinja_filter_max,
    jinja_filter_sum, jinja_filter_batch, jinja_filter_slice, jinja_filter_groupby;

#endif
