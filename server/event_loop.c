#include "server/event_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "core/base/err.h"

enum {
    /* The HTTP daemon gets a turn at least this often. It does not re-arm a listening socket that
     * ran out of descriptors, and may overlook a ready connection, until something else happens. */
    HTTP_SAFETY_TICK_MS = 250,
    /* Turns in a row while handlers keep resuming connections; after that the loop's other events
     * come first. */
    MAX_HTTP_TURNS = 8,
    MAX_SIGNALS = 4,
    N_TRIED_PIPES = 3,
};

struct signal_hook {
    uv_signal_t handle;
    event_fn *fn;
    void *arg;
};

struct event_loop {
    uv_loop_t uv;
    struct MHD_Daemon *daemon; /* NULL while no HTTP daemon is attached */
    event_fn *before_run;
    void *before_run_arg;
    uv_poll_t http_poll;       /* the daemon's epoll descriptor */
    uv_timer_t http_timer;     /* the daemon's own deadlines, and the safety tick */
    uv_prepare_t http_prepare; /* runs a kicked daemon before the loop sleeps */
    bool is_kicked;
    struct signal_hook signals[MAX_SIGNALS];
    int n_signals;
    int n_works; /* under way on other threads */
    int64_t cause_ns;
};

struct event_timer {
    uv_timer_t handle;
    event_fn *fn;
    void *arg;
};

struct event_watch {
    uv_poll_t handle;
    event_fn *fn;
    void *arg;
};

struct event_wake {
    uv_poll_t handle;
    int fd; /* an eventfd */
    event_fn *fn;
    void *arg;
};

struct work {
    uv_work_t request;
    struct event_loop *loop;
    event_fn *work;
    event_fn *done;
    void *arg;
};

static bool fail(struct err *err, const char *what, int status)
{
    return err_set(err, status == UV_ENOMEM ? ERR_MEMORY : ERR_IO, "cannot %s: %s", what,
                   uv_strerror(status));
}

static void on_nothing(uv_work_t *request)
{
    (void)request;
}

/* libuv starts its workers with the first piece of work and aborts when it cannot: better now than
 * when a request brings it, and memory has run out. */
static bool start_workers(struct event_loop *loop, struct err *err)
{
    uv_work_t nothing;
    int status = uv_queue_work(&loop->uv, &nothing, on_nothing, NULL);
    if (status != 0)
        return fail(err, "start the workers", status);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    return true;
}

/* libuv aborts when it cannot make the pipe that its first loop brings along. Before that pipe it
 * takes an epoll and, from 1.45 on, up to two rings. No other thread is there yet to take what is
 * tried and given back. */
static bool has_room_for_pipes(struct err *err)
{
    int fds[N_TRIED_PIPES][2];
    int n = 0;
    while (n < N_TRIED_PIPES && pipe2(fds[n], O_CLOEXEC) == 0)
        n++;
    int status = n < N_TRIED_PIPES ? uv_translate_sys_error(errno) : 0;
    while (n-- > 0) {
        close(fds[n][0]);
        close(fds[n][1]);
    }
    return status == 0 || fail(err, "start the event loop", status);
}

bool event_loop_open(struct event_loop **out, struct err *err)
{
    if (!has_room_for_pipes(err))
        return false;
    struct event_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return err_no_memory(err, "the event loop");
    int status = uv_loop_init(&loop->uv);
    if (status != 0) {
        free(loop);
        return fail(err, "start the event loop", status);
    }
    if (!start_workers(loop, err)) {
        event_loop_close(&loop);
        return false;
    }
    *out = loop;
    return true;
}

void event_loop_close(struct event_loop **loop_ptr)
{
    struct event_loop *loop = *loop_ptr;
    if (loop == NULL)
        return;
    event_loop_detach_http(loop);
    for (int i = 0; i < loop->n_signals; i++)
        uv_close((uv_handle_t *)&loop->signals[i].handle, NULL);
    /* Memory of a handle is free only after its close callback: the loop must turn for that. */
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    free(loop);
    *loop_ptr = NULL;
}

