#include "server/tool_format.h"

#include <string.h>

/* A place in text that is not complete yet. */
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

/* {"name": "f", "arguments": { ... The key may be "parameters" as well, and Llama 3 says
 * "type": "function" first where it was shown tools with that. */
static enum tool_head read_json_head(const char *text, size_t len, struct tool_call_head *out)
{
    struct cursor c = {text, len, 0};
    static const char *const type[] = {"{", "\"type\"", ":", "\"function\"", ","};
    static const char *const before[] = {"{", "\"name\"", ":", "\""};
    enum tool_head is = take_all(&c, type, 5);
    if (is == TOOL_HEAD_MORE)
        return is;
    is = is == TOOL_HEAD_YES ? take_all(&c, before + 1, 3) : take_all(&c, before, 4);
    if (is == TOOL_HEAD_YES)
        is = take_name(&c, out);
    if (is == TOOL_HEAD_YES)
        is = take(&c, "\"");
    if (is == TOOL_HEAD_YES)
        is = take_spaced(&c, ",");
    if (is != TOOL_HEAD_YES)
        return is;
    skip_space(&c);
    struct cursor other = c;
    is = take(&c, "\"arguments\"");
    if (is == TOOL_HEAD_NO) {
        is = take(&other, "\"parameters\"");
        c = other;
    }
    if (is == TOOL_HEAD_YES)
        is = take_spaced(&c, ":");
    out->is_wrapped = true;
    return is == TOOL_HEAD_YES ? take_brace(&c, out) : is;
}

/* [CALL_ID]a1B2c3D4e, if that is what stands here. */
static enum tool_head skip_id(struct cursor *c)
{
    struct cursor after = *c;
    struct tool_call_head id;
    enum tool_head is = take(&after, "[CALL_ID]");
    if (is == TOOL_HEAD_YES)
        is = take_name(&after, &id);
    if (is == TOOL_HEAD_YES)
        *c = after;
    return is == TOOL_HEAD_MORE ? is : TOOL_HEAD_YES;
}

/* [{"name": "f", "arguments": {...}}, ...], or Mistral's since v11: f[ARGS]{...}, in one version
 * with an id before the arguments. */
static enum tool_head read_list_head(const char *text, size_t len, struct tool_call_head *out)
{
    struct cursor c = {text, len, 0};
    skip_space(&c);
    if (c.at == c.len)
        return TOOL_HEAD_MORE;
    if (c.text[c.at] == '[')
        c.at++;
    skip_space(&c);
    if (c.at == c.len)
        return TOOL_HEAD_MORE;
    if (c.text[c.at] == '{') {
        enum tool_head is = read_json_head(text + c.at, len - c.at, out);
        out->name_begin += c.at;
        out->name_end += c.at;
        out->arguments_begin += c.at;
        return is;
    }
    enum tool_head is = take_name(&c, out);
    if (is == TOOL_HEAD_YES)
        is = skip_id(&c);
    if (is == TOOL_HEAD_YES && c.text[c.at] != '{')
        is = take(&c, "[ARGS]");
    out->is_wrapped = false;
    return is == TOOL_HEAD_YES ? take_brace(&c, out) : is;
}

/* DeepSeek: function<sep>f\n```json\n{...}, later f<sep>{...}. */
static enum tool_head read_deepseek_head(const char *text, size_t len, struct tool_call_head *out)
{
    static const char separator[] = "<\xEF\xBD\x9Ctool\xE2\x96\x81sep\xEF\xBD\x9C>";
    struct cursor c = {text, len, 0};
    out->is_wrapped = false;
    enum tool_head is = take_name(&c, out);
    if (is == TOOL_HEAD_YES)
        is = take(&c, separator);
    if (is != TOOL_HEAD_YES)
        return is;
    skip_space(&c);
    struct cursor after = c;
    if (take(&c, "{") == TOOL_HEAD_YES) {
        out->arguments_begin = after.at;
        return TOOL_HEAD_YES;
    }
    c = after;
    is = take_name(&c, out);
    if (is == TOOL_HEAD_YES)
        is = take_spaced(&c, "```json");
    return is == TOOL_HEAD_YES ? take_brace(&c, out) : is;
}

static enum tool_head read_no_head(const char *text, size_t len, struct tool_call_head *out)
{
    (void)text;
    (void)len;
    (void)out;
    return TOOL_HEAD_NO;
}

