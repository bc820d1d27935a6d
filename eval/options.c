#include "eval/options.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "eval/command.h"
#include "eval/plot.h"

enum kind { TEXT, FIGURE, REAL, INTEGER, COUNT, INTEGERS, MODES, KV_TYPE, SWITCH };

struct option {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct options */
    unsigned commands;
    double min, max; /* of numbers, and of each number in a list */
    const char *default_text;
    const char *argument;
    const char *help;
};

#define AT(field) offsetof(struct options, field)

enum {
    READS_TEXT = OPTIONS_PERPLEXITY | OPTIONS_ENDLESS | OPTIONS_SINKS,
    HAS_WINDOW = OPTIONS_ALL & ~OPTIONS_LATENCY,
    HAS_SINKS = OPTIONS_ALL,
};

static const struct option table[] = {
    {"model", TEXT, AT(model), OPTIONS_ALL, 0, 0, "", "FILE", "the model, a GGUF file"},
    {"text", TEXT, AT(text), READS_TEXT, 0, 0, "", "FILE",
     "a long text in UTF-8; FILE.json: a list of token ids"},
    {"questions", TEXT, AT(questions), OPTIONS_CHAT, 0, 0, "", "FILE",
     "one JSON object with a list \"turns\" per line"},
    {"tokens", COUNT, AT(tokens), READS_TEXT | OPTIONS_RECALL, 0, 1e12, "0", "N",
     "tokens to read, 20000 or 4M; 0: perplexity all, endless 1M, sinks one window, recall 8 "
     "contexts"},
    {"window", INTEGER, AT(window), HAS_WINDOW, 0, 1 << 24, "0", "TOKENS",
     "tokens attended at once; 0: half of the trained context, at most 1024"},
    {"windows", INTEGERS, AT(windows), OPTIONS_LATENCY, 2, 1 << 24, "256,512,1024,2048,4096",
     "LIST", "cache sizes to measure"},
    {"sinks", INTEGERS, AT(sinks), HAS_SINKS, 0, 1 << 24, "4", "LIST",
     "first tokens that are never evicted; a list only for perplexity"},
    {"modes", MODES, AT(modes), OPTIONS_PERPLEXITY, 0, 0, "streaming,window,recompute,dense",
     "LIST", "of these, and newlines: streaming with line breaks in the place of the sinks"},
    {"modes", MODES, AT(modes), OPTIONS_LATENCY, 0, 0, "streaming,recompute,dense", "LIST",
     "of these"},
    {"stride", INTEGER, AT(stride), OPTIONS_PERPLEXITY, 0, INT_MAX, "0", "K",
     "recompute scores every K-th token; 0: an eighth of the window"},
    {"distances", INTEGERS, AT(distances), OPTIONS_RECALL, 1, 1 << 20, "1,2,5,10,15,20,30,40,50,60",
     "LIST", "ask for what stood so many lines before"},
    {"repeats", INTEGER, AT(repeats), OPTIONS_LATENCY, 1, 1000000, "100", "N",
     "tokens to time of each kind; recompute a tenth of them, at least 3"},
    {"samples", INTEGER, AT(samples), OPTIONS_ENDLESS, 2, 100000, "200", "N",
     "how often memory, time and loss are looked at"},
    {"count", INTEGER, AT(count), OPTIONS_CHAT, 0, INT_MAX, "0", "N", "questions to ask; 0: all"},
    {"max-tokens", INTEGER, AT(max_tokens), OPTIONS_CHAT, 1, 1 << 20, "256", "N", "longest answer"},
    {"temperature", REAL, AT(temperature), OPTIONS_CHAT, 0, 2, "0", "T",
     "sample the answers; 0: the most likely token each time"},
    {"seed", INTEGER, AT(seed), OPTIONS_CHAT, 0, INT_MAX, "1", "N", "of the sampling"},
    {"kv-type", KV_TYPE, AT(kv_type), OPTIONS_ALL & ~OPTIONS_SINKS, 0, 0, "f16", "TYPE",
     "how keys and values are stored: f32, f16, bf16 or q8"},
    {"threads", INTEGER, AT(threads), OPTIONS_ALL, 0, 256, "0", "N",
     "threads that compute; 0: as many as the machine or container grants"},
    {"force", SWITCH, AT(is_forced), OPTIONS_LATENCY, 0, 0, "no", NULL,
     "measure caches beyond the trained context too: time does not depend on sense"},
    {"json", TEXT, AT(json), OPTIONS_ALL, 0, 0, "", "FILE", "write everything that was found"},
    {"csv", TEXT, AT(csv), OPTIONS_ALL, 0, 0, "", "FILE", "write the samples behind the figure"},
    {"plot", FIGURE, AT(plot), OPTIONS_ALL, 0, 0, "", "FILE",
     "draw the figure, FILE.svg or FILE.png, with gnuplot"},
    {"help", SWITCH, AT(show_help), OPTIONS_ALL, 0, 0, "no", NULL, "print this and exit"},
};
enum { N_OPTIONS = sizeof table / sizeof table[0] };

