/* tool_python.h - arguments of a call as Python writes them, city="Paris", days=[1, 2], or as a
 * dictionary of Gemma's, {city:<|"|>Paris<|"|>,days:[1,2]}, to a JSON object, byte by byte.
 *
 * True, False and None and their JSON forms, numbers, strings in either quotes, lists, tuples and
 * dictionaries; any other word becomes a string, and so do several of Gemma's. Pure; fuzzed with
 * answers. Owner: a tool_parser (embedded). Thread: the owner's. */
#ifndef SERVER_TOOL_PYTHON_H
#define SERVER_TOOL_PYTHON_H

#include <stdbool.h>

struct buf;

enum { TOOL_PYTHON_MAX_DEPTH = 64, TOOL_PYTHON_MAX_WORD = 128 };

enum tool_python_result {
    TOOL_PYTHON_MORE,
    TOOL_PYTHON_END,  /* the byte was the closing bracket; the object is complete */
    TOOL_PYTHON_FAIL, /* the byte cannot stand here */
};

struct tool_python {
    int state;        /* enum state in the .c */
    const char *mark; /* Gemma's around strings, in which it is the only escape; else NULL */
    int n_mark;       /* bytes of it that have come */
    char open[TOOL_PYTHON_MAX_DEPTH]; /* of what is open, the bracket in Python: '(' is the call */
    int depth;
    bool has_items; /* the innermost one has some */
    bool is_key;    /* what is being read is a dictionary's key */
    char quote;
    unsigned half; /* \uD8.. that was read last, of a pair that JSON wants whole; 0: none */
    char word[TOOL_PYTHON_MAX_WORD]; /* a name, a word or a string's escape, not complete yet */
    int n_word;
};

/* Behind the opening parenthesis, or with a mark the opening brace. The mark begins with a
 * character that it has nowhere else. */
void tool_python_init(struct tool_python *python, const char *mark);

/* Appends to `out` what is known of the object. */
enum tool_python_result tool_python_push(struct tool_python *python, char c, struct buf *out);

/* After a failure: appends what makes it an object of what was understood. */
void tool_python_close(struct tool_python *python, struct buf *out);

#endif
