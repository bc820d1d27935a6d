#include "server/tool_parser.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "server/tool_format.h"
#include "server/tool_text.h"

enum { MAX_HEAD = 4096 }; /* bytes before a call's arguments */

enum state {
    IN_TEXT,      /* held: space, and what may be the beginning of a mark */
    IN_HEAD,      /* held: a mark and what follows; the name is not known yet */
    IN_ARGUMENTS, /* nothing is held */
    IN_PYTHON,    /* nothing is held: arguments, not in JSON */
    IN_TAIL,      /* held: the rest of the JSON object around the arguments */
    AFTER_CALL,   /* held: space, and what may be the beginning of a closing mark */
    IN_WHOLE,     /* held: a mark and a call that is understood only when it is complete */
};

void tool_parser_init(struct tool_parser *parser)
{
    const struct tool_format *format = parser->format;
    parser->state = format != NULL && format->words_mark != NULL ? IN_HEAD : IN_TEXT;
    buf_init(&parser->held);
    buf_init(&parser->said);
    parser->part = ANSWER_CONTENT;
    parser->body = 0;
    parser->has_text = false;
    parser->n_calls = 0;
}

void tool_parser_done(struct tool_parser *parser)
{
    buf_done(&parser->held);
    buf_done(&parser->said);
}

bool tool_parser_failed(const struct tool_parser *parser)
{
    return parser->held.failed || parser->said.failed;
}

/* ---- saying ---- */

static void flush(struct tool_parser *parser)
{
    if (parser->said.len > 0)
        parser->emit(parser->arg, parser->part, parser->said.data, parser->said.len);
    buf_clear(&parser->said);
}

static void say(struct tool_parser *parser, enum answer_part part, const char *text, size_t len)
{
    if (part != parser->part)
        flush(parser);
    parser->part = part;
    buf_append(&parser->said, text, len);
    if (tool_text_spaces(text, len) < len)
        parser->has_text = true;
}

/* The first `n` bytes that are held are content. */
static void say_held(struct tool_parser *parser, size_t n)
{
    say(parser, ANSWER_CONTENT, buf_text(&parser->held), n);
    buf_drop_front(&parser->held, n);
}

static void begin_call(struct tool_parser *parser, const char *name, size_t len)
{
    flush(parser);
    parser->has_text = true;
    parser->n_calls++;
    parser->emit(parser->arg, ANSWER_CALL, name, len);
}

/* ---- marks ---- */

enum match { MATCH_NO, MATCH_PART, MATCH_YES };

static enum match match(const char *text, size_t len, const char *mark)
{
    if (mark == NULL)
        return MATCH_NO;
    size_t mark_len = strlen(mark);
    if (memcmp(text, mark, len < mark_len ? len : mark_len) != 0)
        return MATCH_NO;
    return len >= mark_len ? MATCH_YES : MATCH_PART;
}

static bool ends_with(const struct buf *text, const char *mark)
{
    size_t len = mark == NULL ? 0 : strlen(mark);
    return len > 0 && text->len >= len && memcmp(text->data + text->len - len, mark, len) == 0;
}

/* Looks for a mark at `at` of what is held; MATCH_YES has dealt with it. */
static enum match take_mark(struct tool_parser *parser, size_t at)
{
    const struct tool_format *format = parser->format;
    const char *text = parser->held.data + at;
    size_t len = parser->held.len - at;
    enum match best = format->told == NULL ? MATCH_NO : match(text, len, format->told->open);
    if (best == MATCH_YES) {
        parser->format = format->told;
        return take_mark(parser, at);
    }
    const char *const opens[] = {format->open, format->other_open};
    for (int i = 0; i < 2; i++) {
        enum match is = match(text, len, opens[i]);
        if (is == MATCH_YES) {
            bool is_tagged = tool_format_is_tagged(format);
            bool is_part_of_call = is_tagged && opens[i] == format->other_open;
            parser->body = at + (is_part_of_call ? 0 : strlen(opens[i]));
            parser->state = is_tagged ? IN_WHOLE : IN_HEAD;
            return MATCH_YES;
        }
        best = is > best ? is : best;
    }
    for (int i = 0; i < TOOL_FORMAT_MOST_NOISE && format->noise[i] != NULL; i++) {
        enum match is = match(text, len, format->noise[i]);
        if (is == MATCH_YES) {
            buf_clear(&parser->held);
            return MATCH_YES;
        }
        best = is > best ? is : best;
    }
    return best;
}

/* ---- a call that is complete ---- */

