#include "core/text/jinja_lexer.h"

#include <string.h>

#include "core/base/err.h"
#include "core/text/jinja_string.h"
#include "core/text/utf8.h"

void jinja_lexer_init(struct jinja_lexer *lexer, const char *text, size_t len)
{
    *lexer = (struct jinja_lexer){.text = text, .len = len, .line = 1, .is_line_start = true};
}

static bool fail(const struct jinja_lexer *lexer, struct err *err, const char *what)
{
    return err_set(err, ERR_FORMAT, "line %d: %s", lexer->line, what);
}

/* Moves on to byte `end`, counting lines. */
static void advance(struct jinja_lexer *lexer, size_t end)
{
    if (end == lexer->at)
        return;
    for (size_t i = lexer->at; i < end; i++)
        lexer->line += lexer->text[i] == '\n';
    lexer->is_line_start = lexer->text[end - 1] == '\n';
    lexer->at = end;
}

static bool is_at(const struct jinja_lexer *lexer, size_t at, const char *word)
{
    size_t len = strlen(word);
    return len <= lexer->len - at && memcmp(lexer->text + at, word, len) == 0;
}

static char char_at(const struct jinja_lexer *lexer, size_t at)
{
    return at < lexer->len ? lexer->text[at] : '\0';
}

static size_t skip_space(const struct jinja_lexer *lexer, size_t at)
{
    uint32_t point;
    size_t n;
    while ((n = utf8_decode(lexer->text + at, lexer->len - at, &point)) > 0 &&
           jinja_point_is_space(point))
        at += n;
    return at;
}

/* ---- text outside of tags ---- */

static struct jinja_token token_of(const struct jinja_lexer *lexer, enum jinja_token_type type,
                                   size_t begin, size_t end)
{
    return (struct jinja_token){type, lexer->text + begin, end - begin, lexer->line};
}

/* Where the next tag begins, or the end. */
static size_t find_tag(const struct jinja_lexer *lexer, size_t at)
{
    for (; at < lexer->len; at++) {
        const char *brace = memchr(lexer->text + at, '{', lexer->len - at);
        if (brace == NULL)
            return lexer->len;
        at = (size_t)(brace - lexer->text);
        char next = char_at(lexer, at + 1);
        if (next == '{' || next == '%' || next == '#')
            return at;
    }
    return lexer->len;
}

/* Reads "NAME %}" of a raw or endraw tag whose "{%" is at `at`; 0 for another tag. Gives where the
 * tag's name and its spaces end, at the sign before "%}". */
static size_t match_word(const struct jinja_lexer *lexer, size_t at, const char *word)
{
    at += 2;
    at += char_at(lexer, at) == '-' || char_at(lexer, at) == '+';
    at = skip_space(lexer, at);
    if (!is_at(lexer, at, word))
        return 0;
    at = skip_space(lexer, at + strlen(word));
    size_t end = at + (char_at(lexer, at) == '-' || char_at(lexer, at) == '+');
    return is_at(lexer, end, "%}") ? at : 0;
}

static size_t rstrip(const struct jinja_lexer *lexer, size_t begin, size_t end)
{
    const struct jinja_string text = {.data = lexer->text + begin, .len = end - begin};
    size_t len = text.len;
    uint32_t point;
    while (len > 0) {
        size_t n = jinja_string_point_before(&text, len, &point);
        if (!jinja_point_is_space(point))
            break;
        len -= n;
    }
    return begin + len;
}

/* Where the text from `begin` ends that the tag at `tag` follows: the tag may drop whitespace. */
static size_t strip_before(const struct jinja_lexer *lexer, size_t begin, size_t tag)
{
    char sign = char_at(lexer, tag + 2);
    if (sign == '-')
        return rstrip(lexer, begin, tag);
    if (sign == '+' || lexer->text[tag + 1] == '{')
        return tag;
    const char *newline = memrchr(lexer->text + begin, '\n', tag - begin);
    if (newline == NULL && !lexer->is_line_start)
        return tag;
    size_t line = newline == NULL ? begin : (size_t)(newline - lexer->text) + 1;
    return rstrip(lexer, line, tag) == line ? line : tag;
}

static enum jinja_lexer_state state_at(const struct jinja_lexer *lexer, size_t tag)
{
    switch (lexer->text[tag + 1]) {
    case '#':
        return JINJA_LEXER_AT_COMMENT;
    case '{':
        return JINJA_LEXER_AT_PRINT;
    default:
        return match_word(lexer, tag, "raw") > 0 ? JINJA_LEXER_AT_RAW : JINJA_LEXER_AT_BLOCK;
    }
}

