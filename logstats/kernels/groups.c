/* Numbers the groups of rows that have the same key, and adds up what each group has. Reads keys, or the views of
   texts, and values; writes a number for each row and for each group. Trusts that there are as many slots as is said
   below, and that the group of a row is one of those there are: `library.py` makes the slots, and checks the groups.
   */

#include "kernels.h"

/* A hash table with linear probing. A slot holds the number of a group plus one; 0 is a free slot. The number of slots
   is `mask` + 1, a power of two, at least twice the number of rows. */
typedef struct {
    uint32_t *slots;
    uint64_t mask, seed;
    uint32_t *firsts; /* the first row of each group */
    uint32_t count;
} groups;

static uint64_t start_of(const groups *in, uint64_t key) { return mixed(key ^ in->seed, 0x9e3779b97f4a7c15) & in->mask; }

static uint32_t new_group(groups *in, int64_t row) {
    in->firsts[in->count] = (uint32_t)row;
    return ++in->count;
}

/* Number the groups of keys from 0, in order of first appearance. `to` gets the group of each row, `firsts` the first
   row of each group. Returns the number of groups. */
int64_t group(const uint64_t *keys, int64_t rows, uint32_t *slots, uint64_t mask, uint64_t seed, uint32_t *to,
              uint32_t *firsts) {
    groups in = {slots, mask, seed, firsts, 0};
    for (int64_t row = 0; row < rows; row++) {
        uint64_t at = start_of(&in, keys[row]);
        while (slots[at] && keys[firsts[slots[at] - 1]] != keys[row])
            at = (at + 1) & mask;
        if (!slots[at])
            slots[at] = new_group(&in, row);
        to[row] = slots[at] - 1;
    }
    return in.count;
}

/* The same for a column of texts. Texts are compared by their place in memory, so equal texts may be in several groups.
   Null is a group. */
int64_t group_texts(const column *texts, uint32_t *slots, uint64_t mask, uint64_t seed, uint32_t *to, uint32_t *firsts) {
    groups in = {slots, mask, seed, firsts, 0};
    const uint8_t *bytes = (const uint8_t *)texts->views;
    uint32_t null = 0;
    for (int64_t row = 0; row < texts->rows; row++) {
        if (is_null(texts, row)) {
            if (!null)
                null = new_group(&in, row);
            to[row] = null - 1;
            continue;
        }
        uint64_t first = word(bytes + 16 * row), second = word(bytes + 16 * row + 8);
        uint64_t at = start_of(&in, mixed(first ^ seed, second ^ 0xa0761d6478bd642f));
        while (slots[at] && !same(bytes + 16 * (int64_t)firsts[slots[at] - 1], bytes + 16 * row, 16))
            at = (at + 1) & mask;
        if (!slots[at])
            slots[at] = new_group(&in, row);
        to[row] = slots[at] - 1;
    }
    return in.count;
}

/* For each group, the sum of its values (`how` is 0; modulo 2^64), the least (1) or the greatest one (2). `group` has the
   number of each row's group; `to`, a number for each group, begins with 0, or with one of its values. */
void reduce(const uint32_t *group, const int64_t *values, int64_t rows, int64_t how, int64_t *to) {
    if (how == 0)
        for (int64_t row = 0; row < rows; row++)
            to[group[row]] = (int64_t)((uint64_t)to[group[row]] + (uint64_t)values[row]);
    else if (how == 1)
        for (int64_t row = 0; row < rows; row++)
            to[group[row]] = values[row] < to[group[row]] ? values[row] : to[group[row]];
    else
        for (int64_t row = 0; row < rows; row++)
            to[group[row]] = values[row] > to[group[row]] ? values[row] : to[group[row]];
}
