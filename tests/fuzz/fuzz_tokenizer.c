/* fuzz_tokenizer.c - libFuzzer target: a hostile vocabulary, then hostile text through it.
 *
 * Input: the length of a GGUF file (32 bits, little endian), the file, text. Its first half is
 * control text. Seeds: tests/fuzz/corpus/tokenizer, made by tests/fuzz/make_tokenizer_corpus.py. */
#include <stdlib.h>
#include <string.h>

#include "core/gguf/gguf.h"
#include "core/text/detokenizer.h"
#include "core/text/prompt.h"
#include "core/text/tokenizer.h"
#include "core/text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void check(bool is_true)
{
    if (!is_true)
        abort();
}

/* What is sent is UTF-8 after every token, and nothing follows a stop string. */
static void detokenize(const struct tokenizer *tokenizer, const struct token_list *list)
{
    const char *const texts[] = {"\n\n", "stop", "a\xC3\xA9"};
    const struct stop_shelter shelters[] = {
        {"<t>", "</t>", true}, {"{", "}}", false}, {"[s", "", false}};
    const struct detokenizer_stops stops = {texts, 3, shelters, 3};
    struct detokenizer detokenizer;
    struct buf out;
    check(detokenizer_init(&detokenizer, tokenizer, &stops, NULL));
    buf_init(&out);
    for (size_t i = 0; i < list->n; i++) {
        size_t len;
        check(list->ids[i] >= 0 && list->ids[i] < tokenizer_n_vocab(tokenizer));
        tokenizer_name(tokenizer, list->ids[i], &len);
        tokenizer_is_end(tokenizer, list->ids[i]);
        bool is_stopped = detokenizer_push(&detokenizer, list->ids[i], &out);
        check(is_stopped == detokenizer.is_stopped);
        check(utf8_is_valid(buf_text(&out), out.len));
    }
    detokenizer_flush(&detokenizer, &out);
    check(utf8_is_valid(buf_text(&out), out.len));
    check(memmem(buf_text(&out), out.len, "stop", 4) == NULL);
    buf_done(&out);
    detokenizer_done(&detokenizer);
}

static void encode(const struct tokenizer *tokenizer, const char *text, size_t len)
{
    struct prompt prompt;
    struct token_list list;
    prompt_init(&prompt);
    token_list_init(&list);
    prompt_append_control(&prompt, text, len / 2);
    prompt_append_plain(&prompt, text + len / 2, len - len / 2);
    check(tokenizer_encode(tokenizer, &prompt, 0, true, &list, NULL));
    detokenize(tokenizer, &list);
    list.n = 0;
    check(tokenizer_encode(tokenizer, &prompt, len / 2, false, &list, NULL));
    for (size_t i = 0; i < list.n; i++)
        check(!tokenizer_is_control(tokenizer, list.ids[i]));
    prompt_done(&prompt);
    token_list_done(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    uint32_t n_file;
    if (n_bytes < sizeof n_file)
        return 0;
    memcpy(&n_file, bytes, sizeof n_file);
    bytes += sizeof n_file;
    n_bytes -= sizeof n_file;
    size_t n = n_file < n_bytes ? n_file : n_bytes;

    struct gguf *file = NULL;
    struct tokenizer *tokenizer = NULL;
    char *copy = malloc(n + 1); /* ends where the file ends, so that reading on is seen */
    check(copy != NULL);
    memcpy(copy, bytes, n);
    bool is_open = gguf_open_memory(&file, copy, n, NULL) && tokenizer_open(&tokenizer, file, NULL);
    gguf_close(&file);
    free(copy);
    if (is_open)
        encode(tokenizer, (const char *)bytes + n, n_bytes - n);
    tokenizer_close(&tokenizer);
    return 0;
}
