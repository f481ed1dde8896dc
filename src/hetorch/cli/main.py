"""The command `hetorch`: its verbs, and the messages and exit codes of failures."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from typing import Annotated

import typer

from hetorch.cli.analyze import analyze_model
from hetorch.cli.compile import compile_model
from hetorch.cli.demo import demo
from hetorch.cli.doctor import doctor
from hetorch.cli.encrypt_weights import encrypt_weights
from hetorch.cli.evaluate import evaluate_plan
from hetorch.cli.inspect import inspect
from hetorch.cli.keygen import keygen
from hetorch.cli.predict import predict
from hetorch.cli.public_key import public_key
from hetorch.cli.serve import serve
from hetorch.cli.tune import tune
from hetorch.cli.upload_weights import upload_weights
from hetorch.cli.without_weights import without_weights
from hetorch.errors import HetorchError
from hetorch.optional_packages import missing_package
from hetorch.wire.addresses import without_user_information

INTERNAL_ERROR = 70
"""Exit code of a fault in hetorch (EX_SOFTWARE of sysexits.h); 1 is an error that the user can mend, 2 wrong usage."""

app = typer.Typer(
    name="hetorch",
    help="Run a trained PyTorch model on data that stays encrypted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("analyze")(analyze_model)
app.command("compile")(compile_model)
app.command("keygen")(keygen)
app.command("serve")(serve)
app.command("predict")(predict)
app.command("inspect")(inspect)
app.command("evaluate")(evaluate_plan)
app.command("without-weights")(without_weights)
app.command("public-key")(public_key)
app.command("encrypt-weights")(encrypt_weights)
app.command("upload-weights")(upload_weights)
app.command("demo")(demo)
app.command("tune")(tune)
app.command("doctor")(doctor)


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

    Exits with 0, 1 (an error that the user can mend, told in one line), 2 (wrong usage), 70 (a fault in hetorch) or 130
    (Ctrl-C).
    """
    warnings.showwarning = _show_warning
    logging.getLogger("hetorch.client").addHandler(_Notes())
    for category in (DeprecationWarning, FutureWarning):  # one library to another: of no use to users
        warnings.simplefilter("ignore", category)
    debug = os.environ.get("HETORCH_DEBUG") == "1"
    try:
        app()
    except (HetorchError, OSError) as error:
        if debug:
            traceback.print_exc()
        print(f"hetorch: error: {_one_line(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, ModuleNotFoundError) and (missing := missing_package(error, "this command")):
            print(f"hetorch: error: {missing}", file=sys.stderr)
            sys.exit(1)
        kind = type(error).__name__
        print(
            f"hetorch: internal error: {kind}: {_one_line(error)}; HETORCH_DEBUG=1 shows where",
            file=sys.stderr,
        )
        sys.exit(INTERNAL_ERROR)


class _Notes(logging.Handler):
    """Shows what the client logs for its user, such as a new secret key, in one line on stderr."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        print(f"hetorch: note: {_one_line(record.getMessage())}", file=sys.stderr)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"hetorch: warning: {_one_line(message)}", file=sys.stderr)


def _one_line(message: object) -> str:
    """Return a message in one line; an argument that it repeats may be an address with a password."""
    return " ".join(without_user_information(str(message)).split())


if __name__ == "__main__":
    main()
