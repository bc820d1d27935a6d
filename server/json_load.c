#include "server/json_load.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"

static _Thread_local bool is_parsing, has_failed;

static void *allocate(size_t n)
{
    if (is_parsing && has_failed)
        return NULL;
    void *memory = malloc(n);
    if (memory == NULL && is_parsing)
        has_failed = true;
    return memory;
}

static void set_functions(void)
{
    json_set_alloc_funcs(allocate, free);
}

static json_t *load(const char *text, size_t len, size_t flags, json_error_t *error)
{
    has_failed = false;
    is_parsing = true;
    json_t *json = json_loadb(text, len, flags, error);
    is_parsing = false;
    return json;
}

/* ---- integers that are too large ---- */

static size_t count_digits(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && text[n] >= '0' && text[n] <= '9')
        n++;
    return n;
}

static bool is_too_large(const char *digits, size_t n, bool is_negative)
{
    static const char most[] = "9223372036854775807", least[] = "9223372036854775808";
    size_t n_most = sizeof most - 1;
    return n > n_most || (n == n_most && memcmp(digits, is_negative ? least : most, n) > 0);
}

/* The text with ".0" behind each integer, outside of strings, that has no room in 64 bits. */
static void write_with_decimals(const char *text, size_t len, struct buf *out)
{
    bool in_string = false;
    for (size_t i = 0; i < len;) {
        size_t n = in_string ? 0 : count_digits(text + i, len - i);
        char next = i + n < len ? text[i + n] : '\0';
        bool is_large = n > 0 && next != '.' && next != 'e' && next != 'E' &&
                        is_too_large(text + i, n, i > 0 && text[i - 1] == '-');
        if (n == 0)
            n = in_string && text[i] == '\\' && i + 1 < len ? 2 : 1;
        if (text[i] == '"')
            in_string = !in_string;
        buf_append(out, text + i, n);
        if (is_large)
            buf_append_text(out, ".0");
        i += n;
    }
}

json_t *json_load_text(const char *text, size_t len, size_t flags, json_error_t *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    json_error_t own;
    json_error_t *failure = error == NULL ? &own : error;
    pthread_once(&once, set_functions); /* what was made before is free's, too */
    json_t *json = load(text, len, flags, failure);
    if (json != NULL || has_failed || json_error_code(failure) != json_error_numeric_overflow)
        return json;
    struct buf decimals;
    buf_init(&decimals);
    write_with_decimals(text, len, &decimals);
    if (decimals.failed)
        has_failed = true;
    else
        json = load(buf_text(&decimals), decimals.len, flags, failure);
    buf_done(&decimals);
    return json;
}

bool json_load_lacked_memory(void)
{
    return has_failed;
}