static bool read_text(struct jinja_lexer *lexer, struct jinja_token *out)
{
    size_t begin = lexer->at;
    size_t tag = find_tag(lexer, begin);
    if (begin == lexer->len) {
        *out = token_of(lexer, JINJA_TOKEN_END, begin, begin);
        return true;
    }
    size_t end = tag;
    if (tag < lexer->len) {
        end = strip_before(lexer, begin, tag);
        lexer->state = state_at(lexer, tag);
    }
    *out = token_of(lexer, JINJA_TOKEN_TEXT, begin, end);
    advance(lexer, tag);
    return true;
}

/* Skips what the end of a block or comment at `at`, its sign included, drops behind itself. */
static void end_tag(struct jinja_lexer *lexer, size_t at)
{
    char sign = lexer->text[at];
    size_t end = at + 2 + (sign == '-' || sign == '+');
    if (sign == '-')
        end = skip_space(lexer, end);
    else if (sign != '+' && char_at(lexer, end) == '\n')
        end++;
    advance(lexer, end);
    lexer->state = JINJA_LEXER_OUTSIDE;
}

static bool skip_comment(struct jinja_lexer *lexer, struct err *err)
{
    size_t begin = lexer->at + 2;
    const char *end = memmem(lexer->text + begin, lexer->len - begin, "#}", 2);
    if (end == NULL)
        return fail(lexer, err, "a comment has no end");
    size_t at = (size_t)(end - lexer->text);
    if (at > begin && (lexer->text[at - 1] == '-' || lexer->text[at - 1] == '+'))
        at--;
    end_tag(lexer, at);
    return true;
}

/* Gives what stands between the raw and endraw tags. */
static bool read_raw(struct jinja_lexer *lexer, struct jinja_token *out, struct err *err)
{
    size_t begin = match_word(lexer, lexer->at, "raw");
    begin = lexer->text[begin] == '-' ? skip_space(lexer, begin + 3)
                                      : begin + 2 + (lexer->text[begin] == '+');
    advance(lexer, begin);
    for (size_t at = begin; (at = find_tag(lexer, at)) < lexer->len; at++) {
        size_t sign = lexer->text[at + 1] == '%' ? match_word(lexer, at, "endraw") : 0;
        if (sign == 0)
            continue;
        *out = token_of(lexer, JINJA_TOKEN_TEXT, begin, strip_before(lexer, begin, at));
        end_tag(lexer, sign);
        return true;
    }
    return fail(lexer, err, "a raw block has no end");
}

static void begin_tag(struct jinja_lexer *lexer, enum jinja_token_type type,
                      enum jinja_lexer_state state, struct jinja_token *out)
{
    char sign = char_at(lexer, lexer->at + 2);
    size_t len = sign == '-' || sign == '+' ? 3 : 2;
    *out = token_of(lexer, type, lexer->at, lexer->at + len);
    advance(lexer, lexer->at + len);
    lexer->state = state;
    lexer->n_open = 0;
}

/* ---- inside of tags ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

/* Digits with single underscores between them. */
static size_t skip_digits(const struct jinja_lexer *lexer, size_t at)
{
    while (is_digit(char_at(lexer, at)) ||
           (char_at(lexer, at) == '_' && is_digit(char_at(lexer, at + 1))))
        at++;
    return at;
}

static size_t skip_radix(const struct jinja_lexer *lexer, size_t at)
{
    size_t digits = at + 2;
    while (is_name_start(char_at(lexer, digits)) || is_digit(char_at(lexer, digits)))
        digits++;
    return digits;
}

static void read_number(struct jinja_lexer *lexer, struct jinja_token *out)
{
    size_t begin = lexer->at, end = skip_digits(lexer, begin);
    enum jinja_token_type type = JINJA_TOKEN_INTEGER;
    bool is_attribute = begin > 0 && lexer->text[begin - 1] == '.'; /* a.0.1 */
    char radix = (char)(char_at(lexer, begin + 1) | 0x20);
    if (end == begin + 1 && lexer->text[begin] == '0' &&
        (radix == 'x' || radix == 'o' || radix == 'b'))
        end = skip_radix(lexer, begin);
    else if (!is_attribute && char_at(lexer, end) == '.' && is_digit(char_at(lexer, end + 1))) {
        type = JINJA_TOKEN_FLOAT;
        end = skip_digits(lexer, end + 1);
    }
    if (!is_attribute && (char_at(lexer, end) | 0x20) == 'e') {
        char sign = char_at(lexer, end + 1);
        size_t exponent = end + 1 + (sign == '-' || sign == '+');
        if (is_digit(char_at(lexer, exponent))) {
            type = JINJA_TOKEN_FLOAT;
            end = skip_digits(lexer, exponent);
        }
    }
    *out = token_of(lexer, type, begin, end);
    advance(lexer, end);
}

