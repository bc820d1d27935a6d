#include "core/text/grammar_states.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_MAX_BYTES = 8 << 20,
    DEFAULT_MAX_WORK = 2 << 20,
    MAX_MET = 2 * GRAMMAR_MAX_NODES,
};

static bool fail(struct grammar_states *states, enum grammar_status status)
{
    if (states->status == GRAMMAR_OK)
        states->status = status;
    return false;
}

static bool push(struct grammar_states *states, struct grammar_words *words, uint64_t word)
{
    return grammar_words_push(words, word) || fail(states, GRAMMAR_NO_MEMORY);
}

static bool reserve(struct grammar_states *states, void *array_ptr, size_t size, uint32_t n,
                    uint32_t *max)
{
    void **array = array_ptr;
    if (n <= *max)
        return true;
    void *grown = realloc(*array, (size_t)n * 2 * size);
    if (grown == NULL)
        return fail(states, GRAMMAR_NO_MEMORY);
    *array = grown;
    *max = n * 2;
    return true;
}

/* ---- stacks ---- */

static bool add_stacks(struct grammar_states *states, uint32_t *out)
{
    grammar_words_sort_unique(&states->frames);
    return grammar_stacks_add(&states->stacks, &states->frames, out) ||
           fail(states, GRAMMAR_NO_MEMORY);
}

static bool push_frames_of(struct grammar_states *states, uint32_t stacks)
{
    uint32_t n;
    const uint64_t *frames = grammar_stacks_frames(&states->stacks, stacks, &n);
    states->work += n;
    for (uint32_t i = 0; i < n; i++) {
        if (!push(states, &states->frames, frames[i]))
            return false;
    }
    return true;
}

/* Words (node, stacks) sorted by node to one word per node: what equal nodes stand on is merged. */
static bool merge_nodes(struct grammar_states *states, struct grammar_words *words)
{
    grammar_words_sort_unique(words);
    uint32_t n = 0;
    for (uint32_t i = 0, j; i < words->n; i = j) {
        uint64_t word = words->items[i];
        for (j = i + 1;
             j < words->n && grammar_word_high(words->items[j]) == grammar_word_high(word); j++)
            ;
        if (j > i + 1) {
            uint32_t stacks;
            states->frames.n = 0;
            for (uint32_t k = i; k < j; k++) {
                if (!push_frames_of(states, grammar_word_low(words->items[k])))
                    return false;
            }
            if (!add_stacks(states, &stacks))
                return false;
            word = grammar_word(grammar_word_high(word), stacks);
        }
        words->items[n++] = word;
    }
    words->n = n;
    return true;
}

/* ---- closure: everything that can be reached without reading a byte ---- */

/* Queues (node, stacks) unless this closure has met it, or it leads nowhere. */
static bool meet(struct grammar_states *states, uint32_t node, uint32_t stacks)
{
    if (node == GRAMMAR_NONE || !states->grammar->nodes[node].is_live)
        return true;
    bool is_new;
    uint64_t word = grammar_word(node, stacks);
    if (!grammar_word_set_add(&states->met, word, &is_new))
        return fail(states, GRAMMAR_NO_MEMORY);
    if (!is_new)
        return true;
    states->work++;
    return (states->work <= states->max_work && states->met.n <= MAX_MET)
               ? push(states, &states->todo, word)
               : fail(states, GRAMMAR_TOO_HARD);
}

/* Remembers a call until all that call the same rule are known. */
static bool add_call(struct grammar_states *states, uint64_t word)
{
    uint32_t rule = states->grammar->nodes[grammar_word_high(word)].arg;
    uint32_t order = states->grammar->rules[rule].order;
    uint64_t before = states->call_heads[rule];
    states->call_heads[rule] = states->calls.n;
    states->pending[order / 64] |= (uint64_t)1 << order % 64;
    return push(states, &states->calls, word) && push(states, &states->calls, before);
}

static bool leave_rule(struct grammar_states *states, uint32_t stacks, bool *accepts)
{
    uint32_t n;
    const uint64_t *frames = grammar_stacks_frames(&states->stacks, stacks, &n);
    states->work += n;
    for (uint32_t i = 0; i < n; i++) {
        if (grammar_word_high(frames[i]) == GRAMMAR_NONE)
            *accepts = true;
        else if (!meet(states, grammar_word_high(frames[i]), grammar_word_low(frames[i])))
            return false;
    }
    return true;
}

