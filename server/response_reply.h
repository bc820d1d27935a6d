/* response_reply.h - a response as the JSON of the API, with every key that strict clients read.
 * Pure, but for the sending. Thread: any; the loop's for that. */
#ifndef SERVER_RESPONSE_REPLY_H
#define SERVER_RESPONSE_REPLY_H

struct buf;
struct engine_usage;
struct http_exchange;
struct response_row;

void response_reply_write(const struct response_row *row, struct buf *out);
/* As the whole reply. */
void response_reply_send(const struct response_row *row, struct http_exchange *exchange);

/* {"input_tokens":...} with its details. */
void response_reply_write_usage(const struct engine_usage *usage, int n_thought, struct buf *out);

/* {"code":...,"message":...}; the code is one of the API's own list. */
void response_reply_write_error(const char *code, const char *message, struct buf *out);

#endif
