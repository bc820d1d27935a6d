#include "server/tool_head.h"

#include <string.h>

#include "server/tool_format.h"

struct cursor {
    const char *text;
    size_t len, at;
};

static void skip_space(struct cursor *c)
{
    while (c->at < c->len && strchr(" \t\r\n", c->text[c->at]) != NULL && c->text[c->at] != '\0')
        c->at++;
}

/* Whether `word` stands here; MORE when the text ends inside it. */
static enum tool_head take(struct cursor *c, const char *word)
{
    size_t n = strlen(word);
    size_t left = c->len - c->at;
    size_t n_compared = n < left ? n : left;
    if (memcmp(c->text + c->at, word, n_compared) != 0)
        return TOOL_HEAD_NO;
    if (left < n)
        return TOOL_HEAD_MORE;
    c->at += n;
    return TOOL_HEAD_YES;
}

static enum tool_head take_spaced(struct cursor *c, const char *word)
{
    skip_space(c);
    return take(c, word);
}

/* One after the other; the cursor stays where it is unless all are there. */
static enum tool_head take_all(struct cursor *c, const char *const *words, size_t n)
{
    struct cursor after = *c;
    enum tool_head is = TOOL_HEAD_YES;
    for (size_t i = 0; i < n && is == TOOL_HEAD_YES; i++)
        is = take_spaced(&after, words[i]);
    if (is == TOOL_HEAD_YES)
        *c = after;
    return is;
}

/* The first of `words` that stands here; MORE when only more text can tell. */
static enum tool_head take_one(struct cursor *c, const char *const *words, size_t n)
{
    enum tool_head best = TOOL_HEAD_NO;
    skip_space(c);
    for (size_t i = 0; i < n; i++) {
        enum tool_head is = take(c, words[i]);
        if (is == TOOL_HEAD_YES)
            return is;
        best = is > best ? is : best;
    }
    return best;
}

static bool is_name_char(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           ch == '_' || ch == '-' || ch == '.';
}

static enum tool_head take_name(struct cursor *c, struct tool_call_head *out)
{
    out->name_begin = c->at;
    while (c->at < c->len && is_name_char(c->text[c->at]))
        c->at++;
    out->name_end = c->at;
    if (c->at == c->len)
        return TOOL_HEAD_MORE;
    return out->name_end > out->name_begin ? TOOL_HEAD_YES : TOOL_HEAD_NO;
}

static enum tool_head take_brace(struct cursor *c, struct tool_call_head *out)
{
    skip_space(c);
    out->arguments_begin = c->at;
    return take(c, "{");
}

/* ---- JSON ---- */

/* "tool_call_id": "0", if that is what stands here: Command R counts its calls. */
static enum tool_head skip_id_member(struct cursor *c)
{
    static const char *const key[] = {"\"tool_call_id\"", ":", "\""};
    static const char *const end[] = {"\"", ","};
    struct cursor after = *c;
    struct tool_call_head id;
    enum tool_head is = take_all(&after, key, 3);
    if (is == TOOL_HEAD_YES)
        is = take_name(&after, &id);
    if (is == TOOL_HEAD_YES)
        is = take_all(&after, end, 2);
    if (is == TOOL_HEAD_YES)
        *c = after;
    return is;
}

/* What may stand before the name. Llama 3 says that its call is one of a function where it was
 * shown tools with that. */
static enum tool_head skip_members(struct cursor *c)
{
    static const char *const type[] = {"\"type\"", ":", "\"function\"", ","};
    enum tool_head is_type = take_all(c, type, 4);
    enum tool_head is_id = is_type == TOOL_HEAD_YES ? TOOL_HEAD_NO : skip_id_member(c);
    skip_space(c);
    bool is_more = is_type == TOOL_HEAD_MORE || is_id == TOOL_HEAD_MORE || c->at == c->len;
    return is_more ? TOOL_HEAD_MORE : TOOL_HEAD_YES;
}

static enum tool_head take_quoted_name(struct cursor *c, struct tool_call_head *out)
{
    static const char *const keys[] = {"\"name\"", "\"tool_name\""};
    static const char *const before[] = {":", "\""};
    enum tool_head is = take_one(c, keys, 2);
    if (is == TOOL_HEAD_YES)
        is = take_all(c, before, 2);
    if (is == TOOL_HEAD_YES)
        is = take_name(c, out);
    return is == TOOL_HEAD_YES ? take(c, "\"") : is;
}

enum tool_head tool_head_json(const struct tool_format *format, const char *text, size_t len,
                              struct tool_call_head *out)
{
    (void)format;
    static const char *const keys[] = {"\"arguments\"", "\"parameters\""};
    struct cursor c = {text, len, 0};
    enum tool_head is = take_spaced(&c, "{");
    if (is == TOOL_HEAD_YES)
        is = skip_members(&c);
    if (is == TOOL_HEAD_YES)
        is = take_quoted_name(&c, out);
    if (is == TOOL_HEAD_YES)
        is = take_spaced(&c, ",");
    if (is == TOOL_HEAD_YES)
        is = take_one(&c, keys, 2);
    if (is == TOOL_HEAD_YES)
        is = take_spaced(&c, ":");
    out->is_wrapped = true;
    return is == TOOL_HEAD_YES ? take_brace(&c, out) : is;
}

