#include "core/text/jinja_dict.h"

#include <string.h>

#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

enum { MAX_UNINDEXED = 8, MAX_ITEMS = 1 << 24 };

bool jinja_dict_new(struct jinja_run *run, enum jinja_type type, struct jinja_value *out)
{
    struct jinja_dict *dict = jinja_alloc(run, sizeof *dict);
    if (dict == NULL)
        return false;
    *out = (struct jinja_value){.type = type, .dict = dict};
    return true;
}

/* FNV-1a from a start that differs between processes, so that nobody can send keys that collide. */
static uint64_t hash_bytes(const char *bytes, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325 ^ (uintptr_t)jinja_dict_new;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
    return hash ^ hash >> 29;
}

static bool is_key(struct jinja_value value)
{
    return value.type == JINJA_STRING || value.type == JINJA_NONE || jinja_is_number(value);
}

/* Equal numbers are one key, whatever their type. */
static double number_of(struct jinja_value key)
{
    return key.type == JINJA_FLOAT ? key.real
           : key.type == JINJA_INT ? (double)key.integer
                                   : (double)key.boolean;
}

static uint64_t hash_key(struct jinja_value key)
{
    if (key.type == JINJA_STRING)
        return hash_bytes(key.string->data, key.string->len);
    if (key.type == JINJA_NONE)
        return 1;
    double number = number_of(key) + 0.0; /* -0.0 is 0.0 */
    return hash_bytes((const char *)&number, sizeof number);
}

static bool same_key(struct jinja_value a, struct jinja_value b)
{
    if (a.type == JINJA_STRING || b.type == JINJA_STRING)
        return a.type == b.type && jinja_string_same(a.string, b.string);
    if (a.type == JINJA_NONE || b.type == JINJA_NONE)
        return a.type == b.type;
    if (a.type == JINJA_INT && b.type == JINJA_INT)
        return a.integer == b.integer;
    return number_of(a) == number_of(b);
}

static size_t find(const struct jinja_dict *dict, struct jinja_value key, uint64_t hash)
{
    if (dict->index == NULL) {
        for (size_t i = 0; i < dict->n; i++) {
            if (dict->items[i].hash == hash && same_key(dict->items[i].key, key))
                return i;
        }
        return SIZE_MAX;
    }
    size_t mask = dict->n_index - 1;
    for (size_t at = hash & mask; dict->index[at] != 0; at = (at + 1) & mask) {
        size_t i = dict->index[at] - 1;
        if (dict->items[i].hash == hash && same_key(dict->items[i].key, key))
            return i;
    }
    return SIZE_MAX;
}

static void add_to_index(struct jinja_dict *dict, size_t i)
{
    size_t mask = dict->n_index - 1;
    size_t at = dict->items[i].hash & mask;
    while (dict->index[at] != 0)
        at = (at + 1) & mask;
    dict->index[at] = (uint32_t)i + 1;
}

static bool make_index(struct jinja_run *run, struct jinja_dict *dict)
{
    size_t n = dict->max * 2;
    uint32_t *index = jinja_alloc_array(run, n, sizeof *index);
    if (index == NULL)
        return false;
    dict->index = index;
    dict->n_index = n;
    for (size_t i = 0; i < dict->n; i++)
        add_to_index(dict, i);
    return true;
}

static bool grow(struct jinja_run *run, struct jinja_dict *dict)
{
    size_t max = dict->max == 0 ? 4 : dict->max * 2;
    if (max > MAX_ITEMS)
        return jinja_fail(run, "a dict grows too large");
    struct jinja_item *items = jinja_alloc_array(run, max, sizeof *items);
    if (items == NULL)
        return false;
    if (dict->n > 0)
        memcpy(items, dict->items, dict->n * sizeof *items);
    dict->items = items;
    dict->max = max;
    return max <= MAX_UNINDEXED || make_index(run, dict);
}

bool jinja_dict_set(struct jinja_run *run, struct jinja_dict *dict, struct jinja_value key,
                    struct jinja_value value)
{
    if (!is_key(key))
        return jinja_fail(run, "unhashable type: '%s'", jinja_type_name(key));
    uint64_t hash = hash_key(key);
    size_t i = find(dict, key, hash);
    if (i != SIZE_MAX) {
        dict->items[i].value = value;
        return true;
    }
    if (!jinja_spend(run, 1) || (dict->n == dict->max && !grow(run, dict)))
        return false;
    dict->items[dict->n++] = (struct jinja_item){key, value, hash};
    if (dict->index != NULL)
        add_to_index(dict, dict->n - 1);
    return true;
}

bool jinja_dict_set_text(struct jinja_run *run, struct jinja_dict *dict, const char *key,
                         struct jinja_value value)
{
    struct jinja_value name;
    return jinja_string_borrow(run, key, strlen(key), JINJA_CONTROL, &name) &&
           jinja_dict_set(run, dict, name, value);
}

const struct jinja_value *jinja_dict_get(const struct jinja_dict *dict, struct jinja_value key)
{
    size_t i = is_key(key) ? find(dict, key, hash_key(key)) : SIZE_MAX;
    return i == SIZE_MAX ? NULL : &dict->items[i].value;
}

const struct jinja_value *jinja_dict_get_text(const struct jinja_dict *dict, const char *key)
{
    const struct jinja_string string = {.data = key, .len = strlen(key)};
    return jinja_dict_get(dict, (struct jinja_value){.type = JINJA_STRING, .string = &string});
}

bool jinja_dict_take(struct jinja_run *run, struct jinja_dict *dict, struct jinja_value key,
                     struct jinja_value *out)
{
    size_t i = is_key(key) ? find(dict, key, hash_key(key)) : SIZE_MAX;
    *out = (struct jinja_value){.type = JINJA_ABSENT};
    if (i == SIZE_MAX)
        return true;
    *out = dict->items[i].value;
    memmove(dict->items + i, dict->items + i + 1, (dict->n - i - 1) * sizeof *dict->items);
    dict->n--;
    return jinja_spend(run, dict->n + 1) && (dict->index == NULL || make_index(run, dict));
}
