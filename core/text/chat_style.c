#include "core/text/chat_style.h"

#include <string.h>

#include "core/text/prompt.h"
#include "core/text/utf8.h"

/* The words around what people and models say. Each template follows the Jinja text that the models
 * named in its row were published with. */
struct style {
    const char *name;
    const char *system_open; /* NULL: no system turn, the text goes into the next user turn */
    const char *system_close;
    const char *user_first; /* NULL: like user_open */
    const char *user_open;
    const char *user_close;
    const char *tool_open; /* NULL: a tool speaks as the user */
    const char *assistant_open;
    const char *assistant_close;
    const char *generation;  /* a beginning of assistant_open */
    const char *merged_open; /* around system text inside a user turn */
    const char *merged_close;
    const char *merged_close_alone; /* in its place when no user text follows */
    bool trims_user;                /* and system and tool, where they have turns */
    bool trims_merged; /* system and user text are trimmed as one, not the user text alone */
    bool trims_assistant;
};

/* The system text stands above the user's, an empty line between them. */
#define MERGED_ABOVE .merged_open = "", .merged_close = "\n\n", .merged_close_alone = ""

static const struct style STYLES[] = {
    /* Qwen, SmolLM, Yi, Hermes ... (their default system messages are not added) */
    [CHAT_STYLE_CHATML] = {.name = "chatml",
                           .system_open = "<|im_start|>system\n",
                           .system_close = "<|im_end|>\n",
                           .user_open = "<|im_start|>user\n",
                           .user_close = "<|im_end|>\n",
                           .tool_open = "<|im_start|>tool\n",
                           .assistant_open = "<|im_start|>assistant\n",
                           .assistant_close = "<|im_end|>\n",
                           .generation = "<|im_start|>assistant\n"},
    /* Llama-2-chat. Its text begins each turn with BOS; the first is the tokenizer's. */
    [CHAT_STYLE_LLAMA2] = {.name = "llama2",
                           .user_first = "[INST] ",
                           .user_open = "<s>[INST] ",
                           .user_close = " [/INST]",
                           .assistant_open = " ",
                           .assistant_close = " </s>",
                           .generation = "",
                           .merged_open = "<<SYS>>\n",
                           .merged_close = "\n<</SYS>>\n\n",
                           .merged_close_alone = "\n<</SYS>>",
                           .trims_user = true,
                           .trims_merged = true,
                           .trims_assistant = true},
    /* TinyLlama-1.1B-Chat, Zephyr-7B */
    [CHAT_STYLE_ZEPHYR] = {.name = "zephyr",
                           .system_open = "<|system|>\n",
                           .system_close = "</s>\n",
                           .user_open = "<|user|>\n",
                           .user_close = "</s>\n",
                           .assistant_open = "<|assistant|>\n",
                           .assistant_close = "</s>\n",
                           .generation = "<|assistant|>\n"},
    /* Llama-3-Instruct */
    [CHAT_STYLE_LLAMA3] = {.name = "llama3",
                           .system_open = "<|start_header_id|>system<|end_header_id|>\n\n",
                           .system_close = "<|eot_id|>",
                           .user_open = "<|start_header_id|>user<|end_header_id|>\n\n",
                           .user_close = "<|eot_id|>",
                           .tool_open = "<|start_header_id|>ipython<|end_header_id|>\n\n",
                           .assistant_open = "<|start_header_id|>assistant<|end_header_id|>\n\n",
                           .assistant_close = "<|eot_id|>",
                           .generation = "<|start_header_id|>assistant<|end_header_id|>\n\n",
                           .trims_user = true,
                           .trims_assistant = true},
    /* Mistral-7B-Instruct-v0.2 as first published */
    [CHAT_STYLE_MISTRAL] = {.name = "mistral",
                            .user_open = "[INST] ",
                            .user_close = " [/INST]",
                            .assistant_open = "",
                            .assistant_close = "</s>",
                            .generation = "",
                            MERGED_ABOVE},
    /* Gemma, with the system text where Gemma 3 puts it */
    [CHAT_STYLE_GEMMA] = {.name = "gemma",
                          .user_open = "<start_of_turn>user\n",
                          .user_close = "<end_of_turn>\n",
                          .assistant_open = "<start_of_turn>model\n",
                          .assistant_close = "<end_of_turn>\n",
                          .generation = "<start_of_turn>model\n",
                          MERGED_ABOVE,
                          .trims_user = true,
                          .trims_assistant = true},
    /* Mistral-7B-Instruct-v0.1, v0.2 and Mixtral as corrected later */
    [CHAT_STYLE_MISTRAL_V1] = {.name = "mistral-v1",
                               .user_open = " [INST] ",
                               .user_close = " [/INST]",
                               .assistant_open = " ",
                               .assistant_close = "</s>",
                               .generation = "",
                               MERGED_ABOVE},
    /* Mistral-7B-Instruct-v0.3 */
    [CHAT_STYLE_MISTRAL_V3] = {.name = "mistral-v3",
                               .user_open = "[INST] ",
                               .user_close = "[/INST]",
                               .assistant_open = " ",
                               .assistant_close = "</s>",
                               .generation = "",
                               MERGED_ABOVE,
                               .trims_assistant = true},
    /* Mistral-Nemo */
    [CHAT_STYLE_MISTRAL_TEKKEN] = {.name = "mistral-tekken",
                                   .user_open = "[INST]",
                                   .user_close = "[/INST]",
                                   .assistant_open = "",
                                   .assistant_close = "</s>",
                                   .generation = "",
                                   MERGED_ABOVE},
    /* Mistral-Small-3 */
    [CHAT_STYLE_MISTRAL_V7] = {.name = "mistral-v7",
                               .system_open = "[SYSTEM_PROMPT]",
                               .system_close = "[/SYSTEM_PROMPT]",
                               .user_open = "[INST]",
                               .user_close = "[/INST]",
                               .assistant_open = "",
                               .assistant_close = "</s>",
                               .generation = ""},
};
enum { N_STYLES = sizeof STYLES / sizeof STYLES[0] };

