/* The HyperLogLog register and rank of a text, as in the `hyperloglog` package: from the first eight bytes of SHA-1
   (FIPS 180-4, section 6.1) of the text in msgpack. (`sketches/hll.py` says why SHA-1.) Reads a column of texts, whose
   views must lie within their buffers, as `kernels/columns.py` has them from Polars. Writes one register and one rank
   for each row. */

#include "kernels.h"

#define BLOCK 64 /* bytes of a block of SHA-1 */
#define REGISTER_BITS 14

typedef struct {
    uint32_t state[5];
    uint8_t block[BLOCK]; /* bytes of an incomplete block */
    uint64_t size;        /* number of all bytes so far */
} sha1;

static uint32_t rotated(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static uint32_t big_endian(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* One round; `f` is the round's function of the state plus its constant. */
static inline void turn(uint32_t *v, uint32_t f, uint32_t w) {
    uint32_t next = rotated(v[0], 5) + f + v[4] + w;
    v[4] = v[3];
    v[3] = v[2];
    v[2] = rotated(v[1], 30);
    v[1] = v[0];
    v[0] = next;
}

/* Process one block of the message. */
static void take_block(uint32_t *state, const uint8_t *block) {
    uint32_t w[80], v[5] = {state[0], state[1], state[2], state[3], state[4]};
    for (int t = 0; t < 16; t++)
        w[t] = big_endian(block + 4 * t);
#pragma GCC unroll 16
    for (int t = 16; t < 80; t++)
        w[t] = rotated(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
#pragma GCC unroll 20
    for (int t = 0; t < 20; t++)
        turn(v, (v[3] ^ (v[1] & (v[2] ^ v[3]))) + 0x5a827999, w[t]);
#pragma GCC unroll 20
    for (int t = 20; t < 40; t++)
        turn(v, (v[1] ^ v[2] ^ v[3]) + 0x6ed9eba1, w[t]);
#pragma GCC unroll 20
    for (int t = 40; t < 60; t++)
        turn(v, ((v[1] & v[2]) | (v[3] & (v[1] | v[2]))) + 0x8f1bbcdc, w[t]);
#pragma GCC unroll 20
    for (int t = 60; t < 80; t++)
        turn(v, (v[1] ^ v[2] ^ v[3]) + 0xca62c1d6, w[t]);
    for (int i = 0; i < 5; i++)
        state[i] += v[i];
}

static void take(sha1 *hash, const uint8_t *bytes, uint64_t size) {
    uint64_t held = hash->size % BLOCK;
    hash->size += size;
    for (; size; held = 0) {
        uint64_t some = size < BLOCK - held ? size : BLOCK - held;
        __builtin_memcpy(hash->block + held, bytes, some);
        if (held + some == BLOCK)
            take_block(hash->state, hash->block);
        bytes += some;
        size -= some;
    }
}

/* Pad the message (a bit, zeros, its length in bits), and return the first eight bytes of the hash. */
static uint64_t finish(sha1 *hash) {
    static const uint8_t padding[BLOCK] = {0x80};
    uint64_t bits = hash->size * 8, held = hash->size % BLOCK;
    take(hash, padding, held < BLOCK - 8 ? BLOCK - 8 - held : 2 * BLOCK - 8 - held);
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    take(hash, length, 8);
    return (uint64_t)hash->state[0] << 32 | hash->state[1];
}

/* Write the header of a text in msgpack (specification, "str format family"). Returns its size. */
static uint64_t msgpack_header(uint32_t size, uint8_t *to) {
    int bytes = size < 32 ? 0 : size < 1 << 8 ? 1 : size < 1 << 16 ? 2 : 4;
    *to++ = bytes == 0 ? (uint8_t)(0xa0 | size) : bytes == 1 ? 0xd9 : bytes == 2 ? 0xda : 0xdb;
    for (int i = bytes - 1; i >= 0; i--)
        *to++ = (uint8_t)(size >> 8 * i);
    return 1 + (uint64_t)bytes;
}

/* The register of a text is the low 14 bits of its hash; the rank is the number of leading zeros of the other bits plus
   one. Returns register << 6 | rank. */
SHARED uint32_t register_of(const uint8_t *text, uint32_t size) {
    sha1 hash = {{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}, {0}, 0};
    uint8_t header[5];
    take(&hash, header, msgpack_header(size, header));
    take(&hash, text, size);
    uint64_t found = finish(&hash), rest = found >> REGISTER_BITS;
    uint32_t rank = (uint32_t)(rest ? __builtin_clzll(rest) - REGISTER_BITS + 1 : 64 - REGISTER_BITS + 1);
    return (uint32_t)(found & ((1 << REGISTER_BITS) - 1)) << 6 | rank;
}

/* The same for a column. Both are 0 for null. */
void registers(const column *in, uint16_t *to, uint8_t *ranks) {
    for (int64_t row = 0; row < in->rows; row++) {
        const view *text = in->views + row;
        uint32_t found = is_null(in, row) ? 0 : register_of(bytes_of(text, in->buffers), text->size);
        to[row] = (uint16_t)(found >> 6);
        ranks[row] = (uint8_t)(found & 63);
    }
}
