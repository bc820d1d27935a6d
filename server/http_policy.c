#include "server/http_policy.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "server/api_error.h"

/* Headers that steer framing, identity or routing: a second one means that somebody in between may
 * have read the other. */
static const char *const single_headers[] = {
    "Host",          "Content-Length", "Transfer-Encoding",
    "Authorization", "X-Api-Key",      "X-Conversation-Id",
    "X-Session-Id",  "Content-Type",   "Content-Encoding",
    "Expect",        "Origin",
};

static bool view_is(const char *text, size_t len, const char *expected)
{
    return len == strlen(expected) && strncasecmp(text, expected, len) == 0;
}

static const struct http_header_view *find(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->n_headers; i++) {
        if (view_is(head->headers[i].name, head->headers[i].name_len, name))
            return &head->headers[i];
    }
    return NULL;
}

static bool bad(struct api_error *error, const char *message)
{
    return api_error_set(error, 400, "invalid_http", NULL, "%s", message);
}

/* token = 1*tchar (RFC 9110, 5.6.2) */
static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_alnum && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return len > 0;
}

static bool check_names_and_values(const struct http_head *head, struct api_error *error)
{
    for (size_t i = 0; i < head->n_headers; i++) {
        const struct http_header_view *header = &head->headers[i];
        if (!is_token(header->name, header->name_len))
            return bad(error, "a header name has characters that are not allowed");
        for (size_t j = 0; j < header->value_len; j++) {
            unsigned char c = (unsigned char)header->value[j];
            if ((c < ' ' && c != '\t') || c == 0x7f)
                return bad(error, "a header value has control characters");
        }
    }
    return true;
}

static bool check_duplicates(const struct http_head *head, struct api_error *error)
{
    for (size_t k = 0; k < sizeof single_headers / sizeof single_headers[0]; k++) {
        int n = 0;
        for (size_t i = 0; i < head->n_headers; i++)
            n += view_is(head->headers[i].name, head->headers[i].name_len, single_headers[k]);
        if (n > 1)
            return api_error_set(error, 400, "invalid_http", NULL, "more than one %s header",
                                 single_headers[k]);
    }
    return true;
}

static bool too_large(const struct http_policy *policy, struct api_error *error)
{
    return api_error_set(error, 413, "request_too_large", NULL,
                         "the request body is larger than %zu bytes", policy->max_body_bytes);
}

static bool check_framing(const struct http_policy *policy, const struct http_head *head,
                          struct api_error *error)
{
    const struct http_header_view *length = find(head, "Content-Length");
    const struct http_header_view *encoding = find(head, "Transfer-Encoding");
    if (length != NULL && encoding != NULL)
        return bad(error, "both Content-Length and Transfer-Encoding are given");
    if (encoding != NULL && !view_is(encoding->value, encoding->value_len, "chunked"))
        return bad(error, "the only Transfer-Encoding understood is chunked");
    if (encoding != NULL && strcmp(head->version, "HTTP/1.0") == 0)
        return bad(error, "HTTP/1.0 has no Transfer-Encoding");
    if (length == NULL)
        return true;

    if (length->value_len == 0)
        return bad(error, "Content-Length is empty");
    uint64_t n_bytes = 0;
    for (size_t i = 0; i < length->value_len; i++) {
        char c = length->value[i];
        if (c < '0' || c > '9')
            return bad(error, "Content-Length is not a number");
        if (n_bytes > policy->max_body_bytes)
            return too_large(policy, error);
        n_bytes = n_bytes * 10 + (uint64_t)(c - '0');
    }
    return n_bytes <= policy->max_body_bytes || too_large(policy, error);
}

