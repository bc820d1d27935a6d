#include "server/conversation_name.h"

#include <stdio.h>
#include <string.h>

#include "core/base/checksum.h"
#include "server/api_error.h"
#include "server/http_exchange.h"
#include "server/json_fields.h"
#include "server/text_list.h"

bool conversation_name_is_valid(const char *id)
{
    size_t len = 0;
    while (id[len] > ' ' && id[len] < 0x7f)
        len++;
    return id[len] == '\0' && len > 0 && len <= CONVERSATION_NAME_MAX;
}

/* ---- in the body ---- */

static bool read_session_id(const json_t *body, struct conversation_name *out,
                            struct api_error *error)
{
    const char *id = NULL;
    if (!json_fields_string(body, "session_id", &id, error))
        return false;
    if (id != NULL && !conversation_name_is_valid(id))
        return api_error_set(error, 400, "invalid_value", "session_id",
                             "'session_id' must be 1 to %d visible ASCII characters.",
                             CONVERSATION_NAME_MAX);
    if (id != NULL)
        snprintf(out->id, sizeof out->id, "%s", id);
    return true;
}

/* What others put there is theirs: what is no name is not looked at. */
static void read_metadata(const json_t *body, struct conversation_name *out)
{
    static const char *const keys[] = {"chat_id", "conversation_id", "session_id"};
    const json_t *metadata = json_object_get(body, "metadata");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && out->id[0] == '\0'; i++) {
        const char *id = json_string_value(json_object_get(metadata, keys[i]));
        if (id != NULL && conversation_name_is_valid(id))
            snprintf(out->id, sizeof out->id, "%s", id);
    }
}

static void read_group(const json_t *body, struct conversation_name *out)
{
    static const char *const keys[] = {"prompt_cache_key", "user"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && out->group == 0; i++) {
        const json_t *text = json_object_get(body, keys[i]);
        if (json_string_length(text) > 0)
            out->group =
                checksum_hash(CHECKSUM_HASH, json_string_value(text), json_string_length(text));
    }
}

bool conversation_name_read(const json_t *body, struct conversation_name *out,
                            struct api_error *error)
{
    *out = (struct conversation_name){0};
    if (!read_session_id(body, out, error))
        return false;
    read_metadata(body, out);
    read_group(body, out);
    return true;
}

/* ---- in the headers ---- */

bool conversation_name_of_headers(struct http_exchange *exchange, const struct text_list *headers,
                                  const char **out, struct api_error *error)
{
    *out = NULL;
    for (int i = 0; i < headers->n && *out == NULL; i++) {
        const char *value = http_exchange_header(exchange, headers->items[i]);
        if (value == NULL || value[0] == '\0')
            continue;
        if (!conversation_name_is_valid(value))
            return api_error_set(error, 400, "invalid_value", headers->items[i],
                                 "The header %s must be 1 to %d visible ASCII characters.",
                                 headers->items[i], CONVERSATION_NAME_MAX);
        *out = value;
    }
    return true;
}
