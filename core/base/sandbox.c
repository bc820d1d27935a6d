#include "core/base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/err.h"

/* What the child says, in one write. */
struct verdict {
    uint32_t is_good; /* numbers: whatever is in them has a meaning */
    uint32_t is_confined;
    uint32_t code;
    char text[sizeof(struct err)];
};

/* ---- the child ---- */

#if defined __x86_64__
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define THIS_ARCH AUDIT_ARCH_AARCH64
#else
#define THIS_ARCH 0 /* no filter */
#endif

/* Memory, locks within the process, the time, the answer, the end. */
static const int allowed[] = {
    SYS_brk,         SYS_mmap,         SYS_munmap,      SYS_mremap,         SYS_mprotect,
    SYS_madvise,     SYS_futex,        SYS_sched_yield, SYS_clock_gettime,  SYS_clock_nanosleep,
    SYS_getrandom,   SYS_getpid,       SYS_gettid,      SYS_rt_sigprocmask, SYS_rt_sigreturn,
    SYS_sigaltstack, SYS_rt_sigaction, SYS_write,       SYS_sysinfo,        SYS_close,
    SYS_exit,        SYS_exit_group,
};
enum { N_ALLOWED = sizeof allowed / sizeof allowed[0] };

/* A filter that lets the list pass; all else fails with EPERM, as if it were not there. */
static bool filter_calls(void)
{
    struct sock_filter code[N_ALLOWED + 6];
    size_t n = 0;
    code[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < N_ALLOWED; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[i],
                                                 (uint8_t)(N_ALLOWED - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = code};
    return THIS_ARCH != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static void limit(int resource, rlim_t value)
{
    struct rlimit now;
    if (getrlimit(resource, &now) == 0 && value < now.rlim_max)
        setrlimit(resource, &(struct rlimit){value, value});
}

/* All that the process has mapped; 0 when that cannot be learnt. */
static size_t mapped_bytes(void)
{
    size_t n_pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%zu", &n_pages) != 1)
            n_pages = 0;
        fclose(file);
    }
    return n_pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Leaves standard error and the pipe, which becomes number 3. Signals are what they are to anybody:
 * the caller's handlers are not for this process. */
static void enter(int pipe_fd, size_t max_bytes, int max_seconds)
{
    size_t mapped = mapped_bytes();
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    dup2(pipe_fd, 3);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    syscall(SYS_close_range, 4U, ~0U, 0U);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, (rlim_t)max_seconds);
    if (mapped > 0)
        limit(RLIMIT_AS, mapped + max_bytes);
}

static _Noreturn void run_child(sandbox_fn *fn, void *arg)
{
    struct err err = {0};
    struct verdict verdict = {.is_confined = filter_calls()};
    verdict.is_good = fn(arg, &err);
    verdict.code = err.code;
    memcpy(verdict.text, err.text, sizeof err.text);
    bool is_told = write(3, &verdict, sizeof verdict) == sizeof verdict;
    _exit(is_told ? 0 : 1);
}

/* ---- the caller ---- */

static bool read_verdict(int fd, struct verdict *out)
{
    size_t len = 0;
    while (len < sizeof *out) {
        ssize_t n = read(fd, (char *)out + len, sizeof *out - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        len += (size_t)n;
    }
    return true;
}

/* The child may have been taken over by what it read: its words are printable, whatever they say.
 */
static void copy_err(const struct verdict *verdict, struct err *err)
{
    char text[sizeof verdict->text];
    memcpy(text, verdict->text, sizeof text);
    text[sizeof text - 1] = '\0';
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = '?';
    }
    bool is_known = verdict->code > ERR_NONE && verdict->code <= ERR_INTERNAL;
    err_set(err, is_known ? (enum err_code)verdict->code : ERR_FORMAT, "%s", text);
}

static bool fail_ended(int status, struct err *err)
{
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (number == SIGBUS)
        return err_set(err, ERR_IO, "it was cut short while it was read");
    if (number == SIGXCPU || number == SIGKILL)
        return err_set(err, ERR_FORMAT, "reading it takes more time or memory than it should");
    return err_set(err, ERR_FORMAT,
                   "reading it ended badly (%s); it is damaged, or was made to do harm",
                   number != 0 ? strsignal(number) : "without an answer");
}

static bool hear(int fd, pid_t child, enum sandbox_confinement *out_confinement, struct err *err)
{
    struct verdict verdict;
    int status = 0;
    bool is_told = read_verdict(fd, &verdict);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!is_told)
        return fail_ended(status, err);
    *out_confinement = verdict.is_confined != 0 ? SANDBOX_CONFINED : SANDBOX_LIMITED;
    if (verdict.is_good == 0)
        copy_err(&verdict, err);
    return verdict.is_good != 0;
}

bool sandbox_run(sandbox_fn *fn, void *arg, size_t max_bytes, int max_seconds,
                 enum sandbox_confinement *out_confinement, struct err *err)
{
    int pipe_fds[2];
    *out_confinement = SANDBOX_ABSENT;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return true;
    pid_t child = fork();
    if (child == 0) {
        enter(pipe_fds[1], max_bytes, max_seconds);
        run_child(fn, arg);
    }
    close(pipe_fds[1]);
    bool is_good = child < 0;
    if (child > 0) {
        *out_confinement = SANDBOX_LIMITED;
        is_good = hear(pipe_fds[0], child, out_confinement, err);
    }
    close(pipe_fds[0]);
    return is_good;
}
