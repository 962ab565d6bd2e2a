/* HyperLogLog sketches that are stored as a few rows: register << 6 | rank, where the highest rank of a register
   counts. */

#include "kernels.h"

/* Count the registers with each rank: 64 counts for each sketch, where that of rank 0 is initially the number of
   registers. Sketch i has the rows up to ends[i]. `registers` has `mask` + 1 zeros, and is zero again afterwards. */
void ranks(const uint32_t *rows, const int64_t *ends, int64_t sketches, uint8_t *registers, int64_t mask,
           int64_t *counts) {
    for (int64_t sketch = 0, row = 0; sketch < sketches; sketch++, counts += 64) {
        int64_t first = row;
        for (; row < ends[sketch]; row++) {
            uint8_t *held = registers + (rows[row] >> 6 & mask), rank = rows[row] & 63;
            if (rank > *held) {
                counts[*held]--;
                counts[rank]++;
                *held = rank;
            }
        }
        for (int64_t again = first; again < row; again++)
            registers[rows[again] >> 6 & mask] = 0;
    }
}

/* Raise registers to the ranks of such rows. */
void raise(const uint32_t *rows, int64_t size, uint8_t *registers, int64_t mask) {
    for (int64_t row = 0; row < size; row++) {
        uint8_t *held = registers + (rows[row] >> 6 & mask), rank = rows[row] & 63;
        *held = rank > *held ? rank : *held;
    }
}
