#include "core/text/grammar_matcher.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/detokenizer.h"
#include "core/text/grammar.h"
#include "core/text/grammar_states.h"
#include "core/text/token_trie.h"
#include "core/text/tokenizer.h"

enum { MAX_MASKS = 32, MASK_BYTES = 1 << 20 };

/* The tokens that one state allows. */
struct mask {
    uint64_t *bits; /* [n_vocab / 64 + 1], NULL until it is used */
    uint32_t state;
    bool is_set;
    bool has_any;
    uint64_t last_use;
};

struct grammar_matcher {
    struct grammar *grammar;
    const struct tokenizer *tokenizer;
    const struct token_trie *trie; /* the tokenizer's */
    struct grammar_states states;
    uint32_t state; /* after the text so far */
    bool allows_end;
    int32_t shown[DETOKENIZER_MAX_SHOWN];
    int n_shown;
    struct mask masks[MAX_MASKS];
    int n_masks; /* as many as MASK_BYTES hold, at least 2 */
    uint64_t n_uses;
    uint32_t *way; /* [max_depth + 1] the state at each depth of a walk through the trie */
};

static int n_masks_for(const struct token_trie *trie)
{
    int n = MASK_BYTES / ((trie->n_vocab / 64 + 1) * (int)sizeof(uint64_t));
    return n < 2 ? 2 : n > MAX_MASKS ? MAX_MASKS : n;
}

bool grammar_matcher_open(struct grammar_matcher **out, struct grammar *grammar,
                          const struct tokenizer *tokenizer, bool allows_end, struct err *err)
{
    const struct token_trie *trie = tokenizer_trie(tokenizer);
    struct grammar_matcher *matcher = calloc(1, sizeof *matcher);
    if (matcher == NULL)
        return err_no_memory(err, "a grammar");
    matcher->grammar = grammar_share(grammar);
    matcher->tokenizer = tokenizer;
    matcher->trie = trie;
    matcher->allows_end = allows_end;
    matcher->n_masks = n_masks_for(trie);
    matcher->way = malloc((trie->max_depth + (size_t)1) * sizeof *matcher->way);
    if (matcher->way == NULL || !grammar_states_init(&matcher->states, grammar)) {
        grammar_matcher_close(&matcher);
        return err_no_memory(err, "a grammar");
    }
    matcher->state = grammar_states_start(&matcher->states);
    if (matcher->states.status != GRAMMAR_OK) {
        bool is_too_hard = matcher->states.status != GRAMMAR_NO_MEMORY;
        grammar_matcher_close(&matcher);
        return is_too_hard ? err_set(err, ERR_INVALID, "the grammar is too large to be followed")
                           : err_no_memory(err, "a grammar");
    }
    *out = matcher;
    return true;
}

void grammar_matcher_close(struct grammar_matcher **matcher_ptr)
{
    struct grammar_matcher *matcher = *matcher_ptr;
    if (matcher == NULL)
        return;
    for (int i = 0; i < MAX_MASKS; i++)
        free(matcher->masks[i].bits);
    grammar_states_done(&matcher->states);
    grammar_free(&matcher->grammar);
    free(matcher->way);
    free(matcher);
    *matcher_ptr = NULL;
}

/* ---- the automaton ---- */

/* Makes room when there are too many states; only the present one is kept, and no mask. */
static bool make_room(struct grammar_matcher *matcher)
{
    if (matcher->states.status != GRAMMAR_FULL)
        return false;
    for (int i = 0; i < matcher->n_masks; i++)
        matcher->masks[i].is_set = false;
    uint32_t kept = grammar_states_forget(&matcher->states, matcher->state);
    if (matcher->states.status != GRAMMAR_OK)
        return false;
    matcher->state = kept;
    return true;
}

static uint32_t walk_once(struct grammar_matcher *matcher, const char *text, size_t len)
{
    uint32_t state = matcher->state;
    for (size_t i = 0; i < len && state != GRAMMAR_DEAD; i++)
        state = grammar_states_step(&matcher->states, state, (unsigned char)text[i]);
    return matcher->states.status == GRAMMAR_OK ? state : GRAMMAR_DEAD;
}

/* The state after `text`, DEAD when it does not fit. */
static uint32_t walk(struct grammar_matcher *matcher, const char *text, size_t len)
{
    uint32_t state = walk_once(matcher, text, len);
    return state == GRAMMAR_DEAD && make_room(matcher) ? walk_once(matcher, text, len) : state;
}

bool grammar_matcher_may_end(const struct grammar_matcher *matcher)
{
    return grammar_states_accepts(&matcher->states, matcher->state);
}

bool grammar_matcher_must_end(const struct grammar_matcher *matcher)
{
    return grammar_matcher_may_end(matcher) &&
           !grammar_states_goes_on(&matcher->states, matcher->state);
}

bool grammar_matcher_is_out_of_memory(const struct grammar_matcher *matcher)
{
    return matcher->states.status == GRAMMAR_NO_MEMORY;
}

void grammar_matcher_show(struct grammar_matcher *matcher, const int32_t *ids, int n)
{
    for (int i = 0; i < n && matcher->n_shown < DETOKENIZER_MAX_SHOWN; i++)
        matcher->shown[matcher->n_shown++] = ids[i];
}

