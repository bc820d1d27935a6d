#include "server/text_request.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/err.h"
#include "core/text/chat_template.h"
#include "core/text/prompt.h"
#include "server/api_error.h"
#include "server/chat_request.h"
#include "server/json_fields.h"

static void init(struct text_request *request)
{
    *request = (struct text_request){.add_generation_prompt = true, .parse_special = true};
    message_log_init(&request->messages);
    buf_init(&request->text);
}

void text_request_done(struct text_request *request)
{
    message_log_done(&request->messages);
    buf_done(&request->text);
    free(request->tools);
    free(request->kwargs);
    init(request);
}

static bool missing(const char *what, struct api_error *error)
{
    return api_error_set(error, 400, "missing_required_parameter", what,
                         "Missing required parameter: '%s'.", what);
}

void text_request_take(struct text_request *out, struct message_log *messages,
                       struct generation_request *generation)
{
    out->is_chat = true;
    out->messages = *messages;
    message_log_init(messages);
    out->tools = generation->tools.json;
    generation->tools.json = NULL;
    out->kwargs = generation->template_kwargs;
    generation->template_kwargs = NULL;
}

/* The messages, and what else goes into the prompt, have one reader, the chat endpoint's. */
static bool read_messages(enum chat_api api, const char *text, size_t len, struct text_request *out,
                          struct api_error *error)
{
    static const struct generation_defaults defaults = {.max_tokens = INT_MAX, .n_vocab = INT_MAX};
    struct chat_request chat;
    if (!chat_request_parse(api, text, len, &defaults, &chat, error))
        return false;
    out->add_generation_prompt = chat.adds_generation_prompt;
    text_request_take(out, &chat.messages, &chat.generation);
    chat_request_done(&chat);
    return true;
}

static bool read_text(const json_t *body, const char *name, struct text_request *out,
                      struct api_error *error)
{
    const json_t *value = json_fields_get(body, name);
    if (!json_is_string(value))
        return json_fields_wrong_type(value, name, "a string", error);
    buf_append(&out->text, json_string_value(value), json_string_length(value));
    return !out->text.failed || api_error_no_memory(error);
}

static bool read_tokenize(const char *text, size_t len, const json_t *body,
                          struct text_request *out, struct api_error *error)
{
    if (json_fields_get(body, "content") != NULL)
        return json_fields_bool(body, "add_special", &out->add_special, error) &&
               json_fields_bool(body, "parse_special", &out->parse_special, error) &&
               json_fields_bool(body, "with_pieces", &out->with_pieces, error) &&
               read_text(body, "content", out, error);
    out->is_vllm = true;
    out->add_special = json_fields_get(body, "messages") == NULL;
    if (!json_fields_bool(body, "add_special_tokens", &out->add_special, error) ||
        !json_fields_bool(body, "return_token_strs", &out->with_pieces, error))
        return false;
    if (json_fields_get(body, "messages") != NULL)
        return read_messages(CHAT_API_CHAT, text, len, out, error);
    return json_fields_get(body, "prompt") != NULL ? read_text(body, "prompt", out, error)
                                                   : missing("content", error);
}

bool text_request_parse_tokenize(const char *body, size_t len, struct text_request *out,
                                 struct api_error *error)
{
    json_t *root;
    if (!json_fields_parse(body, len, &root, error))
        return false;
    init(out);
    bool is_good = read_tokenize(body, len, root, out, error);
    json_decref(root);
    if (!is_good)
        text_request_done(out);
    return is_good;
}

bool text_request_parse_messages(enum chat_api api, const char *body, size_t len,
                                 struct text_request *out, struct api_error *error)
{
    init(out);
    out->add_special = true;
    bool is_good = read_messages(api, body, len, out, error);
    if (!is_good)
        text_request_done(out);
    return is_good;
}

static bool read_ids(const json_t *tokens, int n_vocab, struct token_list *out,
                     struct api_error *error)
{
    size_t i;
    const json_t *value;
    json_array_foreach(tokens, i, value)
    {
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id >= n_vocab)
            return api_error_set(error, 400, "invalid_value", "tokens",
                                 "tokens[%zu] is not a token of this model (0 to %d).", i,
                                 n_vocab - 1);
        struct err err;
        if (!token_list_push(out, (int32_t)id, &err)) {
            api_error_from(error, &err);
            return false;
        }
    }
    return true;
}

bool text_request_parse_detokenize(const char *body, size_t len, int n_vocab,
                                   struct token_list *out, struct api_error *error)
{
    json_t *root;
    if (!json_fields_parse(body, len, &root, error))
        return false;
    token_list_init(out);
    const json_t *tokens = json_fields_get(root, "tokens");
    bool is_good = tokens == NULL ? missing("tokens", error)
                   : json_is_array(tokens)
                       ? read_ids(tokens, n_vocab, out, error)
                       : json_fields_wrong_type(tokens, "tokens", "an array", error);
    json_decref(root);
    if (!is_good)
        token_list_done(out);
    return is_good;
}

static bool render_chat(const struct text_request *request, const struct chat_template *template,
                        struct prompt *out, struct err *err)
{
    size_t n = request->messages.n;
    struct chat_message *messages = calloc(n, sizeof *messages);
    if (messages == NULL)
        return err_no_memory(err, "the messages");
    for (size_t i = 0; i < n; i++)
        messages[i] = message_log_view(&request->messages, i);
    struct chat_render_options options = {
        .add_generation_prompt = request->add_generation_prompt,
        .tools = request->tools,
        .tools_len = request->tools == NULL ? 0 : strlen(request->tools),
        .kwargs = request->kwargs,
        .kwargs_len = request->kwargs == NULL ? 0 : strlen(request->kwargs),
        .now = (int64_t)time(NULL),
    };
    bool is_good = chat_template_render(template, messages, n, &options, out, err);
    free(messages);
    return is_good;
}

bool text_request_render(const struct text_request *request, const struct chat_template *template,
                         struct prompt *out, struct err *err)
{
    if (request->is_chat) {
        if (!render_chat(request, template, out, err))
            return false;
    } else if (request->parse_special) {
        prompt_append_control(out, buf_text(&request->text), request->text.len);
    } else {
        prompt_append_plain(out, buf_text(&request->text), request->text.len);
    }
    return !prompt_failed(out) || err_no_memory(err, "the prompt");
}
