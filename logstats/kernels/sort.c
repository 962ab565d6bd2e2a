/* Sorts whole numbers, some bits at a time from the lowest ones. */

#include "kernels.h"

#define DIGIT 11 /* bits: their counters are in the fastest cache */

/* Sort numbers, and, unless they are NULL, the counts that belong to them. The `other` arrays have room for as many.
   Returns 1 if what is sorted is there. */
int64_t sort(uint64_t *numbers, int64_t *counts, int64_t size, uint64_t *other, int64_t *other_counts) {
    const uint64_t mask = (1 << DIGIT) - 1;
    uint64_t varying = 0; /* the bits that are not the same in all numbers, and were not sorted by yet */
    int64_t swapped = 0;
    for (int64_t i = 1; i < size; i++)
        varying |= numbers[i] ^ numbers[0];
    while (varying) {
        int64_t places[1 << DIGIT] = {0}, next = 0;
        int shift = __builtin_ctzll(varying);
        varying &= ~(mask << shift);
        for (int64_t i = 0; i < size; i++)
            places[numbers[i] >> shift & mask]++;
        for (int i = 0; i < 1 << DIGIT; i++) {
            int64_t some = places[i];
            places[i] = next;
            next += some;
        }
        for (int64_t i = 0; i < size; i++) {
            int64_t place = places[numbers[i] >> shift & mask]++;
            other[place] = numbers[i];
            if (counts)
                other_counts[place] = counts[i];
        }
        uint64_t *sorted = other;
        other = numbers;
        numbers = sorted;
        int64_t *sorted_counts = other_counts;
        other_counts = counts;
        counts = sorted_counts;
        swapped ^= 1;
    }
    return swapped;
}

/* Reduce sorted numbers to distinct ones, with the sums of their counts (NULL: each counts once). `counts` and `to` may
   be the same. Returns how many there are. */
int64_t tally(uint64_t *sorted, const int64_t *counts, int64_t size, int64_t *to) {
    int64_t found = 0;
    for (int64_t i = 0; i < size; found++) {
        uint64_t number = sorted[i];
        int64_t sum = 0;
        for (; i < size && sorted[i] == number; i++)
            sum += counts ? counts[i] : 1;
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
