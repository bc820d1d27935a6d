#include "core/engine/snapshot_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/session/session.h"
#include "core/session/snapshot.h"

enum { FILE_NAME_SIZE = 48, TEMPORARY_NAME_SIZE = FILE_NAME_SIZE + 4 };

struct snapshot_folder {
    const char *path;
    uint64_t fingerprint;
    int fd; /* -1: none */
    atomic_uint_fast64_t n_moves;
};

/* The argument of write_all and read_all. */
struct open_file {
    struct snapshot_folder *folder;
    int fd;
};

/* ---- names ---- */

static void name_file(const struct snapshot_folder *folder, uint64_t name, char *out)
{
    snprintf(out, FILE_NAME_SIZE, "%016" PRIx64 "-%016" PRIx64 ".kv", folder->fingerprint, name);
}

static void name_temporary(const struct snapshot_folder *folder, uint64_t name, char *out)
{
    char file[FILE_NAME_SIZE];
    name_file(folder, name, file);
    snprintf(out, TEMPORARY_NAME_SIZE, "%s.tmp", file);
}

static struct snapshot_id id_of(const struct snapshot_folder *folder, uint64_t name)
{
    return (struct snapshot_id){.fingerprint = folder->fingerprint, .name = name};
}

/* ---- bytes ---- */

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
        atomic_fetch_add(&file->folder->n_moves, 1);
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
        atomic_fetch_add(&file->folder->n_moves, 1);
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* ---- files ---- */

