#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/text/pre_tokenizer.h"
#include "tests/core/text/random.h"

/* The words of a text, joined by bars. */
static void check_words(const char *name, const char *text, const char *expected)
{
    const struct pre_tokenizer *pre = pre_tokenizer_find(name, strlen(name));
    struct pre_tokenizer_walk walk;
    struct buf words;
    size_t begin, end, last = 0;
    assert_non_null(pre);
    buf_init(&words);
    pre_tokenizer_begin(&walk, pre, text, strlen(text));
    while (pre_tokenizer_next(&walk, &begin, &end)) {
        assert_int_equal(begin, last);
        assert_true(end > begin);
        if (begin > 0)
            buf_append_char(&words, '|');
        buf_append(&words, text + begin, end - begin);
        last = end;
    }
    assert_int_equal(last, strlen(text));
    assert_string_equal(buf_text(&words), expected);
    buf_done(&words);
}

static void gpt2(void **state)
{
    (void)state;
    check_words("gpt-2", "Hello world", "Hello| world");
    check_words("gpt-2", "I'm she'll CAN'T", "I|'m| she|'ll| CAN|'|T");
    check_words("gpt-2", "x=  12 a1b2!!\n", "x|=| | 12| a|1|b|2|!!|\n");
    check_words("gpt-2", "a   b", "a|  | b");
    check_words("gpt-2", "a\n\n  ", "a|\n\n  ");
    check_words("gpt-2", "\n\n\tx", "\n\n|\t|x");
    check_words("gpt-2", " ", " ");
    check_words("gpt-2", "", "");
    check_words("gpt-2", "e\xCC\x81\xC3\xA9", "e|\xCC\x81|\xC3\xA9"); /* a mark is no letter */
    check_words("gpt-2", "\xC2\xA0x\xE3\x80\x80 y", "\xC2\xA0|x|\xE3\x80\x80| y");
    check_words("gpt-2",
                "\xC2\xBD\xC2\xB2"
                "3",
                "\xC2\xBD\xC2\xB2"
                "3"); /* ½ ² are numbers */
    check_words("gpt-2", "\xFF\xC3(", "\xFF\xC3(");
}

static void starcoder(void **state)
{
    (void)state;
    check_words("starcoder", "ab 123 c", "ab| |1|2|3| c");
    check_words("smollm", "x1y's", "x|1|y|'s");
    check_words("command-r", " 12", " |1|2");
}

static void falcon(void **state)
{
    (void)state;
    check_words("falcon", "a 1234567 b", "a| |123|456|7| b");
    check_words("falcon", "price: $19.99 (50%)", "price|:| |$|19|.|99| |(|50|%)");
    check_words("falcon", "it's `x`", "it|'|s| |`|x|`");
    check_words("default", "it's `x` 12345", "it|'|s| `|x|`| |123|45");
}

static void llama3(void **state)
{
    (void)state;
    check_words("llama-bpe", "I'LL go 12345!", "I|'LL| go| |123|45|!");
    check_words("llama-bpe", "a  12345", "a| | |123|45");
    check_words("minicpm5", "I'LL go  12345!", "I|'LL| go|  |123|45|!"); /* digits come first */
    check_words("llama-bpe", "x\n\n  y", "x|\n\n| | y");
    check_words("llama-bpe", "a  \n b", "a|  \n| b");
    check_words("llama-bpe", "(foo) \"bar\"", "(foo|)| \"|bar|\"");
    check_words("llama-bpe", "end.\n\nNew", "end|.\n\n|New");
    check_words("llama-bpe", "a\tb", "a|\tb");
    check_words("llama-bpe", "   ", "   ");
    check_words("llama-bpe", "\r\nx", "\r\n|x");
    check_words("llama-bpe", "\xE4\xBD\xA0\xE5\xA5\xBD\xEF\xBC\x8C!", /* 你好，! */
                "\xE4\xBD\xA0\xE5\xA5\xBD|\xEF\xBC\x8C!");
    check_words("dbrx", "1234", "123|4");
}

