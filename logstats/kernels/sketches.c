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

/* The same, of sketches whose rows lie in two columns; the `mask` + 1 registers of `whole` are raised to them, too. */
void ranks_of_columns(const uint16_t *rows, const uint8_t *of_rows, const int64_t *ends, int64_t sketches,
                      uint8_t *registers, int64_t mask, int64_t *counts, uint8_t *whole) {
    for (int64_t sketch = 0, row = 0; sketch < sketches; sketch++, counts += 64) {
        int64_t first = row;
        for (; row < ends[sketch]; row++) {
            uint8_t *held = registers + (rows[row] & mask), *of_all = whole + (rows[row] & mask);
            uint8_t rank = of_rows[row] & 63;
            *of_all = rank > *of_all ? rank : *of_all;
            if (rank > *held) {
                counts[*held]--;
                counts[rank]++;
                *held = rank;
            }
        }
        for (int64_t again = first; again < row; again++)
            registers[rows[again] & mask] = 0;
    }
}

/* Where each run of equal keys ends, for at most `rows` runs: their number, or -1 if a key is less than the one before
   it. */
int64_t ends_of(const int64_t *keys, int64_t rows, int64_t *ends) {
    int64_t runs = 0;
    for (int64_t row = 1; row < rows; row++)
        if (keys[row] != keys[row - 1]) {
            if (keys[row] < keys[row - 1])
                return -1;
            ends[runs++] = row;
        }
    if (rows)
        ends[runs++] = rows;
    return runs;
}

/* Raise registers to the ranks of such rows. */
void raise(const uint32_t *rows, int64_t size, uint8_t *registers, int64_t mask) {
    for (int64_t row = 0; row < size; row++) {
        uint8_t *held = registers + (rows[row] >> 6 & mask), rank = rows[row] & 63;
        *held = rank > *held ? rank : *held;
    }
}
