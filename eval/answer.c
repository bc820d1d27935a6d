#include "eval/answer.h"

#include <string.h>

enum { GRAM = 4 };

double answer_repetition(const int32_t *ids, size_t n)
{
    if (n < 2 * GRAM)
        return 0;
    size_t n_grams = n - GRAM + 1, n_repeated = 0;
    for (size_t i = 1; i < n_grams; i++) {
        for (size_t j = 0; j < i; j++) {
            if (memcmp(ids + i, ids + j, GRAM * sizeof ids[0]) == 0) {
                n_repeated++;
                break;
            }
        }
    }
    return (double)n_repeated / (double)n_grams;
}

const char *answer_leak(const char *text)
{
    static const char *const markers[] = {
        "<|",      "|>",      "[INST]",         "[/INST]",      "<<SYS>>",  "<s>",
        "</s>",    "<unk>",   "<start_of_turn", "<end_of_turn", "### User", "### Assistant",
        "\nUSER:", "\nUser:", "ASSISTANT:",     "\nAssistant:",
    };
    for (size_t i = 0; i < sizeof markers / sizeof markers[0]; i++) {
        if (strstr(text, markers[i]) != NULL)
            return markers[i];
    }
    return NULL;
}
