/* fuzz_response_request.c - libFuzzer target: any bytes as the body of POST /v1/responses. What is
 * accepted becomes messages, an echo and items that are JSON again. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "server/api_error.h"
#include "server/item.h"
#include "server/item_messages.h"
#include "server/message_log.h"
#include "server/response_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static const struct generation_defaults defaults = {
    .max_tokens = 100,
    .sampling = {.temperature = 1, .top_p = 1, .repetition_penalty = 1},
    .n_vocab = 1000,
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_object(const char *text, size_t len)
{
    json_t *object = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    check(json_is_object(object));
    json_decref(object);
}

static void check_request(const struct response_request *request)
{
    struct message_log messages;
    struct err err;
    check(request->generation.max_tokens >= 1);
    check(request->previous[0] == '\0' || request->conversation[0] == '\0');
    check_object(request->echo.data, request->echo.len);
    for (size_t i = 0; i < request->input.n; i++) {
        const struct item *item = &request->input.items[i];
        check(strlen(item->id) > 0 && strlen(item->id) < ITEM_ID_SIZE);
        check_object(item->json, item->len);
    }
    message_log_init(&messages);
    check(item_messages_append(&request->input, &messages, &err));
    check(messages.n <= request->input.n);
    message_log_done(&messages);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct response_request request;
    struct api_error error;
    const char *body = n_bytes == 0 ? "" : (const char *)bytes;
    if (response_request_parse(body, n_bytes, &defaults, "tiny", &request, &error)) {
        check_request(&request);
        response_request_done(&request);
    } else {
        check(error.status == 400 || error.status == 404);
    }
    return 0;
}
