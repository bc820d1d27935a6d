/* command.h - the experiments of arXiv 2309.17453, one file each. Thread: main. */
#ifndef EVAL_COMMAND_H
#define EVAL_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

struct err;
struct options;
struct report;

struct command {
    const char *name;
    unsigned bit;        /* in eval/options.h */
    const char *summary; /* one line */
    const char *help;    /* a paragraph */
    bool (*run)(const struct options *options, struct report *report, struct err *err);
};

extern const struct command perplexity_command;
extern const struct command latency_command;
extern const struct command endless_command;
extern const struct command recall_command;
extern const struct command sinks_command;
extern const struct command chat_command;

/* NULL when there is none of this name. */
const struct command *command_find(const char *name);
void command_print_list(FILE *out);

/* Reads the flags argv[0 .. argc-1], measures, writes the report. */
bool command_run(const struct command *command, int argc, char **argv, struct err *err);

#endif
