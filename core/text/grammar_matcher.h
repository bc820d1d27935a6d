/* grammar_matcher.h - one turn's place in a grammar: which tokens may come next.
 *
 * The text said so far fits the beginning of some text of the grammar; a token is allowed when it
 * still does with it. Tokens that end the turn are allowed exactly where the grammar may end. What
 * was found out is kept, within some 10 MB: ways between states, and whole masks of the vocabulary.
 * Owner: the session that speaks. Thread: engine, or the worker that chooses for it. */
#ifndef CORE_TEXT_GRAMMAR_MATCHER_H
#define CORE_TEXT_GRAMMAR_MATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct grammar;
struct grammar_matcher;
struct tokenizer;

/* Shares `grammar`; borrows `tokenizer`. Without `allows_end` no token that ends the turn is
 * allowed: the grammar then ends only where nothing else fits. */
bool grammar_matcher_open(struct grammar_matcher **out, struct grammar *grammar,
                          const struct tokenizer *tokenizer, bool allows_end, struct err *err);
void grammar_matcher_close(struct grammar_matcher **matcher);

/* Control tokens (at most DETOKENIZER_MAX_SHOWN) that read as their names, as detokenizer_show has
 * it; before anything is asked. Others are never allowed. */
void grammar_matcher_show(struct grammar_matcher *matcher, const int32_t *ids, int n);

/* This text of the grammar has been said before; before anything is asked. */
void grammar_matcher_begin(struct grammar_matcher *matcher, const char *text, size_t len);

/* Asks for one token. */
bool grammar_matcher_allows(struct grammar_matcher *matcher, int32_t id);
/* Sets logits [n_vocab] of all that is not allowed to -infinity. False when nothing is allowed:
 * no token of the vocabulary fits, the grammar is too ambiguous to be followed, or memory ran out.
 */
bool grammar_matcher_mask(struct grammar_matcher *matcher, float *logits);
/* An allowed token was chosen. */
void grammar_matcher_accept(struct grammar_matcher *matcher, int32_t id);

/* What was accepted is a whole text of the grammar. */
bool grammar_matcher_may_end(const struct grammar_matcher *matcher);
/* It is, and nothing may follow. */
bool grammar_matcher_must_end(const struct grammar_matcher *matcher);
bool grammar_matcher_is_out_of_memory(const struct grammar_matcher *matcher);

#endif
