#include "server/prompt_cut.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "core/text/tokenizer.h"

/* Templates open a message with a control token, or close the one before with one that ends a turn,
 * or both. */
static bool begins_message(const struct token_list *tokens, const struct tokenizer *tokenizer,
                           size_t i)
{
    return tokenizer_is_end(tokenizer, tokens->ids[i - 1]) ||
           (tokenizer_is_control(tokenizer, tokens->ids[i]) &&
            !tokenizer_is_end(tokenizer, tokens->ids[i]));
}

int64_t prompt_cut_middle(struct token_list *tokens, const struct tokenizer *tokenizer,
                          int64_t n_first, int64_t n_last)
{
    if ((int64_t)tokens->n <= n_first + n_last)
        return 0;
    size_t begin = (size_t)n_first, end = tokens->n - (size_t)n_last;
    size_t last_look = end + (size_t)n_last / 4;
    for (size_t i = end; i < last_look; i++) {
        if (begins_message(tokens, tokenizer, i)) {
            end = i;
            break;
        }
    }
    memmove(tokens->ids + begin, tokens->ids + end, (tokens->n - end) * sizeof tokens->ids[0]);
    tokens->n -= end - begin;
    return (int64_t)(end - begin);
}
