#include "server/tool_grammar.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "server/free_text.h"
#include "server/json_load.h"
#include "server/json_schema.h"
#include "server/tool_format.h"
#include "server/tool_request.h"

static const json_t *find_function(const json_t *tools, const char *name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        if (strcmp(json_string_value(json_object_get(function, "name")), name) == 0)
            return function;
    }
    return NULL;
}

/* The rule "arguments-i". */
static bool write_arguments(const json_t *function, const struct tool_format *format, size_t i,
                            struct buf *out, struct err *err)
{
    char rule[32];
    snprintf(rule, sizeof rule, "arguments-%zu", i);
    const json_t *schema = json_object_get(function, "parameters");
    bool is_strict = json_is_true(json_object_get(function, "strict"));
    if (json_object_size(schema) > 0 || format->pairs != NULL)
        return json_schema_write_pairs(schema != NULL ? schema : json_true(), rule, format->pairs,
                                       is_strict, out, err);
    buf_append_format(out, "%s ::= json-object\n", rule);
    return true;
}

bool tool_grammar_write_arguments(const struct tool_request *tools,
                                  const struct tool_format *format, struct buf *out,
                                  struct err *err)
{
    json_t *list = json_load_text(tools->json, tools->json_len, JSON_ALLOW_NUL, NULL);
    bool is_good = list != NULL || err_no_memory(err, "the tools");
    for (size_t i = 0; i < tools->n && is_good; i++)
        is_good = write_arguments(find_function(list, tools->names[i]), format, i, out, err);
    json_decref(list);
    return is_good && (!out->failed || err_no_memory(err, "the grammar of the tools"));
}

/* ---- a call that must be ---- */

/* Of several tools the model chooses one by its name. */
static void write_choice(const char *name, const struct tool_format *format, size_t i,
                         struct buf *out)
{
    if (i > 0)
        buf_append_text(out, " | ");
    if (name != NULL) {
        json_schema_write_literal(out, name, strlen(name));
        buf_append_char(out, ' ');
        json_schema_write_literal(out, format->force_middle, strlen(format->force_middle));
    }
    buf_append_format(out, " arguments-%zu ", i);
}

bool tool_grammar_write(const struct tool_request *tools, const struct tool_format *format,
                        struct buf *out, struct err *err)
{
    buf_append_text(out, "root ::= (");
    for (size_t i = 0; i < tools->n; i++)
        write_choice(tools->n > 1 ? tools->names[i] : NULL, format, i, out);
    buf_append_text(out, ") ");
    json_schema_write_literal(out, format->force_end, strlen(format->force_end));
    buf_append_char(out, '\n');
    json_schema_write_common(out);
    return tool_grammar_write_arguments(tools, format, out, err);
}

/* ---- calls that may be ---- */

/* The calls of a list have no end of their own. */
bool tool_grammar_is_needed(const struct tool_request *tools, const struct tool_format *format)
{
    return tools->n > 0 && tools->choice == TOOL_CHOICE_AUTO &&
           (tools->is_single || (tools->has_strict && !format->is_list));
}

/* A literal whose spaces are the model's to choose. */
static void write_spaced(struct buf *out, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, " \n");
        if (n > 0)
            json_schema_write_literal(out, text, n);
        text += n;
        n = strspn(text, " \n");
        if (n > 0)
            buf_append_format(out, " [ \\n]{0,%zu} ", n > 2 ? n : 2);
        text += n;
    }
    buf_append_char(out, ' ');
}

/* What a call may begin with; none for one that is a bare JSON object. */
struct openings {
    const char *marks[FREE_TEXT_MAX_MARKS];
    size_t n;
};

static struct openings find_openings(const struct tool_format *format)
{
    struct openings found = {.n = 0};
    if (format->open != NULL)
        found.marks[found.n++] = format->open;
    if (format->other_open != NULL)
        found.marks[found.n++] = format->other_open;
    for (int i = 0; i < TOOL_FORMAT_MOST_NOISE && format->noise[i] != NULL; i++) {
        if (strncmp(format->force_open, format->noise[i], strlen(format->noise[i])) == 0)
            found.marks[found.n++] = format->noise[i];
    }
    return found;
}

