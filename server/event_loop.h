/* event_loop.h - waits for everything at once: sockets, timers, signals, other threads.
 *
 * A libuv loop with libmicrohttpd nested in it through its epoll descriptor; event_loop.c is the
 * only file that knows both. Owner: the daemon. Thread: the loop thread, but for event_wake_send.
 * Not here: what HTTP says (http_server). */
#ifndef SERVER_EVENT_LOOP_H
#define SERVER_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct MHD_Daemon;
struct event_loop;
struct event_timer;
struct event_watch;
struct event_wake;

typedef void event_fn(void *arg);

bool event_loop_open(struct event_loop **out, struct err *err);
/* All timers, watches and wakes must be closed before. */
void event_loop_close(struct event_loop **loop);

/* Runs until event_loop_stop. */
void event_loop_run(struct event_loop *loop);
void event_loop_stop(struct event_loop *loop);

/* From now on `daemon` gets its turn whenever it has something to do; `before_run` is called just
 * before each turn, the place to resume connections in one batch. */
bool event_loop_attach_http(struct event_loop *loop, struct MHD_Daemon *daemon,
                            event_fn *before_run, void *arg, struct err *err);
void event_loop_detach_http(struct event_loop *loop);
/* Gives the HTTP daemon a turn before the loop sleeps again. Must follow every resume, because in
 * external polling mode nothing else wakes it. */
void event_loop_kick(struct event_loop *loop);

/* When that came about which is being handled now, in clock_now_ns(); 0: not known. Whoever hands
 * on an event of another thread says so, before and (with 0) after. */
void event_loop_set_cause(struct event_loop *loop, int64_t cause_ns);
int64_t event_loop_cause_ns(const struct event_loop *loop);

/* Calls fn once for each delivery of `signal_number`. Lives as long as the loop. */
bool event_loop_on_signal(struct event_loop *loop, int signal_number, event_fn *fn, void *arg,
                          struct err *err);

/* Runs `work` on another thread, then `done` on the loop thread; both exactly once. */
bool event_loop_work(struct event_loop *loop, event_fn *work, event_fn *done, void *arg,
                     struct err *err);

/* Returns when all such work is done; the loop runs meanwhile. */
void event_loop_finish_work(struct event_loop *loop);

bool event_timer_open(struct event_timer **out, struct event_loop *loop, event_fn *fn, void *arg,
                      struct err *err);
void event_timer_close(struct event_timer **timer);
/* First after delay_ms, then every repeat_ms (0: once). */
void event_timer_start(struct event_timer *timer, int delay_ms, int repeat_ms);

/* Calls fn once when the peer of the connected socket `fd` closes its side or is gone. */
bool event_watch_open(struct event_watch **out, struct event_loop *loop, int fd, event_fn *fn,
                      void *arg, struct err *err);
/* Must come before `fd` is closed. */
void event_watch_close(struct event_watch **watch);

bool event_wake_open(struct event_wake **out, struct event_loop *loop, event_fn *fn, void *arg,
                     struct err *err);
void event_wake_close(struct event_wake **wake);
/* Any thread: fn is called soon on the loop thread. Several sends may give one call. */
void event_wake_send(struct event_wake *wake);

#endif
