"""The command that all others belong to, and what they have in common."""

from __future__ import annotations

from typing import Any

import click

from sopnb.errors import SopError

database_argument = click.argument("path", metavar="DATABASE")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


class Failure(click.ClickException):
    """One line on standard error, and exit code 2."""

    exit_code = 2


class _Commands(click.Group):
    """Commands whose failures are one line, and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (SopError, OSError) as error:
            raise Failure(" ".join(str(error).split()) or type(error).__name__) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sopnb")
def main() -> None:
    """Look at a sopnb database, check it, tidy it up; load files into it, and write files from it."""
