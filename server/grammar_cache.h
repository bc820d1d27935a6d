/* grammar_cache.h - compiled grammars by their text, so that a client's schema is compiled once.
 *
 * In memory only, and bounded: the least recently used ones make room. Owner: the server. Thread:
 * any. */
#ifndef SERVER_GRAMMAR_CACHE_H
#define SERVER_GRAMMAR_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct grammar;
struct grammar_cache;

bool grammar_cache_new(struct grammar_cache **out, size_t max_bytes, struct err *err);
void grammar_cache_free(struct grammar_cache **cache);

/* The grammar of a text, compiled unless it is known; the caller is one of its owners. Without a
 * cache (NULL) it is compiled. */
bool grammar_cache_get(struct grammar_cache *cache, const char *text, size_t len,
                       struct grammar **out, struct err *err);

#endif
