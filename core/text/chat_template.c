#include "core/text/chat_template.h"

#include <stdlib.h>

#include "core/base/err.h"
#include "core/text/chat_style.h"
#include "core/text/prompt.h"

struct chat_template {
    enum chat_style style;
    const char *warning; /* static; NULL for none */
};

static bool open_style(struct chat_template **out, enum chat_style style, const char *warning,
                       struct err *err)
{
    struct chat_template *template = calloc(1, sizeof *template);
    if (template == NULL)
        return err_no_memory(err, "a chat template");
    template->style = style;
    template->warning = warning;
    *out = template;
    return true;
}

bool chat_template_open(struct chat_template **out, const char *jinja, size_t len, struct err *err)
{
    enum chat_style style;
    const char *warning = NULL;
    if (!chat_style_detect(jinja, len, &style))
        warning = len == 0 ? "the model's chat template is missing"
                           : "the model's chat template is not known";
    return open_style(out, style, warning, err);
}

bool chat_template_open_named(struct chat_template **out, const char *name, struct err *err)
{
    enum chat_style style;
    if (!chat_style_parse(name, &style))
        return err_set(err, ERR_INVALID, "there is no chat template \"%.100s\"", name);
    return open_style(out, style, NULL, err);
}

void chat_template_close(struct chat_template **template)
{
    free(*template);
    *template = NULL;
}

const char *chat_template_name(const struct chat_template *template)
{
    return chat_style_name(template->style);
}

const char *chat_template_warning(const struct chat_template *template)
{
    return template->warning;
}

bool chat_template_render(const struct chat_template *template, const struct chat_message *messages,
                          size_t n_messages, const struct chat_render_options *options,
                          struct prompt *out, struct err *err)
{
    chat_style_render(template->style, messages, n_messages, options->add_generation_prompt, out);
    return !prompt_failed(out) || err_no_memory(err, "a prompt");
}
