#include "server/prompt_cut.h"

#include "core/text/tokenizer.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

static int32_t end_of_turn; /* the only control token that a template of this vocabulary writes */

static int open_tokenizer(void **state)
{
    tiny_model_open(state);
    end_of_turn = tokenizer_eos(tiny.tokenizer);
    return tokenizer_is_end(tiny.tokenizer, end_of_turn) ? 0 : -1;
}

static int32_t word(int i) /* no control token */
{
    int32_t id = 100 + i % 100;
    assert_false(tokenizer_is_control(tiny.tokenizer, id) || tokenizer_is_end(tiny.tokenizer, id));
    return id;
}

static struct token_list words(int n)
{
    struct token_list tokens;
    token_list_init(&tokens);
    for (int i = 0; i < n; i++)
        assert_true(token_list_push(&tokens, word(i), NULL));
    return tokens;
}

static void what_fits_stays_whole(void **state)
{
    (void)state;
    for (int n = 0; n <= 24; n++) {
        struct token_list tokens = words(n);
        assert_int_equal(prompt_cut_middle(&tokens, tiny.tokenizer, 4, 20), 0);
        assert_int_equal(tokens.n, n);
        token_list_done(&tokens);
    }
}

static void the_first_and_the_last_stay(void **state)
{
    (void)state;
    struct token_list tokens = words(90);
    assert_int_equal(prompt_cut_middle(&tokens, tiny.tokenizer, 4, 20), 66);
    assert_int_equal(tokens.n, 24);
    for (int i = 0; i < 24; i++)
        assert_int_equal(tokens.ids[i], word(i < 4 ? i : i + 66));
    token_list_done(&tokens);
}

static void the_rest_begins_with_a_message(void **state)
{
    (void)state;
    struct {
        int at;     /* of the end of a turn, in 90 tokens */
        int n_left; /* of the last 20 */
    } cases[] = {{69, 20}, {70, 19}, {73, 16}, {74, 20}, {60, 20}, {89, 20}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct token_list tokens = words(90);
        tokens.ids[cases[i].at] = end_of_turn;
        assert_int_equal(prompt_cut_middle(&tokens, tiny.tokenizer, 4, 20), 86 - cases[i].n_left);
        assert_int_equal(tokens.n, 4 + cases[i].n_left);
        assert_int_equal(tokens.ids[3], word(3));
        assert_int_equal(tokens.ids[4], word(90 - cases[i].n_left));
        token_list_done(&tokens);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_stays_whole),
        cmocka_unit_test(the_first_and_the_last_stay),
        cmocka_unit_test(the_rest_begins_with_a_message),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, tiny_model_close);
}
