/* vectors.h - reads the lists of {"text": ..., "ids": [...]} that tell what a tokenizer must give.
 *
 * Just enough JSON for these files. For tests: gives up on anything unexpected. */
#ifndef TESTS_CORE_TEXT_VECTORS_H
#define TESTS_CORE_TEXT_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"

struct vectors {
    char *json;
    const char *at;
};

static inline bool vectors_open(struct vectors *vectors, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    struct buf buf;
    buf_init(&buf);
    char block[4096];
    size_t n;
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        buf_append(&buf, block, n);
    fclose(file);
    vectors->json = buf.data;
    vectors->at = buf.data;
    return buf.data != NULL;
}

static inline void vectors_close(struct vectors *vectors)
{
    free(vectors->json);
}

static inline uint32_t vectors_hex4(const char *at)
{
    char digits[5] = {0};
    memcpy(digits, at, 4);
    return (uint32_t)strtoul(digits, NULL, 16);
}

static inline void vectors_put_point(struct buf *out, uint32_t point)
{
    if (point < 0x80) {
        buf_append_char(out, (char)point);
    } else if (point < 0x800) {
        buf_append_char(out, (char)(0xC0 | point >> 6));
        buf_append_char(out, (char)(0x80 | (point & 0x3F)));
    } else if (point < 0x10000) {
        buf_append_char(out, (char)(0xE0 | point >> 12));
        buf_append_char(out, (char)(0x80 | (point >> 6 & 0x3F)));
        buf_append_char(out, (char)(0x80 | (point & 0x3F)));
    } else {
        buf_append_char(out, (char)(0xF0 | point >> 18));
        buf_append_char(out, (char)(0x80 | (point >> 12 & 0x3F)));
        buf_append_char(out, (char)(0x80 | (point >> 6 & 0x3F)));
        buf_append_char(out, (char)(0x80 | (point & 0x3F)));
    }
}

static inline void vectors_read_escape(struct vectors *vectors, struct buf *out)
{
    static const char NAMES[] = "bfnrt\"\\/";
    static const char VALUES[] = "\b\f\n\r\t\"\\/";
    char name = *vectors->at++;
    if (name != 'u') {
        buf_append_char(out, VALUES[strchr(NAMES, name) - NAMES]);
        return;
    }
    uint32_t point = vectors_hex4(vectors->at);
    vectors->at += 4;
    if (point >= 0xD800 && point < 0xDC00) {
        point = 0x10000 + ((point - 0xD800) << 10) + (vectors_hex4(vectors->at + 2) - 0xDC00);
        vectors->at += 6;
    }
    vectors_put_point(out, point);
}

/* The next text and its ids; false at the end. */
static inline bool vectors_next(struct vectors *vectors, struct buf *text, int32_t *ids, size_t max,
                                size_t *n_ids)
{
    const char *begin = strstr(vectors->at, "\"text\":");
    if (begin == NULL)
        return false;
    buf_clear(text);
    vectors->at = strchr(begin + 7, '"') + 1;
    while (*vectors->at != '"') {
        char c = *vectors->at++;
        if (c == '\\')
            vectors_read_escape(vectors, text);
        else
            buf_append_char(text, c);
    }
    vectors->at = strchr(strstr(vectors->at, "\"ids\":"), '[') + 1;
    for (*n_ids = 0; *n_ids < max;) {
        vectors->at += strspn(vectors->at, " ,\r\n\t");
        if (*vectors->at == ']')
            break;
        char *end;
        ids[(*n_ids)++] = (int32_t)strtol(vectors->at, &end, 10);
        vectors->at = end;
    }
    return true;
}

#endif
