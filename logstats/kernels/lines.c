/* Splits lines in place. Everything here reads the bytes of a chunk, and writes offsets or views of texts. Nothing is
   allocated; each function says how much it writes. Trusts that offsets lie within the bytes, which `library.py`
   checks (`inside`), and that a program's steps name columns and literals that there are, as `engines.program` makes
   them. */

#include "kernels.h"

typedef struct {
    const uint8_t *bytes;
    int64_t size;
} data; /* texts may be read some bytes beyond their end, but not beyond the data */

/* How many bytes ahead of where a chunk is read it is fetched: processors fetch by themselves, but stop at each page. */
#define AHEAD 4096
#define AHEAD_OF_CUT 1024 /* less, as a line takes as long to cut as many take to find */
#define LINE 64           /* bytes that are fetched at once */

#define MANY 0xffffffffffffffff
static const uint64_t FIRST[INLINE + 1] = {/* mask of the lowest bytes of a word, by their number */
    0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, MANY, MANY, MANY, MANY, MANY,
};

/* The first place of a byte, or the end. */
static int64_t find_byte(data in, int64_t at, int64_t end, uint8_t byte) {
    for (; at < end && at + 16 <= in.size; at += 16) {
        uint32_t hits = bits((sixteen)(load(in.bytes + at) == all(byte)));
        if (hits) {
            at += __builtin_ctz(hits);
            return at < end ? at : end;
        }
    }
    while (at < end && in.bytes[at] != byte)
        at++;
    return at < end ? at : end;
}

static void see(view *to, data in, int64_t start, int64_t end) {
    int64_t length = end - start, inside = length < INLINE ? length : INLINE;
    const uint8_t *from = in.bytes + start;
    uint8_t last[INLINE] = {0};
    if (start + INLINE > in.size) {
        for (int64_t i = 0; i < inside; i++)
            last[i] = from[i];
        from = last;
    }
    uint64_t head = word(from) & FIRST[inside], rest = word(from + 4) & FIRST[inside < 4 ? 0 : inside - 4];
    uint64_t far = (uint64_t)start << 32;
    rest = length > INLINE ? far : rest; /* without a branch, as lengths are hard to predict */
    to->size = (uint32_t)length;
    to->head = (uint32_t)head;
    __builtin_memcpy(&to->buffer, &rest, 8);
}

/* The number of newlines in the data. */
int64_t count_lines(const uint8_t *bytes, int64_t size) {
    int64_t count = 0, at = 0;
    while (at + 16 <= size) { /* sixteen counters of one byte each */
        sixteen counts = all(0);
        for (int round = 0; round < 255 && at + 16 <= size; round++, at += 16) {
            __builtin_prefetch(bytes + at + AHEAD);
            counts -= (sixteen)(load(bytes + at) == all('\n'));
        }
        for (int i = 0; i < 16; i++)
            count += counts[i];
    }
    for (; at < size; at++)
        count += bytes[at] == '\n';
    return count;
}

/* Find the offset of each newline, of which the first `room` are written to `ends`. Returns how many there are; `marks`
   gets 1 if there is a carriage return or a NUL, plus 2 if a byte is not ASCII. */
int64_t line_ends(const uint8_t *bytes, int64_t size, int64_t *ends, int64_t room, uint8_t *marks) {
    int64_t at = 0, count = 0;
    sixteen odd = all(0), others = all(0);
    for (; at + 64 <= size; at += 64) { /* a line is rarely shorter: one branch for most of them */
        uint64_t hits = 0;
        __builtin_prefetch(bytes + at + AHEAD);
        for (int part = 0; part < 4; part++) {
            sixteen here = load(bytes + at + 16 * part);
            odd |= (sixteen)(here == all('\r')) | (sixteen)(here == all(0));
            others |= here;
            hits |= (uint64_t)bits((sixteen)(here == all('\n'))) << 16 * part;
        }
        for (; hits; hits &= hits - 1, count++)
            if (count < room)
                ends[count] = at + __builtin_ctzll(hits);
    }
    int found = (bits(odd) != 0) | (bits((sixteen)(others >= all(0x80))) != 0) << 1;
    for (; at < size; at++) {
        found |= (bytes[at] == '\r' || !bytes[at]) | (bytes[at] >= 0x80) << 1;
        if (bytes[at] == '\n' && count++ < room)
            ends[count - 1] = at;
    }
    *marks = (uint8_t)found;
    return count;
}

/* Views of the texts between each start and end. */
void texts(const uint8_t *bytes, int64_t size, const int64_t *starts, const int64_t *ends, int64_t rows, view *to) {
    data in = {bytes, size};
    for (int64_t i = 0; i < rows; i++)
        see(to + i, in, starts[i], ends[i]);
}

/* A program splits a line from left to right. `place` is the current position, and `limit` the end of the current
   section: of the line, or of the text between two of its quotes. */

enum {
    SECTION, /* begin a section that ends at the next quote */
    LAST,    /* or at the end of the line, without any quote in it */
    ANY,     /* or at the end of the line, with or without quotes */
    CLOSE,   /* the section must be used up; skip its quote */
    ESCAPED, /* the same, but fail if a backslash escapes the quote */
    ENDS,    /* the section must end with this literal, which is cut off */
    LITERAL, /* this literal must follow, and is skipped */
    UNTIL,   /* a variable up to this literal, which is skipped */
    UPTO,    /* a variable up to this byte, or to the end of the section */
    REST,    /* a variable up to the end of the section */
    TEXT,    /* a variable that is the inside of a JSON text without escapes */
    NUMBER,  /* a variable that is a plain JSON number, or true, false, or null, which becomes the empty text */
    SPELLED, /* the same, for numbers that any JSON writer spells in this way */
    TIME,    /* the same, for numbers that are never spelled with an exponent */
    PLAIN,   /* the line must certainly be neither blank nor a directive */
    QUOTED,  /* a variable up to the next quote, which is skipped, and which no backslash escapes */
};

