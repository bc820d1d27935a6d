/* fuzz_http_policy.c - libFuzzer target: any bytes as request line and headers, a line each.
 * What passes must have one framing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/api_error.h"
#include "server/http_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

enum { MAX_HEADERS = 32 };

static size_t split(const char *text, size_t len, struct http_header_view *views)
{
    size_t n = 0;
    while (len > 0 && n < MAX_HEADERS) {
        const char *end = memchr(text, '\n', len);
        size_t line_len = end == NULL ? len : (size_t)(end - text);
        const char *colon = memchr(text, ':', line_len);
        size_t name_len = colon == NULL ? line_len : (size_t)(colon - text);
        const char *value = colon == NULL ? text + line_len : colon + 1;
        views[n++] =
            (struct http_header_view){text, name_len, value, (size_t)(text + line_len - value)};
        size_t used = end == NULL ? len : line_len + 1;
        text += used;
        len -= used;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static const char *const origins[] = {"https://a.example"};
    struct http_policy policy = {
        .max_body_bytes = 1000,
        .only_local_hosts = n_bytes % 2 == 0,
        .cors_origins = origins,
        .n_cors_origins = 1,
    };
    struct http_header_view views[MAX_HEADERS];
    struct http_head head = {"POST", "/x", n_bytes % 3 == 0 ? "HTTP/1.0" : "HTTP/1.1", views,
                             n_bytes == 0 ? 0 : split((const char *)bytes, n_bytes, views)};
    struct api_error error;
    if (!http_policy_check(&policy, &head, &error))
        return 0;
    int n_framings = 0;
    for (size_t i = 0; i < head.n_headers; i++) {
        n_framings +=
            views[i].name_len == 14 && strncasecmp(views[i].name, "Content-Length", 14) == 0;
        n_framings +=
            views[i].name_len == 17 && strncasecmp(views[i].name, "Transfer-Encoding", 17) == 0;
    }
    if (n_framings > 1)
        abort();
    return 0;
}
