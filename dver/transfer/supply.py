"""Asking a remote for objects by oid, and remembering which it could not give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from dver.base.oid import Oid
from dver.base.reporter import Reporter
from dver.transfer.closure import Reason
from dver.transfer.delivery import Batch, Delivery
from dver.transfer.ranges import Wanted
from dver.transfer.remote import Remote
from dver.transfer.spool import Spool


class Supply:
    """A remote that is listed when it is first asked for something.

    ``workers`` is how many processes verify what comes; None decides by the processors.
    """

    def __init__(self, remote: Remote, reporter: Reporter, workers: int | None = None) -> None:
        self.remote = remote
        self._reporter = reporter
        self._workers = workers
        self._ready = False

    def locate(
        self,
        oids: Iterable[Oid],
        failed: dict[Oid, Reason],
        sizes: Mapping[Oid, int] | None = None,
    ) -> Wanted:
        """Return where objects are; those that are nowhere are put into ``failed``.

        ``sizes`` of the contents, where known, tell how much of a pack chunk lists stand for.
        """
        # A million oids in one more dictionary take 40 MiB.
        absent = oids if isinstance(oids, Mapping) else dict.fromkeys(oids)
        if not absent:
            return Wanted()
        if not self._ready:
            self.remote.open_index()
            self._ready = True
            damaged = len(self.remote.index.damaged)
            if damaged:
                self._reporter.warn(
                    f"{damaged} index segments of {self.remote.description} are damaged; what only"
                    " they know of cannot be found",
                    hint=f"push again from a clone that has it, or 'dver fsck -r"
                    f" {self.remote.name}'",
                )
        left: set[bytes] = set(absent)
        wanted = self.remote.index.want(left, sizes)
        wanted.in_order_of(absent)
        failed.update((Oid(oid), "missing") for oid in left)
        return wanted

    def bring(
        self,
        oids: Iterable[Oid],
        failed: dict[Oid, Reason],
        *,
        spool: Callable[[], Spool] | None,
        label: str,
        contents: bool = False,
    ) -> Iterator[Batch]:
        """Yield what the remote has of some objects, as frames; the rest goes to ``failed``."""
        wanted = self.locate(oids, failed)
        yield from self.deliver(wanted, failed, spool=spool, label=label, contents=contents)

    def deliver(
        self,
        wanted: Wanted,
        failed: dict[Oid, Reason],
        *,
        spool: Callable[[], Spool] | None,
        label: str,
        contents: bool = False,
    ) -> Iterator[Batch]:
        """Yield the frames that were located; what turns out to be wrong goes to ``failed``."""
        if not len(wanted):
            return
        with self._reporter.task(label, unit="bytes") as task:
            delivery = Delivery(self.remote, spool, task, contents=contents, workers=self._workers)
            reads = delivery.plan(wanted)
            task.set_total(sum(read.end - read.start for read in reads))
            for batch in delivery.read(wanted, reads):
                failed.update(batch.failed)
                yield batch
