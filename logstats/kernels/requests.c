/* Splits request lines and their targets, and makes endpoints of paths, in the common cases. The input is a column of
   texts; the output are views of it, for each row that is certain. */

#include "kernels.h"

#define LONGEST 256 /* longest segment, in bytes, that may be a name */

static int is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }
static int is_letter(uint8_t c) { return (uint8_t)((c | 32) - 'a') < 26; }

/* The part of a text between two places, as a view of the same buffer. */
static view part(const view *of, const uint8_t *bytes, uint32_t start, uint32_t end) {
    view to = {end - start, 0, 0, 0};
    if (to.size > INLINE) {
        __builtin_memcpy(&to.head, bytes + start, 4);
        to.buffer = of->buffer;
        to.from = of->from + start;
    } else {
        uint8_t held[INLINE] = {0};
        for (uint32_t i = 0; i < to.size; i++)
            held[i] = bytes[start + i];
        __builtin_memcpy(&to.head, held, INLINE);
    }
    return to;
}

static const view NOTHING = {0, 0, 0, 0};

/* `METHOD target HTTP/1.1`, 1.0 or 2.0, with a method of letters, _ and -. */
void request_lines(const column *in, view *methods, view *targets, view *protocols, uint8_t *certain) {
    for (int64_t row = 0; row < in->rows; row++) {
        methods[row] = targets[row] = protocols[row] = NOTHING;
        certain[row] = 0;
        if (is_null(in, row))
            continue;
        const view *text = in->views + row;
        const uint8_t *bytes = bytes_of(text, in->buffers);
        uint32_t size = text->size, method = 0, tail = size - 9;
        while (method < size && method < 32 && (is_letter(bytes[method]) || bytes[method] == '_' || bytes[method] == '-'))
            method++;
        if (!method || !is_letter(bytes[0]) || size < method + 11 || bytes[method] != ' ')
            continue;
        if (!same(bytes + tail, (const uint8_t *)" HTTP/", 6) || bytes[size - 2] != '.' ||
            !((bytes[size - 3] == '1' && (bytes[size - 1] | 1) == '1') || (bytes[size - 3] == '2' && bytes[size - 1] == '0')))
            continue;
        methods[row] = part(text, bytes, 0, method);
        targets[row] = part(text, bytes, method + 1, tail);
        protocols[row] = part(text, bytes, tail + 1, size);
        certain[row] = 1;
    }
}

/* The path before and the query after the first `?` of a target; `has_query` says whether there is one. Absolute URLs
   are not certain. */
void targets(const column *in, view *paths, view *queries, uint8_t *has_query, uint8_t *certain) {
    for (int64_t row = 0; row < in->rows; row++) {
        paths[row] = queries[row] = NOTHING;
        certain[row] = has_query[row] = 0;
        if (is_null(in, row))
            continue;
        const view *text = in->views + row;
        const uint8_t *bytes = bytes_of(text, in->buffers);
        uint32_t size = text->size, path = 0;
        int absolute = 0;
        for (; path < size && bytes[path] != '?'; path++)
            absolute |= bytes[path] == ':' && path + 2 < size && bytes[path + 1] == '/' && bytes[path + 2] == '/';
        if (absolute)
            continue;
        certain[row] = 1;
        paths[row] = part(text, bytes, 0, path);
        if (path < size) {
            has_query[row] = 1;
            queries[row] = part(text, bytes, path + 1, size);
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

/* Whether another segment may nevertheless identify one of many things. */
static int is_odd(const uint8_t *at, int64_t size) {
    int64_t run = 0, hex = 0;
    for (int64_t i = 0; i < size; i++) {
        uint8_t c = at[i];
        run = is_letter(c) || is_digit(c) || c == '_' || c == '-' ? run + 1 : 0;
        hex = is_letter(c) && (c | 32) <= 'f' ? hex + 1 : 0;
        if (is_digit(c) || c == '@' || run >= 20 || hex >= 16 || (c == '%' && i + 2 < size && at[i + 1] == '4' && at[i + 2] == '0'))
            return 1;
    }
    return 0;
}

/* Write the template of a path, at most three times its bytes plus three, to `to`. Returns the size; -1 if it is not
   certain. */
static int64_t template(const uint8_t *path, int64_t size, uint8_t *to) {
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
        int64_t size = template(bytes_of(in->views + row, in->buffers), in->views[row].size, to + used);
        if (size < 0)
            continue;
        view whole = {(uint32_t)size, 0, buffer, (uint32_t)used};
        found[row] = part(&whole, to + used, 0, (uint32_t)size);
        certain[row] = 1;
        used += size > INLINE ? size : 0;
    }
    return used;
}
