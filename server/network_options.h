/* network_options.h - what the options say about the network: where to listen, and who is let in.
 *
 * Thread: loop, or main before it. */
#ifndef SERVER_NETWORK_OPTIONS_H
#define SERVER_NETWORK_OPTIONS_H

#include <stdbool.h>

#include "server/http_policy.h"
#include "server/listener.h"
#include "server/text_list.h"

struct auth;
struct err;
struct options;

/* Options that name several things. */
struct network_lists {
    struct text_list allowed_hosts, cors_origins, conversation_headers;
};

/* `inherited_fd` is the socket that systemd opened, -1 for none. *out borrows from the options. */
bool network_options_read_listener(const struct options *options, int inherited_fd,
                                   struct listener_options *out, struct err *err);

/* Refuses to let other machines in without keys, unless the options insist. */
bool network_options_open_auth(const struct options *options, const struct listener_options *listen,
                               struct auth **out, struct err *err);

bool network_options_read_lists(const struct options *options, struct network_lists *lists,
                                struct err *err);

/* Borrows from the lists. */
struct http_policy network_options_policy(const struct options *options,
                                          const struct network_lists *lists);

#endif
