#include "server/tool_format.h"

#include <string.h>

#include "server/json_schema.h"

#define DEEPSEEK(words) "<\xEF\xBD\x9C" words "\xEF\xBD\x9C>"
#define BLANK "\xE2\x96\x81"
#define CALLS_BEGIN DEEPSEEK("tool" BLANK "calls" BLANK "begin")
#define CALLS_END DEEPSEEK("tool" BLANK "calls" BLANK "end")
#define CALL_BEGIN DEEPSEEK("tool" BLANK "call" BLANK "begin")
#define CALL_END DEEPSEEK("tool" BLANK "call" BLANK "end")
#define CALL_SEP DEEPSEEK("tool" BLANK "sep")

#define GEMMA_MARK "<|\"|>"
#define FUNCTIONGEMMA_MARK "<escape>"

#define USUAL_IDS .call_id_prefix = "call_", .call_id_digits = 24

/* What most that write JSON put around name and arguments. */
#define JSON_CALL(before, after)          \
    .force_open = before "{\"name\": \"", \
    .force_middle = "\", \"arguments\": ", .force_end = "}" after

#define JSON_LIST(before, after) JSON_CALL(before "[", "]" after), .next = "}, {\"name\": \""

/* Parameters that are no JSON, with the space around them that models leave or not. */
static const struct json_schema_pairs python_pairs = {
    .open = "",
    .middle = "\"=\"",
    .close = "",
    .comma = "\",\" json-space ",
};
static const struct json_schema_pairs gemma_pairs = {
    .open = "",
    .middle = "\":\"",
    .close = "",
    .comma = "\",\"",
    .text_end = GEMMA_MARK,
    .is_nested = true,
};
static const struct json_schema_pairs functiongemma_pairs = {
    .open = "",
    .middle = "\":\"",
    .close = "",
    .comma = "\",\"",
    .text_end = FUNCTIONGEMMA_MARK,
    .is_nested = true,
};
static const struct json_schema_pairs function_pairs = {
    .open = "\"<parameter=\"",
    .middle = "\">\" \"\\n\"?",
    .close = "\"\\n\"? \"</parameter>\" [ \\n]{0,2}",
    .comma = "",
    .text_end = "</parameter>",
};
static const struct json_schema_pairs invoke_pairs = {
    .open = "\"<parameter name=\\\"\"",
    .middle = "\"\\\">\" \"\\n\"?",
    .close = "\"\\n\"? \"</parameter>\" [ \\n]{0,2}",
    .comma = "",
    .text_end = "</parameter>",
};
static const struct json_schema_pairs key_pairs = {
    .open = "\"<arg_key>\"",
    .middle = "\"</arg_key>\" [ \\n]{0,2} \"<arg_value>\" \"\\n\"?",
    .close = "\"\\n\"? \"</arg_value>\" [ \\n]{0,2}",
    .comma = "",
    .text_end = "</arg_value>",
};

static const struct tool_format hermes = {
    .name = "hermes",
    .marker = "<tool_call>",
    .open = "<tool_call>",
    .close = "</tool_call>",
    JSON_CALL("<tool_call>\n", "\n</tool_call>"),
    USUAL_IDS,
    .read_head = tool_head_json,
};

static const struct tool_format mistral = {
    .name = "mistral",
    .marker = "[TOOL_CALLS]",
    .argument_mark = "[ARGS]",
    .id_mark = "[CALL_ID]",
    .open = "[TOOL_CALLS]",
    .is_list = true,
    JSON_LIST("[TOOL_CALLS] ", ""),
    .call_id_prefix = "",
    .call_id_digits = 9, /* its templates insist on nine characters */
    .read_head = tool_head_list,
};

