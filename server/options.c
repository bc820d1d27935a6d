#include "server/options.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "server/line_reader.h"
#include "server/option.h"

#define BLANKS " \t\r"
#define AT(field) offsetof(struct options, field)

/* clang-format off */
#define GROUP(name) {"", OPTION_HEADING, 0, 0, 0, "", NULL, name}
/* clang-format on */

static const struct option table[] = {
    GROUP("Model"),
    {"model", OPTION_TEXT, AT(model), 0, 0, "", "FILE", "the model, a GGUF file"},
    {"alias", OPTION_TEXT, AT(alias), 0, 0, "", "NAME",
     "the model's name in the API; else its file's name"},
    {"strict-model", OPTION_SWITCH, AT(strict_model), 0, 0, "no", NULL,
     "refuse requests for a model of another name"},
    {"window", OPTION_INTEGER, AT(window), 0, 1 << 24, "0", "TOKENS",
     "tokens attended at once; 0: as many as the model was trained for"},
    {"sinks", OPTION_INTEGER, AT(sinks), 0, 1 << 24, "4", "TOKENS",
     "first tokens that are never evicted"},
    {"mode", OPTION_MODE, AT(mode), 0, 0, "streaming", "MODE",
     "streaming, or for comparison: window (no sinks), recompute, dense"},
    {"threads", OPTION_INTEGER, AT(threads), 0, 256, "0", "N",
     "threads that compute; 0: as many as the machine or container grants"},
    {"draft", OPTION_INTEGER, AT(draft), 0, SESSION_MAX_DRAFTS, "7", "N",
     "take up to N tokens that the text so far makes likely along in a step; 0: none"},
    {"kv-type", OPTION_KV_TYPE, AT(kv_type), 0, 0, "f16", "TYPE",
     "how keys and values are stored: f32, f16, bf16 or q8"},
    {"kv-memory", OPTION_BYTES, AT(kv_memory_bytes), 0, 1e18, "0", "BYTES",
     "memory for sessions, 512M or 8G; 0: half of what the model leaves"},
    {"kv-disk", OPTION_BYTES, AT(kv_disk_bytes), 0, 1e18, "10G", "BYTES",
     "with --state-dir: disk for sessions that memory has no room for; 0: no limit"},
    {"system-share", OPTION_DECIMAL, AT(system_share), 0, 0.9, "0.25", "X",
     "share of the window that a system prompt may take, never to be evicted"},
    {"reread-windows", OPTION_INTEGER, AT(reread_windows), 0, 1 << 20, "4", "N",
     "of a history that no session holds, read the first tokens and the last N windows; 0: all"},
    {"pin-system-prompt", OPTION_SWITCH, AT(pin_system_prompt), 0, 0, "no", NULL,
     "a conversation keeps its first system prompt, whatever the client sends later"},
    {"chat-template", OPTION_TEXT, AT(chat_template), 0, 0, "auto", "NAME",
     "chatml, llama2, zephyr, llama3, mistral, gemma ...; auto: the model's"},
    {"chat-template-file", OPTION_TEXT, AT(chat_template_file), 0, 0, "", "FILE",
     "a chat template in Jinja, in place of the model's"},
    {"tool-format", OPTION_TEXT, AT(tool_format), 0, 0, "auto", "NAME",
     "how the model calls tools: hermes, llama3, mistral, qwen3-coder ...; auto: as its template "
     "does"},
    {"reasoning", OPTION_REASONING, AT(splits_reasoning), 0, 0, "auto", "MODE",
     "auto: thoughts in <think> tags become reasoning_content; none: they stay in the content"},
    GROUP("Network"),
    {"host", OPTION_TEXT, AT(host), 0, 0, "127.0.0.1", "ADDRESS", "listen here; 0.0.0.0 for all"},
    {"port", OPTION_INTEGER, AT(port), 0, 65535, "8080", "N",
     "listen on this port; 0: any free one"},
    {"listen", OPTION_TEXT, AT(listen), 0, 0, "", "unix:PATH", "listen on a Unix socket instead"},
    {"listen-mode", OPTION_TEXT, AT(listen_mode), 0, 0, "0660", "MODE",
     "permissions of that socket"},
    {"max-body", OPTION_BYTES, AT(max_body_bytes), 1024, 1 << 30, "16M", "BYTES",
     "largest request body"},
    {"ping-seconds", OPTION_INTEGER, AT(ping_seconds), 1, 3600, "12", "SECONDS",
     "in a silent stream, send a comment this often; proxies give up at 15 and more"},
    {"stall-seconds", OPTION_INTEGER, AT(stall_seconds), 1, 3600, "60", "SECONDS",
     "an answer waits for a client that reads nothing for so long, then its stream is cut"},
    {"resume-seconds", OPTION_INTEGER, AT(resume_seconds), 0, 3600, "5", "SECONDS",
     "an answer whose client can come back goes on for so long without it, and is kept so long "
     "after "
     "its end; 0: it ends when its client leaves"},
    {"drain-delay", OPTION_INTEGER, AT(drain_delay), 0, 3600, "0", "SECONDS",
     "on SIGTERM, go on so long while /readyz says 503, for balancers to notice"},
    {"drain-seconds", OPTION_INTEGER, AT(drain_seconds), 0, 86400, "30", "SECONDS",
     "then wait this long for answers to end"},
    GROUP("Access"),
    {"api-key-file", OPTION_TEXT, AT(api_key_file), 0, 0, "", "FILE",
     "ask for one of the keys in this file, \"KEY\" or \"NAME: KEY\" on a line"},
    {"no-auth", OPTION_SWITCH, AT(no_auth), 0, 0, "no", NULL,
     "serve other machines without keys all the same"},
    {"no-page", OPTION_SWITCH, AT(no_page), 0, 0, "no", NULL, "do not serve the chat page at /"},
    {"max-requests", OPTION_INTEGER, AT(max_requests), 1, 16384, "16384", "N",
     "answers at once for all, the waiting ones included; who asks for more is told when to come "
     "again"},
    {"max-per-key", OPTION_INTEGER, AT(max_per_key), 0, 16384, "0", "N",
     "answers at once for one key, the waiting ones included; 0: no limit"},
    {"allowed-host", OPTION_TEXT, AT(allowed_host), 0, 0, "", "LIST",
     "names a local server may be called by besides local ones, by commas; * for all"},
    {"cors-origin", OPTION_TEXT, AT(cors_origin), 0, 0, "", "LIST",
     "web origins that may call besides local ones, by commas; * for all"},
    {"conversation-headers", OPTION_TEXT, AT(conversation_headers), 0, 0,
     "X-Conversation-Id, X-Session-Id, X-OpenWebUI-Chat-Id, ChatUI-Conversation-ID, "
     "X-Litellm-Session-Id, session-id, thread-id, x-opencode-session",
     "LIST", "headers in which clients name a conversation, by commas; the first that is there"},
    GROUP("Answers, when the client does not say"),
    {"max-tokens", OPTION_INTEGER, AT(max_tokens), 1, 1 << 30, "4096", "N",
     "longest answer, in tokens"},
    {"temperature", OPTION_DECIMAL, AT(temperature), 0, 2, "0.8", "X",
     "0 for the likeliest token always"},
    {"top-p", OPTION_DECIMAL, AT(top_p), 0, 1, "0.95", "X",
     "the likeliest tokens that make this much"},
    {"min-p", OPTION_DECIMAL, AT(min_p), 0, 1, "0.05", "X",
     "tokens that are at least so likely beside the likeliest"},
    {"top-k", OPTION_INTEGER, AT(top_k), 0, INT_MAX, "40", "N",
     "so many of the likeliest; 0 for all"},
    {"repeat-penalty", OPTION_DECIMAL, AT(repeat_penalty), 0.01, 100, "1", "X",
     "how much less likely what was said becomes; 1 for none"},
    GROUP("Stored conversations and responses"),
    {"state-dir", OPTION_TEXT, AT(state_dir), 0, 0, "", "DIR",
     "keep stored conversations and responses here; without it they end with the daemon"},
    {"durability", OPTION_DURABILITY, AT(durability), 0, 0, "always", "WHEN",
     "always: a stored turn survives a power cut; everysec: but for the last second"},
    {"response-ttl", OPTION_SPAN, AT(response_ttl_s), 0, 1e10, "30d", "TIME",
     "forget stored responses after 30d, 12h, 90m or 60s; 0: never"},
    GROUP("Log"),
    {"log-level", OPTION_LOG_LEVEL, AT(log_level), 0, 0, "info", "LEVEL",
     "error, warning, info or debug"},
    {"log-format", OPTION_LOG_FORMAT, AT(log_format), 0, 0, "text", "FORMAT",
     "text, or json: one object per line"},
    GROUP("Other"),
    {"config", OPTION_TEXT, AT(config), 0, 0, "", "FILE", "read more options from this file"},
    {"check-config", OPTION_SWITCH, AT(check_config), 0, 0, "no", NULL,
     "say what is wrong with all this, and exit"},
    {"healthcheck", OPTION_SWITCH, AT(healthcheck), 0, 0, "no", NULL,
     "ask the server that runs with these options whether it is ready, and exit"},
    {"version", OPTION_SWITCH, AT(show_version), 0, 0, "no", NULL, "print the version and exit"},
    {"help", OPTION_SWITCH, AT(show_help), 0, 0, "no", NULL, "print this and exit"},
};
enum { N_OPTIONS = sizeof table / sizeof table[0] };

