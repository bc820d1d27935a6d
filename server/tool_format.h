/* tool_format.h - how a family of models writes the calls of tools into its text.
 *
 * Told from the text of the model's own chat template, which shows the model its earlier calls in
 * the same form. Pure. Thread: any (constants). */
#ifndef SERVER_TOOL_FORMAT_H
#define SERVER_TOOL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/chat_adapt.h"
#include "server/tool_head.h"

/* How the arguments are written. Those in tags are understood when a call is complete. */
enum tool_syntax {
    TOOL_SYNTAX_JSON,
    TOOL_SYNTAX_PYTHON,   /* name(key="value", key=1) */
    TOOL_SYNTAX_MARKED,   /* name{key:<mark>value<mark>,key:1} */
    TOOL_SYNTAX_FUNCTION, /* <function=name><parameter=key>value</parameter></function> */
    TOOL_SYNTAX_PAIRS,    /* name<arg_key>key</arg_key><arg_value>value</arg_value> */
    TOOL_SYNTAX_INVOKE,   /* <invoke name="name"><parameter name="key">value</parameter></invoke> */
};

struct json_schema_pairs;

enum { TOOL_FORMAT_MOST_NOISE = 4 };

struct tool_format {
    const char *name; /* "hermes", "mistral" ... for --tool-format and the log */
    /* In a template's text, tells this format; `other_marker` must be there, too, or is NULL. */
    const char *marker, *other_marker;
    const char *open; /* what a call begins with; NULL: a bracket as the answer's first character */
    const char *close;      /* what it ends with; NULL: the end of its JSON */
    const char *fence;      /* may stand between the JSON and `close` */
    const char *other_open; /* a second way to begin, or NULL */
    /* What a model may answer in as well: its template shows calls but no tools, and so it is told
     * of these in another format. NULL for none. */
    const struct tool_format *told;
    const char *name_prefix;   /* may stand before a name, or NULL */
    const char *argument_mark; /* may stand between a name and its arguments ... */
    const char *id_mark;       /* ... and, with an id, before that */
    /* Not NULL: prompts end with `open`, and what comes is a call or, behind this mark, words. */
    const char *words_mark;
    const char *noise[TOOL_FORMAT_MOST_NOISE]; /* marks around all calls, that say nothing */
    const char *turn_end; /* what ends a turn at once behind arguments, or NULL */
    bool has_channels;    /* calls, thoughts and words are messages of Harmony */
    bool is_list;         /* one `open`, then calls separated by commas, in brackets or not */
    enum tool_syntax syntax;
    const char *string_mark; /* around strings where these have marks; else NULL */
    /* What must come first when a call is forced: `force_open` name `force_middle`. */
    const char *force_open, *force_middle;
    const char *force_end;                 /* what follows the arguments */
    const struct json_schema_pairs *pairs; /* how a grammar has these; NULL: as a JSON object */
    const char *next; /* what stands between two calls of a list, with the first one's end */
    const char *call_id_prefix;
    int call_id_digits; /* random hexadecimal ones that follow */
    tool_head_fn *read_head;
};

/* True for arguments in tags. */
bool tool_format_is_tagged(const struct tool_format *format);

/* The format that the template's text shows, hermes for a template without tools or of none; NULL
 * never. */
const struct tool_format *tool_format_detect(const char *template, size_t len);
/* By name; NULL when there is none. */
const struct tool_format *tool_format_find(const char *name);
/* How earlier calls are written for a template that does not; zeroed for the usual. */
struct chat_call_form tool_format_call_form(const struct tool_format *format);
/* The i-th, and NULL behind the last. */
const struct tool_format *tool_format_at(size_t i);

/* True when the template's text says anything about tools. */
bool tool_format_template_has_tools(const char *template, size_t len);

#endif
