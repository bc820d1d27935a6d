#include "core/text/chat_jinja.h"

#include <string.h>

#include "core/base/err.h"
#include "core/text/chat_probe.h"
#include "core/text/chat_template.h"
#include "core/text/jinja.h"
#include "core/text/jinja_dict.h"
#include "core/text/jinja_string.h"
#include "core/text/json_reader.h"
#include "core/text/prompt.h"

/* What a rendering may cost: something to begin with, then by the message and by the byte. Real
 * templates need a hundredth of it. */
enum {
    BASE_STEPS = 2000000,
    STEPS_PER_MESSAGE = 10000,
    STEPS_PER_BYTE = 4,
    BASE_MEMORY_BYTES = 16 * 1024 * 1024,
    MEMORY_PER_MESSAGE = 32 * 1024,
    MEMORY_PER_BYTE = 16,
    BASE_OUTPUT_BYTES = 1024 * 1024,
    OUTPUT_PER_MESSAGE = 4096,
    OUTPUT_PER_BYTE = 4,
    BASE_TIME_MS = 2000,
    TIME_PER_MESSAGE_US = 500,
    TIME_PER_BYTE_NS = 20,
};

/* One call of chat_jinja_render. */
struct rendering {
    const struct chat_jinja *chat;
    const struct chat_specials *specials;
    const struct chat_message *messages;
    size_t n_messages;
    const struct chat_render_options *options;
    bool is_continued; /* the last message is spoken on */
    struct prompt *out;
};

static struct jinja_limits limits_of(const struct rendering *job)
{
    size_t n = job->n_messages, n_bytes = job->options->tools_len + job->options->kwargs_len;
    for (size_t i = 0; i < n; i++)
        n_bytes +=
            job->messages[i].len + job->messages[i].extra_len + job->messages[i].reasoning_len;
    return (struct jinja_limits){
        .n_steps = BASE_STEPS + (int64_t)(n * STEPS_PER_MESSAGE + n_bytes * STEPS_PER_BYTE),
        .n_memory_bytes = BASE_MEMORY_BYTES + n * MEMORY_PER_MESSAGE + n_bytes * MEMORY_PER_BYTE,
        .n_output_bytes = BASE_OUTPUT_BYTES + n * OUTPUT_PER_MESSAGE + n_bytes * OUTPUT_PER_BYTE,
        .time_ns = BASE_TIME_MS * INT64_C(1000000) +
                   (int64_t)(n * TIME_PER_MESSAGE_US * 1000 + n_bytes * TIME_PER_BYTE_NS),
    };
}

/* ---- one attempt ---- */

static bool set(struct jinja_run *run, const char *name, struct jinja_value value)
{
    return jinja_set(run, name, strlen(name), value);
}

static bool set_special(struct jinja_run *run, const char *name, const char *text)
{
    struct jinja_value value;
    return jinja_string_borrow(run, text, strlen(text), JINJA_CONTROL, &value) &&
           set(run, name, value);
}

/* The client's variables come first: none of them hides one of ours. */
static bool set_kwargs(struct jinja_run *run, const struct chat_render_options *options)
{
    struct jinja_value kwargs;
    if (options->kwargs_len == 0)
        return true;
    if (!json_read(run, "the template's variables", options->kwargs, options->kwargs_len,
                   JINJA_DATA, &kwargs))
        return false;
    if (kwargs.type != JINJA_DICT)
        return err_set(run->err, ERR_INVALID, "the template's variables must be an object");
    for (size_t i = 0; i < kwargs.dict->n; i++) {
        const struct jinja_item *item = &kwargs.dict->items[i];
        if (!jinja_set(run, item->key.string->data, item->key.string->len, item->value))
            return false;
    }
    return true;
}

static bool read_tools(struct jinja_run *run, const struct chat_render_options *options,
                       struct jinja_value *out)
{
    *out = jinja_none();
    if (options->tools_len == 0)
        return true;
    if (!json_read(run, "the tools", options->tools, options->tools_len, JINJA_DATA, out))
        return false;
    if (out->type != JINJA_LIST)
        return err_set(run->err, ERR_INVALID, "the tools must be a list");
    if (out->list->n == 0)
        *out = jinja_none();
    return true;
}

static bool set_variables(const struct rendering *job, struct jinja_run *run,
                          struct jinja_value messages, struct jinja_value tools)
{
    bool add_generation_prompt = job->options->add_generation_prompt && !job->is_continued;
    if (tools.type == JINJA_NONE && job->chat->shape.has_empty_tools &&
        !jinja_list_new(run, JINJA_LIST, 0, &tools))
        return false;
    return set(run, "documents", jinja_none()) && set_kwargs(run, job->options) &&
           set(run, "messages", messages) && set(run, "tools", tools) &&
           set(run, "add_generation_prompt", jinja_bool(add_generation_prompt)) &&
           set_special(run, "bos_token", job->specials->bos) &&
           set_special(run, "eos_token", job->specials->eos);
}

/* What the template is to see, in its place. False with the failure set, or with *out_is_new
 * false when the adaptation changes nothing. */
