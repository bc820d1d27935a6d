/* jinja_lexer.h - a template's text as tokens.
 *
 * Follows Jinja2's lexer with trim_blocks and lstrip_blocks, as transformers sets it: which
 * whitespace around a tag is dropped is decided here. Pure. Thread: any. */
#ifndef CORE_TEXT_JINJA_LEXER_H
#define CORE_TEXT_JINJA_LEXER_H

#include <stdbool.h>
#include <stddef.h>

struct err;

enum jinja_token_type {
    JINJA_TOKEN_END,
    JINJA_TOKEN_TEXT,        /* outside of tags; may be empty */
    JINJA_TOKEN_BLOCK_BEGIN, /* {% */
    JINJA_TOKEN_BLOCK_END,
    JINJA_TOKEN_PRINT_BEGIN, /* {{ */
    JINJA_TOKEN_PRINT_END,
    JINJA_TOKEN_NAME,
    JINJA_TOKEN_STRING, /* between its quotes, with escapes */
    JINJA_TOKEN_INTEGER,
    JINJA_TOKEN_FLOAT,
    JINJA_TOKEN_SIGN, /* an operator or bracket: 1 or 2 bytes */
};

struct jinja_token {
    enum jinja_token_type type;
    const char *text; /* in the template, not NUL-terminated */
    size_t len;
    int line;
};

enum jinja_lexer_state {
    JINJA_LEXER_OUTSIDE,
    JINJA_LEXER_AT_COMMENT, /* the text before it was given */
    JINJA_LEXER_AT_RAW,
    JINJA_LEXER_AT_PRINT,
    JINJA_LEXER_AT_BLOCK,
    JINJA_LEXER_IN_PRINT,
    JINJA_LEXER_IN_BLOCK,
};

enum { JINJA_LEXER_MAX_OPEN = 256 };

struct jinja_lexer {
    const char *text;
    size_t len;
    size_t at;
    int line;
    enum jinja_lexer_state state;
    bool is_line_start;              /* what was read last ended a line */
    size_t n_open;                   /* brackets that await their end ... */
    char open[JINJA_LEXER_MAX_OPEN]; /* ... which these are */
};

/* `text` has LF line ends and outlives the tokens. */
void jinja_lexer_init(struct jinja_lexer *lexer, const char *text, size_t len);
/* The next token; JINJA_TOKEN_END again and again at the end. */
bool jinja_lexer_next(struct jinja_lexer *lexer, struct jinja_token *out, struct err *err);

#endif
