#include "server/conversation_note.h"

#include <string.h>

#include "core/base/buf.h"
#include "server/conversation.h"

enum { VERSION = 3, MAX_ROLE = CHAT_TOOL };

/* ---- writing: numbers as eight bytes, texts after their length ---- */

static void put_number(struct buf *out, int64_t number)
{
    buf_append(out, &number, sizeof number);
}

static void put_text(struct buf *out, const char *text, size_t len)
{
    put_number(out, (int64_t)len);
    buf_append(out, text, len);
}

static void put_message(struct buf *out, const struct logged_message *message)
{
    put_number(out, message->role);
    put_text(out, message->content, message->len);
    put_text(out, message->extra, message->extra_len);
}

static void put_boundary(struct buf *out, const struct boundary *boundary)
{
    put_number(out, (int64_t)boundary->n_messages);
    put_number(out, boundary->position);
    put_number(out, boundary->is_plain);
    put_number(out, boundary->is_whole);
    put_text(out, boundary->tail, boundary->n_tail);
    put_number(out, (int64_t)boundary->n_text_kept);
    put_number(out, boundary->replay);
    put_number(out, (int64_t)boundary->started_with);
}

void conversation_note_write(const struct conversation *one, const char *owner, struct buf *out)
{
    put_number(out, VERSION);
    put_text(out, owner, strlen(owner));
    put_text(out, one->id, strlen(one->id));
    put_number(out, one->is_named);
    put_number(out, (int64_t)one->group);
    put_number(out, (int64_t)one->rendered_with);
    put_number(out, one->begun);
    put_number(out, one->n_unread);
    put_number(out, one->last.position);
    put_number(out, one->last.rewind_limit);
    for (int i = 0; i < KV_N_MARKS; i++)
        put_number(out, one->last.marks[i]);
    put_number(out, one->last.n_evicted);
    put_number(out, (int64_t)one->log.n);
    for (size_t i = 0; i < one->log.n; i++)
        put_message(out, &one->log.items[i]);
    put_number(out, one->n_boundaries);
    for (int i = 0; i < one->n_boundaries; i++)
        put_boundary(out, &one->boundaries[i]);
}

/* ---- reading ---- */

struct reader {
    const char *at;
    size_t left;
    bool failed; /* sticky; numbers are then 0 and texts empty */
};

static const char *take(struct reader *reader, size_t len)
{
    const char *at = reader->at;
    if (reader->failed || len > reader->left) {
        reader->failed = true;
        return NULL;
    }
    reader->at += len;
    reader->left -= len;
    return at;
}

/* A number from min to max. */
static int64_t get_number(struct reader *reader, int64_t min, int64_t max)
{
    int64_t number = 0;
    const char *bytes = take(reader, sizeof number);
    if (bytes != NULL)
        memcpy(&number, bytes, sizeof number);
    if (bytes == NULL || number < min || number > max) {
        reader->failed = true;
        return min;
    }
    return number;
}

static const char *get_text(struct reader *reader, size_t *out_len)
{
    *out_len = (size_t)get_number(reader, 0, INT64_MAX);
    const char *text = take(reader, *out_len);
    if (text == NULL)
        *out_len = 0;
    return text == NULL ? "" : text;
}

/* One that fits, with its NUL, and has none inside. */
static void get_name(struct reader *reader, char *out, size_t size)
{
    size_t len;
    const char *text = get_text(reader, &len);
    if (len >= size || memchr(text, '\0', len) != NULL) {
        reader->failed = true;
        len = 0;
    }
    memcpy(out, text, len);
    out[len] = '\0';
}

static void get_message(struct reader *reader, struct message_log *log)
{
    struct chat_message message = {0};
    message.role = (enum chat_role)get_number(reader, 0, MAX_ROLE);
    message.content = get_text(reader, &message.len);
    message.extra = get_text(reader, &message.extra_len);
    if (message.extra_len == 0)
        message.extra = NULL;
    if (reader->failed || !message_log_push(log, &message))
        reader->failed = true;
}

static void get_tail(struct reader *reader, struct boundary *boundary)
{
    size_t len;
    const char *tail = get_text(reader, &len);
    if (len > BOUNDARY_MAX_TAIL) {
        reader->failed = true;
        return;
    }
    if (len > 0)
        memcpy(boundary->tail, tail, len);
    boundary->n_tail = (uint8_t)len;
}

static void get_boundary(struct reader *reader, struct conversation *one)
{
    int64_t n_messages = get_number(reader, 1, (int64_t)one->log.n);
    struct boundary boundary = {
        .n_messages = (size_t)n_messages,
        .position = get_number(reader, 0, one->last.position),
    };
    if (reader->failed)
        return;
    const struct logged_message *last = &one->log.items[boundary.n_messages - 1];
    boundary.is_plain = get_number(reader, 0, 1) == 1;
    boundary.is_whole = get_number(reader, 0, 1) == 1;
    get_tail(reader, &boundary);
    /* Of what the model said; the message itself is that only when it is plain. */
    int64_t max_kept = boundary.is_plain ? (int64_t)last->len : INT64_MAX;
    boundary.n_text_kept = (size_t)get_number(reader, 0, max_kept);
    boundary.replay = (int32_t)get_number(reader, -1, INT32_MAX);
    boundary.started_with = (uint64_t)get_number(reader, INT64_MIN, INT64_MAX);
    if (!reader->failed)
        conversation_add_boundary(one, boundary);
}

bool conversation_note_read(const char *bytes, size_t len, struct conversation *one,
                            char owner[CONVERSATION_OWNER_SIZE])
{
    const int64_t max_position = (int64_t)1 << 52;
    struct reader reader = {.at = bytes, .left = len};
    get_number(&reader, VERSION, VERSION);
    get_name(&reader, owner, CONVERSATION_OWNER_SIZE);
    get_name(&reader, one->id, sizeof one->id);
    one->is_named = get_number(&reader, 0, 1) == 1;
    one->group = (uint64_t)get_number(&reader, INT64_MIN, INT64_MAX);
    one->rendered_with = (uint64_t)get_number(&reader, INT64_MIN, INT64_MAX);
    one->begun = get_number(&reader, 0, INT64_MAX);
    one->n_unread = get_number(&reader, 0, max_position);
    one->last.position = get_number(&reader, 0, max_position);
    one->last.rewind_limit = get_number(&reader, 0, max_position);
    for (int i = 0; i < KV_N_MARKS; i++)
        one->last.marks[i] = get_number(&reader, 0, one->last.position);
    one->last.n_evicted = get_number(&reader, 0, max_position);
    int64_t n_messages = get_number(&reader, 1, INT64_MAX);
    for (int64_t i = 0; i < n_messages && !reader.failed; i++)
        get_message(&reader, &one->log);
    int64_t n_boundaries = get_number(&reader, 0, CONVERSATION_MAX_BOUNDARIES);
    for (int64_t i = 0; i < n_boundaries && !reader.failed; i++)
        get_boundary(&reader, one);
    return !reader.failed && reader.left == 0 && one->id[0] != '\0';
}
