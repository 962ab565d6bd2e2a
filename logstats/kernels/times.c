/* Reads times as `strptime` does, if they are spelled in full. Reads a column of texts and a form; writes a time, and
   whether it was read, for each row. Trusts that the views of the column lie within their buffers, as `columns.py`
   has them from Polars, and the form, which the program's own code spells. */

#include "kernels.h"

static int digits(const uint8_t *at, const uint8_t *end, int count, int64_t *to) {
    int64_t number = 0;
    if (end - at < count)
        return 0;
    for (int i = 0; i < count; i++) {
        uint8_t digit = (uint8_t)(at[i] - '0');
        if (digit > 9)
            return 0;
        number = number * 10 + digit;
    }
    *to = number;
    return 1;
}

static int64_t month_of(const uint8_t *at, const uint8_t *end) {
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (end - at < 3)
        return 0;
    for (int month = 0; month < 12; month++)
        if (same(at, (const uint8_t *)MONTHS + 3 * month, 3))
            return month + 1;
    return 0;
}

/* The days since 1970 of a date in the Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
   */
static int64_t days(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int is_day(int64_t year, int64_t month, int64_t day) {
    static const int64_t LENGTHS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= LENGTHS[month - 1] + (leap && month == 2);
}

/* Read one time by a form of %Y %m %b %d %H %M %S %.f %z %#z and other characters. Returns 0 if it is not certain. */
SHARED int read_time(const uint8_t *at, const uint8_t *end, const uint8_t *form, const uint8_t *form_end, int64_t *micros) {
    int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, fraction = 0, zone = 0, zone_minute = 0;
    for (; form < form_end; form++) {
        if (*form != '%') {
            if (at == end || *at++ != *form)
                return 0;
            continue;
        }
        int size = 2, good = 1, sign;
        switch (*++form) {
        case 'Y':
            good = digits(at, end, size = 4, &year);
            break;
        case 'm':
            good = digits(at, end, size, &month);
            break;
        case 'b':
            size = 3;
            good = (month = month_of(at, end)) > 0;
            break;
        case 'd':
            good = digits(at, end, size, &day);
            break;
        case 'H':
            good = digits(at, end, size, &hour) && hour < 24;
            break;
        case 'M':
            good = digits(at, end, size, &minute) && minute < 60;
            break;
        case 'S':
            good = digits(at, end, size, &second) && second < 60;
            break;
        case '.': /* .f */
            form++;
            size = 0;
            if (at < end && *at == '.') {
                int64_t scale = 1000000, digit;
                for (size = 1; size <= 6 && digits(at + size, end, 1, &digit); size++)
                    fraction += digit * (scale /= 10);
                good = size > 1;
            }
            break;
        case '#': /* #z: also UTC as a letter */
            form++;
            if (at < end && *at == 'Z') {
                size = 1;
                break;
            } /* fall through */
        case 'z':
            if (at == end || (*at != '+' && *at != '-'))
                return 0;
            sign = *at == '-' ? -1 : 1;
            good = digits(at + 1, end, 2, &zone) && zone < 24;
            size = end - at > 3 && at[3] == ':' ? 4 : 3;
            good = good && digits(at + size, end, 2, &zone_minute) && zone_minute < 60;
            zone = sign * (zone * 60 + zone_minute);
            size += 2;
            break;
        default:
            return 0;
        }
        if (!good)
            return 0;
        at += size;
    }
    if (at != end || !is_day(year, month, day))
        return 0;
    *micros = (((days(year, month, day) * 24 + hour) * 60 + minute - zone) * 60 + second) * 1000000 + fraction;
    return 1;
}

/* Read a column of times by a form, in microseconds since 1970; `read` says which were read. */
void times(const column *in, const uint8_t *form, int64_t size, int64_t *micros, uint8_t *read) {
    const uint8_t *before = 0; /* the text read last: neighbours mostly have the same time */
    int64_t length = 0, last = 0;
    for (int64_t row = 0; row < in->rows; row++) {
        read[row] = 0;
        micros[row] = 0;
        if (is_null(in, row))
            continue;
        const view *text = in->views + row;
        const uint8_t *bytes = bytes_of(text, in->buffers);
        int again = before && length == text->size && same(before, bytes, length);
        if (!again && !read_time(bytes, bytes + text->size, form, form + size, &last)) {
            before = 0;
            continue;
        }
        micros[row] = last;
        read[row] = 1;
        before = bytes;
        length = text->size;
    }
}