/* Follows what is queued. `is_inside`: the words come from after a byte, so that the end of a rule
 * goes on with what called it; a rule that was entered in this very closure has been passed over
 * already if it can be empty. */
static bool follow(struct grammar_states *states, bool is_inside, bool *accepts)
{
    while (states->todo.n > 0) {
        uint64_t word = states->todo.items[--states->todo.n];
        uint32_t stacks = grammar_word_low(word);
        const struct grammar_node *node = &states->grammar->nodes[grammar_word_high(word)];
        bool is_good = true;
        switch ((enum grammar_op)node->op) {
        case GRAMMAR_SET:
            is_good = push(states, &states->found, word);
            break;
        case GRAMMAR_SPLIT:
            is_good = meet(states, node->arg, stacks) && meet(states, node->next, stacks);
            break;
        case GRAMMAR_CALL: {
            uint32_t entry = states->grammar->rules[node->arg].entry;
            is_good = add_call(states, word) &&
                      (!states->grammar->nodes[entry].is_empty || meet(states, node->next, stacks));
            break;
        }
        case GRAMMAR_RETURN:
            is_good = !is_inside || leave_rule(states, stacks, accepts);
            break;
        }
        if (!is_good)
            return false;
    }
    return true;
}

/* The words of all calls of one rule, merged by node, into `kernel`. */
static bool take_calls(struct grammar_states *states, uint32_t rule)
{
    states->kernel.n = 0;
    uint32_t at = states->call_heads[rule];
    while (at != GRAMMAR_NONE) {
        if (!push(states, &states->kernel, states->calls.items[at]))
            return false;
        at = grammar_word_low(states->calls.items[at + 1]);
    }
    states->call_heads[rule] = GRAMMAR_NONE;
    return merge_nodes(states, &states->kernel);
}

/* Enters a rule from all nodes that call it now. Where nothing comes after the call, what is below
 * is returned to directly: so a rule that repeats itself at its end needs no stack. */
static bool enter_rule(struct grammar_states *states, uint32_t rule)
{
    if (!take_calls(states, rule))
        return false;
    states->frames.n = 0;
    for (uint32_t i = 0; i < states->kernel.n; i++) {
        uint64_t word = states->kernel.items[i];
        const struct grammar_node *node = &states->grammar->nodes[grammar_word_high(word)];
        bool is_good = true;
        if (node->is_tail_call)
            is_good = push_frames_of(states, grammar_word_low(word));
        else if (states->stacks.depths[grammar_word_low(word)] < GRAMMAR_MAX_DEPTH)
            is_good =
                push(states, &states->frames, grammar_word(node->next, grammar_word_low(word)));
        if (!is_good)
            return false;
    }
    if (states->frames.n == 0)
        return true;
    uint32_t stacks;
    return add_stacks(states, &stacks) && meet(states, states->grammar->rules[rule].entry, stacks);
}

/* Rules in their order: whoever can call a rule now has been entered before it. */
static bool enter_rules(struct grammar_states *states, bool *accepts)
{
    uint32_t n_words = states->grammar->n_rules / 64 + 1;
    for (uint32_t w = 0; w < n_words; w++) {
        while (states->pending[w] != 0) {
            uint32_t order = w * 64 + (uint32_t)__builtin_ctzll(states->pending[w]);
            states->pending[w] &= states->pending[w] - 1;
            if (!enter_rule(states, states->grammar->rule_at[order]) ||
                !follow(states, false, accepts))
                return false;
        }
    }
    return true;
}

static void clear_closure(struct grammar_states *states)
{
    states->todo.n = 0;
    states->found.n = 0;
    grammar_word_set_clear(&states->met);
    for (uint32_t i = 0; i < states->calls.n; i += 2) /* a closure that failed left some */
        states->call_heads[states->grammar->nodes[grammar_word_high(states->calls.items[i])].arg] =
            GRAMMAR_NONE;
    if (states->calls.n > 0)
        memset(states->pending, 0, (states->grammar->n_rules / 64 + 1) * sizeof *states->pending);
    states->calls.n = 0;
}

