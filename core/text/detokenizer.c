#include "core/text/detokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/tokenizer.h"
#include "core/text/utf8.h"

static const char REPLACEMENT[] = "\xEF\xBF\xBD"; /* U+FFFD */
enum { REPLACEMENT_LEN = 3 };

/* borders[i]: the length of the longest proper prefix of the stop string that is also the end of
 * its first i+1 bytes (Knuth, Morris, Pratt 1977). With it a stop string is looked for in constant
 * time per byte, whatever a client sends as one. */
static void set_borders(struct detokenizer_stop *stop)
{
    size_t matched = 0;
    stop->borders[0] = 0;
    for (size_t i = 1; i < stop->len; i++) {
        while (matched > 0 && stop->text[i] != stop->text[matched])
            matched = stop->borders[matched - 1];
        matched += stop->text[i] == stop->text[matched];
        stop->borders[i] = matched;
    }
}

static bool stop_init(struct detokenizer_stop *stop, const char *text, struct err *err)
{
    stop->len = strlen(text);
    if (stop->len == 0)
        return err_set(err, ERR_INVALID, "a stop string is empty");
    if (!utf8_is_valid(text, stop->len))
        return err_set(err, ERR_INVALID, "a stop string is not UTF-8");
    stop->text = strdup(text);
    stop->borders = malloc(stop->len * sizeof *stop->borders);
    if (stop->text == NULL || stop->borders == NULL)
        return err_no_memory(err, "a stop string");
    set_borders(stop);
    return true;
}

bool detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer,
                      const char *const *stops, int n_stops, struct err *err)
{
    *detokenizer = (struct detokenizer){.tokenizer = tokenizer};
    buf_init(&detokenizer->held);
    if (n_stops > DETOKENIZER_MAX_STOPS)
        return err_set(err, ERR_INVALID, "%d stop strings, at most %d are allowed", n_stops,
                       DETOKENIZER_MAX_STOPS);
    for (int i = 0; i < n_stops; i++) {
        detokenizer->n_stops = i + 1;
        if (!stop_init(&detokenizer->stops[i], stops[i], err)) {
            detokenizer_done(detokenizer);
            return false;
        }
    }
    return true;
}

void detokenizer_done(struct detokenizer *detokenizer)
{
    for (int i = 0; i < detokenizer->n_stops; i++) {
        free(detokenizer->stops[i].text);
        free(detokenizer->stops[i].borders);
    }
    buf_done(&detokenizer->held);
    *detokenizer = (struct detokenizer){0};
}

/* True when `c` completes this stop string. */
static bool stop_advance(struct detokenizer_stop *stop, char c)
{
    while (stop->matched > 0 && stop->text[stop->matched] != c)
        stop->matched = stop->borders[stop->matched - 1];
    stop->matched += stop->text[stop->matched] == c;
    if (stop->matched < stop->len)
        return false;
    stop->matched = stop->borders[stop->len - 1];
    return true;
}

/* Whole characters. What cannot be part of a stop string goes to *out at once. */
static void take_text(struct detokenizer *detokenizer, const char *text, size_t len,
                      struct buf *out)
{
    if (detokenizer->n_stops == 0) {
        buf_append(out, text, len);
        return;
    }
    struct buf *held = &detokenizer->held;
    size_t longest_match = 0;
    size_t keep = 0;
    for (size_t i = 0; i < len && longest_match == 0; i++) {
        buf_append(held, &text[i], 1);
        keep = 0;
        for (int s = 0; s < detokenizer->n_stops; s++) {
            struct detokenizer_stop *stop = &detokenizer->stops[s];
            if (stop_advance(stop, text[i]) && stop->len > longest_match)
                longest_match = stop->len;
            keep = stop->matched > keep ? stop->matched : keep;
        }
    }
    if (held->failed) {
        out->failed = true;
        return;
    }
    if (longest_match > 0) {
        buf_append(out, held->data, held->len - longest_match);
        buf_clear(held);
        detokenizer->is_stopped = true;
        return;
    }
    if (held->len > keep) {
        buf_append(out, held->data, held->len - keep);
        buf_drop_front(held, held->len - keep);
    }
}

