/* fuzz_options.c - libFuzzer target: any bytes as the configuration file, and as the file of API
 * keys. What is refused is refused with a reason; what is accepted, once more, is the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "server/auth.h"
#include "server/network_options.h"
#include "server/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_options(struct options *options)
{
    struct network_lists lists;
    struct listener_options listen;
    struct err err = {0};
    check(options->port >= 0 && options->port <= 65535 && options->max_tokens >= 1);
    check(options->temperature >= 0 && options->system_share >= 0);
    check(strlen(options->model) < OPTIONS_MAX_TEXT);
    check(network_options_read_lists(options, &lists, &err) || err.text[0] != '\0');
    check(network_options_read_listener(options, -1, &listen, &err) || err.text[0] != '\0');
    static struct options before;
    before = *options;
    check(options_reload(options, &err));
    check(before.max_tokens == options->max_tokens && before.top_k == options->top_k &&
          before.max_body_bytes == options->max_body_bytes &&
          strcmp(before.allowed_host, options->allowed_host) == 0);
}

static void read_as_options(char *path)
{
    static struct options options;
    char *argv[] = {"sinkd", "--config", path, NULL};
    struct err err = {0};
    memset(&options, 0, sizeof options);
    if (options_read(&options, 3, argv, &err))
        check_options(&options);
    else
        check(err.code != ERR_NONE && strstr(err.text, path) != NULL);
}

static void read_as_keys(const char *path)
{
    struct auth *auth = NULL;
    struct err err = {0};
    if (!auth_open(&auth, path, &err)) {
        check(auth == NULL && err.code != ERR_NONE && err.text[0] != '\0');
        return;
    }
    check(auth_is_required(auth) && auth_n_keys(auth) > 0);
    check(auth_find_owner(auth, "Bearer ", "") == -1);
    check(auth_reload(auth, &err));
    auth_close(&auth);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    char path[32];
    int fd = memfd_create("options", MFD_CLOEXEC);
    check(fd >= 0 && write(fd, bytes, n_bytes) == (ssize_t)n_bytes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    log_set_level(LOG_LEVEL_ERROR);
    read_as_options(path);
    read_as_keys(path);
    close(fd);
    return 0;
}
