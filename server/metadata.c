#include "server/metadata.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "server/json_fields.h"

enum { MAX_PAIRS = 16, MAX_KEY = 64, MAX_VALUE = 512, PARAM_SIZE = 96 };

/* In characters, as the API counts them. */
static size_t n_characters(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

static bool check_pair(const char *key, size_t key_len, const json_t *value,
                       struct api_error *error)
{
    char param[PARAM_SIZE];
    snprintf(param, sizeof param, "metadata.%.64s", key);
    if (n_characters(key, key_len) > MAX_KEY)
        return api_error_set(error, 400, "string_above_max_length", "metadata",
                             "A key of 'metadata' may have at most %d characters.", (int)MAX_KEY);
    if (!json_is_string(value))
        return json_fields_wrong_type(value, param, "a string", error);
    if (n_characters(json_string_value(value), json_string_length(value)) > MAX_VALUE)
        return api_error_set(error, 400, "string_above_max_length", param,
                             "A value of 'metadata' may have at most %d characters.",
                             (int)MAX_VALUE);
    return true;
}

bool metadata_read(const json_t *body, struct buf *out, struct api_error *error)
{
    const json_t *metadata = json_fields_get(body, "metadata");
    if (metadata == NULL) {
        buf_append_text(out, "{}");
        return true;
    }
    if (!json_is_object(metadata))
        return json_fields_wrong_type(metadata, "metadata", "an object", error);
    if (json_object_size(metadata) > MAX_PAIRS)
        return api_error_set(error, 400, "object_above_max_properties", "metadata",
                             "'metadata' may have at most %d pairs.", (int)MAX_PAIRS);
    for (void *at = json_object_iter((json_t *)metadata); at != NULL;
         at = json_object_iter_next((json_t *)metadata, at)) {
        const char *key = json_object_iter_key(at);
        if (!check_pair(key, json_object_iter_key_len(at), json_object_iter_value(at), error))
            return false;
    }
    char *text = json_dumps(metadata, JSON_COMPACT);
    if (text == NULL)
        return api_error_no_memory(error);
    buf_append_text(out, text);
    free(text);
    return true;
}
