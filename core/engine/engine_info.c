#include "core/engine/engine_info.h"

#include <stdio.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/cpu_quota.h"
#include "core/gguf/gguf.h"
#include "core/model/model.h"
#include "core/session/session.h"

enum {
    DEFAULT_SINKS = 4, /* enough for every model of the paper's Table 2 */
    DEFAULT_BATCH_SESSIONS = 256,
    DEFAULT_REQUESTS = 1024,
    DEFAULT_PREFILL_CHUNK = 256,
    MAX_SLACK = 1023,
};

/* ---- options ---- */

static bool check_options(const struct engine_options *options, struct err *err)
{
    if (options->n_threads < 0 || options->n_threads > 256)
        return err_set(err, ERR_INVALID, "threads is %d; it must be 1 to 256", options->n_threads);
    if (options->max_batch_sessions < 0 || options->max_batch_sessions > 1024)
        return err_set(err, ERR_INVALID, "at most 1024 sessions can speak at once, not %d",
                       options->max_batch_sessions);
    if (options->prefill_chunk < 0 || options->prefill_chunk > 4096)
        return err_set(err, ERR_INVALID, "the prefill chunk is %d; it must be 1 to 4096",
                       options->prefill_chunk);
    if (options->n_drafts < 0 || options->n_drafts > SESSION_MAX_DRAFTS)
        return err_set(err, ERR_INVALID, "the drafts of a step are %d; they must be 0 to %d",
                       options->n_drafts, (int)SESSION_MAX_DRAFTS);
    if (options->max_requests < 0 || options->max_requests > 65536)
        return err_set(err, ERR_INVALID, "max requests is %d; it must be 1 to 65536",
                       options->max_requests);
    return true;
}

static void set_default(int *value, int fallback)
{
    if (*value == 0)
        *value = fallback;
}

bool engine_options_settle(struct engine_options *options, struct err *err)
{
    if (!check_options(options, err))
        return false;
    set_default(&options->n_threads, cpu_quota_threads());
    set_default(&options->max_batch_sessions, DEFAULT_BATCH_SESSIONS);
    set_default(&options->max_requests, DEFAULT_REQUESTS);
    set_default(&options->prefill_chunk, DEFAULT_PREFILL_CHUNK);
    return true;
}

/* ---- what comes of them ---- */

/* Window and sinks as asked for, held against what the model was trained on. */
static bool choose_window(struct engine_info *info, const struct engine_options *options,
                          struct err *err)
{
    info->n_window = options->n_window > 0 ? options->n_window : info->n_context;
    if (info->n_window > info->n_context)
        return err_set(err, ERR_INVALID,
                       "the window is %d tokens, but this model was trained on %d: use --window %d "
                       "or less",
                       info->n_window, info->n_context, info->n_context);
    info->n_sinks = options->n_sinks >= 0 ? options->n_sinks : DEFAULT_SINKS;
    if (info->mode != SESSION_MODE_STREAMING)
        info->n_sinks = 0;
    else if (options->n_sinks < 0 && info->n_sinks >= info->n_window)
        info->n_sinks = info->n_window - 1;
    if (info->n_sinks >= info->n_window)
        return err_set(
            err, ERR_INVALID,
            "%d sinks leave no room in a window of %d tokens: use fewer sinks or a larger "
            "window",
            info->n_sinks, info->n_window);
    return true;
}

/* Rows beyond the window: one chunk of prompt must fit, and a quarter of the window makes the last
 * turns of a chat exactly repeatable (regenerate, edit) for little memory. */
static int choose_slack(int n_window, int prefill_chunk)
{
    int slack = n_window / 4 < MAX_SLACK ? n_window / 4 : MAX_SLACK;
    return slack > prefill_chunk - 1 ? slack : prefill_chunk - 1;
}

struct kv_shape engine_info_shape(const struct engine_info *info, const struct model *model)
{
    struct kv_shape shape = model_kv_shape(model);
    shape.type = info->kv_type;
    shape.n_sinks = info->n_sinks;
    shape.n_window = info->n_window;
    shape.n_slack = info->n_slack;
    return shape;
}

/* The file's name rather than general.name: the latter is whatever its converter's folder was
 * called, and a user has the former in front of him. */
static void name_model(struct engine_info *info, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(info->model_name, sizeof info->model_name, "%s", slash != NULL ? slash + 1 : path);
    size_t len = strlen(info->model_name);
    if (len > 5 && strcmp(info->model_name + len - 5, ".gguf") == 0)
        info->model_name[len - 5] = '\0';
}

bool engine_info_init(struct engine_info *info, const struct engine_options *options,
                      const struct gguf *file, const struct model *model, struct err *err)
{
    *info = (struct engine_info){.n_threads = options->n_threads};
    name_model(info, options->model_path);
    memcpy(info->architecture, model->shape.architecture, sizeof info->architecture);
    struct gguf_text template;
    if (gguf_get_text(file, "tokenizer.chat_template", &template)) {
        info->chat_template = template.data;
        info->chat_template_len = template.len;
    }
    if (gguf_get_text(file, "tokenizer.chat_template.tool_use", &template)) {
        info->tool_chat_template = template.data;
        info->tool_chat_template_len = template.len;
    }
    info->n_vocab = model->shape.n_vocab;
    info->n_context = model->shape.n_context;
    info->kv_type = options->kv_type;
    info->mode = options->mode;
    info->n_parameters = model->n_parameters;
    info->file_bytes = gguf_file_bytes(file);
    if (!choose_window(info, options, err))
        return false;
    info->n_slack = choose_slack(info->n_window, options->prefill_chunk);
    struct kv_shape shape = engine_info_shape(info, model);
    info->session_bytes = kv_shape_bytes(&shape);
    return true;
}

uint64_t engine_info_fingerprint(const struct engine_info *info,
                                 const struct engine_options *options, const struct gguf *file)
{
    if (options->kv_folder == NULL)
        return 0;
    const int numbers[] = {info->n_window, info->n_slack, (int)info->mode, (int)info->kv_type};
    const char *texts[] = {kernels->name, options->kv_meaning == NULL ? "" : options->kv_meaning};
    uint64_t hash = gguf_fingerprint(file);
    hash = checksum_hash(hash, numbers, sizeof numbers);
    for (int i = 0; i < 2; i++)
        hash = checksum_hash(hash, texts[i], strlen(texts[i]) + 1);
    return hash;
}
