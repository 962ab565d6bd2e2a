/* Tallies: sorted distinct numbers, and how often each was counted. */

#include "kernels.h"

/* Reduce sorted numbers, whose low `bits` say how often each counts (without any: once), to distinct ones without them,
   and the sums of these. Returns how many there are. */
int64_t tally(uint64_t *sorted, int64_t size, int64_t bits, int64_t *to) {
    const uint64_t mask = (1ull << bits) - 1;
    int64_t found = 0;
    for (int64_t i = 0; i < size; found++) {
        uint64_t number = sorted[i] >> bits;
        int64_t sum = 0;
        for (; i < size && sorted[i] >> bits == number; i++)
            sum += bits ? (int64_t)(sorted[i] & mask) : 1;
        sorted[found] = number;
        to[found] = sum;
    }
    return found;
}

/* Reduce the sorted codes of users, as in count.c, to one for each register of a minute, that with the highest rank.
   Returns how many there are. */
int64_t highest(uint64_t *sorted, int64_t size) {
    int64_t found = 0;
    for (int64_t i = 0; i < size; i++) {
        found -= found && sorted[found - 1] >> 6 == sorted[i] >> 6;
        sorted[found++] = sorted[i];
    }
    return found;
}

/* Merge two lists of sorted distinct numbers with their counts into one, which has room for both. Returns its size. */
int64_t merge_tallies(const uint64_t *a, const int64_t *a_counts, int64_t a_size, const uint64_t *b,
                      const int64_t *b_counts, int64_t b_size, uint64_t *to, int64_t *counts) {
    int64_t i = 0, j = 0, found = 0;
    for (; i < a_size || j < b_size; found++) {
        int one = j >= b_size || (i < a_size && a[i] <= b[j]), other = i >= a_size || (j < b_size && b[j] <= a[i]);
        to[found] = one ? a[i] : b[j];
        counts[found] = (one ? a_counts[i] : 0) + (other ? b_counts[j] : 0);
        i += one;
        j += other;
    }
    return found;
}

/* Add cells of 8 numbers to figures of 6: the last ones of cell i, which are four sums, a minimum and a maximum, to
   those at places[i]. */
void add_cells(const int64_t *cells, const int64_t *places, int64_t size, int64_t *figures) {
    for (int64_t i = 0; i < size; i++) {
        const int64_t *cell = cells + 8 * i + 2;
        int64_t *held = figures + 6 * places[i];
        for (int sum = 0; sum < 4; sum++)
            held[sum] += cell[sum];
        held[4] = cell[4] < held[4] ? cell[4] : held[4];
        held[5] = cell[5] > held[5] ? cell[5] : held[5];
    }
}

/* Take codes of users apart, as in count.c: their minutes, of which a code has the number, registers and ranks. */
void users(const uint64_t *codes, int64_t size, const int64_t *minutes, int64_t *minute, uint16_t *registers,
           uint8_t *ranks) {
    for (int64_t i = 0; i < size; i++) {
        minute[i] = minutes[codes[i] >> 20];
        registers[i] = codes[i] >> 6 & 0x3fff;
        ranks[i] = codes[i] & 63;
    }
}
