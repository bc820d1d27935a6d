#include "core/text/tokenizer_bpe.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/text/encode_job.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/tokenizer.h"
#include "core/text/utf8.h"
#include "core/text/vocab.h"

enum { MAX_MERGES = 1 << 24 };

struct bpe_merge {
    int32_t left;
    int32_t right;
    int32_t merged;
    uint32_t rank; /* + 1; 0: an empty slot */
};

/* What is needed only while the merges are read. */
struct reader {
    struct tokenizer_bpe *bpe;
    char *end;         /* of bpe->extra_bytes */
    int32_t n_symbols; /* numbers given so far */
};

static struct bpe_merge *slot_of(const struct tokenizer_bpe *bpe, int32_t left, int32_t right)
{
    uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    size_t i = (size_t)(hash >> 32) & bpe->mask;
    for (;; i = (i + 1) & bpe->mask) {
        struct bpe_merge *slot = &bpe->merges[i];
        if (slot->rank == 0 || (slot->left == left && slot->right == right))
            return slot;
    }
}

static bool find_pair(const void *rules, struct merge_pair *pair)
{
    const struct bpe_merge *merge = slot_of(rules, pair->left, pair->right);
    if (merge->rank == 0)
        return false;
    pair->key = merge->rank - 1;
    pair->merged = merge->merged;
    return true;
}

static int32_t find_symbol(const struct tokenizer_bpe *bpe, const char *text, size_t len)
{
    int32_t id = text_map_get(&bpe->vocab->pieces, text, len);
    return id >= 0 ? id : text_map_get(&bpe->extra_symbols, text, len);
}

/* New ones must stay where they are: whoever adds one moves reader->end. */
static int32_t add_symbol(struct reader *reader, const char *text, size_t len)
{
    int32_t symbol = find_symbol(reader->bpe, text, len);
    if (symbol >= 0)
        return symbol;
    text_map_add(&reader->bpe->extra_symbols, text, len, reader->n_symbols);
    return reader->n_symbols++;
}

/* As bytes; false when it stands for none. */
static bool decode_name(const struct reader *reader, const char *name, size_t len, char *out,
                        size_t *out_len)
{
    if (!reader->bpe->vocab->is_spm)
        return vocab_decode_bytes(name, len, out, out_len);
    *out_len = vocab_decode_spaces(name, len, out);
    return true;
}

/* "LEFT RIGHT". One that is not of this form, or that names what stands for no bytes, can never
 * apply to text and is left out. */
static void read_merge(struct reader *reader, struct gguf_text line, uint32_t rank)
{
    if (line.len < 3)
        return;
    const char *space = memchr(line.data + 1, ' ', line.len - 1);
    if (space == NULL)
        return;
    size_t name_len = (size_t)(space - line.data);
    size_t left_len, right_len;
    char *text = reader->end;
    if (!decode_name(reader, line.data, name_len, text, &left_len) ||
        !decode_name(reader, space + 1, line.len - name_len - 1, text + left_len, &right_len) ||
        right_len == 0)
        return;
    int32_t n_before = reader->n_symbols;
    int32_t left = add_symbol(reader, text, left_len);
    int32_t right = add_symbol(reader, text + left_len, right_len);
    int32_t merged = add_symbol(reader, text, left_len + right_len);
    if (reader->n_symbols > n_before)
        reader->end += left_len + right_len;

    struct bpe_merge *slot = slot_of(reader->bpe, left, right);
    if (slot->rank == 0) /* the first of two equal ones has the better rank */
        *slot = (struct bpe_merge){left, right, merged, rank + 1};
}

static bool reserve(struct tokenizer_bpe *bpe, const struct gguf_array *merges, struct err *err)
{
    size_t n_bytes = 256;
    for (size_t i = 0; i < merges->n; i++)
        n_bytes += gguf_array_text(merges, i).len;
    size_t n_slots = 16;
    while (n_slots / 2 < merges->n)
        n_slots *= 2;
    bpe->mask = n_slots - 1;
    bpe->merges = calloc(n_slots, sizeof *bpe->merges);
    bpe->extra_bytes = malloc(n_bytes);
    if (bpe->merges == NULL || bpe->extra_bytes == NULL)
        return err_no_memory(err, "a vocabulary");
    return text_map_init(&bpe->extra_symbols, 256 + 3 * merges->n, err);
}

