/* options.h - what a command is asked to measure: one table of flags for all commands.
 *
 * Thread: main. */
#ifndef EVAL_OPTIONS_H
#define EVAL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/kernels/kernels.h"

struct command;
struct err;

/* Which commands take a flag. */
enum {
    OPTIONS_PERPLEXITY = 1,
    OPTIONS_LATENCY = 2,
    OPTIONS_ENDLESS = 4,
    OPTIONS_RECALL = 8,
    OPTIONS_SINKS = 16,
    OPTIONS_CHAT = 32,
    OPTIONS_ALL = 63,
};

enum { OPTIONS_MAX_LIST = 16 };

enum options_mode {
    OPTIONS_MODE_STREAMING,
    OPTIONS_MODE_WINDOW,
    OPTIONS_MODE_RECOMPUTE,
    OPTIONS_MODE_DENSE,
    OPTIONS_MODE_NEWLINES, /* streaming, with line breaks in the place of the first tokens */
};

struct options_list {
    int items[OPTIONS_MAX_LIST];
    int n;
};

/* 0 in a number means: the command chooses, as its help says. Texts are borrowed from argv. What a
 * command has no flag for is zero. */
struct options {
    const char *model;
    const char *text;
    const char *questions;
    int64_t tokens;
    int window;
    struct options_list windows;
    struct options_list sinks;
    struct options_list modes; /* enum options_mode */
    struct options_list distances;
    int stride;
    int repeats;
    int samples;
    int count;
    int max_tokens;
    double temperature;
    int seed;
    enum kv_type kv_type;
    int threads;
    bool is_forced;
    const char *json;
    const char *csv;
    const char *plot;
    bool show_help;
};

/* Reads the flags of `command` from argv[0 .. argc-1]. With show_help the rest may be unchecked. */
bool options_read(struct options *out, const struct command *command, int argc, char **argv,
                  struct err *err);

/* --window, or what it is when the command chooses. */
int options_window(const struct options *options, int n_context);

void options_print_help(const struct command *command, FILE *out);

#endif
