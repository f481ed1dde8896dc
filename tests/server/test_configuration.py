"""The configuration: one description of each field, four sources in order, and errors that lead to the mistake."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import InputError, StorageError
from hetorch.server.configuration.fields import Field
from hetorch.server.configuration.kinds import (
    Bytes,
    Integer,
    Kind,
    Seconds,
    Several,
    Size,
    Switch,
    Text,
    Time,
)
from hetorch.server.configuration.sources import DEFAULT, FIELDS, configure
from hetorch.server.deployment import Deployment
from hetorch.server.settings import Settings

SAMPLES: dict[type[Kind], tuple[str, str, str]] = {
    Integer: ("3", "4", "5"),
    Size: ("3 MB", "4 MB", "5 MB"),
    Time: ("3 s", "4 s", "5 s"),
    Switch: ("true", "false", "true"),
}
"""Values for the file, the environment and the flag."""


def samples(field: Field) -> tuple[str, str, str]:
    """Return three values of a field as text."""
    if field.name in ("tls_key", "tls_client_ca", "trusted_proxies", "tenants"):
        pytest.skip("needs other fields or addresses")
    if isinstance(field.kind, Text) and field.kind.choices:
        first, *_, last = field.kind.choices
        return first, last, first
    return SAMPLES.get(type(field.kind), ("a", "b", "c"))


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_has_help_and_is_read_from_each_source_in_order(field: Field, tmp_path: Path) -> None:
    assert field.help.endswith("."), f"add a line on {field.name} to the docstring of its class"
    in_file, in_variable, in_flag = samples(field)
    path = tmp_path / "server.toml"
    path.write_text(f'{field.name} = "{in_file}"\n')
    variable = f"HETORCH_SERVE_{field.name.upper()}"
    environment = {variable: in_variable, "HETORCH_TOKEN": "x"}

    assert configure({}, {variable: ""}).origins[field.name] == DEFAULT
    from_file = configure({}, {}, path)
    assert from_file.origins[field.name] == str(path)
    from_variable = configure({}, environment, path)
    assert from_variable.origins[field.name] == variable
    assert from_variable.value(field) == field.kind.read(in_variable)
    from_flag = configure({field.name: in_flag}, environment, path)
    assert from_flag.origins[field.name] in (field.flag, "the argument")
    assert from_flag.value(field) == field.kind.read(in_flag)


def test_the_printed_configuration_is_a_file_with_the_same_values(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text(
        'plans = ["a.hetorch", "b \\"c\\".hetorch"]\nkey_memory = "4 GiB"\nrequest_timeout = 1.5\n'
    )
    first = configure({"workers": "7"}, {"HETORCH_SERVE_TRUSTED_PROXIES": "10.0.0.1, 10.1.0.0/16"}, path)
    assert first.deployment.plans == (tmp_path / "a.hetorch", tmp_path / 'b "c".hetorch')
    assert first.settings.trusted_proxies == ("10.0.0.1", "10.1.0.0/16")
    proxies = ("10.0.0.1", "10.1.0.0/16")
    assert first.settings == Settings(
        workers=7, key_memory=4 << 30, request_timeout=1.5, trusted_proxies=proxies
    )
    printed = tmp_path / "elsewhere" / "printed.toml"
    printed.parent.mkdir()
    printed.write_text(first.as_toml())
    assert tomllib.loads(printed.read_text())["workers"] == 7
    again = configure({}, {}, printed)
    assert (again.deployment, again.settings) == (first.deployment, first.settings)
    assert "--workers" in first.as_toml() and str(path) in first.as_toml()


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text("workers = 3\n")
    assert configure({}, {"HETORCH_SERVE_CONFIG": str(path)}).settings.workers == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("worker = 3", "has the unknown setting 'worker'; did you mean 'workers'?"),
        ("xyzzy = 3", "has the unknown setting 'xyzzy'; `hetorch serve --help` lists"),
        ("workers = 0", "'workers' must be at least 1, got 0"),
        ("workers = true", "'workers' must be a whole number, got True"),
        ("port = 70000", "'port' must be at most 65535, got 70000"),
        ("key_memory = 4", "'key_memory' must be a size with its unit, such as \"4 GB\""),
        ('key_memory = "4 apples"', "'key_memory' must be a size with its unit"),
        ('head_timeout = "soon"', "'head_timeout' must be a time"),
        ("head_timeout = inf", "'head_timeout' must be a time"),
        ("head_timeout = 0", "'head_timeout' must be a positive number of seconds"),
        ("insecure = 1", "'insecure' must be true or false"),
        ("tokens = 1", "'tokens' must be the path of a file or folder"),
        ('plans = "a"\n[limits]\nworkers = 3', "has the unknown setting 'limits'"),
        ('log_format = "xml"', "'log_format' must be one of text, json, got 'xml'"),
        ('trusted_proxies = ["proxy"]', "'proxy' is not the address or network of a proxy"),
        ('tls_key = "k.pem"', "need the server's certificate"),
        ("workers = ", "is not TOML: "),
    ],
)
def test_mistakes_in_the_file_are_told(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text(text + "\n")
    with pytest.raises(InputError) as caught:
        configure({}, {}, path)
    assert sentence in str(caught.value)


def test_all_mistakes_of_file_and_environment_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text('worker = 3\nport = 70000\nkey_memory = "16 G"\nqueue = 3\n')
    with pytest.raises(InputError) as caught:
        configure({}, {"HETORCH_SERVE_QUEUE": "two"}, path)
    told = str(caught.value)
    assert told.startswith("the configuration has 4 mistakes: (1) ")
    places = [told.index(word) for word in ("'worker'", "'port'", "'key_memory'", "HETORCH_SERVE_QUEUE")]
    assert places == sorted(places)


def test_mistakes_in_the_environment_are_told_without_the_value() -> None:
    with pytest.raises(InputError, match="did you mean 'HETORCH_SERVE_WORKERS'") as caught:
        configure({}, {"HETORCH_SERVE_WORKER": "hunter2"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InputError, match=r"^HETORCH_SERVE_WORKERS must be a whole number"):
        configure({}, {"HETORCH_SERVE_WORKERS": "two"})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot read the configuration"):
        configure({}, {}, tmp_path / "none.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(InputError, match="more than"):
        configure({}, {}, tmp_path / "large.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not TOML"):
        configure({}, {}, tmp_path / "bytes.toml")


def test_no_password_in_an_address_is_printed() -> None:
    shown = Text().show("https://user:hunter2@host/")
    assert "hunter2" not in shown and "host" in shown


@given(st.integers(1, 1 << 60))
def test_sizes_survive_their_text(size: int) -> None:
    # Numbers beyond 2^53 are read as floats, whose relative error is 2^-53.
    read = Size().read(tomllib.loads(f"x = {Size().show(size)}")["x"])
    assert isinstance(read, int) and abs(read - size) <= size * 2.0**-53


@given(st.floats(1e-3, 1e6))
def test_times_survive_their_text(seconds: float) -> None:
    assert Time().read(tomllib.loads(f"x = {Time().show(seconds)}")["x"]) == seconds


@given(st.text())
def test_any_text_survives_as_toml(text: str) -> None:
    shown = Several(Text()).show((text,))
    if "@" not in text:  # user information leaves
        assert tomllib.loads(f"x = {shown}")["x"] == [text]


@pytest.mark.parametrize(
    ("text", "size"), [("4 GB", 4 * 10**9), ("4gib", 4 << 30), ("1.5 MB", 1_500_000), ("17 B", 17)]
)
def test_sizes_have_decimal_and_binary_units(text: str, size: int) -> None:
    assert Size().read(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("500 ms", 0.5), ("5min", 300), ("2 h", 7200), ("3", 3), (4, 4)]
)
def test_times_have_units(text: object, seconds: float) -> None:
    assert Time().read(text) == pytest.approx(seconds, rel=1e-15)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7776000, '"90 d"'), (300, '"5 min"'), (30.0, '"30 s"'), (5400, '"90 min"'), (0.5, '"0.5 s"')],
)
def test_times_are_shown_in_the_largest_unit_that_divides_them(seconds: float, text: str) -> None:
    assert Time().show(seconds) == text


def test_values_out_of_range_are_refused_in_python_too() -> None:
    with pytest.raises(InputError, match=r"^port must be at most 65535"):
        Deployment(port=70000)
    with pytest.raises(InputError, match=r"^key_memory must be at least 1 byte"):
        Settings(key_memory=0)


def test_units_are_types() -> None:
    first: Bytes = 3
    second: Seconds = 3.0
    assert first == second