bool tokenizer_bpe_init(struct tokenizer_bpe *bpe, const struct gguf *file,
                        const struct vocab *vocab, const struct pre_tokenizer *pre, struct err *err)
{
    struct gguf_array merges;
    *bpe = (struct tokenizer_bpe){.vocab = vocab, .pre = pre};
    if (!gguf_get_array(file, "tokenizer.ggml.merges", &merges) || merges.type != GGUF_STRING)
        return err_set(err, ERR_FORMAT, "the model file has no merges (tokenizer.ggml.merges)");
    if (merges.n > MAX_MERGES)
        return err_set(err, ERR_FORMAT, "the vocabulary has %zu merges, at most %d make sense",
                       merges.n, MAX_MERGES);
    if (!reserve(bpe, &merges, err)) {
        tokenizer_bpe_done(bpe);
        return false;
    }
    struct reader reader = {bpe, bpe->extra_bytes, vocab->n};
    for (int c = 0; c < 256 && vocab->is_spm; c++)
        bpe->byte_symbols[c] = vocab->byte_tokens[c];
    for (int c = 0; c < 256 && !vocab->is_spm; c++) {
        *reader.end = (char)c;
        bpe->byte_symbols[c] = add_symbol(&reader, reader.end++, 1);
    }
    for (size_t i = 0; i < merges.n; i++)
        read_merge(&reader, gguf_array_text(&merges, i), (uint32_t)i);
    return true;
}

void tokenizer_bpe_done(struct tokenizer_bpe *bpe)
{
    free(bpe->merges);
    free(bpe->extra_bytes);
    text_map_done(&bpe->extra_symbols);
    *bpe = (struct tokenizer_bpe){0};
}

/* The bytes of a symbol that is no token, as far as the vocabulary has them. */
static bool push_bytes(const struct tokenizer_bpe *bpe, const char *text, size_t len,
                       struct encode_job *job)
{
    for (size_t i = 0; i < len; i++) {
        int32_t id = bpe->byte_symbols[(unsigned char)text[i]];
        if (id < 0 || id >= bpe->vocab->n)
            id = bpe->vocab->unknown;
        if (id >= 0 && !token_list_push(job->out, id, job->err))
            return false;
    }
    return true;
}

/* The word's bytes or characters. One that no merge knows is a symbol beyond all others. */
static void add_symbols(const struct tokenizer_bpe *bpe, const char *word, size_t len,
                        struct merger *merger)
{
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t point;
        n = 1;
        int32_t symbol = bpe->byte_symbols[(unsigned char)word[i]];
        if (bpe->vocab->is_spm) {
            n = (unsigned char)word[i] < 0x80 ? 1 : utf8_decode(word + i, len - i, &point);
            n = n == 0 ? 1 : n;
            symbol = find_symbol(bpe, word + i, n);
        }
        merger_add(merger, i, symbol >= 0 ? symbol : INT32_MAX);
    }
}

/* A word that is a token as a whole; of newlines alone such a word is that token everywhere. */
static int32_t find_whole(const struct tokenizer_bpe *bpe, const char *word, size_t len)
{
    if (pre_tokenizer_ignores_merges(bpe->pre) || (bpe->vocab->is_spm && word[0] == '\n'))
        return text_map_get(&bpe->vocab->pieces, word, len);
    return -1;
}

static bool encode_word(const struct tokenizer_bpe *bpe, const char *word, size_t len,
                        struct encode_job *job)
{
    struct merger *merger = &job->merger;
    int32_t whole = find_whole(bpe, word, len);
    if (whole >= 0)
        return token_list_push(job->out, whole, job->err);
    if (!merger_begin(merger, len, job->err))
        return false;
    add_symbols(bpe, word, len, merger);
    merger_run(merger, word, len, find_pair, bpe);

    int32_t symbol;
    size_t i = 0, begin, end;
    while (merger_next(merger, &i, &symbol, &begin, &end)) {
        bool is_pushed = symbol < bpe->vocab->n ? token_list_push(job->out, symbol, job->err)
                                                : push_bytes(bpe, word + begin, end - begin, job);
        if (!is_pushed)
            return false;
    }
    return true;
}

bool tokenizer_bpe_encode(const struct tokenizer_bpe *bpe, const char *text, size_t len,
                          struct encode_job *job)
{
    struct pre_tokenizer_walk walk;
    size_t begin, end;
    pre_tokenizer_begin(&walk, bpe->pre, text, len);
    while (pre_tokenizer_next(&walk, &begin, &end)) {
        while (begin < end) {
            size_t n = end - begin < MERGER_MAX_SYMBOLS ? end - begin : MERGER_MAX_SYMBOLS;
            if (!encode_word(bpe, text + begin, n, job))
                return false;
            begin += n;
        }
    }
    return true;
}
