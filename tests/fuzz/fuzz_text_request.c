/* fuzz_text_request.c - libFuzzer target: any bytes as the body of /tokenize, /detokenize and
 * /apply-template. */
#include <stdint.h>
#include <stdlib.h>

#include "server/api_error.h"
#include "server/text_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

enum { N_VOCAB = 1000 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_request(struct text_request *request)
{
    check(request->is_chat ? request->messages.n > 0 : request->messages.n == 0);
    check(!request->text.failed);
    text_request_done(request);
}

static void check_tokens(struct token_list *tokens)
{
    for (size_t i = 0; i < tokens->n; i++)
        check(tokens->ids[i] >= 0 && tokens->ids[i] < N_VOCAB);
    token_list_done(tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const char *body = (const char *)bytes;
    struct text_request request;
    struct token_list tokens;
    struct api_error error = {.status = 0};
    if (text_request_parse_tokenize(body, n_bytes, &request, &error))
        check_request(&request);
    else
        check(error.status == 400);
    if (text_request_parse_messages(CHAT_API_CHAT, body, n_bytes, &request, &error))
        check_request(&request);
    else
        check(error.status == 400);
    if (text_request_parse_detokenize(body, n_bytes, N_VOCAB, &tokens, &error))
        check_tokens(&tokens);
    else
        check(error.status == 400);
    return 0;
}