static bool read_string(struct jinja_lexer *lexer, struct jinja_token *out, struct err *err)
{
    char quote = lexer->text[lexer->at];
    size_t begin = lexer->at + 1, end = begin;
    while (end < lexer->len && lexer->text[end] != quote)
        end += lexer->text[end] == '\\' ? 2 : 1;
    if (end >= lexer->len)
        return fail(lexer, err, "a string has no end");
    *out = token_of(lexer, JINJA_TOKEN_STRING, begin, end);
    advance(lexer, end + 1);
    return true;
}

static bool balance(struct jinja_lexer *lexer, char c, struct err *err)
{
    const char *pair = c == '\0' ? NULL : strchr("()[]{}", c);
    if (pair == NULL)
        return true;
    if (c == '(' || c == '[' || c == '{') {
        if (lexer->n_open == JINJA_LEXER_MAX_OPEN)
            return fail(lexer, err, "too many brackets are open");
        lexer->open[lexer->n_open++] = pair[1];
        return true;
    }
    if (lexer->n_open == 0 || lexer->open[--lexer->n_open] != c)
        return fail(lexer, err, "a closing bracket does not fit");
    return true;
}

static bool read_sign(struct jinja_lexer *lexer, struct jinja_token *out, struct err *err)
{
    static const char *const doubles[] = {"//", "**", "==", "!=", ">=", "<="};
    char c = lexer->text[lexer->at];
    size_t len = 0;
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        if (is_at(lexer, lexer->at, doubles[i]))
            len = 2;
    }
    if (len == 0 && c != '\0' && strchr("+-/*%~[](){}<>=.:|,;", c) != NULL)
        len = 1;
    if (len == 0)
        return fail(lexer, err, "a character that has no meaning here");
    *out = token_of(lexer, JINJA_TOKEN_SIGN, lexer->at, lexer->at + len);
    advance(lexer, lexer->at + len);
    return len == 2 || balance(lexer, c, err);
}

/* True, with the token, when the tag ends here. */
static bool read_tag_end(struct jinja_lexer *lexer, struct jinja_token *out)
{
    bool is_print = lexer->state == JINJA_LEXER_IN_PRINT;
    char sign = lexer->text[lexer->at];
    size_t at = lexer->at + (sign == '-' || (sign == '+' && !is_print));
    if (lexer->n_open > 0 || !is_at(lexer, at, is_print ? "}}" : "%}"))
        return false;
    *out = token_of(lexer, is_print ? JINJA_TOKEN_PRINT_END : JINJA_TOKEN_BLOCK_END, lexer->at,
                    at + 2);
    if (!is_print) {
        end_tag(lexer, lexer->at);
        return true;
    }
    advance(lexer, sign == '-' ? skip_space(lexer, at + 2) : at + 2);
    lexer->state = JINJA_LEXER_OUTSIDE;
    return true;
}

static bool read_inside(struct jinja_lexer *lexer, struct jinja_token *out, struct err *err)
{
    advance(lexer, skip_space(lexer, lexer->at));
    if (lexer->at == lexer->len)
        return fail(lexer, err, "a tag has no end");
    if (read_tag_end(lexer, out))
        return true;
    char c = lexer->text[lexer->at];
    if (is_digit(c)) {
        read_number(lexer, out);
        return true;
    }
    if (c == '\'' || c == '"')
        return read_string(lexer, out, err);
    if (!is_name_start(c))
        return read_sign(lexer, out, err);
    size_t end = lexer->at;
    while (is_name_start(char_at(lexer, end)) || is_digit(char_at(lexer, end)))
        end++;
    *out = token_of(lexer, JINJA_TOKEN_NAME, lexer->at, end);
    advance(lexer, end);
    return true;
}

bool jinja_lexer_next(struct jinja_lexer *lexer, struct jinja_token *out, struct err *err)
{
    switch (lexer->state) {
    case JINJA_LEXER_AT_COMMENT:
        if (!skip_comment(lexer, err))
            return false;
        return read_text(lexer, out);
    case JINJA_LEXER_AT_RAW:
        return read_raw(lexer, out, err);
    case JINJA_LEXER_AT_PRINT:
        begin_tag(lexer, JINJA_TOKEN_PRINT_BEGIN, JINJA_LEXER_IN_PRINT, out);
        return true;
    case JINJA_LEXER_AT_BLOCK:
        begin_tag(lexer, JINJA_TOKEN_BLOCK_BEGIN, JINJA_LEXER_IN_BLOCK, out);
        return true;
    case JINJA_LEXER_IN_PRINT:
    case JINJA_LEXER_IN_BLOCK:
        return read_inside(lexer, out, err);
    default:
        return read_text(lexer, out);
    }
}
