/* message_log.h - what was said in a conversation, word for word, and how it compares with what a
 * client sends back.
 *
 * Clients trim, re-wrap and re-join what they were given, so messages are compared without CR
 * before LF and without whitespace at both ends; what else they carry is compared byte for byte,
 * but for thoughts, which are not compared at all.
 * Owner: a conversation or a plan. Thread: loop. */
#ifndef SERVER_MESSAGE_LOG_H
#define SERVER_MESSAGE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text/chat_template.h"

struct logged_message {
    enum chat_role role;
    char *content; /* owned, len bytes, as it was sent or generated */
    size_t len;
    char *extra; /* owned, extra_len bytes; NULL for none */
    size_t extra_len;
    char *reasoning; /* owned, reasoning_len bytes; NULL for none */
    size_t reasoning_len;
    uint64_t hash; /* of role, compared content and extra */
};

struct message_log {
    struct logged_message *items;
    size_t n;
    size_t max;
    size_t n_bytes; /* of all contents, extras and thoughts */
};

void message_log_init(struct message_log *log);
void message_log_done(struct message_log *log);

/* Both copy; false when there is no memory. */
bool message_log_push(struct message_log *log, const struct chat_message *message);
bool message_log_extend_last(struct message_log *log, const char *text, size_t len);
/* Moves all of `from` to the end; on false nothing has moved. */
bool message_log_move(struct message_log *log, struct message_log *from);

/* Copies all of `from` to the end of *log; on false some may have been copied. */
bool message_log_copy(struct message_log *log, const struct message_log *from);

void message_log_truncate(struct message_log *log, size_t n);

/* A borrowed view of one message. */
struct chat_message message_log_view(const struct message_log *log, size_t i);

uint64_t message_log_hash(const struct chat_message *message);

/* True when item i says the same as `message`, whose hash is given. */
bool message_log_same(const struct message_log *log, size_t i, const struct chat_message *message,
                      uint64_t hash);

#endif
