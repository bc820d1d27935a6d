#include "server/harmony_grammar.h"

#include <string.h>

#include "core/base/buf.h"
#include "server/answer_grammar.h"
#include "server/free_text.h"
#include "server/harmony_parser.h"
#include "server/json_schema.h"
#include "server/tool_grammar.h"
#include "server/tool_request.h"

#define COMMENTARY HARMONY_CHANNEL "commentary"

static void write_text(struct buf *out, const char *text)
{
    json_schema_write_literal(out, text, strlen(text));
    buf_append_char(out, ' ');
}

/* "name ::= header, any text, end": a message that another one follows. */
static void write_message(struct buf *out, const char *name, const char *header)
{
    static const char *const END = HARMONY_END;
    buf_append_format(out, "%s ::= ", name);
    write_text(out, header);
    free_text_write(out, &END, 1);
    buf_append_char(out, ' ');
    write_text(out, HARMONY_END HARMONY_START "assistant");
    buf_append_char(out, '\n');
}

/* What all answers share: thoughts may come first; and a preamble, words that are part of what is
 * said, where that may be any. */
static void write_root(const struct answer_frame *frame, bool has_preamble, struct buf *out)
{
    json_schema_write_common(out);
    if (frame->think_open != NULL)
        write_message(out, "thought", HARMONY_ANALYSIS);
    if (has_preamble)
        write_message(out, "preamble", COMMENTARY HARMONY_MESSAGE);
    buf_append_text(out, "root ::= ");
    if (frame->think_open != NULL && has_preamble)
        buf_append_text(out, "(thought | preamble)* ");
    else if (frame->think_open != NULL)
        buf_append_text(out, "thought* ");
    else if (has_preamble)
        buf_append_text(out, "preamble* ");
    buf_append_text(out, "body\n");
    buf_append_text(out, "format ::= (\" \"? (");
    write_text(out, HARMONY_CONSTRAIN);
    buf_append_text(out, ")? \"json\")? ");
    write_text(out, HARMONY_MESSAGE);
    buf_append_text(out, "\nfinal ::= ");
    write_text(out, HARMONY_FINAL);
    buf_append_text(out, "format\n");
}

/* The recipient stands before the channel or behind it. */
static bool write_calls(const struct answer_frame *frame, struct buf *out, struct err *err)
{
    buf_append_text(out, "call ::= ");
    for (size_t i = 0; i < frame->tools->n; i++) {
        const char *name = frame->tools->names[i];
        buf_append_text(out, i == 0 ? "(" : " | (");
        write_text(out, " to=functions.");
        write_text(out, name);
        write_text(out, COMMENTARY);
        buf_append_text(out, "| ");
        write_text(out, COMMENTARY " to=functions.");
        write_text(out, name);
        buf_append_format(out, ") format arguments-%zu", i);
    }
    buf_append_char(out, '\n');
    return tool_grammar_write_arguments(frame->tools, frame->calls, out, err);
}

bool harmony_grammar_write(const struct answer_frame *frame, struct buf *out, struct err *err)
{
    write_root(frame, false, out);
    buf_append_text(out, "body ::= final answer");
    if (frame->tools == NULL) {
        buf_append_char(out, '\n');
        return true;
    }
    buf_append_text(out, " | call\n");
    return write_calls(frame, out, err);
}

bool harmony_grammar_write_calls(const struct answer_frame *frame, struct buf *out, struct err *err)
{
    static const char *const END = HARMONY_END;
    write_root(frame, true, out);
    buf_append_text(out, "body ::= call | ");
    write_text(out, HARMONY_FINAL HARMONY_MESSAGE);
    free_text_write(out, &END, 1);
    buf_append_char(out, '\n');
    return write_calls(frame, out, err);
}
