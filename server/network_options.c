#include "server/network_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/err.h"
#include "server/auth.h"
#include "server/options.h"

bool network_options_read_listener(const struct options *options, int inherited_fd,
                                   struct listener_options *out, struct err *err)
{
    char *end;
    *out = (struct listener_options){
        .host = options->host,
        .port = options->port,
        .unix_mode = (unsigned)strtoul(options->listen_mode, &end, 8),
        .inherited_fd = inherited_fd,
    };
    if (*end != '\0' || options->listen_mode[0] == '\0' || out->unix_mode > 0777)
        return err_set(err, ERR_INVALID, "--listen-mode: \"%.100s\" is not like 0660",
                       options->listen_mode);
    if (strncmp(options->listen, "unix:", 5) == 0)
        out->unix_path = options->listen + 5;
    else if (options->listen[0] != '\0')
        return err_set(err, ERR_INVALID, "--listen: \"%.100s\" is not unix:PATH", options->listen);
    return true;
}

/* The keys of the options, else those that systemd hands over (LoadCredential=api-keys:...). */
static const char *find_key_file(const struct options *options, char *path, size_t size)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (options->api_key_file[0] != '\0')
        return options->api_key_file;
    if (folder == NULL)
        return NULL;
    snprintf(path, size, "%s/api-keys", folder);
    return access(path, F_OK) == 0 ? path : NULL;
}

bool network_options_open_auth(const struct options *options, const struct listener_options *listen,
                               struct auth **out, struct err *err)
{
    char path[4096];
    const char *key_file = find_key_file(options, path, sizeof path);
    if (key_file == NULL && !options->no_auth && !listener_is_local(listen))
        return err_set(err, ERR_INVALID,
                       "listening on %.100s lets other machines in: give --api-key-file FILE, or "
                       "--no-auth to serve anyone who can reach it",
                       listen->inherited_fd >= 0 ? "the socket of systemd" : options->host);
    return auth_open(out, key_file, err);
}

/* Browsers send origins without a slash or the usual port, so that an origin with these, which
 * people copy from an address, would never be met. */
static void trim_origin(char *origin)
{
    size_t len = strlen(origin);
    if (len > 0 && origin[len - 1] == '/')
        origin[--len] = '\0';
    const char *usual_port = strncasecmp(origin, "https://", 8) == 0  ? ":443"
                             : strncasecmp(origin, "http://", 7) == 0 ? ":80"
                                                                      : NULL;
    size_t n = usual_port == NULL ? 0 : strlen(usual_port);
    if (n > 0 && len > n && strcmp(origin + len - n, usual_port) == 0)
        origin[len - n] = '\0';
}

static bool is_origin(const char *text)
{
    const char *mark = strstr(text, "://");
    return strcmp(text, "*") == 0 || strcmp(text, "null") == 0 ||
           (mark != NULL && mark > text && mark[3] != '\0' && strpbrk(mark + 3, "/?#@*") == NULL);
}

static bool read_origins(struct text_list *list, const char *text, struct err *err)
{
    if (!text_list_read(list, text, err))
        return false;
    for (int i = 0; i < list->n; i++) {
        trim_origin(list->text + (list->items[i] - list->text));
        if (!is_origin(list->items[i]))
            return err_set(err, ERR_INVALID,
                           "\"%.100s\" is no origin; write https://chat.example.org, with the "
                           "port where it is not the usual one, or * for all",
                           list->items[i]);
    }
    return true;
}

bool network_options_read_lists(const struct options *options, struct network_lists *lists,
                                struct err *err)
{
    if (!text_list_read(&lists->allowed_hosts, options->allowed_host, err))
        return err_prefix(err, "--allowed-host");
    if (!read_origins(&lists->cors_origins, options->cors_origin, err))
        return err_prefix(err, "--cors-origin");
    return text_list_read(&lists->conversation_headers, options->conversation_headers, err) ||
           err_prefix(err, "--conversation-headers");
}

struct http_policy network_options_policy(const struct options *options,
                                          const struct network_lists *lists)
{
    return (struct http_policy){
        .max_body_bytes = options->max_body_bytes,
        .allowed_hosts = lists->allowed_hosts.items,
        .n_allowed_hosts = lists->allowed_hosts.n,
        .cors_origins = lists->cors_origins.items,
        .n_cors_origins = lists->cors_origins.n,
    };
}