static void qwen2(void **state)
{
    (void)state;
    check_words("qwen2", "a 123\n", "a| |1|2|3|\n");
    check_words("qwen2", "we'Re", "we|'Re");
    check_words("qwen2", "e\xCC\x81x", "e|\xCC\x81x"); /* a mark leads the word after it */
    check_words("qwen35", "e\xCC\x81x \xCC\x81", "e\xCC\x81x| \xCC\x81");
    check_words("seed-coder", "a.\n\nb", "a|.|\n\n|b");
}

static void cased_words(void **state)
{
    (void)state;
    check_words("tekken", "camelCase HTTPServer", "camel|Case| HTTPServer");
    check_words("tekken", "ABC abcDEF 12", "ABC| abc|DEF| |1|2");
    check_words("tekken", "it's", "it|'s");
    check_words("tekken", "a//\n/b", "a|//\n/|b");
    check_words("gpt-4o", "it's THEY'LL 1234 fooBar", "it's| THEY'LL| |123|4| foo|Bar");
    /* U+65E5 is in both parts of a word: what follows decides. */
    check_words("tekken",
                "AB\xE6\x97\xA5"
                "CD",
                "AB\xE6\x97\xA5|CD");
    check_words("tekken",
                "AB\xE6\x97\xA5"
                "Cd",
                "AB\xE6\x97\xA5"
                "Cd");
    check_words("tekken", "\xC3\x89\xC3\xA9\xC3\x89", "\xC3\x89\xC3\xA9|\xC3\x89"); /* ÉéÉ */
    /* A mark could lead the word, but the first alternative prefers it as a word of its own. */
    check_words("tekken", "\xCC\x81Z", "\xCC\x81|Z");
    check_words("tekken", "\xCC\x81z", "\xCC\x81z");
}

/* U+4E2D is Han, U+3042 a letter that is not, U+3007 Han and a number. */
static void words_without_han(void **state)
{
    (void)state;
    check_words("kimi-k2", "it's THEY'LL 1234 fooBar!!\n\n",
                "it's| THEY'LL| |123|4| foo|Bar|!!\n\n");
    check_words("kimi-k2", "AB\xE4\xB8\xAD\xE4\xB8\xAD's", "AB|\xE4\xB8\xAD\xE4\xB8\xAD|'s");
    check_words("kimi-k2", "Ab  \xE4\xB8\xAD", "Ab| | |\xE4\xB8\xAD");
    check_words("kimi-k2", "!\xE4\xB8\xAD\xE3\x81\x82", "!|\xE4\xB8\xAD|\xE3\x81\x82");
    check_words("kimi-k2", "1\xE3\x80\x87\xE3\x80\x87", "1\xE3\x80\x87\xE3\x80\x87");
    check_words("kimi-k2",
                "\xE3\x80\x87"
                "1",
                "\xE3\x80\x87|1");
}

/* Digits in threes from the right, unless letters follow them. */
static void thousands(void **state)
{
    (void)state;
    check_words("tiny_aya", "12345 x", "12|345| x");
    check_words("tiny_aya", "1 123 1234567", "1| |123| |1|234|567");
    check_words("tiny_aya", "1234abc a1234", "123|4|abc| a|1|234");
    check_words("tiny_aya", "1,234,567.89", "1|,|234|,|567|.|89");
    check_words("tiny_aya", "12345_ 12345\xCC\x81", "123|45|_| |123|45|\xCC\x81");
    check_words("tiny_aya", "1234\xD9\xA1\xD9\xA2", /* decimals of any script */
                "123|4\xD9\xA1\xD9\xA2");
    check_words("tiny_aya", "1234\xC2\xBD", "1|234|\xC2\xBD"); /* one half is no decimal */
    check_words("cohere2moe", "isn'T helloWORLD", "isn'T| hello|WORLD");
}

