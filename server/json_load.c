#include "server/json_load.h"

#include <pthread.h>
#include <stdlib.h>

static _Thread_local bool is_parsing, has_failed;

static void *allocate(size_t n)
{
    if (is_parsing && has_failed)
        return NULL;
    void *memory = malloc(n);
    if (memory == NULL && is_parsing)
        has_failed = true;
    return memory;
}

static void set_functions(void)
{
    json_set_alloc_funcs(allocate, free);
}

json_t *json_load_text(const char *text, size_t len, size_t flags, json_error_t *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_functions); /* what was made before is free's, too */
    has_failed = false;
    is_parsing = true;
    json_t *json = json_loadb(text, len, flags, error);
    is_parsing = false;
    return json;
}

bool json_load_lacked_memory(void)
{
    return has_failed;
}
