/* anthropic_reply.h - what the model says as Anthropic's Messages API has it: a message of blocks,
 * or the events of one. Pure. Thread: any. */
#ifndef SERVER_ANTHROPIC_REPLY_H
#define SERVER_ANTHROPIC_REPLY_H

struct api_error;
struct buf;
struct chat_form;

/* Of one choice. */
extern const struct chat_form anthropic_form;

/* An api_error_write_fn: {"type":"error","error":{"type":...,"message":...}} */
void anthropic_reply_error(const struct api_error *error, struct buf *out);

#endif