/* A number is counted once, not at each of its pieces. */
static void long_number(void **state)
{
    (void)state;
    enum { N = 3000001 };
    char *text = malloc(N);
    assert_non_null(text);
    memset(text, '7', N);
    const struct pre_tokenizer *pre = pre_tokenizer_find("tiny_aya", 8);
    struct pre_tokenizer_walk walk;
    size_t begin, end, n = 0;
    pre_tokenizer_begin(&walk, pre, text, N);
    while (pre_tokenizer_next(&walk, &begin, &end))
        n++;
    assert_int_equal(n, N / 3 + 1);
    free(text);
}

static void deepseek(void **state)
{
    (void)state;
    check_words("deepseek-coder", "int x1 = 23;\n\n", "int| x|1| = |2|3|;|\n|\n");
    check_words("deepseek-llm", "hello world 123\n", "hello| world| |123|\n");
    check_words("deepseek-llm", "ab\xE4\xB8\xAD\xE6\x96\x87 x  ",
                "ab|\xE4\xB8\xAD\xE6\x96\x87| x|  ");
    check_words("deepseek-v3", "x=y", "x|=y");
    check_words("deepseek-v3", "x=1234 _abc (b\n", "x|=|123|4| _|abc| (|b|\n");
    check_words("deepseek-v3", "Hi, \xE4\xB8\xAD\xE6\x96\x87!",
                "Hi|,| |\xE4\xB8\xAD\xE6\x96\x87|!");
}

static void bloom(void **state)
{
    (void)state;
    check_words("bloom", "Hello, my world 12", "Hello|,| my| world| 12");
    check_words("viking", "ab 12", "ab| |1|2");
}

static void names(void **state)
{
    (void)state;
    assert_null(pre_tokenizer_find("no-such", 7));
    assert_null(pre_tokenizer_find("gpt-22", 6));
    assert_null(pre_tokenizer_find("", 0));
    assert_true(pre_tokenizer_ignores_merges(pre_tokenizer_find("llama-bpe", 9)));
    assert_true(pre_tokenizer_adds_bos(pre_tokenizer_find("llama-bpe", 9)));
    assert_false(pre_tokenizer_ignores_merges(pre_tokenizer_find("qwen2", 5)));
    assert_false(pre_tokenizer_adds_bos(pre_tokenizer_find("gpt-2", 5)));
}

/* Whatever the bytes are, the words cover them without gaps (check_words asserts it). */
static void random_bytes(void **state)
{
    (void)state;
    static const char *const NAMES[] = {
        "default", "gpt-2",          "falcon",     "starcoder",    "llama-bpe",   "qwen2",
        "qwen35",  "tekken",         "gpt-4o",     "deepseek-llm", "deepseek-v3", "bloom",
        "viking",  "deepseek-coder", "seed-coder", "tiny_aya",     "kimi-k2"};
    static const char *const PARTS[] = {
        " ", "\n", "'", "s", "A", "7", "\xCC\x81", ".", "\xE4\xBD\xA0", "\xC3", "\x01", "\xC2\xA0"};
    uint32_t random = 3;
    for (int round = 0; round < 20000; round++) {
        struct buf text;
        buf_init(&text);
        int n = random_below(&random, 24);
        for (int i = 0; i < n; i++)
            buf_append_text(&text, PARTS[random_below(&random, 12)]);
        const char *name = NAMES[(size_t)round % (sizeof NAMES / sizeof NAMES[0])];
        const struct pre_tokenizer *pre = pre_tokenizer_find(name, strlen(name));
        struct pre_tokenizer_walk walk;
        size_t begin, end, last = 0;
        pre_tokenizer_begin(&walk, pre, buf_text(&text), text.len);
        while (pre_tokenizer_next(&walk, &begin, &end)) {
            assert_int_equal(begin, last);
            assert_true(end > begin);
            last = end;
        }
        assert_int_equal(last, text.len);
        buf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2),
        cmocka_unit_test(starcoder),
        cmocka_unit_test(falcon),
        cmocka_unit_test(llama3),
        cmocka_unit_test(qwen2),
        cmocka_unit_test(cased_words),
        cmocka_unit_test(words_without_han),
        cmocka_unit_test(deepseek),
        cmocka_unit_test(bloom),
        cmocka_unit_test(names),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(thousands),
        cmocka_unit_test(long_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
