#include "core/text/merger.h"

#include <stdlib.h>

#include "core/base/err.h"

#define NONE UINT32_MAX

struct merge_node {
    uint32_t begin;
    uint32_t end;
    uint32_t prev;
    uint32_t next;
    int32_t symbol;
    int32_t merged; /* of the pair that this node and the next make */
    uint32_t key;   /* of that pair; NONE when it does not merge, or when this node is gone */
};

void merger_init(struct merger *merger)
{
    *merger = (struct merger){0};
}

void merger_done(struct merger *merger)
{
    free(merger->nodes);
    free(merger->heap);
    merger_init(merger);
}

bool merger_begin(struct merger *merger, size_t max_symbols, struct err *err)
{
    merger->n_nodes = 0;
    merger->n_heap = 0;
    if (max_symbols <= merger->max_nodes)
        return true;
    size_t max = merger->max_nodes == 0 ? 64 : merger->max_nodes;
    while (max < max_symbols)
        max *= 2;
    merger_done(merger);
    /* At most n - 1 pairs at first, and each of at most n - 1 merges takes one and adds two. */
    merger->nodes = malloc(max * sizeof *merger->nodes);
    merger->heap = malloc(max * 2 * sizeof *merger->heap);
    if (merger->nodes == NULL || merger->heap == NULL) {
        merger_done(merger);
        return err_no_memory(err, "a prompt");
    }
    merger->max_nodes = max;
    return true;
}

void merger_add(struct merger *merger, size_t begin, int32_t symbol)
{
    uint32_t i = (uint32_t)merger->n_nodes++;
    merger->nodes[i] = (struct merge_node){
        .begin = (uint32_t)begin,
        .prev = i == 0 ? NONE : i - 1,
        .next = NONE,
        .symbol = symbol,
        .key = NONE,
    };
    if (i > 0) {
        merger->nodes[i - 1].next = i;
        merger->nodes[i - 1].end = (uint32_t)begin;
    }
}

static void heap_push(struct merger *merger, uint64_t entry)
{
    uint64_t *heap = merger->heap;
    size_t i = merger->n_heap++;
    while (i > 0 && heap[(i - 1) / 2] > entry) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = entry;
}

static uint64_t heap_pop(struct merger *merger)
{
    uint64_t *heap = merger->heap;
    uint64_t top = heap[0];
    uint64_t last = heap[--merger->n_heap];
    size_t n = merger->n_heap;
    size_t i = 0;
    for (size_t child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= last)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

struct run {
    struct merger *merger;
    const char *text;
    merge_find_fn *find;
    const void *rules;
};

/* Looks again at the pair that begins at node i, after one of the two has changed. */
static void update_pair(const struct run *run, uint32_t i)
{
    struct merge_node *left = &run->merger->nodes[i];
    left->key = NONE;
    if (left->next == NONE)
        return;
    const struct merge_node *right = &run->merger->nodes[left->next];
    struct merge_pair pair = {
        .left = left->symbol,
        .right = right->symbol,
        .text = run->text + left->begin,
        .len = right->end - left->begin,
    };
    if (!run->find(run->rules, &pair))
        return;
    left->key = pair.key;
    left->merged = pair.merged;
    heap_push(run->merger, (uint64_t)pair.key << 32 | i);
}

static void merge_at(const struct run *run, uint32_t i)
{
    struct merge_node *nodes = run->merger->nodes;
    struct merge_node *left = &nodes[i];
    struct merge_node *right = &nodes[left->next];
    left->symbol = left->merged;
    left->end = right->end;
    left->next = right->next;
    right->key = NONE;
    if (left->next != NONE)
        nodes[left->next].prev = i;
    if (left->prev != NONE)
        update_pair(run, left->prev);
    update_pair(run, i);
}

void merger_run(struct merger *merger, const char *text, size_t len, merge_find_fn *find,
                const void *rules)
{
    struct run run = {merger, text, find, rules};
    if (merger->n_nodes == 0)
        return;
    merger->nodes[merger->n_nodes - 1].end = (uint32_t)len;
    for (uint32_t i = 0; i + 1 < merger->n_nodes; i++)
        update_pair(&run, i);
    while (merger->n_heap > 0) {
        uint64_t entry = heap_pop(merger);
        uint32_t i = (uint32_t)entry;
        /* An entry whose pair has changed since is stale. One that is equal by chance names the
         * pair that is there now, at its right time. */
        if (merger->nodes[i].key == (uint32_t)(entry >> 32))
            merge_at(&run, i);
    }
}

bool merger_next(const struct merger *merger, size_t *i, int32_t *symbol, size_t *begin,
                 size_t *end)
{
    if (merger->n_nodes == 0 || *i == NONE)
        return false;
    const struct merge_node *node = &merger->nodes[*i];
    *symbol = node->symbol;
    *begin = node->begin;
    *end = node->end;
    *i = node->next;
    return true;
}
