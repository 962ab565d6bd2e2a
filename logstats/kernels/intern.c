/* Numbers distinct texts from 1, in order of first appearance; 0 is null. Reads a column of texts; writes a number
   for each row, and the texts into a table (intern.h). Trusts that the views of the column lie within their buffers,
   as `columns.py` has them from Polars, and that the table has the room it says, which `interning.py` has made. */

#include "intern.h"

#define TOGETHER 32 /* rows whose memory is prefetched together */

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
            numbers[row] = is_null(in, row) ? 0 : number_in(to, texts + row, buffers, hashes[i]);
            if (!numbers[row] && !is_null(in, row))
                return row;
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
