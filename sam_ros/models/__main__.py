"""The command ``models``: published weights listed, fetched, verified, found and removed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sam_ros.models import cache
from sam_ros.models.catalogue import CATALOGUE, Entry

EPILOG = f"""\
The files lie in ${cache.VARIABLE}, else in sam_ros/models of the user's cache (XDG_CACHE_HOME).
The node takes a fetched SAM from there when its parameter checkpoint is empty."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: without the program's name; None for those of the process.

    Returns:
        The exit status: 0 done, 1 it could not be done, 2 wrong arguments, 130 interrupted.
    """
    try:
        options = _parser().parse_args(arguments)
        return int(options.run(options))
    except KeyboardInterrupt:
        print("models: interrupted; the same command goes on from there", file=sys.stderr)
        return 130
    except (OSError, RuntimeError) as error:
        print(f"models: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="models",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, count, text in (
        ("list", _list, None, "what there is, and what of it is here"),
        ("fetch", _fetch, "+", "get files; goes on where an earlier fetch was cut off"),
        (
            "verify",
            _verify,
            "*",
            "compare files with their SHA-256; without names all that are here",
        ),
        ("path", _path, "?", "where a file or folder is; without a name the folder of all"),
        ("remove", _remove, "+", "delete files, partial ones too"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        if count:
            command.add_argument(
                "names", nargs=count, metavar="NAME", type=_entry, help=", ".join(CATALOGUE)
            )
    return parser


def _entry(name: str) -> Entry:
    if name not in CATALOGUE:
        known = ", ".join(CATALOGUE)
        raise RuntimeError(f"{name!r} is not known; expected one of {known}")
    return CATALOGUE[name]


def _list(_: argparse.Namespace) -> int:
    print(f"{'name':24} {'size':>8}  {'licence':11} {'here':8} hashes")
    for entry in CATALOGUE.values():
        size = f"{entry.size / 1e6:.0f} MB"
        print(f"{entry.name:24} {size:>8}  {entry.licence:11} {_state(entry):8} {entry.origin}")
    print(f"in {cache.folder()}")
    return 0


def _state(entry: Entry) -> str:
    if cache.find(entry.name):
        return "yes"
    here = cache.present(entry)
    return f"{100 * here // entry.size} %" if here else "no"


def _fetch(options: argparse.Namespace) -> int:
    try:
        from sam_ros.models.download import fetch  # the node does without its libraries
    except ImportError as error:
        raise RuntimeError(f"{error}; install it: pip install pooch tqdm filelock") from error
    for entry in options.names:
        fetch(entry)
        print(f"{entry.name}: SHA-256 right, licence {entry.licence}, {cache.find(entry.name)}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    entries = options.names or [item for item in CATALOGUE.values() if cache.present(item)]
    problems = 0
    for entry in entries:
        found = cache.verify(entry)
        problems += len(found)
        for problem in found:
            print(f"models: {problem}", file=sys.stderr)
        if not found:
            print(f"{entry.name}: SHA-256 right")
    return 1 if problems else 0


def _path(options: argparse.Namespace) -> int:
    if options.names is None:
        print(cache.folder())
        return 0
    found = cache.find(options.names.name)
    if found is None:
        raise RuntimeError(
            f"{options.names.name} is not here; run: models fetch {options.names.name}"
        )
    print(found)
    return 0


def _remove(options: argparse.Namespace) -> int:
    for entry in options.names:
        print(f"{entry.name}: {cache.remove(entry) / 1e6:.0f} MB freed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
