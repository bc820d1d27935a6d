/* A class of characters as sequences of byte sets: the ranges are cut where the length of UTF-8 or
 * a byte's range changes. Sequences that differ in their first byte only are one. */
#include <stdlib.h>
#include <string.h>

#include "core/text/grammar_builder.h"
#include "core/text/utf8.h"

enum { MAX_SEQUENCES = 2048, LAST_POINT = 0x10FFFF };

struct byte_range {
    unsigned char first, last;
};

struct sequence {
    int len;
    struct grammar_set lead;
    struct byte_range tail[3]; /* [len - 1] */
};

struct sequences {
    struct grammar_builder *builder;
    struct sequence *list;
    int n;
};

static void add_sequence(struct sequences *sequences, int len, const struct byte_range *bytes)
{
    if (sequences->builder->failed)
        return;
    struct sequence *found = NULL;
    size_t tail_bytes = (size_t)(len - 1) * sizeof *bytes;
    for (int i = sequences->n - 1; i >= 0 && found == NULL; i--) {
        struct sequence *known = &sequences->list[i];
        if (known->len == len && memcmp(known->tail, bytes + 1, tail_bytes) == 0)
            found = known;
    }
    if (found == NULL && sequences->n == MAX_SEQUENCES) {
        grammar_builder_fail(sequences->builder, "a character class is too large");
        return;
    }
    if (found == NULL) {
        found = &sequences->list[sequences->n++];
        *found = (struct sequence){.len = len};
        memcpy(found->tail, bytes + 1, tail_bytes);
    }
    for (unsigned byte = bytes[0].first; byte <= bytes[0].last; byte++)
        grammar_set_add(&found->lead, byte);
}

/* Points of one length. Recursion: at most twice for each byte of a sequence. */
static void add_points(struct sequences *sequences, uint32_t first, uint32_t last)
{
    char low[4], high[4];
    int len = (int)utf8_encode(first, low);
    utf8_encode(last, high);
    for (int i = 1; i < len; i++) {
        uint32_t mask = ((uint32_t)1 << 6 * i) - 1;
        if ((first & ~mask) == (last & ~mask))
            continue;
        if ((first & mask) != 0) {
            add_points(sequences, first, first | mask);
            add_points(sequences, (first | mask) + 1, last);
            return;
        }
        if ((last & mask) != mask) {
            add_points(sequences, first, (last & ~mask) - 1);
            add_points(sequences, last & ~mask, last);
            return;
        }
    }
    struct byte_range bytes[4];
    for (int i = 0; i < len; i++)
        bytes[i] = (struct byte_range){(unsigned char)low[i], (unsigned char)high[i]};
    add_sequence(sequences, len, bytes);
}

static void add_range(struct sequences *sequences, uint32_t first, uint32_t last)
{
    static const struct grammar_range parts[] = {/* of one length each, without surrogates */
                                                 {0, 0x7F},
                                                 {0x80, 0x7FF},
                                                 {0x800, 0xD7FF},
                                                 {0xE000, 0xFFFF},
                                                 {0x10000, LAST_POINT}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        uint32_t low = first > parts[i].first ? first : parts[i].first;
        uint32_t high = last < parts[i].last ? last : parts[i].last;
        if (low <= high)
            add_points(sequences, low, high);
    }
}

static int compare_ranges(const void *a, const void *b)
{
    const struct grammar_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static void add_ranges(struct sequences *sequences, struct grammar_range *ranges, size_t n,
                       bool is_negated)
{
    uint32_t next = 0; /* the first point that is in no range so far */
    if (n > 1)
        qsort(ranges, n, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < n; i++) {
        uint32_t first = ranges[i].first > next ? ranges[i].first : next;
        if (is_negated && ranges[i].first > next)
            add_range(sequences, next, ranges[i].first - 1);
        if (!is_negated && first <= ranges[i].last)
            add_range(sequences, first, ranges[i].last);
        if (ranges[i].last >= next)
            next = ranges[i].last + 1;
    }
    if (is_negated && next <= LAST_POINT)
        add_range(sequences, next, LAST_POINT);
}

static struct grammar_part part_of(struct grammar_builder *builder, const struct sequence *sequence)
{
    struct grammar_part part = grammar_builder_set(builder, &sequence->lead);
    for (int i = 0; i < sequence->len - 1; i++) {
        struct grammar_set bytes = {{0}};
        for (unsigned byte = sequence->tail[i].first; byte <= sequence->tail[i].last; byte++)
            grammar_set_add(&bytes, byte);
        part = grammar_builder_join(builder, part, grammar_builder_set(builder, &bytes));
    }
    return part;
}

struct grammar_part grammar_builder_class(struct grammar_builder *builder,
                                          struct grammar_range *ranges, size_t n, bool is_negated)
{
    struct sequences sequences = {.builder = builder};
    sequences.list = malloc(MAX_SEQUENCES * sizeof *sequences.list);
    if (sequences.list == NULL)
        grammar_builder_fail(builder, "not enough memory for a character class");
    else
        add_ranges(&sequences, ranges, n, is_negated);

    struct grammar_set none = {{0}};
    struct grammar_part part = sequences.n == 0 ? grammar_builder_set(builder, &none)
                                                : part_of(builder, &sequences.list[0]);
    for (int i = 1; i < sequences.n; i++)
        part = grammar_builder_either(builder, part, part_of(builder, &sequences.list[i]));
    free(sequences.list);
    return part;
}
