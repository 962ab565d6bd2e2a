/* Tallies: sorted distinct numbers, and how often each was counted. Reads numbers, codes and cells; writes fewer of
   them into the same arrays, or into others with room for all. Trusts the order that is said below, from which alone
   no place follows, and the rooms, which `tallies.py` and `library.py` make; the minute of a code is checked there,
   the place of a cell here. */

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

/* Add cells of 8 numbers to figures of 6. A cell is a key, which has ids[key], a class of status below `classes`, four
   sums, a minimum and a maximum. places[(id + 1) * classes + class] says whose figures these belong to; where it is -1,
   they get the next ones, and `held` the reverse. There are `known` figures, and room for one more each cell; the new
   ones are set already to what adds nothing. `totals` are the sums of all. Returns how many figures there are then; -1
   if a cell has no place, and -2 if a total needs more than 64 bits: nothing was added then. */
int64_t add_cells(const int64_t *cells, int64_t size, const int64_t *ids, int64_t keys, int64_t classes,
                  int64_t *places, int64_t room, int64_t *held, int64_t *figures, int64_t known, int64_t *totals) {
    int64_t sums[4] = {totals[0], totals[1], totals[2], totals[3]};
    for (const int64_t *cell = cells; cell < cells + 8 * size; cell += 8) {
        if (cell[0] < 0 || cell[0] >= keys || cell[1] < 0 || cell[1] >= classes)
            return -1;
        if (ids[cell[0]] < -1 || ids[cell[0]] >= room / classes - 1)
            return -1;
        for (int sum = 0; sum < 4; sum++)
            if (__builtin_add_overflow(sums[sum], cell[2 + sum], &sums[sum]))
                return -2;
    }
    for (const int64_t *cell = cells; cell < cells + 8 * size; cell += 8) {
        int64_t place = (ids[cell[0]] + 1) * classes + cell[1];
        if (places[place] < 0) {
            held[known] = place;
            places[place] = known++;
        }
        int64_t *to = figures + 6 * places[place];
        for (int sum = 0; sum < 4; sum++)
            to[sum] += cell[2 + sum];
        to[4] = cell[6] < to[4] ? cell[6] : to[4];
        to[5] = cell[7] > to[5] ? cell[7] : to[5];
    }
    for (int sum = 0; sum < 4; sum++)
        totals[sum] = sums[sum];
    return known;
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
