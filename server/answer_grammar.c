#include "server/answer_grammar.h"

#include <string.h>

#include "core/base/buf.h"
#include "server/free_text.h"
#include "server/harmony_grammar.h"
#include "server/json_schema.h"
#include "server/tool_format.h"
#include "server/tool_grammar.h"
#include "server/tool_request.h"

/* As answer_parser reads it: space around thoughts belongs to nobody. */
static void write_root(const struct answer_frame *frame, struct buf *out)
{
    json_schema_write_common(out);
    if (frame->think_open == NULL) {
        buf_append_text(out, "root ::= body\n");
        return;
    }
    buf_append_text(out, "root ::= thought? body\nthought ::= [ \\n]{0,2} ");
    json_schema_write_literal(out, frame->think_open, strlen(frame->think_open));
    buf_append_char(out, ' ');
    free_text_write(out, &frame->think_close, 1);
    buf_append_char(out, ' ');
    json_schema_write_literal(out, frame->think_close, strlen(frame->think_close));
    buf_append_text(out, " [ \\n]{0,4}\n");
}

/* Something that begins as a call does, and may go on in any way. */
static void write_call(const char *opening, const char *more, struct buf *out)
{
    if (opening == NULL)
        return;
    buf_append_text(out, " | ");
    json_schema_write_literal(out, opening, strlen(opening));
    buf_append_char(out, ' ');
    json_schema_write_literal(out, more, strlen(more));
    buf_append_text(out, " .*");
}

/* Where the prompt ends with a call's opening mark its name comes first. */
static void write_beginnings(const struct answer_frame *frame, struct buf *out)
{
    const struct tool_format *calls = frame->calls;
    for (size_t i = 0; i < frame->tools->n && calls->words_mark != NULL; i++)
        write_call(frame->tools->names[i], calls->force_middle, out);
    if (calls->words_mark != NULL)
        return;
    write_call(calls->open, "", out);
    write_call(calls->other_open, "", out);
    write_call(calls->noise[0], "", out);
    write_call(calls->open == NULL ? calls->force_open : NULL, "", out);
}

bool answer_grammar_write(const struct answer_frame *frame, struct buf *out, struct err *err)
{
    const struct tool_format *calls = frame->tools == NULL ? NULL : frame->calls;
    if (frame->has_channels)
        return harmony_grammar_write(frame, out, err);
    write_root(frame, out);
    buf_append_text(out, "body ::= ");
    if (calls == NULL) {
        buf_append_text(out, "answer\n");
        return true;
    }
    tool_grammar_write_words_mark(calls, out);
    buf_append_text(out, "answer");
    if (tool_grammar_is_needed(frame->tools, calls)) {
        buf_append_text(out, " | first-calls\n");
        return tool_grammar_write_optional(frame->tools, calls, out, err);
    }
    write_beginnings(frame, out);
    buf_append_char(out, '\n');
    return true;
}

bool answer_grammar_write_calls(const struct answer_frame *frame, struct buf *out, struct err *err)
{
    if (frame->has_channels)
        return harmony_grammar_write_calls(frame, out, err);
    write_root(frame, out);
    buf_append_text(out, "body ::= said calls? | first-calls\n");
    return tool_grammar_write_optional(frame->tools, frame->calls, out, err);
}
