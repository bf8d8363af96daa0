"""StopRequest: a signal asks the run to stop at its next step; nothing is interrupted in the middle."""

from __future__ import annotations

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# EX_TEMPFAIL of sysexits.h: stopped in good order, run again to continue
EXIT_REQUEUE = 75
# EX_SOFTWARE: a rank hangs, or one that it waits for; run again to continue from the last checkpoint
EXIT_HUNG = 70


class StopRequest:
    """Installed before the heavy imports, since a signal that arrives during them would end the process."""

    def __init__(self):
        self.received: signal.Signals | None = None

    def install(self) -> StopRequest:
        for number in SIGNALS:
            signal.signal(number, self._remember)
        return self

    def ignore(self) -> None:
        """From now on, where everything is saved: a launcher ends the others as soon as one rank has left."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _remember(self, number: int, _frame) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt  # the second Ctrl-C means now
        self.received = signal.Signals(number)