static const struct option *find(const char *name, size_t len)
{
    for (int i = 0; i < N_OPTIONS; i++) {
        if (table[i].kind != OPTION_HEADING && strlen(table[i].name) == len &&
            strncmp(table[i].name, name, len) == 0)
            return &table[i];
    }
    return NULL;
}

static bool read_defaults(struct options *out, struct err *err)
{
    for (int i = 0; i < N_OPTIONS; i++) {
        if (table[i].kind != OPTION_HEADING &&
            !option_read(&table[i], table[i].default_text, out, err))
            return err_prefix(err, "default of %s", table[i].name);
    }
    return true;
}

enum { MAX_FILE_LINE = 4096 };

struct file_reading {
    struct line_reader lines;
    char line[MAX_FILE_LINE + 1];
    char *long_value; /* that inih has no room for; NULL: it has all of the line */
    struct options *options;
    struct err *err;
    bool has_failed;
};

/* As inih would: a comment begins with a semicolon behind a blank. */
static char *strip_value(char *value)
{
    char *end = value += strspn(value, BLANKS);
    while (*end != '\0' && !(*end == ';' && end > value && strchr(BLANKS, end[-1]) != NULL))
        end++;
    while (end > value && strchr(BLANKS, end[-1]) != NULL)
        end--;
    *end = '\0';
    return value;
}

