#include "core/text/vocab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/hex.h"
#include "core/gguf/gguf.h"
#include "core/text/utf8.h"

static const char SPACE_MARK[] = "\xE2\x96\x81"; /* U+2581, SPM's space */
enum { SPACE_MARK_LEN = 3, MAX_TOKENS = 1 << 24 };

/* Names that models end a turn with. */
static const char *const END_NAMES[] = {
    "</s>",
    "<eos>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|return|>",
    "<|call|>",
    "<turn|>",
    "<|tool_response>",
    "<start_function_response>",
    "<｜end▁of▁sentence｜>", /* DeepSeek: these bars and underlines are not ASCII */
};

static bool is_end_name(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof END_NAMES / sizeof END_NAMES[0]; i++) {
        if (strlen(END_NAMES[i]) == len && memcmp(END_NAMES[i], name, len) == 0)
            return true;
    }
    return false;
}

/* Where turns end with "<turn|>", "</s>" is a tag of HTML. */
static bool ends_turn(const char *name, size_t len, enum vocab_style style)
{
    bool is_tag = style == VOCAB_MERGED && len == 4 && memcmp(name, "</s>", 4) == 0;
    return !is_tag && is_end_name(name, len);
}

/* The byte that a character of a byte-level BPE name stands for, -1 for none: printable Latin-1
 * stands for itself, the other 68 bytes follow from U+0100 on in their order (GPT-2). */
static int byte_of_point(uint32_t point)
{
    bool is_printable = (point >= 0x21 && point <= 0x7E) || (point >= 0xA1 && point <= 0xFF);
    if (is_printable && point != 0xAD)
        return (int)point;
    if (point < 0x100 || point >= 0x100 + 68)
        return -1;
    uint32_t rank = point - 0x100;
    if (rank <= 0x20)
        return (int)rank;
    return rank < 67 ? (int)(rank - 0x21 + 0x7F) : 0xAD;
}

bool vocab_decode_bytes(const char *name, size_t len, char *out, size_t *out_len)
{
    size_t n_bytes = 0;
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t point = (unsigned char)name[i];
        n = point < 0x80 ? 1 : utf8_decode(name + i, len - i, &point);
        int byte = n == 0 ? -1 : byte_of_point(point);
        if (byte < 0)
            return false;
        out[n_bytes++] = (char)byte;
    }
    *out_len = n_bytes;
    return true;
}

size_t vocab_decode_spaces(const char *name, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        if (len - i >= SPACE_MARK_LEN && memcmp(name + i, SPACE_MARK, SPACE_MARK_LEN) == 0) {
            out[n++] = ' ';
            i += SPACE_MARK_LEN;
        } else {
            out[n++] = name[i++];
        }
    }
    return n;
}

