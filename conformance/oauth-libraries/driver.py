"""The loop of a driver in Python (README.md). Its clock is that of the whole process, so the library's, too."""

import json
import sys
import time
from types import SimpleNamespace

import time_machine


def drive(library):
    """`library` has the methods `begin`, `callback` and `profile`; what they raise is what a program would see."""
    real, moved = time.time, None
    for line in sys.stdin:
        asked = json.loads(line)
        do = asked.pop("do")
        try:
            if do == "clock":
                if moved:
                    moved.stop()
                moved = time_machine.travel(real() + asked["seconds"], tick=True)
                moved.start()
                said = {}
            elif do == "begin":
                said = {"url": library.begin(SimpleNamespace(**asked))}
            elif do == "callback":
                said = {"token": library.callback(asked["url"])}
            else:
                said = {"name": library.profile()}
        except Exception as error:
            said = {"error": str(error), "type": type(error).__name__}
        print(json.dumps(said), flush=True)
