/* HyperLogLog sketches that are few rows: a register << 6 | a rank that it has at the least. */

#include "kernels.h"

/* How many registers hold each rank (64 counts a sketch, of rank 0 that of all registers before). Sketch i has the rows
   up to ends[i]; `registers`, all 0, as many as `mask` lets through, are all 0 again afterwards. */
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
