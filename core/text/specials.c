#include "core/text/specials.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"

bool specials_init(struct specials *specials, size_t max, struct err *err)
{
    *specials = (struct specials){.max = max};
    specials->sorted = calloc(max + 1, sizeof *specials->sorted);
    return specials->sorted != NULL || err_no_memory(err, "a vocabulary");
}

void specials_done(struct specials *specials)
{
    free(specials->sorted);
    *specials = (struct specials){0};
}

void specials_add(struct specials *specials, struct special special)
{
    if (special.len > 0 && special.len <= SPECIALS_MAX_LEN && specials->n < specials->max)
        specials->sorted[specials->n++] = special;
}

static int compare(const void *a, const void *b)
{
    const struct special *x = a;
    const struct special *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->name, y->name, len);
    if (order != 0)
        return order;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

void specials_sort(struct specials *specials)
{
    qsort(specials->sorted, specials->n, sizeof *specials->sorted, compare);
    size_t i = 0;
    for (int c = 0; c < 256; c++) {
        specials->first[c] = i;
        while (i < specials->n && (unsigned char)specials->sorted[i].name[0] == c)
            i++;
    }
    specials->first[256] = i;
}

/* The first of sorted[low .. high), all longer than `at`, whose byte `at` is >= c. */
static size_t lower_bound(const struct special *sorted, size_t low, size_t high, size_t at, int c)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((unsigned char)sorted[middle].name[at] < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t specials_match(const struct specials *specials, const char *text, size_t len,
                      size_t control_len, int32_t *out_id)
{
    if (len == 0)
        return 0;
    const struct special *sorted = specials->sorted;
    int c = (unsigned char)text[0];
    size_t low = specials->first[c];
    size_t high = specials->first[c + 1];
    size_t best = 0;
    for (size_t depth = 1; low < high; depth++) {
        /* All of low .. high agree with the text in `depth` bytes; the shortest come first. */
        for (; low < high && sorted[low].len == depth; low++) {
            if (best < depth && (!sorted[low].is_control || depth <= control_len)) {
                best = depth;
                *out_id = sorted[low].id;
            }
        }
        if (depth == len)
            break;
        c = (unsigned char)text[depth];
        low = lower_bound(sorted, low, high, depth, c);
        high = lower_bound(sorted, low, high, depth, c + 1);
    }
    return best;
}
