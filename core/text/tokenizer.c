#include "core/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/text/encode_job.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/prompt.h"
#include "core/text/token_trie.h"
#include "core/text/tokenizer_bpe.h"
#include "core/text/tokenizer_spm.h"
#include "core/text/vocab.h"

struct tokenizer {
    struct vocab vocab;
    struct tokenizer_bpe bpe; /* unused for SPM */
    struct token_trie trie;
    bool uses_scores; /* else merges */
    bool adds_bos;
    bool adds_space;
    bool knows_pre;
};

void token_list_init(struct token_list *list)
{
    *list = (struct token_list){0};
}

void token_list_done(struct token_list *list)
{
    free(list->ids);
    token_list_init(list);
}

bool token_list_push(struct token_list *list, int32_t id, struct err *err)
{
    if (list->n == list->max) {
        size_t max = list->max == 0 ? 64 : list->max * 2;
        int32_t *ids = realloc(list->ids, max * sizeof *ids);
        if (ids == NULL)
            return err_no_memory(err, "a prompt");
        list->ids = ids;
        list->max = max;
    }
    list->ids[list->n++] = id;
    return true;
}

void token_list_drop(struct token_list *list, size_t n)
{
    list->n -= n;
    if (n > 0)
        memmove(list->ids, list->ids + n, list->n * sizeof *list->ids);
}

static bool is_text(struct gguf_text text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

static bool open_bpe(struct tokenizer *tokenizer, const struct gguf *file, struct err *err)
{
    struct gguf_text name = {"default", 7};
    gguf_get_text(file, "tokenizer.ggml.pre", &name);
    const struct pre_tokenizer *pre = pre_tokenizer_find(name.data, name.len);
    tokenizer->knows_pre = pre != NULL;
    if (pre == NULL)
        pre = pre_tokenizer_find("gpt-2", 5);
    tokenizer->adds_bos = pre_tokenizer_adds_bos(pre);
    return vocab_init(&tokenizer->vocab, file, VOCAB_BPE, err) &&
           tokenizer_bpe_init(&tokenizer->bpe, file, &tokenizer->vocab, pre, err);
}

static bool open_merged(struct tokenizer *tokenizer, const struct gguf *file, struct err *err)
{
    const struct pre_tokenizer *pre = pre_tokenizer_find("gemma4", 6);
    tokenizer->knows_pre = true;
    tokenizer->adds_bos = true;
    return vocab_init(&tokenizer->vocab, file, VOCAB_MERGED, err) &&
           tokenizer_bpe_init(&tokenizer->bpe, file, &tokenizer->vocab, pre, err);
}

static bool open_spm(struct tokenizer *tokenizer, const struct gguf *file, struct err *err)
{
    tokenizer->knows_pre = true;
    tokenizer->adds_bos = true;
    tokenizer->adds_space = true;
    gguf_get_bool(file, "tokenizer.ggml.add_space_prefix", &tokenizer->adds_space);
    tokenizer->uses_scores = true;
    return vocab_init(&tokenizer->vocab, file, VOCAB_SPM, err);
}

typedef bool open_fn(struct tokenizer *tokenizer, const struct gguf *file, struct err *err);

static open_fn *find_open(struct gguf_text model)
{
    return is_text(model, "llama")    ? open_spm
           : is_text(model, "gpt2")   ? open_bpe
           : is_text(model, "gemma4") ? open_merged
                                      : NULL;
}

bool tokenizer_open(struct tokenizer **out, const struct gguf *file, struct err *err)
{
    struct gguf_text model;
    if (!gguf_get_text(file, "tokenizer.ggml.model", &model))
        return err_set(err, ERR_FORMAT,
                       "the model file names no tokenizer "
                       "(tokenizer.ggml.model)");
    open_fn *open = find_open(model);
    if (open == NULL)
        return err_set(err, ERR_UNSUPPORTED,
                       "the model's tokenizer is of type \"%.*s\"; only \"llama\" "
                       "(sentencepiece), \"gpt2\" (byte-level BPE) and \"gemma4\" are supported",
                       (int)(model.len < 40 ? model.len : 40), model.data);

    struct tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (tokenizer == NULL)
        return err_no_memory(err, "a tokenizer");
    if (!open(tokenizer, file, err) || !token_trie_init(&tokenizer->trie, &tokenizer->vocab, err)) {
        tokenizer_close(&tokenizer);
        return false;
    }
    gguf_get_bool(file, "tokenizer.ggml.add_bos_token", &tokenizer->adds_bos);
    *out = tokenizer;
    return true;
}

void tokenizer_close(struct tokenizer **tokenizer)
{
    if (*tokenizer == NULL)
        return;
    tokenizer_bpe_done(&(*tokenizer)->bpe);
    token_trie_done(&(*tokenizer)->trie);
    vocab_done(&(*tokenizer)->vocab);
    free(*tokenizer);
    *tokenizer = NULL;
}

/* One call of tokenizer_encode. */
struct encoding {
    const struct tokenizer *tokenizer;
    const struct prompt *prompt;
    struct encode_job job;
    size_t span;        /* of the byte looked at */
    size_t control_end; /* where the control spans end that the byte lies in, at most the byte */
    bool is_after_special;
};

/* Moves on to byte `at`; the spans are walked through once. */
static void set_position(struct encoding *encoding, size_t at)
{
    const struct prompt *prompt = encoding->prompt;
    while (encoding->span < prompt->n_spans && prompt->spans[encoding->span].end <= at)
        encoding->span++;
    if (at < encoding->control_end)
        return;
    encoding->control_end = at;
    for (size_t i = encoding->span; i < prompt->n_spans && prompt->spans[i].is_control; i++)
        encoding->control_end = prompt->spans[i].end;
}

static size_t match_special(const struct encoding *encoding, size_t at, int32_t *out_id)
{
    return specials_match(&encoding->tokenizer->vocab.specials,
                          buf_text(&encoding->prompt->text) + at, encoding->prompt->text.len - at,
                          encoding->control_end - at, out_id);
}

/* True when the text before `begin`, encoded earlier, ends with a special token. */
static bool ends_with_special(const struct tokenizer *tokenizer, const struct prompt *prompt,
                              size_t begin)
{
    size_t control_begin = begin;
    for (size_t i = prompt->n_spans; i-- > 0;) {
        size_t span_begin = i == 0 ? 0 : prompt->spans[i - 1].end;
        if (span_begin >= begin)
            continue;
        if (!prompt->spans[i].is_control)
            break;
        control_begin = span_begin;
    }
    size_t max = begin < SPECIALS_MAX_LEN ? begin : SPECIALS_MAX_LEN;
    for (size_t len = 1; len <= max; len++) {
        int32_t id;
        size_t control_len = len <= begin - control_begin ? len : 0;
        const char *text = prompt->text.data + begin - len;
        if (specials_match(&tokenizer->vocab.specials, text, len, control_len, &id) == len)
            return true;
    }
    return false;
}

/* The text between two special tokens. */
static bool encode_text(struct encoding *encoding, size_t begin, size_t end)
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    const char *text = buf_text(&encoding->prompt->text) + begin;
    if (begin == end)
        return true;
    bool adds_space = tokenizer->adds_space && encoding->is_after_special;
    encoding->is_after_special = false;
    if (tokenizer->uses_scores)
        return tokenizer_spm_encode(&tokenizer->vocab, text, end - begin, adds_space,
                                    &encoding->job);
    return tokenizer_bpe_encode(&tokenizer->bpe, text, end - begin, &encoding->job);
}

