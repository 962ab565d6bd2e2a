"""Reads a summary file. A stranger may have written it: nothing in it is believed before it is checked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from logstats.errors import SummaryError
from logstats.frames import pl
from logstats.scale import description, stored, tables, writer
from logstats.scale.description import Description
from logstats.scale.tables import Piece
from logstats.summaries.names import AGENTS, IF_LOGGED
from logstats.summaries.not_found import NAME as NOT_FOUND
from logstats.summaries.spec import ReportSpec

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MOST_ROWS: Final = 16_000_000  # of a piece; what is written has about a million
MAKE: Final = "logstats report SOURCE... -o summary --out FILE makes one"
AGAIN: Final = "make it again: logstats report SOURCE... -o summary --out FILE"


def is_summary(path: Path) -> bool:
    """Whether a file is a Parquet file with the description of a summary."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = writer.footer_start(file, size)
            file.seek(start)
            return writer.DIGEST in file.read(size - start)
    except (OSError, ValueError):
        return False


class Summary:
    """An open summary file. Every error is a SummaryError: which file, what is wrong with it, what to do."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self._file = file
        self.size = 0
        self.digest = ""
        self._check_bytes()
        self._parquet = self._open()
        self.about = self._description()
        self._sums: dict[tuple[str, str | None], int] = {}

    @classmethod
    def open(cls, path: Path, name: str) -> Self:
        """Open a file."""
        try:
            return cls(name, path.open("rb"))
        except OSError as error:
            raise SummaryError(
                f"{name}: {(error.strerror or str(error)).lower()}", "check the file and its permissions"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def refuse(self, why: str, hint: str = AGAIN) -> SummaryError:
        """The error of this file."""
        return SummaryError(f"{self.name}: {why}", hint)

    def _check_bytes(self) -> None:
        file = self._file
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(4)
        if head != b"PAR1":
            raise self.refuse(
                f"not a summary but {_kind(head)}", "logstats report FILE... -o summary --out FILE makes one"
            )
        try:
            place = writer.digest_place(file, self.size)
        except ValueError as error:
            raise self.refuse(f"not a summary, or not all of one: {error}") from None
        file.seek(place)
        self.digest = file.read(len(writer.NO_DIGEST)).decode("ascii")
        if writer.digest_of(file, place) != self.digest:
            raise self.refuse("damaged: its content does not match its digest", "copy or make it again")

    def _open(self) -> pq.ParquetFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._file.seek(0)
        try:
            return pq.ParquetFile(self._file, page_checksum_verification=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self.refuse(f"not a Parquet file: {_first_line(error)}") from None

    def _description(self) -> Description:
        about = (self._parquet.metadata.metadata or {}).get(writer.ABOUT)
        if about is None:
            raise self.refuse("not a summary: it does not say what it is")
        try:
            found = description.from_json(about)
        except description.Unreadable as error:
            raise self.refuse(str(error)) from None
        metadata = self._parquet.metadata
        rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        if [count for _, _, count in found.pieces] != rows[: len(found.pieces)]:
            raise self.refuse("its tables are not those that it says it has")
        if any(count > MOST_ROWS for count in rows):
            raise self.refuse(f"a table of it has more than {MOST_ROWS:,} rows in one piece")
        making = found.making
        spec = ReportSpec(
            by=found.by,
            user_key=making.user_key,
            exact_users=making.exact_users,
            over_time=True,
            agents=set(AGENTS) <= set(found.others),
            slowest=found.slowest,
            not_found=NOT_FOUND in found.others,
            upstream=set(IF_LOGGED) <= set(found.others),
        )
        self._layout = stored.Layout(spec)
        if set(found.others) != set(self._layout.others):
            theirs, ours = ("/".join(names) or "none" for names in (found.others, self._layout.others))
            raise self.refuse(f"made by a logstats with other aggregates: {theirs}, where this one has {ours}")
        if not self._layout.knows(self._parquet.schema_arrow):
            raise self.refuse("its columns are not those of a summary")
        return found

    def pieces(self) -> Iterator[Piece]:
        """All pieces, in order."""
        import pyarrow as pa

        for number, (table, of, _) in enumerate(self.about.pieces):
            columns = [name for name in self._layout.columns_of(table) if name in self._parquet.schema_arrow.names]
            try:
                read = self._parquet.read_row_group(number, columns=columns)
                frame = pl.DataFrame(pl.from_arrow(read))
                piece = self._layout.from_stored(table, of, frame.select(columns))
            except (pa.ArrowException, OSError) as error:
                raise self.refuse(f"cannot be read: {_first_line(error)}") from None
            except (ValueError, pl.exceptions.PolarsError) as error:
                raise self.refuse(_first_line(error)) from None
            self._count(piece)
            yield piece
        self._check_sums()

    def _count(self, piece: Piece) -> None:
        figure = {tables.LEVELS: "events", tables.LATENCY: "count"}.get(piece.table, "requests")
        names = [name for name in (figure, "timed") if name in piece.frame.columns]
        for name in names:
            key = f"{piece.table}.{name}", piece.of
            self._sums[key] = self._sums.get(key, 0) + int(piece.frame[name].sum())

    def _check_sums(self) -> None:
        """Every request is in every table, and every event is counted."""
        requests, sums = self.about.counts.requests, self._sums
        whole: list[tuple[str, str | None]] = [("traffic.requests", None), ("endpoints.requests", None)]
        whole += [("breakdown.requests", column) for column in self.about.by]
        right = all(sums.get(key, 0) == requests for key in whole)
        timed = {sums.get(key, 0) for key in (("endpoints.timed", None), ("latency.count", None))}
        if not right or len(timed) > 1 or sums.get(("levels.events", None), 0) != self.about.counts.events:
            raise self.refuse("its tables do not add up to the lines that it counts")


def _kind(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head[:1] == b"\x80":
        return "a pickle, which is never loaded: it could run any program"
    return "another kind of file"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
