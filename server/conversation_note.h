/* conversation_note.h - what is known of a conversation as bytes, saved with its session (see
 * engine_note) so that both come back from a restart together or not at all.
 *
 * Checksummed where it is kept; still read as if anybody could have written it. Thread: any (pure).
 */
#ifndef SERVER_CONVERSATION_NOTE_H
#define SERVER_CONVERSATION_NOTE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct conversation;

enum { CONVERSATION_OWNER_SIZE = 65 };

/* Appends to *out; `owner` stands for the API key. Failure is the buffer's. */
void conversation_note_write(const struct conversation *one, const char *owner, struct buf *out);

/* Fills in id, is_named, last, log and boundaries of a fresh conversation. False when the bytes are
 * not such a note, or for want of memory; *one is then only to be freed, with its log. */
bool conversation_note_read(const char *bytes, size_t len, struct conversation *one,
                            char owner[CONVERSATION_OWNER_SIZE]);

#endif
