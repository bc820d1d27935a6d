/* lookup.h - guesses what is said next from what was read and said before.
 *
 * An answer that edits, sums up or quotes repeats stretches of its conversation. Where the last
 * tokens of the text are found earlier in it, the guess is what followed there (prompt lookup
 * decoding, github.com/apoorvumang/prompt-lookup-decoding; the search is that of LZ77). How often
 * such a guess is right is learned from every token that is said, whether or not the guess was of
 * use to anybody. The text is a log of its own and only a source of hints: what a session takes
 * back stays, because it may well be said again. Owner: a session. Thread: the owner's. */
#ifndef CORE_SESSION_LOOKUP_H
#define CORE_SESSION_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

enum {
    LOOKUP_MAX_TOKENS = 65536,
    LOOKUP_MIN_MATCH = 2, /* tokens that must be the same before a guess is made */
    LOOKUP_N_LENGTHS = 4, /* of matches, told apart where chances are learned */
};

struct lookup {
    /* One block of memory, owned; NULL until there is text. Places are indices + 1, 0 is none. */
    int32_t *ids;     /* [max] the text, oldest first; n are set */
    uint32_t *before; /* [max] the place before i where a pair of tokens like i - 1, i ends */
    uint32_t *latest; /* [max] by a pair's hash: the last place where it ends */
    size_t n, max, limit;

    size_t next;   /* ids[next] is the guess */
    int n_matched; /* so many tokens before it are the last ones of the text; 0: no guess */
    float chances[LOOKUP_N_LENGTHS];
};

/* For text of which n_useful tokens matter, the last ones: they are kept, and at most four times as
 * many, but no more than LOOKUP_MAX_TOKENS. Memory grows with the text; when there is none, less of
 * it is kept. */
void lookup_init(struct lookup *lookup, int n_useful);
void lookup_done(struct lookup *lookup);
/* Forgets the text. */
void lookup_clear(struct lookup *lookup);

/* More of the text, as a prompt brings it: nothing was guessed, and nothing is. */
void lookup_read(struct lookup *lookup, const int32_t *ids, size_t n);
/* The next token of an answer; guesses what follows it. */
void lookup_say(struct lookup *lookup, int32_t id);

/* Up to `max` tokens that may be said next; returns how many. */
int lookup_guess(const struct lookup *lookup, int32_t *out, int max);
/* How likely the i-th of them is right, given that all before it are. */
float lookup_chance(const struct lookup *lookup, int i);

#endif
