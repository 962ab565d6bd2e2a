/* Reads numbers in texts, if they are spelled in the usual way. Reads a column of texts; writes a value and a state,
   or only a state, for each row. Trusts that the views of the column lie within their buffers, as `columns.py` has
   them from Polars; `library.py` makes an array of as many rows for what is written. */

#include "kernels.h"

/* Read up to fifteen digits, with or without a point between two of them, as a whole number and its number of decimals.
   Returns 0 for any other text. */
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

/* Read the number of a row. Returns its state. */
static uint8_t number_of(const column *in, int64_t row, int64_t *value, int *decimals) {
    const view *text = in->views + row;
    *value = *decimals = 0;
    if (is_missing(in, row))
        return MISSING;
    return read_number(bytes_of(text, in->buffers), text->size, value, decimals) ? VALUE : UNCERTAIN;
}

/* Read a whole number from `least` to `most`. Returns its state; a value that is uncertain is 0. */
SHARED uint8_t integer_of(const column *in, int64_t row, int64_t least, int64_t most, int64_t *value) {
    int places;
    uint8_t state = number_of(in, row, value, &places);
    if (state == VALUE && (places || *value < least || *value > most)) {
        *value = 0;
        return UNCERTAIN;
    }
    return state;
}

/* The same for a column. Returns whether all rows are certain. */
int64_t integers(const column *in, int64_t least, int64_t most, int64_t *values, uint8_t *states) {
    int certain = 1;
    for (int64_t row = 0; row < in->rows; row++) {
        states[row] = integer_of(in, row, least, most, values + row);
        certain &= states[row] != UNCERTAIN;
    }
    return certain;
}

/* A unit in nanoseconds, as a power of ten; -1 if it is unknown. */
static int power_of(const uint8_t *unit, uint32_t size) {
    if (size == 1)
        return *unit == 's' ? 9 : -1;
    if (size == 2 && unit[1] == 's')
        return *unit == 'm' ? 6 : *unit == 'u' ? 3 : *unit == 'n' ? 0 : -1;
    if (size == 3 && unit[2] == 's') /* the micro sign, and the Greek letter */
        return (unit[0] == 0xc2 && unit[1] == 0xb5) || (unit[0] == 0xce && unit[1] == 0xbc) ? 3 : -1;
    return -1;
}

/* Read a duration in whole nanoseconds, up to `most`: a number, with or without a unit. Without one, the unit is ten to
   the power of `power` nanoseconds. Fractions of a nanosecond are rounded, halves up. Returns its state. */
SHARED uint8_t duration_of(const column *in, int64_t row, int64_t power, int64_t most, int64_t *value) {
    static const int64_t POWERS[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
                                     100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000};
    const view *text = in->views + row;
    int64_t number = 0;
    int places = 0, scale = (int)power;
    *value = 0;
    if (is_missing(in, row))
        return MISSING;
    const uint8_t *bytes = bytes_of(text, in->buffers);
    uint32_t size = text->size;
    while (size && (uint8_t)(bytes[size - 1] - '0') > 9)
        size--;
    if (size < text->size) {
        uint32_t unit = size + (bytes[size] == ' ');
        scale = power_of(bytes + unit, text->size - unit);
    }
    if (scale < 0 || !read_number(bytes, size, &number, &places))
        return UNCERTAIN;
    int shift = scale - places;
    if (shift >= 0) {
        if (number > most / POWERS[shift])
            return UNCERTAIN;
        *value = number * POWERS[shift];
    } else {
        int64_t divisor = POWERS[-shift];
        *value = number / divisor + (number % divisor >= divisor - number % divisor);
    }
    return VALUE;
}

/* The same for a column. Returns whether all rows are certain. */
int64_t durations(const column *in, int64_t power, int64_t most, int64_t *values, uint8_t *states) {
    int certain = 1;
    for (int64_t row = 0; row < in->rows; row++) {
        states[row] = duration_of(in, row, power, most, values + row);
        certain &= states[row] != UNCERTAIN;
    }
    return certain;
}

