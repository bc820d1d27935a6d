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

json_t *tool_text_read_json(const char *text, size_t len)
{
    json_t *root = json_load_text(text, len, JSON_ALLOW_NUL, NULL);
    if (root == NULL)
        return NULL;
    json_t *calls = json_array();
    size_t n = json_is_array(root) ? json_array_size(root) : 1;
    bool is_good = n > 0;
    for (size_t i = 0; i < n && is_good; i++) {
        const json_t *one = json_is_array(root) ? json_array_get(root, i) : root;
        is_good = json_is_object(one) &&
                  add_call(calls, json_object_get(one, "name"), read_arguments(one));
    }
    json_decref(root);
    if (!is_good) {
        json_decref(calls);
        return NULL;
    }
    return calls;
}

/* ---- XML, as far as models write it ---- */

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

static bool read_function(struct text *text, json_t *calls)
{
    struct text name, key, value;
    if (!skip(text, "<function=") || !take_until(text, ">", &name))
        return false;
    json_t *arguments = json_object();
    while (skip(text, "<parameter=")) {
        if (!take_until(text, ">", &key) || !take_until(text, "</parameter>", &value) ||
            json_object_setn_new(arguments, key.at, key.len, read_value(value)) != 0) {
            json_decref(arguments);
            return false;
        }
    }
    json_t *name_json = json_stringn(name.at, trimmed_len(name.at, name.len));
    bool is_good = skip(text, "</function>") || text->len == 0;
    if (is_good)
        is_good = add_call(calls, name_json, arguments);
    else
        json_decref(arguments);
    json_decref(name_json);
    return is_good;
}

json_t *tool_text_read_xml(const char *text, size_t len)
{
    struct text rest = {text, trimmed_len(text, len)};
    json_t *calls = json_array();
    bool is_good = rest.len > 0;
    while (rest.len > 0 && is_good) {
        is_good = read_function(&rest, calls);
        skip(&rest, "</tool_call>");
        skip(&rest, "<tool_call>");
    }
    if (!is_good) {
        json_decref(calls);
        return NULL;
    }
    return calls;
}