/* What follows the mark in `force_open`: the mark is in it, stands for the one in it or before. */
static const char *beginning_after(const struct tool_format *format, const char *mark)
{
    const char *at = strstr(format->force_open, mark);
    size_t n_open = format->open == NULL ? 0 : strlen(format->open);
    if (at != NULL)
        return at + strlen(mark);
    bool has_open = n_open > 0 && strncmp(format->force_open, format->open, n_open) == 0;
    return format->force_open + (has_open ? n_open : 0);
}

/* A call's beginning from its opening mark on. */
static void write_beginning(const struct tool_format *format, const char *mark, struct buf *out)
{
    json_schema_write_literal(out, mark, strlen(mark));
    buf_append_text(out, " [ \\n]{0,2} ");
    write_spaced(out, beginning_after(format, mark));
}

static void write_call(const struct tool_request *tools, const struct tool_format *format,
                       const struct openings *openings, struct buf *out)
{
    buf_append_text(out, "call ::= (");
    for (size_t i = 0; i < openings->n; i++) {
        buf_append_text(out, i == 0 ? "" : " | ");
        write_beginning(format, openings->marks[i], out);
    }
    buf_append_text(out, ") call-rest\ncall-rest ::= (");
    for (size_t i = 0; i < tools->n; i++) {
        buf_append_text(out, i == 0 ? "" : " | ");
        json_schema_write_literal(out, tools->names[i], strlen(tools->names[i]));
        write_spaced(out, format->force_middle);
        buf_append_format(out, "arguments-%zu ", i);
    }
    buf_append_text(out, ") ");
    write_spaced(out, format->force_end);
    buf_append_char(out, '\n');
}

void tool_grammar_write_words_mark(const struct tool_format *format, struct buf *out)
{
    if (format->words_mark != NULL)
        json_schema_write_literal(out, format->words_mark, strlen(format->words_mark));
    buf_append_char(out, ' ');
}

/* Where a bare object or list is a call, other text does not begin with a bracket. */
static void write_said(const struct tool_format *format, const struct openings *openings,
                       struct buf *out)
{
    struct openings unsaid = *openings;
    if (format->told != NULL)
        unsaid.marks[unsaid.n++] = format->told->open;
    buf_append_text(out, "said ::= ");
    tool_grammar_write_words_mark(format, out);
    if (format->open == NULL)
        buf_append_text(out, "[ \\n]* (\"\" | [^ \\n{\\x5B<] ");
    free_text_write(out, unsaid.marks, unsaid.n);
    buf_append_text(out, format->open == NULL ? ")\n" : "\n");
}

/* A bare object, and a call whose opening mark the prompt has, come without one. */
static void write_first_calls(const struct tool_request *tools, const struct tool_format *format,
                              struct buf *out)
{
    bool is_opened = format->words_mark != NULL;
    buf_append_text(out, "first-calls ::= ");
    if (!is_opened)
        buf_append_text(out, "calls");
    if (format->open == NULL)
        buf_append_text(out, " | ");
    if (is_opened || format->open == NULL) {
        write_spaced(out, format->force_open);
        buf_append_text(out, "call-rest");
    }
    if (is_opened && !tools->is_single)
        buf_append_text(out, " ([ \\n]{0,2} call)*");
    buf_append_char(out, '\n');
}

bool tool_grammar_write_optional(const struct tool_request *tools, const struct tool_format *format,
                                 struct buf *out, struct err *err)
{
    struct openings openings = find_openings(format);
    write_said(format, &openings, out);
    write_call(tools, format, &openings, out);
    buf_append_text(out,
                    tools->is_single ? "calls ::= call\n" : "calls ::= call ([ \\n]{0,2} call)*\n");
    write_first_calls(tools, format, out);
    return tool_grammar_write_arguments(tools, format, out, err);
}