/* Find the rows that have a value. Returns whether all have. */
int64_t present(const column *in, uint8_t *states) {
    int whole = 1;
    for (int64_t row = 0; row < in->rows; row++)
        whole &= states[row] = !is_missing(in, row);
    return whole;
}

/* The form of texts: they consist of bytes of a class, and addresses have to meet more conditions. */
enum { WORD, ADDRESS, WORDS };

/* The bytes of a text of up to sixteen, and zeros after them. */
static sixteen short_text(const view *text, const uint8_t *bytes) {
    uint64_t low, high;
    if (text->size <= INLINE) { /* what a view holds after the text is not said to be zero */
        uint64_t rest = word((const uint8_t *)text + 8);
        low = (uint64_t)text->head | rest << 32;
        high = rest >> 32;
    } else {
        low = word(bytes);
        high = word(bytes + text->size - 8) >> 8 * (16 - text->size);
    }
    sixteen all_bytes;
    __builtin_memcpy(&all_bytes, &low, 8);
    __builtin_memcpy((uint8_t *)&all_bytes + 8, &high, 8);
    return all_bytes;
}

/* Whether a text is four numbers of up to three digits with dots between them. */
static int is_ipv4(const view *text, const uint8_t *bytes) {
    if (text->size < 7 || text->size > 15)
        return 0;
    sixteen here = short_text(text, bytes);
    uint32_t inside = (1u << text->size) - 1;
    uint32_t dots = bits((sixteen)(here == all('.'))) & inside;
    uint32_t digits = bits((sixteen)((here >= all('0')) & (here <= all('9')))) & inside;
    uint32_t edges = 1 | 1u << (text->size - 1), second = dots & (dots - 1), third = second & (second - 1);
    return (dots | digits) == inside && third && !(third & (third - 1)) && !(dots & (dots << 1 | edges)) &&
           !(digits & digits >> 1 & digits >> 2 & digits >> 3);
}

/* Whether a text consists of bytes of a class (those with bit 1 in `table`). If the kind is addresses, it must also be
   an IPv4 address, or a name (some byte has bit 2: a letter), or an IPv6 address (all bytes have bit 4, with at least two
   colons, and more than four digits behind the last one are a port). If the kind is words, there may be single spaces
   between them, none of which stands before a dash, or behind a dash that the text begins with. */
SHARED int fits(const view *text, const uint8_t *bytes, const uint8_t *table, int64_t kind) {
    uint8_t any = 0, every = 7;
    int colons = 0, dots = 0;
    uint32_t group = 0; /* where the last one begins */
    if (kind == ADDRESS && is_ipv4(text, bytes))
        return 1;
    if (kind == WORDS && text->size > 1 && bytes[0] == '-' && bytes[1] == ' ')
        return 0;
    for (uint32_t at = 0; at < text->size; at++) {
        if (kind == WORDS && bytes[at] == ' ' && at + 1 < text->size && bytes[at + 1] != '-' && bytes[at + 1] != ' ')
            continue;
        any |= table[bytes[at]];
        every &= table[bytes[at]];
        dots += bytes[at] == '.';
        if (bytes[at] == ':') {
            colons++;
            group = at + 1;
        }
    }
    if (kind == ADDRESS)
        return text->size &&
               ((every & 1 && any & 2) || (every & 4 && colons > 1 && (dots || text->size - group <= 4)));
    return every & 1;
}

/* Find the texts of a column that fit; null fits. Returns whether all fit. */
int64_t shaped(const column *in, const uint8_t *table, int64_t kind, uint8_t *states) {
    int whole = 1;
    for (int64_t row = 0; row < in->rows; row++) {
        const view *text = in->views + row;
        states[row] = (uint8_t)(is_null(in, row) || fits(text, bytes_of(text, in->buffers), table, kind));
        whole &= states[row];
    }
    return whole;
}
