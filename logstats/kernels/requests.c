/* Splits request lines and their targets, and makes endpoints of paths, in the common cases. The input is a column of
   texts; the output are views of it, for each row that is certain. Trusts that the views of the column lie within
   their buffers, as `columns.py` has them from Polars, and the rooms said below, which `library.py` makes. */

#include "kernels.h"

#define LONGEST 256 /* longest segment, in bytes, that may be a name */

static int is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }
static int is_letter(uint8_t c) { return (uint8_t)((c | 32) - 'a') < 26; }

/* The part of a text between two places, as a view of the same buffer. */
static view part(const view *of, const uint8_t *bytes, uint32_t start, uint32_t end) {
    view to = view_of(bytes, of->buffer, start, end - start);
    if (to.size > INLINE)
        to.from += of->from;
    return to;
}

static const view NOTHING = {0, 0, 0, 0};

/* Split `METHOD target HTTP/1.1`, 1.0 or 2.0, with a method of letters, _ and -: the method ends at `method`, the target
   begins behind the space there and ends at the space at `tail`. Returns 0 for any other text. */
SHARED int split_request(const uint8_t *bytes, uint32_t size, uint32_t *method, uint32_t *tail) {
    uint32_t at = 0;
    while (at < size && at < 32 && (is_letter(bytes[at]) || bytes[at] == '_' || bytes[at] == '-'))
        at++;
    if (!at || !is_letter(bytes[0]) || size < at + 11 || bytes[at] != ' ')
        return 0;
    *method = at;
    *tail = size - 9;
    return same(bytes + *tail, (const uint8_t *)" HTTP/", 6) && bytes[size - 2] == '.' &&
           ((bytes[size - 3] == '1' && (bytes[size - 1] | 1) == '1') || (bytes[size - 3] == '2' && bytes[size - 1] == '0'));
}

/* The parts of request lines that `split_request` splits. */
void request_lines(const column *in, view *methods, view *targets, view *protocols, uint8_t *certain) {
    for (int64_t row = 0; row < in->rows; row++) {
        uint32_t method, tail;
        methods[row] = targets[row] = protocols[row] = NOTHING;
        certain[row] = 0;
        if (is_null(in, row))
            continue;
        const view *text = in->views + row;
        const uint8_t *bytes = bytes_of(text, in->buffers);
        if (!split_request(bytes, text->size, &method, &tail))
            continue;
        methods[row] = part(text, bytes, 0, method);
        targets[row] = part(text, bytes, method + 1, tail);
        protocols[row] = part(text, bytes, tail + 1, text->size);
        certain[row] = 1;
    }
}

/* Find the end of the path of a target, its first `?`. Returns 0 for an absolute URL. */
SHARED int path_of(const uint8_t *target, uint32_t size, uint32_t *path) {
    uint32_t at = 0;
    for (; at < size && target[at] != '?'; at++)
        if (target[at] == ':' && at + 2 < size && target[at + 1] == '/' && target[at + 2] == '/')
            return 0;
    *path = at;
    return 1;
}

/* The path before and the query after the first `?` of a target; `has_query` says whether there is one. Absolute URLs
   are not certain. */
void targets(const column *in, view *paths, view *queries, uint8_t *has_query, uint8_t *certain) {
    for (int64_t row = 0; row < in->rows; row++) {
        uint32_t path;
        paths[row] = queries[row] = NOTHING;
        certain[row] = has_query[row] = 0;
        if (is_null(in, row))
            continue;
        const view *text = in->views + row;
        const uint8_t *bytes = bytes_of(text, in->buffers);
        if (!path_of(bytes, text->size, &path))
            continue;
        certain[row] = 1;
        paths[row] = part(text, bytes, 0, path);
        if (path < text->size) {
            has_query[row] = 1;
            queries[row] = part(text, bytes, path + 1, text->size);
        }
    }
}

