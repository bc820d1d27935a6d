#include "core/text/jinja.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/jinja_eval.h"
#include "core/text/jinja_names.h"
#include "core/text/jinja_output.h"
#include "core/text/jinja_parser.h"
#include "core/text/jinja_scope.h"
#include "core/text/prompt.h"

/* What parsing may cost, by the length of the text. */
enum {
    PARSE_STEPS_PER_BYTE = 16,
    PARSE_MEMORY_PER_BYTE = 512,
    PARSE_MEMORY_BYTES = 64 * 1024,
};
static const int64_t PARSE_TIME_NS = 5000000000;

struct jinja {
    struct arena arena;
    struct jinja_node *nodes;
    struct jinja_name *names[JINJA_N_NAMES];
};

/* LF line ends, and without the one at the end, as Jinja2 reads a source. */
static size_t normalize(const char *text, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n')
            continue;
        out[n++] = text[i] == '\r' ? '\n' : text[i];
    }
    return n > 0 && out[n - 1] == '\n' ? n - 1 : n;
}

static bool parse(struct jinja *jinja, struct jinja_run *run, const char *text, size_t len)
{
    char *copy = jinja_alloc_text(run, len);
    if (copy == NULL)
        return false;
    len = normalize(text, len, copy);
    return jinja_parse_template(run, copy, len, jinja->names, &jinja->nodes);
}

bool jinja_open(struct jinja **out, const char *text, size_t len, struct err *err)
{
    if (len > JINJA_MAX_TEMPLATE_BYTES)
        return err_set(err, ERR_LIMIT, "a chat template may have %d bytes",
                       JINJA_MAX_TEMPLATE_BYTES);
    struct jinja *jinja = calloc(1, sizeof *jinja);
    if (jinja == NULL)
        return err_no_memory(err, "a chat template");
    const struct jinja_limits limits = {
        .n_steps = (int64_t)len * PARSE_STEPS_PER_BYTE + 1000,
        .n_memory_bytes = len * PARSE_MEMORY_PER_BYTE + PARSE_MEMORY_BYTES,
        .time_ns = PARSE_TIME_NS,
    };
    struct jinja_run run;
    jinja_run_init(&run, &limits, 0, err);
    bool is_parsed = parse(jinja, &run, text, len);
    jinja->arena = run.arena; /* the tree lies in it */
    if (is_parsed)
        *out = jinja;
    else
        jinja_close(&jinja);
    return is_parsed;
}

void jinja_close(struct jinja **jinja)
{
    if (*jinja == NULL)
        return;
    arena_done(&(*jinja)->arena);
    free(*jinja);
    *jinja = NULL;
}

bool jinja_mentions(const struct jinja *jinja, const char *name)
{
    return jinja_name_find(jinja->names, name, strlen(name)) != NULL;
}

bool jinja_begin(const struct jinja *jinja, struct jinja_run *run,
                 const struct jinja_limits *limits, int64_t now, struct err *err)
{
    jinja_run_init(run, limits, now, err);
    run->names = jinja->names;
    run->scope = jinja_scope_new(run, NULL);
    if (run->scope != NULL)
        return true;
    jinja_end(run);
    return false;
}

bool jinja_set(struct jinja_run *run, const char *name, size_t len, struct jinja_value value)
{
    const struct jinja_name *known = jinja_name_find(run->names, name, len);
    return known == NULL || jinja_scope_set(run, run->scope, known, value);
}

bool jinja_write_prompt(const struct jinja *jinja, struct jinja_run *run, struct prompt *out,
                        size_t *out_tracked_end)
{
    struct jinja_scope *globals = run->scope;
    struct jinja_output output = {.prompt = out, .max_bytes = run->n_output_bytes};
    enum jinja_flow flow;
    run->scope = jinja_scope_new(run, globals);
    run->output = &output;
    bool is_good = run->scope != NULL && jinja_exec(run, jinja->nodes, &flow);
    run->scope = globals;
    run->output = NULL;
    *out_tracked_end = output.tracked_end;
    return is_good;
}

void jinja_end(struct jinja_run *run)
{
    jinja_run_done(run);
}
