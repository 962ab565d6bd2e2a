"""What commands that follow logs do about alerts: say them, hand them on, and end at the first one if that is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from logstats.live.alerts.alerts import Change
    from logstats.live.alerts.delivery import Delivery, Target

CLOSING: Final = 30.0  # seconds for what is on its way at the end
HURRY: Final = 1.0


class Alerting:
    """Who is told of alerts, as the options of `options.ALERTS` say. `say` gets a line for each change, `problem` what
    went wrong with telling somebody, in any thread.

    `failed` says that an alert fired and that the command is to end (`--fail-fast`). Raises UsageError for an address
    that is none.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        sources: Sequence[str],
        zone: str,
        say: Callable[[str], None],
        problem: Callable[[str], None],
    ) -> None:
        self.conditions: Sequence[str] = given["alert"] or ()
        self.policy: str | None = given["policy"]
        self.failed = False
        self._fail_fast, self._say, self._problem = given["fail_fast"], say, problem
        self._sources, self._zone = list(sources), zone
        self._told: list[tuple[Delivery, str]] = []  # with the form of their messages
        if given["exec"]:
            from logstats.live.alerts.command import Command

            self._add(Command(given["exec"]), "json")
        if given["webhook"]:
            from logstats.live.alerts.webhook import Webhook

            self._add(Webhook.to(given["webhook"]), given["webhook_format"])

    def _add(self, target: Target, form: str) -> None:
        from logstats.live.alerts.delivery import Delivery

        self._told.append((Delivery(target, self._problem), form))

    def tell(self, change: Change) -> None:
        """An alert that fires, or is resolved. After the one that ends the command, none counts."""
        if self.failed:
            return
        from logstats.live.alerts import message
        from logstats.reports.clock import Clock

        clock = Clock(self._zone)
        self._say(message.words(change, clock))
        for delivery, form in self._told:
            content = message.FORMATS[form](change, self._sources, clock)
            delivery.hand(f"{change.state} {change.rule.text}", message.encoded(content))
        self.failed = self.failed or (change.firing and self._fail_fast)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for what is on its way, for a while; hardly at all if somebody wants to be gone."""
        for delivery, _form in self._told:
            delivery.close(CLOSING if kind is None else HURRY)
