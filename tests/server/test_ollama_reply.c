/* test_ollama_reply.c - what editors that look for an ollama server find. */
#include "server/ollama_reply.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/engine/engine.h"
#include "server/api_error.h"
#include "tests/support/check.h"

static const struct engine_info info = {
    .architecture = "qwen3",
    .chat_template = "{{ \"x\" }}and more",
    .chat_template_len = 9,
    .n_window = 4096,
    .n_parameters = 7240000000,
    .file_bytes = 4200000000,
};

static json_t *reply(void (*write)(const struct ollama_model *, struct buf *),
                     const struct ollama_model *model)
{
    struct buf out;
    buf_init(&out);
    write(model, &out);
    json_t *root = json_loadb(buf_text(&out), out.len, 0, NULL);
    if (root == NULL)
        fail_msg("%s", buf_text(&out));
    buf_done(&out);
    return root;
}

static void the_list_has_the_model(void **state)
{
    (void)state;
    const struct ollama_model model = {.info = &info, .id = "me", .created = 86400};
    json_t *root = reply(ollama_reply_tags, &model);
    json_t *one = json_array_get(json_object_get(root, "models"), 0);
    const char *name, *id, *modified, *size;
    json_int_t n_bytes;
    assert_int_equal(json_unpack(one, "{s:s, s:s, s:s, s:I, s:{s:s}}", "name", &name, "model", &id,
                                 "modified_at", &modified, "size", &n_bytes, "details",
                                 "parameter_size", &size),
                     0);
    assert_string_equal(name, "me");
    assert_string_equal(id, "me");
    assert_string_equal(modified, "1970-01-02T00:00:00Z");
    assert_string_equal(size, "7.2B");
    assert_int_equal(n_bytes, 4200000000);
    json_decref(root);
}

static void what_it_can_do_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const struct ollama_model model = {
            .info = &info, .id = "me", .has_tools = (i & 1) != 0, .thinks = (i & 2) != 0};
        json_t *root = reply(ollama_reply_show, &model);
        char *can = json_dumps(json_object_get(root, "capabilities"), JSON_COMPACT);
        assert_string_equal(can, ((const char *[]){"[\"completion\"]", "[\"completion\",\"tools\"]",
                                                   "[\"completion\",\"thinking\"]",
                                                   "[\"completion\",\"tools\",\"thinking\"]"})[i]);
        json_t *more = json_object_get(root, "model_info");
        assert_int_equal(json_integer_value(json_object_get(more, "qwen3.context_length")), 4096);
        assert_string_equal(json_string_value(json_object_get(root, "template")), "{{ \"x\" }}");
        free(can);
        json_decref(root);
    }
}

static void an_error_is_a_sentence(void **state)
{
    (void)state;
    struct api_error error;
    struct buf out;
    buf_init(&out);
    api_error_set(&error, 404, "model_not_found", "model", "model '%s' not found", "x");
    ollama_reply_error(&error, &out);
    assert_string_equal(buf_text(&out), "{\"error\":\"model 'x' not found\"}");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_has_the_model),
        cmocka_unit_test(what_it_can_do_is_told),
        cmocka_unit_test(an_error_is_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