static bool emit_calls(struct tool_parser *parser, const char *text, size_t len)
{
    json_t *calls = tool_text_read(parser->format->syntax, text, len);
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *call = json_array_get(calls, i);
        const json_t *name = json_object_get(call, "name");
        const json_t *arguments = json_object_get(call, "arguments");
        begin_call(parser, json_string_value(name), json_string_length(name));
        say(parser, ANSWER_ARGUMENTS, json_string_value(arguments), json_string_length(arguments));
    }
    bool has_calls = json_array_size(calls) > 0;
    json_decref(calls);
    return has_calls;
}

static void end_whole(struct tool_parser *parser, size_t close_len)
{
    struct buf *held = &parser->held;
    parser->state = IN_TEXT;
    if (emit_calls(parser, held->data + parser->body, held->len - parser->body - close_len))
        buf_clear(held);
    else
        say_held(parser, held->len);
}

/* ---- one byte ---- */

static void push_byte(struct tool_parser *parser, char c);

static void push_again(struct tool_parser *parser, enum state state)
{
    struct buf held = parser->held;
    buf_init(&parser->held);
    parser->state = state;
    for (size_t i = 0; i < held.len; i++)
        push_byte(parser, held.data[i]);
    if (held.failed)
        parser->held.failed = true;
    buf_done(&held);
}

static void text_byte(struct tool_parser *parser)
{
    const struct tool_format *format = parser->format;
    struct buf *held = &parser->held;
    while (held->len > 0 && parser->state == IN_TEXT) {
        size_t n_space = tool_text_spaces(held->data, held->len);
        if (n_space == held->len)
            return;
        bool is_bracket = held->data[n_space] == '{' || held->data[n_space] == '[';
        if (format->open == NULL && !parser->has_text && is_bracket) {
            parser->body = n_space;
            parser->state = IN_HEAD;
            return;
        }
        enum match is = take_mark(parser, n_space);
        if (is == MATCH_PART)
            return;
        if (is == MATCH_NO)
            say_held(parser, n_space + 1);
    }
}

/* Where nothing else tells a call from an answer, the name must be one of our tools'. */
static bool is_wanted(const struct tool_parser *parser, const char *name, size_t len)
{
    const struct tool_format *format = parser->format;
    bool has_mark = format->open != NULL && format->words_mark == NULL;
    return has_mark || parser->is_tool == NULL || parser->is_tool(parser->arg, name, len);
}

/* JSON in another order may be understood when it is complete; all else is text. */
static void leave_head(struct tool_parser *parser)
{
    const struct tool_format *format = parser->format;
    struct buf *held = &parser->held;
    size_t begin =
        parser->body + tool_text_spaces(held->data + parser->body, held->len - parser->body);
    bool is_json = begin < held->len && strchr("{[", held->data[begin]) != NULL;
    bool is_bare = format->open == NULL && begin == tool_text_spaces(held->data, held->len);
    if (is_bare) {
        parser->state = IN_TEXT;
        say_held(parser, held->len);
    } else if (!is_json || format->words_mark != NULL) {
        say_held(parser, parser->body);
        push_again(parser, IN_TEXT);
    } else {
        parser->state = IN_WHOLE;
        if (ends_with(held, format->close))
            end_whole(parser, strlen(format->close));
    }
}

static void head_byte(struct tool_parser *parser)
{
    struct buf *held = &parser->held;
    struct tool_call_head head = {0};
    const char *text = held->data + parser->body;
    size_t len = held->len - parser->body;
    enum match is_words = match(text, len, parser->format->words_mark);
    if (is_words == MATCH_YES) {
        buf_clear(held);
        parser->state = IN_TEXT;
    }
    if (is_words != MATCH_NO)
        return;
    enum tool_head is = parser->format->read_head(parser->format, text, len, &head);
    if (is == TOOL_HEAD_MORE && held->len < MAX_HEAD)
        return;
    size_t name_len = head.name_end - head.name_begin;
    if (is != TOOL_HEAD_YES || !is_wanted(parser, text + head.name_begin, name_len)) {
        leave_head(parser);
        return;
    }
    begin_call(parser, text + head.name_begin, name_len);
    parser->is_wrapped = head.is_wrapped;
    parser->depth = 0;
    parser->is_in_string = parser->is_escaped = false;
    buf_drop_front(held, parser->body + head.arguments_begin);
    tool_python_init(&parser->python, parser->format->string_mark);
    push_again(parser, head.is_python ? IN_PYTHON : IN_ARGUMENTS);
}

