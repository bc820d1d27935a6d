#include "server/harmony_parser.h"

#include <string.h>

#include "core/base/min_max.h"
#include "server/tool_text.h"

enum { MAX_HEADER = 512 };

static const char START[] = HARMONY_START, CHANNEL[] = HARMONY_CHANNEL, MESSAGE[] = HARMONY_MESSAGE,
                  END[] = HARMONY_END, RECIPIENT[] = "to=", FUNCTIONS[] = "functions.";

const char *const harmony_marks[HARMONY_N_MARKS] = {START, CHANNEL, HARMONY_CONSTRAIN, MESSAGE,
                                                    END};

void harmony_parser_init(struct harmony_parser *parser, bool is_begun)
{
    buf_init(&parser->held);
    parser->is_in_text = is_begun;
    parser->part = ANSWER_CONTENT;
    parser->is_apart = parser->has_said[0] = parser->has_said[1] = false;
    parser->has_answered = is_begun;
    parser->lacks_arguments = false;
}

void harmony_parser_done(struct harmony_parser *parser)
{
    buf_done(&parser->held);
}

bool harmony_parser_is_thinking(const struct harmony_parser *parser)
{
    return !parser->has_answered;
}

/* ---- saying ---- */

/* The first n bytes that are held. */
static void say_held(struct harmony_parser *parser, size_t n)
{
    if (n == 0)
        return;
    if (parser->is_apart)
        parser->emit(parser->arg, parser->part, "\n\n", 2);
    parser->is_apart = false;
    parser->lacks_arguments = false;
    if (parser->part != ANSWER_ARGUMENTS)
        parser->has_said[parser->part] = true;
    parser->emit(parser->arg, parser->part, parser->held.data, n);
    buf_drop_front(&parser->held, n);
}

static void begin_text(struct harmony_parser *parser, enum answer_part part)
{
    parser->part = part;
    parser->is_in_text = true;
    parser->is_apart = part != ANSWER_ARGUMENTS && parser->has_said[part];
    parser->has_answered |= part != ANSWER_REASONING;
}

/* A call without arguments has an object of none. */
static void end_text(struct harmony_parser *parser)
{
    if (parser->lacks_arguments)
        parser->emit(parser->arg, ANSWER_ARGUMENTS, "{}", 2);
    parser->lacks_arguments = false;
    parser->is_in_text = false;
}

/* ---- headers ---- */

struct word {
    const char *text;
    size_t len;
};

static bool is_word(struct word word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.text, text, word.len) == 0;
}

/* What follows the mark where it stands last, up to a space or another mark. */
static struct word word_after(const char *header, size_t len, const char *mark)
{
    const size_t mark_len = strlen(mark);
    struct word word = {.text = NULL};
    for (size_t i = 0; i + mark_len <= len; i++) {
        if (memcmp(header + i, mark, mark_len) != 0)
            continue;
        word.text = header + i + mark_len;
        const char *end = word.text;
        while (end < header + len && *end != '<' && tool_text_spaces(end, 1) == 0)
            end++;
        word.len = (size_t)(end - word.text);
    }
    return word;
}

/* Which function the message is sent to; no text for none. */
static struct word find_function(const struct harmony_parser *parser, size_t len)
{
    const size_t n = sizeof FUNCTIONS - 1;
    struct word to = word_after(parser->held.data, len, RECIPIENT);
    if (!parser->has_tools || to.len <= n || memcmp(to.text, FUNCTIONS, n) != 0)
        return (struct word){.text = NULL};
    return (struct word){to.text + n, to.len - n};
}

/* `len` bytes that are held, before the mark of the message's text. */
static void read_header(struct harmony_parser *parser, size_t len)
{
    struct word function = find_function(parser, len);
    bool is_thought = is_word(word_after(parser->held.data, len, CHANNEL), "analysis");
    if (function.text != NULL) {
        begin_text(parser, ANSWER_ARGUMENTS);
        parser->emit(parser->arg, ANSWER_CALL, function.text, function.len);
        parser->lacks_arguments = true;
    } else {
        begin_text(parser,
                   is_thought && !parser->keeps_thoughts ? ANSWER_REASONING : ANSWER_CONTENT);
    }
    buf_drop_front(&parser->held, len + sizeof MESSAGE - 1);
}

