/* utf8.h - strict UTF-8, one character at a time. Thread: any (pure). */
#ifndef CORE_TEXT_UTF8_H
#define CORE_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at text[0 .. len-1]: its bytes, 1 .. 4, and *out_point. 0 for anything that is not
 * UTF-8 as Unicode 15 defines it (table 3-7): no overlong forms, no surrogates, nothing above
 * U+10FFFF, no sequence that ends early. */
size_t utf8_decode(const char *text, size_t len, uint32_t *out_point);

/* Writes a character up to U+10FFFF; returns its bytes. */
size_t utf8_encode(uint32_t point, char out[4]);

/* How many bytes a sequence needs that begins with `lead`; 0 when no sequence does. */
size_t utf8_sequence_len(unsigned char lead);
/* True when `next` may stand at place `at` (1 .. 3) of the sequence that begins with `lead`. */
bool utf8_continues(unsigned char lead, size_t at, unsigned char next);

bool utf8_is_valid(const char *text, size_t len);

/* Unicode's White_Space. */
bool utf8_is_space(uint32_t point);

#endif
