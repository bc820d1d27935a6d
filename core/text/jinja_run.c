#include "core/text/jinja_run.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/err.h"

enum { STEPS_BETWEEN_LOOKS = 4096, BYTES_PER_STEP = 64 };

void jinja_run_init(struct jinja_run *run, const struct jinja_limits *limits, int64_t now,
                    struct err *err)
{
    *run = (struct jinja_run){
        .n_steps_left = limits->n_steps,
        .n_steps_to_look = STEPS_BETWEEN_LOOKS,
        .deadline_ns = clock_thread_ns() + limits->time_ns,
        .n_output_bytes = limits->n_output_bytes,
        .err = err,
        .now = now,
    };
    arena_init(&run->arena, limits->n_memory_bytes);
}

void jinja_run_done(struct jinja_run *run)
{
    arena_done(&run->arena);
}

static bool look_at_clock(struct jinja_run *run)
{
    run->n_steps_to_look = STEPS_BETWEEN_LOOKS;
    return clock_thread_ns() <= run->deadline_ns ||
           err_set(run->err, ERR_LIMIT, "the chat template takes too long");
}

bool jinja_spend(struct jinja_run *run, size_t n)
{
    if (n > (size_t)run->n_steps_left)
        return err_set(run->err, ERR_LIMIT, "the chat template makes too many steps");
    run->n_steps_left -= (int64_t)n;
    run->n_steps_to_look -= (int64_t)n;
    return run->n_steps_to_look > 0 || look_at_clock(run);
}

bool jinja_spend_bytes(struct jinja_run *run, size_t n)
{
    return jinja_spend(run, n / BYTES_PER_STEP + 1);
}

bool jinja_enter(struct jinja_run *run)
{
    if (run->depth == JINJA_MAX_DEPTH)
        return err_set(run->err, ERR_LIMIT, "the chat template nests too deeply");
    run->depth++;
    return jinja_spend(run, 1) || (run->depth--, false);
}

void jinja_leave(struct jinja_run *run)
{
    run->depth--;
}

static void *check_memory(struct jinja_run *run, void *bytes)
{
    if (bytes == NULL)
        err_set(run->err, ERR_LIMIT, "the chat template needs too much memory");
    return bytes;
}

void *jinja_alloc(struct jinja_run *run, size_t size)
{
    return check_memory(run, arena_alloc(&run->arena, size));
}

void *jinja_alloc_array(struct jinja_run *run, size_t n, size_t size)
{
    return check_memory(run, arena_alloc_array(&run->arena, n, size));
}

char *jinja_alloc_text(struct jinja_run *run, size_t size)
{
    return check_memory(run, arena_alloc_text(&run->arena, size));
}

bool jinja_fail(struct jinja_run *run, const char *format, ...)
{
    char text[240];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(run->err, ERR_INVALID, "the chat template: %s", text);
}
