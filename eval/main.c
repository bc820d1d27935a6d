/* main.c - sinkd-eval's entry: the experiments of "Efficient Streaming Language Models with
 * Attention Sinks" (arXiv 2309.17453) as commands. Exit status 0; 2 for wrong usage; 1 for all
 * else. */
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "eval/command.h"

enum { EXIT_USAGE = 2 };

static int help(FILE *out)
{
    fputs("Usage: sinkd-eval COMMAND --model FILE [OPTION]...\n"
          "Measures what attention sinks do to a model: its perplexity, speed, memory and recall."
          "\n\n",
          out);
    command_print_list(out);
    fputs("\nsinkd-eval COMMAND --help lists the options of a command.\n", out);
    return out == stdout ? 0 : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return help(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return help(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        puts("sinkd-eval " SINKD_VERSION);
        return 0;
    }
    const struct command *command = command_find(argv[1]);
    if (command == NULL) {
        fprintf(stderr, "sinkd-eval: there is no command \"%.60s\"; sinkd-eval --help lists them\n",
                argv[1]);
        return EXIT_USAGE;
    }
    struct err err = {0};
    if (!command_run(command, argc - 2, argv + 2, &err)) {
        fprintf(stderr, "sinkd-eval: %s\n", err.text);
        return err.code == ERR_INVALID ? EXIT_USAGE : 1;
    }
    return 0;
}
