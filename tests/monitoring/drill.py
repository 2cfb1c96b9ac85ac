"""`make drill`: raises every alert by its fault on a real Airflow and a real Prometheus, and does as its runbook says.

Run by hand, as root of a machine with Prometheus; `ALERT...` for some of them. Exits 1 if one was not raised, seen or
ended.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.monitoring.drill_case import Round
from tests.monitoring.drill_faults import DRILLS
from tests.monitoring.drill_rules import FACTOR, LONGEST_S
from tests.monitoring.drill_world import world

_HEADER = "| alert | fault | fired after | seen | ended by | gone after |\n| --- | --- | --- | --- | --- | --- |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make drill", description=__doc__)
    known = [alert for alerts in DRILLS for alert in alerts]
    parser.add_argument("alerts", nargs="*", metavar="ALERT", help=", ".join(known))
    wanted = parser.parse_args().alerts or known
    if unknown := sorted(set(wanted) - set(known)):
        parser.error(f"There is no drill of {', '.join(unknown)}.")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # whatever was started is stopped
    print(f"Durations of the rules are divided by {FACTOR}, and {LONGEST_S} s at the most.", flush=True)
    with tempfile.TemporaryDirectory(prefix="sr-drill-") as folder, world(Path(folder)) as made:
        made.warm_up()
        round_ = Round(made)
        try:
            for alerts, drill in DRILLS.items():
                if set(alerts) & set(wanted):
                    round_.do(drill)
            round_.await_the_ends()
        finally:
            print("\n".join(["", _HEADER, *(case.row() for case in round_.cases)]), flush=True)
        return int(any(case.failure for case in round_.cases))


if __name__ == "__main__":
    sys.exit(main())
