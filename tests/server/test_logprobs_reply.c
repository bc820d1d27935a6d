#include "server/logprobs_reply.h"

#include <jansson.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/text/tokenizer.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

enum { FIRST_BYTE = 3 }; /* token 3 is "<0x00>" */

static struct tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    (void)state;
    struct gguf *file = NULL;
    struct err err;
    bool is_open =
        gguf_open(&file, TINY_MODEL_PATH, &err) && tokenizer_open(&tokenizer, file, &err);
    gguf_close(&file);
    return !is_open;
}

static int close_tokenizer(void **state)
{
    (void)state;
    tokenizer_close(&tokenizer);
    return 0;
}

/* "é" in two byte tokens, then "a", whose best alternative is the end of the text. */
static void make_reports(struct token_report reports[3])
{
    static const unsigned char bytes[] = {0xC3, 0xA9, 'a'};
    for (int i = 0; i < 3; i++)
        reports[i] = (struct token_report){
            .chosen = {FIRST_BYTE + bytes[i], -0.5F - (float)i},
            .text_begin = (size_t)i,
            .text_end = (size_t)i + 1,
        };
    reports[2].n_top = 1;
    reports[2].top[0] = (struct token_likelihood){tokenizer_eos(tokenizer), TOKEN_REPORT_UNLIKELY};
}

static json_t *parse(struct buf *text)
{
    json_t *root = json_loadb(buf_text(text), text->len, JSON_REJECT_DUPLICATES, NULL);
    if (root == NULL)
        fail_msg("no JSON: %s", buf_text(text));
    buf_done(text);
    return root;
}

static void a_part_of_a_character_keeps_its_bytes(void **state)
{
    (void)state;
    struct token_report reports[3];
    struct buf out = {0};
    make_reports(reports);
    logprobs_reply_chat(tokenizer, reports, 3, &out);
    json_t *root = parse(&out);
    json_t *content = json_object_get(root, "content");
    assert_true(json_is_null(json_object_get(root, "refusal")));
    assert_int_equal(json_array_size(content), 3);
    json_t *first = json_array_get(content, 0);
    assert_string_equal(json_string_value(json_object_get(first, "token")), "\xEF\xBF\xBD");
    json_t *bytes = json_object_get(first, "bytes");
    assert_int_equal(json_array_size(bytes), 1);
    assert_int_equal(json_integer_value(json_array_get(bytes, 0)), 0xC3);
    assert_int_equal(json_array_size(json_object_get(first, "top_logprobs")), 0);
    assert_true(json_number_value(json_object_get(first, "logprob")) == -0.5);

    json_t *top = json_array_get(json_object_get(json_array_get(content, 2), "top_logprobs"), 0);
    assert_string_equal(json_string_value(json_object_get(top, "token")), "</s>");
    assert_true(json_number_value(json_object_get(top, "logprob")) == -9999);
    json_decref(root);
}

static void offsets_of_a_completion_count_characters(void **state)
{
    (void)state;
    struct token_report reports[3];
    struct buf out = {0};
    make_reports(reports);
    struct logprobs_text text = {.text = "\xC3\xA9"
                                         "a",
                                 .len = 3,
                                 .n_before = 10};
    logprobs_reply_completion(tokenizer, reports, 3, &text, &out);
    json_t *root = parse(&out);
    json_t *tokens = json_object_get(root, "tokens");
    assert_string_equal(json_string_value(json_array_get(tokens, 0)), "bytes:\\xc3");
    assert_string_equal(json_string_value(json_array_get(tokens, 2)), "a");
    json_t *offsets = json_object_get(root, "text_offset");
    assert_int_equal(json_integer_value(json_array_get(offsets, 0)), 10);
    assert_int_equal(json_integer_value(json_array_get(offsets, 2)), 11);
    json_t *tops = json_object_get(root, "top_logprobs");
    assert_true(json_is_null(json_array_get(tops, 0)));
    assert_int_equal(json_object_size(json_array_get(tops, 2)), 2); /* the chosen one too */
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_of_a_character_keeps_its_bytes),
        cmocka_unit_test(offsets_of_a_completion_count_characters),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
