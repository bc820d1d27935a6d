/* main.c - sinkd's entry: options, server, run. Exit status 0; 2 for wrong options; 1 for all else
 * that keeps it from running. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "server/options.h"
#include "server/server.h"

enum { EXIT_USAGE = 2 };

/* Who is started with closed ones would take a client's socket, or the database, for the terminal;
 * and libuv aborts when it is to close one of these numbers. */
static void hold_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* Each client is a descriptor; the soft limit is often 1024 for the sake of select(2). */
static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* The kernel's word for a mapped file that has become shorter than it was: the model's while it is
 * loaded (gguf_detach ends that), or the shared memory of the database. There is no way back into
 * what was reading it. */
static void on_bus_error(int signal_number)
{
    static const char sentence[] =
        "sinkd: error: a file was cut short while it was read: the model, if it was being loaded; "
        "copy models under another name and rename them\n";
    (void)signal_number;
    ssize_t n = write(STDERR_FILENO, sentence, sizeof sentence - 1);
    (void)n; /* nobody is left to be told */
    _exit(1);
}

static int fail(const struct err *err)
{
    log_error("%s", err->text);
    return err->code == ERR_INVALID ? EXIT_USAGE : 1;
}

int main(int argc, char **argv)
{
    static struct options options;
    struct err err;
    hold_standard_files();
    if (!options_read(&options, argc, argv, &err))
        return fail(&err);
    if (options.show_help) {
        options_print_help(stdout);
        return 0;
    }
    if (options.show_version) {
        puts("sinkd " SINKD_VERSION);
        return 0;
    }
    if (options.check_config)
        return server_check(&options, &err) ? (puts("the configuration is good"), 0) : fail(&err);
    if (options.healthcheck)
        return server_ask(&options, &err) ? 0 : fail(&err);
    log_set_level(options.log_level);
    log_set_format(options.log_format);
    signal(SIGPIPE, SIG_IGN); /* a client that leaves is no reason to die */
    signal(SIGBUS, on_bus_error);
    raise_file_limit();

    struct server *server;
    if (!server_open(&server, &options, &err))
        return fail(&err);
    server_run(server);
    server_close(&server);
    log_info("stopped");
    return 0;
}