/* For inih, which takes an indented line for more of the value before it, and whose lines are
 * short: of a longer one it gets the name, and the value goes past it. */
static char *next_line(char *line, int size, void *arg)
{
    struct file_reading *reading = arg;
    if (reading->has_failed || !line_reader_next(&reading->lines, reading->err))
        return NULL;
    char *begin = reading->line + strspn(reading->line, BLANKS);
    bool is_long = strlen(begin) >= (size_t)size;
    size_t name_len = strcspn(begin, "=:") + 1;
    reading->long_value = NULL;
    if (is_long && name_len < strlen(begin))
        reading->long_value = strip_value(begin + name_len);
    snprintf(line, (size_t)size, "%.*s", is_long ? (int)name_len : INT_MAX, begin);
    return line;
}

/* inih's callback: 1 to go on. */
static int on_file_line(void *arg, const char *section, const char *name, const char *value)
{
    struct file_reading *reading = arg;
    if (reading->has_failed)
        return 1;
    if (reading->long_value != NULL)
        value = reading->long_value;
    const struct option *option = section[0] == '\0' ? find(name, strlen(name)) : NULL;
    if (option == NULL)
        reading->has_failed = !err_set(reading->err, ERR_INVALID, "there is no option \"%.100s\"",
                                       section[0] == '\0' ? name : section);
    else if (option->offset == AT(config))
        reading->has_failed =
            !err_set(reading->err, ERR_INVALID, "a file cannot name another one with \"config\"");
    else
        reading->has_failed = !option_read(option, value, reading->options, reading->err) &&
                              !err_prefix(reading->err, "%s", option->name);
    return 1;
}

static bool read_lines(struct file_reading *reading)
{
    int line = ini_parse_stream(next_line, reading, on_file_line, reading);
    if (reading->has_failed || reading->lines.has_failed)
        return false;
    return line == 0 || err_set(reading->err, ERR_FORMAT, "line %d is not \"key = value\"", line);
}

static bool read_file(struct options *out, const char *path, struct err *err)
{
    struct file_reading reading = {.lines.file = fopen(path, "re"), .options = out, .err = err};
    reading.lines.line = reading.line;
    reading.lines.size = sizeof reading.line;
    if (reading.lines.file == NULL)
        return err_set(err, ERR_IO, "configuration file %s: %s", path, strerror(errno));
    bool is_good = read_lines(&reading) || err_prefix(err, "configuration file %s", path);
    fclose(reading.lines.file);
    return is_good;
}