enum { HERMES = 4 };

/* The most telling marker first. */
static const struct tool_format formats[] = {
    {
        .name = "mistral",
        .marker = "[TOOL_CALLS]",
        .argument_mark = "[ARGS]",
        .id_mark = "[CALL_ID]",
        .open = "[TOOL_CALLS]",
        .is_list = true,
        .force_open = "[TOOL_CALLS] [{\"name\": \"",
        .force_middle = "\", \"arguments\": ",
        .force_end = "}]",
        .call_id_prefix = "",
        .call_id_digits = 9, /* its templates insist on nine characters */
        .read_head = read_list_head,
    },
    {
        .name = "deepseek",
        .marker = "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                  "call\xE2\x96\x81"
                  "begin\xEF\xBD\x9C>",
        .open = "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                "call\xE2\x96\x81"
                "begin\xEF\xBD\x9C>",
        .close = "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                 "call\xE2\x96\x81"
                 "end\xEF\xBD\x9C>",
        .noise = {"<\xEF\xBD\x9Ctool\xE2\x96\x81"
                  "calls\xE2\x96\x81"
                  "begin\xEF\xBD\x9C>",
                  "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                  "calls\xE2\x96\x81"
                  "end\xEF\xBD\x9C>"},
        .force_open = "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                      "calls\xE2\x96\x81"
                      "begin\xEF\xBD\x9C><\xEF\xBD\x9Ctool\xE2\x96\x81"
                      "call\xE2\x96\x81"
                      "begin\xEF\xBD\x9C>function<\xEF\xBD\x9Ctool\xE2\x96\x81sep\xEF\xBD\x9C>",
        .told = &formats[HERMES],
        .force_middle = "\n```json\n",
        .force_end = "\n```",
        .call_id_prefix = "call_",
        .call_id_digits = 24,
        .fence = "```",
        .argument_mark = "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                         "sep\xEF\xBD\x9C>",
        .read_head = read_deepseek_head,
    },
    {
        .name = "granite",
        .marker = "<|tool_call|>",
        .open = "<|tool_call|>",
        .other_open = "<tool_call>", /* 3.0's; and histories are written so, for want of a form */
        .close = "</tool_call>",
        .is_list = true,
        .force_open = "<|tool_call|>[{\"name\": \"",
        .force_middle = "\", \"arguments\": ",
        .force_end = "}]",
        .call_id_prefix = "call_",
        .call_id_digits = 24,
        .read_head = read_list_head,
    },
    {
        .name = "qwen3-coder",
        .marker = "<function=",
        .open = "<tool_call>",
        .other_open = "<function=",
        .close = "</tool_call>",
        .is_xml = true,
        .force_open = "<tool_call>\n<function=",
        .force_middle = ">\n",
        .call_id_prefix = "call_",
        .call_id_digits = 24,
        .read_head = read_no_head,
    },
    [HERMES] =
        {
            .name = "hermes",
            .marker = "<tool_call>",
            .open = "<tool_call>",
            .close = "</tool_call>",
            .force_open = "<tool_call>\n{\"name\": \"",
            .force_middle = "\", \"arguments\": ",
            .force_end = "}\n</tool_call>",
            .call_id_prefix = "call_",
            .call_id_digits = 24,
            .read_head = read_json_head,
        },
    {
        .name = "llama3",
        .marker = "\"parameters\":",
        .other_open = "<|python_tag|>",
        .is_list = true,
        .force_open = "{\"name\": \"",
        .force_middle = "\", \"parameters\": ",
        .force_end = "}",
        .call_id_prefix = "call_",
        .call_id_digits = 24,
        .read_head = read_json_head,
    },
};

static const struct tool_format *const hermes = &formats[HERMES];

static bool contains(const char *text, size_t len, const char *part)
{
    return len > 0 && memmem(text, len, part, strlen(part)) != NULL;
}

const struct tool_format *tool_format_detect(const char *template, size_t len)
{
    if (!tool_format_template_has_tools(template, len))
        return hermes;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (contains(template, len, formats[i].marker))
            return &formats[i];
    }
    return contains(template, len, "<|python_tag|>") ? tool_format_find("llama3") : hermes;
}

const struct tool_format *tool_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    }
    return NULL;
}

bool tool_format_template_has_tools(const char *template, size_t len)
{
    return contains(template, len, "tools") || contains(template, len, "tool_calls");
}
