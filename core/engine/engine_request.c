#include "core/engine/engine_request.h"

#include <limits.h>
#include <stdlib.h>

#include "core/text/detokenizer.h"

void engine_request_init(struct engine_request *request)
{
    *request = (struct engine_request){0};
}

void engine_request_done(struct engine_request *request)
{
    token_list_done(&request->tokens);
    grammar_free(&request->grammar);
    for (int i = 0; i < request->n_stops; i++)
        free(request->stops[i]);
    free(request->stops);
    free(request->biases);
    engine_request_init(request);
}

bool engine_request_check(const struct engine_request *request, const struct engine_info *info,
                          struct err *err)
{
    const uint64_t top_bit = (uint64_t)1 << 63; /* the batcher's, for throw-away sessions */
    if (request->id == 0 || (request->id & top_bit) != 0 || (request->session & top_bit) != 0)
        return err_set(err, ERR_INTERNAL, "request and session numbers must be below 2^63");
    if (request->tokens.n == 0)
        return err_set(err, ERR_INVALID, "the prompt is empty");
    for (size_t i = 0; i < request->tokens.n; i++) {
        if (request->tokens.ids[i] < 0 || request->tokens.ids[i] >= info->n_vocab)
            return err_set(err, ERR_INVALID, "token %d is not in the vocabulary of %d",
                           request->tokens.ids[i], info->n_vocab);
    }
    if (request->tokens.n > INT_MAX || request->max_tokens < 1 || request->keep < 0)
        return err_set(err, ERR_INVALID, "max_tokens must be at least 1");
    if (request->min_tokens < 0 || request->min_tokens > request->max_tokens)
        return err_set(err, ERR_INVALID, "min_tokens must be from 0 to max_tokens");
    if (request->n_shelters < 0 || request->n_shelters > STOP_SEARCH_MAX_SHELTERS ||
        request->n_top < 0 || request->n_top > TOKEN_REPORT_MAX_TOP || request->n_shown < 0 ||
        request->n_shown > DETOKENIZER_MAX_SHOWN || request->n_biases < 0)
        return err_set(err, ERR_INTERNAL, "a list of the request has an impossible length");
    if (request->n_sinks < 0 || request->n_sinks >= info->n_window)
        return err_set(err, ERR_INVALID, "%d sinks leave no room in a window of %d tokens",
                       request->n_sinks, info->n_window);
    if (request->n_stops < 0 || request->n_stops > STOP_SEARCH_MAX_STOPS)
        return err_set(err, ERR_INVALID, "at most %d stop strings are possible",
                       (int)STOP_SEARCH_MAX_STOPS);
    return true;
}
