#include "server/chat_request.h"

#include <limits.h>
#include <string.h>

#include "server/anthropic_request.h"
#include "server/api_error.h"
#include "server/chat_messages.h"
#include "server/json_fields.h"

static bool read_n(const json_t *body, struct chat_request *request, size_t n_prompts,
                   struct api_error *error)
{
    long long n = 1;
    if (!json_fields_integer(body, "n", 1, CHAT_REQUEST_MAX_CHOICES, &n, error))
        return false;
    if ((unsigned long long)n * n_prompts > CHAT_REQUEST_MAX_CHOICES)
        return api_error_set(error, 400, "integer_above_max_value", "n",
                             "'n' times the number of prompts may be at most %d.",
                             (int)CHAT_REQUEST_MAX_CHOICES);
    request->n_choices = (int)n;
    return true;
}

/* llama.cpp's name, which asks for more than there are as for all. */
static bool read_n_probs(const json_t *body, struct generation_request *generation,
                         struct api_error *error)
{
    long long n = 0;
    if (generation->wants_logprobs)
        return true;
    if (!json_fields_integer(body, "n_probs", 0, INT_MAX, &n, error))
        return false;
    generation->wants_logprobs = n > 0;
    generation->n_top = n < TOKEN_REPORT_MAX_TOP ? (int)n : TOKEN_REPORT_MAX_TOP;
    return true;
}

static bool read_chat_logprobs(const json_t *body, struct generation_request *generation,
                               struct api_error *error)
{
    long long n_top = 0;
    if (!json_fields_bool(body, "logprobs", &generation->wants_logprobs, error) ||
        !json_fields_integer(body, "top_logprobs", 0, TOKEN_REPORT_MAX_TOP, &n_top, error))
        return false;
    if (n_top > 0 && !generation->wants_logprobs)
        return api_error_set(error, 400, "invalid_value", "top_logprobs",
                             "'top_logprobs' needs 'logprobs' to be true.");
    generation->n_top = (int)n_top;
    return read_n_probs(body, generation, error);
}

/* How the prompt ends, in the words of vLLM, and llama.cpp's for which part goes on. */
static bool read_end(const json_t *body, struct chat_request *request, struct api_error *error)
{
    const json_t *part = json_fields_get(body, "continue_final_message");
    if (json_is_string(part)) {
        request->continues_thoughts = strcmp(json_string_value(part), "reasoning_content") == 0;
        request->continues_content = !request->continues_thoughts;
    } else if (!json_fields_bool(body, "continue_final_message", &request->continues_content,
                                 error)) {
        return false;
    }
    request->adds_generation_prompt = true;
    return json_fields_bool(body, "add_generation_prompt", &request->adds_generation_prompt, error);
}

static bool fail_end(const char *name, struct api_error *error)
{
    return api_error_set(error, 400, "invalid_value", name,
                         "'%s': only an assistant's last message can be gone on with, in its "
                         "content; behind any other the assistant begins one.",
                         name);
}

bool chat_request_can_end(const struct chat_request *request, struct api_error *error)
{
    const struct message_log *messages = &request->messages;
    bool is_spoken_on = messages->items[messages->n - 1].role == CHAT_ASSISTANT;
    if (request->continues_thoughts || (request->continues_content && !is_spoken_on))
        return fail_end("continue_final_message", error);
    return request->adds_generation_prompt || is_spoken_on ||
           fail_end("add_generation_prompt", error);
}

static bool read_chat(const json_t *body, struct chat_request *request, struct api_error *error)
{
    return chat_messages_read(body, &request->messages, error) && read_n(body, request, 1, error) &&
           read_chat_logprobs(body, &request->generation, error) &&
           read_end(body, request, error) &&
           json_fields_bool(body, "echo", &request->is_echoing, error);
}