static bool prepare(const struct rendering *job, const struct chat_adaptation *how,
                    struct jinja_run *run, bool *out_is_new)
{
    struct jinja_value messages, tools;
    return read_tools(run, job->options, &tools) &&
           chat_values_messages(run, job->messages, job->n_messages, job->is_continued,
                                &messages) &&
           chat_adapt(run, how, tools, &messages, out_is_new) &&
           chat_values_shape(run, messages, &job->chat->shape) &&
           set_variables(job, run, messages, how->writes_tools ? jinja_none() : tools);
}

static bool render(const struct rendering *job, struct err *err);

/* What a message that is spoken on is followed by is cut off; one that the template does not show
 * is written behind the prompt of those before it. */
static bool end_continued(const struct rendering *job, size_t begin, size_t tracked_end,
                          struct err *err)
{
    const struct chat_message *last = &job->messages[job->n_messages - 1];
    if (tracked_end > 0) {
        prompt_truncate(job->out, tracked_end);
        return true;
    }
    prompt_truncate(job->out, begin);
    struct rendering before = *job;
    before.is_continued = false;
    before.n_messages--;
    if (!render(&before, err))
        return false;
    prompt_append_plain(job->out, last->content, last->len);
    return !prompt_failed(job->out) || err_no_memory(err, "a prompt");
}

/* Renders adapted messages; *out_is_new is false, with nothing done, when there is nothing to
 * adapt. */
static bool attempt(const struct rendering *job, const struct chat_adaptation *how, bool is_first,
                    bool *out_is_new, struct err *err)
{
    const struct jinja_limits limits = limits_of(job);
    struct jinja_run run;
    size_t begin = job->out->text.len, tracked_end;
    if (!jinja_begin(job->chat->jinja, &run, &limits, job->options->now, err))
        return false;
    bool is_good = prepare(job, how, &run, out_is_new);
    *out_is_new |= is_first;
    if (is_good && *out_is_new)
        is_good = jinja_write_prompt(job->chat->jinja, &run, job->out, &tracked_end) &&
                  (!job->is_continued || end_continued(job, begin, tracked_end, err));
    jinja_end(&run);
    if (!is_good)
        prompt_truncate(job->out, begin);
    return is_good;
}

/* ---- until it fits ---- */

/* The i-th thing to try behind the messages as they are: what changes least comes first. */
static struct chat_adaptation try_of(const struct chat_adaptation *needs, int i)
{
    struct chat_adaptation how = *needs;
    how.folds_later_systems |= i % 3 >= 1;
    how.folds_systems |= i % 3 == 2;
    how.merges_neighbours |= i / 3 % 2 == 1;
    how.writes_tools |= i / 6 == 1;
    how.writes_calls |= i / 6 == 1;
    how.writes_results |= i / 6 == 1;
    return how;
}
enum { N_TRIES = 12 };

/* True for a failure that other messages may not meet. */
static bool is_worth_trying(const struct err *err)
{
    return err->code == ERR_INVALID;
}

static bool render(const struct rendering *job, struct err *err)
{
    struct err first = {0}, later = {.code = ERR_INVALID};
    bool is_new = true;
    if (attempt(job, &job->chat->needs, true, &is_new, &first))
        return true;
    for (int i = 1; i < N_TRIES && is_worth_trying(&first) && is_worth_trying(&later); i++) {
        const struct chat_adaptation how = try_of(&job->chat->needs, i);
        if (attempt(job, &how, false, &is_new, &later) && is_new)
            return true;
    }
    /* The words are for the client, who can only send other messages. */
    return err_set(err, first.code == ERR_MEMORY ? ERR_MEMORY : ERR_INVALID, "%s", first.text);
}

bool chat_jinja_render(const struct chat_jinja *chat, const struct chat_specials *specials,
                       const struct chat_message *messages, size_t n_messages,
                       const struct chat_render_options *options, struct prompt *out,
                       struct err *err)
{
    struct rendering job = {chat, specials, messages, n_messages, options, false, out};
    const struct chat_message *last = n_messages > 0 ? &messages[n_messages - 1] : NULL;
    if (options->add_generation_prompt && last != NULL && last->role == CHAT_ASSISTANT) {
        job.is_continued = last->len > 0 || last->extra_len > 0;
        job.n_messages -= !job.is_continued; /* nothing was said: it begins to speak */
    }
    return render(&job, err);
}

bool chat_jinja_render_as_is(const struct chat_jinja *chat, const struct chat_specials *specials,
                             const struct chat_message *messages, size_t n_messages,
                             const struct chat_render_options *options, struct prompt *out,
                             struct err *err)
{
    const struct rendering job = {chat, specials, messages, n_messages, options, false, out};
    bool is_new;
    return attempt(&job, &chat->needs, true, &is_new, err);
}

bool chat_jinja_open(struct chat_jinja *out, const char *text, size_t len, bool has_tools,
                     const struct chat_specials *specials, struct err *err)
{
    *out = (struct chat_jinja){.has_tools = has_tools};
    if (!jinja_open(&out->jinja, text, len, err))
        return false;
    if (chat_probe(out, specials, err))
        return true;
    chat_jinja_close(out);
    return false;
}

void chat_jinja_close(struct chat_jinja *chat)
{
    jinja_close(&chat->jinja);
}