static size_t bytes_used(const struct grammar_states *states)
{
    return interner_bytes(&states->states) + interner_bytes(&states->kernels) +
           grammar_stacks_bytes(&states->stacks) + states->max_ways * sizeof *states->ways +
           states->max_rows * sizeof *states->rows +
           states->max_kernel_states * sizeof *states->kernel_states;
}

/* What was found as a state. */
static bool intern_state(struct grammar_states *states, bool accepts, uint32_t *out)
{
    bool is_new;
    if (!merge_nodes(states, &states->found))
        return false;
    /* The mark goes to the front: the list is small, and equal states must be equal lists. */
    if (!push(states, &states->found, 0))
        return false;
    memmove(states->found.items + 1, states->found.items,
            (states->found.n - 1) * sizeof *states->found.items);
    states->found.items[0] = accepts;
    uint32_t n_before = states->states.n;
    if (!interner_add(&states->states, states->found.items, states->found.n, out, &is_new) ||
        !reserve(states, &states->rows, sizeof *states->rows, n_before + 1, &states->max_rows))
        return fail(states, GRAMMAR_NO_MEMORY);
    if (is_new)
        states->rows[*out] = GRAMMAR_NONE;
    return !is_new || bytes_used(states) <= states->max_bytes || fail(states, GRAMMAR_FULL);
}

/* The state that the words in `kernel` mean. */
static bool find_state(struct grammar_states *states, uint32_t *out)
{
    bool is_new, accepts = false;
    uint32_t kernel;
    if (states->status != GRAMMAR_OK)
        return false;
    grammar_words_sort_unique(&states->kernel);
    if (!interner_add(&states->kernels, states->kernel.items, states->kernel.n, &kernel, &is_new) ||
        !reserve(states, &states->kernel_states, sizeof *states->kernel_states, kernel + 1,
                 &states->max_kernel_states))
        return fail(states, GRAMMAR_NO_MEMORY);
    if (!is_new && states->kernel_states[kernel] != GRAMMAR_NONE) {
        *out = states->kernel_states[kernel];
        return true;
    }
    states->kernel_states[kernel] = GRAMMAR_NONE;
    clear_closure(states);
    for (uint32_t i = 0; i < states->kernel.n; i++) {
        if (!meet(states, grammar_word_high(states->kernel.items[i]),
                  grammar_word_low(states->kernel.items[i])))
            return false;
    }
    if (!follow(states, true, &accepts) || !enter_rules(states, &accepts) ||
        !intern_state(states, accepts, out))
        return false;
    states->kernel_states[kernel] = *out;
    return true;
}

static uint32_t *row_of(struct grammar_states *states, uint32_t state)
{
    if (states->rows[state] == GRAMMAR_NONE) {
        uint32_t n_classes = (uint32_t)states->grammar->n_classes;
        if (!reserve(states, &states->ways, sizeof *states->ways, states->n_ways + n_classes,
                     &states->max_ways))
            return NULL;
        states->rows[state] = states->n_ways;
        memset(states->ways + states->n_ways, 0xFF, n_classes * sizeof *states->ways);
        states->n_ways += n_classes;
    }
    return states->ways + states->rows[state];
}

uint32_t grammar_states_find(struct grammar_states *states, uint32_t state, unsigned char_class)
{
    uint32_t n, next = GRAMMAR_DEAD;
    const uint64_t *words = interner_words(&states->states, state, &n);
    uint32_t *row = row_of(states, state);
    if (row == NULL)
        return GRAMMAR_DEAD;
    states->work += n / 16; /* looking is much cheaper than following */
    states->kernel.n = 0;
    for (uint32_t i = 1; i < n; i++) {
        const struct grammar_node *node = &states->grammar->nodes[grammar_word_high(words[i])];
        if (grammar_set_has(&states->grammar->sets[node->arg], char_class) &&
            !push(states, &states->kernel, grammar_word(node->next, grammar_word_low(words[i]))))
            return GRAMMAR_DEAD;
    }
    if (states->kernel.n > 0 && !find_state(states, &next))
        return GRAMMAR_DEAD;
    row[char_class] = next;
    return next;
}

