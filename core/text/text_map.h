/* text_map.h - byte strings to numbers. Built once, then only read.
 *
 * Owner: whoever embeds it. Thread: any once it is built. Keys are borrowed. */
#ifndef CORE_TEXT_TEXT_MAP_H
#define CORE_TEXT_TEXT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct text_map {
    struct text_map_slot *slots;
    size_t mask; /* slots - 1; at least half of them stay empty */
};

/* Room for max_keys keys. */
bool text_map_init(struct text_map *map, size_t max_keys, struct err *err);
void text_map_done(struct text_map *map);

/* Keeps the value of a key that is already there. A key is less than 4 GiB long; value >= 0. */
void text_map_add(struct text_map *map, const char *text, size_t len, int32_t value);
/* -1 when the key is not there. */
int32_t text_map_get(const struct text_map *map, const char *text, size_t len);

#endif