/* What the token says; nothing for control tokens that are not shown. */
static const char *text_of(const struct grammar_matcher *matcher, int32_t id, size_t *out_len)
{
    for (int i = 0; i < matcher->n_shown; i++) {
        if (matcher->shown[i] == id)
            return tokenizer_name(matcher->tokenizer, id, out_len);
    }
    return tokenizer_piece(matcher->tokenizer, id, out_len);
}

void grammar_matcher_begin(struct grammar_matcher *matcher, const char *text, size_t len)
{
    matcher->state = walk(matcher, text, len);
}

bool grammar_matcher_allows(struct grammar_matcher *matcher, int32_t id)
{
    size_t len;
    const char *text = text_of(matcher, id, &len);
    if (tokenizer_is_end(matcher->tokenizer, id))
        return matcher->allows_end && grammar_matcher_may_end(matcher);
    return len > 0 && len <= TOKEN_TRIE_MAX_DEPTH && walk(matcher, text, len) != GRAMMAR_DEAD;
}

void grammar_matcher_accept(struct grammar_matcher *matcher, int32_t id)
{
    size_t len;
    const char *text = text_of(matcher, id, &len);
    matcher->state = walk(matcher, text, len);
    matcher->states.work = 0;
}

/* ---- masks ---- */

static void allow(struct mask *mask, int32_t id)
{
    mask->bits[id / 64] |= (uint64_t)1 << id % 64;
    mask->has_any = true;
}

/* All of the tree at once: where a byte does not fit, all that begins so is passed over. */
static bool walk_trie(struct grammar_matcher *matcher, struct mask *mask)
{
    const struct token_trie *trie = matcher->trie;
    matcher->way[0] = matcher->state;
    for (uint32_t i = 0; i < trie->n_nodes;) {
        const struct token_trie_node *node = &trie->nodes[i];
        uint32_t state =
            grammar_states_step(&matcher->states, matcher->way[node->depth], node->byte);
        if (state == GRAMMAR_DEAD) {
            if (matcher->states.status != GRAMMAR_OK)
                return false;
            i = node->skip;
            continue;
        }
        matcher->way[node->depth + 1] = state;
        for (uint32_t t = node->first_token; t < node[1].first_token; t++)
            allow(mask, trie->tokens[t]);
        i++;
    }
    return true;
}

static bool fill(struct grammar_matcher *matcher, struct mask *mask)
{
    const struct token_trie *trie = matcher->trie;
    memset(mask->bits, 0, ((size_t)trie->n_vocab / 64 + 1) * sizeof *mask->bits);
    mask->has_any = false;
    if (!walk_trie(matcher, mask))
        return false;
    for (int i = 0; i < matcher->n_shown; i++) {
        size_t len;
        const char *text = text_of(matcher, matcher->shown[i], &len);
        if (len > 0 && walk_once(matcher, text, len) != GRAMMAR_DEAD)
            allow(mask, matcher->shown[i]);
    }
    for (uint32_t i = 0; matcher->allows_end && i < trie->n_ends; i++) {
        if (grammar_matcher_may_end(matcher))
            allow(mask, trie->ends[i]);
    }
    return matcher->states.status == GRAMMAR_OK;
}

/* The mask of the present state if it is known, else the one that was not used for longest. */
static struct mask *find_mask(struct grammar_matcher *matcher)
{
    struct mask *oldest = &matcher->masks[0];
    for (int i = 0; i < matcher->n_masks; i++) {
        struct mask *mask = &matcher->masks[i];
        if (mask->is_set && mask->state == matcher->state)
            return mask;
        if (!mask->is_set || (oldest->is_set && mask->last_use < oldest->last_use))
            oldest = mask;
    }
    oldest->is_set = false;
    return oldest;
}

static struct mask *make_mask(struct grammar_matcher *matcher)
{
    struct mask *mask = find_mask(matcher);
    if (mask->is_set)
        return mask;
    if (mask->bits == NULL) {
        mask->bits = malloc(((size_t)matcher->trie->n_vocab / 64 + 1) * sizeof *mask->bits);
        if (mask->bits == NULL) {
            matcher->states.status = GRAMMAR_NO_MEMORY;
            return NULL;
        }
    }
    if (!fill(matcher, mask) && !(make_room(matcher) && fill(matcher, mask)))
        return NULL;
    mask->state = matcher->state;
    mask->is_set = true;
    return mask;
}

bool grammar_matcher_mask(struct grammar_matcher *matcher, float *logits)
{
    struct mask *mask = make_mask(matcher);
    if (mask == NULL || !mask->has_any)
        return false;
    mask->last_use = ++matcher->n_uses;
    int n_vocab = matcher->trie->n_vocab;
    for (int first = 0; first < n_vocab; first += 64) {
        uint64_t bits = mask->bits[first / 64];
        int n = n_vocab - first < 64 ? n_vocab - first : 64;
        for (int i = 0; bits != UINT64_MAX && i < n; i++) {
            if ((bits >> i & 1) == 0)
                logits[first + i] = -INFINITY;
        }
    }
    return true;
}