static int create(const struct snapshot_folder *folder, const char *file, struct err *err)
{
    int fd = openat(folder->fd, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        err_set(err, ERR_IO, "cannot save a conversation: %s", strerror(errno));
    return fd;
}

bool snapshot_folder_write(struct snapshot_folder *folder, uint64_t name, struct session *session,
                           int *out_file, struct err *err)
{
    char temporary[TEMPORARY_NAME_SIZE];
    name_temporary(folder, name, temporary);
    struct snapshot_id id = id_of(folder, name);
    int fd = create(folder, temporary, err);
    struct open_file file = {folder, fd};
    if (fd < 0)
        return false;
    if (!snapshot_write(session, &id, write_all, &file, err)) {
        unlinkat(folder->fd, temporary, 0);
        close(fd);
        return false;
    }
    *out_file = fd;
    return true;
}

/* The data first, then the name. */
bool snapshot_folder_keep(struct snapshot_folder *folder, uint64_t name, int file)
{
    char place[FILE_NAME_SIZE], temporary[TEMPORARY_NAME_SIZE];
    name_file(folder, name, place);
    name_temporary(folder, name, temporary);
    bool is_kept = fdatasync(file) == 0 && renameat(folder->fd, temporary, folder->fd, place) == 0;
    if (!is_kept)
        unlinkat(folder->fd, temporary, 0);
    close(file);
    return is_kept;
}

static int open_file(const struct snapshot_folder *folder, const char *file, uint64_t *out_bytes,
                     struct err *err)
{
    struct stat info;
    int fd = openat(folder->fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
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

bool snapshot_folder_read(struct snapshot_folder *folder, uint64_t name, struct session *session,
                          struct err *err)
{
    char file[FILE_NAME_SIZE];
    name_file(folder, name, file);
    struct snapshot_id id = id_of(folder, name);
    uint64_t n_bytes;
    int fd = open_file(folder, file, &n_bytes, err);
    struct open_file file_open = {folder, fd};
    bool is_read = fd >= 0 && snapshot_read(session, &id, n_bytes, read_all, &file_open, err);
    if (fd >= 0)
        close(fd);
    unlinkat(folder->fd, file, 0);
    return is_read;
}

void snapshot_folder_remove(struct snapshot_folder *folder, uint64_t name)
{
    char file[FILE_NAME_SIZE];
    name_file(folder, name, file);
    if (unlinkat(folder->fd, file, 0) == 0)
        fsync(folder->fd);
}

void snapshot_folder_sync(struct snapshot_folder *folder)
{
    fsync(folder->fd);
}

/* ---- which there are ---- */

struct found {
    uint64_t name;
    uint64_t n_bytes;
    struct timespec written;
};

static bool parse_name(const struct snapshot_folder *folder, const char *file, uint64_t *out)
{
    uint64_t fingerprint, name;
    char same[FILE_NAME_SIZE];
    if (sscanf(file, "%16" SCNx64 "-%16" SCNx64, &fingerprint, &name) != 2)
        return false;
    name_file(folder, name, same);
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
static bool look_around(struct snapshot_folder *folder, DIR *dir, struct found **list, size_t *n)
{
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat info;
        struct found one;
        bool is_ours = parse_name(folder, entry->d_name, &one.name) &&
                       fstatat(folder->fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                       S_ISREG(info.st_mode);
        if (is_ours) {
            one.n_bytes = (uint64_t)info.st_size;
            one.written = info.st_mtim;
            if (!add_found(list, n, one))
                return false;
        } else if (ends_with(entry->d_name, ".kv") || ends_with(entry->d_name, ".kv.tmp")) {
            unlinkat(folder->fd, entry->d_name, 0);
        }
    }
    return true;
}

static void tell(struct snapshot_folder *folder, const struct found *one, snapshot_found_fn *fn,
                 void *arg)
{
    char file[FILE_NAME_SIZE];
    name_file(folder, one->name, file);
    struct snapshot_id id = id_of(folder, one->name);
    struct buf note;
    buf_init(&note);
    uint64_t n_bytes;
    struct err err;
    int fd = open_file(folder, file, &n_bytes, &err);
    struct open_file file_open = {folder, fd};
    bool is_good = fd >= 0 && snapshot_read_note(&id, n_bytes, read_all, &file_open, &note, &err);
    if (fd >= 0)
        close(fd);
    if (is_good)
        fn(arg, one->name, n_bytes, &note);
    else
        unlinkat(folder->fd, file, 0);
    buf_done(&note);
}

bool snapshot_folder_list(struct snapshot_folder *folder, snapshot_found_fn *fn, void *arg,
                          struct err *err)
{
    struct found *list = NULL;
    size_t n = 0;
    DIR *dir = opendir(folder->path);
    if (dir == NULL)
        return err_set(err, ERR_IO, "cannot read the folder %.150s: %s", folder->path,
                       strerror(errno));
    bool is_read = look_around(folder, dir, &list, &n) || err_no_memory(err, "saved conversations");
    closedir(dir);
    if (is_read && n > 0) {
        qsort(list, n, sizeof *list, compare_age);
        for (size_t i = 0; i < n; i++)
            tell(folder, &list[i], fn, arg);
    }
    free(list);
    return is_read;
}

/* ---- opening and closing ---- */

static bool open_folder(struct snapshot_folder *folder, struct err *err)
{
    if (mkdir(folder->path, 0700) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make the folder %.150s: %s", folder->path,
                       strerror(errno));
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder->fd >= 0 ||
           err_set(err, ERR_IO, "cannot use the folder %.150s: %s", folder->path, strerror(errno));
}

bool snapshot_folder_open(struct snapshot_folder **out, const char *path, uint64_t fingerprint,
                          struct err *err)
{
    struct snapshot_folder *folder = calloc(1, sizeof *folder);
    if (folder == NULL)
        return err_no_memory(err, "saved conversations");
    folder->path = path;
    folder->fingerprint = fingerprint;
    folder->fd = -1;
    if (!open_folder(folder, err)) {
        snapshot_folder_close(&folder);
        return false;
    }
    *out = folder;
    return true;
}

void snapshot_folder_close(struct snapshot_folder **folder_ptr)
{
    struct snapshot_folder *folder = *folder_ptr;
    if (folder == NULL)
        return;
    if (folder->fd >= 0)
        close(folder->fd);
    free(folder);
    *folder_ptr = NULL;
}

uint64_t snapshot_folder_n_moves(const struct snapshot_folder *folder)
{
    return atomic_load(&((struct snapshot_folder *)folder)->n_moves);
}
