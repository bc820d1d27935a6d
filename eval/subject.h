/* subject.h - the model under evaluation: file, weights, tokenizer, threads, scratch memory.
 *
 * Owner: the command that runs. Thread: main. */
#ifndef EVAL_SUBJECT_H
#define EVAL_SUBJECT_H

#include <stdbool.h>

struct err;

/* Tokens of one step. Logits of a large vocabulary are large, so fewer rows of them. */
enum { SUBJECT_CHUNK = 256, SUBJECT_LOGITS = 64 };

struct subject {
    struct gguf *file;
    struct model *model;
    struct tokenizer *tokenizer;
    struct thread_pool *pool;
    struct forward *forward; /* SUBJECT_CHUNK tokens, SUBJECT_LOGITS rows of logits */
};

/* n_threads 0: as many as the machine or container grants. */
bool subject_open(struct subject *subject, const char *path, int n_threads, struct err *err);
/* Accepts one that is half open or zero. */
void subject_close(struct subject *subject);

int subject_n_context(const struct subject *subject);
int subject_n_vocab(const struct subject *subject);

#endif