/* Takes the incomplete sequence off the end of what is held back. */
static size_t take_tail(struct detokenizer *detokenizer, char bytes[4])
{
    struct buf *held = &detokenizer->held;
    size_t len = detokenizer->n_tail;
    held->len -= len;
    memcpy(bytes, held->data + held->len, len);
    detokenizer->n_tail = 0;
    return len;
}

/* One byte that is not ASCII, or that follows an incomplete sequence. What is broken off becomes
 * one U+FFFD, as the Unicode standard advises (3.9, "maximal subparts"). */
static void take_byte(struct detokenizer *detokenizer, char c, struct buf *out)
{
    char sequence[4];
    struct buf *held = &detokenizer->held;
    unsigned char byte = (unsigned char)c;
    if (detokenizer->n_tail > 0) {
        unsigned char lead = (unsigned char)held->data[held->len - detokenizer->n_tail];
        if (!utf8_continues(lead, detokenizer->n_tail, byte)) {
            take_tail(detokenizer, sequence);
            take_text(detokenizer, REPLACEMENT, REPLACEMENT_LEN, out);
            if (detokenizer->is_stopped)
                return;
        }
    }
    if (detokenizer->n_tail == 0 && utf8_sequence_len(byte) == 0) {
        take_text(detokenizer, REPLACEMENT, REPLACEMENT_LEN, out);
        return;
    }
    buf_append(held, &c, 1);
    if (held->failed) {
        out->failed = true;
        return;
    }
    detokenizer->n_tail++;
    unsigned char lead = (unsigned char)held->data[held->len - detokenizer->n_tail];
    if (detokenizer->n_tail < utf8_sequence_len(lead))
        return;
    size_t len = take_tail(detokenizer, sequence);
    take_text(detokenizer, sequence, len, out);
}

void detokenizer_show(struct detokenizer *detokenizer, const int32_t *ids, int n)
{
    detokenizer->n_shown = n < DETOKENIZER_MAX_SHOWN ? n : DETOKENIZER_MAX_SHOWN;
    for (int i = 0; i < detokenizer->n_shown; i++)
        detokenizer->shown[i] = ids[i];
}

static const char *find_piece(const struct detokenizer *detokenizer, int32_t id, size_t *out_len)
{
    for (int i = 0; i < detokenizer->n_shown; i++) {
        if (detokenizer->shown[i] == id)
            return tokenizer_name(detokenizer->tokenizer, id, out_len);
    }
    return tokenizer_piece(detokenizer->tokenizer, id, out_len);
}

bool detokenizer_push(struct detokenizer *detokenizer, int32_t id, struct buf *out)
{
    size_t len;
    const char *piece = find_piece(detokenizer, id, &len);
    size_t i = 0;
    while (i < len && !detokenizer->is_stopped) {
        size_t end = i;
        while (detokenizer->n_tail == 0 && end < len && (unsigned char)piece[end] < 0x80)
            end++;
        if (end > i) {
            take_text(detokenizer, piece + i, end - i, out);
            i = end;
        } else {
            take_byte(detokenizer, piece[i++], out);
        }
    }
    return detokenizer->is_stopped;
}

void detokenizer_flush(struct detokenizer *detokenizer, struct buf *out)
{
    if (detokenizer->is_stopped)
        return;
    if (detokenizer->n_tail > 0) {
        char sequence[4];
        take_tail(detokenizer, sequence);
        take_text(detokenizer, REPLACEMENT, REPLACEMENT_LEN, out);
    }
    buf_append(out, buf_text(&detokenizer->held), detokenizer->held.len);
    buf_clear(&detokenizer->held);
}