void event_loop_run(struct event_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void event_loop_stop(struct event_loop *loop)
{
    uv_stop(&loop->uv);
}

void event_loop_set_cause(struct event_loop *loop, int64_t cause_ns)
{
    loop->cause_ns = cause_ns;
}

int64_t event_loop_cause_ns(const struct event_loop *loop)
{
    return loop->cause_ns;
}

static void on_http_timer(uv_timer_t *timer);

static void run_http(struct event_loop *loop)
{
    if (loop->daemon == NULL)
        return;
    int n_turns = 0;
    do {
        loop->is_kicked = false;
        loop->before_run(loop->before_run_arg);
        MHD_run(loop->daemon);
    } while (loop->is_kicked && ++n_turns < MAX_HTTP_TURNS);

    MHD_UNSIGNED_LONG_LONG timeout_ms = HTTP_SAFETY_TICK_MS;
    if (loop->is_kicked)
        timeout_ms = 0;
    else if (MHD_get_timeout(loop->daemon, &timeout_ms) != MHD_YES ||
             timeout_ms > HTTP_SAFETY_TICK_MS)
        timeout_ms = HTTP_SAFETY_TICK_MS;
    uv_timer_start(&loop->http_timer, on_http_timer, timeout_ms, 0);
}

static void on_http_timer(uv_timer_t *timer)
{
    run_http(timer->data);
}

static void on_http_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run_http(poll->data);
}

static void on_http_prepare(uv_prepare_t *prepare)
{
    struct event_loop *loop = prepare->data;
    if (loop->is_kicked)
        run_http(loop);
}

bool event_loop_attach_http(struct event_loop *loop, struct MHD_Daemon *daemon,
                            event_fn *before_run, void *arg, struct err *err)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL || info->epoll_fd < 0)
        return err_set(err, ERR_INTERNAL, "libmicrohttpd gives no epoll descriptor");
    int status = uv_poll_init(&loop->uv, &loop->http_poll, info->epoll_fd);
    if (status != 0)
        return fail(err, "watch the HTTP sockets", status);

    uv_timer_init(&loop->uv, &loop->http_timer);
    uv_prepare_init(&loop->uv, &loop->http_prepare);
    loop->http_poll.data = loop;
    loop->http_timer.data = loop;
    loop->http_prepare.data = loop;
    loop->daemon = daemon;
    loop->before_run = before_run;
    loop->before_run_arg = arg;

    uv_poll_start(&loop->http_poll, UV_READABLE, on_http_ready);
    uv_timer_start(&loop->http_timer, on_http_timer, 0, 0);
    uv_prepare_start(&loop->http_prepare, on_http_prepare);
    return true;
}

void event_loop_detach_http(struct event_loop *loop)
{
    if (loop->daemon == NULL)
        return;
    loop->daemon = NULL;
    uv_close((uv_handle_t *)&loop->http_poll, NULL);
    uv_close((uv_handle_t *)&loop->http_timer, NULL);
    uv_close((uv_handle_t *)&loop->http_prepare, NULL);
}

void event_loop_kick(struct event_loop *loop)
{
    loop->is_kicked = true;
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
    (void)signal_number;
    struct signal_hook *hook = handle->data;
    hook->fn(hook->arg);
}

bool event_loop_on_signal(struct event_loop *loop, int signal_number, event_fn *fn, void *arg,
                          struct err *err)
{
    if (loop->n_signals == MAX_SIGNALS)
        return err_set(err, ERR_INTERNAL, "more than %d signals are watched", (int)MAX_SIGNALS);
    struct signal_hook *hook = &loop->signals[loop->n_signals];
    int status = uv_signal_init(&loop->uv, &hook->handle);
    if (status != 0)
        return fail(err, "watch signals", status);
    loop->n_signals++;
    hook->handle.data = hook;
    hook->fn = fn;
    hook->arg = arg;
    status = uv_signal_start(&hook->handle, on_signal, signal_number);
    return status == 0 || fail(err, "watch signals", status);
}

static void on_work(uv_work_t *request)
{
    struct work *work = request->data;
    work->work(work->arg);
}

static void on_work_done(uv_work_t *request, int status)
{
    (void)status; /* never cancelled */
    struct work *work = request->data;
    work->loop->n_works--;
    work->done(work->arg);
    free(work);
}

bool event_loop_work(struct event_loop *loop, event_fn *fn, event_fn *done, void *arg,
                     struct err *err)
{
    struct work *work = calloc(1, sizeof *work);
    if (work == NULL)
        return err_no_memory(err, "a piece of work");
    *work = (struct work){.loop = loop, .work = fn, .done = done, .arg = arg};
    work->request.data = work;
    int status = uv_queue_work(&loop->uv, &work->request, on_work, on_work_done);
    if (status != 0) {
        free(work);
        return fail(err, "start a piece of work", status);
    }
    loop->n_works++;
    return true;
}

