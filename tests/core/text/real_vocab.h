/* real_vocab.h - tokenizers of published models, which are not part of this tree. */
#ifndef TESTS_CORE_TEXT_REAL_VOCAB_H
#define TESTS_CORE_TEXT_REAL_VOCAB_H

#include <stdbool.h>
#include <stdio.h>

#include "core/gguf/gguf.h"
#include "core/text/tokenizer.h"
#include "tests/support/check.h"

/* Calls check with each that is there, of n; the test is skipped when none is. */
static inline void real_vocab_each(const char *const *names, size_t n,
                                   void (*check)(const struct tokenizer *tokenizer))
{
    int n_read = 0;
    for (size_t i = 0; i < n; i++) {
        char path[256];
        struct gguf *file = NULL;
        struct tokenizer *tokenizer = NULL;
        snprintf(path, sizeof path, "../shared/fixtures/tokenizer/%s.gguf", names[i]);
        if (!gguf_open(&file, path, NULL))
            continue;
        assert_true(tokenizer_open(&tokenizer, file, NULL));
        check(tokenizer);
        tokenizer_close(&tokenizer);
        gguf_close(&file);
        n_read++;
    }
    if (n_read == 0)
        skip();
}

#endif
