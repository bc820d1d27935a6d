#include "core/engine/snapshot_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/session/session.h"
#include "core/session/snapshot.h"

enum { FILE_NAME_SIZE = 48, FINISH_S = 30 };

struct snapshot_store {
    struct snapshot_store_options options;
    int folder_fd; /* -1: none */

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t filled;
    struct snapshot_job *first, **last; /* to do */
    struct snapshot_job *done, **last_done;
    bool is_finishing;
    atomic_int_fast64_t deadline_ns; /* of saves, once it finishes */
    atomic_uint_fast64_t n_lost;
    atomic_uint_fast64_t n_moves;
    atomic_int n_jobs;
};

/* The argument of write_all and read_all. */
struct open_file {
    struct snapshot_store *store;
    int fd;
};

/* ---- files ---- */

static void name_file(const struct snapshot_store *store, uint64_t name, char *out)
{
    snprintf(out, FILE_NAME_SIZE, "%016" PRIx64 "-%016" PRIx64 ".kv", store->options.fingerprint,
             name);
}

static bool write_all(void *arg, const void *bytes, size_t len, struct err *err)
{
    struct open_file *file = arg;
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = write(file->fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, ERR_IO, "cannot save a conversation: %s", strerror(errno));
        atomic_fetch_add(&file->store->n_moves, 1);
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool read_all(void *arg, void *bytes, size_t len, struct err *err)
{
    struct open_file *file = arg;
    char *at = bytes;
    while (len > 0) {
        ssize_t n = read(file->fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, ERR_IO, "cannot read a saved conversation: %s", strerror(errno));
        if (n == 0)
            return err_set(err, ERR_FORMAT, "a saved conversation is cut short");
        atomic_fetch_add(&file->store->n_moves, 1);
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static struct snapshot_id id_of(const struct snapshot_store *store, uint64_t name)
{
    return (struct snapshot_id){.fingerprint = store->options.fingerprint, .name = name};
}

static int create(const struct snapshot_store *store, const char *file, struct err *err)
{
    int fd =
        openat(store->folder_fd, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        err_set(err, ERR_IO, "cannot save a conversation: %s", strerror(errno));
    return fd;
}

/* The data first, then the name; the folder that holds the names is synced at the end: until then a
 * power cut may take a file, whole. */
static bool commit(const struct snapshot_store *store, int fd, const char *from, const char *to)
{
    return fdatasync(fd) == 0 && renameat(store->folder_fd, from, store->folder_fd, to) == 0;
}

static void give_back(struct snapshot_store *store, struct snapshot_job *job)
{
    pthread_mutex_lock(&store->lock);
    job->next = NULL;
    *store->last_done = job;
    store->last_done = &job->next;
    pthread_mutex_unlock(&store->lock);
    store->options.on_done(store->options.arg);
}

/* The session's memory is free as soon as its bytes are the kernel's, and the job is given back
 * then: those who wait for memory need not wait for the disk. A load of the same session comes
 * later in the queue, so it meets the file in its place. */
static void save(struct snapshot_store *store, struct snapshot_job *job)
{
    char file[FILE_NAME_SIZE], temporary[FILE_NAME_SIZE + 4];
    name_file(store, job->name, file);
    snprintf(temporary, sizeof temporary, "%s.tmp", file);
    struct snapshot_id id = id_of(store, job->name);
    uint64_t n_bytes = snapshot_bytes(job->session);
    int fd = create(store, temporary, &job->err);
    struct open_file file_open = {store, fd};
    bool is_written =
        fd >= 0 && snapshot_write(job->session, &id, write_all, &file_open, &job->err);
    job->n_bytes = is_written ? n_bytes : 0;
    session_close(&job->session);
    give_back(store, job);

    bool is_kept = is_written && commit(store, fd, temporary, file);
    if (is_written && !is_kept)
        atomic_fetch_add(&store->n_lost, 1);
    if (!is_kept)
        unlinkat(store->folder_fd, temporary, 0);
    if (fd >= 0)
        close(fd);
}

static void give_up(struct snapshot_store *store, struct snapshot_job *job)
{
    err_set(&job->err, ERR_STOPPED, "there was no time left to save a conversation");
    session_close(&job->session);
    give_back(store, job);
}

static int open_file(const struct snapshot_store *store, const char *file, uint64_t *out_bytes,
                     struct err *err)
{
    struct stat info;
    int fd = openat(store->folder_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
                "cannot open a saved conversation: %s", strerror(errno));
        return -1;
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        err_set(err, ERR_FORMAT, "a saved conversation is not a file");
        close(fd);
        return -1;
    }
    *out_bytes = (uint64_t)info.st_size;
    return fd;
}

static void load(struct snapshot_store *store, struct snapshot_job *job)
{
    char file[FILE_NAME_SIZE];
    name_file(store, job->name, file);
    struct snapshot_id id = id_of(store, job->name);
    uint64_t n_bytes;
    int fd = open_file(store, file, &n_bytes, &job->err);
    if (fd >= 0) {
        struct open_file file_open = {store, fd};
        snapshot_read(job->session, &id, n_bytes, read_all, &file_open, &job->err);
        close(fd);
    }
    unlinkat(store->folder_fd, file, 0);
    give_back(store, job);
}

/* What was deleted must not come back with the power. */
static void remove_file(struct snapshot_store *store, struct snapshot_job *job)
{
    char file[FILE_NAME_SIZE];
    name_file(store, job->name, file);
    if (unlinkat(store->folder_fd, file, 0) == 0)
        fsync(store->folder_fd);
    give_back(store, job);
}

/* ---- the thread ---- */

static struct snapshot_job *next_job(struct snapshot_store *store)
{
    pthread_mutex_lock(&store->lock);
    while (store->first == NULL && !store->is_finishing)
        pthread_cond_wait(&store->filled, &store->lock);
    struct snapshot_job *job = store->first;
    if (job != NULL) {
        store->first = job->next;
        if (store->first == NULL)
            store->last = &store->first;
    }
    pthread_mutex_unlock(&store->lock);
    return job;
}

static void do_job(struct snapshot_store *store, struct snapshot_job *job)
{
    job->err.code = ERR_NONE;
    if (job->kind == SNAPSHOT_LOAD)
        load(store, job);
    else if (job->kind == SNAPSHOT_REMOVE)
        remove_file(store, job);
    else if (clock_now_ns() < atomic_load(&store->deadline_ns))
        save(store, job);
    else
        give_up(store, job);
}

static void *store_main(void *arg)
{
    struct snapshot_store *store = arg;
    struct snapshot_job *job;
    while ((job = next_job(store)) != NULL) {
        do_job(store, job); /* which is its owner's from now on */
        atomic_fetch_add(&store->n_moves, 1);
        atomic_fetch_sub(&store->n_jobs, 1);
        store->options.on_done(store->options.arg);
    }
    return NULL;
}

void snapshot_store_put(struct snapshot_store *store, struct snapshot_job *job)
{
    if (!store->has_thread) {
        do_job(store, job);
        return;
    }
    job->next = NULL;
    atomic_fetch_add(&store->n_jobs, 1);
    pthread_mutex_lock(&store->lock);
    *store->last = job;
    store->last = &job->next;
    pthread_cond_signal(&store->filled);
    pthread_mutex_unlock(&store->lock);
}

struct snapshot_job *snapshot_store_take(struct snapshot_store *store)
{
    pthread_mutex_lock(&store->lock);
    struct snapshot_job *done = store->done;
    store->done = NULL;
    store->last_done = &store->done;
    pthread_mutex_unlock(&store->lock);
    return done;
}

struct snapshot_progress snapshot_store_progress(const struct snapshot_store *store_const)
{
    struct snapshot_store *store = (struct snapshot_store *)store_const; /* for the atomics only */
    return (struct snapshot_progress){.n_jobs = atomic_load(&store->n_jobs),
                                      .n_moves = atomic_load(&store->n_moves)};
}

uint64_t snapshot_store_n_lost(const struct snapshot_store *store)
{
    return atomic_load(&((struct snapshot_store *)store)->n_lost);
}

/* ---- what is there at the start ---- */

struct found {
    uint64_t name;
    uint64_t n_bytes;
    struct timespec written;
};

static bool parse_name(const struct snapshot_store *store, const char *file, uint64_t *out)
{
    uint64_t fingerprint, name;
    char same[FILE_NAME_SIZE];
    if (sscanf(file, "%16" SCNx64 "-%16" SCNx64, &fingerprint, &name) != 2)
        return false;
    name_file(store, name, same);
    *out = name;
    return strcmp(file, same) == 0; /* and so of our fingerprint */
}

static int compare_age(const void *a, const void *b)
{
    const struct timespec *x = &((const struct found *)a)->written;
    const struct timespec *y = &((const struct found *)b)->written;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static bool add_found(struct found **list, size_t *n, struct found one)
{
    if ((*n & (*n - 1)) == 0) { /* grows at each power of two */
        struct found *larger = reallocarray(*list, *n == 0 ? 1 : *n * 2, sizeof **list);
        if (larger == NULL)
            return false;
        *list = larger;
    }
    (*list)[(*n)++] = one;
    return true;
}

/* Of what is in the folder, keeps what can be ours; half-written files and those of other models
 * are in nobody's way but the disk's. */
static bool look_around(struct snapshot_store *store, DIR *folder, struct found **list, size_t *n)
{
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat info;
        struct found one;
        bool is_ours = parse_name(store, entry->d_name, &one.name) &&
                       fstatat(store->folder_fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                       S_ISREG(info.st_mode);
        if (is_ours) {
            one.n_bytes = (uint64_t)info.st_size;
            one.written = info.st_mtim;
            if (!add_found(list, n, one))
                return false;
        } else if (ends_with(entry->d_name, ".kv") || ends_with(entry->d_name, ".kv.tmp")) {
            unlinkat(store->folder_fd, entry->d_name, 0);
        }
    }
    return true;
}

static void tell(struct snapshot_store *store, const struct found *one, snapshot_found_fn *fn,
                 void *arg)
{
    char file[FILE_NAME_SIZE];
    name_file(store, one->name, file);
    struct snapshot_id id = id_of(store, one->name);
    struct buf note;
    buf_init(&note);
    uint64_t n_bytes;
    struct err err;
    int fd = open_file(store, file, &n_bytes, &err);
    struct open_file file_open = {store, fd};
    bool is_good = fd >= 0 && snapshot_read_note(&id, n_bytes, read_all, &file_open, &note, &err);
    if (fd >= 0)
        close(fd);
    if (is_good)
        fn(arg, one->name, n_bytes, &note);
    else
        unlinkat(store->folder_fd, file, 0);
    buf_done(&note);
}

bool snapshot_store_list(struct snapshot_store *store, snapshot_found_fn *fn, void *arg,
                         struct err *err)
{
    struct found *list = NULL;
    size_t n = 0;
    DIR *folder = opendir(store->options.folder);
    if (folder == NULL)
        return err_set(err, ERR_IO, "cannot read the folder %.150s: %s", store->options.folder,
                       strerror(errno));
    bool is_read =
        look_around(store, folder, &list, &n) || err_no_memory(err, "saved conversations");
    closedir(folder);
    if (is_read && n > 0) {
        qsort(list, n, sizeof *list, compare_age);
        for (size_t i = 0; i < n; i++)
            tell(store, &list[i], fn, arg);
    }
    free(list);
    return is_read;
}

/* ---- opening and closing ---- */

static bool open_folder(struct snapshot_store *store, struct err *err)
{
    const char *folder = store->options.folder;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make the folder %.150s: %s", folder, strerror(errno));
    store->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return store->folder_fd >= 0 ||
           err_set(err, ERR_IO, "cannot use the folder %.150s: %s", folder, strerror(errno));
}

static bool start_thread(struct snapshot_store *store, struct err *err)
{
    /* Signals belong to the loop thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&store->thread, NULL, store_main, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    store->has_thread = error == 0;
    return error == 0 ||
           err_set(err, ERR_IO, "cannot start the thread that saves: %s", strerror(error));
}

bool snapshot_store_open(struct snapshot_store **out, const struct snapshot_store_options *options,
                         struct err *err)
{
    struct snapshot_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return err_no_memory(err, "saved conversations");
    store->options = *options;
    store->last = &store->first;
    store->last_done = &store->done;
    store->folder_fd = -1;
    atomic_store(&store->deadline_ns, INT64_MAX);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->filled, NULL);
    if (!open_folder(store, err) || !start_thread(store, err)) {
        snapshot_store_close(&store);
        return false;
    }
    *out = store;
    return true;
}

void snapshot_store_finish(struct snapshot_store *store)
{
    if (!store->has_thread)
        return;
    atomic_store(&store->deadline_ns, clock_now_ns() + FINISH_S * (int64_t)1000000000);
    pthread_mutex_lock(&store->lock);
    store->is_finishing = true;
    pthread_cond_signal(&store->filled);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    store->has_thread = false;
    fsync(store->folder_fd);
}

void snapshot_store_close(struct snapshot_store **store_ptr)
{
    struct snapshot_store *store = *store_ptr;
    if (store == NULL)
        return;
    snapshot_store_finish(store);
    if (store->folder_fd >= 0)
        close(store->folder_fd);
    pthread_cond_destroy(&store->filled);
    pthread_mutex_destroy(&store->lock);
    free(store);
    *store_ptr = NULL;
}
