/* The second order of quantized weights that products read (core/kernels/stripes.h): all of it in
 * one mapping of huge pages, written by all threads when the model is loaded. */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf.h"
#include "core/kernels/stripes.h"
#include "core/model/binder.h"
#include "core/model/model.h"

static bool is_woven(const struct matrix *w)
{
    return w->data != NULL && matmul_wants_stripes(w->type);
}

/* What a thread reads at once: enough that calls cost nothing, and still in its cache when it is
 * woven. */
enum { READ_BYTES = 128 << 10 };

/* Some stripes of one matrix. */
struct weave_job {
    const struct gguf *file;
    const struct matrix *w;
    void *to;
    char *scratch; /* [n_threads, scratch_bytes] */
    size_t scratch_bytes;
    atomic_bool failed;
};

static size_t rows_bytes(const struct matrix *w, int64_t n_rows)
{
    const struct tensor_format *format = tensor_format(w->type);
    return (size_t)n_rows * ((size_t)w->n_in / format->block_len * format->block_bytes);
}

/* The rows of stripes begin .. end-1. */
static bool read_rows(const struct weave_job *job, int64_t begin, int64_t end, char *out)
{
    const struct matrix *w = job->w;
    int64_t row = begin * STRIPE_ROWS, row_end = end * STRIPE_ROWS;
    row_end = row_end < w->n_out ? row_end : w->n_out;
    return gguf_read(job->file, (const char *)w->data + rows_bytes(w, row),
                     rows_bytes(w, row_end - row), out);
}

static void weave_part(void *arg, int part, int n_parts, int thread)
{
    struct weave_job *job = arg;
    char *rows = job->scratch + job->scratch_bytes * (size_t)thread;
    int n = stripes_count(job->w), end = thread_pool_part_begin(n, part + 1, n_parts);
    size_t bytes = rows_bytes(job->w, STRIPE_ROWS);
    int64_t step = (int64_t)(job->scratch_bytes / bytes);
    for (int64_t i = thread_pool_part_begin(n, part, n_parts); i < end; i += step) {
        int64_t to = i + step < end ? i + step : end;
        if (!read_rows(job, i, to, rows)) {
            atomic_store(&job->failed, true);
            return;
        }
        for (int64_t j = i; j < to; j++)
            stripes_weave(job->w, (int)j, rows + bytes * (size_t)(j - i), job->to);
    }
}

static bool weave_matrix(struct weave_job *job, struct matrix *w, struct thread_pool *pool)
{
    enum { PARTS_PER_THREAD = 4 };
    int n_parts = PARTS_PER_THREAD * thread_pool_size(pool);
    int n_stripes = stripes_count(w);
    job->w = w;
    thread_pool_run(pool, weave_part, job, n_parts < n_stripes ? n_parts : n_stripes);
    w->stripes = job->to;
    return !atomic_load(&job->failed);
}

/* Rows of the embedding are looked up in the file's order. */
static void release_matrix(const struct model *model, const struct matrix *w, struct gguf *file)
{
    if (w->data != model->embedding.data)
        gguf_release(file, w->data, rows_bytes(w, w->n_out));
}

/* Memory for all stripes; none is used before they are written. */
static bool reserve(struct model *model, size_t n_bytes, struct err *err)
{
    void *room = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return err_set(err, ERR_MEMORY, "cannot reserve %zu bytes for the model's weights",
                       n_bytes);
    madvise(room, n_bytes, MADV_HUGEPAGE); /* a wish */
    model->stripes = room;
    model->stripes_bytes = n_bytes;
    return true;
}

static bool weave_all(struct model *model, struct gguf *file, struct thread_pool *pool,
                      struct weave_job *job, struct err *err)
{
    for (int i = 0; i < model_n_matrices(model); i++) {
        struct matrix *w = (struct matrix *)model_matrix(model, i); /* of a model that is ours */
        if (!is_woven(w))
            continue;
        if (!weave_matrix(job, w, pool))
            return err_set(err, ERR_IO,
                           "the model's file could not be read to its end: it changed meanwhile, "
                           "or its disk fails");
        release_matrix(model, w, file);
        job->to = (char *)job->to + stripes_bytes(w);
    }
    return true;
}

static bool weave(struct model *model, struct gguf *file, struct thread_pool *pool, struct err *err)
{
    size_t n_bytes = 0, scratch_bytes = READ_BYTES;
    for (int i = 0; i < model_n_matrices(model); i++) {
        const struct matrix *w = model_matrix(model, i);
        if (!is_woven(w))
            continue;
        n_bytes += stripes_bytes(w);
        if (rows_bytes(w, STRIPE_ROWS) > scratch_bytes)
            scratch_bytes = rows_bytes(w, STRIPE_ROWS);
    }
    if (n_bytes == 0)
        return true;
    char *scratch = malloc(scratch_bytes * (size_t)thread_pool_size(pool));
    if (scratch == NULL)
        return err_no_memory(err, "reading the model");
    bool ok = reserve(model, n_bytes, err);
    if (ok) {
        struct weave_job job = {
            .file = file, .to = model->stripes, .scratch = scratch, .scratch_bytes = scratch_bytes};
        ok = weave_all(model, file, pool, &job, err);
    }
    free(scratch);
    return ok;
}

bool model_weave(struct model *model, struct gguf *file, struct thread_pool *pool, struct err *err)
{
    for (size_t i = 0; i < gguf_n_tensors(file) && model->stripes == NULL; i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        if (binder_is_left_aside(tensor, &model->shape))
            gguf_release(file, tensor->data, tensor->n_bytes);
    }
    return model->stripes != NULL ||
           (weave(model, file, pool, err) && gguf_detach(file, pool, err));
}

void model_unweave(struct model *model)
{
    if (model->stripes != NULL)
        munmap(model->stripes, model->stripes_bytes);
    model->stripes = NULL;
}
