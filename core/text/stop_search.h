/* stop_search.h - where a text ends because of what it says: at the first of some stop strings,
 * which are looked for in all of it but what stands between certain marks.
 *
 * Takes constant time per byte, whatever a client sends as a stop string. Owner: a detokenizer
 * (embedded). Thread: the owner's. */
#ifndef CORE_TEXT_STOP_SEARCH_H
#define CORE_TEXT_STOP_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum { STOP_SEARCH_MAX_STOPS = 64, STOP_SEARCH_MAX_SHELTERS = 12 };

/* Text from `open` through `close` in which a stop string counts as nothing. */
struct stop_shelter {
    const char *open;  /* "": the text begins inside */
    const char *close; /* "": the mark itself is all; NULL: it goes on to the text's end */
    bool is_first;     /* only where nothing but space, or another such shelter, came before */
};

/* A word that is looked for (Knuth, Morris, Pratt 1977). */
struct stop_word {
    char *text; /* owned; NULL: one that never comes */
    size_t len;
    uint32_t *borders; /* [len] owned: see set_borders in the .c */
    size_t matched;    /* bytes of `text` that the end of what was pushed equals */
};

struct stop_search {
    struct stop_word stops[STOP_SEARCH_MAX_STOPS];
    int n_stops;
    struct stop_search_shelter {
        struct stop_word open, close;
        bool is_first, is_missed; /* missed: what came first was something else */
    } shelters[STOP_SEARCH_MAX_SHELTERS];
    int n_shelters;
    struct stop_search_shelter *inside; /* NULL: outside of all */
    size_t n_met; /* bytes since a stop string began that may yet be part of an opening mark ... */
    size_t n_after; /* ... and since it ended */
    int met;        /* while n_met is not 0: which stop string that is */
    size_t n_keep;  /* the last bytes pushed that may yet turn out to be cut off */
    size_t n_cut;   /* not 0: the text ends so many bytes before the last one pushed */
};

/* Copies both lists. Stop strings are UTF-8, none empty. To be done in either case. */
bool stop_search_init(struct stop_search *search, const char *const *stops, int n_stops,
                      const struct stop_shelter *shelters, int n_shelters, struct err *err);
void stop_search_done(struct stop_search *search);

/* One byte more; sets n_keep and n_cut. Of stop strings whichever is complete first wins, and of
 * those that end together the longest. Not to be called behind a cut. */
void stop_search_push(struct stop_search *search, char c);

/* Which stop string the text ends at, if it is over now: its index in the list; -1: at none. */
int stop_search_met(const struct stop_search *search);

/* The text is over, so that no mark can come any more: how many of its last bytes are cut off. */
size_t stop_search_end(const struct stop_search *search);

#endif
