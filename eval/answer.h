/* answer.h - what is wrong with an answer, as far as a program can tell. Thread: any (pure). */
#ifndef EVAL_ANSWER_H
#define EVAL_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The share of n-grams of 4 tokens that stood in the same answer before; 0 for short ones. */
double answer_repetition(const int32_t *ids, size_t n);

/* A marker of a chat template that stands in the text ("<|user|>", "[/INST]" ...), or NULL. */
const char *answer_leak(const char *text);

#endif
