/* tokenizer_spm.h - sentencepiece BPE: merges by score over whole text, bytes for what is unknown.
 *
 * Inside of tokenizer. Thread: any (the vocabulary is immutable, the job is the caller's). */
#ifndef CORE_TEXT_TOKENIZER_SPM_H
#define CORE_TEXT_TOKENIZER_SPM_H

#include <stdbool.h>
#include <stddef.h>

struct encode_job;
struct vocab;

/* Appends the ids of a text without special tokens. A space goes before it with `adds_space`. */
bool tokenizer_spm_encode(const struct vocab *vocab, const char *text, size_t len, bool adds_space,
                          struct encode_job *job);

#endif
