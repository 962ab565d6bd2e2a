/* Histograms as JSON texts. Reads buckets, counts and where each histogram ends; writes texts and where each ends.
   Trusts that the ends are in order and within the rows, and that there is the room said below: `library.py` checks
   the ends, and makes the room. */

#include "kernels.h"

static uint8_t *number(uint8_t *to, int64_t value) {
    uint8_t digits[20];
    int size = 0;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    if (value < 0)
        *to++ = '-';
    do
        digits[size++] = (uint8_t)('0' + rest % 10);
    while (rest /= 10);
    while (size)
        *to++ = digits[--size];
    return to;
}

/* Write histograms as `json.dumps` writes lists of [bucket, count], one behind the other; the bucket INT32_MIN is null.
   Histogram i has the rows up to ends[i], and its text ends at texts[i]. `to` has room for 40 bytes a row, more than the
   longest of numbers take, and 2 a histogram. */
void histograms(const int32_t *buckets, const int64_t *counts, const int64_t *ends, int64_t size, uint8_t *to,
                int64_t *texts) {
    uint8_t *at = to;
    for (int64_t i = 0, row = 0; i < size; i++) {
        *at++ = '[';
        for (int64_t first = row; row < ends[i]; row++) {
            if (row > first) {
                *at++ = ',';
                *at++ = ' ';
            }
            *at++ = '[';
            if (buckets[row] == INT32_MIN) {
                __builtin_memcpy(at, "null", 4);
                at += 4;
            } else {
                at = number(at, buckets[row]);
            }
            *at++ = ',';
            *at++ = ' ';
            at = number(at, counts[row]);
            *at++ = ']';
        }
        *at++ = ']';
        texts[i] = at - to;
    }
}
