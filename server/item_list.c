#include "server/item_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"

void item_list_init(struct item_list *list)
{
    *list = (struct item_list){0};
}

void item_list_done(struct item_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i].json);
    free(list->items);
    item_list_init(list);
}

static bool reserve(struct item_list *list, size_t n_more)
{
    if (list->max - list->n >= n_more)
        return true;
    size_t max = list->max < 8 ? 8 : list->max * 2;
    if (max < list->n + n_more)
        max = list->n + n_more;
    struct item *items = reallocarray(list->items, max, sizeof *items);
    if (items == NULL)
        return false;
    list->items = items;
    list->max = max;
    return true;
}

bool item_list_push(struct item_list *list, const char *id, const char *json, size_t len)
{
    char *copy = reserve(list, 1) ? malloc(len + 1) : NULL;
    if (copy == NULL)
        return false;
    memcpy(copy, json, len);
    copy[len] = '\0';
    struct item *item = &list->items[list->n++];
    snprintf(item->id, sizeof item->id, "%s", id);
    item->json = copy;
    item->len = len;
    list->n_bytes += len;
    return true;
}

bool item_list_move(struct item_list *list, struct item_list *from)
{
    if (from->n == 0)
        return true;
    if (!reserve(list, from->n))
        return false;
    memcpy(list->items + list->n, from->items, from->n * sizeof *from->items);
    list->n += from->n;
    list->n_bytes += from->n_bytes;
    free(from->items);
    item_list_init(from);
    return true;
}

void item_list_append(const struct item_list *list, struct buf *out)
{
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        buf_append(out, list->items[i].json, list->items[i].len);
    }
}
