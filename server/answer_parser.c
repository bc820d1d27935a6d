#include "server/answer_parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/random_id.h"
#include "server/tool_format.h"
#include "server/tool_text.h"

enum state {
    AT_START,   /* nothing but space yet: thinking may begin */
    IN_THOUGHT, /* ... it has */
    IN_ANSWER,
    IN_CHANNELS, /* another parser has it all */
};

static struct answer_call *add_call(struct answer_parser *parser)
{
    struct answer *answer = &parser->answer;
    struct answer_call *more =
        reallocarray(answer->calls, answer->n_calls + 1, sizeof *answer->calls);
    if (more == NULL) {
        answer->failed = true;
        return NULL;
    }
    answer->calls = more;
    struct answer_call *call = &more[answer->n_calls++];
    *call = (struct answer_call){0};
    char random[RANDOM_ID_SIZE];
    random_id_make(random);
    const struct tool_format *format = parser->options.format;
    snprintf(call->id, sizeof call->id, "%s%.*s", format->call_id_prefix, format->call_id_digits,
             random);
    return call;
}

static void emit(struct answer_parser *parser, enum answer_part part, const char *text, size_t len)
{
    struct answer *answer = &parser->answer;
    struct answer_delta delta = {.part = part, .text = text, .len = len};
    if (part == ANSWER_CALL) {
        struct answer_call *call = add_call(parser);
        if (call == NULL)
            return;
        buf_append(&call->name, text, len);
        delta.call_id = call->id;
    } else if (part == ANSWER_ARGUMENTS && answer->n_calls > 0) {
        buf_append(&answer->calls[answer->n_calls - 1].arguments, text, len);
    } else {
        buf_append(part == ANSWER_REASONING ? &answer->reasoning : &answer->content, text, len);
    }
    delta.call = answer->n_calls > 0 ? answer->n_calls - 1 : 0;
    parser->options.emit(parser->options.arg, &delta);
}

static void on_part(void *arg, enum answer_part part, const char *text, size_t len)
{
    emit(arg, part, text, len);
}

static bool is_tool(void *arg, const char *name, size_t len)
{
    const struct answer_parser *parser = arg;
    return parser->options.is_tool == NULL ||
           parser->options.is_tool(parser->options.arg, name, len);
}

void answer_parser_init(struct answer_parser *parser, const struct answer_parser_options *options)
{
    *parser = (struct answer_parser){
        .options = *options,
        .tools = {.format = options->format, .is_tool = is_tool, .emit = on_part, .arg = parser},
        .harmony = {.keeps_thoughts = options->think_open == NULL,
                    .has_tools = options->format != NULL,
                    .emit = on_part,
                    .arg = parser},
    };
    tool_parser_init(&parser->tools);
    harmony_parser_init(&parser->harmony, options->is_continued);
    bool may_think = options->think_open != NULL;
    parser->has_thought = may_think && options->is_thinking;
    parser->state = !may_think ? IN_ANSWER : options->is_thinking ? IN_THOUGHT : AT_START;
    if (options->has_channels)
        parser->state = IN_CHANNELS;
}

void answer_parser_done(struct answer_parser *parser)
{
    struct answer *answer = &parser->answer;
    for (size_t i = 0; i < answer->n_calls; i++) {
        buf_done(&answer->calls[i].name);
        buf_done(&answer->calls[i].arguments);
    }
    free(answer->calls);
    buf_done(&answer->reasoning);
    buf_done(&answer->content);
    buf_done(&parser->held);
    tool_parser_done(&parser->tools);
    harmony_parser_done(&parser->harmony);
    *parser = (struct answer_parser){0};
}

/* Where in what is held the mark, or the beginning of one at the end, is; held.len for nowhere. */
static size_t find_mark(const struct buf *held, const char *mark, bool *out_is_whole)
{
    size_t mark_len = strlen(mark);
    for (size_t i = 0; i < held->len; i++) {
        size_t n = held->len - i < mark_len ? held->len - i : mark_len;
        if (memcmp(held->data + i, mark, n) == 0) {
            *out_is_whole = n == mark_len;
            return i;
        }
    }
    *out_is_whole = false;
    return held->len;
}

/* Space at the end of a thought is said only when more of it follows. */
static void think(struct answer_parser *parser)
{
    struct buf *held = &parser->held;
    if (parser->answer.reasoning.len == 0)
        buf_drop_front(held, tool_text_spaces(buf_text(held), held->len));
    bool is_over;
    size_t mark_at = find_mark(held, parser->options.think_close, &is_over);
    size_t n = mark_at;
    while (n > 0 && tool_text_spaces(held->data + n - 1, 1) == 1)
        n--;
    if (n > 0)
        emit(parser, ANSWER_REASONING, held->data, n);
    if (!is_over) {
        buf_drop_front(held, n);
        return;
    }
    buf_drop_front(held, mark_at + strlen(parser->options.think_close));
    parser->state = IN_ANSWER;
}

/* The space between thought and answer is neither's. */
static void answer(struct answer_parser *parser)
{
    struct buf *held = &parser->held;
    bool is_first = parser->answer.content.len == 0 && parser->answer.n_calls == 0 &&
                    parser->tools.held.len == 0;
    if (is_first && parser->has_thought)
        buf_drop_front(held, tool_text_spaces(buf_text(held), held->len));
    if (held->len > 0)
        tool_parser_push(&parser->tools, held->data, held->len);
    buf_clear(held);
}

static void start(struct answer_parser *parser)
{
    const struct buf *held = &parser->held;
    const char *open = parser->options.think_open;
    size_t n_space = tool_text_spaces(buf_text(held), held->len);
    size_t n = held->len - n_space;
    size_t open_len = strlen(open);
    if (memcmp(held->data + n_space, open, n < open_len ? n : open_len) != 0) {
        parser->state = IN_ANSWER;
    } else if (n >= open_len) {
        buf_drop_front(&parser->held, n_space + open_len);
        parser->state = IN_THOUGHT;
        parser->has_thought = true;
    }
}

void answer_parser_push(struct answer_parser *parser, const char *text, size_t len)
{
    if (len == 0)
        return;
    if (parser->state == IN_CHANNELS) {
        harmony_parser_push(&parser->harmony, text, len);
        return;
    }
    buf_append(&parser->held, text, len);
    if (parser->held.failed)
        return;
    if (parser->state == AT_START)
        start(parser);
    if (parser->state == IN_THOUGHT)
        think(parser);
    if (parser->state == IN_ANSWER)
        answer(parser);
}

void answer_parser_end(struct answer_parser *parser)
{
    struct buf *held = &parser->held;
    struct answer *said = &parser->answer;
    if (parser->state == IN_THOUGHT && held->len > 0)
        emit(parser, ANSWER_REASONING, held->data, held->len);
    else if (parser->state == AT_START && held->len > 0)
        tool_parser_push(&parser->tools, held->data, held->len);
    else if (parser->state == IN_CHANNELS)
        harmony_parser_end(&parser->harmony);
    bool failed = held->failed || parser->harmony.held.failed;
    buf_clear(held);
    tool_parser_end(&parser->tools);
    said->failed = said->failed || failed || tool_parser_failed(&parser->tools) ||
                   said->reasoning.failed || said->content.failed;
    for (size_t i = 0; i < said->n_calls; i++)
        said->failed =
            said->failed || said->calls[i].name.failed || said->calls[i].arguments.failed;
}

bool answer_parser_is_thinking(const struct answer_parser *parser)
{
    return parser->state == IN_CHANNELS ? harmony_parser_is_thinking(&parser->harmony)
                                        : parser->state != IN_ANSWER;
}
