/* conversation_talk.h - conversations with a made-up model, for tests of what a request goes on
 * with and what its session is fed.
 *
 * One token is one byte here, and the session holds what was rendered plus what was said: so each
 * test can say in text what the engine must be fed. */
#ifndef TESTS_SUPPORT_CONVERSATION_TALK_H
#define TESTS_SUPPORT_CONVERSATION_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/text/chat_template.h"
#include "server/conversations.h"

/* cmocka's group set-up and tear-down. */
int talk_init(void **state);
int talk_done(void **state);

/* Room enough, in ChatML, with everything remembered. */
struct conversations_options talk_options(void);
struct conversations *talk_open_with(const struct conversations_options *options);
struct conversations *talk_open(void); /* with talk_options */

extern int talk_n_forgotten; /* sessions, since they were opened */
/* The last note of each session, as the engine would keep it. */
enum { TALK_MAX_NOTES = 256 };
extern struct buf talk_notes[TALK_MAX_NOTES];

struct said {
    char role; /* s, u, a; U: a user's message with an extra */
    const char *text;
};
#define SAID(...) ((const struct said[]){__VA_ARGS__, {0, NULL}})

struct chat_message talk_message(char role, const char *text);
/* At most max; returns how many. */
size_t talk_messages(const struct said *said, struct chat_message *out, size_t max);

extern uint64_t talk_group; /* of every ask */

enum conversations_status talk_begin_as(struct conversations *all, int owner, const char *id,
                                        const struct said *said, struct conversation_plan *plan);
/* For owner 1; it must be ready. */
void talk_begin(struct conversations *all, const char *id, const struct said *said,
                struct conversation_plan *plan);

const char *talk_fed(const struct conversation_plan *plan);
int64_t talk_n_fed(const struct conversation_plan *plan); /* tokens */

struct ending {
    const char *text;
    size_t n_unkept; /* bytes of the text that the session lacks */
    bool is_cancelled;
    bool is_unread; /* cancelled before its first token */
    int64_t rewind_limit;
};
void talk_end(struct conversations *all, struct conversation_plan *plan, struct ending ending);

/* One whole turn that is answered with `answer`. */
enum conversation_match talk_turn(struct conversations *all, const char *id,
                                  const struct said *said, const char *answer);
/* What such a turn would go on with. */
enum conversation_match talk_match(struct conversations *all, const char *id,
                                   const struct said *said);

#endif
