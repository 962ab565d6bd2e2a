"""Lines that no stack of a source reads are offered to detection again, since a source may change its format.

In the order of the lines, `Further` offers the unread lines of each chunk to the stacks that were found later in the
source, and the rest to detection. A worker picks the lines for detection (`picked`): those that look like a request or
an object, first one of each look (`look`), so that one line in a hundred is found wherever it stands. Detection runs if
one of them has a look on which it has not failed yet. So garbage costs a bounded time: a fixed number of runs, and one
more for every few megabytes.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import field
from typing import Final

import numpy as np

from logstats.dataclass import dataclass
from logstats.formats.detection.detect import Added, Detector, mixed, spread
from logstats.formats.engines.w3c import FIELDS, IS_DIRECTIVE, directives_in, in_force
from logstats.formats.fields.columns import Batch
from logstats.formats.text import Context, Text
from logstats.formats.wrappers import partial_lines
from logstats.formats.wrappers.stack import FormatStack, StackReader, with_further, with_rest
from logstats.frames import pl

PICKED: Final = 96  # lines of a chunk that detection reads
HEADER: Final = 5  # directives that are kept, each once
LOOKED: Final = 4096  # lines of a chunk among which they are picked
RUNS: Final = 64  # runs of detection for a source,
BYTES: Final = 4 << 20  # and one more for each of so many bytes
MOST: Final = 8  # stacks that may be found later in a source
LOOKS: Final = 4096  # looks that are kept

# Nearly every request or structured event contains one of these.
_LIKELY: Final = (
    r"GET |POST |HEAD |PUT |DELETE |OPTIONS |PATCH |PROPFIND |CONNECT |HTTP/[0-9]|HTTP/\"|\{\"|"
    r"\" [1-5][0-9]{2} |level=|[\t\" :=|](?:GET|POST|HEAD|PUT|DELETE|OPTIONS|PATCH)[\t\",|]|status[=:]|"
    r"[\t|][1-5][0-9]{2}[\t|]| [+-]?[0-9]+(?:/[+-]?[0-9]+){4} |"
    r"^\[?[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][^ ]+ (?:[^ ]+ )?\[?(?:FTL|FATAL|ERR|WARN|INFO|error|warn|info)(?:OR|ING)?\b|"
    r" - [1-5][0-9]{2} [^ ]+ (?:[0-9]+|-) |(?:Completed|Sent|Chunked) [1-5][0-9]{2} | [0-9]+ --- \[|"
    r"\[(?:[a-z0-9_]+:)?(?:emerg|alert|crit|error|warn|notice)\] |"
    r"\t(?:\x1b\[[0-9;]*m)?(?:DEBUG|INFO|WARN|ERROR)(?:\x1b\[[0-9;]*m)?\t|\(\) \[[TDIWECF]\] "
)
_WORD: Final = re.compile(r"[\w.:/%@~+-]+")


@dataclass(frozen=True, slots=True)
class Unread:
    """A chunk with lines that fit no stack: its text, its lines that fit (`fitting`), its batch if none of the others
    is of another format, how many of the further stacks have tried it, and the lines picked for detection."""

    text: Text
    fitting: Batch
    batch: Batch
    further: int
    picked: tuple[str, ...]


def picked(text: Text, batch: Batch) -> tuple[str, ...]:
    """The rejected lines that detection reads, in order; none if no line looks like a request. The parts of a line are
    picked together. With them are the directives before each, as far as the chunk has them."""
    numbers = np.sort(batch.rejected["line"].to_numpy())
    left = text.gather(numbers).lines
    parts: list[list[int]] | None = None
    whole = left
    if partial_lines.any_parts(left):
        each = left.to_list()
        parts = partial_lines.wholes(each)
        whole = pl.Series([partial_lines.joined([each[place] for place in places]) for places in parts])
    likely = whole.str.contains(_LIKELY).arg_true()
    if not likely.len():
        return ()
    places = likely.gather(spread(likely.len(), LOOKED))
    rounds = _rounds(zip(places.to_list(), whole.gather(places).to_list(), strict=True))
    directed = text.lines.str.contains(IS_DIRECTIVE).arg_true().to_numpy() if batch.ignored else numbers[:0]
    most = PICKED // 2 if len(directed) else PICKED
    taken: list[int] = []
    for place in rounds[:most]:
        if len(taken) < most:
            taken += [place] if parts is None else parts[place]
    if not len(directed):
        return tuple(left.gather(sorted(taken)).to_list())
    chosen = numbers[sorted(taken)]
    behind = np.searchsorted(directed, chosen)
    headers = {int(n) for end in behind for n in directed[max(end - HEADER, 0) : end]}
    return tuple(text.gather(np.union1d(sorted(headers)[-most:], chosen).astype(np.int64)).lines.to_list())


def picked_of(lines: Sequence[str]) -> tuple[str, ...] | None:
    """The same of a few rejected lines without directives between them; None if one may be a part of another."""
    if any(map(partial_lines.may_be_part, lines)):
        return None
    likely = _rounds((place, line) for place, line in enumerate(lines) if re.search(_LIKELY, line))
    return tuple(lines[place] for place in sorted(likely[:PICKED]))


def _rounds(lines: Iterable[tuple[int, str]]) -> list[int]:
    """The places of lines: the first one of each look in turn, then a second of each, from anywhere, since several
    formats may look alike."""
    of_look: dict[str, list[int]] = {}
    for place, line in lines:
        of_look.setdefault(look(line), []).append(place)
    return [
        place for _, place in sorted((n, place) for chosen in of_look.values() for n, place in enumerate(mixed(chosen)))
    ]


def look(line: str) -> str:
    """The look of a line: its first few separators."""
    return _WORD.sub("w", line[:400], count=21)[:40]  # so many words take 41 characters, as something is between them


@dataclass(slots=True)
class Looks:
    """What detection was run on without success: the looks of lines, and how often it ran."""

    failed: set[str] = field(default_factory=set)
    runs: int = 0

    def may_run(self, looks: Set[str], seen: int) -> bool:
        """Whether detection would be run on them."""
        return bool(looks - self.failed) and self.runs < RUNS + seen // BYTES

    def fail(self, looks: Set[str], seen: int) -> bool:
        """Whether detection is to be run on lines of these looks, `seen` bytes after the beginning of the source. Once
        it has, they count as failed."""
        if not looks - self.failed:
            return False
        run = self.may_run(looks, seen)
        self.runs += run
        if len(self.failed) < LOOKS:
            self.failed |= looks
        return run


@dataclass(frozen=True, slots=True)
class Left:
    """What the lines of a part of a source left for the parts after it: the looks of unread lines, with how many bytes
    of the source were seen then, and whether they left more than that (`changed`: a stack, or directives)."""

    looks: tuple[tuple[int, frozenset[str]], ...] = ()
    changed: bool = False


class Further:
    """The stacks that were found later in a source, beside those it began with."""

    def __init__(
        self,
        base: Sequence[FormatStack],
        detector: Callable[[], Detector],
        reader: Callable[[FormatStack], StackReader],
        looks: Looks | None = None,
    ) -> None:
        self.stacks: list[FormatStack] = []
        self.lines: list[int] = []  # for each stack, the first line that it read, as an index in its chunk
        self.readers: list[StackReader] = []
        self.added: list[Added] = []  # the same stacks, with what the user is told of them
        self._base, self._detector, self._reader = base, detector, reader
        self._looks = looks or Looks()
        self._seen: deque[tuple[int, frozenset[str]]] = deque(maxlen=LOOKS)
        self._known: set[str] = set()
        self._directives = ""

    def ready(self) -> tuple[StackReader, ...]:
        """The readers that a worker can use already: those before the first one that needs directives."""
        directed = next((n for n, reader in enumerate(self.readers) if reader.directed), len(self.readers))
        return tuple(self.readers[:directed])

    def passed(self, tail: bytes) -> None:
        """Note the end of lines that were read: it may hold directives."""
        if places := directives_in(tail):
            lines = [tail[place:].split(b"\n", 1)[0].decode(errors="backslashreplace") for place in places]
            self._directives = in_force(self._directives, "\n".join(lines))

    def settle(self, unread: Unread, seen: int, reader: StackReader | None) -> Batch:
        """Read the lines that were left, `seen` bytes after the beginning of the source, which `reader` reads."""
        text, batch = unread.text, unread.fitting
        directives: list[str] = []
        context = text.context
        if batch.ignored and FIELDS.encode() in bytes(text.data):  # a directive is an ignored line
            lines = text.lines
            directives = lines.filter(lines.str.contains(IS_DIRECTIVE)).to_list()
        if self._directives and not context.directives:
            context = Context(self._directives, context.modified)
            text = text.within(context)
        batch = with_further(text, batch, self.readers[unread.further :])
        looks = frozenset(look(line) for line in unread.picked if not line.startswith("#"))
        if batch.rejected.height and looks and len(self.stacks) < MOST:
            self._note(looks, seen)
            picks = unread.picked if self._looks.fail(looks, seen) else ()
            while picks and len(self.stacks) < MOST:
                known = len(self.stacks)
                batch = self._detected(text, batch, [*picks], context)
                # Lines of another format may look like those that are read now.
                picks = picked(text, batch) if len(self.stacks) > known and batch.rejected.height else ()
        if directives:
            self._directives = in_force(self._directives, "\n".join(directives))
        if batch is unread.fitting:
            return unread.batch
        return with_rest(text, batch, [*([] if reader is None else [reader]), *self.readers])

    def refused(self, lines: Sequence[str], seen: int, context: Context) -> bool:
        """Whether none of a few lines, which no stack of the source reads, is of another format, without directives
        between them. If not, or if that is not sure, nothing has changed, and `settle` tells."""
        if self.stacks or self._directives:
            return False
        picks = picked_of(lines)
        if picks is None:
            return False
        looks = frozenset(map(look, picks))
        if not looks:
            return True
        if self._looks.may_run(looks, seen) and self._detector().further(picks, self._base, context):
            return False
        self._note(looks, seen)
        self._looks.fail(looks, seen)
        return True

    def _note(self, looks: frozenset[str], seen: int) -> None:
        """Note the looks of unread lines."""
        if looks - self._known and len(self._seen) < LOOKS:
            self._known |= looks
            self._seen.append((seen, looks))

    def left(self) -> Left:
        """What the lines that were read leave for those of the next part of the source."""
        return Left(tuple(self._seen), bool(self.stacks or self._directives or len(self._seen) == LOOKS))

    def _detected(self, text: Text, batch: Batch, lines: list[str], context: Context) -> Batch:
        for added in self._detector().further(lines, [*self._base, *self.stacks], context):
            stack = added.stack
            left = batch.rejected["line"]
            reader = self._reader(stack)
            batch = with_further(text, batch, [reader])
            if batch.rejected.height < left.len() and len(self.stacks) < MOST:
                first = int(left.filter(~left.is_in(batch.rejected["line"].implode())).min())  # type: ignore[arg-type]
                self.stacks.append(stack)
                self.lines.append(first)
                self.readers.append(reader)
                self.added.append(added)
        return batch
