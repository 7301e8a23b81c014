"""What ``push --repair`` does to a remote beside pushing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.reporter import Reporter
from dver.transfer.closure import Offer

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.transfer.heal import Damage, Healer
    from dver.transfer.remote import Remote


@dataclass(frozen=True, slots=True)
class HealedRemote:
    """What was damaged in a remote, and what was done about it, by keys in the remote.

    ``replaced`` are packs and roots that were written again just as they were; ``aside`` are
    damaged files that were moved to its ``quarantine/``, and ``salvaged`` counts the good objects
    and chunks that were saved out of them.
    """

    damaged: tuple[str, ...]
    replaced: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    salvaged: int = 0


class Healing:
    """Goes around one push: look, begin, push what ``offers`` says, end."""

    def __init__(self, repo: Repo, remote: Remote, reporter: Reporter) -> None:
        self._repo = repo
        self._remote = remote
        self._reporter = reporter
        self._damage: Damage | None = None
        self._healer: Healer | None = None

    def look(self) -> None:
        """Read all of the remote, and say what is wrong there."""
        from dver.transfer.heal import look_for_damage

        self._damage = look_for_damage(self._remote, self._reporter)
        self._remote.forget_listing()
        for line in self._damage.lines():
            self._reporter.note(line)

    @property
    def damage(self) -> Damage:
        """What was found."""
        if self._damage is None:
            raise ValueError("nobody has looked yet")
        return self._damage

    @property
    def distrusted(self) -> frozenset[bytes]:
        """The packs that count as not there."""
        return frozenset(self.damage.packs)

    def begin(self) -> None:
        """Bring back what takes no content."""
        from dver.transfer.heal import Healer

        self._healer = Healer(self._repo.store, self._remote, self.damage, self._reporter)
        self._healer.before_push()
        self._remote.forget_listing()
        self._remote.refresh_roots()

    def offers(self) -> list[Offer]:
        """Return what roots name: it is sent again as far as it is here and not there."""
        named = (one for root in self._remote.roots.values() for one in root.objects)
        return [Offer(one, required=False) for one in dict.fromkeys(named)]

    def end(self) -> None:
        """Take what could not be healed out of the index, once what is good in it was saved."""
        if self._healer is not None:
            with self._repo.store.hold():
                self._healer.after_push()

    @property
    def result(self) -> HealedRemote:
        """What was done."""
        keys = tuple(line.partition(": ")[0] for line in self.damage.lines())
        if self._healer is None:
            return HealedRemote(keys)
        done = self._healer.done
        return HealedRemote(keys, tuple(done.replaced), tuple(done.aside), done.salvaged)
