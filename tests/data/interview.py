"""Answers a command's questions at a terminal: interview.py ANSWERS COMMAND...

ANSWERS is JSON: a list of [prompt, keys]. Each prompt must appear before its keys are sent. Ends with the
command's exit code, or with what the terminal showed if a prompt did not come.
"""

import json
import os
import pty
import select
import sys
import time

WAIT_SECONDS = 30
# A prompt is drawn in pieces: keys that come before its end would be lost.
QUIET_SECONDS = 0.2


class Terminal:
    def __init__(self, command):
        self.child, self.end = pty.fork()
        if self.child == 0:
            os.environ["TERM"] = "xterm"
            os.execv(command[0], command)
        self.shown = b""

    def read(self, seconds):
        """Whether anything came."""
        if not select.select([self.end], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.end, 4096)
        except OSError:
            piece = b""
        self.shown += piece
        return bool(piece)

    def wait_for(self, prompt):
        until = time.monotonic() + WAIT_SECONDS
        while prompt not in self.shown:
            if time.monotonic() > until:
                sys.exit(f"no {prompt} in:\n{self.shown.decode(errors='replace')}")
            self.read(0.5)
        self.shown = self.shown.split(prompt, 1)[1]
        while self.read(QUIET_SECONDS):
            pass

    def exit_code(self):
        while self.read(WAIT_SECONDS):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])


terminal = Terminal(sys.argv[2:])
for prompt, keys in json.loads(sys.argv[1]):
    terminal.wait_for(prompt.encode())
    os.write(terminal.end, keys.encode())
sys.exit(terminal.exit_code())
