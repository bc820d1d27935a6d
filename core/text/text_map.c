#include "core/text/text_map.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"

struct text_map_slot {
    const char *text; /* NULL: empty */
    uint32_t len;
    uint32_t hash;
    int32_t value;
};

bool text_map_init(struct text_map *map, size_t max_keys, struct err *err)
{
    size_t n = 16;
    while (n / 2 < max_keys)
        n *= 2;
    map->slots = calloc(n, sizeof *map->slots);
    map->mask = n - 1;
    return map->slots != NULL || err_no_memory(err, "a vocabulary");
}

void text_map_done(struct text_map *map)
{
    free(map->slots);
    *map = (struct text_map){0};
}

/* Eight bytes a step, each mixed by a multiplication and a fold of its upper half. */
static uint32_t hash_of(const char *text, size_t len)
{
    const uint64_t odd = 0x9E3779B97F4A7C15u;
    uint64_t hash = len * odd;
    while (len > 0) {
        uint64_t word = 0;
        size_t n = len < 8 ? len : 8;
        memcpy(&word, text, n);
        hash = (hash ^ word) * odd;
        hash ^= hash >> 32;
        text += n;
        len -= n;
    }
    return (uint32_t)hash;
}

/* The slot of the key, or the empty one where it belongs. */
static struct text_map_slot *slot_of(const struct text_map *map, const char *text, size_t len,
                                     uint32_t hash)
{
    size_t i = hash & map->mask;
    for (;; i = (i + 1) & map->mask) {
        struct text_map_slot *slot = &map->slots[i];
        if (slot->text == NULL)
            return slot;
        if (slot->hash == hash && slot->len == len && memcmp(slot->text, text, len) == 0)
            return slot;
    }
}

void text_map_add(struct text_map *map, const char *text, size_t len, int32_t value)
{
    uint32_t hash = hash_of(text, len);
    struct text_map_slot *slot = slot_of(map, text, len, hash);
    if (slot->text == NULL)
        *slot = (struct text_map_slot){text, (uint32_t)len, hash, value};
}

int32_t text_map_get(const struct text_map *map, const char *text, size_t len)
{
    const struct text_map_slot *slot = slot_of(map, text, len, hash_of(text, len));
    return slot->text == NULL ? -1 : slot->value;
}