/* The byte that "<0xNN>" names, -1 for any other name. */
static int byte_of_name(const char *name, size_t len)
{
    if (len != 6 || memcmp(name, "<0x", 3) != 0 || name[5] != '>')
        return -1;
    int high = hex_value(name[3]);
    int low = hex_value(name[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Arrays that go with the tokens, each NULL-like (n == 0) when the file has none. */
struct lists {
    struct gguf_array names;
    struct gguf_array scores;
    struct gguf_array kinds;
};

static bool is_integer(enum gguf_type type)
{
    return type != GGUF_F32 && type != GGUF_F64 && type != GGUF_STRING && type != GGUF_ARRAY;
}

static bool read_lists(struct lists *lists, const struct gguf *file, bool is_spm, struct err *err)
{
    *lists = (struct lists){0};
    if (!gguf_get_array(file, "tokenizer.ggml.tokens", &lists->names) ||
        lists->names.type != GGUF_STRING || lists->names.n == 0)
        return err_set(err, ERR_FORMAT,
                       "the model file has no vocabulary "
                       "(tokenizer.ggml.tokens)");
    size_t n = lists->names.n;
    if (n > MAX_TOKENS)
        return err_set(err, ERR_FORMAT, "the vocabulary has %zu tokens, at most %d make sense", n,
                       MAX_TOKENS);
    if (gguf_get_array(file, "tokenizer.ggml.token_type", &lists->kinds) &&
        (!is_integer(lists->kinds.type) || lists->kinds.n != n))
        return err_set(err, ERR_FORMAT, "tokenizer.ggml.token_type does not fit the %zu tokens", n);
    bool has_scores = gguf_get_array(file, "tokenizer.ggml.scores", &lists->scores);
    bool fits = has_scores && lists->scores.n == n &&
                (lists->scores.type == GGUF_F32 || lists->scores.type == GGUF_F64);
    if (is_spm && !fits)
        return err_set(err, ERR_FORMAT, "tokenizer.ggml.scores does not fit the %zu tokens", n);
    return true;
}

/* An order-preserving map from finite floats to integers, turned round. */
static uint32_t key_of_score(float score)
{
    uint32_t bits;
    score += 0.0f; /* -0 is 0 */
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

static enum token_kind kind_of(const struct lists *lists, size_t i, struct gguf_text name,
                               enum vocab_style style)
{
    int64_t kind = TOKEN_NORMAL;
    if (lists->kinds.n > 0)
        kind = gguf_array_int(&lists->kinds, i);
    else if (style != VOCAB_BPE && byte_of_name(name.data, name.len) >= 0)
        kind = TOKEN_BYTE;
    /* A vocabulary that calls the end of a turn a word would let a user end it. */
    bool is_word = kind == TOKEN_USER_DEFINED || lists->kinds.n == 0;
    if (is_word && ends_turn(name.data, name.len, style))
        kind = TOKEN_CONTROL;
    return kind < TOKEN_NORMAL || kind > TOKEN_BYTE ? TOKEN_UNUSED : (enum token_kind)kind;
}

/* Writes the piece behind the name. */
static void set_piece(struct vocab_token *token, bool is_spm, char *out)
{
    size_t len = token->name_len;
    int byte = token->kind == TOKEN_BYTE ? byte_of_name(token->name, len) : -1;
    token->piece = out;
    if (token->kind == TOKEN_CONTROL || token->kind == TOKEN_UNKNOWN) {
        token->piece_len = 0;
        return;
    }
    if (byte >= 0) {
        out[0] = (char)byte;
        token->piece_len = 1;
        return;
    }
    size_t piece_len = len;
    if (is_spm)
        piece_len = vocab_decode_spaces(token->name, len, out);
    else if (token->kind == TOKEN_USER_DEFINED ||
             !vocab_decode_bytes(token->name, len, out, &piece_len))
        memcpy(out, token->name, len);
    token->piece_len = (uint32_t)piece_len;
}

static bool read_tokens(struct vocab *vocab, const struct lists *lists, enum vocab_style style,
                        struct err *err)
{
    size_t n = lists->names.n;
    size_t n_bytes = 0;
    for (size_t i = 0; i < n; i++)
        n_bytes += gguf_array_text(&lists->names, i).len;
    if (n_bytes > UINT32_MAX / 2)
        return err_set(err, ERR_FORMAT, "the vocabulary's tokens are %zu bytes long", n_bytes);

    vocab->tokens = calloc(n, sizeof *vocab->tokens);
    vocab->bytes = malloc(2 * n_bytes + 1);
    if (vocab->tokens == NULL || vocab->bytes == NULL)
        return err_no_memory(err, "a vocabulary");
    vocab->n = (int)n;

    char *end = vocab->bytes;
    for (size_t i = 0; i < n; i++) {
        struct vocab_token *token = &vocab->tokens[i];
        struct gguf_text name = gguf_array_text(&lists->names, i);
        if (name.len > 0)
            memcpy(end, name.data, name.len);
        token->name = end;
        token->name_len = (uint32_t)name.len;
        token->kind = (unsigned char)kind_of(lists, i, name, style);
        token->is_end = token->kind == TOKEN_CONTROL && ends_turn(end, name.len, style);
        set_piece(token, vocab->is_spm, end + name.len);
        end += name.len + token->piece_len;
        if (style != VOCAB_SPM)
            continue;
        double score = gguf_array_float(&lists->scores, i);
        if (!isfinite((float)score))
            return err_set(err, ERR_FORMAT, "the score of token %zu is not a number", i);
        token->key = key_of_score((float)score);
    }
    return true;
}

/* -1 when the file names none, or one that does not exist. */
static int32_t read_id(const struct vocab *vocab, const struct gguf *file, const char *key)
{
    int64_t id = -1;
    gguf_get_int(file, key, 0, vocab->n - 1, &id);
    return (int32_t)id;
}

/* Sentencepiece's usual place of a token that the file does not name. */
static int32_t usual_id(const struct vocab *vocab, int32_t id, int32_t usual, enum token_kind kind)
{
    if (id >= 0 || !vocab->is_spm || usual >= vocab->n || vocab->tokens[usual].kind != kind)
        return id;
    return usual;
}

static void read_ids(struct vocab *vocab, const struct gguf *file)
{
    static const char *const ENDS[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    int32_t bos = read_id(vocab, file, "tokenizer.ggml.bos_token_id");
    int32_t eos = read_id(vocab, file, ENDS[0]);
    int32_t unknown = read_id(vocab, file, "tokenizer.ggml.unknown_token_id");
    vocab->bos = usual_id(vocab, bos, 1, TOKEN_CONTROL);
    vocab->eos = usual_id(vocab, eos, 2, TOKEN_CONTROL);
    vocab->unknown = usual_id(vocab, unknown, 0, TOKEN_UNKNOWN);
    /* GPT-NeoX names its end of text here: unknown bytes must not become that. */
    if (vocab->unknown >= 0 && vocab->tokens[vocab->unknown].kind == TOKEN_CONTROL)
        vocab->unknown = -1;
    if (vocab->eos >= 0)
        vocab->tokens[vocab->eos].is_end = true;
    for (size_t i = 1; i < sizeof ENDS / sizeof ENDS[0]; i++) {
        int32_t id = read_id(vocab, file, ENDS[i]);
        if (id >= 0)
            vocab->tokens[id].is_end = true;
    }
}

/* Whether text may become this token by merging. Control tokens never come out of plain text. */
static bool is_mergeable(const struct vocab *vocab, const struct vocab_token *token)
{
    if (token->piece_len == 0)
        return false;
    if (token->kind == TOKEN_NORMAL || token->kind == TOKEN_UNUSED)
        return true;
    /* Spaces in the name of an SPM token are no space marks: it is matched as it is or not at
     * all. */
    return token->kind == TOKEN_USER_DEFINED &&
           !(vocab->is_spm && memchr(token->name, ' ', token->name_len) != NULL);
}

static bool has_inner_space(const struct vocab_token *token)
{
    for (uint32_t i = 1; i < token->piece_len; i++) {
        if (token->piece[i] == ' ' && token->piece[i - 1] != ' ')
            return true;
    }
    return false;
}

static void add_pieces(struct vocab *vocab, bool is_user_defined)
{
    for (int i = 0; i < vocab->n; i++) {
        const struct vocab_token *token = &vocab->tokens[i];
        if (!is_mergeable(vocab, token) || (token->kind == TOKEN_USER_DEFINED) != is_user_defined)
            continue;
        text_map_add(&vocab->pieces, token->piece, token->piece_len, i);
        if (token->piece_len > vocab->max_piece_len)
            vocab->max_piece_len = token->piece_len;
        vocab->has_inner_space = vocab->has_inner_space || has_inner_space(token);
    }
}

static bool index_tokens(struct vocab *vocab, struct err *err)
{
    size_t n_specials = 0;
    for (int i = 0; i < vocab->n; i++)
        n_specials +=
            vocab->tokens[i].kind >= TOKEN_UNKNOWN && vocab->tokens[i].kind <= TOKEN_USER_DEFINED;
    if (!text_map_init(&vocab->pieces, (size_t)vocab->n, err) ||
        !specials_init(&vocab->specials, n_specials, err))
        return false;

    add_pieces(vocab, false);
    add_pieces(vocab, true); /* after the others, which win where two have the same bytes */
    for (int c = 0; c < 256; c++)
        vocab->byte_tokens[c] = -1;
    for (int i = 0; i < vocab->n; i++) {
        const struct vocab_token *token = &vocab->tokens[i];
        int byte = token->kind == TOKEN_BYTE ? byte_of_name(token->name, token->name_len) : -1;
        if (byte >= 0 && vocab->byte_tokens[byte] < 0)
            vocab->byte_tokens[byte] = i;
        if (token->kind >= TOKEN_UNKNOWN && token->kind <= TOKEN_USER_DEFINED)
            specials_add(&vocab->specials, (struct special){token->name, token->name_len, i,
                                                            token->kind != TOKEN_USER_DEFINED});
    }
    specials_sort(&vocab->specials);
    return true;
}

static int32_t find_control(const struct vocab *vocab, const char *name)
{
    for (int i = 0; i < vocab->n; i++) {
        const struct vocab_token *token = &vocab->tokens[i];
        if (token->kind == TOKEN_CONTROL && token->name_len == strlen(name) &&
            memcmp(token->name, name, token->name_len) == 0)
            return i;
    }
    return -1;
}

/* Where turns have an end of their own this one ends a message, of which they have several
 * (gpt-oss). */
static void spare_inner_end(struct vocab *vocab)
{
    int32_t inner = find_control(vocab, "<|end|>");
    if (inner >= 0 && inner != vocab->eos && find_control(vocab, "<|return|>") >= 0)
        vocab->tokens[inner].is_end = false;
}

bool vocab_init(struct vocab *vocab, const struct gguf *file, enum vocab_style style,
                struct err *err)
{
    struct lists lists;
    *vocab = (struct vocab){.is_spm = style != VOCAB_BPE};
    if (!read_lists(&lists, file, style == VOCAB_SPM, err) ||
        !read_tokens(vocab, &lists, style, err)) {
        vocab_done(vocab);
        return false;
    }
    read_ids(vocab, file);
    spare_inner_end(vocab);
    if (!index_tokens(vocab, err)) {
        vocab_done(vocab);
        return false;
    }
    return true;
}

void vocab_done(struct vocab *vocab)
{
    free(vocab->tokens);
    free(vocab->bytes);
    text_map_done(&vocab->pieces);
    specials_done(&vocab->specials);
    *vocab = (struct vocab){0};
}
