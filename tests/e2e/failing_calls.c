/* failing_calls.c - lets system calls of libuv and libmicrohttpd fail, for test_failing_calls.py.
 *
 * Preloaded into the daemon. The table of what fails lies in a file that the test maps, too, so
 * that faults come and go while the daemon runs, and calls are counted. Only wrappers that these
 * two libraries use are here. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The same order as in the test. Who calls tells whose epoll it is. */
enum call {
    ACCEPT,
    RECV,
    SEND,
    EPOLL_WAIT,
    HTTP_EPOLL_ADD,
    LOOP_EPOLL_ADD,
    EPOLL_CREATE,
    EVENTFD,
    PIPE,
    N_CALLS
};

struct fault {
    _Atomic uint32_t every; /* every n-th call; 0: none */
    _Atomic int32_t error;  /* what errno becomes; 0: epoll_wait has no events */
    _Atomic uint32_t n_calls;
    _Atomic uint32_t n_failed;
};

static struct fault none[N_CALLS];
static struct fault *faults = none;

__attribute__((constructor)) static void map_faults(void)
{
    const char *path = getenv("FAILING_CALLS");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        faults = map;
}

static bool fails(enum call call)
{
    struct fault *fault = &faults[call];
    uint32_t n = atomic_fetch_add(&fault->n_calls, 1) + 1;
    uint32_t every = atomic_load(&fault->every);
    if (every == 0 || n % every != 0)
        return false;
    atomic_fetch_add(&fault->n_failed, 1);
    errno = atomic_load(&fault->error);
    return true;
}

#define NEXT(function) ((__typeof__(&(function)))dlsym(RTLD_NEXT, #function))

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return fails(ACCEPT) ? -1 : NEXT(accept4)(fd, address, len, flags);
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    return fails(RECV) ? -1 : NEXT(recv)(fd, buf, len, flags);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    return fails(SEND) ? -1 : NEXT(send)(fd, buf, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return fails(SEND) ? -1 : NEXT(sendmsg)(fd, message, flags);
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
    if (fails(EPOLL_WAIT))
        return errno == 0 ? 0 : -1;
    return NEXT(epoll_wait)(fd, events, max, timeout_ms);
}

int epoll_pwait(int fd, struct epoll_event *events, int max, int timeout_ms, const sigset_t *mask)
{
    if (fails(EPOLL_WAIT))
        return errno == 0 ? 0 : -1;
    return NEXT(epoll_pwait)(fd, events, max, timeout_ms, mask);
}

static bool is_in(const void *address, const char *library)
{
    Dl_info info;
    return dladdr(address, &info) != 0 && info.dli_fname != NULL &&
           strstr(info.dli_fname, library) != NULL;
}

int epoll_ctl(int fd, int operation, int target, struct epoll_event *event)
{
    bool is_http = is_in(__builtin_return_address(0), "libmicrohttpd");
    if (operation == EPOLL_CTL_ADD && fails(is_http ? HTTP_EPOLL_ADD : LOOP_EPOLL_ADD))
        return -1;
    return NEXT(epoll_ctl)(fd, operation, target, event);
}

int epoll_create1(int flags)
{
    return fails(EPOLL_CREATE) ? -1 : NEXT(epoll_create1)(flags);
}

int eventfd(unsigned count, int flags)
{
    return fails(EVENTFD) ? -1 : NEXT(eventfd)(count, flags);
}

int pipe2(int fds[2], int flags)
{
    return fails(PIPE) ? -1 : NEXT(pipe2)(fds, flags);
}
