#include "eval/command.h"

#include <string.h>

#include "eval/options.h"
#include "eval/report.h"

static const struct command *const commands[] = {
    &perplexity_command, &latency_command, &endless_command,
    &recall_command,     &sinks_command,   &chat_command,
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

const struct command *command_find(const char *name)
{
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

void command_print_list(FILE *out)
{
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-12s  %s\n", commands[i]->name, commands[i]->summary);
}

bool command_run(const struct command *command, int argc, char **argv, struct err *err)
{
    struct options options;
    if (!options_read(&options, command, argc, argv, err))
        return false;
    if (options.show_help) {
        options_print_help(command, stdout);
        return true;
    }
    struct report report;
    report_init(&report);
    bool is_done =
        command->run(&options, &report, err) && report_write(&report, command->name, &options, err);
    report_done(&report);
    return is_done;
}
