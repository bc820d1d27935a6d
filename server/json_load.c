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

/* A whole number, with what fraction and exponent it has; 0 where none begins. */
static size_t count_number(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && text[n] != '\0' && strchr("+-.0123456789Ee", text[n]) != NULL)
        n++;
    return n;
}

static bool is_large_integer(const char *text, size_t len)
{
    static const char most[] = "9223372036854775807", least[] = "9223372036854775808";
    bool is_negative = len > 0 && text[0] == '-';
    size_t n = len - is_negative, n_digits = 0;
    text += is_negative;
    while (n_digits < n && text[n_digits] >= '0' && text[n_digits] <= '9')
        n_digits++;
    return n_digits == n &&
           (n > sizeof most - 1 ||
            (n == sizeof most - 1 && memcmp(text, is_negative ? least : most, n) > 0));
}

/* The text with ".0" behind each integer, outside of strings, that has no room in 64 bits. */
static void write_with_decimals(const char *text, size_t len, struct buf *out)
{
    bool in_string = false;
    for (size_t i = 0, n; i < len; i += n) {
        n = in_string ? 0 : count_number(text + i, len - i);
        bool is_large = is_large_integer(text + i, n);
        if (n == 0)
            n = in_string && text[i] == '\\' && i + 1 < len ? 2 : 1;
        if (text[i] == '"')
            in_string = !in_string;
        buf_append(out, text + i, n);
        if (is_large)
            buf_append_text(out, ".0");
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
