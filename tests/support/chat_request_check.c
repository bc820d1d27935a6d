#include "tests/support/chat_request_check.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/check.h"

const struct generation_defaults parse_defaults = {
    .max_tokens = 100,
    .n_vocab = 1000,
    .model_names = {"small", "file-name"},
    .sampling = {.temperature = 0.5F, .top_p = 1, .repetition_penalty = 1, .top_k = 40},
};

struct chat_request parsed;
struct api_error refusal;

bool parse_chat(const char *body)
{
    refusal = (struct api_error){0};
    return chat_request_parse(CHAT_API_CHAT, body, strlen(body), &parse_defaults, &parsed,
                              &refusal);
}

bool parse_chat_with(const char *fields)
{
    char body[4096];
    snprintf(body, sizeof body, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]%s%s}",
             fields[0] == '\0' ? "" : ",", fields);
    return parse_chat(body);
}

void assert_refused(bool is_good, const char *code, const char *param)
{
    assert_false(is_good);
    assert_int_equal(refusal.status, 400);
    assert_string_equal(refusal.code, code);
    assert_string_equal(refusal.param, param);
    assert_true(strlen(refusal.message) > 10);
}
