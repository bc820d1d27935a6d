#include "server/audience.h"

#include "core/base/buf.h"

void audience_init(struct audience *audience, const struct audience_options *options,
                   const struct resumable_ask *ask)
{
    *audience = (struct audience){
        .is_streaming = options->is_streaming,
        .followers =
            {
                .stall_s = options->stall_s,
                .on_deserted = options->on_deserted,
                .on_pressure = options->on_pressure,
                .arg = options->arg,
            },
        .resumable =
            {
                .name = options->name,
                .on_expired = options->on_expired,
                .arg = options->arg,
            },
    };
    resumables_add(options->resumables, &audience->resumable, ask, !options->is_streaming);
    if (audience->resumable.all == NULL || !options->is_streaming)
        return;
    audience->followers.name = options->name;
    audience->followers.keeps_log = true;
    audience->followers.budget = resumables_budget(options->resumables);
}

void audience_done(struct audience *audience)
{
    resumables_remove(&audience->resumable);
    followers_done(&audience->followers);
}

bool audience_can_return(const struct audience *audience)
{
    return !audience->is_streaming || audience->followers.keeps_log;
}

bool audience_await(struct audience *audience)
{
    return audience_can_return(audience) && resumable_wait(&audience->resumable);
}

void audience_take_up(struct audience *audience, struct http_exchange *exchange, int64_t after,
                      void (*send)(const void *whole, struct http_exchange *exchange),
                      const void *whole)
{
    struct followers *followers = &audience->followers;
    int64_t last = followers->n_events - 1;
    resumable_take_up(&audience->resumable);
    followers_add(followers, exchange, audience->is_streaming, after < last ? after : last);
    if (audience->resumable.is_over) {
        struct buf nothing;
        buf_init(&nothing);
        followers_show(followers, send, whole);
        followers_end(followers, &nothing);
    } else if (followers->first == NULL) {
        followers->on_deserted(followers->arg);
    }
}
