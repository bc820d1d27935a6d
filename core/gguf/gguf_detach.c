/* gguf_detach.c - letting go of a model's file: what is still needed of it becomes memory of this
 * process, at the same addresses, so that nobody's pointers change. Afterwards the file may be
 * written over, cut short or deleted, and its disk may fail. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf_parse.h"

enum { CHUNK_BYTES = 16 << 20, HUGE_PAGE_BYTES = 2 << 20 };

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static bool read_at(int fd, size_t offset, size_t n_bytes, void *out)
{
    for (size_t n = 0; n < n_bytes;) {
        ssize_t more = pread(fd, (char *)out + n, n_bytes - n, (off_t)(offset + n));
        if (more <= 0 && !(more < 0 && errno == EINTR))
            return false;
        n += more > 0 ? (size_t)more : 0;
    }
    return true;
}

bool gguf_read(const struct gguf *file, const void *data, size_t n_bytes, void *out)
{
    if (file->is_mapped)
        return read_at(file->fd, (size_t)((const unsigned char *)data - file->bytes), n_bytes, out);
    memcpy(out, data, n_bytes);
    return true;
}

/* Tensors begin and end within pages; a page goes when all that share it are released. */
static bool is_released(const struct gguf *file, size_t page)
{
    return file->released != NULL && file->released[page] == page_bytes();
}

void gguf_release(struct gguf *file, const void *data, size_t n_bytes)
{
    size_t page = page_bytes();
    size_t offset = (size_t)((const unsigned char *)data - file->bytes), end = offset + n_bytes;
    if (!file->is_mapped || n_bytes == 0)
        return;
    if (file->released == NULL)
        file->released = calloc(file->n_bytes / page + 1, sizeof file->released[0]);
    if (file->released == NULL)
        return; /* then they stay */
    for (size_t at = offset, next; at < end; at = next) {
        next = (at / page + 1) * page < end ? (at / page + 1) * page : end;
        file->released[at / page] += (uint32_t)(next - at);
    }
    size_t first = offset / page, past = (end - 1) / page + 1;
    if (!is_released(file, first))
        first++;
    if (past > first && !is_released(file, past - 1))
        past--;
    if (past > first)
        madvise((void *)(file->bytes + first * page), (past - first) * page, MADV_DONTNEED);
}

/* Memory for `n_bytes`, as far from a huge page's beginning as `place` is. NULL on failure. */
static unsigned char *reserve_like(const unsigned char *place, size_t n_bytes)
{
    unsigned char *room = mmap(NULL, n_bytes + HUGE_PAGE_BYTES, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    size_t before = ((uintptr_t)place - (uintptr_t)room) % HUGE_PAGE_BYTES;
    if (before > 0)
        munmap(room, before);
    munmap(room + before + n_bytes, HUGE_PAGE_BYTES - before);
    madvise(room + before, n_bytes, MADV_HUGEPAGE); /* a wish */
    return room + before;
}

/* Whole pages, but for the file's last one. */
static bool own(const struct gguf *file, size_t begin, size_t end)
{
    unsigned char *place = (unsigned char *)file->bytes + begin;
    unsigned char *copy = reserve_like(place, end - begin);
    if (copy == NULL)
        return false;
    size_t n_bytes = (end < file->n_bytes ? end : file->n_bytes) - begin;
    if (read_at(file->fd, begin, n_bytes, copy) && mprotect(copy, end - begin, PROT_READ) == 0 &&
        mremap(copy, end - begin, end - begin, MREMAP_MAYMOVE | MREMAP_FIXED, place) != MAP_FAILED)
        return true;
    munmap(copy, end - begin);
    return false;
}

/* Maps over them what cannot be read: the file is not held, and nobody may read them. */
static bool forget(const struct gguf *file, size_t begin, size_t end)
{
    return mmap((void *)(file->bytes + begin), end - begin, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

struct detach_job {
    const struct gguf *file;
    atomic_bool failed;
};

/* One chunk: its runs of pages that are needed, and of those that are not. */
static void detach_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    (void)thread;
    struct detach_job *job = arg;
    const struct gguf *file = job->file;
    size_t page = page_bytes();
    size_t n_pages = (file->n_bytes + page - 1) / page;
    size_t at = (size_t)part * (CHUNK_BYTES / page);
    size_t end = at + CHUNK_BYTES / page < n_pages ? at + CHUNK_BYTES / page : n_pages;
    while (at < end) {
        size_t begin = at;
        bool released = is_released(file, begin);
        while (at < end && is_released(file, at) == released)
            at++;
        if (!(released ? forget : own)(file, begin * page, at * page))
            atomic_store(&job->failed, true);
    }
}

bool gguf_detach(struct gguf *file, struct thread_pool *pool, struct err *err)
{
    if (!file->is_mapped)
        return true;
    struct detach_job job = {.file = file};
    int n_chunks = (int)((file->n_bytes + CHUNK_BYTES - 1) / CHUNK_BYTES);
    thread_pool_run(pool, detach_part, &job, n_chunks);
    if (atomic_load(&job.failed))
        return err_set(err, ERR_MEMORY,
                       "there is no memory for the model of %zu MiB, or its file changed while it "
                       "was read",
                       file->n_bytes >> 20);
    close(file->fd);
    file->fd = -1;
    return true;
}