static const struct tool_format deepseek = {
    .name = "deepseek",
    .marker = CALL_BEGIN,
    .other_marker = "```json",
    .open = CALL_BEGIN,
    .close = CALL_END,
    .noise = {CALLS_BEGIN, CALLS_END},
    .told = &hermes,
    .force_open = CALLS_BEGIN CALL_BEGIN "function" CALL_SEP,
    .force_middle = "\n```json\n",
    .force_end = "\n```",
    USUAL_IDS,
    .fence = "```",
    .argument_mark = CALL_SEP,
    .read_head = tool_head_fenced,
};

static const struct tool_format deepseek_v3_1 = {
    .name = "deepseek-v3.1",
    .marker = CALL_BEGIN,
    .open = CALL_BEGIN,
    .close = CALL_END,
    .noise = {CALLS_BEGIN, CALLS_END},
    .told = &hermes,
    .force_open = CALLS_BEGIN CALL_BEGIN,
    .force_middle = CALL_SEP,
    .force_end = CALL_END CALLS_END,
    USUAL_IDS,
    .argument_mark = CALL_SEP,
    .read_head = tool_head_named,
};

static const struct tool_format kimi = {
    .name = "kimi",
    .marker = "<|tool_call_argument_begin|>",
    .open = "<|tool_call_begin|>",
    .close = "<|tool_call_end|>",
    .noise = {"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"},
    .name_prefix = "functions.",
    .id_mark = ":",
    .argument_mark = "<|tool_call_argument_begin|>",
    .force_open = "<|tool_calls_section_begin|><|tool_call_begin|>functions.",
    .force_middle = ":0<|tool_call_argument_begin|>",
    .force_end = "<|tool_call_end|><|tool_calls_section_end|>",
    USUAL_IDS,
    .read_head = tool_head_named,
};

static const struct tool_format command_r = {
    .name = "command-r",
    .marker = "<|START_ACTION|>",
    .open = "<|START_ACTION|>",
    .close = "<|END_ACTION|>",
    .noise = {"<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"},
    .is_list = true,
    .force_open = "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"",
    .force_middle = "\", \"parameters\": ",
    .force_end = "}\n]<|END_ACTION|>",
    .next = "},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"",
    USUAL_IDS,
    .read_head = tool_head_list,
};

static const struct tool_format phi4 = {
    .name = "phi4",
    .marker = "<|tool|>",
    .other_marker = "<|/tool|>",
    .open = "<|tool_call|>",
    .other_open = "functools", /* what it was taught, whatever its template shows */
    .close = "<|/tool_call|>",
    .is_list = true,
    JSON_LIST("<|tool_call|>", "<|/tool_call|>"),
    USUAL_IDS,
    .read_head = tool_head_list,
};

static const struct tool_format functools = {
    .name = "functools",
    .marker = "functools[",
    .open = "functools",
    .is_list = true,
    JSON_LIST("functools", ""),
    USUAL_IDS,
    .read_head = tool_head_list,
};

static const struct tool_format granite = {
    .name = "granite",
    .marker = "<|tool_call|>",
    .open = "<|tool_call|>",
    .other_open = "<tool_call>", /* 3.0's */
    .close = "</tool_call>",
    .is_list = true,
    JSON_LIST("<|tool_call|>", ""),
    USUAL_IDS,
    .read_head = tool_head_list,
};

static const struct tool_format nemotron = {
    .name = "nemotron",
    .marker = "<TOOLCALL>",
    .open = "<TOOLCALL>",
    .close = "</TOOLCALL>",
    .is_list = true,
    JSON_LIST("<TOOLCALL>", "</TOOLCALL>"),
    USUAL_IDS,
    .read_head = tool_head_list,
};

static const struct tool_format apriel = {
    .name = "apriel",
    .marker = "<tool_calls>",
    .open = "<tool_calls>",
    .close = "</tool_calls>",
    .is_list = true,
    JSON_LIST("<tool_calls>", "</tool_calls>"),
    USUAL_IDS,
    .read_head = tool_head_list,
};

