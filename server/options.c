#include "server/options.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/log.h"

enum kind {
    HEADING,
    TEXT,
    INTEGER,
    DECIMAL,
    BYTES,
    SPAN,
    SWITCH,
    KV_TYPE,
    MODE,
    REASONING,
    DURABILITY,
    LOG_LEVEL,
    LOG_FORMAT,
};

struct option {
    const char *name; /* --name, SINKD_NAME, "name = value" */
    enum kind kind;
    size_t offset; /* in struct options */
    double min, max;
    const char *default_text; /* read like all other sources */
    const char *argument;
    const char *help;
};

#define AT(field) offsetof(struct options, field)

/* clang-format off */
#define GROUP(name) {"", HEADING, 0, 0, 0, "", NULL, name}
/* clang-format on */

static const struct option table[] = {
    GROUP("Model"),
    {"model", TEXT, AT(model), 0, 0, "", "FILE", "the model, a GGUF file"},
    {"alias", TEXT, AT(alias), 0, 0, "", "NAME",
     "the model's name in the API; else its file's name"},
    {"strict-model", SWITCH, AT(strict_model), 0, 0, "no", NULL,
     "refuse requests for a model of another name"},
    {"window", INTEGER, AT(window), 0, 1 << 24, "0", "TOKENS",
     "tokens attended at once; 0: as many as the model was trained for"},
    {"sinks", INTEGER, AT(sinks), 0, 1 << 24, "4", "TOKENS", "first tokens that are never evicted"},
    {"mode", MODE, AT(mode), 0, 0, "streaming", "MODE",
     "streaming, or for comparison: window (no sinks), recompute, dense"},
    {"threads", INTEGER, AT(threads), 0, 256, "0", "N",
     "threads that compute; 0: as many as the machine or container grants"},
    {"draft", INTEGER, AT(draft), 0, 63, "7", "N",
     "take up to N tokens that the text so far makes likely along in a step; 0: none"},
    {"kv-type", KV_TYPE, AT(kv_type), 0, 0, "f16", "TYPE",
     "how keys and values are stored: f32, f16, bf16 or q8"},
    {"kv-memory", BYTES, AT(kv_memory_bytes), 0, 1e18, "0", "BYTES",
     "memory for sessions, 512M or 8G; 0: half of what the model leaves"},
    {"kv-disk", BYTES, AT(kv_disk_bytes), 0, 1e18, "10G", "BYTES",
     "with --state-dir: disk for sessions that memory has no room for; 0: no limit"},
    {"system-share", DECIMAL, AT(system_share), 0, 0.9, "0.25", "X",
     "share of the window that a system prompt may take, never to be evicted"},
    {"reread-windows", INTEGER, AT(reread_windows), 0, 1 << 20, "4", "N",
     "of a history that no session holds, read the first tokens and the last N windows; 0: all"},
    {"pin-system-prompt", SWITCH, AT(pin_system_prompt), 0, 0, "no", NULL,
     "a conversation keeps its first system prompt, whatever the client sends later"},
    {"chat-template", TEXT, AT(chat_template), 0, 0, "auto", "NAME",
     "chatml, llama2, zephyr, llama3, mistral, gemma ...; auto: the model's"},
    {"chat-template-file", TEXT, AT(chat_template_file), 0, 0, "", "FILE",
     "a chat template in Jinja, in place of the model's"},
    {"tool-format", TEXT, AT(tool_format), 0, 0, "auto", "NAME",
     "how the model calls tools: hermes, llama3, mistral, qwen3-coder, deepseek; auto: as its "
     "template does"},
    {"reasoning", REASONING, AT(splits_reasoning), 0, 0, "auto", "MODE",
     "auto: thoughts in <think> tags become reasoning_content; none: they stay in the content"},
    GROUP("Network"),
    {"host", TEXT, AT(host), 0, 0, "127.0.0.1", "ADDRESS", "listen here; 0.0.0.0 for all"},
    {"port", INTEGER, AT(port), 0, 65535, "8080", "N", "listen on this port; 0: any free one"},
    {"listen", TEXT, AT(listen), 0, 0, "", "unix:PATH", "listen on a Unix socket instead"},
    {"listen-mode", TEXT, AT(listen_mode), 0, 0, "0660", "MODE", "permissions of that socket"},
    {"max-body", BYTES, AT(max_body_bytes), 1024, 1 << 30, "16M", "BYTES", "largest request body"},
    {"ping-seconds", INTEGER, AT(ping_seconds), 1, 3600, "12", "SECONDS",
     "in a silent stream, send a comment this often; proxies give up at 15 and more"},
    {"stall-seconds", INTEGER, AT(stall_seconds), 1, 3600, "60", "SECONDS",
     "an answer waits for a client that reads nothing for so long, then its stream is cut"},
    {"resume-seconds", INTEGER, AT(resume_seconds), 0, 3600, "5", "SECONDS",
     "an answer whose client can come back goes on for so long without it, and is kept so long "
     "after "
     "its end; 0: it ends when its client leaves"},
    {"drain-delay", INTEGER, AT(drain_delay), 0, 3600, "0", "SECONDS",
     "on SIGTERM, go on so long while /readyz says 503, for balancers to notice"},
    {"drain-seconds", INTEGER, AT(drain_seconds), 0, 86400, "30", "SECONDS",
     "then wait this long for answers to end"},
    GROUP("Access"),
    {"api-key-file", TEXT, AT(api_key_file), 0, 0, "", "FILE",
     "ask for one of the keys in this file, \"KEY\" or \"NAME: KEY\" on a line"},
    {"no-auth", SWITCH, AT(no_auth), 0, 0, "no", NULL,
     "serve other machines without keys all the same"},
    {"no-page", SWITCH, AT(no_page), 0, 0, "no", NULL, "do not serve the chat page at /"},
    {"max-requests", INTEGER, AT(max_requests), 1, 16384, "16384", "N",
     "answers at once for all, the waiting ones included; who asks for more is told when to come "
     "again"},
    {"max-per-key", INTEGER, AT(max_per_key), 0, 16384, "0", "N",
     "answers at once for one key, the waiting ones included; 0: no limit"},
    {"allowed-host", TEXT, AT(allowed_host), 0, 0, "", "LIST",
     "names a local server may be called by besides local ones, by commas; * for all"},
    {"cors-origin", TEXT, AT(cors_origin), 0, 0, "", "LIST",
     "web origins that may call besides local ones, by commas; * for all"},
    {"conversation-headers", TEXT, AT(conversation_headers), 0, 0,
     "X-Conversation-Id, X-Session-Id, X-OpenWebUI-Chat-Id, ChatUI-Conversation-ID, "
     "X-Litellm-Session-Id, session-id, thread-id, x-opencode-session",
     "LIST", "headers in which clients name a conversation, by commas; the first that is there"},
    GROUP("Answers, when the client does not say"),
    {"max-tokens", INTEGER, AT(max_tokens), 1, 1 << 30, "4096", "N", "longest answer, in tokens"},
    {"temperature", DECIMAL, AT(temperature), 0, 2, "0.8", "X", "0 for the likeliest token always"},
    {"top-p", DECIMAL, AT(top_p), 0, 1, "0.95", "X", "the likeliest tokens that make this much"},
    {"min-p", DECIMAL, AT(min_p), 0, 1, "0.05", "X",
     "tokens that are at least so likely beside the likeliest"},
    {"top-k", INTEGER, AT(top_k), 0, INT_MAX, "40", "N", "so many of the likeliest; 0 for all"},
    {"repeat-penalty", DECIMAL, AT(repeat_penalty), 0.01, 100, "1", "X",
     "how much less likely what was said becomes; 1 for none"},
    GROUP("Stored conversations and responses"),
    {"state-dir", TEXT, AT(state_dir), 0, 0, "", "DIR",
     "keep stored conversations and responses here; without it they end with the daemon"},
    {"durability", DURABILITY, AT(durability), 0, 0, "always", "WHEN",
     "always: a stored turn survives a power cut; everysec: but for the last second"},
    {"response-ttl", SPAN, AT(response_ttl_s), 0, 1e10, "30d", "TIME",
     "forget stored responses after 30d, 12h, 90m or 60s; 0: never"},
    GROUP("Log"),
    {"log-level", LOG_LEVEL, AT(log_level), 0, 0, "info", "LEVEL", "error, warning, info or debug"},
    {"log-format", LOG_FORMAT, AT(log_format), 0, 0, "text", "FORMAT",
     "text, or json: one object per line"},
    GROUP("Other"),
    {"config", TEXT, AT(config), 0, 0, "", "FILE", "read more options from this file"},
    {"check-config", SWITCH, AT(check_config), 0, 0, "no", NULL,
     "say what is wrong with all this, and exit"},
    {"healthcheck", SWITCH, AT(healthcheck), 0, 0, "no", NULL,
     "ask the server that runs with these options whether it is ready, and exit"},
    {"version", SWITCH, AT(show_version), 0, 0, "no", NULL, "print the version and exit"},
    {"help", SWITCH, AT(show_help), 0, 0, "no", NULL, "print this and exit"},
};
enum { N_OPTIONS = sizeof table / sizeof table[0] };

