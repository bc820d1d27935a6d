/* generation_request.h - the fields that both completion endpoints share: how to generate.
 *
 * What would change the answer and cannot be done is refused, never ignored; what says nothing
 * ("tools":[]) passes. Pure; fuzzed through chat_request. Thread: any. */
#ifndef SERVER_GENERATION_REQUEST_H
#define SERVER_GENERATION_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "core/text/sampler.h"
#include "core/text/token_report.h"
#include "server/tool_request.h"

struct api_error;
struct grammar;
struct grammar_cache;
struct tokenizer;
struct tool_format;

/* What the daemon allows, and what holds when the client says nothing. */
struct generation_defaults {
    int max_tokens;
    struct sampler_settings sampling;
    int n_vocab;                       /* token ids are below */
    const struct tokenizer *tokenizer; /* which of them end a turn; NULL: nobody asks */
    const char *model_names[2];        /* those of the one model that is loaded; NULL for none */
    bool is_model_strict;              /* other names are refused; else they mean the same model */
    const struct tool_format *tool_format; /* how the model calls tools; NULL: not known */
    const char *think_open, *think_close;  /* its marks around thoughts; NULL: it has none */
    struct grammar_cache *grammars;        /* compiled ones; NULL: none are kept. */
};

struct generation_request {
    bool is_streaming;
    bool include_usage;  /* one more chunk with the token counts */
    bool wants_timings;  /* in each chunk, not in the last alone */
    bool wants_progress; /* chunks that say how much of the prompt is read */
    int ping_after_s;    /* of silence; 0: the daemon's choice */
    bool ignore_end;
    int max_tokens;                   /* >= 1 */
    int min_tokens;                   /* 0 .. max_tokens */
    struct sampler_settings sampling; /* without the biases */
    bool has_seed;                    /* the client chose it */
    struct token_bias *biases;        /* owned: n_biases */
    int n_biases;
    bool wants_logprobs; /* of each token, and of ... */
    int n_top;           /* ... the so many most likely ones, 0 .. TOKEN_REPORT_MAX_TOP */
    char **stops;        /* owned: n_stops strings, none empty */
    int n_stops;
    struct tool_request tools;
    char *template_kwargs; /* owned: JSON text of an object of variables for the chat template; NULL
                              for none */
    bool is_thoughtless;   /* they ask for an answer without thoughts */
    struct grammar *grammar;  /* what may be said, of which this is an owner; NULL: anything */
    bool grammar_has_thought; /* it lets the model think first */
};

/* On false *out is as it was. */
bool generation_request_read(const json_t *body, const struct generation_defaults *defaults,
                             struct generation_request *out, struct api_error *error);
void generation_request_done(struct generation_request *request);
/* *out becomes a copy with lists of its own; false when there is no memory (*out is then empty). */
bool generation_request_copy(const struct generation_request *request,
                             struct generation_request *out);

#endif