/* Follows the JSON text; true when the object or array that it is in has ended. */
static bool follow_json(struct tool_parser *parser, char c)
{
    if (parser->is_in_string) {
        if (parser->is_escaped)
            parser->is_escaped = false;
        else if (c == '\\')
            parser->is_escaped = true;
        else if (c == '"')
            parser->is_in_string = false;
        return false;
    }
    if (c == '"')
        parser->is_in_string = true;
    else if (c == '{' || c == '[')
        parser->depth++;
    else if (c == '}' || c == ']')
        parser->depth--;
    return parser->depth == 0;
}

static void arguments_byte(struct tool_parser *parser, char c)
{
    buf_clear(&parser->held);
    say(parser, ANSWER_ARGUMENTS, &c, 1);
    if (!follow_json(parser, c))
        return;
    parser->state = parser->is_wrapped ? IN_TAIL : AFTER_CALL;
    parser->depth = 1;
}

/* What cannot be understood ends the arguments, and is text, or the mark of a call without its last
 * brace. */
static void python_byte(struct tool_parser *parser, char c)
{
    struct buf json;
    buf_init(&json);
    enum tool_python_result is = tool_python_push(&parser->python, c, &json);
    if (is == TOOL_PYTHON_FAIL)
        tool_python_close(&parser->python, &json);
    if (json.failed)
        parser->held.failed = true;
    say(parser, ANSWER_ARGUMENTS, buf_text(&json), json.len);
    buf_done(&json);
    if (is == TOOL_PYTHON_FAIL) {
        push_again(parser, parser->format->string_mark == NULL ? IN_TEXT : AFTER_CALL);
        return;
    }
    buf_clear(&parser->held);
    parser->state = is == TOOL_PYTHON_END ? AFTER_CALL : IN_PYTHON;
}

static void tail_byte(struct tool_parser *parser, char c)
{
    if (ends_with(&parser->held, parser->format->close)) { /* its last brace is missing */
        buf_clear(&parser->held);
        parser->state = IN_TEXT;
    } else if (follow_json(parser, c)) {
        buf_clear(&parser->held);
        parser->state = AFTER_CALL;
    }
}

static void after_byte(struct tool_parser *parser)
{
    const struct tool_format *format = parser->format;
    struct buf *held = &parser->held;
    size_t n_space = tool_text_spaces(held->data, held->len);
    if (n_space == held->len)
        return;
    const char *text = held->data + n_space;
    size_t len = held->len - n_space;
    enum match is_close = match(text, len, format->close);
    enum match is_fence = match(text, len, format->fence);
    if (is_close == MATCH_PART || is_fence == MATCH_PART)
        return;
    bool is_next = format->is_list && (text[0] == ',' || text[0] == ';');
    bool is_mark = is_fence == MATCH_YES || (format->is_list && text[0] == ']');
    if (is_close != MATCH_YES && !is_next && !is_mark) {
        push_again(parser, IN_TEXT);
        return;
    }
    buf_clear(held);
    parser->body = 0;
    parser->state = is_next ? IN_HEAD : is_mark ? AFTER_CALL : IN_TEXT;
}

static void push_byte(struct tool_parser *parser, char c)
{
    buf_append(&parser->held, &c, 1);
    if (parser->held.failed)
        return;
    switch ((enum state)parser->state) {
    case IN_TEXT:
        text_byte(parser);
        break;
    case IN_HEAD:
        head_byte(parser);
        break;
    case IN_ARGUMENTS:
        arguments_byte(parser, c);
        break;
    case IN_PYTHON:
        python_byte(parser, c);
        break;
    case IN_TAIL:
        tail_byte(parser, c);
        break;
    case AFTER_CALL:
        after_byte(parser);
        break;
    case IN_WHOLE:
        if (ends_with(&parser->held, parser->format->close))
            end_whole(parser, strlen(parser->format->close));
        break;
    }
}

void tool_parser_push(struct tool_parser *parser, const char *text, size_t len)
{
    if (parser->format == NULL) {
        say(parser, ANSWER_CONTENT, text, len);
    } else {
        for (size_t i = 0; i < len; i++)
            push_byte(parser, text[i]);
    }
    flush(parser);
}

void tool_parser_end(struct tool_parser *parser)
{
    struct buf *held = &parser->held;
    bool is_space_after_call =
        parser->n_calls > 0 && tool_text_spaces(buf_text(held), held->len) == held->len;
    if (held->len > 0 && (parser->state == IN_HEAD || parser->state == IN_WHOLE))
        end_whole(parser, 0);
    else if (!is_space_after_call && (parser->state == IN_TEXT || parser->state == AFTER_CALL))
        say_held(parser, held->len);
    flush(parser);
}
