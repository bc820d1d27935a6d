/* prompt_cut.h - the middle of a long history is not read again.
 *
 * A session that left memory for ever is read anew from its text. What has rolled out of the window
 * no later token can see, so its first tokens and the last few windows make the same session, at a
 * cost that does not grow with the conversation: the tokens of these windows saw others in their
 * place when they were first read, which is what several windows, not one, make up for.
 * Pure. Thread: any. */
#ifndef SERVER_PROMPT_CUT_H
#define SERVER_PROMPT_CUT_H

#include <stdint.h>

struct token_list;
struct tokenizer;

/* Takes tokens out of the list so that its first n_first and at most its last n_last stay, those
 * from where a message begins, if one does within the first quarter of them. Returns how many. */
int64_t prompt_cut_middle(struct token_list *tokens, const struct tokenizer *tokenizer,
                          int64_t n_first, int64_t n_last);

#endif
