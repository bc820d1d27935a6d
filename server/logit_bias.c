#include "server/logit_bias.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/text/prompt.h"
#include "core/text/sampler.h"
#include "core/text/tokenizer.h"
#include "server/api_error.h"
#include "server/generation_request.h"
#include "server/json_fields.h"

struct reading {
    const struct generation_defaults *defaults;
    struct token_bias **list;
    int *n;
    struct api_error *error;
};

static bool bad_token(const struct reading *reading, const char *name)
{
    return api_error_set(reading->error, 400, "invalid_value", "logit_bias",
                         "'logit_bias': '%.32s' is not a token id from 0 to %d.", name,
                         reading->defaults->n_vocab - 1);
}

static bool read_number(const struct reading *reading, const json_t *value, double *out)
{
    bool is_ban = json_is_false(value); /* another server's word for never */
    if (!is_ban && !json_is_number(value))
        return json_fields_wrong_type(value, "logit_bias", "a number as each bias", reading->error);
    double bias = is_ban ? -100 : json_number_value(value);
    if (!(bias >= -100 && bias <= 100))
        return api_error_set(
            reading->error, 400, bias < 0 ? "decimal_below_min_value" : "decimal_above_max_value",
            "logit_bias", "'logit_bias': a bias must be from -100 to 100, and %g is not.", bias);
    *out = bias;
    return true;
}

static bool add(const struct reading *reading, int32_t id, double bias)
{
    struct token_bias *more =
        reallocarray(*reading->list, (size_t)*reading->n + 1, sizeof **reading->list);
    if (more == NULL)
        return api_error_no_memory(reading->error);
    *reading->list = more;
    more[(*reading->n)++] = (struct token_bias){id, (float)bias};
    return true;
}

static bool add_named(const struct reading *reading, const char *name, double bias)
{
    char *end;
    errno = 0;
    long long id = strtoll(name, &end, 10);
    if (end == name || *end != '\0' || errno != 0 || id < 0 || id >= reading->defaults->n_vocab)
        return bad_token(reading, name);
    return add(reading, (int32_t)id, bias);
}

static bool add_text(const struct reading *reading, const json_t *text, double bias)
{
    const struct tokenizer *tokenizer = reading->defaults->tokenizer;
    if (json_string_length(text) == 0)
        return bad_token(reading, "");
    if (tokenizer == NULL)
        return true;
    struct prompt prompt;
    struct token_list tokens;
    struct err err;
    prompt_init(&prompt);
    token_list_init(&tokens);
    prompt_append_plain(&prompt, json_string_value(text), json_string_length(text));
    bool is_good = !prompt_failed(&prompt)
                       ? tokenizer_encode(tokenizer, &prompt, 0, false, &tokens, &err)
                       : err_no_memory(&err, "a text");
    if (!is_good)
        api_error_from(reading->error, &err);
    for (size_t i = 0; i < tokens.n && is_good; i++)
        is_good = add(reading, tokens.ids[i], bias);
    token_list_done(&tokens);
    prompt_done(&prompt);
    return is_good;
}

static bool read_pair(const struct reading *reading, const json_t *pair)
{
    const json_t *token = json_array_get(pair, 0);
    double bias;
    if (json_array_size(pair) != 2 || (!json_is_string(token) && !json_is_integer(token)))
        return json_fields_wrong_type(json_is_array(pair) && token != NULL ? token : pair,
                                      "logit_bias", "pairs of a token id or a text and its bias",
                                      reading->error);
    if (!read_number(reading, json_array_get(pair, 1), &bias))
        return false;
    if (json_is_string(token))
        return add_text(reading, token, bias);
    char name[32];
    snprintf(name, sizeof name, "%lld", (long long)json_integer_value(token));
    return add_named(reading, name, bias);
}

static bool read_pairs(const struct reading *reading, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!read_pair(reading, json_array_get(list, i)))
            return false;
    }
    return true;
}

static bool read_map(const struct reading *reading, const json_t *map)
{
    const char *key;
    json_t *value;
    double bias;
    json_object_foreach((json_t *)map, key, value)
    {
        if (!read_number(reading, value, &bias) || !add_named(reading, key, bias))
            return false;
    }
    return true;
}

bool logit_bias_read(const json_t *body, const struct generation_defaults *defaults,
                     struct token_bias **out, int *out_n, struct api_error *error)
{
    const struct reading reading = {defaults, out, out_n, error};
    const json_t *value = json_fields_get(body, "logit_bias");
    if (value == NULL)
        return true;
    if (json_is_array(value))
        return read_pairs(&reading, value);
    return json_is_object(value) ? read_map(&reading, value)
                                 : json_fields_wrong_type(value, "logit_bias", "an object", error);
}
