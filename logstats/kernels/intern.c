/* Numbers distinct texts from 1, in order of first appearance; 0 is null. */

#include "kernels.h"

#define TOGETHER 32 /* rows whose memory is prefetched together */

/* A hash table with linear probing: the number of a text, and half of its hash. */
typedef struct {
    uint32_t number; /* 0 is a free slot */
    uint32_t hash;
} slot;

typedef struct {
    slot *slots;            /* at least twice as many as numbers; initially all free */
    view *texts;            /* the texts, by number */
    uint8_t **segments;     /* the bytes of long texts, by `buffer` */
    uint64_t mask;          /* the number of slots, a power of two, minus one */
    uint64_t count, most;   /* number of texts, and its limit */
    uint64_t segment, used; /* the last segment, and its bytes in use */
    uint64_t room;          /* its size */
    uint64_t seed;          /* random, so that clients cannot choose texts with equal hashes */
} table;

/* After wyhash, for texts longer than INLINE bytes: a multiplication for each 16 bytes; the last 16 may overlap those
   before. */
static uint64_t hash_of(const uint8_t *text, uint64_t size, uint64_t seed) {
    uint64_t hash = seed ^ size * 0x9e3779b97f4a7c15;
    const uint8_t *end = text + size;
    for (; end - text > 16; text += 16)
        hash = mixed(word(text) ^ 0xa0761d6478bd642f, word(text + 8) ^ hash);
    uint64_t first = size < 16 ? word(text) : word(end - 16);
    return mixed(mixed(first ^ 0xe7037ed1a0b428db, word(end - 8) ^ hash), 0x8ebc6af09c88c6e3 ^ seed);
}

static uint64_t hash_of_view(const view *text, const uint8_t *const *buffers, uint64_t seed) {
    if (text->size > INLINE)
        return hash_of(bytes_of(text, buffers), text->size, seed);
    uint64_t rest;
    __builtin_memcpy(&rest, &text->buffer, 8);
    return mixed(mixed(text->head ^ 0xa0761d6478bd642f, rest ^ seed), (text->size ^ 0xe7037ed1a0b428db) + seed);
}

static int is_same(const view *a, const uint8_t *const *buffers_a, const view *b, const uint8_t *const *buffers_b) {
    if (a->size != b->size || a->head != b->head)
        return 0;
    if (a->size <= INLINE)
        return a->buffer == b->buffer && a->from == b->from;
    return same(bytes_of(a, buffers_a) + 4, bytes_of(b, buffers_b) + 4, a->size - 4);
}

/* Number the texts of a column from `row` on. Returns the row at which there was no more room, or `rows`. */
int64_t intern(table *to, const column *in, int64_t row, uint32_t *numbers) {
    const view *texts = in->views;
    const uint8_t *const *buffers = in->buffers;
    const int64_t rows = in->rows;
    const uint8_t *const *segments = (const uint8_t *const *)to->segments;
    while (row < rows) {
        uint64_t hashes[TOGETHER];
        int64_t some = rows - row < TOGETHER ? rows - row : TOGETHER;
        for (int64_t i = 0; i < some; i++) {
            hashes[i] = is_null(in, row + i) ? 0 : hash_of_view(texts + row + i, buffers, to->seed);
            __builtin_prefetch(to->slots + (hashes[i] & to->mask));
        }
        for (int64_t i = 0; i < some; i++) {
            uint32_t number = to->slots[hashes[i] & to->mask].number;
            __builtin_prefetch(to->texts + number);
        }
        for (int64_t i = 0; i < some; i++) {
            uint32_t number = to->slots[hashes[i] & to->mask].number;
            const view *known = to->texts + number;
            if (known->size > INLINE)
                __builtin_prefetch(segments[known->buffer] + known->from);
        }
        for (int64_t i = 0; i < some; i++, row++) {
            const view *text = texts + row;
            if (is_null(in, row)) {
                numbers[row] = 0;
                continue;
            }
            uint32_t hash = (uint32_t)(hashes[i] >> 32);
            uint64_t at = hashes[i] & to->mask;
            while (to->slots[at].number && !(to->slots[at].hash == hash &&
                                             is_same(text, buffers, to->texts + to->slots[at].number, segments)))
                at = (at + 1) & to->mask;
            if (!to->slots[at].number) {
                if (to->count == to->most)
                    return row;
                view *new = to->texts + to->count + 1;
                *new = *text;
                if (text->size > INLINE) {
                    if (to->used + text->size > to->room)
                        return row;
                    uint8_t *copy = to->segments[to->segment] + to->used;
                    __builtin_memcpy(copy, bytes_of(text, buffers), text->size);
                    new->buffer = (uint32_t)to->segment;
                    new->from = (uint32_t)to->used;
                    to->used += text->size;
                }
                to->slots[at].number = (uint32_t)++to->count;
                to->slots[at].hash = hash;
            }
            numbers[row] = to->slots[at].number;
        }
    }
    return rows;
}

/* Fill the slots again, after their number has grown. */
void place(table *to) {
    const uint8_t *const *segments = (const uint8_t *const *)to->segments;
    for (uint64_t n = 1; n <= to->count; n++) {
        uint64_t hash = hash_of_view(to->texts + n, segments, to->seed), at = hash & to->mask;
        while (to->slots[at].number)
            at = (at + 1) & to->mask;
        to->slots[at].number = (uint32_t)n;
        to->slots[at].hash = (uint32_t)(hash >> 32);
    }
}
