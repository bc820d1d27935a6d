#include "server/generation_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/text/detokenizer.h"
#include "core/text/grammar.h"
#include "server/answer_grammar.h"
#include "server/api_error.h"
#include "server/grammar_cache.h"
#include "server/json_fields.h"
#include "server/logit_bias.h"
#include "server/output_format.h"
#include "server/random_id.h"
#include "server/refusals.h"
#include "server/tool_format.h"
#include "server/tool_grammar.h"

enum {
    MAX_TOKENS = 1 << 30,
    MAX_STOP_BYTES = 1024,
    MAX_PING_S = 86400,
};

/* Variables of the chat template, and those that clients have fields for. */
static bool read_template_kwargs(const json_t *body, struct generation_request *request,
                                 struct api_error *error)
{
    const char *effort = NULL;
    const json_t *given = json_fields_get(body, "chat_template_kwargs");
    if (given != NULL && !json_is_object(given))
        return json_fields_wrong_type(given, "chat_template_kwargs", "an object", error);
    if (!json_fields_string(body, "reasoning_effort", &effort, error))
        return false;
    json_t *documents = (json_t *)json_fields_get(body, "documents"); /* vLLM's */
    if (documents != NULL && !json_is_array(documents))
        return json_fields_wrong_type(documents, "documents", "an array", error);
    bool has_documents = json_array_size(documents) > 0;
    if (effort == NULL && !has_documents && json_object_size(given) == 0)
        return true;
    json_t *all = json_object();
    if (has_documents)
        json_object_set(all, "documents", documents);
    if (effort != NULL)
        json_object_set_new(all, "reasoning_effort", json_string(effort));
    if (effort != NULL && strcmp(effort, "none") == 0)
        json_object_set_new(all, "enable_thinking", json_false());
    if (given != NULL)
        json_object_update(all, (json_t *)given);
    request->is_thoughtless = json_is_false(json_object_get(all, "enable_thinking"));
    request->template_kwargs = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(all);
    return request->template_kwargs != NULL || api_error_no_memory(error);
}

static bool check_model(const json_t *body, const struct generation_defaults *defaults,
                        struct api_error *error)
{
    const char *model = NULL;
    if (!json_fields_string(body, "model", &model, error))
        return false;
    if (model == NULL || !defaults->is_model_strict)
        return true;
    for (int i = 0; i < 2; i++) {
        if (defaults->model_names[i] != NULL && strcmp(model, defaults->model_names[i]) == 0)
            return true;
    }
    return api_error_set(error, 404, "model_not_found", "model",
                         "The model '%.100s' does not exist; this server has '%.100s'.", model,
                         defaults->model_names[0]);
}

static bool read_stream(const json_t *body, struct generation_request *request,
                        struct api_error *error)
{
    if (!json_fields_bool(body, "stream", &request->is_streaming, error))
        return false;
    const json_t *options = json_fields_get(body, "stream_options");
    if (options == NULL)
        return true;
    if (!json_is_object(options))
        return json_fields_wrong_type(options, "stream_options", "an object", error);
    return json_fields_bool(options, "include_usage", &request->include_usage, error);
}

/* Of a stream, by llama.cpp's names. No ping at all is one after a day. */
static bool read_stream_extras(const json_t *body, struct generation_request *request,
                               struct api_error *error)
{
    long long ping = 0;
    if (!json_fields_bool(body, "timings_per_token", &request->wants_timings, error) ||
        !json_fields_bool(body, "return_progress", &request->wants_progress, error) ||
        !json_fields_integer(body, "sse_ping_interval", -1, MAX_PING_S, &ping, error))
        return false;
    request->wants_progress = request->wants_progress && request->is_streaming;
    request->ping_after_s = ping < 0 ? MAX_PING_S : (int)ping;
    return true;
}

static bool read_max_tokens(const json_t *body, struct generation_request *request,
                            struct api_error *error)
{
    /* llama.cpp's name and the API's old and new one; the last wins */
    static const char *const names[] = {"n_predict", "max_tokens", "max_completion_tokens"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *value = json_fields_get(body, names[i]);
        if (value == NULL || json_integer_value(value) == -1)
            continue; /* -1 is another server's word for "your default" */
        long long n = 0;
        if (!json_fields_integer(body, names[i], 1, INT64_MAX, &n, error))
            return false;
        request->max_tokens = n > MAX_TOKENS ? MAX_TOKENS : (int)n;
    }
    return true;
}

