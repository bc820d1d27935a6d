#include "core/text/jinja_output.h"

#include "core/base/err.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_scope.h"
#include "core/text/prompt.h"

static void write_to_prompt(void *arg, const char *text, size_t len, enum jinja_mark mark)
{
    struct jinja_output *output = arg;
    if (mark == JINJA_CONTROL)
        prompt_append_control(output->prompt, text, len);
    else
        prompt_append_plain(output->prompt, text, len);
    if (mark == JINJA_TRACKED)
        output->tracked_end = output->prompt->text.len;
}

bool jinja_output_string(struct jinja_run *run, const struct jinja_string *string)
{
    struct jinja_output *output = run->output;
    if (output->prompt == NULL) {
        jinja_write_string(&output->writer, string);
        return !output->writer.failed;
    }
    if (string->len > output->max_bytes)
        return err_set(run->err, ERR_LIMIT, "the chat template writes too much");
    output->max_bytes -= string->len;
    jinja_string_visit(string, write_to_prompt, output);
    return jinja_spend_bytes(run, string->len) &&
           (!prompt_failed(output->prompt) || err_no_memory(run->err, "a prompt"));
}

bool jinja_output_value(struct jinja_run *run, struct jinja_value value)
{
    struct jinja_value text;
    return jinja_to_string(run, value, &text) && jinja_output_string(run, text.string);
}

bool jinja_capture_begin(struct jinja_run *run, struct jinja_scope *parent,
                         struct jinja_capture *capture)
{
    struct jinja_scope *scope = jinja_scope_new(run, parent);
    *capture = (struct jinja_capture){.outer = run->output, .outer_scope = run->scope};
    if (scope == NULL)
        return false;
    jinja_writer_init(&capture->output.writer, run, 64);
    run->output = &capture->output;
    run->scope = scope;
    return true;
}

bool jinja_capture_end(struct jinja_run *run, struct jinja_capture *capture, bool is_good,
                       struct jinja_value *out)
{
    run->output = capture->outer;
    run->scope = capture->outer_scope;
    return is_good && jinja_writer_end(&capture->output.writer, out);
}
