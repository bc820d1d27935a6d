/* test_json_schema.c - what fits the grammar of a schema, and what does not. */
#include "tests/core/text/grammar_check.h"

#include <jansson.h>

#include "core/base/buf.h"
#include "tests/core/text/random.h"
#include "tests/support/json_schema_gbnf.h"
#include "tests/support/json_validator.h"

static struct grammar *compile(const char *schema)
{
    struct buf gbnf;
    struct err err = {0};
    struct grammar *grammar = NULL;
    if (!json_schema_gbnf(schema, true, &gbnf, &err) ||
        !grammar_new(&grammar, gbnf.data, gbnf.len, &err))
        fail_msg("%s\nin %s\n%s", err.text, schema, buf_text(&gbnf));
    buf_done(&gbnf);
    return grammar;
}

/* ---- what fits and what does not ---- */

enum { MAX_TEXTS = 8 };

static const struct table {
    const char *schema;
    const char *fits[MAX_TEXTS];
    const char *does_not[MAX_TEXTS];
} TABLE[] = {
    {"true", {"1", "\"a\"", "{\"a\": [null, true]}"}, {"", "tru", "{\"a\"}", "01"}},
    {"{}", {"[]", "-1.5e-3"}, {"[1 ,2]", "{'a':1}"}},
    {"{\"type\":\"null\"}", {"null"}, {"nul", "0"}},
    {"{\"type\":\"boolean\"}", {"true", "false"}, {"\"true\"", "1"}},
    {"{\"type\":\"string\"}",
     {"\"\"", "\"a\\n\\u00e9\xC3\xA9\"", "\"\\ud83d\\ude00\"", "\"\\\"\""},
     {"a", "\"", "\"\n\"", "\"\\x\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\u0000\"", "\"\\u12\""}},
    {"{\"type\":\"integer\"}", {"0", "-7", "123456789012"}, {"01", "1.0", "-", "--1", "1e3"}},
    {"{\"type\":\"number\"}", {"0", "-0.5", "1e5", "2.5E-10"}, {"1.", ".5", "+1", "1e", "1e999"}},
    {"{\"type\":[\"string\",\"null\"]}", {"null", "\"x\""}, {"1", "true"}},
    {"{\"type\":\"string\",\"nullable\":true}", {"null", "\"x\""}, {"1"}},
    {"{\"type\":[\"integer\",\"boolean\"]}", {"1", "true"}, {"1.5", "null"}},
    {"{\"type\":\"integer\",\"minimum\":5,\"maximum\":17}",
     {"5", "9", "10", "17"},
     {"4", "18", "05", "170", "-5"}},
    {"{\"type\":\"integer\",\"minimum\":-12,\"maximum\":101}",
     {"-12", "-1", "0", "99", "101"},
     {"-13", "102", "-0", "1000"}},
    {"{\"type\":\"integer\",\"minimum\":-30,\"maximum\":-7}",
     {"-30", "-29", "-10", "-7"},
     {"-6", "-31", "7", "0", "-100"}},
    {"{\"type\":\"integer\",\"exclusiveMinimum\":9,\"exclusiveMaximum\":100}",
     {"10", "99"},
     {"9", "100", "0"}},
    {"{\"type\":\"integer\",\"minimum\":1000}",
     {"1000", "9999", "10000", "123456789"},
     {"999", "0", "-1000"}},
    {"{\"type\":\"integer\",\"maximum\":0}", {"0", "-1", "-99999"}, {"1", "10"}},
    {"{\"type\":\"integer\",\"minimum\":2.5,\"maximum\":4.5}", {"3", "4"}, {"2", "5"}},
    {"{\"type\":\"integer\",\"minimum\":7,\"maximum\":7}", {"7"}, {"6", "8", "70"}},
    {"{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
     {"0", "0.5", "1", "1.0", "0.000"},
     {"1.01", "-0.1", "2", "1.001"}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}",
     {"0.1", "0.0001", "0.99999"},
     {"0", "1", "0.0", "1.0"}},
    {"{\"type\":\"number\",\"minimum\":0.25,\"maximum\":0.5}",
     {"0.25", "0.3", "0.5", "0.499", "0.50"},
     {"0.2", "0.249", "0.51", "0", "0.", "1"}},
    {"{\"type\":\"number\",\"minimum\":-1.5,\"maximum\":2.75}",
     {"-1.5", "-1.49", "-0.1", "0", "2", "2.75", "2.7", "1.999"},
     {"-1.51", "2.76", "-2", "3", "2.751"}},
    {"{\"type\":\"number\",\"minimum\":10.05}",
     {"10.05", "10.1", "11", "99.5", "1000000"},
     {"10", "10.04", "9.9", "0"}},
    {"{\"type\":\"number\",\"exclusiveMaximum\":10.05}",
     {"10.04", "10.0499", "10", "9", "-500.5"},
     {"10.05", "10.1", "11", "10.050"}},
    {"{\"type\":\"number\",\"minimum\":12.125,\"maximum\":12.13}",
     {"12.125", "12.1299", "12.13"},
     {"12.12", "12.131", "12", "12.2"}},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
     {"\"ab\"", "\"abc\"", "\"\xC3\xA9\xC3\xA9\"", "\"\\n\\n\\n\"", "\"\\ud83d\\ude00x\""},
     {"\"a\"", "\"abcd\"", "\"\""}},
    {"{\"type\":\"string\",\"minLength\":1}", {"\"a\"", "\"abcdefgh\""}, {"\"\""}},
    {"{\"type\":\"string\",\"maxLength\":0}", {"\"\""}, {"\"a\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[a-z]+-\\\\d{2}$\"}",
     {"\"a-12\"", "\"xyz-00\""},
     {"\"-12\"", "\"a-1\"", "\"A-12\"", "\"a-123\""}},
    {"{\"type\":\"string\",\"pattern\":\"b+\"}",
     {"\"abbc\"", "\"b\"", "\"\\nb\""},
     {"\"ac\"", "\"\""}},
    {"{\"type\":\"string\",\"pattern\":\"^a|b$\"}",
     {"\"axx\"", "\"xxb\"", "\"a\""},
     {"\"xax\"", "\"bx\""}},
    {"{\"type\":\"string\",\"pattern\":\"^(foo|ba[rz])$\"}",
     {"\"foo\"", "\"baz\""},
     {"\"bax\"", "\"fooo\""}},
    {"{\"type\":\"string\",\"pattern\":\"^\\\"\\\\\\\\$\"}",
     {"\"\\\"\\\\\""},
     {"\"\"\"", "\"\\\"\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[^a]$\"}",
     {"\"b\"", "\"\\n\"", "\"\\\"\"", "\"\xE4\xB8\xAD\""},
     {"\"a\"", "\"\"", "\"\"\""}},
    {"{\"type\":\"string\",\"pattern\":\"^.\\\\s\\\\S$\"}",
     {"\"a b\"", "\"a\\tb\""},
     {"\"\\n b\"", "\"abc\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[A-Z]*$\",\"minLength\":2,\"maxLength\":3}",
     {"\"AB\"", "\"ABC\""},
     {"\"A\"", "\"ABCD\"", "\"ab\""}},
    {"{\"type\":\"string\",\"pattern\":\"^(?:\\\\+1)?[0-9]{3,}?$\"}",
     {"\"123\"", "\"+1123\""},
     {"\"12\"", "\"+123\""}},
    {"{\"type\":\"string\",\"format\":\"date\"}",
     {"\"2024-02-28\"", "\"1999-12-31\""},
     {"\"2024-02-30\"", "\"2024-13-01\"", "\"24-01-01\"", "\"2024-04-31\""}},
    {"{\"type\":\"string\",\"format\":\"time\"}",
     {"\"23:59:59Z\"", "\"00:00:00.5+02:00\""},
     {"\"24:00:00Z\"", "\"12:60:00Z\"", "\"12:00\""}},
    {"{\"type\":\"string\",\"format\":\"date-time\"}",
     {"\"2024-01-31T00:00:00Z\""},
     {"\"2024-01-31\"", "\"2024-01-32T00:00:00Z\""}},
    {"{\"type\":\"string\",\"format\":\"uuid\"}",
     {"\"123e4567-e89b-12d3-a456-426614174000\""},
     {"\"123e4567\"", "\"123e4567-e89b-12d3-a456-42661417400g\""}},
    {"{\"type\":\"string\",\"format\":\"email\"}",
     {"\"a.b+c@d-e.org\""},
     {"\"a@\"", "\"@b.c\"", "\"a b@c.d\""}},
    {"{\"type\":\"string\",\"format\":\"ipv4\"}",
     {"\"255.0.10.1\""},
     {"\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\""}},
    {"{\"type\":\"string\",\"format\":\"ipv6\"}",
     {"\"2001:db8::1\"", "\"1:2:3:4:5:6:7:8\"", "\"::1\""},
     {"\"1:2\"", "\"g::1\""}},
    {"{\"type\":\"string\",\"format\":\"hostname\"}", {"\"a.example\""}, {"\"-a\"", "\"a..b\""}},
    {"{\"type\":\"string\",\"format\":\"duration\"}",
     {"\"P1D\"", "\"PT5M\"", "\"P2W\""},
     {"\"P\"", "\"1D\""}},
    {"{\"type\":\"string\",\"format\":\"uri\"}",
     {"\"https://a.example/b\""},
     {"\"a.example\"", "\"https://\""}},
    {"{\"type\":\"string\",\"format\":\"int32\"}", {"\"anything\""}, {"1"}},
    {"{\"enum\":[\"a\",\"b c\",3,null,true]}",
     {"\"a\"", "\"b c\"", "3", "null", "true"},
     {"\"b\"", "false"}},
    {"{\"type\":\"string\",\"enum\":[\"a\",1]}", {"\"a\""}, {"1"}},
    {"{\"enum\":[\"x\\\"y\\\\\\n\",{\"k\":[1]}]}",
     {"\"x\\\"y\\\\\\n\"", "{\"k\": [1]}"},
     {"\"x\""}},
    {"{\"const\":\"only\"}", {"\"only\""}, {"\"onl\"", "null"}},
    {"{\"const\":null}", {"null"}, {"0"}},
    {"{\"type\":\"array\"}", {"[]", "[1, \"a\"]", "[[],{}]"}, {"[", "[,]", "[1,]"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}",
     {"[]", "[1]", "[1, 2,3]"},
     {"[\"a\"]", "[1,  2]"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":3}",
     {"[1,2]", "[1,2,3]"},
     {"[]", "[1]", "[1,2,3,4]"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"maxItems\":1}",
     {"[]", "[null]"},
     {"[null,null]"}},
    {"{\"type\":\"array\",\"maxItems\":0}", {"[]"}, {"[1]"}},
    {"{\"type\":\"array\",\"minItems\":1}", {"[1]", "[1,2]"}, {"[]"}},
    {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],"
     "\"minItems\":2,\"items\":false}",
     {"[1, \"a\"]"},
     {"[1]", "[1,\"a\",2]", "[]"}},
    {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"items\":"
     "{\"type\":\"null\"}}",
     {"[]", "[1]", "[1,\"a\"]", "[1,\"a\",null,null]"},
     {"[\"a\"]", "[1,\"a\",2]", "[1,null]"}},
    {"{\"type\":\"array\",\"items\":[{\"type\":\"integer\"}],\"additionalItems\":false,"
     "\"minItems\":1}",
     {"[1]"},
     {"[]", "[1,2]"}},
    {"{\"type\":\"object\"}", {"{}", "{\"a\":1,\"b\": {}}"}, {"[]", "{a:1}", "{\"a\":1,}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}"
     "},\"required\":[\"a\",\"b\"],\"additionalProperties\":false}",
     {"{\"a\":1,\"b\":\"x\"}", "{\"a\": 1, \"b\": \"x\"}"},
     {"{\"b\":\"x\",\"a\":1}", "{\"a\":1}", "{}", "{\"a\":1,\"b\":\"x\",\"c\":1}",
      "{ \"a\":1,\"b\":\"x\"}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
     "\"integer\"},\"c\":{\"type\":\"integer\"}},\"required\":[\"b\"]}",
     {"{\"b\":1}", "{\"a\":1,\"b\":1}", "{\"b\":1,\"c\":1}", "{\"a\":1,\"b\":1,\"c\":1}"},
     {"{}", "{\"a\":1}", "{\"c\":1}", "{\"a\":1,\"c\":1}", "{,\"b\":1}"}},
    {"{\"properties\":{\"a\":{},\"b\":{}}}",
     {"{}", "{\"a\":1}", "{\"b\":1}", "{\"a\":1,\"b\":2}"},
     {"{\"b\":1,\"a\":2}", "{\"c\":1}"}},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
     {"{}", "{\"x\":1,\"y\":2}"},
     {"{\"x\":\"a\"}"}},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"},\"minProperties\":1,"
     "\"maxProperties\":2}",
     {"{\"x\":1}", "{\"x\":1,\"y\":2}"},
     {"{}", "{\"x\":1,\"y\":2,\"z\":3}"}},
    {"{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"string\"},\"ac\":{\"type\":"
     "\"string\"}},\"additionalProperties\":{\"type\":\"integer\"}}",
     {"{}", "{\"ab\":\"x\"}", "{\"ab\":\"x\",\"zz\":1}", "{\"a\":1}", "{\"abc\":1,\"\":2}",
      "{\"ad\":1}"},
     {"{\"ab\":1}", "{\"ac\":1}", "{\"zz\":\"x\"}", "{\"a\\u0062\":1}"}},
    {"{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}",
     {"{}"},
     {"{\"a\":1}"}},
    {"{\"type\":\"object\",\"required\":[\"k\"],\"additionalProperties\":{\"type\":\"null\"}}",
     {"{\"k\":null}", "{\"k\":null,\"l\":null}"},
     {"{}", "{\"k\":1}"}},
    {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}]}",
     {"1", "[1,2]"},
     {"\"a\"", "[\"a\"]"}},
    {"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"},\"x\":{\"type\":"
     "\"integer\"}},\"required\":[\"k\",\"x\"]},{\"type\":\"object\",\"properties\":{\"k\":{"
     "\"const\":\"b\"}},\"required\":[\"k\"]}]}",
     {"{\"k\":\"a\",\"x\":1}", "{\"k\":\"b\"}"},
     {"{\"k\":\"a\"}", "{\"k\":\"b\",\"x\":1}", "{\"k\":\"c\"}"}},
    {"{\"type\":\"string\",\"anyOf\":[{\"maxLength\":1},{\"minLength\":3}]}",
     {"\"\"", "\"a\"", "\"abc\""},
     {"\"ab\"", "1"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"],"
     "\"anyOf\":[{\"properties\":{\"b\":{\"type\":\"null\"}},\"required\":[\"b\"]},{\"properties\":"
     "{\"c\":{\"type\":\"null\"}},\"required\":[\"c\"]}]}",
     {"{\"a\":1,\"b\":null}", "{\"a\":1,\"c\":null}"},
     {"{\"a\":1}", "{\"b\":null}"}},
    {"{\"allOf\":[{\"type\":\"integer\",\"minimum\":3},{\"maximum\":5}]}", {"3", "5"}, {"2", "6"}},
    {"{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":["
     "\"a\"]},{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"integer\"}},\"required\":["
     "\"b\"]}]}",
     {"{\"a\":1,\"b\":2}"},
     {"{\"a\":1}", "{\"b\":2}"}},
    {"{\"allOf\":[{\"enum\":[1,2,3]},{\"enum\":[2,3,4]}]}", {"2", "3"}, {"1", "4"}},
    {"{\"allOf\":[{\"type\":[\"integer\",\"string\"]},{\"type\":[\"number\",\"null\"]}]}",
     {"1"},
     {"\"a\"", "null", "1.5"}},
    {"{\"allOf\":[{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]},{\"anyOf\":[{\"type\":"
     "\"string\"},{\"type\":\"null\"}]}]}",
     {"\"a\""},
     {"1", "null"}},
    {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"type\":\"integer\"}}}", {"1"}, {"\"a\""}},
    {"{\"type\":\"array\",\"items\":{\"$ref\":\"#/definitions/x~1y%20z\"},\"definitions\":{\"x/y "
     "z\":{\"type\":\"null\"}}}",
     {"[null]"},
     {"[1]"}},
    {"{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":[{\"$"
     "ref\":\"#\"},{\"type\":\"null\"}]}},\"required\":[\"v\",\"next\"]}",
     {"{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
     {"{\"v\":1}", "{\"v\":1,\"next\":{}}"}},
    {"{\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"c\":{\"type\":\"array\",\"items\":{"
     "\"$ref\":\"#/$defs/t\"}}},\"required\":[\"c\"]}},\"$ref\":\"#/$defs/t\"}",
     {"{\"c\":[]}", "{\"c\":[{\"c\":[]},{\"c\":[{\"c\":[]}]}]}"},
     {"{}", "{\"c\":[1]}"}},
    {"{\"$defs\":{\"a\":{\"type\":\"string\"}},\"properties\":{\"x\":{\"$ref\":\"#/$defs/"
     "a\",\"description\":\"d\",\"maxLength\":1}},\"required\":[\"x\"]}",
     {"{\"x\":\"a\"}"},
     {"{\"x\":\"ab\"}", "{\"x\":1}"}},
    {"{\"type\":\"string\",\"title\":\"T\",\"description\":\"D\",\"default\":\"x\",\"examples\":["
     "\"y\"],\"x-order\":1,\"$comment\":\"c\"}",
     {"\"z\""},
     {"1"}},
    {"{\"type\":\"object\",\"properties\":{\"\\\"q\\\\\\n\\u00e9\":{\"type\":\"null\"}},"
     "\"required\":[\"\\\"q\\\\\\n\\u00e9\"]}",
     {"{\"\\\"q\\\\\\n\xC3\xA9\":null}"},
     {"{}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":false,\"b\":true},\"required\":[\"b\"]}",
     {"{\"b\":1}"},
     {"{\"a\":1,\"b\":1}"}},
    {"{\"type\":\"integer\",\"multipleOf\":3}",
     {"0", "3", "-12", "123456789"},
     {"1", "-2", "03", "3.0"}},
    {"{\"type\":\"integer\",\"multipleOf\":500}", {"0", "500", "-1500"}, {"50", "250", "5"}},
    {"{\"type\":\"number\",\"multipleOf\":0.01}",
     {"0", "1", "2.5", "-0.25", "19.99"},
     {"0.001", "1.999", "1e2", "."}},
    {"{\"type\":\"number\",\"multipleOf\":0.25}",
     {"0.25", "0.5", "7.75", "3", "0.50"},
     {"0.3", "0.1", "7.2", "0.125"}},
    {"{\"type\":\"number\",\"multipleOf\":2.5,\"minimum\":0}",
     {"0", "2.5", "5", "7.5", "10"},
     {"-2.5", "1", "2.4", "6"}},
    {"{\"type\":\"integer\",\"multipleOf\":0.3}", {"3", "-6"}, {"1", "0.3"}},
    {"{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":-7,\"maximum\":20}",
     {"-7", "0", "7", "14"},
     {"21", "-14", "1"}},
    {"{\"type\":\"number\",\"multipleOf\":0.1,\"exclusiveMinimum\":0,\"exclusiveMaximum\":0.4}",
     {"0.1", "0.2", "0.3"},
     {"0.0", "0.4", "0.15"}},
    {"{\"multipleOf\":10,\"type\":[\"integer\",\"null\"]}", {"20", "null"}, {"5"}},
    {"{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",1]},\"uniqueItems\":true,\"minItems\":"
     "1}",
     {"[\"a\"]", "[\"b\",\"a\"]", "[1,\"a\",\"b\"]"},
     {"[]", "[\"a\",\"a\"]", "[\"a\",1,\"a\"]"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"uniqueItems\":true,\"maxItems\":2}",
     {"[]", "[true,false]"},
     {"[true,true]", "[true,false,true]"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true,\"maxItems\":1}",
     {"[\"a\"]", "[]"},
     {"[\"a\",\"b\"]"}},
    {"{\"not\":{\"type\":\"string\"}}", {"1", "null", "{\"a\": \"b\"}"}, {"\"a\""}},
    {"{\"type\":[\"string\",\"integer\",\"null\"],\"not\":{\"type\":[\"null\",\"string\"]}}",
     {"1"},
     {"null", "\"a\""}},
    {"{\"type\":[\"string\",\"null\"],\"not\":{\"const\":null}}", {"\"a\""}, {"null"}},
    {"{\"type\":\"string\",\"not\":{\"enum\":[\"ab\",\"a\",\"c\"]}}",
     {"\"abc\"", "\"\"", "\"b\"", "\"ca\""},
     {"\"ab\"", "\"a\"", "\"c\""}},
    {"{\"enum\":[\"a\",\"b\",2],\"not\":{\"enum\":[\"a\",3]}}", {"\"b\"", "2"}, {"\"a\"", "3"}},
    {"{\"type\":\"object\",\"patternProperties\":{\"^x-[a-z]+$\":{\"type\":\"integer\"},\"^y\":{"
     "\"type\":\"null\"}},\"additionalProperties\":false}",
     {"{}", "{\"x-a\":1}", "{\"x-a\":1,\"y1\": null}"},
     {"{\"a\":1}", "{\"x-a\":null}", "{\"x-\":1}"}},
    {"{\"type\":\"object\",\"patternProperties\":{\"^\\\\d+$\":{\"type\":\"boolean\"}},"
     "\"minProperties\":1}",
     {"{\"12\":true}"},
     {"{}", "{\"a\":true}"}},
    {"{\"type\":\"object\",\"propertyNames\":{\"type\":\"string\"},\"additionalProperties\":{"
     "\"type\":\"number\"}}",
     {"{}", "{\"a\":1.5,\"b\":2}"},
     {"{\"a\":\"b\"}"}},
    {"{\"type\":\"object\",\"propertyNames\":{\"enum\":[\"x\",\"y\"]},\"additionalProperties\":{"
     "\"type\":\"boolean\"}}",
     {"{}", "{\"x\":true}", "{\"y\":false}", "{\"x\":true,\"y\":true}"},
     {"{\"z\":true}", "{\"x\":1}"}},
    {"{\"type\":\"object\",\"propertyNames\":{\"enum\":[\"x\",\"y\"]},\"additionalProperties\":{"
     "\"type\":\"boolean\"},\"required\":[\"x\"]}",
     {"{\"x\":true}"},
     {"{\"y\":true}", "{\"x\":true,\"z\":true}"}},
    {"{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-c]$\"},\"additionalProperties\":{"
     "\"type\":\"null\"}}",
     {"{\"a\":null}", "{\"a\":null,\"c\":null}"},
     {"{\"d\":null}", "{\"ab\":null}"}},
    {"{\"type\":\"string\",\"format\":\"uuid\",\"pattern\":\"^[0-9a-f-]{3}$\"}",
     {"\"1-a\""},
     {"\"1\"", "\"12345678-1234-1234-1234-123456789abc\""}},
    {"{\"type\":\"string\",\"format\":\"email\",\"pattern\":\"^(?!\\\\.)(?!.*\\\\.\\\\.)[a-z]+@[a-"
     "z.]+$\"}",
     {"\"a@b.example\""},
     {"\"a\""}},
    {"{\"type\":\"integer\",\"minimum\":-9007199254740991,\"maximum\":9007199254740991}",
     {"0", "-123", "999999999999999"},
     {"1.5"}},
    {"{\"type\":\"number\",\"minimum\":-3.4028234663852886e+38,\"maximum\":3.4028234663852886e+38}",
     {"0.5", "-7"},
     {"x"}},
};

static void each_schema_takes_what_fits(void **state)
{
    (void)state;
    size_t n = sizeof TABLE / sizeof TABLE[0];
    assert_true(n >= 60);
    for (size_t i = 0; i < n; i++) {
        struct grammar *grammar = compile(TABLE[i].schema);
        struct grammar_states states;
        assert_true(grammar_states_init(&states, grammar));
        for (int t = 0; t < MAX_TEXTS; t++) {
            const char *good = TABLE[i].fits[t], *bad = TABLE[i].does_not[t];
            if (good != NULL && grammar_check_fit(&states, good, strlen(good)) < FIT_WHOLE)
                fail_msg("%s should fit %s", good, TABLE[i].schema);
            if (bad != NULL && grammar_check_fit(&states, bad, strlen(bad)) >= FIT_WHOLE)
                fail_msg("%s should not fit %s", bad, TABLE[i].schema);
        }
        grammar_states_done(&states);
        grammar_free(&grammar);
    }
}

/* ---- random texts of each grammar, held against json_validator ---- */

/* A random way through the grammar, which leans to the end more and more. False when it does not
 * come to one. */
static bool say(struct grammar_states *states, uint32_t *random, struct buf *out)
{
    uint32_t at = grammar_states_start(states);
    buf_clear(out);
    while (out->len < 4000) {
        unsigned char bytes[256];
        int n = 0;
        bool wants_end = random_below(random, 400) < (int)out->len;
        if (grammar_states_accepts(states, at) &&
            (!grammar_states_goes_on(states, at) || random_below(random, 4) == 0 || wants_end))
            return true;
        for (int b = 0; b < 256; b++) {
            states->work = 0;
            if (grammar_states_step(states, at, (unsigned char)b) == GRAMMAR_DEAD)
                continue;
            bytes[n++] = (unsigned char)b;
            if (wants_end && strchr("\"]}n:", b) != NULL && b != 0) {
                bytes[0] = (unsigned char)b;
                n = 1;
                if (b == ']' || b == '}' || b == '"')
                    break;
            }
        }
        assert_true(n > 0);
        unsigned char byte = bytes[random_below(random, n)];
        buf_append(out, &byte, 1);
        at = grammar_states_step(states, at, byte);
    }
    return false;
}

static void whatever_is_said_is_valid(void **state)
{
    (void)state;
    enum { N_SAID = 60 };
    uint32_t random = 2026;
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        struct grammar *grammar = compile(TABLE[i].schema);
        struct grammar_states states;
        struct json_validator validator = {json_loads(TABLE[i].schema, JSON_DECODE_ANY, NULL)};
        assert_true(grammar_states_init(&states, grammar));
        int n_whole = 0;
        for (int k = 0; k < N_SAID; k++) {
            if (!say(&states, &random, &text))
                continue;
            n_whole++;
            json_error_t failure;
            json_t *value = json_loadb(text.data, text.len, JSON_DECODE_ANY, &failure);
            if (value == NULL)
                fail_msg("%s: %s\nof %s", failure.text, buf_text(&text), TABLE[i].schema);
            if (!json_validator_fits(&validator, validator.root, value))
                fail_msg("%s is not valid for %s", buf_text(&text), TABLE[i].schema);
            json_decref(value);
        }
        if (n_whole < N_SAID / 4)
            fail_msg("only %d texts came to an end of %s", n_whole, TABLE[i].schema);
        json_decref((json_t *)validator.root);
        grammar_states_done(&states);
        grammar_free(&grammar);
    }
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_schema_takes_what_fits),
        cmocka_unit_test(whatever_is_said_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
