#include "server/chat_ask.h"

#include "core/base/err.h"
#include "server/chat_request.h"
#include "server/generation.h"
#include "server/random_id.h"

/* Each answer has a sampler of its own; a seed that the client gave makes all of them repeatable.
 */
static uint64_t choice_seed(const struct generation_request *generation, int index)
{
    if (index == 0)
        return generation->sampling.seed;
    return generation->has_seed ? generation->sampling.seed + (uint64_t)index : random_id_number();
}

static bool copy_prompt(const struct completion_prompt *prompt, struct generation_ask *ask)
{
    struct err err;
    buf_append(&ask->prompt, buf_text(&prompt->text), prompt->text.len);
    for (size_t i = 0; i < prompt->tokens.n; i++) {
        if (!token_list_push(&ask->tokens, prompt->tokens.ids[i], &err))
            return false;
    }
    return !ask->prompt.failed;
}

bool chat_ask_take_words(struct chat_request *request, int index, struct generation_ask *ask)
{
    if (!generation_request_copy(&request->generation, &ask->request))
        return false;
    ask->request.sampling.seed = choice_seed(&request->generation, index);
    if (!request->is_chat)
        return copy_prompt(&request->prompts.items[index / request->n_choices], ask);
    if (index + 1 < request->n_choices)
        return message_log_copy(&ask->messages, &request->messages);
    return message_log_move(&ask->messages, &request->messages);
}

void chat_ask_done(struct generation_ask *ask)
{
    message_log_done(&ask->messages);
    buf_done(&ask->prompt);
    token_list_done(&ask->tokens);
    generation_request_done(&ask->request);
}
