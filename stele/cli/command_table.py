"""Every command by name, with its module, which is imported only when the command is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

CONTEXT = {"help_option_names": ["-h", "--help"]}
_FIRST = {
    "init": "Make a workspace: settings, drop box, store and catalogue.",
    "ingest": "Ingest submissions now.",
    "check": "Judge bags, E-ARK packages or METS files; store nothing.",
    "inspect": "Show what files are: format, size, SHA-512, validity.",
    "search": "Find AIPs by words of title, identifier, agency or file names.",
    "dip": "Build a DIP: content, METS, provenance, an offline page.",
    "audit": "Read every byte of the copies that are due; repair them.",
    "nightly": "Ingest what the drop boxes hold; create pending copies; audit.",
    "serve": "Prefect server, worker, schedules and dashboard in one command.",
    "dashboard": "Show the dashboard alone; “serve” includes it.",
    "doctor": "What is installed, reachable and configured.",
}
_GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "aip": (
        "What is kept: list it, look at it, export it.",
        {
            "list": "All AIPs, newest first.",
            "show": "One AIP: copies, formats, event history.",
            "export": "Give an AIP back as a valid bag, every digest checked.",
            "update": "Make a new version: metadata, another representation.",
            "hold": "Forbid the removal of an AIP until the hold is lifted.",
            "release": "Lift a hold.",
            "remove": "Remove an AIP: one person asks and says why, another approves.",
        },
    ),
    "submissions": (
        "What came, and what became of it.",
        {
            "list": "Submissions, the latest first.",
            "show": "One submission: every attempt at it, its findings, where its receipt is.",
        },
    ),
    "review": (
        "What waits for a decision: list it, decide it.",
        {
            "list": "Submissions in review, and removals that wait for their second person.",
            "show": "Everything that was found about one of them, and what was decided so far.",
            "decide": "Decide about one of them. An accepted submission is ingested at once.",
        },
    ),
    "store": (
        "The archival storage.",
        {
            "list": "The stores, what each must hold, and in what state its copies are.",
            "verify": "Re-read every byte of AIPs, or of any OCFL object or storage root, and judge it.",
            "replicate": "Create copies that are pending, damaged or missing, from intact ones.",
            "repair": "Repair damaged and missing copies; what is replaced is kept in quarantine.",
            "reconcile": "Compare catalogue and storage in both directions (lists every store).",
            "rebuild": "Make the catalogue again from what the stores hold.",
            "sweep": "Show, or remove, what interrupted writes left in the stores.",
            "probe": "Find out what the servers of S3 stores really do, and keep the result.",
        },
    ),
    "formats": (
        "The formats of what is kept, and the policy.",
        {
            "report": "Every format in the archive: AIPs, files, bytes, not valid ones, risk.",
            "policy": "The rules in the order in which they are asked; the first that fits decides.",
            "reidentify": "Identify stored files again with today's signatures.",
            "override": "Say what a stored file is; recorded as an event of that person.",
            "normalise": "Make the preservation copies the policy asks for, each in a new version.",
            "import-par": "Turn business rules of PAR into rules for format-policy.toml.",
        },
    ),
    "accounts": (
        "Who may sign in to the dashboard.",
        {
            "add": "Add an account, or give it a new role and password.",
            "list": "Everybody who may sign in.",
            "remove": "Take an account away; who is signed in with it is signed out.",
        },
    ),
}


def every_command() -> list[tuple[str, ...]]:
    """The words that call each command."""
    in_groups = [(group, name) for group, (_, commands) in _GROUPS.items() for name in commands]
    return [*((name,) for name in _FIRST), *in_groups]


class LazyCommand(TyperCommand):
    """A line in the help; when it is used, the command of its module takes its place."""

    def __init__(self, name: str, module: str, summary: str) -> None:
        super().__init__(name=name, help=summary, rich_markup_mode=None)
        self._module = module

    def loaded(self) -> Any:
        """The command itself. Its module has ``command``, a function, and ``EXAMPLE``."""
        module = import_module(self._module)
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=CONTEXT)
        app.command(self.name, epilog=f"Example: {module.EXAMPLE}")(module.command)
        return typer.main.get_command(app)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.loaded().make_context(info_name, args, parent, **extra)


class Commands(TyperGroup):
    """All commands at the front door: those of one word first, then the groups."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*_FIRST, *_GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in _FIRST:
            return LazyCommand(cmd_name, _module(cmd_name), _FIRST[cmd_name])
        if cmd_name not in _GROUPS:
            return None
        summary, commands = _GROUPS[cmd_name]
        lazy: dict[str, Any] = {
            name: LazyCommand(name, _module(cmd_name, name), said) for name, said in commands.items()
        }
        return _Group(
            name=cmd_name, help=summary, commands=lazy, no_args_is_help=True, context_settings=CONTEXT
        )


class _Group(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


def _module(*words: str) -> str:
    return ".".join(("stele.cli", *(word.replace("-", "_") for word in words)))