static bool read_min_tokens(const json_t *body, struct generation_request *request,
                            struct api_error *error)
{
    long long n = 0;
    if (!json_fields_integer(body, "min_tokens", 0, request->max_tokens, &n, error))
        return false;
    request->min_tokens = (int)n;
    return true;
}

static bool read_sampling(const json_t *body, struct generation_request *request,
                          struct api_error *error)
{
    struct sampler_settings *sampling = &request->sampling;
    long long top_k = sampling->top_k, seed = -1;
    if (!json_fields_float(body, "temperature", 0, 2, &sampling->temperature, error) ||
        !json_fields_float(body, "top_p", 0, 1, &sampling->top_p, error) ||
        !json_fields_float(body, "min_p", 0, 1, &sampling->min_p, error) ||
        !json_fields_integer(body, "top_k", -1, INT32_MAX, &top_k, error) ||
        !json_fields_float(body, "repeat_penalty", 0.01, 100, &sampling->repetition_penalty,
                           error) ||
        !json_fields_float(body, "repetition_penalty", 0.01, 100, &sampling->repetition_penalty,
                           error) ||
        !json_fields_float(body, "presence_penalty", -2, 2, &sampling->presence_penalty, error) ||
        !json_fields_float(body, "frequency_penalty", -2, 2, &sampling->frequency_penalty, error) ||
        !json_fields_integer(body, "seed", INT64_MIN, INT64_MAX, &seed, error))
        return false;
    sampling->top_k = top_k < 0 ? 0 : (int)top_k;
    request->has_seed = seed >= 0;
    sampling->seed = seed < 0 ? random_id_number() : (uint64_t)seed;
    return true;
}

static bool add_stop(struct generation_request *request, const json_t *value,
                     struct api_error *error)
{
    if (!json_is_string(value))
        return json_fields_wrong_type(value, "stop", "a string or an array of strings", error);
    size_t len = json_string_length(value);
    if (len == 0 || !json_fields_is_plain(value))
        return api_error_set(error, 400, "invalid_value", "stop",
                             "A stop sequence must have at least one character, and no NUL.");
    if (len > MAX_STOP_BYTES)
        return api_error_set(error, 400, "string_above_max_length", "stop",
                             "A stop sequence may have at most %d bytes.", (int)MAX_STOP_BYTES);
    char *copy = strdup(json_string_value(value));
    if (copy == NULL)
        return api_error_no_memory(error);
    request->stops[request->n_stops++] = copy;
    return true;
}

static bool read_stops(const json_t *body, struct generation_request *request,
                       struct api_error *error)
{
    const json_t *value = json_fields_get(body, "stop");
    if (value == NULL || (json_is_array(value) && json_array_size(value) == 0))
        return true;
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    if (n > STOP_SEARCH_MAX_STOPS)
        return api_error_set(error, 400, "array_above_max_length", "stop",
                             "There may be at most %d stop sequences.", STOP_SEARCH_MAX_STOPS);
    request->stops = calloc(n, sizeof *request->stops);
    if (request->stops == NULL)
        return api_error_no_memory(error);
    for (size_t i = 0; i < n; i++) {
        if (!add_stop(request, json_is_array(value) ? json_array_get(value, i) : value, error))
            return false;
    }
    return true;
}

/* What may stand around an answer. A client that wants no thoughts gets none. */
static struct answer_frame frame_of(const struct generation_defaults *defaults,
                                    const struct generation_request *request)
{
    struct answer_frame frame = {0};
    if (!request->is_thoughtless) {
        frame.think_open = defaults->think_open;
        frame.think_close = defaults->think_close;
    }
    frame.has_channels = defaults->tool_format != NULL && defaults->tool_format->has_channels;
    if (request->tools.n > 0 && defaults->tool_format != NULL) {
        frame.tools = &request->tools;
        frame.calls = defaults->tool_format;
    }
    return frame;
}

/* Of the calls that must be, or that may be and must then be held. */
static bool write_calls(const struct answer_frame *frame, struct buf *out, struct err *err)
{
    if (frame->tools->choice != TOOL_CHOICE_AUTO)
        return tool_grammar_write(frame->tools, frame->calls, out, err);
    return !tool_grammar_is_needed(frame->tools, frame->calls) ||
           answer_grammar_write_calls(frame, out, err);
}