static bool read_environment(struct options *out, struct err *err)
{
    for (int i = 0; i < N_OPTIONS; i++) {
        char name[64] = "SINKD_";
        size_t len = strlen(name);
        for (const char *c = table[i].name; *c != '\0'; c++)
            name[len++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        name[len] = '\0';
        const char *value = getenv(name);
        if (table[i].kind != OPTION_HEADING && value != NULL &&
            !option_read(&table[i], value, out, err))
            return err_prefix(err, "environment variable %s", name);
    }
    return true;
}

static bool read_flags(struct options *out, int argc, char **argv, struct err *err)
{
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i];
        if (strcmp(flag, "-h") == 0)
            flag = "--help";
        size_t len = strcspn(flag, "=");
        const struct option *option =
            strncmp(flag, "--", 2) == 0 && len > 2 ? find(flag + 2, len - 2) : NULL;
        if (option == NULL)
            return err_set(err, ERR_INVALID, "there is no option \"%.100s\"; --help lists them all",
                           flag);
        const char *value = flag[len] == '=' ? flag + len + 1 : NULL;
        if (value == NULL && option->kind == OPTION_SWITCH)
            value = "yes";
        else if (value == NULL && (value = argv[++i]) == NULL)
            return err_set(err, ERR_INVALID, "--%s needs a value: %s", option->name, option->help);
        if (!option_read(option, value, out, err))
            return err_prefix(err, "--%s", option->name);
    }
    return true;
}

bool options_read(struct options *out, int argc, char **argv, struct err *err)
{
    /* Flags and environment are read twice: first to learn which file to read, then to beat it. */
    struct options options = {.argc = argc, .argv = argv};
    if (!read_defaults(&options, err) || !read_environment(&options, err) ||
        !read_flags(&options, argc, argv, err))
        return false;
    if (options.config[0] != '\0' &&
        (!read_file(&options, options.config, err) || !read_environment(&options, err) ||
         !read_flags(&options, argc, argv, err)))
        return false;
    *out = options;
    return true;
}

/* ---- once more ---- */

static bool is_live(const char *name)
{
    static const char *const names[] = {
        "max-per-key",    "strict-model", "max-body",      "ping-seconds", "stall-seconds",
        "resume-seconds", "drain-delay",  "drain-seconds", "allowed-host", "cors-origin",
        "max-tokens",     "temperature",  "top-p",         "min-p",        "top-k",
        "repeat-penalty", "log-level",    "log-format",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

bool options_reload(struct options *options, struct err *err)
{
    struct options *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return err_no_memory(err, "the options");
    bool is_good = options_read(fresh, options->argc, options->argv, err);
    for (int i = 0; i < N_OPTIONS && is_good; i++) {
        if (!option_differs(&table[i], options, fresh))
            continue;
        if (is_live(table[i].name))
            option_copy(&table[i], options, fresh);
        else
            log_warning("%s changes with a restart only", table[i].name);
    }
    free(fresh);
    return is_good;
}

/* ---- help ---- */

enum { HELP_INDENT = 26, HELP_WIDTH = 100 };

/* Breaks at spaces; all lines but the first are indented. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t room = HELP_WIDTH - HELP_INDENT;
    while (strlen(text) > room) {
        size_t len = room;
        while (len > 0 && text[len] != ' ')
            len--;
        fprintf(out, "%.*s\n%*s", (int)len, text, HELP_INDENT, "");
        text += len + 1;
    }
    fprintf(out, "%s\n", text);
}

static void print_option(FILE *out, const struct option *option)
{
    char left[48], right[256];
    const char *space = option->argument == NULL ? "" : " ";
    snprintf(left, sizeof left, "  --%s%s%s", option->name, space,
             option->argument == NULL ? "" : option->argument);
    bool has_default = option->kind != OPTION_SWITCH && option->default_text[0] != '\0';
    snprintf(right, sizeof right, "%s%s%s%s", option->help, has_default ? " [" : "",
             has_default ? option->default_text : "", has_default ? "]" : "");
    fprintf(out, "%-*s", HELP_INDENT, left);
    if (strlen(left) >= HELP_INDENT)
        fprintf(out, "\n%*s", HELP_INDENT, "");
    print_wrapped(out, right);
}

void options_print_help(FILE *out)
{
    fprintf(out, "Usage: sinkd --model FILE [OPTION]...\n"
                 "Chat with a local language model over an OpenAI-compatible HTTP API, in "
                 "conversations that never\nreach a context limit.\n");
    for (int i = 0; i < N_OPTIONS; i++) {
        if (table[i].kind == OPTION_HEADING)
            fprintf(out, "\n%s:\n", table[i].help);
        else
            print_option(out, &table[i]);
    }
    fprintf(out,
            "\nDefaults stand in brackets. BYTES may end in K, M, G or T. Each option may also "
            "stand in the\nconfiguration file (window = 2048) or the environment "
            "(SINKD_WINDOW=2048). A flag beats the\nenvironment, which beats the file. SIGHUP "
            "reads keys, limits, origins and the log's level again.\n");
}
