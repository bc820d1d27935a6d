/* text_list.h - "a, b, c" of an option as its parts. Owner: whoever embeds it. Thread: its. */
#ifndef SERVER_TEXT_LIST_H
#define SERVER_TEXT_LIST_H

#include <stdbool.h>

#include "server/options.h"

struct err;

enum { TEXT_LIST_MAX = 64 };

struct text_list {
    char text[OPTIONS_MAX_TEXT];
    const char *items[TEXT_LIST_MAX]; /* parts of text: do not move a list */
    int n;
};

/* Splits at commas and spaces. On false the list is as it was. */
bool text_list_read(struct text_list *list, const char *text, struct err *err);

#endif