static bool invalid(struct err *err, const char *value, const char *expected)
{
    return err_set(err, ERR_INVALID, "\"%.100s\" is not %s", value, expected);
}

static bool parse_text(const char *value, char *out, struct err *err)
{
    if (strlen(value) >= OPTIONS_MAX_TEXT)
        return err_set(err, ERR_INVALID, "the value is longer than %d bytes", OPTIONS_MAX_TEXT - 1);
    memcpy(out, value, strlen(value) + 1);
    return true;
}

static bool read_unit_of_time(char **end, double *number)
{
    static const struct {
        char name;
        int seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].name == **end) {
            *number *= units[i].seconds;
            ++*end;
            return true;
        }
    }
    return false;
}

static bool parse_number(const struct option *option, const char *value, double *out,
                         struct err *err)
{
    char *end;
    errno = 0;
    double number =
        option->kind == DECIMAL ? strtod(value, &end) : (double)strtoll(value, &end, 10);
    if (end == value || errno != 0)
        return invalid(err, value, "a number");
    if (option->kind == SPAN && *end != '\0' && !read_unit_of_time(&end, &number))
        return invalid(err, value, "a time like 30d, 12h, 90m or 60s");
    if (option->kind == BYTES && *end != '\0') {
        const char *unit = strchr("kmgt", tolower((unsigned char)*end));
        if (unit == NULL)
            return invalid(err, value, "a size like 512M or 8G");
        for (const char *u = "kmgt"; u <= unit; u++)
            number *= 1024;
        end++;
    }
    if (*end != '\0')
        return invalid(err, value, "a number");
    if (!(number >= option->min && number <= option->max))
        return err_set(err, ERR_INVALID, "it is %s, but must be from %.15g to %.15g", value,
                       option->min, option->max);
    *out = number;
    return true;
}

