#include "server/completion_prompts.h"

#include <stdlib.h>

#include "core/base/err.h"
#include "server/api_error.h"
#include "server/json_fields.h"

static const char wrong[] = "a string, an array of strings or an array of token ids";

static bool read_text(const json_t *value, struct completion_prompt *out, struct api_error *error)
{
    if (json_string_length(value) == 0)
        return api_error_set(error, 400, "invalid_value", "prompt",
                             "'prompt' must have at least one character.");
    buf_append(&out->text, json_string_value(value), json_string_length(value));
    return !out->text.failed || api_error_no_memory(error);
}

static bool read_tokens(const json_t *list, int n_vocab, struct completion_prompt *out,
                        struct api_error *error)
{
    if (json_array_size(list) == 0)
        return api_error_set(error, 400, "invalid_value", "prompt",
                             "'prompt' must have at least one token.");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        if (!json_is_integer(value))
            return json_fields_wrong_type(value, "prompt", "token ids", error);
        if (json_integer_value(value) < 0 || json_integer_value(value) >= n_vocab)
            return api_error_set(error, 400, "invalid_value", "prompt",
                                 "'prompt': there is no token %lld, only 0 to %d.",
                                 (long long)json_integer_value(value), n_vocab - 1);
        struct err err;
        if (!token_list_push(&out->tokens, (int32_t)json_integer_value(value), &err))
            return api_error_no_memory(error);
    }
    return true;
}

static bool read_one(const json_t *value, int n_vocab, struct completion_prompt *out,
                     struct api_error *error)
{
    if (json_is_string(value))
        return read_text(value, out, error);
    if (json_is_array(value))
        return read_tokens(value, n_vocab, out, error);
    return json_fields_wrong_type(value, "prompt", wrong, error);
}

static bool read_all(const json_t *prompt, int n_vocab, struct completion_prompts *out,
                     struct api_error *error)
{
    bool is_list = json_is_array(prompt) && !json_is_integer(json_array_get(prompt, 0));
    size_t n = is_list ? json_array_size(prompt) : 1;
    if (n == 0)
        return api_error_set(error, 400, "empty_array", "prompt",
                             "Invalid 'prompt': empty array. Expected at least one prompt.");
    if (n > COMPLETION_MAX_PROMPTS)
        return api_error_set(error, 400, "array_above_max_length", "prompt",
                             "There may be at most %d prompts.", (int)COMPLETION_MAX_PROMPTS);
    out->items = calloc(n, sizeof *out->items);
    if (out->items == NULL)
        return api_error_no_memory(error);
    out->n = n;
    bool is_good = true;
    for (size_t i = 0; i < n && is_good; i++)
        is_good =
            read_one(is_list ? json_array_get(prompt, i) : prompt, n_vocab, &out->items[i], error);
    return is_good;
}

bool completion_prompts_read(const json_t *body, int n_vocab, struct completion_prompts *out,
                             struct api_error *error)
{
    *out = (struct completion_prompts){0};
    const json_t *prompt = json_fields_get(body, "prompt");
    if (prompt == NULL)
        return json_fields_missing("prompt", error);
    if (read_all(prompt, n_vocab, out, error))
        return true;
    completion_prompts_done(out);
    return false;
}

void completion_prompts_done(struct completion_prompts *prompts)
{
    for (size_t i = 0; i < prompts->n; i++) {
        buf_done(&prompts->items[i].text);
        token_list_done(&prompts->items[i].tokens);
    }
    free(prompts->items);
    *prompts = (struct completion_prompts){0};
}
