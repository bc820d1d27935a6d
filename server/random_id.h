/* random_id.h - names that nobody can guess. Thread: any. */
#ifndef SERVER_RANDOM_ID_H
#define SERVER_RANDOM_ID_H

#include <stdint.h>

enum { RANDOM_ID_SIZE = 33 }; /* 128 bits in hex, and the NUL */

void random_id_make(char out[RANDOM_ID_SIZE]);

uint64_t random_id_number(void);

#endif
