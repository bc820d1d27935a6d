/* http_policy.h - what a request's first lines must look like before anything believes them.
 *
 * libmicrohttpd 0.9.75 accepts framings that two servers in a row read differently (request
 * smuggling: RFC 9112, 6.1 and 11.2). Pure; fuzzed. Thread: any. */
#ifndef SERVER_HTTP_POLICY_H
#define SERVER_HTTP_POLICY_H

#include <stdbool.h>
#include <stddef.h>

struct api_error;

struct http_policy {
    size_t max_body_bytes;
    bool only_local_hosts; /* Host must name this machine: a web page whose name was made to point
                              here (DNS rebinding) is refused */
    const char *const *allowed_hosts; /* besides; "*" for all. Without ports */
    int n_allowed_hosts;
    const char *const *cors_origins; /* allowed besides loopback and our own; "*" for all */
    int n_cors_origins;
};

/* Slices of the connection's memory; not NUL-terminated. */
struct http_header_view {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

struct http_head {
    const char *method;
    const char *target; /* path, percent-decoded */
    const char *version;
    const struct http_header_view *headers;
    size_t n_headers;
};

/* True when the request may go on; else *error says why it must not. */
bool http_policy_check(const struct http_policy *policy, const struct http_head *head,
                       struct api_error *error);

/* True when there is no Origin header, or one whose pages may call. */
bool http_policy_allows_origin(const struct http_policy *policy, const struct http_head *head);

/* True when `name`, a host with or without a port, means this machine. */
bool http_policy_is_local_host(const char *name, size_t len);

#endif
