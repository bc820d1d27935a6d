#include "server/answer_grammar.h"

#include <string.h>

#include "core/base/buf.h"
#include "server/free_text.h"
#include "server/json_schema.h"
#include "server/tool_format.h"
#include "server/tool_grammar.h"

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
static void write_call(const char *opening, struct buf *out)
{
    if (opening == NULL)
        return;
    buf_append_text(out, " | ");
    json_schema_write_literal(out, opening, strlen(opening));
    buf_append_text(out, " .*");
}

bool answer_grammar_write(const struct answer_frame *frame, struct buf *out, struct err *err)
{
    const struct tool_format *calls = frame->tools == NULL ? NULL : frame->calls;
    write_root(frame, out);
    buf_append_text(out, "body ::= answer");
    if (calls == NULL) {
        buf_append_char(out, '\n');
        return true;
    }
    if (tool_grammar_is_needed(frame->tools, calls)) {
        buf_append_text(out, " | first-calls\n");
        return tool_grammar_write_optional(frame->tools, calls, out, err);
    }
    write_call(calls->open, out);
    write_call(calls->other_open, out);
    write_call(calls->noise[0], out);
    write_call(calls->open == NULL ? calls->force_open : NULL, out);
    buf_append_char(out, '\n');
    return true;
}

bool answer_grammar_write_calls(const struct answer_frame *frame, struct buf *out, struct err *err)
{
    write_root(frame, out);
    buf_append_text(out, "body ::= said calls? | first-calls\n");
    return tool_grammar_write_optional(frame->tools, frame->calls, out, err);
}
