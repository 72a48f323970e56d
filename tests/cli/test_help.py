"""Every command and every option says what it does."""

import click
import pytest
from click.testing import CliRunner

from prune_kit_cli.main import cli

COMMANDS = sorted(cli.commands)


def test_the_commands_are_there():
    assert {"aggregate", "info", "prune", "score"} <= set(COMMANDS)


def test_the_group_lists_every_command_with_its_first_sentence():
    for words in (["--help"], ["-h"]):
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 0
        for name in COMMANDS:
            line = next(line for line in result.stdout.splitlines() if line.strip().startswith(name))
            assert len(line.split()) > 3, line
    assert "prunekit score --framework torch" in result.stdout
    assert "_PRUNEKIT_COMPLETE" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_lists_every_option_with_help(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert result.stderr == ""
    command = cli.commands[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            # More than what the default is.
            assert not parameter.help.startswith("[default"), parameter.name
            assert parameter.opts[-1] in result.stdout
    assert all(len(line) <= 100 for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if not isinstance(cli.commands[name], click.Group)]
)
def test_every_command_has_json(name):
    assert any("--json" in parameter.opts for parameter in cli.commands[name].params)


def test_version():
    result = CliRunner().invoke(cli, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("prunekit, version 0.")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scoer"], "No such command 'scoer'"),
        (["score"], "Missing option '--framework'"),
        (["score", "--framework", "caffe"], "'caffe' is not one of"),
        (["prune", "scores.parquet", "--out", "kept.parquet"], "Missing option '--keep'"),
        (["aggregate", "--out", "a.parquet"], "Missing argument 'RUN'"),
        (["info"], "Missing argument"),
        (["info", "--wrong"], "No such option"),
    ],
)
def test_wrong_usage_ends_with_2(words, said):
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
