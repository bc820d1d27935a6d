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
#include "core/text/stop_search.h"

struct err;
struct tokenizer;

enum { DETOKENIZER_MAX_SHOWN = 16 };

/* Where an answer ends; zeroed: nowhere. */
struct detokenizer_stops {
    const char *const *texts; /* [n] */
    int n;
    const struct stop_shelter *shelters; /* [n_shelters] */
    int n_shelters;
};

struct detokenizer {
    const struct tokenizer *tokenizer;
    struct buf held; /* bytes not yet safe to send: what may begin a stop string, then the tail */
    size_t n_tail;   /* its last bytes: a UTF-8 sequence that is not complete yet */
    struct stop_search search;
    bool is_stopped; /* a stop string was met; later tokens give nothing */
    int32_t shown[DETOKENIZER_MAX_SHOWN];
    int n_shown;
};

/* Copies the stop strings and their shelters (stop_search.h). The answer does not depend on where
 * tokens end. */
bool detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer,
                      const struct detokenizer_stops *stops, struct err *err);
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
