#include "core/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_BLOCK_BYTES = 4096, MAX_BLOCK_BYTES = 1024 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    max_align_t data[];
};

void arena_init(struct arena *arena, size_t max_bytes)
{
    *arena = (struct arena){.max_bytes = max_bytes};
}

void arena_done(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    arena_init(arena, arena->max_bytes);
}

/* Blocks grow with the arena, so their number stays small and little is wasted. */
static bool add_block(struct arena *arena, size_t need)
{
    size_t left = arena->max_bytes - arena->n_bytes;
    if (need > left)
        return false;
    size_t size = arena->n_bytes;
    if (size < MIN_BLOCK_BYTES)
        size = MIN_BLOCK_BYTES;
    if (size > MAX_BLOCK_BYTES)
        size = MAX_BLOCK_BYTES;
    if (size > left)
        size = left;
    if (size < need)
        size = need;
    struct arena_block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return false;
    block->next = arena->blocks;
    block->size = size;
    arena->blocks = block;
    arena->n_bytes += size;
    arena->n_used = 0;
    return true;
}

static void *take(struct arena *arena, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (size > SIZE_MAX - align)
        return NULL;
    size = (size + align - 1) / align * align;
    if (arena->blocks == NULL || size > arena->blocks->size - arena->n_used) {
        if (!add_block(arena, size))
            return NULL;
    }
    void *bytes = (char *)arena->blocks->data + arena->n_used;
    arena->n_used += size;
    return bytes;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *bytes = take(arena, size);
    if (bytes != NULL && size > 0)
        memset(bytes, 0, size);
    return bytes;
}

void *arena_alloc_array(struct arena *arena, size_t n, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(n, size, &total) ? NULL : arena_alloc(arena, total);
}

char *arena_alloc_text(struct arena *arena, size_t size)
{
    return take(arena, size);
}