uint32_t grammar_states_start(struct grammar_states *states)
{
    uint32_t start;
    bool accepts = false;
    clear_closure(states);
    uint32_t entry = states->grammar->rules[0].entry;
    /* As if the root had been called by nobody; its being empty is to be seen here. */
    if (states->grammar->nodes[entry].is_empty)
        accepts = true;
    return meet(states, entry, GRAMMAR_BOTTOM) && follow(states, false, &accepts) &&
                   enter_rules(states, &accepts) && intern_state(states, accepts, &start)
               ? start
               : GRAMMAR_DEAD;
}

bool grammar_states_accepts(const struct grammar_states *states, uint32_t state)
{
    uint32_t n;
    return interner_words(&states->states, state, &n)[0] != 0;
}

bool grammar_states_goes_on(const struct grammar_states *states, uint32_t state)
{
    uint32_t n;
    interner_words(&states->states, state, &n);
    return n > 1;
}

/* ---- opening, forgetting ---- */

bool grammar_states_init(struct grammar_states *states, const struct grammar *grammar)
{
    *states = (struct grammar_states){
        .grammar = grammar, .max_bytes = DEFAULT_MAX_BYTES, .max_work = DEFAULT_MAX_WORK};
    uint32_t dead;
    states->call_heads = malloc(grammar->n_rules * sizeof *states->call_heads);
    states->pending = calloc(grammar->n_rules / 64 + 1, sizeof *states->pending);
    if (states->call_heads == NULL || states->pending == NULL ||
        !grammar_stacks_init(&states->stacks) || !intern_state(states, false, &dead)) {
        grammar_states_done(states);
        return false;
    }
    memset(states->call_heads, 0xFF, grammar->n_rules * sizeof *states->call_heads);
    return true;
}

void grammar_states_done(struct grammar_states *states)
{
    interner_done(&states->states);
    interner_done(&states->kernels);
    grammar_stacks_done(&states->stacks);
    free(states->rows);
    free(states->ways);
    free(states->kernel_states);
    grammar_words_done(&states->todo);
    grammar_words_done(&states->found);
    grammar_words_done(&states->calls);
    grammar_words_done(&states->frames);
    grammar_words_done(&states->kernel);
    free(states->call_heads);
    free(states->pending);
    grammar_word_set_done(&states->met);
    *states = (struct grammar_states){0};
}

static void mark_stacks(const struct grammar_states *states, uint32_t state, bool *is_needed)
{
    uint32_t n;
    const uint64_t *words = interner_words(&states->states, state, &n);
    for (uint32_t i = 1; i < n; i++)
        is_needed[grammar_word_low(words[i])] = true;
}

static bool move_state(struct grammar_states *to, const struct grammar_states *from, uint32_t keep,
                       const uint32_t *new_numbers, uint32_t *out)
{
    uint32_t n;
    const uint64_t *words = interner_words(&from->states, keep, &n);
    to->found.n = 0;
    for (uint32_t i = 1; i < n; i++) {
        if (!push(
                to, &to->found,
                grammar_word(grammar_word_high(words[i]), new_numbers[grammar_word_low(words[i])])))
            return false;
    }
    return intern_state(to, words[0] != 0, out);
}

uint32_t grammar_states_forget(struct grammar_states *states, uint32_t keep)
{
    struct grammar_states fresh;
    uint32_t kept = GRAMMAR_DEAD;
    bool *is_needed = calloc(states->stacks.sets.n, sizeof *is_needed);
    uint32_t *new_numbers = calloc(states->stacks.sets.n, sizeof *new_numbers);
    bool is_good =
        is_needed != NULL && new_numbers != NULL && grammar_states_init(&fresh, states->grammar);
    if (is_good) {
        fresh.max_bytes = states->max_bytes;
        fresh.max_work = states->max_work;
        fresh.work = states->work;
        mark_stacks(states, keep, is_needed);
        is_good = grammar_stacks_copy(&states->stacks, is_needed, &fresh.stacks, new_numbers) &&
                  move_state(&fresh, states, keep, new_numbers, &kept);
        if (is_good) {
            grammar_states_done(states);
            *states = fresh;
        } else {
            grammar_states_done(&fresh);
        }
    }
    if (!is_good) {
        states->status = GRAMMAR_OK;
        fail(states, GRAMMAR_NO_MEMORY);
    }
    free(is_needed);
    free(new_numbers);
    return is_good ? kept : GRAMMAR_DEAD;
}