static bool read_completion_logprobs(const json_t *body, struct generation_request *generation,
                                     struct api_error *error)
{
    long long n_top = -1;
    if (json_is_false(json_fields_get(body, "logprobs")))
        return true; /* a chat client's way to say none */
    if (!json_fields_integer(body, "logprobs", 0, TOKEN_REPORT_MAX_TOP, &n_top, error))
        return false;
    generation->wants_logprobs = n_top >= 0;
    generation->n_top = n_top > 0 ? (int)n_top : 0;
    return read_n_probs(body, generation, error);
}

/* The best of several is something that a client can do itself with "n" and "logprobs". */
static bool check_best_of(const json_t *body, int n, struct api_error *error)
{
    long long best_of = n;
    if (!json_fields_integer(body, "best_of", 0, 20, &best_of, error))
        return false;
    if (best_of == n || best_of <= 1)
        return true;
    return best_of < n ? api_error_set(error, 400, "invalid_value", "best_of",
                                       "'best_of' must not be less than 'n'.")
                       : api_error_set(error, 400, "unsupported_value", "best_of",
                                       "'best_of' above 'n' is not supported by this server.");
}

static bool check_suffix(const json_t *body, struct api_error *error)
{
    const char *suffix = NULL;
    if (!json_fields_string(body, "suffix", &suffix, error))
        return false;
    return suffix == NULL || suffix[0] == '\0' ||
           api_error_set(error, 400, "unsupported_parameter", "suffix",
                         "'suffix' is not supported by this server.");
}

static bool read_echo(const json_t *body, struct chat_request *request, struct api_error *error)
{
    if (!json_fields_bool(body, "echo", &request->is_echoing, error))
        return false;
    return !(request->is_echoing && request->generation.wants_logprobs) ||
           api_error_set(error, 400, "unsupported_value", "echo",
                         "'echo' together with 'logprobs' is not supported: this server measures "
                         "what it generates, not the prompt.");
}

static bool read_completion(const json_t *body, int n_vocab, struct chat_request *request,
                            struct api_error *error)
{
    return completion_prompts_read(body, n_vocab, &request->prompts, error) &&
           read_n(body, request, request->prompts.n, error) &&
           read_completion_logprobs(body, &request->generation, error) &&
           check_best_of(body, request->n_choices, error) && check_suffix(body, error) &&
           read_echo(body, request, error);
}

static bool read(const json_t *body, const struct generation_defaults *defaults,
                 struct chat_request *request, struct api_error *error)
{
    struct generation_defaults own = *defaults;
    if (!request->is_chat) { /* without a template the model answers in raw text */
        own.tool_format = NULL;
        own.think_open = own.think_close = NULL;
    }
    return generation_request_read(body, &own, &request->generation, error) &&
           conversation_name_read(body, &request->name, error) &&
           (request->is_chat ? read_chat(body, request, error)
                             : read_completion(body, defaults->n_vocab, request, error));
}

/* One of Anthropic's is read as the chat completion that asks for the same. */
static bool make_body(enum chat_api api, const char *text, size_t len, json_t **out,
                      struct api_error *error)
{
    json_t *root;
    if (!json_fields_parse(text, len, &root, error))
        return false;
    if (api != CHAT_API_ANTHROPIC) {
        *out = root;
        return true;
    }
    bool is_good = anthropic_request_convert(root, out, error);
    json_decref(root);
    return is_good;
}

bool chat_request_parse(enum chat_api api, const char *body, size_t len,
                        const struct generation_defaults *defaults, struct chat_request *out,
                        struct api_error *error)
{
    struct chat_request request = {.api = api, .is_chat = api != CHAT_API_COMPLETION};
    json_t *root;
    if (!make_body(api, body, len, &root, error))
        return false;
    bool is_good = read(root, defaults, &request, error);
    json_decref(root);
    if (is_good)
        *out = request;
    else
        chat_request_done(&request);
    return is_good;
}

void chat_request_done(struct chat_request *request)
{
    generation_request_done(&request->generation);
    message_log_done(&request->messages);
    completion_prompts_done(&request->prompts);
}
