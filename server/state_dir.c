#include "server/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/err.h"

/* A daemon that was killed holds its lock until the kernel has taken its memory back. */
enum { LOCK_WAIT_MS = 3000, LOCK_POLL_MS = 50 };

struct state_dir {
    char *path;
    int lock_fd; /* -1: none */
};

static bool lock(struct state_dir *dir, struct err *err)
{
    char path[4096];
    if (!state_dir_file(dir, "lock", path, sizeof path, err))
        return false;
    dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock_fd < 0)
        return err_set(err, ERR_IO, "cannot write in the state folder %.150s: %s", dir->path,
                       strerror(errno));
    for (int waited_ms = 0; flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0;
         waited_ms += LOCK_POLL_MS) {
        if (waited_ms >= LOCK_WAIT_MS)
            return err_set(err, ERR_IO, "another sinkd uses the state folder %.200s", dir->path);
        nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
    }
    return true;
}

bool state_dir_open(struct state_dir **out, const char *path, struct err *err)
{
    struct state_dir *dir = calloc(1, sizeof *dir);
    if (dir == NULL)
        return err_no_memory(err, "the state folder");
    dir->lock_fd = -1;
    dir->path = strdup(path);
    bool is_made = dir->path != NULL && (mkdir(path, 0700) == 0 || errno == EEXIST);
    if (dir->path == NULL)
        err_no_memory(err, "the state folder");
    else if (!is_made)
        err_set(err, ERR_IO, "cannot make the state folder %.150s: %s", path, strerror(errno));
    if (!is_made || !lock(dir, err)) {
        state_dir_close(&dir);
        return false;
    }
    *out = dir;
    return true;
}

void state_dir_close(struct state_dir **dir)
{
    if (*dir != NULL) {
        if ((*dir)->lock_fd >= 0)
            close((*dir)->lock_fd);
        free((*dir)->path);
        free(*dir);
    }
    *dir = NULL;
}

bool state_dir_file(const struct state_dir *dir, const char *name, char *out, int max,
                    struct err *err)
{
    int len = snprintf(out, (size_t)max, "%s/%s", dir->path, name);
    return len < max || err_set(err, ERR_INVALID, "the path of the state folder is too long");
}
