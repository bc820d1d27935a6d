#include "server/message_log.h"

#include <stdlib.h>
#include <string.h>

void message_log_init(struct message_log *log)
{
    *log = (struct message_log){0};
}

void message_log_done(struct message_log *log)
{
    message_log_truncate(log, 0);
    free(log->items);
    message_log_init(log);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == '\v';
}

/* Walks the compared form of a message: trimmed, LF line ends. */
struct reader {
    const char *at;
    const char *end;
};

static struct reader reader_make(const char *content, size_t len)
{
    const char *end = content + len;
    while (content < end && is_space(*content))
        content++;
    while (end > content && is_space(end[-1]))
        end--;
    return (struct reader){content, end};
}

/* The next byte, or -1. */
static int reader_next(struct reader *reader)
{
    if (reader->end - reader->at >= 2 && reader->at[0] == '\r' && reader->at[1] == '\n')
        reader->at++;
    return reader->at < reader->end ? (unsigned char)*reader->at++ : -1;
}

uint64_t message_log_hash(const struct chat_message *message)
{
    const uint64_t prime = 0x100000001b3; /* FNV-1a, 64 bits */
    uint64_t hash = (0xcbf29ce484222325 ^ (uint64_t)message->role) * prime;
    struct reader reader = reader_make(message->content, message->len);
    for (int c; (c = reader_next(&reader)) >= 0;)
        hash = (hash ^ (uint64_t)c) * prime;
    for (size_t i = 0; i < message->extra_len; i++)
        hash = (hash ^ (unsigned char)message->extra[i]) * prime;
    return hash;
}

bool message_log_same(const struct message_log *log, size_t i, const struct chat_message *message,
                      uint64_t hash)
{
    const struct logged_message *item = &log->items[i];
    if (item->hash != hash || item->role != message->role ||
        item->extra_len != message->extra_len ||
        (item->extra_len > 0 && memcmp(item->extra, message->extra, item->extra_len) != 0))
        return false;
    struct reader a = reader_make(item->content, item->len);
    struct reader b = reader_make(message->content, message->len);
    int c;
    do {
        c = reader_next(&a);
        if (c != reader_next(&b))
            return false;
    } while (c >= 0);
    return true;
}

static bool reserve(struct message_log *log, size_t more)
{
    if (more <= log->max - log->n)
        return true;
    size_t max = log->max * 2 > log->n + more ? log->max * 2 : log->n + more;
    struct logged_message *items = reallocarray(log->items, max, sizeof *items);
    if (items == NULL)
        return false;
    log->items = items;
    log->max = max;
    return true;
}

static char *copy(const char *text, size_t len)
{
    char *bytes = malloc(len + 1);
    if (bytes == NULL)
        return NULL;
    if (len > 0)
        memcpy(bytes, text, len);
    bytes[len] = '\0';
    return bytes;
}

bool message_log_push(struct message_log *log, const struct chat_message *message)
{
    char *content = copy(message->content, message->len);
    char *extra = message->extra_len > 0 ? copy(message->extra, message->extra_len) : NULL;
    char *reasoning =
        message->reasoning_len > 0 ? copy(message->reasoning, message->reasoning_len) : NULL;
    if (content == NULL || (message->extra_len > 0 && extra == NULL) ||
        (message->reasoning_len > 0 && reasoning == NULL) || !reserve(log, 1)) {
        free(content);
        free(extra);
        free(reasoning);
        return false;
    }
    log->items[log->n++] = (struct logged_message){
        .role = message->role,
        .content = content,
        .len = message->len,
        .extra = extra,
        .extra_len = message->extra_len,
        .reasoning = reasoning,
        .reasoning_len = message->reasoning_len,
        .hash = message_log_hash(message),
    };
    log->n_bytes += message->len + message->extra_len + message->reasoning_len;
    return true;
}

bool message_log_extend_last(struct message_log *log, const char *text, size_t len)
{
    struct logged_message *last = &log->items[log->n - 1];
    char *content = realloc(last->content, last->len + len + 1);
    if (content == NULL)
        return false;
    if (len > 0)
        memcpy(content + last->len, text, len);
    content[last->len + len] = '\0';
    last->content = content;
    last->len += len;
    struct chat_message view = message_log_view(log, log->n - 1);
    last->hash = message_log_hash(&view);
    log->n_bytes += len;
    return true;
}

bool message_log_move(struct message_log *log, struct message_log *from)
{
    if (!reserve(log, from->n))
        return false;
    if (from->n > 0)
        memcpy(log->items + log->n, from->items, from->n * sizeof *from->items);
    log->n += from->n;
    log->n_bytes += from->n_bytes;
    from->n = 0;
    from->n_bytes = 0;
    return true;
}

bool message_log_copy(struct message_log *log, const struct message_log *from)
{
    for (size_t i = 0; i < from->n; i++) {
        struct chat_message message = message_log_view(from, i);
        if (!message_log_push(log, &message))
            return false;
    }
    return true;
}

void message_log_truncate(struct message_log *log, size_t n)
{
    while (log->n > n) {
        struct logged_message *last = &log->items[--log->n];
        log->n_bytes -= last->len + last->extra_len + last->reasoning_len;
        free(last->content);
        free(last->extra);
        free(last->reasoning);
    }
}

struct chat_message message_log_view(const struct message_log *log, size_t i)
{
    const struct logged_message *item = &log->items[i];
    return (struct chat_message){.role = item->role,
                                 .content = item->content,
                                 .len = item->len,
                                 .extra = item->extra,
                                 .extra_len = item->extra_len,
                                 .reasoning = item->reasoning,
                                 .reasoning_len = item->reasoning_len};
}