static const struct tool_format seed = {
    .name = "seed",
    .marker = "<seed:tool_call>",
    .open = "<seed:tool_call>",
    .close = "</seed:tool_call>",
    .syntax = TOOL_SYNTAX_FUNCTION,
    .pairs = &function_pairs,
    .force_open = "<seed:tool_call>\n<function=",
    .force_middle = ">\n",
    .force_end = "</function>\n</seed:tool_call>",
    USUAL_IDS,
};

static const struct tool_format qwen3_coder = {
    .name = "qwen3-coder",
    .marker = "<parameter=",
    .open = "<tool_call>",
    .other_open = "<function=",
    .close = "</tool_call>",
    .syntax = TOOL_SYNTAX_FUNCTION,
    .pairs = &function_pairs,
    .force_open = "<tool_call>\n<function=",
    .force_middle = ">\n",
    .force_end = "</function>\n</tool_call>",
    USUAL_IDS,
};

static const struct tool_format minimax = {
    .name = "minimax",
    .marker = "<minimax:tool_call>",
    .open = "<minimax:tool_call>",
    .close = "</minimax:tool_call>",
    .syntax = TOOL_SYNTAX_INVOKE,
    .force_open = "<minimax:tool_call>\n<invoke name=\"",
    .force_middle = "\">\n",
    .force_end = "</invoke>\n</minimax:tool_call>",
    .pairs = &invoke_pairs,
    USUAL_IDS,
};

static const struct tool_format glm = {
    .name = "glm",
    .marker = "<arg_key>",
    .open = "<tool_call>",
    .close = "</tool_call>",
    .syntax = TOOL_SYNTAX_PAIRS,
    .force_open = "<tool_call>",
    .force_middle = "\n",
    .force_end = "</tool_call>",
    .pairs = &key_pairs,
    USUAL_IDS,
};

static const struct tool_format functionary = {
    .name = "functionary",
    .marker = ">>>all",
    .open = ">>>",
    .words_mark = "all\n",
    .argument_mark = "\n",
    .force_open = "",
    .force_middle = "\n",
    .force_end = "",
    USUAL_IDS,
    .read_head = tool_head_named,
};

static const struct tool_format functionary_v3_1 = {
    .name = "functionary-v3.1",
    .marker = "<function=",
    .open = "<function=",
    .close = "</function>",
    .argument_mark = ">",
    .force_open = "<function=",
    .force_middle = ">",
    .force_end = "</function>",
    USUAL_IDS,
    .read_head = tool_head_named,
};

static const struct tool_format llama3 = {
    .name = "llama3",
    .marker = "\"parameters\":",
    .other_open = "<|python_tag|>",
    .is_list = true,
    .force_open = "{\"name\": \"",
    .force_middle = "\", \"parameters\": ",
    .force_end = "}",
    USUAL_IDS,
    .read_head = tool_head_bare,
};

/* What Llama 3.2 and 4 were taught beside JSON; templates that ask for it show it in one wording.
 */
static const struct tool_format pythonic = {
    .name = "pythonic",
    .marker = "func_name1(",
    .other_open = "<|python_start|>",
    .noise = {"<|python_end|>"},
    .is_list = true,
    .syntax = TOOL_SYNTAX_PYTHON,
    .pairs = &python_pairs,
    .force_open = "[",
    .force_middle = "(",
    .force_end = ")]",
    .next = "), ",
    USUAL_IDS,
    .read_head = tool_head_bare,
};

static const struct tool_format lfm2 = {
    .name = "lfm2",
    .marker = "<|tool_call_start|>",
    .open = "<|tool_call_start|>",
    .close = "<|tool_call_end|>",
    .is_list = true,
    .syntax = TOOL_SYNTAX_PYTHON,
    .pairs = &python_pairs,
    .force_open = "<|tool_call_start|>[",
    .force_middle = "(",
    .force_end = ")]<|tool_call_end|>",
    .next = "), ",
    USUAL_IDS,
    .read_head = tool_head_python,
};

