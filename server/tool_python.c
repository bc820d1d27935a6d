#include "server/tool_python.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/json_load.h"

enum state {
    AT_ITEM,   /* a name, a key or a value may begin, or the bracket close */
    IN_NAME,   /* of an argument */
    AT_EQUALS, /* behind it */
    AT_VALUE,  /* of an argument or a key */
    IN_STRING,
    IN_ESCAPE,
    IN_OPENING, /* of a string: its mark */
    IN_MARKED,  /* such a string */
    IN_WORD,
    BEHIND_KEY,
    BEHIND_VALUE,
};

void tool_python_init(struct tool_python *python, const char *mark)
{
    *python = (struct tool_python){
        .state = AT_ITEM, .mark = mark, .open = {mark == NULL ? '(' : '{'}, .depth = 1};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Where strings have marks a word ends only at what must follow it. */
static bool is_word_char(const struct tool_python *python, char c)
{
    if (python->mark != NULL)
        return strchr(python->is_key ? ":}" : ",]}", c) == NULL && c != python->mark[0];
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '.' || (unsigned char)c >= 0x80;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_call(const struct tool_python *python)
{
    return python->depth == 1 && python->open[0] == '(';
}

/* ---- what is written ---- */

static void write_text(const char *text, size_t len, struct buf *out)
{
    json_t *string = json_stringn(text, len);
    char *json = string == NULL ? NULL : json_dumps(string, JSON_ENCODE_ANY);
    buf_append_text(out, json == NULL ? "\"\"" : json);
    free(json);
    json_decref(string);
}

static bool is_json(const char *word, size_t len)
{
    json_t *value = json_load_text(word, len, JSON_DECODE_ANY, NULL);
    bool is_scalar = value != NULL && !json_is_string(value);
    json_decref(value);
    return is_scalar;
}

/* Python's numbers that JSON does not know: 1_000, +5, .5, 5. Of each byte become three at most. */
static size_t mend_number(const char *word, size_t len, char *out)
{
    size_t n = 0;
    bool is_bare = true;
    for (size_t i = 0; i < len; i++) {
        char c = word[i];
        bool is_digit = c >= '0' && c <= '9';
        if (c == '_' || (c == '+' && i == 0))
            continue;
        if (c == '.' && is_bare)
            out[n++] = '0';
        out[n++] = c;
        if (c == '.' && (i + 1 == len || word[i + 1] < '0' || word[i + 1] > '9'))
            out[n++] = '0';
        is_bare = !is_digit && (is_bare || c == '.');
    }
    return n;
}

static void write_word(const char *word, size_t len, bool is_key, struct buf *out)
{
    static const char *const words[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"}};
    char number[TOOL_PYTHON_MAX_WORD * 3];
    size_t n_number = mend_number(word, len, number);
    for (size_t i = 0; i < 3 && !is_key; i++) {
        if (strlen(words[i][0]) == len && memcmp(words[i][0], word, len) == 0) {
            buf_append_text(out, words[i][1]);
            return;
        }
    }
    if (!is_key && is_json(word, len))
        buf_append(out, word, len);
    else if (!is_key && is_json(number, n_number))
        buf_append(out, number, n_number);
    else
        write_text(word, len, out);
}

/* ---- strings ---- */

static void write_char(char c, struct buf *out)
{
    if (c == '"' || c == '\\')
        buf_append_format(out, "\\%c", c);
    else if ((unsigned char)c < 0x20)
        buf_append_format(out, "\\u%04x", (unsigned)(unsigned char)c);
    else
        buf_append_char(out, c);
}

/* Of an escape that is not known Python keeps both characters. */
static void write_escape(char c, struct buf *out)
{
    switch (c) {
    case 'n':
    case 't':
    case 'r':
    case 'b':
    case 'f':
    case '"':
    case '\\':
    case '/':
        buf_append_format(out, "\\%c", c);
        break;
    case '\'':
        buf_append_char(out, c);
        break;
    case '0':
    case 'a':
    case 'v':
        buf_append_text(out, c == '0' ? "\\u0000" : c == 'a' ? "\\u0007" : "\\u000b");
        break;
    case '\n':
        break;
    default:
        buf_append_text(out, "\\\\");
        write_char(c, out);
    }
}

/* Half of a pair is no character: then it stands for one that is not known. */
static void end_half(struct tool_python *python, struct buf *out)
{
    if (python->half != 0)
        buf_append_text(out, "\\ufffd");
    python->half = 0;
}

static void write_unit(struct tool_python *python, unsigned unit, struct buf *out)
{
    bool is_first = unit >= 0xD800 && unit < 0xDC00, is_second = unit >= 0xDC00 && unit < 0xE000;
    if (is_second && python->half != 0) {
        buf_append_format(out, "\\u%04x\\u%04x", python->half, unit);
        python->half = 0;
        return;
    }
    end_half(python, out);
    if (is_first)
        python->half = unit;
    else
        buf_append_format(out, "\\u%04x", is_second ? 0xFFFD : unit);
}

static void end_value(struct tool_python *python)
{
    python->state = python->is_key ? BEHIND_KEY : BEHIND_VALUE;
}

static void end_string(struct tool_python *python, struct buf *out)
{
    end_half(python, out);
    buf_append_char(out, '"');
    python->n_mark = 0;
    end_value(python);
}

static void string_byte(struct tool_python *python, char c, struct buf *out)
{
    if (c != '\\')
        end_half(python, out);
    if (c == python->quote) {
        end_string(python, out);
    } else if (c == '\\') {
        python->state = IN_ESCAPE;
    } else {
        write_char(c, out);
    }
}

/* What may be its closing mark is held back. */
static void marked_byte(struct tool_python *python, char c, struct buf *out)
{
    if (c != python->mark[python->n_mark]) {
        for (int i = 0; i < python->n_mark; i++)
            write_char(python->mark[i], out);
        python->n_mark = 0;
    }
    if (c != python->mark[python->n_mark])
        write_char(c, out);
    else if (python->mark[++python->n_mark] == '\0')
        end_string(python, out);
}

static bool opening_byte(struct tool_python *python, char c)
{
    if (c != python->mark[python->n_mark])
        return false;
    if (python->mark[++python->n_mark] != '\0')
        return true;
    python->n_mark = 0;
    python->state = IN_MARKED;
    return true;
}

/* \xHH and \uHHHH: complete with their digits, and no escapes without them. */
static void escape_byte(struct tool_python *python, char c, struct buf *out)
{
    int n_wanted = python->n_word == 0 ? 0 : python->word[0] == 'x' ? 2 : 4;
    if (n_wanted == 0 && c != 'x' && c != 'u') {
        end_half(python, out);
        write_escape(c, out);
        python->state = IN_STRING;
        return;
    }
    if (n_wanted > 0 && !is_hex(c)) {
        end_half(python, out);
        buf_append_text(out, "\\\\");
        buf_append(out, python->word, (size_t)python->n_word);
        python->n_word = 0;
        python->state = IN_STRING;
        string_byte(python, c, out);
        return;
    }
    python->word[python->n_word++] = c;
    if (n_wanted == 0 || python->n_word < 1 + n_wanted)
        return;
    python->word[python->n_word] = '\0';
    write_unit(python, (unsigned)strtoul(python->word + 1, NULL, 16), out);
    python->n_word = 0;
    python->state = IN_STRING;
}

/* ---- items ---- */

static void begin_item(struct tool_python *python, struct buf *out)
{
    if (python->has_items)
        buf_append_text(out, ", ");
    else if (python->depth == 1)
        buf_append_char(out, '{');
    python->has_items = true;
}

static bool take_word_char(struct tool_python *python, char c)
{
    if (!is_word_char(python, c) || python->n_word == TOOL_PYTHON_MAX_WORD)
        return false;
    python->word[python->n_word++] = c;
    return true;
}

static void end_name(struct tool_python *python, struct buf *out)
{
    begin_item(python, out);
    write_text(python->word, (size_t)python->n_word, out);
    buf_append_text(out, ": ");
    python->n_word = 0;
    python->is_key = false;
    python->state = AT_VALUE;
}

static void end_word(struct tool_python *python, struct buf *out)
{
    while (is_space(python->word[python->n_word - 1]))
        python->n_word--;
    write_word(python->word, (size_t)python->n_word, python->is_key, out);
    python->n_word = 0;
    end_value(python);
}

static char closer_of(char bracket)
{
    return bracket == '(' ? ')' : bracket == '[' ? ']' : '}';
}

static void close_bracket(struct tool_python *python, struct buf *out)
{
    char bracket = python->open[--python->depth];
    if (python->depth == 0)
        buf_append_text(out, python->has_items ? "}" : "{}");
    else
        buf_append_char(out, bracket == '{' ? '}' : ']');
    python->has_items = true;
    python->state = BEHIND_VALUE;
}

static bool begin_value(struct tool_python *python, char c, struct buf *out)
{
    bool is_bracket = c == '[' || c == '(' || c == '{';
    bool is_string = c == '"' || c == '\'';
    bool is_marked = python->mark != NULL && c == python->mark[0];
    if ((!is_bracket && !is_string && !is_marked && !is_word_char(python, c)) ||
        (is_bracket && (python->is_key || python->depth == TOOL_PYTHON_MAX_DEPTH)))
        return false;
    if (python->state == AT_ITEM)
        begin_item(python, out);
    if (is_bracket) {
        python->open[python->depth++] = c;
        python->has_items = false;
        python->state = AT_ITEM;
        buf_append_char(out, c == '{' ? '{' : '[');
    } else if (is_string || is_marked) {
        python->quote = c;
        python->n_mark = is_marked;
        python->state = is_marked ? IN_OPENING : IN_STRING;
        buf_append_char(out, '"');
    } else {
        python->state = IN_WORD;
        take_word_char(python, c);
    }
    return true;
}

static bool begin_in_bracket(struct tool_python *python, char c, struct buf *out)
{
    python->is_key = python->open[python->depth - 1] == '{';
    if (!is_call(python))
        return begin_value(python, c, out);
    python->state = IN_NAME;
    return take_word_char(python, c);
}

/* Between items; `is_behind` one. */
static bool bracket_byte(struct tool_python *python, char c, bool is_behind, struct buf *out)
{
    if (c == closer_of(python->open[python->depth - 1])) {
        close_bracket(python, out);
        return true;
    }
    if (!is_behind)
        return begin_in_bracket(python, c, out);
    python->state = AT_ITEM;
    return c == ',';
}

static bool name_byte(struct tool_python *python, char c, struct buf *out)
{
    if (c == '=')
        end_name(python, out);
    else if (is_space(c))
        python->state = AT_EQUALS;
    else
        return python->state == IN_NAME && take_word_char(python, c);
    return true;
}

static bool is_in_string(const struct tool_python *python)
{
    return python->state >= IN_STRING && python->state <= IN_MARKED;
}

static bool push(struct tool_python *python, char c, struct buf *out)
{
    if (python->state == IN_WORD) {
        if (is_word_char(python, c))
            return take_word_char(python, c);
        end_word(python, out);
    }
    if (!is_in_string(python) && is_space(c) && python->state != IN_NAME)
        return true;
    switch ((enum state)python->state) {
    case AT_ITEM:
        return bracket_byte(python, c, false, out);
    case BEHIND_VALUE:
        return bracket_byte(python, c, true, out);
    case IN_NAME:
    case AT_EQUALS:
        return name_byte(python, c, out);
    case AT_VALUE:
        return begin_value(python, c, out);
    case BEHIND_KEY:
        buf_append_text(out, c == ':' ? ": " : "");
        python->state = c == ':' ? AT_VALUE : BEHIND_KEY;
        python->is_key = false;
        return c == ':';
    case IN_STRING:
        string_byte(python, c, out);
        return true;
    case IN_OPENING:
        return opening_byte(python, c);
    case IN_MARKED:
        marked_byte(python, c, out);
        return true;
    default:
        escape_byte(python, c, out);
        return true;
    }
}

enum tool_python_result tool_python_push(struct tool_python *python, char c, struct buf *out)
{
    if (!push(python, c, out))
        return TOOL_PYTHON_FAIL;
    return python->depth == 0 ? TOOL_PYTHON_END : TOOL_PYTHON_MORE;
}

void tool_python_close(struct tool_python *python, struct buf *out)
{
    bool needs_value = python->state == AT_VALUE;
    if (is_in_string(python))
        end_string(python, out);
    if (python->state == IN_WORD)
        end_word(python, out);
    if (python->state == BEHIND_KEY)
        buf_append_text(out, ": ");
    if (python->state == BEHIND_KEY || needs_value)
        buf_append_text(out, "null");
    while (python->depth > 0)
        close_bracket(python, out);
}