static const char *find(const char *text, size_t len, const char *word)
{
    return len == 0 ? NULL : memmem(text, len, word, strlen(word));
}

/* The turn of a user ends with EOS: that tells Zephyr's from other templates with "<|user|>". */
static bool is_zephyr(const char *jinja, size_t len)
{
    const char *user = find(jinja, len, "<|user|>");
    if (user == NULL || find(jinja, len, "<|end|>") != NULL)
        return false;
    size_t rest = len - (size_t)(user - jinja);
    const char *end = find(user, rest, "}}");
    size_t turn = end == NULL ? rest : (size_t)(end - user);
    return find(user, turn, "eos_token") != NULL || find(user, turn, "</s>") != NULL;
}

static enum chat_style detect_mistral(const char *jinja, size_t len)
{
    if (find(jinja, len, "[SYSTEM_PROMPT]") != NULL)
        return CHAT_STYLE_MISTRAL_V7;
    if (find(jinja, len, " [INST] ") != NULL)
        return CHAT_STYLE_MISTRAL_V1;
    if (find(jinja, len, "[AVAILABLE_TOOLS]") == NULL)
        return CHAT_STYLE_MISTRAL;
    return find(jinja, len, "[INST] ") != NULL ? CHAT_STYLE_MISTRAL_V3 : CHAT_STYLE_MISTRAL_TEKKEN;
}

bool chat_style_detect(const char *jinja, size_t len, enum chat_style *out)
{
    *out = CHAT_STYLE_CHATML;
    if (find(jinja, len, "<|im_start|>") != NULL)
        return find(jinja, len, "<|im_sep|>") == NULL; /* Phi-4 is not ChatML */
    if (find(jinja, len, "<|start_header_id|>") != NULL)
        *out = CHAT_STYLE_LLAMA3;
    else if (find(jinja, len, "[INST]") != NULL)
        *out = find(jinja, len, "<<SYS>>") != NULL ? CHAT_STYLE_LLAMA2 : detect_mistral(jinja, len);
    else if (find(jinja, len, "<start_of_turn>") != NULL)
        *out = CHAT_STYLE_GEMMA;
    else if (is_zephyr(jinja, len))
        *out = CHAT_STYLE_ZEPHYR;
    else
        return false;
    return true;
}

bool chat_style_parse(const char *name, enum chat_style *out)
{
    for (int i = 0; i < N_STYLES; i++) {
        if (strcmp(name, STYLES[i].name) == 0) {
            *out = (enum chat_style)i;
            return true;
        }
    }
    return false;
}

const char *chat_style_name(enum chat_style which)
{
    return STYLES[which].name;
}

struct text {
    const char *data;
    size_t len;
};

/* What Python's str.strip takes off, as Jinja's trim does. */
static bool is_stripped(uint32_t point)
{
    return utf8_is_space(point) || (point >= 0x1C && point <= 0x1F);
}

