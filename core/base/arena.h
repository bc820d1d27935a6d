/* arena.h - memory for many small things that are freed together, up to a limit.
 *
 * Owner: whoever embeds it. Thread: the owner's. */
#ifndef CORE_BASE_ARENA_H
#define CORE_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t n_used;              /* of the newest */
    size_t n_bytes;             /* of all blocks */
    size_t max_bytes;
};

void arena_init(struct arena *arena, size_t max_bytes);
void arena_done(struct arena *arena);

/* Zeroed memory, aligned for any type; NULL when the limit or the system's memory is reached.
 * size 0 gives a pointer that must not be read. */
void *arena_alloc(struct arena *arena, size_t size);
/* The same for n things; NULL when the product overflows. */
void *arena_alloc_array(struct arena *arena, size_t n, size_t size);
/* Bytes that are not zeroed: for text that is written at once. */
char *arena_alloc_text(struct arena *arena, size_t size);

#endif
