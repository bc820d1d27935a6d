#include "core/text/tokenizer_spm.h"

#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/text/encode_job.h"
#include "core/text/tokenizer.h"
#include "core/text/utf8.h"
#include "core/text/vocab.h"

static const char SPACE_MARK[] = "\xE2\x96\x81";
enum { SPACE_MARK_LEN = 3 };

static bool find_pair(const void *rules, struct merge_pair *pair)
{
    const struct vocab *vocab = rules;
    if (pair->len > vocab->max_piece_len)
        return false;
    int32_t id = text_map_get(&vocab->pieces, pair->text, pair->len);
    if (id < 0)
        return false;
    pair->key = vocab->tokens[id].key;
    pair->merged = id;
    return true;
}

/* A space mark in the text is a space: sentencepiece knows no difference. */
static bool normalize(struct buf *out, const char *text, size_t len, bool adds_space,
                      struct err *err)
{
    if (adds_space)
        buf_append_char(out, ' ');
    const char *end = text + len;
    while (text < end) {
        const char *mark = memmem(text, (size_t)(end - text), SPACE_MARK, SPACE_MARK_LEN);
        buf_append(out, text, (size_t)((mark == NULL ? end : mark) - text));
        if (mark == NULL)
            break;
        buf_append_char(out, ' ');
        text = mark + SPACE_MARK_LEN;
    }
    return !out->failed || err_no_memory(err, "a prompt");
}

/* The end of the part that can be merged by itself: up to a space after something else, when no
 * token reaches across; at most MERGER_MAX_SYMBOLS characters in any case. */
static size_t end_of_part(const struct vocab *vocab, const char *text, size_t len)
{
    uint32_t point;
    size_t at = 0;
    for (size_t n = 0; at < len && n < MERGER_MAX_SYMBOLS; n++) {
        if (at > 0 && text[at] == ' ' && text[at - 1] != ' ' && !vocab->has_inner_space)
            break;
        size_t symbol = utf8_decode(text + at, len - at, &point);
        at += symbol == 0 ? 1 : symbol;
    }
    return at;
}

static bool push_bytes(const struct vocab *vocab, const char *text, size_t len,
                       struct encode_job *job)
{
    bool is_unknown = false;
    for (size_t i = 0; i < len; i++) {
        int32_t id = vocab->byte_tokens[(unsigned char)text[i]];
        is_unknown = is_unknown || id < 0;
        if (id >= 0 && !token_list_push(job->out, id, job->err))
            return false;
    }
    return !is_unknown || vocab->unknown < 0 || token_list_push(job->out, vocab->unknown, job->err);
}

static bool encode_part(const struct vocab *vocab, const char *text, size_t len,
                        struct encode_job *job)
{
    struct merger *merger = &job->merger;
    size_t max_symbols = len < MERGER_MAX_SYMBOLS ? len : MERGER_MAX_SYMBOLS;
    if (!merger_begin(merger, max_symbols, job->err))
        return false;
    uint32_t point;
    for (size_t at = 0, n; at < len; at += n) {
        n = utf8_decode(text + at, len - at, &point);
        n = n == 0 ? 1 : n;
        merger_add(merger, at, text_map_get(&vocab->pieces, text + at, n));
    }
    merger_run(merger, text, len, find_pair, vocab);

    int32_t symbol;
    size_t i = 0, begin, end;
    while (merger_next(merger, &i, &symbol, &begin, &end)) {
        bool is_pushed = symbol >= 0 ? token_list_push(job->out, symbol, job->err)
                                     : push_bytes(vocab, text + begin, end - begin, job);
        if (!is_pushed)
            return false;
    }
    return true;
}

bool tokenizer_spm_encode(const struct vocab *vocab, const char *text, size_t len, bool adds_space,
                          struct encode_job *job)
{
    struct buf spaced;
    buf_init(&spaced);
    bool is_done = normalize(&spaced, text, len, adds_space, job->err);
    for (size_t at = 0; is_done && at < spaced.len;) {
        size_t part = end_of_part(vocab, spaced.data + at, spaced.len - at);
        is_done = encode_part(vocab, spaced.data + at, part, job);
        at += part;
    }
    buf_done(&spaced);
    return is_done;
}