static bool encode_all(struct encoding *encoding, size_t begin)
{
    size_t text_begin = begin;
    size_t end = encoding->prompt->text.len;
    size_t at = begin;
    while (at < end) {
        int32_t id;
        set_position(encoding, at);
        size_t len = match_special(encoding, at, &id);
        if (len == 0) {
            at++;
            continue;
        }
        if (!encode_text(encoding, text_begin, at) ||
            !token_list_push(encoding->job.out, id, encoding->job.err))
            return false;
        encoding->is_after_special = true;
        at += len;
        text_begin = at;
    }
    return encode_text(encoding, text_begin, end);
}

static bool begins_with_bos(struct encoding *encoding, size_t begin)
{
    int32_t id = -1;
    if (begin >= encoding->prompt->text.len)
        return false;
    set_position(encoding, begin);
    return match_special(encoding, begin, &id) > 0 && id == encoding->tokenizer->vocab.bos;
}

bool tokenizer_encode(const struct tokenizer *tokenizer, const struct prompt *prompt, size_t begin,
                      bool is_start, struct token_list *out, struct err *err)
{
    if (prompt_failed(prompt))
        return err_no_memory(err, "a prompt");
    if (begin > prompt->text.len)
        return err_set(err, ERR_INTERNAL, "a prompt of %zu bytes was to be encoded from byte %zu",
                       prompt->text.len, begin);
    size_t n_before = out->n;
    struct encoding encoding = {
        .tokenizer = tokenizer,
        .prompt = prompt,
        .is_after_special = is_start || ends_with_special(tokenizer, prompt, begin),
        .job = {.out = out, .err = err},
    };
    merger_init(&encoding.job.merger);
    bool adds_bos = is_start && tokenizer->adds_bos && tokenizer->vocab.bos >= 0 &&
                    !begins_with_bos(&encoding, begin);
    bool is_done = (!adds_bos || token_list_push(out, tokenizer->vocab.bos, err)) &&
                   encode_all(&encoding, begin);
    if (!is_done)
        out->n = n_before;
    merger_done(&encoding.job.merger);
    return is_done;
}

static const struct vocab_token *token_of(const struct tokenizer *tokenizer, int32_t id)
{
    static const struct vocab_token NO_TOKEN = {.name = "", .piece = "", .kind = TOKEN_UNUSED};
    return id >= 0 && id < tokenizer->vocab.n ? &tokenizer->vocab.tokens[id] : &NO_TOKEN;
}

const char *tokenizer_piece(const struct tokenizer *tokenizer, int32_t id, size_t *out_len)
{
    const struct vocab_token *token = token_of(tokenizer, id);
    *out_len = token->piece_len;
    return token->piece;
}

const char *tokenizer_name(const struct tokenizer *tokenizer, int32_t id, size_t *out_len)
{
    const struct vocab_token *token = token_of(tokenizer, id);
    *out_len = token->name_len;
    return token->name;
}

bool tokenizer_is_end(const struct tokenizer *tokenizer, int32_t id)
{
    return token_of(tokenizer, id)->is_end;
}

bool tokenizer_is_control(const struct tokenizer *tokenizer, int32_t id)
{
    return token_of(tokenizer, id)->kind == TOKEN_CONTROL;
}

const struct token_trie *tokenizer_trie(const struct tokenizer *tokenizer)
{
    return &tokenizer->trie;
}

int tokenizer_n_vocab(const struct tokenizer *tokenizer)
{
    return tokenizer->vocab.n;
}

int32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->vocab.bos;
}

int32_t tokenizer_eos(const struct tokenizer *tokenizer)
{
    return tokenizer->vocab.eos;
}

bool tokenizer_adds_space(const struct tokenizer *tokenizer)
{
    return tokenizer->adds_space;
}

bool tokenizer_knows_pre(const struct tokenizer *tokenizer)
{
    return tokenizer->knows_pre;
}
