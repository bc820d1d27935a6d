#include "server/tool_text.h"
#include "server/json_load.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 128 };

size_t tool_text_spaces(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && (text[n] == ' ' || text[n] == '\n' || text[n] == '\t' || text[n] == '\r'))
        n++;
    return n;
}

static size_t trimmed_len(const char *text, size_t len)
{
    while (len > 0 && tool_text_spaces(text + len - 1, 1) == 1)
        len--;
    return len;
}

/* Takes `arguments` over. */
static bool add_call(json_t *calls, const json_t *name, json_t *arguments)
{
    bool is_good = json_is_string(name) && json_string_length(name) > 0 &&
                   json_string_length(name) <= MAX_NAME && json_is_object(arguments);
    char *text = is_good ? json_dumps(arguments, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(arguments);
    if (text == NULL)
        return false;
    json_t *call = json_pack("{s:O, s:s}", "name", name, "arguments", text);
    free(text);
    return json_array_append_new(calls, call) == 0;
}

static json_t *read_arguments(const json_t *call)
{
    json_t *arguments = json_object_get(call, "arguments");
    if (arguments == NULL)
        arguments = json_object_get(call, "parameters");
    if (arguments == NULL)
        return json_object();
    if (json_is_string(arguments))
        return json_load_text(json_string_value(arguments), json_string_length(arguments),
                              JSON_ALLOW_NUL, NULL);
    return json_incref(arguments);
}

static json_t *read_json(const char *text, size_t len)
{
    json_t *root = json_load_text(text, len, JSON_ALLOW_NUL, NULL);
    if (root == NULL)
        return NULL;
    json_t *calls = json_array();
    size_t n = json_is_array(root) ? json_array_size(root) : 1;
    bool is_good = n > 0;
    for (size_t i = 0; i < n && is_good; i++) {
        const json_t *one = json_is_array(root) ? json_array_get(root, i) : root;
        const json_t *name = json_object_get(one, "name");
        if (name == NULL)
            name = json_object_get(one, "tool_name");
        is_good = json_is_object(one) && add_call(calls, name, read_arguments(one));
    }
    json_decref(root);
    if (!is_good) {
        json_decref(calls);
        return NULL;
    }
    return calls;
}

/* ---- XML, as far as models write it ---- */

/* A call is open NAME open_end (key_open KEY key_end value_open VALUE value_end)* close. */
struct pair_marks {
    const char *open, *open_end; /* NULL: none */
    const char *key_open, *key_end;
    const char *value_open, *value_end; /* the first may be NULL */
    const char *close;                  /* may be NULL */
};

struct text {
    const char *at;
    size_t len;
};

static bool skip(struct text *text, const char *word)
{
    size_t n = tool_text_spaces(text->at, text->len);
    size_t word_len = strlen(word);
    if (text->len - n < word_len || memcmp(text->at + n, word, word_len) != 0)
        return false;
    text->at += n + word_len;
    text->len -= n + word_len;
    return true;
}

/* What comes before `word`, which is skipped. */
static bool take_until(struct text *text, const char *word, struct text *out)
{
    const char *end = memmem(text->at, text->len, word, strlen(word));
    if (end == NULL)
        return false;
    *out = (struct text){text->at, (size_t)(end - text->at)};
    text->len -= out->len + strlen(word);
    text->at = end + strlen(word);
    return true;
}

/* Numbers, booleans, objects and arrays are written as JSON; all else is a string, whose own line
 * ends around it are the format's. */
static json_t *read_value(struct text value)
{
    if (value.len > 0 && value.at[0] == '\n') {
        value.at++;
        value.len--;
    }
    if (value.len > 0 && value.at[value.len - 1] == '\n')
        value.len--;
    json_t *json = json_load_text(value.at, value.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (json != NULL && !json_is_string(json))
        return json;
    json_decref(json);
    return json_stringn(value.at, value.len);
}

static bool read_pair(struct text *text, const struct pair_marks *marks, json_t *arguments)
{
    struct text key, value;
    return take_until(text, marks->key_end, &key) &&
           (marks->value_open == NULL || skip(text, marks->value_open)) &&
           take_until(text, marks->value_end, &value) &&
           json_object_setn_new(arguments, key.at, trimmed_len(key.at, key.len),
                                read_value(value)) == 0;
}

/* Behind the name. */
static bool read_pairs(struct text *text, const struct pair_marks *marks, struct text name,
                       json_t *calls)
{
    json_t *arguments = json_object();
    bool is_good = true;
    while (is_good && skip(text, marks->key_open))
        is_good = read_pair(text, marks, arguments);
    is_good = is_good && (marks->close == NULL || skip(text, marks->close) || text->len == 0);
    json_t *name_json = json_stringn(name.at, trimmed_len(name.at, name.len));
    if (is_good)
        is_good = add_call(calls, name_json, arguments);
    else
        json_decref(arguments);
    json_decref(name_json);
    return is_good;
}

/* <function=name>, <invoke name="name"> */
static bool read_element(struct text *text, const struct pair_marks *marks, json_t *calls)
{
    struct text name;
    return skip(text, marks->open) && take_until(text, marks->open_end, &name) &&
           read_pairs(text, marks, name, calls);
}

/* The name is all before the first key. */
static bool read_bare(struct text *text, const struct pair_marks *marks, json_t *calls)
{
    const char *key = memmem(text->at, text->len, marks->key_open, strlen(marks->key_open));
    struct text name = {text->at, key == NULL ? text->len : (size_t)(key - text->at)};
    text->at += name.len;
    text->len -= name.len;
    name.len = trimmed_len(name.at, name.len);
    for (size_t i = 0; i < name.len; i++) {
        if (tool_text_spaces(name.at + i, 1) > 0)
            return false;
    }
    return read_pairs(text, marks, name, calls);
}

static json_t *read_marked(const struct pair_marks *marks, const char *text, size_t len)
{
    struct text rest = {text, trimmed_len(text, len)};
    json_t *calls = json_array();
    bool is_good = rest.len > 0;
    while (rest.len > 0 && is_good) {
        is_good = marks->open == NULL ? read_bare(&rest, marks, calls)
                                      : read_element(&rest, marks, calls);
        skip(&rest, "</tool_call>");
        skip(&rest, "<tool_call>");
    }
    if (!is_good) {
        json_decref(calls);
        return NULL;
    }
    return calls;
}

json_t *tool_text_read(enum tool_syntax syntax, const char *text, size_t len)
{
    static const struct pair_marks marks[] = {
        [TOOL_SYNTAX_FUNCTION] = {.open = "<function=",
                                  .open_end = ">",
                                  .key_open = "<parameter=",
                                  .key_end = ">",
                                  .value_end = "</parameter>",
                                  .close = "</function>"},
        [TOOL_SYNTAX_INVOKE] = {.open = "<invoke name=\"",
                                .open_end = "\">",
                                .key_open = "<parameter name=\"",
                                .key_end = "\">",
                                .value_end = "</parameter>",
                                .close = "</invoke>"},
        [TOOL_SYNTAX_PAIRS] = {.key_open = "<arg_key>",
                               .key_end = "</arg_key>",
                               .value_open = "<arg_value>",
                               .value_end = "</arg_value>"},
    };
    if (syntax == TOOL_SYNTAX_JSON)
        return read_json(text, len);
    return syntax <= TOOL_SYNTAX_MARKED ? NULL : read_marked(&marks[syntax], text, len);
}
