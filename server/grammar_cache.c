#include "server/grammar_cache.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/grammar.h"

enum { MAX_ENTRIES = 64 };

struct entry {
    char *text; /* NULL: the slot is free */
    size_t len;
    size_t bytes; /* of all: text and grammar */
    struct grammar *grammar;
    uint64_t last_use;
};

struct grammar_cache {
    pthread_mutex_t lock; /* of what follows */
    struct entry entries[MAX_ENTRIES];
    size_t max_bytes, n_bytes;
    uint64_t n_uses;
};

bool grammar_cache_new(struct grammar_cache **out, size_t max_bytes, struct err *err)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return err_no_memory(err, "the grammars");
    pthread_mutex_init(&(*out)->lock, NULL);
    (*out)->max_bytes = max_bytes;
    return true;
}

static void drop(struct grammar_cache *cache, struct entry *entry)
{
    cache->n_bytes -= entry->bytes;
    free(entry->text);
    grammar_free(&entry->grammar);
    *entry = (struct entry){0};
}

void grammar_cache_free(struct grammar_cache **cache)
{
    if (*cache == NULL)
        return;
    for (int i = 0; i < MAX_ENTRIES; i++)
        drop(*cache, &(*cache)->entries[i]);
    pthread_mutex_destroy(&(*cache)->lock);
    free(*cache);
    *cache = NULL;
}

static struct entry *find(struct grammar_cache *cache, const char *text, size_t len)
{
    for (int i = 0; i < MAX_ENTRIES; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->text != NULL && entry->len == len && memcmp(entry->text, text, len) == 0)
            return entry;
    }
    return NULL;
}

static struct entry *find_oldest(struct grammar_cache *cache)
{
    struct entry *oldest = &cache->entries[0];
    for (int i = 1; i < MAX_ENTRIES; i++) {
        if (cache->entries[i].last_use < oldest->last_use)
            oldest = &cache->entries[i];
    }
    return oldest; /* a free slot if there is one: it was never used */
}

static struct entry *find_oldest_filled(struct grammar_cache *cache)
{
    struct entry *oldest = NULL;
    for (int i = 0; i < MAX_ENTRIES; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->text != NULL && (oldest == NULL || entry->last_use < oldest->last_use))
            oldest = entry;
    }
    return oldest;
}

/* Not being kept is no failure. */
static void keep(struct grammar_cache *cache, const char *text, size_t len, struct grammar *grammar)
{
    size_t bytes = len + grammar_bytes(grammar);
    if (bytes > cache->max_bytes / 2)
        return;
    while (cache->n_bytes + bytes > cache->max_bytes)
        drop(cache, find_oldest_filled(cache));
    struct entry *entry = find_oldest(cache);
    drop(cache, entry);
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return;
    memcpy(copy, text, len);
    cache->n_bytes += bytes;
    *entry = (struct entry){.text = copy,
                            .len = len,
                            .bytes = bytes,
                            .grammar = grammar_share(grammar),
                            .last_use = ++cache->n_uses};
}

static struct grammar *share_known(struct grammar_cache *cache, const char *text, size_t len)
{
    pthread_mutex_lock(&cache->lock);
    struct entry *known = find(cache, text, len);
    struct grammar *grammar = known == NULL ? NULL : grammar_share(known->grammar);
    if (known != NULL)
        known->last_use = ++cache->n_uses;
    pthread_mutex_unlock(&cache->lock);
    return grammar;
}

/* Two threads may have made the same one. */
static void keep_new(struct grammar_cache *cache, const char *text, size_t len,
                     struct grammar *grammar)
{
    pthread_mutex_lock(&cache->lock);
    if (find(cache, text, len) == NULL)
        keep(cache, text, len, grammar);
    pthread_mutex_unlock(&cache->lock);
}

bool grammar_cache_get(struct grammar_cache *cache, const char *text, size_t len,
                       struct grammar **out, struct err *err)
{
    struct grammar *known = cache == NULL ? NULL : share_known(cache, text, len);
    if (known != NULL) {
        *out = known;
        return true;
    }
    if (!grammar_new(out, text, len, err))
        return false;
    if (cache != NULL)
        keep_new(cache, text, len, *out);
    return true;
}