static bool parse_switch(const char *value, bool *out, struct err *err)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (int i = 0; i < 8; i++) {
        if (strcmp(value, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return invalid(err, value, "yes or no");
}

static bool parse_value(const struct option *option, const char *value, struct options *out,
                        struct err *err)
{
    void *field = (char *)out + option->offset;
    double number = 0;
    switch (option->kind) {
    case HEADING:
        return true;
    case TEXT:
        return parse_text(value, field, err);
    case SWITCH:
        return parse_switch(value, field, err);
    case KV_TYPE:
        return kv_type_parse(value, field) || invalid(err, value, "one of f32, f16, bf16, q8");
    case MODE:
        return session_mode_parse(value, field) ||
               invalid(err, value, "one of streaming, window, recompute, dense");
    case DURABILITY:
        return store_durability_parse(value, field) ||
               invalid(err, value, "one of always, everysec");
    case REASONING:
        *(bool *)field = strcmp(value, "none") != 0;
        return strcmp(value, "auto") == 0 || strcmp(value, "none") == 0 ||
               invalid(err, value, "one of auto, none");
    case LOG_LEVEL:
        return log_level_parse(value, field) ||
               invalid(err, value, "one of error, warning, info, debug");
    case LOG_FORMAT:
        return log_format_parse(value, field) || invalid(err, value, "one of text, json");
    default:
        if (!parse_number(option, value, &number, err))
            return false;
    }
    if (option->kind == INTEGER)
        *(int *)field = (int)number;
    else if (option->kind == BYTES)
        *(size_t *)field = (size_t)number;
    else if (option->kind == SPAN)
        *(int64_t *)field = (int64_t)number;
    else
        *(float *)field = (float)number;
    return true;
}

static const struct option *find(const char *name, size_t len)
{
    for (int i = 0; i < N_OPTIONS; i++) {
        if (table[i].kind != HEADING && strlen(table[i].name) == len &&
            strncmp(table[i].name, name, len) == 0)
            return &table[i];
    }
    return NULL;
}

static bool read_defaults(struct options *out, struct err *err)
{
    for (int i = 0; i < N_OPTIONS; i++) {
        if (table[i].kind != HEADING && !parse_value(&table[i], table[i].default_text, out, err))
            return err_prefix(err, "default of %s", table[i].name);
    }
    return true;
}

struct file_reading {
    struct options *options;
    struct err *err;
    bool has_failed;
};

/* inih's callback: 1 to go on. */
static int on_file_line(void *arg, const char *section, const char *name, const char *value)
{
    struct file_reading *reading = arg;
    if (reading->has_failed)
        return 1;
    const struct option *option = section[0] == '\0' ? find(name, strlen(name)) : NULL;
    if (option == NULL) {
        err_set(reading->err, ERR_INVALID, "there is no option \"%.100s\"",
                section[0] == '\0' ? name : section);
        reading->has_failed = true;
    } else if (!parse_value(option, value, reading->options, reading->err)) {
        err_prefix(reading->err, "%s", option->name);
        reading->has_failed = true;
    }
    return 1;
}

static bool read_file(struct options *out, const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set(err, ERR_IO, "cannot read the configuration file %s: %s", path,
                       strerror(errno));
    struct file_reading reading = {.options = out, .err = err};
    int line = ini_parse_file(file, on_file_line, &reading);
    fclose(file);
    if (reading.has_failed)
        return err_prefix(err, "configuration file %s", path);
    if (line != 0)
        return err_set(err, ERR_FORMAT, "configuration file %s: line %d is not \"key = value\"",
                       path, line);
    return true;
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
        if (table[i].kind != HEADING && value != NULL && !parse_value(&table[i], value, out, err))
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
        if (value == NULL && option->kind == SWITCH)
            value = "yes";
        else if (value == NULL && (value = argv[++i]) == NULL)
            return err_set(err, ERR_INVALID, "--%s needs a value: %s", option->name, option->help);
        if (!parse_value(option, value, out, err))
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

static size_t size_of(enum kind kind)
{
    switch (kind) {
    case TEXT:
        return OPTIONS_MAX_TEXT;
    case SWITCH:
    case REASONING:
        return sizeof(bool);
    case DECIMAL:
        return sizeof(float);
    case BYTES:
        return sizeof(size_t);
    case SPAN:
        return sizeof(int64_t);
    case HEADING:
        return 0;
    default:
        return sizeof(int); /* and enumerations */
    }
}

/* Texts are compared as texts: what follows their end is left of older ones. */
static bool differs(const struct option *option, const void *a, const void *b)
{
    return option->kind == TEXT ? strcmp(a, b) != 0 : memcmp(a, b, size_of(option->kind)) != 0;
}

bool options_reload(struct options *options, struct err *err)
{
    struct options *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return err_no_memory(err, "the options");
    bool is_good = options_read(fresh, options->argc, options->argv, err);
    for (int i = 0; i < N_OPTIONS && is_good; i++) {
        void *field = (char *)options + table[i].offset;
        const void *fresh_field = (const char *)fresh + table[i].offset;
        if (table[i].kind == HEADING || !differs(&table[i], field, fresh_field))
            continue;
        if (is_live(table[i].name))
            memcpy(field, fresh_field, size_of(table[i].kind));
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
    bool has_default = option->kind != SWITCH && option->default_text[0] != '\0';
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
        if (table[i].kind == HEADING)
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
