/* The second order of quantized weights that products read (core/kernels/stripes.h): all of it in
 * one mapping of huge pages, written by all threads when the model is loaded. */
#include <stdatomic.h>
#include <sys/mman.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf.h"
#include "core/kernels/stripes.h"
#include "core/model/model.h"

enum { MATRICES_IN_LAYER = 7 };

static int matrix_count(const struct model *model)
{
    return model->shape.n_layers * MATRICES_IN_LAYER + 1;
}

static struct matrix *matrix_at(struct model *model, int i)
{
    if (i == matrix_count(model) - 1)
        return &model->output;
    struct layer *layer = &model->layers[i / MATRICES_IN_LAYER];
    struct matrix *const all[MATRICES_IN_LAYER] = {
        &layer->q, &layer->k, &layer->v, &layer->out, &layer->gate, &layer->up, &layer->down};
    return all[i % MATRICES_IN_LAYER];
}

static bool is_woven(const struct matrix *w)
{
    return w->data != NULL && matmul_wants_stripes(w->type);
}

/* Some stripes of one matrix. */
struct weave_job {
    const struct matrix *w;
    void *to;
};

static void weave_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct weave_job *job = arg;
    int64_t n = stripes_count(job->w);
    for (int64_t i = n * part / n_parts; i < n * (part + 1) / n_parts; i++)
        stripes_weave(job->w, (int)i, job->to);
}

static void weave_matrix(struct matrix *w, struct thread_pool *pool, void *to)
{
    enum { PARTS_PER_THREAD = 4 };
    struct weave_job job = {w, to};
    int n_parts = PARTS_PER_THREAD * thread_pool_size(pool);
    int n_stripes = stripes_count(w);
    thread_pool_run(pool, weave_part, &job, n_parts < n_stripes ? n_parts : n_stripes);
    w->stripes = to;
}

/* A matrix's pages of the file are given back at once: never are both orders of a whole model in
 * memory. Rows of the embedding are looked up in the first one. */
static void release_matrix(const struct model *model, const struct matrix *w, struct gguf *file)
{
    const struct tensor_format *format = tensor_format(w->type);
    if (w->data != model->embedding.data)
        gguf_release(file, w->data,
                     (size_t)w->n_out *
                         ((size_t)w->n_in / format->block_len * format->block_bytes));
}

static bool weave(struct model *model, struct gguf *file, struct thread_pool *pool, struct err *err)
{
    size_t n_bytes = 0;
    for (int i = 0; i < matrix_count(model); i++)
        if (is_woven(matrix_at(model, i)))
            n_bytes += stripes_bytes(matrix_at(model, i));
    if (n_bytes == 0)
        return true;

    char *to = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (to == MAP_FAILED)
        return err_set(err, ERR_MEMORY, "cannot reserve %zu bytes for the model's weights",
                       n_bytes);
    model->stripes = to;
    model->stripes_bytes = n_bytes;
    madvise(to, model->stripes_bytes, MADV_HUGEPAGE); /* a wish */
    for (int i = 0; i < matrix_count(model); i++) {
        struct matrix *w = matrix_at(model, i);
        if (!is_woven(w))
            continue;
        weave_matrix(w, pool, to);
        release_matrix(model, w, file);
        to += stripes_bytes(w);
    }
    return true;
}

bool model_weave(struct model *model, struct gguf *file, struct thread_pool *pool, struct err *err)
{
    return model->stripes != NULL ||
           (weave(model, file, pool, err) && gguf_detach(file, pool, err));
}

void model_unweave(struct model *model)
{
    if (model->stripes != NULL)
        munmap(model->stripes, model->stripes_bytes);
    model->stripes = NULL;
}
