#include "core/text/stop_search.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/utf8.h"

/* ---- one word ---- */

/* borders[i]: the length of the longest proper prefix of the word that is also the end of its first
 * i+1 bytes. */
static void set_borders(struct stop_word *word)
{
    size_t matched = 0;
    for (size_t i = 1; i < word->len; i++) {
        while (matched > 0 && word->text[i] != word->text[matched])
            matched = word->borders[matched - 1];
        matched += word->text[i] == word->text[matched];
        word->borders[i] = (uint32_t)matched;
    }
}

static bool word_init(struct stop_word *word, const char *text, struct err *err)
{
    word->len = strlen(text);
    if (word->len > UINT32_MAX)
        return err_set(err, ERR_INVALID, "a stop string has %zu bytes", word->len);
    word->text = strdup(text);
    word->borders = calloc(word->len + 1, sizeof *word->borders);
    if (word->text == NULL || word->borders == NULL)
        return err_no_memory(err, "a stop string");
    set_borders(word);
    return true;
}

static void word_done(struct stop_word *word)
{
    free(word->text);
    free(word->borders);
}

/* True when `c` completes it. */
static bool word_advance(struct stop_word *word, char c)
{
    while (word->matched > 0 && word->text[word->matched] != c)
        word->matched = word->borders[word->matched - 1];
    word->matched += word->text[word->matched] == c;
    if (word->matched < word->len)
        return false;
    word->matched = word->borders[word->len - 1];
    return true;
}

/* ---- the search ---- */

static bool add_stop(struct stop_search *search, const char *text, struct err *err)
{
    if (text[0] == '\0')
        return err_set(err, ERR_INVALID, "a stop string is empty");
    if (!utf8_is_valid(text, strlen(text)))
        return err_set(err, ERR_INVALID, "a stop string is not UTF-8");
    return word_init(&search->stops[search->n_stops++], text, err);
}

static bool add_shelter(struct stop_search *search, const struct stop_shelter *from,
                        struct err *err)
{
    struct stop_search_shelter *shelter = &search->shelters[search->n_shelters++];
    shelter->is_first = from->is_first;
    if (!word_init(&shelter->open, from->open, err) ||
        (from->close != NULL && !word_init(&shelter->close, from->close, err)))
        return false;
    if (shelter->open.len == 0 && search->inside == NULL)
        search->inside = shelter;
    return true;
}

bool stop_search_init(struct stop_search *search, const char *const *stops, int n_stops,
                      const struct stop_shelter *shelters, int n_shelters, struct err *err)
{
    *search = (struct stop_search){0};
    if (n_stops > STOP_SEARCH_MAX_STOPS || n_shelters > STOP_SEARCH_MAX_SHELTERS)
        return err_set(err, ERR_INVALID, "%d stop strings, at most %d are allowed", n_stops,
                       (int)STOP_SEARCH_MAX_STOPS);
    bool is_good = true;
    for (int i = 0; i < n_stops && is_good; i++)
        is_good = add_stop(search, stops[i], err);
    for (int i = 0; i < n_shelters && is_good; i++)
        is_good = add_shelter(search, &shelters[i], err);
    return is_good;
}

void stop_search_done(struct stop_search *search)
{
    for (int i = 0; i < search->n_stops; i++)
        word_done(&search->stops[i]);
    for (int i = 0; i < search->n_shelters; i++) {
        word_done(&search->shelters[i].open);
        word_done(&search->shelters[i].close);
    }
    *search = (struct stop_search){0};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* True when `c` completes the mark that the shelter opens with. */
static bool open_advance(struct stop_search_shelter *shelter, char c)
{
    struct stop_word *open = &shelter->open;
    if (open->len == 0)
        return false;
    if (!shelter->is_first)
        return word_advance(open, c);
    if (shelter->is_missed || (open->matched == 0 && is_space(c)))
        return false;
    shelter->is_missed = open->text[open->matched] != c;
    open->matched = shelter->is_missed ? 0 : open->matched + 1;
    return open->matched == open->len;
}

static void enter(struct stop_search *search, struct stop_search_shelter *shelter)
{
    for (int i = 0; i < search->n_stops; i++)
        search->stops[i].matched = 0;
    for (int i = 0; i < search->n_shelters; i++)
        search->shelters[i].open.matched = search->shelters[i].close.matched = 0;
    search->n_met = search->n_keep = 0;
    shelter->is_missed = shelter->is_first;
    bool is_mark_alone = shelter->close.text != NULL && shelter->close.len == 0;
    search->inside = is_mark_alone ? NULL : shelter;
}

/* Behind one that came first the next ones in the list may be first. */
static void leave(struct stop_search *search)
{
    const struct stop_search_shelter *end = search->shelters + search->n_shelters;
    struct stop_search_shelter *shelter = search->inside;
    bool was_first = shelter->is_first;
    for (shelter++; shelter < end && was_first; shelter++)
        shelter->is_missed = false;
    search->inside = NULL;
}

/* True when `c` completes a mark: what was met in it is part of it. */
static bool find_shelter(struct stop_search *search, char c)
{
    struct stop_search_shelter *found = NULL;
    for (int i = 0; i < search->n_shelters; i++) {
        if (open_advance(&search->shelters[i], c) && found == NULL)
            found = &search->shelters[i];
    }
    if (found != NULL)
        enter(search, found);
    return found != NULL;
}

/* The longest that `c` completes, its length; 0 for none. */
static size_t find_stop(struct stop_search *search, char c, int *out_which)
{
    size_t longest = 0;
    search->n_keep = 0;
    for (int i = 0; i < search->n_stops; i++) {
        struct stop_word *stop = &search->stops[i];
        if (word_advance(stop, c) && stop->len > longest) {
            longest = stop->len;
            *out_which = i;
        }
        search->n_keep = stop->matched > search->n_keep ? stop->matched : search->n_keep;
    }
    return longest;
}

/* Whether the stop string that was met ends in what may become a mark. */
static bool may_be_mark(const struct stop_search *search)
{
    for (int i = 0; i < search->n_shelters; i++) {
        if (search->shelters[i].open.matched > search->n_after)
            return true;
    }
    return false;
}

void stop_search_push(struct stop_search *search, char c)
{
    if (search->inside != NULL) {
        struct stop_word *close = &search->inside->close;
        if (close->text != NULL && word_advance(close, c))
            leave(search);
        return;
    }
    int which = 0;
    size_t n_stop = find_stop(search, c, &which);
    if (find_shelter(search, c))
        return;
    if (search->n_met > 0) {
        search->n_met++;
        search->n_after++;
    } else {
        search->n_met = n_stop;
        search->n_after = 0;
        search->met = which;
    }
    if (search->n_met > 0 && !may_be_mark(search))
        search->n_cut = search->n_met;
    search->n_keep = search->n_met > search->n_keep ? search->n_met : search->n_keep;
}

int stop_search_met(const struct stop_search *search)
{
    return search->n_met > 0 ? search->met : -1;
}

size_t stop_search_end(const struct stop_search *search)
{
    return search->n_met;
}