static bool parse_number(const struct option *option, const char *value, size_t len, int64_t *out,
                         struct err *err)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    int64_t unit = 1;
    if (end > value && option->kind == COUNT && (*end == 'k' || *end == 'K' || *end == 'M'))
        unit = *end++ == 'M' ? 1000000 : 1000;
    if (end == value || end != value + len || errno != 0)
        return err_set(err, ERR_INVALID, "\"%.60s\" is not %s", value,
                       option->kind == INTEGERS ? "a list of numbers like 0,1,4" : "a number");
    double size = (double)number * (double)unit;
    if (!(size >= option->min && size <= option->max))
        return err_set(err, ERR_INVALID, "it is %.*s, but must be from %.15g to %.15g", (int)len,
                       value, option->min, option->max);
    *out = number * unit;
    return true;
}

static bool parse_real(const struct option *option, const char *value, double *out, struct err *err)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end != '\0')
        return err_set(err, ERR_INVALID, "\"%.60s\" is not a number", value);
    if (!(number >= option->min && number <= option->max))
        return err_set(err, ERR_INVALID, "it is %.60s, but must be from %.15g to %.15g", value,
                       option->min, option->max);
    *out = number;
    return true;
}

static bool parse_mode(const char *value, size_t len, int64_t *out, struct err *err)
{
    static const char *const names[] = {"streaming", "window", "recompute", "dense", "newlines"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == len && strncmp(names[i], value, len) == 0) {
            *out = (int64_t)i;
            return true;
        }
    }
    return err_set(err, ERR_INVALID,
                   "\"%.*s\" is not one of streaming, window, recompute, dense, newlines",
                   len < 60 ? (int)len : 60, value);
}

static bool parse_list(const struct option *option, const char *value, struct options_list *out,
                       struct err *err)
{
    struct options_list list = {0};
    while (true) {
        size_t len = strcspn(value, ",");
        int64_t number = 0;
        if (list.n == OPTIONS_MAX_LIST)
            return err_set(err, ERR_INVALID, "the list has more than %d items", OPTIONS_MAX_LIST);
        if (option->kind == MODES ? !parse_mode(value, len, &number, err)
                                  : !parse_number(option, value, len, &number, err))
            return false;
        list.items[list.n++] = (int)number;
        if (value[len] == '\0')
            break;
        value += len + 1;
    }
    *out = list;
    return true;
}