static int holds(data in, int64_t at, int64_t end, const uint8_t *bytes, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        if (find_byte(in, at, end, bytes[i]) < end)
            return 1;
    return 0;
}

static int64_t find(data in, int64_t at, int64_t end, const uint8_t *literal, int32_t size) {
    for (int64_t last = end - size; (at = find_byte(in, at, end, literal[0])) <= last; at++)
        if (same(in.bytes + at + 1, literal + 1, size - 1))
            return at;
    return -1;
}

/* The end (the quote) of the JSON text that begins here; -1 if an escape or a control character comes first. */
static int64_t end_of_text(data in, int64_t at, int64_t end) {
    for (; at < end && at + 16 <= in.size; at += 16) {
        sixteen here = load(in.bytes + at);
        uint32_t hits = bits((sixteen)((here == all('"')) | (here == all('\\')) | (here < all(0x20))));
        if (hits) {
            at += __builtin_ctz(hits);
            break;
        }
    }
    while (at < end && in.bytes[at] != '"' && in.bytes[at] != '\\' && in.bytes[at] >= 0x20)
        at++;
    return at < end && in.bytes[at] == '"' ? at : -1;
}

static int is_digit(uint8_t byte) { return (uint8_t)(byte - '0') < 10; }

/* The end of the number or word that begins here; -1 if it is not one that `code` accepts. */
static int64_t end_of_number(const uint8_t *bytes, int64_t at, int64_t end, int32_t code) {
    static const char *const WORDS[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        int64_t size = i == 1 ? 5 : 4;
        if (at + size <= end && same(bytes + at, (const uint8_t *)WORDS[i], size))
            return at + size;
    }
    int minus = at < end && bytes[at] == '-';
    int64_t first = at += minus;
    while (at < end && is_digit(bytes[at]))
        at++;
    int64_t digits = at - first, fraction = 0;
    if (!digits || (bytes[first] == '0' && digits > 1))
        return -1;
    if (at < end && bytes[at] == '.') {
        int64_t point = at++;
        while (at < end && is_digit(bytes[at]))
            at++;
        fraction = at - point - 1;
        if (!fraction)
            return -1;
    }
    if (bytes[first] == '0' && !fraction && minus)
        return -1;
    if (code == TIME && fraction && digits >= 16)
        return -1;
    if (code == SPELLED && (fraction ? bytes[first] == '0' || digits > 7 || fraction > 7 || bytes[at - 1] == '0' : digits > 15))
        return -1;
    return at;
}

/* Split lines by a program. For the lines that match, in order, views of the variables are written to `columns`, each
   an array with room for all lines, and the numbers of the lines to `lines`. Returns how many lines match. */
int64_t cut(const uint8_t *bytes, int64_t size, const int64_t *starts, const int64_t *ends, int64_t rows, const step *steps,
            int64_t count, const uint8_t *literals, view *const *columns, uint32_t *lines) {
    data in = {bytes, size};
    int64_t found = 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t place = starts[row], end = ends[row], limit = end, section = end, after;
        int good = 1;
        for (int far = 0; far < 4 * LINE; far += LINE) /* as long as most lines are */
            __builtin_prefetch(bytes + place + AHEAD_OF_CUT + far);
        for (const step *s = steps; good && s < steps + count; s++) {
            const uint8_t *literal = literals + s->literal;
            switch (s->code) {
            case SECTION:
                limit = section = find_byte(in, place, end, '"');
                good = section < end;
                continue;
            case LAST:
                limit = section = end;
                good = find_byte(in, place, end, '"') == end;
                continue;
            case ANY:
                limit = section = end;
                continue;
            case PLAIN:
                good = place < end && bytes[place] > ' ' && bytes[place] != '#';
                continue;
            case ESCAPED:
                if (bytes[section - 1] == '\\') {
                    good = 0;
                    continue;
                } /* fall through */
            case CLOSE:
                good = place == limit;
                place = section + 1;
                limit = end;
                continue;
            case ENDS:
                limit -= s->size;
                good = limit >= place && same(bytes + limit, literal, s->size);
                continue;
            case LITERAL:
                good = place + s->size <= limit && same(bytes + place, literal, s->size);
                place += s->size;
                continue;
            case UNTIL:
                after = find(in, place, limit, literal, s->size);
                break;
            case UPTO:
                after = find_byte(in, place, limit, literal[0]);
                break;
            case REST:
                after = limit;
                break;
            case QUOTED:
                limit = end;
                after = find_byte(in, place, end, '"');
                after = after < end && bytes[after - 1] != '\\' ? after : -1;
                break;
            case TEXT:
                after = end_of_text(in, place, limit);
                break;
            default:
                after = end_of_number(bytes, place, limit, s->code);
            }
            good = after >= 0;
            if (!good)
                continue;
            if (s->least)
                good = after - place >= s->least;
            if (good && s->nevers)
                good = !holds(in, place, after, literals + s->never, s->nevers);
            if (good && s->column >= 0) {
                int null = s->code >= NUMBER && s->code <= TIME && bytes[place] == 'n';
                see(columns[s->column] + found, in, place, null ? place : after);
            }
            place = s->code == UNTIL || s->code == QUOTED ? after + s->size : after;
        }
        lines[found] = (uint32_t)row;
        found += good && place == limit;
    }
    return found;
}
