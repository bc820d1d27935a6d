#include "server/stateful_api.h"

#include <stdlib.h>
#include <time.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/engine/engine.h"
#include "server/conversation_routes.h"
#include "server/options.h"
#include "server/response_routes.h"
#include "server/resumables.h"
#include "server/state_dir.h"
#include "server/store.h"
#include "server/store_responses.h"

enum { MAX_PATH_BYTES = 4096, HOUSEKEEP_SECONDS = 20 };
#define MAX_MEMORY_BYTES ((size_t)256 * 1024 * 1024) /* of a database in memory */

struct stateful_api {
    struct state_dir *dir; /* NULL: nothing is kept on disk */
    struct store *store;
    struct conversation_routes conversations;
    struct response_routes responses;
    struct resumables *resumables;
    int64_t response_ttl_s;
    char db_path[MAX_PATH_BYTES];
};

static bool open_dir(struct stateful_api *api, const char *path, struct err *err)
{
    return state_dir_open(&api->dir, path, err) &&
           state_dir_file(api->dir, "sinkd.db", api->db_path, sizeof api->db_path, err);
}

/* Both on the store's thread, or before it starts. */
static void prepare(struct store_db *db, void *arg)
{
    (void)arg;
    struct err err;
    if (!store_responses_fail_unfinished(db, &err))
        log_warning("%s", err.text);
}

static void housekeep(struct store_db *db, void *arg)
{
    (void)arg;
    while (store_responses_expire(db, (int64_t)time(NULL)))
        continue;
}

static bool open_store(struct stateful_api *api, struct event_loop *loop,
                       const struct options *options, struct err *err)
{
    struct store_options store_options = {
        .db =
            {
                .path = api->dir == NULL ? NULL : api->db_path,
                .durability = options->durability,
                .max_bytes = api->dir == NULL ? MAX_MEMORY_BYTES : 0,
            },
        .prepare = prepare,
        .housekeep = housekeep,
        .housekeep_seconds = HOUSEKEEP_SECONDS,
    };
    return store_open(&api->store, loop, &store_options, err);
}

bool stateful_api_open(struct stateful_api **out, struct event_loop *loop,
                       const struct options *options, const struct auth *auth, struct err *err)
{
    struct stateful_api *api = calloc(1, sizeof *api);
    if (api == NULL)
        return err_no_memory(err, "the store");
    bool has_dir = options->state_dir[0] != '\0';
    if ((has_dir && !open_dir(api, options->state_dir, err)) ||
        !resumables_open(&api->resumables, loop, options->resume_seconds, err) ||
        !open_store(api, loop, options, err)) {
        stateful_api_close(&api);
        return false;
    }
    api->response_ttl_s = options->response_ttl_s;
    api->conversations = (struct conversation_routes){.store = api->store, .auth = auth};
    if (has_dir)
        log_info("stored conversations are kept in %s, durability %s", api->db_path,
                 store_durability_name(options->durability));
    *out = api;
    return true;
}

void stateful_api_close(struct stateful_api **api)
{
    if (*api != NULL) {
        resumables_expire((*api)->resumables);
        store_close(&(*api)->store); /* ends the answers that it was to keep */
        resumables_close(&(*api)->resumables);
        state_dir_close(&(*api)->dir);
        free(*api);
    }
    *api = NULL;
}

void stateful_api_set_patience(struct stateful_api *api, const struct options *options)
{
    struct response_turns *turns = &api->responses.turns;
    turns->ping_after_s = options->ping_seconds;
    turns->stall_s = options->stall_seconds;
    resumables_set_seconds(api->resumables, options->resume_seconds);
}

void stateful_api_read_counters(const struct stateful_api *api, struct store_counters *out)
{
    store_read_counters(api->store, out);
}

bool stateful_api_add_routes(struct stateful_api *api, const struct stateful_api_parts *parts,
                             struct routes *routes, struct err *err)
{
    const struct engine_info *info = engine_info(parts->engine);
    api->responses = (struct response_routes){
        .turns =
            {
                .resumables = api->resumables,
                .metrics = parts->metrics,
                .store = api->store,
                .auth = api->conversations.auth,
                .reader = parts->reader,
                .generations = parts->generations,
                .routes = routes,
                .defaults = parts->defaults,
                .model_name = parts->model_name,
                .tokenizer = engine_tokenizer(parts->engine),
                .n_window = info->n_window,
                .ttl_s = api->response_ttl_s,
                .ping_after_s = parts->ping_after_s,
                .stall_s = parts->stall_s,
            },
        .text = parts->text,
    };
    api->conversations.reader = parts->reader;
    return conversation_routes_add(routes, &api->conversations, err) &&
           response_routes_add(routes, &api->responses, err);
}
