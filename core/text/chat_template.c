#include "core/text/chat_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/chat_jinja.h"
#include "core/text/chat_style.h"
#include "core/text/jinja.h"
#include "core/text/prompt.h"

struct chat_template {
    struct chat_jinja main;      /* none: the style */
    struct chat_jinja for_tools; /* none: main */
    struct chat_specials specials;
    char *text; /* of main */
    size_t text_len;
    enum chat_style style;
    char warning[700]; /* empty for none */
};

static char *copy_text(const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return NULL;
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static struct chat_template *template_new(const struct chat_template_source *source,
                                          struct err *err)
{
    struct chat_template *template = calloc(1, sizeof *template);
    if (template != NULL) {
        template->specials.bos = copy_text(source->bos, source->bos_len);
        template->specials.eos = copy_text(source->eos, source->eos_len);
    }
    if (template == NULL || template->specials.bos == NULL || template->specials.eos == NULL) {
        chat_template_close(&template);
        err_no_memory(err, "a chat template");
    }
    return template;
}

/* A template for tools that cannot be used is no loss: the main one writes them as text. */
static bool open_jinja(struct chat_template *template, const struct chat_template_source *source,
                       struct err *err)
{
    if (!chat_jinja_open(&template->main, source->jinja, source->jinja_len, false,
                         &template->specials, err))
        return false;
    template->text = copy_text(source->jinja, source->jinja_len);
    if (template->text == NULL)
        return err_no_memory(err, "a chat template");
    template->text_len = source->jinja_len;
    if (source->tool_jinja_len > 0)
        chat_jinja_open(&template->for_tools, source->tool_jinja, source->tool_jinja_len, true,
                        &template->specials, NULL);
    template->main.needs.calls = source->calls;
    template->for_tools.needs.calls = source->calls;
    return true;
}

bool chat_template_open_strict(struct chat_template **out,
                               const struct chat_template_source *source, struct err *err)
{
    struct chat_template *template = template_new(source, err);
    if (template == NULL)
        return false;
    bool is_open = open_jinja(template, source, err);
    if (is_open)
        *out = template;
    else
        chat_template_close(&template);
    return is_open;
}

bool chat_template_open(struct chat_template **out, const struct chat_template_source *source,
                        struct err *err)
{
    struct chat_template *template = template_new(source, err);
    struct err why = {0};
    if (template == NULL)
        return false;
    *out = template;
    if (source->jinja_len > 0 && open_jinja(template, source, &why))
        return true;
    chat_style_detect(source->jinja, source->jinja_len, &template->style);
    if (source->jinja_len == 0)
        snprintf(template->warning, sizeof template->warning,
                 "the model's chat template is missing");
    else
        snprintf(template->warning, sizeof template->warning,
                 "the model's chat template cannot be used (%s)", why.text);
    return true;
}

bool chat_template_open_named(struct chat_template **out, const char *name, struct err *err)
{
    enum chat_style style;
    if (!chat_style_parse(name, &style))
        return err_set(err, ERR_INVALID, "there is no chat template \"%.100s\"", name);
    const struct chat_template_source source = {0};
    struct chat_template *template = template_new(&source, err);
    if (template == NULL)
        return false;
    template->style = style;
    *out = template;
    return true;
}

void chat_template_close(struct chat_template **template)
{
    if (*template == NULL)
        return;
    chat_jinja_close(&(*template)->main);
    chat_jinja_close(&(*template)->for_tools);
    free((*template)->text);
    free((*template)->specials.bos);
    free((*template)->specials.eos);
    free(*template);
    *template = NULL;
}

const char *chat_template_name(const struct chat_template *template)
{
    return template->main.jinja != NULL ? "jinja" : chat_style_name(template->style);
}

const char *chat_template_text(const struct chat_template *template, size_t *out_len)
{
    *out_len = template->text_len;
    return template->text;
}

const char *chat_template_warning(const struct chat_template *template)
{
    return template->warning[0] != '\0' ? template->warning : NULL;
}

/* The built-in styles know roles and contents, and put system messages where they can. */
struct chat_caps chat_template_caps(const struct chat_template *template)
{
    const struct chat_jinja *main = &template->main;
    const struct chat_jinja *tools =
        template->for_tools.jinja != NULL ? &template->for_tools : &template->main;
    if (main->jinja == NULL)
        return (struct chat_caps){.has_system = true};
    bool has_calls = !tools->needs.writes_calls;
    return (struct chat_caps){
        .has_system = !main->needs.folds_systems,
        .has_tools = !tools->needs.writes_tools,
        .has_calls = has_calls,
        .has_many_calls = tools->has_many_calls,
        .has_object_arguments = has_calls && !tools->shape.has_text_arguments,
        .has_parts = main->shape.has_parts,
        .keeps_thoughts = main->keeps_thoughts,
    };
}

static bool render_style(enum chat_style style, const struct chat_message *messages,
                         size_t n_messages, const struct chat_render_options *options,
                         struct prompt *out, struct err *err)
{
    bool has_more = options->tools_len > 0;
    for (size_t i = 0; i < n_messages; i++)
        has_more |= messages[i].extra_len > 0;
    if (has_more)
        return chat_style_render_tools(style, messages, n_messages, options, out, err);
    chat_style_render(style, messages, n_messages, options->add_generation_prompt, out);
    return !prompt_failed(out) || err_no_memory(err, "a prompt");
}

bool chat_template_render(const struct chat_template *template, const struct chat_message *messages,
                          size_t n_messages, const struct chat_render_options *options,
                          struct prompt *out, struct err *err)
{
    bool for_tools = template->for_tools.jinja != NULL && options->tools_len > 0;
    const struct chat_jinja *chat = for_tools ? &template->for_tools : &template->main;
    if (chat->jinja != NULL)
        return chat_jinja_render(chat, &template->specials, messages, n_messages, options, out,
                                 err);
    return render_style(template->style, messages, n_messages, options, out, err);
}

const char *chat_template_open_thought(const struct prompt *prompt)
{
    static const struct {
        const char *open, *close;
    } tags[] = {
        {"<think>", "</think>"},
        {"<thinking>", "</thinking>"},
        {"<thought>", "</thought>"},
        {"<reasoning>", "</reasoning>"},
        {"[THINK]", "[/THINK]"},
        {"<seed:think>", "</seed:think>"},
        {"<|START_THINKING|>", "<|END_THINKING|>"},
        {"<|begin_of_thought|>", "<|end_of_thought|>"},
    };
    const char *text = buf_text(&prompt->text);
    size_t end = prompt->text.len;
    bool is_control = prompt->n_spans > 0 && prompt->spans[prompt->n_spans - 1].is_control;
    size_t begin = prompt->n_spans > 1 ? prompt->spans[prompt->n_spans - 2].end : 0;
    while (end > begin && strchr(" \n\r\t", text[end - 1]) != NULL)
        end--;
    for (size_t i = 0; is_control && i < sizeof tags / sizeof tags[0]; i++) {
        size_t len = strlen(tags[i].open);
        if (len <= end - begin && memcmp(text + end - len, tags[i].open, len) == 0)
            return tags[i].close;
    }
    return NULL;
}
