/* specials.h - tokens that are recognised by their name in text before anything else: control
 * tokens ("</s>") and those a vocabulary defines by hand (runs of spaces, "<tool_call>").
 *
 * Owner: the vocabulary. Thread: any once it is built. Names are borrowed. */
#ifndef CORE_TEXT_SPECIALS_H
#define CORE_TEXT_SPECIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* A longer name is never recognised: no real one comes near, and it bounds the time per byte. */
enum { SPECIALS_MAX_LEN = 256 };

struct special {
    const char *name;
    size_t len;
    int32_t id;
    bool is_control; /* only where control tokens are allowed */
};

struct specials {
    struct special *sorted; /* [n] by name, then id */
    size_t n;
    size_t max;        /* allocated */
    size_t first[257]; /* sorted[first[c] .. first[c + 1]) begin with byte c */
};

bool specials_init(struct specials *specials, size_t max, struct err *err);
void specials_done(struct specials *specials);

/* Ignores a name of length 0 or above SPECIALS_MAX_LEN. */
void specials_add(struct specials *specials, struct special special);
/* After the last one was added. */
void specials_sort(struct specials *specials);

/* The longest name that text[0 .. len) begins with: its length and *out_id; 0 for none. A control
 * token must fit into the first control_len bytes. */
size_t specials_match(const struct specials *specials, const char *text, size_t len,
                      size_t control_len, int32_t *out_id);

#endif
