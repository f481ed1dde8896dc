"""The command `hetorch`: its verbs, and the messages and exit codes of failures."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated

import typer

from hetorch.cli.analyze import analyze_model
from hetorch.cli.cache import cache
from hetorch.cli.compile import compile_model
from hetorch.cli.demo import demo
from hetorch.cli.diff import diff
from hetorch.cli.doctor import doctor
from hetorch.cli.encrypt_weights import encrypt_weights
from hetorch.cli.evaluate import evaluate_plan
from hetorch.cli.federate import federate
from hetorch.cli.help_text import paragraphs
from hetorch.cli.inspect import inspect
from hetorch.cli.keygen import keygen
from hetorch.cli.keys import keys
from hetorch.cli.models import models
from hetorch.cli.numbers import with_finite_numbers
from hetorch.cli.option_names import OptionNames
from hetorch.cli.predict import predict
from hetorch.cli.public_key import public_key
from hetorch.cli.serve import serve
from hetorch.cli.sweep import sweep_model
from hetorch.cli.token import token
from hetorch.cli.top import top
from hetorch.cli.trace import trace
from hetorch.cli.tune import tune
from hetorch.cli.upload_weights import upload_weights
from hetorch.cli.vault import vault
from hetorch.cli.without_weights import without_weights
from hetorch.errors import HetorchError
from hetorch.optional_packages import missing_package
from hetorch.user_information import without_user_information

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of SIGINT, as shells have it."""
INTERNAL_ERROR = 70
"""Exit code of a fault in hetorch (EX_SOFTWARE of sysexits.h); 1 is an error that the user can mend, 2 wrong usage."""
ERROR = 1
"""Exit code after an error that the user can mend."""
ERRORS: Mapping[str, int] = MappingProxyType({"diff": 2})
"""Exit codes after such an error of verbs that end with 1 after an answer, as diff(1) does where files differ."""

app = typer.Typer(
    name="hetorch",
    help="Run a trained PyTorch model on data that stays encrypted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
VERBS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "analyze": analyze_model,
        "compile": compile_model,
        "keygen": keygen,
        "serve": serve,
        "top": top,
        "predict": predict,
        "inspect": inspect,
        "diff": diff,
        "trace": trace,
        "evaluate": evaluate_plan,
        "sweep": sweep_model,
        "without-weights": without_weights,
        "public-key": public_key,
        "encrypt-weights": encrypt_weights,
        "upload-weights": upload_weights,
        "demo": demo,
        "tune": tune,
        "doctor": doctor,
    }
)
for _name, _verb in VERBS.items():
    app.command(_name, help=paragraphs(_verb.__doc__))(with_finite_numbers(_verb))
app.add_typer(cache)
app.add_typer(federate)
app.add_typer(keys)
app.add_typer(token)
app.add_typer(models)
app.add_typer(vault)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"hetorch {version('hetorch')}")
        except PackageNotFoundError:
            print("hetorch (not installed as a package)")
        raise typer.Exit


@app.callback()
def verbs(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Run a trained PyTorch model on data that stays encrypted."""


def main() -> None:
    """Run the command line.

    Exits with 0, 1 (an error that the user can mend, told in one line; 2 for the verbs of ERRORS), 2 (wrong usage), 70
    (a fault in hetorch) or 130 (Ctrl-C; `hetorch serve` ends with 0).
    """
    messages = _Messages()
    warnings.showwarning = messages.show_warning
    logging.getLogger("hetorch.client").addHandler(_Notes(messages))
    for category in (DeprecationWarning, FutureWarning):  # one library to another: of no use to users
        warnings.simplefilter("ignore", category)
    debug = os.environ.get("HETORCH_DEBUG") == "1"
    try:
        app()
    except (HetorchError, OSError) as error:
        if debug:
            traceback.print_exc()
        messages.show("error", error)
        sys.exit(_error_code())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, ModuleNotFoundError) and (missing := missing_package(error, "this command")):
            messages.show("error", missing)
            sys.exit(_error_code())
        messages.show("internal error", f"{type(error).__name__}: {error}; HETORCH_DEBUG=1 shows where")
        sys.exit(INTERNAL_ERROR)


def _error_code() -> int:
    return ERRORS.get(_chosen_verb(), ERROR)


def _chosen_verb() -> str:
    """Return the verb that the user gave, or what stands in its place."""
    return next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")


class _Messages:
    """The messages of one run on stderr, each in one line, with the options of its verb as flags."""

    def __init__(self) -> None:
        self._warnings: set[str] = set()

    def show(self, kind: str, message: object) -> None:
        print(f"hetorch: {kind}: {self._one_line(message)}", file=sys.stderr)

    def show_warning(self, message: Warning | str, *_: object, **__: object) -> None:
        """Show a warning unless the same was shown before."""
        if str(message) not in self._warnings:
            self._warnings.add(str(message))
            self.show("warning", message)

    def _one_line(self, message: object) -> str:
        # An argument that the message repeats may be an address with a password.
        text = without_user_information(str(message))
        return " ".join(OptionNames.of(app, _chosen_verb()).spell(text).split())


class _Notes(logging.Handler):
    """Shows what the client logs for its user, such as a new secret key."""

    def __init__(self, messages: _Messages) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.show("note", record.getMessage())


if __name__ == "__main__":
    main()
