#include "server/ollama_reply.h"

#include <time.h>

#include "core/base/buf.h"
#include "core/engine/engine.h"
#include "server/api_error.h"
#include "server/json_text.h"

static void append_time(int64_t seconds, struct buf *out)
{
    char text[32] = "";
    struct tm parts;
    time_t time = (time_t)seconds;
    if (gmtime_r(&time, &parts) != NULL)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    json_text_append_string(out, text);
}

/* "7.2B", as it is on a model's card. */
static void append_size(uint64_t n, struct buf *out)
{
    static const struct {
        double unit;
        char letter;
    } units[] = {{1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}};
    size_t i = 0;
    while (i < 2 && (double)n < units[i].unit)
        i++;
    buf_append_format(out, "\"%.1f%c\"", (double)n / units[i].unit, units[i].letter);
}

static void append_details(const struct engine_info *info, struct buf *out)
{
    buf_append_text(out, "\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":");
    json_text_append_string(out, info->architecture);
    buf_append_text(out, ",\"families\":[");
    json_text_append_string(out, info->architecture);
    buf_append_text(out, "],\"parameter_size\":");
    append_size(info->n_parameters, out);
    buf_append_text(out, ",\"quantization_level\":\"unknown\"}");
}

static void append_capabilities(const struct ollama_model *model, struct buf *out)
{
    buf_append_format(out, "\"capabilities\":[\"completion\"%s%s]",
                      model->has_tools ? ",\"tools\"" : "", model->thinks ? ",\"thinking\"" : "");
}

/* There is no digest: the file is not read for one. */
void ollama_reply_tags(const struct ollama_model *model, struct buf *out)
{
    buf_append_text(out, "{\"models\":[{\"name\":");
    json_text_append_string(out, model->id);
    buf_append_text(out, ",\"model\":");
    json_text_append_string(out, model->id);
    buf_append_text(out, ",\"modified_at\":");
    append_time(model->created, out);
    buf_append_format(out, ",\"size\":%zu,\"digest\":\"\",", model->info->file_bytes);
    append_details(model->info, out);
    buf_append_char(out, ',');
    append_capabilities(model, out);
    buf_append_text(out, "}]}");
}

/* A conversation may be longer than the window, but this is what is seen at once. */
static void append_model_info(const struct ollama_model *model, struct buf *out)
{
    const struct engine_info *info = model->info;
    buf_append_text(out, "\"model_info\":{\"general.architecture\":");
    json_text_append_string(out, info->architecture);
    buf_append_text(out, ",\"general.basename\":");
    json_text_append_string(out, model->id);
    buf_append_format(out, ",\"general.parameter_count\":%llu,\"%s.context_length\":%d}",
                      (unsigned long long)info->n_parameters, info->architecture, info->n_window);
}

void ollama_reply_show(const struct ollama_model *model, struct buf *out)
{
    const struct engine_info *info = model->info;
    buf_append_text(out, "{\"modelfile\":\"\",\"parameters\":\"\",\"template\":");
    json_text_append(out, info->chat_template == NULL ? "" : info->chat_template,
                     info->chat_template_len);
    buf_append_char(out, ',');
    append_details(info, out);
    buf_append_char(out, ',');
    append_model_info(model, out);
    buf_append_char(out, ',');
    append_capabilities(model, out);
    buf_append_text(out, ",\"modified_at\":");
    append_time(model->created, out);
    buf_append_char(out, '}');
}

void ollama_reply_error(const struct api_error *error, struct buf *out)
{
    buf_append_text(out, "{\"error\":");
    json_text_append_string(out, error->message);
    buf_append_char(out, '}');
}
