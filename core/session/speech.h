/* speech.h - what a turn says: tokens chosen out of logits, and their text.
 *
 * Sampling, grammar, stop strings, limits, and reports of how likely each token was. Not here: the
 * cache, and what of the text its tokens stand for (session.h). Owner: a session. Thread: the
 * owner's. */
#ifndef CORE_SESSION_SPEECH_H
#define CORE_SESSION_SPEECH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/text/detokenizer.h"
#include "core/text/token_report.h"

struct err;
struct grammar_matcher;
struct sampler;
struct session_turn;
struct tokenizer;

struct speech {
    const struct tokenizer *tokenizer;
    struct sampler *sampler;
    struct detokenizer detokenizer;
    struct grammar_matcher *matcher; /* NULL: anything may be said */
    int max_tokens;
    int min_tokens;
    bool ignore_end;
    int n_generated;
    size_t n_said;     /* bytes given out */
    bool is_clean_cut; /* nothing is held back after the last token */

    bool wants_reports;
    int n_top;
    float *raw_logits;                /* [n_vocab], when reports are wanted */
    struct token_report_list reports; /* not yet taken */
    size_t n_ready;                   /* of these, those whose text is out */
    bool has_lost_report;             /* for want of memory */
};

enum speech_state {
    SPEECH_GOES_ON,
    SPEECH_SAID_STOP, /* an end-of-turn token, a stop string, the grammar's end */
    SPEECH_SAID_ALL,  /* max_tokens reached, or no token fits the grammar */
};

/* Reports can be taken until the next beginning. */
void speech_init(struct speech *speech, const struct tokenizer *tokenizer);
void speech_done(struct speech *speech);

/* False with nothing begun; to be ended else. */
bool speech_begin(struct speech *speech, const struct session_turn *turn, struct err *err);
/* Appends held-back text to *out and settles the reports. */
void speech_finish(struct speech *speech, struct buf *out);
void speech_end(struct speech *speech);

/* Chooses the next token from logits [n_vocab] (overwritten) and appends the text that is safe to
 * send to *out. *out_id is the token when it is part of the text, else as before. */
enum speech_state speech_choose(struct speech *speech, float *logits, struct buf *out,
                                int32_t *out_id);

/* See session_take_reports. */
bool speech_take_reports(struct speech *speech, struct token_report_list *out);

#endif
