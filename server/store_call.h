/* store_call.h - one request that the store alone can answer: what is asked, and the reply.
 *
 * It owns itself: store_call_start hands it to the store, and after the reply, or when the client
 * has gone, it is freed. Thread: loop; the work runs on the store's. */
#ifndef SERVER_STORE_CALL_H
#define SERVER_STORE_CALL_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "server/auth.h"
#include "server/item_list.h"
#include "server/store.h"
#include "server/store_items.h"

struct api_error;
struct http_exchange;
struct route_call;

struct store_call {
    struct store_job job;
    struct http_exchange *exchange; /* NULL: the client has gone */
    struct auth_digest owner;
    char id[ITEM_ID_SIZE];      /* the first {} of the path; empty for none */
    char item_id[ITEM_ID_SIZE]; /* the second */
    struct store_page page;
    int64_t number;
    struct item_list items; /* that the body brings */
    struct buf metadata;
    struct buf reply;  /* by the work */
    const char *media; /* type of the reply; JSON unless set */
    struct err err;    /* by the work: why there is no reply */
};

/* Copies what the path says. NULL, after answering, when there is no memory or an id is too long
 * to exist. */
struct store_call *store_call_new(const struct auth *auth, const struct route_call *route);
/* Answers instead of asking the store, if the client is there. */
void store_call_refuse(struct store_call *call, const struct api_error *error);
/* `work` gets the call as its argument. */
void store_call_start(struct store_call *call, struct store *store, store_work_fn *work);

#endif
