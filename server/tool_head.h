/* tool_head.h - what stands before a call's arguments, in text that may not be complete yet. Pure.
 * Thread: any. */
#ifndef SERVER_TOOL_HEAD_H
#define SERVER_TOOL_HEAD_H

#include <stdbool.h>
#include <stddef.h>

struct tool_format;

enum tool_head {
    TOOL_HEAD_NO,   /* this is no call, or not one that can be told from its beginning */
    TOOL_HEAD_MORE, /* it may become one */
    TOOL_HEAD_YES,
};

/* Offsets in the text that was looked at. */
struct tool_call_head {
    size_t name_begin, name_end;
    size_t arguments_begin; /* of an object: the place of its '{' */
    bool is_wrapped;        /* the arguments are part of a JSON object that goes on after them */
    bool is_python;         /* they are no JSON, and begin behind their '(' or '{' */
};

typedef enum tool_head tool_head_fn(const struct tool_format *format, const char *text, size_t len,
                                    struct tool_call_head *out);

/* {"name": "f", "arguments": { ... */
tool_head_fn tool_head_json;
/* [{"name": "f", "arguments": {...}}, ...], or f[ARGS]{ ... */
tool_head_fn tool_head_list;
/* [f(a=1), g(b="x")], from the bracket on or from a later name */
tool_head_fn tool_head_python;
/* call:f{ */
tool_head_fn tool_head_marked;
/* Bare JSON, or the like of Python. */
tool_head_fn tool_head_bare;
/* The name, the format's `argument_mark`, { ... */
tool_head_fn tool_head_named;
/* The same, or function<mark>f\n```json\n{ ... */
tool_head_fn tool_head_fenced;

#endif
