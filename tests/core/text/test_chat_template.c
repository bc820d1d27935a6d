#include "tests/support/check.h"

#include <string.h>

#include "core/base/err.h"
#include "core/text/chat_template.h"
#include "core/text/prompt.h"

static void the_style_is_told_from_the_text(void **state)
{
    (void)state;
    static const char LLAMA3[] = "{{ '<|start_header_id|>' + message['role'] }}";
    struct chat_template *template = NULL;
    struct err err = {0};
    assert_true(chat_template_open(&template, LLAMA3, strlen(LLAMA3), &err));
    assert_string_equal(chat_template_name(template), "llama3");
    assert_null(chat_template_warning(template));
    chat_template_close(&template);
    assert_null(template);
    assert_true(chat_template_open(&template, NULL, 0, &err));
    assert_string_equal(chat_template_name(template), "chatml");
    assert_non_null(chat_template_warning(template));
    chat_template_close(&template);
    chat_template_close(&template);
}

static void a_name_chooses(void **state)
{
    (void)state;
    struct chat_template *template = NULL;
    struct err err = {0};
    assert_false(chat_template_open_named(&template, "nonsense", &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_true(chat_template_open_named(&template, "zephyr", &err));
    const struct chat_message message = {.role = CHAT_USER, .content = "Hi", .len = 2};
    const struct chat_render_options options = {.add_generation_prompt = true};
    struct prompt prompt;
    prompt_init(&prompt);
    assert_true(chat_template_render(template, &message, 1, &options, &prompt, &err));
    assert_string_equal(buf_text(&prompt.text), "<|user|>\nHi</s>\n<|assistant|>\n");
    prompt_done(&prompt);
    chat_template_close(&template);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_style_is_told_from_the_text),
        cmocka_unit_test(a_name_chooses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
