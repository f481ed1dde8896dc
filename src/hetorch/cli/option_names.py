"""Options in messages, spelled as on the command line.

Messages name the options of hetorch.compile and of other calls as Python does: `key_limit=5000000`, `engine="seal"`, or
`activation_tolerance` where they are its subject. The command line shows `--key-limit 5` in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer

from hetorch.compiler.option_help import unit
from hetorch.compiler.options import CompileOptions

_ASSIGNED = re.compile(
    r"""(?<![\w/.'"-])([a-z_]+)=(?:"([^"]*)"|'([^']*)'|(\d+(?:\.\d+)?(?:e-?\d+)?)|(auto))?(?![\w=])"""
)
"""A name with "=" and perhaps a value in quotes or digits, or "auto", the compiler's choice in a sweep."""
_NAMED = re.compile(r"""(?<![\w/.'"-])([a-z]+(?:_[a-z]+)+)(?![\w/.'"(=-])""")
"""A name with an underscore, which no word of a sentence has."""
_SUBJECT = re.compile(r"^([a-z_]+)(?= must be )")

_COMPILE = re.compile(r"hetorch\.compile\(model, calibration_inputs((?:, [a-z_]+=[^,()]+)*)\)")
"""The call of hetorch.compile in a remedy, with its options."""

CALIBRATION = {"calibration_inputs": "--calibration"}
"""The argument of hetorch.compile and hetorch.analyze whose flag has another name."""


@dataclass(frozen=True, slots=True)
class OptionNames:
    """The flags of one verb, and of all verbs together, by the names that they have in Python."""

    own: Mapping[str, str]
    all: Mapping[str, str]

    @classmethod
    def of(cls, app: typer.Typer, verb: str) -> OptionNames:
        """Return the flags of the verbs of `app`; a verb that does not exist has none."""
        # typer brings its own copy of click from some version on, so its classes have no name that stays.
        commands: Mapping[str, Any] = getattr(typer.main.get_command(app), "commands", {})
        flags = {
            name: {
                parameter.name: max(parameter.opts, key=len)
                for parameter in command.params
                if all(option.startswith("-") for option in parameter.opts)
            }
            for name, command in commands.items()
        }
        every = {name: flag for of_verb in flags.values() for name, flag in of_verb.items()}
        for own in flags.values():
            own |= CALIBRATION if "calibration" in own else {}
        return cls(flags.get(verb, {}), every)

    def spell(self, message: str) -> str:
        """Return the message with its options as flags.

        A name with "=" is one of an option of any verb, since a message may send the user to another verb. A name
        without it is that of an option of this verb.
        """
        text = _ASSIGNED.sub(lambda match: self._assigned(match), message)
        text = _SUBJECT.sub(lambda match: self.own.get(match[1], match[1]), text)
        return _NAMED.sub(lambda match: self.own.get(match[1], match[1]), text)

    def _assigned(self, match: re.Match[str]) -> str:
        name = match[1]
        if name not in self.all:
            return match[0]
        value = next((part for part in match.groups()[1:] if part is not None), "")
        if match[4] and name in CompileOptions.model_fields and (factor := unit(name)) is not None:
            value = f"{float(value) / factor:.12g}"
        return f"{self.all[name]} {value}".rstrip()


COMPILE = CALIBRATION | {name: f"--{name.replace('_', '-')}" for name in CompileOptions.model_fields}
"""The flags of hetorch compile."""


def spelled(text: str) -> str:
    """Return text about a plan or an analysis, whose notes name options of hetorch.compile, with these as flags,
    and calls of it as commands."""
    commands = _COMPILE.sub(
        lambda call: f"hetorch compile MODEL --calibration FILE{call[1].replace(',', '')}", text
    )
    return OptionNames(COMPILE, COMPILE).spell(commands)
