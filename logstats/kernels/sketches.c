/* HyperLogLog sketches that are stored as a few rows: register << 6 | rank, where the highest rank of a register
   counts. Reads rows and where each sketch ends; writes counts, or registers. A register beyond the last one is taken
   modulo their number, so no row is trusted. Trusts that the ends are in order and within the rows: `sketches/hll.py`
   and `library.py` make them. */

#include "kernels.h"

/* Count the registers with each rank: 64 counts for each sketch, where that of rank 0 is initially the number of
   registers. Sketch i has the rows up to ends[i]. `registers` has `mask` + 1 zeros, and is zero again afterwards. */
void ranks(const uint32_t *rows, const int64_t *ends, int64_t sketches, uint8_t *registers, int64_t mask,
           int64_t *counts) {
    for (int64_t sketch = 0, row = 0; sketch < sketches; sketch++, counts += 64) {
        int64_t first = row, ordered = 1;
        for (int64_t next = row + 1; next < ends[sketch]; next++)
            ordered &= rows[next] >> 6 > rows[next - 1] >> 6;
        if (ordered && row < ends[sketch]) { /* as those of one chunk are: no register is there twice */
            counts[0] -= ends[sketch] - row;
            for (; row < ends[sketch]; row++)
                counts[rows[row] & 63]++;
            continue;
        }
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

/* Write a sketch in fewer bytes than its `size` registers: as rows of those that are not 0, if they take less than half;
   else in 4 bits each, the even ones in the low bits, followed by rows of those that are higher than 15; or, if even
   that is not less, as they are. Returns how many bytes these are. `to` has room for `size`, which is even. */
int64_t pack(const uint8_t *registers, int64_t size, uint8_t *to) {
    int64_t used = 0, high = 0, begin = size / 2;
    uint8_t told = 15;
    for (int64_t i = 0; i < size; i++) {
        used += registers[i] != 0;
        high += registers[i] > told;
    }
    if (4 * used < begin) {
        begin = told = 0;
    } else if (begin + 4 * high >= size) {
        __builtin_memcpy(to, registers, (uint64_t)size);
        return size;
    }
    for (int64_t i = 0; i < begin; i++) {
        uint8_t even = registers[2 * i], odd = registers[2 * i + 1];
        to[i] = (uint8_t)((even > told ? told : even) | (odd > told ? told : odd) << 4);
    }
    for (int64_t i = 0; i < size; i++)
        if (registers[i] > told) {
            uint32_t row = (uint32_t)i << 6 | registers[i];
            __builtin_memcpy(to + begin, &row, 4);
            begin += 4;
        }
    return begin;
}
