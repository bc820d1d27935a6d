/* response_output.h - what a response says, as items, and as the events of its stream.
 *
 * Strict clients take no event that they do not know, no delta before its item and part were added,
 * and no second id for the same thing: the order is decided here and nowhere else. Pure; the
 * caller sends what is written. Owner: a response turn (embedded). Thread: any. */
#ifndef SERVER_RESPONSE_OUTPUT_H
#define SERVER_RESPONSE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "server/item_list.h"

struct response_row;

enum response_part {
    RESPONSE_PART_NONE,
    RESPONSE_PART_TEXT,      /* of a message */
    RESPONSE_PART_REASONING, /* of a reasoning */
    RESPONSE_PART_CALL,      /* the arguments of a function call */
};

struct response_output {
    bool has_events;         /* events are written to `frames` */
    struct buf frames;       /* whole frames, to be taken by the caller */
    int64_t sequence;        /* of the next event */
    struct item_list *items; /* that are done; the response's own, borrowed */
    enum response_part open; /* the item that is being said */
    char open_id[ITEM_ID_SIZE];
    char next_id[ITEM_ID_SIZE]; /* of the next item; empty: a new one is made */
    struct buf open_text;
    struct buf open_logprobs; /* a message: JSON objects with commas between them */
    struct buf call_id, name; /* a call */
};

/* A piece of what is said. */
struct response_piece {
    enum response_part part;
    const char *text;
    size_t len;
    const struct buf *logprobs; /* of a message: JSON objects with commas between them; or NULL */
};

void response_output_init(struct response_output *output, bool has_events, struct item_list *items);
void response_output_done(struct response_output *output);

/* response.created and response.in_progress (or response.queued). First of all. */
void response_output_begin(struct response_output *output, const struct response_row *row);
/* Begins an item when another kind was being said; a call must have begun. False when there is no
 * memory. */
bool response_output_say(struct response_output *output, const struct response_piece *piece);
/* A function call, whose arguments follow. */
bool response_output_begin_call(struct response_output *output, const char *call_id,
                                const char *name, size_t name_len);
/* Ends the item that is being said; a response without any gets an empty message. `is_complete`:
 * nothing has cut it off. */
bool response_output_close(struct response_output *output, bool is_complete);
/* The last event: response.completed, .incomplete or .failed, as the row's status says. */
void response_output_end(struct response_output *output, const struct response_row *row);
#endif