/* The placeholder of a segment that is certainly a number, a UUID or hexadecimal; else NULL. */
static const char *placeholder(const uint8_t *at, int64_t size) {
    int64_t digits = 0, letters = 0, dashes = 0, uuid = size == 36;
    for (int64_t i = 0; i < size; i++) {
        int hex = is_letter(at[i]) && (at[i] | 32) <= 'f';
        int dash = at[i] == '-';
        digits += is_digit(at[i]);
        letters += hex;
        dashes += dash;
        uuid &= dash == (i == 8 || i == 13 || i == 18 || i == 23);
        if (!hex && !dash && !is_digit(at[i]))
            return 0;
    }
    if (digits && !letters && (!dashes || (dashes == 1 && at[0] == '-' && size <= LONGEST)))
        return "{id}";
    if (uuid)
        return "{uuid}";
    if (!dashes && size <= LONGEST && (size >= 16 || (size >= 8 && digits && letters)))
        return "{hash}";
    return 0;
}

/* Whether a segment with digits is certainly a name, as `app.738.js` and `v2` are: its first piece, up to a dot, a dash or
   an underscore, has a letter that no number, date, address or hash has, and no piece with a digit is as long as the hash
   of a content. */
static int is_name(const uint8_t *at, int64_t size) {
    int letter = 0, digit = 0, first = 1;
    int64_t length = 0;
    for (int64_t i = 0; i <= size; i++) {
        uint8_t c = i < size ? at[i] : '.';
        if (c >= 0x80)
            return 0;
        if (c == '.' || c == '-' || c == '_') {
            if ((digit && length >= 8) || !letter)
                return 0;
            first = digit = 0;
            length = 0;
        } else {
            length++;
            digit |= is_digit(c);
            letter |= first && is_letter(c) && (c | 32) > 'f' && c != 'T' && c != 'Z';
        }
    }
    return size <= LONGEST;
}

/* Whether another segment may nevertheless identify one of many things. */
static int is_odd(const uint8_t *at, int64_t size) {
    int64_t run = 0, hex = 0, digits = 0;
    for (int64_t i = 0; i < size; i++) {
        uint8_t c = at[i];
        run = is_letter(c) || is_digit(c) || c == '_' || c == '-' ? run + 1 : 0;
        hex = is_letter(c) && (c | 32) <= 'f' ? hex + 1 : 0;
        digits += is_digit(c);
        if (c == '@' || run >= 20 || hex >= 16 || (c == '%' && i + 2 < size && at[i + 1] == '4' && at[i + 2] == '0'))
            return 1;
    }
    return digits && !is_name(at, size);
}

/* Write the template of a path, at most three times its bytes plus three, to `to`. Returns the size; -1 if it is not
   certain. */
SHARED int64_t template_of(const uint8_t *path, int64_t size, uint8_t *to) {
    uint8_t *at = to;
    for (int64_t start = 0, end; start <= size; start = end + 1) {
        for (end = start; end < size && path[end] != '/';)
            end++;
        const char *found = placeholder(path + start, end - start);
        if (!found && is_odd(path + start, end - start))
            return -1;
        if (found)
            while (*found)
                *at++ = (uint8_t)*found++;
        else
            for (int64_t i = start; i < end; i++)
                *at++ = path[i];
        if (end < size)
            *at++ = '/';
    }
    return at - to;
}

/* The total size of the texts of a column, in bytes. */
int64_t text_bytes(const column *in) {
    int64_t size = 0;
    for (int64_t row = 0; row < in->rows; row++)
        size += is_null(in, row) ? 0 : in->views[row].size;
    return size;
}

/* The templates of paths (`logstats.endpoints` has the definition), as views of `to`, which has the number `buffer`,
   and room for three times the bytes of the paths plus four for each path. Returns the bytes used. */
int64_t templates(const column *in, uint32_t buffer, uint8_t *to, view *found, uint8_t *certain) {
    int64_t used = 0;
    for (int64_t row = 0; row < in->rows; row++) {
        found[row] = NOTHING;
        certain[row] = 0;
        if (is_null(in, row))
            continue;
        int64_t size = template_of(bytes_of(in->views + row, in->buffers), in->views[row].size, to + used);
        if (size < 0)
            continue;
        view whole = {(uint32_t)size, 0, buffer, (uint32_t)used};
        found[row] = part(&whole, to + used, 0, (uint32_t)size);
        certain[row] = 1;
        used += size > INLINE ? size : 0;
    }
    return used;
}
