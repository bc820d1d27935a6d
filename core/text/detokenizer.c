#include "core/text/detokenizer.h"

#include <string.h>

#include "core/base/err.h"
#include "core/text/tokenizer.h"
#include "core/text/utf8.h"

static const char REPLACEMENT[] = "\xEF\xBF\xBD"; /* U+FFFD */
enum { REPLACEMENT_LEN = 3 };

bool detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer,
                      const struct detokenizer_stops *stops, struct err *err)
{
    *detokenizer = (struct detokenizer){.tokenizer = tokenizer};
    buf_init(&detokenizer->held);
    if (stop_search_init(&detokenizer->search, stops->texts, stops->n, stops->shelters,
                         stops->n_shelters, err))
        return true;
    detokenizer_done(detokenizer);
    return false;
}

void detokenizer_done(struct detokenizer *detokenizer)
{
    stop_search_done(&detokenizer->search);
    buf_done(&detokenizer->held);
    *detokenizer = (struct detokenizer){0};
}

/* Whole characters. What cannot be part of a stop string goes to *out at once. */
static void take_text(struct detokenizer *detokenizer, const char *text, size_t len,
                      struct buf *out)
{
    struct stop_search *search = &detokenizer->search;
    if (search->n_stops == 0) {
        buf_append(out, text, len);
        return;
    }
    struct buf *held = &detokenizer->held;
    for (size_t i = 0; i < len && search->n_cut == 0; i++) {
        buf_append(held, &text[i], 1);
        stop_search_push(search, text[i]);
    }
    if (held->failed) {
        out->failed = true;
        return;
    }
    detokenizer->is_stopped = search->n_cut > 0;
    size_t n_safe = held->len - (search->n_cut > 0 ? search->n_cut : search->n_keep);
    buf_append(out, buf_text(held), n_safe);
    buf_drop_front(held, detokenizer->is_stopped ? held->len : n_safe);
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
    if (detokenizer->is_stopped)
        return;
    size_t n_cut = stop_search_end(&detokenizer->search);
    buf_append(out, buf_text(&detokenizer->held), detokenizer->held.len - n_cut);
    buf_clear(&detokenizer->held);
}
