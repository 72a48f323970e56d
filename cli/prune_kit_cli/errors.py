"""The one error boundary: whatever the kit refuses becomes one clear line and exit code 1."""

from __future__ import annotations

import errno
from typing import Any

import click

from prune_kit.errors import PruneKitError


class KitGroup(click.Group):
    """A group whose commands never end in a traceback for bad input."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn what users can mend into one line."""
        try:
            return super().invoke(ctx)
        except PruneKitError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt as error:
            raise click.ClickException(
                "interrupted; the same command goes on where this one stopped."
            ) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise click.ClickException(
                    f"no space left to write {error.filename or 'the output'}: {error.strerror}. "
                    "Hint: free some space; the same command goes on where this one stopped."
                ) from error
            raise