static struct text trim_begin(struct text text)
{
    uint32_t point;
    size_t n;
    while ((n = utf8_decode(text.data, text.len, &point)) > 0 && is_stripped(point)) {
        text.data += n;
        text.len -= n;
    }
    return text;
}

static struct text trim_end(struct text text)
{
    while (text.len > 0) {
        size_t begin = text.len - 1;
        while (begin > 0 && text.len - begin < 4 &&
               ((unsigned char)text.data[begin] & 0xC0) == 0x80)
            begin--;
        uint32_t point;
        size_t n = utf8_decode(text.data + begin, text.len - begin, &point);
        if (n != text.len - begin || !is_stripped(point))
            break;
        text.len = begin;
    }
    return text;
}

static struct text content_of(const struct chat_message *message, bool trims)
{
    struct text text = {message->content, message->len};
    return trims ? trim_end(trim_begin(text)) : text;
}

static void put(struct prompt *out, const char *control)
{
    prompt_append_control(out, control, strlen(control));
}

static void put_turn(struct prompt *out, const char *open, struct text text, const char *close)
{
    put(out, open);
    prompt_append_plain(out, text.data, text.len);
    put(out, close);
}

/* What one user turn is made of. */
struct user_turn {
    const struct chat_message *systems; /* that a template without system turns merges into it */
    size_t n_systems;
    const struct chat_message *user; /* NULL when the system messages have to stand alone */
    bool is_first;                   /* nothing was rendered before it */
};

static void put_merged(const struct style *style, const struct user_turn *turn, struct prompt *out)
{
    put(out, style->merged_open);
    for (size_t i = 0; i < turn->n_systems; i++) {
        if (i > 0)
            put(out, "\n\n");
        prompt_append_plain(out, turn->systems[i].content, turn->systems[i].len);
    }
    struct text text = {"", 0};
    if (turn->user != NULL)
        text = content_of(turn->user, style->trims_user && !style->trims_merged);
    if (style->trims_merged)
        text = trim_end(text);
    bool is_alone = turn->user == NULL || (style->trims_merged && text.len == 0);
    put(out, is_alone ? style->merged_close_alone : style->merged_close);
    prompt_append_plain(out, text.data, text.len);
}

static void put_user(const struct style *style, const struct user_turn *turn, struct prompt *out)
{
    bool is_first = turn->is_first && style->user_first != NULL;
    put(out, is_first ? style->user_first : style->user_open);
    if (turn->n_systems > 0) {
        put_merged(style, turn, out);
    } else {
        struct text text = content_of(turn->user, style->trims_user);
        prompt_append_plain(out, text.data, text.len);
    }
    put(out, style->user_close);
}

static bool speaks_as_user(const struct style *style, const struct chat_message *message)
{
    return message->role == CHAT_USER || (message->role == CHAT_TOOL && style->tool_open == NULL);
}

/* Any message but one that speaks_as_user or is merged into one that does. */
static void put_other(const struct style *style, const struct chat_message *message,
                      bool is_continued, struct prompt *out)
{
    if (message->role == CHAT_ASSISTANT)
        put_turn(out, style->assistant_open, content_of(message, style->trims_assistant),
                 is_continued ? "" : style->assistant_close);
    else if (message->role == CHAT_TOOL)
        put_turn(out, style->tool_open, content_of(message, style->trims_user), style->user_close);
    else
        put_turn(out, style->system_open, content_of(message, style->trims_user),
                 style->system_close);
}

void chat_style_render(enum chat_style which, const struct chat_message *messages,
                       size_t n_messages, bool add_generation_prompt, struct prompt *out)
{
    const struct style *style = &STYLES[which];
    bool is_continued =
        add_generation_prompt && n_messages > 0 && messages[n_messages - 1].role == CHAT_ASSISTANT;
    for (size_t i = 0; i < n_messages; i++) {
        struct user_turn turn = {.systems = &messages[i], .is_first = i == 0};
        while (style->system_open == NULL && i < n_messages && messages[i].role == CHAT_SYSTEM) {
            turn.n_systems++;
            i++;
        }
        if (i < n_messages && speaks_as_user(style, &messages[i]))
            turn.user = &messages[i];
        if (turn.n_systems > 0 || turn.user != NULL)
            put_user(style, &turn, out);
        if (i < n_messages && turn.user == NULL)
            put_other(style, &messages[i], is_continued && i + 1 == n_messages, out);
    }
    if (add_generation_prompt && !is_continued)
        put(out, style->generation);
}
