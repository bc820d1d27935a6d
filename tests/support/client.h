/* client.h - a client of a server of this process, over a real socket. Nothing here asserts on real
 * durations: a wait that ends is only a guard against hangs. */
#ifndef TESTS_SUPPORT_CLIENT_H
#define TESTS_SUPPORT_CLIENT_H

#include "core/base/buf.h"

enum { PATIENCE_MS = 60000 };

int client_dial(int port);
/* With a small receive_bytes the client's kernel takes little of what the client does not read. */
int client_dial_with(int port, int receive_bytes);

/* `headers` are whole lines, each with its end. */
void client_send(int fd, const char *text);
void client_request(int fd, const char *method, const char *path, const char *headers,
                    const char *body);
void client_post(int fd, const char *path, const char *headers, const char *body);
/* Reads until the server closes, or until `mark` has come. */
void client_read(int fd, struct buf *got, const char *mark);

#endif
