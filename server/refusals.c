#include "server/refusals.h"

#include <string.h>

#include "core/text/tokenizer.h"
#include "server/api_error.h"
#include "server/generation_request.h"
#include "server/json_fields.h"

static bool says_nothing(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return json_object_size(value) == 0;
    case JSON_ARRAY:
        return json_array_size(value) == 0;
    case JSON_STRING:
        return json_string_length(value) == 0;
    case JSON_INTEGER:
        return json_integer_value(value) == 0;
    case JSON_TRUE:
        return false;
    default:
        return true;
    }
}

static bool refuse_unsupported(const json_t *body, struct api_error *error)
{
    static const struct {
        const char *name, *instead;
    } fields[] = {
        {"functions", ": use 'tools'"},
        {"audio", ""},
        {"chat_template", ": the server's operator sets it"},
        {"allowed_token_ids", ": use 'logit_bias' or 'grammar'"},
        {"bad_words", ": use 'logit_bias'"},
        {"include_stop_str_in_output", ""},
        {"use_beam_search", ""},
        {"web_search_options", ""},
        {"moderation", ""},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const json_t *value = json_fields_get(body, fields[i].name);
        if (value != NULL && !says_nothing(value))
            return api_error_set(error, 400, "unsupported_parameter", fields[i].name,
                                 "'%s' is not supported by this server%s.", fields[i].name,
                                 fields[i].instead);
    }
    return true;
}

static bool check_modalities(const json_t *body, struct api_error *error)
{
    const json_t *value = json_fields_get(body, "modalities");
    if (value == NULL)
        return true;
    if (!json_is_array(value))
        return json_fields_wrong_type(value, "modalities", "an array", error);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *name = json_string_value(json_array_get(value, i));
        if (name == NULL || strcmp(name, "text") != 0)
            return api_error_set(error, 400, "unsupported_value", "modalities",
                                 "The only modality supported is text.");
    }
    return true;
}

/* vLLM's; 0 asks for those of the prompt's own tokens. */
static bool check_prompt_logprobs(const json_t *body, struct api_error *error)
{
    const json_t *value = json_fields_get(body, "prompt_logprobs");
    return value == NULL || json_is_false(value) ||
           api_error_set(error, 400, "unsupported_parameter", "prompt_logprobs",
                         "'prompt_logprobs' is not supported: this server measures what it "
                         "generates, not the prompt.");
}

/* llama.cpp's and Groq's words for thoughts that stay in the content. Their words for thoughts
 * apart are what is done. */
static bool check_reasoning_format(const json_t *body, const char *think_open,
                                   struct api_error *error)
{
    static const char *const mixed[] = {"none", "deepseek-legacy", "raw"};
    const char *format = NULL;
    if (!json_fields_string(body, "reasoning_format", &format, error))
        return false;
    for (size_t i = 0; i < sizeof mixed / sizeof mixed[0]; i++) {
        if (think_open != NULL && format != NULL && strcmp(format, mixed[i]) == 0)
            return api_error_set(error, 400, "unsupported_value", "reasoning_format",
                                 "'reasoning_format' cannot be '%s': thoughts come as "
                                 "'reasoning_content', unless the server's operator sets "
                                 "--reasoning none.",
                                 format);
    }
    return true;
}

/* vLLM's. Clients send the ids of the model's own ends, which end a turn here anyway. */
static bool check_stop_tokens(const json_t *body, const struct tokenizer *tokenizer,
                              struct api_error *error)
{
    const json_t *list = json_fields_get(body, "stop_token_ids");
    if (list == NULL || tokenizer == NULL)
        return true;
    if (!json_is_array(list))
        return json_fields_wrong_type(list, "stop_token_ids", "an array of token ids", error);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value))
            return json_fields_wrong_type(value, "stop_token_ids", "an array of token ids", error);
        bool is_known = id >= 0 && id < tokenizer_n_vocab(tokenizer);
        if (!is_known || !tokenizer_is_end(tokenizer, (int32_t)id))
            return api_error_set(error, 400, "unsupported_value", "stop_token_ids",
                                 "'stop_token_ids' may only name tokens that end this model's "
                                 "turns anyway, and %lld does not: use 'stop'.",
                                 (long long)id);
    }
    return true;
}

bool refusals_check(const json_t *body, const struct generation_defaults *defaults,
                    struct api_error *error)
{
    return refuse_unsupported(body, error) && check_modalities(body, error) &&
           check_prompt_logprobs(body, error) &&
           check_reasoning_format(body, defaults->think_open, error) &&
           check_stop_tokens(body, defaults->tokenizer, error);
}
