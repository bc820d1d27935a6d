#include "eval/subject.h"

#include "core/base/cpu_quota.h"
#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/base/thread_priority.h"
#include "core/gguf/gguf.h"
#include "core/kernels/kernels.h"
#include "core/model/forward.h"
#include "core/model/model.h"
#include "core/text/tokenizer.h"

bool subject_open(struct subject *subject, const char *path, int n_threads, struct err *err)
{
    *subject = (struct subject){0};
    if (path[0] == '\0')
        return err_set(err, ERR_INVALID, "--model FILE is needed: a model in GGUF");
    if (n_threads == 0)
        n_threads = cpu_quota_threads();
    thread_priority_compute();
    bool is_open = kernels_select(NULL, err) && gguf_open(&subject->file, path, err) &&
                   model_open(&subject->model, subject->file, err) &&
                   tokenizer_open(&subject->tokenizer, subject->file, err) &&
                   thread_pool_open(&subject->pool, n_threads, err) &&
                   model_weave(subject->model, subject->file, subject->pool, err) &&
                   forward_open(&subject->forward, subject->model, subject->pool, SUBJECT_CHUNK,
                                SUBJECT_LOGITS, err);
    if (!is_open)
        subject_close(subject);
    return is_open;
}

void subject_close(struct subject *subject)
{
    forward_close(&subject->forward);
    thread_pool_close(&subject->pool);
    tokenizer_close(&subject->tokenizer);
    model_close(&subject->model);
    gguf_close(&subject->file);
}

int subject_n_context(const struct subject *subject)
{
    return subject->model->shape.n_context;
}

int subject_n_vocab(const struct subject *subject)
{
    return subject->model->shape.n_vocab;
}