static bool parse_value(const struct option *option, const char *value, struct options *out,
                        struct err *err)
{
    void *field = (char *)out + option->offset;
    int64_t number;
    switch (option->kind) {
    case FIGURE:
        if (value[0] != '\0' && !plot_knows(value))
            return err_set(err, ERR_INVALID, "\"%.100s\" must end in .svg or .png", value);
        *(const char **)field = value;
        return true;
    case TEXT:
        *(const char **)field = value;
        return true;
    case SWITCH:
        *(bool *)field = strcmp(value, "yes") == 0;
        return *(bool *)field || strcmp(value, "no") == 0 ||
               err_set(err, ERR_INVALID, "\"%.60s\" is not yes or no", value);
    case KV_TYPE:
        return kv_type_parse(value, field) ||
               err_set(err, ERR_INVALID, "\"%.60s\" is not one of f32, f16, bf16, q8", value);
    case REAL:
        return parse_real(option, value, field, err);
    case INTEGERS:
    case MODES:
        return parse_list(option, value, field, err);
    case INTEGER:
    case COUNT:
        break;
    }
    if (!parse_number(option, value, strlen(value), &number, err))
        return false;
    if (option->kind == COUNT)
        *(int64_t *)field = number;
    else
        *(int *)field = (int)number;
    return true;
}

static const struct option *find(const struct command *command, const char *flag, size_t len)
{
    for (int i = 0; i < N_OPTIONS; i++) {
        if ((table[i].commands & command->bit) != 0 && strlen(table[i].name) == len &&
            strncmp(table[i].name, flag, len) == 0)
            return &table[i];
    }
    return NULL;
}

static bool read_defaults(struct options *out, const struct command *command, struct err *err)
{
    for (int i = 0; i < N_OPTIONS; i++) {
        if ((table[i].commands & command->bit) != 0 &&
            !parse_value(&table[i], table[i].default_text, out, err))
            return err_prefix(err, "default of %s", table[i].name);
    }
    return true;
}

bool options_read(struct options *out, const struct command *command, int argc, char **argv,
                  struct err *err)
{
    struct options options = {0};
    if (!read_defaults(&options, command, err))
        return false;
    for (int i = 0; i < argc; i++) {
        const char *flag = strcmp(argv[i], "-h") == 0 ? "--help" : argv[i];
        size_t len = strcspn(flag, "=");
        const struct option *option =
            strncmp(flag, "--", 2) == 0 && len > 2 ? find(command, flag + 2, len - 2) : NULL;
        if (option == NULL)
            return err_set(err, ERR_INVALID,
                           "%s has no option \"%.100s\"; sinkd-eval %s --help lists them",
                           command->name, flag, command->name);
        const char *value = flag[len] == '=' ? flag + len + 1 : NULL;
        if (value == NULL && option->kind == SWITCH)
            value = "yes";
        else if (value == NULL && (++i == argc || (value = argv[i]) == NULL))
            return err_set(err, ERR_INVALID, "--%s needs a value: %s", option->name, option->help);
        if (!parse_value(option, value, &options, err))
            return err_prefix(err, "--%s", option->name);
    }
    if (command->bit != OPTIONS_PERPLEXITY && options.sinks.n != 1)
        return err_set(err, ERR_INVALID, "--sinks: %s takes one number, not a list", command->name);
    *out = options;
    return true;
}

int options_window(const struct options *options, int n_context)
{
    enum { MAX_CHOSEN = 1024 };
    int half = n_context / 2 < MAX_CHOSEN ? n_context / 2 : MAX_CHOSEN;
    return options->window > 0 ? options->window : half;
}

void options_print_help(const struct command *command, FILE *out)
{
    fprintf(out, "Usage: sinkd-eval %s --model FILE [OPTION]...\n%s\n\n", command->name,
            command->help);
    for (int i = 0; i < N_OPTIONS; i++) {
        const struct option *option = &table[i];
        char left[40];
        if ((option->commands & command->bit) == 0)
            continue;
        snprintf(left, sizeof left, "--%s %s", option->name,
                 option->argument == NULL ? "" : option->argument);
        fprintf(out, "  %-18s  %s", left, option->help);
        if (option->kind != SWITCH && option->default_text[0] != '\0')
            fprintf(out, " [%s]", option->default_text);
        fputc('\n', out);
    }
}