static bool read_call_grammar(const struct generation_defaults *defaults,
                              const struct answer_frame *frame, struct generation_request *request,
                              struct api_error *error)
{
    struct buf text;
    struct err err = {0};
    buf_init(&text);
    bool is_good = write_calls(frame, &text, &err) &&
                   (text.len == 0 || grammar_cache_get(defaults->grammars, buf_text(&text),
                                                       text.len, &request->grammar, &err));
    buf_done(&text);
    if (is_good)
        return true;
    api_error_from(error, &err);
    snprintf(error->param, sizeof error->param, "tools");
    return false;
}

/* After the tools. Where a call is wanted no answer is, so no format of one is kept. */
static bool read_output_format(const json_t *body, const struct generation_defaults *defaults,
                               struct generation_request *request, struct api_error *error)
{
    const struct answer_frame frame = frame_of(defaults, request);
    bool has_frame;
    if (!output_format_read(body, &frame, defaults->grammars, &request->grammar, &has_frame, error))
        return false;
    bool is_forced = request->tools.n > 0 && request->tools.choice != TOOL_CHOICE_AUTO;
    if (is_forced)
        grammar_free(&request->grammar);
    if (request->grammar == NULL && frame.tools != NULL) {
        has_frame = !is_forced;
        if (!read_call_grammar(defaults, &frame, request, error))
            return false;
    }
    request->grammar_has_thought =
        request->grammar != NULL && has_frame && frame.think_open != NULL;
    return true;
}

bool generation_request_read(const json_t *body, const struct generation_defaults *defaults,
                             struct generation_request *out, struct api_error *error)
{
    struct generation_request request = {.max_tokens = defaults->max_tokens,
                                         .sampling = defaults->sampling};
    if (!check_model(body, defaults, error) || !read_stream(body, &request, error) ||
        !read_stream_extras(body, &request, error) || !read_max_tokens(body, &request, error) ||
        !read_min_tokens(body, &request, error) || !read_sampling(body, &request, error) ||
        !json_fields_bool(body, "ignore_eos", &request.ignore_end, error) ||
        !logit_bias_read(body, defaults, &request.biases, &request.n_biases, error) ||
        !refusals_check(body, defaults, error) || !tool_request_read(body, &request.tools, error) ||
        !read_template_kwargs(body, &request, error) ||
        !read_output_format(body, defaults, &request, error) ||
        !read_stops(body, &request, error)) {
        generation_request_done(&request);
        return false;
    }
    *out = request;
    return true;
}

void generation_request_done(struct generation_request *request)
{
    for (int i = 0; i < request->n_stops; i++)
        free(request->stops[i]);
    free(request->stops);
    free(request->biases);
    grammar_free(&request->grammar);
    request->stops = NULL;
    request->n_stops = 0;
    free(request->template_kwargs);
    request->biases = NULL;
    request->n_biases = 0;
    request->template_kwargs = NULL;
    tool_request_done(&request->tools);
}

static bool copy_stops(const struct generation_request *request, struct generation_request *out)
{
    if (request->n_stops == 0)
        return true;
    out->stops = calloc((size_t)request->n_stops, sizeof *out->stops);
    if (out->stops == NULL)
        return false;
    for (int i = 0; i < request->n_stops; i++) {
        out->stops[i] = strdup(request->stops[i]);
        if (out->stops[i] == NULL)
            return false;
        out->n_stops = i + 1;
    }
    return true;
}

static bool copy_biases(const struct generation_request *request, struct generation_request *out)
{
    if (request->n_biases == 0)
        return true;
    size_t n_bytes = (size_t)request->n_biases * sizeof *out->biases;
    out->biases = malloc(n_bytes);
    if (out->biases == NULL)
        return false;
    memcpy(out->biases, request->biases, n_bytes);
    out->n_biases = request->n_biases;
    return true;
}

bool generation_request_copy(const struct generation_request *request,
                             struct generation_request *out)
{
    *out = *request;
    out->stops = NULL;
    out->n_stops = 0;
    out->biases = NULL;
    out->n_biases = 0;
    grammar_share(out->grammar);
    out->template_kwargs = NULL;
    bool has_tools = tool_request_copy(&request->tools, &out->tools);
    bool has_kwargs = request->template_kwargs == NULL ||
                      (out->template_kwargs = strdup(request->template_kwargs)) != NULL;
    if (has_tools && has_kwargs && copy_stops(request, out) && copy_biases(request, out))
        return true;
    generation_request_done(out);
    return false;
}