static const struct tool_format gemma4 = {
    .name = "gemma4",
    .marker = "<|tool_call>call:",
    .open = "<|tool_call>",
    .close = "<tool_call|>",
    .turn_end = "<|tool_response>",
    .syntax = TOOL_SYNTAX_MARKED,
    .string_mark = GEMMA_MARK,
    .pairs = &gemma_pairs,
    .force_open = "<|tool_call>call:",
    .force_middle = "{",
    .force_end = "}<tool_call|>",
    USUAL_IDS,
    .read_head = tool_head_marked,
};

static const struct tool_format functiongemma = {
    .name = "functiongemma",
    .marker = "<start_function_call>call:",
    .open = "<start_function_call>",
    .close = "<end_function_call>",
    .turn_end = "<start_function_response>",
    .syntax = TOOL_SYNTAX_MARKED,
    .string_mark = FUNCTIONGEMMA_MARK,
    .pairs = &functiongemma_pairs,
    .force_open = "<start_function_call>call:",
    .force_middle = "{",
    .force_end = "}<end_function_call>",
    USUAL_IDS,
    .read_head = tool_head_marked,
};

static const struct tool_format harmony = {
    .name = "harmony",
    .marker = "<|channel|>",
    .other_marker = "<|message|>",
    .turn_end = "<|call|>",
    .has_channels = true,
    .force_open = "<|channel|>commentary to=functions.",
    .force_middle = " <|constrain|>json<|message|>",
    .force_end = "",
    USUAL_IDS,
};

/* The most telling marker first. */
static const struct tool_format *const formats[] = {
    &pythonic,  &lfm2,        &mistral,   &deepseek, &deepseek_v3_1, &kimi,
    &command_r, &phi4,        &functools, &granite,  &nemotron,      &apriel,
    &seed,      &qwen3_coder, &minimax,   &glm,      &functionary,   &functionary_v3_1,
    &hermes,    &llama3,      &harmony,   &gemma4,   &functiongemma,
};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

/* What templates show that have tools, but no calls. */
static const struct {
    const char *text;
    const struct tool_format *format;
} hints[] = {
    {"<|tool_list_start|>", &lfm2},
    {"List of tools: [", &lfm2},
    {"<|python_tag|>", &llama3},
};

static bool contains(const char *text, size_t len, const char *part)
{
    return len > 0 && memmem(text, len, part, strlen(part)) != NULL;
}

static bool has_markers(const struct tool_format *format, const char *template, size_t len)
{
    return contains(template, len, format->marker) &&
           (format->other_marker == NULL || contains(template, len, format->other_marker));
}

const struct tool_format *tool_format_detect(const char *template, size_t len)
{
    if (has_markers(&harmony, template, len)) /* whose words are messages, too */
        return &harmony;
    if (!tool_format_template_has_tools(template, len))
        return &hermes;
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (has_markers(formats[i], template, len))
            return formats[i];
    }
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        if (contains(template, len, hints[i].text))
            return hints[i].format;
    }
    return &hermes;
}

const struct tool_format *tool_format_find(const char *name)
{
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    }
    return NULL;
}

bool tool_format_is_tagged(const struct tool_format *format)
{
    return format->syntax > TOOL_SYNTAX_MARKED;
}

struct chat_call_form tool_format_call_form(const struct tool_format *format)
{
    const struct tool_format *told = format->told == NULL ? format : format->told;
    if (told->syntax >= TOOL_SYNTAX_MARKED || told->words_mark != NULL)
        return (struct chat_call_form){0};
    return (struct chat_call_form){
        .open = told->force_open,
        .middle = told->force_middle,
        .end = told->force_end,
        .next = told->next,
        .is_python = told->syntax == TOOL_SYNTAX_PYTHON,
    };
}

const struct tool_format *tool_format_at(size_t i)
{
    return i < N_FORMATS ? formats[i] : NULL;
}

bool tool_format_template_has_tools(const char *template, size_t len)
{
    return contains(template, len, "tools") || contains(template, len, "tool_calls");
}
