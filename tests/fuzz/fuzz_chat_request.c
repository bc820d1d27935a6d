/* fuzz_chat_request.c - libFuzzer target: any bytes as the body of a chat, completion or message
 * request, of a model that calls tools in one way or another. Its answer in turn must always be
 * JSON. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "server/api_error.h"
#include "server/chat_request.h"
#include "server/tool_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_request(const struct chat_request *request)
{
    const struct sampler_settings *sampling = &request->generation.sampling;
    check(request->generation.max_tokens >= 1);
    check(sampling->temperature >= 0 && sampling->temperature <= 2);
    check(sampling->top_p >= 0 && sampling->top_p <= 1 && sampling->top_k >= 0);
    check(sampling->repetition_penalty > 0);
    check(request->is_chat ? request->messages.n > 0 : request->prompts.n > 0);
}

static void check_error(const struct api_error *error)
{
    struct buf body;
    buf_init(&body);
    check(error->status == 400);
    api_error_write(error, &body);
    json_t *root = json_loadb(body.data, body.len, 0, NULL);
    check(root != NULL);
    json_decref(root);
    buf_done(&body);
}

/* By the length of the request: none, or one of the formats. */
static struct generation_defaults choose_defaults(size_t n_bytes)
{
    size_t n_formats = 0;
    while (tool_format_at(n_formats) != NULL)
        n_formats++;
    return (struct generation_defaults){
        .n_vocab = 1000,
        .max_tokens = 100,
        .sampling = {.temperature = 1, .top_p = 1, .repetition_penalty = 1},
        .tool_format = tool_format_at(n_bytes % (n_formats + 1)),
        .think_open = n_bytes % 2 == 0 ? "<think>" : NULL,
        .think_close = n_bytes % 2 == 0 ? "</think>" : NULL,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const struct generation_defaults defaults = choose_defaults(n_bytes);
    const char *body = n_bytes == 0 ? "" : (const char *)bytes;
    for (enum chat_api api = CHAT_API_CHAT; api <= CHAT_API_ANTHROPIC; api++) {
        struct chat_request request;
        struct api_error error;
        bool is_good = chat_request_parse(api, body, n_bytes, &defaults, &request, &error);
        if (!is_good) {
            check_error(&error);
            continue;
        }
        check_request(&request);
        chat_request_done(&request);
    }
    return 0;
}
