/* response_record.h - a response with what it follows, between the request and the store.
 *
 * Owner: a response turn (embedded), or whoever counts the tokens of a request. Thread: the
 * owner's; load and commit run on the store's while the owner leaves it alone. */
#ifndef SERVER_RESPONSE_RECORD_H
#define SERVER_RESPONSE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "server/auth.h"
#include "server/message_log.h"
#include "server/store_responses.h"

struct api_error;
struct response_request;
struct store_db;

/* What a failure is about. */
enum response_fault {
    RESPONSE_FAULT_OTHER,
    RESPONSE_FAULT_PREVIOUS,
    RESPONSE_FAULT_CONVERSATION,
    RESPONSE_FAULT_INPUT,
};

struct response_record {
    struct auth_digest owner;
    struct response_row row;
    struct buf instructions;
    bool is_background;
    struct message_log messages; /* loaded: all that the model is given */
    struct err err;              /* of the last load or commit */
    enum response_fault fault;
};

/* Moves the request's words out of it. The response gets its id. */
void response_record_init(struct response_record *record, struct response_request *request,
                          const struct auth_digest *owner);
void response_record_done(struct response_record *record);

/* True when the request names something stored. */
bool response_record_needs_store(const struct response_record *record);

/* Puts the messages together. `db` may be NULL when nothing of the store is needed. With
 * `will_write` a store that could not keep the response is an error now, not after the answer; a
 * response in the background is stored already. */
void response_record_load(struct response_record *record, struct store_db *db, bool will_write,
                          int64_t ttl_s);
void response_record_commit(struct response_record *record, struct store_db *db, int64_t ttl_s);

/* The failure in the words of the API. */
void response_record_explain(const struct response_record *record, struct api_error *error);

#endif
