/* generation_state.h - the inside of a generation, for generation.c and generations.c alone: the
 * one lives it, the other finds it and says when it is its turn.
 *
 * Thread: loop. */
#ifndef SERVER_GENERATION_STATE_H
#define SERVER_GENERATION_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/base/buf.h"
#include "core/engine/engine.h"
#include "server/answer_parser.h"
#include "server/generation.h"
#include "server/generation_meter.h"
#include "server/generation_prompt.h"

struct api_error;
struct generations;
struct generations_options;

enum generation_state {
    GENERATION_IS_NEW,
    GENERATION_AWAITS_CONVERSATION, /* whose last listener has left and which is about to stop */
    GENERATION_TOKENIZES,           /* a worker thread makes tokens of the prompt */
    GENERATION_SPEAKS,              /* the engine has it, and owes a final event */
};

struct generation {
    TAILQ_ENTRY(generation) place; /* in order of arrival */
    struct generations *all;
    const struct generations_options *options; /* of all */
    uint64_t id;                               /* the engine's name for it */
    enum generation_state state;
    const struct generation_listener *listener; /* NULL: it has left, or had its last call */
    void *arg;
    char request_id[65];
    struct generation_prompt prompt;

    bool is_parked;    /* as wished, and ... */
    bool is_park_told; /* ... as the engine knows */
    bool has_started;  /* on_start was called */
    struct buf text;
    bool has_parser;
    struct answer_parser parser;
    bool has_begun_answer;
    struct token_report_list reports;
    size_t n_told;             /* of the reports */
    int n_thought;             /* tokens */
    struct engine_usage usage; /* so far */
    struct generation_meter meter;
};

/* ---- of one; each may free it ---- */

/* Also once more, after another has ended, while it awaits its conversation. */
void generation_begin(struct generation *one);
void generation_tick(struct generation *one);
/* Tells the listener, and ends it as soon as that is possible. */
void generation_stop(struct generation *one, const struct api_error *error);
void generation_on_event(struct generation *one, struct engine_event *event);

/* ---- of all ---- */

const struct generations_options *generations_options_of(const struct generations *all);

/* May there be one more, of this owner? */
bool generations_admit(const struct generations *all, int owner, struct api_error *error);
/* "The server is busy", and for how long. */
void generations_refuse(const struct generations *all, struct api_error *error);

/* Where generations_admit has said so: gives it its id. */
void generations_add(struct generations *all, struct generation *one);
/* The pointer is then its caller's to free. */
void generations_remove(struct generation *one);

/* One has had the engine's last word. */
void generations_note_end(struct generations *all);
/* After generations have ended: lets those that waited for it go on, first come first served. What
 * ends during a walk, in a listener's call, is settled after it. */
void generations_settle(struct generations *all);

#endif