void event_loop_finish_work(struct event_loop *loop)
{
    while (loop->n_works > 0)
        uv_run(&loop->uv, UV_RUN_ONCE);
}

/* In each of the structs below the handle comes first, so the handle's memory is the object's. */
static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_timer(uv_timer_t *handle)
{
    struct event_timer *timer = handle->data;
    timer->fn(timer->arg);
}

bool event_timer_open(struct event_timer **out, struct event_loop *loop, event_fn *fn, void *arg,
                      struct err *err)
{
    struct event_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return err_no_memory(err, "a timer");
    uv_timer_init(&loop->uv, &timer->handle);
    timer->handle.data = timer;
    timer->fn = fn;
    timer->arg = arg;
    *out = timer;
    return true;
}

void event_timer_close(struct event_timer **timer)
{
    if (*timer != NULL)
        uv_close((uv_handle_t *)&(*timer)->handle, on_closed);
    *timer = NULL;
}

void event_timer_start(struct event_timer *timer, int delay_ms, int repeat_ms)
{
    /* The loop's idea of now is as old as its last sleep. */
    uv_update_time(timer->handle.loop);
    uv_timer_start(&timer->handle, on_timer, (uint64_t)delay_ms, (uint64_t)repeat_ms);
}

static void on_disconnect(uv_poll_t *handle, int status, int events)
{
    (void)status; /* an error on the socket is a departure too */
    (void)events;
    struct event_watch *watch = handle->data;
    uv_poll_stop(handle);
    watch->fn(watch->arg);
}

bool event_watch_open(struct event_watch **out, struct event_loop *loop, int fd, event_fn *fn,
                      void *arg, struct err *err)
{
    struct event_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return err_no_memory(err, "a connection watch");
    int status = uv_poll_init(&loop->uv, &watch->handle, fd);
    if (status != 0) {
        free(watch);
        return fail(err, "watch a connection", status);
    }
    watch->handle.data = watch;
    watch->fn = fn;
    watch->arg = arg;
    status = uv_poll_start(&watch->handle, UV_DISCONNECT, on_disconnect);
    if (status != 0) {
        event_watch_close(&watch);
        return fail(err, "watch a connection", status);
    }
    *out = watch;
    return true;
}

void event_watch_close(struct event_watch **watch)
{
    if (*watch != NULL) {
        uv_poll_stop(&(*watch)->handle);
        uv_close((uv_handle_t *)&(*watch)->handle, on_closed);
    }
    *watch = NULL;
}

static void on_wake(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    struct event_wake *wake = handle->data;
    eventfd_t n;
    if (eventfd_read(wake->fd, &n) == 0)
        wake->fn(wake->arg);
}

/* Not uv_async_t: its loop spins until the sender is back from its write. The loop's thread is let
 * go first (thread_priority.h), often on the sender's CPU, and so the sender would be what it keeps
 * from coming back. */
bool event_wake_open(struct event_wake **out, struct event_loop *loop, event_fn *fn, void *arg,
                     struct err *err)
{
    struct event_wake *wake = calloc(1, sizeof *wake);
    if (wake == NULL)
        return err_no_memory(err, "a wake-up");
    *wake = (struct event_wake){.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .fn = fn, .arg = arg};
    int status = wake->fd < 0 ? uv_translate_sys_error(errno)
                              : uv_poll_init(&loop->uv, &wake->handle, wake->fd);
    if (status != 0) {
        if (wake->fd >= 0)
            close(wake->fd);
        free(wake);
        return fail(err, "make a wake-up", status);
    }
    wake->handle.data = wake;
    uv_poll_start(&wake->handle, UV_READABLE, on_wake);
    *out = wake;
    return true;
}

void event_wake_close(struct event_wake **wake)
{
    if (*wake != NULL) {
        uv_close((uv_handle_t *)&(*wake)->handle, on_closed);
        close((*wake)->fd);
    }
    *wake = NULL;
}

void event_wake_send(struct event_wake *wake)
{
    eventfd_write(wake->fd, 1); /* fails only where a wake-up is due already */
}
