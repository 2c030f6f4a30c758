"""What goes wrong in the soak, drawn from its seed."""

import collections
import signal
import time

PAUSE_SECONDS = (5, 12)
# Longer than a lease (2 s), and longer than the lead (3 s).
SLEEP_SECONDS = 5
AWAY_SECONDS = (1, 4)
KINDS = ("kill worker", "kill worker", "kill active", "kill standby", "stop worker", "stop active", "kill postgres",
         "kill seaweed")


class Faults:
    """Fires one fault after the other until it is told to end."""

    def __init__(self, fleet, draw, ending):
        self.fleet, self.draw, self.ending = fleet, draw, ending
        self.fired = collections.Counter()
        self.errors = []

    def run(self):
        """Until the end, or until something is broken that must not be."""
        try:
            while not self.ending.wait(self.draw.uniform(*PAUSE_SECONDS)):
                kind = self.draw.choice(KINDS)
                if self.fire(kind):
                    self.fired[kind] += 1
        # Whatever it is, it belongs in the summary: this runs in a thread of its own.
        except Exception as error:  # noqa: BLE001
            self.errors.append(f"{type(error).__name__}: {error}")

    def fire(self, kind):
        """One fault; whether it fired."""
        what, whom = kind.split(" ")
        service = self.chosen(whom)
        if service is None:
            return False
        if what == "stop":
            service.process.send_signal(signal.SIGSTOP)
            time.sleep(SLEEP_SECONDS)
            service.process.send_signal(signal.SIGCONT)
            return True
        service.kill()
        time.sleep(self.draw.uniform(*AWAY_SECONDS))
        service.start()
        if whom == "seaweed":
            self.fleet.store.wait()
        return True

    def chosen(self, whom):
        """The service that is struck."""
        if whom == "worker":
            return self.draw.choice(self.fleet.workers)
        if whom in ("active", "standby"):
            active = self.fleet.active()
            others = [one for one in self.fleet.coordinators if one is not active]
            return active if whom == "active" else others[0]
        return {"postgres": self.fleet.postgres, "seaweed": self.fleet.store.service}[whom]