static bool begins_as(const char *text, size_t len, const char *mark)
{
    size_t mark_len = strlen(mark);
    return memcmp(text, mark, len < mark_len ? len : mark_len) == 0;
}

enum header { HEADER_NO, HEADER_PART, HEADER_YES };

/* Whether what is held begins as a header does. */
static enum header find_header(const struct buf *held)
{
    static const char *const firsts[] = {START, CHANNEL, MESSAGE, RECIPIENT};
    const char *text = buf_text(held);
    size_t n_space = tool_text_spaces(text, held->len);
    size_t len = held->len - n_space;
    enum header is = HEADER_NO;
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0] && is == HEADER_NO; i++) {
        if (begins_as(text + n_space, len, firsts[i]))
            is = len < strlen(firsts[i]) ? HEADER_PART : HEADER_YES;
    }
    return is;
}

/* ---- one step; true when there may be another ---- */

/* A mark whose first bytes may be held already counts as not there yet. What never ends is text. */
static bool step_in_header(struct harmony_parser *parser)
{
    struct buf *held = &parser->held;
    const char *mark = memmem(held->data, held->len, MESSAGE, sizeof MESSAGE - 1);
    size_t n_begun = min_size(held->len, sizeof MESSAGE - 2);
    size_t len = mark == NULL ? held->len - n_begun : (size_t)(mark - held->data);
    if (find_header(held) == HEADER_NO) {
        begin_text(parser, ANSWER_CONTENT);
    } else if (len > MAX_HEADER) {
        begin_text(parser, ANSWER_CONTENT);
        parser->is_apart = false; /* it begins no message, so that the last one goes on */
        say_held(parser, tool_text_spaces(held->data, held->len) + 1); /* nor does it once more */
    } else if (mark != NULL) {
        read_header(parser, len);
    }
    return parser->is_in_text;
}

/* The first place of what is held where the mark, or a part of it at the end, is. */
static size_t find(const struct buf *held, const char *mark)
{
    size_t i = 0;
    while (i < held->len && !begins_as(held->data + i, held->len - i, mark))
        i++;
    return i;
}

/* A message ends with its mark, or, where a model forgets that, with the next one's header. */
static bool step_in_text(struct harmony_parser *parser)
{
    struct buf *held = &parser->held;
    size_t end = find(held, END);
    say_held(parser, min_size(end, min_size(find(held, START), find(held, CHANNEL))));
    bool is_end = held->len >= sizeof END - 1 && begins_as(held->data, held->len, END);
    bool is_next = (held->len >= sizeof START - 1 && begins_as(held->data, held->len, START)) ||
                   (held->len >= sizeof CHANNEL - 1 && begins_as(held->data, held->len, CHANNEL));
    if (is_end)
        buf_drop_front(held, sizeof END - 1);
    if (is_end || is_next)
        end_text(parser);
    return is_end || is_next;
}

void harmony_parser_push(struct harmony_parser *parser, const char *text, size_t len)
{
    buf_append(&parser->held, text, len);
    bool goes_on = !parser->held.failed;
    while (goes_on && parser->held.len > 0)
        goes_on = parser->is_in_text ? step_in_text(parser) : step_in_header(parser);
}

/* A header that was cut off says nothing. */
void harmony_parser_end(struct harmony_parser *parser)
{
    bool is_header = !parser->is_in_text && find_header(&parser->held) == HEADER_YES;
    if (!parser->is_in_text && parser->held.len > 0 && !is_header)
        begin_text(parser, ANSWER_CONTENT);
    say_held(parser, is_header ? 0 : parser->held.len);
    end_text(parser);
}
