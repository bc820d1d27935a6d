#include "core/text/grammar_stacks.h"

#include <stdlib.h>

#include "core/text/grammar_code.h"

static bool has_below(uint64_t frame)
{
    return grammar_word_high(frame) != GRAMMAR_NONE;
}

bool grammar_stacks_init(struct grammar_stacks *stacks)
{
    uint32_t bottom;
    struct grammar_words frames = {0};
    *stacks = (struct grammar_stacks){.max_depths = 0};
    bool is_good = grammar_words_push(&frames, grammar_word(GRAMMAR_NONE, 0)) &&
                   grammar_stacks_add(stacks, &frames, &bottom);
    grammar_words_done(&frames);
    return is_good;
}

void grammar_stacks_done(struct grammar_stacks *stacks)
{
    interner_done(&stacks->sets);
    free(stacks->depths);
    *stacks = (struct grammar_stacks){.max_depths = 0};
}

static bool reserve_depths(struct grammar_stacks *stacks, uint32_t n)
{
    if (n <= stacks->max_depths)
        return true;
    uint16_t *depths = realloc(stacks->depths, (size_t)n * 2 * sizeof *depths);
    if (depths == NULL)
        return false;
    stacks->depths = depths;
    stacks->max_depths = n * 2;
    return true;
}

bool grammar_stacks_add(struct grammar_stacks *stacks, const struct grammar_words *frames,
                        uint32_t *out)
{
    bool is_new;
    if (!interner_add(&stacks->sets, frames->items, frames->n, out, &is_new) ||
        !reserve_depths(stacks, *out + 1))
        return false;
    if (!is_new)
        return true;
    uint16_t depth = 0;
    for (uint32_t i = 0; i < frames->n; i++) {
        uint64_t frame = frames->items[i];
        uint16_t here =
            has_below(frame) ? (uint16_t)(stacks->depths[grammar_word_low(frame)] + 1) : 0;
        depth = here > depth ? here : depth;
    }
    stacks->depths[*out] = depth;
    return true;
}

size_t grammar_stacks_bytes(const struct grammar_stacks *stacks)
{
    return interner_bytes(&stacks->sets) + stacks->max_depths * sizeof *stacks->depths;
}

static void mark_below(const struct grammar_stacks *stacks, bool *is_needed)
{
    for (uint32_t number = stacks->sets.n; number > 0; number--) {
        if (!is_needed[number - 1])
            continue;
        uint32_t n;
        const uint64_t *frames = grammar_stacks_frames(stacks, number - 1, &n);
        for (uint32_t i = 0; i < n; i++) {
            if (has_below(frames[i]))
                is_needed[grammar_word_low(frames[i])] = true;
        }
    }
}

/* In order, so that sorted lists stay sorted. */
bool grammar_stacks_copy(const struct grammar_stacks *from, bool *is_needed,
                         struct grammar_stacks *to, uint32_t *new_numbers)
{
    bool is_good = true;
    struct grammar_words moved = {0};
    mark_below(from, is_needed);
    new_numbers[GRAMMAR_BOTTOM] = GRAMMAR_BOTTOM;
    for (uint32_t number = GRAMMAR_BOTTOM + 1; number < from->sets.n && is_good; number++) {
        if (!is_needed[number])
            continue;
        uint32_t n;
        const uint64_t *frames = grammar_stacks_frames(from, number, &n);
        moved.n = 0;
        for (uint32_t i = 0; i < n && is_good; i++) {
            uint32_t below = has_below(frames[i]) ? new_numbers[grammar_word_low(frames[i])] : 0;
            is_good = grammar_words_push(&moved, grammar_word(grammar_word_high(frames[i]), below));
        }
        is_good = is_good && grammar_stacks_add(to, &moved, &new_numbers[number]);
    }
    grammar_words_done(&moved);
    return is_good;
}
