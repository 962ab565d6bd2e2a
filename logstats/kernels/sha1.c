/* The HyperLogLog register and rank of texts, as in the `hyperloglog` package: from the first eight bytes of SHA-1
   (FIPS 180-4, section 6.1) of a text in msgpack. (`sketches/hll.py` says why SHA-1.) Reads a column of texts, whose
   views must lie within their buffers, as `kernels/columns.py` has them from Polars. Writes one register and one rank
   for each row.

   Four messages are hashed at once, each in a lane of vectors of their words. A lane whose message has ended takes the
   next text. */

#include "kernels.h"

#define BLOCK 64 /* bytes of a block of SHA-1 */
#define LANES 4
#define REGISTER_BITS 14
#define AT_ONCE 256 /* rows of a column */

typedef uint32_t words __attribute__((vector_size(4 * LANES)));

static words rotated(words in, int bits) { return in << bits | in >> (32 - bits); }

static uint32_t big_endian(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* One round; `f` is the round's function of the state plus its constant. */
static inline void turn(words *v, words f, words w) {
    words next = rotated(v[0], 5) + f + v[4] + w;
    v[4] = v[3];
    v[3] = v[2];
    v[2] = rotated(v[1], 30);
    v[1] = v[0];
    v[0] = next;
}

/* Process one block of each message. */
static void take_blocks(words *state, uint8_t blocks[LANES][BLOCK]) {
    words w[80], v[5] = {state[0], state[1], state[2], state[3], state[4]};
    for (int t = 0; t < 16; t++)
        for (int lane = 0; lane < LANES; lane++)
            w[t][lane] = big_endian(blocks[lane] + 4 * t);
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

/* Write the header of a text in msgpack (specification, "str format family"). Returns its size. */
static uint64_t msgpack_header(uint32_t size, uint8_t *to) {
    int bytes = size < 32 ? 0 : size < 1 << 8 ? 1 : size < 1 << 16 ? 2 : 4;
    *to++ = bytes == 0 ? (uint8_t)(0xa0 | size) : bytes == 1 ? 0xd9 : bytes == 2 ? 0xda : 0xdb;
    for (int i = bytes - 1; i >= 0; i--)
        *to++ = (uint8_t)(size >> 8 * i);
    return 1 + (uint64_t)bytes;
}

/* Write the block of a text's message that begins at byte `from`: of the text in msgpack, a bit, zeros, and the length in
   bits. Returns whether it is the last one. */
static int block_of(const uint8_t *text, uint32_t size, uint64_t from, uint8_t *to) {
    uint8_t header[5];
    uint64_t begin = msgpack_header(size, header), end = begin + size, to_end = from + BLOCK;
    __builtin_memset(to, 0, BLOCK);
    if (!from)
        __builtin_memcpy(to, header, begin);
    uint64_t first = from < begin ? begin : from, last = end < to_end ? end : to_end;
    if (first < last)
        __builtin_memcpy(to + (first - from), text + (first - begin), last - first);
    if (from <= end && end < to_end)
        to[end - from] = 0x80;
    if (end + 9 > to_end)
        return 0;
    for (int i = 0; i < 8; i++)
        to[BLOCK - 8 + i] = (uint8_t)(end * 8 >> (56 - 8 * i));
    return 1;
}

/* The register is the low 14 bits of the hash; the rank is the number of leading zeros of the other bits plus one.
   Returns register << 6 | rank. */
static uint32_t register_of(uint64_t hash) {
    uint64_t rest = hash >> REGISTER_BITS;
    uint32_t rank = (uint32_t)(rest ? __builtin_clzll(rest) - REGISTER_BITS + 1 : 64 - REGISTER_BITS + 1);
    return (uint32_t)(hash & ((1 << REGISTER_BITS) - 1)) << 6 | rank;
}

/* The register << 6 | rank of each text. */
SHARED void registers_of(const uint8_t *const *texts, const uint32_t *sizes, int64_t count, uint32_t *to) {
    static const uint32_t INITIAL[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    words state[5] = {{0}};
    uint8_t blocks[LANES][BLOCK] = {{0}};
    int64_t of[LANES], next = 0, ended = 0; /* the text of each lane, or -1 */
    uint64_t from[LANES];
    for (int lane = 0; lane < LANES; lane++)
        of[lane] = -1;
    while (ended < count) {
        int last[LANES] = {0};
        for (int lane = 0; lane < LANES; lane++) {
            if (of[lane] < 0 && next < count) {
                of[lane] = next++;
                from[lane] = 0;
                for (int i = 0; i < 5; i++)
                    state[i][lane] = INITIAL[i];
            }
            if (of[lane] >= 0) {
                last[lane] = block_of(texts[of[lane]], sizes[of[lane]], from[lane], blocks[lane]);
                from[lane] += BLOCK;
            }
        }
        take_blocks(state, blocks);
        for (int lane = 0; lane < LANES; lane++)
            if (last[lane]) {
                to[of[lane]] = register_of((uint64_t)state[0][lane] << 32 | state[1][lane]);
                of[lane] = -1;
                ended++;
            }
    }
}

/* The same for a column. Both are 0 for null. */
void registers(const column *in, uint16_t *to, uint8_t *ranks) {
    const uint8_t *texts[AT_ONCE];
    uint32_t sizes[AT_ONCE], found[AT_ONCE];
    int64_t of[AT_ONCE], count = 0;
    for (int64_t row = 0; row < in->rows; row++) {
        to[row] = 0;
        ranks[row] = 0;
        if (!is_null(in, row)) {
            texts[count] = bytes_of(in->views + row, in->buffers);
            sizes[count] = in->views[row].size;
            of[count++] = row;
        }
        if (count == AT_ONCE || row + 1 == in->rows) {
            registers_of(texts, sizes, count, found);
            for (int64_t i = 0; i < count; i++) {
                to[of[i]] = (uint16_t)(found[i] >> 6);
                ranks[of[i]] = (uint8_t)(found[i] & 63);
            }
            count = 0;
        }
    }
}
