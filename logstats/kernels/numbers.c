/* Numbers in texts, where they are written as everybody does. */

#include "kernels.h"

enum { UNCERTAIN, VALUE, MISSING }; /* of a row: its value is certain, or it has none: null, "-" or "" */

static int is_missing(const column *in, int64_t row) {
    const view *text = in->views + row;
    return is_null(in, row) || !text->size || (text->size == 1 && *(const uint8_t *)&text->head == '-');
}

/* Up to fifteen digits, and perhaps a point between two of them, as a whole number and how many decimals it has; 0 if it is
   anything else. */
static int read_number(const uint8_t *text, uint32_t size, int64_t *value, int *decimals) {
    int64_t number = 0;
    int digits = 0, point = -1;
    if (!size || size > 16)
        return 0;
    for (uint32_t i = 0; i < size; i++) {
        uint8_t digit = (uint8_t)(text[i] - '0');
        if (digit < 10) {
            number = number * 10 + digit;
            digits++;
        } else if (text[i] == '.' && point < 0) {
            point = digits;
        } else {
            return 0;
        }
    }
    *value = number;
    *decimals = point < 0 ? 0 : digits - point;
    if (point < 0)
        return digits <= 15 && (text[0] != '0' || size == 1);
    return digits <= 15 && point > 0 && *decimals > 0;
}

/* The number of a row, as above. Returns what is known of it. */
static uint8_t number_of(const column *in, int64_t row, int64_t *value, int *decimals) {
    const view *text = in->views + row;
    *value = *decimals = 0;
    if (is_missing(in, row))
        return MISSING;
    return read_number(bytes_of(text, in->buffers), text->size, value, decimals) ? VALUE : UNCERTAIN;
}

/* Whole numbers from `least` to `most`. Returns whether all rows are certain. */
int64_t integers(const column *in, int64_t least, int64_t most, int64_t *values, uint8_t *states) {
    int certain = 1;
    for (int64_t row = 0; row < in->rows; row++) {
        int places;
        states[row] = number_of(in, row, values + row, &places);
        if (states[row] == VALUE && (places || values[row] < least || values[row] > most))
            states[row] = UNCERTAIN;
        certain &= states[row] != UNCERTAIN;
    }
    return certain;
}

/* Numbers of any unit as those of another: both the number and the product are rounded as IEEE 754 says, which is what a
   correct reader of decimals gives. Returns whether all rows are certain. */
int64_t decimals(const column *in, const double *factor, double *values, uint8_t *states) {
    static const double POWERS[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    int certain = 1;
    for (int64_t row = 0; row < in->rows; row++) {
        int64_t number;
        int places;
        states[row] = number_of(in, row, &number, &places);
        values[row] = states[row] == VALUE ? (double)number / POWERS[places] * *factor : 0;
        certain &= states[row] != UNCERTAIN;
    }
    return certain;
}

/* Which rows of a column hold a value. Returns whether all do. */
int64_t present(const column *in, uint8_t *states) {
    int whole = 1;
    for (int64_t row = 0; row < in->rows; row++)
        whole &= states[row] = !is_missing(in, row);
    return whole;
}
