/* A dictionary of texts: distinct texts have the numbers 1, 2, 3 in order of first appearance. Memory is the caller's; he
   makes more room where there is too little, and then repeats the call. */

#include "kernels.h"

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
static inline uint64_t hash_of(const uint8_t *text, uint64_t size, uint64_t seed) {
    uint64_t hash = seed ^ size * 0x9e3779b97f4a7c15;
    const uint8_t *end = text + size;
    for (; end - text > 16; text += 16)
        hash = mixed(word(text) ^ 0xa0761d6478bd642f, word(text + 8) ^ hash);
    uint64_t first = size < 16 ? word(text) : word(end - 16);
    return mixed(mixed(first ^ 0xe7037ed1a0b428db, word(end - 8) ^ hash), 0x8ebc6af09c88c6e3 ^ seed);
}

static inline uint64_t hash_of_view(const view *text, const uint8_t *const *buffers, uint64_t seed) {
    if (text->size > INLINE)
        return hash_of(bytes_of(text, buffers), text->size, seed);
    uint64_t rest;
    __builtin_memcpy(&rest, &text->buffer, 8);
    return mixed(mixed(text->head ^ 0xa0761d6478bd642f, rest ^ seed), (text->size ^ 0xe7037ed1a0b428db) + seed);
}

static inline int is_same(const view *a, const uint8_t *const *buffers_a, const view *b, const uint8_t *const *buffers_b) {
    if (a->size != b->size || a->head != b->head)
        return 0;
    if (a->size <= INLINE)
        return a->buffer == b->buffer && a->from == b->from;
    return same(bytes_of(a, buffers_a) + 4, bytes_of(b, buffers_b) + 4, a->size - 4);
}

/* Number a text that has this hash. Returns 0 if there is no room for it. */
static inline uint32_t number_in(table *to, const view *text, const uint8_t *const *buffers, uint64_t hashed) {
    const uint8_t *const *segments = (const uint8_t *const *)to->segments;
    uint32_t hash = (uint32_t)(hashed >> 32);
    uint64_t at = hashed & to->mask;
    while (to->slots[at].number &&
           !(to->slots[at].hash == hash && is_same(text, buffers, to->texts + to->slots[at].number, segments)))
        at = (at + 1) & to->mask;
    if (!to->slots[at].number) {
        if (to->count == to->most || (text->size > INLINE && to->used + text->size > to->room))
            return 0;
        view *new = to->texts + to->count + 1;
        *new = *text;
        if (text->size > INLINE) {
            __builtin_memcpy(to->segments[to->segment] + to->used, bytes_of(text, buffers), text->size);
            new->buffer = (uint32_t)to->segment;
            new->from = (uint32_t)to->used;
            to->used += text->size;
        }
        to->slots[at].number = (uint32_t)++to->count;
        to->slots[at].hash = hash;
    }
    return to->slots[at].number;
}
