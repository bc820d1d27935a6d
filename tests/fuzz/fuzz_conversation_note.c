/* fuzz_conversation_note.c - libFuzzer target: any bytes as what is known of a conversation. What
 * is accepted must be written as it was read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/conversation.h"
#include "server/conversation_list.h"
#include "server/conversation_note.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    char owner[CONVERSATION_OWNER_SIZE];
    struct conversation *one = calloc(1, sizeof *one);
    if (one == NULL)
        return 0;
    if (conversation_note_read((const char *)bytes, n_bytes, one, owner)) {
        struct buf again;
        buf_init(&again);
        conversation_note_write(one, owner, &again);
        if (!again.failed && (again.len != n_bytes || memcmp(again.data, bytes, n_bytes) != 0))
            abort();
        buf_done(&again);
    }
    conversation_free(one);
    return 0;
}
