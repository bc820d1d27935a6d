/* grammar.h - what a turn may say: a context-free grammar, compiled.
 *
 * Written in GBNF, llama.cpp's dialect of Backus-Naur form: `root ::= "a" [b-d]* (x | y){1,3}`,
 * with `name ::= ...` per rule, `.` for any character, `^` in a class, `# comments` and the escapes
 * \n \r \t \\ \" \[ \] \- \xNN \uNNNN \UNNNNNNNN. Rules may be recursive, but may not begin with
 * themselves. It runs on the bytes of UTF-8, so a token may hold a part of a character. The text is
 * untrusted: time and memory are bounded, each limit is an ERR_INVALID that says where.
 * Owner: whoever made or shared it; all share one copy. Thread: any (immutable). */
#ifndef CORE_TEXT_GRAMMAR_H
#define CORE_TEXT_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct grammar;

enum { GRAMMAR_MAX_TEXT = 1 << 20 };

bool grammar_new(struct grammar **out, const char *text, size_t len, struct err *err);
/* One more owner of the same grammar, who frees it too. Returns it; NULL stays NULL. */
struct grammar *grammar_share(struct grammar *grammar);
void grammar_free(struct grammar **grammar);

/* Memory that it takes, all owners together. */
size_t grammar_bytes(const struct grammar *grammar);

#endif
