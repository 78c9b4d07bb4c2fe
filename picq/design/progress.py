"""Progress of long work: engines call a function, the terminal shows a bar."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """Where a long computation stands.

    Attributes:
        stage: what is running.
        done, total: in units of the stage (steps, samples).
        figures: current figures by name.
    """

    stage: str
    done: int
    total: int
    figures: Mapping[str, float] = field(default_factory=dict)


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Report nothing."""


@contextmanager
def bar() -> Iterator[Report]:
    """A rich progress bar on stderr with the current figures; silent when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, TextColumn("{task.fields[figures]}"), console=Console(stderr=True)) as bars:
        tasks: dict[str, int] = {}

        def report(now: Progress) -> None:
            if now.stage not in tasks:
                tasks[now.stage] = bars.add_task(now.stage, total=now.total, figures="")
            shown = "  ".join(f"{name} {value:.3g}" for name, value in now.figures.items())
            bars.update(tasks[now.stage], completed=now.done, figures=shown)  # pyright: ignore[reportArgumentType]

        yield report
