/* response_turn_state.h - the inside of a turn, for response_turn.c and response_turns.c alone: the
 * one lives it, the other tells it from others.
 *
 * Thread: loop. */
#ifndef SERVER_RESPONSE_TURN_STATE_H
#define SERVER_RESPONSE_TURN_STATE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "server/audience.h"
#include "server/generation_request.h"
#include "server/response_output.h"
#include "server/response_record.h"
#include "server/response_turn.h"
#include "server/store.h"

struct generation;
struct response_turns;

enum response_turn_state {
    TURN_LOADS,     /* the store reads what the response follows */
    TURN_GENERATES, /* `generation` is set */
    TURN_COMMITS,   /* the store writes the response */
    TURN_IS_OVER,   /* only kept for a client that may come back */
};

struct response_turn {
    LIST_ENTRY(response_turn) place;
    struct response_turns *all;
    enum response_turn_state state;
    char request_id[65];
    int owner;
    struct response_record record;
    struct store_job job;
    struct generation_request generation_request;
    struct generation *generation;
    struct response_output output;
    struct audience audience;
    bool is_background;
    bool is_kept;
    bool is_strict;
    bool is_cancelled;
};

/* Responses of one lineage share a session of the engine, one after the other: true when another
 * turn uses this one's. */
bool response_turns_share_lineage(const struct response_turn *turn);

#endif
