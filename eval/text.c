#include "eval/text.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/text/prompt.h"
#include "core/text/utf8.h"
#include "eval/subject.h"

/* No tokenizer makes tokens longer than this on average; more of a book need not be read. */
enum { MAX_BYTES_PER_TOKEN = 16 };

bool text_encode(const struct subject *subject, const char *bytes, size_t len, bool is_start,
                 struct token_list *out, struct err *err)
{
    struct prompt prompt;
    prompt_init(&prompt);
    prompt_append_plain(&prompt, bytes, len);
    bool is_done = prompt_failed(&prompt)
                       ? err_no_memory(err, "the text")
                       : tokenizer_encode(subject->tokenizer, &prompt, 0, is_start, out, err);
    prompt_done(&prompt);
    return is_done;
}

static bool read_bytes(const char *path, size_t max, struct buf *out, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set(err, ERR_IO, "cannot read the text %s: %s", path, strerror(errno));
    char piece[65536];
    size_t n;
    while (out->len < max && (n = fread(piece, 1, sizeof piece, file)) > 0)
        buf_append(out, piece, n < max - out->len ? n : max - out->len);
    bool is_read = ferror(file) == 0;
    fclose(file);
    if (!is_read)
        return err_set(err, ERR_IO, "cannot read the text %s", path);
    return !out->failed || err_no_memory(err, "the text");
}

/* The text may have been cut inside of a character. */
static void drop_cut_character(struct buf *bytes)
{
    for (int i = 0; i < 3 && bytes->len > 0 && !utf8_is_valid(bytes->data, bytes->len); i++)
        bytes->len--;
}

static bool read_plain(struct text *text, const struct subject *subject, const char *path,
                       int64_t max_tokens, struct err *err)
{
    size_t max = max_tokens > 0 ? (size_t)max_tokens * MAX_BYTES_PER_TOKEN : SIZE_MAX;
    struct buf bytes;
    buf_init(&bytes);
    bool is_done = read_bytes(path, max, &bytes, err);
    if (is_done) {
        if (bytes.len == max)
            drop_cut_character(&bytes);
        is_done = text_encode(subject, buf_text(&bytes), bytes.len, true, &text->tokens, err);
    }
    buf_done(&bytes);
    return is_done;
}

static bool read_ids(struct text *text, const struct subject *subject, const char *path,
                     struct err *err)
{
    json_error_t error;
    json_t *list = json_load_file(path, 0, &error);
    if (!json_is_array(list)) {
        json_decref(list);
        return err_set(err, ERR_FORMAT, "%s is not a JSON list of token ids: %s", path,
                       list == NULL ? error.text : "it is no list");
    }
    bool is_done = true;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        json_int_t id = json_is_integer(item) ? json_integer_value(item) : -1;
        if (id < 0 || id >= subject_n_vocab(subject))
            is_done =
                err_set(err, ERR_FORMAT, "element %zu of %s is no token of this model", i, path);
        is_done = is_done && token_list_push(&text->tokens, (int32_t)id, err);
        if (!is_done)
            break;
    }
    json_decref(list);
    return is_done;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

bool text_init(struct text *text, const struct subject *subject, const char *path,
               int64_t max_tokens, struct err *err)
{
    *text = (struct text){0};
    token_list_init(&text->tokens);
    if (path[0] == '\0')
        return err_set(err, ERR_INVALID, "--text FILE is needed: a long text in UTF-8");
    bool is_read = ends_with(path, ".json") ? read_ids(text, subject, path, err)
                                            : read_plain(text, subject, path, max_tokens, err);
    struct token_list *tokens = &text->tokens;
    if (is_read && max_tokens > 0 && tokens->n > (size_t)max_tokens)
        tokens->n = (size_t)max_tokens;
    if (is_read && (tokens->n < 2 || tokens->n > INT32_MAX))
        is_read = err_set(err, ERR_INVALID, "the text %s has %zu tokens, too %s to evaluate", path,
                          tokens->n, tokens->n < 2 ? "few" : "many");
    if (!is_read) {
        text_done(text);
        return false;
    }
    text->has_bos = tokens->ids[0] == tokenizer_bos(subject->tokenizer);
    return true;
}

void text_done(struct text *text)
{
    token_list_done(&text->tokens);
}

void text_copy(const struct text *text, int64_t from, int n, int32_t *out)
{
    int64_t n_all = (int64_t)text->tokens.n;
    int64_t n_bos = text->has_bos ? 1 : 0;
    for (int64_t i = from; i < from + n; i++) {
        int64_t at = i < n_all ? i : n_bos + (i - n_bos) % (n_all - n_bos);
        *out++ = text->tokens.ids[at];
    }
}
