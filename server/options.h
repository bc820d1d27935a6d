/* options.h - what the operator wants: flags, environment, configuration file, defaults.
 *
 * One table (options.c) holds every key with its default, range and help, so the four ways cannot
 * drift apart. A flag beats the environment (SINKD_WINDOW), which beats the file (window = ...),
 * which beats the default. Thread: main. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/log.h"
#include "core/kernels/kernels.h"
#include "core/session/session_mode.h"
#include "server/store_db.h"

struct err;

enum { OPTIONS_MAX_TEXT = 1024 };

struct options {
    int argc; /* where it was read from, to be read again */
    char **argv;
    bool show_help;
    bool show_version;
    bool check_config;
    bool healthcheck;
    char config[OPTIONS_MAX_TEXT];
    char model[OPTIONS_MAX_TEXT];
    char alias[OPTIONS_MAX_TEXT]; /* the model's name in the API; empty: its own */
    bool strict_model;
    char tool_format[OPTIONS_MAX_TEXT];
    bool splits_reasoning;
    char host[OPTIONS_MAX_TEXT];
    int port;
    char listen[OPTIONS_MAX_TEXT];      /* "unix:PATH", empty for host and port */
    char listen_mode[OPTIONS_MAX_TEXT]; /* octal */
    int window;
    int sinks;
    int threads;
    int draft;
    enum session_mode mode;
    enum kv_type kv_type;
    size_t kv_memory_bytes; /* 0: choose */
    size_t kv_disk_bytes;   /* 0: no limit */
    bool pin_system_prompt;
    float system_share;
    int reread_windows;
    char chat_template[OPTIONS_MAX_TEXT]; /* "auto" or a name */
    char chat_template_file[OPTIONS_MAX_TEXT];
    char api_key_file[OPTIONS_MAX_TEXT];
    bool no_auth;
    int max_requests;
    int max_per_key; /* 0: no limit */
    bool no_page;
    char allowed_host[OPTIONS_MAX_TEXT]; /* separated by commas, like ... */
    char cors_origin[OPTIONS_MAX_TEXT];
    char conversation_headers[OPTIONS_MAX_TEXT];
    size_t max_body_bytes;
    int max_tokens;
    float temperature;
    float top_p;
    float min_p;
    int top_k;
    float repeat_penalty;
    char state_dir[OPTIONS_MAX_TEXT]; /* empty: nothing is kept on disk */
    enum store_durability durability;
    int64_t response_ttl_s; /* 0: for ever */
    int ping_seconds;
    int stall_seconds;
    int resume_seconds; /* 0: no client can come back */
    int drain_delay;
    int drain_seconds;
    enum log_level log_level;
    enum log_format log_format;
};

/* Reads all sources. With show_help or show_version set the rest may be unchecked. */
bool options_read(struct options *out, int argc, char **argv, struct err *err);

/* Reads them again: what may change while the daemon runs does; what needs a restart is left as it
 * is, with a warning. On false nothing has changed. */
bool options_reload(struct options *options, struct err *err);

void options_print_help(FILE *out);

#endif
