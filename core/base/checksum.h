/* checksum.h - numbers that tell whether bytes are what they were. Against accidents, not against
 * people. Thread: any (pure). */
#ifndef CORE_BASE_CHECKSUM_H
#define CORE_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4): `crc` is 0, a seed, or what came out for
 * the bytes before these. Finds every error in up to 32 neighbouring bits. */
uint32_t checksum_crc32c(uint32_t crc, const void *bytes, size_t len);

/* FNV-1a, 64 bits: begin with CHECKSUM_HASH, or go on from the hash of the bytes before. */
#define CHECKSUM_HASH 0xcbf29ce484222325u
uint64_t checksum_hash(uint64_t hash, const void *bytes, size_t len);

#endif
