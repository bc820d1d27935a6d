/* http_reply.h - what libmicrohttpd is given to send.
 *
 * Owner: libmicrohttpd, from when it is queued. Thread: loop. Not here: what is in it, which the
 * exchange has collected. */
#ifndef SERVER_HTTP_REPLY_H
#define SERVER_HTTP_REPLY_H

struct MHD_Response;
struct http_exchange;

/* Status aside; reads on from the exchange when it is a stream. NULL without memory. */
struct MHD_Response *http_reply_make(struct http_exchange *exchange);

/* For when there is no memory for another one; to be made in good time. NULL without. */
struct MHD_Response *http_reply_no_memory(void);

#endif
