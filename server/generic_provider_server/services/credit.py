"""Counts the used credit of a stream.

The thread that has committed a group, or has received the notification of another process's commit,
counts the credit before the thread does anything else. So a claim can use all credit that earlier
commits and notifications have freed.
"""

from __future__ import annotations

import threading

from ..store.notices.notice import Notice

NOTHING = Notice()


class Credit:
    """The credit of a stream, which may have `most` requests in flight.

    `in_flight`: the number of requests on the live leases of the stream. `ran_out`: the number of
    requests on leases that ran out since the adapter last sent something; these requests use credit
    too.
    """

    def __init__(self, most: int, *, stream: str) -> None:
        self.most = most
        self.in_flight = 0
        self.ran_out = 0
        self._stream = stream
        self._lock = threading.Lock()

    def left(self, committing: Notice = NOTHING) -> int:
        """Returns the unused credit.

        `committing`: the notice of the running transaction.
        """
        with self._lock:
            return self.most - sum(self._used(committing))

    def count(self, notice: Notice) -> None:
        with self._lock:
            self.in_flight, self.ran_out = self._used(notice)

    def _used(self, notice: Notice) -> tuple[int, int]:
        heard = self._stream in notice.heard
        ran_out = 0 if heard else self.ran_out + notice.ran_out.get(self._stream, 0)
        return self.in_flight - notice.freed.get(self._stream, 0), ran_out
