"""Rows without what identifies a person: `--anonymize`.

Three methods for addresses: `ip` keeps the network (/24 of IPv4, /48 of IPv6); `prefix-preserving` replaces an address
by another, so that two addresses share as many leading bits as before (after Xu, Fan, Ammar, Moon: Prefix-preserving IP
address anonymization, ICNP 2002, with BLAKE2b as the pseudo-random function); `hash` replaces it by a pseudonym. With
each of them users become pseudonyms, and secrets in queries, e-mail addresses and addresses in texts are masked.

Pseudonyms are keyed, and the key rotates: it is derived from the key file and the day (UTC) of the request, so that a
person cannot be followed over days, and without the file it cannot be tried out who it was. Counts of users are right
within a day; over several days, a user counts once a day. Addresses keep their prefix over days.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Final

from logstats.dataclass import dataclass
from logstats.errors import UsageError
from logstats.frames import pl

METHODS: Final = ("ip", "prefix-preserving", "hash")
KEY_LENGTH: Final = 16  # bytes of a key file, at least
MASK: Final = "***"
# Names of parameters (of a query, or keys of a structured line) whose values are masked, wherever they stand in a name.
SECRETS: Final = (
    *("token", "password", "passwd", "pwd", "secret", "apikey", "api_key", "api-key", "access_key", "auth", "session"),
    *("sid", "jwt", "signature", "sig", "otp", "pin", "code", "credential", "email", "e-mail", "mail", "phone", "tel"),
    *("ssn", "iban", "card", "cvv", "cvc", "name", "user", "login", "address", "birth", "dob", "cookie"),
)
_AT: Final = "(?:@|%(?:25)*40)"  # as it is, or percent-encoded once or more often
_COLON: Final = "(?::|%(?:25)*3a)"
_EMAIL: Final = rf"(?i)[a-z0-9._%+'-]{{1,64}}{_AT}[a-z0-9-]{{1,63}}(?:\.[a-z0-9-]{{1,63}})+"
_IPV4: Final = r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b"
# The same in a user agent, but for the version of a product: Chrome/131.0.0.0.
_IPV4_IN_AGENT: Final = r"(^|//|[^/0-9a-zA-Z_])(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b"
_GROUP: Final = "[0-9a-f]{1,4}"
_IPV6: Final = (  # all eight groups, or a `::`; a time of day is neither
    rf"(?i)(?:\b(?:{_GROUP}{_COLON}){{7}}{_GROUP}\b"
    rf"|\b(?:{_GROUP}{_COLON}){{1,6}}{_COLON}(?:{_GROUP}(?:{_COLON}{_GROUP}){{0,5}})?)"
)
# Characters that need not be percent-encoded: the same with and without (RFC 3986, 6.2.2.2).
_UNRESERVED: Final = string.ascii_letters + string.digits + "-._~"
_PLAIN: Final = {f"%{ord(one):{how}}": one for one in _UNRESERVED for how in ("02x", "02X")}
_URLS: Final = ("path", "endpoint", "query", "referer")
_TEXTS: Final = ("path", "endpoint", "query", "referer", "user_agent", "message", "extra")
_HOSTS: Final = ("host", "app_name", "upstream")
_USERINFO: Final = r"//[^/@\s\"?#]*@"  # https://alice:secret@example.com
_CREDENTIALS: Final = r"(?i)\b(bearer|basic|digest)\s+[^\s\"\\,]+"
_CACHED: Final = 200_000  # addresses and users whose pseudonyms are remembered


def read_key(path: str | Path) -> bytes:
    """The key in a file. Raises UsageError."""
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        raise UsageError(f"--anonymize-key {path}: {(error.strerror or str(error)).lower()}", _MAKE) from None
    if len(key) < KEY_LENGTH:
        raise UsageError(f"--anonymize-key {path}: fewer than {KEY_LENGTH} bytes can be guessed", _MAKE)
    return key


_MAKE: Final = "make one that nobody else can read: head -c 32 /dev/urandom > FILE"


@dataclass
class Anonymizer:
    """Takes what identifies a person out of frames of the request schema, whichever of its columns they have.

    Without a `key` one is made up, and pseudonyms are of this run only. `secrets` are further names of parameters.
    Calls may come from several threads.
    """

    method: str
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    secrets: Sequence[str] = ()
    _known: dict[tuple[str, str, int | None], str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"no method is called {self.method!r}", f"choose among {', '.join(METHODS)}")
        names = "|".join(re.escape(name).replace("\\-", "-") for name in (*SECRETS, *self.secrets))
        self._parameter, self._parameter_of_path = (
            rf"(?i)(^|[?&;])([^{end}]*(?:{names})[^{end}]*)=[^&;#]*" for end in ("=&;#?", "=&;#?/")
        )
        # In a value that is the target of another request: next=%2Freset%3Ftoken%3D…
        self._nested = rf"(?i)((?:=|%(?:25)*(?:3f|26|3b))[^=&;#%]*(?:{names})[^=&;#%]*%(?:25)*3d)[^&;#]*"
        self._member = rf'(?i)("[^"\\]*(?:{names})[^"\\]*"\s*:\s*)(?:"(?:[^"\\]|\\.)*"|[0-9.+eE-]+)'
        self._escaped = rf'(?i)(\\"[^"\\]*(?:{names})[^"\\]*\\"\s*:\s*)(?:\\"[^"\\]*\\"|[0-9.+eE-]+)'  # JSON in JSON
        self._deep = rf'(?i)"[^"\\]*(?:{names})[^"\\]*"\s*:\s*[\[{{]'
        self._named = re.compile(names, re.IGNORECASE)
        self._said = (
            rf"(?i)([\w.-]*(?:{names})[\w.-]*)(\s*=\s*|:\s*)(?:[^\s&;#\"'\\,)}}\]]|\\[^\"])+"  # in prose: password=…
        )

    @property
    def name(self) -> str:
        """The method, and by a few digits which key: what two runs need to have in common to be added up."""
        return f"{self.method} (key {hashlib.blake2b(self.key, digest_size=4, person=b'logstats-name').hexdigest()})"

    @property
    def note(self) -> str:
        """What a reader of the figures should know."""
        addresses = {
            "ip": "addresses are those of networks (/24, /48)",
            "prefix-preserving": "addresses are replaced, prefix by prefix",
            "hash": "addresses are pseudonyms",
        }[self.method]
        counted = " and clients" if self.method == "hash" else ""
        return (
            f"anonymized: {addresses}; users{counted} have another pseudonym each day, so over days they count each day"
        )

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The same rows, with nothing in them that identifies a person."""
        if not frame.height:
            return frame
        columns = frame.columns
        days = frame["timestamp"].to_physical() // 86_400_000_000 if "timestamp" in columns else None
        made: list[pl.Series] = []
        if "client_ip" in columns:
            daily = days if self.method == "hash" else None
            made.append(self._replaced(frame["client_ip"], daily, self.method))
        if "user_id" in columns:
            made.append(self._replaced(frame["user_id"], days, "user"))
        texts = [pl.col(name) for name in _TEXTS if name in columns]
        hosts = [pl.col(name).str.replace(r"^(?s:.*)@", f"{MASK}@") for name in _HOSTS if name in columns]
        return frame.with_columns(made).with_columns(*hosts, *(self._masked(text) for text in texts))

    def _masked(self, text: pl.Expr) -> pl.Expr:
        name = text.meta.output_name()
        if name not in _URLS:
            return self._without(text, name)
        plain = text.str.replace_many(_PLAIN)
        masked = self._without(plain, name)
        return pl.when(masked != plain).then(masked).otherwise(text).alias(name)

    def _without(self, text: pl.Expr, name: str) -> pl.Expr:
        """A text of this column, masked."""
        if name in _URLS:
            parameter = self._parameter if name == "query" else self._parameter_of_path
            text = text.str.replace_all(parameter, "${1}${2}=" + MASK).str.replace_all(self._nested, "${1}" + MASK)
        if name in ("message", "extra"):
            deep = text.str.contains(self._deep)
            text = pl.when(deep).then(pl.when(deep).then(text).map_batches(self._structured, pl.String)).otherwise(text)
            text = text.str.replace_all(self._member, '${1}"' + MASK + '"')
            text = text.str.replace_all(self._escaped, rf"${{1}}\"{MASK}\"")
            text = text.str.replace_all(_CREDENTIALS, "${1} " + MASK).str.replace_all(self._said, "${1}${2}" + MASK)
        text = text.str.replace_all(_USERINFO, f"//{MASK}@").str.replace_all(_EMAIL, MASK)
        if name == "user_agent":
            text = text.str.replace_all(_IPV4_IN_AGENT, "${1}" + MASK)
        else:
            text = text.str.replace_all(_IPV4, MASK)
        return text.str.replace_all(_IPV6, MASK)

    def _structured(self, texts: pl.Series) -> pl.Series:
        """JSON in which a name of a secret stands for an object or a list: all that is in it is masked."""

        def masked(value: object, *, secret: bool) -> object:
            if isinstance(value, dict):
                return {key: masked(one, secret=secret or bool(self._named.search(key))) for key, one in value.items()}
            if isinstance(value, list):
                return [masked(one, secret=secret) for one in value]
            return MASK if secret and value is not None and not isinstance(value, bool) else value

        found = []
        for text in texts:
            try:
                found.append(None if text is None else json.dumps(masked(json.loads(text), secret=False)))
            except (ValueError, RecursionError):
                found.append(MASK)
        return pl.Series(texts.name, found, pl.String)

    def _replaced(self, texts: pl.Series, days: pl.Series | None, how: str) -> pl.Series:
        """Each distinct text of a day by what stands for it."""
        day = days if days is not None else pl.Series([None], dtype=pl.Int64).new_from_index(0, len(texts))
        pairs = pl.DataFrame({"text": texts, "day": day})
        distinct = pairs.unique()
        new = [self._one(text, on, how) for text, on in distinct.iter_rows()]
        table = distinct.with_columns(new=pl.Series(new, dtype=pl.String))
        found = pairs.join(table, on=["text", "day"], how="left", nulls_equal=True, maintain_order="left")
        return found["new"].alias(texts.name)

    def _one(self, text: str | None, day: int | None, how: str) -> str | None:
        if text is None:
            return None
        known = self._known
        if (seen := known.get((how, text, day))) is not None:
            return seen
        if len(known) >= _CACHED:
            known.clear()
        new = self._address(text, how) if how in ("ip", "prefix-preserving") else self._pseudonym(text, day, how)
        known[how, text, day] = new
        return new

    def _pseudonym(self, text: str, day: int | None, how: str) -> str:
        of_day = hashlib.blake2b(f"{how}:{day}".encode(), key=self.key[:64], digest_size=32).digest()
        short = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=of_day, digest_size=8).hexdigest()
        return f"{'user' if how == 'user' else 'client'}-{short}"

    def _address(self, text: str, how: str) -> str:
        try:
            address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
        except ValueError:  # a host name, or nothing that is known: it may say who it is
            return self._pseudonym(text, None, "host")
        if how == "ip":
            kept = 24 if address.version == 4 else 48
            network = ipaddress.ip_network((address, kept), strict=False)
            return str(network.network_address)
        number, bits = int(address), address.max_prefixlen
        new = 0
        for done in range(bits):
            prefix = number >> (bits - done)
            said = f"{bits}:{done}:{prefix}".encode()
            flip = hashlib.blake2b(said, key=self.key[:64], digest_size=1).digest()[0] & 1
            new = new << 1 | (number >> (bits - 1 - done) & 1) ^ flip
        return str(type(address)(new))
