/* tool_format.h - how a family of models writes the calls of tools into its text.
 *
 * Told from the text of the model's own chat template, which shows the model its earlier calls in
 * the same form. Pure. Thread: any (constants). */
#ifndef SERVER_TOOL_FORMAT_H
#define SERVER_TOOL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

enum tool_head {
    TOOL_HEAD_NO,   /* this is no call, or not one that can be told from its beginning */
    TOOL_HEAD_MORE, /* it may become one */
    TOOL_HEAD_YES,
};

/* What stands before a call's arguments, offsets in the text that was looked at. */
struct tool_call_head {
    size_t name_begin, name_end;
    size_t arguments_begin; /* of a JSON object: the place of its '{' */
    bool is_wrapped;        /* the arguments are part of a JSON object that goes on after them */
};

struct tool_format {
    const char *name;   /* "hermes", "mistral" ... for --tool-format and the log */
    const char *marker; /* in a template's text, tells this format */
    const char *open;   /* what a call begins with; NULL: a '{' as the answer's first character */
    const char *close;  /* what it ends with; NULL: the end of its JSON */
    const char *fence;  /* may stand between the JSON and `close` */
    const char *other_open; /* a second way to begin, or NULL */
    /* What a model may answer in as well: its template shows calls but no tools, and so it is told
     * of these in another format. NULL for none. */
    const struct tool_format *told;
    const char *argument_mark; /* may stand between a name and its arguments ... */
    const char *id_mark;       /* ... and, with an id, before that */
    const char *noise[4];      /* marks around all calls, that say nothing */
    bool is_list;              /* one `open`, then calls separated by commas, in brackets or not */
    bool is_xml;               /* <function=name><parameter=key>value</parameter></function> */
    /* What must come first when a call is forced: `force_open` name `force_middle`. */
    const char *force_open, *force_middle;
    const char *force_end; /* what follows the arguments; NULL: these are no JSON */
    const char *call_id_prefix;
    int call_id_digits; /* random hexadecimal ones that follow */
    enum tool_head (*read_head)(const char *text, size_t len, struct tool_call_head *out);
};

/* The format that the template's text shows, hermes for a template without tools or of none; NULL
 * never. */
const struct tool_format *tool_format_detect(const char *template, size_t len);
/* By name; NULL when there is none. */
const struct tool_format *tool_format_find(const char *name);

/* True when the template's text says anything about tools. */
bool tool_format_template_has_tools(const char *template, size_t len);

#endif