/* 127.0.0.0/8. The slice need not end where it is. */
static bool is_loopback_ip(const char *name, size_t len)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    if (len >= sizeof text)
        return false;
    memcpy(text, name, len);
    text[len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* The length of a host without its port; "[::1]:80" is "[::1]". */
static size_t host_len(const char *name, size_t len)
{
    const char *end = len > 0 && name[0] == '[' ? memchr(name, ']', len) : NULL;
    if (end != NULL)
        return (size_t)(end - name) + 1;
    const char *colon = memchr(name, ':', len);
    return colon != NULL ? (size_t)(colon - name) : len;
}

bool http_policy_is_local_host(const char *name, size_t len)
{
    len = host_len(name, len);
    static const char suffix[] = ".localhost"; /* RFC 6761, 6.3: always this machine */
    size_t suffix_len = sizeof suffix - 1;
    return view_is(name, len, "localhost") || view_is(name, len, "[::1]") ||
           is_loopback_ip(name, len) ||
           (len > suffix_len && strncasecmp(name + len - suffix_len, suffix, suffix_len) == 0);
}

static bool is_allowed_host(const struct http_policy *policy, const struct http_header_view *host)
{
    for (int i = 0; i < policy->n_allowed_hosts; i++) {
        if (strcmp(policy->allowed_hosts[i], "*") == 0 ||
            view_is(host->value, host_len(host->value, host->value_len), policy->allowed_hosts[i]))
            return true;
    }
    return false;
}

static bool check_host(const struct http_policy *policy, const struct http_head *head,
                       struct api_error *error)
{
    const struct http_header_view *host = find(head, "Host");
    if (host == NULL)
        return strcmp(head->version, "HTTP/1.0") == 0 || bad(error, "the Host header is missing");
    if (policy->only_local_hosts && !http_policy_is_local_host(host->value, host->value_len) &&
        !is_allowed_host(policy, host))
        return api_error_set(error, 403, "host_not_allowed", NULL,
                             "this server listens on the local machine only; the Host header must "
                             "be localhost, 127.0.0.1 or a name that --allowed-host gives");
    return true;
}

/* The host part of "scheme://host:port"; false when there is no scheme ("null"). */
static bool split_origin(const struct http_header_view *origin, const char **out_host,
                         size_t *out_len)
{
    const char *mark = memmem(origin->value, origin->value_len, "://", 3);
    if (mark == NULL)
        return false;
    *out_host = mark + 3;
    *out_len = origin->value_len - (size_t)(mark + 3 - origin->value);
    return true;
}

bool http_policy_allows_origin(const struct http_policy *policy, const struct http_head *head)
{
    const struct http_header_view *origin = find(head, "Origin");
    if (origin == NULL)
        return true;
    for (int i = 0; i < policy->n_cors_origins; i++) {
        if (strcmp(policy->cors_origins[i], "*") == 0 ||
            view_is(origin->value, origin->value_len, policy->cors_origins[i]))
            return true;
    }
    const struct http_header_view *host = find(head, "Host");
    const char *name;
    size_t len;
    if (!split_origin(origin, &name, &len))
        return false;
    return http_policy_is_local_host(name, len) ||
           (host != NULL && len == host->value_len && strncasecmp(name, host->value, len) == 0);
}

/* A page from elsewhere can make a browser send a simple POST without asking first, so a foreign
 * origin is refused here and not only left without CORS headers. */
static bool check_origin(const struct http_policy *policy, const struct http_head *head,
                         struct api_error *error)
{
    return http_policy_allows_origin(policy, head) ||
           api_error_set(error, 403, "origin_not_allowed", NULL,
                         "this origin is not allowed; the operator can add it with --cors-origin");
}

bool http_policy_check(const struct http_policy *policy, const struct http_head *head,
                       struct api_error *error)
{
    bool is_asterisk = strcmp(head->target, "*") == 0 && strcmp(head->method, "OPTIONS") == 0;
    if (head->target[0] != '/' && !is_asterisk)
        return bad(error, "the request target must be a path that begins with /");
    return check_names_and_values(head, error) && check_duplicates(head, error) &&
           check_framing(policy, head, error) && check_host(policy, head, error) &&
           check_origin(policy, head, error);
}