/* ---- a name ---- */

/* [CALL_ID]a1B2c3D4e, if that is what stands here. */
static enum tool_head skip_id(struct cursor *c, const char *mark)
{
    struct cursor after = *c;
    struct tool_call_head id;
    enum tool_head is = mark == NULL ? TOOL_HEAD_NO : take(&after, mark);
    if (is == TOOL_HEAD_YES)
        is = take_name(&after, &id);
    if (is == TOOL_HEAD_YES)
        *c = after;
    return is == TOOL_HEAD_MORE ? is : TOOL_HEAD_YES;
}

/* Of a name that says where it belongs, the name alone. */
static void drop_prefix(const char *text, const char *prefix, struct tool_call_head *out)
{
    size_t n = prefix == NULL ? 0 : strlen(prefix);
    if (n > 0 && out->name_end - out->name_begin > n &&
        memcmp(text + out->name_begin, prefix, n) == 0)
        out->name_begin += n;
}

/* The mark may be missing. */
static enum tool_head take_named(struct cursor *c, const struct tool_format *format,
                                 struct tool_call_head *out)
{
    enum tool_head is = take_name(c, out);
    if (is == TOOL_HEAD_YES)
        is = skip_id(c, format->id_mark);
    if (is == TOOL_HEAD_YES && c->text[c->at] != '{')
        is = format->argument_mark == NULL ? TOOL_HEAD_NO : take(c, format->argument_mark);
    drop_prefix(c->text, format->name_prefix, out);
    out->is_wrapped = false;
    return is == TOOL_HEAD_YES ? take_brace(c, out) : is;
}

enum tool_head tool_head_named(const struct tool_format *format, const char *text, size_t len,
                               struct tool_call_head *out)
{
    struct cursor c = {text, len, 0};
    return take_named(&c, format, out);
}

enum tool_head tool_head_list(const struct tool_format *format, const char *text, size_t len,
                              struct tool_call_head *out)
{
    struct cursor c = {text, len, 0};
    enum tool_head is = take_spaced(&c, "[");
    skip_space(&c);
    if (is == TOOL_HEAD_MORE || c.at == c.len)
        return TOOL_HEAD_MORE;
    if (c.text[c.at] != '{')
        return take_named(&c, format, out);
    is = tool_head_json(format, text + c.at, len - c.at, out);
    out->name_begin += c.at;
    out->name_end += c.at;
    out->arguments_begin += c.at;
    return is;
}

/* ---- Python ---- */

/* What tells arguments from a word in brackets: a keyword with '=', or none at all. */
static enum tool_head see_keyword(struct cursor c)
{
    struct tool_call_head keyword;
    skip_space(&c);
    if (c.at < c.len && c.text[c.at] == ')')
        return TOOL_HEAD_YES;
    enum tool_head is = take_name(&c, &keyword);
    return is == TOOL_HEAD_YES ? take_spaced(&c, "=") : is;
}

enum tool_head tool_head_python(const struct tool_format *format, const char *text, size_t len,
                                struct tool_call_head *out)
{
    (void)format;
    struct cursor c = {text, len, 0};
    take_spaced(&c, "[");
    skip_space(&c);
    enum tool_head is = take_name(&c, out);
    if (is == TOOL_HEAD_YES)
        is = take(&c, "(");
    out->is_wrapped = false;
    out->is_python = true;
    out->arguments_begin = c.at;
    return is == TOOL_HEAD_YES ? see_keyword(c) : is;
}

enum tool_head tool_head_marked(const struct tool_format *format, const char *text, size_t len,
                                struct tool_call_head *out)
{
    (void)format;
    struct cursor c = {text, len, 0};
    enum tool_head is = take_spaced(&c, "call:");
    skip_space(&c);
    if (is == TOOL_HEAD_YES)
        is = take_name(&c, out);
    out->is_wrapped = false;
    out->is_python = true;
    if (is == TOOL_HEAD_YES)
        is = take_spaced(&c, "{");
    out->arguments_begin = c.at;
    return is;
}

enum tool_head tool_head_bare(const struct tool_format *format, const char *text, size_t len,
                              struct tool_call_head *out)
{
    struct cursor c = {text, len, 0};
    skip_space(&c);
    bool is_json = c.at < len && text[c.at] == '{';
    return is_json ? tool_head_json(format, text, len, out)
                   : tool_head_python(format, text, len, out);
}

enum tool_head tool_head_fenced(const struct tool_format *format, const char *text, size_t len,
                                struct tool_call_head *out)
{
    struct cursor c = {text, len, 0};
    enum tool_head is = take_named(&c, format, out);
    if (is != TOOL_HEAD_NO || c.at == 0 || c.at == len)
        return is;
    is = take_name(&c, out);
    if (is == TOOL_HEAD_YES)
        is = take_spaced(&c, "```json");
    return is == TOOL_HEAD_YES ? take_brace(&c, out) : is;
}
