/* layout.h - where many arrays lie in one block of memory.
 *
 * Arrays are laid out twice: without a block to learn its size, then in it. Owner: whoever embeds
 * it; the block is the caller's. Pure. Thread: any. */
#ifndef CORE_BASE_LAYOUT_H
#define CORE_BASE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

/* Each array begins with a line of the cache, if the block does. */
enum { LAYOUT_ALIGNMENT = 64 };

struct layout {
    char *block;     /* NULL: only count */
    size_t n_used;   /* bytes of the block so far */
    bool overflowed; /* they are more than a size_t holds, now and after whatever is taken next */
};

/* Room for n things of `each` bytes; NULL while counting and after an overflow. */
void *layout_take(struct layout *layout, size_t n, size_t each);

#endif
