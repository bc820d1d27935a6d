/* detokenizer.h - generated ids to text that is safe to send at once.
 *
 * Holds back an incomplete UTF-8 sequence until it is whole, and text that may be the start of a
 * stop string until it is not. Bytes that can never become UTF-8 turn into U+FFFD. Owner: the
 * session that speaks. Thread: engine. */
#ifndef CORE_TEXT_DETOKENIZER_H
#define CORE_TEXT_DETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

struct err;
struct tokenizer;

enum { DETOKENIZER_MAX_STOPS = 16, DETOKENIZER_MAX_SHOWN = 16 };

struct detokenizer {
    const struct tokenizer *tokenizer;
    struct buf held; /* bytes not yet safe to send: what may begin a stop string, then the tail */
    size_t n_tail;   /* its last bytes: a UTF-8 sequence that is not complete yet */
    struct detokenizer_stop {
        char *text; /* owned */
        size_t len;
        size_t *borders; /* [len] owned: see set_borders in the .c */
        size_t matched;  /* bytes of `text` that the end of `held` before the tail equals */
    } stops[DETOKENIZER_MAX_STOPS];
    int n_stops;
    bool is_stopped; /* a stop string was met; later tokens give nothing */
    int32_t shown[DETOKENIZER_MAX_SHOWN];
    int n_shown;
};

/* Copies the stop strings (UTF-8, none empty, at most DETOKENIZER_MAX_STOPS). Whichever is complete
 * first in the text wins, and of those that end together the longest, so the answer does not depend
 * on where tokens end. */
bool detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer,
                      const char *const *stops, int n_stops, struct err *err);
void detokenizer_done(struct detokenizer *detokenizer);

/* Control tokens (at most DETOKENIZER_MAX_SHOWN) that from now on read as their names,
 * "[TOOL_CALLS]", instead of as nothing. Copied. */
void detokenizer_show(struct detokenizer *detokenizer, const int32_t *ids, int n);

/* Adds one token; appends what is safe now to *out. True when a stop string is complete: its text
 * and all after it are dropped. */
bool detokenizer_push(struct detokenizer *detokenizer, int32_t id, struct buf *out);
/* The end: appends what was held back, an incomplete sequence as U+FFFD. */
void detokenizer_flush(struct detokenizer *detokenizer, struct buf *out);

#endif
