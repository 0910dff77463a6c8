"""The ledger: where every record ended. ``read = accepted + duplicate + dropped + quarantined``."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sojourn.errors import SojournError

REASONS = (
    "too_large", "invalid_utf8", "invalid_json", "not_an_object", "bad_row",
    "missing_field", "bad_type", "bad_time", "unknown_value", "schema",
)  # fmt: skip
"""Why a record is quarantined: a closed set; a record gets the first that holds."""


@dataclass
class Ledger:
    """Counts of records by their end, for one file or one run. Blank lines are not records."""

    read: int = 0
    blank: int = 0
    accepted: int = 0
    duplicate: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def candidates(self) -> int:
        """Records that kept the contract and every drop rule: accepted or duplicate."""
        return self.read - self.dropped.total() - self.quarantined.total()

    def add(self, other: "Ledger") -> None:
        """Add the counts of *other*."""
        self.read += other.read
        self.blank += other.blank
        self.accepted += other.accepted
        self.duplicate += other.duplicate
        self.dropped += other.dropped
        self.quarantined += other.quarantined
        self.notes += other.notes

    def without(self, other: "Ledger") -> "Ledger":
        """The counts without those of *other*, which are among them."""
        counts = {name: getattr(self, name) - getattr(other, name) for name in self.__dataclass_fields__}
        return Ledger(**counts)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Ledger":
        """The ledger that `as_dict` made plain values of."""
        counts: dict[str, Any] = {key: Counter(n) if isinstance(n, dict) else n for key, n in plain.items()}
        return cls(**counts)

    def check(self, what: str) -> None:
        """Raise when the ends do not add up to what was read."""
        ends = self.accepted + self.duplicate + self.dropped.total() + self.quarantined.total()
        if ends != self.read or min(self.accepted, self.duplicate) < 0:
            raise SojournError(
                "ledger",
                f"the ledger of {what} does not balance: {self.read} records read, {ends} accounted for; "
                "nothing was published (this is a fault in Sojourn, please report it)",
            )

    def as_dict(self) -> dict[str, Any]:
        """The ledger as plain JSON values, reasons in the order of judgement."""
        reasons = {reason: self.quarantined[reason] for reason in REASONS if self.quarantined[reason]}
        return {
            "read": self.read,
            "blank": self.blank,
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "dropped": dict(sorted(self.dropped.items())),
            "quarantined": reasons,
            "notes": dict(sorted(self.notes.items())),
        }


def total(ledgers: Iterable[Ledger]) -> Ledger:
    """The sum of *ledgers*."""
    whole = Ledger()
    for ledger in ledgers:
        whole.add(ledger)
    return whole
